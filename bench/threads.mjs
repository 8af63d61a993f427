// @ts-check
// What threads gain, beside what they gain a memcpy of the same arrays; and what a call does to the event loop, with
// promises and without. One run, interleaved, gradients reused.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { backend, crossEntropy, setThreads } from 'smoothloss';
import * as promises from 'smoothloss/promises';
import { sharedCopy } from './copy.mjs';
import {
  batch,
  machine,
  machineName,
  positive,
  race,
  shapeName,
  shapesOf,
  table,
  threadsName,
} from './race.mjs';

const EPSILON = 0.1;
// Long beside the time in which data move from one processor's cache to those of several.
const SAMPLE_MS = 20;

/** @param {import('./race.mjs').Shape} shape @param {number} threads @param {number} rounds */
async function measureThreads(shape, threads, rounds) {
  const { logits, targets } = batch(shape);
  const gradient = new Float32Array(logits.length);
  const call = { classes: shape.classes, labelSmoothing: EPSILON, gradient };
  const copy = await sharedCopy(threads, logits.length);
  // Two races, so that the arrays of one do not drive those of the other out of the cache.
  const figures = (/** @type {(() => unknown)[]} */ ...runs) => {
    const [one, many] = race(runs, rounds, SAMPLE_MS).map(({ median }) => median / 1e3);
    return [one.toPrecision(4), many.toPrecision(4), (one / many).toFixed(2)];
  };
  const loss = figures(
    () => crossEntropy(logits, targets, { ...call, threads: 1 }),
    () => crossEntropy(logits, targets, { ...call, threads }),
  );
  const memcpy = figures(() => gradient.set(logits), copy.run);
  await copy.end();
  return [shapeName(shape), ...loss, ...memcpy];
}

/**
 * Calls back to back, the event loop turning once between them, as it does between the requests of a server.
 * @param {() => unknown} call @param {number} seconds
 */
async function measureLoop(call, seconds) {
  await call();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let calls = 0;
  for (const end = performance.now() + 1e3 * seconds; performance.now() < end; calls++) {
    await call();
    await setImmediate();
  }
  delay.disable();
  const ms = (/** @type {number} */ ns) => `${(Math.max(0, ns - 1e6) / 1e6).toFixed(1)} ms`;
  return [
    ms(delay.percentile(50)),
    ms(delay.percentile(99)),
    ms(delay.max),
    `${((1e3 * seconds) / calls).toFixed(1)} ms`,
  ];
}

const { values: options } = parseArgs({
  options: {
    shapes: { type: 'string', default: '128x1000,512x1000,2048x1000,1024x32000,1x1000000' },
    threads: { type: 'string', default: 'all' },
    rounds: { type: 'string', default: '21' },
    seconds: { type: 'string', default: '5' },
  },
});
const threads = positive(options.threads, 'threads');
const rounds = positive(options.rounds, 'rounds');
const seconds = positive(options.seconds, 'seconds');
const many = threadsName(threads);
console.log(`${machineName(machine)}; ${backend.name}`);

const gains = table(['µs', 'one thread', many, 'gain', 'memcpy', many, 'gain']);
for (const shape of shapesOf(options.shapes)) gains.push(await measureThreads(shape, threads, rounds));
console.log(gains.toString());

const shape = { rows: 1024, classes: 32000 };
const { logits, targets } = batch(shape);
const call = { classes: shape.classes, labelSmoothing: EPSILON, gradient: new Float32Array(logits.length) };
const delays = table([
  `event-loop delay, ${shapeName(shape)}`,
  ...['median', '99 %', 'largest', 'a call takes'],
]);
for (const used of new Set([1, threads])) {
  setThreads(used);
  const by = threadsName(used);
  const later = () => promises.crossEntropy(logits, targets, call);
  delays.push([`promises, ${by}`, ...(await measureLoop(later, seconds))]);
  const now = () => crossEntropy(logits, targets, call);
  delays.push([`blocking, ${by}`, ...(await measureLoop(now, seconds))]);
}
console.log(delays.toString());
