// The promise: the loss of examples/libraries/tensorflow/loss.mjs has the values and gradients of tf.losses.softmaxCrossEntropy,
// whatever tfjs does with them: weights of classes and samples, model.fit and loops, on its cpu and wasm backends.

import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { classIndices, normals } from '../support/data.js';
import { loadExample, loadLibrary, runExample } from '../support/example-libraries.js';
import { root } from '../support/root.js';

// biome-ignore-start lint/suspicious/noExplicitAny: the types of tfjs are where it is installed
type Tensor = any;
type Loss = (labels: Tensor, logits: Tensor) => Tensor;

let tf: any;
let softmaxCrossEntropy: any;
// biome-ignore-end lint/suspicious/noExplicitAny: above

const [B, T, C] = [12, 3, 7];
const classes = classIndices(B, C, 2);

beforeAll(async () => {
  tf = await loadLibrary('@tensorflow/tfjs');
  const { setWasmPaths } = await loadLibrary('@tensorflow/tfjs-backend-wasm');
  const folder = path.join(root, 'examples/libraries/node_modules/@tensorflow/tfjs-backend-wasm/dist');
  setWasmPaths(folder + path.sep);
  ({ softmaxCrossEntropy } = await loadExample('tensorflow/loss.mjs'));
});

/** tfjs computes in float32 and in steps: its log softmax is off by some units in the last place of the largest logit. */
function expectClose(actual: Tensor | number[], expected: Tensor | number[]): void {
  const [a, b] = [actual, expected].map((x) => (Array.isArray(x) ? x : Array.from<number>(x.dataSync())));
  if (!Array.isArray(actual) && !Array.isArray(expected)) expect(actual.shape).toEqual(expected.shape);
  expect(a).toHaveLength(b.length);
  for (const [i, value] of a.entries()) expect(Math.abs(value - b[i])).toBeLessThan(4e-6);
}

/** What tfjs gives, one loss for each row. It spreads ε over the second axis, whatever that is: so rows are all that it sees. */
const tfjs =
  (labelSmoothing = 0): Loss =>
  (labels, logits) => {
    const [y, x] = [labels, logits].map((each) => each.reshape([-1, C]));
    const losses = tf.losses.softmaxCrossEntropy(y, x, undefined, labelSmoothing, tf.Reduction.NONE);
    return losses.reshape(logits.shape.slice(0, -1));
  };

describe.each(['cpu', 'wasm'])('on the %s backend', (backend) => {
  beforeAll(async () => {
    expect(await tf.setBackend(backend)).toBe(true);
  });
  beforeEach(() => tf.engine().startScope());
  afterEach(() => tf.engine().endScope());

  const logitsOf = (...shape: number[]) => tf.tensor(normals(B * C, 1, 3), shape);
  const sparse = (...shape: number[]) => tf.tensor(classes, shape, 'int32');
  const oneHot = (...shape: number[]) => tf.oneHot(tf.tensor(classes, [B], 'int32'), C).reshape(shape);

  describe('values and gradients are those of tf.losses.softmaxCrossEntropy', () => {
    const upstream = () => tf.tensor(normals(B, 3, 1), [B]);
    const cases: Record<string, () => { logits: Tensor; labels: Tensor; dense: Tensor }> = {
      'one-hot labels': () => ({ logits: logitsOf(B, C), labels: oneHot(B, C), dense: oneHot(B, C) }),
      probabilities: () => {
        const labels = tf.softmax(tf.tensor(normals(B * C, 4, 1), [B, C]));
        return { logits: logitsOf(B, C), labels, dense: labels };
      },
      classes: () => ({ logits: logitsOf(B, C), labels: sparse(B), dense: oneHot(B, C) }),
      'classes in a column': () => ({ logits: logitsOf(B, C), labels: sparse(B, 1), dense: oneHot(B, C) }),
      'classes as floats': () => ({
        logits: logitsOf(B, C),
        labels: sparse(B).toFloat(),
        dense: oneHot(B, C),
      }),
      'sequences, one-hot': () => {
        const labels = oneHot(B / T, T, C);
        return { logits: logitsOf(B / T, T, C), labels, dense: labels };
      },
      'sequences, classes': () => ({
        logits: logitsOf(B / T, T, C),
        labels: sparse(B / T, T),
        dense: oneHot(B / T, T, C),
      }),
    };

    it.each(Object.entries(cases))('%s', (_, make) => {
      const { logits, labels, dense } = make();
      for (const labelSmoothing of [0, 0.1]) {
        const ours = softmaxCrossEntropy({ labelSmoothing });
        const theirs = tfjs(labelSmoothing);
        expectClose(ours(labels, logits), theirs(dense, logits));
        const dy = upstream().reshape(logits.shape.slice(0, -1));
        const gradient = (loss: Loss, y: Tensor) => tf.grad((x: Tensor) => loss(y, x).mul(dy).sum())(logits);
        expectClose(gradient(ours, labels), gradient(theirs, dense));
        // Through a layer, and with the mean that tfjs takes.
        const weight = tf.tensor(normals(C * C, 5, 0.3), [C, C]);
        const layer = (loss: Loss, y: Tensor) =>
          tf.grad((w: Tensor) => loss(y, logits.reshape([B, C]).matMul(w).reshape(logits.shape)).mean())(
            weight,
          );
        expectClose(layer(ours, labels), layer(theirs, dense));
      }
    });
  });

  it('rows of −100 have loss 0 and gradient 0, and change no other', () => {
    const loss = softmaxCrossEntropy();
    const labels = tf.tensor(
      classes.map((y, row) => (row % 3 === 0 ? -100 : y)),
      [B],
      'int32',
    );
    const takes = tf.tensor(
      Array.from(classes, (_, row) => (row % 3 === 0 ? 0 : 1)),
      [B],
    );
    const logits = logitsOf(B, C);
    expectClose(loss(labels, logits), tfjs()(oneHot(B, C), logits).mul(takes));
    const gradient = tf.grad((x: Tensor) => loss(labels, x).sum())(logits);
    const theirs = tf.grad((x: Tensor) => tfjs()(oneHot(B, C), x).mul(takes).sum())(logits);
    expectClose(gradient, theirs);
    expect(Array.from(gradient.dataSync().subarray(0, C), Math.abs)).toEqual(new Array(C).fill(0));
    // Another index is an option.
    const zeros = softmaxCrossEntropy({ ignoreIndex: classes[0] })(sparse(B), logits).dataSync();
    for (const [row, y] of classes.entries()) expect(zeros[row] === 0).toBe(y === classes[0]);
  });

  it('labels that do not fit are refused', () => {
    const loss = softmaxCrossEntropy();
    const logits = logitsOf(B / T, T, C);
    expect(() => loss(sparse(T, B / T), logits)).toThrow(
      'labels are of shape [3,4]: must be of [4,3,7], or classes of [4,3]',
    );
    expect(() => loss(tf.fill([B / T, T], 0.5), logits)).toThrow('labels[0] is 0.5: must be a class');
    expect(() => loss(tf.fill([B / T, T], C, 'int32'), logits)).toThrow('targets[0] is 7');
  });

  it('a second derivative is an error, not a wrong number', () => {
    const loss = softmaxCrossEntropy();
    const labels = oneHot(B, C);
    const first = tf.grad((x: Tensor) => loss(labels, x.square()));
    expect(() => tf.grad(first)(logitsOf(B, C))).toThrow('softmaxCrossEntropy has no second derivative');
  });

  it('leaves no tensor behind', () => {
    const loss = softmaxCrossEntropy({ labelSmoothing: 0.1 });
    for (const labels of [oneHot(B, C), sparse(B), sparse(B).toFloat()]) {
      const logits = logitsOf(B, C);
      const before = tf.memory().numTensors;
      const losses = loss(labels, logits);
      expect(tf.memory().numTensors).toBe(before + 1);
      const { value, grad } = tf.valueAndGrad((x: Tensor) => loss(labels, x).mean())(logits);
      expect(tf.memory().numTensors).toBe(before + 3);
      tf.dispose([losses, value, grad]);
      expect(tf.memory().numTensors).toBe(before);
    }
  });

  describe('in a model', () => {
    const F = 4;
    const RATE = 0.5;
    const features = normals(B * F, 6, 1);
    const kernel = normals(F * C, 7, 0.5);
    const classWeight = Object.fromEntries(Array.from({ length: C }, (_, c) => [c, (c + 1) / 2]));

    /** Trains a linear layer from the same numbers on, and returns its weights and the loss of each epoch. */
    async function train(loss: Loss, options: object, data?: { ys?: Tensor; dataset?: Tensor }) {
      const layer = tf.layers.dense({ units: C, inputShape: [F], useBias: false });
      const model = tf.sequential({ layers: [layer] });
      const initial = tf.tensor(kernel, [F, C]);
      layer.setWeights([initial]);
      const optimizer = tf.train.sgd(RATE);
      model.compile({ optimizer, loss });
      const before = tf.memory().numTensors;
      const { history } = data?.dataset
        ? await model.fitDataset(data.dataset, { verbose: 0, ...options })
        : await model.fit(tf.tensor(features, [B, F]), data?.ys ?? oneHot(B, C), {
            verbose: 0,
            shuffle: false,
            batchSize: B,
            ...options,
          });
      const weights = Array.from<number>(layer.getWeights()[0].dataSync());
      const evaluated = model
        .evaluate(tf.tensor(features, [B, F]), oneHot(B, C), { batchSize: B })
        .dataSync()[0];
      const leaked = tf.memory().numTensors - before;
      model.dispose();
      optimizer.dispose();
      return { weights, losses: history.loss as number[], evaluated: evaluated as number, leaked };
    }

    /** One step of descent, in double: each row's loss and gradient times the weight of its class, over the rows. */
    function byHand(weightOf: (y: number) => number) {
      const weights = Array.from(kernel);
      let loss = 0;
      for (const [row, y] of classes.entries()) {
        const x = features.subarray(row * F, (row + 1) * F);
        const logits = Array.from({ length: C }, (_, c) =>
          x.reduce((z, xf, f) => z + xf * kernel[f * C + c], 0),
        );
        const total = logits.reduce((sum, z) => sum + Math.exp(z), 0);
        loss += (weightOf(y) * (Math.log(total) - logits[y])) / B;
        for (let c = 0; c < C; c++) {
          const gradient = (weightOf(y) * (Math.exp(logits[c]) / total - (c === y ? 1 : 0))) / B;
          for (let f = 0; f < F; f++) weights[f * C + c] -= RATE * gradient * x[f];
        }
      }
      return { loss, weights };
    }

    const weightOf = (y: number) => classWeight[y];

    it('model.fit with classWeight weights each sample, as by hand', async () => {
      const ours = await train(softmaxCrossEntropy(), { epochs: 1, classWeight });
      const hand = byHand(weightOf);
      expectClose(ours.losses, [hand.loss]);
      expectClose(ours.weights, hand.weights);
      // A scalar is multiplied by every sample's weight, and tfjs says nothing.
      const scalar = await train(tf.losses.softmaxCrossEntropy, { epochs: 1, classWeight });
      expect(Math.abs(scalar.losses[0] - hand.loss)).toBeGreaterThan(0.01);
    });

    it('model.fit and model.evaluate do as with the loss of tfjs for each sample', async () => {
      for (const options of [{}, { classWeight }, { classWeight, batchSize: 5 }]) {
        const ours = await train(softmaxCrossEntropy({ labelSmoothing: 0.1 }), { epochs: 4, ...options });
        const theirs = await train(tfjs(0.1), { epochs: 4, ...options });
        expectClose(ours.losses, theirs.losses);
        expectClose(ours.weights, theirs.weights);
        expectClose([ours.evaluated], [theirs.evaluated]);
        expect(ours.leaked).toBe(theirs.leaked);
      }
    });

    it('classes as labels go by fitDataset; model.fit itself refuses them', async () => {
      const ys = sparse(B);
      await expect(train(softmaxCrossEntropy(), { epochs: 1 }, { ys })).rejects.toThrow(
        'each example has shape [7]',
      );
      const xs = tf.tensor(features, [B, F]);
      const batches = (ys: Tensor) =>
        tf.data.generator(function* () {
          yield { xs: xs.clone(), ys: ys.clone() };
        });
      const hand = byHand(weightOf);
      for (const labels of [ys, sparse(B, 1)]) {
        const options = { epochs: 1, classWeight };
        const ours = await train(softmaxCrossEntropy(), options, { dataset: batches(labels) });
        expectClose(ours.losses, [hand.loss]);
        expectClose(ours.weights, hand.weights);
      }
    });

    it('sampleWeight is nothing that model.fit knows; a loop multiplies the losses', async () => {
      const sampleWeight = tf.tensor(Array.from(classes, weightOf), [B]);
      await expect(train(tfjs(), { epochs: 1, sampleWeight })).rejects.toThrow('not supported yet');
      const weight = tf.variable(tf.tensor(kernel, [F, C]));
      const optimizer = tf.train.sgd(RATE);
      const xs = tf.tensor(features, [B, F]);
      const loss = softmaxCrossEntropy();
      const cost = optimizer.minimize(
        () => loss(sparse(B), xs.matMul(weight)).mul(sampleWeight).mean(),
        true,
        [weight],
      );
      const hand = byHand(weightOf);
      expectClose(Array.from<number>(cost.dataSync()), [hand.loss]);
      expectClose(Array.from<number>(weight.dataSync()), hand.weights);
      weight.dispose();
      optimizer.dispose();
    });

    it('weights of classes are an option, too, and hold for sequences', async () => {
      const weight = Float32Array.from({ length: C }, (_, c) => weightOf(c));
      const ours = await train(softmaxCrossEntropy({ weight }), { epochs: 1 });
      const hand = byHand(weightOf);
      expectClose(ours.losses, [hand.loss]);
      expectClose(ours.weights, hand.weights);
      const logits = logitsOf(B / T, T, C);
      const weights = sparse(B / T, T)
        .toFloat()
        .add(1)
        .div(2);
      const expected = tfjs()(oneHot(B / T, T, C), logits).mul(weights);
      expectClose(softmaxCrossEntropy({ weight })(sparse(B / T, T), logits), expected);
    });
  });
});

it('the example trains on both backends and agrees with tfjs', () => {
  const { stdout, status } = runExample('tensorflow.mjs');
  expect(status).toBe(0);
  expect(stdout.match(/^(cpu|wasm) +(model\.fit|loop of steps) +loss of each/gm)).toHaveLength(4);
});
