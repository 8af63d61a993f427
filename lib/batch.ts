// What a backend is given: one call with every argument checked and every default filled in.

/**
 * The sum of a vector of class factors, in a form from which one class can be left out without cancellation:
 * `rest` is the sum without the largest entry, which is at index `top`.
 */
export interface Total {
  sum: number;
  rest: number;
  top: number;
}

/** One checked call of crossEntropy; CrossEntropyBatch in native/kernels.h is the same, field by field. */
export interface CrossEntropyBatch {
  rows: number;
  classes: number;
  /** Elements from one row to the next, at least `classes`. */
  rowStride: number;
  /** The class of each row; -1: the row takes no part. */
  targets: Int32Array;
  logits: Float32Array;
  /** Laid out as the logits, may be the logits. */
  gradient: Float32Array | null;
  /** rowWeight · row loss, one per row. */
  losses: Float32Array | null;
  /** Per class; null: ones. */
  weight: Float32Array | null;
  /** Per class, the smoothing distribution before it is normalised; null: ones. */
  prior: Float32Array | null;
  /** Per class, weight · prior rounded to float; null: ones. */
  smoothing: Float32Array | null;
  /** Per row; null: ones. */
  rowWeight: Float32Array | null;
  /** Per row; null: `epsilon` for all. */
  epsilons: Float32Array | null;
  /** Per row; null: ones. */
  gradientScales: Float32Array | null;
  epsilon: number;
  /** Times each row's gradient; holds 1/denominator for the mean. */
  gradientScale: number;
  /** No smoothing mass for the row's own target. */
  others: boolean;
  priorTotal: Total;
  smoothingTotal: Total;
}

/** A backend: writes gradient and losses where asked for, returns the numerator Σ rowWeight · row loss. */
export interface Kernels {
  crossEntropy(batch: CrossEntropyBatch): number;
}

/** Rows are summed in chunks of this many, and chunks in order; kRowChunk in native/kernels.h. */
export const ROW_CHUNK = 64;
