// @ts-check
import { Worker } from 'node:worker_threads';
import { descend, lossOfShare, normalizerOf, parameterCount, sharedFloats } from './problem.mjs';

/** @import { Problem } from './problem.mjs' */
/** @typedef {{ parameters: Float32Array, losses: number[], seconds: number }} Trained */

/**
 * One thread of JavaScript: the shares of each batch one after another.
 * @param {Problem} problem
 * @param {{ steps: number, shares: number, threads: number }} options
 * @returns {Trained}
 */
export function trainAlone(problem, { steps, shares, threads }) {
  const parameters = new Float32Array(parameterCount(problem));
  const gradients = Array.from({ length: shares }, () => new Float32Array(parameters.length));
  const losses = [];
  const started = performance.now();
  for (let step = 0; step < steps; step++) {
    const normalizer = normalizerOf(problem, step);
    losses.push(
      gradients.reduce((sum, gradient, share) => {
        const where = { step, share, shares, normalizer };
        return sum + lossOfShare(problem, where, parameters, gradient, threads);
      }, 0),
    );
    descend(parameters, gradients, 0, parameters.length);
  }
  return { parameters, losses, seconds: (performance.now() - started) / 1000 };
}

/**
 * A worker for each share. If one fails, the others are ended, as they would wait for it forever.
 * @param {Problem} problem
 * @param {{ steps: number, shares: number }} options
 * @returns {Promise<Trained>}
 */
export async function trainInWorkers(problem, { steps, shares }) {
  const shared = {
    problem,
    steps,
    parameters: sharedFloats(parameterCount(problem)),
    gradients: Array.from({ length: shares }, () => sharedFloats(parameterCount(problem))),
    losses: new Float64Array(new SharedArrayBuffer(8 * steps * shares)),
    barrier: new Int32Array(new SharedArrayBuffer(8)),
  };
  const workers = shared.gradients.map(
    (_, share) => new Worker(new URL('./worker.mjs', import.meta.url), { workerData: { ...shared, share } }),
  );
  const done = workers.map(
    (worker, share) =>
      /** @type {Promise<number>} */ (
        new Promise((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
          worker.once('exit', (code) =>
            reject(new Error(`worker ${share} ended early, with exit code ${code}`)),
          );
        })
      ),
  );
  try {
    const seconds = Math.max(...(await Promise.all(done)));
    const losses = Array.from({ length: steps }, (_, step) =>
      shared.losses.subarray(step * shares, (step + 1) * shares).reduce((sum, loss) => sum + loss, 0),
    );
    return { parameters: shared.parameters, losses, seconds };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/**
 * How many numbers differ in their bits: −0 is not 0, and NaN may be the same.
 * @param {Float32Array} a
 * @param {Float32Array} b of the same length
 */
export function differentBits(a, b) {
  const [x, y] = [a, b].map(({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length));
  return x.reduce((sum, bits, i) => sum + (bits === y[i] ? 0 : 1), 0);
}
