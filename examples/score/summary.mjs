// @ts-check
import { indexOf, inWords } from './indices.mjs';
import { toJson } from './sums.mjs';

/** @import { Found, Sums } from './sums.mjs' */

/**
 * @typedef {object} Run
 * @property {readonly number[]} shape of the losses
 * @property {number} rows of the present run, without an earlier one
 * @property {number} bytes
 * @property {number} seconds
 */

/** The most memory that this process held at any time; the system's kilobytes, whatever the system. */
const memory = () => 1024 * process.resourceUsage().maxRSS;

/** @param {Readonly<Sums>} sums of all rows */
const means = ({ rows, numerator, denominator, nll, correct, entropy }) => ({
  loss: numerator / denominator,
  perplexity: Math.exp(nll / rows),
  accuracy: correct / rows,
  entropy: entropy / rows,
});

/**
 * @param {Readonly<Sums>} sums of all rows
 * @param {Run} run
 */
export function printSummary(sums, { shape, ...run }) {
  const { done, rows, numerator, denominator, correct } = sums;
  const count = (/** @type {number} */ n) => n.toLocaleString('en');
  const short = (/** @type {number} */ x) => String(Number(x.toPrecision(7)));
  const { loss, perplexity, accuracy, entropy } = means(sums);
  console.log(`rows        ${count(done)} (${count(done - rows)} ignored)`);
  console.log(`mean loss   ${short(loss)} (${short(numerator)} / ${short(denominator)})`);
  console.log(`perplexity  ${short(perplexity)}`);
  console.log(`accuracy    ${short(accuracy)} (${count(correct)} of ${count(rows)})`);
  console.log(`entropy     ${short(entropy)} nats`);
  const found = (/** @type {Found} */ { count: n, first }, /** @type {string} */ cause) => {
    const names = first.map((row) => `[${inWords(row, shape)}]`).join(', ');
    return `${count(n)} row${n === 1 ? '' : 's'}, ${n > first.length ? 'first ' : ''}${names}: ${cause}`;
  };
  if (sums.nan.count > 0) {
    const cause = 'NaN or +Infinity among the logits, -Infinity alone, or a NaN probability';
    console.log(`NaN loss    ${found(sums.nan, cause)}`);
  }
  if (sums.infinite.count > 0) {
    console.log(`infinite    ${found(sums.infinite, 'a logit of -Infinity where the target is not 0')}`);
  }
  if (run.rows < done) console.log(`resumed     after ${count(done - run.rows)} rows`);
  const rate = count(Math.round(run.rows / run.seconds));
  console.log(`speed       ${rate} rows/s, ${(run.bytes / run.seconds / 1e9).toFixed(2)} GB/s`);
  console.log(`memory      ${Math.ceil(memory() / 2 ** 20)} MiB`);
}

/**
 * The same for programs.
 * @param {Readonly<Sums>} sums of all rows
 * @param {Run} run
 */
export function printJson(sums, { shape, rows, bytes, seconds }) {
  const { done, numerator, denominator, correct } = sums;
  const found = (/** @type {Found} */ { count, first }) => ({
    count,
    first: first.map((row) => indexOf(row, shape)),
  });
  const json = toJson({
    rows: done,
    ignored: done - sums.rows,
    ...means(sums),
    numerator,
    denominator,
    correct,
    nan: found(sums.nan),
    infinite: found(sums.infinite),
    resumedAfter: done - rows,
    seconds,
    rowsPerSecond: rows / seconds,
    bytesPerSecond: bytes / seconds,
    memory: memory(),
  });
  process.stdout.write(json);
}
