// The same bits for any number of threads: many rows, whose chunks are shared out, and few long ones, whose segments are.

import { type Call, reports } from '../support/calls.js';
import { NUMBER_TYPES } from '../support/numbers.js';
import { backends } from './backends.js';
import { KINDS, labelsCall, ordinaryCall } from './ordinary.js';
import { describe, everywhere, pinned, resultBytes, sameBytes, update } from './pinned.js';
import { Random } from './random.js';
import { randomElements } from './random-calls.js';
import type { Case, Table } from './table.js';

// Under an emulator one number must do: how the work is shared depends on no instruction.
const THREADS = process.env.SMOOTHLOSS_ADDON_HOST === undefined ? [2, 3, 8, 64] : [3];
// Of 32,768 columns each segment, the last one of any size; and as many rows as are several chunks.
const SHAPES = [
  [1, 70_001],
  [3, 98_304],
  [6, 32_769],
  [700, 101],
] as const;

/** The call as it is, on every backend; then by several threads, in arrays of its own and in place. */
function byThreads(call: Call): ReturnType<typeof everywhere> {
  const first = everywhere(call);
  for (const functions of backends.filter(({ backend }) => backend.name !== 'js')) {
    for (const threads of THREADS) {
      const own = call.logits.slice();
      const { classes, rowStride = classes } = call.options;
      // Between rows the logits stay as they are.
      const inPlace = threads === 3 && rowStride === classes;
      const gradient = call.name === 'smoothLabels' ? {} : { gradient: inPlace ? own : true };
      const options = { ...call.options, ...gradient, threads };
      const parts = resultBytes(functions, { ...call, logits: own, options });
      sameBytes(parts, first, `by ${threads} threads of ${functions.backend.name}, ${describe(call)}`);
    }
  }
  return first;
}

const losses: Case[] = KINDS.flatMap((kind, k) =>
  NUMBER_TYPES.map((type, t) =>
    pinned(`threads, ${kind[0]} of ${type}, ${kind[1]}`, (hash) => {
      // A shape or two of each.
      for (const [rows, classes] of [SHAPES[(k + t) % 3], SHAPES[3]]) {
        const random = new Random(9000 + 10 * k + t);
        const ordinary = ordinaryCall(random, kind, type, rows, classes);
        const call = { ...ordinary, options: { ...ordinary.options, ...reports(ordinary) } };
        update(hash, byThreads(call));
        if (rows < 10) continue;
        update(hash, byThreads({ ...call, logits: randomElements(random, call.logits.length, type) }));
      }
    }),
  ),
);

const labels: Case[] = (['indices', 'mixed targets', 'soft targets'] as const).map((kind) =>
  pinned(`threads, smoothLabels, ${kind}`, (hash) => {
    for (const [rows, classes] of SHAPES) {
      update(hash, byThreads(labelsCall(new Random(9100 + rows), kind, rows, classes)));
    }
  }),
);

export const tables: readonly Table[] = [
  { name: 'bits of any number of threads', cases: [...losses, ...labels] },
];
