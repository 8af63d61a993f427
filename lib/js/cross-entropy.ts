// Softmax cross entropy: the phases of a row, load → findMaximum → scan → solve → write. Mirrors
// native/kernels/cross_entropy-inl.h, and softmax_blocks-inl.h for whole rows.

import type { Batch, Floats, Sums } from '../batch.js';
import { type Arithmetic, ScratchBlock } from './arithmetic.js';
import { Rows } from './blocks.js';
import { belowOf } from './reductions.js';
import { numberOf } from './results.js';
import { SoftmaxParts } from './softmax-batch.js';
import { SoftmaxRow, SoftmaxSolver, SoftmaxSums } from './softmax-row.js';
import { NONE } from './targets.js';

export class CrossEntropy<A extends Floats> extends Rows<A> {
  private readonly parts: SoftmaxParts;
  private readonly solver: SoftmaxSolver;
  private readonly smoothing: A | null;
  private readonly prior: A | null;
  private readonly weight: A | null;
  private readonly exps: A;

  // The row at hand.
  private readonly softmax = new SoftmaxRow();
  private readonly over = new SoftmaxSums();
  private targets: A | null = null; // w t' of soft targets

  constructor(batch: Batch, arithmetic: Arithmetic<A>) {
    super(batch, arithmetic);
    this.parts = new SoftmaxParts(batch);
    this.solver = new SoftmaxSolver(batch, this.parts);
    const { soft } = this.parts;
    this.smoothing = soft ? null : arithmetic.factors(batch.smoothing);
    this.prior = soft ? arithmetic.factors(batch.prior) : null;
    this.weight = soft ? arithmetic.factors(batch.weight) : null;
    this.exps = this.scratch(ScratchBlock.Exps);
  }

  override add(row: number, sums: Sums, place = row): void {
    if (!this.load(row, place)) {
      this.fillRow(0);
      if (this.batch.prediction !== null) this.batch.prediction[row] = -1;
      return;
    }
    this.findMaximum();
    this.scan(row);
    this.solver.solve(this.softmax, this.over, row, sums);
    if (this.batch.gradient !== null) this.write();
  }

  // Turns to a row; returns false if it is ignored.
  private load(row: number, place: number): boolean {
    this.open(row, place);
    if (!this.softmax.target.take(this.batch, row)) return false;
    this.termBlock(false);
    this.over.clear();
    return true;
  }

  // The row's maximum, and with it the scale of the exponentials and the pivot.
  private findMaximum(): void {
    const { arithmetic, classes, softmax, z, at } = this;
    const { target } = softmax;
    softmax.predicted = arithmetic.argmax(z, at, classes);
    const largest = z[at + softmax.predicted];
    softmax.maximum = Number.isNaN(largest) ? -Infinity : largest;
    softmax.defined = softmax.maximum !== Infinity && softmax.maximum !== -Infinity;
    softmax.scale.set(softmax.defined ? softmax.maximum : 0);
    softmax.pivot = this.parts.soft ? softmax.predicted : target.y;
    softmax.zPivot = z[at + softmax.pivot];
    softmax.zSecond = target.second === NONE ? 0 : z[at + target.second];
  }

  // All that is summed over the classes; keeps all e_k.
  private scan(row: number): void {
    const { arithmetic, classes, softmax, over, exps, z, at } = this;
    const { target, scale, pivot, maximum } = softmax;
    const { soft, wantsEntropy } = this.parts;
    if (soft)
      softmax.labelled = this.batch.metrics ? arithmetic.argmax(this.loadTargets(), 0, classes) : NONE;
    if (!softmax.defined) return;
    if (soft) {
      this.scanSoft(row);
    } else if (target.mass > 0) {
      const second = softmax.zSecond === -Infinity ? target.second : NONE;
      over.otherLogits = belowOf(arithmetic, z, at, classes, this.smoothing, pivot, second, maximum);
    }
    arithmetic.exp(z, at, classes, scale.shift, scale.k, exps);
    over.exps = arithmetic.sum(exps, classes, pivot);
    if (wantsEntropy) {
      const terms = this.scratch(ScratchBlock.Terms);
      arithmetic.spread(z, at, classes, exps, maximum, terms);
      over.spread = arithmetic.sum(terms, classes, NONE);
      over.lesser = arithmetic.sum(exps, classes, softmax.predicted);
    }
  }

  private loadTargets(): A {
    const { dense, denseStride } = this.batch;
    return this.denseBlock(dense as Floats, denseStride, this.scratch(ScratchBlock.Dense));
  }

  // What is summed over soft targets.
  private scanSoft(row: number): void {
    const { arithmetic, batch, classes, softmax, over, z, at } = this;
    const { target, pivot, maximum } = softmax;
    const dense = this.loadTargets();
    let shares = dense;
    let targets = dense;
    if (batch.epsilons !== null || batch.epsilon !== 0 || batch.weight !== null) {
      const epsilon = numberOf(batch.epsilons, row, batch.epsilon);
      const keep = arithmetic.round(1 - epsilon);
      const mass = arithmetic.round(epsilon > 0 ? epsilon / batch.priorTotal.sum : 0);
      shares = this.scratch(ScratchBlock.Shares);
      targets = this.scratch(ScratchBlock.Targets);
      arithmetic.blend(dense, classes, keep, mass, this.prior, this.weight, shares, targets);
    }
    this.targets = targets;
    target.own = targets[pivot];
    over.softRest = arithmetic.sum(targets, classes, pivot);
    over.otherLogits = belowOf(arithmetic, z, at, classes, targets, pivot, NONE, maximum);
    const terms = this.scratch(ScratchBlock.Terms);
    if (this.parts.kl) {
      arithmetic.log(shares, classes, terms);
      arithmetic.product(targets, terms, classes, terms);
      over.targetEntropy = arithmetic.sum(terms, classes, NONE);
    }
    if (this.parts.wantsNll) {
      over.dense = arithmetic.sum(dense, classes, NONE);
      over.denseLogits = belowOf(arithmetic, z, at, classes, dense, NONE, NONE, maximum);
    }
  }

  // Turns the e_k into the gradient.
  private write(): void {
    const { arithmetic, batch, classes, softmax, exps, out, outAt } = this;
    const { target } = softmax;
    if (!softmax.defined) {
      this.fillRow(NaN);
      return;
    }
    const scale = arithmetic.toReal(softmax.multiplier);
    const offset = arithmetic.toReal(softmax.offset);
    const factors = this.parts.soft ? this.targets : this.smoothing;
    if (softmax.deferredFactor !== 0) {
      this.writeDeferred(factors);
    } else if (this.parts.capped) {
      const numbers = this.scratch(ScratchBlock.Numbers);
      arithmetic.gradient(exps, classes, scale, offset, factors, numbers, 0);
      arithmetic.cap(numbers, classes, this.z, this.at, batch.softcap, out, outAt);
    } else {
      arithmetic.gradient(exps, classes, scale, offset, factors, out, outAt);
    }
    this.deliver();
    this.put(softmax.pivot, softmax.pivotGradient * this.slope(softmax.zPivot));
    if (target.second !== NONE) {
      this.put(target.second, softmax.secondGradient * this.slope(softmax.zSecond));
    }
  }

  // The same in double, of a row whose factor is deferred.
  private writeDeferred(factors: A | null): void {
    const { arithmetic, classes, exps, z, at, out, outAt } = this;
    const { multiplier, offset, deferredFactor } = this.softmax;
    for (let c = 0; c < classes; c++) {
      const without = exps[c] * multiplier + (factors === null ? 1 : factors[c]) * offset;
      out[outAt + c] = arithmetic.toReal(without * this.slope(z[at + c]) * deferredFactor + 0);
    }
  }

  // dz/dx / logitScale.
  private slope(z: number): number {
    const { softcap } = this.batch;
    if (softcap === 0) return 1;
    const u = z / softcap;
    return 1 - u * u;
  }
}
