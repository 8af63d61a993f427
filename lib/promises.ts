// The public functions that return promises: the event loop goes on while they compute.

import { chosen, type Loaded, load } from './backends.js';
import type { Batch, Kernel, Sums } from './batch.js';
import { bindAll, resultOf } from './calls.js';
import { abortError, unreadable } from './errors.js';
import { InUse } from './in-use.js';
import { fromNames } from './objects.js';
import { onAbort } from './signals.js';
import { computeInSlices } from './slices.js';
import { threadsFor } from './threads.js';
import type { AbortSignalLike, Backend, BackendName, Functions } from './types/index.js';

export { availableBackends, setThreads } from './index.js';
export type * from './types/index.js';

// Computes in other threads. Returns undefined, with nothing begun, if the backend has none.
function computeElsewhere(
  kernel: Kernel,
  batch: Batch,
  threads: number,
  signal: AbortSignalLike | undefined,
): Promise<Sums | undefined> | undefined {
  let resolve = (_: Sums | undefined): void => {};
  const promise = new Promise<Sums | undefined>((settle) => {
    resolve = settle;
  });
  const abort = kernel.start?.(batch, threads, resolve);
  if (abort === undefined) return undefined;
  return signal === undefined ? promise : abortable(promise, abort, signal);
}

// Settles only when no thread works on the arrays any more, whatever the signal does.
async function abortable(
  promise: Promise<Sums | undefined>,
  abort: () => void,
  signal: AbortSignalLike,
): Promise<Sums | undefined> {
  let forget = () => {};
  try {
    forget = onAbort(signal, abort);
    if (signal.aborted) abort();
  } catch (error) {
    abort();
    await promise;
    throw unreadable('signal', error);
  }
  const sums = await promise;
  try {
    forget();
  } catch (error) {
    throw unreadable('signal', error);
  }
  return sums;
}

// A signal may be any object, whose getters may throw.
function isAborted(signal: AbortSignalLike): boolean {
  try {
    return Boolean(signal.aborted);
  } catch (error) {
    throw unreadable('signal', error);
  }
}

/** The error of a call whose signal aborted. */
function aborting(signal: AbortSignalLike | undefined): unknown {
  try {
    return abortError(signal?.reason);
  } catch (error) {
    return unreadable('signal', error);
  }
}

function bind({ backend, kernels }: Loaded): Functions<'promise'> {
  const functions = bindAll(async (rules, call) => {
    const { batch } = call;
    const { threads, signal, aborted } = call.execution;
    if (aborted) throw aborting(signal);
    const inUse = new InUse(batch);
    const check = () => {
      if (signal !== undefined && isAborted(signal)) throw aborting(signal);
      inUse.check();
    };
    try {
      // No code of the caller's runs until the kernel has begun, so the arena still holds this call.
      inUse.check();
      const kernel = kernels[rules.kernel];
      const elsewhere = inUse.resizable
        ? undefined
        : computeElsewhere(kernel, batch, threadsFor(threads, batch), signal);
      const sums = await (elsewhere ?? computeInSlices(kernel, batch, check));
      check();
      if (sums === undefined) throw aborting(signal);
      return resultOf(rules, call, sums);
    } finally {
      inUse.release();
    }
  });
  // An error of the checks rejects the promise. An async function would make two more promises of each call.
  const rejecting = fromNames(Object.keys(functions), (name) => {
    const check = functions[name];
    return {
      [name](a: unknown, b: unknown, c: unknown, d?: unknown) {
        try {
          return check(a, b, c, d);
        } catch (error) {
          return Promise.reject(error);
        }
      },
    }[name];
  });
  return { backend, ...rejecting } as unknown as Functions<'promise'>;
}

const functions = bind(chosen);

/** The backend in use, the same as that of `smoothloss`. */
export const backend: Backend = functions.backend;

/**
 * `crossEntropy` of `smoothloss`, computed while the event loop goes on: the same options, results and bits, and what
 * is thrown there rejects the promise here, before anything is written.
 *
 * Read at once are targets that are classes; masks, but for those per element that hold bytes; and with Float64Array
 * logits, Float32Arrays of weights, λ, ε, a prior and `gradientScale`, but for a weight per element. All other arrays,
 * the gradient too, are in use until the promise settles: what they hold must not be changed, or the result may hold
 * numbers of before and after. Calls that read the same arrays may run at once; one that would write what another reads
 * or writes, or read what it writes, is rejected with ERR_OVERLAP (in this JavaScript thread; with SharedArrayBuffers
 * other threads must see to it themselves). If a buffer is detached or resized meanwhile, the promise is rejected with
 * ERR_INVALID_ARG_TYPE, and its old contents are lost or half-written; nothing worse happens. Resizable ArrayBuffers,
 * all calls with backend `'js'`, and in Node 22 and outside Node all calls with an array outside SharedArrayBuffers, are
 * computed on the event loop's own thread, in slices of some milliseconds.
 *
 * @param logits As for `crossEntropy` of `smoothloss`.
 * @param targets Likewise.
 * @param options Likewise, and `signal`: an AbortSignal that ends the call early, see {@link PromiseOptions}.
 * @returns A promise of what `crossEntropy` of `smoothloss` returns.
 * @throws {TypeError | RangeError} By rejection, what `crossEntropy` of `smoothloss` throws; ERR_OVERLAP as above.
 * @throws {Error} AbortError (code ABORT_ERR, `cause` the signal's reason).
 * @example
 * const { loss, gradient } = await crossEntropy(logits, targets, { classes: 1000, gradient: true, signal });
 */
export const crossEntropy = functions.crossEntropy;

/**
 * `linearCrossEntropy` of `smoothloss`, computed while the event loop goes on: see {@link crossEntropy}. `input`,
 * `linearWeight`, `linearBias` and the gradients are in use until the promise settles, those with `accumulate` too.
 */
export const linearCrossEntropy = functions.linearCrossEntropy;

/** `bceWithLogits` of `smoothloss`, computed while the event loop goes on: see {@link crossEntropy}. */
export const bceWithLogits = functions.bceWithLogits;

/** `klDiv` of `smoothloss`, computed while the event loop goes on: see {@link crossEntropy}. */
export const klDiv = functions.klDiv;

/** `nllLoss` of `smoothloss`, computed while the event loop goes on: see {@link crossEntropy}. */
export const nllLoss = functions.nllLoss;

/** `smoothLabels` of `smoothloss`, computed while the event loop goes on: see {@link crossEntropy}. */
export const smoothLabels = functions.smoothLabels;

/**
 * The functions of this module bound to one backend, whatever the package itself uses.
 *
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: not a string.
 * @throws {RangeError} ERR_OUT_OF_RANGE: not the name of a backend.
 * @throws {Error} ERR_BACKEND_UNAVAILABLE: it does not run here; the message says why.
 */
export function loadBackend(name: BackendName): Functions<'promise'> {
  return bind(load(name, 'the backend'));
}
