// The memory that TypeScript and the native core (native/addon/call.cc) share: the sums of the last call, the numbers of
// the batch, its targets, and the second classes of mixed targets.

import { NUMBERS } from './batch.js';
import { allocate } from './errors.js';

/** The sums that a call returns come first. */
export const FIRST_SLOT = 5;
/** The numbers of a call, in order, from index FIRST_SLOT on; Slot in native/addon/call.cc is the same list. */
export const SLOTS = [
  'backend',
  'operation',
  'type',
  'threads',
  'begin',
  'end',
  'arrays',
  'rows',
  'classes',
  'rowStride',
  'inner',
  'denseStride',
  'weightStride',
  'maskStride',
  'mixed',
  'logTarget',
  'others',
  'kl',
  'metrics',
  'features',
  'accumulate',
  'priorSum',
  'priorRest',
  'priorTop',
  'smoothingSum',
  'smoothingRest',
  'smoothingTop',
  ...NUMBERS,
] as const;

/** Doubles before the targets: a whole number of cache lines. */
export const HEADER = Math.ceil((FIRST_SLOT + SLOTS.length) / 8) * 8;
/** Classes for which memory is kept between calls: 1 MB. */
const KEPT = 1 << 18;

export interface Arena {
  readonly buffer: ArrayBuffer;
  readonly slots: Float64Array;
  readonly targets: Int32Array;
}

function newArena(classes: number): Arena {
  const buffer = allocate('a copy of the targets', ArrayBuffer, HEADER * 8 + classes * 4);
  return { buffer, slots: new Float64Array(buffer, 0, HEADER), targets: new Int32Array(buffer, HEADER * 8) };
}

let arena = newArena(1024);

/** The arena, with room for at least this many target classes. A new one has none of the old contents. */
export function arenaFor(classes: number): Arena {
  const capacity = arena.targets.length;
  if (classes > capacity || (capacity > KEPT && classes <= KEPT)) {
    arena = newArena(classes > KEPT ? classes : Math.min(Math.max(1024, 2 * classes), KEPT));
  }
  return arena;
}

/** The current arena, with all that was written to it. */
export function lastArena(): Arena {
  return arena;
}

/** Hands the current arena over: later calls use another. */
export function takeArena(): Arena {
  const taken = arena;
  arena = newArena(1024);
  return taken;
}
