// Plain JSON calls into what the functions take.

import type { Call, CallOptions, FunctionName } from './calls.js';
import { encode, type NumberType } from './numbers.js';
import type { OracleLabelSmoothing, OracleTargets } from './oracle.js';

/** Numbers, and the strings "NaN", "Infinity" and "-Infinity". */
export type Numbers = readonly (number | string)[];

/** Options with arrays of numbers where the functions take typed arrays. */
export interface PlainOptions
  extends Omit<
    CallOptions,
    'labelSmoothing' | 'weight' | 'posWeight' | 'rowWeight' | 'mask' | 'gradientScale'
  > {
  labelSmoothing?:
    | number
    | (Omit<OracleLabelSmoothing, 'epsilon' | 'prior'> & { epsilon: number | Numbers; prior?: Numbers });
  weight?: Numbers;
  posWeight?: Numbers;
  rowWeight?: Numbers;
  mask?: Numbers;
  gradientScale?: number | Numbers;
}

export type PlainTargets =
  | { type: 'index' | 'float32' | 'float64' | 'uint8'; values: Numbers }
  | { type: 'mixed'; a: Numbers; b: Numbers; lambda: number | Numbers };

export interface PlainCall {
  function?: FunctionName;
  logits?: { type: NumberType; values: Numbers };
  targets: PlainTargets;
  options: PlainOptions;
}

export function floats(values: Numbers): Float32Array {
  return Float32Array.from(values, Number);
}

function scalarOrFloats(value: number | Numbers): number | Float32Array {
  return typeof value === 'number' ? value : floats(value);
}

export function typedOptions(plain: PlainOptions): CallOptions {
  const { labelSmoothing, weight, posWeight, rowWeight, mask, gradientScale, ...rest } = plain;
  const options: CallOptions = rest;
  if (typeof labelSmoothing === 'number') options.labelSmoothing = labelSmoothing;
  if (typeof labelSmoothing === 'object') {
    const { epsilon, prior, ...others } = labelSmoothing;
    options.labelSmoothing = {
      ...others,
      epsilon: scalarOrFloats(epsilon),
      ...(prior === undefined ? {} : { prior: floats(prior) }),
    };
  }
  if (weight !== undefined) options.weight = floats(weight);
  if (posWeight !== undefined) options.posWeight = floats(posWeight);
  if (rowWeight !== undefined) options.rowWeight = floats(rowWeight);
  if (mask !== undefined) options.mask = Uint8Array.from(mask, Number);
  if (gradientScale !== undefined) options.gradientScale = scalarOrFloats(gradientScale);
  return options;
}

export function typedTargets(plain: PlainTargets): OracleTargets {
  const indices = (values: Numbers) => Int32Array.from(values, Number);
  if (plain.type === 'mixed') {
    return { a: indices(plain.a), b: indices(plain.b), lambda: scalarOrFloats(plain.lambda) };
  }
  const { type, values } = plain;
  if (type === 'index') return indices(values);
  if (type === 'uint8') return Uint8Array.from(values, Number);
  return type === 'float64' ? Float64Array.from(values, Number) : floats(values);
}

export function typedCall({ function: name = 'crossEntropy', logits, targets, options }: PlainCall): Call {
  const type = logits?.type ?? 'float32';
  return {
    name,
    type,
    logits: encode(Array.from(logits?.values ?? [], Number), type),
    targets: typedTargets(targets),
    options: typedOptions(options),
  };
}
