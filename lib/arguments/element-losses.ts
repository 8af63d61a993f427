// bceWithLogits and klDiv: losses of single elements.

import { type Batch, FLOAT64, newBatch } from '../batch.js';
import { allocate, typeError } from '../errors.js';
import { lengthOf, type TypedArray } from '../typed-arrays.js';
import { checkFactors, factors, flag, floatsOf, rejectDetached, wrongLength } from './checks.js';
import { type Rules, readNumbers, roundNumbers } from './functions.js';
import { readCommon, readIgnored, readNormalizer, readOptions } from './options.js';
import {
  denominatorOf,
  denseLength,
  elementType,
  finish,
  gradientArray,
  maskBytes,
  maskOf,
  type Prepared,
  rowsOf,
  startOf,
  strideOf,
  takeDense,
  takeGradient,
  takeGradientScale,
  takeLogits,
  takeMean,
} from './prepare.js';
import { readElementSmoothing } from './smoothing.js';
import { fillClasses, fillRows, rejectIgnoreIndex, rejectLabels, targetArrays } from './target-arrays.js';

/** Checks a call and fills in its defaults. */
export function prepareElements(rules: Rules, logits: unknown, targets: unknown, options: unknown): Prepared {
  const given = readOptions(options, rules.options);
  const common = readCommon(given, rules);
  const { classes, reduction } = common;
  const batchMean = reduction === 'batchmean';
  if (batchMean && given.normalizer !== undefined) rejectNormalizer(given.normalizer);
  const normalizer = batchMean ? 'rows' : readNormalizer(given.normalizer, rules.normalizers);
  const ignored = readIgnored(given.ignoreIndex);
  const smoothing = readElementSmoothing(given.labelSmoothing);
  const logTarget = flag('logTarget', given.logTarget);
  const batch = newBatch(classes, common.rowStride, common.inner);
  readNumbers(given, batch);

  // No code of the caller's runs from here on.
  const { logits: name } = rules;
  batch.type = elementType(name, logits, given.dtype);
  const double = batch.type === FLOAT64;
  const x = logits as TypedArray;
  const y = targetArrays(targets, null, rules, x, batch);
  const of = y.a === null ? 'rows' : 'targets.length';
  const total = y.a === null ? rowsOf(name, x, batch) : lengthOf(y.a);
  if (y.a !== null && lengthOf(x) === total) rejectLabels(name, x, y.a, batch, rules.dense);
  takeLogits(batch, name, x, total, of);
  if (y.dense !== null) {
    takeDense(batch, y.dense, of, name, rules.classTargets);
    rejectIgnoreIndex(given.ignoreIndex);
  }
  batch.logTarget = logTarget;
  batch.epsilon = smoothing.epsilon;
  batch.toward = smoothing.toward;
  roundNumbers(batch, double);
  if (given.weight !== undefined) takeWeight(batch, given.weight, rules, of);
  batch.posWeight = factors('posWeight', given.posWeight, classes, 'classes', double, name);
  batch.rowWeight = factors('rowWeight', given.rowWeight, total, of, double, name);
  const mask = given.mask === undefined ? null : takeMask(batch, given.mask, rules, of);
  takeGradientScale(batch, common.gradientScale, of, name);
  const gradient = gradientArray(given.gradient, name, x, batch, y, mask, null);

  const taking =
    batch.mask !== null ? rowsWithAny(batch, batch.mask) : mask === null ? null : maskBytes(mask);
  const rows = y.a === null ? fillRows(batch, taking) : fillClasses(batch, y, ignored, taking).rows;
  const elements = batch.mask === null ? rows * classes : countElements(batch, batch.mask);
  const weighed = normalizer === 'weight' ? weighElements(batch) : 0;
  const denominator = denominatorOf(normalizer, weighed, rows, elements, total * classes);
  takeMean(batch, common, denominator, rows);
  const written = takeGradient(batch, given.gradient, x, gradient);
  return finish(batch, common, written, denominator, rows, elements, lengthOf(x));
}

function rejectNormalizer(given: unknown): never {
  throw typeError('normalizer', given, "undefined with reduction 'batchmean', which divides by the rows");
}

/** Checks a weight per class or element, and puts it into the batch. */
function takeWeight(batch: Batch, given: unknown, rules: Rules, of: string): void {
  const { classes } = batch;
  const double = batch.type === FLOAT64;
  if (!rules.perElement) {
    batch.weight = factors('weight', given, classes, 'classes', double, rules.logits);
    return;
  }
  const weight = floatsOf('weight', given, double, rules.logits);
  const length = lengthOf(weight);
  if (length === 0) rejectDetached('weight', weight);
  if (length !== classes) {
    batch.weightStride = strideOf(weight, batch);
    if (batch.weightStride < 0) {
      throw wrongLength('weight', weight, `classes = ${classes} or ${denseLength(of, batch, rules.logits)}`);
    }
  }
  checkFactors('weight', weight, classes, batch.weightStride === 0 ? classes : batch.weightStride);
  batch.weight = weight;
}

/** Checks a mask of rows or elements; puts one of elements into the batch. */
function takeMask(batch: Batch, given: unknown, rules: Rules, of: string): TypedArray {
  const mask = maskOf(given);
  const length = lengthOf(mask);
  if (length === 0) rejectDetached('mask', mask);
  if (length === batch.rows) return mask;
  const stride = rules.perElement ? strideOf(mask, batch) : -1;
  if (stride < 0) {
    const rows = `${of} = ${batch.rows}`;
    const expected = rules.perElement ? `${rows} or ${denseLength(of, batch, rules.logits)}` : rows;
    throw wrongLength('mask', mask, expected);
  }
  batch.mask = maskBytes(mask);
  batch.maskStride = stride;
  return mask;
}

/** For each row, whether any of its elements takes part. */
function rowsWithAny(batch: Batch, mask: Uint8Array): Uint8Array {
  const { rows, classes, inner, maskStride } = batch;
  const taking = allocate('a mask of rows', Uint8Array, rows);
  for (let row = 0; row < rows; row++) {
    const start = startOf(row, maskStride, batch);
    for (let k = 0, i = start; k < classes && taking[row] === 0; k++, i += inner) {
      if (mask[i] !== 0) taking[row] = 1;
    }
  }
  return taking;
}

/** The number of elements that take part. */
function countElements(batch: Batch, mask: Uint8Array): number {
  const { rows, classes, inner, targets, maskStride } = batch;
  let elements = 0;
  for (let row = 0; row < rows; row++) {
    if (targets[row] < 0) continue;
    const start = startOf(row, maskStride, batch);
    for (let k = 0, i = start; k < classes; k++, i += inner) {
      if (mask[i] !== 0) elements++;
    }
  }
  return elements;
}

/** Σ over the rows that take part of rowWeight · Σ of weight over their elements that do. */
function weighElements(batch: Batch): number {
  const { rows, classes, inner, targets, weight, weightStride, rowWeight, mask, maskStride } = batch;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    if (targets[row] < 0) continue;
    const first = weightStride === 0 ? 0 : startOf(row, weightStride, batch);
    const step = weightStride === 0 ? 1 : inner;
    const start = startOf(row, maskStride, batch);
    let rowSum = 0;
    for (let k = 0, i = first, j = start; k < classes; k++, i += step, j += inner) {
      if (mask === null || mask[j] !== 0) rowSum += weight === null ? 1 : weight[i];
    }
    sum += (rowWeight === null ? 1 : rowWeight[row]) * rowSum;
  }
  return sum;
}
