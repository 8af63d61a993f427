// Softmax cross entropy. Mirrors native/kernels/cross_entropy-inl.h, where the formulas are explained, for one row at a time.

import { type Batch, FLOAT64, type Floats, type Sums } from '../batch.js';
import { type Arithmetic, ScratchBlock } from './arithmetic.js';
import { Rows } from './blocks.js';
import { exp, lessLn2, logSum, roundLog2 } from './math.js';
import { belowOf } from './reductions.js';
import { bounded, numberOf, putResult, upstreamOf, weigh } from './results.js';
import { ClassTarget, largestClass, NONE } from './targets.js';

const SHIFT_ABOVE = 2 ** 19;
const MOST_SQUARE = 2 ** 252;

export class CrossEntropy<A extends Floats> extends Rows<A> {
  private readonly target = new ClassTarget();
  private readonly double: boolean;
  private readonly soft: boolean;
  private readonly wantsNll: boolean;
  private readonly wantsEntropy: boolean;
  private readonly smoothing: A | null;
  private readonly prior: A | null;
  private readonly weight: A | null;
  private readonly exps: A;

  // The row at hand; the fields of SoftmaxRow.
  private defined = false;
  private shift = 0;
  private k = 0;
  private pivot = 0;
  private maximum = 0;
  private zPivot = 0;
  private zSecond = 0;
  private below = 0;
  private expSums = 0;
  private spread = 0;
  private lesser = 0;
  private denseSum = 0;
  private denseBelow = 0;
  private predicted = 0;
  private labelled = 0;
  private multiplier = 0;
  private offset = 0;
  private apart = 0;
  private pivotGradient = 0;
  private secondGradient = 0;
  private targets: A | null = null; // w t' of soft targets

  constructor(batch: Batch, arithmetic: Arithmetic<A>) {
    super(batch, arithmetic);
    this.double = batch.type === FLOAT64;
    this.soft = batch.dense !== null;
    this.wantsNll = batch.metrics || batch.rowNll !== null;
    this.wantsEntropy = batch.metrics || batch.rowEntropy !== null;
    this.smoothing = this.soft ? null : arithmetic.factors(batch.smoothing);
    this.prior = this.soft ? arithmetic.factors(batch.prior) : null;
    this.weight = this.soft ? arithmetic.factors(batch.weight) : null;
    this.exps = this.scratch(ScratchBlock.Exps);
  }

  override add(row: number, sums: Sums): void {
    this.open(row);
    if (!this.target.take(this.batch, row)) {
      this.fillRow(0);
      if (this.batch.prediction !== null) this.batch.prediction[row] = -1;
      return;
    }
    this.scan(row);
    this.solve(row, sums);
    if (this.batch.gradient !== null) this.finish();
  }

  // Reads the row's logits and finds all that is summed over its classes.
  private scan(row: number): void {
    const { arithmetic, classes, target, exps } = this;
    this.termBlock(false);
    const { z, at } = this;
    this.predicted = arithmetic.argmax(z, at, classes);
    const largest = z[at + this.predicted];
    const maximum = Number.isNaN(largest) ? -Infinity : largest;
    this.maximum = maximum;
    this.defined = maximum !== Infinity && maximum !== -Infinity;
    this.below = this.expSums = this.spread = this.lesser = this.denseSum = this.denseBelow = 0;
    this.labelled = this.soft ? NONE : largestClass(target);
    const pivot = this.soft ? this.predicted : target.y;
    this.pivot = pivot;
    this.zPivot = z[at + pivot];
    this.zSecond = target.second === NONE ? 0 : z[at + target.second];
    this.shift = 0;
    this.k = 0;
    if (this.soft && this.batch.metrics) this.labelled = arithmetic.argmax(this.loadTargets(), 0, classes);
    if (!this.defined) return;
    if (maximum > SHIFT_ABOVE || maximum < -SHIFT_ABOVE) this.shift = maximum;
    this.k = roundLog2(maximum - this.shift);

    if (this.soft) {
      this.scanSoft(row);
    } else if (target.mass > 0) {
      this.scanOthers();
    }
    arithmetic.exp(z, at, classes, this.shift, this.k, exps);
    this.expSums = arithmetic.sum(exps, classes, pivot);
    if (this.wantsEntropy) {
      const terms = this.scratch(ScratchBlock.Terms);
      arithmetic.spread(z, at, classes, exps, maximum, terms);
      this.spread = arithmetic.sum(terms, classes, NONE);
      this.lesser = arithmetic.sum(exps, classes, this.predicted);
    }
  }

  // Σ v_k (z_k − max) over the classes but those of the target.
  private scanOthers(): void {
    const { arithmetic, classes, target, smoothing, z, at, maximum, zSecond } = this;
    const { second } = target;
    const lost = second !== NONE && zSecond === -Infinity ? second : NONE;
    this.below = belowOf(arithmetic, z, at, classes, smoothing, this.pivot, lost, maximum);
    if (second !== NONE && zSecond > -Infinity) {
      const factor = numberOf(this.batch.smoothing, second, 1);
      if (factor > 0) this.below -= factor * (zSecond - maximum);
    }
  }

  private loadTargets(): A {
    const { dense, denseStride } = this.batch;
    return this.denseBlock(dense as Floats, denseStride, this.scratch(ScratchBlock.Dense));
  }

  // What is summed over soft targets.
  private scanSoft(row: number): void {
    const { arithmetic, batch, classes, target, z, at, pivot, maximum } = this;
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
    target.mass = 1;
    target.own = targets[pivot];
    target.others = arithmetic.sum(targets, classes, pivot);
    this.below = belowOf(arithmetic, z, at, classes, targets, pivot, NONE, maximum);
    const terms = this.scratch(ScratchBlock.Terms);
    if (batch.kl) {
      arithmetic.log(shares, classes, terms);
      arithmetic.product(targets, terms, classes, terms);
      target.entropy = arithmetic.sum(terms, classes, NONE);
    }
    if (this.wantsNll) {
      this.denseSum = arithmetic.sum(dense, classes, NONE);
      this.denseBelow = belowOf(arithmetic, z, at, classes, dense, NONE, NONE, maximum);
    }
  }

  // ln e_c in double.
  private log(z: number): number {
    return lessLn2(z - this.shift, this.k, this.double);
  }

  // The row's loss and what else is wanted of it, and the numbers for its gradient.
  private solve(row: number, sums: Sums): void {
    const { batch, target, maximum, expSums } = this;
    const rest = target.mass * target.others + target.ownSecond;
    const total = target.own + rest;
    const logPivot = this.log(this.zPivot);
    const logMaximum = this.log(maximum);
    const expPivot = exp(logPivot);
    const sum = expSums + expPivot;
    this.defined = this.defined && !Number.isNaN(sum) && total - total === 0;

    const relative = expSums <= 0.4 * expPivot;
    const logarithm = this.defined ? logSum(expSums, expPivot, relative) : NaN;
    const nll = relative ? logarithm : logarithm - logPivot;
    let lseAboveMax = logarithm + (relative ? logPivot - logMaximum : -logMaximum);
    if (lseAboveMax < 0) lseAboveMax = 0;
    const lse = maximum + lseAboveMax;
    const nllSecond = lseAboveMax + (maximum - this.zSecond);

    const factor = bounded(upstreamOf(batch, row) * batch.logitScale);
    const reciprocal = factor / sum;
    const zGradient = 2 * batch.zLoss * lse;
    this.multiplier = (total + zGradient) * reciprocal;
    this.offset = -(factor * target.mass);
    this.pivotGradient = (expPivot * (rest + zGradient) - expSums * target.own) * reciprocal + 0;
    if (target.second !== NONE) {
      const expSecond = exp(this.log(this.zSecond));
      this.secondGradient = expSecond * this.multiplier - factor * target.ownSecond + 0;
    }
    this.apart = 0;
    const largest = factor * total - this.offset;
    if (!this.double && this.multiplier * this.multiplier + largest * largest > MOST_SQUARE) {
      this.apart = factor;
      this.multiplier = bounded((total + zGradient) / sum); // 0 · ∞ would be NaN
      this.offset = -target.mass;
    }

    let loss = target.own !== 0 ? target.own * nll : 0;
    if (target.ownSecond > 0) loss += target.ownSecond * nllSecond;
    if (target.mass > 0) loss += target.mass * (target.others * lseAboveMax - this.below);
    if (batch.kl) loss += target.entropy;
    const zTerm = batch.zLoss > 0 ? batch.zLoss * (lse * lse) : 0;
    loss += zTerm;
    if (!this.defined) loss = NaN;
    const weighed = weigh(numberOf(batch.rowWeight, row, 1), loss);
    sums.numerator += weighed;
    putResult(batch.losses, row, weighed);
    putResult(batch.rowLoss, row, weighed);
    putResult(batch.rowLse, row, this.defined ? lse : NaN);
    if (batch.prediction !== null) batch.prediction[row] = this.predicted;
    if (this.wantsNll || this.wantsEntropy) {
      let plain: number;
      if (this.soft) {
        plain = this.denseSum * lseAboveMax - this.denseBelow;
      } else {
        plain = target.lambda > 0 ? target.lambda * nll : 0;
        if (target.lambda < 1) plain += (1 - target.lambda) * nllSecond;
      }
      this.report(row, plain, zTerm, sums);
    }
  }

  private report(row: number, nll: number, zTerm: number, sums: Sums): void {
    const { batch, defined, lesser } = this;
    const logLargest = this.log(this.maximum);
    const expLargest = exp(logLargest);
    const relative = lesser <= 0.4 * expLargest;
    let entropy = logSum(lesser, expLargest, relative);
    if (!relative) entropy -= logLargest;
    entropy -= this.spread / (lesser + expLargest);
    putResult(batch.rowNll, row, defined ? nll : NaN);
    putResult(batch.rowEntropy, row, defined ? entropy : NaN);
    sums.nll += defined ? nll : NaN;
    sums.entropy += defined ? entropy : NaN;
    sums.zLoss += defined ? zTerm : NaN;
    if (batch.metrics && this.predicted === this.labelled) sums.correct += 1;
  }

  // Turns the e_k into the gradient.
  private finish(): void {
    const { arithmetic, batch, classes, target, exps, out, outAt } = this;
    if (!this.defined) {
      this.fillRow(NaN);
      return;
    }
    const scale = arithmetic.toReal(this.multiplier);
    const offset = arithmetic.toReal(this.offset);
    const factors = this.soft ? this.targets : this.smoothing;
    if (this.apart !== 0) {
      this.finishApart(factors);
    } else if (batch.softcap !== 0) {
      const numbers = this.scratch(ScratchBlock.Numbers);
      arithmetic.gradient(exps, classes, scale, offset, factors, numbers, 0);
      arithmetic.cap(numbers, classes, this.z, this.at, batch.softcap, out, outAt);
    } else {
      arithmetic.gradient(exps, classes, scale, offset, factors, out, outAt);
    }
    this.deliver();
    this.put(this.pivot, this.pivotGradient * this.slope(this.zPivot));
    if (target.second !== NONE) {
      this.put(target.second, this.secondGradient * this.slope(this.zSecond));
    }
  }

  // The same of a row whose factor waits, in double.
  private finishApart(factors: A | null): void {
    const { arithmetic, classes, exps, z, at, out, outAt, multiplier, offset, apart } = this;
    for (let c = 0; c < classes; c++) {
      const without = exps[c] * multiplier + (factors === null ? 1 : factors[c]) * offset;
      out[outAt + c] = arithmetic.toReal(without * this.slope(z[at + c]) * apart + 0);
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
