// How many threads a call may use.

import { environment, processors } from '#host';
import { integer } from './arguments/checks.js';
import type { Batch, Layer } from './batch.js';
import { rangeError } from './errors.js';

/** kMostThreads in native/threads/pool.h. */
const MOST_THREADS = 1024;
/** Calls of fewer logits use one thread: waking another takes some 10 µs, in which one thread computes these. */
const ALONE = 65536;
/** The same of a layer: calls of fewer additions and multiplications. */
const LAYER_ALONE = 2_000_000;
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
export function threadsFor(threads: number, { rows, classes, layer }: Batch): number {
  const alone = layer === null ? rows * classes < ALONE : operationsOf(layer, classes) < LAYER_ALONE;
  return alone ? 1 : threads;
}

/** The additions and multiplications of a layer's products. */
function operationsOf(
  { rows, features, inputGradient, linearWeightGradient }: Layer,
  classes: number,
): number {
  const products = 1 + (inputGradient === null ? 0 : 1) + (linearWeightGradient === null ? 0 : 1);
  return 2 * rows * classes * features * products;
}
