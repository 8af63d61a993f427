// @ts-check

/** @import { Model } from './model.mjs' */

export const BINS = 15;

/**
 * @typedef {object} Bin
 * @property {number} tokens how many predictions fell into it
 * @property {number} confidence their mean probability
 * @property {number} accuracy how many of them were right, as a fraction
 */

/**
 * What a model makes of the tokens at some positions. Confidence is the probability it gives to the token it
 * predicts; the calibration error is Σ tokens/total · |accuracy − confidence| over 15 bins of equal width
 * (Guo et al., 2017).
 * @param {Model} model
 * @param {typeof import('smoothloss').crossEntropy} crossEntropy
 * @param {{ tokens: Uint16Array, positions: Int32Array }} text
 */
export function evaluate(model, crossEntropy, { tokens, positions }) {
  const { vocabulary: classes, batch } = model.shape;
  const buffer = new Float32Array(batch * classes);
  const bins = Array.from({ length: BINS }, () => ({ tokens: 0, confidence: 0, accuracy: 0 }));
  let loss = 0;
  let correct = 0;

  for (let start = 0; start < positions.length; start += batch) {
    const part = positions.subarray(start, start + batch);
    const logits = buffer.subarray(0, part.length * classes);
    const targets = Uint16Array.from(part, (position) => tokens[position]);
    model.forward(tokens, part, logits);

    loss += crossEntropy(logits, targets, { classes, reduction: 'sum' }).loss;

    // With the prediction for its target, a row's loss is −ln of the confidence.
    const predictions = Uint16Array.from(part, (_, row) => indexOfLargest(logits, row * classes, classes));
    const { losses } = crossEntropy(logits, predictions, { classes, reduction: 'none' });
    for (let row = 0; row < part.length; row++) {
      const confidence = Math.exp(-losses[row]);
      const bin = bins[Math.min(BINS - 1, Math.floor(confidence * BINS))];
      const right = predictions[row] === targets[row] ? 1 : 0;
      bin.tokens++;
      bin.confidence += confidence;
      bin.accuracy += right;
      correct += right;
    }
  }

  let calibrationError = 0;
  for (const bin of bins) {
    calibrationError += Math.abs(bin.accuracy - bin.confidence) / positions.length;
    bin.confidence /= bin.tokens;
    bin.accuracy /= bin.tokens;
  }
  return {
    /** Mean cross entropy, in nats a token. */
    loss: loss / positions.length,
    perplexity: Math.exp(loss / positions.length),
    accuracy: correct / positions.length,
    calibrationError,
    /** @type {Bin[]} */
    bins: bins.filter((bin) => bin.tokens > 0),
  };
}

/**
 * Where the largest of `count` numbers stands, counted from `start`; the first of equals.
 * @param {Float32Array} data
 * @param {number} start
 * @param {number} count
 */
function indexOfLargest(data, start, count) {
  let best = 0;
  for (let i = 1; i < count; i++) if (data[start + i] > data[start + best]) best = i;
  return best;
}
