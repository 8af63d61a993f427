// @ts-check
// Trains a small next-token model on a text, without and with label smoothing: see README.md.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { backend, linearCrossEntropy, loadBackend } from 'smoothloss';
import { drawChart } from './train/chart.mjs';
import { prepareCorpus } from './train/corpus.mjs';
import { evaluate } from './train/evaluate.mjs';
import { Model } from './train/model.mjs';
import { readOptions, readText, UserError } from './train/options.mjs';
import { trainingProgress } from './train/progress.mjs';
import { generator, shuffle } from './train/random.mjs';
import { count, printResults, printTimes } from './train/tables.mjs';

/** @typedef {NonNullable<ReturnType<typeof readOptions>>} Options */
/** @typedef {ReturnType<typeof prepareCorpus>} Corpus */
/** @typedef {typeof linearCrossEntropy} LinearCrossEntropy */

const CHECKPOINTS = 10;

/**
 * Trains one model. Its own arithmetic is the same whatever the backend, and `linearCrossEntropy` gives the
 * same bits on every backend: so the weights come out the same, to the last bit.
 * @param {string} name
 * @param {Corpus} corpus
 * @param {Options} options
 * @param {{ labelSmoothing: number, linearCrossEntropy: LinearCrossEntropy }} loss
 * @param {number} last the step to end with
 * @param {(step: number, model: Model) => void} [checkpoint] called ten times in the course of the training
 */
function train(
  name,
  { classes, training },
  options,
  { labelSmoothing, linearCrossEntropy },
  last,
  checkpoint,
) {
  const { batch, steps, jsSteps, rate, seed } = options;
  const model = new Model({ ...options, vocabulary: classes }, seed);
  const random = generator(seed + 1);
  const order = training.positions.slice();
  const targets = new Uint16Array(batch);
  const { w2, b2 } = model.parameters;
  // Every step writes its gradients to the same arrays, and allocates nothing.
  const gradient = {
    input: new Float32Array(batch * options.hidden),
    linearWeight: model.gradients.w2,
    linearBias: model.gradients.b2,
  };
  const progress = trainingProgress(name, last, batch, labelSmoothing > 0 ? 'smoothed loss' : 'loss');
  // What the js backend must arrive at.
  const early = { weights: new Float32Array(0), lossTime: 0 };
  let next = order.length;
  let lossTime = 0;
  let trainingTime = 0;

  for (let step = 1; step <= last; step++) {
    if (next + batch > order.length) {
      shuffle(order, random);
      next = 0;
    }
    const stepStarted = performance.now();
    const positions = order.subarray(next, next + batch);
    next += batch;
    for (let row = 0; row < batch; row++) targets[row] = training.tokens[positions[row]];

    const hidden = model.forward(training.tokens, positions);

    // The output layer and its loss, forward and backward.
    const lossStarted = performance.now();
    const { loss } = linearCrossEntropy(hidden, w2, targets, {
      classes,
      linearBias: b2,
      labelSmoothing,
      reduction: 'mean',
      gradient,
    });
    lossTime += performance.now() - lossStarted;

    model.backward(gradient.input);
    model.update(rate * (1 - (0.9 * (step - 1)) / steps));

    trainingTime += performance.now() - stepStarted;
    progress.update(step, loss, trainingTime);
    if (!Number.isFinite(loss)) {
      progress.stop();
      throw new UserError(`the loss is ${loss} in step ${step}: try a smaller --rate`);
    }
    if (step === jsSteps) Object.assign(early, { weights: model.weights.slice(), lossTime });
    if (step % Math.ceil(steps / CHECKPOINTS) === 0 || step === steps) checkpoint?.(step, model);
  }
  progress.stop();
  return { model, early };
}

/** @param {Options} options */
async function main(options) {
  const { epsilon, steps, jsSteps, batch, out } = options;
  const chosen = options.backend ? backendNamed(options.backend) : { ...backend, linearCrossEntropy };
  const corpus = prepareCorpus(readText(options.file), options);
  const { classes, training, seen, heldOut } = corpus;
  console.log(`text     ${basename(options.file)}`);
  console.log(`tokens   ${count(training.tokens.length)} to train on, of ${count(classes)} kinds`);
  const slower = `: ${chosen.reason ?? 'as asked for'}; the output layer takes longer, and gives the same`;
  console.log(`backend  ${chosen.name}${chosen.name === 'js' ? slower : ''}`);
  const repeated = jsSteps < steps ? `${count(jsSteps)} of ${count(steps)} steps` : 'all steps';
  const again = chosen.name === 'js' ? '' : `, and ${repeated} with ε = ${epsilon} again on the js backend`;
  console.log(`runs     with label smoothing ε = 0 (none) and ε = ${epsilon}${again}`);

  // The same model twice: trained on the labels as they are, and on smoothed ones.
  const runs = [0, epsilon].map((labelSmoothing) => {
    /** @type {{ step: number, training: number, heldOut: number }[]} */
    const curve = [];
    const loss = { labelSmoothing, linearCrossEntropy: chosen.linearCrossEntropy };
    const { model, early } = train(`ε = ${labelSmoothing}`, corpus, options, loss, steps, (step, model) => {
      const [a, b] = [seen, heldOut].map((part) => evaluate(model, chosen.linearCrossEntropy, part).loss);
      curve.push({ step, training: a, heldOut: b });
    });
    const result = evaluate(model, chosen.linearCrossEntropy, heldOut);
    return { epsilon: labelSmoothing, early, curve, result };
  });

  // The beginning of the second of them again with the JavaScript backend, which must arrive at the same bits.
  const trained = [{ backend: chosen.name, ...runs[1].early }];
  if (chosen.name !== 'js') {
    const loss = { labelSmoothing: epsilon, linearCrossEntropy: backendNamed('js').linearCrossEntropy };
    trained.push({ backend: 'js', ...train(`ε = ${epsilon}, js`, corpus, options, loss, jsSteps).early });
  }

  printResults(runs, heldOut.positions.length);
  printTimes(
    `ε = ${epsilon}, ${count(jsSteps)} steps of ${count(batch)} × ${count(classes)} logits`,
    trained.map(({ weights, ...run }) => ({ ...run, fingerprint: fingerprint(weights) })),
    jsSteps * batch * classes,
  );
  const chart = await drawChart(runs);
  writeFileSync(out, await chart.toSVG());
  console.log(`${out} holds the curves of loss and perplexity, and the reliability diagram.`);
  compareBits(trained);
}

/** @param {string} name */
function backendNamed(name) {
  try {
    const { linearCrossEntropy } = loadBackend(/** @type {Parameters<typeof loadBackend>[0]} */ (name));
    return { name, reason: undefined, linearCrossEntropy };
  } catch (error) {
    throw new UserError(`backend ${name}: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {Float32Array} weights */
function fingerprint(weights) {
  return createHash('sha256').update(new Uint8Array(weights.buffer)).digest('hex');
}

/** @param {{ backend: string, weights: Float32Array }[]} trained */
function compareBits([chosen, reference]) {
  if (!reference) {
    console.log('This was the js backend already: there is no other model to compare with.');
    return;
  }
  const [a, b] = [chosen, reference].map(({ weights }) => new Uint32Array(weights.buffer));
  const different = a.reduce((sum, bits, i) => sum + (bits === b[i] ? 0 : 1), 0);
  const all = `${count(a.length)} weights`;
  if (different > 0) {
    throw new UserError(
      `${count(different)} of ${all} differ in their bits between ${chosen.backend} and js`,
    );
  }
  console.log(`All ${all} are the same to the last bit with ${chosen.backend} and with js.`);
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options) await main(options);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`train: ${error.message}`);
  process.exitCode = 1;
}
