// How far from the float64 oracle an answer may be, and why.
//
// A row's loss: 3e-7 of itself. It is made of −ln p_y = ln(1 + E/e_y) and lse − max, both as accurate, relatively, as
// the sum E of the exponentials, and of a sum of non-negative terms, so nothing cancels. E carries the error of exp
// (1.4 units in the last place, 1.1e-7 relative as measured, and up to 2.5 for logits near ±2^19) and the rounding of
// at most 18 float additions in each of 32 lanes, which average out (measured: 1.5e-7 for E up to 128,256 classes);
// then `losses` rounds to float once (6e-8).
// One thing is not relative: where the target is not the largest logit, E holds the largest, and the lse − max of the
// smoothing mass has an absolute error, as large as the relative one of E. That shows only if all mass sits on the
// largest class and next to none on the target (ε = 1 and a prior on one class, say), where the loss itself is near 0.
//
// The gradient: 5e-7 for each unit of |gradientScale · rowWeight / denominator| · Σ_k w_k t'_k. It is p_k·Σ_k w_k t'_k
// (exp: 1.1e-7, the sum: 1.5e-7, three roundings to float: 1.8e-7, all times p_k ≤ 1) less w_k t'_k (two roundings, of
// what is at most 1). Measured: 1.4e-7 at most.
//
// An exponential below 2^−126 of the largest counts as 0, in the loss of a very confident row C of them at most, and
// results down there are subnormal floats.

import type { OracleResult } from './oracle.js';

const LOSS = 3e-7;
const GRADIENT = 5e-7;
const TINY = 2 ** -126;
const FLOAT_MAX = 2 ** 128 - 2 ** 104;

export interface Answer {
  loss?: number;
  losses?: ArrayLike<number>;
  gradient?: ArrayLike<number>;
  numerator: number;
  denominator: number;
  rows: number;
}

/** How much of the tolerance an answer has used up: 1 is at its edge, above 1 is wrong. */
export interface Used {
  loss: number;
  gradient: number;
  /** What was worst, for a message. */
  worst: string;
}

function apart(actual: number, expected: number, tolerance: number): number {
  if (Object.is(actual, expected) || actual === expected) return 0;
  const rounded = Math.abs(expected) > FLOAT_MAX ? Math.fround(expected) : expected;
  if (actual === rounded) return 0;
  const error = Math.abs(actual - expected) / tolerance;
  return Number.isFinite(error) ? error : Infinity;
}

/** Compares an answer with the oracle's. */
export function measure(actual: Answer, expected: OracleResult, rowStride: number, classes: number): Used {
  const used: Used = { loss: 0, gradient: 0, worst: 'everything equal' };
  const note = (kind: 'loss' | 'gradient', error: number, what: string, is: number, should: number) => {
    if (error <= used[kind]) return;
    used[kind] = error;
    if (error === Math.max(used.loss, used.gradient)) {
      used.worst = `${what} is ${is}, expected ${should}: ${error.toPrecision(3)} × the tolerance`;
    }
  };

  const { losses, units } = expected;
  const rows = losses.length;
  const slack = (r: number) => LOSS * (losses[r] + units[r].elsewhere) + classes * units[r].weight * TINY;
  let total = TINY;
  for (let r = 0; r < rows; r++) {
    if (Number.isFinite(expected.losses[r])) total += slack(r);
    if (actual.losses === undefined) continue;
    const error = apart(actual.losses[r], expected.losses[r], slack(r));
    note('loss', error, `losses[${r}]`, actual.losses[r], expected.losses[r]);
  }
  const numerator = apart(actual.numerator, expected.numerator, total);
  note('loss', numerator, 'numerator', actual.numerator, expected.numerator);
  if (actual.loss !== undefined) {
    const part =
      Number.isFinite(expected.loss) && expected.numerator !== 0 ? expected.loss / expected.numerator : 1;
    const error = apart(actual.loss, expected.loss, total * part);
    note('loss', error, 'loss', actual.loss, expected.loss);
  }
  const denominator = apart(actual.denominator, expected.denominator, 1e-14 * expected.denominator);
  note('loss', denominator, 'denominator', actual.denominator, expected.denominator);
  if (actual.rows !== expected.rows) note('loss', Infinity, 'rows', actual.rows, expected.rows);

  if (actual.gradient !== undefined) {
    for (let r = 0; r < rows; r++) {
      const tolerance = GRADIENT * expected.units[r].gradient + TINY;
      for (let i = r * rowStride; i < r * rowStride + classes; i++) {
        const error = apart(actual.gradient[i], expected.gradient[i], tolerance);
        note('gradient', error, `gradient[${i}] (row ${r})`, actual.gradient[i], expected.gradient[i]);
      }
    }
  }
  return used;
}

/** Throws if an answer is further from the oracle's than it may be. */
export function check(actual: Answer, expected: OracleResult, rowStride: number, classes: number): Used {
  const used = measure(actual, expected, rowStride, classes);
  if (!(used.loss <= 1 && used.gradient <= 1)) throw new Error(used.worst);
  return used;
}
