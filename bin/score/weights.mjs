// @ts-check
import { named } from './arrays.mjs';
import { readExactly } from './files.mjs';
import { convert } from './formats.mjs';
import { readError, UserError } from './user-error.mjs';

/** @import { ArrayFile } from './arrays.mjs' */

/**
 * The weight of each class.
 * @param {ArrayFile} file
 * @param {number} classes
 */
export async function readWeights(file, classes) {
  const { name, handle, offset, type, length, Values } = file;
  if (length !== classes) {
    throw new UserError(`${named(file)}: weights must be as many as classes, ${classes}`);
  }
  if (!/^(float(32|64)|u?int\d+)$/.test(type)) {
    const code = convert(file, (array) => `${array}.astype(np.float32)`);
    throw new UserError(`${named(file)}: weights must be float32, float64 or integers: ${code}`);
  }
  const values = new Values(length);
  try {
    await readExactly(handle, new Uint8Array(values.buffer), offset);
  } catch (error) {
    throw readError(name, error);
  }
  const weights = Float32Array.from(values, Number);
  const bad = weights.findIndex((weight) => !(weight >= 0 && weight < Number.POSITIVE_INFINITY));
  if (bad >= 0) {
    throw new UserError(`${name}: the weight of class ${bad} is ${values[bad]}: must be finite and ≥ 0`);
  }
  return weights;
}
