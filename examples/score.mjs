// @ts-check
// Computes the loss of every row of a file of logits, whatever its size: see README.md.
import { pipeline } from 'node:stream/promises';
import { readBatches } from './score/batches.mjs';
import { checkUnchanged, closeInputs, openInputs } from './score/inputs.mjs';
import { lossesOfBatches } from './score/losses.mjs';
import { readOptions } from './score/options.mjs';
import { Output } from './score/output.mjs';
import { scoringProgress } from './score/progress.mjs';
import { describeRun } from './score/run.mjs';
import { printJson, printSummary } from './score/summary.mjs';
import { UserError } from './score/user-error.mjs';

/** @typedef {NonNullable<ReturnType<typeof readOptions>>} Options */
/** @import { Inputs } from './score/inputs.mjs' */

/** @param {Options} options */
async function main(options) {
  const inputs = await openInputs(options);
  const output = new Output(options.out, {
    type: inputs.logits.type === 'float64' ? 'float64' : 'float32',
    shape: inputs.shape,
    rows: inputs.rows,
    run: describeRun(inputs, options),
  });
  try {
    await output.open(options.restart);
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
  const { logits, targets, weight, rows, classes, dtype } = inputs;
  const start = output.sums.done;
  if (start > 0) console.error(`${start} of ${rows} losses are there already: continuing after them`);

  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const progress = scoringProgress({ rows, start, show: options.progress });
  const started = performance.now();
  try {
    if (start < rows) {
      await pipeline(
        readBatches(inputs, { batchBytes: options.batchBytes, start }),
        lossesOfBatches({ ...options, targets, classes, dtype, weight, signal: stop.signal }),
        output.writable({
          syncSeconds: options.syncSeconds,
          onWritten: ({ done, numerator, denominator }) =>
            progress?.update(done, { loss: (numerator / denominator).toFixed(4) }),
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
  await output.publish();

  const share = rows === 0 ? 0 : (rows - start) / rows;
  const print = options.json ? printJson : printSummary;
  print(output.sums, {
    shape: inputs.shape,
    rows: rows - start,
    bytes: (logits.size - logits.offset + targets.size - targets.offset) * share,
    seconds: (performance.now() - started) / 1000,
  });
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options) await main(options);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`score: ${error.message}`);
  process.exitCode = 1;
}
