// @ts-check
// The rows of a file are cut into blocks. Sums are taken block by block, so that they do not depend on batches, on
// where a run was cut short, or on shards, which are whole blocks.

/** @typedef {{ index: number, of: number }} Shard one of so many parts that are scored apart */

const MOST_BLOCKS = 1024;

/**
 * How many rows a block has: it follows from the file alone.
 * @param {number} rows of the file
 */
export const rowsOfBlock = (rows) => Math.max(1, Math.ceil(rows / MOST_BLOCKS));

/**
 * The rows [first, end) of a shard: one after the other, about as many blocks for each.
 * @param {number} rows of the file
 * @param {Shard} [shard] all rows if there is none
 */
export function rowsOfShard(rows, { index, of } = { index: 0, of: 1 }) {
  const blockRows = rowsOfBlock(rows);
  const blocks = Math.ceil(rows / blockRows);
  const begin = (/** @type {number} */ i) => Math.min(rows, blockRows * Math.floor((i * blocks) / of));
  return { first: begin(index), end: begin(index + 1) };
}

/** @param {number} of */
export const shardsOf = (of) => Array.from({ length: of }, (_, index) => ({ index, of }));
