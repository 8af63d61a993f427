// Arithmetic with as many bits as it takes, in BigInt: the references for the elementary functions.

/** A finite double as m · 2^e. */
export function decompose(x: number): { m: bigint; e: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  const m = exponent === 0 ? fraction : fraction | (1n << 52n);
  return { m: x < 0 ? -m : m, e: Math.max(exponent, 1) - 1075 };
}

const bitLength = (x: bigint) => x.toString(2).length;
const shift = (x: bigint, by: number) => (by >= 0 ? x << BigInt(by) : x >> BigInt(-by));
const abs = (x: bigint) => (x < 0n ? -x : x);

/** A real number: value · 2^−scale, right to about 200 bits. */
export interface Real {
  value: bigint;
  scale: number;
}

/** How many units in the last place of the format (53 bits: double, 24: float), subnormals too, x is from the real number. */
export function ulpsOff(x: number, { value, scale }: Real, precision: 24 | 53): number {
  const { m, e } = decompose(x);
  // Everything in units of 2^−s.
  const s = Math.max(scale, -e, 1074);
  const error = abs(shift(m, e + s) - shift(value, s - scale));
  const exponent = bitLength(abs(value)) - 1 - scale;
  const ulp = shift(1n, Math.max(exponent - (precision - 1), precision === 53 ? -1074 : -149) + s);
  return Number((error << 20n) / ulp) / 2 ** 20;
}

const P = 300;
const ONE = 1n << BigInt(P);

/** atanh(n/d) · 2^p for 0 ≤ n/d ≤ 1/2. */
function atanh(n: bigint, d: bigint, p: number): bigint {
  let power = (n << BigInt(p)) / d;
  const square = (power * power) >> BigInt(p);
  let sum = 0n;
  for (let k = 1n; power !== 0n; k += 2n) {
    sum += power / k;
    power = (power * square) >> BigInt(p);
  }
  return sum;
}

const LN2 = 2n * atanh(1n, 3n, P);

/** e^x for a finite double. */
export function exactExp(x: number): Real {
  const { m, e } = decompose(x);
  return expOf(shift(m, e + P), Math.round(x / Math.LN2));
}

/** e^(fixed · 2^−P), with n near it / ln 2. */
function expOf(fixed: bigint, n: number): Real {
  const r = fixed - BigInt(n) * LN2;
  let term = ONE;
  let sum = ONE;
  for (let k = 1n; term !== 0n && term !== -1n; k++) {
    term = (term * r) / (k << BigInt(P));
    sum += term;
  }
  return { value: sum, scale: P - n };
}

/** ln x for a double > 0. */
export function exactLog(x: number): Real {
  const { m, e } = decompose(x);
  // x = f · 2^k with f = m / 2^b in [1/2, 2): from the side on which ln f is small where x is near 1.
  const b = bitLength(m) - (x >= 1 ? 1 : 0);
  const k = e + b;
  const one = 1n << BigInt(b);
  const ratio = m >= one ? atanh(m - one, m + one, P) : -atanh(one - m, m + one, P);
  return { value: 2n * ratio + BigInt(k) * LN2, scale: P };
}

/** ln(1 + a/b) for doubles with 0 < a ≤ b. */
export function exactLog1p(a: number, b: number): Real {
  const { m: ma, e: ea } = decompose(a);
  const { m: mb, e: eb } = decompose(b);
  const low = Math.min(ea, eb);
  const n = shift(ma, ea - low);
  const d = shift(mb, eb - low);
  const scale = P + Math.max(0, bitLength(d) - bitLength(n));
  return { value: 2n * atanh(n, n + 2n * d, scale), scale };
}

/** A fraction of doubles. */
export function exactRatio(a: number, b: number): Real {
  const { m: ma, e: ea } = decompose(a);
  const { m: mb, e: eb } = decompose(b);
  const scale = P + Math.max(0, bitLength(mb) - bitLength(ma));
  return { value: (ma << BigInt(scale)) / mb, scale: scale + eb - ea };
}

/**
 * Σ share_k · (lse − z_k) of a row of finite doubles, Σ share_k · −ln p_k. Nothing cancels: with e_k = e^(z_k − max) it
 * is Σ share_k · ((max − z_k) + ln(1 + Σ e_k but the largest)), as fixed points whose last place is 2^−1400.
 */
export function exactSoftmaxLoss(z: ArrayLike<number>, shares: readonly Real[]): Real {
  const FINE = 1400;
  const fixed = Array.from(z, (zk) => shift(decompose(zk).m, decompose(zk).e + FINE));
  const most = fixed.reduce((a, b) => (a > b ? a : b));
  const below = fixed.map((zk) => most - zk);
  let rest = -(1n << BigInt(FINE)); // without the largest
  for (const gap of below) {
    const size = Number(gap >> BigInt(FINE - 20)) / 2 ** 20;
    if (size > 900) continue; // 2^−1298
    const { value, scale } = expOf(-shift(gap, P - FINE), -Math.round(size / Math.LN2));
    rest += shift(value, FINE - scale);
  }
  // 1 + rest = f · 2^j with f in [1, 2): ln f = 2 atanh((f − 1) / (f + 1)).
  const j = BigInt(bitLength((1n << BigInt(FINE)) + rest) - 1 - FINE);
  const one = 1n << (BigInt(FINE) + j);
  const excess = (1n << BigInt(FINE)) + rest - one;
  const log = 2n * atanh(excess, excess + 2n * one, FINE) + shift(j * LN2, FINE - P);
  let value = 0n;
  shares.forEach((share, k) => {
    value += shift(share.value * (below[k] + log), -share.scale);
  });
  return { value, scale: FINE };
}

/** tanh y for a double y > 0. */
export function exactTanh(y: number): Real {
  const { m, e } = decompose(y);
  if (y < 2 ** -60) {
    // y − y³/3 + 2·y⁵/15, the next term is below 2^−360 of it.
    const scale = P - e - bitLength(m);
    const fixed = shift(m, e + scale);
    const square = shift(m * m, 2 * e + P);
    const cubic = (fixed * square) >> BigInt(P);
    return { value: fixed - cubic / 3n + (2n * ((cubic * square) >> BigInt(P))) / 15n, scale };
  }
  const { value, scale } = exactExp(2 * y);
  const one = 1n << BigInt(scale);
  return { value: ((value - one) << BigInt(P)) / (value + one), scale: P };
}

/** The float nearest to a·b + c, ties to even; the operands are finite floats. */
export function exactFma(a: number, b: number, c: number): number {
  const UNIT = 298; // 2^−298: the least product of floats
  const fixed = (x: number, by: number) => {
    const { m, e } = decompose(x);
    return shift(m, e + by);
  };
  const exact = fixed(a, 149) * fixed(b, 149) + fixed(c, UNIT);
  if (exact === 0n) {
    // The sign of an exact 0: that of both, or + where they cancel.
    return Object.is(a * b, -0) && Object.is(c, -0) ? -0 : 0;
  }
  const size = abs(exact);
  // The last place: 24 bits, but no smaller than 2^−149.
  const drop = BigInt(Math.max(bitLength(size) - 24, UNIT - 149));
  let q = size >> drop;
  const rest = size - (q << drop);
  const half = 1n << (drop - 1n);
  if (rest > half || (rest === half && (q & 1n) === 1n)) q++;
  const magnitude = Number(q) * 2 ** (Number(drop) - UNIT);
  const float = magnitude >= 2 ** 128 ? Infinity : magnitude;
  return exact < 0n ? -float : float;
}
