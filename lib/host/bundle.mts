// The addon from a bundle: bundlers take the package from dist/esm, whose `#host` leads here.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FoundAddon } from '../native.js';
import { inSnapshot, loadFrom, permitted, prebuiltIn } from './process.js';

export * from './process.js';

// Beside the program: webpack tells a module of ES modules where it stood when it was built, and URLs may be of no file.
const beside = path.dirname(process.argv[1] ?? '');

export function loadAddon(): FoundAddon {
  const directory =
    typeof __dirname === 'string'
      ? __dirname
      : permitted(() => path.dirname(fileURLToPath(import.meta.url)), beside);
  // The package's own, where no bundler has moved this file.
  const isOwn = directory.endsWith(path.join('dist', 'esm', 'host'));
  const directories = [directory, ...(isOwn ? [path.join(directory, '../../..')] : []), beside];
  return inSnapshot() ?? loadFrom(directories.map(prebuiltIn));
}
