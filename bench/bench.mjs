// @ts-check
// Loss and gradient on every backend, beside memcpy of the same arrays and plain JavaScript as one would write it.
// One run, interleaved: in each round every contestant takes one sample, starting with a different one each time.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { availableBackends, loadBackend } from 'smoothloss';
import { plainCrossEntropy } from './plain.mjs';
import { generator, logitsOf, machine, race } from './race.mjs';

const SHAPES = ['32x10', '128x1000', '4096x1000', '1024x32000', '256x128256'];
const EPSILON = 0.1;

const { values: options } = parseArgs({
  options: {
    shapes: { type: 'string', default: SHAPES.join() },
    rounds: { type: 'string', default: '25' },
    json: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (options.help) {
  console.log(`npm run bench -- [options]
  --shapes ${SHAPES[0]},${SHAPES[1]}  rows x classes, by default ${SHAPES.join(', ')}
  --rounds 25              samples of each contestant; shapes that take long get a third
  --json FILE              the figures, with the machine and all quartiles`);
  process.exit();
}

/** @param {number} rows @param {number} classes @param {number} rounds */
function measure(rows, classes, rounds) {
  const random = generator(1);
  const logits = logitsOf(rows * classes, random);
  const targets = Int32Array.from({ length: rows }, () => Math.floor(random() * classes));
  const gradient = new Float32Array(logits.length);
  const reference = new Float32Array(logits.length);

  const expected = plainCrossEntropy(logits, targets, classes, EPSILON, reference);
  /** @type {Float32Array | undefined} */
  let bits;
  /** @type {import('./race.mjs').Contestant[]} */
  const contestants = [{ name: 'memcpy', run: () => gradient.set(logits), repeats: 1, samples: [] }];
  for (const name of availableBackends()) {
    const { crossEntropy } = loadBackend(name);
    const call = { classes, labelSmoothing: EPSILON, gradient };
    const { loss } = crossEntropy(logits, targets, call);
    if (!(Math.abs(loss - expected) <= 1e-6 * expected))
      throw new Error(`${name}: loss ${loss}, not ${expected}`);
    gradient.forEach((value, i) => {
      if (!(Math.abs(value - reference[i]) * rows <= 2e-6)) throw new Error(`${name}: gradient[${i}] is off`);
      if (bits && !Object.is(bits[i], value)) throw new Error(`${name}: gradient[${i}] has other bits`);
    });
    bits ??= gradient.slice();
    contestants.push({ name, run: () => crossEntropy(logits, targets, call), repeats: 1, samples: [] });
  }
  contestants.push({
    name: 'plain JavaScript',
    run: () => plainCrossEntropy(logits, targets, classes, EPSILON, gradient),
    repeats: 1,
    samples: [],
  });

  return race(contestants, rows * classes > 4e6 ? Math.ceil(rounds / 3) : rounds).map((measured) => ({
    ...measured,
    rows,
    classes,
  }));
}

console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}; one thread`);
console.log(
  `Loss and gradient, float32, labelSmoothing ${EPSILON}, gradient array reused; median [quartiles]\n`,
);

const table = new Table({
  head: ['rows × classes', '', 'ns per element', '× memcpy', '× faster than plain', 'per call'],
  colAligns: ['left', 'left', 'right', 'right', 'right', 'right'],
  style: { head: [], border: [] },
});
/** @param {number} ns */
const duration = (ns) => (ns < 1e6 ? `${(ns / 1e3).toFixed(2)} µs` : `${(ns / 1e6).toFixed(2)} ms`);

const results = [];
for (const shape of options.shapes.split(',')) {
  const [rows, classes] = shape.split(/[x×]/).map(Number);
  const rounds = Number(options.rounds);
  if (!(rows > 0 && classes > 0 && rounds > 0)) {
    console.error(
      `bench: ${shape} with ${options.rounds} rounds: a shape is ROWSxCLASSES, rounds a number above 0`,
    );
    process.exit(1);
  }
  const measured = measure(rows, classes, rounds);
  const memcpy = measured[0].nsPerCall.median;
  const plain = measured[measured.length - 1].nsPerCall.median;
  measured.forEach(({ name, nsPerCall: { low, median, high } }, i) => {
    const perElement = (/** @type {number} */ ns) => (ns / rows / classes).toPrecision(3);
    table.push([
      i === 0 ? `${rows.toLocaleString('en')} × ${classes.toLocaleString('en')}` : '',
      name,
      `${perElement(median)} [${perElement(low)}–${perElement(high)}]`,
      (median / memcpy).toFixed(2),
      i === 0 ? '' : (plain / median).toFixed(1),
      duration(median),
    ]);
  });
  results.push(...measured);
}
console.log(table.toString());
if (options.json !== undefined) {
  writeFileSync(options.json, `${JSON.stringify({ machine, epsilon: EPSILON, results }, null, 2)}\n`);
  console.log(`${options.json} holds the figures.`);
}
