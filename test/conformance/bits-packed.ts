// The same bits of rows that vector kernels bring into scratch memory, where they hold the same column of several: rows of
// few classes, with and without gaps, and images, of any number of pixels. In one chunk and in several.

import { type Call, reports } from '../support/calls.js';
import { encode, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import { anywhere, pinned, update } from './pinned.js';
import { Random } from './random.js';
import { randomElements } from './random-calls.js';
import type { Table } from './table.js';

/** More rows than a vector has lanes, and not a multiple of that. */
const ROWS = 37;
/** More classes than are turned. */
const CLASSES = 67;

/** Calls without an option that chooses the kernel, of ordinary rows and of any, and one with all reports. */
function* callsOf(type: NumberType, rows: number, layout: Call['options']): Generator<Call> {
  const { classes, rowStride = classes, inner = 1 } = layout;
  const random = new Random(100 * classes + rows);
  const target = () => (random.once(9) ? -100 : random.below(classes));
  const call = (logits: Call['logits']): Call => ({
    type,
    logits,
    targets: Int32Array.from({ length: rows }, target),
    options: { ...layout, labelSmoothing: 0.1 },
  });
  const length = rows * rowStride;
  const ordinary = () =>
    encode(
      random.floats(length, () => 3 * random.normal()),
      type,
    );
  yield call(ordinary());
  const general = call(randomElements(random, length, type));
  yield { ...general, options: { ...general.options, ...reports(general), reduction: 'none' } };
  // Here and there a logit that is not ordinary, the target's own among them.
  const special = encode([NaN, Infinity, -Infinity, -1e30, 3e6], type);
  const odd = call(ordinary());
  for (let row = random.below(16); row < rows; row += 1 + random.below(40)) {
    const y = (odd.targets as Int32Array)[row];
    const column = y >= 0 && random.once(2) ? y : random.below(classes);
    const image = Math.floor(row / inner) * classes * inner;
    odd.logits[inner === 1 ? row * rowStride + column : image + column * inner + (row % inner)] = random.pick(
      ...special,
    );
  }
  yield odd;
  const weighed = call(odd.logits);
  yield {
    ...weighed,
    options: {
      ...layout,
      labelSmoothing: { epsilon: random.floats(rows, () => random.pick(0, 0.1, 1)) },
      weight: random.factors(classes),
      rowWeight: random.factors(rows),
      gradientScale: random.floats(rows, () => random.normal()),
      reduction: 'none',
    },
  };
}

const shortRows = NUMBER_TYPES.flatMap((type) => [
  pinned(`short rows, ${type}`, (hash) => {
    for (let classes = 1; classes <= CLASSES; classes++) {
      const rowStride = classes + (classes % 3 === 0 ? 3 : 0);
      for (const rows of [ROWS, 6]) {
        for (const call of callsOf(type, rows, { classes, rowStride })) update(hash, anywhere(call));
      }
    }
  }),
  pinned(`short rows, ${type}, in several chunks`, (hash) => {
    for (const [rows, classes] of [
      [1501, 47],
      [2903, 23],
      [7001, 10],
    ]) {
      for (const call of callsOf(type, rows, { classes })) update(hash, anywhere(call));
    }
  }),
]);

const images = NUMBER_TYPES.flatMap((type) => [
  pinned(`images, ${type}`, (hash) => {
    for (const inner of [3, 16, 17, 64, 65, 131]) {
      for (const classes of [1, 2, 8, 21, 65]) {
        for (const call of callsOf(type, 2 * inner, { classes, inner })) update(hash, anywhere(call));
      }
    }
  }),
  pinned(`images, ${type}, in several chunks`, (hash) => {
    for (const call of callsOf(type, 4000, { classes: 21, inner: 1000 })) update(hash, anywhere(call));
  }),
]);

// Brought there if they are large; of the longest, a vector of rows is more than there is room for.
const largeImages = (['float32', 'bfloat16'] as const).map((type) =>
  pinned(`images of many classes, ${type}`, (hash) => {
    for (const [classes, rows] of [
      [513, 42],
      [513, 987],
      [2650, 189],
      [5300, 105],
    ]) {
      for (const call of callsOf(type, rows, { classes, inner: 21 })) update(hash, anywhere(call));
    }
  }),
);

export const tables: readonly Table[] = [
  { name: 'bits of short rows', cases: shortRows },
  { name: 'bits of images', cases: [...images, ...largeImages] },
];
