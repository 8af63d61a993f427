// The same bits where the gradient is so large that AVX-512 and AVX2 kernels write it by streaming stores: 16 MB and more, of
// 1,000 classes at least, from 8,192 on in another way if options allow, or of images. They write whole cache lines that
// way and the rest as ever, so where an array begins and what lies between rows matters.

import { type Call, reports } from '../support/calls.js';
import { encode, type NumberType } from '../support/numbers.js';
import { anywhere, pinned, update } from './pinned.js';
import { Random } from './random.js';
import type { Case } from './table.js';

const BYTES = 16_000_001;

/** Rows of the width, as many as there must be; targets in their first and last columns, too, and none in some rows. */
function largeCall(seed: number, type: NumberType, classes: number, options: Partial<Call['options']>): Call {
  const random = new Random(seed);
  const rowStride = options.rowStride ?? classes;
  const some = encode(
    random.floats(65_521, () => 5 * random.normal()),
    type,
  );
  const special = encode([NaN, Infinity, -Infinity, -1e30, 3e6], type);
  const { inner = 1 } = options;
  const rows = Math.ceil(BYTES / classes / some.BYTES_PER_ELEMENT / inner) * inner;
  const logits = new (some.constructor as typeof Float32Array)(rows * rowStride);
  for (let i = 0; i < logits.length; i += some.length) {
    logits.set(some.subarray(0, logits.length - i) as Float32Array, i);
  }
  const column = () => random.pick(0, 1, 15, 16, classes - 1, random.below(classes), random.below(classes));
  const targets = Int32Array.from({ length: rows }, () => (random.once(9) ? -100 : column()));
  for (let row = 5; row < rows; row += 11) {
    logits[row * rowStride + column()] = random.pick(...special);
  }
  return { type, logits, targets, options: { classes, ...options } };
}

/** Probabilities that go down from class to class, beginning anywhere. */
function softTargets({ length }: Call['logits'], classes: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => 2 ** -((i % (classes + 1)) % 64) / 2);
}

const prior = (classes: number) => new Random(1).floats(classes, () => 0.1);
const CALLS: Record<string, () => Call> = {
  'rows of 1,001': () => largeCall(1, 'float32', 1001, { labelSmoothing: 0.1 }),
  'rows apart': () => largeCall(2, 'float32', 3000, { rowStride: 3001, labelSmoothing: 0.1 }),
  float64: () => largeCall(3, 'float64', 1281, { labelSmoothing: 0.1, reduction: 'sum' }),
  bfloat16: () => largeCall(10, 'bfloat16', 7001, { labelSmoothing: 0.1, reduction: 'sum' }),
  float16: () => largeCall(11, 'float16', 1003, { rowStride: 1005, reduction: 'sum' }),
  'weights and a prior': () =>
    largeCall(4, 'float32', 4000, {
      weight: prior(4000),
      labelSmoothing: { epsilon: 0.2, prior: prior(4000), over: 'others' },
      gradientScale: 3,
    }),
  'all reports': () => {
    const call = largeCall(5, 'float32', 2047, { labelSmoothing: 0.1, zLoss: 1e-4 });
    return { ...call, options: { ...call.options, ...reports(call) } };
  },
  'mixed targets': () => {
    const call = largeCall(6, 'float32', 10_007, { form: 'kl', logitScale: 0.5 });
    const a = call.targets as Int32Array;
    return { ...call, targets: { a, b: a.toReversed(), lambda: 0.3 } };
  },
  'soft targets': () => {
    const call = largeCall(9, 'float32', 1365, { labelSmoothing: 0.1 });
    return { ...call, targets: softTargets(call.logits, 1365) };
  },
  'long rows': () => largeCall(12, 'float32', 8193, { rowStride: 8195 }),
  'long rows of float64': () => largeCall(13, 'float64', 8192, { labelSmoothing: 0.1 }),
  'long rows of bfloat16': () => largeCall(14, 'bfloat16', 8193, { rowStride: 8195 }),
  'long rows of float16': () => largeCall(15, 'float16', 8224, { rowStride: 8225, reduction: 'sum' }),
  'the longest rows': () => largeCall(7, 'float32', 2 ** 17, { labelSmoothing: 0.1 }),
  images: () => largeCall(16, 'float32', 21, { inner: 4096, labelSmoothing: 0.1 }),
  'images whose columns begin anywhere': () =>
    largeCall(17, 'float32', 19, { inner: 1004, gradientScale: -2 }),
  'images of bfloat16': () => largeCall(19, 'bfloat16', 30, { inner: 1024 }),
  'longer rows': () => largeCall(8, 'float32', 2 ** 17 + 1, { labelSmoothing: 0.1 }),
};

const cases: Case[] = Object.entries(CALLS).map(([name, call]) =>
  pinned(`streamed, ${name}`, (hash) => update(hash, anywhere(call()))),
);

export const tables = [{ name: 'bits of streamed gradients', cases }];
