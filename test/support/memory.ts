// Memory of unusual kinds.

import vm from 'node:vm';

/** Takes an ArrayBuffer's memory away, as postMessage with a transfer list does. */
export function detach(buffer: ArrayBufferLike): void {
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
}

// Resizable buffers are ES2024; the tests are compiled for ES2023.
export interface ResizableArrayBuffer extends ArrayBuffer {
  resize(byteLength: number): void;
}
export interface GrowableSharedArrayBuffer extends SharedArrayBuffer {
  grow(byteLength: number): void;
}

/** A resizable buffer of `byteLength` bytes that could grow to `maxByteLength`. */
export function resizable(byteLength: number, maxByteLength = 2 * byteLength): ResizableArrayBuffer {
  return Reflect.construct(ArrayBuffer, [byteLength, { maxByteLength }]);
}

export function growable(byteLength: number, maxByteLength = 2 * byteLength): GrowableSharedArrayBuffer {
  return Reflect.construct(SharedArrayBuffer, [byteLength, { maxByteLength }]);
}

/** Evaluates an expression in another realm, where Float32Array and all others are not those of here. */
export const otherRealm = (expression: string): unknown => vm.runInNewContext(expression);

/** A page of WebAssembly's memory. */
export function wasmPage(): ArrayBuffer {
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: { Memory: new (descriptor: { initial: number }) => { buffer: ArrayBuffer } };
  };
  return new WebAssembly.Memory({ initial: 1 }).buffer;
}
