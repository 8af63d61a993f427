// The arguments of a call, checked: everything that can be wrong is found here, before anything is written.
//
// Options are read once each, before the arrays are looked at: a getter among them may run code that detaches or resizes
// a buffer.

import { arenaFor } from './arena.js';
import type { CrossEntropyBatch, Total } from './batch.js';
import { coded, describe, rangeError, typeError } from './errors.js';
import { bufferOf, byteLengthOf, byteOffsetOf, lengthOf, type TypedArray, typeOf } from './typed-arrays.js';
import type { CrossEntropyOptions, IndexArray } from './types.js';

/** A call ready for a backend, and what its result needs beside the numerator. */
export interface Prepared {
  batch: CrossEntropyBatch;
  reduction: 'mean' | 'sum' | 'none';
  denominator: number;
  rows: number;
  /** The mean where the denominator is 0. */
  empty: number;
}

const MAX_CLASSES = 2 ** 31 - 1;
/** Beyond it a double no longer tells neighbouring integers apart. */
const MAX_INDEX = Number.MAX_SAFE_INTEGER;
const MAX_FLOAT = 2 ** 128 - 2 ** 104;

const SMOOTHING_OPTIONS = ['epsilon', 'over', 'exclude', 'prior'];

const INDEX_ARRAYS = new Set([
  'Int8Array',
  'Int16Array',
  'Int32Array',
  'Uint8Array',
  'Uint16Array',
  'Uint32Array',
  'BigInt64Array',
  'BigUint64Array',
]);
const INDEX_ARRAY =
  'an Int8Array, Int16Array, Int32Array, Uint8Array, Uint16Array, Uint32Array, BigInt64Array or BigUint64Array';

function isDetached(array: TypedArray): boolean {
  if (byteLengthOf(array) > 0) return false;
  try {
    new Uint8Array(bufferOf(array));
    return false;
  } catch {
    return true;
  }
}

function rejectDetached(name: string, array: TypedArray): void {
  if (!isDetached(array)) return;
  throw coded(
    new TypeError(`${name} is ${describe(array)} whose buffer is detached: must be attached`),
    'ERR_INVALID_ARG_TYPE',
  );
}

/** Rejects what is not an array of that type; `expected` is for the message, if more than that will do. */
function arrayOf<A extends TypedArray>(type: string, name: string, value: unknown, expected?: string): A {
  if (typeOf(value) === type) return value as A;
  throw expected === undefined
    ? wrongArray(name, value, `a ${type}`, type)
    : typeError(name, value, expected);
}

function wrongArray(name: string, value: unknown, expected: string, type: string): TypeError {
  return typeError(
    name,
    value,
    Array.isArray(value) ? `${expected} (${type}.from(${name}) makes one)` : expected,
  );
}

function checkLength(name: string, array: TypedArray, length: number, of: string): void {
  const actual = lengthOf(array);
  if (actual === 0) rejectDetached(name, array);
  if (actual === length) return;
  throw coded(
    new RangeError(`${name} has length ${actual}: must have ${of} = ${length}`),
    'ERR_LENGTH_MISMATCH',
  );
}

/** Checks that each number is in [low, high]. */
function checkRange(name: string, array: Float32Array, low: number, high: number, expected: string): void {
  const length = lengthOf(array);
  for (let i = 0; i < length; i++) {
    if (!(array[i] >= low && array[i] <= high)) throw rangeError(`${name}[${i}]`, array[i], expected);
  }
}

function anyAboveZero(array: Float32Array): boolean {
  const length = lengthOf(array);
  for (let i = 0; i < length; i++) if (array[i] > 0) return true;
  return false;
}

/** A Float32Array of finite numbers ≥ 0, one for each row or class; null if there is none. */
function factors(name: string, value: unknown, length: number, of: string): Float32Array | null {
  if (value === undefined) return null;
  const array = arrayOf<Float32Array>('Float32Array', name, value);
  checkLength(name, array, length, of);
  checkRange(name, array, 0, MAX_FLOAT, 'a finite number, at least 0');
  return array;
}

function oneOf<T extends string>(name: string, value: unknown, fallback: T, ...others: T[]): T {
  if (value === undefined || value === fallback) return fallback;
  if (others.includes(value as T)) return value as T;
  const expected = [fallback, ...others].map((choice) => `'${choice}'`).join(' or ');
  throw typeof value === 'string' ? rangeError(name, value, expected) : typeError(name, value, expected);
}

function integer(name: string, value: unknown, low: number, high: number, expected: string): number {
  if (typeof value !== 'number') throw typeError(name, value, expected);
  if (!(Number.isInteger(value) && value >= low && value <= high)) throw rangeError(name, value, expected);
  return value;
}

/** An integer or a list of integers, as a list of its own; `expected` says what each must be. */
function integers(name: string, value: unknown, low: number, high: number, expected: string): number[] {
  return Array.isArray(value)
    ? Array.from(value, (item, i) => integer(`${name}[${i}]`, item, low, high, expected))
    : [integer(name, value, low, high, `${expected}, or an array of them`)];
}

/** An array or a view, which has no options. */
function isList(value: object): boolean {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

function rejectUnknown(what: string, options: object, known: readonly string[]): void {
  for (const key in options) {
    if (known.includes(key)) continue;
    const plain = (name: string) => name.replaceAll('_', '').toLowerCase();
    const near = known.find((name) => plain(name) === plain(key));
    throw coded(
      new TypeError(
        `${what}.${key} is not an option: ${near === undefined ? `must be one of ${known.join(', ')}` : `did you mean ${near}?`}`,
      ),
      'ERR_INVALID_ARG_TYPE',
    );
  }
}

function rejectOverlap(gradient: Float32Array, name: string, other: TypedArray | null): void {
  if (other === null || bufferOf(gradient) !== bufferOf(other)) return;
  const start = byteOffsetOf(gradient);
  const otherStart = byteOffsetOf(other);
  if (start >= otherStart + byteLengthOf(other) || otherStart >= start + byteLengthOf(gradient)) return;
  const exception = name === 'logits' ? ' (to work in place, pass the very same elements)' : '';
  throw coded(
    new RangeError(`gradient overlaps ${name} in memory: must be apart from it${exception}`),
    'ERR_OVERLAP',
  );
}

/** As Total is defined, of an array that is known to be ≥ 0. */
function totalOf(array: Float32Array): Total {
  const length = lengthOf(array);
  let top = 0;
  for (let i = 1; i < length; i++) if (array[i] > array[top]) top = i;
  let rest = 0;
  for (let i = 0; i < length; i++) if (i !== top) rest += array[i];
  return { sum: rest + array[top], rest, top };
}

function totalOfOnes(length: number): Total {
  return { sum: length, rest: length - 1, top: -1 };
}

/** Where nothing is smoothed. */
const NONE: Total = { sum: 0, rest: 0, top: -1 };

// The prior of the last call that had `exclude` and no prior of its own.
let lastPrior = new Float32Array(0);
let lastExclude: number[] = [];

function uniformPrior(classes: number, exclude: number[]): Float32Array {
  const same =
    lastPrior.length === classes &&
    lastExclude.length === exclude.length &&
    exclude.every((c, i) => c === lastExclude[i]);
  if (!same) {
    lastPrior = new Float32Array(classes).fill(1);
    for (const c of exclude) lastPrior[c] = 0;
    lastExclude = exclude;
  }
  return lastPrior;
}

/** The prior, or if its numbers are extreme, times a power of two: it will be normalised, and products must not vanish. */
function scaled(prior: Float32Array): Float32Array {
  const length = lengthOf(prior);
  let largest = 0;
  for (let i = 0; i < length; i++) if (prior[i] > largest) largest = prior[i];
  if (largest === 0 || (largest >= 2 ** -32 && largest <= 2 ** 32)) return prior;
  const factor = 2 ** -Math.floor(Math.log2(largest));
  const result = new Float32Array(length);
  for (let i = 0; i < length; i++) result[i] = prior[i] * factor;
  return result;
}

/** weight · prior, in float. */
function product(weight: Float32Array, prior: Float32Array, classes: number): Float32Array {
  const result = new Float32Array(classes);
  for (let i = 0; i < classes; i++) {
    result[i] = weight[i] * prior[i];
    if (result[i] === Infinity) {
      throw rangeError(`weight[${i}] · prior[${i}]`, weight[i] * prior[i], 'within the range of float32');
    }
  }
  return result;
}

// BigInt elements are read as their low and high words: making a BigInt of each is slow.
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

/** Each option read once: a getter could give another value the second time. Inherited ones count. */
function readOnce(options: CrossEntropyOptions): Record<keyof CrossEntropyOptions, unknown> {
  return {
    classes: options.classes,
    labelSmoothing: options.labelSmoothing,
    weight: options.weight,
    rowWeight: options.rowWeight,
    ignoreIndex: options.ignoreIndex,
    mask: options.mask,
    reduction: options.reduction,
    normalizer: options.normalizer,
    whenEmpty: options.whenEmpty,
    gradient: options.gradient,
    gradientScale: options.gradientScale,
    rowStride: options.rowStride,
  };
}

const OPTIONS: readonly string[] = Object.keys(readOnce({ classes: 1 }));

/** Where smoothing mass goes, as the caller said it. */
interface Smoothing {
  /** What the caller calls ε. */
  name: string;
  epsilon: number;
  epsilons: Float32Array | null;
  others: boolean;
  exclude: number[];
  prior: unknown;
}

function readSmoothing(given: unknown, classes: number): Smoothing {
  const smoothing: Smoothing = {
    name: 'labelSmoothing',
    epsilon: 0,
    epsilons: null,
    others: false,
    exclude: [],
    prior: undefined,
  };
  if (given === undefined) return smoothing;
  let epsilon: unknown = given;
  if (typeof given === 'object' && given !== null && !isList(given)) {
    rejectUnknown('labelSmoothing', given, SMOOTHING_OPTIONS);
    const object = given as Record<'epsilon' | 'over' | 'exclude' | 'prior', unknown>;
    smoothing.name = 'labelSmoothing.epsilon';
    epsilon = object.epsilon;
    smoothing.others = oneOf('labelSmoothing.over', object.over, 'all', 'others') === 'others';
    smoothing.prior = object.prior;
    const { exclude } = object;
    if (exclude !== undefined) {
      const expected = `an integer in [0, ${classes})`;
      smoothing.exclude = integers('labelSmoothing.exclude', exclude, 0, classes - 1, expected);
    }
  }
  if (typeof epsilon === 'number') {
    if (!(epsilon >= 0 && epsilon <= 1)) throw rangeError(smoothing.name, epsilon, 'in [0, 1]');
    smoothing.epsilon = epsilon;
  } else if (epsilon === given) {
    throw typeError(smoothing.name, epsilon, 'a number in [0, 1] or an object');
  } else {
    const expected = 'a number in [0, 1] or a Float32Array of them';
    smoothing.epsilons = arrayOf<Float32Array>('Float32Array', smoothing.name, epsilon, expected);
  }
  return smoothing;
}

function readNormalizer(given: unknown): 'weight' | 'rows' | 'all' | number {
  const expected = "a finite number above 0, or 'weight', 'rows' or 'all'";
  if (given === undefined) return 'weight';
  if (given === 'weight' || given === 'rows' || given === 'all') return given;
  if (typeof given === 'number' && given > 0 && given < Infinity) return given;
  throw typeof given === 'number' || typeof given === 'string'
    ? rangeError('normalizer', given, expected)
    : typeError('normalizer', given, expected);
}

/** A number for all rows, or one per row. */
function readGradientScale(given: unknown, reduction: string): number | Float32Array {
  if (given === undefined) return 1;
  if (typeof given === 'number') {
    if (Math.abs(given) <= MAX_FLOAT) return given;
    throw rangeError('gradientScale', given, 'a finite number, within the range of float32');
  }
  if (reduction === 'none') {
    return arrayOf<Float32Array>('Float32Array', 'gradientScale', given, 'a number or a Float32Array');
  }
  throw typeError('gradientScale', given, "a number (one per row goes with reduction 'none' only)");
}

function checkLogits(logits: Float32Array, rows: number, classes: number, rowStride: number): void {
  const length = lengthOf(logits);
  const least = rows === 0 ? 0 : (rows - 1) * rowStride + classes;
  if (rowStride === classes || rows === 0) {
    checkLength(
      'logits',
      logits,
      least,
      `targets.length · ${rowStride === classes ? 'classes' : 'rowStride'}`,
    );
  } else if (length < least || length > rows * rowStride) {
    rejectDetached('logits', logits);
    const most = `targets.length · rowStride = ${rows * rowStride}`;
    throw coded(
      new RangeError(
        `logits has length ${length}: must have ${most}, or down to ${least} without the end of the last row`,
      ),
      'ERR_LENGTH_MISMATCH',
    );
  }
}

/** What the kernels need to know of the smoothing distribution: see CrossEntropyBatch. */
function smoothingVectors(
  classes: number,
  weight: Float32Array | null,
  givenPrior: Float32Array | null,
  exclude: number[],
): Pick<CrossEntropyBatch, 'prior' | 'smoothing' | 'priorTotal' | 'smoothingTotal'> {
  let prior = givenPrior;
  if (exclude.length > 0) {
    if (prior === null) {
      prior = uniformPrior(classes, exclude);
    } else {
      prior = new Float32Array(prior);
      for (const c of exclude) prior[c] = 0;
    }
  }
  if (prior !== null) prior = scaled(prior);
  const priorTotal = prior === null ? totalOfOnes(classes) : totalOf(prior);
  if (!(priorTotal.sum > 0)) {
    const remedy =
      givenPrior === null
        ? 'exclude must not hold all of them'
        : 'prior must be above 0 for a class that is not excluded';
    throw coded(
      new RangeError(`labelSmoothing leaves no class to smooth towards: ${remedy}`),
      'ERR_OUT_OF_RANGE',
    );
  }
  const smoothing = weight !== null && prior !== null ? product(weight, prior, classes) : (weight ?? prior);
  const smoothingTotal = smoothing === prior ? priorTotal : totalOf(smoothing as Float32Array);
  return { prior, smoothing, priorTotal, smoothingTotal };
}

/** With `over: 'others'`: rejects a row whose target is the only class that could get the smoothing mass. */
function rejectNowhere(row: number, y: number, prior: Float32Array | null, total: Total): void {
  const left = y === total.top ? total.rest : total.sum - (prior === null ? 1 : prior[y]);
  if (left > 0) return;
  throw coded(
    new RangeError(
      `targets[${row}] is ${y}: labelSmoothing.over 'others' leaves no other class to smooth towards`,
    ),
    'ERR_OUT_OF_RANGE',
  );
}

/** Checks a call of crossEntropy and fills in its defaults. */
export function prepareCrossEntropy(logits: unknown, targets: unknown, options: unknown): Prepared {
  if (typeof options !== 'object' || options === null || isList(options)) {
    throw typeError('options', options, 'an object that holds at least classes');
  }
  rejectUnknown('options', options, OPTIONS);
  const given = readOnce(options as CrossEntropyOptions);

  const classes = integer('classes', given.classes, 1, MAX_CLASSES, 'an integer from 1 to 2^31 - 1');
  const rowStride =
    given.rowStride === undefined
      ? classes
      : integer(
          'rowStride',
          given.rowStride,
          classes,
          Number.MAX_SAFE_INTEGER,
          `an integer, at least classes = ${classes}`,
        );
  const reduction = oneOf('reduction', given.reduction, 'mean', 'sum', 'none');
  const whenEmpty = oneOf('whenEmpty', given.whenEmpty, 'nan', 'zero', 'error');
  const normalizer = readNormalizer(given.normalizer);
  const ignored =
    given.ignoreIndex === undefined
      ? [-100]
      : integers('ignoreIndex', given.ignoreIndex, -MAX_INDEX, MAX_INDEX, 'an integer within ±(2^53 - 1)');
  const { name, epsilon, epsilons, others, exclude, prior } = readSmoothing(given.labelSmoothing, classes);
  const scale = readGradientScale(given.gradientScale, reduction);

  // From here on no code of the caller's runs.
  const x = arrayOf<Float32Array>('Float32Array', 'logits', logits);
  if (!INDEX_ARRAYS.has(typeOf(targets) as string))
    throw wrongArray('targets', targets, INDEX_ARRAY, 'Int32Array');
  const indices = targets as IndexArray;
  const total = lengthOf(indices);
  if (total === 0) rejectDetached('targets', indices);
  checkLogits(x, total, classes, rowStride);
  const weight = factors('weight', given.weight, classes, 'classes');
  const rowWeight = factors('rowWeight', given.rowWeight, total, 'targets.length');
  const ownPrior = factors('labelSmoothing.prior', prior, classes, 'classes');
  const mask = given.mask === undefined ? null : arrayOf<Uint8Array>('Uint8Array', 'mask', given.mask);
  if (mask !== null) checkLength('mask', mask, total, 'targets.length');
  if (epsilons !== null) {
    checkLength(name, epsilons, total, 'targets.length');
    checkRange(name, epsilons, 0, 1, 'in [0, 1]');
  }
  const gradientScales = typeof scale === 'number' ? null : scale;
  if (gradientScales !== null) {
    checkLength('gradientScale', gradientScales, total, 'targets.length');
    checkRange('gradientScale', gradientScales, -MAX_FLOAT, MAX_FLOAT, 'a finite number');
  }

  let gradient: Float32Array | null = null;
  if (given.gradient !== undefined && typeof given.gradient !== 'boolean') {
    const expected = 'true, false or a Float32Array';
    gradient = arrayOf<Float32Array>('Float32Array', 'gradient', given.gradient, expected);
    checkLength('gradient', gradient, lengthOf(x), 'logits.length');
    const inPlace = bufferOf(gradient) === bufferOf(x) && byteOffsetOf(gradient) === byteOffsetOf(x);
    if (!inPlace) rejectOverlap(gradient, 'logits', x);
    rejectOverlap(gradient, 'targets', indices);
    rejectOverlap(gradient, 'weight', weight);
    rejectOverlap(gradient, 'rowWeight', rowWeight);
    rejectOverlap(gradient, 'mask', mask);
    rejectOverlap(gradient, name, epsilons);
    rejectOverlap(gradient, 'labelSmoothing.prior', ownPrior);
    rejectOverlap(gradient, 'gradientScale', gradientScales);
  }

  const smooths = epsilons === null ? epsilon > 0 : anyAboveZero(epsilons);
  const vectors = smooths
    ? smoothingVectors(classes, weight, ownPrior, exclude)
    : { prior: null, smoothing: null, priorTotal: NONE, smoothingTotal: NONE };

  // The targets, copied to where the kernels expect them, and the mean's denominator with them.
  const classOf = arenaFor(total).targets;
  const reader = targetReader(indices);
  const single = ignored.length === 1 ? ignored[0] : NaN;
  const several = ignored.length > 1 ? ignored : null;
  let rows = 0;
  let weighed = 0;
  for (let row = 0; row < total; row++) {
    const y = typeof reader === 'function' ? reader(row) : reader[row];
    if ((mask !== null && mask[row] === 0) || y === single || several?.includes(y)) {
      classOf[row] = -1;
      continue;
    }
    if (!(y >= 0 && y < classes)) {
      const or = ignored.length > 0 ? ` or ignoreIndex ${ignored.join(', ')}` : '';
      throw rangeError(`targets[${row}]`, indices[row], `an integer in [0, ${classes})${or}`);
    }
    if (others && (epsilons === null ? epsilon : epsilons[row]) > 0) {
      rejectNowhere(row, y, vectors.prior, vectors.priorTotal);
    }
    classOf[row] = y;
    rows++;
    weighed += (rowWeight === null ? 1 : rowWeight[row]) * (weight === null ? 1 : weight[y]);
  }

  let denominator: number;
  if (normalizer === 'weight') denominator = weighed;
  else if (normalizer === 'rows') denominator = rows;
  else if (normalizer === 'all') denominator = total;
  else denominator = normalizer;
  let gradientScale = typeof scale === 'number' ? scale : 1;
  if (reduction === 'mean') {
    if (denominator === 0 && whenEmpty === 'error') {
      throw coded(
        new RangeError(`the mean is empty: of ${total} rows, ${rows} take part, and their weights sum to 0`),
        'ERR_EMPTY',
      );
    }
    // Finite, so that a row with weight 0 has gradient 0: a double holds more than any gradient needs.
    gradientScale = denominator === 0 ? 0 : Math.max(-1e300, Math.min(1e300, gradientScale / denominator));
  }

  return {
    batch: {
      rows: total,
      classes,
      rowStride,
      targets: classOf,
      logits: x,
      gradient: given.gradient === true ? new Float32Array(lengthOf(x)) : gradient,
      losses: reduction === 'none' ? new Float32Array(total) : null,
      weight,
      rowWeight,
      epsilons,
      gradientScales,
      epsilon,
      gradientScale,
      others,
      ...vectors,
    },
    reduction,
    denominator,
    rows,
    empty: whenEmpty === 'zero' ? 0 : NaN,
  };
}
