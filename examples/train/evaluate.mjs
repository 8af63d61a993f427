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
 * @param {typeof import('smoothloss').linearCrossEntropy} linearCrossEntropy
 * @param {{ tokens: Uint16Array, positions: Int32Array }} text
 */
export function evaluate(model, linearCrossEntropy, { tokens, positions }) {
  const { vocabulary: classes, batch } = model.shape;
  const { w2, b2: linearBias } = model.parameters;
  const bins = Array.from({ length: BINS }, () => ({ tokens: 0, confidence: 0, accuracy: 0 }));
  let loss = 0;
  let correct = 0;

  for (let start = 0; start < positions.length; start += batch) {
    const part = positions.subarray(start, start + batch);
    const targets = Uint16Array.from(part, (position) => tokens[position]);
    const hidden = model.forward(tokens, part);

    const scored = linearCrossEntropy(hidden, w2, targets, {
      classes,
      linearBias,
      reduction: 'sum',
      perRow: ['prediction'],
    });
    loss += scored.loss;

    // With the prediction for its target, a row's loss is −ln of the confidence.
    const { prediction } = scored.perRow;
    const { losses } = linearCrossEntropy(hidden, w2, prediction, { classes, linearBias, reduction: 'none' });
    for (let row = 0; row < part.length; row++) {
      const confidence = Math.exp(-losses[row]);
      const bin = bins[Math.min(BINS - 1, Math.floor(confidence * BINS))];
      const right = prediction[row] === targets[row] ? 1 : 0;
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
