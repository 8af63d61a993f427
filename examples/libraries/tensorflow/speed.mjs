// @ts-check
// The time of a training step with either loss, and of the losses alone: npm run example tensorflow-speed
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { backend } from 'smoothloss';
import { softmaxCrossEntropy } from './loss.mjs';

const [batch, features] = [64, 64];
const ROUNDS = 15;

setWasmPaths(fileURLToPath(import.meta.resolve('@tensorflow/tfjs-backend-wasm/dist/')));
console.log(`batch ${batch}, ${features} features, ${backend.name}, ${backend.threads} threads, median ms`);
for (const [name, classes] of /** @type {const} */ ([
  ['cpu', 1000],
  ['cpu', 10_000],
  ['wasm', 1000],
  ['wasm', 10_000],
])) {
  await tf.setBackend(name);
  await tf.ready();
  const xs = tf.randomNormal([batch, features]);
  const sparse = tf.randomUniform([batch], 0, classes, 'int32');
  const oneHot = /** @type {tf.Tensor2D} */ (tf.oneHot(sparse, classes).toFloat());
  const loss = softmaxCrossEntropy();
  /** @type {Record<string, (logits: tf.Tensor) => tf.Scalar>} */
  const losses = {
    tfjs: (logits) => tf.losses.softmaxCrossEntropy(oneHot, logits),
    'smoothloss, one-hot': (logits) => loss(oneHot, logits).mean(),
    'smoothloss, classes': (logits) => loss(sparse, logits).mean(),
  };
  const logits = tf.randomNormal([batch, classes]);
  const ways = Object.entries(losses).flatMap(([way, compute]) => {
    const weight = tf.variable(tf.randomNormal([features, classes], 0, 0.1));
    const bias = tf.variable(tf.zeros([classes]));
    const optimizer = tf.train.sgd(0.1);
    const step = () => optimizer.minimize(() => compute(xs.matMul(weight).add(bias)), true, [weight, bias]);
    const alone = tf.valueAndGrad(compute);
    return [
      { name: `step, ${way}`, run: () => [/** @type {tf.Scalar} */ (step())] },
      { name: `loss and gradient alone, ${way}`, run: () => Object.values(alone(logits)) },
    ];
  });
  /** @type {number[][]} */
  const times = ways.map(() => []);
  for (let round = -2; round < ROUNDS; round++) {
    for (const [i, { run }] of ways.entries()) {
      const started = performance.now();
      const results = run();
      results[0].dataSync();
      if (round >= 0) times[i].push(performance.now() - started); // the first two warm up
      tf.dispose(results);
    }
  }
  for (const [i, way] of ways.entries()) {
    const median = times[i].sort((a, b) => a - b)[(ROUNDS - 1) / 2];
    console.log(
      `${name.padEnd(5)}${classes} classes  ${way.name.padEnd(44)}${median.toFixed(2).padStart(9)}`,
    );
  }
  tf.disposeVariables();
}
