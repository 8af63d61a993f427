// The arrays of calls that compute in other threads. Until such a call ends, no other call may write the arrays that it
// reads, or touch those that it writes.

import type { Batch } from './batch.js';
import { coded } from './errors.js';
import { Ranges } from './ranges.js';
import {
  bufferOf,
  byteLengthOf,
  byteOffsetOf,
  isResizable,
  lengthOf,
  type TypedArray,
} from './typed-arrays.js';

/** An array of the caller's, its name in messages, and the bytes of its buffer that it has. */
interface Named {
  name: string;
  array: TypedArray;
  length: number;
  written: boolean;
  buffer: ArrayBufferLike;
  start: number;
  end: number;
}

/** What calls under way read of buffers, and what they write. Apart, so that neither is searched for the other. */
const reads = new Map<ArrayBufferLike, Ranges>();
const writes = new Map<ArrayBufferLike, Ranges>();

function callersArrays(batch: Batch): Named[] {
  const arrays: Named[] = [];
  const take = (name: string, array: TypedArray | null, written = false) => {
    if (array === null) return;
    const start = byteOffsetOf(array);
    const end = start + byteLengthOf(array);
    arrays.push({ name, array, length: lengthOf(array), written, buffer: bufferOf(array), start, end });
  };
  take('gradient', batch.gradient, true);
  if (batch.logits !== batch.gradient) take('logits', batch.logits);
  const { layer } = batch;
  if (layer !== null) {
    take('gradient.input', layer.inputGradient, true);
    take('gradient.linearWeight', layer.linearWeightGradient, true);
    take('gradient.linearBias', layer.linearBiasGradient, true);
    take('input', layer.input);
    take('linearWeight', layer.linearWeight);
    take('linearBias', layer.linearBias);
  }
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
  return arrays.slice(); // which has no room to grow: 130 bytes less for each pending call
}

function rejectUsed({ name, written, buffer, start, end }: Named): void {
  const isWritten = writes.get(buffer)?.overlap(start, end);
  if (!isWritten && !(written && reads.get(buffer)?.overlap(start, end))) return;
  const what = isWritten ? 'the gradient' : 'an array';
  throw coded(
    new RangeError(
      `${name} overlaps ${what} of a promise that is pending: must be apart from it, or wait for it`,
    ),
    'ERR_OVERLAP',
  );
}

/** Rejects a call that would read or write what a pending call writes, or write what a pending call reads. */
export function rejectInUse(batch: Batch): void {
  if (reads.size + writes.size > 0) callersArrays(batch).forEach(rejectUsed);
}

/** The arrays of a pending call. */
export class InUse {
  private readonly arrays: Named[];

  constructor(batch: Batch) {
    this.arrays = callersArrays(batch);
    if (reads.size + writes.size > 0) this.arrays.forEach(rejectUsed);
    this.arrays.forEach(use);
  }

  /** Whether an array's memory could shrink before the call ends. */
  get resizable(): boolean {
    return this.arrays.some(({ buffer }) => isResizable(buffer));
  }

  /** Throws if an array has been detached or resized since. */
  check(): void {
    this.arrays.forEach(({ name, array, length }) => {
      if (lengthOf(array) === length) return;
      throw coded(
        new TypeError(`${name} was detached or resized while the call computed: must stay as it is`),
        'ERR_INVALID_ARG_TYPE',
      );
    });
  }

  release(): void {
    this.arrays.forEach(release);
  }
}

function use({ written, buffer, start, end }: Named): void {
  if (start === end) return;
  const all = written ? writes : reads;
  const ranges = all.get(buffer) ?? new Ranges();
  all.set(buffer, ranges);
  ranges.add(start, end);
}

function release({ written, buffer, start, end }: Named): void {
  if (start === end) return;
  const all = written ? writes : reads;
  const ranges = all.get(buffer) as Ranges;
  ranges.remove(start, end);
  if (ranges.isEmpty) all.delete(buffer);
}
