// @ts-check
// To copy: softmax cross entropy for TensorFlow.js, its values and gradients computed by smoothloss.
import * as tf from '@tensorflow/tfjs';
import { crossEntropy } from 'smoothloss';

/** @type {(tensor: any) => Float32Array<ArrayBuffer>} */
const dataOf = (tensor) => tensor.dataSync();

/**
 * A loss for `model.compile({ loss })` and for training loops. It returns the loss of each row, [B] of logits [B, C]
 * and [B, T] of logits [B, T, C]: tfjs weights them and takes the mean. Labels are probabilities in the shape of the
 * logits (one-hot, for instance), or classes, one a row. Labels get no gradient.
 * @param {Pick<import('smoothloss').CrossEntropyOptions, 'labelSmoothing' | 'ignoreIndex' | 'weight'>} [options]
 */
export function softmaxCrossEntropy(options) {
  return (/** @type {tf.Tensor} */ labels, /** @type {tf.Tensor} */ logits) => {
    const rows = logits.shape.slice(0, -1);
    const perRow = /** @type {const} */ ({
      ...options,
      classes: logits.shape.at(-1) ?? 0,
      reduction: 'none',
    });
    const targets = targetsOf(labels, logits.shape, rows);

    const lossesOf = tf.customGrad((logits) => {
      const values = dataOf(logits);
      const { losses } = crossEntropy(values, targets, perRow);
      // An operation of its own, or tfjs would take it for a constant when it computes second derivatives.
      const gradientOf = tf.customGrad((_logits, dy) => {
        const gradient = new Float32Array(values.length);
        crossEntropy(values, targets, { ...perRow, gradient, gradientScale: dataOf(dy) });
        return { value: tf.tensor(gradient, [...rows, perRow.classes]), gradFunc: noSecondDerivative };
      });
      return {
        value: tf.tensor(losses, rows),
        gradFunc: (dy) => gradientOf(/** @type {tf.Tensor} */ (logits), dy),
      };
    });
    return lossesOf(logits);
  };
}

/**
 * @param {tf.Tensor} labels
 * @param {number[]} shape of the logits
 * @param {number[]} rows the shape of the losses
 */
function targetsOf(labels, shape, rows) {
  const values = dataOf(labels);
  const own = `${labels.shape}`;
  if (own === `${shape}`) return values instanceof Float32Array ? values : new Float32Array(values);
  if (own !== `${rows}` && own !== `${[...rows, 1]}`) {
    throw new RangeError(`labels are of shape [${own}]: must be of [${shape}], or classes of [${rows}]`);
  }
  const classes = Int32Array.from(values);
  const wrong = classes.findIndex((y, i) => y !== values[i]);
  if (wrong !== -1) throw new RangeError(`labels[${wrong}] is ${values[wrong]}: must be a class`);
  return classes;
}

/** @returns {never} */
function noSecondDerivative() {
  throw new Error('softmaxCrossEntropy has no second derivative');
}
