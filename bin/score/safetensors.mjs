// @ts-check
// Tensors in files of the safetensors format: the length of a header in JSON, the header, and the tensors' numbers.
import { readExactly } from './files.mjs';
import { codeOfTensor } from './formats.mjs';
import { ARRAYS, lengthOf, MOST_AXES, tuple } from './types.mjs';
import { UserError } from './user-error.mjs';

/** @import { FileHandle } from 'node:fs/promises' */
/** @import { Type } from './types.mjs' */
/** @typedef {{ dtype: string, shape: number[], begin: number, end: number }} Tensor */

const LARGEST_HEADER = 100_000_000; // of the format
const NAMED = 10;
const LONGEST_NAME = 100; // in an error

const TYPES = /** @type {Map<string, Type>} */ (
  new Map([
    ['F64', 'float64'],
    ['F32', 'float32'],
    ['F16', 'float16'],
    ['BF16', 'bfloat16'],
    ['I64', 'int64'],
    ['I32', 'int32'],
    ['I16', 'int16'],
    ['I8', 'int8'],
    ['U64', 'uint64'],
    ['U32', 'uint32'],
    ['U16', 'uint16'],
    ['U8', 'uint8'],
    ['BOOL', 'bool'],
  ])
);

/**
 * The file and the tensor of `file.safetensors:tensor`; undefined if another kind of file is named.
 * @param {string} input
 * @returns {{ path: string, tensor: string | undefined } | undefined}
 */
export function splitName(input) {
  const [, path, tensor] = /^(.*?\.safetensors)(?::(.+))?$/is.exec(input) ?? [];
  return path === undefined ? undefined : { path, tensor };
}

/**
 * What a tensor is and where, if the file holds what its header says.
 * @param {FileHandle} handle
 * @param {number} size
 * @param {string} path
 * @param {string | undefined} asked name of the tensor; a file with a single one needs none
 */
export async function readSafetensors(handle, size, path, asked) {
  if (size === 0) throw new UserError('is empty');
  if (size < 8) throw new UserError('ends within its header');
  const start = Buffer.alloc(8);
  await readExactly(handle, start, 0);
  const length = start.readBigUInt64LE();
  if (length > LARGEST_HEADER) {
    throw new UserError(`has a header of ${length} bytes: the most is ${LARGEST_HEADER}`);
  }
  const offset = 8 + Number(length);
  if (size < offset) throw new UserError('ends within its header');
  const header = Buffer.alloc(Number(length));
  await readExactly(handle, header, 8);
  const tensors = parseHeader(header);
  mustFill(tensors, size - offset);

  const name = choose(tensors, path, asked);
  const { dtype, shape, begin } = /** @type {Tensor} */ (tensors.get(name));
  const type = TYPES.get(dtype);
  if (!type) {
    throw new UserError(`holds ${quoted(name)} of type ${dtype}: must be of floats, integers or booleans`);
  }
  return { tensor: name, load: codeOfTensor(path, name, type), type, shape, offset: offset + begin };
}

/** @param {string} name */
const quoted = (name) =>
  JSON.stringify(name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name);

/** @param {Buffer} bytes */
function parseHeader(bytes) {
  const fail = (/** @type {string} */ what) => new UserError(`has a header ${what}`);
  /** @type {unknown} */
  let header;
  let text = '';
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch {
    throw fail('that is not JSON');
  }
  if (!text.startsWith('{')) throw fail('that is no JSON object');

  /** @type {Map<string, Tensor>} */
  const tensors = new Map();
  let pairs = 0;
  for (const [name, value] of Object.entries(/** @type {object} */ (header))) {
    if (name === '__metadata__') {
      if (!isObject(value) || !Object.values(value).every((each) => typeof each === 'string')) {
        throw fail('whose __metadata__ is not an object of strings');
      }
      pairs += 1 + Object.keys(value).length;
    } else {
      const tensor = tensorOf(value);
      if (!tensor) throw fail(`whose ${quoted(name)} is not of dtype, shape and data_offsets`);
      tensors.set(name, tensor);
      pairs += 4;
    }
  }
  // Of two equal names JSON.parse takes the last one.
  if (countPairs(text) !== pairs) throw fail('with a name that is there twice');
  return tensors;
}

/**
 * @param {unknown} value
 * @returns {value is object}
 */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * @param {unknown} value
 * @returns {Tensor | undefined}
 */
function tensorOf(value) {
  if (!isObject(value) || Object.keys(value).sort().join() !== 'data_offsets,dtype,shape') return undefined;
  const { dtype, shape, data_offsets: offsets } = /** @type {Record<string, unknown>} */ (value);
  const areSizes = (/** @type {unknown} */ list) =>
    Array.isArray(list) && list.length <= MOST_AXES && list.every((n) => Number.isSafeInteger(n) && n >= 0);
  if (typeof dtype !== 'string' || !/^\w{1,20}$/.test(dtype)) return undefined;
  if (!areSizes(shape) || !areSizes(offsets)) return undefined;
  const [begin, end, ...more] = /** @type {number[]} */ (offsets);
  if (end === undefined || more.length > 0) return undefined;
  return { dtype, shape: /** @type {number[]} */ (shape), begin, end };
}

/**
 * The names in a valid JSON text: each is followed by a colon outside of strings.
 * @param {string} text
 */
function countPairs(text) {
  let count = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '"') inString = !inString;
    else if (char === '\\') i++;
    else if (char === ':' && !inString) count++;
  }
  return count;
}

/**
 * Tensors must be as long as their shapes say, and stand one after the other, up to the end of the file.
 * @param {Map<string, Tensor>} tensors
 * @param {number} size of the data
 */
function mustFill(tensors, size) {
  let at = 0;
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  for (const [name, { dtype, shape, begin, end }] of inOrder) {
    if (begin !== at) {
      throw new UserError(
        `has a header whose ${quoted(name)} begins at byte ${begin} of the data: must be ${at}, without gap or overlap`,
      );
    }
    if (end < begin) throw new UserError(`has a header whose ${quoted(name)} ends before it begins`);
    const type = TYPES.get(dtype);
    const bytes = type ? lengthOf(shape) * ARRAYS[type].BYTES_PER_ELEMENT : end - begin;
    if (end - begin !== bytes) {
      throw new UserError(
        `has a header whose ${quoted(name)} is ${end - begin} bytes, and ${bytes} for ${dtype} ${tuple(shape)}`,
      );
    }
    at = end;
  }
  if (at === size) return;
  throw new UserError(
    `holds ${size} bytes of data, ${at} for its tensors: it is ${size < at ? 'truncated' : 'too long'}`,
  );
}

/**
 * @param {Map<string, Tensor>} tensors
 * @param {string} path
 * @param {string | undefined} asked
 */
function choose(tensors, path, asked) {
  const names = [...tensors.keys()];
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  const list = `${names.slice(0, NAMED).map(quoted).join(', ')}${more}`;
  if (names.length === 0) throw new UserError('holds no tensor');
  if (asked !== undefined && !tensors.has(asked)) {
    throw new UserError(`holds no tensor ${quoted(asked)}, but ${list}`);
  }
  if (asked === undefined && names.length > 1) {
    throw new UserError(`holds ${list}: say which, as in ${path}:${quoted(names[0]).slice(1, -1)}`);
  }
  return asked ?? names[0];
}
