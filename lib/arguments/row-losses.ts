// crossEntropy and nllLoss: losses of whole rows, whose targets are distributions over the classes.

import { type Batch, FLOAT64, newBatch } from '../batch.js';
import { lengthOf, type TypedArray } from '../typed-arrays.js';
import { factors, number, oneOf } from './checks.js';
import {
  inPrecision,
  optionsOf,
  type Rules,
  readCommon,
  readIgnored,
  readNormalizer,
  readOptions,
  readPositive,
} from './options.js';
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
  INDEX_ARRAY,
  readMixed,
  rejectIgnoreIndex,
  rejectLabels,
  rejectOthers,
  targetArrays,
} from './target-arrays.js';

// What smoothLabels takes, too.
export const SOFT: readonly string[] = ['Float32Array', 'Float64Array'];
export const ANY_TARGETS = `${INDEX_ARRAY} of classes, a Float32Array or Float64Array of probabilities, or { a, b, lambda }`;

const FORMS: readonly ('crossEntropy' | 'kl')[] = ['crossEntropy', 'kl'];

const NLL_LOSS: Rules = {
  options: optionsOf('nllLoss', [
    'classes',
    'dtype',
    'labelSmoothing',
    'weight',
    'rowWeight',
    'ignoreIndex',
    'mask',
    'form',
    'reduction',
    'normalizer',
    'whenEmpty',
    'gradient',
    'gradientScale',
    'rowStride',
    'inner',
    'metrics',
    'perRow',
    'threads',
  ]),
  logits: 'logProbs',
  targets: `${INDEX_ARRAY} of classes, or { a, b, lambda }`,
  dense: [],
  classTargets: true,
  typicalTargets: 'Int32Array',
  reductions: ['mean', 'sum', 'none'],
  normalizers: ['weight', 'rows', 'all'],
  perRow: ['loss', 'nll', 'prediction'],
};

const CROSS_ENTROPY: Rules = {
  options: optionsOf('crossEntropy', [...NLL_LOSS.options, 'logitScale', 'softcap', 'zLoss']),
  logits: 'logits',
  targets: ANY_TARGETS,
  dense: SOFT,
  classTargets: true,
  typicalTargets: 'Int32Array',
  reductions: NLL_LOSS.reductions,
  normalizers: NLL_LOSS.normalizers,
  perRow: ['loss', 'nll', 'lse', 'entropy', 'prediction'],
};

/** Checks a call of crossEntropy and fills in its defaults. */
export function prepareCrossEntropy(logits: unknown, targets: unknown, options: unknown): Prepared {
  return prepare(CROSS_ENTROPY, logits, targets, options);
}

/** Checks a call of nllLoss and fills in its defaults. */
export function prepareNllLoss(logProbs: unknown, targets: unknown, options: unknown): Prepared {
  return prepare(NLL_LOSS, logProbs, targets, options);
}

function prepare(rules: Rules, logits: unknown, targets: unknown, options: unknown): Prepared {
  const given = readOptions(options, rules.options);
  const common = readCommon(given, rules);
  const { classes } = common;
  const normalizer = readNormalizer(given.normalizer, rules.normalizers);
  const ignored = readIgnored(given.ignoreIndex);
  const smoothing = readSmoothing(given.labelSmoothing, classes);
  const form = oneOf('form', given.form, FORMS);
  const logitScale = given.logitScale === undefined ? 1 : readPositive('logitScale', given.logitScale);
  const softcap = given.softcap === undefined ? 0 : readPositive('softcap', given.softcap);
  const zLoss = given.zLoss === undefined ? 0 : readZLoss(given.zLoss);
  const mixed = readMixed(targets);

  // From here on no code of the caller's runs.
  const { logits: name } = rules;
  const batch = newBatch(classes, common.rowStride, common.inner);
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
  if (logitScale !== 1) batch.logitScale = inPrecision('logitScale', logitScale, double);
  if (softcap !== 0) batch.softcap = inPrecision('softcap', softcap, double);
  batch.zLoss = zLoss;
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

function readZLoss(given: unknown): number {
  return number('zLoss', given, 0, Number.MAX_VALUE, 'a finite number, at least 0');
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
