// smoothLabels: the targets themselves.

import { type Batch, FLOAT32, FLOAT64, type Floats } from '../batch.js';
import { lengthOf, typeOf } from '../typed-arrays.js';
import { newBatch, newFloats, rowMask, takeDense } from './batch.js';
import { checkLength, checkRange, factors, wrongLength } from './checks.js';
import { type Manner, readClasses, readIgnored, readManner, readOptions } from './options.js';
import { ANY_TARGETS, SOFT } from './row-losses.js';
import { fillSmoothing, readSmoothing } from './smoothing.js';
import {
  fillClasses,
  fillRows,
  readMixed,
  rejectIgnoreIndex,
  rejectOthers,
  targetArrays,
} from './targets.js';

const OPTIONS: ReadonlySet<string> = new Set(['classes', 'labelSmoothing', 'ignoreIndex', 'mask', 'threads']);
const RULES = { targets: ANY_TARGETS, dense: SOFT, classTargets: true, typicalTargets: 'Int32Array' };

/** A call of smoothLabels. The labels are the batch's gradient: that of −Σ t'·x by x, times −1. */
interface PreparedLabels {
  batch: Batch;
  manner: Manner;
  labels: Floats;
}

/** Checks a call of smoothLabels and fills in its defaults. */
export function prepareSmoothLabels(targets: unknown, options: unknown): PreparedLabels {
  const given = readOptions(options, OPTIONS);
  const classes = readClasses(given.classes);
  const manner = readManner(given);
  const ignored = readIgnored(given.ignoreIndex);
  const smoothing = readSmoothing(given.labelSmoothing, classes);
  const mixed = readMixed(targets);

  // From here on no code of the caller's runs.
  const y = targetArrays(targets, mixed, RULES);
  const type = y.dense !== null && typeOf(y.dense) === 'Float64Array' ? FLOAT64 : FLOAT32;
  const batch = newBatch(classes, classes, 1, type);
  const of = y.dense !== null ? 'rows' : mixed === null ? 'targets.length' : 'targets.a.length';
  if (y.a !== null) {
    batch.rows = lengthOf(y.a);
  } else if (y.dense !== null) {
    const length = lengthOf(y.dense);
    if (length % classes !== 0) throw wrongLength('targets', y.dense, `a multiple of classes = ${classes}`);
    batch.rows = length / classes;
    takeDense(batch, y.dense, of, '');
    rejectIgnoreIndex(given.ignoreIndex);
    rejectOthers(smoothing.others);
  }
  const prior = factors('labelSmoothing.prior', smoothing.prior, classes, 'classes');
  const mask = rowMask(given.mask, batch.rows, of);
  if (smoothing.epsilons !== null) {
    checkLength(smoothing.name, smoothing.epsilons, batch.rows, of);
    checkRange(smoothing.name, smoothing.epsilons, 0, 1, 'in [0, 1]');
  }
  fillSmoothing(batch, smoothing, prior);
  if (y.dense === null) fillClasses(batch, y, ignored, mask);
  else fillRows(batch, mask);
  batch.gradientScale = -1;
  const labels = newFloats(type, batch.rows * classes);
  batch.gradient = labels;
  return { batch, manner, labels };
}
