// The examples with other libraries, and the libraries themselves, which are installed beside them alone.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './root.js';

const directory = path.join(root, 'examples', 'libraries');
const { resolve } = createRequire(path.join(directory, 'package.json'));

/** A library as the examples import it, or one line that says why there is none. */
export async function loadLibrary(name: string) {
  try {
    return await import(pathToFileURL(resolve(name)).href);
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new Error(`${name} cannot be had here (npm run libraries installs it): ${reason}`);
  }
}

/** A file of examples/libraries. */
export const loadExample = (file: string) => import(pathToFileURL(path.join(directory, file)).href);

/** Runs an example as its users do. */
export function runExample(file: string, ...args: string[]) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [path.join(directory, file), ...args], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { stdout, stderr, status };
}
