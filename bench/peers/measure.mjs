// @ts-check
// The peers side by side: a process each, which all have the same data, and one of which runs at a time.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { crossEntropy } from 'smoothloss';
import { plainCrossEntropy } from '../plain.mjs';
import { batch, quartiles, shapeName, threadsName } from '../race.mjs';
import { differences, disagreement } from './check.mjs';
import { MissingError, PeerProcess } from './process.mjs';

/** @import { LayerShape, Quartiles, Shape } from '../race.mjs' */
/** @import { Peer } from './list.mjs' */
/** @import { Answer } from './check.mjs' */

export const EPSILON = 0.1;
const SAMPLE_MS = 10; // a sample repeats the call for at least this long, so that asking for it does not count
const WARM_MS = 300; // until compilers have settled
const LEAST_CALLS = 4; // one to check, three to measure

/**
 * @typedef {Shape & { peer: string, threads: number, nsPerCall: Quartiles, cpuNsPerCall: Quartiles, samples: number }} Timing
 * @typedef {Shape & { peer: string, gradient?: number, loss: number }} Accuracy largest absolute error of the gradient of
 *   the sum; relative error of the loss
 * @typedef {'missing' | 'left out' | 'disagrees'} Outcome
 * @typedef {Partial<LayerShape> & { peer: string, threads?: number, gradient?: boolean, outcome: Outcome, reason: string }} Note what was not
 *   measured, and why
 *
 * @typedef {object} Session
 * @property {string} python
 * @property {string} modules
 * @property {string} file for the data, shared with the processes
 * @property {Note[]} notes
 * @property {(text: string) => void} say
 *
 * @typedef {{ peer: Peer, process: PeerProcess, nsPerWork: number }} Contestant
 *
 * @typedef {object} Data of a shape, and what is right
 * @property {Record<string, Float32Array>} arrays what all peers get, by name
 * @property {Record<string, [number, number]>} sizes of them, by name: rows and columns
 * @property {Int32Array} targets
 * @property {(peer: Peer) => Answer} expected
 */

/**
 * What the peers are to do.
 * @template {Shape} S
 * @typedef {object} Task
 * @property {(shape: S) => number} work how much there is to do
 * @property {number} foretelling work from which on a shape tells how long a larger one takes
 * @property {(shape: S) => Data} data
 * @property {(peer: Peer, shape: S) => object} options what else the peer is told
 * @property {(expected: Answer, actual: Answer, shape: S, tolerance: NonNullable<Peer['tolerance']>) => string | undefined} wrong
 */

/** The loss of logits, and its gradient. @type {Task<Shape>} */
export const LOSS = {
  work: ({ rows, classes }) => rows * classes,
  foretelling: 1e5,
  data: ({ rows, classes }) => {
    const { logits, targets } = batch({ rows, classes });
    const options = { classes, labelSmoothing: EPSILON, gradient: true };
    const expected = () => crossEntropy(logits, targets, options);
    return { arrays: { logits }, sizes: { logits: [rows, classes] }, targets, expected };
  },
  options: () => ({}),
  wrong: (expected, actual, { rows }, tolerance) => disagreement(expected, actual, rows, tolerance),
};

/** Where peers find packages, and a file for data that ends with this process. @param {{ python: string, modules: string }} options @returns {Session} */
export function openSession({ python, modules }) {
  // In memory where there is such a directory, since files of some 100 MB go to and fro.
  const temporary = existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
  const directory = mkdtempSync(path.join(temporary, 'smoothloss-peers-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  return {
    python,
    modules: path.resolve(modules),
    file: path.join(directory, 'data'),
    notes: [],
    say: (text) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
    },
  };
}

/** Writes results, a line for each measurement. @param {string} file @param {object} results */
export function writeResults(file, results) {
  mkdirSync(path.dirname(file), { recursive: true });
  const parts = Object.entries(results).map(([key, value]) => {
    const text = Array.isArray(value)
      ? `[\n${value.map((one) => JSON.stringify(one)).join(',\n')}\n]`
      : JSON.stringify(value);
    return `${JSON.stringify(key)}: ${text}`;
  });
  writeFileSync(file, `{\n${parts.join(',\n')}\n}\n`);
}

export const reasonOf = (/** @type {unknown} */ error) => /** @type {Error} */ (error).message;

/**
 * @param {Peer[]} peers @param {number} threads @param {Session} session
 * @param {(contestants: Contestant[]) => Promise<void>} use
 * @returns {Promise<Record<string, string>>} their versions
 */
export async function withPeers(peers, threads, session, use) {
  /** @type {Contestant[]} */
  const contestants = [];
  try {
    for (const peer of peers) {
      if (session.notes.some((note) => note.peer === peer.id && note.outcome === 'missing')) continue;
      session.say(`${peer.name} starts`);
      const process = new PeerProcess(peer, { ...session, threads });
      try {
        ({ version: process.version } = await process.ask('start', { threads, modules: session.modules }));
        contestants.push({ peer, process, nsPerWork: 0 });
      } catch (error) {
        process.end();
        const outcome = error instanceof MissingError ? 'missing' : 'left out';
        session.notes.push({ peer: peer.id, outcome, reason: reasonOf(error) });
      }
    }
    await use(contestants);
  } finally {
    for (const { process } of contestants) process.end();
    rmSync(session.file, { force: true });
  }
  return Object.fromEntries(contestants.map(({ peer, process }) => [peer.id, process.version]));
}

/** The data of a shape, in memory and in the file. @template {Shape} S @param {Task<S>} task @param {S} shape @param {string} file */
export function makeData(task, shape, file) {
  const data = task.data(shape);
  writeFileSync(file, '');
  for (const array of [...Object.values(data.arrays), data.targets])
    writeFileSync(file, array, { flag: 'a' });
  /** @param {Contestant} contestant */
  const prepare = ({ peer, process }) =>
    process.ask('prepare', { shape, file, arrays: data.sizes, options: task.options(peer, shape) });
  return { ...data, prepare };
}

/**
 * One call of the peer: its gradient, or all of them in one array, and the time.
 * @param {Contestant} contestant @param {string} file
 */
export async function answerOf({ process }, file) {
  const answer = `${file}.gradient`;
  try {
    const { loss, ns } = await process.ask('verify', { file: answer });
    if (!existsSync(answer)) return { loss, ns };
    const { buffer, byteOffset, byteLength } = readFileSync(answer);
    return { loss, ns, gradient: new Float32Array(buffer, byteOffset, byteLength / 4) };
  } finally {
    rmSync(answer, { force: true });
  }
}

/**
 * Times of one shape: every peer is checked, then in each round every peer takes one sample, starting with a different
 * one each time. A peer that is slow takes part in fewer rounds, at least three, and in none if a call takes too long.
 * @template {Shape} S
 * @param {Contestant[]} contestants @param {S} shape
 * @param {{ threads: number, rounds: number, seconds: number, longest?: number }} options seconds: what the samples of one
 *   peer may take; longest: what a call may, by default so much that all calls fit into `seconds`
 * @param {Session} session @param {Task<S>} task
 * @returns {Promise<(S & Timing)[]>}
 */
export async function timesOf(contestants, shape, options, session, task) {
  const { threads, rounds, seconds, longest = seconds / LEAST_CALLS } = options;
  const work = task.work(shape);
  const where = `${shapeName(shape)}, ${threadsName(threads)}`;
  const { expected, prepare } = makeData(task, shape, session.file);
  const racing = [];
  for (const contestant of contestants) {
    const { peer, process } = contestant;
    const note = (/** @type {'left out' | 'disagrees'} */ outcome, /** @type {string} */ reason) =>
      session.notes.push({ peer: peer.id, ...shape, threads, outcome, reason });
    session.say(`${where}: ${peer.name} is checked`);
    const foretold = (contestant.nsPerWork * work) / 1e9;
    if (foretold > longest) {
      note('left out', `a call would take ${foretold.toPrecision(2)} s`);
      continue;
    }
    try {
      await prepare(contestant);
      const answer = await answerOf(contestant, session.file);
      const wrong = peer.tolerance && task.wrong(expected(peer), answer, shape, peer.tolerance);
      if (wrong) {
        note('disagrees', wrong);
        continue;
      }
      const { ns } = answer.ns > WARM_MS * 1e6 ? answer : await process.ask('warm', { ms: WARM_MS });
      // At small shapes it is the call that costs, and not the work.
      if (work >= task.foretelling) contestant.nsPerWork = ns / work;
      const repeats = Math.ceil((SAMPLE_MS * 1e6) / ns);
      const affordable = Math.floor((seconds * 1e9) / (ns * repeats));
      racing.push({
        peer,
        process,
        request: { repeats, warmMs: ns < 5 * SAMPLE_MS * 1e6 ? SAMPLE_MS : 0 }, // others have had the CPUs since
        turns: Math.max(3, Math.min(rounds, affordable)),
        samples: /** @type {{ ns: number, cpuNs: number }[]} */ ([]),
      });
    } catch (error) {
      note('left out', reasonOf(error));
    }
  }
  for (let round = 0; round < rounds; round++) {
    session.say(`${where}: round ${round + 1} of ${rounds}`);
    for (let i = 0; i < racing.length; i++) {
      const { process, request, turns, samples } = racing[(i + round) % racing.length];
      // Spread over the whole race.
      if (samples.length >= Math.ceil(((round + 1) * turns) / rounds)) continue;
      samples.push(await process.ask('sample', request));
    }
  }
  return racing.map(({ peer, samples }) => ({
    peer: peer.id,
    ...shape,
    threads,
    nsPerCall: quartiles(samples.map(({ ns }) => ns)),
    cpuNsPerCall: quartiles(samples.map(({ cpuNs }) => cpuNs)),
    samples: samples.length,
  }));
}

/**
 * Errors of one shape against plain JavaScript in doubles, on the same float32 logits.
 * @param {Contestant[]} contestants @param {Shape} shape @param {Session} session
 */
export async function accuracyOf(contestants, shape, session) {
  const { rows, classes } = shape;
  const { arrays, targets, prepare } = makeData(LOSS, shape, session.file);
  const gradient = new Float64Array(arrays.logits.length);
  const expected = { loss: plainCrossEntropy(arrays.logits, targets, classes, EPSILON, gradient), gradient };
  /** @type {Accuracy[]} */
  const accuracies = [];
  for (const contestant of contestants) {
    const { id, name, tolerance } = contestant.peer;
    if (!tolerance) continue;
    session.say(`accuracy, ${shapeName(shape)}: ${name}`);
    try {
      await prepare(contestant);
      const answer = await answerOf(contestant, session.file);
      const { loss, gradient } = differences(expected, answer, rows);
      accuracies.push({ peer: id, ...shape, loss, ...(answer.gradient && { gradient }) });
    } catch (error) {
      session.notes.push({ peer: id, ...shape, outcome: 'left out', reason: reasonOf(error) });
    }
  }
  return accuracies;
}
