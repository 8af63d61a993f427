// @ts-check
import { lstat, readlink, stat } from 'node:fs/promises';
import { UserError } from './user-error.mjs';

/** @import { BigIntStats } from 'node:fs' */
/** @import { FileHandle } from 'node:fs/promises' */

const LONGEST_READ = 2 ** 30; // the system's own limit is just below 2^31

/**
 * What stands there instead of a regular file; undefined if it is one.
 * @param {BigIntStats} stats
 */
export function otherKind(stats) {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return 'a folder';
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isFIFO()) return 'a named pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}

/**
 * Whatever will be written must be free, or a regular file that is none of the inputs, by whatever name they go.
 * A symbolic link is refused: whether its own name or the file behind it is meant, nobody can tell.
 * @param {string} out
 * @param {string[]} paths what is written for it
 * @param {{ device: bigint, inode: bigint }[]} inputs
 */
export async function checkWritable(out, paths, inputs) {
  const named = (/** @type {string} */ path) => (path === out ? '' : `, for which ${path} is written`);
  for (const path of paths) {
    const stats = await unlessAbsent(lstat(path, { bigint: true }));
    if (!stats) continue;
    const { dev, ino } = (await unlessAbsent(stat(path, { bigint: true }))) ?? stats;
    if (inputs.some(({ device, inode }) => dev === device && ino === inode)) {
      throw new UserError(`--out is ${out}${named(path)}: that is an input`);
    }
    const kind = otherKind(stats);
    if (!kind) continue;
    const where = stats.isSymbolicLink() ? ` to ${await readlink(path)}` : '';
    throw new UserError(
      `--out is ${out}${named(path)}: that is ${kind}${where}, and must be a regular file or not be there`,
    );
  }
}

/**
 * What a call on a file gives; undefined if there is no such file.
 * @template T
 * @param {Promise<T>} answer
 * @returns {Promise<T | undefined>}
 */
export async function unlessAbsent(answer) {
  try {
    return await answer;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Fills `bytes` from `position` in the file on: a read may return less than it was asked for.
 * @param {FileHandle} handle
 * @param {Uint8Array} bytes
 * @param {number} position
 */
export async function readExactly(handle, bytes, position) {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, LONGEST_READ);
    const { bytesRead } = await handle.read(bytes, done, length, position + done);
    if (bytesRead === 0) throw new UserError('became shorter while it was read');
    done += bytesRead;
  }
}
