// What a loss reads and writes for a row: the numbers of rows and the results. Mirrors native/kernels/results-inl.h.

import { type Batch, FLOAT64, type Floats } from '../batch.js';

/** The number at the index, or `otherwise` where there is no array. */
export function numberOf(numbers: Floats | null, index: number, otherwise: number): number {
  return numbers === null ? otherwise : numbers[index];
}

/** All NaN become one kind of NaN, since CPUs make different ones. */
export function oneNaN(x: number): number {
  return Number.isNaN(x) ? NaN : x;
}

/** Writes a number of a row, unless `results` is null: it was not asked for. */
export function putResult(results: Floats | null, row: number, x: number): void {
  if (results !== null) results[row] = oneNaN(x);
}

/** weight · loss. A weight of 0 makes 0 of an infinite loss too, but not of NaN. */
export function weigh(weight: number, loss: number): number {
  return weight === 0 && !Number.isNaN(loss) ? 0 : oneNaN(weight * loss);
}

/** Bounds a factor, so that times 0 it is 0. No gradient needs larger ones. */
export function bounded(factor: number): number {
  return factor > 1e300 ? 1e300 : factor < -1e300 ? -1e300 : factor;
}

/** The upstream gradient of a row, by which its own is multiplied. */
export function upstreamOf(batch: Batch, row: number): number {
  return bounded(
    batch.gradientScale * numberOf(batch.rowWeight, row, 1) * numberOf(batch.gradientScales, row, 1),
  );
}

/** Whether a factor is deferred: float cannot hold it, so the gradient is computed without it, then multiplied by it in double. */
export function isDeferred(batch: Batch, factor: number): boolean {
  return batch.type !== FLOAT64 && Math.abs(factor) > 2 ** 128 - 2 ** 104;
}
