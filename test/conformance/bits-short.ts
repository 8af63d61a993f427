// The same bits of rows of so few classes that vector kernels turn them: more rows than a vector has lanes and not a multiple
// of that, in one chunk and in several, with and without gaps.

import { type Call, reports } from '../support/calls.js';
import { encode, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import { anywhere, pinned, update } from './pinned.js';
import { Random } from './random.js';
import { randomElements } from './random-calls.js';
import type { Table } from './table.js';

const ROWS = 37;
/** More classes than are turned. */
const CLASSES = 51;

/** A call without options that choose the kernel, and one with all reports and numbers of all kinds. */
function* shortCalls(type: NumberType, rows: number, classes: number): Generator<Call> {
  const random = new Random(100 * classes + rows);
  const rowStride = classes + random.pick(0, 0, 3);
  const target = () => (random.once(9) ? -100 : random.below(classes));
  const call = (logits: Call['logits']): Call => ({
    type,
    logits,
    targets: Int32Array.from({ length: rows }, target),
    options: { classes, rowStride, labelSmoothing: 0.1 },
  });
  const length = rows * rowStride;
  yield call(
    encode(
      random.floats(length, () => 3 * random.normal()),
      type,
    ),
  );
  const general = call(randomElements(random, length, type));
  yield { ...general, options: { ...general.options, ...reports(general), reduction: 'none' } };
}

const cases = NUMBER_TYPES.flatMap((type) => [
  pinned(`short rows, ${type}`, (hash) => {
    for (let classes = 1; classes <= CLASSES; classes++) {
      for (const call of shortCalls(type, ROWS, classes)) update(hash, anywhere(call));
    }
  }),
  pinned(`short rows, ${type}, in several chunks`, (hash) => {
    for (const [rows, classes] of [
      [1501, 47],
      [2903, 23],
      [7001, 10],
    ]) {
      for (const call of shortCalls(type, rows, classes)) update(hash, anywhere(call));
    }
  }),
]);

export const tables: readonly Table[] = [{ name: 'bits of short rows', cases }];
