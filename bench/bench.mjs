// @ts-check
// Loss and gradient on every backend, beside memcpy of the same arrays and plain JavaScript as one would write it.
// One run, interleaved: in each round every contestant takes one sample, starting with a different one each time.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { availableBackends, loadBackend } from 'smoothloss';
import { disagreement } from './peers/check.mjs';
import { plainCrossEntropy } from './plain.mjs';
import {
  batch,
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

const EPSILON = 0.1;

const { values: options } = parseArgs({
  options: {
    shapes: { type: 'string', default: '32x10,128x1000,4096x1000,1024x32000,256x128256' },
    rounds: { type: 'string', default: '25' },
    json: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (options.help) {
  console.log(`npm run bench -- [options]
  --shapes 32x10,128x1000  rows x classes, by default five of them
  --rounds 25              samples of each contestant; shapes that take long get a third
  --json FILE              the figures, with the machine and all quartiles`);
  process.exit();
}

/** @param {import('./race.mjs').Shape} shape @param {number} rounds */
function measure(shape, rounds) {
  const { classes } = shape;
  const { logits, targets } = batch(shape);
  const gradient = new Float32Array(logits.length);
  const plain = () => plainCrossEntropy(logits, targets, classes, EPSILON, gradient);

  const expected = { loss: plain(), gradient: gradient.slice() };
  /** @type {import('./peers/check.mjs').Answer | undefined} */
  let first;
  /** @type {Record<string, () => unknown>} */
  const contestants = { memcpy: () => gradient.set(logits) };
  for (const name of availableBackends()) {
    const { crossEntropy } = loadBackend(name);
    const call = { classes, labelSmoothing: EPSILON, gradient, threads: 1 };
    const answer = crossEntropy(logits, targets, call);
    const wrong =
      disagreement(expected, answer, shape.rows, { loss: 1e-6, gradient: 2e-6 }) ??
      disagreement(first ?? answer, answer, shape.rows, { loss: 0, gradient: 0 });
    if (wrong) throw new Error(`${name}: ${wrong}`);
    first ??= { ...answer, gradient: gradient.slice() };
    contestants[name] = () => crossEntropy(logits, targets, call);
  }
  contestants['plain JavaScript'] = plain;

  const measured = race(Object.values(contestants), roundsFor(shape, rounds));
  return Object.keys(contestants).map((name, i) => ({ name, ...shape, nsPerCall: measured[i] }));
}

console.log(`${machineName(machine)}; one thread`);
console.log(
  `Loss and gradient, float32, labelSmoothing ${EPSILON}, gradient array reused; median [quartiles]\n`,
);
const lines = table(
  ['rows × classes', '', 'ns per element', '× memcpy', '× faster than plain', 'µs per call'],
  2,
);
const rounds = positive(options.rounds, 'rounds');
const results = shapesOf(options.shapes).flatMap((shape) => {
  const measured = measure(shape, rounds);
  const [memcpy, plain] = [measured[0], measured[measured.length - 1]].map((one) => one.nsPerCall.median);
  measured.forEach(({ name, nsPerCall }, i) => {
    const { median } = nsPerCall;
    lines.push([
      i === 0 ? shapeName(shape) : '',
      name,
      perElement(nsPerCall, shape),
      (median / memcpy).toFixed(2),
      i === 0 ? '' : (plain / median).toFixed(1),
      (median / 1e3).toFixed(2),
    ]);
  });
  return measured;
});
console.log(lines.toString());
if (options.json !== undefined) {
  writeFileSync(options.json, `${JSON.stringify({ machine, epsilon: EPSILON, results }, null, 2)}\n`);
  console.log(`${options.json} holds the figures.`);
}
