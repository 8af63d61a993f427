// @ts-check
// One worker: the gradient of its share of each batch, then the sum of all gradients for its part of the parameters.
import { parentPort, workerData } from 'node:worker_threads';
import { descend, lossOfShare, normalizerOf } from './problem.mjs';

const { problem, steps, share, parameters, gradients, losses, barrier } = workerData;
const shares = gradients.length;
const [first, last] = [share, share + 1].map((i) => Math.floor((i * parameters.length) / shares));

/** Waits until all workers are here. The first number counts them, the second how often all have been. */
function waitForAll() {
  const round = Atomics.load(barrier, 1);
  if (Atomics.add(barrier, 0, 1) === shares - 1) {
    Atomics.store(barrier, 0, 0);
    Atomics.add(barrier, 1, 1);
    Atomics.notify(barrier, 1);
  } else {
    while (Atomics.load(barrier, 1) === round) Atomics.wait(barrier, 1, round);
  }
}

waitForAll(); // for the others to have started
const started = performance.now();
for (let step = 0; step < steps; step++) {
  const where = { step, share, shares, normalizer: normalizerOf(problem, step) };
  // One thread, as there is a worker for each CPU: more would only cost.
  losses[step * shares + share] = lossOfShare(problem, where, parameters, gradients[share], 1);
  waitForAll(); // for all gradients
  descend(parameters, gradients, first, last);
  waitForAll(); // for all parameters
}
parentPort?.postMessage((performance.now() - started) / 1000);
