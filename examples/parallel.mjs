// @ts-check
// Data-parallel training: see README.md. No engine for Node that is still maintained adds up gradients among processes
// (all-reduce). Here workers over shared memory do it: each computes the gradient of its share of a batch, and adds the
// gradients of all shares, in one order, for its part of the parameters. So the model has the bits of one process.
import { availableParallelism } from 'node:os';
import { readOptions, UserError } from './parallel/options.mjs';
import { makeProblem, parameterCount } from './parallel/problem.mjs';
import { differentBits, trainAlone, trainInWorkers } from './parallel/train.mjs';

const count = (/** @type {number} */ n) => n.toLocaleString('en');

/** @param {NonNullable<ReturnType<typeof readOptions>>} options */
async function main({ workers: shares, steps, ...shape }) {
  const problem = makeProblem(shape);
  const all = `${count(parameterCount(problem))} parameters`;
  console.log(
    `model    ${all}: ${count(shape.features)} features, ${count(shape.classes)} classes; ${count(shape.batch)} rows a step`,
  );

  const one = trainAlone(problem, { steps, shares, threads: 1 });
  const threads = trainAlone(problem, { steps, shares, threads: shares });
  const single = await trainInWorkers(problem, { steps, shares: 1 }); // a whole batch at once: other bits
  const workers = await trainInWorkers(problem, { steps, shares });

  console.log(
    `loss     ${workers.losses[0].toFixed(4)} in the first step, ${workers.losses[steps - 1].toFixed(4)} in step ${steps}`,
  );
  console.log(`CPUs     ${availableParallelism()}`);
  const speed = (/** @type {string} */ name, /** @type {number} */ seconds) =>
    console.log(`${name.padEnd(46)} ${count(Math.round(steps / seconds)).padStart(7)} steps/s`);
  speed('one process, share after share', one.seconds);
  speed(`the same, with ${shares} of smoothloss's threads`, threads.seconds);
  speed('1 worker', single.seconds);
  if (shares > 1) speed(`${shares} workers`, workers.seconds);

  for (const other of [threads, workers]) {
    const different = differentBits(one.parameters, other.parameters);
    if (different > 0) throw new UserError(`${count(different)} of ${all} differ in their bits`);
  }
  console.log(`All ${all} of one process and of ${shares} workers are the same to the last bit.`);
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options) await main(options);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`parallel: ${error.message}`);
  process.exitCode = 1;
}
