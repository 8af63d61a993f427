// The native backends: hands a batch to the addon.

import { arenaFor } from './arena.js';
import type { CrossEntropyBatch, Kernels } from './batch.js';

/** What native/addon.cc exports. */
export interface Addon {
  readonly backends: readonly NativeBackend[];
  crossEntropy(
    arena: ArrayBuffer,
    logits: Float32Array,
    gradient: Float32Array | null,
    losses: Float32Array | null,
    weight: Float32Array | null,
    prior: Float32Array | null,
    smoothing: Float32Array | null,
    rowWeight: Float32Array | null,
    epsilons: Float32Array | null,
    gradientScales: Float32Array | null,
  ): void;
}

export type NativeBackend = 'avx2' | 'neon' | 'scalar';

// The numerator's slot; the others are written in order. Slot in native/addon.cc.
const NUMERATOR = 14;

/** The kernels of one of the addon's backends. */
export function nativeKernels(addon: Addon, name: NativeBackend): Kernels {
  const index = addon.backends.indexOf(name);
  return {
    crossEntropy(batch: CrossEntropyBatch): number {
      const { logits, gradient, losses, weight, prior, smoothing, rowWeight, epsilons, gradientScales } =
        batch;
      const { buffer, slots } = arenaFor(batch.rows);
      slots[0] = index;
      // A bit for each argument that is an array.
      slots[1] =
        2 |
        (gradient === null ? 0 : 4) |
        (losses === null ? 0 : 8) |
        (weight === null ? 0 : 16) |
        (prior === null ? 0 : 32) |
        (smoothing === null ? 0 : 64) |
        (rowWeight === null ? 0 : 128) |
        (epsilons === null ? 0 : 256) |
        (gradientScales === null ? 0 : 512);
      slots[2] = batch.rows;
      slots[3] = batch.classes;
      slots[4] = batch.rowStride;
      slots[5] = batch.epsilon;
      slots[6] = batch.gradientScale;
      slots[7] = batch.others ? 1 : 0;
      slots[8] = batch.priorTotal.sum;
      slots[9] = batch.priorTotal.rest;
      slots[10] = batch.priorTotal.top;
      slots[11] = batch.smoothingTotal.sum;
      slots[12] = batch.smoothingTotal.rest;
      slots[13] = batch.smoothingTotal.top;
      addon.crossEntropy(
        buffer,
        logits,
        gradient,
        losses,
        weight,
        prior,
        smoothing,
        rowWeight,
        epsilons,
        gradientScales,
      );
      return slots[NUMERATOR];
    },
  };
}
