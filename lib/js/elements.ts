// The elements of logits and gradients: half types, and how a row of any type and layout is copied to and from contiguous
// numbers of the arithmetic's type. Mirrors loads and stores of native/simd/vec-inl.h and native/kernels/blocks-inl.h.

import { BFLOAT16, type Elements, FLOAT16, type Floats } from '../batch.js';

// For the bits of a float.
const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

function fromHalf(bits: number): number {
  const rest = (bits & 0x7fff) << 13;
  const special = (bits & 0x7c00) === 0x7c00;
  word[0] = special ? rest | 0x7f800000 : rest;
  // The exponent's bias: times 2^112, which is exact and right for subnormals too.
  const magnitude = special ? float[0] : float[0] * 2 ** 112;
  return (bits & 0x8000) === 0 ? magnitude : -magnitude;
}

function fromBfloat16(bits: number): number {
  word[0] = bits << 16;
  return float[0];
}

// A float rounds to nearest even; beyond the range to infinity.
function toHalf(x: number): number {
  float[0] = x;
  const sign = (word[0] >>> 16) & 0x8000;
  const bits = word[0] & 0x7fffffff;
  if (bits > 0x7f800000) return 0x7e00;
  if (bits >= 0x477ff000) return sign | 0x7c00; // from halfway between the largest and the next
  if (bits < 0x38800000) {
    // Subnormal: floats in [½, 1) have the spacing 2^−24.
    word[0] = bits;
    float[0] += 0.5;
    return sign | (word[0] - 0x3f000000);
  }
  return sign | ((bits + 0xfff + ((bits >>> 13) & 1) - (112 << 23)) >>> 13);
}

function toBfloat16(x: number): number {
  if (Number.isNaN(x)) return 0x7fc0;
  float[0] = x;
  return (word[0] + 0x7fff + ((word[0] >>> 16) & 1)) >>> 16;
}

/** The element of an array of the type for a number. */
function encode(type: number, x: number): number {
  return type === FLOAT16 ? toHalf(x) : type === BFLOAT16 ? toBfloat16(x) : x;
}

/** Copies n numbers, `step` apart from index `start` on, to the beginning of `to`. */
export function copy(
  from: Floats | Uint8Array,
  start: number,
  step: number,
  n: number,
  to: Floats | Uint8Array,
): void {
  for (let c = 0, i = start; c < n; c++, i += step) to[c] = from[i];
}

/** Copies elements of the type likewise. */
export function load(type: number, from: Elements, start: number, step: number, n: number, to: Floats): void {
  if (type === FLOAT16) {
    for (let c = 0, i = start; c < n; c++, i += step) to[c] = fromHalf(from[i]);
  } else if (type === BFLOAT16) {
    for (let c = 0, i = start; c < n; c++, i += step) to[c] = fromBfloat16(from[i]);
  } else {
    copy(from as Floats, start, step, n, to);
  }
}

/** Copies numbers back to elements of the type. */
export function store(
  from: Floats,
  type: number,
  to: Elements,
  start: number,
  step: number,
  n: number,
): void {
  if (type === FLOAT16) {
    for (let c = 0, i = start; c < n; c++, i += step) to[i] = toHalf(from[c]);
  } else if (type === BFLOAT16) {
    for (let c = 0, i = start; c < n; c++, i += step) to[i] = toBfloat16(from[c]);
  } else {
    for (let c = 0, i = start; c < n; c++, i += step) to[i] = from[c];
  }
}

/** Writes one number of the arithmetic's type. */
export function put(type: number, to: Elements, index: number, x: number): void {
  to[index] = encode(type, x);
}

/** Sets all elements of a row to one number. */
export function fillRow(type: number, to: Elements, start: number, step: number, n: number, x: number): void {
  const element = encode(type, x);
  for (let c = 0, i = start; c < n; c++, i += step) to[i] = element;
}
