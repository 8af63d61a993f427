// The native backends: each hands batches to the addon.

import { type Arena, lastArena } from './arena.js';
import {
  type Batch,
  KERNELS,
  type Kernel,
  type Kernels,
  type Layer,
  rowsOf,
  type Sums,
  writeNumbers,
} from './batch.js';
import { fromNames } from './objects.js';

type Arrays = readonly (ArrayBufferView | null | undefined)[];

/** What native/addon/addon.cc exports. */
export interface Addon {
  readonly backends: readonly NativeBackend[];
  /** Whether jobs can keep their arrays' memory from being detached; if not, all must lie in SharedArrayBuffers. */
  readonly holds: boolean;
  /**
   * Computes the batch whose numbers and targets are in the arena. The arrays follow in the order of Argument in
   * native/addon/call.cc; one that the batch does not have is null, or left out at the end. They are passed one by one:
   * a spread would call Array.prototype[Symbol.iterator], which programs may replace.
   */
  compute(arena: ArrayBuffer, ...arrays: Arrays): void;
  /**
   * The same in other threads. `done` gets the sums, or nothing if the job was aborted. Returns the job's number for
   * `abort`; 0 if it could not be started: there are no threads, there is no memory, or an array's memory could shrink
   * or go.
   */
  start(
    done: (...sums: [] | [number, number, number, number, number]) => void,
    arena: ArrayBuffer,
    ...arrays: Arrays
  ): number;
  abort(job: number): void;
}

/** The addon, or the reason why there is none. */
export interface FoundAddon {
  addon?: Addon;
  reason?: string;
  /** The code of a process warning, if users should know that calls are slower than they could be. */
  warning?: string;
}

export type NativeBackend = 'avx512' | 'avx2' | 'neon' | 'scalar';

// The bits of the arrays that few calls have: all but the first four.
const RARE = ~0b1111;

/** The kernels of one of the addon's backends. */
export function nativeKernels(addon: Addon, name: NativeBackend): Kernels {
  const backend = addon.backends.indexOf(name);
  const kernelOf = (operation: number): Kernel => {
    const kernel: Kernel = (batch, threads, begin = 0, end = rowsOf(batch), arena = lastArena()) =>
      compute(addon, backend, operation, batch, threads, begin, end, arena);
    kernel.start = (batch, threads, done) => start(addon, backend, operation, batch, threads, done);
    return kernel;
  };
  return fromNames(KERNELS, (_, operation) => kernelOf(operation));
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
    const { layer } = batch;
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
      layer?.input,
      layer?.linearWeight,
      layer?.linearBias,
      layer?.inputGradient,
      layer?.linearWeightGradient,
      layer?.linearBiasGradient,
    );
  }
  return { numerator: slots[0], nll: slots[1], correct: slots[2], entropy: slots[3], zLoss: slots[4] };
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
  fillArena(slots, backend, operation, batch, threads, 0, rowsOf(batch));
  const { layer } = batch;
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
    layer?.input,
    layer?.linearWeight,
    layer?.linearBias,
    layer?.inputGradient,
    layer?.linearWeightGradient,
    layer?.linearBiasGradient,
  );
  return job === 0 ? undefined : () => addon.abort(job);
}

/** The bits of a layer's arrays. */
function layerArrays(layer: Layer): number {
  return (
    (1 << 18) |
    (1 << 19) |
    (layer.linearBias === null ? 0 : 1 << 20) |
    (layer.inputGradient === null ? 0 : 1 << 21) |
    (layer.linearWeightGradient === null ? 0 : 1 << 22) |
    (layer.linearBiasGradient === null ? 0 : 1 << 23)
  );
}

/** Writes the numbers of a call to the arena, in the order of SLOTS. Returns which arrays there are, one bit each. */
function fillArena(
  slots: Float64Array,
  backend: number,
  operation: number,
  batch: Batch,
  threads: number,
  begin: number,
  end: number,
): number {
  const { logits, gradient, losses, weight, priorTotal, smoothingTotal, layer } = batch;
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
    (batch.prediction === null ? 0 : 1 << 17) |
    (layer === null ? 0 : layerArrays(layer));
  // FIRST_SLOT as a literal: all indices are then known when this is compiled, which saves 2 % of a call of one row.
  let i = 5;
  slots[i++] = backend;
  slots[i++] = operation;
  slots[i++] = batch.type;
  slots[i++] = threads;
  slots[i++] = begin;
  slots[i++] = end;
  slots[i++] = arrays;
  slots[i++] = batch.rows;
  slots[i++] = batch.classes;
  slots[i++] = batch.rowStride;
  slots[i++] = batch.inner;
  slots[i++] = batch.denseStride;
  slots[i++] = batch.weightStride;
  slots[i++] = batch.maskStride;
  slots[i++] = batch.seconds === null ? 0 : 1; // mixed
  slots[i++] = batch.logTarget ? 1 : 0;
  slots[i++] = batch.others ? 1 : 0;
  slots[i++] = batch.kl ? 1 : 0;
  slots[i++] = batch.metrics ? 1 : 0;
  slots[i++] = layer === null ? 0 : layer.features;
  slots[i++] = layer?.accumulate ? 1 : 0;
  slots[i++] = priorTotal.sum;
  slots[i++] = priorTotal.rest;
  slots[i++] = priorTotal.top;
  slots[i++] = smoothingTotal.sum;
  slots[i++] = smoothingTotal.rest;
  slots[i++] = smoothingTotal.top;
  writeNumbers(batch, slots, i);
  return arrays;
}
