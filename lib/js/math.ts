// The elementary functions, out of operations that IEEE 754 defines to the last bit, so that every backend returns the
// same bits. Mirrors native/math-inl.h name by name; the polynomials are explained there.

const fround = Math.fround;

// For the bits of a double.
const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
const [LOW, HIGH] = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? [0, 1] : [1, 0];

/**
 * The float a·b + c of floats, rounded once: what the fma instruction computes. a·b is exact in double and the sum rounds
 * to 53 bits; rounding that to float is right unless it lies exactly between two floats. Then 2·sum − r is the other one.
 */
export function fma(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  const r = fround(sum);
  const mirrored = sum + (sum - r);
  return fround(mirrored) !== mirrored || mirrored === r ? r : roundHalfway(product, c, sum, r, mirrored);
}

// The error of the sum tells which of the two floats is nearer. Apart from fma, which must stay small to be inlined.
function roundHalfway(product: number, c: number, sum: number, r: number, other: number): number {
  const part = sum - product;
  const error = product - (sum - part) + (c - part);
  if (error === 0) return r;
  if (r - r !== 0) {
    // Rounded to infinity: halfway to it, the error can still bring the result back.
    const halfway = Math.abs(sum) === 2 ** 128 - 2 ** 103;
    return halfway && error > 0 !== r > 0 ? Math.sign(r) * (2 ** 128 - 2 ** 104) : r;
  }
  return error > 0 === other > r ? other : r;
}

export const ROUND_TO_EIGHTH = 1572864; // 1.5·2^20: the float grid here has spacing 1/8
const LOG2_E = 1.4426950216293335;
const LN2_HIGH = 0.6931471824645996;
const LN2_LOW = -1.9046542121259336e-9;
const P3 = 0.16666871309280396;
const P2 = 0.5000646114349365;

// kEighths of the native kernels: 2^(i/8).
const EIGHTHS = [
  1, 1.0905077457427979, 1.1892070770263672, 1.2968395948410034, 1.4142135381698608, 1.5422108173370361,
  1.6817928552627563, 1.8340080976486206,
];
// Entry 8·b + i is 2^(b − 127) · EIGHTHS[i], and 0 for b = 0.
const POWERS = Float32Array.from({ length: 2048 }, (_, i) =>
  i < 8 ? 0 : 2 ** ((i >> 3) - 127) * EIGHTHS[i & 7],
);

/** The float e^x · 2^−k from the float x and magic = 1.5·2^20 + 127 − k. */
function exp32ByFma(x: number, magic: number): number {
  const sum = fma(x, LOG2_E, magic);
  const n = sum - magic;
  const r = fround(x - n * LN2_HIGH - n * LN2_LOW);
  const p = fma(fma(P3, r, P2), fround(r * r), r);
  const power = POWERS[((sum - ROUND_TO_EIGHTH) * 8) & 2047];
  return fma(p, power, power);
}

// The bits of a double that a float drops, and what they are if the double lies halfway between two floats.
const DROPPED = 0x1fffffff;
const HALFWAY = 0x10000000;

/**
 * e^max(x − shift, floor) · 2^−k, floats all, of the elements [start, end) of `from` into `to` from `first` on, which may
 * be where they are.
 *
 * exp32ByFma with plain rounding in place of fma, unless a sum lies halfway; the bits that rounding drops tell, since no
 * sum is subnormal, but the last below the lowest power. One loop without a call, since V8 stops inlining at some size
 * and each call would then take longer than its arithmetic. n · LN2_HIGH, n · LN2_LOW and both differences are exact in
 * double (|n| ≤ 2^21).
 */
export function exp32(
  from: Float32Array,
  start: number,
  end: number,
  shift: number,
  floor: number,
  magic: number,
  to: Float32Array,
  first: number,
): void {
  for (let i = start, j = first; i < end; i++, j++) {
    const shifted = fround(from[i] - shift);
    const x = floor > shifted ? floor : shifted;
    let sum: number;
    sum = x * LOG2_E + magic;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) {
      to[j] = exp32ByFma(x, magic);
      continue;
    }
    const scaled = fround(sum);
    const n = scaled - magic;
    const r = fround(x - n * LN2_HIGH - n * LN2_LOW);
    sum = P3 * r + P2;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) {
      to[j] = exp32ByFma(x, magic);
      continue;
    }
    sum = fround(sum) * fround(r * r) + r;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) {
      to[j] = exp32ByFma(x, magic);
      continue;
    }
    const index = ((scaled - ROUND_TO_EIGHTH) * 8) & 2047;
    const power = POWERS[index];
    sum = fround(sum) * power + power;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY || index === 8) {
      to[j] = exp32ByFma(x, magic);
      continue;
    }
    to[j] = sum;
  }
}

const LOG2_E_DOUBLE = 1.4426950408889634;
export const LN2 = 0.6931471805599453;
const LN2_HIGH_DOUBLE = 0.6931471803691238;
const LN2_LOW_DOUBLE = 1.9082149292705877e-10;

const ROUND_TO_INTEGER_DOUBLE = 6755399441055744; // 1.5·2^52

/** round(x) for |x| < 2^51. */
export function roundToInteger(x: number): number {
  return x + ROUND_TO_INTEGER_DOUBLE - ROUND_TO_INTEGER_DOUBLE;
}

/** round(x · log2 e). */
export function roundLog2(x: number): number {
  return roundToInteger(x * LOG2_E_DOUBLE);
}

/** e^x for x ≤ 700, within 1.2 units in the last place; 0 below −700; NaN for NaN. */
export function exp(x: number): number {
  if (x < -700) return 0;
  if (Number.isNaN(x)) return x;
  const n = roundLog2(x);
  const r = x - n * LN2_HIGH_DOUBLE - n * LN2_LOW_DOUBLE;
  const r2 = r * r;
  const r4 = r2 * r2;
  const p0 = 0.5 + 0.16666666666666669 * r + (0.04166666666662413 + 0.008333333333330062 * r) * r2;
  const p4 =
    0.0013888888917213717 +
    0.00019841269863053618 * r +
    (2.4801521295954376e-5 + 2.7557268459997064e-6 * r) * r2;
  const p8 = 2.7620088445409746e-7 + 2.510038549551032e-8 * r;
  const p = p0 + (p4 + p8 * r4) * r4;
  words[LOW] = 0;
  words[HIGH] = (n + 1023) << 20;
  return (1 + (r + r2 * p)) * double[0];
}

// ln((1 + s) / (1 − s)) for |s| ≤ (√2 − 1)/(√2 + 1).
function logRatio(s: number): number {
  const z = s * s;
  const z2 = z * z;
  const q0 = 0.666666666666667 + 0.3999999999989938 * z + (0.28571428626031065 + 0.2222221112572326 * z) * z2;
  const q4 = 0.18182889786158152 + 0.15331699634637924 * z + 0.146167211663331 * z2;
  return 2 * s + s * z * (q0 + q4 * (z2 * z2));
}

/**
 * ln(a/b + 1) if `relative`, for 0 ≤ a ≤ 0.4·b, to full relative precision however small a/b is; ln(a + b) if not, for
 * a + b a normal number. Within 2 units in the last place.
 */
export function logSum(a: number, b: number, relative: boolean): number {
  const sum = a + b;
  // sum = m · 2^k with m in [√½, √2): subtracting √½'s bits makes the exponent field k.
  double[0] = sum;
  const k = (words[HIGH] - 0x3fe6a09e - (words[LOW] < 0x667f3bcd ? 1 : 0)) >> 20;
  words[HIGH] -= k << 20;
  const m = double[0];
  const n = relative ? 0 : k;
  const s = (relative ? a : m - 1) / (relative ? a + 2 * b : m + 1);
  return n * LN2_HIGH_DOUBLE + (n * LN2_LOW_DOUBLE + logRatio(s));
}
