// @ts-check
// Every loss, kind of target and number type on the fastest backend, beside crossEntropy of float32 and class indices:
// nanoseconds per element, and per byte that a call reads or writes. One run, interleaved, one thread, gradients reused.
import { parseArgs } from 'node:util';
import { backend } from 'smoothloss';
import { callsOf } from './calls.mjs';
import {
  machine,
  machineName,
  perElement,
  positive,
  race,
  roundsFor,
  shapeName,
  shapesOf,
  table,
} from './race.mjs';

const { values: options } = parseArgs({
  options: {
    shapes: { type: 'string', default: '128x1000,1024x32000' },
    rounds: { type: 'string', default: '15' },
  },
});

console.log(`${machineName(machine)}; ${backend.name}, one thread`);
for (const shape of shapesOf(options.shapes)) {
  const calls = callsOf(shape);
  // Written to, or all of it would be the one page of zeros.
  const from = new Float32Array(shape.rows * shape.classes).fill(1);
  const to = new Float32Array(from.length);
  calls.push(['memcpy of float32', 8, () => to.set(from)]);
  const measured = race(
    calls.map(([, , run]) => run),
    roundsFor(shape, positive(options.rounds, 'rounds')),
  );
  const [first] = measured;
  const lines = table([shapeName(shape), 'ns per element', '× crossEntropy', 'the same per byte']);
  calls.forEach(([name, bytes], i) => {
    const ratio = measured[i].median / first.median;
    lines.push([
      ...[name, perElement(measured[i], shape), ratio.toFixed(2), ((ratio * calls[0][1]) / bytes).toFixed(2)],
    ]);
  });
  console.log(lines.toString());
}
