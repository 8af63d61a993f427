// How many threads a call may use.

import { environment, processors } from '#host';
import { integer } from './arguments/checks.js';
import type { Batch } from './batch.js';
import { rangeError } from './errors.js';

/** kMostThreads in native/threads/pool.h. */
const MOST_THREADS = 1024;
/** Calls of fewer logits use one thread: waking another takes some 10 µs, in which one thread computes these. */
const ALONE = 65536;
const EXPECTED = `an integer from 1 to ${MOST_THREADS}`;

/** Checks a number of threads. */
export function readThreads(name: string, value: unknown): number {
  return integer(name, value, 1, MOST_THREADS, EXPECTED);
}

function initial(): number {
  const wanted = environment('SMOOTHLOSS_THREADS');
  if (wanted === undefined) return Math.min(processors(), MOST_THREADS);
  const threads = /^\d+$/.test(wanted) ? Number(wanted) : NaN;
  if (threads >= 1 && threads <= MOST_THREADS) return threads;
  throw rangeError('SMOOTHLOSS_THREADS', wanted, EXPECTED);
}

let current = initial();

/** The number of threads of calls that name none. */
export function defaultThreads(): number {
  return current;
}

export function setDefaultThreads(threads: unknown): void {
  current = readThreads('threads', threads);
}

/** The number of threads for a call: one for a batch that others would wake too late for. */
export function threadsFor(threads: number, { rows, classes }: Batch): number {
  return rows * classes < ALONE ? 1 : threads;
}
