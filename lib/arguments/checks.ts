// Checks of single values and arrays.

import type { Floats } from '../batch.js';
import { coded, describe, isArray, rangeError, typeError, unreadable } from '../errors.js';
import {
  bufferOf,
  byteLengthOf,
  byteOffsetOf,
  isOutOfBounds,
  lengthOf,
  type TypedArray,
  typeOf,
} from '../typed-arrays.js';
import { arrayHint, choiceHint, listHint, numberHint, type Purpose } from './hints.js';

export const MAX_FLOAT = 2 ** 128 - 2 ** 104;

const FACTOR = 'a finite number, at least 0';

/** Whether it is an array or a view: an object, but not one of options. */
export function isList(value: object): boolean {
  return isArray(value) || ArrayBuffer.isView(value);
}

/** Checks that a value is one of `choices`; undefined is the first. */
export function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (value === undefined) return choices[0];
  if (choices.includes(value as T)) return value as T;
  const hint = choiceHint(name.slice(name.indexOf('.') + 1), value, choices);
  const expected = choices.map((choice) => `'${choice}'`).join(' or ') + hint;
  throw typeof value === 'string' ? rangeError(name, value, expected) : typeError(name, value, expected);
}

/** Checks a boolean; undefined is false. */
export function flag(name: string, value: unknown): boolean {
  if (value === undefined) return false;
  if (typeof value === 'boolean') return value;
  throw typeError(name, value, 'true or false');
}

function noNumber(
  name: string,
  value: unknown,
  expected: string,
  low: number,
  high: number,
  also: (x: number) => boolean = () => true,
): TypeError {
  const hint = numberHint(name, value, (x) => x >= low && x <= high && also(x));
  return typeError(name, value, expected + hint);
}

export function integer(name: string, value: unknown, low: number, high: number, expected: string): number {
  if (typeof value !== 'number') throw noNumber(name, value, expected, low, high, Number.isInteger);
  if (!(Number.isInteger(value) && value >= low && value <= high)) throw rangeError(name, value, expected);
  return value;
}

/** The most integers that a list may hold: a proxy could claim any length. */
const MOST_INTEGERS = 2 ** 24;

/** Checks an integer or a list of them, and returns a new list; `expected` says what each must be. */
export function integers(
  name: string,
  value: unknown,
  low: number,
  high: number,
  expected: string,
): readonly number[] {
  const each = (item: unknown, i: number) => integer(`${name}[${i}]`, item, low, high, expected);
  if (isArray(value)) return readList(name, value, MOST_INTEGERS, each);
  if (typeof value === 'number') return [integer(name, value, low, high, `${expected}, or an array of them`)];
  const fits = (x: unknown) => Number.isInteger(x) && (x as number) >= low && (x as number) <= high;
  const hint = numberHint(name, value, fits) || listHint(name, value, fits);
  throw typeError(name, value, `${expected}, or an array of them${hint}`);
}

/** Reads each item of a list of the caller's once, and returns what `each` makes of them. */
export function readList<T>(
  name: string,
  list: readonly unknown[],
  most: number,
  each: (item: unknown, i: number) => T,
): readonly T[] {
  try {
    const { length } = list;
    if (typeof length !== 'number' || !(length >= 0 && length <= most))
      throw rangeError(name, list, `an array of at most ${most}`);
    const items: T[] = [];
    for (let i = 0; i < length; i++) items.push(each(list[i], i));
    return items;
  } catch (error) {
    throw unreadable(name, error);
  }
}

/** Checks a number in [low, high]; `expected` is for the message. */
export function number(name: string, value: unknown, low: number, high: number, expected: string): number {
  if (typeof value !== 'number') throw noNumber(name, value, expected, low, high);
  if (!(value >= low && value <= high)) throw rangeError(name, value, expected);
  return value;
}

/** Checks a number in [0, 1]. */
export function share(name: string, value: unknown): number {
  if (typeof value !== 'number') return number(name, value, 0, 1, 'a number in [0, 1]');
  return number(name, value, 0, 1, 'in [0, 1]');
}

/** Rejects an array that has no memory any more: of a detached buffer, or beyond the end of one that was made shorter. */
export function rejectDetached(name: string, array: TypedArray): void {
  if (!isOutOfBounds(array)) return;
  const [what, expected] = isDetached(bufferOf(array))
    ? ['whose buffer is detached', 'attached']
    : ['beyond the end of its buffer, which was resized', 'within it'];
  throw coded(
    new TypeError(`${name} is ${describe(array)} ${what}: must be ${expected}`),
    'ERR_INVALID_ARG_TYPE',
  );
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/**
 * Checks that it is a Float32Array, or with `double` a Float64Array. For messages: `given` is the argument whose type
 * decides `double`; `single` is what else is allowed, one number for all.
 */
export function floatsOf(
  name: string,
  value: unknown,
  double: boolean,
  given: string,
  single?: string,
): Floats {
  const type = typeOf(value);
  if (type === 'Float32Array' || (double && type === 'Float64Array')) return value as Floats;
  const array = double ? 'a Float32Array or Float64Array' : 'a Float32Array';
  const expected = single === undefined ? array : `${single}${double ? ',' : ''} or ${array} of them`;
  if (type === 'Float64Array') {
    throw wrongArray(name, value, `${expected} where ${given} is no Float64Array`, 'numbers');
  }
  const hint = single === undefined ? '' : numberHint(name, value, Number.isFinite);
  throw wrongArray(name, value, expected + hint, double ? 'doubles' : 'numbers');
}

/** The error for what is none of the `expected` arrays, with a hint how to make one for that purpose. */
export function wrongArray(name: string, value: unknown, expected: string, purpose: Purpose): TypeError {
  return typeError(name, value, expected + arrayHint(name, value, purpose));
}

export function wrongLength(name: string, array: TypedArray, expected: string): RangeError {
  return coded(
    new RangeError(`${name} has length ${lengthOf(array)}: must have ${expected}`),
    'ERR_LENGTH_MISMATCH',
  );
}

export function checkLength(name: string, array: TypedArray, length: number, of: string): void {
  const actual = lengthOf(array);
  if (actual === 0) rejectDetached(name, array);
  if (actual !== length) throw wrongLength(name, array, `${of} = ${length}`);
}

/** Checks that each number is in [low, high]; between rows of `classes` numbers, `stride` apart, anything may stand. */
export function checkRange(
  name: string,
  array: Floats,
  low: number,
  high: number,
  expected: string,
  classes = 1,
  stride = classes,
): void {
  const length = lengthOf(array);
  for (let i = 0; i < length; i++) {
    if (!(array[i] >= low && array[i] <= high) && (stride === classes || i % stride < classes)) {
      // A double that no Float32Array can hold.
      const beyond = Number.isFinite(array[i]) && Math.abs(array[i]) > MAX_FLOAT && high === MAX_FLOAT;
      throw rangeError(`${name}[${i}]`, array[i], expected + (beyond ? ', within the range of float32' : ''));
    }
  }
}

/** Checks that the numbers are finite and ≥ 0. */
export function checkFactors(name: string, array: Floats, classes?: number, stride?: number): void {
  checkRange(name, array, 0, MAX_FLOAT, FACTOR, classes, stride);
}

/** Checks an array, as floatsOf does, of finite numbers ≥ 0, one per row or class; undefined becomes null. */
export function factors(
  name: string,
  value: unknown,
  length: number,
  of: string,
  double: boolean,
  given: string,
): Floats | null {
  if (value === undefined) return null;
  const array = floatsOf(name, value, double, given);
  checkLength(name, array, length, of);
  checkFactors(name, array);
  return array;
}

/** Rejects an array that shares memory with a gradient, which is on `buffer` and called `own`. */
export function rejectOverlap(
  own: string,
  gradient: TypedArray,
  buffer: ArrayBufferLike,
  name: string,
  other: TypedArray | null,
  exception = '',
): void {
  if (other === null || bufferOf(other) !== buffer) return;
  const start = byteOffsetOf(gradient);
  const otherStart = byteOffsetOf(other);
  const bytes = byteLengthOf(gradient);
  const otherBytes = byteLengthOf(other);
  if (bytes === 0 || otherBytes === 0 || start >= otherStart + otherBytes || otherStart >= start + bytes)
    return;
  throw coded(
    new RangeError(`${own} overlaps ${name} in memory: must be apart from it${exception}`),
    'ERR_OVERLAP',
  );
}
