// @ts-check
import { linearCrossEntropy } from 'smoothloss';
import { generator } from '../train/random.mjs';

const BATCHES = 8; // that training goes through again and again
const RATE = 2;

/** @typedef {ReturnType<typeof makeProblem>} Problem */

/** @type {(length: number) => Float32Array} */
export const sharedFloats = (length) => new Float32Array(new SharedArrayBuffer(4 * length));

/**
 * Batches for a softmax classifier: each class has a centre, each row is a centre with noise. One label in 16 is −100,
 * so that the denominator of a batch is not its number of rows. All memory is shared, and given to workers as it is.
 * @param {{ batch: number, features: number, classes: number, seed: number }} options
 */
export function makeProblem({ batch, features, classes, seed }) {
  const random = generator(seed);
  const centres = Float32Array.from({ length: classes * features }, () => 2 * random() - 1);
  const input = sharedFloats(BATCHES * batch * features);
  const targets = new Int32Array(new SharedArrayBuffer(4 * BATCHES * batch));
  for (let row = 0; row < targets.length; row++) {
    const label = Math.floor(random() * classes);
    targets[row] = random() < 1 / 16 ? -100 : label;
    for (let d = 0; d < features; d++) {
      input[row * features + d] = centres[label * features + d] + random() - 0.5;
    }
  }
  return { batch, features, classes, input, targets };
}

/**
 * Weights of the layer, then its bias, one after another in one array.
 * @param {Problem} problem
 */
export const parameterCount = ({ features, classes }) => classes * (features + 1);

/**
 * What the mean loss of a whole batch divides by: the rows that take part in it. Every share is given this number.
 * @param {Problem} problem
 * @param {number} step
 */
export function normalizerOf({ batch, targets }, step) {
  const first = (step % BATCHES) * batch;
  return targets.subarray(first, first + batch).reduce((sum, label) => sum + (label === -100 ? 0 : 1), 0);
}

/**
 * The loss of one share of a batch, and its gradient.
 * @param {Problem} problem
 * @param {{ step: number, share: number, shares: number, normalizer: number }} where
 * @param {Float32Array} parameters
 * @param {Float32Array} gradient
 * @param {number} threads
 */
export function lossOfShare(problem, { step, share, shares, normalizer }, parameters, gradient, threads) {
  const { batch, features, classes, input, targets } = problem;
  const [first, last] = [share, share + 1].map(
    (i) => (step % BATCHES) * batch + Math.floor((i * batch) / shares),
  );
  const weights = classes * features;
  const { loss } = linearCrossEntropy(
    input.subarray(first * features, last * features),
    parameters.subarray(0, weights),
    targets.subarray(first, last),
    {
      classes,
      threads,
      linearBias: parameters.subarray(weights),
      labelSmoothing: 0.1,
      normalizer,
      gradient: { linearWeight: gradient.subarray(0, weights), linearBias: gradient.subarray(weights) },
    },
  );
  return loss;
}

/**
 * Gradient descent for some of the parameters. The gradients of the shares are added in their order, whoever adds them.
 * @param {Float32Array} parameters
 * @param {readonly Float32Array[]} gradients
 * @param {number} first
 * @param {number} last
 */
export function descend(parameters, gradients, first, last) {
  for (let i = first; i < last; i++) {
    let sum = 0;
    for (const gradient of gradients) sum = Math.fround(sum + gradient[i]); // rounded each time, so that the order shows
    parameters[i] -= RATE * sum;
  }
}
