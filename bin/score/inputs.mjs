// @ts-check
import { named, openArray } from './arrays.mjs';
import { checkWritable } from './files.mjs';
import { convert } from './formats.mjs';
import { filesOf } from './journal.mjs';
import { kindOfTargets } from './targets.mjs';
import { fileError, UserError } from './user-error.mjs';
import { readWeights } from './weights.mjs';

/** @import { Shard } from './blocks.mjs' */
/** @import { ArrayFile } from './arrays.mjs' */
/** @typedef {Awaited<ReturnType<typeof openInputs>>} Inputs */

const MOST_CLASSES = 2 ** 31 - 1; // of the package

/**
 * Opens logits, targets and weights, and checks that they fit together. The caller closes them.
 * @param {object} options
 * @param {string} options.logits
 * @param {string} options.targets
 * @param {string} options.out
 * @param {string | undefined} [options.weight]
 * @param {'float16' | 'bfloat16' | undefined} options.dtype
 * @param {number[] | undefined} options.ignoreIndex
 * @param {Shard | undefined} [options.shard]
 * @param {number | undefined} [options.merge]
 */
export async function openInputs(options) {
  /** @type {ArrayFile[]} */
  const opened = [];
  try {
    const { logits: x, targets: y, weight: w } = options;
    for (const input of w === undefined ? [x, y] : [x, y, w]) opened.push(await openArray(input));
    const [logits, targets, weights] = opened;
    await checkWritable(options.out, filesOf(options), opened);
    const matched = match(logits, targets, options);
    const weight = weights && (await readWeights(weights, matched.classes));
    return { files: opened, logits, targets, weights, weight, ...matched };
  } catch (error) {
    await Promise.all(opened.map(({ handle }) => handle.close()));
    throw fileError(options.out, 'written', error);
  }
}

/** @param {Inputs} inputs */
export async function closeInputs({ files }) {
  await Promise.all(files.map(({ handle }) => handle.close()));
}

/**
 * Losses of two files in one would be of no use.
 * @param {Inputs} inputs
 */
export async function checkUnchanged({ files }) {
  for (const { name, handle, size, modified, changed } of files) {
    const stat = await handle.stat({ bigint: true });
    if (Number(stat.size) !== size || stat.mtimeNs !== modified || stat.ctimeNs !== changed) {
      throw new UserError(`${name} was changed while it was read: --restart scores it anew`);
    }
  }
}

/**
 * @param {ArrayFile} logits
 * @param {ArrayFile} targets
 * @param {Parameters<typeof openInputs>[0]} options
 */
function match(logits, targets, options) {
  const dtype = dtypeOf(logits, options.dtype);
  if (logits.shape.length < 2) {
    const code = convert(logits, (array) => `${array}.reshape(-1, C)`);
    throw new UserError(
      `${named(logits)}: logits must have two axes or more, the last one for the classes; ` +
        `if there are C of them: ${code}`,
    );
  }
  const shape = logits.shape.slice(0, -1);
  const classes = logits.shape[logits.shape.length - 1];
  if (classes === 0) throw new UserError(`${named(logits)}: there are no classes`);
  if (classes > MOST_CLASSES) {
    throw new UserError(`${named(logits)}: there must not be more than ${MOST_CLASSES} classes`);
  }
  const soft = kindOfTargets(targets, logits) === 'probabilities';
  if (soft && options.ignoreIndex) {
    throw new UserError('--ignore-index is for targets that are classes, not probabilities');
  }
  return { rows: logits.length / classes, classes, shape, soft, dtype };
}

/**
 * What `crossEntropy` must be told about the logits.
 * @param {ArrayFile} logits
 * @param {'float16' | 'bfloat16' | undefined} asked
 */
function dtypeOf(logits, asked) {
  switch (logits.type) {
    case 'uint16':
    case 'void16':
      if (!asked) throw new UserError(`${named(logits)}: say with --dtype if these are bfloat16 or float16`);
      return asked;
    case 'bfloat16':
    case 'float16':
    case 'float32':
    case 'float64': {
      if (asked && asked !== logits.type) {
        throw new UserError(`${named(logits)}, not ${asked}: --dtype is for logits of type uint16`);
      }
      return logits.type === 'bfloat16' || logits.type === 'float16' ? logits.type : undefined;
    }
    default:
      throw new UserError(
        `${named(logits)}: logits must be floats, or uint16 with --dtype: ` +
          convert(logits, (array) => `${array}.astype(np.float32)`),
      );
  }
}
