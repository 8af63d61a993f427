// @ts-check
/** @import { Scored } from './losses.mjs' */

/** @typedef {{ count: number, first: number[] }} Found rows of some kind: how many, and the first of them */

/** @typedef {ReturnType<typeof noSums>} Sums of the rows that are done */

/** @typedef {ReturnType<typeof totalsOf>} Totals */

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
  rows: 0, // that took part
  correct: 0,
  nan: noneFound(),
  infinite: noneFound(),
  crc32: 0, // of the losses' bytes
  /** @type {number[][]} of each block the sums of its columns, see `Scored` */
  blocks: [],
});

/**
 * Adds row after row, so that a block's sums do not depend on where batches begin.
 * @param {Sums} sums
 * @param {Scored} scored the next rows
 * @param {number} blockRows
 */
export function addTo(sums, { columns, rows, correct, nan, infinite }, blockRows) {
  const count = columns[0].length;
  for (let row = 0, stop = 0; row < count; row = stop) {
    const block = Math.floor((sums.done + row) / blockRows);
    stop = Math.min(count, (block + 1) * blockRows - sums.done);
    const earlier = sums.blocks[block];
    sums.blocks[block] = columns.map((values, k) => sumFrom(earlier?.[k] ?? 0, values, row, stop));
  }
  sums.done += count;
  addCounts(sums, { rows, correct, nan, infinite });
}

/**
 * @param {number} sum
 * @param {ArrayLike<number>} values
 * @param {number} begin
 * @param {number} end
 */
function sumFrom(sum, values, begin, end) {
  for (let i = begin; i < end; i++) sum += values[i];
  return sum;
}

/**
 * @param {Sums} sums
 * @param {Pick<Sums, 'rows' | 'correct' | 'nan' | 'infinite'>} more of rows after them
 */
function addCounts(sums, { rows, correct, nan, infinite }) {
  sums.rows += rows;
  sums.correct += correct;
  for (const [found, others] of [
    [sums.nan, nan],
    [sums.infinite, infinite],
  ]) {
    found.count += others.count;
    found.first.push(...others.first.slice(0, NAMED - found.first.length));
  }
}

/**
 * The sums of all rows from those of shards, in order.
 * @param {readonly Sums[]} shards
 */
export function joined(shards) {
  const sums = noSums();
  for (const shard of shards) {
    addCounts(sums, shard);
    sums.done += shard.done;
    sums.blocks.push(...shard.blocks);
  }
  return sums;
}

/**
 * Adds up the blocks, in order.
 * @param {Readonly<Sums>} sums
 */
export function totalsOf({ done, rows, correct, nan, infinite, blocks }) {
  /** @type {number[]} */
  const totals = [];
  for (const block of blocks) {
    for (const [k, sum] of block.entries()) totals[k] = (totals[k] ?? 0) + sum;
  }
  const [numerator = 0, nll = 0, entropy = 0, denominator = rows] = totals;
  return { done, rows, numerator, denominator, nll, correct, entropy, nan, infinite };
}

/**
 * JSON in which numbers that JSON does not have are the strings "NaN", "Infinity" and "-Infinity".
 * @param {unknown} value
 */
export function toJson(value) {
  const finite = (/** @type {string} */ _, /** @type {unknown} */ each) =>
    typeof each === 'number' && !Number.isFinite(each) ? `${each}` : each;
  return `${JSON.stringify(value, finite)}\n`;
}

/**
 * Sums that went through JSON; undefined if these are none.
 * @param {any} json
 * @param {number} blockRows
 * @returns {Sums | undefined}
 */
export function sumsFromJson(json, blockRows) {
  const { done, rows, correct, nan, infinite, crc32, blocks } = json ?? {};
  const isCount = (/** @type {unknown} */ n) => Number.isSafeInteger(n) && Number(n) >= 0;
  const isFound = (/** @type {any} */ found) =>
    isCount(found?.count) && Array.isArray(found.first) && found.first.every(isCount);
  const isSum = (/** @type {unknown} */ sum) =>
    typeof sum === 'number' || /^(NaN|-?Infinity)$/.test(String(sum));
  const isBlock = (/** @type {unknown} */ block) =>
    Array.isArray(block) && (block.length === 3 || block.length === 4) && block.every(isSum);
  if (![done, rows, correct, crc32].every(isCount) || ![nan, infinite].every(isFound)) return undefined;
  if (!Array.isArray(blocks) || !blocks.every(isBlock)) return undefined;
  if (blocks.length !== Math.ceil(done / blockRows)) return undefined;
  return { done, rows, correct, nan, infinite, crc32, blocks: blocks.map((block) => block.map(Number)) };
}
