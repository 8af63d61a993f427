// Label smoothing: reads the option, and fills in what kernels need to know of it.

import { type Batch, FLOAT32, FLOAT64, type Floats, type Total } from '../batch.js';
import { allocate, coded, isArray, rangeError, typeError } from '../errors.js';
import { log } from '../js/math.js';
import { lengthOf, typeOf } from '../typed-arrays.js';
import { checkLength, checkRange, floatsOf, integers, isList, oneOf, share } from './checks.js';
import { arrayHint, numberHint } from './hints.js';
import { readEach } from './options.js';
import { newFloats } from './prepare.js';

/** Label smoothing towards a distribution over the classes, as given. */
export interface Smoothing {
  /** The caller's name for ε. */
  name: string;
  /** A number in [0, 1], or a value that must turn out to be an array with one per row. */
  epsilon: unknown;
  others: boolean;
  exclude: readonly number[];
  prior: unknown;
}

const OPTIONS: ReadonlySet<string> = new Set(['epsilon', 'over', 'exclude', 'prior']);
const OVER: readonly ('all' | 'others')[] = ['all', 'others'];
const NO_CLASSES: readonly number[] = [];

const NO_SMOOTHING: Smoothing = {
  name: 'labelSmoothing',
  epsilon: 0,
  others: false,
  exclude: NO_CLASSES,
  prior: undefined,
};

export function readSmoothing(given: unknown, classes: number): Smoothing {
  if (given === undefined) return NO_SMOOTHING;
  const smoothing: Smoothing = {
    name: 'labelSmoothing',
    epsilon: 0,
    others: false,
    exclude: NO_CLASSES,
    prior: undefined,
  };
  let epsilon: unknown = given;
  if (typeof given === 'object' && given !== null && !isList(given)) {
    const object = { epsilon: undefined, over: undefined, exclude: undefined, prior: undefined };
    readEach('labelSmoothing', given, OPTIONS, object);
    smoothing.name = 'labelSmoothing.epsilon';
    epsilon = object.epsilon;
    smoothing.others = oneOf('labelSmoothing.over', object.over, OVER) === 'others';
    smoothing.prior = object.prior;
    const { exclude } = object;
    if (exclude !== undefined) {
      const expected = `an integer in [0, ${classes})`;
      smoothing.exclude = integers('labelSmoothing.exclude', exclude, 0, classes - 1, expected);
    }
  }
  if (typeof epsilon === 'number') {
    smoothing.epsilon = share(smoothing.name, epsilon);
  } else if (epsilon === given) {
    throw typeError(smoothing.name, epsilon, `a number in [0, 1] or an object${epsilonsHint(epsilon)}`);
  } else {
    smoothing.epsilon = epsilon;
  }
  return smoothing;
}

/** A hint for a number in a string, or for a list, which belongs into an object. */
function epsilonsHint(given: unknown): string {
  const number = numberHint('labelSmoothing', given, (x) => x >= 0 && x <= 1);
  if (number !== '') return number;
  if (typeOf(given) === 'Float32Array' && lengthOf(given) > 0)
    return ' ({ epsilon: labelSmoothing } makes one)';
  const hint =
    isArray(given) || typeOf(given) !== undefined ? arrayHint('labelSmoothing', given, 'numbers') : '';
  const expression = /^ \((.*) makes one\)$/.exec(hint)?.[1];
  return expression === undefined ? '' : ` ({ epsilon: ${expression} } makes one)`;
}

/** Label smoothing of each element towards one number: bceWithLogits. */
export interface ElementSmoothing {
  epsilon: number;
  toward: number;
}

const ELEMENT_OPTIONS: ReadonlySet<string> = new Set(['epsilon', 'toward']);
const NO_ELEMENT_SMOOTHING: ElementSmoothing = { epsilon: 0, toward: 0.5 };

export function readElementSmoothing(given: unknown): ElementSmoothing {
  if (given === undefined) return NO_ELEMENT_SMOOTHING;
  if (typeof given === 'number') return { epsilon: share('labelSmoothing', given), toward: 0.5 };
  if (typeof given !== 'object' || given === null || isList(given)) {
    const hint = numberHint('labelSmoothing', given, (x) => x >= 0 && x <= 1);
    throw typeError('labelSmoothing', given, `a number in [0, 1] or an object${hint}`);
  }
  const object = { epsilon: undefined, toward: undefined };
  readEach('labelSmoothing', given, ELEMENT_OPTIONS, object);
  const { epsilon, toward } = object;
  return {
    epsilon: share('labelSmoothing.epsilon', epsilon),
    toward: toward === undefined ? 0.5 : share('labelSmoothing.toward', toward),
  };
}

/** The Total of an array of numbers ≥ 0. */
function totalOf(array: Floats): Total {
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

/** The use of arrays, for errors of memory. */
const PRIOR = 'the prior of labelSmoothing';

// The prior of the last call that had `exclude` and no prior of its own.
let lastPrior = new Float32Array(0);
let lastExclude: readonly number[] = [];

function uniformPrior(classes: number, exclude: readonly number[]): Float32Array {
  const same =
    lastPrior.length === classes &&
    lastExclude.length === exclude.length &&
    exclude.every((c, i) => c === lastExclude[i]);
  if (!same) {
    lastPrior = allocate(PRIOR, Float32Array, classes).fill(1);
    for (const c of exclude) lastPrior[c] = 0;
    lastExclude = exclude;
  }
  return lastPrior;
}

function copyOf(array: Floats): Floats {
  const copy = newFloats(typeOf(array) === 'Float64Array' ? FLOAT64 : FLOAT32, lengthOf(array), PRIOR);
  copy.set(array);
  return copy;
}

/**
 * The prior; if its numbers are extreme, times a power of two, so that products do not vanish. It will be normalised.
 */
function scaled(prior: Floats): Floats {
  const length = lengthOf(prior);
  let largest = 0;
  for (let i = 0; i < length; i++) if (prior[i] > largest) largest = prior[i];
  if (largest === 0 || (largest >= 2 ** -32 && largest <= 2 ** 32)) return prior;
  const factor = 2 ** Math.min(1023, -Math.floor(Math.log2(largest)));
  const result = copyOf(prior);
  for (let i = 0; i < length; i++) result[i] = prior[i] * factor;
  return result;
}

/** weight · prior, written to `result`. */
function product(weight: Floats, prior: Floats, result: Floats): Floats {
  for (let i = 0; i < result.length; i++) {
    result[i] = weight[i] * prior[i];
    if (result[i] === Infinity) {
      throw rangeError(`weight[${i}] · prior[${i}]`, weight[i] * prior[i], 'within the range of float32');
    }
  }
  return result;
}

function anyAboveZero(array: Floats): boolean {
  const length = lengthOf(array);
  for (let i = 0; i < length; i++) if (array[i] > 0) return true;
  return false;
}

/** Prior mass below the normal doubles counts as none. */
const SMALLEST = 2 ** -1022;

/** Σ of smoothing · ln prior, where a class of either 0 adds nothing. */
function logOf(smoothing: Floats, prior: Floats): number {
  const length = lengthOf(prior);
  let sum = 0;
  for (let i = 0; i < length; i++) {
    if (smoothing[i] > 0 && prior[i] >= SMALLEST && prior[i] !== 1) sum += smoothing[i] * log(prior[i]);
  }
  return sum;
}

/**
 * Fills in what the kernels need to know of the smoothing. The batch has its rows, a number that messages call `of`,
 * its weight and its form already. `given` is for floatsOf.
 */
export function fillSmoothing(
  batch: Batch,
  smoothing: Smoothing,
  givenPrior: Floats | null,
  of: string,
  given: string,
): void {
  const { name, epsilon, exclude } = smoothing;
  const exact = batch.type === FLOAT64;
  let epsilons: Floats | null = null;
  if (typeof epsilon === 'number') {
    batch.epsilon = epsilon;
  } else {
    epsilons = floatsOf(name, epsilon, exact, given, 'a number in [0, 1]');
    checkLength(name, epsilons, batch.rows, of);
    checkRange(name, epsilons, 0, 1, 'in [0, 1]');
    batch.epsilons = epsilons;
  }
  batch.others = smoothing.others;
  if (!(epsilons === null ? batch.epsilon > 0 : anyAboveZero(epsilons))) return;

  const { classes, weight } = batch;
  // Without rows no prior is made: there may be two thousand million classes.
  if (batch.rows === 0 && givenPrior === null && new Set(exclude).size < classes) return;
  let prior: Floats | null = givenPrior;
  if (exclude.length > 0) {
    if (prior === null) {
      prior = uniformPrior(classes, exclude);
    } else {
      prior = copyOf(prior);
      for (const c of exclude) prior[c] = 0;
    }
  }
  if (prior !== null) prior = exact ? doublesOf(scaled(prior)) : scaled(prior);
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
  let factors: Floats | null = weight ?? prior;
  if (weight !== null && prior !== null) {
    factors = product(weight, prior, newFloats(batch.type, classes, PRIOR));
  } else if (exact && factors !== null) {
    factors = doublesOf(factors);
  }
  batch.prior = prior;
  batch.smoothing = factors;
  batch.priorTotal = priorTotal;
  batch.smoothingTotal = weight === null ? priorTotal : totalOf(factors as Floats);
  if (batch.kl && prior !== null) batch.smoothingLog = logOf(factors as Floats, prior);
}

/** The array as doubles: itself, or a copy. */
function doublesOf<A extends Floats | null>(array: A): A | Float64Array {
  if (array === null || typeOf(array) === 'Float64Array') return array;
  const doubles = newFloats(FLOAT64, lengthOf(array), 'weights in double') as Float64Array;
  doubles.set(array);
  return doubles;
}

/**
 * In double: turns Float32Arrays into Float64Arrays, but for a weight per element, the only Float32Array that kernels
 * take.
 */
export function widenFactors(batch: Batch): void {
  if (batch.type !== FLOAT64) return;
  if (batch.weightStride === 0) batch.weight = doublesOf(batch.weight);
  batch.posWeight = doublesOf(batch.posWeight);
  batch.rowWeight = doublesOf(batch.rowWeight);
  batch.epsilons = doublesOf(batch.epsilons);
  batch.lambdas = doublesOf(batch.lambdas);
  batch.gradientScales = doublesOf(batch.gradientScales);
}

/** With `over: 'others'`: rejects a row whose target is the only class that could get the smoothing mass. */
export function rejectNowhere(name: string, row: number, y: number, batch: Batch): void {
  const { prior, priorTotal: total } = batch;
  const left = y === total.top ? total.rest : total.sum - (prior === null ? 1 : prior[y]);
  if (left >= SMALLEST) return;
  throw coded(
    new RangeError(
      `${name}[${row}] is ${y}: labelSmoothing.over 'others' leaves no other class to smooth towards`,
    ),
    'ERR_OUT_OF_RANGE',
  );
}
