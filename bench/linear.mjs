// @ts-check
// linearCrossEntropy beside what else computes an output layer, its loss and its gradients on this machine: time, memory
// and errors. Nothing is installed: what is not there is named, with how to get it.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { LAYER, layerAccuracyOf, memoryOf } from './peers/layer.mjs';
import { addedPeer, LAYER_PEERS } from './peers/list.mjs';
import { EPSILON, openSession, timesOf, withPeers, writeResults } from './peers/measure.mjs';
import {
  fail,
  figure,
  layerShapesOf,
  machine,
  machineName,
  positive,
  shapeName,
  table,
  threadsName,
} from './race.mjs';
import { describe } from './report.mjs';

/** @import { LayerAccuracy, Memory } from './peers/layer.mjs' */
/** @import { Timing } from './peers/measure.mjs' */
/** @import { LayerShape } from './race.mjs' */

const SHAPES = '32x64x10,64x32x1024,512x256x1000,1024x512x50257,2048x768x32000,256x2048x128256'; // by work
const LARGE = '2048x768x32000,1024x512x50257,256x2048x128256';

const { values: options } = parseArgs({
  options: {
    shapes: { type: 'string', default: SHAPES },
    memory: { type: 'string', default: LARGE },
    accuracy: { type: 'string', default: '512x256x1000,64x512x32000' },
    threads: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '15' },
    seconds: { type: 'string', default: '10' },
    longest: { type: 'string', default: '30' },
    peers: { type: 'string' },
    add: { type: 'string', multiple: true, default: [] },
    python: { type: 'string', default: 'python3' },
    modules: { type: 'string', default: path.dirname(import.meta.dirname) },
    json: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const ids = LAYER_PEERS.map(({ id }) => id).join(', ');
if (options.help) {
  console.log(`npm run bench:linear -- [options]
  --shapes ${SHAPES.split(',').slice(0, 2)}   rows x features x classes, by default those of ${SHAPES}
  --memory, --accuracy     shapes to measure memory of (on Linux), and to compare with float64 in plain JavaScript
  --threads 1,all          numbers of threads
  --rounds 15              samples of each peer
  --seconds 10             what the samples of a peer may take for a shape: slow ones take fewer, at least 3
  --longest 30             seconds that a call may take; a peer that needs more is left out
  --peers smoothloss,plain only these of ${ids}
  --add FILE.mjs           a peer of your own, as those of bench/peers are
  --python python3         of an environment with PyTorch
  --modules DIR            where to look for npm packages, by default here
  --json FILE              the figures, with the machine and all quartiles`);
  process.exit();
}

const [shapes, memoryShapes, accuracyShapes] = [options.shapes, options.memory, options.accuracy].map(
  layerShapesOf,
);
const threadCounts = [...new Set(options.threads.split(',').map((text) => positive(text, 'threads')))];
const [rounds, seconds, longest] = /** @type {const} */ (['rounds', 'seconds', 'longest']).map((name) =>
  positive(options[name], name),
);
const wanted = options.peers?.split(',');
const unknown = wanted?.find((id) => !LAYER_PEERS.some((peer) => peer.id === id));
if (unknown !== undefined) fail(`--peers ${unknown}: must be one of ${ids}`);
const peers = [
  ...LAYER_PEERS.filter(({ id }) => wanted?.includes(id) ?? true),
  ...options.add.map((file) => addedPeer(path.resolve(file))),
];
const nameOf = (/** @type {string} */ id) => peers.find((peer) => peer.id === id)?.name ?? id;

const session = openSession(options);
/** @type {LayerTiming[]} */
const timings = [];
/** @type {Memory[]} */
const memory = [];
/** @type {LayerAccuracy[]} */
const accuracy = [];
/** @type {Record<string, string>} */
let versions = {};

/** @typedef {LayerShape & Timing & { gradient: boolean }} LayerTiming gradient: whether those of input and weight were computed */

/** @param {LayerTiming[]} times of one shape */
function printTimes(times) {
  if (times.length === 0) return;
  const [{ gradient, threads, rows, features, classes }] = times;
  const what = `${shapeName({ rows, features, classes })}, ${gradient ? 'loss and gradients' : 'loss'}, ${threadsName(threads)}`;
  const lines = table([what, 'ms', '× smoothloss', 'CPU ms', '× smoothloss', 'GFLOP/s', 'samples']);
  const own = times.find(({ peer }) => peer === 'smoothloss');
  for (const { peer, nsPerCall, cpuNsPerCall, samples } of times) {
    const [low, median, high] = [nsPerCall.low, nsPerCall.median, nsPerCall.high].map((ns) =>
      figure(ns / 1e6),
    );
    const flops = 2 * (gradient ? 3 : 1) * rows * features * classes;
    const ratio = (/** @type {'nsPerCall' | 'cpuNsPerCall'} */ of, /** @type {number} */ ns) =>
      own ? (ns / own[of].median).toFixed(2) : '';
    lines.push([
      ...[nameOf(peer), `${median} [${low}–${high}]`, ratio('nsPerCall', nsPerCall.median)],
      ...[figure(cpuNsPerCall.median / 1e6), ratio('cpuNsPerCall', cpuNsPerCall.median)],
      ...[figure(flops / nsPerCall.median), samples],
    ]);
  }
  console.log(lines.toString());
}

console.log(machineName(machine));
for (const [i, threads] of threadCounts.entries()) {
  const racing = peers.filter((peer) => threads === 1 || peer.threads);
  const found = await withPeers(racing, threads, session, async (contestants) => {
    for (const gradient of [true, false]) {
      for (const contestant of contestants) contestant.nsPerWork = 0;
      for (const shape of shapes) {
        const limits = { threads, rounds, seconds, longest };
        const times = await timesOf(contestants, { ...shape, gradient }, limits, session, LAYER);
        timings.push(...times);
        session.say('');
        printTimes(times);
      }
    }
    if (i > 0) return;
    for (const shape of accuracyShapes)
      accuracy.push(...(await layerAccuracyOf(contestants, shape, session)));
  });
  versions = { ...found, ...versions };
}
const there = peers.filter(({ id }) => versions[id] !== undefined);
if (existsSync('/proc/self/status')) {
  for (const shape of memoryShapes) memory.push(...(await memoryOf(there, shape, session)));
}
session.say('');

if (accuracy.length > 0) {
  const lines = table(['error against float64, relative', 'loss', 'gradient of input', 'of weight'], 1);
  for (const { peer, rows, features, classes, ...errors } of accuracy) {
    const figures = [errors.loss, errors.input, errors.linearWeight].map((error) => error.toExponential(1));
    lines.push([`${shapeName({ rows, features, classes })}: ${nameOf(peer)}`, ...figures]);
  }
  console.log(lines.toString());
}
if (memory.length > 0) {
  const lines = table(['memory beyond inputs and gradients', 'MiB'], 1);
  for (const { peer, bytes, ...shape } of memory) {
    lines.push([`${shapeName(shape)}: ${nameOf(peer)}`, figure(bytes / 2 ** 20)]);
  }
  console.log(lines.toString());
}
for (const note of session.notes) console.log(describe(note, peers));
if (options.json !== undefined) {
  writeResults(options.json, {
    ...{ machine, epsilon: EPSILON },
    peers: peers.map(({ worker, ...peer }) => ({ ...peer, version: versions[peer.id] })),
    ...{ notes: session.notes, timings, memory, accuracy },
  });
  console.log(`${options.json} holds the figures.`);
}
process.exitCode = session.notes.some(({ outcome }) => outcome === 'disagrees') ? 1 : 0;
