// The addon from a bundle: bundlers take the package from dist/esm, whose `#host` leads here.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FoundAddon } from '../native.js';
import { inSnapshot, loadFrom, prebuiltIn } from './process.js';

export * from './process.js';

export function loadAddon(): FoundAddon {
  const directory = typeof __dirname === 'string' ? __dirname : path.dirname(fileURLToPath(import.meta.url));
  const own = path.join('dist', 'esm', 'host');
  const directories = [
    directory,
    // The package's own, where no bundler has moved this file.
    ...(directory.endsWith(own) ? [path.join(directory, '../../..')] : []),
    // Beside the program: webpack tells a module of ES modules where it stood when it was built.
    path.dirname(process.argv[1] ?? directory),
  ];
  return inSnapshot() ?? loadFrom(directories.map(prebuiltIn));
}
