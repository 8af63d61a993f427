// Abort listeners of signals that many calls may share. Each signal gets one real listener: Node warns of a leak from the
// eleventh on.

import type { AbortSignalLike } from './types/index.js';

interface Listeners {
  readonly all: Set<() => void>;
  readonly abort: () => void;
}

const known = new WeakMap<AbortSignalLike, Listeners>();

/** Calls `listener` when the signal aborts. Throws what methods of the signal throw. */
export function addAbortListener(signal: AbortSignalLike, listener: () => void): void {
  let listeners = known.get(signal);
  if (listeners === undefined) {
    const all = new Set<() => void>();
    const abort = () => {
      for (const each of all) each();
    };
    listeners = { all, abort };
    known.set(signal, listeners);
  }
  const { all, abort } = listeners;
  all.add(listener);
  try {
    if (all.size === 1) signal.addEventListener('abort', abort);
  } catch (error) {
    all.delete(listener);
    throw error;
  }
}

/** Removes a listener that was added. */
export function removeAbortListener(signal: AbortSignalLike, listener: () => void): void {
  const { all, abort } = known.get(signal) as Listeners;
  all.delete(listener);
  if (all.size === 0) signal.removeEventListener('abort', abort);
}
