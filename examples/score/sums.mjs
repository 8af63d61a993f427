// @ts-check
/** @import { Scored } from './losses.mjs' */

/** @typedef {{ count: number, first: number[] }} Found rows of some kind: how many, and the first of them */

/** @typedef {ReturnType<typeof noSums>} Sums of the rows that are done */

/** As many rows are named. */
const NAMED = 5;

/** @returns {Found} */
export const noneFound = () => ({ count: 0, first: [] });

/**
 * @param {Found} found
 * @param {number} row
 */
export function find(found, row) {
  found.count++;
  if (found.first.length < NAMED) found.first.push(row);
}

export const noSums = () => ({
  done: 0,
  rows: 0, // that took part, as in all below
  numerator: 0,
  denominator: 0,
  nll: 0,
  correct: 0,
  entropy: 0,
  nan: noneFound(),
  infinite: noneFound(),
});

/**
 * @param {Sums} sums
 * @param {Scored} scored
 */
export function addTo(sums, { losses, nan, infinite, ...others }) {
  sums.done += losses.length;
  for (const [name, sum] of Object.entries(others)) sums[/** @type {keyof typeof others} */ (name)] += sum;
  for (const [found, more] of [
    [sums.nan, nan],
    [sums.infinite, infinite],
  ]) {
    found.count += more.count;
    found.first.push(...more.first.slice(0, NAMED - found.first.length));
  }
}

/**
 * JSON in which numbers that JSON does not have are the strings "NaN", "Infinity" and "-Infinity".
 * @param {unknown} value
 * @param {number} [indent]
 */
export function toJson(value, indent) {
  const finite = (/** @type {string} */ _, /** @type {unknown} */ each) =>
    typeof each === 'number' && !Number.isFinite(each) ? `${each}` : each;
  return `${JSON.stringify(value, finite, indent)}\n`;
}

/**
 * Sums that went through JSON; undefined if these are none.
 * @param {any} json
 * @returns {Sums | undefined}
 */
export function sumsFromJson(json) {
  const { numerator, denominator, nll, entropy, ...counted } = json ?? {};
  const { done, rows, correct, nan, infinite } = counted;
  const isCount = (/** @type {unknown} */ n) => Number.isSafeInteger(n) && Number(n) >= 0;
  const isFound = (/** @type {any} */ found) =>
    isCount(found?.count) && Array.isArray(found.first) && found.first.every(isCount);
  if (![done, rows, correct].every(isCount) || ![nan, infinite].every(isFound)) return undefined;
  const sums = {
    numerator: Number(numerator),
    denominator: Number(denominator),
    nll: Number(nll),
    entropy: Number(entropy),
  };
  return { done, rows, correct, nan, infinite, ...sums };
}
