// @ts-check

/** The types of numbers that losses are computed from. Half floats are their bits. */
export const ARRAYS = /** @type {const} */ ({
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  void16: Uint16Array, // what np.save makes of types that NumPy does not know, such as ml_dtypes' bfloat16
});
/** @typedef {keyof typeof ARRAYS} Type */

export const MOST_AXES = 64; // NumPy's own limit

/**
 * A shape as Python writes it.
 * @param {readonly number[]} shape
 */
export const tuple = (shape) => (shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`);

/** @param {readonly number[]} shape */
export const lengthOf = (shape) => (shape.includes(0) ? 0 : shape.reduce((product, n) => product * n, 1));
