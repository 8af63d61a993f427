// Calls whose sizes are at the edges: no rows of any number of classes, and as many of either as make C++ and TypeScript go
// another way, each by constants of its own.

import { make } from '../support/calls.js';
import { NUMBER_TYPES } from '../support/numbers.js';
import { onEveryBackend } from './backends.js';
import { KINDS, labelsCall, ordinaryCall } from './ordinary.js';
import { describe, everywhere } from './pinned.js';
import { EDGES_OF_CLASSES, Random } from './random.js';
import { edgeCall, emptyCall } from './random-calls.js';
import { type Case, same, type Table } from './table.js';

const CALLS = 150;

/** Options per class are left out: of so many there may be none. */
const emptyCases: Case[] = KINDS.flatMap((kind) =>
  onEveryBackend(kind.join(' of '), (functions) => {
    for (const classes of [1, ...EDGES_OF_CLASSES, 50_257, 2 ** 31 - 1]) {
      for (const inner of [1, 2, 7, 32]) {
        for (const type of NUMBER_TYPES) {
          const call = emptyCall(new Random(1), kind, type, 3, inner);
          const logTarget = kind[1] === 'logarithms' ? { logTarget: true } : {};
          const options = { classes, ...logTarget, ...(inner === 1 ? {} : { inner }), threads: 3 };
          const what = describe({ ...call, options });
          const { loss, rows, gradient } = make(functions, { ...call, options }, { gradient: true });
          same(loss, NaN, `the loss, ${what}`);
          same(rows, 0, `the rows, ${what}`);
          same(gradient?.length, 0, `the length of the gradient, ${what}`);
        }
      }
    }
  }),
);

const emptyLabels: Case[] = onEveryBackend('smoothLabels', (functions) => {
  for (const classes of [1, ...EDGES_OF_CLASSES]) {
    for (const kind of ['indices', 'mixed targets', 'soft targets'] as const) {
      const { labels } = make(functions, labelsCall(new Random(classes), kind, 0, classes));
      same(labels?.length, 0, `how many labels there are of ${classes} classes`);
    }
  }
});

/** Around KEPT of lib/arena.ts. */
const manyRows: Case[] = [2 ** 18, 2 ** 18 + 1].map((rows) => ({
  name: `${rows} rows`,
  run: () => {
    for (const [name, targets, count] of [
      ['nllLoss', 'mixed targets', Math.ceil(rows / 2)],
      ['nllLoss', 'indices', rows],
    ] as const) {
      everywhere(ordinaryCall(new Random(1), [name, targets], 'float32', count, 1));
    }
  },
}));

const randomCases: Case[] = Array.from({ length: CALLS / 10 }, (_, tens) => ({
  name: `calls ${10 * tens} to ${10 * tens + 9}`,
  run: () => {
    for (let seed = 10 * tens; seed < 10 * tens + 10; seed++) everywhere(edgeCall(seed));
  },
}));

export const tables: Table[] = [
  { name: 'edges: no rows', cases: [...emptyCases, ...emptyLabels] },
  { name: 'edges: as many rows as the arena keeps memory for', cases: manyRows },
  { name: 'edges: random calls', cases: randomCases },
];
