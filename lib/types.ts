/** Class indices, one per row: any integer typed array. */
export type IndexArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** The built-in Float16Array, where the compiler's `lib` knows it (esnext.float16); else `never`. */
export type Float16ArrayIfKnown = typeof globalThis extends { Float16Array: { prototype: infer A } }
  ? A
  : never;

/**
 * What takes part, a number for each row or element: 0 for what does not. Any array of integers, as tokenizers and
 * onnxruntime return attention masks (BigInt64Array) and booleans (Uint8Array).
 */
export type Mask = IndexArray | Uint8ClampedArray;

/**
 * Weights and the like, within the range of float32. A Float64Array goes with Float64Array logits (in `smoothLabels`:
 * targets), and is used in double; a Float32Array goes with all. What does not go together is an error when it runs.
 */
export type Factors = Float32Array | Float64Array;

/** The number types of logits, by their names. */
export type DType = 'float32' | 'float64' | 'float16' | 'bfloat16';

/** What other tensors call theirs, so that `dtype: tensor.type` compiles. Logits have none of these. */
export type OtherType =
  | 'int4'
  | 'uint4'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'string'
  | 'complex64'
  | 'complex128';

/**
 * Scores or log-probabilities, one per row and class. A Uint16Array holds the bits of half floats, and option `dtype` says
 * of which kind. Arithmetic is in double precision for a Float64Array, and for all others in float32, with sums and row
 * totals in double precision.
 */
export type Logits = Float32Array | Float64Array | Uint16Array | Float16ArrayIfKnown;

/** The typed array that logits are, whatever memory it is on. */
export type ArrayOf<L extends Logits> = L extends Float32Array
  ? Float32Array
  : L extends Float64Array
    ? Float64Array
    : L extends Uint16Array
      ? Uint16Array
      : Float16ArrayIfKnown;

// New arrays, on memory of their own: Float32Array<ArrayBuffer> from TypeScript 5.7 on, and what `of` returns says so; before,
// typed arrays are not generic.
type NewFloat32Array = ReturnType<typeof Float32Array.of>;
type NewFloat64Array = ReturnType<typeof Float64Array.of>;
type NewUint16Array = ReturnType<typeof Uint16Array.of>;
type NewInt32Array = ReturnType<typeof Int32Array.of>;
type NewFloat16ArrayIfKnown = typeof globalThis extends {
  Float16Array: { of(...items: number[]): infer A };
}
  ? A
  : never;

/** A new array of the type that logits are, on an ArrayBuffer of its own. */
export type NewArrayOf<L extends Logits> = L extends Float32Array
  ? NewFloat32Array
  : L extends Float64Array
    ? NewFloat64Array
    : L extends Uint16Array
      ? NewUint16Array
      : NewFloat16ArrayIfKnown;

/** The new array of losses: Float64Array for Float64Array logits, Float32Array for all others. */
export type FloatsOf<L extends Logits> = L extends Float64Array ? NewFloat64Array : NewFloat32Array;

/**
 * R·C numbers, row after row: a probability per row and class ("soft targets"). They are not checked, and rows need not
 * sum to 1. With `rowStride` they may also lie as the logits do; with `inner` they always do. With logits other than Float64Array they are rounded to
 * float32.
 */
export type SoftTargets = Float32Array | Float64Array;

/** Two classes per row, mixed: λ·onehot(a) + (1 − λ)·onehot(b), as MixUp (arXiv:1710.09412) and CutMix (arXiv:1905.04899) make. */
export interface MixedTargets {
  /** Length R: the first class of each row. */
  a: IndexArray;
  /** Length R: the second class of each row. */
  b: IndexArray;
  /** λ, the share of `a`, in [0, 1]: one for all rows, or one per row (length R; a Float64Array goes with Float64Array logits). */
  lambda: number | Factors;
}

/** What the logits are compared with: a class per row, a probability per row and class, or two classes per row, mixed. */
export type Targets = IndexArray | SoftTargets | MixedTargets;

/**
 * Targets of `bceWithLogits`: R·C numbers in [0, 1], not checked, row after row or laid out as the logits; or a class per
 * row, which stands for 1 in that class and 0 in all others. A Uint8Array always holds numbers per row and class.
 */
export type BceTargets = SoftTargets | Uint8Array | Exclude<IndexArray, Uint8Array>;

/**
 * How much of the target distribution goes where: a row's target t becomes (1 − ε)·t + ε·u. A number is ε with u
 * uniform over all classes, which is what PyTorch's `label_smoothing`, Keras and TensorFlow.js do.
 *
 * Szegedy et al. 2016, "Rethinking the Inception Architecture", arXiv:1512.00567, section 7.
 */
export type LabelSmoothing =
  | number
  | {
      /** ε in [0, 1]: one for all rows, or one per row (a Float64Array goes with Float64Array logits). */
      epsilon: number | Factors;
      /**
       * `'all'` (the default): u covers every class, the target too (Szegedy, PyTorch, Keras, TensorFlow.js, optax).
       * `'others'`: u covers every class but the row's target, ε/(C−1) each if uniform (fairseq, Megatron); for mixed
       * targets, each of the two has a u of its own. Soft targets name no class, and allow only `'all'`.
       */
      over?: 'all' | 'others' | undefined;
      /**
       * Class or classes, in [0, C), that get no smoothing mass; u is spread over the rest. A row whose target is excluded
       * keeps its own 1 − ε. With `over: 'others'` and the padding class excluded each gets ε/(C−2), OpenNMT's convention.
       */
      exclude?: number | readonly number[] | undefined;
      /**
       * Length C, finite and ≥ 0: u is this distribution instead of the uniform one. It is normalised to sum 1 after
       * `exclude` and `over` have taken their classes out, so counts will do. A Float64Array goes with Float64Array logits.
       */
      prior?: Factors | undefined;
    };

/** Label smoothing of `bceWithLogits`: each target t in [0, 1] becomes (1 − ε)·t + ε·toward. A number is ε, toward ½. */
export type BceLabelSmoothing =
  | number
  | {
      /** ε in [0, 1]. */
      epsilon: number;
      /** In [0, 1]: ½ by default, as in Keras and TensorFlow.js; 1/C is what timm does. */
      toward?: number | undefined;
    };

/** What becomes of the losses: see `reduction` in the options. */
export type Reduction = 'mean' | 'sum' | 'none';

/** The denominator of a mean over rows: see `normalizer` in the options. */
export type Normalizer = 'weight' | 'rows' | 'all' | number;
/** The denominator of a mean over elements: see `normalizer` in the options of `bceWithLogits` and `klDiv`. */
export type ElementNormalizer = 'elements' | 'rows' | 'weight' | 'all' | number;

/** The options that every loss has. R is the number of rows, C of classes. */
export interface BatchOptions {
  /** C, the number of classes: an integer from 1 to 2^31 − 1. */
  classes: number;
  /**
   * The number type of the logits. A Uint16Array needs it: its bits are IEEE 754 half precision numbers (`'float16'`) or
   * the upper halves of float32 numbers (`'bfloat16'`). They are converted exactly, and the gradient is rounded once, to
   * the nearest, ties to even. Other arrays tell theirs, and it may be said: `'float32'`, `'float64'`, or `'float16'` of a
   * Float16Array. So `dtype: tensor.type` of onnxruntime is right for whatever array holds its data; what contradicts the
   * array is refused.
   */
  dtype?: DType | OtherType | undefined;
  /** Length R, finite and ≥ 0: a weight for each row's loss and gradient. A Float64Array goes with Float64Array logits. */
  rowWeight?: Factors | undefined;
  /**
   * `'mean'` (the default): `loss` is numerator / denominator. `'sum'`: `loss` is the numerator. `'none'`: `losses` holds
   * the losses one by one, and there is no `loss`.
   */
  reduction?: Reduction | undefined;
  /**
   * What the mean is when its denominator is 0: `'nan'` (the default, as PyTorch), `'zero'`, or an `'error'` with code
   * ERR_EMPTY. The gradient is 0 in the first two.
   */
  whenEmpty?: 'nan' | 'zero' | 'error' | undefined;
  /**
   * `true`: the result holds the gradient of the loss by the logits (log-probabilities), in a new array of their type and
   * length. An array of that type and length: the gradient is written there; the logits themselves are allowed and are
   * overwritten. In a training loop give an array: pages of a large new one cost many times the call. With reduction `'none'` each gradient is that of its own loss. Elements between rows (`rowStride`) are
   * left alone.
   */
  gradient?: boolean | Logits | undefined;
  /**
   * Multiplies the gradient, 1 by default: the upstream gradient, finite and within the range of float32. With reduction
   * `'none'` also one per row (length R; a Float64Array goes with Float64Array logits).
   */
  gradientScale?: number | Factors | undefined;
  /** Elements from the start of one row of logits to the next, at least C (the default): for padded vocabularies. */
  rowStride?: number | undefined;
  /**
   * An integer from 1 (the default) on: the logits are laid out [R/inner, C, inner], as images are with inner = H·W: class
   * k of row n·inner + i is at (n·C + k)·inner + i. R must be a multiple of it, and `rowStride` must be left out.
   */
  inner?: number | undefined;
  /**
   * How many threads may share the work, from 1 to 1024: as `setThreads` says by default. The bits of the result are the same
   * for any number. A batch too small to gain from it is computed by one; backend `'js'` has only one.
   */
  threads?: number | undefined;
}

/** What there is to know of the model beside the loss. */
export interface MeasureOptions {
  /**
   * `true`: the result holds `metrics`, means over what takes part, weighted with nothing: `nll` and `accuracy`, in
   * `crossEntropy` and `bceWithLogits` also `entropy`, in `crossEntropy` also `zLoss`. false by default.
   */
  metrics?: boolean | undefined;
  /** Names of the arrays that `perRow` of the result holds, one number per row each. */
  perRow?: readonly (keyof PerRow)[] | undefined;
}

/** The options of targets that are classes. */
export interface ClassOptions {
  /**
   * Label smoothing: a row's target t becomes (1 − ε)·t + ε·u. A number is ε, in [0, 1] and 0 by default, with u uniform over
   * all classes, as PyTorch's `label_smoothing`. `{ epsilon, over, exclude, prior }` says more: `epsilon` may hold one ε per
   * row, `over: 'others'` gives the row's target no share of u (fairseq), `exclude` names classes that get none (OpenNMT's
   * padding), and `prior` holds C numbers in place of the uniform u.
   */
  labelSmoothing?: LabelSmoothing | undefined;
  /**
   * Targets that mark a row as ignored: its loss and gradient are 0, whatever its logits hold, and it does not count in
   * the mean. An integer or several, inside [0, C) or not; −100 by default. A row of mixed targets is ignored if one of
   * its two is. Not with soft targets, which name no class.
   */
  ignoreIndex?: number | readonly number[] | undefined;
  /** Length R: rows where it is 0 are ignored, and their targets may be anything. Integers of any type. */
  mask?: Mask | undefined;
}

/** The options of the losses of a row. */
export interface RowOptions {
  /**
   * Length C, finite and ≥ 0: a weight for each class, as PyTorch's `weight`: it multiplies each class's term of the loss.
   * A Float64Array goes with Float64Array logits.
   */
  weight?: Factors | undefined;
  /**
   * `'crossEntropy'` (the default): −Σ w·t'·ln p. `'kl'`: Σ w·t'·(ln t' − ln p), which is less by the target's entropy
   * and so 0 at a perfect fit. The gradient is the same.
   */
  form?: 'crossEntropy' | 'kl' | undefined;
  /**
   * The mean's denominator. `'weight'`: Σ of rowWeight · weight[target] over the rows that take part, the default for
   * classes, as in PyTorch; for mixed targets the weight is λ·weight[a] + (1 − λ)·weight[b], for soft ones
   * Σ_k weight[k]·target[k]. `'rows'`: the number of rows that take part, the default for soft targets, as in PyTorch.
   * `'all'`: R, ignored rows too. A number > 0: that. For gradient accumulation and data parallel training give each part
   * of a batch the denominator of the whole batch, and add up the parts' `loss` and gradients.
   */
  normalizer?: Normalizer | undefined;
}

/** What is done to logits first. */
export interface LogitOptions {
  /**
   * Finite and > 0, 1 by default: the loss is that of z = logitScale · logits, the inverse of a temperature. The gradient
   * is by the logits as given. Rounded to float32 unless the logits are a Float64Array, as is `softcap`.
   */
  logitScale?: number | undefined;
  /** Finite and > 0: z becomes softcap · tanh(z / softcap), as in Gemma 2 (arXiv:2408.00118). None by default. */
  softcap?: number | undefined;
}

/** What `perRow` of `crossEntropy` may name: see {@link PerRow}. */
export type CrossEntropyPerRow = 'loss' | 'nll' | 'lse' | 'entropy' | 'prediction';
/** What `perRow` of `bceWithLogits` may name: sums over the row's elements, see {@link PerRow}. */
export type BceWithLogitsPerRow = 'loss' | 'nll' | 'entropy';
/** What `perRow` of `klDiv` may name: see {@link PerRow}. */
export type KlDivPerRow = 'loss';
/** What `perRow` of `nllLoss` may name: see {@link PerRow}. */
export type NllLossPerRow = 'loss' | 'nll' | 'prediction';

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
   * Names of the arrays that `perRow` of the result holds, one number per row each, 0 for ignored rows. `'loss'`: rowWeight ·
   * row loss. `'nll'`: −Σ t·ln p with the target before smoothing, without weights. `'lse'`: ln Σ exp z. `'entropy'`: of the
   * model's distribution, in nats. `'prediction'`: the class with the largest entry, ties to the smallest; −1 for ignored
   * rows.
   */
  perRow?: readonly CrossEntropyPerRow[] | undefined;
}

/** Options of {@link BceWithLogits}. R is the number of rows, C of classes. */
export interface BceWithLogitsOptions extends BatchOptions, MeasureOptions, LogitOptions {
  /**
   * Label smoothing: each target t in [0, 1] becomes (1 − ε)·t + ε·toward. A number is ε, in [0, 1] and 0 by default, toward ½,
   * as in Keras and TensorFlow.js. `{ epsilon, toward }` says both; 1/C is timm's toward.
   */
  labelSmoothing?: BceLabelSmoothing | undefined;
  /**
   * Finite and ≥ 0: a weight for each class (length C), or for each element (R·C numbers row after row, or laid out as the
   * logits). Of length C, it is per class. A Float64Array goes with Float64Array logits.
   */
  weight?: Factors | undefined;
  /**
   * Length C, finite and ≥ 0: multiplies the positive term of each class's loss, as PyTorch's `pos_weight`.
   * A Float64Array goes with Float64Array logits.
   */
  posWeight?: Factors | undefined;
  /**
   * Where targets are classes, those that mark a row as ignored: its loss and gradient are 0, whatever its logits hold, and
   * it does not count in the mean. An integer or several, inside [0, C) or not; −100 by default.
   */
  ignoreIndex?: number | readonly number[] | undefined;
  /**
   * What is 0 here is ignored: rows (length R), or elements (R·C numbers row after row, or laid out as the logits). Of
   * length R, it is per row. The targets of ignored rows may be anything. Integers of any type.
   */
  mask?: Mask | undefined;
  /**
   * The mean's denominator. `'elements'` (the default): the number of elements that take part, as in PyTorch. `'rows'`: of
   * rows that take part, so that a row counts with the sum of its classes. `'weight'`: Σ of rowWeight · weight over the
   * elements that take part. `'all'`: R·C. A number > 0: that, as for a part of a batch.
   */
  normalizer?: ElementNormalizer | undefined;
  /**
   * Names of the arrays that `perRow` of the result holds, one number per row each, sums over the row's elements that take
   * part, 0 for ignored rows. `'loss'`: rowWeight · loss. `'nll'`: −t·ln σ(z) − (1 − t)·ln(1 − σ(z)) with the target before
   * smoothing, without weights. `'entropy'`: of σ(z), in nats.
   */
  perRow?: readonly BceWithLogitsPerRow[] | undefined;
}

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
   * PyTorch's divides by R/inner instead: `'mean'` with that `normalizer`); allows no `normalizer`. `'sum'`: `loss` is the numerator. `'none'`: `losses` holds one loss per element, and there is no `loss`.
   */
  reduction?: Reduction | 'batchmean' | undefined;
  /**
   * The mean's denominator. `'elements'` (the default): the number of elements in rows that take part. `'rows'`: of those
   * rows. `'weight'`: Σ of rowWeight · weight over those elements. `'all'`: R·C. A number > 0: that, as for a part of a
   * batch.
   */
  normalizer?: ElementNormalizer | undefined;
  /**
   * Names of the arrays that `perRow` of the result holds, one number per row each. `'loss'`: rowWeight · loss, summed over
   * the row; 0 for ignored rows.
   */
  perRow?: readonly KlDivPerRow[] | undefined;
}

/** Options of {@link NllLoss}. R is the number of rows, C of classes. */
export interface NllLossOptions extends BatchOptions, MeasureOptions, ClassOptions, RowOptions {
  /**
   * Names of the arrays that `perRow` of the result holds, one number per row each, 0 for ignored rows. `'loss'`: rowWeight ·
   * row loss. `'nll'`: −Σ t·ln p with the target before smoothing, without weights. `'prediction'`: the class with the
   * largest entry, ties to the smallest; −1 for ignored rows.
   */
  perRow?: readonly NllLossPerRow[] | undefined;
}

/** Options of {@link SmoothLabels}, which without `labelSmoothing` makes one-hot rows. R is the number of rows, C of classes. */
export interface SmoothLabelsOptions extends ClassOptions {
  /** C, the number of classes: an integer from 1 to 2^31 − 1. */
  classes: number;
  /** How many threads may share the work, from 1 to 1024: as `setThreads` says by default. */
  threads?: number | undefined;
}

/**
 * What every loss returns. A mean over several calls comes in one of two ways:
 *
 * with gradients (micro-batches, machines), `normalizer` is the denominator of the whole batch in every call, and the calls'
 * `loss` and gradients add up to those of the whole batch. With classes as targets it is Σ of rowWeight · weight[target] over
 * all rows of the batch that take part;
 *
 * without (a validation set), `normalizer` is left out, and the mean is Σ `numerator` / Σ `denominator`.
 */
export interface Totals {
  /** Σ of the losses, each with its weights, in double precision, whatever the reduction. */
  numerator: number;
  /**
   * What the mean divides by (see `normalizer`), whatever the reduction. If `normalizer` is a number it is that number in every
   * call, and must not be added up.
   */
  denominator: number;
  /** The number of rows that took part: neither ignored nor masked. */
  rows: number;
}

/** With reduction `'mean'`, `'batchmean'` or `'sum'`. */
export interface Loss {
  /** The loss, in double precision. */
  loss: number;
}

/** With reduction `'none'`. */
export interface Losses<A = NewFloat32Array> {
  /**
   * `crossEntropy` and `nllLoss`: rowWeight · row loss, one per row. `bceWithLogits` and `klDiv`: rowWeight · loss, one per
   * element, laid out as the logits. 0 for what is ignored, and between rows. A Float64Array for Float64Array logits.
   */
  losses: A;
}

/** When a gradient was asked for. */
export interface Gradient<A = NewFloat32Array> {
  /** ∂loss/∂logits, laid out as the logits: a new array, or the one that was passed as `gradient`. */
  gradient: A;
}

/** Of `nllLoss`: means over the rows that take part, weighted with nothing; NaN if there are none. */
export interface NllLossMetrics {
  /** Mean of −Σ t·ln p in nats, t the target before smoothing: what perplexity is the exponential of. */
  nll: number;
  /** Share of rows whose largest entry is that of the target, ties to the smallest index. */
  accuracy: number;
}

/** Of `crossEntropy`: means over the rows that take part, weighted with nothing; NaN if there are none. */
export interface CrossEntropyMetrics extends NllLossMetrics {
  /** Mean entropy of the model's distribution, −Σ p·ln p, in nats. */
  entropy: number;
  /** Mean of zLoss · lse². */
  zLoss: number;
}

/** Of `bceWithLogits`: means over the elements that take part, weighted with nothing; NaN if there are none. */
export interface BceWithLogitsMetrics {
  /** Mean of −t·ln σ(z) − (1 − t)·ln(1 − σ(z)) in nats, t the target before smoothing. */
  nll: number;
  /** Share of elements where z > 0 and target > ½ agree. */
  accuracy: number;
  /** Mean entropy of σ(z), in nats. */
  entropy: number;
}

/** When metrics were asked for. */
export interface Metrics<T> {
  /** Means over what took part. */
  metrics: T;
}

/** One number per row each: what `perRow` of the result may hold. The floats are Float64Array for Float64Array logits. */
export interface PerRow<A = NewFloat32Array> {
  /** rowWeight · row loss (in `bceWithLogits` and `klDiv`, summed over the row); 0 for ignored rows. */
  loss: A;
  /** −Σ t·ln p with the target before smoothing, without weights; 0 for ignored rows. */
  nll: A;
  /** ln Σ exp z; 0 for ignored rows. */
  lse: A;
  /** Entropy of the model's distribution in nats; 0 for ignored rows. */
  entropy: A;
  /** The class with the largest entry, ties to the smallest; −1 for ignored rows. */
  prediction: NewInt32Array;
}

// A plain object, for an editor to show member by member.
type Simplify<T> = { [K in keyof T]: T[K] } & NonNullable<unknown>;

// What option K is among options O, which are of type Known: undefined where it is left out, anything where O is any.
type Option<K extends string, O, Known> = K extends keyof Known
  ? K extends keyof O
    ? unknown extends O[K]
      ? Known[K]
      : O[K]
    : unknown extends O
      ? Known[K]
      : undefined
  : undefined;

// Member T of the result for option V that asks for it: there, not there, or perhaps there.
type If<V, T> = [V] extends [false | undefined]
  ? unknown
  : [Extract<V, false | undefined>] extends [never]
    ? T
    : Partial<T>;

type LossOf<L extends Logits, R> = [R] extends ['none']
  ? Losses<FloatsOf<L>>
  : [Extract<R, 'none'>] extends [never]
    ? Loss
    : Partial<Loss & Losses<FloatsOf<L>>>;

// A new array, or the very one that was given.
type GradientOf<L extends Logits, G> = [ArrayOf<L>] extends [G]
  ? ArrayOf<L>
  : (true extends G ? NewArrayOf<L> : never) | Exclude<G, boolean | undefined>;

type PerRowOf<L extends Logits, P> = P extends readonly unknown[]
  ? number extends P['length']
    ? Simplify<Partial<Pick<PerRow<FloatsOf<L>>, Extract<P[number], keyof PerRow>>>>
    : Simplify<Pick<PerRow<FloatsOf<L>>, Extract<P[number], keyof PerRow>>>
  : never;

interface PerRows<T> {
  /** The arrays that option `perRow` names. */
  perRow: T;
}

/** The result of a loss with metrics T for options O, which are of type Known. */
type Result<L extends Logits, O, Known, T> = O extends unknown
  ? Simplify<
      Totals &
        LossOf<L, Option<'reduction', O, Known>> &
        If<Option<'gradient', O, Known>, Gradient<GradientOf<L, Option<'gradient', O, Known>>>> &
        If<Option<'metrics', O, Known>, Metrics<T>> &
        If<Option<'perRow', O, Known>, PerRows<PerRowOf<L, Option<'perRow', O, Known>>>>
    >
  : never;

/** What options for a Uint16Array of logits must hold. */
export interface DtypeNeeded {
  /** Which half floats the bits are: IEEE 754 half precision, or the upper halves of float32 numbers. */
  dtype: 'float16' | 'bfloat16';
}

// What options must be for logits of type L: Known, but for what does not fit. Inference takes O from the first branch, whole.
type Fitting<L extends Logits, O, Known> = [O] extends [never]
  ? O
  : [GradientOption<O>] extends [boolean | ArrayOf<L> | undefined]
    ? unknown extends L // any
      ? Known
      : [L] extends [Uint16Array]
        ? SaysHalf<O> extends true
          ? Known
          : Known & DtypeNeeded
        : Known
    : Omit<Known, 'gradient'> & { gradient?: boolean | ArrayOf<L> | undefined };

// Among what the type of `dtype` may be: a tensor's is that of any tensor.
type SaysHalf<O> = O extends { dtype: infer D }
  ? [Extract<D, DtypeNeeded['dtype']>] extends [never]
    ? false
    : true
  : false;

// Any array may be the right one.
type GradientOption<O> = O extends { gradient?: infer G }
  ? [Logits] extends [G]
    ? undefined
    : G
  : undefined;

/** What is asked of an AbortSignal, Node's or any other. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** How a function answers: with its result, or, in `smoothloss/promises`, with a promise of it. */
export type Mode = 'now' | 'promise';

/** Options that only `smoothloss/promises` has. */
export interface PromiseOptions {
  /**
   * Aborts the call: no thread takes further rows, and as soon as no thread works on any the promise is rejected with an
   * AbortError (code ABORT_ERR), whose `cause` is the signal's reason, a TimeoutError after `AbortSignal.timeout`.
   * Gradient, losses and row results may have been written in part.
   */
  signal?: AbortSignalLike | undefined;
}

type Answer<A extends Mode, T> = A extends 'promise' ? Promise<T> : T;
type OptionsOf<A extends Mode> = A extends 'promise' ? PromiseOptions : unknown;

/**
 * The signature of `crossEntropy`; the result's type follows from the logits and from `reduction`, `gradient`, `metrics` and
 * `perRow`. What cannot be known when compiling is optional in it.
 */
export type CrossEntropy<A extends Mode = 'now'> = <L extends Logits, const O>(
  logits: L,
  targets: Targets,
  options: Fitting<L, O, CrossEntropyOptions & OptionsOf<A>>,
) => Answer<A, Result<L, O, CrossEntropyOptions, CrossEntropyMetrics>>;

/** The signature of `bceWithLogits`; the result's type follows as that of {@link CrossEntropy}. */
export type BceWithLogits<A extends Mode = 'now'> = <L extends Logits, const O>(
  logits: L,
  targets: BceTargets,
  options: Fitting<L, O, BceWithLogitsOptions & OptionsOf<A>>,
) => Answer<A, Result<L, O, BceWithLogitsOptions, BceWithLogitsMetrics>>;

/** The signature of `klDiv`; the result's type follows as that of {@link CrossEntropy}. */
export type KlDiv<A extends Mode = 'now'> = <L extends Logits, const O>(
  logProbs: L,
  targets: SoftTargets,
  options: Fitting<L, O, KlDivOptions & OptionsOf<A>>,
) => Answer<A, Result<L, O, KlDivOptions, never>>;

/** The signature of `nllLoss`; the result's type follows as that of {@link CrossEntropy}. */
export type NllLoss<A extends Mode = 'now'> = <L extends Logits, const O>(
  logProbs: L,
  targets: IndexArray | MixedTargets,
  options: Fitting<L, O, NllLossOptions & OptionsOf<A>>,
) => Answer<A, Result<L, O, NllLossOptions, NllLossMetrics>>;

/** The signature of `smoothLabels`: Float64Array for Float64Array targets, Float32Array for all others. */
export type SmoothLabels<A extends Mode = 'now'> = <T extends Targets>(
  targets: T,
  options: SmoothLabelsOptions & OptionsOf<A>,
) => Answer<A, T extends Float64Array ? NewFloat64Array : NewFloat32Array>;

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
  readonly bceWithLogits: BceWithLogits<A>;
  readonly klDiv: KlDiv<A>;
  readonly nllLoss: NllLoss<A>;
  readonly smoothLabels: SmoothLabels<A>;
}
