// Reads the options of a call, each once, and checks those that all losses share.

import { clip, coded, isArray, rangeError, typeError, unreadable } from '../errors.js';
import { defaultThreads, readThreads } from '../threads.js';
import type { AbortSignalLike } from '../types/index.js';
import { flag, integer, integers, isList, MAX_FLOAT, number, oneOf, readList } from './checks.js';
import {
  FUNCTIONS,
  type NormalizerName,
  noOptions,
  type RawOptions,
  type Reduction,
  type Rules,
  SIGNAL,
} from './functions.js';
import { choiceHint, listHint, optionHint } from './hints.js';

type WhenEmpty = 'nan' | 'zero' | 'error';

const MAX_CLASSES = 2 ** 31 - 1;
/** Beyond this, doubles do not tell neighbouring integers apart. */
const MAX_INDEX = Number.MAX_SAFE_INTEGER;

const WHEN_EMPTY: readonly WhenEmpty[] = ['nan', 'zero', 'error'];
const DEFAULT_IGNORED: readonly number[] = [-100];
const FLOAT = 'a finite number, within the range of float32';

/** The functions that have an option, for messages. */
const owners = new Map<string, string[]>();
for (const [functionName, { options }] of Object.entries(FUNCTIONS)) {
  for (const name of options) owners.set(name, [...(owners.get(name) ?? []), functionName]);
}

function unknownOption(what: string, key: string, known: ReadonlySet<string>): TypeError {
  const message = `${what}.${clip(key)} ${optionHint(what, key, [...known], owners, SIGNAL)}`;
  return coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE');
}

const { prototype: ROOT } = Object;
const NOTHING = {};

/** Whether Object.prototype has enumerable properties, which loops over any object meet. */
function isPolluted(): boolean {
  for (const _ in NOTHING) return true;
  return false;
}

/**
 * Reads the options of an object of the caller's into `given`. Each is read once: a getter could return another value
 * the second time. Inherited options count, but not those of Object.prototype. Unknown ones are an error.
 *
 * Only options that are there are read: looking up 22 names in objects of many shapes takes 250 ns, this a third of it.
 */
export function readEach(what: string, object: object, known: ReadonlySet<string>, given: object): void {
  const values = given as Record<string, unknown>;
  try {
    if (Object.getPrototypeOf(object) !== ROOT || isPolluted()) {
      readInherited(what, object as Record<string, unknown>, known, values);
      return;
    }
    for (const key in object) {
      if (!known.has(key)) throw unknownOption(what, key, known);
      values[key] = (object as Record<string, unknown>)[key];
    }
  } catch (error) {
    throw unreadable(what, error);
  }
}

/** The same for objects that inherit. Finds the getters of classes too, which a loop does not meet. */
function readInherited(
  what: string,
  object: Record<string, unknown>,
  known: ReadonlySet<string>,
  given: Record<string, unknown>,
): void {
  for (const key in object) {
    if (known.has(key) || isFromRoot(object, key)) continue;
    throw unknownOption(what, key, known);
  }
  for (const key of known) {
    if (key in object && !isFromRoot(object, key)) given[key] = object[key];
  }
}

/** Whether a property comes from Object.prototype, of this realm or another. */
function isFromRoot(object: object, key: string): boolean {
  let owner = object;
  while (!Object.hasOwn(owner, key)) {
    const next: object | null = Object.getPrototypeOf(owner);
    if (next === null) return false;
    owner = next;
  }
  return owner === ROOT || (Object.getPrototypeOf(owner) === null && Object.hasOwn(owner, 'isPrototypeOf'));
}

export function readOptions(options: unknown, known: ReadonlySet<string>): RawOptions {
  if (typeof options !== 'object' || options === null || isList(options)) {
    const hint =
      Number.isInteger(options) && (options as number) > 0 ? ' ({ classes: options } makes one)' : '';
    throw typeError('options', options, `an object that holds at least classes${hint}`);
  }
  const given = noOptions();
  readEach('options', options, known, given);
  return given;
}

/** How a call is computed. */
export interface Execution {
  threads: number;
  signal: AbortSignalLike | undefined;
  /** `signal.aborted`, read with the options: read later, a getter of the caller's might make other calls. */
  aborted: boolean;
}

export function readExecution({ threads, signal }: RawOptions): Execution {
  return {
    threads: threads === undefined ? defaultThreads() : readThreads('threads', threads),
    signal: signal as AbortSignalLike | undefined,
    aborted: signal !== undefined && readAborted(signal),
  };
}

function readAborted(signal: unknown): boolean {
  try {
    const { aborted, addEventListener, removeEventListener } = Object(signal) as AbortSignalLike;
    const listens = typeof addEventListener === 'function' && typeof removeEventListener === 'function';
    if (typeof aborted === 'boolean' && listens) return aborted;
  } catch (error) {
    throw unreadable('signal', error);
  }
  throw typeError('signal', signal, 'an AbortSignal (of an AbortController its signal)');
}

/** The options that all losses have, checked as far as is possible without the arrays. */
export interface Common {
  execution: Execution;
  classes: number;
  rowStride: number;
  inner: number;
  reduction: Reduction;
  whenEmpty: WhenEmpty;
  metrics: boolean;
  /** The names in perRow; null: there is no perRow. */
  perRow: readonly string[] | null;
  /** A number for all rows, or a value that must turn out to be an array with one per row. */
  gradientScale: unknown;
}

export function readClasses(classes: unknown): number {
  return integer('classes', classes, 1, MAX_CLASSES, 'an integer from 1 to 2^31 - 1');
}

export function readCommon(given: RawOptions, rules: Rules): Common {
  const classes = readClasses(given.classes);
  let { rowStride, inner } = given;
  if (rowStride === undefined) rowStride = classes;
  else if (rowStride !== classes) checkRowStride(rowStride, classes);
  if (inner === undefined) inner = 1;
  else checkInner(inner, rowStride as number, classes);
  const reduction = oneOf('reduction', given.reduction, rules.reductions);
  return {
    execution: readExecution(given),
    classes,
    rowStride: rowStride as number,
    inner: inner as number,
    reduction,
    whenEmpty: oneOf('whenEmpty', given.whenEmpty, WHEN_EMPTY),
    metrics: flag('metrics', given.metrics),
    perRow: given.perRow === undefined ? null : readPerRow(given.perRow, rules.perRow),
    gradientScale: given.gradientScale === undefined ? 1 : readGradientScale(given.gradientScale, reduction),
  };
}

function checkRowStride(rowStride: unknown, classes: number): void {
  const expected = `an integer, at least classes = ${classes}`;
  integer('rowStride', rowStride, classes, Number.MAX_SAFE_INTEGER, expected);
}

function checkInner(inner: unknown, rowStride: number, classes: number): void {
  integer('inner', inner, 1, Number.MAX_SAFE_INTEGER, 'an integer, at least 1');
  if (inner !== 1 && rowStride !== classes) {
    throw rangeError('rowStride', rowStride, `classes = ${classes} where inner is not 1`);
  }
}

/** The most names in perRow: a proxy could claim any number. */
const MOST_NAMES = 1024;

function readPerRow(given: unknown, names: readonly string[]): readonly string[] {
  const each = names.map((name) => `'${name}'`).join(' or ');
  if (!isArray(given)) {
    const hint = listHint('perRow', given, (name) => names.includes(name as string));
    throw typeError('perRow', given, `an array of ${each}${hint}`);
  }
  return readList('perRow', given, MOST_NAMES, (name, i) => {
    if (names.includes(name as string)) return name as string;
    const expected = each + choiceHint('perRow', name, names);
    throw typeof name === 'string'
      ? rangeError(`perRow[${i}]`, name, expected)
      : typeError(`perRow[${i}]`, name, expected);
  });
}

function readGradientScale(given: unknown, reduction: Reduction): unknown {
  if (typeof given === 'number') return number('gradientScale', given, -MAX_FLOAT, MAX_FLOAT, FLOAT);
  if (reduction === 'none') return given;
  throw typeError('gradientScale', given, "a number (one per row goes with reduction 'none' only)");
}

/** Checks a normalizer; undefined is the first name. */
export function readNormalizer(given: unknown, names: readonly NormalizerName[]): NormalizerName | number {
  if (given === undefined) return names[0];
  if (names.includes(given as NormalizerName)) return given as NormalizerName;
  if (typeof given === 'number' && given > 0 && given < Infinity) return given;
  const last = names.length - 1;
  const quoted = names.map((name) => `'${name}'`);
  const expected = `a finite number above 0, or ${quoted.slice(0, last).join(', ')} or ${quoted[last]}${choiceHint('normalizer', given, names)}`;
  throw typeof given === 'number' || typeof given === 'string'
    ? rangeError('normalizer', given, expected)
    : typeError('normalizer', given, expected);
}

export function readIgnored(given: unknown): readonly number[] {
  return given === undefined
    ? DEFAULT_IGNORED
    : integers('ignoreIndex', given, -MAX_INDEX, MAX_INDEX, 'an integer within ±(2^53 - 1)');
}
