// The arguments of a call, checked: everything that can be wrong is found here, before anything is written.
//
// Options are read once each, before the arrays are looked at: a getter among them may run code that detaches or resizes
// a buffer.

import { arenaFor } from './arena.js';
import type { CrossEntropyBatch, Total } from './batch.js';
import { coded, describe, rangeError, typeError } from './errors.js';
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
const MAX_FLOAT = 2 ** 128 - 2 ** 104;

// What checks an option belongs to, for the message about one that is not known.
const OPTIONS: readonly string[] = [
  'classes',
  'labelSmoothing',
  'weight',
  'rowWeight',
  'ignoreIndex',
  'mask',
  'reduction',
  'normalizer',
  'whenEmpty',
  'gradient',
  'gradientScale',
  'rowStride',
] satisfies (keyof CrossEntropyOptions)[];
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

// The name of a typed array's type, undefined for anything else: the getter that all of them inherit, which holds for
// arrays of another realm (vm contexts, test runners) too and cannot be shadowed.
const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Int8Array.prototype),
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined;

function isTyped(value: unknown, type: string): boolean {
  return typedArrayTag.call(value) === type;
}

function isDetached(array: ArrayBufferView): boolean {
  if (array.byteLength > 0) return false;
  try {
    new Uint8Array(array.buffer);
    return false;
  } catch {
    return true;
  }
}

function wrongArray(name: string, value: unknown, expected: string): TypeError {
  const hint =
    Array.isArray(value) && /^an? \w+Array/.test(expected)
      ? ` (${/\w+Array/.exec(expected)?.[0]}.from(${name}) makes one)`
      : '';
  return typeError(name, value, expected + hint);
}

function attached<A extends ArrayBufferView>(name: string, array: A): A {
  if (!isDetached(array)) return array;
  return fail(
    coded(
      new TypeError(`${name} is ${describe(array)} whose buffer is detached: must be attached`),
      'ERR_INVALID_ARG_TYPE',
    ),
  );
}

function fail(error: Error): never {
  throw error;
}

function float32Array(name: string, value: unknown): Float32Array {
  if (!isTyped(value, 'Float32Array')) throw wrongArray(name, value, 'a Float32Array');
  return value as Float32Array;
}

function checkLength(name: string, array: { length: number } & ArrayBufferView, length: number, of: string) {
  if (array.length === length) {
    if (length === 0) attached(name, array);
    return;
  }
  attached(name, array);
  throw coded(
    new RangeError(`${name} has length ${array.length}: must have ${of} = ${length}`),
    'ERR_LENGTH_MISMATCH',
  );
}

/** A Float32Array of finite numbers ≥ 0, one for each row or class. */
function checkFactors(name: string, array: Float32Array, length: number, of: string): void {
  checkLength(name, array, length, of);
  for (let i = 0; i < length; i++) {
    const factor = array[i];
    if (!(factor >= 0 && factor <= MAX_FLOAT)) {
      throw rangeError(`${name}[${i}]`, factor, 'a finite number, at least 0');
    }
  }
}

function oneOf<T extends string>(name: string, value: unknown, fallback: T, ...others: T[]): T {
  if (value === undefined || value === fallback) return fallback;
  if (others.includes(value as T)) return value as T;
  const expected = [fallback, ...others].map((choice) => `'${choice}'`).join(' or ');
  throw typeof value === 'string' ? rangeError(name, value, expected) : typeError(name, value, expected);
}

/** An integer or a list of integers, as a list of its own. */
function integers(name: string, value: unknown, low: number, high: number, expected: string): number[] {
  const list = Array.isArray(value) ? [...value] : [value];
  list.forEach((item, i) => {
    const where = Array.isArray(value) ? `${name}[${i}]` : name;
    if (typeof item !== 'number') throw typeError(where, item, expected);
    if (!(Number.isInteger(item) && item >= low && item <= high)) throw rangeError(where, item, expected);
  });
  return list;
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

const bytesOverlap = (a: ArrayBufferView, b: ArrayBufferView) =>
  a.buffer === b.buffer &&
  a.byteOffset < b.byteOffset + b.byteLength &&
  b.byteOffset < a.byteOffset + a.byteLength;

function rejectOverlap(gradient: Float32Array, name: string, other: ArrayBufferView | null): void {
  if (other === null || !bytesOverlap(gradient, other)) return;
  const exception = name === 'logits' ? ' (to work in place, pass the very same elements)' : '';
  throw coded(
    new RangeError(`gradient overlaps ${name} in memory: must be apart from it${exception}`),
    'ERR_OVERLAP',
  );
}

/** As Total is defined, of an array that is known to be ≥ 0. */
function totalOf(array: Float32Array): Total {
  let top = 0;
  for (let i = 1; i < array.length; i++) if (array[i] > array[top]) top = i;
  let rest = 0;
  for (let i = 0; i < array.length; i++) if (i !== top) rest += array[i];
  return { sum: rest + array[top], rest, top };
}

function totalOfOnes(length: number): Total {
  return { sum: length, rest: length - 1, top: -1 };
}

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

/** weight · prior, in float. */
function product(weight: Float32Array, prior: Float32Array): Float32Array {
  const result = new Float32Array(weight.length);
  for (let i = 0; i < result.length; i++) {
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
  const type = typedArrayTag.call(targets);
  if (type !== 'BigInt64Array' && type !== 'BigUint64Array') return targets as ArrayLike<number>;
  const words = new Int32Array(targets.buffer, targets.byteOffset, 2 * targets.length);
  const signed = type === 'BigInt64Array';
  return (row) => {
    const high = signed ? words[2 * row + HIGH] : words[2 * row + HIGH] >>> 0;
    return high >= -(2 ** 21) && high < 2 ** 21 ? high * 2 ** 32 + (words[2 * row + LOW] >>> 0) : NaN;
  };
}

/** Checks a call of crossEntropy and fills in its defaults. */
export function prepareCrossEntropy(logits: unknown, targets: unknown, options: unknown): Prepared {
  if (typeof options !== 'object' || options === null) {
    throw typeError('options', options, 'an object that holds at least classes');
  }
  rejectUnknown('options', options, OPTIONS);
  const {
    classes,
    labelSmoothing,
    weight,
    rowWeight,
    ignoreIndex,
    mask,
    reduction: givenReduction,
    normalizer: givenNormalizer,
    whenEmpty: givenWhenEmpty,
    gradient: givenGradient,
    gradientScale: givenGradientScale,
    rowStride: givenRowStride,
  } = options as Record<keyof CrossEntropyOptions, unknown>;

  const classesExpected = 'an integer from 1 to 2^31 - 1';
  if (typeof classes !== 'number') throw typeError('classes', classes, classesExpected);
  if (!(Number.isInteger(classes) && classes >= 1 && classes <= MAX_CLASSES)) {
    throw rangeError('classes', classes, classesExpected);
  }
  const rowStride = givenRowStride === undefined ? classes : givenRowStride;
  if (typeof rowStride !== 'number') throw typeError('rowStride', rowStride, 'an integer');
  if (!(Number.isSafeInteger(rowStride) && rowStride >= classes)) {
    throw rangeError('rowStride', rowStride, `an integer, at least classes = ${classes}`);
  }
  const reduction = oneOf('reduction', givenReduction, 'mean', 'sum', 'none');
  const whenEmpty = oneOf('whenEmpty', givenWhenEmpty, 'nan', 'zero', 'error');
  let normalizer: 'weight' | 'rows' | 'all' | number;
  if (typeof givenNormalizer === 'number') {
    if (!(givenNormalizer > 0 && givenNormalizer < Infinity)) {
      throw rangeError(
        'normalizer',
        givenNormalizer,
        "a finite number above 0, or 'weight', 'rows' or 'all'",
      );
    }
    normalizer = givenNormalizer;
  } else {
    normalizer = oneOf('normalizer', givenNormalizer, 'weight', 'rows', 'all');
  }

  const ignored =
    ignoreIndex === undefined
      ? [-100]
      : integers('ignoreIndex', ignoreIndex, -(2 ** 53), 2 ** 53, 'an integer, or an array of integers');

  let epsilon: unknown = labelSmoothing ?? 0;
  let epsilonName = 'labelSmoothing';
  let others = false;
  let exclude: number[] = [];
  let givenPrior: unknown;
  if (labelSmoothing === null) throw typeError('labelSmoothing', null, 'a number in [0, 1] or an object');
  if (typeof labelSmoothing === 'object') {
    rejectUnknown('labelSmoothing', labelSmoothing, SMOOTHING_OPTIONS);
    const smoothing = labelSmoothing as Record<'epsilon' | 'over' | 'exclude' | 'prior', unknown>;
    epsilonName = 'labelSmoothing.epsilon';
    epsilon = smoothing.epsilon;
    others = oneOf('labelSmoothing.over', smoothing.over, 'all', 'others') === 'others';
    givenPrior = smoothing.prior;
    const excluded = smoothing.exclude;
    if (excluded !== undefined) {
      const expected = `an integer in [0, ${classes}), or an array of them`;
      exclude = integers('labelSmoothing.exclude', excluded, 0, classes - 1, expected);
    }
  }
  const epsilonExpected =
    epsilonName === 'labelSmoothing'
      ? 'a number in [0, 1] or an object'
      : 'a number in [0, 1] or a Float32Array of them';
  let epsilons: Float32Array | null = null;
  if (typeof epsilon === 'number') {
    if (!(epsilon >= 0 && epsilon <= 1)) throw rangeError(epsilonName, epsilon, 'in [0, 1]');
  } else {
    if (!isTyped(epsilon, 'Float32Array') || epsilonName === 'labelSmoothing') {
      throw typeError(epsilonName, epsilon, epsilonExpected);
    }
    epsilons = epsilon as Float32Array;
    epsilon = 0;
  }

  let gradientScales: Float32Array | null = null;
  let gradientScale = 1;
  if (typeof givenGradientScale === 'number') {
    if (!(Math.abs(givenGradientScale) <= MAX_FLOAT)) {
      throw rangeError('gradientScale', givenGradientScale, 'a finite number');
    }
    gradientScale = givenGradientScale;
  } else if (givenGradientScale !== undefined) {
    const expected =
      reduction === 'none'
        ? 'a number or a Float32Array'
        : "a number (one per row goes with reduction 'none' only)";
    if (reduction !== 'none' || !isTyped(givenGradientScale, 'Float32Array')) {
      throw typeError('gradientScale', givenGradientScale, expected);
    }
    gradientScales = givenGradientScale as Float32Array;
  }

  // From here on no code of the caller's runs.
  const x = float32Array('logits', logits);
  if (!INDEX_ARRAYS.has(typedArrayTag.call(targets) as string))
    throw wrongArray('targets', targets, INDEX_ARRAY);
  const indices = targets as IndexArray;
  const total = indices.length;
  if (total === 0) attached('targets', indices);
  const least = total === 0 ? 0 : (total - 1) * rowStride + classes;
  if (rowStride === classes || total === 0) {
    checkLength('logits', x, least, total === 0 ? 'no elements, as targets,' : 'targets.length · classes');
  } else if (!(x.length >= least && x.length <= total * rowStride)) {
    attached('logits', x);
    throw coded(
      new RangeError(
        `logits has length ${x.length}: must have targets.length · rowStride = ${total * rowStride}, or down to ${least} without the end of the last row`,
      ),
      'ERR_LENGTH_MISMATCH',
    );
  }

  if (weight !== undefined) checkFactors('weight', float32Array('weight', weight), classes, 'classes');
  if (rowWeight !== undefined) {
    checkFactors('rowWeight', float32Array('rowWeight', rowWeight), total, 'targets.length');
  }
  if (givenPrior !== undefined) {
    checkFactors(
      'labelSmoothing.prior',
      float32Array('labelSmoothing.prior', givenPrior),
      classes,
      'classes',
    );
  }
  if (mask !== undefined) {
    if (!isTyped(mask, 'Uint8Array')) throw wrongArray('mask', mask, 'a Uint8Array');
    checkLength('mask', mask as Uint8Array, total, 'targets.length');
  }
  let smooths = (epsilon as number) > 0;
  if (epsilons !== null) {
    checkLength(epsilonName, epsilons, total, 'targets.length');
    for (let row = 0; row < total; row++) {
      const one = epsilons[row];
      if (!(one >= 0 && one <= 1)) throw rangeError(`${epsilonName}[${row}]`, one, 'in [0, 1]');
      if (one > 0) smooths = true;
    }
  }
  if (gradientScales !== null) {
    checkLength('gradientScale', gradientScales, total, 'targets.length');
    for (let row = 0; row < total; row++) {
      const scale = gradientScales[row];
      if (!(Math.abs(scale) <= MAX_FLOAT))
        throw rangeError(`gradientScale[${row}]`, scale, 'a finite number');
    }
  }

  let gradient: Float32Array | null = null;
  if (givenGradient !== undefined && typeof givenGradient !== 'boolean') {
    if (!isTyped(givenGradient, 'Float32Array')) {
      throw wrongArray('gradient', givenGradient, 'true, false or a Float32Array');
    }
    gradient = givenGradient as Float32Array;
    checkLength('gradient', gradient, x.length, 'logits.length');
    const inPlace = gradient === x || (gradient.buffer === x.buffer && gradient.byteOffset === x.byteOffset);
    if (!inPlace) rejectOverlap(gradient, 'logits', x);
    rejectOverlap(gradient, 'targets', indices);
    rejectOverlap(gradient, 'weight', (weight as Float32Array | undefined) ?? null);
    rejectOverlap(gradient, 'rowWeight', (rowWeight as Float32Array | undefined) ?? null);
    rejectOverlap(gradient, 'mask', (mask as Uint8Array | undefined) ?? null);
    rejectOverlap(gradient, epsilonName, epsilons);
    rejectOverlap(gradient, 'labelSmoothing.prior', (givenPrior as Float32Array | undefined) ?? null);
    rejectOverlap(gradient, 'gradientScale', gradientScales);
  }

  const weights = (weight as Float32Array | undefined) ?? null;
  const rowWeights = (rowWeight as Float32Array | undefined) ?? null;
  let prior: Float32Array | null = null;
  let smoothing: Float32Array | null = null;
  let priorTotal = totalOfOnes(classes);
  let smoothingTotal = priorTotal;
  if (smooths) {
    if (givenPrior !== undefined) {
      prior = givenPrior as Float32Array;
      if (exclude.length > 0) {
        prior = prior.slice();
        for (const c of exclude) prior[c] = 0;
      }
    } else if (exclude.length > 0) {
      prior = uniformPrior(classes, exclude);
    }
    if (prior !== null) priorTotal = totalOf(prior);
    if (!(priorTotal.sum > 0)) {
      throw coded(
        new RangeError(
          `labelSmoothing leaves no class to smooth towards: ${givenPrior === undefined ? 'exclude must not hold all of them' : 'prior must be above 0 for a class that is not excluded'}`,
        ),
        'ERR_OUT_OF_RANGE',
      );
    }
    smoothing = weights !== null && prior !== null ? product(weights, prior) : (weights ?? prior);
    smoothingTotal = smoothing === null ? priorTotal : smoothing === prior ? priorTotal : totalOf(smoothing);
  }

  // The targets, copied to where the kernels expect them, and the mean's denominator with them.
  const classOf = arenaFor(total).targets;
  const reader = targetReader(indices);
  const maskArray = mask as Uint8Array | undefined;
  const single = ignored.length === 1 ? ignored[0] : NaN;
  const several = ignored.length > 1 ? ignored : null;
  let rows = 0;
  let weighed = 0;
  for (let row = 0; row < total; row++) {
    const y = typeof reader === 'function' ? reader(row) : reader[row];
    if ((maskArray !== undefined && maskArray[row] === 0) || y === single || several?.includes(y)) {
      classOf[row] = -1;
      continue;
    }
    if (!(y >= 0 && y < classes)) {
      throw rangeError(
        `targets[${row}]`,
        indices[row],
        `an integer in [0, ${classes})${ignored.length > 0 ? ` or ignoreIndex ${ignored.join(', ')}` : ''}`,
      );
    }
    if (others && smooths) rejectNowhere(row, y, epsilons === null ? 1 : epsilons[row], prior, priorTotal);
    classOf[row] = y;
    rows++;
    weighed += (rowWeights === null ? 1 : rowWeights[row]) * (weights === null ? 1 : weights[y]);
  }

  const denominator =
    normalizer === 'weight'
      ? weighed
      : normalizer === 'rows'
        ? rows
        : normalizer === 'all'
          ? total
          : normalizer;
  if (reduction === 'mean') {
    if (denominator === 0 && whenEmpty === 'error') {
      throw coded(
        new RangeError(`the mean is empty: of ${total} rows, ${rows} take part, and their weights sum to 0`),
        'ERR_EMPTY',
      );
    }
    gradientScale = denominator === 0 ? 0 : gradientScale / denominator;
  }
  if (givenGradient === true) gradient = new Float32Array(x.length);

  return {
    batch: {
      rows: total,
      classes,
      rowStride,
      targets: classOf,
      logits: x,
      gradient,
      losses: reduction === 'none' ? new Float32Array(total) : null,
      weight: weights,
      prior,
      smoothing,
      rowWeight: rowWeights,
      epsilons,
      gradientScales,
      epsilon: epsilon as number,
      gradientScale,
      others,
      priorTotal,
      smoothingTotal,
    },
    reduction,
    denominator,
    rows,
    empty: whenEmpty === 'zero' ? 0 : NaN,
  };
}

/** With `over: 'others'`: a row whose target is the only class that could get the smoothing mass. */
function rejectNowhere(
  row: number,
  y: number,
  epsilon: number,
  prior: Float32Array | null,
  total: Total,
): void {
  const left = y === total.top ? total.rest : total.sum - (prior === null ? 1 : prior[y]);
  if (epsilon > 0 && !(left > 0)) {
    throw coded(
      new RangeError(
        `targets[${row}] is ${y}: labelSmoothing.over 'others' leaves no other class to smooth towards`,
      ),
      'ERR_OUT_OF_RANGE',
    );
  }
}
