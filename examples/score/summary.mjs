// @ts-check
/** @import { Sums } from './output.mjs' */

const count = (/** @type {number} */ n) => n.toLocaleString('en');

/**
 * @param {Readonly<Sums>} sums of all rows
 * @param {{ rows: number, bytes: number, seconds: number }} run the present one, without an earlier one
 */
export function printSummary({ done, rows, numerator, denominator, nll }, run) {
  const short = (/** @type {number} */ x) => String(Number(x.toPrecision(7)));
  console.log(`rows        ${count(done)} (${count(done - rows)} ignored)`);
  console.log(`mean loss   ${short(numerator / denominator)} (${short(numerator)} / ${short(denominator)})`);
  console.log(`perplexity  ${short(Math.exp(nll / rows))}`);
  if (run.rows < done) console.log(`resumed     after ${count(done - run.rows)} rows`);
  const rate = count(Math.round(run.rows / run.seconds));
  console.log(`speed       ${rate} rows/s, ${(run.bytes / run.seconds / 1e9).toFixed(2)} GB/s`);
  // The most memory that this process held at any time: kilobytes, whatever the system.
  console.log(`memory      ${Math.ceil(process.resourceUsage().maxRSS / 1024)} MiB`);
}
