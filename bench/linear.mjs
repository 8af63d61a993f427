// @ts-check
// linearCrossEntropy beside what else computes an output layer, its loss and its gradients on this machine: time, memory
// and errors. Nothing is installed: what is not there is named, with how to get it.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { callName, TIME_HEAD, timeCells, writeLayerReport } from './linear-report.mjs';
import { LAYER, layerAccuracyOf, memoryOf } from './peers/layer.mjs';
import { addedPeer, LAYER_PEERS } from './peers/list.mjs';
import { EPSILON, openSession, timesOf, withPeers, writeResults } from './peers/measure.mjs';
import { fail, layerShapesOf, machine, machineName, positive, shapeName, table } from './race.mjs';
import { describe } from './report.mjs';

/** @import { LayerResults, LayerTiming } from './linear-report.mjs' */
/** @import { LayerAccuracy, Memory } from './peers/layer.mjs' */
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
    json: { type: 'string', default: path.join(import.meta.dirname, 'report', 'linear.json') },
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
  --json FILE              the results, by default bench/report/linear.json; the report goes beside it`);
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

/** @param {LayerTiming[]} times of one shape */
function printTimes(times) {
  if (times.length === 0) return;
  const lines = table([`${callName(times[0])}: ${shapeName(times[0])}`, ...TIME_HEAD]);
  for (const time of times) lines.push([nameOf(time.peer), ...timeCells(time, times)]);
  console.log(lines.toString());
}

/** Nanoseconds that a peer's call will take, by the largest that was measured. @param {string} id @param {LayerShape} shape */
function foretold(id, shape) {
  const last = timings.findLast(({ peer, gradient }) => peer === id && gradient);
  if (!last) return Infinity;
  return (last.nsPerCall.median / LAYER.work(last)) * LAYER.work({ ...shape, gradient: true });
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
if (existsSync('/proc/self/status')) {
  for (const shape of memoryShapes) {
    const able = peers.filter(({ id }) => foretold(id, shape) <= longest * 1e9);
    memory.push(...(await memoryOf(able, shape, session)));
  }
}
session.say('');

/** @type {LayerResults} */
const results = {
  ...{ machine, epsilon: EPSILON },
  peers: peers.map(({ worker, ...peer }) => ({ ...peer, version: versions[peer.id] })),
  ...{ notes: session.notes, timings, memory, accuracy },
};
writeResults(options.json, results);
const report = await writeLayerReport(results, options.json);
for (const note of results.notes) console.log(describe(note, peers));
console.log(`${options.json} holds the figures, ${report} the report.`);
process.exitCode = results.notes.some(({ outcome }) => outcome === 'disagrees') ? 1 : 0;
