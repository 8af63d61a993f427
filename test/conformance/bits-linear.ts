// The same bits of linearCrossEntropy on every backend, by any number of threads: shapes around those where C++ and TypeScript
// go another way, each by constants of its own, and numbers of every kind.

import type { Hash } from 'node:crypto';
import type { Call, CallOptions, LayerGradients } from '../support/calls.js';
import { type Elements, encode, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import { backends } from './backends.js';
import { type LayerCall, layerCall } from './ordinary.js';
import { describe, type Part, pinned, resultBytes, sameBytes, update } from './pinned.js';
import { Random } from './random.js';
import { anyElements, randomElements, randomLayerCall } from './random-calls.js';
import { type Case, fail, type Table } from './table.js';

type Shape = readonly [rows: number, features: number, classes: number];
type Floats = Float32Array | Float64Array;
const NAMES = ['input', 'linearWeight', 'linearBias'] as const;

/** Of slivers, panels and vectors: of each dimension. */
const SIZES = [1, 2, 3, 5, 8, 9, 12, 13, 16, 17, 31, 32, 33, 40];
/** Around kProductChain, kProductBlock, the most columns of a piece, and two blocks. */
const BLOCKS = [127, 128, 129, 256, 257, 385, 480, 481, 513];
/** Around kProductBlock and chunks of rows. */
const MANY_ROWS = [255, 256, 257, 511, 512, 513, 1025];
const RANDOM = 2000;
const PER_HASH = 200;

/** Arrays for the gradients of a call, which hold any numbers; what is not asked for is not there. */
function arrays(random: Random, call: LayerCall, names: readonly (typeof NAMES)[number][]): LayerGradients {
  const { type, logits, linearWeight, options } = call;
  const lengths = { input: logits.length, linearWeight: linearWeight.length, linearBias: options.classes };
  const real = type === 'float64' ? 'float64' : 'float32';
  const given: LayerGradients = {};
  for (const name of names) given[name] = randomElements(random, lengths[name], real) as Floats;
  return given;
}

/** Draws what is asked of the gradients: all, some, none, in new arrays or in given ones, to which they are added at times. */
function askGradients(random: Random, call: LayerCall): void {
  const { options } = call;
  const names = NAMES.filter((name) => name !== 'linearBias' || options.linearBias !== undefined);
  const some = names.filter(() => !random.once(4));
  const kind = random.below(8);
  if (kind === 0) return;
  if (kind < 4) options.gradient = kind < 3 || Object.fromEntries(some.map((name) => [name, true]));
  else options.gradient = arrays(random, call, some);
  if (kind > 5 && some.some((name) => name !== 'input')) options.accumulate = true;
}

/** The options with copies of the arrays that are written. */
function ownGradients({ gradient, ...options }: CallOptions): CallOptions {
  if (gradient === undefined) return options;
  return { ...options, gradient: typeof gradient === 'object' ? structuredClone(gradient) : gradient };
}

/** Makes the call on every backend, by one thread and by `threads`: all must agree. Returns the result. */
function everywhere(call: Call, threads = 1): Part[] {
  let first: Part[] | undefined;
  for (const functions of backends) {
    for (const n of threads === 1 || functions.backend.name === 'js' ? [1] : [1, threads]) {
      const parts = resultBytes(functions, {
        ...call,
        options: { ...ownGradients(call.options), threads: n },
      });
      first ??= parts;
      if (parts !== first)
        sameBytes(parts, first, `${n} threads of ${functions.backend.name}, ${describe(call)}`);
    }
  }
  return first ?? fail('there is no backend');
}

/** A call of that shape with any options and numbers, everywhere. */
function anyCall(hash: Hash, seed: number, shape: Shape, threads = 1): void {
  const random = new Random(seed);
  const call = randomLayerCall(random, NUMBER_TYPES[seed % 4], shape);
  askGradients(random, call);
  update(hash, everywhere(call, threads));
}

const sizes: Case[] = SIZES.map((rows, i) =>
  pinned(`layers of ${rows} rows`, (hash) => {
    SIZES.forEach((features, j) => {
      SIZES.forEach((classes, k) => {
        anyCall(hash, 100_000 + 1000 * i + 50 * j + k, [rows, features, classes]);
      });
    });
  }),
);

const blocks: Case[] = BLOCKS.map((features, i) =>
  pinned(`layers of ${features} features`, (hash) => {
    BLOCKS.forEach((classes, k) => {
      // Half of all pairs.
      if ((i + k) % 2 === 0) anyCall(hash, 200_000 + 50 * i + k, [3 + ((i + k) % 5), features, classes]);
    });
  }),
);

// Threads, since these are large enough for some.
const chunks: Case[] = MANY_ROWS.map((rows, i) =>
  pinned(`layers of ${rows} rows, by threads`, (hash) => {
    for (const [k, [features, classes]] of [
      [1, 5],
      [40, 1],
      [33, 41],
      [65, 31],
      [17, 257],
    ].entries()) {
      for (const t of [0, 1, 2, 3])
        anyCall(hash, 300_000 + 50 * i + 4 * k + t, [rows, features, classes], [2, 3, 7, 3][t]);
    }
  }),
);

const wide: Case[] = (
  [
    [40, 257, 481],
    [13, 481, 513],
    [3, 2000, 65],
    [300, 2, 1000],
    [700, 260, 257], // pieces of rows, with more features than scratch memory has room for in double
  ] as const
).map((shape, i) =>
  pinned(`layers of ${shape.join(' x ')}, by threads`, (hash) => {
    for (const t of [0, 1, 2, 3]) anyCall(hash, 400_000 + 4 * i + t, shape, [7, 2, 3, 7][t]);
  }),
);

/** Numbers that make sums whose bits are hard. */
const KINDS: Record<string, (random: Random) => number> = {
  'of few bits, so that sums are ties': (random) => (random.below(33) - 16) / 16,
  'whose sums are subnormal': (random) => random.normal() * 2 ** -74,
  'whose sums overflow': (random) => random.normal() * 2 ** 63,
  'of zeros of both signs': (random) => random.pick(0, -0, -0, 2 ** -100, -(2 ** -100)),
  'with infinities and NaN': (random) =>
    random.once(60) ? random.pick(Infinity, -Infinity, NaN) : random.normal(),
};
const draws: [string, (random: Random, length: number, type: NumberType) => Elements][] = Object.entries(
  KINDS,
).map(([name, draw]) => [
  name,
  (random, length, type) =>
    encode(
      Array.from({ length }, () => draw(random)),
      type,
    ),
]);
draws.push(['of any bits', anyElements]);

const kinds: Case[] = draws.flatMap(([name, draw], k) =>
  NUMBER_TYPES.map((type, t) =>
    pinned(`layers ${name}, ${type}`, (hash) => {
      for (const [s, shape] of (
        [
          [5, 300, 20],
          [20, 7, 300],
          [300, 20, 9],
          [14, 33, 33],
        ] as const
      ).entries()) {
        const random = new Random(500_000 + 100 * k + 10 * t + s);
        const call = layerCall(random, 'indices', type, shape, (length) => draw(random, length, type));
        const { options } = call;
        const real = type === 'float64' ? 'float64' : 'float32';
        const linearWeight = draw(random, call.linearWeight.length, real) as Floats;
        update(hash, everywhere({ ...call, options: { ...options, gradient: true } }));
        update(
          hash,
          everywhere({ ...call, options: { ...options, gradient: { linearWeight }, accumulate: true } }),
        );
      }
    }),
  ),
);

const random: Case[] = Array.from({ length: RANDOM / PER_HASH }, (_, n) =>
  pinned(`random layers ${n * PER_HASH} to ${(n + 1) * PER_HASH - 1}`, (hash) => {
    for (let seed = n * PER_HASH; seed < (n + 1) * PER_HASH; seed++) {
      const draw = new Random(600_000 + seed);
      const size = () => 1 + draw.below(40);
      anyCall(hash, 700_000 + seed, [size(), size(), size()]);
    }
  }),
);

// 65,536 classes are the most whose logits are kept for 512 rows at a time; of more, those of 256 are.
const many: Case[] = (
  [
    [3, 3, 65_536],
    [3, 3, 65_537],
    [300, 2, 65_537],
  ] as const
).map((shape, n) => ({
  name: shape.join(' x '),
  run: () => {
    const random = new Random(800_000 + n);
    const call = layerCall(random, 'indices', 'float32', shape, (length) =>
      random.floats(length, random.normal),
    );
    everywhere({ ...call, options: { ...call.options, gradient: true } }, 2);
  },
}));

export const tables: Table[] = [
  { name: 'bits of layers of every size', cases: [...sizes, ...blocks, ...chunks, ...wide] },
  { name: 'bits of layers with numbers of every kind', cases: kinds },
  { name: 'bits of random layers', cases: random },
  { name: 'edges: layers of many classes', cases: many },
];
