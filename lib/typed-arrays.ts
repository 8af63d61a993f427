// Typed arrays are read through the getters that all of them inherit. These also work for arrays of another realm (vm
// contexts, test runners), cannot be shadowed by properties of the caller's, and are faster than the properties.

import type { IndexArray } from './types/index.js';

export type TypedArray = IndexArray | Float32Array | Float64Array;

/** The types of arrays of classes: IndexArray of types/arrays.ts. */
export const INDEX_TYPES: readonly string[] = [
  'Int8Array',
  'Int16Array',
  'Int32Array',
  'Uint8Array',
  'Uint16Array',
  'Uint32Array',
  'BigInt64Array',
  'BigUint64Array',
];

export const INDEX_ARRAYS: ReadonlySet<string> = new Set(INDEX_TYPES);
export const INDEX_ARRAY = `an ${INDEX_TYPES.slice(0, -1).join(', ')} or ${INDEX_TYPES.at(-1)}`;

const prototype = Object.getPrototypeOf(Int8Array.prototype);

function getter<T>(name: PropertyKey): (array: unknown) => T {
  const get = Object.getOwnPropertyDescriptor(prototype, name)?.get as (this: unknown) => T;
  return (array) => get.call(array);
}

/** The name of a typed array's type; undefined for anything else. */
export const typeOf = getter<string | undefined>(Symbol.toStringTag);
export const lengthOf = getter<number>('length');
export const bufferOf = getter<ArrayBufferLike>('buffer');
export const byteOffsetOf = getter<number>('byteOffset');
export const byteLengthOf = getter<number>('byteLength');

const { keys } = prototype;

/** Whether an array has lost its memory: its buffer is detached, or was resized and ends before the array does. */
export function isOutOfBounds(array: TypedArray): boolean {
  try {
    keys.call(array);
    return false;
  } catch {
    return true;
  }
}

const getResizable = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'resizable')?.get;
// Web pages that are not isolated have no SharedArrayBuffer, nor do processes that build a snapshot.
const Shared = typeof SharedArrayBuffer === 'undefined' ? undefined : SharedArrayBuffer;
const getShared = Shared && Object.getOwnPropertyDescriptor(Shared.prototype, 'byteLength')?.get;

/**
 * Whether a buffer can be resized, so that its memory may shrink. Properties of the caller's do not count. The getter of
 * the other kind throws, which takes 18 µs: what the prototype says is tried first.
 */
export function isResizable(buffer: ArrayBufferLike): boolean {
  const looksShared = getShared !== undefined && Object.getPrototypeOf(buffer) !== ArrayBuffer.prototype;
  try {
    if (!looksShared) return getResizable?.call(buffer) === true;
    getShared?.call(buffer);
    return false;
  } catch {
    return looksShared && getResizable?.call(buffer) === true;
  }
}

/** The constructor of Float16Array, if the runtime has it. Its type is Uint16Array's, which the compiler knows. */
export const Float16 = (globalThis as { Float16Array?: Uint16ArrayConstructor }).Float16Array;
