// The memory that TypeScript and the native core share: the numbers of the batch at hand, then its targets.

/** Doubles before the targets; kTargetsOffset in native/addon.cc. */
const SLOTS = 16;
/** Rows for which memory is kept between calls: 1 MB. */
const KEPT_ROWS = 1 << 18;

export interface Arena {
  readonly buffer: ArrayBuffer;
  readonly slots: Float64Array;
  readonly targets: Int32Array;
}

function allocate(rows: number): Arena {
  const buffer = new ArrayBuffer(SLOTS * 8 + rows * 4);
  return { buffer, slots: new Float64Array(buffer, 0, SLOTS), targets: new Int32Array(buffer, SLOTS * 8) };
}

let arena = allocate(1024);

/** The arena, with room for the targets of this many rows; what it held before may be gone. */
export function arenaFor(rows: number): Arena {
  const capacity = arena.targets.length;
  if (rows > capacity || (capacity > KEPT_ROWS && rows <= KEPT_ROWS)) {
    arena = allocate(rows > KEPT_ROWS ? rows : Math.min(Math.max(1024, 2 * rows), KEPT_ROWS));
  }
  return arena;
}
