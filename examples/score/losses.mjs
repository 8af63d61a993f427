// @ts-check
import { Transform } from 'node:stream';
import { crossEntropy } from 'smoothloss/promises';
import { UserError } from './user-error.mjs';

/** @import { Batch } from './batches.mjs' */

/**
 * @typedef {object} Scored
 * @property {Float32Array | Float64Array} losses one for each row of the batch
 * @property {number} rows that took part
 * @property {number} numerator of the mean loss
 * @property {number} denominator
 * @property {number} nll sum of the negative log likelihoods: the losses without smoothing
 */

/**
 * Turns batches into losses, off the event loop.
 * @param {object} options
 * @param {string} options.path of the targets
 * @param {number} options.classes
 * @param {'float16' | 'bfloat16' | undefined} options.dtype
 * @param {number} options.labelSmoothing
 * @param {number[] | undefined} options.ignoreIndex
 * @param {AbortSignal} options.signal
 */
export function lossesOfBatches({ path, classes, dtype, labelSmoothing, ignoreIndex, signal }) {
  /**
   * @param {Batch} batch
   * @returns {Promise<Scored>}
   */
  const score = async ({ first, logits, targets, release }) => {
    try {
      // The two kinds of 16 bit logits are told apart by `dtype`, which inputs.mjs has checked.
      const result = await crossEntropy(/** @type {Float32Array} */ (logits), targets, {
        classes,
        dtype,
        labelSmoothing,
        ignoreIndex,
        reduction: 'none',
        perRow: ['nll'],
        signal,
      });
      let nll = 0;
      for (const each of result.perRow.nll) nll += each;
      const { losses, rows, numerator, denominator } = result;
      return { losses, rows, numerator, denominator, nll };
    } catch (error) {
      throw inTheFile(error, first, path);
    } finally {
      release();
    }
  };
  return new Transform({
    objectMode: true,
    highWaterMark: 1,
    transform(batch, _encoding, done) {
      score(batch).then((scored) => done(null, scored), done);
    },
  });
}

/**
 * The package counts the rows of a batch, the user those of the file.
 * @param {unknown} error
 * @param {number} first
 * @param {string} path
 */
function inTheFile(error, first, path) {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
  const [all, row] = /^targets\[(\d+)\]/.exec(message) ?? [];
  if (code !== 'ERR_OUT_OF_RANGE' || all === undefined) return error;
  return new UserError(`${path}: targets[${first + Number(row)}]${message.slice(all.length)}`);
}
