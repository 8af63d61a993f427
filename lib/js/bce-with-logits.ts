// Binary cross entropy of every element. Mirrors native/kernels/bce_with_logits-inl.h, which explains the formulas, for one
// row at a time.

import type { Batch, Floats, Sums } from '../batch.js';
import { type Arithmetic, ScratchBlock } from './arithmetic.js';
import { Rows } from './blocks.js';
import { bounded, isDeferred, numberOf, oneNaN, putResult, upstreamOf, weigh } from './results.js';
import { NONE } from './targets.js';

export class BceWithLogits<A extends Floats> extends Rows<A> {
  private readonly posWeight: A | null;
  private readonly classWeight: A | null;
  private readonly mask: Uint8Array | null;
  private readonly keep: number;
  private readonly toOne: number;
  private readonly toZero: number;
  private readonly wantsMetrics: boolean;

  constructor(batch: Batch, arithmetic: Arithmetic<A>) {
    super(batch, arithmetic);
    this.posWeight = arithmetic.factors(batch.posWeight);
    this.classWeight = batch.weightStride === 0 ? arithmetic.factors(batch.weight) : null;
    this.mask = batch.mask === null ? null : new Uint8Array(batch.classes);
    this.keep = arithmetic.round(1 - batch.epsilon);
    this.toOne = arithmetic.round(batch.epsilon * batch.toward);
    this.toZero = arithmetic.round(batch.epsilon * (1 - batch.toward));
    this.wantsMetrics = batch.metrics || batch.rowNll !== null || batch.rowEntropy !== null;
  }

  override add(row: number, sums: Sums): void {
    const { arithmetic, batch, classes, mask } = this;
    this.open(row);
    const y = batch.targets[row];
    if (y < 0 || y >= classes) {
      this.fillRow(0);
      return;
    }

    this.termBlock(mask !== null);
    const { z, at } = this;
    const t = this.scratch(ScratchBlock.Dense);
    if (batch.dense !== null) {
      this.denseBlock(batch.dense, batch.denseStride, t);
    } else {
      t.fill(0, 0, classes);
      t[y] = 1;
    }
    let weight = this.classWeight;
    if (batch.weight !== null && batch.weightStride !== 0) {
      weight = this.denseBlock(batch.weight, batch.weightStride, this.scratch(ScratchBlock.Weights));
    }
    const a = this.scratch(ScratchBlock.Shares);
    const b = this.scratch(ScratchBlock.Targets);
    arithmetic.pairs(t, classes, this.keep, this.toOne, this.toZero, this.posWeight, weight, a, b);
    if (batch.mask !== null && mask !== null) {
      this.denseBlock(batch.mask, batch.maskStride, mask);
      clearMasked(mask, a);
      clearMasked(mask, b);
      clearMasked(mask, z);
    }

    const e = this.scratch(ScratchBlock.Exps);
    const logs = this.scratch(ScratchBlock.Logs);
    const losses = this.scratch(ScratchBlock.Terms);
    arithmetic.expOfMinusAbs(z, at, classes, e);
    arithmetic.log1p(e, classes, logs);
    arithmetic.binaryLoss(z, at, classes, a, b, logs, losses);
    const rowWeight = numberOf(batch.rowWeight, row, 1);
    const weighed = weigh(rowWeight, arithmetic.sum(losses, classes, NONE));
    sums.numerator += weighed;
    putResult(batch.rowLoss, row, weighed);
    this.storeLosses(losses, rowWeight);
    if (this.wantsMetrics) this.addMetrics(row, t, e, logs, sums);

    if (batch.gradient !== null) {
      const factor = bounded(upstreamOf(batch, row) * batch.logitScale);
      const deferred = isDeferred(batch, factor);
      const scale = deferred ? 1 : arithmetic.toReal(factor);
      if (batch.softcap !== 0) {
        const numbers = this.scratch(ScratchBlock.Numbers);
        arithmetic.binaryGradient(z, at, classes, a, b, e, scale, numbers, 0);
        arithmetic.cap(numbers, classes, z, at, batch.softcap, this.out, this.outAt);
      } else {
        arithmetic.binaryGradient(z, at, classes, a, b, e, scale, this.out, this.outAt);
      }
      if (deferred) this.multiplyDeferred(factor);
      this.deliver();
    }
  }

  // Adds up metrics, of targets before smoothing and weights. Comes before the gradient, which may overwrite the logits.
  private addMetrics(row: number, t: A, e: A, logs: A, sums: Sums): void {
    const { arithmetic, batch, classes, mask, z, at } = this;
    const terms = this.scratch(ScratchBlock.Numbers);
    const negative = this.scratch(ScratchBlock.Losses);
    let correct = 0;
    for (let c = 0; c < classes; c++) {
      negative[c] = 1 - t[c];
      if (z[at + c] > 0 === t[c] > 0.5 && (mask === null || mask[c] !== 0)) correct += 1;
    }
    arithmetic.binaryLoss(z, at, classes, t, negative, logs, terms);
    if (mask !== null) clearMasked(mask, terms);
    const nll = arithmetic.sum(terms, classes, NONE);
    arithmetic.binaryEntropy(z, at, classes, e, logs, terms);
    if (mask !== null) clearMasked(mask, terms);
    const entropy = arithmetic.sum(terms, classes, NONE);
    sums.nll += oneNaN(nll);
    sums.entropy += oneNaN(entropy);
    sums.correct += correct;
    putResult(batch.rowNll, row, nll);
    putResult(batch.rowEntropy, row, entropy);
  }
}

function clearMasked(mask: Uint8Array, x: Floats): void {
  for (let c = 0; c < mask.length; c++) {
    if (mask[c] === 0) x[c] = 0;
  }
}
