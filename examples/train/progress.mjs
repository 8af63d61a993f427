// @ts-check
import cliProgress from 'cli-progress';
import { count } from './tables.mjs';

/**
 * Shows how far a training run has come: a bar on a terminal, elsewhere a plain line every tenth of the way.
 * @param {string} name
 * @param {number} steps
 * @param {number} tokensPerStep
 * @param {string} what is shown of the loss: a smoothed one is larger, and not to be compared with one that is not
 */
export function trainingProgress(name, steps, tokensPerStep, what) {
  const started = performance.now();
  let shownLoss = Number.NaN;

  const bar = process.stdout.isTTY
    ? new cliProgress.SingleBar({
        stream: process.stdout,
        format: '{name} {bar} {value}/{total} · {what} {loss} · {speed} tokens/s · {left} left',
        barsize: 14,
        barCompleteChar: '█',
        barIncompleteChar: '░',
        gracefulExit: false, // its signal handler would wait for the end of the training loop
      })
    : undefined;
  bar?.start(steps, 0, { name: name.padEnd(11), what, loss: '–', speed: '–', left: '–' });

  return {
    /**
     * @param {number} step counted from 1
     * @param {number} loss the batch's; what is shown is a running mean
     * @param {number} trainingTime milliseconds so far, without the time that measuring the model took
     */
    update(step, loss, trainingTime) {
      shownLoss = Number.isNaN(shownLoss) ? loss : 0.95 * shownLoss + 0.05 * loss;
      const elapsed = performance.now() - started;
      const shown = {
        loss: shownLoss.toFixed(3),
        speed: count(Math.round((1000 * step * tokensPerStep) / trainingTime)),
        left: `${Math.ceil(((elapsed / step) * (steps - step)) / 1000)} s`,
      };
      if (bar) {
        bar.update(step, shown);
      } else if (Math.floor((10 * step) / steps) > Math.floor((10 * (step - 1)) / steps)) {
        console.log(
          `${name}: step ${step}/${steps}, ${what} ${shown.loss}, ${shown.speed} tokens/s, ${shown.left} left`,
        );
      }
    },
    stop() {
      bar?.stop();
    },
  };
}
