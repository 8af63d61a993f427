// @ts-check
// The peers side by side: a process each, which all have the same data, and one of which runs at a time.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { crossEntropy } from 'smoothloss';
import { plainCrossEntropy } from '../plain.mjs';
import { batch, quartiles, shapeName, threadsName } from '../race.mjs';
import { differences, disagreement } from './check.mjs';
import { MissingError, PeerProcess } from './process.mjs';

/** @import { Quartiles, Shape } from '../race.mjs' */
/** @import { Peer } from './list.mjs' */

export const EPSILON = 0.1;
const SAMPLE_MS = 10; // a sample repeats the call for at least this long, so that asking for it does not count
const FORETELLING = 1e5; // elements from which on a shape tells how long a larger one takes
const WARM_MS = 300; // until compilers have settled
const LEAST_CALLS = 4; // one to check, three to measure

/**
 * @typedef {Shape & { peer: string, threads: number, nsPerCall: Quartiles, samples: number }} Timing
 * @typedef {Shape & { peer: string, gradient?: number, loss: number }} Accuracy largest absolute error of the gradient of
 *   the sum; relative error of the loss
 * @typedef {'missing' | 'left out' | 'disagrees'} Outcome
 * @typedef {Partial<Shape> & { peer: string, threads?: number, outcome: Outcome, reason: string }} Note what was not
 *   measured, and why
 *
 * @typedef {object} Session
 * @property {string} python
 * @property {string} modules
 * @property {string} file for the data, shared with the processes
 * @property {Note[]} notes
 * @property {(text: string) => void} say
 *
 * @typedef {{ peer: Peer, process: PeerProcess, nsPerElement: number }} Contestant
 */

const reasonOf = (/** @type {unknown} */ error) => /** @type {Error} */ (error).message;

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
        contestants.push({ peer, process, nsPerElement: 0 });
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

/** The data of a shape, in memory and in the file. @param {Shape} shape @param {string} file */
function makeData(shape, file) {
  const data = batch(shape);
  writeFileSync(file, data.logits);
  writeFileSync(file, data.targets, { flag: 'a' });
  return data;
}

/**
 * One call of the peer.
 * @param {Contestant} contestant @param {Shape} shape @param {string} file
 */
async function answerOf({ peer, process }, shape, file) {
  await process.ask('prepare', { ...shape, file });
  const answer = `${file}.gradient`;
  try {
    const { loss } = await process.ask('verify', { file: answer });
    if (!(peer.gradient && peer.tolerance)) return { loss };
    const { buffer, byteOffset, byteLength } = readFileSync(answer);
    return { loss, gradient: new Float32Array(buffer, byteOffset, byteLength / 4) };
  } finally {
    rmSync(answer, { force: true });
  }
}

/**
 * Times of one shape: every peer is checked, then in each round every peer takes one sample, starting with a different
 * one each time. A peer that is slow takes part in fewer rounds, at least three, and in none if that takes too long.
 * @param {Contestant[]} contestants @param {Shape} shape
 * @param {{ threads: number, rounds: number, seconds: number }} options seconds: what one peer may take
 * @param {Session} session
 * @returns {Promise<Timing[]>}
 */
export async function timesOf(contestants, shape, { threads, rounds, seconds }, session) {
  const elements = shape.rows * shape.classes;
  const where = `${shapeName(shape)}, ${threadsName(threads)}`;
  const { logits, targets } = makeData(shape, session.file);
  const expected = crossEntropy(logits, targets, {
    classes: shape.classes,
    labelSmoothing: EPSILON,
    gradient: true,
  });
  const racing = [];
  for (const contestant of contestants) {
    const { peer, process } = contestant;
    const note = (/** @type {'left out' | 'disagrees'} */ outcome, /** @type {string} */ reason) =>
      session.notes.push({ peer: peer.id, ...shape, threads, outcome, reason });
    session.say(`${where}: ${peer.name} is checked`);
    const foretold = (contestant.nsPerElement * elements) / 1e9;
    if (foretold * LEAST_CALLS > seconds) {
      note('left out', `a call would take ${foretold.toPrecision(2)} s`);
      continue;
    }
    try {
      const answer = await answerOf(contestant, shape, session.file);
      const wrong = peer.tolerance && disagreement(expected, answer, shape.rows, peer.tolerance);
      if (wrong) {
        note('disagrees', wrong);
        continue;
      }
      const { ns } = await process.ask('warm', { ms: WARM_MS });
      // At small shapes it is the call that costs, and not the elements.
      if (elements >= FORETELLING) contestant.nsPerElement = ns / elements;
      const repeats = Math.ceil((SAMPLE_MS * 1e6) / ns);
      const affordable = Math.floor((seconds * 1e9) / (ns * repeats));
      racing.push({
        peer,
        process,
        request: { repeats, warmMs: ns < 5 * SAMPLE_MS * 1e6 ? SAMPLE_MS : 0 }, // others have had the CPUs since
        turns: Math.max(3, Math.min(rounds, affordable)),
        samples: /** @type {number[]} */ ([]),
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
      samples.push((await process.ask('sample', request)).ns);
    }
  }
  return racing.map(({ peer, samples }) => ({
    peer: peer.id,
    ...shape,
    threads,
    nsPerCall: quartiles(samples),
    samples: samples.length,
  }));
}

/**
 * Errors of one shape against plain JavaScript in doubles, on the same float32 logits.
 * @param {Contestant[]} contestants @param {Shape} shape @param {Session} session
 */
export async function accuracyOf(contestants, shape, session) {
  const { rows, classes } = shape;
  const { logits, targets } = makeData(shape, session.file);
  const gradient = new Float64Array(logits.length);
  const expected = { loss: plainCrossEntropy(logits, targets, classes, EPSILON, gradient), gradient };
  /** @type {Accuracy[]} */
  const accuracies = [];
  for (const contestant of contestants) {
    const { id, name, tolerance } = contestant.peer;
    if (!tolerance) continue;
    session.say(`accuracy, ${shapeName(shape)}: ${name}`);
    try {
      const answer = await answerOf(contestant, shape, session.file);
      const { loss, gradient } = differences(expected, answer, rows);
      accuracies.push({ peer: id, ...shape, loss, ...(answer.gradient && { gradient }) });
    } catch (error) {
      session.notes.push({ peer: id, ...shape, outcome: 'left out', reason: reasonOf(error) });
    }
  }
  return accuracies;
}
