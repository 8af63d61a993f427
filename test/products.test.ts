// The promise: linearCrossEntropy of the js backend is its definition, to the bit: products whose sums are chains of fma in blocks,
// and crossEntropy of the rows that take part.

import { describe, expect, it } from 'vitest';
import type { Batch, Elements, Floats, Layer, Sums } from '../dist/batch.js';
import type { Chunk } from '../dist/js/products.js';
import { Random } from './conformance/random.js';
import { exactFma } from './support/exact.js';
import { decode, encode, NUMBER_TYPES, type NumberType } from './support/numbers.js';
import { requireFromRoot } from './support/root.js';

const { newBatch, noSums, addSums } = requireFromRoot('./dist/batch.js') as typeof import('../dist/batch.js');
const products = requireFromRoot('./dist/js/products.js') as typeof import('../dist/js/products.js');
const { fma } = requireFromRoot('./dist/js/math.js') as typeof import('../dist/js/math.js');
const { kernels } = requireFromRoot('./dist/js/losses.js') as typeof import('../dist/js/losses.js');
const { computeInSlices } = requireFromRoot('./dist/slices.js') as typeof import('../dist/slices.js');
const { logitsOf, addInputGradient, addWeightGradient, PANEL, PRODUCT_BLOCK } = products;
const { crossEntropy, linearCrossEntropy } = kernels;

type Fma = (a: number, b: number, c: number) => number;

/** By exact arithmetic, but for numbers that are not finite: there rounding is no matter. */
const exact: Fma = (a, b, c) =>
  [a, b, c].every(Number.isFinite) ? exactFma(a, b, c) : Math.fround(a * b + c);
const twice: Fma = (a, b, c) => c + a * b;

/** Σ a_k · b_k by the definition, over `length` terms; they are added to `start`, if there is one. */
function sum(
  double: boolean,
  fma: Fma,
  length: number,
  term: (k: number) => [number, number],
  start?: number,
): number {
  const round = double ? (x: number) => x : Math.fround;
  let total = start;
  const add = (to: number | undefined, x: number) => (to === undefined ? x : round(to + x));
  for (let block = 0; block < length; block += 256) {
    let blockSum: number | undefined;
    for (let k = block; k < Math.min(block + 256, length); k += 128) {
      let chain = 0;
      for (let i = k; i < Math.min(k + 128, length); i++) chain = fma(...term(i), chain);
      blockSum = add(blockSum, chain);
    }
    total = add(total, blockSum as number);
  }
  return total ?? 0;
}

function expectSame(own: Floats, expected: ArrayLike<number>, what: string): void {
  expect(own.length, what).toBe(expected.length);
  for (let i = 0; i < own.length; i++) {
    if (!Object.is(own[i], expected[i]))
      throw new Error(`${what}[${i}] is ${own[i]}, expected ${expected[i]}`);
  }
}

const NAN = new Uint32Array(Float32Array.of(NaN).buffer)[0];

/** All NaN are the one kind. */
function expectOneNaN(array: Floats): void {
  if (array instanceof Float64Array) return;
  const words = new Uint32Array(array.buffer, array.byteOffset, array.length);
  array.forEach((x, i) => {
    if (Number.isNaN(x)) expect(words[i]).toBe(NAN);
  });
}

describe('a product', () => {
  const bfloat = (x: number) => {
    const words = new Uint32Array(Float32Array.of(x).buffer);
    words[0] &= 0xffff0000;
    return new Float32Array(words.buffer)[0];
  };
  const any = new Float32Array(1);
  const anyBits = new Uint32Array(any.buffer);
  /**
   * Mostly 0; else ± one of these, or of two whose product is `half` · (1 − t²). With `half` half a last place of the sum so far,
   * the next sum lies just beside the middle between two floats, nearer than a double can tell.
   */
  function beside(random: Random, half: number, others: readonly number[]): number {
    if (random.uniform() < 0.7) return 0;
    const t = 2 ** -(17 + random.below(3));
    const exponent = Math.floor(Math.log2(half) / 2);
    return (
      random.pick(1, -1) * random.pick(...others, 2 ** exponent * (1 + t), (half / 2 ** exponent) * (1 - t))
    );
  }

  const KINDS: Record<string, (random: Random) => number> = {
    'everyday floats': (random) => Math.fround(random.normal()),
    // In nearly every chain a sum is halfway between two floats.
    'bfloat16 numbers': (random) => bfloat(random.normal()),
    'sums beside the middle': (random) => beside(random, 2 ** -24, [1, 1 + 2 ** -23]),
    'sums beside the middle, subnormal': (random) =>
      beside(random, 2 ** -150, [2 ** -63, 2 ** -64, (1 + 2 ** -22) * 2 ** -64]),
    'sums beside the middle, at the edge of overflow': (random) =>
      beside(random, 2 ** 103, [(2 ** 24 - 1) * 2 ** 40, 2 ** 64]),
    'subnormal sums': (random) => random.normal() * 2 ** -74,
    'sums that overflow': (random) => random.normal() * 2 ** 62,
    'zeros of both signs': (random) => random.pick(0, -0, 0, -0, 2 ** -100, -(2 ** -100)),
    'infinities and NaN': (random) =>
      random.once(40) ? random.pick(Infinity, -Infinity, NaN) : Math.fround(random.normal()),
    'any floats': (random) => {
      anyBits[0] = random.uniform() * 2 ** 32;
      return any[0];
    },
  };

  /** All three products of random matrices. */
  function compare(random: Random, draw: () => number, rows: number, D: number, C: number): void {
    const numbers = (n: number) => random.floats(n, draw);
    const [input, linearWeight, g, linearBias] = [rows * D, C * D, rows * C, C].map(numbers);
    const layer: Layer = {
      features: D,
      rows,
      input,
      linearWeight,
      linearBias: random.once(3) ? null : linearBias,
      inputGradient: numbers(rows * D),
      linearWeightGradient: numbers(C * D),
      linearBiasGradient: numbers(C),
      accumulate: random.once(2),
    };
    const old = {
      weight: Float32Array.from(layer.linearWeightGradient as Floats),
      bias: Float32Array.from(layer.linearBiasGradient as Floats),
    };
    const transposed = Float32Array.from(
      { length: rows * D },
      (_, i) => input[(i % rows) * D + Math.floor(i / rows)],
    );
    const chunk: Chunk<Float32Array> = {
      batch: { ...newBatch(C, C, 1), layer },
      layer,
      first: 0,
      count: rows,
      rows: Int32Array.from({ length: rows }, (_, i) => i),
      input,
      transposed,
      logits: numbers(rows * C),
    };
    for (let k = 0; k < D; k += PRODUCT_BLOCK) for (let c = 0; c < C; c += PANEL) logitsOf(chunk, k, c);
    const elements = (n: number, across: number, element: (i: number, j: number) => number) =>
      Float32Array.from({ length: n * across }, (_, i) => element(Math.floor(i / across), i % across));
    expectSame(
      chunk.logits,
      elements(rows, C, (r, c) => {
        // The bias is added to the first block, as if that were added to it.
        return sum(
          false,
          exact,
          D,
          (k) => [input[r * D + k], linearWeight[c * D + k]],
          layer.linearBias?.[c],
        );
      }),
      'logits',
    );

    chunk.logits = g;
    for (let k = 0; k < C; k += PRODUCT_BLOCK)
      for (let d = 0; d < D; d += PANEL) addInputGradient(chunk, k, d);
    expectSame(
      layer.inputGradient as Floats,
      elements(rows, D, (r, d) => sum(false, exact, C, (k) => [g[r * C + k], linearWeight[k * D + d]])),
      'gradient.input',
    );

    const half = Math.ceil(D / 2);
    for (let k = 0; k < rows; k += PRODUCT_BLOCK) {
      for (let c = 0; c < C; c += PANEL) {
        addWeightGradient(chunk, k, c, 0, half);
        if (half < D) addWeightGradient(chunk, k, c, half, D);
      }
    }
    const held = (array: Floats, i: number) => (layer.accumulate ? array[i] : undefined);
    expectSame(
      layer.linearWeightGradient as Floats,
      elements(C, D, (c, d) =>
        sum(false, exact, rows, (k) => [g[k * C + c], input[k * D + d]], held(old.weight, c * D + d)),
      ),
      'gradient.linearWeight',
    );
    expectSame(
      layer.linearBiasGradient as Floats,
      elements(C, 1, (c) => sum(false, exact, rows, (k) => [g[k * C + c], 1], held(old.bias, c))),
      'gradient.linearBias',
    );
    for (const array of [layer.inputGradient, layer.linearWeightGradient, layer.linearBiasGradient]) {
      expectOneNaN(array as Floats);
    }
  }

  const SIZES = [1, 4, 127, 128, 129, 256, 257, 385, 513];

  it.each(Object.entries(KINDS))('of %s', (_, draw) => {
    const random = new Random(80);
    const draws = () => draw(random);
    for (const long of SIZES) {
      // Each of rows, features and classes is once the one that is summed over.
      const [a, b] = [1 + random.below(6), 2 + random.below(5)];
      compare(random, draws, long, a, b);
      compare(random, draws, a, long, b);
      compare(random, draws, a, b, long);
    }
  });

  it('of these numbers needs sums rounded once', () => {
    const wrong = (draw: (random: Random) => number) => {
      const random = new Random(81);
      let count = 0;
      for (let n = 0; n < 400; n++) {
        const terms = Array.from({ length: 40 }, (): [number, number] => [draw(random), draw(random)]);
        const once = sum(false, exact, 40, (k) => terms[k]);
        if (
          !Object.is(
            once,
            sum(
              false,
              (a, b, c) => Math.fround(a * b + c),
              40,
              (k) => terms[k],
            ),
          )
        )
          count++;
      }
      return count;
    };
    for (const [kind, draw] of Object.entries(KINDS)) {
      if (kind.includes('beside')) expect(wrong(draw), kind).toBeGreaterThan(4);
    }
  });
});

describe('linearCrossEntropy', () => {
  interface Shape {
    type: NumberType;
    rows: number;
    features: number;
    classes: number;
    /** Rows of a hundred that take no part. */
    ignored: number;
  }

  const floatsOf = (type: NumberType) => (type === 'float64' ? Float64Array : Float32Array);

  /** A batch with most options, its results still empty. */
  function randomBatch(random: Random, { type, rows, features, classes, ignored }: Shape): Batch {
    const Type = floatsOf(type);
    const numbers = (n: number, scale: number): Elements =>
      encode(
        random.floats(n, () => scale * random.normal()),
        type,
      );
    const floats = (n: number): Floats => new Type(n).map(() => random.uniform());
    const targets = Int32Array.from({ length: rows }, () =>
      random.below(100) < ignored ? random.pick(-1, classes) : random.below(classes),
    );
    const soft = random.once(4);
    const total = { sum: classes, rest: classes - 1, top: 0 };
    const wants = () => !random.once(4);
    return {
      ...newBatch(classes, classes, 1),
      rows,
      type: NUMBER_TYPES.indexOf(type),
      targets: soft ? targets.map((y) => (y >= 0 && y < classes ? 0 : -1)) : targets,
      seconds: !soft && random.once(3) ? Int32Array.from(targets, () => random.below(classes)) : null,
      lambda: 0.75,
      dense: soft ? floats(rows * classes) : null,
      denseStride: classes,
      epsilon: 0.125,
      epsilons: random.once(3) ? floats(rows) : null,
      rowWeight: random.once(2) ? floats(rows) : null,
      gradientScales: random.once(3) ? floats(rows) : null,
      gradientScale: 1 / rows,
      priorTotal: total,
      smoothingTotal: total,
      softcap: random.once(3) ? 4 : 0,
      losses: new Type(rows).fill(7),
      metrics: random.once(2),
      rowLoss: new Type(rows).fill(7),
      rowNll: new Type(rows).fill(7),
      rowLse: new Type(rows).fill(7),
      rowEntropy: new Type(rows).fill(7),
      prediction: new Int32Array(rows).fill(7),
      layer: {
        features,
        rows: targets.filter((y) => y >= 0 && y < classes).length,
        input: numbers(rows * features, 1),
        linearWeight: numbers(classes * features, 0.25),
        linearBias: wants() ? numbers(classes, 0.25) : null,
        inputGradient: wants() ? new Type(rows * features).fill(7) : null,
        linearWeightGradient: wants() ? floats(classes * features) : null,
        linearBiasGradient: wants() ? floats(classes) : null,
        accumulate: random.once(2),
      },
    };
  }

  const copy = <T extends Floats | Int32Array | null>(array: T): T =>
    (array === null ? null : array.slice()) as T;

  /** A batch with results of its own. */
  function cloneOf(batch: Batch): Batch {
    const layer = batch.layer as Layer;
    return {
      ...batch,
      losses: copy(batch.losses),
      rowLoss: copy(batch.rowLoss),
      rowNll: copy(batch.rowNll),
      rowLse: copy(batch.rowLse),
      rowEntropy: copy(batch.rowEntropy),
      prediction: copy(batch.prediction),
      layer: {
        ...layer,
        inputGradient: copy(layer.inputGradient),
        linearWeightGradient: copy(layer.linearWeightGradient),
        linearBiasGradient: copy(layer.linearBiasGradient),
      },
    };
  }

  const RESULTS = ['losses', 'rowLoss', 'rowNll', 'rowLse', 'rowEntropy', 'prediction'] as const;
  const GRADIENTS = ['inputGradient', 'linearWeightGradient', 'linearBiasGradient'] as const;

  function expectSameResults(own: Batch, sums: Sums, expected: Batch, expectedSums: Sums): void {
    expect(sums).toEqual(expectedSums);
    for (const name of RESULTS) expectSame(own[name] as Floats, expected[name] as Floats, name);
    for (const name of GRADIENTS) {
      const gradient = (own.layer as Layer)[name];
      const other = (expected.layer as Layer)[name];
      if (gradient === null) expect(other, name).toBeNull();
      else expectSame(gradient, other as Floats, name);
    }
  }

  /** The results by the definition: all logits at once, crossEntropy of each row, and plain loops. */
  function computePlainly(batch: Batch, type: NumberType): Sums {
    const double = type === 'float64';
    const by = double ? twice : fma;
    const Type = floatsOf(type);
    const { rows, classes } = batch;
    const layer = batch.layer as Layer;
    const { features, inputGradient, linearWeightGradient, linearBiasGradient, accumulate } = layer;
    const input = decode(layer.input, type);
    const weight = decode(layer.linearWeight, type);
    const bias = layer.linearBias === null ? null : decode(layer.linearBias, type);
    const takesPart = (r: number) => batch.targets[r] >= 0 && batch.targets[r] < classes;
    const part = [...batch.targets.keys()].filter(takesPart);

    const g = new Type(rows * classes);
    for (const r of part) {
      for (let c = 0; c < classes; c++) {
        const term = (k: number): [number, number] => [input[r * features + k], weight[c * features + k]];
        g[r * classes + c] = sum(double, by, features, term, bias?.[c]);
      }
    }
    const ofLogits: Batch = { ...batch, layer: null, type: double ? 1 : 0, logits: g, gradient: g };
    const total = noSums();
    for (let first = 0; first < part.length; first += 512) {
      const chunk = noSums();
      const end = Math.min(first + 512, part.length);
      for (let i = first; i < end; i += Math.floor(32_768 / classes)) {
        const sums = noSums();
        for (const r of part.slice(i, Math.min(i + Math.floor(32_768 / classes), end))) {
          addSums(sums, crossEntropy(ofLogits, 1, r, r + 1));
        }
        addSums(chunk, sums);
      }
      addSums(total, chunk);
    }
    batch.targets.forEach((_, r) => {
      if (takesPart(r)) return;
      for (const name of RESULTS) (batch[name] as Floats)[r] = name === 'prediction' ? -1 : 0;
    });

    inputGradient?.forEach((_, i) => {
      const r = Math.floor(i / features);
      const d = i % features;
      const term = (k: number): [number, number] => [g[r * classes + k], weight[k * features + d]];
      inputGradient[i] = takesPart(r) ? sum(double, by, classes, term) : 0;
    });
    linearWeightGradient?.forEach((old, i) => {
      const c = Math.floor(i / features);
      const d = i % features;
      const term = (k: number): [number, number] => [g[part[k] * classes + c], input[part[k] * features + d]];
      linearWeightGradient[i] = sum(double, by, part.length, term, accumulate ? old : undefined);
    });
    linearBiasGradient?.forEach((old, c) => {
      const term = (k: number): [number, number] => [g[part[k] * classes + c], 1];
      linearBiasGradient[c] = sum(double, by, part.length, term, accumulate ? old : undefined);
    });
    return total;
  }

  /** Runs all steps; `between` after each. */
  function runSteps(steps: Generator<void, Sums>, between = () => {}): Sums {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      between();
    }
  }
  const stepsOf = (batch: Batch) => linearCrossEntropy.steps?.(batch) as Generator<void, Sums>;

  describe.each(NUMBER_TYPES)('of %s', (type) => {
    const SHAPES: [rows: number, features: number, classes: number, ignored: number][] = [
      [1, 1, 2, 0],
      [7, 9, 5, 0],
      [20, 300, 6, 30],
      [30, 5, 270, 50],
      [600, 3, 4, 0],
      [1300, 2, 5, 20],
      [300, 2, 300, 10], // its loss is summed by 109 rows
      [9, 4, 3, 100],
      [0, 4, 3, 0],
    ];

    it.each(SHAPES)(
      '%i rows, %i features, %i classes, %i percent ignored',
      (rows, features, classes, ignored) => {
        const random = new Random(rows + features + classes);
        for (let n = 0; n < 4; n++) {
          const batch = randomBatch(random, { type, rows, features, classes, ignored });
          // What rows hold that take no part is no matter.
          batch.targets.forEach((y, r) => {
            const { input } = batch.layer as Layer;
            if (y < 0 || y >= classes) input.fill(encode([NaN], type)[0], r * features, (r + 1) * features);
          });
          const [expected, once, sliced, stepped] = Array.from({ length: 4 }, () => cloneOf(batch));
          const sums = computePlainly(expected, type);
          expectSameResults(once, linearCrossEntropy(once, 1), expected, sums);

          const total = noSums();
          const { rows: count } = batch.layer as Layer;
          for (let begin = 0; begin === 0 || begin < count; begin += 512) {
            addSums(total, linearCrossEntropy(sliced, 1, begin, Math.min(begin + 512, count)));
          }
          expectSameResults(sliced, total, expected, sums);

          expectSameResults(stepped, runSteps(stepsOf(stepped)), expected, sums);
        }
      },
    );

    it('other calls may run between its steps', () => {
      const random = new Random(82);
      const shape = { type, rows: 40, features: 12, classes: 20, ignored: 20 };
      const batch = randomBatch(random, shape);
      const other = randomBatch(random, { ...shape, rows: 30 });
      const [expected, own, third] = [cloneOf(batch), cloneOf(batch), cloneOf(other)];
      const sums = computePlainly(expected, type);
      const another = stepsOf(third);
      const between = () => {
        linearCrossEntropy(other, 1);
        another.next();
      };
      expectSameResults(own, runSteps(stepsOf(own), between), expected, sums);
    });

    it('in slices, the event loop goes on', async () => {
      const random = new Random(83);
      const shape = { type, rows: 500, features: 300, classes: 120, ignored: 0 };
      const own = randomBatch(random, shape);
      const expected = cloneOf(own);
      const sums = linearCrossEntropy(expected, 1);
      let slices = 0;
      const inSlices = await computeInSlices(linearCrossEntropy, own, () => slices++);
      expectSameResults(own, inSlices, expected, sums);
      expect(slices).toBeGreaterThan(2);
    });
  });

  it('writes the results where no row takes part, in slices too', async () => {
    const batch = randomBatch(new Random(84), {
      type: 'float32',
      rows: 4,
      features: 3,
      classes: 2,
      ignored: 100,
    });
    const layer = batch.layer as Layer;
    layer.inputGradient = new Float32Array(12).fill(7);
    layer.linearWeightGradient = new Float32Array(6).fill(7);
    layer.linearBiasGradient = new Float32Array(2).fill(7);
    layer.accumulate = false;
    for (const withSteps of [true, false]) {
      const own = cloneOf(batch);
      const kernel = withSteps ? linearCrossEntropy : Object.assign(linearCrossEntropy.bind(undefined), {});
      expect(await computeInSlices(kernel, own, () => {})).toEqual(noSums());
      for (const name of GRADIENTS) {
        expect(
          (own.layer as Layer)[name]?.every((x) => Object.is(x, 0)),
          name,
        ).toBe(true);
      }
      expect([...(own.prediction as Int32Array)]).toEqual([-1, -1, -1, -1]);
    }
  });
});
