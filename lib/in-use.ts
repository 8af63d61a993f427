// The arrays of calls that compute in other threads. Until such a call ends, no other call may write the arrays that it
// reads, or touch those that it writes.

import type { Batch } from './batch.js';
import { coded } from './errors.js';
import {
  bufferOf,
  byteLengthOf,
  byteOffsetOf,
  isResizable,
  lengthOf,
  type TypedArray,
} from './typed-arrays.js';

interface Use {
  start: number;
  end: number;
  written: boolean;
}

/** An array of the caller's, and its name in messages. */
interface Named {
  name: string;
  array: TypedArray;
  length: number;
  written: boolean;
}

const uses = new Map<ArrayBufferLike, Set<Use>>();

function callersArrays(batch: Batch): Named[] {
  const arrays: Named[] = [];
  const take = (name: string, array: TypedArray | null, written = false) => {
    if (array !== null) arrays.push({ name, array, length: lengthOf(array), written });
  };
  take('gradient', batch.gradient, true);
  if (batch.logits !== batch.gradient) take('logits', batch.logits);
  take('targets', batch.dense);
  take('targets.lambda', batch.lambdas);
  take('weight', batch.weight);
  take('posWeight', batch.posWeight);
  take('rowWeight', batch.rowWeight);
  take('mask', batch.mask);
  take('labelSmoothing.epsilon', batch.epsilons);
  take('labelSmoothing.prior', batch.prior);
  take('labelSmoothing.prior', batch.smoothing);
  take('gradientScale', batch.gradientScales);
  return arrays;
}

function rejectUsed({ name, array, written }: Named): void {
  const others = uses.get(bufferOf(array));
  if (others === undefined) return;
  const start = byteOffsetOf(array);
  const end = start + byteLengthOf(array);
  for (const other of others) {
    if ((written || other.written) && start < other.end && other.start < end) {
      const what = other.written ? 'the gradient' : 'an array';
      throw coded(
        new RangeError(
          `${name} overlaps ${what} of a promise that is pending: must be apart from it, or wait for it`,
        ),
        'ERR_OVERLAP',
      );
    }
  }
}

/** Rejects a call that would read or write what a pending call writes, or write what a pending call reads. */
export function rejectInUse(batch: Batch): void {
  if (uses.size > 0) callersArrays(batch).forEach(rejectUsed);
}

/** The arrays of a pending call. */
export class InUse {
  private readonly arrays: Named[];
  private readonly released: (() => void)[];

  constructor(batch: Batch) {
    rejectInUse(batch);
    this.arrays = callersArrays(batch);
    this.released = this.arrays.map(({ array, written }) => {
      const buffer = bufferOf(array);
      const start = byteOffsetOf(array);
      const use = { start, end: start + byteLengthOf(array), written };
      const all = uses.get(buffer) ?? new Set();
      uses.set(buffer, all.add(use));
      return () => {
        all.delete(use);
        if (all.size === 0) uses.delete(buffer);
      };
    });
  }

  /** Whether an array's memory could shrink before the call ends. */
  get resizable(): boolean {
    return this.arrays.some(({ array }) => isResizable(bufferOf(array)));
  }

  /** Throws if an array has been detached or resized since. */
  check(): void {
    for (const { name, array, length } of this.arrays) {
      if (lengthOf(array) !== length) {
        throw coded(
          new TypeError(`${name} was detached or resized while the call computed: must stay as it is`),
          'ERR_INVALID_ARG_TYPE',
        );
      }
    }
  }

  release(): void {
    for (const release of this.released) release();
  }
}
