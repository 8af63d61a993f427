// @ts-check
// A server that trains a softmax classifier and answers predictions meanwhile: see README.md.
import { addRoutes, createApp } from './server/app.mjs';
import { Checkpoints } from './server/checkpoints.mjs';
import { createMetrics } from './server/metrics.mjs';
import { readOptions, UserError } from './server/options.mjs';
import { Trainer } from './server/trainer.mjs';

/** @typedef {import('./server/options.mjs').Options} Options */
/** @typedef {import('./server/model.mjs').LinearCrossEntropy} LinearCrossEntropy */

/** @param {Options} options */
async function main(options) {
  const app = createApp(options);
  const checkpoints = new Checkpoints(options.checkpoint, {
    warn: (message) => app.log.warn(message),
    saved: (step, seconds) => {
      metrics.checkpoints.observe(seconds);
      app.log.info({ step, seconds }, 'checkpoint written');
    },
    failed: (error) => {
      metrics.failures.inc();
      app.log.error({ err: error }, 'checkpoint not written');
    },
  });
  const parameters = checkpoints.load(options);
  app.log.info(parameters.step > 0 ? `goes on from step ${parameters.step}` : 'starts untrained');

  const trainer = new Trainer(parameters, {
    ...options,
    linearCrossEntropy: await loadLoss(options),
    onStep: ({ step, loss, accuracy }, seconds) => {
      metrics.steps.observe(seconds);
      metrics.loss.set(loss);
      metrics.accuracy.set(accuracy);
      if (step % options.every === 0) checkpoints.save(trainer.parameters);
    },
  });
  const metrics = createMetrics({
    training: () => ({ step: trainer.parameters.step, queued: trainer.waiting }),
    checkpoint: () => checkpoints.last,
  });
  let stopping = false;
  addRoutes(app, { options, trainer, checkpoints, metrics, isStopping: () => stopping });
  const address = await listen(app, options);

  /** @param {NodeJS.Signals} signal */
  const stop = async (signal) => {
    if (stopping) process.exit(1); // asked for twice
    stopping = true;
    app.log.info(`${signal}: stopping`);
    trainer.stop();
    const late = options.grace * 1000;
    const timers = [
      setTimeout(() => trainer.abort(), late),
      setTimeout(() => app.server.closeAllConnections(), late + 1000),
    ];
    await app.close(); // resolves when every request has had its answer
    timers.forEach(clearTimeout);
    await trainer.idle(); // of a client that has gone, too
    const { step } = trainer.parameters;
    if (step > 0 && checkpoints.last?.step !== step) await checkpoints.save(trainer.parameters);
    if (step > 0 && checkpoints.last?.step !== step) process.exitCode = 1;
    app.log.info({ step }, 'stopped');
    setTimeout(() => process.exit(), 1000).unref(); // if anything else keeps the process alive
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.send?.({ address }); // a parent process that asked for port 0 wants to know
}

/**
 * The layer and its loss off the event loop; or with --blocking on it, in the same clothes.
 * @param {Options} options
 * @returns {Promise<LinearCrossEntropy>}
 */
async function loadLoss({ blocking }) {
  if (!blocking) return (await import('smoothloss/promises')).linearCrossEntropy;
  const { linearCrossEntropy } = await import('smoothloss');
  /** @type {(input: Float32Array, weight: Float32Array, targets: Int32Array, options: any) => Promise<any>} */
  const loss = async (input, weight, targets, { signal, ...options }) => {
    signal?.throwIfAborted();
    return linearCrossEntropy(input, weight, targets, options);
  };
  return /** @type {LinearCrossEntropy} */ (/** @type {unknown} */ (loss));
}

/**
 * @param {ReturnType<typeof createApp>} app
 * @param {Options} options
 */
async function listen(app, { host, port }) {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    throw new UserError(/** @type {Error} */ (error).message);
  }
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options) await main(options);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`server: ${error.message}`);
  process.exitCode = 1;
}
