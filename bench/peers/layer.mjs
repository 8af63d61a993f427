// @ts-check
// The peers of a linear layer and its loss: what they are to do, what memory they take, and how far they are from float64.
import { linearCrossEntropy } from 'smoothloss';
import { plainCrossEntropy, plainLayerGradients, plainLogits } from '../plain.mjs';
import { layerBatch, shapeName } from '../race.mjs';
import { answerOf, EPSILON, makeData, reasonOf, withPeers } from './measure.mjs';

/** @import { LayerShape } from '../race.mjs' */
/** @import { Answer } from './check.mjs' */
/** @import { Peer } from './list.mjs' */
/** @import { Contestant, Session, Task } from './measure.mjs' */

/**
 * @typedef {LayerShape & { peer: string, bytes: number }} Memory
 * @typedef {LayerShape & { peer: string, loss: number, input: number, linearWeight: number }} LayerAccuracy relative error of
 *   the loss; root of the mean square of a gradient's errors, relative to that of the gradient
 */

const smoothingOf = ({ epsilon = EPSILON }) => epsilon;

/** The loss, and the gradients of input and weight if wanted. @type {Task<LayerShape & { gradient: boolean }>} */
export const LAYER = {
  work: ({ rows, features, classes }) => rows * features * classes,
  foretelling: 1e8,
  data: ({ rows, features, classes, gradient }) => {
    const { targets, ...arrays } = layerBatch({ rows, features, classes });
    const { input, linearWeight } = arrays;
    /** @param {number} labelSmoothing @returns {Answer} */
    const answer = (labelSmoothing) => {
      const call = { classes, labelSmoothing };
      if (!gradient) return linearCrossEntropy(input, linearWeight, targets, call);
      const all = new Float32Array(input.length + linearWeight.length);
      const gradients = { input: all.subarray(0, input.length), linearWeight: all.subarray(input.length) };
      const { loss } = linearCrossEntropy(input, linearWeight, targets, { ...call, gradient: gradients });
      return { loss, gradient: all };
    };
    /** @type {Record<number, Answer>} */
    const answers = {};
    return {
      arrays,
      sizes: { input: [rows, features], linearWeight: [classes, features] },
      targets,
      expected: (peer) => {
        const epsilon = smoothingOf(peer);
        answers[epsilon] ??= answer(epsilon);
        return answers[epsilon];
      },
    };
  },
  options: (peer, { gradient }) => ({ epsilon: smoothingOf(peer), gradient }),
  wrong: (expected, actual, shape, tolerance) => {
    const { loss, ...gradients } = layerErrors(expected, actual, shape);
    if (!(loss <= tolerance.loss)) {
      return `loss ${actual.loss}, not ${expected.loss} ± ${tolerance.loss} relative`;
    }
    const found = Object.entries(gradients).find(([, error]) => !(error <= tolerance.gradient));
    return found && `gradient.${found[0]} is off by ${found[1]} relative, not ${tolerance.gradient} at most`;
  },
};

/** @param {Answer} expected @param {Answer} actual @param {LayerShape} shape */
function layerErrors(expected, actual, { rows, features }) {
  const loss = actual.loss === expected.loss ? 0 : Math.abs(actual.loss / expected.loss - 1);
  const [is, should] = [actual.gradient ?? [], expected.gradient ?? []];
  if (is.length !== should.length) throw new Error(`${is.length} elements, not ${should.length}`);
  const error = (/** @type {number} */ begin, /** @type {number} */ end) => {
    let [squares, size] = [0, 0];
    for (let i = begin; i < end; i++) {
      squares += (is[i] - should[i]) ** 2;
      size += should[i] ** 2;
    }
    return squares === 0 ? 0 : Math.sqrt(squares / size);
  };
  const middle = Math.min(rows * features, should.length);
  return { loss, input: error(0, middle), linearWeight: error(middle, should.length) };
}

/**
 * By how much a peer's resident memory grows at most in a call, in a process of its own: beyond its inputs and gradients,
 * whoever allocates these, and beyond what loading took.
 * @param {Peer[]} peers @param {LayerShape} shape @param {Session} session
 */
export async function memoryOf(peers, shape, session) {
  const gradients = 4 * shape.features * (shape.rows + shape.classes);
  /** @type {Memory[]} */
  const memory = [];
  for (const peer of peers) {
    await withPeers([peer], 1, session, async (contestants) => {
      for (const contestant of contestants) {
        session.say(`memory, ${shapeName(shape)}: ${peer.name}`);
        const { process } = contestant;
        try {
          for (const one of [{ rows: 2, features: 3, classes: 4 }, shape]) {
            await makeData(LAYER, { ...one, gradient: true }, session.file).prepare(contestant);
            const before = process.memory().now;
            await process.ask('warm', { ms: 0 });
            const bytes = process.memory().peak - before - (peer.allocates ? gradients : 0);
            if (one === shape) memory.push({ peer: peer.id, ...shape, bytes });
          }
        } catch (error) {
          session.notes.push({ peer: peer.id, ...shape, outcome: 'left out', reason: reasonOf(error) });
        }
      }
    });
  }
  return memory;
}

/**
 * Errors of one shape against plain JavaScript in doubles, on the same float32 arrays.
 * @param {Contestant[]} contestants @param {LayerShape} shape @param {Session} session
 */
export async function layerAccuracyOf(contestants, shape, session) {
  const { arrays, targets, prepare } = makeData(LAYER, { ...shape, gradient: true }, session.file);
  const { input, linearWeight } = arrays;
  const logits = new Float64Array(shape.rows * shape.classes);
  plainLogits(input, linearWeight, shape, logits);
  const expectedOf = (/** @type {number} */ epsilon) => {
    const ofLogits = new Float64Array(logits.length);
    const loss = plainCrossEntropy(logits, targets, shape.classes, epsilon, ofLogits);
    const gradient = new Float64Array(input.length + linearWeight.length);
    const parts = [gradient.subarray(0, input.length), gradient.subarray(input.length)];
    plainLayerGradients(input, linearWeight, shape, ofLogits, parts);
    return { loss, gradient };
  };
  const expected = new Map(
    contestants.map(({ peer }) => [smoothingOf(peer), /** @type {any} */ (undefined)]),
  );
  for (const epsilon of expected.keys()) expected.set(epsilon, expectedOf(epsilon));
  /** @type {LayerAccuracy[]} */
  const accuracies = [];
  for (const contestant of contestants) {
    const { peer } = contestant;
    session.say(`accuracy, ${shapeName(shape)}: ${peer.name}`);
    try {
      await prepare(contestant);
      const answer = await answerOf(contestant, session.file);
      accuracies.push({
        peer: peer.id,
        ...shape,
        ...layerErrors(expected.get(smoothingOf(peer)), answer, shape),
      });
    } catch (error) {
      session.notes.push({ peer: peer.id, ...shape, outcome: 'left out', reason: reasonOf(error) });
    }
  }
  return accuracies;
}
