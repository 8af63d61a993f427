// Losses that are linear in log-probabilities: nllLoss, klDiv, and smoothLabels, which is −1 times the gradient. Mirrors
// native/kernels/log_prob_losses-inl.h, which explains the formulas, for one row at a time.

import { type Batch, type Floats, SEGMENT, type Sums } from '../batch.js';
import { type Arithmetic, BLOCK, ScratchBlock } from './arithmetic.js';
import { Rows } from './blocks.js';
import { log } from './math.js';
import { exactBelow } from './reductions.js';
import { isDeferred, numberOf, oneNaN, putResult, upstreamOf, weigh } from './results.js';
import { ClassTarget, largestClass, NONE } from './targets.js';

export class LogProb<A extends Floats> extends Rows<A> {
  private readonly target = new ClassTarget();
  private readonly wantsArgmax: boolean;
  private readonly weight: A | null;
  private readonly prior: A | null;
  private readonly smoothing: A | null;

  constructor(batch: Batch, arithmetic: Arithmetic<A>) {
    super(batch, arithmetic);
    const dense = batch.dense !== null;
    this.wantsArgmax = batch.metrics || batch.prediction !== null;
    this.weight = dense ? arithmetic.factors(batch.weight) : null;
    this.prior = dense ? arithmetic.factors(batch.prior) : null;
    this.smoothing = dense ? null : arithmetic.factors(batch.smoothing);
  }

  override add(row: number, sums: Sums): void {
    const { batch } = this;
    this.open(row);
    if (!this.target.take(batch, row)) {
      this.fillRow(0);
      if (batch.prediction !== null) batch.prediction[row] = -1;
    } else if (batch.dense !== null) {
      this.addDense(row, sums);
    } else {
      this.addClasses(row, sums);
    }
  }

  private addDense(row: number, sums: Sums): void {
    const { arithmetic, batch, classes } = this;
    const dense = this.denseBlock(batch.dense as Floats, batch.denseStride, this.scratch(ScratchBlock.Dense));
    const shares = this.scratch(ScratchBlock.Shares);
    const targets = this.scratch(ScratchBlock.Targets);
    const rowWeight = numberOf(batch.rowWeight, row, 1);
    if (batch.logits === null) {
      const epsilon = numberOf(batch.epsilons, row, batch.epsilon);
      const keep = arithmetic.round(1 - epsilon);
      const mass = arithmetic.round(epsilon > 0 ? epsilon / batch.priorTotal.sum : 0);
      arithmetic.blend(dense, classes, keep, mass, this.prior, null, shares, targets);
    } else {
      this.termBlock(false);
      const terms = this.scratch(ScratchBlock.Terms);
      if (batch.logTarget) {
        arithmetic.expOfLogs(dense, classes, shares);
        arithmetic.divergence(shares, dense, this.z, this.at, classes, this.weight, targets, terms);
      } else {
        const logs = this.scratch(ScratchBlock.Logs);
        arithmetic.log(dense, classes, logs);
        arithmetic.divergence(dense, logs, this.z, this.at, classes, this.weight, targets, terms);
      }
      this.storeLosses(terms, rowWeight);
      const weighed = weigh(rowWeight, arithmetic.sum(terms, classes, NONE));
      sums.numerator += weighed;
      putResult(batch.rowLoss, row, weighed);
      if (batch.prediction !== null) batch.prediction[row] = 0;
    }
    if (batch.gradient !== null) this.writeGradient(targets, -upstreamOf(batch, row));
  }

  private addClasses(row: number, sums: Sums): void {
    if (this.batch.logits !== null) this.reportRow(row, sums);
    if (this.batch.gradient !== null) this.finishRow(row);
  }

  private finishRow(row: number): void {
    const { batch, target } = this;
    const upstream = upstreamOf(batch, row);
    if (target.mass > 0) {
      this.writeGradient(this.smoothing, -upstream * target.mass);
    } else {
      this.fillRow(0);
    }
    this.put(target.y, 0 - upstream * target.own);
    if (target.second !== NONE) this.put(target.second, 0 - upstream * target.ownSecond);
  }

  // gradient ← factors · factor.
  private writeGradient(factors: A | null, factor: number): void {
    const { arithmetic, classes, out, outAt } = this;
    const deferred = isDeferred(this.batch, factor);
    arithmetic.scale(factors, classes, deferred ? 1 : arithmetic.toReal(factor), out, outAt);
    if (deferred) this.multiplyDeferred(factor);
    this.deliver();
  }

  private reportRow(row: number, sums: Sums): void {
    const { batch, target } = this;
    this.termBlock(false);
    const { z, at } = this;
    const predicted = this.wantsArgmax ? this.arithmetic.argmax(z, at, this.classes) : 0;
    const own = z[at + target.y];
    let loss = target.own > 0 ? -(target.own * own) : 0;
    let nll = target.lambda > 0 ? -(target.lambda * own) : 0;
    if (target.second !== NONE) {
      const second = z[at + target.second];
      if (target.ownSecond > 0) loss -= target.ownSecond * second;
      if (target.lambda < 1) nll -= (1 - target.lambda) * second;
    }
    if (target.mass > 0) {
      // With 'kl', `linear` is small near the minimum; the reference times `otherFactors` is in target.entropy too.
      const reference = batch.kl && target.mass >= 2 ** -1022 ? this.arithmetic.round(log(target.mass)) : 0;
      const linear = this.sumLinear(reference);
      loss -= target.mass * (batch.kl ? linear + reference * target.otherFactors : linear);
    }
    if (batch.kl) loss += target.entropy;
    const weighed = weigh(numberOf(batch.rowWeight, row, 1), loss);
    sums.numerator += weighed;
    putResult(batch.losses, row, weighed);
    putResult(batch.rowLoss, row, weighed);
    putResult(batch.rowNll, row, nll);
    sums.nll += oneNaN(nll);
    if (batch.prediction !== null) batch.prediction[row] = predicted;
    if (batch.metrics && predicted === largestClass(target)) sums.correct += 1;
  }

  // Σ v_k (x_k − reference) over the classes but those of the target.
  private sumLinear(reference: number): number {
    const { arithmetic, classes, smoothing, target, z, at } = this;
    const { y, second } = target;
    let total = 0;
    let segment = 0;
    for (let first = 0; first < classes; first += BLOCK) {
      const end = Math.min(first + BLOCK, classes);
      let sum = arithmetic.below(z, at, first, end, smoothing, y, reference);
      if (!(sum > -Infinity)) {
        sum = exactBelow(z, at, first, end, smoothing, y, second, reference);
      } else if (second >= first && second < end) {
        const factor = numberOf(this.batch.smoothing, second, 1);
        if (factor > 0) sum -= factor * (z[at + second] - reference);
      }
      segment += sum;
      if (end % SEGMENT === 0 || end === classes) {
        total += segment;
        segment = 0;
      }
    }
    return total;
  }
}
