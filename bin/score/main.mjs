// @ts-check
// The command line of `smoothloss score`.
import { readOptions } from './options.mjs';
import { progressBar } from './progress.mjs';
import { score } from './score.mjs';
import { jsonOf, printSummary } from './summary.mjs';
import { totalsOf } from './sums.mjs';
import { UserError } from './user-error.mjs';

/** @param {string[]} args */
export async function main(args) {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  try {
    const options = readOptions(args);
    if (!options) return;
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
    const bar = await progressBar(options.progress);
    const work = score(options, {
      signal: stop.signal,
      onStart({ rows, start }) {
        if (start > 0 && !options.merge) {
          const next = start < rows ? 'continuing after them' : 'nothing to score';
          console.error(`${start} of ${rows} losses are there already: ${next}`);
        }
        bar?.start(rows, start, { loss: '–' });
      },
      onWritten(sums) {
        const { numerator, denominator } = totalsOf(sums);
        bar?.update(sums.done, { loss: (numerator / denominator).toFixed(4) });
      },
    });
    const { totals, run, forget } = await work.finally(() => bar?.stop());
    if (options.json) process.stdout.write(jsonOf(totals, run));
    else printSummary(totals, run);
    await forget();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.error(`score: ${error.message}`);
    process.exitCode = 1;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
