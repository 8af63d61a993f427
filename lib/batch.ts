// One call of a loss as a backend takes it: every argument is checked, every default filled in. Mirrors
// native/kernels/batch.h.

import type { Arena } from './arena.js';

/** The number types of logits and gradients, by their index in this list; Type in native/kernels/batch.h. */
export const TYPES = ['float32', 'float64', 'float16', 'bfloat16'] as const;
/** The index of the type of logits, as a number that the native core takes. */
export const FLOAT32 = 0;
export const FLOAT64 = 1;
export const FLOAT16 = 2;
export const BFLOAT16 = 3;

export type Floats = Float32Array | Float64Array;
/** Logits and gradients as the kernels take them: half types as their bits. */
export type Elements = Floats | Uint16Array;

/**
 * The sum of a vector of class factors, in a form from which one class can be left out without cancellation:
 * `rest` is the sum without the largest entry, which is at index `top`.
 */
export interface Total {
  sum: number;
  rest: number;
  top: number;
}

/**
 * The numbers of a batch that the native core takes as they are, in the order of their slots in the arena; BatchNumbers
 * in native/kernels/batch.h is the same list.
 */
export const NUMBERS = [
  'lambda', // the share of `targets` in a mixed target, unless `lambdas` has one per row
  'epsilon', // for all rows, unless there are `epsilons`
  'toward', // what a target is smoothed towards in bceWithLogits
  'smoothingLog', // Σ of smoothing · ln prior, for `kl`
  'gradientScale', // times each row's gradient; holds 1/denominator for the mean
  'logitScale', // rounded to float unless the arithmetic is double, as is softcap
  'softcap', // 0: none
  'zLoss', // 0: none
] as const;

/** Writes them to the slots from index `i` on: one by one, which engines compile to plain loads and stores. */
export function writeNumbers(batch: Batch, slots: Float64Array, i: number): void {
  slots[i++] = batch.lambda;
  slots[i++] = batch.epsilon;
  slots[i++] = batch.toward;
  slots[i++] = batch.smoothingLog;
  slots[i++] = batch.gradientScale;
  slots[i++] = batch.logitScale;
  slots[i++] = batch.softcap;
  slots[i++] = batch.zLoss;
}

/**
 * The output layer of linearCrossEntropy: the batch has no logits, they are input · linearWeightᵀ + linearBias. Layer in
 * native/kernels/batch.h is the same, field by field. Its arrays are of the batch's type, its gradients of the arithmetic's.
 */
export interface Layer {
  /** D: the numbers of a row of `input` and of `linearWeight`. */
  features: number;
  /** How many rows take part. */
  rows: number;
  /** R·D. */
  input: Elements;
  /** C·D. */
  linearWeight: Elements;
  /** Per class; null: zeros. */
  linearBias: Elements | null;
  /** As `input`, `linearWeight` and `linearBias`; null: not asked for. */
  inputGradient: Floats | null;
  linearWeightGradient: Floats | null;
  linearBiasGradient: Floats | null;
  /** The gradients of linearWeight and linearBias are added to what their arrays hold. */
  accumulate: boolean;
}

/**
 * One checked call of any of the losses; Batch in native/kernels/batch.h is the same, field by field. A dense array has
 * one number per row and class. Its rows have a stride of their own; or, where `inner` is not 1, it is laid out as the
 * logits. Floats are of the arithmetic's type; but dense targets may be of either, and so may a dense weight in double.
 */
export interface Batch extends Record<(typeof NUMBERS)[number], number> {
  rows: number;
  classes: number;
  /** Elements from one row to the next, at least `classes`. */
  rowStride: number;
  /** Not 1: element (row, class) is at (⌊row / inner⌋ · classes + class) · inner + row mod inner. */
  inner: number;
  /** FLOAT32 … BFLOAT16: of logits and gradient. Arithmetic is double for FLOAT64, else float. */
  type: number;
  /** Logits or log-probabilities; null for smoothLabels and linearCrossEntropy. */
  logits: Elements | null;
  /** Laid out as the logits, may be the logits. */
  gradient: Elements | null;
  /** One per row, or for losses of elements laid out as the logits. */
  losses: Floats | null;

  /** The class of each row; -1: the row takes no part. With dense targets 0: it does. */
  targets: Int32Array;
  /** The second class of each row's mixed target; null: not mixed. */
  seconds: Int32Array | null;
  /** The share of `targets` in a mixed target, per row; null: `lambda` for all. */
  lambdas: Floats | null;
  /** Dense targets; null: classes. Uint8Array in bceWithLogits only. */
  dense: Floats | Uint8Array | null;
  denseStride: number;
  /** Dense targets are logarithms (klDiv). */
  logTarget: boolean;

  /** Per class, or for each element in bceWithLogits (weightStride > 0); null: ones. */
  weight: Floats | null;
  /** bceWithLogits: 0: weight is per class; else it is dense, with this stride. */
  weightStride: number;
  /** Per class, bceWithLogits; null: ones. */
  posWeight: Floats | null;
  /** Per row; null: ones. */
  rowWeight: Floats | null;
  /** bceWithLogits: dense, 0: the element takes no part; null: all do. Masks of rows are in `targets`. */
  mask: Uint8Array | null;
  maskStride: number;

  /** Per class, the smoothing distribution before it is normalised; null: ones. */
  prior: Floats | null;
  /** Per class, weight · prior; null: ones. */
  smoothing: Floats | null;
  /** Per row; null: `epsilon` for all. */
  epsilons: Floats | null;
  /** labelSmoothing.over 'others': no smoothing mass for the row's own target. */
  others: boolean;
  priorTotal: Total;
  smoothingTotal: Total;

  /** Form 'kl'. */
  kl: boolean;

  /** Per row; null: ones. */
  gradientScales: Floats | null;

  /** Whether to add up `Sums` beyond the numerator. */
  metrics: boolean;
  /** One per row each; null: not asked for. */
  rowLoss: Floats | null;
  rowNll: Floats | null;
  rowLse: Floats | null;
  rowEntropy: Floats | null;
  prediction: Int32Array | null;

  /** linearCrossEntropy; null: `logits` are given. */
  layer: Layer | null;
}

const NO_TOTAL: Total = { sum: 0, rest: 0, top: -1 };
const NO_TARGETS = new Int32Array(0);

// One literal for all batches, so that they all have one shape.
function makeBatch(
  classes: number,
  rowStride: number,
  inner: number,
  zero: number,
  half: number,
  one: number,
): Batch {
  return {
    rows: 0,
    classes,
    rowStride,
    inner,
    type: FLOAT32,
    logits: null,
    gradient: null,
    losses: null,
    targets: NO_TARGETS,
    seconds: null,
    lambdas: null,
    lambda: one,
    dense: null,
    denseStride: classes,
    logTarget: false,
    weight: null,
    weightStride: 0,
    posWeight: null,
    rowWeight: null,
    mask: null,
    maskStride: classes,
    prior: null,
    smoothing: null,
    epsilons: null,
    epsilon: zero,
    others: false,
    priorTotal: NO_TOTAL,
    smoothingTotal: NO_TOTAL,
    smoothingLog: zero,
    toward: half,
    kl: false,
    logitScale: one,
    softcap: zero,
    zLoss: zero,
    gradientScales: null,
    gradientScale: one,
    metrics: false,
    rowLoss: null,
    rowNll: null,
    rowLse: null,
    rowEntropy: null,
    prediction: null,
    layer: null,
  };
}

// V8 types the fields of a literal by the numbers it sees first: fractions here. Were those whole, each call after the first
// fraction would move its batch from one shape to another, and take 3 µs longer.
makeBatch(1, 1, 1, 0.5, 0.5, 0.5);

/** A batch of nothing, every option at its default. */
export function newBatch(classes: number, rowStride: number, inner: number): Batch {
  return makeBatch(classes, rowStride, inner, 0, 0.5, 1);
}

/** The sums over rows, in row order. All but the numerator are for metrics. */
export interface Sums {
  /** Σ rowWeight · row loss. */
  numerator: number;
  nll: number;
  /** Rows, or elements of bceWithLogits, that the model gets right. */
  correct: number;
  entropy: number;
  zLoss: number;
}

/** The kernels of a backend, by the index of their operation; kOperations in native/kernels/kernels.h is the same list. */
export const KERNELS = [
  'crossEntropy',
  'bceWithLogits',
  'logProb', // nllLoss, klDiv, and smoothLabels as −gradient of it
  'linearCrossEntropy',
] as const;
export type Kernels = Record<(typeof KERNELS)[number], Kernel>;

/**
 * Computes the rows [begin, end), by default all (`rowsOf`), which begin and end where chunks do (`rowChunk`): adds up
 * chunk by chunk, and writes gradient, losses and row results where asked for. `threads` is how many may share the call; `arena`
 * is where the targets are, by default the last arena.
 */
export interface Kernel {
  (batch: Batch, threads: number, begin?: number, end?: number, arena?: Arena): Sums;
  /**
   * Computes all rows in other threads, if the backend can; `done` is called later. Calling the returned function
   * cancels: no thread takes further rows, and if it was in time, `done` gets nothing. Without threads, does nothing
   * and returns undefined.
   */
  start?(batch: Batch, threads: number, done: (sums: Sums | undefined) => void): (() => void) | undefined;
  /**
   * The same as the call, for all rows, in steps of a few milliseconds at most; for kernels whose chunks take longer.
   * Between steps other calls may run.
   */
  steps?(batch: Batch): Generator<void, Sums>;
}

/** A row's classes are summed in segments of this many, and segments in order; kSegment in native/kernels/batch.h. */
export const SEGMENT = 64 * 512;
/** kMostChunks in native/kernels/batch.h. */
const MOST_CHUNKS = 8192;

/**
 * Rows of a chunk of linearCrossEntropy, whose logits are in memory together; kLayerRows and kManyLogits in
 * native/kernels/batch.h.
 */
const LAYER_ROWS = 512;
const MANY_LOGITS = 65536;

/** The rows that a kernel computes: of linearCrossEntropy those that take part, counted without the others. */
export function rowsOf({ rows, layer }: Batch): number {
  return layer === null ? rows : layer.rows;
}

/**
 * Rows are summed in chunks of this many, and chunks in order; rowChunk in native/kernels/batch.h explains how many.
 */
export function rowChunk({ rows, classes, inner, layer }: Batch): number {
  if (layer !== null) return classes > MANY_LOGITS ? LAYER_ROWS / 2 : LAYER_ROWS;
  const chunk = Math.max(1, Math.floor(SEGMENT / classes), Math.ceil(rows / MOST_CHUNKS));
  return inner === 1 ? chunk : Math.ceil(chunk / 32) * 32;
}

/** The sums of no rows. */
export function noSums(): Sums {
  return { numerator: 0, nll: 0, correct: 0, entropy: 0, zLoss: 0 };
}

export function addSums(total: Sums, sums: Sums): void {
  total.numerator += sums.numerator;
  total.nll += sums.nll;
  total.correct += sums.correct;
  total.entropy += sums.entropy;
  total.zLoss += sums.zLoss;
}
