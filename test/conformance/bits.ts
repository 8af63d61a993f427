// The same bits on every backend, for crossEntropy of float32 logits and class indices, and for random calls of any loss.

import type { Hash } from 'node:crypto';
import type { Call, CallOptions } from '../support/calls.js';
import { backends } from './backends.js';
import { everywhere, pinned, pinnedCalls, resultBytes, sameBytes, update } from './pinned.js';
import { Random, randomLogits } from './random.js';
import { randomCall } from './random-calls.js';
import { type Case, errorOf, fail, same, type Table } from './table.js';

/** How many random calls are made. */
export const CALLS = Number(process.env.SMOOTHLOSS_CALLS ?? 10_000);
const CALLS_PER_HASH = 1000;
if (!(Number.isInteger(CALLS) && CALLS > 0))
  throw new Error(`SMOOTHLOSS_CALLS is ${process.env.SMOOTHLOSS_CALLS}`);

/** Targets of all kinds: a few ignored, all classes when there are rows enough. */
function targetsFor(random: Random, rows: number, classes: number): Int32Array {
  return Int32Array.from({ length: rows }, () => (random.once(9) ? -100 : random.below(classes)));
}

/** Calls of one size that between them use every option and every path through the kernels. */
export function* callsOf(rows: number, classes: number, seed: number): Generator<Call> {
  const random = new Random(seed);
  const normal = (length: number, scale = 3) => random.floats(length, () => scale * random.normal());
  const call = (options: Partial<CallOptions> = {}, logits = normal(rows * classes)): Call => ({
    logits,
    targets: targetsFor(random, rows, classes),
    options: { classes, ...options },
  });
  const rowStride = classes + 3;
  const others = classes > 1 ? 'others' : 'all'; // with one class there are no others

  yield call();
  yield call({ labelSmoothing: 0.1 });
  yield call({ labelSmoothing: 1, reduction: 'sum' }, normal(rows * classes, 40));
  yield call({ labelSmoothing: 0.1, weight: random.floats(classes, () => 0.25 + random.uniform()) });
  yield call({ labelSmoothing: { epsilon: 0.1, over: others }, reduction: 'none' });
  yield call({
    labelSmoothing: {
      epsilon: random.floats(rows, () => random.pick(0, 0.1, 0.9, 1)),
      over: 'all',
      exclude: classes > 2 ? [classes - 1, 0] : [],
      prior: random.floats(classes, () => 0.125 + random.uniform()),
    },
    weight: random.floats(classes, () => 0.25 + random.uniform()),
    rowWeight: random.floats(rows, () => random.pick(0, 0.5, 1, 3)),
    mask: Uint8Array.from({ length: rows }, () => random.below(5)),
    reduction: 'none',
    gradientScale: random.floats(rows, () => random.normal()),
  });
  yield call(
    { labelSmoothing: 0.1, rowStride, gradientScale: -0.5, normalizer: 'rows' },
    normal(rows * rowStride, 1),
  );
  // The shift by the maximum, with and without smoothing.
  yield call(
    { labelSmoothing: 0.1 },
    random.floats(rows * classes, () => 1e8 + 64 * random.below(8)),
  );
  yield call(
    {},
    random.floats(rows * classes, () => 2 ** 20 - 2 + random.below(32) / 8),
  );
  // Every kind of float.
  yield call({ labelSmoothing: 0.1, reduction: 'none' }, random.anyFloats(rows * classes));
  yield call({ reduction: 'none' }, randomLogits(random, rows * classes));
  const holes = normal(rows * classes);
  for (let i = 0; i < holes.length; i++) if (random.once(3)) holes[i] = random.pick(-Infinity, -1e38, -200);
  yield call({ reduction: 'none' }, holes);
  yield call({ labelSmoothing: 0.1, reduction: 'none' }, holes);
}

function sizeCases(): Case[] {
  const cases: Case[] = [];
  for (let classes = 1; classes <= 130; classes++) {
    cases.push(pinnedCalls(`${classes} classes`, () => callsOf(4, classes, 1000 + classes)));
  }
  for (const classes of [1000, 1023, 1024, 1025, 2047, 2048, 2049, 4097, 32_000, 100_003]) {
    const rows = classes > 10_000 ? 1 : 3;
    cases.push(pinnedCalls(`${classes} classes`, () => callsOf(rows, classes, 1000 + classes)));
  }
  for (const rows of [0, 1, 63, 64, 65, 127, 128, 129, 1000, 3001]) {
    cases.push(pinnedCalls(`${rows} rows`, () => callsOf(rows, 3, 2000 + rows)));
  }
  cases.push({
    name: '0 classes are an error',
    run: () => {
      for (const { crossEntropy } of backends) {
        const error = errorOf(() => crossEntropy(new Float32Array(0), new Int32Array(0), { classes: 0 }));
        same(error.code, 'ERR_OUT_OF_RANGE', 'the code');
      }
    },
  });
  return cases;
}

/** Each option alone, on the same batch: a change of what one option does shows as that option. */
function optionCases(): Case[] {
  const rows = 7;
  const classes = 43;
  const random = new Random(3000);
  const logits = random.floats(rows * classes, () => 4 * random.normal());
  const padded = random.floats(rows * 50, () => 4 * random.normal());
  const targets = Int32Array.of(0, 42, 7, -100, 31, 32, 7);
  const weight = random.factors(classes);
  weight[7] = 0.5;
  const prior = random.factors(classes);
  const epsilon = Float32Array.of(0, 0.1, 1, 0.5, 0.25, 0.1, 0.9);
  const options: Record<string, Partial<CallOptions>> = {
    'no option': {},
    'labelSmoothing 0': { labelSmoothing: 0 },
    'labelSmoothing 0.1': { labelSmoothing: 0.1 },
    'labelSmoothing 1': { labelSmoothing: 1 },
    'labelSmoothing 2^-149': { labelSmoothing: 2 ** -149 },
    'epsilon per row': { labelSmoothing: { epsilon } },
    'over all': { labelSmoothing: { epsilon: 0.1, over: 'all' } },
    'over others': { labelSmoothing: { epsilon: 0.1, over: 'others' } },
    'exclude one': { labelSmoothing: { epsilon: 0.1, exclude: 7 } },
    'exclude several': { labelSmoothing: { epsilon: 0.1, exclude: [0, 42, 5] } },
    'exclude and over others': { labelSmoothing: { epsilon: 0.1, exclude: [0, 42, 5], over: 'others' } },
    prior: { labelSmoothing: { epsilon: 0.1, prior } },
    'prior, over others, exclude': { labelSmoothing: { epsilon, prior, over: 'others', exclude: 3 } },
    weight: { weight },
    'weight and labelSmoothing': { weight, labelSmoothing: 0.1 },
    'weight and prior': { weight, labelSmoothing: { epsilon, prior } },
    rowWeight: { rowWeight: Float32Array.of(1, 2, 0, 3, 0.1, 0.7, 1) },
    ignoreIndex: { ignoreIndex: [-100, 7] },
    mask: { mask: Uint8Array.of(1, 0, 1, 0, 255, 1, 0) },
    'reduction sum': { reduction: 'sum' },
    'reduction none': { reduction: 'none' },
    'normalizer weight': { weight, normalizer: 'weight' },
    'normalizer rows': { weight, normalizer: 'rows' },
    'normalizer all': { weight, normalizer: 'all' },
    'normalizer 3.7': { normalizer: 3.7 },
    'whenEmpty nan': { mask: new Uint8Array(rows), whenEmpty: 'nan' },
    'whenEmpty zero': { mask: new Uint8Array(rows), whenEmpty: 'zero' },
    gradientScale: { gradientScale: -1024 },
    'gradientScale per row': { gradientScale: epsilon, reduction: 'none' },
    rowStride: { rowStride: 50 },
  };
  const family: Record<string, Partial<CallOptions>> = {
    "form 'kl'": { form: 'kl' },
    "form 'kl' and labelSmoothing": { form: 'kl', labelSmoothing: 0.1 },
    "form 'kl', over others, prior, weight": {
      form: 'kl',
      labelSmoothing: { epsilon, prior, over: 'others' },
      weight,
    },
    'logitScale 0.7': { logitScale: 0.7 },
    'softcap 5': { softcap: 5 },
    'logitScale and softcap': { logitScale: 3, softcap: 10, labelSmoothing: 0.1 },
    'zLoss 0.01': { zLoss: 0.01 },
    'zLoss, labelSmoothing, rowWeight': { zLoss: 0.1, labelSmoothing: 0.1, rowWeight: epsilon },
    inner: { inner: 7, labelSmoothing: 0.1 },
    metrics: { metrics: true, zLoss: 0.01 },
    perRow: { perRow: ['loss', 'nll', 'lse', 'entropy', 'prediction'] },
  };
  return Object.entries({ ...options, ...family }).map(([name, option]) =>
    pinnedCalls(`option: ${name}`, () => [
      { logits: option.rowStride === undefined ? logits : padded, targets, options: { classes, ...option } },
    ]),
  );
}
/** Where the arrays begin in memory must not matter: every array at element offsets 0 to 9 of a larger one. */
function layoutCases(): Case[] {
  const cases: Case[] = [];
  for (const classes of [5, 31, 64, 100, 1030]) {
    const name = `arrays at any offset, ${classes} classes`;
    const run = (hash: Hash) => {
      const rows = 3;
      const random = new Random(4000 + classes);
      const at = <A extends Float32Array | Int32Array>(array: A, offset: number): A => {
        const larger = new (array.constructor as new (length: number) => A)(array.length + 16);
        larger.set(array, offset);
        return larger.subarray(offset, offset + array.length) as A;
      };
      const logits = random.floats(rows * classes, () => 3 * random.normal());
      const targets = Int32Array.from({ length: rows }, () => random.below(classes));
      const weight = random.floats(classes, () => random.uniform());
      const prior = random.floats(classes, () => random.uniform());
      const rowWeight = random.floats(rows, () => random.uniform());
      const epsilon = random.floats(rows, () => random.uniform());
      const call = (o: number): Call => ({
        logits: at(logits, o),
        targets: at(targets, (o * 3) % 10),
        options: {
          classes,
          weight: at(weight, (o * 7) % 10),
          rowWeight: at(rowWeight, (o + 1) % 10),
          labelSmoothing: { epsilon: at(epsilon, (o + 2) % 10), prior: at(prior, (o * 9 + 5) % 10) },
        },
      });
      const expected = everywhere(call(0));
      update(hash, expected);
      for (let offset = 0; offset < 10; offset++) {
        for (const functions of backends) {
          for (let out = 0; out < 10; out++) {
            const { options, ...rest } = call(offset);
            const gradient = at(new Float32Array(rows * classes), out);
            const around = new Float32Array(gradient.buffer);
            around.fill(7);
            const actual = resultBytes(functions, { ...rest, options: { ...options, gradient } });
            const where = `${functions.backend.name}, logits at ${offset}, gradient at ${out}`;
            sameBytes(actual, expected, where);
            gradient.fill(7);
            if (around.some((x) => x !== 7)) fail(`${where}: something beside the gradient was written`);
          }
        }
      }
    };
    cases.push(pinned(name, run));
  }
  return cases;
}

/**
 * The exponential of very many floats: each is a logit of a row, and the gradient tells. The JavaScript backend computes
 * most with plain rounding and a few, where a sum lies halfway between two floats, as fma does; `HALFWAY` are such ones,
 * found by trying all floats, and among the multiples of 2^−25 every second is one.
 */
const HALFWAY = [0xb9cb31ca, 0xb9cb3bde, 0xbb12a40a, 0xbf5e6142];

function denseCases(): Case[] {
  const N = 1 << 16;
  const floats = new Float32Array(1);
  const words = new Uint32Array(floats.buffer);
  const fromBits = (bits: number) => {
    words[0] = bits;
    return floats[0];
  };
  // The largest is the target; all others are below it.
  const row = (most: number, one: (i: number) => number): Call => {
    const logits = new Float32Array(N).fill(most);
    for (let i = 1; i < N; i++) logits[i] = one(i);
    return { logits, targets: Int32Array.of(0), options: { classes: N, reduction: 'sum' } };
  };
  const bands: [string, () => Iterable<Call>][] = [
    ['multiples of 2^-25', () => [row(0, (i) => -i * 2 ** -25), row(0, (i) => -(i + N) * 2 ** -25)]],
    [
      'halfway cases and their neighbours',
      () => [row(0, (i) => fromBits(HALFWAY[(i >> 8) & 3] + (i & 255) - 128))],
    ],
    [
      'every 97th float from -2^-12 to -1',
      function* () {
        for (let bits = 0xb9800000; bits < 0xbf800000; bits += 97 * N)
          yield row(0, (i) => fromBits(bits + 97 * i));
      },
    ],
    [
      '-90 to 0',
      () => {
        const { uniform } = new Random(5000);
        return Array.from({ length: 8 }, () => row(0, () => -90 * uniform()));
      },
    ],
    [
      'far from 0',
      () => {
        const { uniform } = new Random(5001);
        const most = [
          1e3,
          1e5,
          524_000,
          2 ** 19 - 2 ** -5,
          2 ** 19,
          2 ** 19 + 2 ** -4,
          530_000,
          2 ** 20,
          1_100_000,
        ];
        return [...most, ...most.map((m) => -m)].map((m) => row(m, () => m - 95 * uniform()));
      },
    ],
  ];
  return bands.map(([name, calls]) => pinnedCalls(`exponentials: ${name}`, calls));
}
/** The random calls, in groups: the hash of the first n groups says the same on a machine that has time for n only. */
function randomCases(): Case[] {
  const cases: Case[] = [];
  for (let from = 0; from < CALLS; from += CALLS_PER_HASH) {
    const to = from + CALLS_PER_HASH;
    const name = `random calls ${from} to ${to - 1}`;
    cases.push(
      pinned(name, (hash) => {
        for (let seed = from; seed < to; seed++) update(hash, everywhere(randomCall(seed)));
      }),
    );
  }
  return cases;
}

export const tables: Table[] = [
  { name: 'bits at every size', cases: sizeCases() },
  { name: 'bits of every option', cases: optionCases() },
  { name: 'bits at any place in memory', cases: layoutCases() },
  { name: 'bits of exponentials, densely', cases: denseCases() },
  { name: 'bits of random calls', cases: randomCases() },
];
