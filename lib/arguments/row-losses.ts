// crossEntropy and nllLoss: losses of whole rows, whose targets are distributions over the classes.

import { type Batch, FLOAT64, newBatch } from '../batch.js';
import { lengthOf, type TypedArray } from '../typed-arrays.js';
import { factors, oneOf } from './checks.js';
import { type Rules, readNumbers, roundNumbers } from './functions.js';
import { readCommon, readIgnored, readNormalizer, readOptions } from './options.js';
import {
  denominatorOf,
  elementType,
  finish,
  gradientArray,
  maskBytes,
  type Prepared,
  rowMask,
  rowsOf,
  startOf,
  takeDense,
  takeGradientScale,
  takeLogits,
} from './prepare.js';
import { fillSmoothing, readSmoothing } from './smoothing.js';
import {
  fillClasses,
  fillRows,
  readMixed,
  rejectIgnoreIndex,
  rejectLabels,
  rejectOthers,
  targetArrays,
} from './target-arrays.js';

const FORMS: readonly ('crossEntropy' | 'kl')[] = ['crossEntropy', 'kl'];

/** Checks a call and fills in its defaults. */
export function prepareRows(rules: Rules, logits: unknown, targets: unknown, options: unknown): Prepared {
  const given = readOptions(options, rules.options);
  const common = readCommon(given, rules);
  const { classes } = common;
  const normalizer = readNormalizer(given.normalizer, rules.normalizers);
  const ignored = readIgnored(given.ignoreIndex);
  const smoothing = readSmoothing(given.labelSmoothing, classes);
  const form = oneOf('form', given.form, FORMS);
  const batch = newBatch(classes, common.rowStride, common.inner);
  readNumbers(given, batch);
  const mixed = readMixed(targets);

  // No code of the caller's runs from here on.
  const { logits: name } = rules;
  batch.type = elementType(name, logits, given.dtype);
  const double = batch.type === FLOAT64;
  const x = logits as TypedArray;
  const y = targetArrays(targets, mixed, rules, x, batch);
  const soft = y.dense !== null;
  const of = soft ? 'rows' : mixed === null ? 'targets.length' : 'targets.a.length';
  const total = y.a === null ? rowsOf(name, x, batch) : lengthOf(y.a);
  if (y.a !== null && lengthOf(x) === total) rejectLabels(name, x, y.a, batch, rules.dense);
  takeLogits(batch, name, x, total, of);
  if (y.dense !== null) {
    takeDense(batch, y.dense, of, name, true);
    rejectIgnoreIndex(given.ignoreIndex);
    rejectOthers(smoothing.others);
  }
  batch.kl = form === 'kl';
  roundNumbers(batch, double);
  batch.weight = factors('weight', given.weight, classes, 'classes', double, name);
  batch.rowWeight = factors('rowWeight', given.rowWeight, total, of, double, name);
  const prior = factors('labelSmoothing.prior', smoothing.prior, classes, 'classes', double, name);
  const mask = rowMask(given.mask, total, of);
  takeGradientScale(batch, common.gradientScale, of, name);
  fillSmoothing(batch, smoothing, prior, of, name);
  const gradient = gradientArray(given.gradient, name, x, batch, y, mask, prior);
  const taking = mask === null ? null : maskBytes(mask);

  let rows: number;
  let weighed = 0;
  let divisor = normalizer;
  if (soft) {
    rows = fillRows(batch, taking);
    if (given.normalizer === undefined) divisor = 'rows';
    else if (normalizer === 'weight') weighed = weighDense(batch);
  } else {
    const count = fillClasses(batch, y, ignored, taking);
    rows = count.rows;
    weighed = count.weighed;
  }
  const denominator = denominatorOf(divisor, weighed, rows, rows, total);
  return finish(batch, common, given, x, gradient, denominator, rows, rows, total);
}

/** Σ over the rows that take part of rowWeight · Σ_k weight_k · target_k. */
function weighDense(batch: Batch): number {
  const { rows, classes, inner, targets, denseStride, weight, rowWeight } = batch;
  const dense = batch.dense as ArrayLike<number>;
  const double = batch.type === FLOAT64;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    if (targets[row] < 0) continue;
    const start = startOf(row, denseStride, batch);
    let rowSum = 0;
    for (let k = 0, i = start; k < classes; k++, i += inner) {
      const t = double ? dense[i] : Math.fround(dense[i]);
      rowSum += weight === null ? t : weight[k] * t;
    }
    sum += (rowWeight === null ? 1 : rowWeight[row]) * rowSum;
  }
  return sum;
}
