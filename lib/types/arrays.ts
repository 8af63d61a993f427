// The arrays that the functions take and return.

/** Class indices, one per row: any integer typed array. */
export type IndexArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** The built-in Float16Array, where the compiler's `lib` knows it (esnext.float16); else `never`. */
export type Float16ArrayIfKnown = typeof globalThis extends { Float16Array: { prototype: infer A } }
  ? A
  : never;

/**
 * What takes part, a number for each row or element: 0 for what does not. Any array of integers, as tokenizers and
 * onnxruntime return attention masks (BigInt64Array) and booleans (Uint8Array).
 */
export type Mask = IndexArray | Uint8ClampedArray;

/**
 * Weights and the like, within the range of float32. A Float64Array goes with Float64Array logits (in `smoothLabels`:
 * targets), and is used in double; a Float32Array goes with all. What does not go together is an error when it runs.
 */
export type Factors = Float32Array | Float64Array;

/** The number types of logits, by their names. */
export type DType = 'float32' | 'float64' | 'float16' | 'bfloat16';

/** What other tensors call theirs, so that `dtype: tensor.type` compiles. Logits have none of these. */
export type OtherType =
  | 'int4'
  | 'uint4'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'string'
  | 'complex64'
  | 'complex128';

/**
 * Scores or log-probabilities, one per row and class. A Uint16Array holds the bits of half floats, and option `dtype`
 * says of which kind. Arithmetic is in double precision for a Float64Array, and for all others in float32, with sums
 * and row totals in double precision.
 */
export type Logits = Float32Array | Float64Array | Uint16Array | Float16ArrayIfKnown;

/** The typed array that logits are, whatever memory it is on. */
export type ArrayOf<L extends Logits> = L extends Float32Array
  ? Float32Array
  : L extends Float64Array
    ? Float64Array
    : L extends Uint16Array
      ? Uint16Array
      : Float16ArrayIfKnown;

// New arrays, on memory of their own: Float32Array<ArrayBuffer> from TypeScript 5.7 on, and what `of` returns says so; before,
// typed arrays are not generic.
type NewFloat32Array = ReturnType<typeof Float32Array.of>;
type NewFloat64Array = ReturnType<typeof Float64Array.of>;
type NewUint16Array = ReturnType<typeof Uint16Array.of>;
type NewFloat16ArrayIfKnown = typeof globalThis extends {
  Float16Array: { of(...items: number[]): infer A };
}
  ? A
  : never;

/** A new array of the type that logits are, on an ArrayBuffer of its own. */
export type NewArrayOf<L extends Logits> = L extends Float32Array
  ? NewFloat32Array
  : L extends Float64Array
    ? NewFloat64Array
    : L extends Uint16Array
      ? NewUint16Array
      : NewFloat16ArrayIfKnown;

/** The array of a gradient of `linearCrossEntropy`, whatever memory it is on. */
export type GradientArrayOf<L extends Logits> = L extends Float64Array ? Float64Array : Float32Array;

/** The new array of losses: Float64Array for Float64Array logits, Float32Array for all others. */
export type FloatsOf<L extends Logits> = L extends Float64Array ? NewFloat64Array : NewFloat32Array;

/**
 * R·C numbers, row after row: a probability per row and class ("soft targets"). They are not checked, and rows need not
 * sum to 1. With `rowStride` they may also lie as the logits do; with `inner` they always do. With logits other than
 * Float64Array they are rounded to float32.
 */
export type SoftTargets = Float32Array | Float64Array;

/**
 * Two classes per row, mixed: λ·onehot(a) + (1 − λ)·onehot(b), as MixUp (arXiv:1710.09412) and CutMix
 * (arXiv:1905.04899) make.
 */
export interface MixedTargets {
  /** Length R: the first class of each row. */
  a: IndexArray;
  /** Length R: the second class of each row. */
  b: IndexArray;
  /**
   * λ, the share of `a`, in [0, 1]: one for all rows, or one per row (length R; a Float64Array goes with Float64Array
   * logits).
   */
  lambda: number | Factors;
}

/**
 * What the logits are compared with: a class per row, a probability per row and class, or two classes per row, mixed.
 */
export type Targets = IndexArray | SoftTargets | MixedTargets;

/**
 * Targets of `bceWithLogits`: R·C numbers in [0, 1], not checked, row after row or laid out as the logits; or a class
 * per row, which stands for 1 in that class and 0 in all others. A Uint8Array always holds numbers per row and class.
 */
export type BceTargets = SoftTargets | Uint8Array | Exclude<IndexArray, Uint8Array>;
