// Errors that name the argument, what it is, what it must be.

import { lengthOf, typeOf } from './typed-arrays.js';

export type ErrorCode =
  | 'ERR_INVALID_ARG_TYPE'
  | 'ERR_OUT_OF_RANGE'
  | 'ERR_LENGTH_MISMATCH'
  | 'ERR_OVERLAP'
  | 'ERR_EMPTY';

/** What a value is, in the words of a message: `a Float32Array of length 3`, `NaN`, `"mean"`. */
export function describe(value: unknown): string {
  const type = typeOf(value);
  if (type !== undefined) return `${type.startsWith('I') ? 'an' : 'a'} ${type} of length ${lengthOf(value)}`;
  if (Array.isArray(value)) return `an array of length ${value.length}`;
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    case 'bigint':
      return `${value}n`;
    case 'function':
      return 'a function';
    case 'object':
      return value === null ? 'null' : ArrayBuffer.isView(value) ? 'a DataView' : 'an object';
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

/** Gives an error the code that Node's own errors have, for programs to tell it by. */
export function coded<E extends Error>(error: E, code: ErrorCode): E {
  return Object.assign(error, { code });
}

/** The error of an aborted call, as Node's own. */
export function abortError(reason: unknown): Error {
  const error = new Error('The operation was aborted', { cause: reason });
  error.name = 'AbortError';
  return Object.assign(error, { code: 'ABORT_ERR' });
}
