// crossEntropy and nllLoss: losses of whole rows, whose targets are distributions over the classes. linear-losses.ts takes the
// same steps for a batch without logits.

import { type Batch, FLOAT64, type Floats, newBatch } from '../batch.js';
import { lengthOf, type TypedArray } from '../typed-arrays.js';
import { factors, oneOf } from './checks.js';
import { type NormalizerName, type RawOptions, type Rules, readNumbers, roundNumbers } from './functions.js';
import { type Common, readCommon, readIgnored, readNormalizer, readOptions } from './options.js';
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
  takeGradient,
  takeGradientScale,
  takeLogits,
  takeMean,
} from './prepare.js';
import { fillSmoothing, readSmoothing, type Smoothing } from './smoothing.js';
import {
  fillClasses,
  fillRows,
  type GivenMixed,
  readMixed,
  rejectIgnoreIndex,
  rejectLabels,
  rejectOthers,
  type TargetArrays,
  targetArrays,
} from './target-arrays.js';

const FORMS: readonly ('crossEntropy' | 'kl')[] = ['crossEntropy', 'kl'];

/** A call of a loss of rows. */
export interface RowCall {
  batch: Batch;
  given: RawOptions;
  common: Common;
  normalizer: NormalizerName | number;
  ignored: readonly number[];
  smoothing: Smoothing;
  mixed: GivenMixed | null;
  prior: Floats | null;
  mask: TypedArray | null;
}

/** How many rows take part, and what the mean divides by. */
export interface Weighed {
  rows: number;
  denominator: number;
}

/** Checks a call and fills in its defaults. */
export function prepareRows(rules: Rules, logits: unknown, targets: unknown, options: unknown): Prepared {
  const call = readRows(rules, targets, options);
  // No code of the caller's runs from here on.
  const { batch, common } = call;
  const { gradient: asked } = call.given;
  const { logits: name } = rules;
  batch.type = elementType(name, logits, call.given.dtype);
  const x = logits as TypedArray;
  const y = targetArrays(targets, call.mixed, rules, x, batch);
  const of = rowsName(y);
  const total = y.a === null ? rowsOf(name, x, batch) : lengthOf(y.a);
  if (y.a !== null && lengthOf(x) === total) rejectLabels(name, x, y.a, batch, rules.dense);
  takeLogits(batch, name, x, total, of);
  takeRows(call, rules, y, of);
  const gradient = gradientArray(asked, name, x, batch, y, call.mask, call.prior);
  const { rows, denominator } = weighRows(call, y);
  takeMean(batch, common, denominator, rows);
  const written = takeGradient(batch, asked, x, gradient);
  return finish(batch, common, written, denominator, rows, rows, total);
}

/** Reads all that may run code of the caller's. */
export function readRows(rules: Rules, targets: unknown, options: unknown): RowCall {
  const given = readOptions(options, rules.options);
  const common = readCommon(given, rules);
  const { classes } = common;
  const normalizer = readNormalizer(given.normalizer, rules.normalizers);
  const ignored = readIgnored(given.ignoreIndex);
  const smoothing = readSmoothing(given.labelSmoothing, classes);
  const form = oneOf('form', given.form, FORMS);
  const batch = newBatch(classes, common.rowStride, common.inner);
  batch.kl = form === 'kl';
  readNumbers(given, batch);
  const mixed = readMixed(targets);
  return { batch, given, common, normalizer, ignored, smoothing, mixed, prior: null, mask: null };
}

/** What messages call the number of rows. */
export function rowsName({ dense, b }: TargetArrays): string {
  return dense !== null ? 'rows' : b === null ? 'targets.length' : 'targets.a.length';
}

/** Checks what there is per row or class. The batch has its type and its rows, a number that messages call `of`. */
export function takeRows(call: RowCall, rules: Rules, y: TargetArrays, of: string): void {
  const { batch, given, smoothing } = call;
  const { classes, rows: total } = batch;
  const { logits: name } = rules;
  const double = batch.type === FLOAT64;
  if (y.dense !== null) {
    takeDense(batch, y.dense, of, name, true);
    rejectIgnoreIndex(given.ignoreIndex);
    rejectOthers(smoothing.others);
  }
  roundNumbers(batch, double);
  batch.weight = factors('weight', given.weight, classes, 'classes', double, name);
  batch.rowWeight = factors('rowWeight', given.rowWeight, total, of, double, name);
  call.prior = factors('labelSmoothing.prior', smoothing.prior, classes, 'classes', double, name);
  call.mask = rowMask(given.mask, total, of);
  takeGradientScale(batch, call.common.gradientScale, of, name);
  fillSmoothing(batch, smoothing, call.prior, of, name);
}

/** Finds the rows that take part. */
export function weighRows(call: RowCall, y: TargetArrays): Weighed {
  const { batch, normalizer, given, mask } = call;
  const taking = mask === null ? null : maskBytes(mask);
  let rows: number;
  let weighed = 0;
  let divisor = normalizer;
  if (y.dense !== null) {
    rows = fillRows(batch, taking);
    if (given.normalizer === undefined) divisor = 'rows';
    else if (normalizer === 'weight') weighed = weighDense(batch);
  } else {
    const count = fillClasses(batch, y, call.ignored, taking);
    rows = count.rows;
    weighed = count.weighed;
  }
  return { rows, denominator: denominatorOf(divisor, weighed, rows, rows, batch.rows) };
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
