// Errors whose message names the argument, what it is, and what it must be.

import { lengthOf, typeOf } from './typed-arrays.js';

export type ErrorCode =
  | 'ERR_INVALID_ARG_TYPE'
  | 'ERR_OUT_OF_RANGE'
  | 'ERR_LENGTH_MISMATCH'
  | 'ERR_OVERLAP'
  | 'ERR_EMPTY'
  | 'ERR_MEMORY_ALLOCATION_FAILED';

/** Characters of a caller's string that a message quotes. */
const QUOTED = 40;

/** Array.isArray, but false for a revoked proxy, where Array.isArray throws. */
export function isArray(value: unknown): value is unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** Whether it is a revoked proxy, which throws at every access. */
function isRevoked(value: unknown): boolean {
  try {
    Array.isArray(value);
    return false;
  } catch {
    return true;
  }
}

/** The beginning of a text that may be long. */
export function clip(text: string, length = QUOTED): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** A list's length; undefined if it is no number, or throws, as a proxy's may. */
function lengthOfList(list: readonly unknown[]): number | undefined {
  try {
    const { length } = list;
    return typeof length === 'number' ? length : undefined;
  } catch {
    return undefined;
  }
}

function describeBigInt(value: bigint): string {
  // Computing the digits of a huge one could take minutes.
  const isShort = BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value;
  return isShort ? `${value}n` : 'a BigInt of more than 64 bits';
}

function article(type: string): string {
  return /^[AI]/.test(type) ? 'an' : 'a';
}

/** Describes a value for a message: `a Float32Array of length 3`, `NaN`, `"mean"`. Never throws. */
export function describe(value: unknown): string {
  const type = typeOf(value);
  if (type !== undefined) return `${article(type)} ${type} of length ${lengthOf(value)}`;
  if (isArray(value)) {
    const length = lengthOfList(value);
    return length === undefined ? 'an array of no length' : `an array of length ${length}`;
  }
  switch (typeof value) {
    case 'string':
      return JSON.stringify(clip(value));
    case 'symbol':
      return `Symbol(${clip(value.description ?? '')})`;
    case 'bigint':
      return describeBigInt(value);
    case 'function':
      return isRevoked(value) ? 'a revoked Proxy' : 'a function';
    case 'object':
      if (value === null) return 'null';
      if (isRevoked(value)) return 'a revoked Proxy';
      return ArrayBuffer.isView(value) ? 'a DataView' : 'an object';
    default:
      return Object.is(value, -0) ? '-0' : String(value);
  }
}

export function typeError(name: string, value: unknown, expected: string): TypeError {
  return coded(new TypeError(`${name} is ${describe(value)}: must be ${expected}`), 'ERR_INVALID_ARG_TYPE');
}

export function rangeError(name: string, value: unknown, expected: string): RangeError {
  return coded(new RangeError(`${name} is ${describe(value)}: must be ${expected}`), 'ERR_OUT_OF_RANGE');
}

/** Sets an error's `code`, which programs tell it by, as Node's own errors have. */
export function coded<E extends Error>(error: E, code: ErrorCode): E {
  return define(error, 'code', code);
}

/** Defines an own property, whatever the prototypes hold: they may be frozen, or have properties they should not. */
function define<E extends Error>(error: E, key: string, value: unknown): E {
  const own = { __proto__: null, value, enumerable: true, writable: true, configurable: true };
  return Object.defineProperty(error, key, own);
}

/**
 * The error to throw when reading an object of the caller's threw `error`. A getter's own exception is passed on; a
 * TypeError, or a RangeError without a code, which engines throw for revoked and inconsistent proxies, becomes the cause
 * of one with a code.
 */
export function unreadable(name: string, error: unknown): unknown {
  try {
    const { code } = Object(error) as { code?: unknown };
    const isEngines =
      error instanceof TypeError
        ? code !== 'ERR_INVALID_ARG_TYPE'
        : error instanceof RangeError && typeof code !== 'string';
    if (!isEngines) return error;
    const message = `${name} cannot be read: ${clip(String((error as Error).message), 200)}`;
    return coded(new TypeError(message, { cause: error }), 'ERR_INVALID_ARG_TYPE');
  } catch {
    return error; // it cannot be looked at either
  }
}

/** Makes an array. If it is too long for the engine or for memory, the error says what it was for. */
export function allocate<A>(what: string, Type: new (length: number) => A, length: number): A {
  try {
    return new Type(length);
  } catch {
    const array = `${article(Type.name)} ${Type.name} of length ${length}`;
    throw coded(new RangeError(`there is no memory for ${what}: ${array}`), 'ERR_MEMORY_ALLOCATION_FAILED');
  }
}

/** The error of an aborted call, like Node's own. */
export function abortError(reason: unknown): Error {
  const error = new Error('The operation was aborted', { cause: reason });
  return define(define(error, 'name', 'AbortError'), 'code', 'ABORT_ERR');
}
