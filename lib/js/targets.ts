// What a row is compared with, and how batches are walked. Mirrors native/kernels/targets-inl.h.

import { type Batch, FLOAT64, type Floats, SEGMENT, type Total } from '../batch.js';
import { type Arithmetic, BLOCK } from './arithmetic.js';
import { log } from './math.js';

/** No class, or no column. */
export const NONE = -1;

export function numberOf(numbers: Floats | null, index: number, otherwise: number): number {
  return numbers === null ? otherwise : numbers[index];
}

/** One kind of NaN, whatever the CPU made. */
export function oneNaN(x: number): number {
  return Number.isNaN(x) ? NaN : x;
}

/** A number of a row, to where it was asked for: one kind of NaN on all CPUs. */
export function putResult(results: Floats | null, row: number, x: number): void {
  if (results !== null) results[row] = oneNaN(x);
}

/** rowWeight · loss: a weight of 0 takes an infinite loss out as well, but not NaN. */
export function weigh(weight: number, loss: number): number {
  return weight === 0 && !Number.isNaN(loss) ? 0 : oneNaN(weight * loss);
}

/** Finite, so that times 0 it is 0: a double holds more than any gradient needs. */
export function bounded(factor: number): number {
  return factor > 1e300 ? 1e300 : factor < -1e300 ? -1e300 : factor;
}

/** What a row's gradient is multiplied by. */
export function upstreamOf(batch: Batch, row: number): number {
  return bounded(
    batch.gradientScale * numberOf(batch.rowWeight, row, 1) * numberOf(batch.gradientScales, row, 1),
  );
}

/** Float has no number for a factor of this size: it waits, and multiplies what is left of the gradient in double. */
export function waits(batch: Batch, factor: number): boolean {
  return batch.type !== FLOAT64 && Math.abs(factor) > 2 ** 128 - 2 ** 104;
}

function without(total: Total, index: number, value: number): number {
  return index === total.top ? total.rest : total.sum - value;
}

// x · ln x, 0 for 0; below the normal numbers as if it were 0.
function timesLog(x: number): number {
  return x >= 2 ** -1022 ? x * log(x) : 0;
}

/** The target distribution of a row with one class or two; the formulas are explained in the native file. */
export class ClassTarget {
  y = NONE;
  second = NONE;
  lambda = 1;
  own = 0;
  ownSecond = 0;
  mass = 0;
  others = 0;
  entropy = 0;

  /** Takes the row's target in; whether the row takes part. */
  take(batch: Batch, row: number): boolean {
    const y = batch.targets[row];
    this.y = y;
    this.second = NONE;
    this.lambda = 1;
    this.own = this.ownSecond = this.mass = this.others = this.entropy = 0;
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
      this.others = without(batch.smoothingTotal, y, factor);
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
      this.others =
        second === smoothingTotal.top
          ? smoothingTotal.rest - factor
          : without(smoothingTotal, y, factor) - factorSecond;
      if (this.others < 0 || batch.classes === 2) this.others = 0;
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
    return this.mass * logs + this.others * timesLog(this.mass);
  }
}

function classLog(priors: Floats, smoothing: Floats | null, k: number): number {
  const prior = priors[k];
  return prior >= 2 ** -1022 ? numberOf(smoothing, k, 1) * log(prior) : 0;
}

/** The target's largest class, ties to the smallest. */
export function largestClass(target: ClassTarget): number {
  if (target.second === NONE || target.lambda > 0.5) return target.y;
  if (target.lambda < 0.5) return target.second;
  return Math.min(target.y, target.second);
}

/** Σ factor · (z − maximum) of one block in double: with −Infinity logits, or differences that overflow. */
export function exactBelow(
  z: Floats,
  at: number,
  first: number,
  end: number,
  factors: Floats | null,
  skip: number,
  second: number,
  maximum: number,
): number {
  let sum = 0;
  for (let c = first; c < end; c++) {
    const factor = factors === null ? 1 : factors[c];
    if (c === skip || c === second || factor === 0) continue;
    const number = z[at + c];
    if (number === -Infinity) return Number.isNaN(factor) ? NaN : -Infinity;
    sum += factor * (number - maximum);
  }
  return sum;
}

/** The same of a row; `second` is left out where a block is added in double. */
export function belowOf<A extends Floats>(
  arithmetic: Arithmetic<A>,
  z: A,
  at: number,
  n: number,
  factors: A | null,
  skip: number,
  second: number,
  maximum: number,
): number {
  let total = 0;
  let segment = 0;
  for (let first = 0; first < n; first += BLOCK) {
    const end = first + BLOCK < n ? first + BLOCK : n;
    const sum = arithmetic.below(z, at, first, end, factors, skip, maximum);
    segment += sum > -Infinity ? sum : exactBelow(z, at, first, end, factors, skip, second, maximum);
    if (end % SEGMENT === 0 || end === n) {
      total += segment;
      segment = 0;
    }
  }
  return total;
}
