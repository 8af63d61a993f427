// @ts-check
import { createRequire } from 'node:module';
import { backend, loadBackend } from 'smoothloss';

/** @import { Start, Started } from './worker.mjs' */

const { version } = createRequire(import.meta.url)('smoothloss/package.json');

/** @param {Start} options args: where the gradient goes, and a backend @returns {Started} */
export function start({ threads, args: [output, name = backend.name] }) {
  const { crossEntropy } = loadBackend(/** @type {typeof backend.name} */ (name));
  return {
    version: `${version} (${name})`,
    prepare({ classes, logits, targets }) {
      const gradient = {
        reused: new Float32Array(logits.length),
        'in place': logits,
        new: true,
        none: false,
      }[output];
      const options = { classes, labelSmoothing: 0.1, gradient, threads };
      /** @type {{ loss: number, gradient?: Float32Array }} */
      let last;
      return {
        run: () => {
          last = crossEntropy(logits, targets, options);
        },
        result: () => last,
      };
    },
  };
}
