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

/** Unnormalised scores, one per row and class. */
export type Logits = Float32Array;

/** What the loss compares the logits with: the index of the right class of each row. */
export type Targets = IndexArray;

/**
 * How much of the target distribution goes where: a row's target becomes (1 − ε)·one-hot + ε·u. A number is ε with u
 * uniform over all classes, which is what PyTorch's `label_smoothing`, Keras and TensorFlow.js do.
 *
 * Szegedy et al. 2016, "Rethinking the Inception Architecture", arXiv:1512.00567, section 7.
 */
export type LabelSmoothing =
  | number
  | {
      /** ε in [0, 1]: one for all rows, or one per row. */
      epsilon: number | Float32Array;
      /**
       * `'all'` (the default): u covers every class, the target too (Szegedy, PyTorch, Keras, TensorFlow.js, optax).
       * `'others'`: u covers every class but the row's target, ε/(C−1) each if uniform (fairseq, Megatron).
       */
      over?: 'all' | 'others' | undefined;
      /**
       * Class or classes, in [0, C), that get no smoothing mass; u is spread over the rest. With `over: 'others'` and the
       * padding class excluded each gets ε/(C−2), OpenNMT's convention.
       */
      exclude?: number | readonly number[] | undefined;
      /**
       * Length C, finite and ≥ 0: u is this distribution instead of the uniform one. It is normalised to sum 1 after
       * `exclude` and `over` have taken their classes out, so counts will do.
       */
      prior?: Float32Array | undefined;
    };

/** Options of {@link CrossEntropy}. R is the number of rows (the length of the targets), C of classes. */
export interface CrossEntropyOptions {
  /** C, the number of classes: an integer from 1 to 2^31 − 1. */
  classes: number;
  /** Label smoothing, 0 by default: see {@link LabelSmoothing}. */
  labelSmoothing?: LabelSmoothing | undefined;
  /** Length C, finite and ≥ 0: a weight for each class, as PyTorch's `weight`: it multiplies each class's term of the loss. */
  weight?: Float32Array | undefined;
  /** Length R, finite and ≥ 0: a weight for each row's loss and gradient. */
  rowWeight?: Float32Array | undefined;
  /**
   * Targets that mark a row as ignored: its loss and gradient are 0, whatever its logits hold, and it does not count in
   * the mean. An integer or several, inside [0, C) or not; −100 by default.
   */
  ignoreIndex?: number | readonly number[] | undefined;
  /** Length R: rows where it is 0 are ignored, and their targets may be anything. */
  mask?: Uint8Array | undefined;
  /**
   * `'mean'` (the default): `loss` is numerator / denominator. `'sum'`: `loss` is the numerator. `'none'`: `losses` holds
   * one loss per row, and there is no `loss`.
   */
  reduction?: 'mean' | 'sum' | 'none' | undefined;
  /**
   * The mean's denominator. `'weight'` (the default): Σ of rowWeight · weight[target] over the rows that take part, as in
   * PyTorch. `'rows'`: the number of those rows. `'all'`: R, ignored rows too. A number > 0: that, for gradient
   * accumulation and data parallel training, where the denominator is the global one.
   */
  normalizer?: 'weight' | 'rows' | 'all' | number | undefined;
  /**
   * What the mean is when its denominator is 0: `'nan'` (the default, as PyTorch), `'zero'`, or an `'error'` with code
   * ERR_EMPTY. The gradient is 0 in the first two.
   */
  whenEmpty?: 'nan' | 'zero' | 'error' | undefined;
  /**
   * `true`: the result holds the gradient of the loss by the logits, in a new array as long as the logits. A Float32Array
   * of that length: the gradient is written there; the logits themselves are allowed and are overwritten. With
   * reduction `'none'` each row's gradient is that of its own loss. Elements between rows (`rowStride`) are left alone.
   */
  gradient?: boolean | Float32Array | undefined;
  /** Multiplies the gradient, 1 by default: the upstream gradient. With reduction `'none'` also one per row (length R). */
  gradientScale?: number | Float32Array | undefined;
  /** Elements from the start of one row to the next, at least C (the default): for padded vocabularies. */
  rowStride?: number | undefined;
}

/** What every call returns. Sum `numerator` and `denominator` over micro-batches or machines, then divide, for one mean. */
export interface Totals {
  /** Σ over rows of rowWeight · row loss, in double precision, whatever the reduction. */
  numerator: number;
  /** What the mean divides by (see `normalizer`), whatever the reduction. */
  denominator: number;
  /** The number of rows that took part: neither ignored nor masked. */
  rows: number;
}

/** With reduction `'mean'` or `'sum'`. */
export interface Loss {
  /** The loss, in double precision. */
  loss: number;
}

/** With reduction `'none'`. */
export interface Losses {
  /** rowWeight · row loss, one per row; 0 for ignored rows. */
  losses: Float32Array;
}

/** When a gradient was asked for. */
export interface Gradient {
  /** ∂loss/∂logits, laid out as the logits: a new array, or the one that was passed as `gradient`. */
  gradient: Float32Array;
}

type Scalar = { reduction?: 'mean' | 'sum' | undefined; gradientScale?: number | undefined };
type PerRow = { reduction: 'none' };
type WithGradient = { gradient: true | Float32Array };
type WithoutGradient = { gradient?: false | undefined };

/** The signature of `crossEntropy`; the result type follows from `reduction` and `gradient`. */
export interface CrossEntropy {
  (
    logits: Logits,
    targets: Targets,
    options: CrossEntropyOptions & Scalar & WithGradient,
  ): Totals & Loss & Gradient;
  (logits: Logits, targets: Targets, options: CrossEntropyOptions & Scalar & WithoutGradient): Totals & Loss;
  (
    logits: Logits,
    targets: Targets,
    options: CrossEntropyOptions & Scalar,
  ): Totals & Loss & Partial<Gradient>;
  (
    logits: Logits,
    targets: Targets,
    options: CrossEntropyOptions & PerRow & WithGradient,
  ): Totals & Losses & Gradient;
  (
    logits: Logits,
    targets: Targets,
    options: CrossEntropyOptions & PerRow & WithoutGradient,
  ): Totals & Losses;
  (
    logits: Logits,
    targets: Targets,
    options: CrossEntropyOptions & PerRow,
  ): Totals & Losses & Partial<Gradient>;
  (
    logits: Logits,
    targets: Targets,
    options: CrossEntropyOptions,
  ): Totals & Partial<Loss & Losses & Gradient>;
}

/** The name of a backend: native with AVX2 and FMA, native with NEON, native for any CPU, JavaScript. */
export type BackendName = 'avx2' | 'neon' | 'scalar' | 'js';

/** Which backend computes, and why. */
export interface Backend {
  readonly name: BackendName;
  /** The number of threads it computes with. */
  readonly threads: number;
  /** Why the package does not use a native backend; not there if it does. */
  readonly reason?: string;
}

/** The functions of the package bound to one backend: what `loadBackend` returns. */
export interface Functions {
  readonly backend: Backend;
  readonly crossEntropy: CrossEntropy;
}
