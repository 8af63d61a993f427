// Calls that compute on the event loop's own thread, in slices between which the loop goes on: those of the JavaScript
// backend, and those whose arrays other threads cannot be given.

import { nextTurn } from '#host';
import { takeArena } from './arena.js';
import { addSums, type Batch, type Kernel, rowChunk, type Sums } from './batch.js';

/** Milliseconds after which a slice ends. It computes one chunk of rows at least, which may be one long row. */
const SLICE = 3;

// All calls together take one slice per turn of the event loop.
let last: Promise<void> = Promise.resolve();

function nextSlice(): Promise<void> {
  last = last.then(nextTurn);
  return last;
}

/** Computes the sums of all rows. `check` runs before each slice, and throws to stop. */
export async function computeInSlices(kernel: Kernel, batch: Batch, check: () => void): Promise<Sums> {
  const arena = takeArena();
  const chunk = rowChunk(batch);
  const total: Sums = { numerator: 0, nll: 0, correct: 0, entropy: 0, zLoss: 0 };
  for (let begin = 0; begin < batch.rows; ) {
    await nextSlice();
    check();
    const start = performance.now();
    do {
      const end = Math.min(begin + chunk, batch.rows);
      addSums(total, kernel(batch, 1, begin, end, arena));
      begin = end;
    } while (begin < batch.rows && performance.now() - start < SLICE);
  }
  return total;
}
