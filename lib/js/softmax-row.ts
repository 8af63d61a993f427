// Softmax cross entropy of a row: its numbers, and their solution. Mirrors native/kernels/softmax_row-inl.h, where the
// formulas are explained.

import { type Batch, FLOAT64, type Sums } from '../batch.js';
import { exp, lessLn2, logSum, roundLog2 } from './math.js';
import { bounded, numberOf, upstreamOf } from './results.js';
import { addLoss, report, type SoftmaxParts } from './softmax-batch.js';
import { ClassTarget, largestClass, NONE } from './targets.js';

const SHIFT_ABOVE = 2 ** 19;
const MOST_SQUARE = 2 ** 252;

/** How a row's exponentials are scaled: e_c = e^(z_c − shift) · 2^−k. */
export class RowScale {
  shift = 0;
  k = 0;

  set(maximum: number): void {
    this.shift = maximum > SHIFT_ABOVE || maximum < -SHIFT_ABOVE ? maximum : 0;
    this.k = roundLog2(maximum - this.shift);
  }

  /** ln e_c in double. */
  log(z: number, double: boolean): number {
    return lessLn2(z - this.shift, this.k, double);
  }
}

/** One row on its way through the phases. */
export class SoftmaxRow {
  readonly target = new ClassTarget();
  readonly scale = new RowScale();
  defined = false;
  pivot = 0;
  maximum = 0;
  zPivot = 0;
  zSecond = 0;
  predicted = 0;
  labelled = 0;
  multiplier = 0;
  offset = 0;
  deferredFactor = 0;
  pivotGradient = 0;
  secondGradient = 0;
}

/** What a row sums over its classes. */
export class SoftmaxSums {
  exps = 0;
  otherLogits = 0;
  spread = 0;
  lesser = 0;
  softRest = 0;
  targetEntropy = 0;
  dense = 0;
  denseLogits = 0;

  clear(): void {
    this.exps = this.otherLogits = this.spread = this.lesser = 0;
    this.softRest = this.targetEntropy = this.dense = this.denseLogits = 0;
  }
}

/** The row's loss and what else is wanted of it, and the numbers for its gradient. */
export class SoftmaxSolver {
  private readonly double: boolean;

  constructor(
    private readonly batch: Batch,
    private readonly parts: SoftmaxParts,
  ) {
    this.double = batch.type === FLOAT64;
  }

  solve(row: SoftmaxRow, over: SoftmaxSums, index: number, sums: Sums): void {
    this.completeTarget(row, over);
    const { batch, parts } = this;
    const { target, maximum } = row;
    const rest = target.mass * target.otherFactors + target.ownSecond;
    const total = target.own + rest;
    const logPivot = row.scale.log(row.zPivot, this.double);
    const logMaximum = row.scale.log(maximum, this.double);
    const expPivot = exp(logPivot);
    const sum = over.exps + expPivot;
    row.defined = row.defined && !Number.isNaN(sum) && total - total === 0;

    const relative = over.exps <= 0.4 * expPivot;
    const logarithm = row.defined ? logSum(over.exps, expPivot, relative) : NaN;
    const nll = relative ? logarithm : logarithm - logPivot;
    let lseAboveMax = logarithm + (relative ? logPivot - logMaximum : -logMaximum);
    if (lseAboveMax < 0) lseAboveMax = 0;
    const lse = maximum + lseAboveMax;
    const nllSecond = lseAboveMax + (maximum - row.zSecond);

    const factor = bounded(upstreamOf(batch, index) * batch.logitScale);
    const reciprocal = factor / sum;
    const zGradient = 2 * batch.zLoss * lse;
    const zTerm = batch.zLoss !== 0 ? batch.zLoss * (lse * lse) : 0;
    row.multiplier = (total + zGradient) * reciprocal;
    row.offset = -(factor * target.mass);
    row.pivotGradient = (expPivot * (rest + zGradient) - over.exps * target.own) * reciprocal + 0;
    if (target.second !== NONE) {
      const expSecond = exp(row.scale.log(row.zSecond, this.double));
      row.secondGradient = expSecond * row.multiplier - factor * target.ownSecond + 0;
    }
    row.deferredFactor = 0;
    const largest = factor * total - row.offset;
    if (!this.double && row.multiplier * row.multiplier + largest * largest > MOST_SQUARE) {
      row.deferredFactor = factor;
      row.multiplier = bounded((total + zGradient) / sum); // 0 · ∞ would be NaN
      row.offset = -target.mass;
    }

    let loss = target.own !== 0 ? target.own * nll : 0;
    if (target.ownSecond > 0) loss += target.ownSecond * nllSecond;
    if (target.mass > 0) loss += target.mass * (target.otherFactors * lseAboveMax - over.otherLogits);
    if (parts.kl) loss += target.entropy;
    loss += zTerm;
    if (!row.defined) loss = NaN;
    const weighed = addLoss(batch, index, loss, sums);
    if (!parts.reports) return;
    const { predicted, labelled } = row;
    if (row.defined) {
      const plain = this.nllOf(row, over, nll, lseAboveMax, nllSecond);
      const entropy = parts.wantsEntropy ? this.entropyOf(row, over) : NaN;
      report(batch, index, { loss: weighed, nll: plain, lse, entropy, zTerm, predicted, labelled }, sums);
    } else {
      const nothing = { nll: NaN, lse: NaN, entropy: NaN, zTerm: NaN };
      report(batch, index, { loss: weighed, ...nothing, predicted, labelled }, sums);
    }
  }

  // What a target is only after all columns have been seen.
  private completeTarget(row: SoftmaxRow, sums: SoftmaxSums): void {
    const { target } = row;
    if (this.parts.soft) {
      target.mass = 1;
      target.otherFactors = sums.softRest;
      target.entropy = sums.targetEntropy;
    } else {
      row.labelled = largestClass(target);
    }
    if (target.second !== NONE && target.mass > 0 && row.zSecond > -Infinity) {
      const factor = numberOf(this.batch.smoothing, target.second, 1);
      if (factor > 0) sums.otherLogits -= factor * (row.zSecond - row.maximum);
    }
  }

  // The loss of the targets as given, before smoothing and weights.
  private nllOf(row: SoftmaxRow, over: SoftmaxSums, nll: number, lseAboveMax: number, nllSecond: number) {
    if (this.parts.soft) return over.dense * lseAboveMax - over.denseLogits;
    const { lambda } = row.target;
    let plain = lambda > 0 ? lambda * nll : 0;
    if (lambda < 1) plain += (1 - lambda) * nllSecond;
    return plain;
  }

  // −Σ p ln p = ln(Σ e / e_max) − Σ e (z − max) / Σ e, with the largest treated separately.
  private entropyOf(row: SoftmaxRow, over: SoftmaxSums): number {
    const logLargest = row.scale.log(row.maximum, this.double);
    const expLargest = exp(logLargest);
    const relative = over.lesser <= 0.4 * expLargest;
    let entropy = logSum(over.lesser, expLargest, relative);
    if (!relative) entropy -= logLargest;
    return entropy - over.spread / (over.lesser + expLargest);
  }
}
