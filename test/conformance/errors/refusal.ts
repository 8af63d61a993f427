// A call that is refused, and how it is checked that it was.

import { detach, resizable } from '../../support/memory.js';
import { backends } from '../backends.js';
import { type Case, errorOf, fail, same, type Table } from '../table.js';

export interface Call {
  /** The input of linearCrossEntropy. */
  logits: unknown;
  /** Of linearCrossEntropy alone. */
  linearWeight?: unknown;
  targets: unknown;
  options: unknown;
}

export type Refusal = [name: string, call: () => Call, code: keyof typeof CLASSES, message: string];

export type FunctionName =
  | 'crossEntropy'
  | 'linearCrossEntropy'
  | 'bceWithLogits'
  | 'klDiv'
  | 'nllLoss'
  | 'smoothLabels';

export const CLASSES = {
  ERR_INVALID_ARG_TYPE: TypeError,
  ERR_OUT_OF_RANGE: RangeError,
  ERR_LENGTH_MISMATCH: RangeError,
  ERR_OVERLAP: RangeError,
  ERR_EMPTY: RangeError,
};

export const TYPE = 'ERR_INVALID_ARG_TYPE';
export const RANGE = 'ERR_OUT_OF_RANGE';
export const LENGTH = 'ERR_LENGTH_MISMATCH';
export const OVERLAP = 'ERR_OVERLAP';
export const EMPTY = 'ERR_EMPTY';

export const DETACHED = 'of length 0 whose buffer is detached: must be attached';
export const FACTOR = 'must be a finite number, at least 0';
export const INDEX_ARRAY =
  'an Int8Array, Int16Array, Int32Array, Uint8Array, Uint16Array, Uint32Array, BigInt64Array or BigUint64Array';
export const ANY_TARGETS = `${INDEX_ARRAY} of classes, a Float32Array or Float64Array of probabilities, or { a, b, lambda }`;
export const LOGITS =
  "a Float32Array, Float64Array, Float16Array, or a Uint16Array with dtype 'float16' or 'bfloat16'";
export const MASK = 'an array of integers, such as a Uint8Array or BigInt64Array';
export const DOUBLES = ' where logits is no Float64Array';
export const IN_PLACE = ' (to work in place, pass the very same elements)';

// A call with nothing wrong: 3 rows of 4 classes, in place, so that a refusal that comes too late shows.
export const goodLogits = () => Float32Array.from({ length: 12 }, (_, i) => (i * 7) % 5);
export const goodTargets = () => Int32Array.of(0, 1, 3);

/** The good call with other options. */
export function options(change: Record<string, unknown>): () => Call {
  return () => {
    const logits = goodLogits();
    return { logits, targets: goodTargets(), options: { classes: 4, gradient: logits, ...change } };
  };
}

export const smoothing = (change: Record<string, unknown>) =>
  options({ labelSmoothing: { epsilon: 0.1, ...change } });
export const perRow = (change: Record<string, unknown>) => options({ reduction: 'none', ...change });

/** The good call with other targets. */
export function targets(value: unknown, change: Record<string, unknown> = {}): () => Call {
  return () => ({ ...options(change)(), targets: value });
}

/** The good call with other logits, not in place. */
export function logits(value: unknown, change: Record<string, unknown> = {}): () => Call {
  return () => ({
    logits: value,
    targets: goodTargets(),
    options: { classes: 4, gradient: true, ...change },
  });
}

export const floats = (...values: number[]) => Float32Array.from(values);

export function detached<A extends ArrayBufferView>(array: A): A {
  detach(array.buffer);
  return array;
}

export function resized(): Float32Array {
  const buffer = resizable(48, 96);
  const array = new Float32Array(buffer, 0, 12);
  buffer.resize(16);
  return array; // out of bounds: its length is 0
}

export function shrunk(): Float32Array {
  const buffer = resizable(48, 96);
  const array = new Float32Array(buffer);
  buffer.resize(16);
  return array; // tracks the length: 4 now
}

/** The last of a message, in brackets: what to do instead. test/hints.test.ts follows it. */
export const HINT =
  / \((?:(?:of the bytes of one, )?(?<expression>\S.*) (?:makes|is) (?:one|these|them)|did you mean .*)\)$/;

export function withoutHint(message: string): string {
  return message.replace(HINT, '');
}

/** A refused call, on every backend: the error, and the arrays as they were. */
function refused(functionName: FunctionName, [name, make, code, message]: Refusal): Case {
  const run = () => {
    for (const functions of backends) {
      const call = make();
      const written = writableOf(call);
      const before = written.map(bytesOf);
      const callee = functions[functionName] as unknown as (...all: unknown[]) => unknown;
      const error = errorOf(() => callee(...argumentsOf(functionName, call)));
      same(withoutHint(error.message), withoutHint(message), `the message [${functions.backend.name}]`);
      same(error.code, code, 'the code');
      if (!(error instanceof CLASSES[code])) fail(`it is a ${error.name}, not a ${CLASSES[code].name}`);
      same(written.map(bytesOf).join(), before.join(), 'what could have been written to');
    }
  };
  return { name, run };
}

/** The arguments of a call, as the function takes them. */
export function argumentsOf(functionName: FunctionName, call: Call): unknown[] {
  const { logits, linearWeight, targets, options } = call;
  if (functionName === 'smoothLabels') return [targets, options];
  return functionName === 'linearCrossEntropy'
    ? [logits, linearWeight, targets, options]
    : [logits, targets, options];
}

/** The arrays that a call could write to by mistake. */
export function writableOf({ logits, linearWeight, targets, options }: Call): ArrayBufferView[] {
  const given = (options as { gradient?: unknown } | null | undefined)?.gradient;
  const gradients = ArrayBuffer.isView(given) ? [given] : Object.values(Object(given));
  return [logits, linearWeight, targets, ...gradients].filter((x) => ArrayBuffer.isView(x));
}

/** A copy of an array's bytes; nothing if it has none any more. */
export function bytesOf(array: ArrayBufferView): string {
  try {
    return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex');
  } catch {
    return '';
  }
}

/** All that was given to `refusals`. */
export const everyRefusal: { name: string; functionName: FunctionName; list: readonly Refusal[] }[] = [];

/** The table of what a function refuses. */
export function refusals(
  name: string,
  list: readonly Refusal[],
  functionName: FunctionName = 'crossEntropy',
): Table {
  everyRefusal.push({ name, functionName, list });
  return { name, cases: list.map((refusal) => refused(functionName, refusal)) };
}
