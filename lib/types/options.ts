// Options that several functions have.

import type { DType, Factors, Logits, Mask, OtherType } from './arrays.js';
import type { PerRow } from './results.js';

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
       * Class or classes, in [0, C), that get no smoothing mass; u is spread over the rest. A row whose target is
       * excluded keeps its own 1 − ε. With `over: 'others'` and the padding class excluded each gets ε/(C−2), OpenNMT's
       * convention.
       */
      exclude?: number | readonly number[] | undefined;
      /**
       * Length C, finite and ≥ 0: u is this distribution instead of the uniform one. It is normalised to sum 1 after
       * `exclude` and `over` have taken their classes out, so counts will do. A Float64Array goes with Float64Array
       * logits.
       */
      prior?: Factors | undefined;
    };

/**
 * Label smoothing of `bceWithLogits`: each target t in [0, 1] becomes (1 − ε)·t + ε·toward. A number is ε, toward ½.
 */
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
   * The number type of the logits. A Uint16Array needs it: its bits are IEEE 754 half precision numbers (`'float16'`)
   * or the upper halves of float32 numbers (`'bfloat16'`). They are converted exactly, and the gradient is rounded
   * once, to the nearest, ties to even. Other arrays tell theirs, and it may be said: `'float32'`, `'float64'`, or
   * `'float16'` of a Float16Array. So `dtype: tensor.type` of onnxruntime is right for whatever array holds its data;
   * what contradicts the array is refused.
   */
  dtype?: DType | OtherType | undefined;
  /**
   * Length R, finite and ≥ 0: a weight for each row's loss and gradient. A Float64Array goes with Float64Array logits.
   */
  rowWeight?: Factors | undefined;
  /**
   * `'mean'` (the default): `loss` is numerator / denominator. `'sum'`: `loss` is the numerator. `'none'`: `losses`
   * holds the losses one by one, and there is no `loss`.
   */
  reduction?: Reduction | undefined;
  /**
   * What the mean is when its denominator is 0: `'nan'` (the default, as PyTorch), `'zero'`, or an `'error'` with code
   * ERR_EMPTY. The gradient is 0 in the first two.
   */
  whenEmpty?: 'nan' | 'zero' | 'error' | undefined;
  /**
   * `true`: the result holds the gradient of the loss by the logits (log-probabilities), in a new array of their type
   * and length. An array of that type and length: the gradient is written there; the logits themselves are allowed and
   * are overwritten. In a training loop give an array: pages of a large new one cost many times the call. With
   * reduction `'none'` each gradient is that of its own loss. Elements between rows (`rowStride`) are left alone.
   */
  gradient?: boolean | Logits | undefined;
  /**
   * Multiplies the gradient, 1 by default: the upstream gradient, finite and within the range of float32. With
   * reduction `'none'` also one per row (length R; a Float64Array goes with Float64Array logits).
   */
  gradientScale?: number | Factors | undefined;
  /** Elements from the start of one row of logits to the next, at least C (the default): for padded vocabularies. */
  rowStride?: number | undefined;
  /**
   * An integer from 1 (the default) on: the logits are laid out [R/inner, C, inner], as images are with inner = H·W:
   * class k of row n·inner + i is at (n·C + k)·inner + i. R must be a multiple of it, and `rowStride` must be left out.
   */
  inner?: number | undefined;
  /**
   * How many threads may share the work, from 1 to 1024: as `setThreads` says by default. The bits of the result are
   * the same for any number. A batch too small to gain from it is computed by one; backend `'js'` has only one.
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
   * Label smoothing: a row's target t becomes (1 − ε)·t + ε·u. A number is ε, in [0, 1] and 0 by default, with u
   * uniform over all classes, as PyTorch's `label_smoothing`. `{ epsilon, over, exclude, prior }` says more: `epsilon`
   * may hold one ε per row, `over: 'others'` gives the row's target no share of u (fairseq), `exclude` names classes
   * that get none (OpenNMT's padding), and `prior` holds C numbers in place of the uniform u.
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
   * Length C, finite and ≥ 0: a weight for each class, as PyTorch's `weight`: it multiplies each class's term of the
   * loss. A Float64Array goes with Float64Array logits.
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
   * `'all'`: R, ignored rows too. A number > 0: that. For gradient accumulation and data parallel training give each
   * part of a batch the denominator of the whole batch, and add up the parts' `loss` and gradients.
   */
  normalizer?: Normalizer | undefined;
}

/** What is done to logits first. */
export interface LogitOptions {
  /**
   * Finite and > 0, 1 by default: the loss is that of z = logitScale · logits, the inverse of a temperature. The
   * gradient is by the logits as given. Rounded to float32 unless the logits are a Float64Array, as is `softcap`.
   */
  logitScale?: number | undefined;
  /** Finite and > 0: z becomes softcap · tanh(z / softcap), as in Gemma 2 (arXiv:2408.00118). None by default. */
  softcap?: number | undefined;
}

/** What is asked of an AbortSignal, Node's or any other. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Options that only `smoothloss/promises` has. */
export interface PromiseOptions {
  /**
   * Aborts the call: no thread takes further rows, and as soon as no thread works on any the promise is rejected with
   * an AbortError (code ABORT_ERR), whose `cause` is the signal's reason, a TimeoutError after `AbortSignal.timeout`.
   * Gradient, losses and row results may have been written in part.
   */
  signal?: AbortSignalLike | undefined;
}
