// @ts-check
import { createRequire } from 'node:module';
import { backend, loadBackend } from 'smoothloss';

/** @import { LayerBatch, Start, Started } from './worker.mjs' */

const { version } = createRequire(import.meta.url)('smoothloss/package.json');

/** @param {Start} options args: a backend @returns {Started} */
export function start({ threads, args: [name = backend.name] }) {
  const { linearCrossEntropy } = loadBackend(/** @type {typeof backend.name} */ (name));
  return {
    version: `${version} (${name})`,
    /** @param {LayerBatch} batch */
    prepare({ classes, input, linearWeight, targets, epsilon, gradient }) {
      const gradients = gradient && {
        input: new Float32Array(input.length).fill(1),
        linearWeight: new Float32Array(linearWeight.length).fill(1),
      };
      const options = { classes, labelSmoothing: epsilon, gradient: gradients, threads };
      let loss = 0;
      return {
        run: () => {
          ({ loss } = linearCrossEntropy(input, linearWeight, targets, options));
        },
        result: () => ({ loss, gradient: Object.values(gradients) }),
      };
    },
  };
}
