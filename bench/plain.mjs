// @ts-check

/**
 * Label-smoothed cross entropy as one would write it in JavaScript: Math.exp, three loops a row, doubles throughout.
 *
 * @param {Float32Array | Float64Array} logits
 * @param {Int32Array} targets
 * @param {number} classes
 * @param {number} epsilon
 * @param {Float32Array | Float64Array} gradient of the mean, written
 * @returns {number} the mean loss
 */
export function plainCrossEntropy(logits, targets, classes, epsilon, gradient) {
  const rows = targets.length;
  const smoothing = epsilon / classes;
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const start = row * classes;
    const end = start + classes;
    let max = -Infinity;
    for (let i = start; i < end; i++) {
      if (logits[i] > max) max = logits[i];
    }
    let sum = 0;
    let sumBelow = 0;
    for (let i = start; i < end; i++) {
      const below = logits[i] - max;
      const e = Math.exp(below);
      gradient[i] = e;
      sum += e;
      sumBelow += below;
    }
    const logSum = Math.log(sum);
    const target = start + targets[row];
    const nll = logSum - (logits[target] - max);
    total += (1 - epsilon) * nll + epsilon * (logSum - sumBelow / classes);
    for (let i = start; i < end; i++) gradient[i] = (gradient[i] / sum - smoothing) / rows;
    gradient[target] -= (1 - epsilon) / rows;
  }
  return total / rows;
}

/** @typedef {Float32Array | Float64Array} Floats */
/** @typedef {{ rows: number, features: number, classes: number }} LayerShape */

/**
 * The logits of a linear layer, input · linearWeightᵀ.
 *
 * @param {Floats} input
 * @param {Floats} linearWeight
 * @param {LayerShape} shape
 * @param {Floats} logits written
 */
export function plainLogits(input, linearWeight, { rows, features, classes }, logits) {
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < classes; k++) {
      let sum = 0;
      for (let d = 0; d < features; d++) sum += input[row * features + d] * linearWeight[k * features + d];
      logits[row * classes + k] = sum;
    }
  }
}

/**
 * The gradients of the layer from that of its logits.
 *
 * @param {Floats} input
 * @param {Floats} linearWeight
 * @param {LayerShape} shape
 * @param {Floats} gradient by the logits
 * @param {Floats[]} gradients by input and weight, written
 */
export function plainLayerGradients(
  input,
  linearWeight,
  { rows, features, classes },
  gradient,
  [ofInput, ofWeight],
) {
  ofInput.fill(0);
  ofWeight.fill(0);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < classes; k++) {
      const g = gradient[row * classes + k];
      for (let d = 0; d < features; d++) {
        ofInput[row * features + d] += g * linearWeight[k * features + d];
        ofWeight[k * features + d] += g * input[row * features + d];
      }
    }
  }
}
