// Random numbers of all kinds from a seed, the same on every machine: integer arithmetic, and of floating point only what
// is exact or rounded once.

import type { IndexArray } from 'smoothloss';
import { mulberry32 } from '../support/data.js';

/** Draws from a seed. */
export class Random {
  readonly uniform: () => number;

  constructor(seed: number) {
    this.uniform = mulberry32(seed);
  }

  /** True once in `n`. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  /** An integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  pick<T>(...items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  /** Near N(0, 1): four uniforms, centred, with variance 1/3, times √3 or so. */
  readonly normal = (): number => {
    const { uniform } = this;
    return 1.75 * (uniform() + uniform() + uniform() + uniform() - 2);
  };

  floats(length: number, draw: () => number): Float32Array {
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = draw();
    return values;
  }

  /** Any float at all: all kinds of NaN, infinities, subnormals. */
  anyFloats(length: number): Float32Array {
    const words = new Uint32Array(length);
    for (let i = 0; i < length; i++) words[i] = this.uniform() * 2 ** 32;
    return new Float32Array(words.buffer);
  }

  /** Factors ≥ 0 such as weights: some 0, some powers of two, some any fraction; now and then all tiny or enormous. */
  factors(length: number): Float32Array {
    const zeros = this.once(3);
    const scale = this.once(12) ? this.pick(2 ** -130, 2 ** -60, 2 ** 60, 2 ** 125) : 1;
    return this.floats(length, () => {
      if (zeros && this.once(4)) return 0;
      return scale * (this.once(3) ? 2 ** (this.below(8) - 6) : 2 * this.uniform());
    });
  }
}

const SPECIAL = [
  -Infinity,
  -Infinity,
  -Infinity,
  Infinity,
  NaN,
  0,
  -0,
  1e38,
  -1e38,
  2 ** -149,
  -(2 ** -149),
  2 ** -127,
  3.4e38,
  -3.4e38,
];

/** Logits of one of many kinds. */
export function randomLogits(random: Random, length: number): Float32Array {
  const kind = random.below(16);
  if (kind === 0) return random.anyFloats(length);
  if (kind === 1) return random.floats(length, () => random.below(5) - 2); // ties
  const scale = random.pick(1, 1, 1, 3, 3, 10, 30, 100, 2 ** -10, 2 ** -140, 2 ** 30, 2 ** 120);
  const offset = random.once(4) ? random.pick(1000, -1000, 2 ** 20, -(2 ** 20), 1e6, 1e8, -1e8, 1e30) : 0;
  const logits = random.floats(length, () => scale * random.normal() + offset);
  if (kind === 2 || kind === 3) {
    const often = random.pick(2, 5, 40);
    const specials = kind === 2 ? SPECIAL : [-Infinity];
    for (let i = 0; i < length; i++) if (random.once(often)) logits[i] = random.pick(...specials);
  }
  return logits;
}

const around = (...sizes: number[]) => sizes.flatMap((size) => [size - 1, size, size + 1]);

/**
 * Numbers of classes around those where C++ and TypeScript, each by a constant of its own, go another way: vectors, kBlock,
 * kManyColumns, SEGMENT and ALONE.
 */
export const EDGES_OF_CLASSES: readonly number[] = around(16, 32, 512, 1000, 32_768, 65_536);
/** The same of rows: whole vectors of them, tiles, MOST_CHUNKS. */
export const EDGES_OF_ROWS: readonly number[] = around(16, 32, 64, 8192);

export function randomClasses(random: Random): number {
  const size = random.below(1000);
  if (size < 600) return 1 + random.below(24);
  if (size < 900) return 1 + random.below(130);
  if (size < 980) return 1 + random.below(400);
  if (size < 998) return 1000 + random.below(60); // column blocks are of 512
  return 2000 + random.below(3000);
}

export function randomRows(random: Random, classes: number): number {
  if (classes > 400) return 1 + random.below(3);
  if (random.once(50)) return 60 + random.below(80); // the row chunk is 64
  if (random.once(60)) return 0;
  return 1 + random.below(random.pick(2, 4, 8));
}

/** The indices in an array of one of the types that hold them. */
export function indexArray(
  random: Random,
  values: readonly number[],
  without?: typeof Uint8Array,
): IndexArray {
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  if (random.once(8)) {
    const bigs = values.map(BigInt);
    return low >= 0 && random.once(2) ? BigUint64Array.from(bigs) : BigInt64Array.from(bigs);
  }
  const fitting = [
    [Int8Array, -128, 127],
    [Int16Array, -(2 ** 15), 2 ** 15 - 1],
    [Int32Array, -(2 ** 31), 2 ** 31 - 1],
    [Uint8Array, 0, 255],
    [Uint16Array, 0, 2 ** 16 - 1],
    [Uint32Array, 0, 2 ** 32 - 1],
  ] as const;
  const types = fitting.filter(([Type, least, most]) => low >= least && high <= most && Type !== without);
  return random.pick(...types)[0].from(values);
}
