// The backends that run here, and the one that the package uses.

import { environment, loadAddon, platform, warn } from '#host';
import { choiceHint } from './arguments/hints.js';
import type { Kernels } from './batch.js';
import { rangeError, typeError } from './errors.js';
import { kernels as jsKernels } from './js/losses.js';
import { nativeKernels } from './native.js';
import { defaultThreads, setDefaultThreads } from './threads.js';
import type { Backend, BackendName } from './types/index.js';

const NAMES: readonly BackendName[] = ['avx512', 'avx2', 'neon', 'scalar', 'js'];

const native = loadAddon();
const available: readonly BackendName[] = [...(native.addon?.backends ?? []), 'js'];

/** A backend and its kernels. */
export interface Loaded {
  backend: Backend;
  kernels: Kernels;
}

const loaded = new Map<BackendName, Loaded>();

function bind(name: BackendName): Loaded {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const kernels = name === 'js' || native.addon === undefined ? jsKernels : nativeKernels(native.addon, name);
  const made = { backend: describe(name), kernels };
  loaded.set(name, made);
  return made;
}

/** The object that callers see. They cannot write to it; `threads` is updated when it changes. */
function describe(name: BackendName, reason?: string): Backend {
  const backend = { name, threads: 1, ...(reason === undefined ? {} : { reason }) };
  tellThreads(backend);
  for (const key of Object.keys(backend)) define(backend, key, { writable: false });
  return Object.preventExtensions(backend);
}

function tellThreads(backend: Backend): void {
  const value = backend.name === 'js' ? 1 : defaultThreads();
  define(backend, 'threads', { value });
}

// The descriptor has no prototype: one that inherits a getter from Object.prototype and has a value is an error.
function define(backend: Backend, key: string, descriptor: PropertyDescriptor): void {
  Object.defineProperty(backend, key, Object.assign(Object.create(null), descriptor));
}

/** Sets the default number of threads, and updates `threads` of all backends. */
export function setThreads(threads: unknown): void {
  setDefaultThreads(threads);
  for (const { backend } of [...loaded.values(), chosen]) tellThreads(backend);
}

/** Loads a backend by name, or throws an error that says why it cannot. `asked` names what asked for it. */
export function load(name: unknown, asked: string): Loaded {
  if (!NAMES.includes(name as BackendName)) {
    const expected = `one of ${NAMES.map((known) => `'${known}'`).join(', ')}${choiceHint('backend', name, NAMES)}`;
    throw typeof name === 'string' ? rangeError(asked, name, expected) : typeError(asked, name, expected);
  }
  if (!available.includes(name as BackendName)) {
    const why = native.reason ?? `this machine (${platform}) does not run it`;
    throw Object.assign(
      new Error(
        `${asked} is "${name}", but ${why}: must be one of those available here, ${available.join(', ')}`,
      ),
      { code: 'ERR_BACKEND_UNAVAILABLE' },
    );
  }
  return bind(name as BackendName);
}

function withReason({ backend, kernels }: Loaded, reason: string | undefined): Loaded {
  return { backend: describe(backend.name, reason), kernels };
}

function choose(): Loaded {
  const wanted = environment('SMOOTHLOSS_BACKEND');
  if (wanted !== undefined) {
    const asked = load(wanted, 'SMOOTHLOSS_BACKEND');
    return asked.backend.name === 'js' ? withReason(asked, 'SMOOTHLOSS_BACKEND asks for it') : asked;
  }
  const { reason, warning } = native;
  if (warning !== undefined) warn(`${reason}; smoothloss computes in JavaScript, slower`, warning);
  return withReason(bind(available[0]), reason);
}

/** The backend that the package uses. */
export const chosen = choose();

/** The backends that run here, the fastest first. */
export function availableBackends(): BackendName[] {
  return [...available];
}
