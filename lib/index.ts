// The public functions that return their results at once.

import { chosen, type Loaded, load, setThreads as setThreadsOf } from './backends.js';
import { bindAll, resultOf } from './calls.js';
import { typeError } from './errors.js';
import { rejectInUse } from './in-use.js';
import { threadsFor } from './threads.js';
import type { Backend, BackendName, Functions } from './types/index.js';

export { availableBackends } from './backends.js';
export type * from './types/index.js';

function bind({ backend, kernels }: Loaded): Functions {
  const functions = bindAll((rules, call) => {
    const { batch, execution } = call;
    if (execution.signal !== undefined) {
      throw typeError('signal', execution.signal, 'left out here, it is for smoothloss/promises');
    }
    rejectInUse(batch);
    const sums = kernels[rules.kernel](batch, threadsFor(execution.threads, batch));
    return resultOf(rules, call, sums);
  });
  return { backend, ...functions } as unknown as Functions;
}

const functions = bind(chosen);

/** Which backend the package uses: the fastest that runs here, or the one that SMOOTHLOSS_BACKEND names. */
export const backend: Backend = functions.backend;

/**
 * Softmax cross entropy of a batch, with label smoothing, class and row weights, and its gradient by the logits.
 *
 * With z the logits (scaled and capped, if asked for), lp = log softmax(z), t' = (1 − ε)·t + ε·u the smoothed target
 * and w the class weights, a row's loss is −Σ_k w_k t'_k lp_k + zLoss·lse², and its gradient by z
 * softmax_k · (Σ_j w_j t'_j + 2·zLoss·lse) − w_k t'_k. Defaults and results are those of PyTorch's
 * `torch.nn.functional.cross_entropy`; every backend returns the same bits.
 *
 * A row with NaN or +Infinity among its z, or with nothing but −Infinity, has loss and gradient NaN. A −Infinity logit
 * has probability 0, and its class adds nothing where t' is 0; with target or smoothing mass on it the loss is
 * +Infinity (`exclude` is the way out for smoothing).
 *
 * @param logits R·C unnormalised scores, row after row (see `rowStride` and `inner`); half floats too (see `dtype`).
 * @param targets R class indices in [0, C) or `ignoreIndex`; R·C probabilities; or `{ a, b, lambda }`: two classes per
 * row, mixed.
 * @param options At least `classes`; see {@link CrossEntropyOptions}.
 * @returns `loss` (or `losses`), `numerator`, `denominator`, `rows`, and `gradient`, `metrics` and `perRow` if asked for.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: an argument or option of the wrong type, an unknown option, a detached buffer.
 * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_LENGTH_MISMATCH, ERR_OVERLAP (gradient partly on another array), ERR_EMPTY
 * (`whenEmpty: 'error'`), ERR_MEMORY_ALLOCATION_FAILED (too long a result). Errors are thrown before anything is
 * written.
 * @example
 * const { loss, gradient } = crossEntropy(logits, targets, { classes: 1000, labelSmoothing: 0.1, gradient: true });
 */
export const crossEntropy = functions.crossEntropy;

/**
 * Softmax cross entropy of the logits that an output layer makes, and its gradient by the layer's input, weight and bias.
 *
 * The logits of a row are x = linearWeight · input + linearBias; loss, options and results are those of
 * {@link crossEntropy} with them, and ∂loss/∂input = g · linearWeight, ∂loss/∂linearWeight = gᵀ · input,
 * ∂loss/∂linearBias = the sum of g over the rows, where g = ∂loss/∂x. The R·C logits never exist as a whole: rows that take
 * part are computed 512 at a time (256 from 65,537 classes on), and need memory for 512·C + 512·D numbers, whatever R.
 * Ignored rows are left out of all three products. Without `gradient` it scores: loss, perplexity, `perRow`.
 *
 * Defaults and results are those of PyTorch's `torch.nn.functional.linear_cross_entropy` (2.13); others call it fused or
 * cut cross entropy (Liger Kernel, arXiv:2410.10989; "Cut Your Losses", arXiv:2411.09009). Every backend returns the same
 * bits, for any number of threads. Sums of products are in float32, of float64 arrays in double.
 *
 * A NaN in a row of `input` makes NaN of that row's loss and gradients, and so of the gradient of `linearWeight`; one in an
 * ignored row does nothing. See {@link crossEntropy} for infinite logits.
 *
 * @param input R·D features, row after row: what goes into the layer; half floats too (see `dtype`).
 * @param linearWeight C·D numbers, one row of D for each class, as PyTorch's `Linear.weight`; of the type of `input`.
 * D is `linearWeight.length / classes`.
 * @param targets R class indices in [0, C) or `ignoreIndex`; R·C probabilities; or `{ a, b, lambda }`: two classes per
 * row, mixed.
 * @param options At least `classes`; see {@link LinearCrossEntropyOptions}.
 * @returns `loss` (or `losses`), `numerator`, `denominator`, `rows`, and `gradient`, `metrics` and `perRow` if asked for;
 * `gradient` holds `input`, `linearWeight` and `linearBias`, or those of them that were asked for.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: an argument or option of the wrong type, an unknown option, a detached buffer,
 * `gradient.linearBias` without `linearBias`, `accumulate` without arrays to add to.
 * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_LENGTH_MISMATCH, ERR_OVERLAP (a gradient on another array), ERR_EMPTY
 * (`whenEmpty: 'error'`), ERR_MEMORY_ALLOCATION_FAILED (too long a result). Errors are thrown before anything is
 * written.
 * @example
 * const { loss, gradient } = linearCrossEntropy(hidden, weight, tokens, { classes: 32_000, linearBias, gradient: true });
 * // gradient.input (R·D), gradient.linearWeight (C·D), gradient.linearBias (C)
 */
export const linearCrossEntropy = functions.linearCrossEntropy;

/**
 * Binary cross entropy of a batch, each of its R·C elements for itself, and its gradient by the logits.
 *
 * With z the logits (scaled and capped, if asked for), t' = (1 − ε)·t + ε·toward the smoothed target, p the class's
 * `posWeight` and w the weight, an element's loss is w·(p·t'·ln(1 + e^−z) + (1 − t')·ln(1 + e^z)), and its gradient by
 * z w·((1 − t')·σ(z) − p·t'·(1 − σ(z))), σ the logistic function. Defaults and results are those of PyTorch's
 * `torch.nn.functional.binary_cross_entropy_with_logits`; every backend returns the same bits.
 *
 * ±Infinity logits have loss 0 where they agree with the target, else +Infinity; NaN gives NaN.
 *
 * @param logits R·C unnormalised scores, row after row (see `rowStride` and `inner`); half floats too (see `dtype`).
 * @param targets R·C numbers in [0, 1] (Float32Array, Float64Array or Uint8Array; not checked), or R class indices in
 * [0, C) or `ignoreIndex` (any other integer array), of which each stands for 1 in its class and 0 in the others.
 * @param options At least `classes`; see {@link BceWithLogitsOptions}.
 * @returns `loss` (or `losses`, one per element), `numerator`, `denominator`, `rows`, and `gradient`, `metrics` and
 * `perRow` if asked for.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: an argument or option of the wrong type, an unknown option, a detached buffer.
 * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_LENGTH_MISMATCH, ERR_OVERLAP (gradient partly on another array), ERR_EMPTY
 * (`whenEmpty: 'error'`), ERR_MEMORY_ALLOCATION_FAILED (too long a result). Errors are thrown before anything is
 * written.
 * @example
 * const { loss, gradient } = bceWithLogits(logits, labels, { classes: 80, labelSmoothing: 0.1, gradient: true });
 */
export const bceWithLogits = functions.bceWithLogits;

/**
 * Kullback-Leibler divergence of a batch of distributions from log-probabilities, and its gradient by the latter.
 *
 * An element's loss is w·t·(ln t − x), or with `logTarget` w·e^t·(t − x), and its gradient −w·t (−w·e^t); where the
 * target is 0 (−Infinity), it adds 0, whatever x holds. Defaults and results are those of PyTorch's
 * `torch.nn.functional.kl_div`; every backend returns the same bits.
 *
 * @param logProbs x, R·C natural logarithms of probabilities, row after row (see `rowStride` and `inner`); half floats too
 * (see `dtype`).
 * @param targets t, R·C probabilities, or their logarithms with `logTarget`; not checked.
 * @param options At least `classes`; see {@link KlDivOptions}.
 * @returns `loss` (or `losses`, one per element), `numerator`, `denominator`, `rows`, and `gradient` and `perRow` if asked
 * for.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: an argument or option of the wrong type, an unknown option, a detached buffer.
 * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_LENGTH_MISMATCH, ERR_OVERLAP (gradient partly on another array), ERR_EMPTY
 * (`whenEmpty: 'error'`), ERR_MEMORY_ALLOCATION_FAILED (too long a result). Errors are thrown before anything is
 * written.
 * @example
 * const { loss } = klDiv(studentLogProbs, teacherProbs, { classes: 1000, reduction: 'batchmean' });
 */
export const klDiv = functions.klDiv;

/**
 * Negative log likelihood of a batch, given log-probabilities, with label smoothing, and its gradient by them.
 *
 * With t' = (1 − ε)·t + ε·u the smoothed target and w the class weights, a row's loss is −Σ_k w_k t'_k x_k, and its
 * gradient −w_k t'_k, whatever x holds; classes where w_k t'_k is 0 are not looked at. Without smoothing, defaults and
 * results are those of PyTorch's `torch.nn.functional.nll_loss`; every backend returns the same bits.
 *
 * @param logProbs x, R·C natural logarithms of probabilities, row after row (see `rowStride` and `inner`); half floats too
 * (see `dtype`).
 * @param targets R class indices in [0, C) or `ignoreIndex`, or `{ a, b, lambda }`: two classes per row, mixed.
 * @param options At least `classes`; see {@link NllLossOptions}.
 * @returns `loss` (or `losses`), `numerator`, `denominator`, `rows`, and `gradient`, `metrics` and `perRow` if asked for.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: an argument or option of the wrong type, an unknown option, a detached buffer.
 * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_LENGTH_MISMATCH, ERR_OVERLAP (gradient partly on another array), ERR_EMPTY
 * (`whenEmpty: 'error'`), ERR_MEMORY_ALLOCATION_FAILED (too long a result). Errors are thrown before anything is
 * written.
 * @example
 * // What OpenNMT's LabelSmoothingLoss computes.
 * const labelSmoothing = { epsilon: 0.1, over: 'others', exclude: pad } as const;
 * const { loss } = nllLoss(logProbs, y, { classes, labelSmoothing, ignoreIndex: pad, form: 'kl', reduction: 'sum' });
 */
export const nllLoss = functions.nllLoss;

/**
 * The target distributions of a batch after label smoothing, t' = (1 − ε)·t + ε·u: what `crossEntropy` with the same
 * options compares the logits with.
 *
 * @param targets R class indices in [0, C) or `ignoreIndex`; R·C probabilities; or `{ a, b, lambda }`: two classes per
 * row, mixed.
 * @param options At least `classes`; see {@link SmoothLabelsOptions}.
 * @returns R·C numbers, row after row, in a new Float32Array (Float64Array for Float64Array targets). Ignored rows are 0.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: an argument or option of the wrong type, an unknown option, a detached buffer.
 * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_LENGTH_MISMATCH, ERR_MEMORY_ALLOCATION_FAILED (too long a result).
 * @example
 * const labels = smoothLabels(Int32Array.of(2, 0), { classes: 4, labelSmoothing: 0.1 }); // .025 .025 .925 .025 .925 …
 */
export const smoothLabels = functions.smoothLabels;

/**
 * Sets how many threads the calls of this JavaScript thread use from now on, with or without `smoothloss/promises`, if
 * they do not say; `backend.threads` tells it. At first it is what environment variable SMOOTHLOSS_THREADS says, or
 * else as many as the process has CPUs for (`os.availableParallelism()`, less where a control group limits it). The
 * threads belong to the process, start when they are first needed, and are shared by all calls at once. As PyTorch's
 * `torch.set_num_threads`; the bits of results do not depend on it.
 *
 * @param threads An integer from 1 to 1024.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: not a number.
 * @throws {RangeError} ERR_OUT_OF_RANGE.
 */
export function setThreads(threads: number): void {
  setThreadsOf(threads);
}

/**
 * The functions of the package bound to one backend, whatever the package itself uses.
 *
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: not a string.
 * @throws {RangeError} ERR_OUT_OF_RANGE: not the name of a backend.
 * @throws {Error} ERR_BACKEND_UNAVAILABLE: it does not run here; the message says why.
 */
export function loadBackend(name: BackendName): Functions {
  return bind(load(name, 'the backend'));
}
