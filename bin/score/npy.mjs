// @ts-check
// Files in NumPy's .npy format, versions 1.0 to 3.0, as the documentation of numpy.lib.format describes them.
import { readExactly } from './files.mjs';
import { convert, notNpy } from './formats.mjs';
import { parseLiteral } from './literal.mjs';
import { ARRAYS, lengthOf, MOST_AXES, tuple } from './types.mjs';
import { UserError } from './user-error.mjs';

/** @import { FileHandle } from 'node:fs/promises' */
/** @import { Type } from './types.mjs' */

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const LARGEST_HEADER = 2 ** 16;

const KINDS = /** @type {Record<string, string>} */ ({ f: 'float', i: 'int', u: 'uint', V: 'void' });

/**
 * What is in a file and where, if it holds what its header says.
 * @param {FileHandle} handle
 * @param {number} size
 * @param {string} path
 */
export async function readNpy(handle, size, path) {
  const start = Buffer.alloc(Math.min(size, 12 + LARGEST_HEADER));
  await readExactly(handle, start, 0);
  const { type, shape, offset } = parseHeader(start, path);
  const bytes = lengthOf(shape) * ARRAYS[type].BYTES_PER_ELEMENT;
  if (size - offset !== bytes) {
    throw new UserError(
      `holds ${size - offset} bytes of data, ${bytes} for the shape ${tuple(shape)} of its header: ` +
        `it is ${size - offset < bytes ? 'truncated' : 'too long'}`,
    );
  }
  return { type, shape, offset };
}

/**
 * @param {Buffer} start the file's first bytes, with the whole header
 * @param {string} path
 */
function parseHeader(start, path) {
  if (start.length === 0) throw new UserError('is empty');
  if (!start.subarray(0, 6).equals(MAGIC)) throw new UserError(notNpy(path, start));
  if (start.length < 10) throw new UserError('ends within its header');
  const [major, minor] = start.subarray(6);
  if (major < 1 || major > 3 || minor !== 0) {
    throw new UserError(`is of version ${major}.${minor} of the .npy format: must be 1.0, 2.0 or 3.0`);
  }
  const begin = major === 1 ? 10 : 12;
  if (start.length < begin) throw new UserError('ends within its header');
  const length = major === 1 ? start.readUInt16LE(8) : start.readUInt32LE(8);
  if (length > LARGEST_HEADER) {
    throw new UserError(`has a header of ${length} bytes: the most is ${LARGEST_HEADER}`);
  }
  const offset = begin + length;
  if (start.length < offset) throw new UserError('ends within its header');
  const text = start.toString(major === 3 ? 'utf8' : 'latin1', begin, offset);

  const fields = parseLiteral(text);
  if (!(fields instanceof Map) || [...fields.keys()].sort().join() !== 'descr,fortran_order,shape') {
    throw new UserError(`has a header that is no dictionary of 'descr', 'fortran_order' and 'shape'`);
  }
  const type = typeOf(fields.get('descr'), path);
  const shape = fields.get('shape');
  if (!Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw new UserError('has a header whose shape is not a tuple of sizes');
  }
  if (shape.length > MOST_AXES) throw new UserError(`has ${shape.length} axes: the most is ${MOST_AXES}`);
  const order = fields.get('fortran_order');
  if (typeof order !== 'boolean')
    throw new UserError('has a header whose fortran_order is not True or False');
  // With one axis that is longer than 1 there is only one order.
  if (order && shape.filter((n) => n > 1).length > 1) {
    const code = convert({ path }, (array) => `np.ascontiguousarray(${array})`);
    throw new UserError(`is in Fortran order: must be in C order: ${code}`);
  }
  return { type, shape: /** @type {number[]} */ (shape), offset };
}

/**
 * @param {unknown} descr
 * @param {string} path
 * @returns {Type}
 */
function typeOf(descr, path) {
  const as = (/** @type {string} */ type, options = '') =>
    convert({ path }, (array) => `${array}.astype(${type})`, options);
  if (typeof descr !== 'string') {
    const field = Array.isArray(descr) ? descr.flat()[0] : undefined;
    const code = convert({ path }, (array) => `${array}[${JSON.stringify(field ?? 'name')}]`);
    throw new UserError(`is of a structured type: must be of numbers, such as one field: ${code}`);
  }
  const [, order, kind, size] = /^([<>|=])([a-zA-Z])(\d+)$/.exec(descr) ?? [];
  if (descr.endsWith('O')) {
    const code = as('np.float64', ', allow_pickle=True');
    throw new UserError(`holds Python objects: must be of numbers; if you trust the file: ${code}`);
  }
  if (kind === 'U' || kind === 'S') {
    throw new UserError(`holds strings: must be of numbers; if they are numerals: ${as('np.float64')}`);
  }
  const type = kind === 'b' ? 'bool' : `${KINDS[kind]}${8 * Number(size)}`;
  if (type === 'float96' || type === 'float128') {
    throw new UserError(`is of type "${descr}": must be float64 at most: ${as('np.float64')}`);
  }
  if (order === undefined || !Object.hasOwn(ARRAYS, type)) {
    throw new UserError(`is of type ${JSON.stringify(descr)}: must be of floats, integers or booleans`);
  }
  if (order === '>' && Number(size) > 1) {
    const code = as(`'<${kind}${size}', order='C'`);
    throw new UserError(`is big-endian (${descr}): must be little-endian: ${code}`);
  }
  return /** @type {Type} */ (type);
}

/**
 * The header as NumPy writes it: the numbers after it start at a multiple of 64.
 * @param {'float32' | 'float64'} type
 * @param {readonly number[]} shape
 */
export function formatHeader(type, shape) {
  const descr = `<f${ARRAYS[type].BYTES_PER_ELEMENT}`;
  const fields = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple(shape)}, }`;
  const length = 64 * Math.ceil((10 + fields.length + 1) / 64) - 10;
  const start = Buffer.alloc(10);
  MAGIC.copy(start);
  start[6] = 1;
  start.writeUInt16LE(length, 8);
  return Buffer.concat([start, Buffer.from(`${fields.padEnd(length - 1)}\n`, 'latin1')]);
}
