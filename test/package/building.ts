// The package built from its own sources, where no binary came with it.

import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyOfProject, root, runBare, use } from './support/installed.js';
import { node, run } from './support/run.js';

describe('with a compiler and no binary', () => {
  // node-gyp downloads Node's headers where they did not come with Node.
  const prefix = path.join(path.dirname(process.execPath), '..');
  const headers = existsSync(path.join(prefix, 'include', 'node', 'common.gypi'));

  test('node-gyp builds one from the sources in the package', () => {
    const { directory, prebuilds } = copyOfProject('rebuilt');
    rmSync(prebuilds, { recursive: true });
    const { status, stderr } = run(
      node(
        path.join(root, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js'),
        'rebuild',
        '-C',
        path.dirname(prebuilds),
        ...(headers ? [`--nodedir=${prefix}`] : []),
      ),
      directory,
    );
    expect(status, stderr).toBe(0);
    expect(runBare(node('use.cjs'), directory)).toEqual(use);
  });
});
