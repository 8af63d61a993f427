// @ts-check
// TensorFlow.js trains with the loss and the gradient of smoothloss: see README.md.
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { softmaxCrossEntropy } from './tensorflow/loss.mjs';

const [samples, features, classes] = [96, 8, 5];
const labelSmoothing = 0.1;
const classWeight = { 0: 1, 1: 4, 2: 0.5, 3: 2, 4: 1 };

setWasmPaths(fileURLToPath(import.meta.resolve('@tensorflow/tfjs-backend-wasm/dist/')));
for (const backend of ['cpu', 'wasm']) {
  await tf.setBackend(backend);
  await tf.ready();

  // 1. model.compile and model.fit, with weights of classes; beside the loss of tfjs, one for each sample.
  const xs = tf.randomNormal([samples, features], 0, 1, 'float32', 1);
  const ys = tf.oneHot(xs.slice([0, 0], [samples, classes]).argMax(1), classes);
  const ours = await fit(xs, ys, softmaxCrossEntropy({ labelSmoothing }));
  const theirs = await fit(xs, ys, (labels, logits) =>
    tf.losses.softmaxCrossEntropy(labels, logits, undefined, labelSmoothing, tf.Reduction.NONE),
  );
  console.log(
    `${backend.padEnd(5)} model.fit      loss of each epoch ${ours.map((x) => x.toFixed(4)).join(', ')}`,
  );
  if (ours.some((loss, epoch) => Math.abs(loss - theirs[epoch]) > 1e-4)) fail(`of tfjs it is ${theirs}`);

  // 2. A loop of one's own: logits [B, T, C], classes as labels, −100 where there is none.
  const labels = ys.argMax(1).reshape([samples / 4, 4]);
  const ignored = tf.tensor2d([0, 0, 0, 1], [1, 4], 'bool').tile([samples / 4, 1]);
  const sparse = tf.where(ignored, tf.scalar(-100, 'int32'), labels);
  const weight = tf.variable(tf.zeros([features, classes]));
  const optimizer = tf.train.adam(0.1);
  const loss = softmaxCrossEntropy({ labelSmoothing });
  const taken = (samples * 3) / 4;
  const cost = () => {
    const logits = xs.matMul(weight).reshape([-1, 4, classes]);
    return loss(sparse, logits).sum().div(taken).asScalar();
  };
  const curve = Array.from({ length: 4 }, () => optimizer.minimize(cost, true)?.dataSync()[0] ?? NaN);
  console.log(
    `${backend.padEnd(5)} loop of steps  loss of each step  ${curve.map((x) => x.toFixed(4)).join(', ')}`,
  );
  const first = Math.log(classes);
  if (Math.abs(curve[0] - first) > 1e-5) fail(`with weights of 0 it is ${first} at first`);
  tf.disposeVariables();
}

/**
 * Trains a linear layer from zeros on.
 * @param {tf.Tensor} xs
 * @param {tf.Tensor} ys
 * @param {ReturnType<typeof softmaxCrossEntropy>} loss
 */
async function fit(xs, ys, loss) {
  const kernelInitializer = 'zeros';
  const layer = tf.layers.dense({ units: classes, inputShape: [features], kernelInitializer });
  const model = tf.sequential({ layers: [layer] });
  model.compile({ optimizer: tf.train.adam(0.1), loss });
  const options = { epochs: 4, batchSize: 32, shuffle: false, classWeight, verbose: 0 };
  const { history } = await model.fit(xs, ys, options);
  return /** @type {number[]} */ (history.loss);
}

/** @param {string} expected */
function fail(expected) {
  console.error(`tensorflow: ${expected}`);
  process.exitCode = 1;
}
