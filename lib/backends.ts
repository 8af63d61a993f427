// Which backends there are, and which one the package uses.

import path from 'node:path';
import type { Kernels } from './batch.js';
import { rangeError } from './errors.js';
import { kernels as jsKernels } from './js/losses.js';
import { type Addon, nativeKernels } from './native.js';
import type { Backend, BackendName } from './types.js';

// node-gyp-build has no types of its own.
const nodeGypBuild: { path(directory: string): string } = require('node-gyp-build');

const NAMES: readonly BackendName[] = ['avx2', 'neon', 'scalar', 'js'];
const ROOT = path.join(__dirname, '..');

interface Native {
  addon?: Addon;
  /** Why there is no addon. */
  reason?: string;
  /** There is a file, and it does not load. */
  broken?: boolean;
}

function loadAddon(): Native {
  let file: string;
  try {
    file = path.resolve(nodeGypBuild.path(ROOT));
  } catch {
    return { reason: `no native binary for ${process.platform}-${process.arch} was found` };
  }
  try {
    const addon: Partial<Addon> = require(file);
    if (!Array.isArray(addon.backends) || typeof addon.compute !== 'function')
      throw new Error('it is another addon');
    return { addon: addon as Addon };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { reason: `the native binary ${file} does not load: ${message}`, broken: true };
  }
}

const native = loadAddon();
const available: readonly BackendName[] = [...(native.addon?.backends ?? []), 'js'];

/** A backend and its kernels. */
export interface Loaded {
  backend: Backend;
  kernels: Kernels;
}

const cache = new Map<BackendName, Kernels>();

function kernelsOf(name: BackendName): Kernels {
  let kernels = cache.get(name);
  if (kernels === undefined) {
    kernels = name === 'js' || native.addon === undefined ? jsKernels : nativeKernels(native.addon, name);
    cache.set(name, kernels);
  }
  return kernels;
}

/** The backend of that name, or an error that says why there is none. `asked` is who asked for it. */
export function load(name: unknown, asked: string): Loaded {
  if (!NAMES.includes(name as BackendName)) {
    throw rangeError(asked, name, `one of ${NAMES.map((known) => `'${known}'`).join(', ')}`);
  }
  if (!available.includes(name as BackendName)) {
    const why = native.reason ?? `this machine (${process.platform}-${process.arch}) does not run it`;
    throw Object.assign(
      new Error(
        `${asked} is "${name}", but ${why}: must be one of those available here, ${available.join(', ')}`,
      ),
      { code: 'ERR_BACKEND_UNAVAILABLE' },
    );
  }
  return bind(name as BackendName);
}

function bind(name: BackendName, reason?: string): Loaded {
  const backend: Backend = Object.freeze({ name, threads: 1, ...(reason === undefined ? {} : { reason }) });
  return { backend, kernels: kernelsOf(name) };
}

function choose(): Loaded {
  const wanted = process.env.SMOOTHLOSS_BACKEND;
  if (wanted !== undefined && wanted !== '') {
    const loaded = load(wanted, 'SMOOTHLOSS_BACKEND');
    return loaded.backend.name === 'js' ? bind('js', 'SMOOTHLOSS_BACKEND asks for it') : loaded;
  }
  if (native.broken) {
    process.emitWarning(`${native.reason}; smoothloss computes in JavaScript, slower`, {
      code: 'SMOOTHLOSS_NATIVE_BROKEN',
    });
  }
  return bind(available[0], native.reason);
}

/** What the package uses. */
export const chosen = choose();

/** The backends that run here, the fastest first. */
export function availableBackends(): BackendName[] {
  return [...available];
}
