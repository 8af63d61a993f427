// Calls that compute on the event loop's own thread, in slices between which the loop goes on: those of the JavaScript
// backend, and those whose arrays other threads cannot be given.

import { nextTurn } from '#host';
import { type Arena, takeArena } from './arena.js';
import { addSums, type Batch, type Kernel, noSums, rowChunk, rowsOf, type Sums } from './batch.js';

/** Milliseconds after which a slice ends. It computes one step at least, which may be one long row. */
const SLICE = 3;

// All calls together take one slice per turn of the event loop.
let last: Promise<void> = Promise.resolve();

function nextSlice(): Promise<void> {
  last = last.then(nextTurn);
  return last;
}

// The chunks of a kernel, one a step. Where there are no rows, there may be results to write all the same.
function* chunksOf(kernel: Kernel, batch: Batch, arena: Arena): Generator<void, Sums> {
  const rows = rowsOf(batch);
  const chunk = rowChunk(batch);
  const total = noSums();
  for (let begin = 0; ; begin += chunk) {
    const end = Math.min(begin + chunk, rows);
    addSums(total, kernel(batch, 1, begin, end, arena));
    if (end === rows) return total;
    yield;
  }
}

/** Computes the sums of all rows. `check` runs before each slice, and throws to stop. */
export async function computeInSlices(kernel: Kernel, batch: Batch, check: () => void): Promise<Sums> {
  const arena = takeArena(); // at once: the next call writes its targets to another
  const steps = kernel.steps?.(batch) ?? chunksOf(kernel, batch, arena);
  for (;;) {
    await nextSlice();
    check();
    const start = performance.now();
    do {
      const step = steps.next();
      if (step.done) return step.value;
    } while (performance.now() - start < SLICE);
  }
}
