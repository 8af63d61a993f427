// @ts-check
// Computes the loss of every row of a file of logits, whatever its size: see README.md.
import { pipeline } from 'node:stream/promises';
import { readBatches } from './score/batches.mjs';
import { rowsOfShard } from './score/blocks.mjs';
import { checkUnchanged, closeInputs, openInputs } from './score/inputs.mjs';
import { lossesOfBatches } from './score/losses.mjs';
import { readOptions } from './score/options.mjs';
import { Output } from './score/output.mjs';
import { scoringProgress } from './score/progress.mjs';
import { describeRun } from './score/run.mjs';
import { printJson, printSummary } from './score/summary.mjs';
import { totalsOf } from './score/sums.mjs';
import { UserError } from './score/user-error.mjs';

/** @typedef {NonNullable<ReturnType<typeof readOptions>>} Options */
/** @import { Inputs } from './score/inputs.mjs' */
/** @import { Sums } from './score/sums.mjs' */

/** @param {Options} options */
async function main(options) {
  const inputs = await openInputs(options);
  const output = new Output(options.out, {
    type: inputs.logits.type === 'float64' ? 'float64' : 'float32',
    shape: inputs.shape,
    rows: inputs.rows,
    run: describeRun(inputs, options),
    shard: options.shard,
  });
  try {
    await (options.merge ? output.merge(options.merge) : output.open(options.restart));
    await score(inputs, output, options);
  } finally {
    await Promise.all([closeInputs(inputs), output.close()]);
  }
}

/**
 * @param {Inputs} inputs
 * @param {Output} output
 * @param {Options} options
 */
async function score(inputs, output, options) {
  const { logits, targets, weight, soft, classes, dtype } = inputs;
  const { first, end } = rowsOfShard(inputs.rows, options.shard);
  const rows = end - first;
  const start = output.sums.done;
  if (start > 0 && !options.merge) {
    console.error(`${start} of ${rows} losses are there already: continuing after them`);
  }

  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const progress = scoringProgress({ rows, start, show: options.progress });
  const started = performance.now();
  try {
    if (start < rows) {
      await pipeline(
        readBatches(inputs, { batchBytes: options.batchBytes, start: first + start, end }),
        lossesOfBatches({ ...options, targets, classes, soft, dtype, weight, signal: stop.signal }),
        output.writable({
          syncSeconds: options.syncSeconds,
          onWritten: (sums) => progress?.update(sums.done, { loss: meanLoss(sums) }),
        }),
        { signal: stop.signal },
      );
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    throw new UserError('stopped; the same command continues where the losses are safe');
  } finally {
    progress?.stop();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
  await checkUnchanged(inputs);
  if (!options.shard) await output.publish();

  const scored = rows - start;
  const share = scored === 0 ? 0 : scored / inputs.rows;
  const print = options.json ? printJson : printSummary;
  print(totalsOf(output.sums), {
    shape: inputs.shape,
    shard: options.shard,
    first,
    resumedAfter: options.merge ? 0 : start,
    rows: scored,
    bytes: (logits.bytes + targets.bytes) * share,
    seconds: (performance.now() - started) / 1000,
  });
  if (!options.shard) await output.removeJournal();
}

/** @param {Readonly<Sums>} sums */
function meanLoss(sums) {
  const { numerator, denominator } = totalsOf(sums);
  return (numerator / denominator).toFixed(4);
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options) await main(options);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`score: ${error.message}`);
  process.exitCode = 1;
}
