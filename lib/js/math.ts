// The elementary functions. They use only operations that IEEE 754 defines to the last bit, so every backend returns the
// same bits. Mirrors native/simd/math-inl.h, which explains the polynomials. Names end in 32 and 64, or Float and Double,
// where C++ overloads one.

const fround = Math.fround;

// Views of the bits of a float, and of a double.
const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);
const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
const [LOW, HIGH] = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? [0, 1] : [1, 0];

/**
 * a·b + c of floats, rounded once, as by the fma instruction. a·b is exact in double and the sum rounds to 53 bits; rounding
 * that to float is right unless it lies exactly between two floats. Then 2·sum − r is the other one.
 */
export function fma(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  const r = fround(sum);
  const mirrored = sum + (sum - r);
  return fround(mirrored) !== mirrored || mirrored === r ? r : roundHalfway(product, c, sum, r, mirrored);
}

// The error of the sum tells which of the two floats is nearer. A function of its own, so that fma is small enough to be
// inlined.
function roundHalfway(product: number, c: number, sum: number, r: number, other: number): number {
  const added = sum - product;
  const error = product - (sum - added) + (c - added);
  if (error === 0) return r;
  if (r - r !== 0) {
    // Rounded to infinity: halfway to it, the error can still bring the result back.
    const halfway = Math.abs(sum) === 2 ** 128 - 2 ** 103;
    return halfway && error > 0 !== r > 0 ? Math.sign(r) * (2 ** 128 - 2 ** 104) : r;
  }
  return error > 0 === other > r ? other : r;
}

const ROUND_TO_EIGHTH = 844424930131968; // 1.5·2^49: the grid of doubles here has spacing 1/8
const ROUND_TO_INTEGER = 12582912; // 1.5·2^23: spacing 1
const LOG2_E = 1.4426950216293335;
const LN2_HIGH = 0.6931471824645996;
const LN2_LOW = -1.9046542121259336e-9;

const ROUND_TO_INTEGER_DOUBLE = 6755399441055744; // 1.5·2^52
const LOG2_E_DOUBLE = 1.4426950408889634;
export const LN2 = 0.6931471805599453;
const LN2_HIGH_DOUBLE = 0.6931471803691238;
const LN2_LOW_DOUBLE = 1.9082149292705877e-10;

// e^r − 1 for |r| ≤ ln2/2.
function expMinus1(r: number): number {
  const r2 = r * r;
  const r4 = r2 * r2;
  const p0 = 0.5 + 0.16666666666666669 * r + (0.04166666666662413 + 0.008333333333330062 * r) * r2;
  const p4 =
    0.0013888888917213717 +
    0.00019841269863053618 * r +
    (2.4801521295954376e-5 + 2.7557268459997064e-6 * r) * r2;
  const p8 = 2.7620088445409746e-7 + 2.510038549551032e-8 * r;
  const p = p0 + (p4 + p8 * r4) * r4;
  return r + r2 * p;
}

// The same in float.
function expMinus1Float(r: number): number {
  let p = fma(0.0013946437975391746, r, 0.008366577327251434);
  p = fma(p, r, 0.04166628047823906);
  p = fma(p, r, 0.1666654348373413);
  p = fma(p, r, 0.5);
  return fma(p, fround(r * r), r);
}

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

/**
 * to ← e^max(x − shift, floor) · 2^−k in float, from magic = 1.5·2^49 + 127 − k, within 2.2 units in the last place: for the
 * elements [start, end) of `from`, into `to` from `first` on. It may work in place.
 *
 * It rounds doubles where the native kernels call fma, to the same bits. The sum with magic is rounded once, to eighths, as that
 * of floats with 1.5·2^20 + 127 − k. n · LN2_HIGH, n · LN2_LOW and both differences are exact (|n| ≤ 2^21). The last three
 * sums round twice, to double and to float, and are right: test/math.test.ts proves it for all r and powers.
 */
export function exp32(
  from: Float32Array,
  start: number,
  end: number,
  shift: number,
  k: number,
  to: Float32Array,
  first: number,
): void {
  const floor = expFloor(k);
  const magic = expMagic(k);
  for (let i = start, j = first; i < end; i++, j++) {
    const shifted = fround(from[i] - shift);
    const x = floor > shifted ? floor : shifted;
    const sum = x * LOG2_E + magic;
    const n = sum - magic;
    const r = fround(x - n * LN2_HIGH - n * LN2_LOW);
    const p = fround(fround(P3 * r + P2) * fround(r * r) + r);
    const power = POWERS[((sum - ROUND_TO_EIGHTH) * 8) & 2047];
    to[j] = p * power + power;
  }
}

// The bits of a double that a float drops, and what they are if the double lies halfway between two floats.
const DROPPED = 0x1fffffff;
const HALFWAY = 0x10000000;

/** to ← scale · from + offset by fma, n elements, into `to` from `first` on. */
export function fmaOf(
  from: Float32Array,
  n: number,
  scale: number,
  offset: number,
  to: Float32Array,
  first: number,
): void {
  // From such an offset on, subnormal sums are exact. So is adding 0.
  const plain = offset === 0 || Math.abs(offset) > 2 ** -90;
  for (let i = 0; ; i++) {
    if (plain) i = fmaUntil(from, i, n, scale, offset, to, first);
    if (i === n) return;
    to[first + i] = fma(from[i], scale, offset);
  }
}

/**
 * The same by plain rounding, up to the first sum that lies halfway between two floats; returns its index, or n.
 *
 * The loop has no call. V8 stops inlining at some size, and then each call takes longer than its arithmetic; even a call that
 * is hardly ever made costs a third more, since it takes the loop's registers.
 */
function fmaUntil(
  from: Float32Array,
  start: number,
  end: number,
  scale: number,
  offset: number,
  to: Float32Array,
  first: number,
): number {
  for (let i = start; i < end; i++) {
    const sum = from[i] * scale + offset;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) return i;
    to[first + i] = sum;
  }
  return end;
}

// Entry b is 2^(b − 1023), and 0 for b = 0.
const POWERS_DOUBLE = Float64Array.from({ length: 2048 }, (_, b) => (b === 0 ? 0 : 2 ** (b - 1023)));

/** The same in double, from magic = 1.5·2^52 + 1023 − k: within 1.3 units in the last place. */
export function exp64(
  from: Float64Array,
  start: number,
  end: number,
  shift: number,
  k: number,
  to: Float64Array,
  first: number,
): void {
  const floor = expFloorDouble(k);
  const magic = expMagicDouble(k);
  for (let i = start, j = first; i < end; i++, j++) {
    const shifted = from[i] - shift;
    const x = floor > shifted ? floor : shifted;
    const sum = x * LOG2_E_DOUBLE + magic;
    const n = sum - magic;
    const r = x - n * LN2_HIGH_DOUBLE - n * LN2_LOW_DOUBLE;
    to[j] = (1 + expMinus1(r)) * POWERS_DOUBLE[(sum - ROUND_TO_INTEGER_DOUBLE) & 2047];
  }
}

// The magic number of exp32 for one scale, and its floor, the largest x for which it returns 0; then those of exp64.
function expMagic(k: number): number {
  return ROUND_TO_EIGHTH + (127 - k);
}
function expFloor(k: number): number {
  return fround((k - 127) * LN2);
}
function expMagicDouble(k: number): number {
  return ROUND_TO_INTEGER_DOUBLE + (1023 - k);
}
function expFloorDouble(k: number): number {
  return (k - 1023) * LN2;
}

/** round(x) for |x| < 2^51. */
export function roundToInteger(x: number): number {
  return x + ROUND_TO_INTEGER_DOUBLE - ROUND_TO_INTEGER_DOUBLE;
}

/** round(x · log2 e). */
export function roundLog2(x: number): number {
  return roundToInteger(x * LOG2_E_DOUBLE);
}

/** x − k · ln 2, with two halves of ln 2 for logits in double. */
export function lessLn2(x: number, k: number, double: boolean): number {
  return double ? x - k * LN2_HIGH_DOUBLE - k * LN2_LOW_DOUBLE : x - k * LN2;
}

/** e^x for x ≤ 700, within 1.3 units in the last place; 0 below −700; NaN for NaN. */
export function exp(x: number): number {
  if (x < -700) return 0;
  if (Number.isNaN(x)) return x;
  const n = roundLog2(x);
  const r = x - n * LN2_HIGH_DOUBLE - n * LN2_LOW_DOUBLE;
  words[LOW] = 0;
  words[HIGH] = (n + 1023) << 20;
  return (1 + expMinus1(r)) * double[0];
}

// ln((1 + s) / (1 − s)) for |s| ≤ (√2 − 1)/(√2 + 1).
function logRatio(s: number): number {
  const z = s * s;
  const z2 = z * z;
  const q0 = 0.666666666666667 + 0.3999999999989938 * z + (0.28571428626031065 + 0.2222221112572326 * z) * z2;
  const q4 = 0.18182889786158152 + 0.15331699634637924 * z + 0.146167211663331 * z2;
  return 2 * s + s * z * (q0 + q4 * (z2 * z2));
}

// The same in float.
function logRatioFloat(s: number): number {
  const z = fround(s * s);
  let q = fma(0.2987172603607178, z, 0.3997754156589508);
  q = fma(q, z, 0.6666677594184875);
  return fma(fround(s * z), q, s + s);
}

/**
 * ln(a/b + 1) if `relative`, for 0 ≤ a ≤ 0.4·b, to full relative precision however small a/b is; ln(a + b) if not, for
 * a + b a normal number. Within 2.1 units in the last place.
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

/** ln x of a normal number, within 2.1 units in the last place. */
export function log(x: number): number {
  return logSum(x, 0, false);
}

/**
 * The float ln x for floats 0 < x < Infinity, subnormal numbers too; NaN for x < 0, for others some number. Within 2
 * units in the last place.
 */
export function log32(x: number): number {
  if (x < 0) return NaN;
  const tiny = x < 2 ** -126;
  float[0] = tiny ? x * 2 ** 25 : x;
  // x = m · 2^k with m in [√½, √2).
  const biased = (word[0] + (0x3f800000 - 0x3f3504f3)) >>> 23;
  word[0] += 0x3f800000 - (biased << 23);
  const m = float[0];
  const k = biased - 127 - (tiny ? 25 : 0);
  const logM = logRatioFloat(fround(fround(m - 1) / fround(m + 1)));
  return fma(k, LN2_HIGH, fma(k, LN2_LOW, logM));
}

/** The same in double: within 2.1 units in the last place. */
export function log64(x: number): number {
  if (x < 0) return NaN;
  const tiny = x < 2 ** -1022;
  double[0] = tiny ? x * 2 ** 54 : x;
  const carry = words[LOW] < 0x667f3bcd ? 1 : 0;
  const biased = (words[HIGH] + (0x3ff00000 - 0x3fe6a09e) - carry) >>> 20;
  words[HIGH] += 0x3ff00000 - (biased << 20);
  const m = double[0];
  const k = biased - 1023 - (tiny ? 54 : 0);
  const logM = logRatio((m - 1) / (m + 1));
  return k * LN2_HIGH_DOUBLE + (k * LN2_LOW_DOUBLE + logM);
}

/** The float ln(1 + e) for floats 0 ≤ e ≤ 1, within 1.6 units in the last place. */
export function log1p32(e: number): number {
  let m = fma(-0.0033184748608618975, e, 0.020204594358801842);
  m = fma(m, e, -0.05766445770859718);
  m = fma(m, e, 0.10680556297302246);
  m = fma(m, e, -0.15355396270751953);
  m = fma(m, e, 0.19695399701595306);
  m = fma(m, e, -0.24958586692810059);
  m = fma(m, e, 0.33330512046813965);
  m = fma(m, e, -0.4999993145465851);
  return fma(m, fround(e * e), e);
}

/** The same of n elements; written like fmaOf. */
export function log1pOf(from: Float32Array, n: number, to: Float32Array): void {
  for (let i = 0; ; i++) {
    i = log1pUntil(from, i, n, to);
    if (i === n) return;
    to[i] = log1p32(from[i]);
  }
}

function log1pUntil(from: Float32Array, start: number, end: number, to: Float32Array): number {
  for (let i = start; i < end; i++) {
    const x = from[i];
    let sum: number;
    sum = -0.0033184748608618975 * x + 0.020204594358801842;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY || x < 2 ** -120) return i;
    sum = fround(sum) * x - 0.05766445770859718;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) return i;
    sum = fround(sum) * x + 0.10680556297302246;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) return i;
    sum = fround(sum) * x - 0.15355396270751953;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) return i;
    sum = fround(sum) * x + 0.19695399701595306;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) return i;
    sum = fround(sum) * x - 0.24958586692810059;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) return i;
    sum = fround(sum) * x + 0.33330512046813965;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) return i;
    sum = fround(sum) * x - 0.4999993145465851;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) return i;
    sum = fround(sum) * fround(x * x) + x;
    double[0] = sum;
    if ((words[LOW] & DROPPED) === HALFWAY) return i;
    to[i] = sum;
  }
  return end;
}

/** The same in double: within 2.2 units in the last place. */
export function log1p64(e: number): number {
  const large = e > 0.41421356237309503;
  const ratio = logRatio((large ? e - 1 : e) / (e + (large ? 3 : 2)));
  return large ? LN2 + ratio : ratio;
}

/** The float tanh y of a float, within 2.6 units in the last place; ±1 from where it rounds to that; NaN for NaN. */
export function tanh32(y: number): number {
  const magnitude = Math.abs(y);
  const x = 2 * (10 < magnitude ? 10 : magnitude);
  const magic = ROUND_TO_INTEGER + 127;
  const n = fma(x, LOG2_E, magic) - magic;
  const r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
  const power = POWERS[((n + 127) * 8) & 2047];
  const e = fma(power, expMinus1Float(r), fround(power - 1));
  const result = fround(e / fround(e + 2));
  return y < 0 || Object.is(y, -0) ? -result : result;
}

/** The same in double: within 2.8 units in the last place. */
export function tanh64(y: number): number {
  const magnitude = Math.abs(y);
  const x = 2 * (20 < magnitude ? 20 : magnitude);
  const magic = ROUND_TO_INTEGER_DOUBLE + 1023;
  const n = x * LOG2_E_DOUBLE + magic - magic;
  const r = x - n * LN2_HIGH_DOUBLE - n * LN2_LOW_DOUBLE;
  const power = POWERS_DOUBLE[(n + 1023) & 2047];
  const e = power * expMinus1(r) + (power - 1);
  const result = e / (e + 2);
  return y < 0 || Object.is(y, -0) ? -result : result;
}
