// Every loss in JavaScript. Mirrors native/losses-inl.h operation by operation: the order of sums, what is rounded to
// float and when, and the formulas are explained there.

import { type Batch, FLOAT64, type Floats, type Kernels, ROW_CHUNK, type Sums } from '../batch.js';
import type { Arithmetic } from './arithmetic.js';
import { BceWithLogits } from './bce-with-logits.js';
import { CrossEntropy } from './cross-entropy.js';
import { float32 } from './float32.js';
import { float64 } from './float64.js';
import type { Rows } from './layout.js';
import { Linear } from './linear.js';

type Loss = new <A extends Floats>(batch: Batch, arithmetic: Arithmetic<A>) => Rows<A>;

// The sums of all rows, chunk by chunk.
function run(loss: Loss, batch: Batch): Sums {
  const rows = batch.type === FLOAT64 ? new loss(batch, float64) : new loss(batch, float32);
  const total: Sums = { numerator: 0, nll: 0, correct: 0, entropy: 0, zLoss: 0 };
  const sums: Sums = { numerator: 0, nll: 0, correct: 0, entropy: 0, zLoss: 0 };
  for (let begin = 0; begin < batch.rows; begin += ROW_CHUNK) {
    const end = Math.min(begin + ROW_CHUNK, batch.rows);
    sums.numerator = sums.nll = sums.correct = sums.entropy = sums.zLoss = 0;
    for (let row = begin; row < end; row++) rows.add(row, sums);
    total.numerator += sums.numerator;
    total.nll += sums.nll;
    total.correct += sums.correct;
    total.entropy += sums.entropy;
    total.zLoss += sums.zLoss;
  }
  return total;
}

/** The JavaScript backend. */
export const kernels: Kernels = {
  crossEntropy: (batch) => run(CrossEntropy, batch),
  bceWithLogits: (batch) => run(BceWithLogits, batch),
  linear: (batch) => run(Linear, batch),
};
