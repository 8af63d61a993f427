// @ts-check
import { Transform } from 'node:stream';
import { crossEntropy } from 'smoothloss/promises';
import { inWords } from './indices.mjs';
import { find, noneFound } from './sums.mjs';
import { UserError } from './user-error.mjs';

/** @import { Batch } from './batches.mjs' */
/** @import { ArrayFile } from './arrays.mjs' */
/** @import { Found } from './sums.mjs' */

/**
 * @typedef {object} Scored
 * @property {Float32Array | Float64Array} losses one for each row of the batch
 * @property {ArrayLike<number>[]} columns to be added up: the losses; negative log likelihoods, without weights and
 *   smoothing; entropies of the model's distributions; weights of the targets, if the classes have weights
 * @property {number} rows that took part
 * @property {number} correct rows whose target is the model's first choice
 * @property {Found} nan rows whose loss is NaN
 * @property {Found} infinite rows whose loss is infinite
 */

/**
 * Turns batches into losses, off the event loop.
 * @param {object} options
 * @param {ArrayFile} options.targets
 * @param {number} options.classes
 * @param {boolean} options.soft whether targets are probabilities
 * @param {'float16' | 'bfloat16' | undefined} options.dtype
 * @param {number} options.labelSmoothing
 * @param {number[] | undefined} options.ignoreIndex
 * @param {Float32Array | undefined} options.weight
 * @param {AbortSignal} options.signal
 */
export function lossesOfBatches({ targets: file, signal, ...options }) {
  /**
   * @param {Batch} batch
   * @returns {Promise<Scored>}
   */
  const score = async ({ first, logits, targets, release }) => {
    try {
      // The two kinds of 16 bit logits are told apart by `dtype`, which inputs.mjs has checked.
      const result = await crossEntropy(/** @type {Float32Array} */ (logits), targets, {
        classes: options.classes,
        dtype: options.dtype,
        labelSmoothing: options.labelSmoothing,
        ignoreIndex: options.ignoreIndex,
        weight: options.weight,
        reduction: 'none',
        metrics: true,
        perRow: ['nll', 'entropy', 'prediction'],
        signal,
      });
      const { losses, rows, metrics, perRow } = result;
      const columns = [losses, perRow.nll, perRow.entropy];
      if (options.weight && !options.soft) {
        columns.push(weightsOf(targets, perRow.prediction, options.weight));
      }
      return {
        losses,
        columns,
        rows,
        correct: rows === 0 ? 0 : Math.round(rows * metrics.accuracy),
        ...notFinite(losses, first),
      };
    } catch (error) {
      throw inTheFile(error, first, file);
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
 * @param {Float32Array | Float64Array} losses
 * @param {number} first
 */
function notFinite(losses, first) {
  const [nan, infinite] = [noneFound(), noneFound()];
  for (let row = 0; row < losses.length; row++) {
    const loss = losses[row];
    if (!Number.isFinite(loss)) find(Number.isNaN(loss) ? nan : infinite, first + row);
  }
  return { nan, infinite };
}

/**
 * What each row adds to the denominator of the mean loss.
 * @param {Batch['targets']} targets classes
 * @param {ArrayLike<number>} predictions negative for rows that take no part
 * @param {Float32Array} weight
 */
const weightsOf = (targets, predictions, weight) =>
  Float32Array.from(predictions, (prediction, row) => (prediction < 0 ? 0 : weight[Number(targets[row])]));

/**
 * The package counts the rows of a batch, the user those of the file.
 * @param {unknown} error
 * @param {number} first
 * @param {ArrayFile} targets
 */
function inTheFile(error, first, { name, shape }) {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
  const [all, row] = /^targets\[(\d+)\]/.exec(message) ?? [];
  if (code !== 'ERR_OUT_OF_RANGE' || all === undefined) return error;
  return new UserError(
    `${name}: targets[${inWords(first + Number(row), shape)}]${message.slice(all.length)}`,
  );
}
