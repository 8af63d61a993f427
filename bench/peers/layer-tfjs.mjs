// @ts-check
import { loadTensorFlow } from './tfjs.mjs';

/** @import { LayerBatch, Start, Started } from './worker.mjs' */

/** @param {Start} options args: 'wasm' or 'cpu' @returns {Promise<Started>} */
export async function start({ modules, args: [backend] }) {
  const tf = await loadTensorFlow(modules, backend);
  return {
    version: tf.version_core,
    /** @param {LayerBatch} batch */
    prepare({ rows, features, classes, input, linearWeight, targets, epsilon, gradient }) {
      const labels = tf.tidy(() => tf.oneHot(tf.tensor1d(targets, 'int32'), classes).toFloat());
      const arrays = [tf.tensor2d(input, [rows, features]), tf.tensor2d(linearWeight, [classes, features])];
      const lossOf = (/** @type {any} */ x, /** @type {any} */ weight) =>
        tf.losses.softmaxCrossEntropy(labels, x.matMul(weight, false, true), undefined, epsilon);
      const all = gradient
        ? tf.valueAndGrads(lossOf)
        : (/** @type {any[]} */ [x, weight]) => ({ value: lossOf(x, weight), grads: [] });
      const result = () => {
        const { value, grads } = all(arrays);
        return { loss: value.dataSync()[0], gradient: grads };
      };
      return {
        run: () => tf.tidy(() => result().loss),
        result: () =>
          tf.tidy(() => {
            const { loss, gradient } = result();
            return { loss, gradient: gradient.map((/** @type {any} */ one) => one.dataSync()) };
          }),
        release: () => tf.dispose([labels, ...arrays]),
      };
    },
  };
}
