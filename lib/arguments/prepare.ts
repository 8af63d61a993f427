// The steps that prepare a batch, shared by the losses: arrays of the logits' type, dense arrays and masks, the gradient, and
// the mean.

import {
  type Batch,
  BFLOAT16,
  type Elements,
  FLOAT16,
  FLOAT32,
  FLOAT64,
  type Floats,
  TYPES,
} from '../batch.js';
import { allocate, coded, rangeError, typeError } from '../errors.js';
import {
  bufferOf,
  byteLengthOf,
  byteOffsetOf,
  Float16,
  INDEX_ARRAYS,
  lengthOf,
  type TypedArray,
  typeOf,
} from '../typed-arrays.js';
import type { LayerGradients } from '../types/index.js';
import {
  checkLength,
  checkRange,
  floatsOf,
  MAX_FLOAT,
  rejectDetached,
  rejectOverlap,
  wrongArray,
  wrongLength,
} from './checks.js';
import type { NormalizerName } from './functions.js';
import { classesHint } from './hints.js';
import type { Common, Execution } from './options.js';
import { widenFactors } from './smoothing.js';
import type { TargetArrays } from './target-arrays.js';

/** A call ready for a backend. */
export interface Prepared extends Outcome {
  batch: Batch;
  execution: Execution;
}

/** All that the result needs beside the sums. */
export interface Outcome {
  reduction: 'mean' | 'sum' | 'none';
  denominator: number;
  rows: number;
  /** The rows or elements that take part: metrics are means over them. */
  parts: number;
  /** The mean where the denominator is 0. */
  empty: number;
  metrics: boolean;
  losses: Floats | null;
  /** The gradient that the caller gets: of linearCrossEntropy an object of arrays. */
  gradient: TypedArray | Partial<LayerGradients<Floats>> | null;
  perRow: PerRowArrays | null;
}

/** `perRow` of a result. */
export interface PerRowArrays {
  loss?: Floats;
  nll?: Floats;
  lse?: Floats;
  entropy?: Floats;
  prediction?: Int32Array;
}

const LOGITS =
  "a Float32Array, Float64Array, Float16Array, or a Uint16Array with dtype 'float16' or 'bfloat16'";

/** The type of logits, as Batch has it. */
export function elementType(name: string, logits: unknown, dtype: unknown): number {
  const type = typeOf(logits);
  if (type === 'Uint16Array') {
    if (dtype === 'float16') return FLOAT16;
    if (dtype === 'bfloat16') return BFLOAT16;
    const expected = `'float16' or 'bfloat16' where ${name} is a Uint16Array`;
    throw typeof dtype === 'string'
      ? rangeError('dtype', dtype, expected)
      : typeError('dtype', dtype, expected);
  }
  if (type !== 'Float32Array' && type !== 'Float64Array' && type !== 'Float16Array') {
    throw wrongArray(name, logits, LOGITS, 'logits');
  }
  const found = type === 'Float32Array' ? FLOAT32 : type === 'Float64Array' ? FLOAT64 : FLOAT16;
  if (dtype !== undefined && dtype !== TYPES[found]) {
    throw typeError('dtype', dtype, `'${TYPES[found]}' or undefined where ${name} is a ${type}`);
  }
  return found;
}

/** The array that kernels take: half floats as bits. */
export function elementsOf(array: TypedArray): Elements {
  return typeOf(array) === 'Float16Array'
    ? new Uint16Array(bufferOf(array), byteOffsetOf(array), lengthOf(array))
    : (array as Elements);
}

/** A new array of floats in the precision of the arithmetic. An error for lack of memory says `what` it is for. */
export function newFloats(type: number, length: number, what: string): Floats {
  return allocate<Floats>(what, type === FLOAT64 ? Float64Array : Float32Array, length);
}

const NEW_ARRAYS: Record<string, new (length: number) => TypedArray> = {
  Float32Array,
  Float64Array,
  Uint16Array,
  ...(Float16 && { Float16Array: Float16 }),
};

/** A new array of the type and length of the logits. */
function newLike(logits: TypedArray, what: string): TypedArray {
  return allocate(what, NEW_ARRAYS[typeOf(logits) as string], lengthOf(logits));
}

/** Checks that there are logits for `rows` rows, a number that messages call `of`, and puts them into the batch. */
export function takeLogits(batch: Batch, name: string, logits: TypedArray, rows: number, of: string): void {
  const { classes, rowStride, inner } = batch;
  const length = lengthOf(logits);
  if (inner !== 1 && rows % inner !== 0) {
    throw coded(
      new RangeError(`${of} is ${rows}: must be a multiple of inner = ${inner}`),
      'ERR_LENGTH_MISMATCH',
    );
  }
  const least = rows === 0 ? 0 : (rows - 1) * rowStride + classes;
  if (length === 0 || length !== least) checkLogits(name, logits, rows, of, least, batch);
  batch.rows = rows;
  batch.logits = elementsOf(logits);
}

function checkLogits(
  name: string,
  logits: TypedArray,
  rows: number,
  of: string,
  least: number,
  { classes, rowStride }: Batch,
): void {
  if (rowStride === classes || rows === 0) {
    checkLength(name, logits, least, `${of} · ${rowStride === classes ? 'classes' : 'rowStride'}`);
    return;
  }
  const length = lengthOf(logits);
  if (length >= least && length <= rows * rowStride) return;
  rejectDetached(name, logits);
  const most = `${of} · rowStride = ${rows * rowStride}`;
  throw wrongLength(name, logits, `${most}, or down to ${least} without the end of the last row`);
}

/** The number of rows, from the length of the logits alone. */
export function rowsOf(name: string, logits: TypedArray, { classes, rowStride, inner }: Batch): number {
  const length = lengthOf(logits);
  if (length === 0) rejectDetached(name, logits);
  if (rowStride === classes) {
    if (length % (classes * inner) === 0) return length / classes;
    const product = inner === 1 ? 'classes' : 'classes · inner';
    throw wrongLength(name, logits, `a multiple of ${product} = ${classes * inner}`);
  }
  const rows = Math.ceil(length / rowStride);
  if (length === 0 || length >= (rows - 1) * rowStride + classes) return rows;
  const least = rowStride - classes;
  throw wrongLength(name, logits, `a multiple of rowStride = ${rowStride}, or up to ${least} less`);
}

/** A dense array's row stride: rows follow each other, or lie as those of the logits. −1: the length fits neither. */
export function strideOf(array: TypedArray, { rows, classes, rowStride, logits }: Batch): number {
  const length = lengthOf(array);
  if (length === rows * classes) return classes;
  return rowStride !== classes && length === lengthOf(logits) ? rowStride : -1;
}

/** The length that a dense array must have, for messages. */
export function denseLength(of: string, { rows, classes, rowStride, logits }: Batch, name: string): string {
  const own = `${of} · classes = ${rows * classes}`;
  return rowStride === classes ? own : `${own}, or ${name}.length = ${lengthOf(logits)}`;
}

/** The index of a row's first element in a dense array; the others follow `inner` apart. */
export function startOf(row: number, stride: number, { classes, inner }: Batch): number {
  return inner === 1 ? row * stride : (row - (row % inner)) * classes + (row % inner);
}

/** Checks dense targets, and puts them into the batch. `classTargets`: the function takes classes too. */
export function takeDense(
  batch: Batch,
  dense: TypedArray,
  of: string,
  logits: string,
  classTargets: boolean,
): void {
  const stride = strideOf(dense, batch);
  if (stride < 0) {
    const hint = lengthOf(dense) === batch.rows ? notClasses(dense, classTargets) : '';
    throw wrongLength('targets', dense, denseLength(of, batch, logits) + hint);
  }
  batch.dense = dense as Floats | Uint8Array;
  batch.denseStride = stride;
}

/** The end of a message on dense targets that look like classes. */
export function notClasses(dense: TypedArray, classTargets: boolean): string {
  const hint = classesHint(dense, classTargets);
  return `; in a ${typeOf(dense)} they are numbers for each class, not classes${hint}`;
}

const MASK = 'an array of integers, such as a Uint8Array or BigInt64Array';

/** Checks that a mask is an array of integers, of any type. */
export function maskOf(given: unknown): TypedArray {
  const type = typeOf(given) as string;
  if (INDEX_ARRAYS.has(type) || type === 'Uint8ClampedArray') return given as TypedArray;
  throw wrongArray('mask', given, MASK, 'flags');
}

/** Checks a mask with one number per row; undefined becomes null. */
export function rowMask(given: unknown, rows: number, of: string): TypedArray | null {
  if (given === undefined) return null;
  const mask = maskOf(given);
  checkLength('mask', mask, rows, of);
  return mask;
}

/** A mask as bytes that are 0 where it is: its own memory if its numbers are bytes, else a copy. */
export function maskBytes(mask: TypedArray): Uint8Array {
  const length = lengthOf(mask);
  const bytes = byteLengthOf(mask);
  if (typeOf(mask) === 'Uint8Array') return mask as Uint8Array;
  if (bytes === length) return new Uint8Array(bufferOf(mask), byteOffsetOf(mask), length);
  const copy = allocate('a copy of the mask', Uint8Array, length);
  if (bytes === 8 * length) {
    // Reading BigInts is slow.
    const words = new Int32Array(bufferOf(mask), byteOffsetOf(mask), 2 * length);
    for (let i = 0; i < length; i++) copy[i] = (words[2 * i] | words[2 * i + 1]) === 0 ? 0 : 1;
  } else {
    const numbers = mask as ArrayLike<number>;
    for (let i = 0; i < length; i++) copy[i] = numbers[i] === 0 ? 0 : 1;
  }
  return copy;
}

/** Checks the upstream gradient, a number or an array as floatsOf takes it, and puts it into the batch. */
export function takeGradientScale(batch: Batch, given: unknown, of: string, logits: string): void {
  if (typeof given === 'number') {
    batch.gradientScale = given;
    return;
  }
  const scales = floatsOf('gradientScale', given, batch.type === FLOAT64, logits, 'a number');
  checkLength('gradientScale', scales, batch.rows, of);
  checkRange('gradientScale', scales, -MAX_FLOAT, MAX_FLOAT, 'a finite number');
  batch.gradientScales = scales;
}

/**
 * Checks the caller's gradient array, which must overlap no other; null if there is none. The batch has its inputs
 * already.
 */
export function gradientArray(
  given: unknown,
  name: string,
  logits: TypedArray,
  batch: Batch,
  targets: TargetArrays,
  mask: TypedArray | null,
  prior: Floats | null,
): TypedArray | null {
  if (given === undefined || typeof given === 'boolean') return null;
  const type = typeOf(logits) as string;
  // No hint: the caller's own array is written to, and a conversion would make a copy.
  if (typeOf(given) !== type) throw typeError('gradient', given, `true, false or a ${type}`);
  const gradient = given as TypedArray;
  checkLength('gradient', gradient, lengthOf(logits), `${name}.length`);
  const buffer = bufferOf(gradient);
  if (
    gradient !== logits &&
    !(bufferOf(logits) === buffer && byteOffsetOf(logits) === byteOffsetOf(gradient))
  ) {
    const exception = ' (to work in place, pass the very same elements)';
    rejectOverlap('gradient', gradient, buffer, name, logits, exception);
  }
  rejectOverlaps('gradient', gradient, buffer, batch, targets, mask, prior);
  return gradient;
}

/** Rejects arrays of the batch that share memory with a gradient, which is on `buffer` and called `own`. */
export function rejectOverlaps(
  own: string,
  gradient: TypedArray,
  buffer: ArrayBufferLike,
  batch: Batch,
  { name: a, a: classes, b, lambdas }: TargetArrays,
  mask: TypedArray | null,
  prior: Floats | null,
): void {
  rejectOverlap(own, gradient, buffer, a, classes);
  rejectOverlap(own, gradient, buffer, 'targets.b', b);
  rejectOverlap(own, gradient, buffer, 'targets.lambda', lambdas);
  rejectOverlap(own, gradient, buffer, 'targets', batch.dense);
  rejectOverlap(own, gradient, buffer, 'weight', batch.weight);
  rejectOverlap(own, gradient, buffer, 'posWeight', batch.posWeight);
  rejectOverlap(own, gradient, buffer, 'rowWeight', batch.rowWeight);
  rejectOverlap(own, gradient, buffer, 'mask', mask);
  rejectOverlap(own, gradient, buffer, 'labelSmoothing.epsilon', batch.epsilons);
  rejectOverlap(own, gradient, buffer, 'labelSmoothing.prior', prior);
  rejectOverlap(own, gradient, buffer, 'gradientScale', batch.gradientScales);
}

/** The denominator of the mean that a normalizer names. */
export function denominatorOf(
  normalizer: NormalizerName | number,
  weight: number,
  rows: number,
  elements: number,
  all: number,
): number {
  switch (normalizer) {
    case 'weight':
      return weight;
    case 'rows':
      return rows;
    case 'elements':
      return elements;
    case 'all':
      return all;
    default:
      return normalizer;
  }
}

/** Adds the mean to the batch. An empty mean and a lack of memory are the last errors of a call. */
export function takeMean(batch: Batch, common: Common, denominator: number, rows: number): void {
  const { reduction, whenEmpty } = common;
  if (reduction !== 'mean' && reduction !== 'batchmean') return;
  if (denominator === 0 && whenEmpty === 'error') {
    throw coded(
      new RangeError(
        `the mean is empty: of ${batch.rows} rows, ${rows} take part, and their weights sum to 0`,
      ),
      'ERR_EMPTY',
    );
  }
  // Finite, so that a row with weight 0 has gradient 0; no gradient needs a larger number.
  batch.gradientScale =
    denominator === 0 ? 0 : Math.max(-1e300, Math.min(1e300, batch.gradientScale / denominator));
}

/** The gradient by the logits: the caller's array, or if it was asked for a new one; null: neither. */
export function takeGradient(
  batch: Batch,
  asked: unknown,
  logits: TypedArray,
  gradient: TypedArray | null,
): TypedArray | null {
  const written = asked === true ? newLike(logits, 'the gradient') : gradient;
  if (written !== null) batch.gradient = elementsOf(written);
  return written;
}

/** Adds the other new arrays to the batch, which has its mean and `gradient` already. */
export function finish(
  batch: Batch,
  common: Common,
  gradient: Outcome['gradient'],
  denominator: number,
  rows: number,
  parts: number,
  lossLength: number,
): Prepared {
  const { reduction, whenEmpty, perRow } = common;
  widenFactors(batch);
  if (reduction === 'none') batch.losses = newFloats(batch.type, lossLength, 'the losses');
  batch.metrics = common.metrics;
  return {
    batch,
    execution: common.execution,
    reduction: reduction === 'batchmean' ? 'mean' : reduction,
    denominator,
    rows,
    parts,
    empty: whenEmpty === 'zero' ? 0 : NaN,
    metrics: batch.metrics,
    losses: batch.losses,
    gradient,
    perRow: perRow === null ? null : takePerRow(batch, perRow),
  };
}

function takePerRow(batch: Batch, names: readonly string[]): PerRowArrays {
  const { type, rows } = batch;
  const arrays: PerRowArrays = {};
  const floats = (name: string) => newFloats(type, rows, `perRow.${name}`);
  if (names.includes('loss')) arrays.loss = batch.rowLoss = floats('loss');
  if (names.includes('nll')) arrays.nll = batch.rowNll = floats('nll');
  if (names.includes('lse')) arrays.lse = batch.rowLse = floats('lse');
  if (names.includes('entropy')) arrays.entropy = batch.rowEntropy = floats('entropy');
  if (names.includes('prediction'))
    arrays.prediction = batch.prediction = allocate('perRow.prediction', Int32Array, rows);
  return arrays;
}
