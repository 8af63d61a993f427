// What a row is compared with: the target distribution of one class or two, with label smoothing. Mirrors
// native/kernels/targets-inl.h.

import type { Batch, Floats, Total } from '../batch.js';
import { log } from './math.js';
import { numberOf } from './results.js';

/** No class, or no column. */
export const NONE = -1;

// The sum without the entry `value` at that index.
function without(total: Total, index: number, value: number): number {
  return index === total.top ? total.rest : total.sum - value;
}

// x · ln x; 0 for 0 and for subnormal numbers.
function timesLog(x: number): number {
  return x >= 2 ** -1022 ? x * log(x) : 0;
}

/** The target distribution of a row with one class or two; the native file explains the formulas. */
export class ClassTarget {
  y = NONE;
  second = NONE;
  lambda = 1;
  own = 0;
  ownSecond = 0;
  mass = 0;
  otherFactors = 0;
  entropy = 0;

  /** Sets the target of a row; false if the row takes no part. */
  take(batch: Batch, row: number): boolean {
    const y = batch.targets[row];
    this.y = y;
    this.second = NONE;
    this.lambda = 1;
    this.own = this.ownSecond = this.mass = this.otherFactors = this.entropy = 0;
    if (y < 0 || y >= batch.classes) {
      this.y = NONE;
      return false;
    }
    const epsilon = numberOf(batch.epsilons, row, batch.epsilon);
    if (batch.seconds !== null && batch.seconds[row] !== y) {
      this.mix(batch, row, batch.seconds[row], epsilon);
      return true;
    }
    const weight = numberOf(batch.weight, y, 1);
    this.own = (1 - epsilon) * weight;
    let share = 1 - epsilon;
    if (epsilon > 0) {
      const prior = numberOf(batch.prior, y, 1);
      const factor = numberOf(batch.smoothing, y, 1);
      this.mass = epsilon / (batch.others ? without(batch.priorTotal, y, prior) : batch.priorTotal.sum);
      this.otherFactors = without(batch.smoothingTotal, y, factor);
      if (!batch.others) {
        this.own += this.mass * factor;
        share += this.mass * prior;
      }
    }
    if (batch.kl) this.entropy = weight * timesLog(share) + this.othersEntropy(batch);
    return true;
  }

  private mix(batch: Batch, row: number, second: number, epsilon: number): void {
    const { y } = this;
    const lambda = numberOf(batch.lambdas, row, batch.lambda);
    this.second = second;
    this.lambda = lambda;
    const factor = numberOf(batch.smoothing, y, 1);
    const factorSecond = numberOf(batch.smoothing, second, 1);
    let share = (1 - epsilon) * lambda;
    let shareSecond = (1 - epsilon) * (1 - lambda);
    if (epsilon > 0) {
      const { priorTotal, smoothingTotal, others } = batch;
      const prior = numberOf(batch.prior, y, 1);
      const priorSecond = numberOf(batch.prior, second, 1);
      const mass = (epsilon / (others ? without(priorTotal, y, prior) : priorTotal.sum)) * lambda;
      const massSecond =
        (epsilon / (others ? without(priorTotal, second, priorSecond) : priorTotal.sum)) * (1 - lambda);
      this.mass = mass + massSecond;
      share += (others ? massSecond : this.mass) * prior;
      shareSecond += (others ? mass : this.mass) * priorSecond;
      this.otherFactors =
        second === smoothingTotal.top
          ? smoothingTotal.rest - factor
          : without(smoothingTotal, y, factor) - factorSecond;
      if (this.otherFactors < 0 || batch.classes === 2) this.otherFactors = 0;
    }
    const weight = numberOf(batch.weight, y, 1);
    const weightSecond = numberOf(batch.weight, second, 1);
    this.own = weight * share;
    this.ownSecond = weightSecond * shareSecond;
    if (batch.kl) {
      this.entropy =
        weight * timesLog(share) + weightSecond * timesLog(shareSecond) + this.othersEntropy(batch);
    }
  }

  private othersEntropy(batch: Batch): number {
    if (!(this.mass > 0)) return 0;
    let logs = batch.smoothingLog;
    if (batch.prior !== null) {
      logs -= classLog(batch.prior, batch.smoothing, this.y);
      if (this.second !== NONE) logs -= classLog(batch.prior, batch.smoothing, this.second);
    }
    return this.mass * logs + this.otherFactors * timesLog(this.mass);
  }
}

function classLog(priors: Floats, smoothing: Floats | null, k: number): number {
  const prior = priors[k];
  return prior >= 2 ** -1022 ? numberOf(smoothing, k, 1) * log(prior) : 0;
}

/** The class that a right prediction names: the one with the largest share, of equal ones the first. */
export function largestClass(target: ClassTarget): number {
  if (target.second === NONE || target.lambda > 0.5) return target.y;
  if (target.lambda < 0.5) return target.second;
  return Math.min(target.y, target.second);
}
