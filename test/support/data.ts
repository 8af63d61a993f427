/**
 * Test data that any language reproduces to the last bit: no libm call is involved, and every step but the
 * final rounding to float32 is exact in double. test/vectors/generate.py holds the same generator in Python.
 */

/** Tommy Ettinger's mulberry32: a function that returns the next multiple of 2⁻³² in [0, 1). */
export function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `length` values of scale·N(0, 1), nearly: the sum of 12 uniforms less 6 has mean 0 and variance 1. */
export function normals(length: number, seed: number, scale: number): Float32Array {
  const uniform = mulberry32(seed);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let sum = 0;
    for (let n = 0; n < 12; n++) sum += uniform();
    values[i] = scale * (sum - 6);
  }
  return values;
}

/** `rows` class indices, uniform over [0, classes). */
export function classIndices(rows: number, classes: number, seed: number): Int32Array {
  const uniform = mulberry32(seed);
  return Int32Array.from({ length: rows }, () => Math.floor(uniform() * classes));
}
