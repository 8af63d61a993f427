// @ts-check
import { createRequire } from 'node:module';
import { basename, resolve } from 'node:path';

/** @import { Inputs } from './inputs.mjs' */
/** @import { ArrayFile } from './arrays.mjs' */
/** @typedef {Record<string, string>} Run what the losses follow from, in words */

/** Two versions of the package may differ in the last bits. */
const { version } = createRequire(import.meta.url)('smoothloss/package.json');

/**
 * All that the losses follow from: a run may continue another one if this is the same. The size of a batch is
 * not in it, because a row's loss does not depend on the rows beside it.
 *
 * Shards may run on several machines that share files under different paths, so of a path only the name counts there.
 * @param {Inputs} inputs
 * @param {{ labelSmoothing: number, ignoreIndex?: number[] | undefined, shard?: object | undefined, merge?: number | undefined }} options
 * @returns {Run}
 */
export function describeRun(
  { logits, targets, weights, dtype },
  { labelSmoothing, ignoreIndex, shard, merge },
) {
  const place = shard || merge ? basename : resolve;
  const file = (/** @type {ArrayFile} */ each) => `${place(each.path)}${describeFile(each)}`;
  return {
    smoothloss: version,
    logits: file(logits),
    targets: file(targets),
    dtype: dtype ?? logits.type,
    '--weight': weights ? file(weights) : 'none',
    '--label-smoothing': `${labelSmoothing}`,
    '--ignore-index': `${ignoreIndex ?? -100}`,
  };
}

/**
 * What another run differs in, in words; undefined if in nothing.
 * @param {Run} other
 * @param {Run} run
 */
export function difference(other, run) {
  const names = [...new Set([...Object.keys(other), ...Object.keys(run)])];
  const name = names.find((each) => other[each] !== run[each]);
  return name && `${name} ${other[name]}, and this is ${run[name]}`;
}

/**
 * A file that is copied over may keep its size and, with cp -p, the time of its modification, but not the time of
 * its last change, which the system sets.
 * @param {ArrayFile} file
 */
const describeFile = ({ tensor, type, shape, size, modified, changed }) =>
  `${tensor === undefined ? '' : `:${tensor}`}, ${type} (${shape.join(', ')}), ${size} bytes, modified ${time(modified)}, changed ${time(changed)}`;

/** @param {bigint} ns since 1970 */
function time(ns) {
  const date = new Date(Number(ns / 1_000_000n));
  return Number.isNaN(date.valueOf()) ? `${ns} ns` : `${date.toISOString()} + ${ns % 1_000_000n} ns`;
}
