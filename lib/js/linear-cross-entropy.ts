// The output layer and its softmax cross entropy, chunk after chunk of the rows that take part: their logits, the loss and
// gradient of these in place, and its products with linearWeight and input. Mirrors native/threads/layer_stages.cc.

import {
  addSums,
  type Batch,
  FLOAT32,
  FLOAT64,
  type Floats,
  type Kernel,
  type Layer,
  noSums,
  rowChunk,
  rowsOf,
  SEGMENT,
  type Sums,
} from '../batch.js';
import { allocate } from '../errors.js';
import type { Arithmetic } from './arithmetic.js';
import { CrossEntropy } from './cross-entropy.js';
import { fillRow, load } from './elements.js';
import { float32 } from './float32.js';
import { float64 } from './float64.js';
import {
  addInputGradient,
  addWeightGradient,
  type Chunk,
  logitsOf,
  PANEL,
  PRODUCT_BLOCK,
} from './products.js';
import { putResult } from './results.js';

// With 512 features at once a step of addWeightGradient takes a millisecond or so, as those of the other products do.
const MOST_FEATURES = 512;

/** The memory of a chunk. Calls that run at once need one each. */
class LayerMemory<A extends Floats> {
  rows = new Int32Array(0);
  input: A;
  transposed: A;
  logits: A;

  constructor(
    readonly arithmetic: Arithmetic<A>,
    private readonly Type: new (length: number) => A,
  ) {
    this.input = this.transposed = this.logits = new Type(0);
  }

  reserve(rows: number, features: number, classes: number): void {
    const { Type } = this;
    this.rows = enough(this.rows, 'the indices of rows', Int32Array, rows);
    this.input = enough(this.input, 'the input of some rows', Type, rows * features);
    this.transposed = enough(this.transposed, 'the input of some rows', Type, rows * features);
    this.logits = enough(this.logits, 'the logits of some rows', Type, rows * classes);
  }
}

/** The array, or a new one if that is too short. */
function enough<A extends ArrayLike<number>>(
  array: A,
  what: string,
  Type: new (length: number) => A,
  length: number,
): A {
  return array.length < length ? allocate(what, Type, length) : array;
}

const memory32 = new LayerMemory(float32, Float32Array);
const memory64 = new LayerMemory(float64, Float64Array);

const takesPart = ({ targets, classes }: Batch, row: number) => targets[row] >= 0 && targets[row] < classes;

// Writes what no row adds to: results of rows that take no part, and gradients if none does.
function clearIgnored(batch: Batch, layer: Layer): void {
  const { rows, classes } = batch;
  const { features, inputGradient, linearWeightGradient, linearBiasGradient } = layer;
  for (let row = 0; row < rows; row++) {
    if (takesPart(batch, row)) continue;
    if (inputGradient !== null) fillRow(FLOAT32, inputGradient, row * features, 1, features, 0);
    putResult(batch.losses, row, 0);
    putResult(batch.rowLoss, row, 0);
    putResult(batch.rowNll, row, 0);
    putResult(batch.rowLse, row, 0);
    putResult(batch.rowEntropy, row, 0);
    if (batch.prediction !== null) batch.prediction[row] = -1;
  }
  if (layer.rows > 0 || layer.accumulate) return;
  if (linearWeightGradient !== null) fillRow(FLOAT32, linearWeightGradient, 0, 1, classes * features, 0);
  if (linearBiasGradient !== null) fillRow(FLOAT32, linearBiasGradient, 0, 1, classes, 0);
}

// The row after the first `count` rows that take part.
function skipRows(batch: Batch, count: number): number {
  let row = 0;
  for (let left = count; left > 0; row++) if (takesPart(batch, row)) left--;
  return row;
}

// Finds the rows of a chunk from `row` on, and reads their input. Returns the row after them.
function openChunk<A extends Floats>(chunk: Chunk<A>, row: number): number {
  const { batch, layer, count, rows, input, transposed } = chunk;
  const { features } = layer;
  let next = row;
  for (let i = 0; i < count; i++) {
    while (!takesPart(batch, next)) next++;
    rows[i] = next;
    load(batch.type, layer.input, next * features, 1, features, input.subarray(i * features));
    next++;
  }
  if (layer.linearWeightGradient !== null) {
    for (let d = 0; d < features; d++) {
      for (let i = 0; i < count; i++) transposed[d * count + i] = input[i * features + d];
    }
  }
  return next;
}

// Computes the rows [begin, end) of those that take part. Yields after a millisecond's work or so.
function* stepsOf<A extends Floats>(
  batch: Batch,
  memory: LayerMemory<A>,
  begin: number,
  end: number,
): Generator<void, Sums> {
  const layer = batch.layer as Layer;
  const { classes } = batch;
  const { features, inputGradient, linearWeightGradient, linearBiasGradient } = layer;
  const most = rowChunk(batch);
  memory.reserve(Math.min(most, end - begin), features, classes);
  if (begin === 0) clearIgnored(batch, layer);
  const { rows, input, transposed, logits } = memory;
  const chunk: Chunk<A> = { batch, layer, first: begin, count: 0, rows, input, transposed, logits };

  const ofWeight = linearWeightGradient !== null || linearBiasGradient !== null;
  const loss = new CrossEntropy(
    {
      ...batch,
      layer: null,
      type: batch.type === FLOAT64 ? FLOAT64 : FLOAT32,
      rowStride: classes,
      logits,
      gradient: inputGradient !== null || ofWeight ? logits : null,
    },
    memory.arithmetic,
  );
  const lossChunk = Math.max(1, Math.floor(SEGMENT / classes));

  const total = noSums();
  let row = skipRows(batch, begin);
  for (; chunk.first < end; chunk.first += most) {
    const count = Math.min(most, end - chunk.first);
    chunk.count = count;
    row = openChunk(chunk, row);
    yield;
    for (let k = 0; k < features; k += PRODUCT_BLOCK) {
      for (let c = 0; c < classes; c += PANEL) {
        logitsOf(chunk, k, c);
        yield;
      }
    }

    const sums = noSums();
    for (let i = 0; i < count; i += lossChunk) {
      const part = noSums();
      for (let j = i; j < Math.min(i + lossChunk, count); j++) loss.add(rows[j], part, j);
      addSums(sums, part);
      yield;
    }
    addSums(total, sums);

    if (inputGradient !== null) {
      for (let k = 0; k < classes; k += PRODUCT_BLOCK) {
        for (let d = 0; d < features; d += PANEL) {
          addInputGradient(chunk, k, d);
          yield;
        }
      }
    }
    if (!ofWeight) continue;
    for (let k = 0; k < count; k += PRODUCT_BLOCK) {
      for (let d = 0; d < features; d += MOST_FEATURES) {
        for (let c = 0; c < classes; c += PANEL) {
          addWeightGradient(chunk, k, c, d, Math.min(d + MOST_FEATURES, features));
          yield;
        }
      }
    }
  }
  return total;
}

function run<A extends Floats>(batch: Batch, memory: LayerMemory<A>, begin: number, end: number): Sums {
  const steps = stepsOf(batch, memory, begin, end);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

export const linearCrossEntropy: Kernel = (batch, _threads, begin = 0, end = rowsOf(batch)) =>
  batch.type === FLOAT64 ? run(batch, memory64, begin, end) : run(batch, memory32, begin, end);

linearCrossEntropy.steps = (batch) =>
  batch.type === FLOAT64
    ? stepsOf(batch, new LayerMemory(float64, Float64Array), 0, rowsOf(batch))
    : stepsOf(batch, new LayerMemory(float32, Float32Array), 0, rowsOf(batch));
