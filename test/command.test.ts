// The promise: the command smoothloss says what it can do; what it cannot is an error with exit code 1.

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireFromRoot, root } from './support/root.js';
import { env } from './support/score.js';

function smoothloss(...args: string[]) {
  const command = [path.join(root, 'bin', 'smoothloss.mjs'), ...args];
  const { stdout, stderr, status } = spawnSync(process.execPath, command, { env, encoding: 'utf8' });
  return { stdout, stderr, status };
}

describe('smoothloss', () => {
  it.each([[[]], [['--help']], [['-h']]])('%j shows its commands', (args) => {
    const { stdout, stderr, status } = smoothloss(...args);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toMatch(/^usage: smoothloss score --logits/);
  });

  it('--version is that of the package', () => {
    const { version } = requireFromRoot('./package.json') as { version: string };
    expect(smoothloss('--version')).toEqual({ stdout: `${version}\n`, stderr: '', status: 0 });
  });

  it('what it does not know is an error that shows its commands', () => {
    const { stdout, stderr, status } = smoothloss('train');
    expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
    expect(stderr).toMatch(/^smoothloss: 'train' is no command\nusage: smoothloss score/);
  });

  it('score --help lists the options of score', () => {
    const { stdout, status } = smoothloss('score', '--help');
    expect(status).toBe(0);
    for (const option of ['--logits', '--shard', '--merge', '--weight']) expect(stdout).toContain(option);
  });
});
