// smoothLabels: returns the smoothed targets themselves.

import { type Batch, FLOAT32, FLOAT64, type Floats, newBatch } from '../batch.js';
import { lengthOf, type TypedArray, typeOf } from '../typed-arrays.js';
import { factors, wrongLength } from './checks.js';
import type { Rules } from './functions.js';
import { type Execution, readClasses, readExecution, readIgnored, readOptions } from './options.js';
import { maskBytes, newFloats, notClasses, rowMask, takeDense } from './prepare.js';
import { fillSmoothing, readSmoothing, widenFactors } from './smoothing.js';
import {
  fillClasses,
  fillRows,
  readMixed,
  rejectIgnoreIndex,
  rejectOthers,
  targetArrays,
} from './target-arrays.js';

/** A call of smoothLabels. The labels are the batch's gradient: the gradient of −Σ t'·x by x, times −1. */
export interface PreparedLabels {
  batch: Batch;
  execution: Execution;
  labels: Floats;
}

/** Checks a call of smoothLabels and fills in its defaults. */
export function prepareSmoothLabels(rules: Rules, targets: unknown, options: unknown): PreparedLabels {
  const given = readOptions(options, rules.options);
  const classes = readClasses(given.classes);
  const execution = readExecution(given);
  const ignored = readIgnored(given.ignoreIndex);
  const smoothing = readSmoothing(given.labelSmoothing, classes);
  const mixed = readMixed(targets);

  // No code of the caller's runs from here on.
  const y = targetArrays(targets, mixed, rules, null, { classes, rowStride: classes, type: FLOAT32 });
  const type = y.dense !== null && typeOf(y.dense) === 'Float64Array' ? FLOAT64 : FLOAT32;
  const batch = newBatch(classes, classes, 1);
  batch.type = type;
  const of = y.dense !== null ? 'rows' : mixed === null ? 'targets.length' : 'targets.a.length';
  if (y.a !== null) {
    batch.rows = lengthOf(y.a);
  } else if (y.dense !== null) {
    const length = lengthOf(y.dense);
    if (length % classes !== 0) {
      const hint = holdsAbove(y.dense, 1) ? notClasses(y.dense, true) : '';
      throw wrongLength('targets', y.dense, `a multiple of classes = ${classes}${hint}`);
    }
    batch.rows = length / classes;
    takeDense(batch, y.dense, of, '', true);
    rejectIgnoreIndex(given.ignoreIndex);
    rejectOthers(smoothing.others);
  }
  const double = type === FLOAT64;
  const prior = factors('labelSmoothing.prior', smoothing.prior, classes, 'classes', double, rules.logits);
  const mask = rowMask(given.mask, batch.rows, of);
  fillSmoothing(batch, smoothing, prior, of, rules.logits);
  widenFactors(batch);
  const taking = mask === null ? null : maskBytes(mask);
  if (y.dense === null) fillClasses(batch, y, ignored, taking);
  else fillRows(batch, taking);
  batch.gradientScale = -1;
  const labels = newFloats(type, batch.rows * classes, 'the labels');
  batch.gradient = labels;
  return { batch, execution, labels };
}

/** Whether any number is above the limit. Reads by index: the array's own `length` and iterator may be the caller's. */
function holdsAbove(array: TypedArray, limit: number): boolean {
  const length = lengthOf(array);
  for (let i = 0; i < length; i++) if (array[i] > limit) return true;
  return false;
}
