// The promise: the elementary functions are as accurate as their comments say. lib/js/math.ts is tested; the native ones
// have the same bits (bits.test.ts).

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from './conformance/random.js';
import { decompose, exactExp, exactFma, exactLog, exactLog1p, exactTanh, ulpsOff } from './support/exact.js';
import { decodeHalf, encodeHalf, HALVES } from './support/numbers.js';
import { requireFromRoot, root } from './support/root.js';

const math = requireFromRoot('./dist/js/math.js') as typeof import('../dist/js/math.js');
const elements = requireFromRoot('./dist/js/elements.js') as typeof import('../dist/js/elements.js');
const { BFLOAT16, FLOAT16 } = requireFromRoot('./dist/batch.js') as typeof import('../dist/batch.js');
const { exp, fma, logSum, LN2, roundLog2, roundToInteger } = math;
const { fround } = Math;

const read = (file: string) => readFileSync(path.join(root, file), 'utf8').replace(/\n *(\/\/|\*) */g, ' ');
const native = read('native/simd/math-inl.h');
const js = read('lib/js/math.ts');

/** The number in a comment that states it. */
function stated(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`no comment says ${pattern}`);
  return Number(found);
}

/** The error that both comments state, in units of the last place. */
function bound(inNative: RegExp, inJs: RegExp): number {
  const number = stated(native, inNative);
  expect(stated(js, inJs), `what lib/js/math.ts states, ${inJs}`).toBe(number);
  return number;
}

interface Worst {
  error: number;
  at: number;
}

/** The largest of f over the samples, and where it is. */
function worst(samples: Iterable<number>, f: (x: number) => number): Worst {
  let error = 0;
  let at = NaN;
  for (const x of samples) {
    const e = f(x);
    if (!(e <= error)) [error, at] = [e, x];
  }
  return { error, at };
}

/** The worst error is within the bound, which is no more than it, rounded up to a tenth. */
function expectTight({ error, at }: Worst, limit: number): void {
  expect(error, `at ${at}`).toBeLessThanOrEqual(limit);
  expect(error, 'the bound is more than a tenth too large').toBeGreaterThan(limit - 0.1);
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
    const one = new Float32Array(1);
    for (let n = 0; n < 800_000; n++) {
      const [a, b, c] = make(random);
      const r = fma(a, b, c);
      one[0] = a;
      math.fmaOf(one, 1, b, c, one, 0);
      if (!Object.is(r, one[0])) throw new Error(`fma(${a}, ${b}, ${c}) is ${r}, in the loop ${one[0]}`);
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
  const general = bound(/\|k\| < 2\^20: within ([\d.]+) units/, /127 − k, within ([\d.]+) units/);
  const nearZero = stated(native, /\(([\d.]+) for \|x\| ≤ ln2\/2/);
  const N = 1 << 16;
  const input = new Float32Array(N);
  const output = new Float32Array(N);

  const floorOf = (k: number) => Math.fround((k - 127) * LN2);
  const run = (k: number) => math.exp32(input, 0, N, 0, k, output, 0);

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
    expectTight(most, nearZero);
  });

  it('is within its stated error over its whole range', () => {
    const random = new Random(72);
    let most = { error: 0, at: 0 };
    for (let n = 0; n < 60; n++) {
      const size = Math.min(2 ** (n / 2), limit);
      const k = roundLog2(Math.fround((n % 2 === 0 ? 1 : -1) * size * (1 - random.uniform() / 4)));
      for (let i = 0; i < N; i++) input[i] = (k - 125 + (125 + 125 * (i % 2)) * random.uniform()) * LN2;
      const here = error(k);
      if (here.error > most.error) most = { error: here.error, at: input[here.at] };
    }
    // The largest error of all floats within 2^19, where n · ln 2 is least exact.
    input.fill(-524198.84375);
    const here = error(roundLog2(input[0]));
    if (here.error > most.error) most = { error: here.error, at: input[here.at] };
    expectTight(most, general);
  });

  const constant = (name: string) => stated(js, new RegExp(`const ${name} = (-?[\\d.e-]+);`));
  const [P3, P2, LOG2_E] = ['P3', 'P2', 'LOG2_E'].map(constant);
  const [LN2_HIGH, LN2_LOW] = ['LN2_HIGH', 'LN2_LOW'].map(constant);
  const EIGHTHS = (/ EIGHTHS = \[([^\]]*)\]/.exec(js)?.[1] ?? '').split(',').slice(0, 8).map(Number);

  /** The same as the native kernels compute it, with an fma wherever they have one. */
  function byFma(x: number, k: number): number {
    const magic = 1.5 * 2 ** 20 + 127 - k;
    const n = fma(x, LOG2_E, magic) - magic;
    const r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
    const p = fma(fma(P3, r, P2), fround(r * r), r);
    const eighths = 8 * (n + 127 - k);
    const power = eighths < 8 ? 0 : 2 ** ((eighths >> 3) - 127) * EIGHTHS[eighths & 7];
    return fma(p, power, power);
  }

  // Of all floats those where a step of k = 0, as a double, lies halfway between two floats.
  const HARD = [
    1.7373430728912354, 0.004475121386349201, -0.8686715364456177, -0.0022375606931746006, -78.8147201538086,
    -25.504907608032227,
  ];

  it('has the bits of its steps by fma', () => {
    input.set(HARD);
    run(0);
    for (const [i, x] of HARD.entries()) {
      expect(output[i], `at ${x}`).toBe(byFma(x, 0));
    }
    const random = new Random(75);
    for (let n = 0; n < 60; n++) {
      // Everyday logits, and those around the lowest power, whose results are subnormal.
      const k = n % 2 === 0 ? random.below(60) : roundLog2(limit * (1 - 2 * random.uniform()));
      const lowest = (k - 126) * LN2;
      for (let i = 0; i < N; i++) {
        const x = n % 4 < 2 ? k * LN2 - 20 * random.uniform() : lowest + 0.4 * (random.uniform() - 0.5);
        input[i] = n % 3 === 0 ? Math.round(x * 1024) / 1024 : x;
      }
      run(k);
      for (let i = 0; i < N; i++) {
        const expected = byFma(input[i], k);
        if (!Object.is(output[i], expected))
          throw new Error(`${output[i]} at ${input[i]} with k = ${k}, expected ${expected}`);
      }
    }
  });

  // exp32 and the scalar kernels round a sum to double and then to float. That is wrong at most where the double lies halfway
  // between two floats. Two tests prove that it is right for all reduced arguments: they try every float for which a sum may
  // lie there.
  const isHalfway = (sum: number) => {
    double[0] = sum;
    return (words[0] & 0x1fffffff) === 0x10000000;
  };

  it('needs no fma for p', () => {
    // x = (n + d) / LOG2_E with |d| ≤ 1/16, and |n| < 2^20.
    const most = 1 / 16 / LOG2_E + 2 ** 20 * Math.abs(1 / LOG2_E - LN2_HIGH - LN2_LOW);
    expect(most, '|r|').toBeLessThan(1 / 16);
    // For |r| < 2^−25 what is added is too small: P3·r + P2 and inner·r² + r do not reach the middle to the float beside P2 or r.
    expect(P3).toBeLessThan(0.25);
    expect(P2).toBeGreaterThan(0.5);
    expect(P2).toBeLessThan(0.6);
    const [c3, c2] = [P3, P2];
    let ties = 0;
    for (let spacing = 2 ** -48; spacing <= 2 ** -28; spacing *= 2) {
      for (let r = 2 ** 23 * spacing; r < 2 ** 24 * spacing; r += spacing) {
        for (let x = -r; ; x = r) {
          const sum = c3 * x + c2;
          const inner = fround(sum);
          const square = fround(x * x);
          const next = inner * square + x;
          if (isHalfway(sum) || isHalfway(next)) {
            ties++;
            expect(inner, `P3·r + P2 at r = ${x}`).toBe(fma(c3, x, c2));
            expect(fround(next), `p at r = ${x}`).toBe(fma(inner, square, x));
          }
          if (x === r) break;
        }
      }
    }
    expect(ties).toBeGreaterThan(0);
  });

  it('needs no fma for 2^n · (1 + p), subnormal or not', () => {
    // Sums are those of an entry t of the table, scaled by a power of two. `at` takes all multiples of 2^−25 around t: the
    // middles of floats in [½, 2), and of those that the lowest power, 2^−126, makes subnormal. If a double is rounded to
    // `at`, p is within 2^−53 of (at − t)/t. Floats there are 2^−49 apart or more, so p is the nearest one.
    // |r| < 1/16 makes |p| < 1/15.
    expect(EIGHTHS).toHaveLength(8);
    for (const t of EIGHTHS) {
      const end = t * (1 + 1 / 15);
      for (let at = Math.floor(t * (1 - 1 / 15) * 2 ** 25) * 2 ** -25; at < end; at += 2 ** -25) {
        const p = fround((at - t) / t);
        if (p * t + t !== at) continue;
        for (const power of [t, t * 2 ** -126]) {
          if (fround(p * power + power) !== fma(p, power, power)) throw new Error(`p = ${p}, 2^n = ${power}`);
        }
      }
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
      math.exp32(input, 0, 1, 0, k, output, 0);
      if (!Object.is(output[0], 0)) throw new Error(`${output[0]} at the floor ${input[0]} of k = ${k}`);
    }
  });

  it('the kernels keep to the range for which all this holds', () => {
    const shiftAbove = 2 ** stated(read('native/kernels/softmax_row-inl.h'), /kShiftAbove = 0x1p(\d+);/);
    expect(shiftAbove).toBeLessThanOrEqual(limit);
    expect(roundLog2(shiftAbove), 'k').toBeLessThan(limitOfK);
  });

  it('subtracts the shift first, and may work in place', () => {
    for (let i = 0; i < N; i++) input[i] = 1e8 + 8 * (i % 5) - 32;
    const shift = 1e8;
    math.exp32(input, 0, N, shift, 0, input, 0);
    for (let i = 0; i < 5; i++) expect(Math.abs(input[i] / Math.exp(8 * i - 32) - 1)).toBeLessThan(2e-7);
  });
});

// The largest error found in ten million doubles, and around it.
const WORST_EXP = -50.946317771138737;

describe('exp', () => {
  it('is within its stated error', () => {
    const limit = bound(/e\^x for x ≤ 700, within ([\d.]+) unit/, /e\^x for x ≤ 700, within ([\d.]+) unit/);
    const random = new Random(74);
    const samples = Array.from({ length: 40_000 }, (_, i) =>
      i % 2 === 0 ? (random.uniform() - 0.5) * 2 : -700 + 1400 * random.uniform(),
    );
    // Where the reduction changes over, and tiny arguments.
    for (let n = -1000; n <= 1000; n++)
      samples.push((n + 0.5) * Math.LN2, (n + 0.5) * Math.LN2 * (1 + 2 ** -52));
    for (let n = 1; n < 80; n++) samples.push(2 ** -n, -(2 ** -n));
    samples.push(WORST_EXP);
    const inside = samples.filter((x) => x >= -700 && x <= 700);
    expectTight(
      worst(inside, (x) => ulpsOff(exp(x), exactExp(x), 53)),
      limit,
    );
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
  const limit = bound(/normal number\. Within ([\d.]+) unit/, /normal number\. Within ([\d.]+) unit/);

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
    samples.push(0.70288866002453709); // the largest error found
    const inside = samples.filter((x) => x >= 2 ** -1022 && x !== 1);
    expectTight(
      worst(inside, (x) => ulpsOff(logSum(x, 0, false), exactLog(x), 53)),
      limit,
    );
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
    expect(error, `at ${pairs[at]}`).toBeLessThanOrEqual(limit);
    expect(logSum(0, 3, true)).toBe(0);
  });
});

describe('log', () => {
  it('is logSum of one number, with the error stated for it', () => {
    const pattern = /ln x of a normal number, within ([\d.]+) unit/;
    expect(bound(pattern, pattern)).toBe(stated(js, /normal number\. Within ([\d.]+) unit/));
    const random = new Random(79);
    for (let n = 0; n < 1000; n++) {
      const x = (1 + random.uniform()) * 2 ** (random.below(2045) - 1022);
      expect(math.log(x)).toBe(logSum(x, 0, false));
    }
  });
});

/** Every `step`-th float from `low` to `high`, both > 0. */
function* floatsBetween(low: number, high: number, step: number): Generator<number> {
  const bitsOf = (x: number) => {
    float[0] = x;
    return floatWords[0];
  };
  const last = bitsOf(high);
  for (let bits = bitsOf(low); bits <= last; bits += step) {
    floatWords[0] = bits;
    yield float[0];
  }
}

/** How far a float is from a number that is known in double. */
function floatUlps(x: number, reference: number): number {
  const exponent = Math.max(decompose(Math.fround(reference)).e + 29, -149);
  return Math.abs(x - reference) / 2 ** exponent;
}

/** The worst of a function of floats; `ranges` are tuples for floatsBetween. */
function worstFloat(
  f: (x: number) => number,
  reference: (x: number) => number,
  ...ranges: [number, number, number][]
): Worst {
  let most = { error: 0, at: 0 };
  for (const range of ranges) {
    const here = worst(floatsBetween(...range), (x) => floatUlps(f(x), reference(x)));
    if (here.error > most.error) most = here;
  }
  return most;
}

/** A double with any exponent from `low` to `high`, and its neighbours at powers of two. */
function* doublesBetween(random: Random, low: number, high: number, each: number): Generator<number> {
  for (let e = low; e <= high; e++) {
    yield 2 ** e;
    yield 2 ** e * (1 + 2 ** -52);
    for (let n = 0; n < each; n++) yield (1 + random.uniform()) * 2 ** e;
  }
}

const LARGEST_FLOAT = 2 ** 128 - 2 ** 104;

// Math.log, Math.log1p and Math.tanh are right to a few units in the last place of double: exact for floats.
describe('functions of floats', () => {
  it('log32 is within its stated error, subnormals too', () => {
    const limit = bound(
      /last place of doubles, ([\d.]+) of floats\.\s+template/,
      /others some number\. Within ([\d.]+) unit/,
    );
    const most = worstFloat(
      math.log32,
      Math.log,
      [2 ** -149, LARGEST_FLOAT, 1009],
      [2 ** -149, 2 ** -140, 1],
      [0.97, 1 - 2 ** -24, 1],
      [1 + 2 ** -23, 1.03, 1], // the largest error of all floats is here
      [0.7, 0.71, 1],
      [1.41, 1.42, 1],
    );
    expectTight(most, limit);
    expect(math.log32(1)).toBe(0);
    for (const x of [-1, -(2 ** -149), -Infinity]) expect(math.log32(x)).toBeNaN();
  });

  it('log1p32 is within its stated error, however small e is', () => {
    const limit = bound(/before rounding; within ([\d.]+) unit/, /floats 0 ≤ e ≤ 1, within ([\d.]+) unit/);
    const most = worstFloat(
      math.log1p32,
      Math.log1p,
      [2 ** -149, 1, 499],
      [2 ** -149, 2 ** -140, 1],
      [0.98, 1, 1],
    );
    expectTight(most, limit);
    expect(math.log1p32(0)).toBe(0);
  });

  it('tanh32 is within its stated error, odd, and ±1 from where it rounds to that', () => {
    const limit = bound(/of doubles, ([\d.]+) of floats; ±1/, /tanh y of a float, within ([\d.]+) unit/);
    const most = worstFloat(
      math.tanh32,
      Math.tanh,
      [2 ** -149, 11, 499],
      [2 ** -149, 2 ** -140, 1],
      [0.0615, 0.0635, 1],
    );
    expectTight(most, limit);
    for (const y of [10, 11, 1e30, Infinity]) {
      expect(math.tanh32(y)).toBe(1);
      expect(math.tanh32(-y)).toBe(-1);
    }
    for (const y of [0, 2 ** -149, 0.3, 7]) expect(math.tanh32(-y)).toBe(-math.tanh32(y));
    expect(math.tanh32(NaN)).toBeNaN();
    for (const y of floatsBetween(1, 11, 101))
      if (!(math.tanh32(y) <= 1)) throw new Error(`more than 1 at ${y}`);
  });

  it('the loop over ln(1 + e) gives the bits of log1p32', () => {
    const N = 1 << 18;
    const from = new Float32Array(N);
    const to = new Float32Array(N);
    let i = 0;
    for (const e of floatsBetween(2 ** -149, 1, Math.ceil(0x3f800000 / N))) from[i++] = e;
    math.log1pOf(from, N, to);
    for (i = 0; i < N; i++) {
      if (!Object.is(to[i], math.log1p32(from[i]))) throw new Error(`${to[i]} at ${from[i]}`);
    }
  });
});

describe('functions of doubles', () => {
  it('exp64 is within its stated error over its whole range, and 0 from its floor down', () => {
    const limit = bound(/2\^20: within ([\d.]+) units[^:]*k − 1022/, /1023 − k: within ([\d.]+) unit/);
    const random = new Random(80);
    const N = 1000;
    const input = new Float64Array(N);
    const output = new Float64Array(N);
    const run = (k: number) => math.exp64(input, 0, N, 0, k, output, 0);
    let most: Worst = { error: 0, at: 0 };
    for (let n = 0; n < 30; n++) {
      const k = n < 5 ? 0 : Math.round(random.pick(1, -1) * 2 ** (20 * random.uniform()) * Math.LOG2E * 0.5);
      for (let i = 0; i < N; i++) {
        input[i] =
          n === 0 ? random.uniform() - 0.5 : (k - 1021 + (i % 2 ? 1021 : 2042) * random.uniform()) * LN2;
      }
      if (n === 0) input[0] = WORST_EXP;
      run(k);
      const here = worst(output.keys(), (i) => {
        const { value, scale } = exactExp(input[i]);
        return ulpsOff(output[i], { value, scale: scale + k }, 53);
      });
      if (here.error > most.error) most = { error: here.error, at: input[here.at] };
      const floor = (k - 1023) * LN2;
      for (let i = 0; i < N; i++) input[i] = floor - (i === 0 ? 0 : 2 ** (i % 64) * random.uniform());
      input[1] = NaN;
      input[2] = -Infinity;
      run(k);
      expect(output[1]).toBeNaN();
      for (let i = 0; i < N; i++) {
        if (i !== 1 && !Object.is(output[i], 0)) throw new Error(`${output[i]} at ${input[i]} with k = ${k}`);
      }
    }
    expectTight(most, limit);
  });

  it('log64 is within its stated error, subnormals too', () => {
    const limit = bound(
      /others some number\. Within ([\d.]+) unit/,
      /The same in double: within ([\d.]+) units[^/]*\*\/\s+export function log64/,
    );
    const random = new Random(81);
    const samples = [...doublesBetween(random, -1074, 1023, 4), 0.70288866002453709];
    for (let n = 0; n < 15_000; n++)
      samples.push(1 + random.normal() * 2 ** -random.below(50), 0.7 + 0.72 * random.uniform());
    const most = worst(
      samples.filter((x) => x > 0 && x !== 1),
      (x) => ulpsOff(math.log64(x), exactLog(x), 53),
    );
    expectTight(most, limit);
    expect(math.log64(1)).toBe(0);
    for (const x of [-1, -(2 ** -1074), -Infinity]) expect(math.log64(x)).toBeNaN();
  });

  it('log1p64 is within its stated error, however small e is', () => {
    const limit = bound(
      /however small e is: within ([\d.]+) unit/,
      /The same in double: within ([\d.]+) units[^/]*\*\/\s+export function log1p64/,
    );
    const random = new Random(82);
    const samples = [...doublesBetween(random, -1074, -1, 8), 1, 0.41421356237309503, 0.42529234993178294];
    for (let n = 0; n < 15_000; n++)
      samples.push(
        random.uniform(),
        0.41421356237309503 * (1 + (random.uniform() - 0.5) * 2 ** -random.below(50)),
      );
    const most = worst(samples, (e) => ulpsOff(math.log1p64(e), exactLog1p(e, 1), 53));
    expectTight(most, limit);
    expect(math.log1p64(0)).toBe(0);
  });

  it('tanh64 is within its stated error, odd, and ±1 from where it rounds to that', () => {
    const limit = bound(
      /tanh y, within ([\d.]+) unit/,
      /The same in double: within ([\d.]+) units[^/]*\*\/\s+export function tanh64/,
    );
    const random = new Random(83);
    const samples = [...doublesBetween(random, -1074, 4, 8), 0.0625546710111438];
    for (let n = 0; n < 10_000; n++)
      samples.push(20 * random.uniform(), random.uniform(), 2 ** (-5 * random.uniform()));
    const most = worst(samples, (y) => ulpsOff(math.tanh64(y), exactTanh(y), 53));
    expectTight(most, limit);
    for (const y of samples) {
      const positive = math.tanh64(y);
      if (!(positive <= 1) || math.tanh64(-y) !== -positive) throw new Error(`${positive} at ${y}`);
    }
    for (const y of [20, 21, 1e300, Infinity]) expect(math.tanh64(y)).toBe(1);
    expect(math.tanh64(-0)).toBe(-0);
    expect(math.tanh64(NaN)).toBeNaN();
  });
});

describe('half types', () => {
  const types = [
    ['float16', FLOAT16],
    ['bfloat16', BFLOAT16],
  ] as const;
  const all = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits);

  it.each(types)('every %s is read as the number it stands for', (name, type) => {
    const floats = new Float32Array(all.length);
    elements.load(type, all, 0, 1, all.length, floats);
    for (const bits of all) {
      const expected = decodeHalf(bits, HALVES[name]);
      if (!Object.is(floats[bits], expected)) throw new Error(`0x${bits.toString(16)} is ${floats[bits]}`);
    }
  });

  it.each(types)('a float becomes the nearest %s, ties to even', (name, type) => {
    const random = new Random(84);
    const candidates: number[] = [0, -0, Infinity, -Infinity, NaN, LARGEST_FLOAT, -LARGEST_FLOAT];
    for (const bits of all) {
      // Each half, the middle to the next one, and the floats beside both.
      const low = decodeHalf(bits, HALVES[name]);
      const high = decodeHalf(bits + 1, HALVES[name]);
      for (const x of [low, (low + high) / 2]) {
        if (!Number.isFinite(x)) continue;
        float[0] = x;
        candidates.push(x);
        for (const word of [floatWords[0] - 1, floatWords[0] + 1]) {
          floatWords[0] = word;
          candidates.push(float[0]);
        }
      }
      floatWords[0] = 2 ** 32 * random.uniform();
      candidates.push(float[0]);
    }
    const floats = Float32Array.from(candidates);
    const halves = new Uint16Array(floats.length);
    elements.store(floats, type, halves, 0, 1, floats.length);
    floats.forEach((x, i) => {
      const expected = encodeHalf(x, HALVES[name]);
      if (halves[i] !== expected)
        throw new Error(`${x} is 0x${halves[i].toString(16)}, expected 0x${expected.toString(16)}`);
    });
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
      const t = 2 ** (2 - 80 * random.uniform());
      expect(ulpsOff(Math.tanh(t), exactTanh(t), 53)).toBeLessThan(3);
    }
  });

  it('measure errors in units of the last place', () => {
    const one = { value: 1n << 100n, scale: 100 };
    expect(ulpsOff(1, one, 53)).toBe(0);
    expect(ulpsOff(1 + 2 ** -52, one, 53)).toBe(1);
    expect(ulpsOff(1 + 2 ** -23, one, 24)).toBe(1);
    const tiny = { value: 3n, scale: 1075 }; // one and a half of the smallest number
    expect(ulpsOff(2 ** -1074, tiny, 53)).toBe(0.5);
    expect(ulpsOff(2 ** -149, { value: 3n, scale: 150 }, 24)).toBe(0.5);
    expect(exactFma(2 ** -149, 0.5, 0)).toBe(0);
    expect(exactFma(2 ** -149, 0.75, 0)).toBe(2 ** -149);
    expect(exactFma(1, 2 ** 24 + 0, 1)).toBe(2 ** 24);
    expect(exactFma(3, 2 ** 24, 1)).toBe(3 * 2 ** 24);
    expect(exactFma(-3, 2 ** 126, 0)).toBe(-3 * 2 ** 126);
    expect(exactFma(-4, 2 ** 126, 0)).toBe(-Infinity);
    expect(exactFma(-1, 0, -0)).toBe(-0);
  });
});
