// @ts-check
// A call of every kernel: each loss, kind of target, number type and layout, on one thread, gradients reused.
import { bceWithLogits, crossEntropy, klDiv, nllLoss, setThreads } from 'smoothloss';
import { batch, generator } from './race.mjs';

/** @typedef {[name: string, bytesPerElement: number, run: () => unknown]} Call what it reads and writes, in bytes */

/** @param {import('./race.mjs').Shape} shape @returns {Call[]} */
export function callsOf({ rows, classes }) {
  setThreads(1);
  const random = generator(2);
  const { logits, targets } = batch({ rows, classes });
  const { length } = logits;
  const mixed = { a: targets, b: targets.toReversed(), lambda: 0.7 };
  const soft = Float32Array.from({ length }, () => (2 * random()) / classes);
  const bits = Uint8Array.from({ length }, () => (random() < 0.5 ? 0 : 1));
  const weight = Float32Array.from({ length: classes }, () => 1 + random());
  const halves = Uint16Array.from(new Uint32Array(logits.buffer), (bits) => bits >>> 16); // bfloat16
  const doubles = Float64Array.from(logits);
  const inPlace = logits.slice();
  const base = { classes, gradient: new Float32Array(length) };
  const smooth = { ...base, labelSmoothing: 0.1 };
  const half = { ...smooth, gradient: new Uint16Array(length) };
  const double = { ...smooth, gradient: new Float64Array(length) };
  const inner = rows % 64 === 0 ? 64 : rows;
  return [
    ['crossEntropy', 8, () => crossEntropy(logits, targets, smooth)],
    ['  no gradient', 4, () => crossEntropy(logits, targets, { classes, labelSmoothing: 0.1 })],
    ['  in place', 8, () => crossEntropy(inPlace, targets, { ...smooth, gradient: inPlace })],
    ['  class weights', 8, () => crossEntropy(logits, targets, { ...smooth, weight })],
    ['  metrics', 8, () => crossEntropy(logits, targets, { ...smooth, metrics: true })],
    ['  mixed targets', 8, () => crossEntropy(logits, mixed, smooth)],
    ['  soft targets', 12, () => crossEntropy(logits, soft, base)],
    ['  soft targets, smoothed', 12, () => crossEntropy(logits, soft, smooth)],
    ['  softcap', 8, () => crossEntropy(logits, targets, { ...smooth, softcap: 30 })],
    [`  inner ${inner}`, 8, () => crossEntropy(logits, targets, { ...smooth, inner })],
    ['  bfloat16', 4, () => crossEntropy(halves, targets, { ...half, dtype: 'bfloat16' })],
    ['  float16', 4, () => crossEntropy(halves, targets, { ...half, dtype: 'float16' })],
    ['  float64', 16, () => crossEntropy(doubles, targets, double)],
    ['bceWithLogits', 12, () => bceWithLogits(logits, soft, base)],
    ['  Uint8Array targets', 9, () => bceWithLogits(logits, bits, base)],
    ['  weight, posWeight', 12, () => bceWithLogits(logits, soft, { ...base, weight, posWeight: weight })],
    ['klDiv', 12, () => klDiv(logits, soft, base)],
    ['nllLoss', 8, () => nllLoss(logits, targets, smooth)],
  ];
}
