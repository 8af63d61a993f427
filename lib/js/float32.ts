// The loops over a row in float. Math.fround, or a store to a Float32Array, rounds wherever a float operation does.
// lib/js/float64.ts is the same in double.

import { SEGMENT } from '../batch.js';
import { type Arithmetic, BLOCK, LANES } from './arithmetic.js';
import { exp32, fma, fmaOf, log1pOf, log32, tanh32 } from './math.js';

const fround = Math.fround;
const LARGEST = 2 ** 128 - 2 ** 104;

// Copies of imported constants: V8 does not treat imported numbers as constants.
const LANE_BITS = LANES - 1;
const COLUMNS = BLOCK;
const SEGMENT_COLUMNS = SEGMENT;

// The virtual lanes of the current sum.
const lanes = new Float32Array(LANES);

// Written out, since a helper called eight times takes a tenth of the time of short rows.
function sumLanes(): number {
  const s0 = fround(fround(lanes[0] + lanes[16]) + fround(lanes[8] + lanes[24]));
  const s1 = fround(fround(lanes[1] + lanes[17]) + fround(lanes[9] + lanes[25]));
  const s2 = fround(fround(lanes[2] + lanes[18]) + fround(lanes[10] + lanes[26]));
  const s3 = fround(fround(lanes[3] + lanes[19]) + fround(lanes[11] + lanes[27]));
  const s4 = fround(fround(lanes[4] + lanes[20]) + fround(lanes[12] + lanes[28]));
  const s5 = fround(fround(lanes[5] + lanes[21]) + fround(lanes[13] + lanes[29]));
  const s6 = fround(fround(lanes[6] + lanes[22]) + fround(lanes[14] + lanes[30]));
  const s7 = fround(fround(lanes[7] + lanes[23]) + fround(lanes[15] + lanes[31]));
  return s0 + s4 + (s2 + s6) + (s1 + s5 + (s3 + s7));
}

function round(x: number): number {
  return fround(x);
}

function toReal(x: number): number {
  if (Number.isNaN(x)) return NaN;
  return fround(x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x);
}

function terms(z: Float32Array, n: number, scale: number, cap: number): void {
  if (cap === 0) {
    for (let c = 0; c < n; c++) z[c] *= scale;
  } else {
    for (let c = 0; c < n; c++) z[c] = cap * tanh32(fround(fround(z[c] * scale) / cap));
  }
}

function argmax(z: Float32Array, at: number, n: number): number {
  let index = 0;
  let maximum = -Infinity;
  for (let c = 0; c < n; c++) {
    const value = z[at + c];
    if (value > maximum) {
      maximum = value;
      index = c;
    }
  }
  return index;
}

function exp(z: Float32Array, at: number, n: number, shift: number, k: number, out: Float32Array): void {
  exp32(z, at, at + n, shift, k, out, 0);
}

function expOfMinusAbs(z: Float32Array, at: number, n: number, out: Float32Array): void {
  for (let c = 0; c < n; c++) out[c] = 0 - Math.abs(z[at + c]);
  exp32(out, 0, n, 0, 0, out, 0);
}

function expOfLogs(x: Float32Array, n: number, out: Float32Array): void {
  for (let c = 0; c < n; c++) out[c] = 88 < x[c] ? 88 : x[c];
  exp32(out, 0, n, 0, 0, out, 0);
}

function log(x: Float32Array, n: number, out: Float32Array): void {
  for (let c = 0; c < n; c++) out[c] = log32(x[c]);
}

function log1p(e: Float32Array, n: number, out: Float32Array): void {
  log1pOf(e, n, out);
}

function sum(x: Float32Array, n: number, skip: number): number {
  let total = 0;
  let segment = 0;
  for (let first = 0; first < n; first += COLUMNS) {
    const end = first + COLUMNS < n ? first + COLUMNS : n;
    lanes.fill(0);
    for (let c = first; c < end; c++) {
      if (c !== skip) lanes[c & LANE_BITS] += x[c];
    }
    segment += sumLanes();
    if (end % SEGMENT_COLUMNS === 0 || end === n) {
      total += segment;
      segment = 0;
    }
  }
  return total;
}

function below(
  z: Float32Array,
  at: number,
  first: number,
  end: number,
  factors: Float32Array | null,
  skip: number,
  maximum: number,
): number {
  lanes.fill(0);
  if (factors === null) {
    for (let c = first; c < end; c++) {
      if (c !== skip) lanes[c & LANE_BITS] += fround(z[at + c] - maximum);
    }
  } else {
    for (let c = first; c < end; c++) {
      const factor = factors[c];
      if (c !== skip && factor !== 0) lanes[c & LANE_BITS] += fround(factor * fround(z[at + c] - maximum));
    }
  }
  return sumLanes();
}

function product(a: Float32Array, b: Float32Array, n: number, out: Float32Array): void {
  for (let c = 0; c < n; c++) out[c] = a[c] === 0 ? 0 : a[c] * b[c];
}

function spread(
  z: Float32Array,
  at: number,
  n: number,
  factors: Float32Array,
  maximum: number,
  out: Float32Array,
): void {
  for (let c = 0; c < n; c++) {
    out[c] = factors[c] === 0 ? 0 : factors[c] * fround(z[at + c] - maximum);
  }
}

function blend(
  dense: Float32Array,
  n: number,
  keep: number,
  mass: number,
  prior: Float32Array | null,
  weight: Float32Array | null,
  shares: Float32Array,
  targets: Float32Array,
): void {
  for (let c = 0; c < n; c++) {
    const share = fma(dense[c], keep, prior === null ? mass : fround(mass * prior[c]));
    shares[c] = share;
    targets[c] = weight === null ? share : share * weight[c];
  }
}

function gradient(
  e: Float32Array,
  n: number,
  scale: number,
  offset: number,
  factors: Float32Array | null,
  out: Float32Array,
  outAt: number,
): void {
  if (factors === null) {
    fmaOf(e, n, scale, offset, out, outAt);
  } else {
    for (let c = 0; c < n; c++) out[outAt + c] = fma(e[c], scale, fround(offset * factors[c]));
  }
}

// All NaN become one kind of NaN, since CPUs make different ones.
function oneNaN(x: number): number {
  return Number.isNaN(x) ? NaN : x;
}

// a · b + 0. The product is exact in double.
function timesPlusZero(a: number, b: number): number {
  return oneNaN(fround(a * b + 0));
}

function cap(
  numbers: Float32Array,
  n: number,
  z: Float32Array,
  at: number,
  softcap: number,
  out: Float32Array,
  outAt: number,
): void {
  for (let c = 0; c < n; c++) {
    const u = fround(z[at + c] / softcap);
    out[outAt + c] = timesPlusZero(numbers[c], fma(0 - u, u, 1));
  }
}

function scale(
  factors: Float32Array | null,
  n: number,
  scale: number,
  out: Float32Array,
  outAt: number,
): void {
  if (factors === null) {
    const value = timesPlusZero(1, scale);
    for (let c = 0; c < n; c++) out[outAt + c] = value;
  } else {
    for (let c = 0; c < n; c++) out[outAt + c] = timesPlusZero(factors[c], scale);
  }
}

function weigh(losses: Float32Array, n: number, weight: number, out: Float32Array): void {
  const limit = weight === 0 ? LARGEST : Infinity;
  for (let c = 0; c < n; c++) {
    const loss = losses[c];
    out[c] = oneNaN((limit < loss ? limit : loss) * weight + 0);
  }
}

function divergence(
  shares: Float32Array,
  logs: Float32Array,
  x: Float32Array,
  at: number,
  n: number,
  weight: Float32Array | null,
  targets: Float32Array,
  out: Float32Array,
): void {
  for (let c = 0; c < n; c++) {
    const target = weight === null ? shares[c] : fround(shares[c] * weight[c]);
    targets[c] = target;
    out[c] = target === 0 ? 0 : target * fround(logs[c] - x[at + c]);
  }
}

function pairs(
  t: Float32Array,
  n: number,
  keep: number,
  toOne: number,
  toZero: number,
  posWeight: Float32Array | null,
  weight: Float32Array | null,
  positive: Float32Array,
  negative: Float32Array,
): void {
  for (let c = 0; c < n; c++) {
    const share = fma(t[c], keep, toOne);
    const a = posWeight === null ? share : fround(share * posWeight[c]);
    const b = fma(fround(1 - t[c]), keep, toZero);
    positive[c] = weight === null ? a : a * weight[c];
    negative[c] = weight === null ? b : b * weight[c];
  }
}

function binaryLoss(
  z: Float32Array,
  at: number,
  n: number,
  a: Float32Array,
  b: Float32Array,
  logs: Float32Array,
  out: Float32Array,
): void {
  for (let c = 0; c < n; c++) {
    const logit = z[at + c];
    const factor = logit > 0 ? b[c] : a[c];
    const linear = factor === 0 ? 0 : fround(factor * Math.abs(logit));
    out[c] = fma(fround(a[c] + b[c]), logs[c], linear);
  }
}

function binaryGradient(
  z: Float32Array,
  at: number,
  n: number,
  a: Float32Array,
  b: Float32Array,
  e: Float32Array,
  scale: number,
  out: Float32Array,
  outAt: number,
): void {
  for (let c = 0; c < n; c++) {
    const minusA = 0 - a[c];
    const above = z[at + c] > 0;
    const numerator = fma(above ? minusA : b[c], e[c], above ? b[c] : minusA);
    out[outAt + c] = timesPlusZero(fround(numerator / fround(1 + e[c])), scale);
  }
}

function binaryEntropy(
  z: Float32Array,
  at: number,
  n: number,
  e: Float32Array,
  logs: Float32Array,
  out: Float32Array,
): void {
  for (let c = 0; c < n; c++) {
    const spread = e[c] === 0 ? 0 : fround(Math.abs(z[at + c]) * fround(e[c] / fround(1 + e[c])));
    out[c] = logs[c] + spread;
  }
}

/** Arithmetic in float. */
export const float32: Arithmetic<Float32Array> = {
  create: (length) => new Float32Array(length),
  scratch: [],
  factors: (array) => array as Float32Array | null,
  round,
  toReal,
  terms,
  argmax,
  exp,
  expOfMinusAbs,
  expOfLogs,
  log,
  log1p,
  sum,
  below,
  product,
  spread,
  blend,
  gradient,
  cap,
  scale,
  weigh,
  divergence,
  pairs,
  binaryLoss,
  binaryGradient,
  binaryEntropy,
};
