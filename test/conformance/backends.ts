// The functions of every backend that runs here, but for those that the program's argument names: --without=js,scalar.

import { availableBackends, type Functions, loadBackend } from 'smoothloss';
import type { Case } from './table.js';

const without = process.argv.flatMap((argument) => /^--without=(.*)$/.exec(argument)?.[1].split(',') ?? []);

export const backends: readonly Functions[] = availableBackends()
  .filter((name) => !without.includes(name))
  .map((name) => loadBackend(name));

/** One case for each backend. */
export function onEveryBackend(name: string, run: (functions: Functions) => void): Case[] {
  return backends.map((functions) => ({
    name: `${name} [${functions.backend.name}]`,
    run: () => run(functions),
  }));
}
