// Every loss in JavaScript. Mirrors native/kernels/losses-inl.h operation by operation. The native files explain the
// formulas, the order of sums, and where floats round.

import {
  addSums,
  type Batch,
  FLOAT64,
  type Floats,
  type Kernel,
  type Kernels,
  noSums,
  rowChunk,
} from '../batch.js';
import type { Arithmetic } from './arithmetic.js';
import { BceWithLogits } from './bce-with-logits.js';
import type { Rows } from './blocks.js';
import { CrossEntropy } from './cross-entropy.js';
import { float32 } from './float32.js';
import { float64 } from './float64.js';
import { linearCrossEntropy } from './linear-cross-entropy.js';
import { LogProb } from './log-prob-losses.js';

type Loss = new <A extends Floats>(batch: Batch, arithmetic: Arithmetic<A>) => Rows<A>;

function kernelOf(loss: Loss): Kernel {
  return (batch, _threads, begin = 0, end = batch.rows) => {
    const rows = batch.type === FLOAT64 ? new loss(batch, float64) : new loss(batch, float32);
    const chunk = rowChunk(batch);
    const total = noSums();
    for (let first = begin; first < end; first += chunk) {
      const sums = noSums();
      for (let row = first; row < Math.min(first + chunk, end); row++) rows.add(row, sums);
      addSums(total, sums);
    }
    return total;
  };
}

/** The JavaScript backend. */
export const kernels: Kernels = {
  crossEntropy: kernelOf(CrossEntropy),
  bceWithLogits: kernelOf(BceWithLogits),
  logProb: kernelOf(LogProb),
  linearCrossEntropy,
};
