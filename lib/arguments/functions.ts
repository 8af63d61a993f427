// What each function takes: its options, and the arrays that may be targets. All else about a function follows from this
// table: checks, the names that messages suggest, what is bound to a backend.

import type { Batch, Kernels } from '../batch.js';
import { rangeError } from '../errors.js';
import { INDEX_ARRAY } from '../typed-arrays.js';
import type {
  BceWithLogitsOptions,
  CrossEntropyOptions,
  Functions,
  KlDivOptions,
  LinearCrossEntropyOptions,
  NllLossOptions,
  PromiseOptions,
  SmoothLabelsOptions,
} from '../types/index.js';
import { number } from './checks.js';

export type FunctionName = Exclude<keyof Functions, 'backend'>;
type OptionName =
  | keyof (CrossEntropyOptions &
      LinearCrossEntropyOptions &
      BceWithLogitsOptions &
      KlDivOptions &
      NllLossOptions &
      SmoothLabelsOptions)
  | keyof PromiseOptions;

/** Every option of any function, as given; undefined where the function at hand has none of that name. */
export type RawOptions = Record<OptionName, unknown>;

/** One literal for all calls, so that they all have one shape: a copy of an object would take 100 ns longer. */
export function noOptions(): RawOptions {
  return {
    classes: undefined,
    dtype: undefined,
    labelSmoothing: undefined,
    logTarget: undefined,
    weight: undefined,
    posWeight: undefined,
    rowWeight: undefined,
    ignoreIndex: undefined,
    mask: undefined,
    form: undefined,
    reduction: undefined,
    normalizer: undefined,
    whenEmpty: undefined,
    gradient: undefined,
    gradientScale: undefined,
    rowStride: undefined,
    inner: undefined,
    metrics: undefined,
    perRow: undefined,
    threads: undefined,
    logitScale: undefined,
    softcap: undefined,
    zLoss: undefined,
    linearBias: undefined,
    accumulate: undefined,
    signal: undefined,
  };
}

export type Reduction = 'mean' | 'sum' | 'none' | 'batchmean';
export type NormalizerName = 'weight' | 'rows' | 'all' | 'elements';
type MetricName = 'nll' | 'accuracy' | 'entropy' | 'zLoss';

/** What sets the functions apart. Of several choices the first is the default. */
export interface Rules {
  /** What a loss is of: whole rows, rows that a layer makes, or single elements; smoothLabels is no loss. */
  of: 'rows' | 'layer' | 'elements' | 'labels';
  kernel: keyof Kernels;
  options: ReadonlySet<string>;
  /** What the argument is called that decides the arithmetic. */
  logits: string;
  /** What the targets may be, for messages. */
  targets: string;
  /** The types of arrays that are targets with a number per row and class. */
  dense: readonly string[];
  /** Whether other integer arrays are targets, with a class per row. */
  classTargets: boolean;
  /** The type of array that a message suggests for an array of numbers. */
  typicalTargets: string;
  /** Whether weight and mask may be per element too. */
  perElement: boolean;
  reductions: readonly Reduction[];
  normalizers: readonly NormalizerName[];
  perRow: readonly string[];
  metrics: readonly MetricName[];
}

/** An option of every function, for smoothloss/promises: the others refuse it with a message of their own. */
export const SIGNAL = 'signal';

function known<Options>(...names: (keyof Options)[]): ReadonlySet<string> {
  return new Set<string>([...(names as string[]), SIGNAL]);
}

function allBut<const Name extends OptionName>(...names: Name[]): Exclude<OptionName, Name>[] {
  return (Object.keys(noOptions()) as OptionName[]).filter(
    (name): name is Exclude<OptionName, Name> => !names.includes(name as Name),
  );
}

const SOFT: readonly string[] = ['Float32Array', 'Float64Array'];
const ANY_TARGETS = `${INDEX_ARRAY} of classes, a Float32Array or Float64Array of probabilities, or { a, b, lambda }`;
const REDUCTIONS: readonly Reduction[] = ['mean', 'sum', 'none'];
const ROW_NORMALIZERS: readonly NormalizerName[] = ['weight', 'rows', 'all'];
/** Options that neither crossEntropy nor linearCrossEntropy has. */
const NOT_OF_SOFTMAX = ['logTarget', 'posWeight', SIGNAL] as const;
const ELEMENT_NORMALIZERS: readonly NormalizerName[] = ['elements', 'rows', 'weight', 'all'];

/** What crossEntropy and linearCrossEntropy have in common. */
const OF_SOFTMAX = {
  targets: ANY_TARGETS,
  dense: SOFT,
  classTargets: true,
  typicalTargets: 'Int32Array',
  perElement: false,
  reductions: REDUCTIONS,
  normalizers: ROW_NORMALIZERS,
  perRow: ['loss', 'nll', 'lse', 'entropy', 'prediction'],
  metrics: ['nll', 'accuracy', 'entropy', 'zLoss'],
} as const satisfies Partial<Rules>;

export const FUNCTIONS: Readonly<Record<FunctionName, Rules>> = {
  bceWithLogits: {
    of: 'elements',
    kernel: 'bceWithLogits',
    options: known<BceWithLogitsOptions>(
      'classes',
      'dtype',
      'labelSmoothing',
      'weight',
      'posWeight',
      'rowWeight',
      'ignoreIndex',
      'mask',
      'logitScale',
      'softcap',
      'reduction',
      'normalizer',
      'whenEmpty',
      'gradient',
      'gradientScale',
      'rowStride',
      'inner',
      'metrics',
      'perRow',
      'threads',
    ),
    logits: 'logits',
    targets:
      'a Float32Array, Float64Array or Uint8Array of probabilities, or an Int8Array, Int16Array, Int32Array, Uint16Array, Uint32Array, BigInt64Array or BigUint64Array of classes',
    dense: [...SOFT, 'Uint8Array'],
    classTargets: true,
    typicalTargets: 'Float32Array',
    perElement: true,
    reductions: REDUCTIONS,
    normalizers: ELEMENT_NORMALIZERS,
    perRow: ['loss', 'nll', 'entropy'],
    metrics: ['nll', 'accuracy', 'entropy'],
  },
  klDiv: {
    of: 'elements',
    kernel: 'logProb',
    options: known<KlDivOptions>(
      'classes',
      'dtype',
      'logTarget',
      'weight',
      'rowWeight',
      'mask',
      'reduction',
      'normalizer',
      'whenEmpty',
      'gradient',
      'gradientScale',
      'rowStride',
      'inner',
      'perRow',
      'threads',
    ),
    logits: 'logProbs',
    targets: 'a Float32Array or Float64Array',
    dense: SOFT,
    classTargets: false,
    typicalTargets: 'Float32Array',
    perElement: false,
    reductions: [...REDUCTIONS, 'batchmean'],
    normalizers: ELEMENT_NORMALIZERS,
    perRow: ['loss'],
    metrics: [],
  },
  nllLoss: {
    of: 'rows',
    kernel: 'logProb',
    options: known<NllLossOptions>(
      'classes',
      'dtype',
      'labelSmoothing',
      'weight',
      'rowWeight',
      'ignoreIndex',
      'mask',
      'form',
      'reduction',
      'normalizer',
      'whenEmpty',
      'gradient',
      'gradientScale',
      'rowStride',
      'inner',
      'metrics',
      'perRow',
      'threads',
    ),
    logits: 'logProbs',
    targets: `${INDEX_ARRAY} of classes, or { a, b, lambda }`,
    dense: [],
    classTargets: true,
    typicalTargets: 'Int32Array',
    perElement: false,
    reductions: REDUCTIONS,
    normalizers: ROW_NORMALIZERS,
    perRow: ['loss', 'nll', 'prediction'],
    metrics: ['nll', 'accuracy'],
  },
  crossEntropy: {
    of: 'rows',
    kernel: 'crossEntropy',
    options: known<CrossEntropyOptions>(...allBut(...NOT_OF_SOFTMAX, 'linearBias', 'accumulate')),
    logits: 'logits',
    ...OF_SOFTMAX,
  },
  linearCrossEntropy: {
    of: 'layer',
    kernel: 'linearCrossEntropy',
    options: known<LinearCrossEntropyOptions>(...allBut(...NOT_OF_SOFTMAX, 'rowStride', 'inner')),
    logits: 'input',
    ...OF_SOFTMAX,
  },
  smoothLabels: {
    of: 'labels',
    kernel: 'logProb',
    options: known<SmoothLabelsOptions>('classes', 'labelSmoothing', 'ignoreIndex', 'mask', 'threads'),
    logits: 'targets',
    targets: ANY_TARGETS,
    dense: SOFT,
    classTargets: true,
    typicalTargets: 'Int32Array',
    perElement: false,
    reductions: [],
    normalizers: [],
    perRow: [],
    metrics: [],
  },
};

/** Takes the options that are numbers of the batch, and checks them as far as is possible without the logits. */
export function readNumbers(given: RawOptions, batch: Batch): void {
  if (given.logitScale !== undefined) batch.logitScale = positive('logitScale', given.logitScale);
  if (given.softcap !== undefined) batch.softcap = positive('softcap', given.softcap);
  if (given.zLoss !== undefined) batch.zLoss = number('zLoss', given.zLoss, 0, Number.MAX_VALUE, AT_LEAST_0);
}

const AT_LEAST_0 = 'a finite number, at least 0';

function positive(name: string, given: unknown): number {
  return number(name, given, Number.MIN_VALUE, Number.MAX_VALUE, 'a finite number above 0');
}

/** Rounds to float, unless the arithmetic is double, those of them that must stay above 0 and finite. */
export function roundNumbers(batch: Batch, double: boolean): void {
  if (double) return;
  if (batch.logitScale !== 1) batch.logitScale = rounded('logitScale', batch.logitScale);
  if (batch.softcap !== 0) batch.softcap = rounded('softcap', batch.softcap);
}

function rounded(name: string, value: number): number {
  const float = Math.fround(value);
  if (float > 0 && float < Infinity) return float;
  throw rangeError(name, value, 'a finite number above 0, within the range of float32');
}
