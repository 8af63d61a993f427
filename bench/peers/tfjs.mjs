// @ts-check
import { createRequire } from 'node:module';
import path from 'node:path';

/** @import { Start, Started } from './worker.mjs' */

/** @param {string} modules @param {string} backend 'wasm' or 'cpu' */
export async function loadTensorFlow(modules, backend) {
  const load = createRequire(path.join(modules, 'index.js'));
  const tf = load('@tensorflow/tfjs');
  if (backend === 'wasm') {
    const wasm = load('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(path.join(path.dirname(load.resolve('@tensorflow/tfjs-backend-wasm')), path.sep));
    wasm.setThreadsCount(1); // its threads are web workers, which Node does not have
  }
  if (!(await tf.setBackend(backend))) throw new Error(`backend ${backend} does not start`);
  return tf;
}

/** @param {Start} options args: 'wasm' or 'cpu' @returns {Promise<Started>} */
export async function start({ modules, args: [backend] }) {
  const tf = await loadTensorFlow(modules, backend);
  return {
    version: tf.version_core,
    prepare({ rows, classes, logits, targets }) {
      const labels = tf.tidy(() => tf.oneHot(tf.tensor1d(targets, 'int32'), classes).toFloat());
      const x = tf.tensor2d(logits, [rows, classes]);
      const both = tf.valueAndGrad((/** @type {any} */ x) =>
        tf.losses.softmaxCrossEntropy(labels, x, undefined, 0.1),
      );
      const loss = (/** @type {any} */ value) => value.dataSync()[0];
      return {
        run: () => tf.tidy(() => loss(both(x).value)),
        result: () =>
          tf.tidy(() => {
            const { value, grad } = both(x);
            return { loss: loss(value), gradient: grad.dataSync() };
          }),
        release: () => tf.dispose([labels, x]),
      };
    },
  };
}
