// Where the repository is: the nearest directory upwards with a package.json, from test/ and from build/test/ alike.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

function find(directory: string): string {
  return existsSync(path.join(directory, 'package.json')) ? directory : find(path.dirname(directory));
}

export const root = find(__dirname);

/** `require` as the package's own files have it. */
export const requireFromRoot = createRequire(path.join(root, 'package.json'));
