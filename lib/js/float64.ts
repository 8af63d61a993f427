// The loops over a row in double: those of lib/js/float32.ts, but for rounding. As in the native kernels, fma of doubles
// rounds twice.

import type { Floats } from '../batch.js';
import { SEGMENT } from '../batch.js';
import { lengthOf } from '../typed-arrays.js';
import { type Arithmetic, BLOCK, LANES } from './arithmetic.js';
import { exp64, log1p64, log64, tanh64 } from './math.js';

const LARGEST = Number.MAX_VALUE;
const BOUND = 2 ** 1023;

function fma(a: number, b: number, c: number): number {
  return a * b + c;
}

// Copies of imported constants: V8 does not treat imported numbers as constants.
const LANE_BITS = LANES - 1;
const COLUMNS = BLOCK;
const SEGMENT_COLUMNS = SEGMENT;

// The virtual lanes of the current sum.
const lanes = new Float64Array(LANES);

// Written out, since a helper called eight times takes a tenth of the time of short rows.
function sumLanes(): number {
  const s0 = lanes[0] + lanes[16] + (lanes[8] + lanes[24]);
  const s1 = lanes[1] + lanes[17] + (lanes[9] + lanes[25]);
  const s2 = lanes[2] + lanes[18] + (lanes[10] + lanes[26]);
  const s3 = lanes[3] + lanes[19] + (lanes[11] + lanes[27]);
  const s4 = lanes[4] + lanes[20] + (lanes[12] + lanes[28]);
  const s5 = lanes[5] + lanes[21] + (lanes[13] + lanes[29]);
  const s6 = lanes[6] + lanes[22] + (lanes[14] + lanes[30]);
  const s7 = lanes[7] + lanes[23] + (lanes[15] + lanes[31]);
  return s0 + s4 + (s2 + s6) + (s1 + s5 + (s3 + s7));
}

function round(x: number): number {
  return x;
}

function toReal(x: number): number {
  if (Number.isNaN(x)) return NaN;
  return x > BOUND ? BOUND : x < -BOUND ? -BOUND : x;
}

function terms(z: Float64Array, n: number, scale: number, cap: number): void {
  if (cap === 0) {
    for (let c = 0; c < n; c++) z[c] *= scale;
  } else {
    for (let c = 0; c < n; c++) z[c] = cap * tanh64((z[c] * scale) / cap);
  }
}

function argmax(z: Float64Array, at: number, n: number): number {
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

function exp(z: Float64Array, at: number, n: number, shift: number, k: number, out: Float64Array): void {
  exp64(z, at, at + n, shift, k, out, 0);
}

function expOfMinusAbs(z: Float64Array, at: number, n: number, out: Float64Array): void {
  for (let c = 0; c < n; c++) out[c] = 0 - Math.abs(z[at + c]);
  exp64(out, 0, n, 0, 0, out, 0);
}

function expOfLogs(x: Float64Array, n: number, out: Float64Array): void {
  for (let c = 0; c < n; c++) out[c] = 709 < x[c] ? 709 : x[c];
  exp64(out, 0, n, 0, 0, out, 0);
}

function log(x: Float64Array, n: number, out: Float64Array): void {
  for (let c = 0; c < n; c++) out[c] = log64(x[c]);
}

function log1p(e: Float64Array, n: number, out: Float64Array): void {
  for (let c = 0; c < n; c++) out[c] = log1p64(e[c]);
}

function sum(x: Float64Array, n: number, skip: number): number {
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
  z: Float64Array,
  at: number,
  first: number,
  end: number,
  factors: Float64Array | null,
  skip: number,
  maximum: number,
): number {
  lanes.fill(0);
  if (factors === null) {
    for (let c = first; c < end; c++) {
      if (c !== skip) lanes[c & LANE_BITS] += z[at + c] - maximum;
    }
  } else {
    for (let c = first; c < end; c++) {
      const factor = factors[c];
      if (c !== skip && factor !== 0) lanes[c & LANE_BITS] += factor * (z[at + c] - maximum);
    }
  }
  return sumLanes();
}

function product(a: Float64Array, b: Float64Array, n: number, out: Float64Array): void {
  for (let c = 0; c < n; c++) out[c] = a[c] === 0 ? 0 : a[c] * b[c];
}

function spread(
  z: Float64Array,
  at: number,
  n: number,
  factors: Float64Array,
  maximum: number,
  out: Float64Array,
): void {
  for (let c = 0; c < n; c++) {
    out[c] = factors[c] === 0 ? 0 : factors[c] * (z[at + c] - maximum);
  }
}

function blend(
  dense: Float64Array,
  n: number,
  keep: number,
  mass: number,
  prior: Float64Array | null,
  weight: Float64Array | null,
  shares: Float64Array,
  targets: Float64Array,
): void {
  for (let c = 0; c < n; c++) {
    const share = fma(dense[c], keep, prior === null ? mass : mass * prior[c]);
    shares[c] = share;
    targets[c] = weight === null ? share : share * weight[c];
  }
}

function gradient(
  e: Float64Array,
  n: number,
  scale: number,
  offset: number,
  factors: Float64Array | null,
  out: Float64Array,
  outAt: number,
): void {
  if (factors === null) {
    for (let c = 0; c < n; c++) out[outAt + c] = fma(e[c], scale, offset);
  } else {
    for (let c = 0; c < n; c++) out[outAt + c] = fma(e[c], scale, offset * factors[c]);
  }
}

// All NaN become one kind of NaN, since CPUs make different ones.
function oneNaN(x: number): number {
  return Number.isNaN(x) ? NaN : x;
}

// a · b + 0.
function timesPlusZero(a: number, b: number): number {
  return oneNaN(a * b + 0);
}

function cap(
  numbers: Float64Array,
  n: number,
  z: Float64Array,
  at: number,
  softcap: number,
  out: Float64Array,
  outAt: number,
): void {
  for (let c = 0; c < n; c++) {
    const u = z[at + c] / softcap;
    out[outAt + c] = timesPlusZero(numbers[c], fma(0 - u, u, 1));
  }
}

function scale(
  factors: Float64Array | null,
  n: number,
  scale: number,
  out: Float64Array,
  outAt: number,
): void {
  if (factors === null) {
    const value = timesPlusZero(1, scale);
    for (let c = 0; c < n; c++) out[outAt + c] = value;
  } else {
    for (let c = 0; c < n; c++) out[outAt + c] = timesPlusZero(factors[c], scale);
  }
}

function weigh(losses: Float64Array, n: number, weight: number, out: Float64Array): void {
  const limit = weight === 0 ? LARGEST : Infinity;
  for (let c = 0; c < n; c++) {
    const loss = losses[c];
    out[c] = oneNaN((limit < loss ? limit : loss) * weight + 0);
  }
}

function divergence(
  shares: Float64Array,
  logs: Float64Array,
  x: Float64Array,
  at: number,
  n: number,
  weight: Float64Array | null,
  targets: Float64Array,
  out: Float64Array,
): void {
  for (let c = 0; c < n; c++) {
    const target = weight === null ? shares[c] : shares[c] * weight[c];
    targets[c] = target;
    out[c] = target === 0 ? 0 : target * (logs[c] - x[at + c]);
  }
}

function pairs(
  t: Float64Array,
  n: number,
  keep: number,
  toOne: number,
  toZero: number,
  posWeight: Float64Array | null,
  weight: Float64Array | null,
  positive: Float64Array,
  negative: Float64Array,
): void {
  for (let c = 0; c < n; c++) {
    const share = fma(t[c], keep, toOne);
    const a = posWeight === null ? share : share * posWeight[c];
    const b = fma(1 - t[c], keep, toZero);
    positive[c] = weight === null ? a : a * weight[c];
    negative[c] = weight === null ? b : b * weight[c];
  }
}

function binaryLoss(
  z: Float64Array,
  at: number,
  n: number,
  a: Float64Array,
  b: Float64Array,
  logs: Float64Array,
  out: Float64Array,
): void {
  for (let c = 0; c < n; c++) {
    const logit = z[at + c];
    const factor = logit > 0 ? b[c] : a[c];
    const linear = factor === 0 ? 0 : factor * Math.abs(logit);
    out[c] = fma(a[c] + b[c], logs[c], linear);
  }
}

function binaryGradient(
  z: Float64Array,
  at: number,
  n: number,
  a: Float64Array,
  b: Float64Array,
  e: Float64Array,
  scale: number,
  out: Float64Array,
  outAt: number,
): void {
  for (let c = 0; c < n; c++) {
    const minusA = 0 - a[c];
    const above = z[at + c] > 0;
    const numerator = fma(above ? minusA : b[c], e[c], above ? b[c] : minusA);
    out[outAt + c] = timesPlusZero(numerator / (1 + e[c]), scale);
  }
}

function binaryEntropy(
  z: Float64Array,
  at: number,
  n: number,
  e: Float64Array,
  logs: Float64Array,
  out: Float64Array,
): void {
  for (let c = 0; c < n; c++) {
    const spread = e[c] === 0 ? 0 : Math.abs(z[at + c]) * (e[c] / (1 + e[c]));
    out[c] = logs[c] + spread;
  }
}

// Read by index, whatever the caller has made of the array's methods.
function factors(array: Floats | null): Float64Array | null {
  if (array === null) return null;
  const result = new Float64Array(lengthOf(array));
  for (let c = 0; c < result.length; c++) result[c] = array[c];
  return result;
}

/** double. */
export const float64: Arithmetic<Float64Array> = {
  create: (length) => new Float64Array(length),
  scratch: [],
  factors,
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
