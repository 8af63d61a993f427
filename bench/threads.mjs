// @ts-check
// What threads gain, beside what they gain a memcpy of the same arrays; and what a call does to the event loop, with
// promises and without. One run, interleaved, gradients reused.
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import Table from 'cli-table3';
import { backend, crossEntropy, setThreads } from 'smoothloss';
import * as promises from 'smoothloss/promises';
import { generator, logitsOf, machine, race } from './race.mjs';

const EPSILON = 0.1;
// Long beside the time in which data move from one processor's cache to those of several.
const SAMPLE_MS = 20;

/** Copies its part of an array whenever it is told to. */
function copier() {
  const { control, from, to } = workerData;
  for (let turn = 0; ; ) {
    Atomics.wait(control, 0, turn);
    turn = Atomics.load(control, 0);
    if (turn < 0) return;
    to.set(from);
    Atomics.add(control, 1, -1);
  }
}

/** memcpy by several threads, this one among them. @param {number} threads @param {number} length */
async function sharedCopy(threads, length) {
  const [from, to] = [0, 1].map(() => new Float32Array(new SharedArrayBuffer(4 * length)).fill(1));
  const control = new Int32Array(new SharedArrayBuffer(8));
  const part = (/** @type {Float32Array} */ array, /** @type {number} */ i) =>
    array.subarray(Math.floor((length * i) / threads), Math.floor((length * (i + 1)) / threads));
  const workers = Array.from({ length: threads - 1 }, (_, i) => {
    const data = { control, from: part(from, i + 1), to: part(to, i + 1) };
    return new Worker(new URL(import.meta.url), { workerData: data });
  });
  await Promise.all(workers.map((worker) => once(worker, 'online')));
  await setTimeout(100);
  let turn = 0;
  return {
    run: () => {
      Atomics.store(control, 1, threads - 1);
      turn++;
      Atomics.store(control, 0, turn);
      Atomics.notify(control, 0);
      part(to, 0).set(part(from, 0));
      while (Atomics.load(control, 1) > 0);
    },
    end: () => {
      Atomics.store(control, 0, -1);
      Atomics.notify(control, 0);
      return Promise.all(workers.map((worker) => once(worker, 'exit')));
    },
  };
}

/** @param {number} rows @param {number} classes @param {number} threads @param {number} rounds */
async function measureThreads(rows, classes, threads, rounds) {
  const { logits, targets, gradient } = batch(rows, classes);
  const call = { classes, labelSmoothing: EPSILON, gradient };
  const copy = await sharedCopy(threads, logits.length);
  // Two races, so that the arrays of one do not drive those of the other out of the cache.
  const medians = (/** @type {(() => unknown)[]} */ ...runs) =>
    race(
      runs.map((run, i) => ({ name: String(i), run, repeats: 1, samples: [] })),
      rounds,
      SAMPLE_MS,
    ).map(({ nsPerCall }) => nsPerCall.median);
  const [one, many] = medians(
    () => crossEntropy(logits, targets, { ...call, threads: 1 }),
    () => crossEntropy(logits, targets, { ...call, threads }),
  );
  const [copyOne, copyMany] = medians(() => gradient.set(logits), copy.run);
  await copy.end();
  const micro = (/** @type {number} */ ns) => (ns / 1e3).toPrecision(4);
  return [
    `${rows} × ${classes}`,
    micro(one),
    micro(many),
    (one / many).toFixed(2),
    micro(copyOne),
    micro(copyMany),
    (copyOne / copyMany).toFixed(2),
  ];
}

/** @param {number} rows @param {number} classes */
function batch(rows, classes) {
  const random = generator(1);
  const logits = logitsOf(rows * classes, random);
  const targets = Int32Array.from({ length: rows }, () => Math.floor(random() * classes));
  return { logits, targets, gradient: new Float32Array(logits.length) };
}

/**
 * Calls back to back, the event loop turning once between them, as it does between the requests of a server.
 * @param {(call: object) => unknown} call @param {number} seconds
 */
async function measureLoop(call, seconds) {
  await call({});
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let calls = 0;
  for (const end = performance.now() + 1e3 * seconds; performance.now() < end; calls++) {
    await call({});
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

async function main() {
  const { values: options } = parseArgs({
    options: {
      shapes: { type: 'string', default: '128x1000,512x1000,2048x1000,1024x32000,1x1000000' },
      threads: { type: 'string', default: String(machine.cores) },
      rounds: { type: 'string', default: '21' },
      seconds: { type: 'string', default: '5' },
    },
  });
  const threads = Number(options.threads);
  const style = { head: [], border: [] };
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}; ${backend.name}`,
  );

  const gains = new Table({
    head: ['µs', 'one thread', `${threads} threads`, 'gain', 'memcpy', `${threads} threads`, 'gain'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
    style,
  });
  for (const shape of options.shapes.split(',')) {
    const [rows, classes] = shape.split(/[x×]/).map(Number);
    gains.push(await measureThreads(rows, classes, threads, Number(options.rounds)));
  }
  console.log(gains.toString());

  const [rows, classes] = [1024, 32000];
  const { logits, targets, gradient } = batch(rows, classes);
  const call = { classes, labelSmoothing: EPSILON, gradient };
  const delays = new Table({
    head: [`event-loop delay, ${rows} × ${classes}`, 'median', '99 %', 'largest', 'a call takes'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style,
  });
  for (const used of new Set([1, threads])) {
    setThreads(used);
    const by = used === 1 ? 'one thread' : `${used} threads`;
    const seconds = Number(options.seconds);
    const later = () => promises.crossEntropy(logits, targets, call);
    delays.push([`promises, ${by}`, ...(await measureLoop(later, seconds))]);
    const now = () => crossEntropy(logits, targets, call);
    delays.push([`blocking, ${by}`, ...(await measureLoop(now, seconds))]);
  }
  console.log(delays.toString());
}

if (isMainThread) await main();
else copier();
