// The package built from its own sources, where no binary came with it.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyOfProject, root, runBare, use } from './support/installed.js';
import { node, npm, npx, run } from './support/run.js';

const read = (file: string) => readFileSync(path.join(root, file), 'utf8');

describe('with a compiler and no binary', () => {
  // node-gyp downloads Node's headers where they did not come with Node.
  const prefix = path.join(path.dirname(process.execPath), '..');
  const headers = existsSync(path.join(prefix, 'include', 'node', 'common.gypi'));
  const env = { ...process.env, ...(headers ? { npm_config_nodedir: prefix } : {}) };

  test('the command of docs/platforms.md builds one from the sources in the package', () => {
    const { directory, prebuilds } = copyOfProject('rebuilt');
    rmSync(prebuilds, { recursive: true });
    const [command = '', ...more] =
      read('docs/platforms.md').match(/npx node-gyp rebuild -C\s\S*(?=`)/g) ?? [];
    expect(more).toEqual([]);
    // The version that the repository has, for npx to find.
    const { version } = JSON.parse(read('node_modules/node-gyp/package.json'));
    const install = npm('install', `node-gyp@${version}`, '--prefer-offline', '--no-audit', '--no-fund');
    expect(run(install, directory)).toMatchObject({ status: 0 });
    const { status, stderr } = run(npx(...command.split(/\s/).slice(1)), directory, env);
    expect(status, stderr).toBe(0);
    expect(runBare(node('use.cjs'), directory)).toEqual(use);
  });
});
