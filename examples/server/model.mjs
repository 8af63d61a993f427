// @ts-check
import { setImmediate } from 'node:timers/promises';

/**
 * A softmax classifier at one moment: logits = features · W + b. A set of parameters never changes once
 * it is made: a step of training makes the next one, and swaps them. So whoever holds one (a prediction,
 * a checkpoint) has a whole model for as long as it likes, and nothing has to be locked.
 * @typedef {object} Parameters
 * @property {number} step how many steps of training made it
 * @property {number} features
 * @property {number} classes
 * @property {Float32Array} values W, a row of classes for each feature, then b
 */

/**
 * @param {{ features: number, classes: number }} shape
 * @returns {Parameters}
 */
export function untrained({ features, classes }) {
  return { step: 0, features, classes, values: new Float32Array((features + 1) * classes) };
}

/**
 * The matrix products are plain JavaScript on the event loop, and take most of the time of a training
 * step: it is only the loss and its gradient that smoothloss/promises takes off the loop. So the products
 * work in slices of about two milliseconds, and let the loop see to its other requests between them. (A
 * server that is out for speed would have the products in a worker or in native code, too.)
 */
function slices() {
  let end = performance.now() + 2;
  return async () => {
    if (performance.now() < end) return;
    await setImmediate();
    end = performance.now() + 2;
  };
}

/**
 * The logits of a batch, written to `logits`.
 * @param {Parameters} parameters
 * @param {Float32Array} inputs rows × features
 * @param {Float32Array} logits rows × classes
 * @param {AbortSignal} [signal]
 */
export async function forward({ features, classes, values }, inputs, logits, signal) {
  const pause = slices();
  const bias = values.subarray(features * classes);
  for (let row = 0; row * features < inputs.length; row++) {
    logits.set(bias, row * classes);
    const input = inputs.subarray(row * features, (row + 1) * features);
    for (let k = 0; k < features; k += 4) {
      addFourRows(logits, row * classes, values, k * classes, classes, input.subarray(k, k + 4));
      await pause();
    }
    signal?.throwIfAborted();
  }
}

/**
 * The next parameters: a step of stochastic gradient descent.
 * @param {Parameters} parameters
 * @param {Float32Array} inputs rows × features
 * @param {Float32Array} gradient of the loss by the logits, rows × classes
 * @param {number} rate
 * @param {AbortSignal} [signal]
 * @returns {Promise<Parameters>}
 */
export async function descend({ step, features, classes, values }, inputs, gradient, rate, signal) {
  const pause = slices();
  const next = values.slice();
  const rows = inputs.length / features;
  const scales = new Float32Array(4);
  for (let row = 0; row < rows; row += 4) {
    const count = Math.min(4, rows - row);
    for (let k = 0; k <= features; k++) {
      for (let i = 0; i < count; i++) {
        scales[i] = k < features ? -rate * inputs[(row + i) * features + k] : -rate;
      }
      addFourRows(next, k * classes, gradient, row * classes, classes, scales.subarray(0, count));
      await pause();
    }
    signal?.throwIfAborted();
  }
  return { step: step + 1, features, classes, values: next };
}

/**
 * Adds to a row of `out` up to four consecutive rows of `source`, each times its scale. Four at a time
 * read and write `out` a quarter as often.
 * @param {Float32Array} out
 * @param {number} at where the row of `out` starts
 * @param {Float32Array} source
 * @param {number} from where the first row of `source` starts
 * @param {number} length of a row
 * @param {Float32Array} scales one to four
 */
function addFourRows(out, at, source, from, length, scales) {
  const rows = scales.length;
  const [a, b = 0, c = 0, d = 0] = scales;
  // A row that is not there has scale 0, and stands for the first one.
  const p = from;
  const q = rows > 1 ? p + length : p;
  const r = rows > 2 ? q + length : p;
  const s = rows > 3 ? r + length : p;
  for (let j = 0; j < length; j++) {
    out[at + j] += a * source[p + j] + b * source[q + j] + c * source[r + j] + d * source[s + j];
  }
}

/**
 * The `count` classes with the largest logits in a row, the most likely first.
 * @param {Float32Array} logits of the row
 * @param {number} count
 * @param {number} lse ln Σ exp of them
 */
export function mostLikely(logits, count, lse) {
  /** @type {number[]} */
  const best = [];
  for (let j = 0; j < logits.length; j++) {
    if (best.length === count && logits[j] <= logits[best[count - 1]]) continue;
    let at = best.length;
    while (at > 0 && logits[best[at - 1]] < logits[j]) at--;
    best.splice(at, 0, j);
    if (best.length > count) best.pop();
  }
  return best.map((label) => ({ class: label, probability: Math.exp(logits[label] - lse) }));
}
