// The package installed where there is no compiler, used from CommonJS, ES modules and TypeScript, with its binary, without
// it, and with one that does not load.
//
// SMOOTHLOSS_OTHER_PLATFORMS=<a line for each: the backend, the command that starts its runtime>: tests the package there too.

import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  copyOfProject,
  installed,
  native,
  platform,
  project,
  root,
  runBare,
  use,
} from './support/installed.js';
import { node } from './support/run.js';

const others = (process.env.SMOOTHLOSS_OTHER_PLATFORMS ?? '').split('\n').flatMap((line) => {
  const [backend, ...command] = line.split(' ');
  return command.length > 0 ? [{ backend, command }] : [];
});

/** A binary of this system that does not run on this processor, if one was built. */
function otherBinary(): Buffer | undefined {
  const directory = path.join(
    root,
    'prebuilds',
    `${process.platform}-${process.arch === 'x64' ? 'arm64' : 'x64'}`,
  );
  return existsSync(directory) ? readFileSync(path.join(directory, readdirSync(directory)[0])) : undefined;
}

describe('installed where there is no compiler', () => {
  test('without building anything', () => {
    if (process.platform !== 'win32') {
      for (const name of ['cc', 'c++', 'gcc', 'g++', 'clang', 'make', 'cmake', 'python3']) {
        expect(() => runBare([name, '--version']), name).toThrow('ENOENT');
      }
    }
    expect(existsSync(path.join(installed, 'build'))).toBe(false);
  });

  test('computes natively from CommonJS', () => {
    expect({ status: use.status, stderr: use.stderr }).toEqual({ status: 0, stderr: '' });
    expect(use.stdout).toMatch(new RegExp(`^${native} [0-9a-f]{8}\n$`));
  });

  test('has the command smoothloss, which needs nothing else', async () => {
    const { formatHeader } = await import(pathToFileURL(path.join(root, 'bin', 'score', 'npy.mjs')).href);
    const write = (name: string, shape: number[], values: number[]) => {
      const data = new Uint8Array(Float32Array.from(values).buffer);
      writeFileSync(path.join(project, name), Buffer.concat([formatHeader('float32', shape), data]));
    };
    write('logits.npy', [2, 3], [1, 2, 3, 3, 2, 1]);
    write('targets.npy', [2], [2, 0]);
    // On Windows the command is a batch file, which only a shell runs.
    const isWindows = process.platform === 'win32';
    const command = isWindows
      ? path.join(installed, 'bin', 'smoothloss.mjs')
      : path.join(project, 'node_modules', '.bin', 'smoothloss');
    const args = ['--logits', 'logits.npy', '--targets', 'targets.npy', '--out', 'losses.npy'];
    const { status, stdout, stderr } = runBare(node(command, 'score', ...args));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('mean loss   0.407606 (0.815212 / 2)\n');
  });

  test('computes natively from ES modules, with the instance that CommonJS has', () => {
    expect(runBare(node('use.mjs'))).toEqual(use);
  });

  test('has exact types in TypeScript, whatever the module system, and runs', () => {
    const tsc = (...args: string[]) =>
      runBare(node(path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), ...args));
    const strict = [
      '--strict',
      '--exactOptionalPropertyTypes',
      '--target',
      'es2023',
      '--lib',
      'es2023',
      '--types',
      '',
    ];
    for (const extension of ['cts', 'mts']) {
      cpSync(path.join(project, 'use.ts'), path.join(project, `compiled.${extension}`));
    }
    const clean = { status: 0, stdout: '', stderr: '' };
    expect(tsc(...strict, '--module', 'node16', 'compiled.cts', 'compiled.mts')).toEqual(clean);
    expect(tsc(...strict, '--module', 'nodenext', '--noEmit', 'compiled.cts', 'compiled.mts')).toEqual(clean);
    expect(
      tsc(...strict, '--module', 'preserve', '--moduleResolution', 'bundler', '--noEmit', 'use.ts'),
    ).toEqual(clean);
    for (const compiled of ['compiled.cjs', 'compiled.mjs']) {
      expect(runBare(node(compiled))).toEqual({ status: 0, stdout: `${native}\n`, stderr: '' });
    }
  });

  test.runIf(others.length > 0).each(others)(
    'computes with $backend, run by $command',
    ({ backend, command }) => {
      for (const script of ['use.cjs', 'use.mjs']) {
        const result = runBare([...command, script]);
        expect(result).toEqual({ status: 0, stdout: use.stdout.replace(native, backend), stderr: '' });
      }
    },
  );
});

describe('without its binary', () => {
  test('computes in JavaScript to the same bits, says why, and warns once', () => {
    const { directory, prebuilds } = copyOfProject('missing');
    rmSync(prebuilds, { recursive: true });
    const { status, stdout, stderr } = runBare(node('use.cjs'), directory);
    expect(status).toBe(0);
    expect(stderr.match(/SMOOTHLOSS_NATIVE_MISSING/g)).toHaveLength(1);
    const [computed, reason] = stdout.split('\n');
    expect(computed).toBe(use.stdout.trim().replace(native, 'js'));
    expect(reason).toContain(`no native binary for ${platform}`);
  });
});

describe.each([
  ['damaged', () => Buffer.from('This is no binary.')],
  ['of another processor', otherBinary],
])('with a binary that is %s', (name, content) => {
  test.skipIf(content() === undefined)('computes in JavaScript, says why, and warns once', () => {
    const { directory, prebuilds } = copyOfProject(name.replaceAll(' ', '-'));
    const [file] = readdirSync(path.join(prebuilds, platform));
    writeFileSync(path.join(prebuilds, platform, file), content() as Buffer);
    const { status, stdout, stderr } = runBare(node('use.mjs'), directory);
    expect(status).toBe(0);
    const [computed, ...reason] = stdout.trim().split('\n');
    expect(computed).toBe(use.stdout.trim().replace(native, 'js'));
    expect(reason.join('\n')).toContain('does not load');
    expect(stderr.match(/Warning: /g)).toHaveLength(1);
    expect(stderr).toContain('SMOOTHLOSS_NATIVE_BROKEN');
  });
});
