// @ts-check
import { setImmediate } from 'node:timers/promises';
import { linearCrossEntropy } from 'smoothloss';

/** Parameters to change before looking at the clock. */
const BLOCK = 65536;

/** @typedef {typeof import('smoothloss/promises').linearCrossEntropy} LinearCrossEntropy */

/**
 * A softmax classifier at one moment: logits = W · features + b. A set of parameters never changes once
 * it is made: a step of training makes the next one, and swaps them. So whoever holds one (a prediction,
 * a checkpoint) has a whole model for as long as it likes, and nothing has to be locked.
 * @typedef {object} Parameters
 * @property {number} step how many steps of training made it
 * @property {number} features
 * @property {number} classes
 * @property {Float32Array} values W, a row of features for each class, then b
 */

/**
 * @param {{ features: number, classes: number }} shape
 * @returns {Parameters}
 */
export function untrained({ features, classes }) {
  return { step: 0, features, classes, values: new Float32Array((features + 1) * classes) };
}

/**
 * W and b, or their gradients, by the names that linearCrossEntropy has for them.
 * @param {{ features: number, classes: number, values: Float32Array }} parameters
 */
export function layer({ features, classes, values }) {
  const end = features * classes;
  return { linearWeight: values.subarray(0, end), linearBias: values.subarray(end) };
}

/** Slices of about two milliseconds, between which the event loop sees to other requests. */
function slices() {
  let end = performance.now() + 2;
  return async () => {
    if (performance.now() < end) return;
    await setImmediate();
    end = performance.now() + 2;
  };
}

/**
 * The next parameters: a step of stochastic gradient descent.
 * @param {Parameters} parameters
 * @param {Float32Array} gradient of the loss by `values`; its memory becomes that of the next ones
 * @param {number} rate
 * @param {AbortSignal} signal
 * @returns {Promise<Parameters>}
 */
export async function descend({ step, values, ...shape }, gradient, rate, signal) {
  const pause = slices();
  for (let begin = 0; begin < values.length; begin += BLOCK) {
    const end = Math.min(begin + BLOCK, values.length);
    for (let i = begin; i < end; i++) gradient[i] = values[i] - rate * gradient[i];
    await pause();
    signal.throwIfAborted();
  }
  return { ...shape, step: step + 1, values: gradient };
}

/**
 * The most likely class of each row of a batch, and its `count` most likely ones with their probabilities.
 *
 * The gradient of a row's loss by b is p − t, its probabilities less its target. Smoothed with ε = 1, the target
 * is 1/C for every class, whichever it was. This is on the event loop: training keeps the threads busy, and a row
 * is done here before one of them would begin with it.
 * @param {Parameters} parameters
 * @param {Float32Array} inputs rows × features
 * @param {number} count
 */
export async function classify(parameters, inputs, count) {
  const { features, classes } = parameters;
  const { linearWeight, linearBias } = layer(parameters);
  const pause = slices();
  const predictions = [];
  const probabilities = [];
  for (let start = 0; start < inputs.length; start += features) {
    const row = inputs.subarray(start, start + features);
    const { gradient, perRow } = linearCrossEntropy(row, linearWeight, Int32Array.of(0), {
      classes,
      linearBias,
      labelSmoothing: 1,
      gradient: { linearBias: true },
      perRow: ['prediction'],
    });
    const p = gradient.linearBias.map((difference) => Math.max(0, difference + 1 / classes));
    predictions.push(perRow.prediction[0]);
    probabilities.push(mostLikely(p, count));
    await pause();
  }
  return { predictions, probabilities };
}

/**
 * The `count` classes with the largest probabilities, the most likely first.
 * @param {Float32Array} probabilities
 * @param {number} count
 */
function mostLikely(probabilities, count) {
  /** @type {number[]} */
  const best = [];
  for (let j = 0; j < probabilities.length; j++) {
    if (best.length === count && probabilities[j] <= probabilities[best[count - 1]]) continue;
    let at = best.length;
    while (at > 0 && probabilities[best[at - 1]] < probabilities[j]) at--;
    best.splice(at, 0, j);
    if (best.length > count) best.pop();
  }
  return best.map((label) => ({ class: label, probability: probabilities[label] }));
}
