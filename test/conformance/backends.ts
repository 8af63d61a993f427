// The functions of every backend that runs here.

import { availableBackends, type Functions, loadBackend } from 'smoothloss';
import type { Case } from './table.js';

export const backends: readonly Functions[] = availableBackends().map((name) => loadBackend(name));

/** One case for each backend. */
export function onEveryBackend(name: string, run: (functions: Functions) => void): Case[] {
  return backends.map((functions) => ({
    name: `${name} [${functions.backend.name}]`,
    run: () => run(functions),
  }));
}
