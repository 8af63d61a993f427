// @ts-check
// Every loss, kind of target and number type on the fastest backend, beside crossEntropy of float32 and class indices:
// nanoseconds per element, and per byte that a call reads or writes. One run, interleaved, one thread, gradients reused.
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { backend, bceWithLogits, crossEntropy, klDiv, nllLoss } from 'smoothloss';
import { generator, logitsOf, machine, race } from './race.mjs';

const { values: options } = parseArgs({
  options: {
    shapes: { type: 'string', default: '128x1000,1024x32000' },
    rounds: { type: 'string', default: '15' },
  },
});

/** @param {Float32Array} floats */
function bfloat16(floats) {
  return Uint16Array.from(new Uint32Array(floats.buffer), (bits) => bits >>> 16);
}

/** @param {number} rows @param {number} classes @param {number} rounds */
function measure(rows, classes, rounds) {
  const random = generator(1);
  const length = rows * classes;
  const logits = logitsOf(length, random);
  const targets = Int32Array.from({ length: rows }, () => Math.floor(random() * classes));
  const soft = Float32Array.from({ length }, () => (2 * random()) / classes);
  const bits = Uint8Array.from({ length }, () => (random() < 0.5 ? 0 : 1));
  const weight = Float32Array.from({ length: classes }, () => 1 + random());
  const halves = bfloat16(logits);
  const gradient = new Float32Array(length);
  const halfGradient = new Uint16Array(length);
  const double = Float64Array.from(logits);
  const doubleGradient = new Float64Array(length);
  const base = { classes, gradient };
  const smooth = { ...base, labelSmoothing: 0.1 };
  const half = { classes, gradient: halfGradient, labelSmoothing: 0.1 };
  const inner = rows % 64 === 0 ? 64 : 1;
  // Name, bytes an element, call.
  /** @type {[string, number, () => unknown][]} */
  const calls = [
    ['memcpy of float32', 8, () => gradient.set(logits)],
    ['crossEntropy', 8, () => crossEntropy(logits, targets, smooth)],
    ['  no gradient', 4, () => crossEntropy(logits, targets, { classes, labelSmoothing: 0.1 })],
    ['  class weights', 8, () => crossEntropy(logits, targets, { ...smooth, weight })],
    ['  metrics', 8, () => crossEntropy(logits, targets, { ...smooth, metrics: true })],
    [
      '  mixed targets',
      8,
      () => crossEntropy(logits, { a: targets, b: targets.toReversed(), lambda: 0.7 }, smooth),
    ],
    ['  soft targets', 12, () => crossEntropy(logits, soft, base)],
    ['  soft targets, smoothed', 12, () => crossEntropy(logits, soft, smooth)],
    ['  softcap', 8, () => crossEntropy(logits, targets, { ...smooth, softcap: 30 })],
    ['  inner 64', 8, () => crossEntropy(logits, targets, { ...smooth, inner })],
    ['  bfloat16', 4, () => crossEntropy(halves, targets, { ...half, dtype: 'bfloat16' })],
    ['  float16', 4, () => crossEntropy(halves, targets, { ...half, dtype: 'float16' })],
    ['  float64', 16, () => crossEntropy(double, targets, { ...smooth, gradient: doubleGradient })],
    ['bceWithLogits', 12, () => bceWithLogits(logits, soft, base)],
    ['  Uint8Array targets', 9, () => bceWithLogits(logits, bits, base)],
    ['  weight, posWeight', 12, () => bceWithLogits(logits, soft, { ...base, weight, posWeight: weight })],
    ['klDiv', 12, () => klDiv(logits, soft, base)],
    ['nllLoss', 8, () => nllLoss(logits, targets, smooth)],
  ];
  const measured = race(
    calls.map(([name, , run]) => ({ name, run, repeats: 1, samples: [] })),
    length > 4e6 ? Math.ceil(rounds / 3) : rounds,
  );
  const perByte = (/** @type {number} */ i) => measured[i].nsPerCall.median / length / calls[i][1];
  return measured.map(({ name, nsPerCall: { low, median, high } }, i) => [
    name,
    `${(median / length).toPrecision(3)} [${(low / length).toPrecision(3)}–${(high / length).toPrecision(3)}]`,
    (median / measured[1].nsPerCall.median).toFixed(2),
    (perByte(i) / perByte(1)).toFixed(2),
  ]);
}

console.log(
  `${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}; ${backend.name}, one thread`,
);
for (const shape of options.shapes.split(',')) {
  const [rows, classes] = shape.split(/[x×]/).map(Number);
  const table = new Table({
    head: [shape.replace('x', ' × '), 'ns per element', '× crossEntropy', 'the same per byte'],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  table.push(...measure(rows, classes, Number(options.rounds)));
  console.log(table.toString());
}
