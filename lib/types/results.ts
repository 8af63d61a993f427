// What results hold.

import type { NewArrayOf } from './arrays.js';

/**
 * What every loss returns. A mean over several calls comes in one of two ways:
 *
 * with gradients (micro-batches, machines), `normalizer` is the denominator of the whole batch in every call, and the
 * calls' `loss` and gradients add up to those of the whole batch. With classes as targets it is Σ of rowWeight ·
 * weight[target] over all rows of the batch that take part;
 *
 * without (a validation set), `normalizer` is left out, and the mean is Σ `numerator` / Σ `denominator`.
 */
export interface Totals {
  /** Σ of the losses, each with its weights, in double precision, whatever the reduction. */
  numerator: number;
  /**
   * What the mean divides by (see `normalizer`), whatever the reduction. If `normalizer` is a number it is that number
   * in every call, and must not be added up.
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
export interface Losses<A = NewArrayOf<Float32Array>> {
  /**
   * `crossEntropy` and `nllLoss`: rowWeight · row loss, one per row. `bceWithLogits` and `klDiv`: rowWeight · loss, one
   * per element, laid out as the logits. 0 for what is ignored, and between rows. A Float64Array for Float64Array
   * logits.
   */
  losses: A;
}

/** When a gradient was asked for. */
export interface Gradient<A = NewArrayOf<Float32Array>> {
  /**
   * ∂loss/∂logits, laid out as the logits: a new array, or the one that was passed as `gradient`. In `linearCrossEntropy`
   * an object with those that were asked for.
   */
  gradient: A;
}

/** The gradients of `linearCrossEntropy`: new arrays, or those that were passed. */
export interface LayerGradients<I = NewArrayOf<Float32Array>, W = I, B = I> {
  /** ∂loss/∂input, length R·D; 0 for ignored rows. */
  input: I;
  /** ∂loss/∂linearWeight, length C·D; with `accumulate` added to what the array held. */
  linearWeight: W;
  /** ∂loss/∂linearBias, length C; with `accumulate` added to what the array held. */
  linearBias: B;
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

type NewInt32Array = ReturnType<typeof Int32Array.of>;

/**
 * One number per row each: what `perRow` of the result may hold. The floats are Float64Array for Float64Array logits.
 */
export interface PerRow<A = NewArrayOf<Float32Array>> {
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
