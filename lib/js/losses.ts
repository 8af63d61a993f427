// Every loss in JavaScript. Mirrors native/losses-inl.h operation by operation: the order of sums, what is rounded to float
// and when, and the formulas are explained there.

import { type CrossEntropyBatch, type Kernels, ROW_CHUNK, type Total } from '../batch.js';
import { exp, exp32, fma, LN2, logSum, ROUND_TO_EIGHTH, roundLog2 } from './math.js';

const fround = Math.fround;

const LANES = 32;
const BLOCK = 512;
const SHIFT_ABOVE = 2 ** 19;
const LARGEST = 2 ** 128 - 2 ** 104;

// The virtual lanes of the sum at hand. A Float32Array rounds what is stored to float, as the float addition does.
const lanes = new Float32Array(LANES);

// The exponentials of the block at hand, where no gradient takes them.
const block = new Float32Array(BLOCK);

function sumLanes(): number {
  const eight = (i: number) =>
    fround(fround(lanes[i] + lanes[i + 16]) + fround(lanes[i + 8] + lanes[i + 24]));
  return eight(0) + eight(4) + (eight(2) + eight(6)) + (eight(1) + eight(5) + (eight(3) + eight(7)));
}

function rowMax(x: Float32Array, start: number, end: number): number {
  let m = -Infinity;
  for (let i = start; i < end; i++) {
    const value = x[i];
    if (value > m) m = value;
  }
  return m;
}

function exactSmoothingSum(
  x: Float32Array,
  start: number,
  end: number,
  skip: number,
  smoothing: Float32Array | null,
  first: number,
  maximum: number,
): number {
  let sum = 0;
  for (let i = start; i < end; i++) {
    const factor = smoothing === null ? 1 : smoothing[first + i - start];
    if (i === skip || factor === 0) continue;
    if (x[i] === -Infinity) return -Infinity;
    sum += factor * (x[i] - maximum);
  }
  return sum;
}

/** Elements [start, end) of x are one block, its classes begin at `first`; `skip` is the element left out. */
function smoothingSum(
  x: Float32Array,
  start: number,
  end: number,
  skip: number,
  smoothing: Float32Array | null,
  first: number,
  maximum: number,
): number {
  lanes.fill(0);
  if (smoothing === null) {
    for (let i = start; i < end; i++) {
      if (i !== skip) lanes[(i - start) % LANES] += fround(x[i] - maximum);
    }
  } else {
    for (let i = start; i < end; i++) {
      const factor = smoothing[first + i - start];
      if (i !== skip && factor !== 0) lanes[(i - start) % LANES] += fround(factor * fround(x[i] - maximum));
    }
  }
  const sum = sumLanes();
  return sum > -Infinity ? sum : exactSmoothingSum(x, start, end, skip, smoothing, first, maximum);
}

function expSum(
  x: Float32Array,
  out: Float32Array | null,
  start: number,
  end: number,
  skip: number,
  shift: number,
  k: number,
): number {
  const magic = ROUND_TO_EIGHTH + (127 - k);
  const floor = fround((k - 127) * LN2);
  const exps = out ?? block;
  const first = out === null ? 0 : start;
  exp32(x, start, end, shift, floor, magic, exps, first);
  lanes.fill(0);
  for (let i = start, j = first; i < end; i++, j++) {
    if (i !== skip) lanes[(i - start) % LANES] += exps[j];
  }
  return sumLanes();
}

function finishGradient(
  gradient: Float32Array,
  start: number,
  end: number,
  smoothing: Float32Array | null,
  scale: number,
  offset: number,
): void {
  if (smoothing === null) {
    for (let i = start; i < end; i++) gradient[i] = fma(gradient[i], scale, offset);
  } else {
    for (let i = start; i < end; i++) {
      gradient[i] = fma(gradient[i], scale, fround(offset * smoothing[i - start]));
    }
  }
}

function without(total: Total, index: number, value: number): number {
  return index === total.top ? total.rest : total.sum - value;
}

function fillRow(gradient: Float32Array | null, start: number, end: number, value: number): void {
  if (gradient === null) return;
  for (let i = start; i < end; i++) gradient[i] = value;
}

function toFloat(x: number): number {
  return fround(x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x);
}

function undefinedRow(gradient: Float32Array | null, start: number, end: number): number {
  fillRow(gradient, start, end, NaN);
  return NaN;
}

// scanRow, solveRow and finishRow of the native kernels, for one row after the other.
function crossEntropyRow(batch: CrossEntropyBatch, row: number, y: number, upstream: number): number {
  const { logits: x, gradient, smoothing, classes } = batch;
  const start = row * batch.rowStride;
  const end = start + classes;

  const epsilon = batch.epsilons === null ? batch.epsilon : batch.epsilons[row];
  const weight = batch.weight === null ? 1 : batch.weight[y];
  const prior = batch.prior === null ? 1 : batch.prior[y];
  const ownFactor = smoothing === null ? 1 : smoothing[y];
  let own = (1 - epsilon) * weight;
  let mass = 0;
  let others = 0;
  if (epsilon > 0) {
    mass = epsilon / (batch.others ? without(batch.priorTotal, y, prior) : batch.priorTotal.sum);
    others = without(batch.smoothingTotal, y, ownFactor);
    if (!batch.others) own += mass * ownFactor;
  }

  const maximum = rowMax(x, start, end);
  if (maximum === Infinity || maximum === -Infinity) return undefinedRow(gradient, start, end);
  const shift = maximum > SHIFT_ABOVE || maximum < -SHIFT_ABOVE ? maximum : 0;
  const k = roundLog2(fround(maximum - shift));
  const target = start + y;
  const xTarget = x[target];
  let below = 0;
  let expSums = 0;
  for (let i = start; i < end; i += BLOCK) {
    const stop = Math.min(i + BLOCK, end);
    if (mass > 0) below += smoothingSum(x, i, stop, target, smoothing, i - start, maximum);
    expSums += expSum(x, gradient, i, stop, target, shift, k);
  }

  const logTarget = xTarget - shift - k * LN2;
  const logMaximum = maximum - shift - k * LN2;
  const expTarget = exp(logTarget);
  const sum = expSums + expTarget;
  if (Number.isNaN(sum)) return undefinedRow(gradient, start, end);

  const relative = expSums <= 0.4 * expTarget;
  const logarithm = logSum(expSums, expTarget, relative);
  const nll = relative ? logarithm : logarithm - logTarget;
  let lseAboveMax = logarithm + (relative ? logTarget - logMaximum : -logMaximum);
  if (lseAboveMax < 0) lseAboveMax = 0;

  if (gradient !== null) {
    const rest = mass * others;
    const factor = upstream > 1e300 ? 1e300 : upstream < -1e300 ? -1e300 : upstream;
    const reciprocal = factor / sum;
    const multiplier = toFloat((own + rest) * reciprocal);
    finishGradient(gradient, start, end, smoothing, multiplier, toFloat(-(factor * mass)));
    gradient[target] = toFloat((expTarget * rest - expSums * own) * reciprocal + 0);
  }
  const loss = own > 0 ? own * nll : 0;
  return mass > 0 ? loss + mass * (others * lseAboveMax - below) : loss;
}

function crossEntropyRows(batch: CrossEntropyBatch, begin: number, end: number): number {
  let numerator = 0;
  for (let row = begin; row < end; row++) {
    const y = batch.targets[row];
    let loss = 0;
    if (y >= 0) {
      const rowWeight = batch.rowWeight === null ? 1 : batch.rowWeight[row];
      let upstream = batch.gradientScale * rowWeight;
      if (batch.gradientScales !== null) upstream *= batch.gradientScales[row];
      loss = crossEntropyRow(batch, row, y, upstream);
      loss = rowWeight === 0 && !Number.isNaN(loss) ? 0 : rowWeight * loss;
    } else {
      const start = row * batch.rowStride;
      fillRow(batch.gradient, start, start + batch.classes, 0);
    }
    if (batch.losses !== null) batch.losses[row] = loss;
    numerator += loss;
  }
  return numerator;
}

function crossEntropy(batch: CrossEntropyBatch): number {
  let numerator = 0;
  for (let begin = 0; begin < batch.rows; begin += ROW_CHUNK) {
    numerator += crossEntropyRows(batch, begin, Math.min(begin + ROW_CHUNK, batch.rows));
  }
  return numerator;
}

/** The JavaScript backend. */
export const kernels: Kernels = { crossEntropy };
