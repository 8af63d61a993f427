// @ts-check
import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { endianness } from 'node:os';
import { otherKind } from './files.mjs';
import { readNpy } from './npy.mjs';
import { readSafetensors, splitName } from './safetensors.mjs';
import { ARRAYS, lengthOf, tuple } from './types.mjs';
import { readError, UserError } from './user-error.mjs';

/** @import { BigIntStats } from 'node:fs' */
/** @import { FileHandle } from 'node:fs/promises' */
/** @typedef {Awaited<ReturnType<typeof openArray>>} ArrayFile an array in a file */

/**
 * Opens an .npy file, or a tensor of a .safetensors file, and checks that it holds what its header says. The caller
 * closes `handle`.
 * @param {string} input
 */
export async function openArray(input) {
  const safetensors = splitName(input);
  const path = safetensors?.path ?? input;
  /** @type {FileHandle | undefined} */
  let handle;
  try {
    if (endianness() !== 'LE') throw new UserError('is little-endian, and this machine is not');
    // A pipe without a writer would hold `open` back for ever.
    mustBeFile(await stat(path, { bigint: true }));
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = mustBeFile(await handle.stat({ bigint: true }));
    const { dev: device, ino: inode, mtimeNs: modified, ctimeNs: changed } = stats;
    const size = Number(stats.size);
    const { tensor, load, ...header } = safetensors
      ? await readSafetensors(handle, size, path, safetensors.tensor)
      : { tensor: undefined, load: undefined, ...(await readNpy(handle, size, path)) };
    const name = tensor === undefined ? path : `${path}:${JSON.stringify(tensor).slice(1, -1)}`;
    const Values = ARRAYS[header.type];
    const length = lengthOf(header.shape);
    const bytes = length * Values.BYTES_PER_ELEMENT;
    const file = { path, handle, device, inode, size, modified, changed };
    return { ...file, name, tensor, load, Values, length, bytes, ...header };
  } catch (error) {
    await handle?.close();
    throw readError(path, error);
  }
}

/**
 * What is in a file, for an error.
 * @param {ArrayFile} file
 */
export const named = ({ name, type, shape }) => `${name} holds ${type} ${tuple(shape)}`;

/** @param {BigIntStats} stats */
function mustBeFile(stats) {
  const kind = otherKind(stats);
  if (kind) throw new UserError(`is ${kind}: must be a regular file, which can be read from any place on`);
  return stats;
}
