// Finds the addon of a package that stands as it was installed: in Node, Bun, Deno, Electron. `#host` leads here.

// Tracers and bundlers (nft, ncc, webpack, Turbopack) follow the call below only if `path` is required so.
import path = require('node:path');

import type { FoundAddon } from '../native.js';
import {
  accept,
  besideProgram,
  broken,
  inSnapshot,
  isGone,
  isMusl,
  loadFrom,
  permitted,
  prebuiltIn,
} from './process.js';

export * from './process.js';

export function loadAddon(): FoundAddon {
  return inSnapshot() ?? findAddon();
}

function findAddon(): FoundAddon {
  try {
    return accept(require('node-gyp-build')(path.join(__dirname, '../..')));
  } catch (error) {
    // A bundler has made ES modules of this file, or has put the name of a folder on its own machine here (Bun).
    if (typeof __dirname === 'undefined' || isGone(__dirname)) return loadFrom(besideProgram());
    const root = path.join(__dirname, '../..');
    const file = fileIn(root);
    // node-gyp-build knows musl on Alpine alone, and takes the binary for glibc elsewhere.
    if (file?.includes('.glibc.') && isMusl()) return loadFrom([prebuiltIn(root)]);
    if (file !== undefined) return broken(file, error);
    // Permissions may deny the files that node-gyp-build looks at, and allow the binary.
    const searched = error instanceof Error && error.message.startsWith('No native build was found');
    const own = searched ? [] : [path.join(root, 'build/Release'), prebuiltIn(root)];
    return loadFrom([...own, prebuiltIn(__dirname)]);
  }
}

/** The binary that node-gyp-build finds. */
function fileIn(root: string): string | undefined {
  return permitted(() => path.resolve(require('node-gyp-build').path(root)), undefined);
}
