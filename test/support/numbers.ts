// The number types of logits: halves as their bits.

export type NumberType = 'float32' | 'float64' | 'float16' | 'bfloat16';
export const NUMBER_TYPES: readonly NumberType[] = ['float32', 'float64', 'float16', 'bfloat16'];

/** Logits and gradients as the tests pass them. */
export type Elements = Float32Array | Float64Array | Uint16Array;

export interface Half {
  /** Bits of the fraction. */
  fraction: number;
  /** The exponent of the smallest and of the largest normal numbers. */
  least: number;
  most: number;
}

export const HALVES: Record<'float16' | 'bfloat16', Half> = {
  float16: { fraction: 10, least: -14, most: 15 },
  bfloat16: { fraction: 7, least: -126, most: 127 },
};

export const isHalf = (type: NumberType): type is 'float16' | 'bfloat16' => type in HALVES;

/** The number that 16 bits stand for. */
export function decodeHalf(bits: number, { fraction, least, most }: Half): number {
  const sign = bits >> 15 ? -1 : 1;
  const f = bits & (2 ** fraction - 1);
  const exponent = (bits & 0x7fff) >> fraction;
  if (exponent === most - least + 2) return f === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * f * 2 ** (least - fraction);
  return sign * (2 ** fraction + f) * 2 ** (exponent - 1 + least - fraction);
}

/** The bits of the nearest half, ties to even; NaN is the one with the first bit of the fraction alone. */
export function encodeHalf(x: number, { fraction, least, most }: Half): number {
  const infinity = (most - least + 2) << fraction;
  if (Number.isNaN(x)) return infinity | (1 << (fraction - 1));
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(x);
  let exponent = Math.max(least, Math.min(Math.floor(Math.log2(size)), most)); // or 1 off
  while (exponent > least && size < 2 ** exponent) exponent--;
  while (exponent < most && size >= 2 ** (exponent + 1)) exponent++;
  const units = size * 2 ** (fraction - exponent); // exact, a power of two
  if (units >= 2 ** (fraction + 1)) return sign | infinity;
  let whole = Math.floor(units);
  const over = units - whole;
  if (over > 0.5 || (over === 0.5 && whole % 2 === 1)) whole++;
  // The first bit of a normal number's fraction is the 1 that carries into the exponent.
  return sign | (whole + ((exponent - least) << fraction));
}

/** The numbers of an array, halves decoded. */
export function decode(array: Elements, type: NumberType): Float32Array | Float64Array {
  if (!isHalf(type)) return array as Float32Array | Float64Array;
  return Float32Array.from(array, (bits) => decodeHalf(bits, HALVES[type]));
}

/** An array of a type with these numbers, each rounded once. */
export function encode(values: ArrayLike<number>, type: NumberType): Elements {
  if (type === 'float64') return Float64Array.from(values);
  if (type === 'float32') return Float32Array.from(values);
  return Uint16Array.from(values, (x) => encodeHalf(x, HALVES[type]));
}
