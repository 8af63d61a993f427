// The addon where the package stands as it was installed: Node, Bun, Deno, Electron. `#host` of package.json leads here.

// Tracers and bundlers (nft, ncc, webpack, Turbopack) know the call below by this name, so required.
import path = require('node:path');

import type { FoundAddon } from '../native.js';
import {
  accept,
  besideProgram,
  broken,
  inSnapshot,
  isGone,
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
    // A bundler has made ES modules of this, or another machine has bundled it (Bun).
    if (typeof __dirname === 'undefined' || isGone(__dirname)) return loadFrom(besideProgram());
    const root = path.join(__dirname, '../..');
    const file = fileIn(root);
    if (file !== undefined) return broken(file, error);
    // Permissions may deny what node-gyp-build looks at, though not the binary.
    const searched = error instanceof Error && error.message.startsWith('No native build was found');
    const own = searched ? [] : [path.join(root, 'build/Release'), prebuiltIn(root)];
    return loadFrom([...own, prebuiltIn(__dirname)]);
  }
}

/** Where node-gyp-build finds the binary. */
function fileIn(root: string): string | undefined {
  return permitted(() => path.resolve(require('node-gyp-build').path(root)), undefined);
}
