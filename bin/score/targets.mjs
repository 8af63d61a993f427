// @ts-check
import { named } from './arrays.mjs';
import { convert } from './formats.mjs';
import { inWords } from './indices.mjs';
import { tuple } from './types.mjs';
import { UserError } from './user-error.mjs';

/** @import { ArrayFile } from './arrays.mjs' */

/** @type {(a: readonly number[], b: readonly number[]) => boolean} */
const same = (a, b) => a.length === b.length && a.every((n, i) => n === b[i]);

/** Axes of length 1 do not change which element is which. */
const squeezed = (/** @type {readonly number[]} */ shape) => shape.filter((n) => n !== 1);

/**
 * Whether targets are probabilities, one for each logit, or classes, one for each row.
 * @param {ArrayFile} targets
 * @param {ArrayFile} logits of two axes or more
 */
export function kindOfTargets(targets, logits) {
  const { type, shape } = targets;
  const fail = (/** @type {string} */ message) => new UserError(`${named(targets)}: ${message}`);
  if (!/^(bool|u?int|b?float)/.test(type)) throw fail('targets must be integers, booleans or floats');

  const rowShape = logits.shape.slice(0, -1);
  const rows = rowShape.reduce((product, n) => product * n, 1);
  const perRow = (/** @type {readonly number[]} */ ofRows) => same(squeezed(shape), squeezed(ofRows));
  const perLogit = same(shape, logits.shape);
  const isFloat = type.includes('float');
  const fits = perRow(rowShape) || perRow([rows]);
  if (type.endsWith('float16') && (fits || perLogit)) {
    const code = convert(targets, (array) => `${array}.astype(${perLogit ? 'np.float32' : 'np.int64'})`);
    throw fail(`float targets must be float32 or float64: ${code}`);
  }
  if (isFloat && perLogit) return 'probabilities';
  if (fits) return 'classes';
  if (perLogit) {
    const code = convert(targets, (array) => `${array}.argmax(-1)`);
    throw fail(`must be floats, or one class for each row; if each row has a single 1: ${code}`);
  }
  if (logits.shape.length > 2 && perRow(logits.shape.toSpliced(1, 1))) {
    const code = convert(logits, (array) => `np.ascontiguousarray(np.moveaxis(${array}, 1, -1))`);
    throw fail(`of the logits, ${tuple(logits.shape)}, the last axis must be that of the classes: ${code}`);
  }
  const flat = rowShape.length > 1 ? ` or ${tuple([rows])}` : '';
  throw fail(
    `targets must be classes of the shape ${tuple(rowShape)}${flat}, ` +
      `or probabilities of the shape of the logits, ${tuple(logits.shape)}`,
  );
}

/**
 * Classes that are stored as floats.
 * @param {ArrayFile} file
 * @param {Float32Array | Float64Array} values
 * @param {number} first
 */
export function wholeNumbers(file, values, first) {
  const classes = new Int32Array(values);
  const bad = values.findIndex((value, i) => value !== classes[i]);
  if (bad < 0) return classes;
  const what = `${file.name}: targets[${inWords(first + bad, file.shape)}] is ${values[bad]}`;
  if (!Number.isNaN(values[bad])) throw new UserError(`${what}: must be a class, a whole number below 2^31`);
  const code = convert(file, (array) => `np.nan_to_num(${array}, nan=-100)`);
  throw new UserError(`${what}: must be a class; if such rows are to be ignored: ${code}`);
}
