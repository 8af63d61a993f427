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

export type FunctionName = LossName | 'linearCrossEntropy' | 'smoothLabels';
type Floats = Float32Array | Float64Array;
/** What there is of the gradients of a layer, or is asked for. */
export type LayerGradients<A = Floats> = { input?: A; linearWeight?: A; linearBias?: A };

/** Options of any of the functions. */
export interface CallOptions extends OracleOptions {
  threads?: number | undefined;
  dtype?: string | undefined;
  gradient?: boolean | Elements | LayerGradients<boolean | Floats> | undefined;
  linearBias?: Elements | undefined;
  accumulate?: boolean | undefined;
  metrics?: boolean | undefined;
  perRow?: readonly (keyof OracleResult['perRow'])[] | undefined;
}

/** crossEntropy of float32 logits if not said otherwise. */
export interface Call {
  name?: FunctionName;
  type?: NumberType;
  /** Halves as bits; the input of linearCrossEntropy; empty for smoothLabels. */
  logits: Elements;
  /** That of linearCrossEntropy. */
  linearWeight?: Elements;
  targets: OracleTargets;
  options: CallOptions;
}

/** What a function returns; `labels` is what smoothLabels does. */
export interface Returned extends Answer {
  loss?: number;
  losses?: Floats;
  gradient?: Elements;
  labels?: Floats;
}

const CROSS_ENTROPY = { metrics: true, perRow: ['loss', 'nll', 'lse', 'entropy', 'prediction'] } as const;

/** What the losses can report of each row, and whether there are metrics. */
export const REPORTS = {
  crossEntropy: CROSS_ENTROPY,
  linearCrossEntropy: CROSS_ENTROPY,
  bceWithLogits: { metrics: true, perRow: ['loss', 'nll', 'entropy'] },
  klDiv: { metrics: false, perRow: ['loss'] },
  nllLoss: { metrics: true, perRow: ['loss', 'nll', 'prediction'] },
} as const satisfies Record<
  Exclude<FunctionName, 'smoothLabels'>,
  { metrics: boolean; perRow: CallOptions['perRow'] }
>;

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

/**
 * The arguments of a call, which `more` changes; a half type of logits is named in `dtype`. Else the options are passed as
 * they are.
 */
export function argumentsOf(call: Call, more?: object): unknown[] {
  const { name, type = 'float32', logits, linearWeight, targets, options } = call;
  const dtype = isHalf(type) ? { dtype: type } : undefined;
  const all = more === undefined && dtype === undefined ? options : { ...options, ...dtype, ...more };
  if (name === 'smoothLabels') return [targets, all];
  return name === 'linearCrossEntropy' ? [logits, linearWeight, targets, all] : [logits, targets, all];
}

/** Makes a call. */
export function make(functions: Functions, call: Call, more?: object): Returned {
  const { name = 'crossEntropy' } = call;
  const named = functions as unknown as Record<FunctionName, (...args: unknown[]) => Returned>;
  const result = named[name](...argumentsOf(call, more));
  return name === 'smoothLabels' ? labelsOf(result) : result;
}

/** What smoothLabels returns, like other results. */
export function labelsOf(labels: unknown): Returned {
  return { numerator: 0, denominator: 0, rows: 0, labels: labels as Floats };
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
  if (name === 'smoothLabels' || name === 'linearCrossEntropy')
    throw new TypeError(`the oracle knows no ${name}`);
  return oracle(decode(logits, type), targets, { ...options, ...more }, name);
}

export const strideOf = ({ options }: Call) => options.rowStride ?? options.classes;
