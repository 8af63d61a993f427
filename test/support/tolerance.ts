// How far from the float64 oracle an answer may be, and why. The units are the oracle's: what a result adds up.
//
// float32 and the halves, which are computed as float32:
//
// A row's loss: 3e-7 of itself. It is made of −ln p_y = ln(1 + E/e_y) and lse − max, both as accurate, relatively, as
// the sum E of the exponentials, and of a sum of non-negative terms, so nothing cancels. E carries the error of exp
// (1.4 units in the last place, 1.1e-7 relative as measured, and up to 2.5 for logits near ±2^19) and the rounding of
// at most 18 float additions in each of 32 lanes, which average out (measured: 1.5e-7 for E up to 128,256 classes);
// then `losses` rounds to float once (6e-8).
// One thing is not relative: where the target is not the largest logit, E holds the largest, and the lse − max of the
// smoothing mass has an absolute error, as large as the relative one of E. That shows only if all mass sits on the
// largest class and next to none on the target (ε = 1 and a prior on one class, say), where the loss itself is near 0.
// Soft and mixed targets have no class of which E could be kept relative, and so the absolute part for all their mass.
// So has lse alone.
//
// form 'kl' and klDiv subtract. crossEntropy: the unit is that of the cross entropy, since the entropy of classes is
// computed in double (2^-26 of its terms in float32 units); of soft targets, whose logarithms are floats, Σ |terms| of it is
// added, and for ln t' of a t' rounded to float 1 more for each unit of mass, as klDiv has 1 for the rounding of a t near 1.
// nllLoss: Σ c·|ln t' − x|, what it adds up: x less ln t' of the classes that share a mass is exact where the two are
// within a factor of 2 (Sterbenz), and rounds to 6e-8 of itself elsewhere; with a prior, of which each class has its own
// logarithm, Σ c·(|ln t'| + |x|).
//
// bceWithLogits: 3e-7 of each element. softplus(z) and softplus(−z) are not negative and relatively as accurate as exp;
// t' and 1 − t' are sums of parts that are not negative: 2 and 3 roundings of themselves, however small they are.
//
// The gradient: 5e-7 for each unit of |gradientScale · rowWeight / denominator| · Σ_k w_k t'_k. It is p_k·Σ_k w_k t'_k
// (exp: 1.1e-7, the sum: 1.5e-7, three roundings to float: 1.8e-7, all times p_k ≤ 1) less w_k t'_k (two roundings, of
// what is at most 1). Measured: 1.4e-7 at most. zLoss adds 2·zLoss·(|lse| + 1) to the unit: lse comes from E. That of
// klDiv and nllLoss is w_k·t'_k itself, a product of three floats and a double: 3 roundings and t', within 5e-7 of itself.
//
// logitScale·x is one rounding, which the oracle does as well. softcap·tanh(z/softcap) is off by some units in the last
// place: 2^-22 of |z|, for two roundings and 2 units of tanh. An error dz of every z moves lse and lp by at most 2 dz,
// p_k by 2 dz p_k and the entropy by 2 dz of itself. Its slope 1 − tanh² is within 2^-22 of 1, so inside the gradient's unit.
//
// The halves round the gradient once more: half a unit in the last place of their own.
//
// float64: all of this with 2^-53 for 2^-24. exp and ln are within 2 units in the last place, and the oracle's own
// errors are of the same size: 1e-14 for losses (measured: 6.6e-15, of an entropy), 4e-15 for gradients.
//
// An exponential below 2^−126 of the largest (2^-1000 in double) counts as 0, in the loss of a very confident row C of
// them at most, and results down there are subnormal.

import { HALVES, isHalf, type NumberType } from './numbers.js';
import type { OracleResult, Unit } from './oracle.js';

interface Precision {
  loss: number;
  gradient: number;
  tanh: number;
  tiny: number;
  /** Rounding of what is returned as an array. */
  largest: number;
}

const SINGLE: Precision = {
  loss: 3e-7,
  gradient: 5e-7,
  tanh: 2 ** -22,
  tiny: 2 ** -126,
  largest: 2 ** 128 - 2 ** 104,
};
const DOUBLE: Precision = {
  loss: 1e-14,
  gradient: 4e-15,
  tanh: 2 ** -50,
  tiny: 2 ** -1000,
  largest: Number.MAX_VALUE,
};

export interface Answer {
  loss?: number | undefined;
  losses?: ArrayLike<number> | undefined;
  gradient?: ArrayLike<number> | undefined;
  numerator: number;
  denominator: number;
  rows: number;
  metrics?: { nll: number; accuracy: number; entropy?: number; zLoss?: number } | undefined;
  perRow?: Partial<Record<keyof OracleResult['perRow'], ArrayLike<number>>> | undefined;
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
  const error = Math.abs(actual - expected) / tolerance;
  return Number.isFinite(error) ? error : Infinity;
}

/** Compares an answer, its gradient decoded if it is of halves, with the oracle's. */
export function measure(actual: Answer, expected: OracleResult, type: NumberType = 'float32'): Used {
  const used: Used = { loss: 0, gradient: 0, worst: 'everything equal' };
  const note = (kind: 'loss' | 'gradient', error: number, what: string, is: number, should: number) => {
    if (error <= used[kind]) return;
    used[kind] = error;
    if (error === Math.max(used.loss, used.gradient)) {
      used.worst = `${what} is ${is}, expected ${should}: ${error.toPrecision(3)} × the tolerance`;
    }
  };
  const precision = type === 'float64' ? DOUBLE : SINGLE;
  const within = (unit: Unit, part: number) =>
    part * unit.relative + precision.tanh * unit.z + precision.tiny * Math.max(1, unit.tiny);
  // A loss beyond float32 is infinite in an array.
  const rounded = (x: number) => (Math.abs(x) > precision.largest && type !== 'float64' ? Math.fround(x) : x);
  const { units, perRow, metrics } = expected;

  const compare = (name: string, is: ArrayLike<number> | undefined, should: Float64Array, by: Unit[]) => {
    if (is === undefined) return;
    if (is.length !== should.length)
      note('loss', Infinity, `the length of ${name}`, is.length, should.length);
    for (let i = 0; i < should.length; i++) {
      const error = apart(is[i], rounded(should[i]), within(by[i], precision.loss));
      note('loss', error, `${name}[${i}]`, is[i], should[i]);
    }
  };
  compare('losses', actual.losses, expected.losses, units.losses);
  compare('perRow.loss', actual.perRow?.loss, perRow.loss, units.loss);
  compare('perRow.nll', actual.perRow?.nll, perRow.nll, units.nll);
  compare('perRow.lse', actual.perRow?.lse, perRow.lse, units.lse);
  compare('perRow.entropy', actual.perRow?.entropy, perRow.entropy, units.entropy);
  const { prediction } = actual.perRow ?? {};
  for (let r = 0; r < (prediction?.length ?? 0); r++) {
    if (!units.sure[r] || prediction?.[r] === perRow.prediction[r]) continue;
    note('loss', Infinity, `perRow.prediction[${r}]`, prediction?.[r] ?? NaN, perRow.prediction[r]);
  }

  const total = (by: Unit[], values: Float64Array) => {
    let slack = precision.tiny;
    for (let r = 0; r < by.length; r++)
      if (Number.isFinite(values[r])) slack += within(by[r], precision.loss);
    return slack;
  };
  const slack = total(units.loss, perRow.loss);
  note(
    'loss',
    apart(actual.numerator, expected.numerator, slack),
    'numerator',
    actual.numerator,
    expected.numerator,
  );
  if (actual.loss !== undefined) {
    const part =
      Number.isFinite(expected.loss) && expected.numerator !== 0
        ? Math.abs(expected.loss / expected.numerator)
        : 1;
    note('loss', apart(actual.loss, expected.loss, slack * part), 'loss', actual.loss, expected.loss);
  }
  const denominator = apart(actual.denominator, expected.denominator, 1e-14 * units.denominator);
  note('loss', denominator, 'denominator', actual.denominator, expected.denominator);
  if (actual.rows !== expected.rows) note('loss', Infinity, 'rows', actual.rows, expected.rows);

  if (actual.metrics !== undefined) {
    const { nll, accuracy, entropy, zLoss } = actual.metrics;
    const rows = Math.max(1, expected.rows);
    // The means divide by at least the number of rows that take part.
    const mean = (name: string, is: number | undefined, should: number, tolerance: number) => {
      if (is !== undefined) note('loss', apart(is, should, tolerance), `metrics.${name}`, is, should);
    };
    mean('nll', nll, metrics.nll, total(units.nll, perRow.nll) / rows);
    mean('entropy', entropy, metrics.entropy, total(units.entropy, perRow.entropy) / rows);
    const unsure = units.sure.filter((sure) => !sure).length;
    mean('accuracy', accuracy, metrics.accuracy, 1e-15 + unsure / rows);
    // zLoss·lse² is off by zLoss·2·|lse| times the error of lse.
    mean('zLoss', zLoss, metrics.zLoss, total(units.loss, perRow.loss) + 3 * precision.loss * metrics.zLoss);
  }

  if (actual.gradient !== undefined) {
    const { gradient } = expected;
    if (actual.gradient.length !== gradient.length) {
      note('gradient', Infinity, 'the length of gradient', actual.gradient.length, gradient.length);
    }
    for (let i = 0; i < gradient.length; i++) {
      const tolerance = within(units.gradient[i], precision.gradient);
      const error = apartRounded(actual.gradient[i], gradient[i], tolerance, type, precision.largest);
      note('gradient', error, `gradient[${i}]`, actual.gradient[i], gradient[i]);
    }
  }
  return used;
}

/** Elements of a gradient, which float32 holds to its largest number and a half rounds, to infinity if need be. */
function apartRounded(
  actual: number,
  exact: number,
  tolerance: number,
  type: NumberType,
  largest: number,
): number {
  const expected = Math.max(-largest, Math.min(exact, largest)); // NaN stays
  if (!isHalf(type)) return apart(actual, expected, tolerance);
  const { fraction, least, most } = HALVES[type];
  const infinite = 2 ** most * (2 - 2 ** -(fraction + 1));
  if (Math.abs(actual) === Infinity && Math.sign(actual) * expected >= infinite - tolerance) return 0;
  const half = Math.max(Math.abs(expected) * 2 ** -(fraction + 1), 2 ** (least - fraction - 1));
  return apart(actual, expected, tolerance + half);
}

/** Throws if an answer is further from the oracle's than it may be. */
export function check(actual: Answer, expected: OracleResult, type: NumberType = 'float32'): Used {
  const used = measure(actual, expected, type);
  if (!(used.loss <= 1 && used.gradient <= 1)) throw new Error(used.worst);
  return used;
}
