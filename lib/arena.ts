// The memory that TypeScript and the native core share: the numbers of the batch at hand, then its targets, and then their
// second classes if they are mixed.

import { allocate } from './errors.js';

/** Doubles before the targets; kTargetsOffset in native/addon/call.cc. */
const SLOTS = 32;
/** Classes for which memory is kept between calls: 1 MB. */
const KEPT = 1 << 18;

export interface Arena {
  readonly buffer: ArrayBuffer;
  readonly slots: Float64Array;
  readonly targets: Int32Array;
}

function newArena(classes: number): Arena {
  const buffer = allocate('a copy of the targets', ArrayBuffer, SLOTS * 8 + classes * 4);
  return { buffer, slots: new Float64Array(buffer, 0, SLOTS), targets: new Int32Array(buffer, SLOTS * 8) };
}

let arena = newArena(1024);

/** The arena, with room for this many classes, one a row or two; what it held before may be gone. */
export function arenaFor(classes: number): Arena {
  const capacity = arena.targets.length;
  if (classes > capacity || (capacity > KEPT && classes <= KEPT)) {
    arena = newArena(classes > KEPT ? classes : Math.min(Math.max(1024, 2 * classes), KEPT));
  }
  return arena;
}

/** The arena as it was last asked for, with what has been written to it since. */
export function lastArena(): Arena {
  return arena;
}

/** The same for good: the next call gets another. */
export function takeArena(): Arena {
  const taken = arena;
  arena = newArena(1024);
  return taken;
}
