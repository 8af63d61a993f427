// The elementary functions, out of operations that IEEE 754 defines to the last bit, so that every backend returns the
// same bits. Mirrors native/math-inl.h name by name; the polynomials are explained there.

const fround = Math.fround;

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
  return error > 0 === r > other ? r : other;
}

export const ROUND_TO_INTEGER = 12582912; // 1.5·2^23: the float grid here has spacing 1
const LOG2_E = 1.4426950216293335;
const LN2_HIGH = 0.6931471824645996;
const LN2_LOW = -1.9046542121259336e-9;

// 2^(i − 127), 0 for i = 0: what shifting i to the exponent bits gives.
const EXPONENT = Float32Array.from({ length: 256 }, (_, i) => (i === 0 ? 0 : 2 ** (i - 127)));

/** The float e^x · 2^−k from the float x and magic = 1.5·2^23 + 127 − k. */
export function exp32(x: number, magic: number): number {
  const sum = fma(x, LOG2_E, magic);
  const n = sum - magic;
  // Both products and differences are exact in double (|n| ≤ 2^21), so plain rounding is what fma does.
  const r = fround(x - n * LN2_HIGH - n * LN2_LOW);
  let p = fma(0.0013820661697536707, r, 0.008368674665689468);
  p = fma(p, r, 0.04166826605796814);
  p = fma(p, r, 0.1666652113199234);
  p = fma(p, r, 0.4999999403953552);
  p = fma(p, r, 1);
  p = fma(p, r, 1);
  return fround(p * EXPONENT[(sum - ROUND_TO_INTEGER) & 255]);
}

const LOG2_E_DOUBLE = 1.4426950408889634;
export const LN2 = 0.6931471805599453;
const LN2_HIGH_DOUBLE = 0.6931471803691238;
const LN2_LOW_DOUBLE = 1.9082149292705877e-10;

// For the bits of a double.
const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
const [LOW, HIGH] = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? [0, 1] : [1, 0];

const ROUND_TO_INTEGER_DOUBLE = 6755399441055744; // 1.5·2^52

/** round(x) for |x| < 2^51. */
export function roundToInteger(x: number): number {
  return x + ROUND_TO_INTEGER_DOUBLE - ROUND_TO_INTEGER_DOUBLE;
}

/** round(x · log2 e). */
export function roundLog2(x: number): number {
  return roundToInteger(x * LOG2_E_DOUBLE);
}

/** e^x for x ≤ 700, within 1 unit in the last place; 0 below −700; NaN for NaN. */
export function exp(x: number): number {
  if (x < -700) return 0;
  if (Number.isNaN(x)) return x;
  const n = roundLog2(x);
  const r = x - n * LN2_HIGH_DOUBLE - n * LN2_LOW_DOUBLE;
  let p = 2.510038549551032e-8;
  p = p * r + 2.7620088445409746e-7;
  p = p * r + 2.7557268459997064e-6;
  p = p * r + 2.4801521295954376e-5;
  p = p * r + 0.00019841269863053618;
  p = p * r + 0.0013888888917213717;
  p = p * r + 0.008333333333330062;
  p = p * r + 0.04166666666662413;
  p = p * r + 0.16666666666666669;
  p = p * r + 0.5;
  words[LOW] = 0;
  words[HIGH] = (n + 1023) << 20;
  return (1 + (r + r * r * p)) * double[0];
}

// ln((1 + s) / (1 − s)) for |s| ≤ (√2 − 1)/(√2 + 1).
function logRatio(s: number): number {
  const z = s * s;
  let q = 0.146167211663331;
  q = q * z + 0.15331699634637924;
  q = q * z + 0.18182889786158152;
  q = q * z + 0.2222221112572326;
  q = q * z + 0.28571428626031065;
  q = q * z + 0.3999999999989938;
  q = q * z + 0.666666666666667;
  return 2 * s + s * z * q;
}

/** ln x for normal x > 0, within 1.5 units in the last place; NaN for NaN. */
export function log(x: number): number {
  if (Number.isNaN(x)) return x;
  // x = m · 2^k with m in [√½, √2): subtracting √½'s bits makes the exponent field k.
  double[0] = x;
  const k = (words[HIGH] - 0x3fe6a09e - (words[LOW] < 0x667f3bcd ? 1 : 0)) >> 20;
  words[HIGH] -= k << 20;
  const m = double[0];
  return k * LN2_HIGH_DOUBLE + (k * LN2_LOW_DOUBLE + logRatio((m - 1) / (m + 1)));
}

/** ln(1 + x) for x in [0, 0.41], within 2 units in the last place, however small x is. */
export function log1p(x: number): number {
  return logRatio(x / (2 + x));
}
