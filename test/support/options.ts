// Plain JSON options into what crossEntropy takes.

import type { CrossEntropyOptions } from 'smoothloss';
import type { OracleOptions } from './oracle.js';

type Numbers = readonly (number | string)[];

/** crossEntropy's options with arrays of numbers where it takes typed arrays. */
export interface PlainOptions {
  classes: number;
  labelSmoothing?:
    | number
    | {
        epsilon: number | Numbers;
        over?: 'all' | 'others';
        exclude?: number | readonly number[];
        prior?: Numbers;
      };
  weight?: Numbers;
  rowWeight?: Numbers;
  ignoreIndex?: number | readonly number[];
  mask?: Numbers;
  reduction?: 'mean' | 'sum' | 'none';
  normalizer?: 'weight' | 'rows' | 'all' | number;
  whenEmpty?: 'nan' | 'zero' | 'error';
  gradientScale?: number | Numbers;
  rowStride?: number;
}

/** Numbers, and the strings "NaN", "Infinity" and "-Infinity". */
export function floats(values: Numbers): Float32Array {
  return Float32Array.from(values, Number);
}

function scalarOrFloats(value: number | Numbers): number | Float32Array {
  return typeof value === 'number' ? value : floats(value);
}

export function typedOptions(plain: PlainOptions): CrossEntropyOptions & OracleOptions {
  const { labelSmoothing, weight, rowWeight, mask, gradientScale, ...rest } = plain;
  const options: CrossEntropyOptions & OracleOptions = rest;
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
  if (rowWeight !== undefined) options.rowWeight = floats(rowWeight);
  if (mask !== undefined) options.mask = Uint8Array.from(mask, Number);
  if (gradientScale !== undefined) options.gradientScale = scalarOrFloats(gradientScale);
  return options;
}
