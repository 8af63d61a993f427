// linearCrossEntropy: crossEntropy of the logits that an output layer makes of its input.

import { FLOAT64, type Floats } from '../batch.js';
import { typeError } from '../errors.js';
import { bufferOf, lengthOf, type TypedArray, typeOf } from '../typed-arrays.js';
import type { LayerGradients } from '../types/index.js';
import { checkLength, flag, isList, rejectDetached, rejectOverlap, wrongLength } from './checks.js';
import type { Rules } from './functions.js';
import { layerHint, swapHint } from './hints.js';
import { readEach } from './options.js';
import {
  elementsOf,
  elementType,
  finish,
  newFloats,
  type Prepared,
  rejectOverlaps,
  takeMean,
} from './prepare.js';
import { type RowCall, readRows, rowsName, takeRows, weighRows } from './row-losses.js';
import { labelsHint, type TargetArrays, targetArrays } from './target-arrays.js';

/** An array of the layer, and what is asked of its gradient. */
interface Part {
  name: keyof LayerGradients;
  /** What messages call the gradient. */
  own: string;
  array: TypedArray | null;
  /** Undefined or false, true for a new array, or what must turn out to be an array. */
  asked: unknown;
}

/** An array of the call, and its buffer, which takes 50 ns to get. */
interface Placed {
  name: string;
  array: TypedArray;
  buffer: ArrayBufferLike;
}

type AskedGradients = Record<keyof LayerGradients, unknown>;

const GRADIENTS: ReadonlySet<string> = new Set(['input', 'linearWeight', 'linearBias']);
/** D, in messages. */
const FEATURES = 'linearWeight.length / classes';

/** Checks a call and fills in its defaults. */
export function prepareLayer(
  rules: Rules,
  input: unknown,
  linearWeight: unknown,
  targets: unknown,
  options: unknown,
): Prepared {
  const call = readRows(rules, targets, options);
  const { batch, common, given } = call;
  const { classes } = common;
  const accumulate = flag('accumulate', given.accumulate);
  const hasBias = given.linearBias !== undefined;
  const asked = readGradients(given.gradient, hasBias);
  if (asked !== null && !hasBias) rejectBiasGradient(asked.linearBias);
  if (accumulate) rejectNothingToAddTo(given.gradient, asked);

  // No code of the caller's runs from here on.
  const { logits: name } = rules;
  batch.type = elementType(name, input, given.dtype);
  const x = input as TypedArray;
  const w = layerArray('linearWeight', linearWeight, name, x);
  const features = lengthOf(w) / classes;
  const y = targetArrays(targets, call.mixed, rules, x, { classes, rowStride: features, type: batch.type });
  const of = rowsName(y);
  if (!(features >= 1 && Number.isInteger(features))) {
    const hint = swapHint(name, x, w, y.a, classes);
    throw wrongLength('linearWeight', w, `a multiple of classes = ${classes}, not 0${hint}`);
  }
  batch.rows = y.a === null ? rowsOf(name, x, features) : lengthOf(y.a);
  if (y.a !== null) checkInput(name, x, w, y.a, of, classes, rules.dense);
  const b = hasBias ? layerArray('linearBias', given.linearBias, name, x) : null;
  if (b !== null) checkLength('linearBias', b, classes, 'classes');
  takeRows(call, rules, y, of);
  const parts: readonly Part[] = [
    { name: 'input', own: 'gradient.input', array: x, asked: asked?.input },
    { name: 'linearWeight', own: 'gradient.linearWeight', array: w, asked: asked?.linearWeight },
    { name: 'linearBias', own: 'gradient.linearBias', array: b, asked: asked?.linearBias },
  ];
  const gradients = asked === null ? {} : checkGradients(parts, call, y);

  const { rows, denominator } = weighRows(call, y);
  takeMean(batch, common, denominator, rows);
  parts.forEach((part) => {
    if (part.asked !== true) return;
    gradients[part.name] = newFloats(batch.type, lengthOf(part.array), part.own);
  });
  batch.layer = {
    features,
    rows,
    input: elementsOf(x),
    linearWeight: elementsOf(w),
    linearBias: b === null ? null : elementsOf(b),
    inputGradient: gradients.input ?? null,
    linearWeightGradient: gradients.linearWeight ?? null,
    linearBiasGradient: gradients.linearBias ?? null,
    accumulate,
  };
  return finish(batch, common, asked === null ? null : gradients, denominator, rows, rows, batch.rows);
}

/** Reads option `gradient`; null: no gradient is asked for. */
function readGradients(given: unknown, hasBias: boolean): AskedGradients | null {
  if (given === undefined || given === false) return null;
  if (given === true) return { input: true, linearWeight: true, linearBias: hasBias };
  if (typeof given !== 'object' || given === null || isList(given)) {
    throw typeError('gradient', given, 'true, false or an object { input, linearWeight, linearBias }');
  }
  const asked = { input: undefined, linearWeight: undefined, linearBias: undefined };
  readEach('gradient', given, GRADIENTS, asked);
  return asked;
}

function isAsked(asked: unknown): boolean {
  return asked !== undefined && asked !== false;
}

function rejectBiasGradient(asked: unknown): void {
  if (isAsked(asked)) {
    throw typeError('gradient.linearBias', asked, 'false or undefined where there is no linearBias');
  }
}

/** With `accumulate`: rejects gradients that have nothing to be added to. */
function rejectNothingToAddTo(given: unknown, asked: AskedGradients | null): void {
  if (given === true) {
    throw typeError('gradient', given, 'an object of arrays to add to where accumulate is true');
  }
  const names = ['linearWeight', 'linearBias'] as const;
  names.forEach((name) => {
    if (asked?.[name] !== true) return;
    throw typeError(`gradient.${name}`, true, 'an array to add to where accumulate is true');
  });
  if (names.some((name) => isAsked(asked?.[name]))) return;
  throw typeError('accumulate', true, 'false or undefined without a gradient of linearWeight or linearBias');
}

/** Checks that an array of the layer is of the type of the input. */
function layerArray(name: string, value: unknown, inputName: string, input: TypedArray): TypedArray {
  const type = typeOf(input) as string;
  if (typeOf(value) !== type) {
    throw typeError(name, value, `a ${type}, as ${inputName} is${layerHint(name, value, type)}`);
  }
  if (lengthOf(value) === 0) rejectDetached(name, value as TypedArray);
  return value as TypedArray;
}

/** The number of rows, from the length of the input alone. */
function rowsOf(name: string, input: TypedArray, features: number): number {
  const length = lengthOf(input);
  if (length === 0) rejectDetached(name, input);
  if (length % features === 0) return length / features;
  throw wrongLength(name, input, `a multiple of ${FEATURES} = ${features}`);
}

/** Checks the length of the input against the targets, whose number messages call `of`. */
function checkInput(
  name: string,
  input: TypedArray,
  linearWeight: TypedArray,
  targets: TypedArray,
  of: string,
  classes: number,
  dense: readonly string[],
): void {
  const rows = lengthOf(targets);
  const features = lengthOf(linearWeight) / classes;
  const length = lengthOf(input);
  if (length === 0) rejectDetached(name, input);
  if (length === rows * features) return;
  const hint =
    length * classes === rows * features
      ? labelsHint(targets, classes, dense)
      : swapHint(name, input, linearWeight, targets, classes);
  throw wrongLength(name, input, `${of} · ${FEATURES} = ${rows * features}${hint}`);
}

/** Checks the gradient arrays that are given, and returns them: each must be apart from all other arrays of the call. */
function checkGradients(
  parts: readonly Part[],
  { batch, mask, prior }: RowCall,
  y: TargetArrays,
): Partial<LayerGradients<Floats>> {
  const gradients: Partial<LayerGradients<Floats>> = {};
  const type = batch.type === FLOAT64 ? 'Float64Array' : 'Float32Array';
  const placed: Placed[] = [];
  parts.forEach(({ name, array }) => {
    if (array !== null) placed.push({ name, array, buffer: bufferOf(array) });
  });
  parts.forEach(({ name, own, array, asked }) => {
    if (!isAsked(asked) || asked === true) return;
    // No hint: the caller's own array is written to, and a conversion would make a copy.
    if (typeOf(asked) !== type) throw typeError(own, asked, `true, false or a ${type}`);
    const gradient = asked as Floats;
    checkLength(own, gradient, lengthOf(array), `${name}.length`);
    const buffer = bufferOf(gradient);
    placed.forEach((other) => {
      if (other.buffer === buffer) rejectOverlap(own, gradient, buffer, other.name, other.array);
    });
    rejectOverlaps(own, gradient, buffer, batch, y, mask, prior);
    placed.push({ name: own, array: gradient, buffer });
    gradients[name] = gradient;
  });
  return gradients;
}
