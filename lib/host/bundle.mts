// Finds the addon of a bundled package: bundlers take dist/esm, whose `#host` leads here.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FoundAddon } from '../native.js';
import { besideProgram, inSnapshot, loadFrom, permitted, prebuiltIn } from './process.js';

export * from './process.js';

export function loadAddon(): FoundAddon {
  // Webpack gives the URL that the module had at build time. Other URLs may name no file.
  const directory =
    typeof __dirname === 'string'
      ? __dirname
      : permitted(() => path.dirname(fileURLToPath(import.meta.url)), undefined);
  const directories = directory === undefined ? [] : [directory];
  // The package's root, if no bundler has moved this file.
  if (directory?.endsWith(path.join('dist', 'esm', 'host')))
    directories.push(path.join(directory, '../../..'));
  return inSnapshot() ?? loadFrom([...directories.map(prebuiltIn), ...besideProgram()]);
}
