// The functions of every backend that runs here, or of those that SMOOTHLOSS_TEST_BACKENDS names, as avx512,scalar.

import { availableBackends, type BackendName, type Functions, loadBackend } from 'smoothloss';
import type { Case } from './table.js';

const names = process.env.SMOOTHLOSS_TEST_BACKENDS?.split(',') ?? availableBackends();
export const backends: readonly Functions[] = names.map((name) => loadBackend(name as BackendName));

/** One case for each backend. */
export function onEveryBackend(name: string, run: (functions: Functions) => void): Case[] {
  return backends.map((functions) => ({
    name: `${name} [${functions.backend.name}]`,
    run: () => run(functions),
  }));
}
