// What npm packs, as its users get it: installed in an empty project on a machine without a compiler, then used from
// CommonJS, ES modules and TypeScript.
//
// SMOOTHLOSS_ARM64_NODE=<command that starts an arm64 Node>: tests the package there too.

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { availableBackends } from 'smoothloss';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = process.cwd();
const consumer = path.join(root, 'test', 'package', 'consumer');
const platform = `${process.platform}-${process.arch}`;
const [native] = availableBackends();
const arm64Node = process.env.SMOOTHLOSS_ARM64_NODE?.split(' ');

const temporary = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'smoothloss-package-')));
const project = path.join(temporary, 'project');
const installed = path.join(project, 'node_modules', 'smoothloss');
const bin = path.join(temporary, 'bin');
let tarball: string;
let packed: { path: string; size: number }[];

interface Run {
  status: number | null;
  stdout: string;
  stderr: string;
}

function run(command: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Run {
  const { status, stdout, stderr, error } = spawnSync(command[0], command.slice(1), {
    cwd,
    env,
    encoding: 'utf8',
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

// Neither the settings of the npm that started this nor the package's own.
const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|smoothloss_|path$)/i.test(name));
const bareEnvironment = {
  ...Object.fromEntries(inherited),
  PATH: process.platform === 'win32' ? process.env.PATH : bin,
};

/** Runs it as on a machine that has Node and npm, and neither compilers nor build tools. */
function runBare(command: readonly string[], cwd = project): Run {
  return run(command, cwd, bareEnvironment);
}

const node = (...args: string[]) => [process.execPath, ...args];
const npm = (...args: string[]) => node(String(process.env.npm_execpath), ...args);
const tool = (name: string, ...args: string[]) =>
  run(node(path.join(root, 'node_modules', name), ...args), root, { ...process.env, NO_COLOR: '1' });

/** A second project with the same package, to break. */
function copyOfProject(name: string): { directory: string; prebuilds: string } {
  const directory = path.join(temporary, name);
  cpSync(project, directory, { recursive: true });
  return { directory, prebuilds: path.join(directory, 'node_modules', 'smoothloss', 'prebuilds') };
}

/** A binary of this system that does not run on this processor, if one was built. */
function otherBinary(): Buffer | undefined {
  const directory = path.join(
    root,
    'prebuilds',
    `${process.platform}-${process.arch === 'x64' ? 'arm64' : 'x64'}`,
  );
  return existsSync(directory) ? readFileSync(path.join(directory, readdirSync(directory)[0])) : undefined;
}

beforeAll(() => {
  if (!existsSync(path.join(root, 'prebuilds', platform))) {
    throw new Error(`there is no prebuilds/${platform}: npm run prebuild makes it`);
  }
  if (process.platform !== 'win32') {
    mkdirSync(bin);
    symlinkSync(process.execPath, path.join(bin, 'node'));
    symlinkSync('/bin/sh', path.join(bin, 'sh'));
  }

  const { status, stdout, stderr } = run(
    npm('pack', '--json', '--pack-destination', temporary),
    root,
    process.env,
  );
  expect(status, stderr).toBe(0);
  const [{ filename, files }] = JSON.parse(stdout);
  tarball = path.join(temporary, filename);
  packed = files;

  mkdirSync(project);
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }\n');
  cpSync(consumer, project, { recursive: true });
  const install = runBare(npm('install', tarball, '--prefer-offline', '--no-audit', '--no-fund'));
  expect(install.status, install.stderr).toBe(0);
});

afterAll(() => rmSync(temporary, { recursive: true, force: true }));

describe('the tarball', () => {
  test('holds what it should and nothing else', () => {
    const modules = readdirSync(path.join(root, 'lib'), { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => /\.m?ts$/.test(file));
    const binaries = readdirSync(path.join(root, 'prebuilds'), { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => /^(linux|darwin|win32)-(x64|arm64)\/smoothloss(\.glibc|\.musl)?\.node$/.test(file));
    const expected = [
      ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'binding.gyp'],
      ...readdirSync(path.join(root, 'native')).map((file) => `native/${file}`),
      ...modules.map((file) => `dist/${file.replace(/ts$/, 'js')}`),
      ...modules.map((file) => `dist/${file.replace(/(m?ts)$/, 'd.$1')}`),
      ...binaries.map((file) => `prebuilds/${file}`),
    ];
    expect(packed.map((file) => file.path).sort()).toEqual(expected.sort());
    for (const file of expected.filter((name) => name.startsWith('native/'))) {
      expect(file).toMatch(/\.(h|cc|gypi)$/);
    }
  });

  test('is small', () => {
    const bytes = packed.reduce((sum, { size }) => sum + size, 0);
    expect(bytes).toBeLessThan(4e6);
  });

  // What Node 20 itself needs.
  test('asks for no newer system library than Node', () => {
    const newest: Record<string, string> = { GLIBC: '2.28', GLIBCXX: '3.4.21', CXXABI: '1.3.9' };
    for (const file of packed.map((entry) => entry.path).filter((name) => /^prebuilds\/linux-/.test(name))) {
      const text = readFileSync(path.join(root, file), 'latin1');
      for (const [, library, version] of text.matchAll(/\b(GLIBC|GLIBCXX|CXXABI)_([\d.]+)\b/g)) {
        const order = version.localeCompare(newest[library], 'en', { numeric: true });
        expect(order, `${file} needs ${library} ${version}`).toBeLessThanOrEqual(0);
      }
    }
  });

  test('satisfies publint', () => {
    const { status, stdout, stderr } = tool('publint/src/cli.js', 'run', tarball, '--strict');
    expect(stdout + stderr).toMatch(/All good!/);
    expect(status).toBe(0);
  });

  test('has the right types for every way to import it, as attw sees it', () => {
    const { status, stdout, stderr } = tool(
      '@arethetypeswrong/cli/dist/index.js',
      tarball,
      '--profile',
      'strict',
    );
    expect(stdout + stderr).toMatch(/No problems found/);
    expect(status).toBe(0);
  });
});

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
    const { status, stdout, stderr } = runBare(node('use.cjs'));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^${native} [0-9a-f]{64}\n$`));
  });

  test('computes natively from ES modules, with the instance that CommonJS has', () => {
    const commonjs = runBare(node('use.cjs'));
    expect(runBare(node('use.mjs'))).toEqual(commonjs);
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

  test.skipIf(!arm64Node)('computes with NEON on arm64, to the same bits', () => {
    const { stdout } = runBare(node('use.cjs'));
    for (const script of ['use.cjs', 'use.mjs']) {
      const result = runBare([...(arm64Node as string[]), script]);
      expect(result).toEqual({ status: 0, stdout: stdout.replace(native, 'neon'), stderr: '' });
    }
  });
});

describe('without its binary', () => {
  test('computes in JavaScript to the same bits, says why, and does not warn', () => {
    const { directory, prebuilds } = copyOfProject('missing');
    rmSync(prebuilds, { recursive: true });
    const { status, stdout, stderr } = runBare(node('use.cjs'), directory);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const [computed, reason] = stdout.split('\n');
    expect(computed).toBe(runBare(node('use.cjs')).stdout.trim().replace(native, 'js'));
    expect(reason).toContain(`no native binary for ${platform}`);
  });
});

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
      process.env,
    );
    expect(status, stderr).toBe(0);
    expect(runBare(node('use.cjs'), directory)).toEqual(runBare(node('use.cjs')));
  });
});

describe.each([
  ['damaged', () => Buffer.from('This is no binary.')],
  ['of another processor', otherBinary],
])('with a binary that is %s', (name, content) => {
  test.skipIf(content() === undefined)('computes in JavaScript, says why, and warns once', () => {
    const { directory, prebuilds } = copyOfProject(name);
    const [file] = readdirSync(path.join(prebuilds, platform));
    writeFileSync(path.join(prebuilds, platform, file), content() as Buffer);
    const { status, stdout, stderr } = runBare(node('use.mjs'), directory);
    expect(status).toBe(0);
    const [computed, ...reason] = stdout.trim().split('\n');
    expect(computed).toBe(runBare(node('use.cjs')).stdout.trim().replace(native, 'js'));
    expect(reason.join('\n')).toContain('does not load');
    expect(stderr.match(/Warning: /g)).toHaveLength(1);
    expect(stderr).toContain('SMOOTHLOSS_NATIVE_BROKEN');
  });
});
