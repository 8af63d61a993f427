// @ts-check
// smoothloss beside what else computes the loss and its gradient on this machine. Nothing is installed: what is not
// there is named, with how to get it. Results go to a file, and to a report beside it.
import path from 'node:path';
import { parseArgs } from 'node:util';
import { addedPeer, PEERS } from './peers/list.mjs';
import {
  accuracyOf,
  EPSILON,
  LOSS,
  openSession,
  timesOf,
  withPeers,
  writeResults,
} from './peers/measure.mjs';
import { fail, machine, perElement, positive, shapeName, shapesOf, table, threadsName } from './race.mjs';
import { describe, writeReport } from './report.mjs';

/** @import { Accuracy, Timing } from './peers/measure.mjs' */
/** @import { Shape } from './race.mjs' */
/** @import { Results } from './report.mjs' */

const SHAPES = [
  ...['1x10', '1x100', '1x1000', '10x1000', '100x1000', '1000x1000', '10000x1000', '100000x1000'], // work grows
  ...['128x10', '128x100', '128x1000', '128x10000', '128x32000', '128x128256'], // classes grow
  ...['32x10', '4096x1000', '1024x32000', '256x128256'], // what people meet
];

const { values: options } = parseArgs({
  options: {
    shapes: { type: 'string', default: SHAPES.join() },
    accuracy: { type: 'string', default: '32x32000,32x128256' },
    threads: { type: 'string', default: '1,all' },
    rounds: { type: 'string', default: '15' },
    seconds: { type: 'string', default: '8' },
    peers: { type: 'string' },
    add: { type: 'string', multiple: true, default: [] },
    python: { type: 'string', default: 'python3' },
    modules: { type: 'string', default: path.dirname(import.meta.dirname) },
    json: { type: 'string', default: path.join(import.meta.dirname, 'report', 'results.json') },
    help: { type: 'boolean' },
  },
});
const ids = PEERS.map(({ id }) => id).join(', ');
if (options.help) {
  console.log(`npm run bench:peers -- [options]
  --shapes 1x10,128x1000   rows x classes, by default ${SHAPES.length} of them, from 10 elements to 100,000,000
  --accuracy 32x32000      shapes to compare with float64
  --threads 1,all          numbers of threads
  --rounds 15              samples of each peer
  --seconds 8              what a peer may take for a shape: slow ones take fewer samples, at least 3, or none
  --peers torch,jax        only these of ${ids}
  --add FILE.mjs           a peer of your own, as those of bench/peers are
  --python python3         of an environment with PyTorch or JAX
  --modules DIR            where to look for npm packages, by default here
  --json FILE              the results, by default bench/report/results.json; the report goes beside it`);
  process.exit();
}

const shapes = shapesOf(options.shapes);
const accuracyShapes = shapesOf(options.accuracy);
const threadCounts = [...new Set(options.threads.split(',').map((text) => positive(text, 'threads')))];
const [rounds, seconds] = [positive(options.rounds, 'rounds'), positive(options.seconds, 'seconds')];
const wanted = options.peers?.split(',');
const unknown = wanted?.find((id) => !PEERS.some((peer) => peer.id === id));
if (unknown !== undefined) fail(`--peers ${unknown}: must be one of ${ids}`);
const peers = [
  ...PEERS.filter(({ id }) => wanted?.includes(id) ?? true),
  ...options.add.map((file) => addedPeer(path.resolve(file))),
];

const session = openSession(options);
/** @type {Timing[]} */
const timings = [];
/** @type {Accuracy[]} */
const accuracy = [];
/** @type {Record<string, string>} */
let versions = {};

/** @param {Shape} shape @param {number} threads @param {Timing[]} times */
function printTimes(shape, threads, times) {
  const ratio = (/** @type {Timing} */ { nsPerCall }, /** @type {string} */ id) => {
    const reference = times.find(({ peer }) => peer === id);
    return reference ? (nsPerCall.median / reference.nsPerCall.median).toPrecision(3) : '';
  };
  const head = `${shapeName(shape)}, ${threadsName(threads)}`;
  const lines = table([head, 'ns per element', '× memcpy', '× smoothloss', 'samples']);
  for (const time of times) {
    const name = peers.find(({ id }) => id === time.peer)?.name;
    const ratios = ['memcpy', 'smoothloss'].map((id) => ratio(time, id));
    lines.push([name, perElement(time.nsPerCall, shape), ...ratios, time.samples]);
  }
  console.log(lines.toString());
}

for (const [i, threads] of threadCounts.entries()) {
  const racing = peers.filter((peer) => threads === 1 || peer.threads);
  const found = await withPeers(racing, threads, session, async (contestants) => {
    for (const shape of shapes) {
      const times = await timesOf(contestants, shape, { threads, rounds, seconds }, session, LOSS);
      timings.push(...times);
      session.say('');
      printTimes(shape, threads, times);
    }
    if (i > 0) return;
    for (const shape of accuracyShapes) accuracy.push(...(await accuracyOf(contestants, shape, session)));
  });
  versions = { ...found, ...versions };
}
session.say('');

/** @type {Results} */
const results = {
  machine,
  epsilon: EPSILON,
  peers: peers.map(({ worker, ...peer }) => ({ ...peer, version: versions[peer.id] })),
  notes: session.notes,
  timings,
  accuracy,
};
writeResults(options.json, results);
const report = await writeReport(results, path.dirname(options.json));
for (const note of results.notes) console.log(describe(note, peers));
console.log(`${options.json} holds the figures, ${report} the report.`);
process.exitCode = results.notes.some(({ outcome }) => outcome === 'disagrees') ? 1 : 0;
