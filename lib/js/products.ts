// The three products of linearCrossEntropy: logits, the gradient of input, and that of linearWeight and linearBias. Mirrors
// native/kernels/products-inl.h.
//
// Every element of a product is a sum over k in blocks of PRODUCT_BLOCK, added in order. A block is the sum of two chains of
// PRODUCT_CHAIN fma from +0. Each function here adds one block to one panel, which is PANEL columns of its result.

import { type Batch, type Elements, FLOAT32, FLOAT64, type Floats, type Layer } from '../batch.js';
import { load } from './elements.js';
import { fma } from './math.js';
import { oneNaN } from './results.js';

const fround = Math.fround;

/** How many k a block and a chain have; kProductBlock and kProductChain in native/kernels/kernels.h. */
export const PRODUCT_BLOCK = 256;
export const PRODUCT_CHAIN = 128;
/** Columns of a panel. */
export const PANEL = 4;

// The columns of the panel at hand, each an array of its own: one index, with one check of bounds, reads all. Nothing is kept in
// them from one call to the next.
const b0 = new Float64Array(PRODUCT_BLOCK);
const b1 = new Float64Array(PRODUCT_BLOCK);
const b2 = new Float64Array(PRODUCT_BLOCK);
const b3 = new Float64Array(PRODUCT_BLOCK);
const panel = [b0, b1, b2, b3];
// The sums of two rows with the panel, and those of the first chains.
const sums = new Float64Array(2 * PANEL);
const firstSums = new Float64Array(2 * PANEL);

// Just more and just less than 1. A double times either rounds to the same float, unless it lies halfway between two floats, or
// nearly. That holds for subnormal floats and at the edge of overflow, too.
const MORE = 1 + 2 ** -52;
const LESS = 1 - 2 ** -52;

/**
 * `sums` ← the chains over [begin, end) of two rows of `a`, at `at` and `next`, with the columns of the panel. Returns false,
 * with nothing done, if it meets NaN, or a sum about halfway between two floats that double does not hold exactly: only then
 * can rounding twice be wrong. About halfway but exact is common: it is in nearly every chain of bfloat16 numbers.
 *
 * It reaches 1.4 GFLOP/s, 1.1 with bfloat16 numbers. Eight chains at once, since each waits for its own sums: four take a sixth
 * longer. The test for halfway takes half of the time. A test of the bits that rounding drops takes more, since it needs
 * another for subnormal sums; so does one more condition for NaN, which leaves too few registers. There is no call in the
 * loop, as in exp32Until.
 */
function chainsUnlessHalfway(a: Float32Array, at: number, next: number, begin: number, end: number): boolean {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let t0 = 0;
  let t1 = 0;
  let t2 = 0;
  let t3 = 0;
  for (let k = begin; k < end; k++) {
    const x = a[at + k];
    const y = a[next + k];
    const p0 = x * b0[k];
    const d0 = p0 + s0;
    const r0 = fround(d0 * MORE);
    if (r0 === fround(d0 * LESS)) s0 = r0;
    else if (d0 - p0 === s0 && d0 - s0 === p0) s0 = fround(d0);
    else return false;
    const p1 = x * b1[k];
    const d1 = p1 + s1;
    const r1 = fround(d1 * MORE);
    if (r1 === fround(d1 * LESS)) s1 = r1;
    else if (d1 - p1 === s1 && d1 - s1 === p1) s1 = fround(d1);
    else return false;
    const p2 = x * b2[k];
    const d2 = p2 + s2;
    const r2 = fround(d2 * MORE);
    if (r2 === fround(d2 * LESS)) s2 = r2;
    else if (d2 - p2 === s2 && d2 - s2 === p2) s2 = fround(d2);
    else return false;
    const p3 = x * b3[k];
    const d3 = p3 + s3;
    const r3 = fround(d3 * MORE);
    if (r3 === fround(d3 * LESS)) s3 = r3;
    else if (d3 - p3 === s3 && d3 - s3 === p3) s3 = fround(d3);
    else return false;
    const p4 = y * b0[k];
    const d4 = p4 + t0;
    const r4 = fround(d4 * MORE);
    if (r4 === fround(d4 * LESS)) t0 = r4;
    else if (d4 - p4 === t0 && d4 - t0 === p4) t0 = fround(d4);
    else return false;
    const p5 = y * b1[k];
    const d5 = p5 + t1;
    const r5 = fround(d5 * MORE);
    if (r5 === fround(d5 * LESS)) t1 = r5;
    else if (d5 - p5 === t1 && d5 - t1 === p5) t1 = fround(d5);
    else return false;
    const p6 = y * b2[k];
    const d6 = p6 + t2;
    const r6 = fround(d6 * MORE);
    if (r6 === fround(d6 * LESS)) t2 = r6;
    else if (d6 - p6 === t2 && d6 - t2 === p6) t2 = fround(d6);
    else return false;
    const p7 = y * b3[k];
    const d7 = p7 + t3;
    const r7 = fround(d7 * MORE);
    if (r7 === fround(d7 * LESS)) t3 = r7;
    else if (d7 - p7 === t3 && d7 - t3 === p7) t3 = fround(d7);
    else return false;
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
  sums[4] = t0;
  sums[5] = t1;
  sums[6] = t2;
  sums[7] = t3;
  return true;
}

function chains32(a: Float32Array, at: number, next: number, begin: number, end: number): void {
  if (chainsUnlessHalfway(a, at, next, begin, end)) return;
  sums.fill(0);
  for (let k = begin; k < end; k++) {
    for (let j = 0; j < PANEL; j++) {
      sums[j] = fma(a[at + k], panel[j][k], sums[j]);
      sums[PANEL + j] = fma(a[next + k], panel[j][k], sums[PANEL + j]);
    }
  }
}

// The same in double, where fma rounds twice.
function chains64(a: Float64Array, at: number, next: number, begin: number, end: number): void {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let t0 = 0;
  let t1 = 0;
  let t2 = 0;
  let t3 = 0;
  for (let k = begin; k < end; k++) {
    const x = a[at + k];
    const y = a[next + k];
    s0 += x * b0[k];
    s1 += x * b1[k];
    s2 += x * b2[k];
    s3 += x * b3[k];
    t0 += y * b0[k];
    t1 += y * b1[k];
    t2 += y * b2[k];
    t3 += y * b3[k];
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
  sums[4] = t0;
  sums[5] = t1;
  sums[6] = t2;
  sums[7] = t3;
}

/** `sums` ← the sums over a block of two rows of `a`, n numbers from `at` and from `next` on, with the columns of the panel. */
function sumMicrotile<A extends Floats>(a: A, at: number, next: number, n: number): void {
  const double = a instanceof Float64Array;
  const chains = (double ? chains64 : chains32) as (
    ...of: [a: A, at: number, next: number, begin: number, end: number]
  ) => void;
  chains(a, at, next, 0, Math.min(PRODUCT_CHAIN, n));
  if (n <= PRODUCT_CHAIN) return;
  firstSums.set(sums);
  chains(a, at, next, PRODUCT_CHAIN, n);
  for (let i = 0; i < sums.length; i++) {
    const sum = firstSums[i] + sums[i];
    sums[i] = double ? sum : fround(sum);
  }
}

/** A chunk of rows of linearCrossEntropy, all of which take part, and its memory. */
export interface Chunk<A extends Floats> {
  readonly batch: Batch;
  readonly layer: Layer;
  /** How many rows that take part are before it. */
  first: number;
  count: number;
  /** Where each row is in the batch. */
  rows: Int32Array;
  /** The rows' input, and its transpose: feature after feature, `count` numbers each. */
  input: A;
  transposed: A;
  /** The rows' logits, and then the gradient of these. */
  logits: A;
}

// The panel ← n numbers, `step` apart, of each of `width` columns that begin `across` apart. Other columns are 0.
function fillPanel(
  type: number,
  from: Elements,
  start: number,
  step: number,
  n: number,
  across: number,
  width: number,
): void {
  for (let j = 0; j < PANEL; j++) {
    if (j < width) load(type, from, start + j * across, step, n, panel[j]);
    else panel[j].fill(0);
  }
}

// `count` rows of numbers to sum with the panel: n each, `step` apart from `start` on.
interface Summands<A extends Floats> {
  a: A;
  start: number;
  step: number;
  n: number;
  count: number;
}

// The elements that a panel's sums go to: that of row i and column j is at `start` + places[i] · `down` + j · `across`; places
// null: i.
interface Target {
  out: Floats;
  start: number;
  down: number;
  across: number;
  places: Int32Array | null;
  width: number;
}

// What the elements of each column are before the first block: nothing, which is −0, since +0 would change a sum of −0.
const NOTHING = Float64Array.of(-0, -0, -0, -0);
const biases = new Float64Array(PANEL);

// Adds the sums to their elements; the first block to `from`.
function addPanel<A extends Floats>(of: Summands<A>, to: Target, from: Float64Array | null): void {
  const { a, start, step, n, count } = of;
  const { out, down, across, places, width } = to;
  for (let i = 0; i < count; i += 2) {
    const at = start + i * step;
    const last = i + 1 === count;
    sumMicrotile(a, at, last ? at : at + step, n);
    for (let r = 0; r < (last ? 1 : 2); r++) {
      let index = to.start + (places === null ? i + r : places[i + r]) * down;
      for (let j = 0; j < width; j++, index += across) {
        out[index] = oneNaN((from === null ? out[index] : from[j]) + sums[r * PANEL + j]);
      }
    }
  }
}

/** Adds the block of features from `k` on to the logits of the classes from `c` on. */
export function logitsOf<A extends Floats>(chunk: Chunk<A>, k: number, c: number): void {
  const { batch, layer, count, input, logits } = chunk;
  const { type, classes } = batch;
  const { features, linearWeight, linearBias } = layer;
  const n = Math.min(PRODUCT_BLOCK, features - k);
  const width = Math.min(PANEL, classes - c);
  fillPanel(type, linearWeight, c * features + k, 1, n, features, width);
  if (linearBias !== null) load(type, linearBias, c, 1, width, biases);
  addPanel(
    { a: input, start: k, step: features, n, count },
    { out: logits, start: c, down: classes, across: 1, places: null, width },
    k > 0 ? null : linearBias === null ? NOTHING : biases,
  );
}

/** Adds the block of classes from `k` on to the gradient of the features from `d` on. */
export function addInputGradient<A extends Floats>(chunk: Chunk<A>, k: number, d: number): void {
  const { batch, layer, count, rows, logits } = chunk;
  const { type, classes } = batch;
  const { features, linearWeight } = layer;
  const n = Math.min(PRODUCT_BLOCK, classes - k);
  const width = Math.min(PANEL, features - d);
  fillPanel(type, linearWeight, k * features + d, features, n, 1, width);
  addPanel(
    { a: logits, start: k, step: classes, n, count },
    { out: layer.inputGradient as Floats, start: d, down: features, across: 1, places: rows, width },
    k > 0 ? null : NOTHING,
  );
}

// The sum over a block of n numbers.
function sumBlock(type: number, numbers: Float64Array, n: number): number {
  const round = (x: number) => (type === FLOAT64 ? x : fround(x));
  const chain = (begin: number, end: number) => {
    let sum = 0;
    for (let k = begin; k < end; k++) sum = round(sum + numbers[k]);
    return sum;
  };
  const first = chain(0, Math.min(PRODUCT_CHAIN, n));
  return n > PRODUCT_CHAIN ? round(first + chain(PRODUCT_CHAIN, n)) : first;
}

/**
 * Adds the block of rows from `k` on to the gradients of the classes from `c` on: of linearWeight those of the features [begin,
 * end), and that of linearBias with the first of these.
 */
export function addWeightGradient<A extends Floats>(
  chunk: Chunk<A>,
  k: number,
  c: number,
  begin: number,
  end: number,
): void {
  const { batch, layer, first, count, transposed, logits } = chunk;
  const { type, classes } = batch;
  const { features, linearWeightGradient, linearBiasGradient, accumulate } = layer;
  const adds = accumulate || first + k > 0;
  const n = Math.min(PRODUCT_BLOCK, count - k);
  const width = Math.min(PANEL, classes - c);
  fillPanel(FLOAT32, logits, k * classes + c, classes, n, 1, width);
  if (linearWeightGradient !== null) {
    addPanel(
      { a: transposed, start: begin * count + k, step: count, n, count: end - begin },
      {
        out: linearWeightGradient,
        start: c * features + begin,
        down: 1,
        across: features,
        places: null,
        width,
      },
      adds ? null : NOTHING,
    );
  }
  if (linearBiasGradient !== null && begin === 0) {
    for (let j = 0; j < width; j++) {
      const sum = sumBlock(type, panel[j], n);
      linearBiasGradient[c + j] = oneNaN(adds ? linearBiasGradient[c + j] + sum : sum);
    }
  }
}
