// @ts-check
// What stands beside an output until it is whole, and the journals that say how much of it is safe.
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { shardsOf } from './blocks.mjs';
import { unlessAbsent } from './files.mjs';
import { sumsFromJson, toJson } from './sums.mjs';
import { UserError } from './user-error.mjs';

/** @import { Shard } from './blocks.mjs' */
/** @import { Run } from './run.mjs' */
/** @import { Sums } from './sums.mjs' */

/** @param {string} path */
const next = (path) => `${path}.next`;

/** @param {string} out */
export const partialOf = (out) => `${out}.partial`;

/**
 * @param {string} out
 * @param {Shard} [shard]
 */
export const journalOf = (out, shard) =>
  `${partialOf(out)}.${shard ? `${shard.index}-of-${shard.of}.` : ''}json`;

/**
 * All that is written or removed for an output: itself, its losses until they are whole, journals, and the next journals.
 * @param {{ out: string, shard?: Shard | undefined, merge?: number | undefined }} options
 */
export function filesOf({ out, shard, merge = 0 }) {
  const journals = [shard, ...shardsOf(merge)].map((each) => journalOf(out, each));
  return [out, partialOf(out), ...journals.flatMap((journal) => [journal, next(journal)])];
}

/**
 * @param {string} path
 * @param {number} blockRows
 * @returns {Promise<{ run: Run, sums: Sums } | 'absent' | 'not understood'>}
 */
export async function readJournal(path, blockRows) {
  const text = await unlessAbsent(readFile(path, 'utf8'));
  if (text === undefined) return 'absent';
  const { run, ...json } = parse(text) ?? {};
  const sums = sumsFromJson(json, blockRows);
  return run && sums ? { run, sums } : 'not understood';
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The file holds the old text or the new one, at any moment.
 * @param {string} path
 * @param {Run} run
 * @param {Readonly<Sums>} sums
 */
export async function writeJournal(path, run, sums) {
  const handle = await open(next(path), 'w');
  try {
    await handle.writeFile(toJson({ run, ...sums }));
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(next(path), path);
}

/** @param {string} path */
export async function removeJournal(path) {
  await rm(path, { force: true });
  await rm(next(path), { force: true });
}

/**
 * Runs that are cut into other shards, or into none, must not write the same file: each would take the other's losses
 * for its own. Returns the journals of this one's shards.
 * @param {string} out
 * @param {number} [of] shards; undefined if there are none
 */
export async function refuseOthers(out, of) {
  const partial = partialOf(out);
  const start = `${basename(partial)}.`;
  const journals = (await readdir(dirname(out))).filter((name) => name.startsWith(start));
  return journals.filter((name) => {
    const [all, digits] = /^(?:\d+-of-(\d+)\.)?json$/.exec(name.slice(start.length)) ?? [];
    if (all === undefined) return false;
    const others = digits === undefined ? undefined : Number(digits);
    if (others === of) return true;
    const how = others === undefined ? 'without --shard, or of a merge' : `in ${others} shards`;
    const end = others === undefined ? 'the command that began it' : `--merge ${others}`;
    throw new UserError(
      `${partial} is of a run ${how}, as ${name} beside it says: end that with ${end}, or remove ${partial}*`,
    );
  });
}

/**
 * Names are safe on disk when their directory is. Windows cannot open one, and needs no telling.
 * @param {string} path of a file in it
 */
export async function syncDirectory(path) {
  if (process.platform === 'win32') return;
  const handle = await open(dirname(path), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
