// @ts-check
import { plainCrossEntropy } from '../plain.mjs';

/** @import { Started } from './worker.mjs' */

/** @returns {Started} */
export function start() {
  return {
    version: process.version,
    prepare({ classes, logits, targets }) {
      const gradient = new Float32Array(logits.length);
      let loss = 0;
      return {
        run: () => {
          loss = plainCrossEntropy(logits, targets, classes, 0.1, gradient);
        },
        result: () => ({ loss, gradient }),
      };
    },
  };
}
