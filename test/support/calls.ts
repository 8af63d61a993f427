// One call of any function of the package, as data.

import type { Functions } from 'smoothloss';
import { decode, type Elements, isHalf, type NumberType } from './numbers.js';
import {
  type LossName,
  type OracleOptions,
  type OracleResult,
  type OracleTargets,
  oracle,
} from './oracle.js';
import type { Answer } from './tolerance.js';

export type FunctionName = LossName | 'smoothLabels';

/** Options of any of the functions. */
export interface CallOptions extends OracleOptions {
  threads?: number | undefined;
  dtype?: string | undefined;
  gradient?: boolean | Elements | undefined;
  metrics?: boolean | undefined;
  perRow?: readonly (keyof OracleResult['perRow'])[] | undefined;
}

/** crossEntropy of float32 logits if not said otherwise. */
export interface Call {
  name?: FunctionName;
  type?: NumberType;
  /** Halves as bits; empty for smoothLabels. */
  logits: Elements;
  targets: OracleTargets;
  options: CallOptions;
}

/** What a function returns; `labels` is what smoothLabels does. */
export interface Returned extends Answer {
  loss?: number;
  losses?: Float32Array | Float64Array;
  gradient?: Elements;
  labels?: Float32Array | Float64Array;
}

/** What the losses can report of each row, and whether there are metrics. */
export const REPORTS = {
  crossEntropy: { metrics: true, perRow: ['loss', 'nll', 'lse', 'entropy', 'prediction'] },
  bceWithLogits: { metrics: true, perRow: ['loss', 'nll', 'entropy'] },
  klDiv: { metrics: false, perRow: ['loss'] },
  nllLoss: { metrics: true, perRow: ['loss', 'nll', 'prediction'] },
} as const satisfies Record<LossName, { metrics: boolean; perRow: CallOptions['perRow'] }>;

/** The options that ask for all that a function reports beside loss and gradient. */
export function reports({ name = 'crossEntropy' }: Call): Partial<CallOptions> {
  if (name === 'smoothLabels') return {};
  const { metrics, perRow } = REPORTS[name];
  return { perRow, ...(metrics ? { metrics } : {}) };
}

/** The options that ask for everything. */
export function everything(call: Call): Partial<CallOptions> {
  return { ...reports(call), gradient: true };
}

/** Makes a call, which `more` changes; a half type of logits is named in `dtype`. Else the options are passed as they are. */
export function make(functions: Functions, call: Call, more?: object): Returned {
  const { name = 'crossEntropy', type = 'float32', logits, targets, options } = call;
  const dtype = isHalf(type) ? { dtype: type } : undefined;
  const all = more === undefined && dtype === undefined ? options : { ...options, ...dtype, ...more };
  const named = functions as unknown as Record<FunctionName, (...args: unknown[]) => Returned>;
  if (name !== 'smoothLabels') return named[name](logits, targets, all);
  const labels = named.smoothLabels(targets, all) as unknown as Float32Array;
  return { numerator: 0, denominator: 0, rows: 0, labels };
}

/** The answer with its gradient decoded, as tolerance.ts takes it. */
export function decoded(returned: Returned, type: NumberType = 'float32'): Answer {
  return returned.gradient === undefined
    ? returned
    : { ...returned, gradient: decode(returned.gradient, type) };
}

/** The oracle's answer to a call of a loss. */
export function oracleOf(call: Call, more: object = {}): OracleResult {
  const { name = 'crossEntropy', type = 'float32', logits, targets, options } = call;
  if (name === 'smoothLabels') throw new TypeError('smoothLabels is no loss');
  return oracle(decode(logits, type), targets, { ...options, ...more }, name);
}

export const strideOf = ({ options }: Call) => options.rowStride ?? options.classes;
