// @ts-check
import { Readable } from 'node:stream';
import { readExactly } from './files.mjs';
import { wholeNumbers } from './targets.mjs';
import { readError, UserError } from './user-error.mjs';

/** @import { Inputs } from './inputs.mjs' */
/** @import { ArrayFile } from './arrays.mjs' */

/**
 * @typedef {object} Batch
 * @property {number} first row of the file that is the batch's first
 * @property {Float32Array | Float64Array | Uint16Array} logits
 * @property {import('smoothloss').IndexArray | import('smoothloss').SoftTargets} targets
 * @property {() => void} release to be called when the arrays are free for the next rows
 */

/**
 * The rows [start, end) of the inputs, batch after batch. There is memory for two: one is read while the
 * other is in use, and both again and again. A batch that is not released holds the reader back.
 * @param {Inputs} inputs
 * @param {{ batchBytes: number, start: number, end: number }} options
 */
export function readBatches({ logits, targets, classes, soft }, { batchBytes, start, end }) {
  const targetsPerRow = soft ? classes : 1;
  const rowBytes =
    classes * logits.Values.BYTES_PER_ELEMENT + targetsPerRow * targets.Values.BYTES_PER_ELEMENT;
  const most = Math.min(end - start, Math.max(1, Math.floor(batchBytes / rowBytes)));
  const free = [0, 1].map(() => ({
    logits: allocate(logits, most * classes),
    targets: allocate(targets, most * targetsPerRow),
  }));
  let next = start;
  let wanted = false;

  const read = async () => {
    if (!wanted) return;
    if (next === end) {
      wanted = false;
      stream.push(null);
      return;
    }
    const arrays = free.pop();
    if (!arrays) return;
    wanted = false;
    const first = next;
    const count = Math.min(most, end - first);
    next += count;
    try {
      const [someLogits, someTargets] = await Promise.all([
        fill(arrays.logits, logits, first * classes, count * classes),
        fill(arrays.targets, targets, first * targetsPerRow, count * targetsPerRow),
      ]);
      const release = () => {
        free.push(arrays);
        read();
      };
      const isClasses = !soft && (someTargets instanceof Float32Array || someTargets instanceof Float64Array);
      stream.push({
        first,
        logits: someLogits,
        targets: isClasses ? wholeNumbers(targets, someTargets, first) : someTargets,
        release,
      });
    } catch (error) {
      stream.destroy(/** @type {Error} */ (error));
    }
  };
  const stream = new Readable({
    objectMode: true,
    highWaterMark: 1,
    read() {
      wanted = true;
      read();
    },
  });
  return stream;
}

/**
 * @param {ArrayFile} file
 * @param {number} length
 */
function allocate({ name, Values }, length) {
  try {
    return new Values(length);
  } catch {
    throw new UserError(`${name}: no memory for ${length} numbers at once`);
  }
}

/**
 * The first `length` elements of an array, read from a file.
 * @template {InstanceType<ArrayFile['Values']>} A
 * @param {A} array
 * @param {ArrayFile} file
 * @param {number} first element in the file
 * @param {number} length
 * @returns {Promise<A>}
 */
async function fill(array, { name, handle, offset }, first, length) {
  const size = array.BYTES_PER_ELEMENT;
  try {
    await readExactly(handle, new Uint8Array(array.buffer, 0, length * size), offset + first * size);
  } catch (error) {
    throw readError(name, error);
  }
  return /** @type {A} */ (array.subarray(0, length));
}
