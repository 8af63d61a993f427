// The targets of a call: finds their kind, and writes the classes of each row where kernels expect them.

import { type Arena, arenaFor } from '../arena.js';
import { type Batch, FLOAT64, type Floats } from '../batch.js';
import { coded, rangeError, typeError, unreadable } from '../errors.js';
import {
  bufferOf,
  byteOffsetOf,
  INDEX_ARRAY,
  INDEX_ARRAYS,
  lengthOf,
  type TypedArray,
  typeOf,
} from '../typed-arrays.js';
import type { IndexArray } from '../types/index.js';
import {
  checkLength,
  checkRange,
  floatsOf,
  isList,
  rejectDetached,
  share,
  wrongArray,
  wrongLength,
} from './checks.js';
import type { Rules } from './functions.js';
import { type Shape, targetsHint } from './hints.js';
import { readEach } from './options.js';
import { rejectNowhere } from './smoothing.js';

const MIXED: ReadonlySet<string> = new Set(['a', 'b', 'lambda']);

/** The targets of a call. */
export interface TargetArrays {
  /** The caller's name for `a`. */
  name: string;
  /** The class of each row, or the first one of mixed targets; null: dense. */
  a: IndexArray | null;
  /** The second class of each row; null: not mixed. */
  b: IndexArray | null;
  lambda: number;
  lambdas: Floats | null;
  /** A number per row and class; null: classes. */
  dense: TypedArray | null;
}

/** Mixed targets, as given. */
export type GivenMixed = Record<'a' | 'b' | 'lambda', unknown>;

/** Reads the parts of mixed targets, each once; null for targets of another kind. */
export function readMixed(targets: unknown): GivenMixed | null {
  if (typeof targets !== 'object' || targets === null || isList(targets)) return null;
  const mixed = { a: undefined, b: undefined, lambda: undefined };
  try {
    if (!('a' in targets || 'b' in targets || 'lambda' in targets)) return null;
  } catch (error) {
    throw unreadable('targets', error);
  }
  readEach('targets', targets, MIXED, mixed);
  return mixed.a === undefined && mixed.b === undefined && mixed.lambda === undefined ? null : mixed;
}

function indexArray(name: string, value: unknown): IndexArray {
  if (!INDEX_ARRAYS.has(typeOf(value) as string)) throw wrongArray(name, value, INDEX_ARRAY, 'classes');
  if (lengthOf(value) === 0) rejectDetached(name, value as IndexArray);
  return value as IndexArray;
}

/** Finds the kind of the targets; `mixed` is the result of readMixed. */
export function targetArrays(
  targets: unknown,
  mixed: GivenMixed | null,
  rules: Rules,
  logits: TypedArray | null,
  batch: Pick<Batch, 'classes' | 'rowStride' | 'type'>,
): TargetArrays {
  if (mixed !== null) return mixedArrays(mixed, batch.type === FLOAT64, rules.logits);
  const type = typeOf(targets) as string;
  const array = targets as TypedArray;
  const isDense = rules.dense.includes(type);
  if (!isDense && !(rules.classTargets && INDEX_ARRAYS.has(type))) {
    throw typeError(
      'targets',
      targets,
      rules.targets + targetsHint('targets', targets, rules, shapeOf(logits, batch)),
    );
  }
  if (lengthOf(array) === 0) rejectDetached('targets', array);
  const a = isDense ? null : (array as IndexArray);
  return { name: 'targets', a, b: null, lambda: 1, lambdas: null, dense: isDense ? array : null };
}

function shapeOf(
  logits: TypedArray | null,
  { classes, rowStride }: Pick<Batch, 'classes' | 'rowStride'>,
): Shape {
  const length = logits === null ? NaN : lengthOf(logits);
  return { rows: Math.ceil(length / rowStride), classes, length };
}

function mixedArrays(given: GivenMixed, double: boolean, logits: string): TargetArrays {
  const a = indexArray('targets.a', given.a);
  const b = indexArray('targets.b', given.b);
  const length = lengthOf(a);
  checkLength('targets.b', b, length, 'targets.a.length');
  let lambda = 1;
  let lambdas: Floats | null = null;
  if (typeof given.lambda === 'number') {
    lambda = share('targets.lambda', given.lambda);
  } else {
    lambdas = floatsOf('targets.lambda', given.lambda, double, logits, 'a number in [0, 1]');
    checkLength('targets.lambda', lambdas, length, 'targets.a.length');
    checkRange('targets.lambda', lambdas, 0, 1, 'in [0, 1]');
  }
  return { name: 'targets.a', a, b, lambda, lambdas, dense: null };
}

/** Rejects ignoreIndex with dense targets. */
export function rejectIgnoreIndex(ignoreIndex: unknown): void {
  if (ignoreIndex === undefined) return;
  throw typeError(
    'ignoreIndex',
    ignoreIndex,
    'undefined with targets that are numbers per row and class (it goes with class indices; use mask)',
  );
}

/** Rejects labels per class in an array type that holds classes: as many as there are logits. */
export function rejectLabels(
  name: string,
  logits: TypedArray,
  targets: IndexArray,
  { classes }: Batch,
  dense: readonly string[],
): void {
  const hint = labelsHint(targets, classes, dense);
  if (hint === '') return;
  throw wrongLength(name, logits, `targets.length · classes = ${lengthOf(targets) * classes}${hint}`);
}

/** The end of a message on targets that may be labels per class, in an array type that holds classes. */
export function labelsHint(targets: TypedArray, classes: number, dense: readonly string[]): string {
  if (classes === 1 || lengthOf(targets) === 0 || dense.length === 0) return '';
  const type = typeOf(targets) as string;
  const arrays = dense.length > 2 ? 'a Uint8Array or Float32Array' : 'a Float32Array';
  const floats = `Float32Array.from(targets${type.startsWith('Big') ? ', Number' : ''})`;
  return `: targets of type ${type} are classes; labels for each class go in ${arrays} (${floats} makes one)`;
}

// BigInt elements are read as low and high words, since making BigInts is slow.
const [LOW, HIGH] = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? [0, 1] : [1, 0];

/** A function from a row to its target; NaN for a BigInt beyond ±2^53. */
function targetReader(targets: IndexArray): ArrayLike<number> | ((row: number) => number) {
  const type = typeOf(targets);
  if (type !== 'BigInt64Array' && type !== 'BigUint64Array') return targets as ArrayLike<number>;
  const words = new Int32Array(bufferOf(targets), byteOffsetOf(targets), 2 * lengthOf(targets));
  const signed = type === 'BigInt64Array';
  return (row) => {
    const high = signed ? words[2 * row + HIGH] : words[2 * row + HIGH] >>> 0;
    return high >= -(2 ** 21) && high < 2 ** 21 ? high * 2 ** 32 + (words[2 * row + LOW] >>> 0) : NaN;
  };
}

function notAClass(
  name: string,
  array: IndexArray,
  row: number,
  classes: number,
  ignored: readonly number[],
): RangeError {
  const or = ignored.length > 0 ? ` or ignoreIndex ${ignored.join(', ')}` : '';
  return coded(
    new RangeError(`${name}[${row}] is ${array[row]}: must be an integer in [0, ${classes})${or}`),
    'ERR_OUT_OF_RANGE',
  );
}

/** The rows that take part. */
export interface Count {
  /** Their number. */
  rows: number;
  /** Σ over them of rowWeight · weight[target]. */
  weighed: number;
}

/**
 * Writes the class of each row to the arena, −1 for a row that takes no part; counts and weighs the others. The batch
 * has its weights and its smoothing already.
 */
export function fillClasses(
  batch: Batch,
  targets: TargetArrays,
  ignored: readonly number[],
  mask: Uint8Array | null,
): Count {
  if (targets.b !== null) return fillMixed(batch, targets, targets.b, ignored, mask);
  const array = targets.a as IndexArray;
  const { rows: total, classes, rowWeight, weight, others, epsilon, epsilons } = batch;
  const classOf = arenaFor(total).targets;
  const perClass = batch.weightStride === 0 ? weight : null;
  const reader = targetReader(array);
  const single = ignored.length === 1 ? ignored[0] : NaN;
  const several = ignored.length > 1 ? ignored : null;
  if (typeof reader !== 'function' && mask === null && several === null && !others) {
    if (rowWeight === null && perClass === null) {
      batch.targets = classOf;
      const rows = fillPlain(reader, classOf, total, classes, single);
      if (rows >= 0) return { rows, weighed: rows };
      throw notAClass('targets', array, -1 - rows, classes, ignored);
    }
  }
  let rows = 0;
  let weighed = 0;
  for (let row = 0; row < total; row++) {
    const y = typeof reader === 'function' ? reader(row) : reader[row];
    if ((mask !== null && mask[row] === 0) || y === single || several?.includes(y)) {
      classOf[row] = -1;
      continue;
    }
    if (!(y >= 0 && y < classes)) throw notAClass('targets', array, row, classes, ignored);
    if (others && (epsilons === null ? epsilon : epsilons[row]) > 0) rejectNowhere('targets', row, y, batch);
    classOf[row] = y;
    rows++;
    weighed += (rowWeight === null ? 1 : rowWeight[row]) * (perClass === null ? 1 : perClass[y]);
  }
  batch.targets = classOf;
  return { rows, weighed };
}

/**
 * The same without weights, in a third of the time. Returns the number of rows, or −1 − row where a target is no class.
 */
function fillPlain(
  targets: ArrayLike<number>,
  classOf: Int32Array,
  total: number,
  classes: number,
  ignored: number,
): number {
  let rows = 0;
  for (let row = 0; row < total; row++) {
    const y = targets[row];
    if (y >= 0 && y < classes && y !== ignored) {
      classOf[row] = y;
      rows++;
    } else {
      if (y !== ignored) return -1 - row;
      classOf[row] = -1;
    }
  }
  return rows;
}

/**
 * The same for mixed targets. If one class has the whole share of a row, it is written twice, so that the kernel
 * smooths nothing for the other.
 */
function fillMixed(
  batch: Batch,
  targets: TargetArrays,
  b: IndexArray,
  ignored: readonly number[],
  mask: Uint8Array | null,
): Count {
  const a = targets.a as IndexArray;
  const { lambda, lambdas } = targets;
  const { rows: total, classes, rowWeight, weight, others, epsilon, epsilons } = batch;
  const arena: Arena = arenaFor(2 * total);
  const firstOf = arena.targets;
  const secondOf = firstOf.subarray(total, 2 * total);
  const readA = targetReader(a);
  const readB = targetReader(b);
  let rows = 0;
  let weighed = 0;
  for (let row = 0; row < total; row++) {
    let first = typeof readA === 'function' ? readA(row) : readA[row];
    let second = typeof readB === 'function' ? readB(row) : readB[row];
    if ((mask !== null && mask[row] === 0) || ignored.includes(first) || ignored.includes(second)) {
      firstOf[row] = -1;
      secondOf[row] = 0;
      continue;
    }
    if (!(first >= 0 && first < classes)) throw notAClass('targets.a', a, row, classes, ignored);
    if (!(second >= 0 && second < classes)) throw notAClass('targets.b', b, row, classes, ignored);
    const share = lambdas === null ? lambda : lambdas[row];
    if (share === 1) second = first;
    if (share === 0) first = second;
    if (others && (epsilons === null ? epsilon : epsilons[row]) > 0) {
      rejectNowhere(share === 0 ? 'targets.b' : 'targets.a', row, first, batch);
      if (second !== first) rejectNowhere('targets.b', row, second, batch);
    }
    firstOf[row] = first;
    secondOf[row] = second;
    rows++;
    weighed +=
      (rowWeight === null ? 1 : rowWeight[row]) *
      (weight === null ? 1 : share * weight[first] + (1 - share) * weight[second]);
  }
  batch.targets = firstOf;
  batch.seconds = secondOf;
  batch.lambda = lambda;
  batch.lambdas = lambdas;
  return { rows, weighed };
}

/** For dense targets: writes 0 for each row that takes part, −1 for the others. Returns the number of rows that do. */
export function fillRows(batch: Batch, mask: Uint8Array | null): number {
  const total = batch.rows;
  const classOf = arenaFor(total).targets;
  let rows = 0;
  for (let row = 0; row < total; row++) {
    const takesPart = mask === null || mask[row] !== 0;
    classOf[row] = takesPart ? 0 : -1;
    if (takesPart) rows++;
  }
  batch.targets = classOf;
  return rows;
}

/** Rejects smoothing over 'others' with dense targets. */
export function rejectOthers(others: boolean): void {
  if (!others) return;
  throw rangeError(
    'labelSmoothing.over',
    'others',
    "'all' with targets that are numbers per row and class, which name no class to leave out",
  );
}
