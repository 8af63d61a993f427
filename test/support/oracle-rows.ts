/**
 * The losses of one row, straight from the formulas: part of oracle.ts, which says what the numbers stand for.
 */

import type { LossName, OracleOptions } from './oracle.js';

/** What tolerance.ts measures an error in: a part that grows with the numbers added up, and two that do not. */
export interface Unit {
  /** The size of what is added up. */
  relative: number;
  /** The result's error for an error of 1 in tanh, times softcap. */
  z: number;
  /** How many exponentials may count as 0. */
  tiny: number;
}

/** What one row gives, before any row weight, scale or mean. */
export interface Row {
  /** The terms of the loss, one per class, and what belongs to none. */
  terms: number[];
  termUnits: Unit[];
  rest: number;
  unit: Unit;
  /** ∂loss/∂x of each class. */
  gradient: number[];
  gradientUnits: Unit[];
  nll: number;
  nllUnit: Unit;
  lse: number;
  lseUnit: Unit;
  entropy: number;
  entropyUnit: Unit;
  zLoss: number;
  prediction: number;
  sure: boolean;
  /** How many predictions of the row are right: of one, or in bceWithLogits of one for each class. */
  right: number;
}

/** A row's target distribution before and after smoothing, and the class if it is one alone. */
export interface Target {
  t: number[];
  smoothed: number[];
  /** 1 − t', smoothed as in bceWithLogits. */
  complement: number[];
  target?: number;
  /** Of a number for each class. */
  dense?: boolean;
}

export const NONE: Unit = { relative: 0, z: 0, tiny: 0 };

export function rowOf(
  loss: LossName,
  x: number[],
  w: number[],
  target: Target,
  part: boolean[],
  options: OracleOptions,
  round: (x: number) => number,
): Row {
  if (loss === 'crossEntropy') return softmaxRow(x, w, target, options, round);
  if (loss === 'bceWithLogits') return sigmoidRow(x, w, target, part, options, round);
  if (loss === 'klDiv') return divergenceRow(x, w, target, options);
  return likelihoodRow(x, w, target, options, round);
}

/** z = softcap·tanh(logitScale·x / softcap), and ∂z/∂x. */
function termsOfLogits(x: number[], options: OracleOptions, round: (x: number) => number) {
  const scale = round(options.logitScale ?? 1);
  const cap = options.softcap === undefined ? undefined : round(options.softcap);
  const scaled = x.map((xk) => round(scale * xk));
  const tanh = scaled.map((zk) => (cap === undefined ? 0 : Math.tanh(zk / cap)));
  const z = cap === undefined ? scaled : tanh.map((t) => round(cap * t));
  const slope = tanh.map((t) => scale * (1 - t) * (1 + t));
  // How much of a number the rounding of tanh moves: 0 without.
  const blur = (zk: number) => (cap === undefined || !Number.isFinite(zk) ? 0 : Math.abs(zk));
  return { z, slope, scale, blur };
}

/** l = −Σ c_k lp_k (+ zLoss·lse²) with c = w·t', 'kl': Σ c_k (ln t'_k − lp_k); ∂l/∂z_k = p_k·Σc − c_k (+ 2·zLoss·lse·p_k). */
function softmaxRow(
  x: number[],
  w: number[],
  { t, smoothed, target, dense = false }: Target,
  options: OracleOptions,
  round: (x: number) => number,
): Row {
  const { form = 'crossEntropy', zLoss = 0 } = options;
  const { z, slope, scale, blur } = termsOfLogits(x, options, round);
  const prediction = argmax(z);
  const right = prediction === argmax(t) ? 1 : 0;
  const c = smoothed.map((tk, k) => w[k] * tk);
  const sumC = sum(c);
  const max = z.reduce((a, b) => Math.max(a, b)); // NaN if any is
  if (!Number.isFinite(max) || !Number.isFinite(sumC))
    return { ...undefinedRow(x.length), prediction, right };

  // Σ exp(z_k − max) = 1 + rest, where the 1 is the largest logit's own. Keeping the two apart is what leaves a
  // confident row its relative accuracy: lse − max = log1p(rest), and 1 − p of the largest = rest / (1 + rest).
  const top = z.indexOf(max);
  const e = z.map((zk) => Math.exp(zk - max));
  const rest = sum(e.filter((_, k) => k !== top));
  const lse = max + Math.log1p(rest);
  const minusLp = z.map((zk) => max - zk + Math.log1p(rest));
  const times = (a: number, b: number) => (a === 0 ? 0 : a * b); // 0·∞ is 0 here
  const p = e.map((ek) => ek / (1 + rest));

  const terms = c.map(
    (ck, k) => times(ck, minusLp[k]) + (form === 'kl' ? times(ck, Math.log(smoothed[k])) : 0),
  );
  const gradient = c.map((ck, k) => {
    const oneMinusP = k === top ? rest / (1 + rest) : 1 - p[k];
    return slope[k] * (p[k] * (sumC - ck) - ck * oneMinusP + 2 * zLoss * lse * p[k]); // = p·Σc − c_k + …
  });

  // The units. lse − max is as accurate as Σe: relatively for one class that is the target, else absolutely.
  const mass = sum(c.map(Math.abs));
  const absolute = (of: number[]) => {
    if (target === undefined) return sum(of.map(Math.abs));
    return max > z[target] ? sum(of.filter((_, k) => k !== target)) : 0;
  };
  const logs =
    form === 'kl' ? c.map((ck, k) => times(Math.abs(ck), 1 + Math.abs(Math.log(smoothed[k])))) : [];
  const moved = 2 * z.reduce((most, zk) => Math.max(most, blur(zk)), 0);
  const nllTerms = t.map((tk, k) => times(tk, minusLp[k]));
  const entropy = sum(p.map((pk, k) => times(pk, minusLp[k])));
  const losses = sum(c.map((ck, k) => times(Math.abs(ck), minusLp[k])));
  // The entropy of classes is computed in double, whatever the logits are; that of soft targets as they are.
  const relative = losses + absolute(c) + sum(logs) * (dense ? 1 : inDouble(round));
  const ofZLoss = zLoss === 0 ? 0 : zLoss * (lse * lse + 2 * Math.abs(lse));
  const unit = {
    relative: relative + ofZLoss,
    z: moved * (mass + 2 * zLoss * Math.abs(lse)),
    tiny: x.length * Math.max(1, mass),
  };
  const size = scale * (mass + 2 * zLoss * (Math.abs(lse) + 1));
  const gradientUnit = { relative: size, z: moved * size, tiny: scale };
  return {
    terms,
    termUnits: [],
    rest: zLoss * lse * lse,
    unit,
    gradient,
    gradientUnits: new Array(x.length).fill(gradientUnit),
    nll: sum(nllTerms),
    nllUnit: {
      relative: sum(nllTerms.map(Math.abs)) + absolute(t),
      z: moved * sum(t.map(Math.abs)),
      tiny: x.length,
    },
    lse,
    lseUnit: { relative: 1 + Math.abs(lse), z: moved, tiny: x.length },
    entropy,
    entropyUnit: { relative: entropy, z: moved * entropy, tiny: 100 * x.length },
    zLoss: zLoss * lse * lse,
    prediction,
    // The roundings of softcap, down to those of subnormal numbers, may make the largest equal.
    sure: z.every(
      (zk, k) =>
        k === prediction || max - zk > 2 ** -20 * blur(max) + (options.softcap === undefined ? 0 : 2 ** -144),
    ),
    right,
  };
}

/** l_k = w_k·(posWeight_k·t'_k·softplus(−z_k) + (1−t'_k)·softplus(z_k)). */
function sigmoidRow(
  x: number[],
  w: number[],
  { t, smoothed, complement }: Target,
  part: boolean[],
  options: OracleOptions,
  round: (x: number) => number,
): Row {
  const { posWeight } = options;
  const { z, slope, scale, blur } = termsOfLogits(x, options, round);
  const softplus = (v: number) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));
  const sigmoid = (v: number) => (v >= 0 ? 1 / (1 + Math.exp(-v)) : Math.exp(v) / (1 + Math.exp(v)));
  const times = (a: number, b: number) => (a === 0 && !Number.isNaN(b) ? 0 : a * b); // 0·∞ is 0 here
  const bce = (zk: number, yes: number, no: number) => times(yes, softplus(-zk)) + times(no, softplus(zk));

  const row = { ...undefinedRow(x.length), nll: 0, entropy: 0, right: 0, rest: 0, sure: true };
  const nllSizes: number[] = [];
  x.forEach((_, k) => {
    if (!part[k]) {
      row.terms[k] = 0;
      row.gradient[k] = 0;
      return;
    }
    const positive = posWeight?.[k] ?? 1;
    const yes = positive * smoothed[k];
    const no = complement[k];
    row.terms[k] = times(w[k], bce(z[k], yes, no));
    row.gradient[k] = times(w[k], no * sigmoid(z[k]) - yes * sigmoid(-z[k])) * slope[k];
    const nll = bce(z[k], t[k], 1 - t[k]);
    row.nll += nll;
    row.entropy += bce(z[k], sigmoid(z[k]), sigmoid(-z[k]));
    if (z[k] > 0 === t[k] > 0.5) row.right++;

    const size = w[k] * (Math.abs(no) + Math.abs(yes));
    row.termUnits[k] = {
      relative: times(w[k], bce(z[k], Math.abs(yes), Math.abs(no))),
      z: size * blur(z[k]),
      tiny: size,
    };
    row.gradientUnits[k] = { relative: size * scale, z: size * scale, tiny: size * scale };
    nllSizes.push(bce(z[k], Math.abs(t[k]), Math.abs(1 - t[k])));
  });
  const moved = z.reduce((most, zk) => Math.max(most, blur(zk)), 0);
  const add = (pick: (unit: Unit) => number) => sum(row.termUnits.map(pick));
  row.unit = { relative: add((u) => u.relative), z: add((u) => u.z), tiny: add((u) => u.tiny) };
  row.nllUnit = { relative: sum(nllSizes), z: x.length * moved, tiny: x.length };
  row.entropyUnit = { relative: row.entropy, z: moved * row.entropy, tiny: 100 * x.length };
  return row;
}

/** PyTorch's KLDivLoss: l_k = w_k·t_k·(ln t_k − x_k). */
function divergenceRow(x: number[], w: number[], { t }: Target, { logTarget }: OracleOptions): Row {
  const row = { ...undefinedRow(x.length), rest: 0 };
  x.forEach((xk, k) => {
    const c = w[k] * (logTarget ? Math.exp(t[k]) : t[k]);
    const ln = logTarget ? t[k] : Math.log(t[k]);
    row.terms[k] = c === 0 ? 0 : c * (ln - xk);
    row.gradient[k] = -c;
    row.termUnits[k] = {
      relative: c === 0 ? 0 : Math.abs(c) * (Math.abs(ln) + Math.abs(xk)),
      z: 0,
      tiny: w[k],
    };
    row.gradientUnits[k] = { relative: Math.abs(c), z: 0, tiny: w[k] };
  });
  row.unit = { relative: sum(row.termUnits.map((u) => u.relative)), z: 0, tiny: sum(w) };
  return row;
}

/** What rounding to double is of the rounding of the arithmetic. */
const inDouble = (round: (x: number) => number) => (round(1 + 2 ** -40) === 1 ? 2 ** -26 : 1);

/** l = −Σ c_k x_k with c = w·t'; 'kl': Σ c_k (ln t'_k − x_k). */
function likelihoodRow(
  x: number[],
  w: number[],
  { t, smoothed }: Target,
  { form, labelSmoothing = 0 }: OracleOptions,
  round: (x: number) => number,
): Row {
  // The difference is what is added up, and ln t' and x in double alone, unless ln t' is not the same for the other classes.
  const prior = typeof labelSmoothing === 'object' && labelSmoothing.prior !== undefined;
  const apart = form === 'kl' && prior ? 1 : inDouble(round);
  const row = { ...undefinedRow(x.length), rest: 0 };
  const sizes: number[] = [];
  const nllTerms = t.map((tk, k) => (tk === 0 ? 0 : -tk * x[k]));
  x.forEach((xk, k) => {
    const c = w[k] * smoothed[k];
    const ln = form === 'kl' ? Math.log(smoothed[k]) : 0;
    row.terms[k] = c === 0 ? 0 : c * (ln - xk);
    row.gradient[k] = -c;
    row.gradientUnits[k] = { relative: c, z: 0, tiny: w[k] };
    const both = Math.abs(ln) + Math.abs(xk) + (form === 'kl' ? 1 : 0);
    sizes.push(c === 0 ? 0 : c * (Math.abs(ln - xk) + apart * both));
  });
  row.unit = { relative: sum(sizes), z: 0, tiny: sum(w) };
  row.nll = sum(nllTerms);
  row.nllUnit = { relative: sum(nllTerms.map(Math.abs)), z: 0, tiny: 1 };
  row.prediction = argmax(x);
  row.right = row.prediction === argmax(t) ? 1 : 0;
  return row;
}

/** A row that is NaN throughout. */
function undefinedRow(classes: number): Row {
  const nans = () => new Array<number>(classes).fill(Number.NaN);
  const nothing = () => new Array<Unit>(classes).fill(NONE);
  const units = { unit: NONE, nllUnit: NONE, lseUnit: NONE, entropyUnit: NONE };
  const numbers = { rest: NaN, nll: NaN, lse: NaN, entropy: NaN, zLoss: NaN, prediction: 0, right: 0 };
  const each = { terms: nans(), termUnits: nothing(), gradient: nans(), gradientUnits: nothing() };
  return { ...each, ...units, ...numbers, sure: true };
}

/** The index of the largest number, of equals the first; 0 if there is none above −∞. */
function argmax(values: number[]): number {
  let best = 0;
  let most = -Infinity;
  values.forEach((value, k) => {
    if (value > most) [best, most] = [k, value];
  });
  return best;
}

/** An array of what `of` says for each class. */
export function each<T>(classes: number, of: (k: number) => T): T[] {
  const array = new Array<T>(classes);
  for (let k = 0; k < classes; k++) array[k] = of(k);
  return array;
}

/** Neumaier's compensated sum. */
export function sum(terms: ArrayLike<number>): number {
  let total = 0;
  let lost = 0;
  for (let i = 0; i < terms.length; i++) {
    const x = terms[i];
    const next = total + x;
    lost += Math.abs(total) >= Math.abs(x) ? total - next + x : x - next + total;
    total = next;
  }
  return Number.isFinite(total) ? total + lost : total;
}

export function list(value: number | readonly number[]): readonly number[] {
  return typeof value === 'number' ? [value] : value;
}
