// @ts-check
import { indexOf, inWords } from './indices.mjs';
import { toJson } from './sums.mjs';

/** @import { Shard } from './blocks.mjs' */
/** @import { Found, Totals } from './sums.mjs' */

/**
 * @typedef {object} Run
 * @property {readonly number[]} shape of the losses
 * @property {Shard | undefined} shard
 * @property {number} first row of the shard
 * @property {number} resumedAfter rows of an earlier run
 * @property {number} rows of the present run, without an earlier one
 * @property {number} bytes
 * @property {number} seconds
 */

/** The most memory that this process held at any time; the system's kilobytes, whatever the system. */
const memory = () => 1024 * process.resourceUsage().maxRSS;

/** @param {Totals} totals */
const means = ({ rows, numerator, denominator, nll, correct, entropy }) => ({
  loss: numerator / denominator,
  perplexity: Math.exp(nll / rows),
  accuracy: correct / rows,
  entropy: entropy / rows,
});

/**
 * @param {Totals} totals
 * @param {Run} run
 */
export function printSummary(totals, { shape, shard, ...run }) {
  const { done, rows, numerator, denominator, correct } = totals;
  const count = (/** @type {number} */ n) => n.toLocaleString('en');
  const short = (/** @type {number} */ x) => String(Number(x.toPrecision(7)));
  const { loss, perplexity, accuracy, entropy } = means(totals);
  if (shard) {
    const which = done === 0 ? 'no rows' : `rows ${count(run.first)} to ${count(run.first + done - 1)}`;
    console.log(`shard       ${shard.index}/${shard.of}: ${which}`);
  }
  console.log(`rows        ${count(done)} (${count(done - rows)} ignored)`);
  console.log(`mean loss   ${short(loss)} (${short(numerator)} / ${short(denominator)})`);
  console.log(`perplexity  ${short(perplexity)}`);
  console.log(`accuracy    ${short(accuracy)} (${count(correct)} of ${count(rows)})`);
  console.log(`entropy     ${short(entropy)} nats`);
  const found = (/** @type {Found} */ { count: n, first }, /** @type {string} */ cause) => {
    const names = first.map((row) => `[${inWords(row, shape)}]`).join(', ');
    return `${count(n)} row${n === 1 ? '' : 's'}, ${n > first.length ? 'first ' : ''}${names}: ${cause}`;
  };
  if (totals.nan.count > 0) {
    const cause = 'NaN or +Infinity among the logits, -Infinity alone, or a NaN probability';
    console.log(`NaN loss    ${found(totals.nan, cause)}`);
  }
  if (totals.infinite.count > 0) {
    console.log(`infinite    ${found(totals.infinite, 'a logit of -Infinity where the target is not 0')}`);
  }
  if (run.resumedAfter > 0) console.log(`resumed     after ${count(run.resumedAfter)} rows`);
  if (run.rows > 0) {
    const rate = count(Math.round(run.rows / run.seconds));
    console.log(`speed       ${rate} rows/s, ${(run.bytes / run.seconds / 1e9).toFixed(2)} GB/s`);
  }
  console.log(`memory      ${Math.ceil(memory() / 2 ** 20)} MiB`);
}

/**
 * The same for programs.
 * @param {Totals} totals
 * @param {Run} run
 */
export function jsonOf(totals, { shape, shard, first: firstRow, resumedAfter, rows, bytes, seconds }) {
  const { done, numerator, denominator, correct } = totals;
  const found = (/** @type {Found} */ { count, first }) => ({
    count,
    first: first.map((row) => indexOf(row, shape)),
  });
  return toJson({
    ...(shard && { shard: `${shard.index}/${shard.of}`, first: firstRow }),
    rows: done,
    ignored: done - totals.rows,
    ...means(totals),
    numerator,
    denominator,
    correct,
    nan: found(totals.nan),
    infinite: found(totals.infinite),
    resumedAfter,
    seconds,
    rowsPerSecond: rows / seconds,
    bytesPerSecond: bytes / seconds,
    memory: memory(),
  });
}
