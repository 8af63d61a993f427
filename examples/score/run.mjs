// @ts-check
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

/** @import { Inputs } from './inputs.mjs' */
/** @import { NpyFile } from './npy.mjs' */
/** @typedef {Record<string, string>} Run what the losses follow from, in words */

/** Two versions of the package may differ in the last bits. */
const { version } = createRequire(import.meta.url)('smoothloss/package.json');

/**
 * All that the losses follow from: a run may continue another one if this is the same. The size of a batch is
 * not in it, because a row's loss does not depend on the rows beside it.
 * @param {Inputs} inputs
 * @param {{ labelSmoothing: number, ignoreIndex?: number[] | undefined }} options
 * @returns {Run}
 */
export function describeRun({ logits, targets, weights, dtype }, { labelSmoothing, ignoreIndex }) {
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
 * A file that is copied over may keep its size and, with cp -p, the time of its modification, but not the time of
 * its last change, which the system sets.
 * @param {NpyFile} file
 */
const file = ({ path, type, shape, size, modified, changed }) =>
  `${resolve(path)}, ${type} (${shape.join(', ')}), ${size} bytes, ` +
  `modified ${time(modified)}, changed ${time(changed)}`;

/** @param {bigint} ns since 1970 */
function time(ns) {
  const date = new Date(Number(ns / 1_000_000n));
  return Number.isNaN(date.valueOf()) ? `${ns} ns` : `${date.toISOString()} + ${ns % 1_000_000n} ns`;
}
