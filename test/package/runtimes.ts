// The package as installed, in every runtime that it promises: the native backend computes, to the same bits as here, and the
// tables of bits hold.

import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { copyOfProject, newDirectory, root, runBare, use } from './support/installed.js';
import { npm, run } from './support/run.js';

const { platform, arch } = process;
const windows = platform === 'win32';
const exe = windows ? '.exe' : '';
const nodePlatform = windows ? 'win' : platform;
const node = (version: string) => ({
  name: `Node ${version}`,
  from: `npm:node-${nodePlatform}-${arch}@${version}`,
  program: `bin/node${exe}`,
  start: [] as string[],
});

const RUNTIMES = [
  node('20.19.0'), // the oldest that package.json allows
  node('22.23.5'),
  node('24.22.3'),
  node('26.12.1'),
  {
    name: 'Bun',
    from: `npm:@oven/bun-${windows ? 'windows' : platform}-${arch === 'arm64' ? 'aarch64' : arch}@1.4.5`,
    program: `bin/bun${exe}`,
    start: [],
  },
  {
    name: 'Deno',
    from: `npm:@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}@2.9.6`,
    program: `deno${exe}`,
    start: ['run', '--allow-all', '--quiet'],
  },
];
const alias = (from: string) => from.replace(/\W+/g, '-');

// Bits of every operation and option, the values that others made, and the addon itself: some seconds of each runtime.
const TABLES = ['bits of every loss', 'bits of random', 'made by', 'the addon'];

const runtimes = newDirectory('runtimes');
const { directory: project } = copyOfProject('tables');

beforeAll(() => {
  writeFileSync(path.join(runtimes, 'package.json'), '{ "private": true }\n');
  const packages = RUNTIMES.map(({ from }) => `${alias(from)}@${from}`);
  const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  const { status, stderr } = run(npm('install', ...flags, ...packages), runtimes);
  expect(status, stderr).toBe(0);

  if (!existsSync(path.join(root, 'build', 'test'))) throw new Error('npm run build:test makes the tables');
  // Deno takes .js for CommonJS only if package.json says so.
  writeFileSync(path.join(project, 'package.json'), '{ "private": true, "type": "commonjs" }\n');
  cpSync(path.join(root, 'build', 'test'), path.join(project, 'build', 'test'), { recursive: true });
  // The tables read the list of the arena's slots.
  cpSync(path.join(project, 'node_modules', 'smoothloss', 'dist'), path.join(project, 'dist'), {
    recursive: true,
  });
  for (const data of ['conformance/hashes.json', 'vectors']) {
    mkdirSync(path.join(project, 'test', 'conformance'), { recursive: true });
    cpSync(path.join(root, 'test', data), path.join(project, 'test', data), { recursive: true });
  }
}, 600_000);

describe.each(RUNTIMES)('$name', ({ from, program, start }) => {
  const runtime = (...args: string[]) =>
    runBare([path.join(runtimes, 'node_modules', alias(from), program), ...start, ...args], project, {
      SMOOTHLOSS_CALLS: '200',
    });

  test.each(['use.cjs', 'use.mjs'])('%s computes natively, to the same bits', (script) => {
    expect(runtime(script)).toEqual(use);
  });

  test('has the bits of record and the values of other libraries', () => {
    const { status, stdout, stderr } = runtime('build/test/conformance/run.js', ...TABLES);
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m);
  });
});

test('Bun bundles it, and Node runs the bundle', () => {
  const [bun] = RUNTIMES.filter(({ name }) => name === 'Bun');
  const { directory, prebuilds } = copyOfProject('bun');
  const output = path.join(directory, 'output');
  const program = path.join(runtimes, 'node_modules', alias(bun.from), bun.program);
  const bundle = [
    program,
    'build',
    'bundle.mjs',
    '--target=node',
    `--outfile=${path.join(output, 'out.mjs')}`,
  ];
  expect(runBare(bundle, directory)).toMatchObject({ status: 0 });
  cpSync(prebuilds, path.join(output, 'prebuilds'), { recursive: true });
  rmSync(path.join(directory, 'node_modules'), { recursive: true });
  expect(runBare([process.execPath, path.join(output, 'out.mjs')], directory)).toEqual(use);
});
