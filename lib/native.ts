// The native backends: hands a batch to the addon.

import { type Arena, lastArena } from './arena.js';
import type { Batch, Kernel, Kernels, Sums } from './batch.js';

type Arrays = readonly (ArrayBufferView | null)[];

/** What native/addon/addon.cc exports. */
export interface Addon {
  readonly backends: readonly NativeBackend[];
  /** Whether arrays of jobs are safe from being detached; `start` starts nothing if not. */
  readonly holds: boolean;
  /**
   * Computes the batch whose numbers and targets stand in the arena. The arrays come in the order of Argument in
   * native/addon/call.cc, null or left out at the end if the batch has none. They are passed one by one: a spread would call
   * Array.prototype[Symbol.iterator], which may be anyone's.
   */
  compute(arena: ArrayBuffer, ...arrays: Arrays): void;
  /**
   * The same in other threads; `done` gets the sums, or nothing if it was aborted. A number for `abort`; 0: not started,
   * for want of threads or memory, or since an array's memory could go away meanwhile.
   */
  start(
    done: (...sums: [] | [number, number, number, number, number]) => void,
    arena: ArrayBuffer,
    ...arrays: Arrays
  ): number;
  abort(job: number): void;
}

/** What the search for the addon found: the addon, or the reason why there is none. */
export interface FoundAddon {
  addon?: Addon;
  reason?: string;
  /** The code of a process warning, where somebody should know that calls are slower than they could be. */
  warning?: string;
}

export type NativeBackend = 'avx512' | 'avx2' | 'neon' | 'scalar';

// Operation in native/addon/call.cc.
const CROSS_ENTROPY = 0;
const BCE_WITH_LOGITS = 1;
const LINEAR = 2;

// The bits of the arrays that few calls have: all from the fourth on.
const RARE = ~0b1111;

// The first slot that compute writes; Slot in native/addon/call.cc.
const SUMS = 26;

/** The kernels of one of the addon's backends. */
export function nativeKernels(addon: Addon, name: NativeBackend): Kernels {
  const backend = addon.backends.indexOf(name);
  const kernelOf = (operation: number): Kernel => {
    const kernel: Kernel = (batch, threads, begin = 0, end = batch.rows, arena = lastArena()) =>
      compute(addon, backend, operation, batch, threads, begin, end, arena);
    if (addon.holds)
      kernel.start = (batch, threads, done) => start(addon, backend, operation, batch, threads, done);
    return kernel;
  };
  return {
    crossEntropy: kernelOf(CROSS_ENTROPY),
    bceWithLogits: kernelOf(BCE_WITH_LOGITS),
    linear: kernelOf(LINEAR),
  };
}

function compute(
  addon: Addon,
  backend: number,
  operation: number,
  batch: Batch,
  threads: number,
  begin: number,
  end: number,
  { buffer, slots }: Arena,
): Sums {
  if ((fillArena(slots, backend, operation, batch, threads, begin, end) & RARE) === 0) {
    addon.compute(buffer, batch.logits, batch.gradient, batch.losses, batch.weight);
  } else {
    addon.compute(
      buffer,
      batch.logits,
      batch.gradient,
      batch.losses,
      batch.weight,
      batch.dense,
      batch.prior,
      batch.smoothing,
      batch.rowWeight,
      batch.epsilons,
      batch.gradientScales,
      batch.lambdas,
      batch.posWeight,
      batch.mask,
      batch.rowLoss,
      batch.rowNll,
      batch.rowLse,
      batch.rowEntropy,
      batch.prediction,
    );
  }
  return {
    numerator: slots[SUMS],
    nll: slots[SUMS + 1],
    correct: slots[SUMS + 2],
    entropy: slots[SUMS + 3],
    zLoss: slots[SUMS + 4],
  };
}

function start(
  addon: Addon,
  backend: number,
  operation: number,
  batch: Batch,
  threads: number,
  done: (sums: Sums | undefined) => void,
): (() => void) | undefined {
  const { buffer, slots } = lastArena();
  fillArena(slots, backend, operation, batch, threads, 0, batch.rows);
  const job = addon.start(
    (numerator?: number, nll?: number, correct?: number, entropy?: number, zLoss?: number) => {
      if (numerator === undefined) done(undefined);
      else done({ numerator, nll, correct, entropy, zLoss } as Sums);
    },
    buffer,
    batch.logits,
    batch.gradient,
    batch.losses,
    batch.weight,
    batch.dense,
    batch.prior,
    batch.smoothing,
    batch.rowWeight,
    batch.epsilons,
    batch.gradientScales,
    batch.lambdas,
    batch.posWeight,
    batch.mask,
    batch.rowLoss,
    batch.rowNll,
    batch.rowLse,
    batch.rowEntropy,
    batch.prediction,
  );
  return job === 0 ? undefined : () => addon.abort(job);
}

/** Writes the numbers of a call to the arena; returns which arrays there are, a bit each. */
function fillArena(
  slots: Float64Array,
  backend: number,
  operation: number,
  batch: Batch,
  threads: number,
  begin: number,
  end: number,
): number {
  const { logits, gradient, losses, weight, priorTotal, smoothingTotal } = batch;
  const arrays =
    (logits === null ? 0 : 1 << 0) |
    (gradient === null ? 0 : 1 << 1) |
    (losses === null ? 0 : 1 << 2) |
    (weight === null ? 0 : 1 << 3) |
    (batch.dense === null ? 0 : 1 << 4) |
    (batch.prior === null ? 0 : 1 << 5) |
    (batch.smoothing === null ? 0 : 1 << 6) |
    (batch.rowWeight === null ? 0 : 1 << 7) |
    (batch.epsilons === null ? 0 : 1 << 8) |
    (batch.gradientScales === null ? 0 : 1 << 9) |
    (batch.lambdas === null ? 0 : 1 << 10) |
    (batch.posWeight === null ? 0 : 1 << 11) |
    (batch.mask === null ? 0 : 1 << 12) |
    (batch.rowLoss === null ? 0 : 1 << 13) |
    (batch.rowNll === null ? 0 : 1 << 14) |
    (batch.rowLse === null ? 0 : 1 << 15) |
    (batch.rowEntropy === null ? 0 : 1 << 16) |
    (batch.prediction === null ? 0 : 1 << 17);
  slots[0] =
    backend |
    (operation << 4) |
    (batch.type << 8) |
    (batch.seconds === null ? 0 : 1 << 12) |
    (batch.logTarget ? 1 << 13 : 0) |
    (batch.others ? 1 << 14 : 0) |
    (batch.kl ? 1 << 15 : 0) |
    (batch.metrics ? 1 << 16 : 0);
  slots[1] = arrays;
  slots[2] = batch.rows;
  slots[3] = batch.classes;
  slots[4] = batch.rowStride;
  slots[5] = batch.inner;
  slots[6] = batch.denseStride;
  slots[7] = batch.weightStride;
  slots[8] = batch.maskStride;
  slots[9] = batch.lambda;
  slots[10] = batch.epsilon;
  slots[11] = batch.toward;
  slots[12] = batch.gradientScale;
  slots[13] = batch.logitScale;
  slots[14] = batch.softcap;
  slots[15] = batch.zLoss;
  slots[16] = priorTotal.sum;
  slots[17] = priorTotal.rest;
  slots[18] = priorTotal.top;
  slots[19] = smoothingTotal.sum;
  slots[20] = smoothingTotal.rest;
  slots[21] = smoothingTotal.top;
  slots[22] = batch.smoothingLog;
  slots[23] = threads;
  slots[24] = begin;
  slots[25] = end;
  return arrays;
}
