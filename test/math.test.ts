// The promise: the elementary functions are as accurate as their comments say. lib/js/math.ts is tested; the native ones
// have the same bits (bits.test.ts).

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from './conformance/random.js';
import { decompose, exactExp, exactFma, exactLog, exactLog1p, ulpsOff } from './support/exact.js';
import { requireFromRoot, root } from './support/root.js';

const math = requireFromRoot('./dist/js/math.js') as typeof import('../dist/js/math.js');
const { exp, fma, logSum, LN2, roundLog2, roundToInteger } = math;

const read = (file: string) => readFileSync(path.join(root, file), 'utf8').replace(/\n *(\/\/|\*) */g, ' ');
const native = read('native/math-inl.h');
const js = read('lib/js/math.ts');

/** The number in a comment that states it. */
function stated(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`no comment says ${pattern}`);
  return Number(found);
}

/** The largest of f over the samples, and where it is. */
function worst(samples: Iterable<number>, f: (x: number) => number): { error: number; at: number } {
  let error = 0;
  let at = NaN;
  for (const x of samples) {
    const e = f(x);
    if (!(e <= error)) [error, at] = [e, x];
  }
  return { error, at };
}

const double = new Float64Array(1);
const float = new Float32Array(1);
const words = new Uint32Array(double.buffer);
const floatWords = new Uint32Array(float.buffer);

describe('fma', () => {
  /** Boldo and Melquiond 2008: the sum rounded to odd, then to float, is a·b + c rounded once. */
  function byRoundingToOdd(a: number, b: number, c: number): number {
    const product = a * b;
    const sum = product + c;
    if (!Number.isFinite(sum)) return Math.fround(sum);
    const part = sum - product;
    const error = product - (sum - part) + (c - part);
    double[0] = sum;
    if (error !== 0 && (words[0] & 1) === 0) {
      // The neighbour on the side of the error is odd.
      const up = error > 0 === sum > 0;
      if (up) words[0] += 1;
      else {
        words[1] -= words[0] === 0 ? 1 : 0;
        words[0] -= 1;
      }
    }
    return Math.fround(double[0]);
  }

  const anyFloat = (random: Random) => {
    floatWords[0] = random.uniform() * 2 ** 32;
    return float[0];
  };
  /** A float of so many significant bits near 2^exponent. */
  const short = (random: Random, bits: number, exponent: number) =>
    (2 ** (bits - 1) + random.below(2 ** (bits - 1))) * 2 ** (exponent - bits + 1) * random.pick(1, -1);

  /**
   * a·b = (n + ½)·u·(1 − t²) with u the last place of c: the sum lies just beside the middle between two floats, nearer
   * than a double can tell where t² < 2^−29.
   */
  function halfway(random: Random): [number, number, number] {
    const c = short(random, 24, random.below(200) - 100);
    const u = 2 ** (decompose(c).e + 29);
    const t = random.below(256) * 2 ** -23;
    const odd = 1 + 2 * random.below(random.pick(1, 8, 64));
    const power = 2 ** (random.below(40) - 20);
    const sign = random.pick(1, -1);
    return [Math.fround(odd * 0.5 * u * power * (1 + t)), (sign * (1 - t)) / power, c];
  }

  /** The same with a product of 1 and something, so that c, too, has its part in the bits beyond the middle. */
  function halfwayOfProduct(random: Random): [number, number, number] {
    const a = short(random, 24, random.below(60) - 30);
    const b = short(random, 1 + random.below(24), random.below(60) - 30);
    const product = a * b;
    // The part of the product below half its last place as a float, moved to the middle by c, but for a tiny rest.
    const r = Math.fround(product);
    const u = 2 ** (decompose(r).e + 29);
    const rest = product - r;
    const c = Math.fround(random.pick(1, -1) * u * (0.5 + random.below(3)) - rest);
    return [a, b, Math.fround(c * (1 + random.pick(0, 2 ** -23, -(2 ** -23))))];
  }

  /** Sums at the edge of overflow and among the subnormals. */
  function edge(random: Random): [number, number, number] {
    if (random.once(2)) {
      const a = short(random, 24, 63 + random.below(2));
      const b = short(random, 24, 63 + random.below(2));
      return [a, b, random.pick(1, -1) * 2 ** (90 + random.below(38)) * (2 - 2 ** -random.below(24))];
    }
    const a = short(random, 1 + random.below(24), -80 + random.below(20));
    const b = short(random, 1 + random.below(24), -75 + random.below(20));
    return [a, b, random.below(2 ** 25) * 2 ** -149 * random.pick(1, -1)];
  }

  const kinds = {
    'any floats': (random: Random) => [anyFloat(random), anyFloat(random), anyFloat(random)],
    'everyday floats': (random: Random) =>
      [random.normal(), random.normal(), random.normal()].map(Math.fround),
    'just beside the middle': halfway,
    'on the middle, or nearly': halfwayOfProduct,
    'overflow and subnormals': edge,
  };

  it.each(Object.entries(kinds))('rounds once: %s', (_, make) => {
    const random = new Random(71);
    let doublyWrong = 0;
    for (let n = 0; n < 800_000; n++) {
      const [a, b, c] = make(random);
      const r = fma(a, b, c);
      const expected = byRoundingToOdd(a, b, c);
      if (!Object.is(r, expected)) throw new Error(`fma(${a}, ${b}, ${c}) is ${r}, expected ${expected}`);
      if (Math.fround(a * b + c) !== r) doublyWrong++;
      if (n % 20 === 0 && Number.isFinite(a) && Number.isFinite(b) && Number.isFinite(c)) {
        const exact = exactFma(a, b, c);
        if (!Object.is(r, exact)) throw new Error(`fma(${a}, ${b}, ${c}) is ${r}, expected exactly ${exact}`);
      }
    }
    // The hard kind must be hard: rounding twice, to double and then to float, is wrong in a quarter of it.
    if (make === halfway) expect(doublyWrong).toBeGreaterThan(100_000);
  });

  it('NaN, infinities and zeros are those of IEEE 754', () => {
    const values = [0, -0, 1, -1, Infinity, -Infinity, NaN, 2 ** -149, 2 ** 127, -(2 ** 127)];
    for (const a of values) {
      for (const b of values) {
        for (const c of values) expect(fma(a, b, c)).toBe(byRoundingToOdd(a, b, c));
      }
    }
  });

  it('rounds to the largest float up to the middle, and from there to infinity', () => {
    const largest = 2 ** 128 - 2 ** 104;
    const below = 2 ** 103 - 2 ** 79;
    expect(fma(2 ** 64, 2 ** 63, 2 ** 127 - 2 ** 104 + 0)).toBe(largest);
    expect(fma(2 ** 51, 2 ** 52, largest)).toBe(Infinity); // exactly in the middle: to even, beyond the range
    expect(fma(1, below, largest)).toBe(largest);
    expect(fma(-(2 ** 51), 2 ** 52, -largest)).toBe(-Infinity);
    // The middle less 2^−149, which no double holds.
    const almost = (sign: number) => fma(sign * (2 ** 52 - 2 ** 28), 2 ** 51 + 2 ** 28, sign * largest);
    expect(almost(1)).toBe(exactFma(2 ** 52 - 2 ** 28, 2 ** 51 + 2 ** 28, largest));
    expect(almost(-1)).toBe(-almost(1));
  });
});

describe('exp32', () => {
  const limit = 2 ** stated(native, /\|x\|[^.:]*? [≤<] 2\^(\d+)/);
  const limitOfK = 2 ** stated(native, /\|k\| [≤<] 2\^(\d+)/);
  const bound = stated(native, /at most ([\d.]+) units in the last place off/);
  const boundNearZero = stated(native, /\(([\d.]+) for small \|x\|/);
  const N = 1 << 16;
  const input = new Float32Array(N);
  const output = new Float32Array(N);

  const magicOf = (k: number) => {
    const [grid] = Object.entries(math).flatMap(([name, value]) =>
      name.startsWith('ROUND_TO_') ? [value] : [],
    );
    return (grid as number) + (127 - k);
  };
  const floorOf = (k: number) => Math.fround((k - 127) * LN2);
  const run = (k: number) => math.exp32(input, 0, N, 0, floorOf(k), magicOf(k), output, 0);

  // e^x · 2^−k in double, right to 2^−50: from x − k·ln 2 in two parts.
  const HIGH = 0.6931471803691238;
  const LOW = 1.9082149292705877e-10;
  const reference = (x: number, k: number) => Math.exp(x - k * HIGH - k * LOW);

  /** The largest error in units of the last place over `input`. */
  function error(k: number): { error: number; at: number } {
    run(k);
    return worst(output.keys(), (i) => {
      const expected = reference(input[i], k);
      if (expected < 2 ** -125) return 0;
      float[0] = expected;
      const ulp = 2 ** ((floatWords[0] >>> 23) - 150);
      return Math.abs(output[i] - expected) / ulp;
    });
  }

  it('is within its stated error on every 13th float of the reduced range', () => {
    // |x| from 2^−9 to 0.35 > ln 2 / 2, both signs: 8 million floats.
    let most = { error: 0, at: 0 };
    let bits = 0x3b000000;
    while (bits < 0x3eb33333) {
      for (let i = 0; i < N; i += 2, bits += 13) {
        floatWords[0] = bits;
        input[i] = float[0];
        input[i + 1] = -float[0];
      }
      const here = error(0);
      if (here.error > most.error) most = { error: here.error, at: input[here.at] };
    }
    expect(most.error, `at ${most.at}`).toBeLessThanOrEqual(boundNearZero);
  });

  it('is within its stated error over its whole range', () => {
    const random = new Random(72);
    for (let n = 0; n < 60; n++) {
      const most = Math.min(2 ** (n / 2), limit);
      const k = roundLog2(Math.fround((n % 2 === 0 ? 1 : -1) * most * (1 - random.uniform() / 4)));
      for (let i = 0; i < N; i++) input[i] = (k - 125 + (125 + 125 * (i % 2)) * random.uniform()) * LN2;
      const { error: e, at } = error(k);
      expect(e, `at ${input[at]} with k = ${k}`).toBeLessThanOrEqual(bound);
    }
  });

  it('is 0 from its floor down, and rises from there', () => {
    const random = new Random(73);
    for (let n = 0; n < 40; n++) {
      // The largest logits that the kernels do not shift, and all smaller ones.
      for (let i = 0; i < N; i++) input[i] = -1e30 * random.uniform();
      const most = Math.fround(
        (n % 2 === 0 ? 1 : -1) * limit * (1 - (n < 20 ? random.uniform() / 8 : random.uniform())),
      );
      const k = roundLog2(most);
      input[0] = floorOf(k);
      input[1] = -Infinity;
      input[2] = NaN;
      run(k);
      expect(output[2]).toBeNaN();
      for (let i = 0; i < N; i++) {
        if (i !== 2 && !Object.is(output[i], 0)) throw new Error(`${output[i]} at ${input[i]} with k = ${k}`);
      }
      for (let i = 0; i < N; i++) input[i] = floorOf(k) + (i / N) * 4;
      run(k);
      for (let i = 1; i < N; i++) {
        if (output[i] < output[i - 1] * (1 - 2e-7) || output[i] > 2 ** -119)
          throw new Error(`${output[i]} at ${input[i]}`);
      }
    }
  });

  it('is 0 at the floor of every k there is', () => {
    for (let from = -limit; from < limit; from += 64) {
      const k = roundLog2(Math.fround(from));
      input[0] = floorOf(k);
      math.exp32(input, 0, 1, 0, floorOf(k), magicOf(k), output, 0);
      if (!Object.is(output[0], 0)) throw new Error(`${output[0]} at the floor ${input[0]} of k = ${k}`);
    }
  });

  it('the kernels keep to the range for which all this holds', () => {
    const shiftAbove = 2 ** stated(read('native/losses-inl.h'), /kShiftAbove = 0x1p(\d+)f/);
    expect(shiftAbove).toBeLessThanOrEqual(limit);
    expect(roundLog2(shiftAbove), 'k').toBeLessThan(limitOfK);
  });

  it('subtracts the shift first, and may work in place', () => {
    for (let i = 0; i < N; i++) input[i] = 1e8 + 8 * (i % 5) - 32;
    const shift = 1e8;
    math.exp32(input, 0, N, shift, floorOf(0), magicOf(0), input, 0);
    for (let i = 0; i < 5; i++) expect(Math.abs(input[i] / Math.exp(8 * i - 32) - 1)).toBeLessThan(2e-7);
  });
});

describe('exp', () => {
  const bound = stated(js, /e\^x for x ≤ 700, within ([\d.]+) unit/);

  it('is within its stated error', () => {
    const random = new Random(74);
    const samples = Array.from({ length: 40_000 }, (_, i) =>
      i % 2 === 0 ? (random.uniform() - 0.5) * 2 : -700 + 1400 * random.uniform(),
    );
    // Where the reduction changes over, and tiny arguments.
    for (let n = -1000; n <= 1000; n++)
      samples.push((n + 0.5) * Math.LN2, (n + 0.5) * Math.LN2 * (1 + 2 ** -52));
    for (let n = 1; n < 80; n++) samples.push(2 ** -n, -(2 ** -n));
    const inside = samples.filter((x) => x >= -700 && x <= 700);
    const { error, at } = worst(inside, (x) => ulpsOff(exp(x), exactExp(x), 53));
    expect(error, `at ${at}`).toBeLessThanOrEqual(bound);
  });

  it('is exact at 0, 0 below -700, NaN for NaN', () => {
    expect(exp(0)).toBe(1);
    expect(exp(-0)).toBe(1);
    expect(exp(-700.0000001)).toBe(0);
    expect(exp(-1e300)).toBe(0);
    expect(exp(-Infinity)).toBe(0);
    expect(exp(-700)).toBeGreaterThan(0);
    expect(exp(NaN)).toBeNaN();
  });
});

describe('logSum', () => {
  const bound = stated(js, /Within ([\d.]+) units in the last place/);

  it('ln(a + b) is within its stated error', () => {
    const random = new Random(75);
    const samples = [
      1 - 2 ** -53,
      1 + 2 ** -52,
      Math.SQRT1_2,
      Math.SQRT2,
      2,
      0.5,
      2 ** -1022,
      2 ** 1023,
      Math.E,
    ];
    for (let n = 0; n < 30_000; n++) {
      samples.push(1 + random.normal() * 2 ** -random.below(50)); // near 1, where logarithms are small
      samples.push((1 + random.uniform()) * 2 ** (random.below(2045) - 1022));
    }
    const inside = samples.filter((x) => x > 2 ** -1022 && x !== 1);
    const { error, at } = worst(inside, (x) => ulpsOff(logSum(x, 0, false), exactLog(x), 53));
    expect(error, `at ${at}`).toBeLessThanOrEqual(bound);
    expect(logSum(1, 0, false)).toBe(0);
  });

  it('does not care which part of the sum is where', () => {
    const random = new Random(76);
    for (let n = 0; n < 1000; n++) {
      const [a, b] = [random.uniform(), 2 ** 20 * random.uniform()];
      expect(logSum(a, b, false)).toBe(logSum(a + b, 0, false));
      expect(logSum(b, a, false)).toBe(logSum(a, b, false));
    }
  });

  it('ln(1 + a/b) is within its stated error, however small a/b is', () => {
    const random = new Random(77);
    const pairs: [number, number][] = [];
    for (let n = 0; n < 30_000; n++) {
      const b = (1 + random.uniform()) * 2 ** (random.below(20) - 10);
      const ratio = n % 2 === 0 ? 0.4 * random.uniform() : 2 ** -(1000 * random.uniform() + 2);
      pairs.push([Math.min(b * ratio, 0.4 * b), b]);
    }
    const { error, at } = worst(pairs.keys(), (i) => {
      const [a, b] = pairs[i];
      return a === 0 ? 0 : ulpsOff(logSum(a, b, true), exactLog1p(a, b), 53);
    });
    expect(error, `at ${pairs[at]}`).toBeLessThanOrEqual(bound);
    expect(logSum(0, 3, true)).toBe(0);
  });
});

describe('rounding', () => {
  it('to the nearest integer, ties to even', () => {
    for (const [x, expected] of [
      [0.5, 0],
      [1.5, 2],
      [2.5, 2],
      [-0.5, 0],
      [-1.5, -2],
      [2 ** 50 + 0.5, 2 ** 50],
      [1e6 + 0.499, 1e6],
    ]) {
      expect(roundToInteger(x) + 0).toBe(expected);
    }
    for (let n = -2000; n < 2000; n++) expect(roundLog2(n * Math.LN2)).toBe(n);
  });
});

describe('the references', () => {
  it('agree with Math to its own accuracy', () => {
    const random = new Random(78);
    for (let n = 0; n < 1000; n++) {
      const x = 100 * random.normal();
      expect(ulpsOff(Math.exp(x), exactExp(x), 53)).toBeLessThan(1);
      const y = 1 + random.uniform();
      expect(ulpsOff(Math.log(y), exactLog(y), 53)).toBeLessThan(1);
      const z = 0.4 * random.uniform() + 2 ** -60;
      expect(ulpsOff(Math.log1p(z), exactLog1p(z, 1), 53)).toBeLessThan(1);
    }
  });

  it('measure errors in units of the last place', () => {
    const one = { value: 1n << 100n, scale: 100 };
    expect(ulpsOff(1, one, 53)).toBe(0);
    expect(ulpsOff(1 + 2 ** -52, one, 53)).toBe(1);
    expect(ulpsOff(1 + 2 ** -23, one, 24)).toBe(1);
    expect(exactFma(2 ** -149, 0.5, 0)).toBe(0);
    expect(exactFma(2 ** -149, 0.75, 0)).toBe(2 ** -149);
    expect(exactFma(1, 2 ** 24 + 0, 1)).toBe(2 ** 24);
    expect(exactFma(3, 2 ** 24, 1)).toBe(3 * 2 ** 24);
    expect(exactFma(-3, 2 ** 126, 0)).toBe(-3 * 2 ** 126);
    expect(exactFma(-4, 2 ** 126, 0)).toBe(-Infinity);
    expect(exactFma(-1, 0, -0)).toBe(-0);
  });
});
