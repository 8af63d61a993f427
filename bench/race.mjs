// @ts-check
// What the benchmarks share: data, contestants measured side by side, and how figures are shown.
import os from 'node:os';
import Table from 'cli-table3';

/** @typedef {{ rows: number, classes: number }} Shape */
/** @typedef {Shape & { features: number }} LayerShape */

/** mulberry32: the same data in every run. @param {number} seed */
export function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PERIOD = 1_000_003; // prime, so that no two rows are the same

/** Numbers of scale·N(0, 1). @param {() => number} random @param {number} length @param {number} scale */
function normals(random, length, scale) {
  const numbers = new Float32Array(length);
  for (let i = 0; i < Math.min(length, PERIOD); i++) {
    numbers[i] = scale * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  }
  for (let at = PERIOD; at < length; at *= 2) numbers.copyWithin(at, 0, at);
  return numbers;
}

/** @param {() => number} random @param {Shape} shape */
const targetsOf = (random, { rows, classes }) =>
  Int32Array.from({ length: rows }, () => Math.floor(random() * classes));

/** Logits of 10·N(0, 1), tails and all: they are where errors show. Index targets. @param {Shape} shape */
export function batch(shape) {
  const random = generator(1);
  return { logits: normals(random, shape.rows * shape.classes, 10), targets: targetsOf(random, shape) };
}

/** Input and weight of a linear layer whose logits are near 3·N(0, 1). Index targets. @param {LayerShape} shape */
export function layerBatch(shape) {
  const { rows, features, classes } = shape;
  const random = generator(1);
  return {
    input: normals(random, rows * features, 1),
    linearWeight: normals(random, classes * features, 3 / Math.sqrt(features)),
    targets: targetsOf(random, shape),
  };
}

/** Shapes as options name them. @template {string} K @param {string} list @param {K[]} sizes @returns {Record<K, number>[]} */
const sizesOf = (list, sizes) =>
  list
    .split(',')
    .filter(Boolean)
    .map((shape) => {
      const numbers = shape.split(/[x×]/).map(Number);
      if (numbers.length !== sizes.length || !numbers.every((n) => Number.isInteger(n) && n > 0)) {
        return fail(`${shape}: a shape is ${sizes.map((size) => size.toUpperCase()).join('x')}`);
      }
      return /** @type {Record<K, number>} */ (
        Object.fromEntries(sizes.map((size, i) => [size, numbers[i]]))
      );
    });
/** @param {string} list @returns {Shape[]} */
export const shapesOf = (list) => sizesOf(list, ['rows', 'classes']);
/** @param {string} list @returns {LayerShape[]} */
export const layerShapesOf = (list) => sizesOf(list, ['rows', 'features', 'classes']);

/** @param {string} text @param {string} name of the option */
export function positive(text, name) {
  const number = text === 'all' && name === 'threads' ? machine.cores : Number(text);
  return number > 0 ? number : fail(`--${name} ${text}: must be a number above 0`);
}

/** @param {string} message @returns {never} */
export function fail(message) {
  console.error(message);
  process.exit(1);
}

/** @typedef {{ low: number, median: number, high: number }} Quartiles */

/** @param {number[]} samples @returns {Quartiles} */
export function quartiles(samples) {
  const sorted = samples.toSorted((a, b) => a - b);
  const [low, median, high] = [0.25, 0.5, 0.75].map((q) => sorted[Math.round(q * (sorted.length - 1))]);
  return { low, median, high };
}

/** Nanoseconds a call. @param {() => unknown} run @param {number} repeats */
function sample(run, repeats) {
  const start = process.hrtime.bigint();
  for (let i = 0; i < repeats; i++) run();
  return Number(process.hrtime.bigint() - start) / repeats;
}

/**
 * In each round every contestant takes one sample, starting with a different one each time.
 * @param {(() => unknown)[]} runs
 * @param {number} rounds
 * @param {number} sampleMs a sample repeats the call for at least this long
 * @returns {Quartiles[]} nanoseconds a call
 */
export function race(runs, rounds, sampleMs = 2) {
  const contestants = runs.map((run) => {
    // Until the compiler has settled, and long enough to choose the number of repeats.
    let once = Infinity;
    for (const end = performance.now() + 300; performance.now() < end || once === Infinity; ) {
      once = Math.min(once, sample(run, 1));
    }
    return { run, repeats: Math.ceil((sampleMs * 1e6) / once), samples: /** @type {number[]} */ ([]) };
  });
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < contestants.length; i++) {
      const { run, repeats, samples } = contestants[(i + round) % contestants.length];
      samples.push(sample(run, repeats));
    }
  }
  return contestants.map(({ samples }) => quartiles(samples));
}

/** Rounds of a race: a third where they take long. @param {Shape} shape @param {number} rounds */
export const roundsFor = ({ rows, classes }, rounds) =>
  rows * classes > 4e6 ? Math.ceil(rounds / 3) : rounds;

export const machine = {
  cpu: os.cpus()[0]?.model.trim() ?? 'unknown CPU',
  cores: os.availableParallelism(),
  platform: `${process.platform}-${process.arch}`,
  node: process.version,
};
/** @param {typeof machine} of */
export const machineName = ({ cpu, cores, platform, node }) =>
  `${cpu}, ${cores} cores, ${platform}, Node ${node}`;

/** Names to the left, figures to the right. @param {string[]} head @param {number} names how many columns are names */
export const table = (head, names = 1) =>
  new Table({
    head,
    colAligns: head.map((_, i) => (i < names ? 'left' : 'right')),
    style: { head: [], border: [] },
  });

export const count = (/** @type {number} */ n) => n.toLocaleString('en');
/** @param {Shape | LayerShape} shape */
export const shapeName = ({ rows, classes, ...rest }) =>
  [rows, ...('features' in rest ? [rest.features] : []), classes].map(count).join(' × ');
export const threadsName = (/** @type {number} */ n) => (n === 1 ? 'one thread' : `${n} threads`);
/** Three digits, never as a power. @param {number} n */
export const figure = (n) => (n >= 100 ? count(Math.round(n)) : String(Number(n.toPrecision(3))));
/** Nanoseconds an element, with the quartiles. @param {Quartiles} nsPerCall @param {Shape} shape */
export function perElement({ low, median, high }, { rows, classes }) {
  const [l, m, h] = [low, median, high].map((ns) => figure(ns / rows / classes));
  return `${m} [${l}–${h}]`;
}
