// The functions: the options of each, its signature, and all of them together.

import type {
  ArrayOf,
  BceTargets,
  DType,
  Factors,
  IndexArray,
  Logits,
  Mask,
  MixedTargets,
  NewArrayOf,
  OtherType,
  SoftTargets,
  Targets,
} from './arrays.js';
import type { Fitting, FittingLayer, LayerResult, Result } from './inference.js';
import type {
  BatchOptions,
  BceLabelSmoothing,
  ClassOptions,
  ElementNormalizer,
  LogitOptions,
  MeasureOptions,
  PromiseOptions,
  Reduction,
  RowOptions,
} from './options.js';
import type { BceWithLogitsMetrics, CrossEntropyMetrics, NllLossMetrics } from './results.js';

/** How a function answers: with its result, or, in `smoothloss/promises`, with a promise of it. */
export type Mode = 'now' | 'promise';
type Answer<A extends Mode, T> = A extends 'promise' ? Promise<T> : T;
type OptionsOf<A extends Mode> = A extends 'promise' ? PromiseOptions : unknown;

/** The signature of every loss. What cannot be known of its result when compiling is optional in it. */
export type LossFunction<A extends Mode, T, Options, LossMetrics> = <L extends Logits, const O>(
  logits: L,
  targets: T,
  options: Fitting<L, O, Options & OptionsOf<A>>,
) => Answer<A, Result<L, O, Options, LossMetrics>>;

/** What `perRow` of `crossEntropy` may name: see {@link PerRow}. */
export type CrossEntropyPerRow = 'loss' | 'nll' | 'lse' | 'entropy' | 'prediction';

/** Options of {@link CrossEntropy}. R is the number of rows, C of classes. */
export interface CrossEntropyOptions
  extends BatchOptions,
    MeasureOptions,
    ClassOptions,
    RowOptions,
    LogitOptions {
  /**
   * Finite and ≥ 0, 0 by default: adds zLoss · lse² to every row's loss, with lse = ln Σ exp z, which keeps logits from
   * drifting (PaLM, arXiv:2204.02311, section 5).
   */
  zLoss?: number | undefined;
  /**
   * Names of the arrays that `perRow` of the result holds, one number per row each, 0 for ignored rows. `'loss'`:
   * rowWeight · row loss. `'nll'`: −Σ t·ln p with the target before smoothing, without weights. `'lse'`: ln Σ exp z.
   * `'entropy'`: of the model's distribution, in nats. `'prediction'`: the class with the largest entry, ties to the
   * smallest; −1 for ignored rows.
   */
  perRow?: readonly CrossEntropyPerRow[] | undefined;
}

/**
 * The signature of `crossEntropy`; the result's type follows from the logits and from `reduction`, `gradient`,
 * `metrics` and `perRow`.
 */
export type CrossEntropy<A extends Mode = 'now'> = LossFunction<
  A,
  Targets,
  CrossEntropyOptions,
  CrossEntropyMetrics
>;

/** Which gradients of `linearCrossEntropy` are asked for, each in a new array (`true`) or in one that is given. */
export interface LinearCrossEntropyGradients {
  /** ∂loss/∂input: length R·D. */
  input?: boolean | Float32Array | Float64Array | undefined;
  /** ∂loss/∂linearWeight: length C·D. */
  linearWeight?: boolean | Float32Array | Float64Array | undefined;
  /** ∂loss/∂linearBias: length C. Only with option `linearBias`. */
  linearBias?: boolean | Float32Array | Float64Array | undefined;
}

/** Options of {@link LinearCrossEntropy}. R is the number of rows, C of classes, D of features. */
export interface LinearCrossEntropyOptions
  extends Omit<CrossEntropyOptions, 'dtype' | 'gradient' | 'rowStride' | 'inner'> {
  /**
   * The number type of `input`, `linearWeight` and `linearBias`. Uint16Arrays need it: their bits are IEEE 754 half
   * precision numbers (`'float16'`) or the upper halves of float32 numbers (`'bfloat16'`), and are converted exactly.
   * Other arrays tell theirs, and it may be said: `'float32'`, `'float64'`, or `'float16'` of Float16Arrays. What
   * contradicts the arrays is refused.
   */
  dtype?: DType | OtherType | undefined;
  /** Length C, of the type of `input`: added to the logits of every row, class by class. Zeros by default. */
  linearBias?: Logits | undefined;
  /**
   * `true`: the result's `gradient` holds `input`, `linearWeight` and, if option `linearBias` is given, `linearBias`: the
   * gradient of the loss by each, in new arrays of the same lengths. An object `{ input, linearWeight, linearBias }` asks
   * for some of them: `true` is a new array, an array is written to. They are Float32Arrays, also where the input is of
   * half floats; Float64Arrays for a Float64Array. None may share memory with another array of the call: nothing is
   * computed in place. What is not asked for is not computed, and saves a third of the work (`input`, `linearWeight`). In
   * a training loop give arrays: pages of large new ones cost time. With reduction `'none'` each row has the gradient of
   * its own loss, and `linearWeight` and `linearBias` that of their sum.
   */
  gradient?: boolean | LinearCrossEntropyGradients | undefined;
  /**
   * `true`: the gradients of `linearWeight` and `linearBias` are added to what their arrays hold, for gradients of several
   * micro-batches, or of an embedding that shares its weight with this layer. Needs an array for one of them at least, and
   * for each that is asked for. The gradient of `input` is always written. false by default.
   */
  accumulate?: boolean | undefined;
}

/**
 * The signature of `linearCrossEntropy`; the result's type follows from the input and from `reduction`, `gradient`,
 * `linearBias`, `metrics` and `perRow`.
 */
export type LinearCrossEntropy<A extends Mode = 'now'> = <L extends Logits, const O>(
  input: L,
  linearWeight: ArrayOf<L>,
  targets: Targets,
  options: FittingLayer<L, O, LinearCrossEntropyOptions & OptionsOf<A>>,
) => Answer<A, LayerResult<L, O, LinearCrossEntropyOptions, CrossEntropyMetrics>>;

/** What `perRow` of `bceWithLogits` may name: sums over the row's elements, see {@link PerRow}. */
export type BceWithLogitsPerRow = 'loss' | 'nll' | 'entropy';

/** Options of {@link BceWithLogits}. R is the number of rows, C of classes. */
export interface BceWithLogitsOptions extends BatchOptions, MeasureOptions, LogitOptions {
  /**
   * Label smoothing: each target t in [0, 1] becomes (1 − ε)·t + ε·toward. A number is ε, in [0, 1] and 0 by default,
   * toward ½, as in Keras and TensorFlow.js. `{ epsilon, toward }` says both; 1/C is timm's toward.
   */
  labelSmoothing?: BceLabelSmoothing | undefined;
  /**
   * Finite and ≥ 0: a weight for each class (length C), or for each element (R·C numbers row after row, or laid out as
   * the logits). Of length C, it is per class. A Float64Array goes with Float64Array logits.
   */
  weight?: Factors | undefined;
  /**
   * Length C, finite and ≥ 0: multiplies the positive term of each class's loss, as PyTorch's `pos_weight`.
   * A Float64Array goes with Float64Array logits.
   */
  posWeight?: Factors | undefined;
  /**
   * Where targets are classes, those that mark a row as ignored: its loss and gradient are 0, whatever its logits hold,
   * and it does not count in the mean. An integer or several, inside [0, C) or not; −100 by default.
   */
  ignoreIndex?: number | readonly number[] | undefined;
  /**
   * What is 0 here is ignored: rows (length R), or elements (R·C numbers row after row, or laid out as the logits). Of
   * length R, it is per row. The targets of ignored rows may be anything. Integers of any type.
   */
  mask?: Mask | undefined;
  /**
   * The mean's denominator. `'elements'` (the default): the number of elements that take part, as in PyTorch. `'rows'`:
   * of rows that take part, so that a row counts with the sum of its classes. `'weight'`: Σ of rowWeight · weight over
   * the elements that take part. `'all'`: R·C. A number > 0: that, as for a part of a batch.
   */
  normalizer?: ElementNormalizer | undefined;
  /**
   * Names of the arrays that `perRow` of the result holds, one number per row each, sums over the row's elements that
   * take part, 0 for ignored rows. `'loss'`: rowWeight · loss. `'nll'`: −t·ln σ(z) − (1 − t)·ln(1 − σ(z)) with the
   * target before smoothing, without weights. `'entropy'`: of σ(z), in nats.
   */
  perRow?: readonly BceWithLogitsPerRow[] | undefined;
}

/** The signature of `bceWithLogits`; the result's type follows as that of {@link CrossEntropy}. */
export type BceWithLogits<A extends Mode = 'now'> = LossFunction<
  A,
  BceTargets,
  BceWithLogitsOptions,
  BceWithLogitsMetrics
>;

/** What `perRow` of `klDiv` may name: see {@link PerRow}. */
export type KlDivPerRow = 'loss';

/** Options of {@link KlDiv}. R is the number of rows, C of classes. */
export interface KlDivOptions extends Omit<BatchOptions, 'reduction'> {
  /** Whether the targets are logarithms of probabilities, too; false by default. */
  logTarget?: boolean | undefined;
  /** Length C, finite and ≥ 0: a weight for each class's term. A Float64Array goes with Float64Array logits. */
  weight?: Factors | undefined;
  /** Length R: rows where it is 0 are ignored. Integers of any type. */
  mask?: Mask | undefined;
  /**
   * `'mean'` (the default): `loss` is numerator / denominator, over elements unless `normalizer` says otherwise, as in
   * PyTorch. `'batchmean'`: the numerator by the number of rows that take part, the divergence proper (with `inner`
   * PyTorch's divides by R/inner instead: `'mean'` with that `normalizer`); allows no `normalizer`. `'sum'`: `loss` is
   * the numerator. `'none'`: `losses` holds one loss per element, and there is no `loss`.
   */
  reduction?: Reduction | 'batchmean' | undefined;
  /**
   * The mean's denominator. `'elements'` (the default): the number of elements in rows that take part. `'rows'`: of
   * those rows. `'weight'`: Σ of rowWeight · weight over those elements. `'all'`: R·C. A number > 0: that, as for a
   * part of a batch.
   */
  normalizer?: ElementNormalizer | undefined;
  /**
   * Names of the arrays that `perRow` of the result holds, one number per row each. `'loss'`: rowWeight · loss, summed
   * over the row; 0 for ignored rows.
   */
  perRow?: readonly KlDivPerRow[] | undefined;
}

/** The signature of `klDiv`; the result's type follows as that of {@link CrossEntropy}. */
export type KlDiv<A extends Mode = 'now'> = LossFunction<A, SoftTargets, KlDivOptions, never>;

/** What `perRow` of `nllLoss` may name: see {@link PerRow}. */
export type NllLossPerRow = 'loss' | 'nll' | 'prediction';

/** Options of {@link NllLoss}. R is the number of rows, C of classes. */
export interface NllLossOptions extends BatchOptions, MeasureOptions, ClassOptions, RowOptions {
  /**
   * Names of the arrays that `perRow` of the result holds, one number per row each, 0 for ignored rows. `'loss'`:
   * rowWeight · row loss. `'nll'`: −Σ t·ln p with the target before smoothing, without weights. `'prediction'`: the
   * class with the largest entry, ties to the smallest; −1 for ignored rows.
   */
  perRow?: readonly NllLossPerRow[] | undefined;
}

/** The signature of `nllLoss`; the result's type follows as that of {@link CrossEntropy}. */
export type NllLoss<A extends Mode = 'now'> = LossFunction<
  A,
  IndexArray | MixedTargets,
  NllLossOptions,
  NllLossMetrics
>;

/**
 * Options of {@link SmoothLabels}, which without `labelSmoothing` makes one-hot rows. R is the number of rows, C of
 * classes.
 */
export interface SmoothLabelsOptions extends ClassOptions {
  /** C, the number of classes: an integer from 1 to 2^31 − 1. */
  classes: number;
  /** How many threads may share the work, from 1 to 1024: as `setThreads` says by default. */
  threads?: number | undefined;
}

/** The signature of `smoothLabels`: Float64Array for Float64Array targets, Float32Array for all others. */
export type SmoothLabels<A extends Mode = 'now'> = <T extends Targets>(
  targets: T,
  options: SmoothLabelsOptions & OptionsOf<A>,
) => Answer<A, T extends Float64Array ? NewArrayOf<Float64Array> : NewArrayOf<Float32Array>>;

/** The name of a backend: native with AVX-512, with AVX2 and FMA, with NEON, native for any CPU, JavaScript. */
export type BackendName = 'avx512' | 'avx2' | 'neon' | 'scalar' | 'js';

/** Which backend computes, and why. */
export interface Backend {
  readonly name: BackendName;
  /** The number of threads that its calls may use if they do not say: see `setThreads`. */
  readonly threads: number;
  /** Why the package does not use a native backend; not there if it does. */
  readonly reason?: string;
}

/** The functions of the package bound to one backend: what `loadBackend` returns. */
export interface Functions<A extends Mode = 'now'> {
  readonly backend: Backend;
  readonly crossEntropy: CrossEntropy<A>;
  readonly linearCrossEntropy: LinearCrossEntropy<A>;
  readonly bceWithLogits: BceWithLogits<A>;
  readonly klDiv: KlDiv<A>;
  readonly nllLoss: NllLoss<A>;
  readonly smoothLabels: SmoothLabels<A>;
}
