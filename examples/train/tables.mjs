// @ts-check
import Table from 'cli-table3';
import { BINS } from './evaluate.mjs';

const PLAIN = { style: { head: [], border: [] } };

export const count = (/** @type {number} */ n) => n.toLocaleString('en');

const percent = (/** @type {number} */ fraction) => `${(100 * fraction).toFixed(1)} %`;

const time = (/** @type {number} */ ms) =>
  ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;

/**
 * @param {{ epsilon: number, result: ReturnType<typeof import('./evaluate.mjs').evaluate> }[]} runs
 * @param {number} tokens
 */
export function printResults(runs, tokens) {
  const table = new Table({
    ...PLAIN,
    head: [
      `held-out text, ${count(tokens)} tokens, trained with`,
      ...runs.map(({ epsilon }) => `ε = ${epsilon}`),
    ],
    colAligns: ['left', ...runs.map(() => /** @type {const} */ ('right'))],
  });
  const row = (
    /** @type {string} */ name,
    /** @type {(result: typeof runs[number]['result']) => string} */ show,
  ) => table.push([name, ...runs.map(({ result }) => show(result))]);
  row('cross entropy (nats per token)', ({ loss }) => loss.toFixed(3));
  row('perplexity (e to the cross entropy)', ({ perplexity }) => perplexity.toFixed(1));
  row('accuracy', ({ accuracy }) => percent(accuracy));
  row(`calibration error (ECE, ${BINS} bins)`, ({ calibrationError }) => percent(calibrationError));
  console.log(table.toString());
}

/**
 * @param {string} title
 * @param {{ backend: string, lossTime: number, fingerprint: string }[]} runs
 * @param {number} logits how many the loss was computed from
 */
export function printTimes(title, runs, logits) {
  const table = new Table({
    ...PLAIN,
    head: [title, ...runs.map(({ backend }) => backend)],
    colAligns: ['left', ...runs.map(() => /** @type {const} */ ('right'))],
  });
  const row = (/** @type {string} */ name, /** @type {(run: typeof runs[number]) => string} */ show) =>
    table.push([name, ...runs.map(show)]);
  row('time in the output layer and its loss', ({ lossTime }) => time(lossTime));
  row('the same per logit', ({ lossTime }) => `${((lossTime * 1e6) / logits).toFixed(2)} ns`);
  row('SHA-256 of the weights then', ({ fingerprint }) => `${fingerprint.slice(0, 12)}…`);
  console.log(table.toString());
}
