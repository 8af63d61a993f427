// Bits of record: what a call returns, compared byte by byte between backends and with test/conformance/hashes.json.
//
// What is hashed are the bytes of a result: numerator, denominator, rows and loss as doubles, what else there is, gradient.
// `node build/test/conformance/run.js --update` writes the file anew, from the backend that comes first.

import { createHash, type Hash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Functions } from 'smoothloss';
import { type Call, make, type Returned } from '../support/calls.js';
import { root } from '../support/root.js';
import { backends } from './backends.js';
import { type Case, fail, same } from './table.js';

const FILE = path.join(root, 'test/conformance/hashes.json');
const UPDATE = process.argv.includes('--update');

const hashes: Record<string, string> = existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : {};
const updated: Record<string, string> = {};

/** Writes the hashes of the cases that ran. */
export function writeHashes(): void {
  writeFileSync(FILE, `${JSON.stringify(updated, null, 2)}\n`);
}

/** Hashes that no case of today has. */
export function strayHashes(): string[] {
  return Object.keys(hashes).filter((name) => !names.has(name));
}

const names = new Set<string>();

export type Numbers = Float32Array | Float64Array | Uint16Array | Int32Array | Uint8Array;

/** A part of a result, by name. */
export type Part = readonly [name: string, numbers: Numbers];

function bytes(array: Numbers): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

const NUMBERS = ['numerator', 'denominator', 'rows', 'loss'] as const;
const METRICS = ['nll', 'accuracy', 'entropy', 'zLoss'] as const;

/** What one call gives, part by part, the gradient last; of an error its code. */
export function resultBytes(functions: Functions, call: Call): Part[] {
  try {
    return partsOf(make(functions, call));
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (typeof code !== 'string') throw error;
    return [['error', new TextEncoder().encode(code)]];
  }
}

/** The parts of a result, the gradient last. */
export function partsOf(result: Returned): Part[] {
  const { metrics } = result;
  const parts: Part[] = [['numbers', Float64Array.from(NUMBERS, (name) => result[name] ?? 0)]];
  if (metrics !== undefined)
    parts.push(['metrics', Float64Array.from(METRICS, (name) => metrics[name] ?? 0)]);
  if (result.labels !== undefined) parts.push(['labels', result.labels]);
  if (result.losses !== undefined) parts.push(['losses', result.losses]);
  for (const name of ['loss', 'nll', 'lse', 'entropy', 'prediction'] as const) {
    const array = result.perRow?.[name];
    if (array !== undefined) parts.push([`perRow.${name}`, array as Numbers]);
  }
  const { gradient } = result;
  if (ArrayBuffer.isView(gradient)) parts.push(['gradient', gradient]);
  else
    for (const [name, array] of Object.entries(gradient ?? {}))
      parts.push([`gradient.${name}`, array as Numbers]);
  return parts;
}

/** Fails at the first byte that differs. */
export function sameBytes(actual: readonly Part[], expected: readonly Part[], what: string): void {
  const list = (parts: readonly Part[]) => parts.map(([name]) => name).join(', ');
  same(list(actual), list(expected), `what there is, ${what}`);
  expected.forEach(([name, numbers], p) => {
    const other = bytes(actual[p][1]);
    const own = bytes(numbers);
    if (Buffer.compare(other, own) === 0) return;
    same(other.length, own.length, `the bytes of ${name}, ${what}`);
    const width = numbers.BYTES_PER_ELEMENT;
    const element = Math.floor(own.findIndex((byte, i) => byte !== other[i]) / width);
    const hex = (b: Uint8Array) =>
      Buffer.from(b.subarray(element * width, (element + 1) * width).toReversed()).toString('hex');
    const named = { numbers: NUMBERS[element], metrics: METRICS[element] };
    const which = Reflect.get(named, name) ?? `${name}[${element}]`;
    fail(`${what}: ${which} is 0x${hex(other)}, expected 0x${hex(own)}`);
  });
}

export function update(hash: Hash, parts: readonly Part[]): void {
  for (const [, numbers] of parts) hash.update(bytes(numbers));
}

export function describe({ name = 'crossEntropy', type = 'float32', options, targets }: Call): string {
  const brief = (_: string, value: unknown) =>
    ArrayBuffer.isView(value) ? `${value.constructor.name}(${(value as Uint8Array).length})` : value;
  return `${name} of ${type}, ${JSON.stringify({ targets, options }, brief)}`;
}

/**
 * Makes the call on every backend, with a gradient in an array of its own, in place and without one: all must agree.
 * Returns the result.
 */
export function everywhere(call: Call): Part[] {
  let first: Part[] | undefined;
  const { name = 'crossEntropy', logits, options } = call;
  const withGradient = (gradient: unknown, more: Partial<Call> = {}) =>
    ({ ...call, ...more, options: { ...options, gradient } }) as Call;
  for (const functions of backends) {
    const backend = functions.backend.name;
    const what = () => `${backend}, ${describe(call)}`;
    if (name === 'smoothLabels') {
      const labels = resultBytes(functions, call);
      first ??= labels;
      sameBytes(labels, first, `against ${backends[0].backend.name}, ${what()}`);
      continue;
    }
    const before = logits.slice();
    const separate = resultBytes(functions, withGradient(true));
    if (Buffer.compare(bytes(logits), bytes(before)) !== 0) fail(`the logits have changed: ${what()}`);
    if (first === undefined) first = separate;
    else sameBytes(separate, first, `against ${backends[0].backend.name}, ${what()}`);

    const own = logits.slice();
    const inPlace = resultBytes(functions, withGradient(own, { logits: own }));
    const failed = separate.length === 1;
    if (failed) sameBytes([['logits', own]], [['logits', before]], `after an error, ${what()}`);
    const { classes, rowStride = classes } = options;
    if (rowStride > classes && !failed) {
      // Between the rows the logits stay in place, and a new gradient is 0.
      for (let i = 0; i < own.length; i++) {
        if (i % rowStride >= classes) {
          same(own[i], logits[i], `the logit ${i} between rows, ${what()}`);
          own[i] = 0;
        }
      }
    }
    sameBytes(inPlace, separate, `in place, ${what()}`);

    const without = resultBytes(functions, call);
    sameBytes(without, failed ? separate : separate.slice(0, -1), `without gradient, ${what()}`);
  }
  return first ?? fail('there is no backend');
}

/** What an array holds that nothing has been written to. */
const UNTOUCHED = 12345;

/** The call on every backend; then with gradients that begin anywhere, by any number of threads. */
export function anywhere(call: Call): Part[] {
  const first = everywhere(call);
  const [, expected] = first[first.length - 1];
  const { classes, rowStride = classes } = call.options;
  const FloatArray = call.logits.constructor as typeof Float32Array;
  for (const functions of backends.filter(({ backend }) => backend.name !== 'js')) {
    for (const [threads, offset] of [
      [1, 1],
      [2, 4],
      [3, 15],
    ]) {
      const around = new FloatArray(call.logits.length + 64).fill(UNTOUCHED);
      const gradient = around.subarray(offset, offset + call.logits.length);
      make(functions, call, { gradient, threads });
      const what = `${functions.backend.name}, ${threads} threads, gradient at ${offset}, ${describe(call)}`;
      for (let i = 0; i < around.length; i++) {
        const at = i - offset;
        if (at >= 0 && at < gradient.length && at % rowStride < classes) continue;
        same(around[i], UNTOUCHED, `what lies beside the gradient at ${at}, ${what}`);
        around[i] = 0;
      }
      sameBytes([['gradient', gradient as Numbers]], [['gradient', expected]], what);
    }
  }
  return first;
}

export function pinned(name: string, run: (hash: Hash) => void): Case {
  names.add(name);
  return {
    name,
    run: () => {
      const hash = createHash('sha256');
      run(hash);
      const digest = hash.digest('hex');
      updated[name] = digest;
      if (!UPDATE) same(digest, hashes[name], `the hash of ${name}`);
    },
  };
}

export function pinnedCalls(name: string, calls: () => Iterable<Call>): Case {
  return pinned(name, (hash) => {
    for (const call of calls()) update(hash, everywhere(call));
  });
}
