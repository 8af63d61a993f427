// The public functions.

import { prepareCrossEntropy } from './arguments.js';
import { chosen, type Loaded, load } from './backends.js';
import type { Backend, BackendName, CrossEntropy, Functions } from './types.js';

export { availableBackends } from './backends.js';
export type {
  Backend,
  BackendName,
  CrossEntropy,
  CrossEntropyOptions,
  Functions,
  Gradient,
  IndexArray,
  LabelSmoothing,
  Logits,
  Loss,
  Losses,
  Targets,
  Totals,
} from './types.js';

interface AnyResult {
  loss?: number;
  losses?: Float32Array;
  gradient?: Float32Array;
  numerator: number;
  denominator: number;
  rows: number;
}

function bind({ backend, kernels }: Loaded): Functions {
  const crossEntropy = (logits: unknown, targets: unknown, options: unknown): AnyResult => {
    const { batch, reduction, denominator, rows, empty } = prepareCrossEntropy(logits, targets, options);
    const numerator = kernels.crossEntropy(batch);
    const result: AnyResult = { numerator, denominator, rows };
    if (batch.losses !== null) {
      result.losses = batch.losses;
    } else if (reduction === 'sum') {
      result.loss = numerator;
    } else {
      result.loss = denominator === 0 ? empty : numerator / denominator;
    }
    if (batch.gradient !== null) result.gradient = batch.gradient;
    return result;
  };
  return { backend, crossEntropy: crossEntropy as CrossEntropy };
}

const functions = bind(chosen);

/** Which backend the package uses: the fastest that runs here, or the one that SMOOTHLOSS_BACKEND names. */
export const backend: Backend = functions.backend;

/**
 * Softmax cross entropy of a batch, with label smoothing, class and row weights, and its gradient by the logits.
 *
 * With lp = log softmax(logits), t' = (1 − ε)·one-hot(target) + ε·u and class weights w, a row's loss is
 * −Σ_k w_k t'_k lp_k, and its gradient softmax_k · Σ_j w_j t'_j − w_k t'_k. Defaults and results are those of PyTorch's
 * `torch.nn.functional.cross_entropy`; every backend returns the same bits.
 *
 * A row with NaN or +Infinity among its logits, or with nothing but −Infinity, has loss and gradient NaN. A −Infinity
 * logit has probability 0; with smoothing mass on it the loss is +Infinity (`exclude` is the way out).
 *
 * @param logits R·C unnormalised scores, row after row (see `rowStride`).
 * @param targets R class indices in [0, C), or `ignoreIndex`.
 * @param options At least `classes`; see {@link CrossEntropyOptions}.
 * @returns `loss` (or `losses`), `numerator`, `denominator`, `rows`, and `gradient` if asked for.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: an argument or option of the wrong type, an unknown option, a detached buffer.
 * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_LENGTH_MISMATCH, ERR_OVERLAP (gradient partly on another array), ERR_EMPTY
 * (`whenEmpty: 'error'`). Errors are thrown before anything is written.
 * @example
 * const { loss, gradient } = crossEntropy(logits, targets, { classes: 1000, labelSmoothing: 0.1, gradient: true });
 */
export const crossEntropy: CrossEntropy = functions.crossEntropy;

/**
 * The functions of the package bound to one backend, whatever the package itself uses.
 *
 * @throws {RangeError} ERR_OUT_OF_RANGE: not the name of a backend.
 * @throws {Error} ERR_BACKEND_UNAVAILABLE: it does not run here; the message says why.
 */
export function loadBackend(name: BackendName): Functions {
  return bind(load(name, 'the backend'));
}
