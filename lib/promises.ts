// The public functions that return promises: the event loop goes on while they compute.

import type { Rules } from './arguments/functions.js';
import { chosen, type Loaded, load } from './backends.js';
import type { Batch, Kernel, Sums } from './batch.js';
import { bindAll, type Checked, type Ended, resultOf } from './calls.js';
import { abortError, unreadable } from './errors.js';
import { InUse } from './in-use.js';
import { fromNames } from './objects.js';
import { addAbortListener, removeAbortListener } from './signals.js';
import { computeInSlices } from './slices.js';
import { threadsFor } from './threads.js';
import type { AbortSignalLike, Backend, BackendName, Functions } from './types/index.js';

export { availableBackends, setThreads } from './index.js';
export type * from './types/index.js';

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

/**
 * A call whose promise is pending. There may be 100,000 of them, so each keeps little, 1.2 KB of V8's memory. With its
 * batch and two async functions it kept 2.6 KB, and took 1.4 times as long to begin.
 */
class Pending {
  private readonly ended: Ended;
  private readonly signal: AbortSignalLike | undefined;
  private readonly inUse: InUse;
  private abort: (() => void) | undefined;
  private failure: { error: unknown } | undefined;

  constructor(
    private readonly rules: Rules,
    call: Checked,
  ) {
    const withoutBatch = { ...call, batch: null }; // which takes 550 bytes
    this.ended = withoutBatch;
    this.signal = call.execution.signal;
    this.inUse = new InUse(call.batch);
  }

  /** Computes in other threads. Returns undefined, with nothing begun, if the backend has none. */
  computeElsewhere(kernel: Kernel, batch: Batch, threads: number): Promise<unknown> | undefined {
    // Memory that could shrink cannot be theirs.
    if (kernel.start === undefined || this.inUse.resizable) return undefined;
    let resolve = (_: unknown): void => {};
    let reject = resolve;
    const promise = new Promise<unknown>((resolves, rejects) => {
      resolve = resolves;
      reject = rejects;
    });
    const abort = kernel.start(batch, threads, (sums) => {
      try {
        resolve(this.settle(sums));
      } catch (error) {
        reject(error);
      }
    });
    if (abort === undefined) return undefined;
    // From here on nothing is thrown, since the threads have the arrays. What the signal throws, or a stack that is full,
    // rejects the promise when they are done.
    try {
      this.listen(abort);
    } catch (error) {
      this.failure = { error };
    }
    return promise;
  }

  /** Computes in this thread, in slices. */
  async computeHere(kernel: Kernel, batch: Batch): Promise<unknown> {
    try {
      return this.answer(await computeInSlices(kernel, batch, () => this.check()));
    } finally {
      this.release();
    }
  }

  release(): void {
    this.inUse.release();
  }

  // What release throws, where programs have replaced built-ins, rejects the promise too.
  private settle(sums: Sums | undefined): unknown {
    try {
      this.forget();
      return this.answer(sums);
    } finally {
      this.release();
    }
  }

  private check(): void {
    if (this.signal !== undefined && isAborted(this.signal)) throw aborting(this.signal);
    this.inUse.check();
  }

  private answer(sums: Sums | undefined): unknown {
    this.check();
    if (sums === undefined) throw aborting(this.signal);
    return resultOf(this.rules, this.ended, sums);
  }

  private listen(abort: () => void): void {
    if (this.signal === undefined) return;
    this.abort = abort;
    addAbortListener(this.signal, abort);
    if (this.signal.aborted) abort();
  }

  private forget(): void {
    try {
      if (this.signal !== undefined && this.abort !== undefined) removeAbortListener(this.signal, this.abort);
      if (this.failure !== undefined) throw this.failure.error;
    } catch (error) {
      throw unreadable('signal', error);
    }
  }
}

function bind({ backend, kernels }: Loaded): Functions<'promise'> {
  const functions = bindAll((rules, call) => {
    const { batch, execution } = call;
    const { threads, signal, aborted } = execution;
    if (aborted) throw aborting(signal);
    const kernel = kernels[rules.kernel];
    const pending = new Pending(rules, call);
    try {
      // No code of the caller's runs until the kernel has begun, so the arena still holds this call.
      const elsewhere = pending.computeElsewhere(kernel, batch, threadsFor(threads, batch));
      return elsewhere ?? pending.computeHere(kernel, batch);
    } catch (error) {
      pending.release(); // there was no memory to begin
      throw error;
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
