// @ts-check
// The loss of every row of a file of logits, whatever its size: see docs/score.md.
import { pipeline } from 'node:stream/promises';
import { readBatches } from './batches.mjs';
import { rowsOfShard } from './blocks.mjs';
import { checkUnchanged, closeInputs, openInputs } from './inputs.mjs';
import { lossesOfBatches } from './losses.mjs';
import { Output } from './output.mjs';
import { describeRun } from './run.mjs';
import { totalsOf } from './sums.mjs';
import { UserError } from './user-error.mjs';

/** @import { Inputs } from './inputs.mjs' */
/** @import { readOptions } from './options.mjs' */
/** @import { Sums } from './sums.mjs' */

/** @typedef {NonNullable<ReturnType<typeof readOptions>>} Options */

/**
 * @typedef {object} Watch
 * @property {AbortSignal} signal ends the run; the same options continue it
 * @property {(rows: { rows: number, start: number }) => void} [onStart] how many there are, and how many are scored already
 * @property {(sums: Readonly<Sums>) => void} [onWritten] after each batch
 */

/**
 * Scores a file, or a shard of it, or merges shards. Returns what is to be printed, and `forget`: until it is called, the
 * same options give the same result once more. What the user can put right is a UserError.
 * @param {Options} options
 * @param {Watch} watch
 */
export async function score(options, watch) {
  const inputs = await openInputs(options);
  const output = new Output(options.out, {
    type: inputs.logits.type === 'float64' ? 'float64' : 'float32',
    shape: inputs.shape,
    rows: inputs.rows,
    run: describeRun(inputs, options),
    shard: options.shard,
  });
  try {
    await (options.merge ? output.merge(options.merge, watch.signal) : output.open(options.restart));
    const run = await scoreRows(inputs, output, options, watch);
    await checkUnchanged(inputs);
    if (!options.shard) await output.publish();
    const forget = async () => {
      if (!options.shard) await output.removeJournal();
    };
    return { totals: totalsOf(output.sums), run, forget };
  } catch (error) {
    if (!watch.signal.aborted) throw error;
    throw new UserError('stopped; the same command continues where the losses are safe');
  } finally {
    await Promise.all([closeInputs(inputs), output.close()]);
  }
}

/**
 * @param {Inputs} inputs
 * @param {Output} output
 * @param {Options} options
 * @param {Watch} watch
 */
async function scoreRows(inputs, output, options, { signal, onStart, onWritten }) {
  const { logits, targets, weight, soft, classes, dtype } = inputs;
  const { first, end } = rowsOfShard(inputs.rows, options.shard);
  const rows = end - first;
  const start = output.sums.done;
  onStart?.({ rows, start });
  const started = performance.now();
  if (start < rows) {
    await pipeline(
      readBatches(inputs, { batchBytes: options.batchBytes, start: first + start, end }),
      lossesOfBatches({ ...options, targets, classes, soft, dtype, weight, signal }),
      output.writable({ syncSeconds: options.syncSeconds, onWritten }),
      { signal },
    );
  }
  const scored = rows - start;
  const share = scored === 0 ? 0 : scored / inputs.rows;
  return {
    shape: inputs.shape,
    shard: options.shard,
    first,
    resumedAfter: options.merge ? 0 : start,
    rows: scored,
    bytes: (logits.size - logits.offset + targets.size - targets.offset) * share,
    seconds: (performance.now() - started) / 1000,
  };
}
