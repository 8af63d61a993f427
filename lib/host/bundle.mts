// The addon from a bundle of ES modules. `#host` of dist/esm leads here: what bundlers take for the package.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FoundAddon } from '../native.js';
import { inSnapshot, loadFrom, prebuiltIn } from './process.js';

export * from './process.js';

export function loadAddon(): FoundAddon {
  const directory = typeof __dirname === 'string' ? __dirname : path.dirname(fileURLToPath(import.meta.url));
  // The package's own, where no bundler has moved this file; and beside the program, since webpack tells a module of ES modules
  // where it stood when it was built.
  const program = process.argv[1] ?? directory;
  const directories = [directory, path.join(directory, '../../..'), path.dirname(program)];
  return inSnapshot() ?? loadFrom(directories.map(prebuiltIn));
}
