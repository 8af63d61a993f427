// The package as package managers install it where PATH leads to node and sh alone, first from nothing and then from the lock
// file: nothing is compiled, no warning is printed, and the native backend computes.

import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { consumer, newDirectory, runBare, tarball, use } from './support/installed.js';
import { node, npm, run } from './support/run.js';

const managers = newDirectory('managers');
const home = newDirectory('home'); // without anyone's settings

interface Manager {
  name: string;
  /** What npm installs, and the program in it. */
  from: string;
  program: string;
  /** Files that the project needs for it. */
  settings?: Record<string, string>;
  add: string[];
  /** What works from the lock file: each with whether node_modules goes before. */
  again: { command: string[]; afresh: boolean }[];
  /** How it runs a script, if not with node. */
  start?: string[];
}

const fresh = (...command: string[]) => ({ command, afresh: true });
const yarn4 = (linker: string, more: Partial<Manager>): Manager => ({
  name: `Yarn 4, ${linker}`,
  from: 'npm:@yarnpkg/cli-dist@4.18.1',
  program: 'bin/yarn.js',
  settings: {
    'yarn.lock': '',
    '.yarnrc.yml': `nodeLinker: ${linker}\nenableScripts: true\nenableTelemetry: false\nenableGlobalCache: false\npnpEnableEsmLoader: false\n`,
  },
  add: ['add', `smoothloss@file:${tarball}`],
  again: [fresh('install', '--immutable'), { command: ['rebuild'], afresh: false }],
  ...more,
});
const npmVersion = (version: string): Manager => ({
  name: `npm ${version}`,
  from: `npm:npm@${version}`,
  program: 'bin/npm-cli.js',
  add: ['install', tarball],
  again: [fresh('ci'), fresh('install'), { command: ['rebuild'], afresh: false }],
});

const all: Manager[] = [
  npmVersion('10.9.9'),
  npmVersion('11.21.2'),
  {
    name: 'pnpm',
    from: 'npm:pnpm@10.34.8',
    program: 'bin/pnpm.cjs',
    add: ['add', tarball],
    again: [fresh('install', '--frozen-lockfile'), { command: ['rebuild'], afresh: false }],
  },
  {
    name: 'Yarn 1',
    from: 'npm:yarn@1.22.22',
    program: 'bin/yarn.js',
    add: ['add', `file:${tarball}`],
    again: [fresh('install')], // to --frozen-lockfile no lock file with a tarball in it is ever right
  },
  yarn4('node-modules', {}),
  yarn4('pnp', { start: ['node'] }),
];

const alias = (from: string) => from.replace(/\W+/g, '-');

beforeAll(() => {
  writeFileSync(path.join(managers, 'package.json'), '{ "private": true }\n');
  const packages = [...new Set(all.map(({ from }) => `${alias(from)}@${from}`))];
  const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  const { status, stderr } = run(npm('install', ...flags, ...packages), managers);
  expect(status, stderr).toBe(0);
});

describe.each(all)('$name', ({ from, program, settings = {}, add, again, start }) => {
  const project = newDirectory('managed');
  const manager = (...args: string[]) =>
    runBare(node(path.join(managers, 'node_modules', alias(from), program), ...args), project, {
      HOME: home,
      USERPROFILE: home,
      XDG_CACHE_HOME: path.join(home, '.cache'),
      XDG_CONFIG_HOME: path.join(home, '.config'),
      XDG_DATA_HOME: path.join(home, '.local', 'share'),
      CI: '',
      NO_COLOR: '1',
    });

  function expectInstalled(...command: string[]): void {
    const { status, stdout, stderr } = manager(...command);
    const output = stdout + stderr;
    expect(status, output).toBe(0);
    expect(output).not.toMatch(/warn|deprecated|gyp (info|ERR)|gyp rebuild|must be built|ignored build/i);
    expect(start ? manager(...start, 'use.cjs') : runBare(node('use.cjs'), project)).toEqual(use);
    const names = readdirSync(project, { recursive: true, encoding: 'utf8' });
    expect(names.filter((name) => /smoothloss[\\/](native[\\/])?build$/.test(name))).toEqual([]);
  }

  test(`${add[0]}: installed, native, and nothing compiled`, () => {
    cpSync(consumer, project, { recursive: true });
    const manifest = { name: 'project', version: '1.0.0', license: 'MIT', private: true };
    writeFileSync(path.join(project, 'package.json'), JSON.stringify(manifest));
    for (const [name, text] of Object.entries(settings)) writeFileSync(path.join(project, name), text);
    expectInstalled(...add);
  });

  test.each(again)('$command from the lock file', ({ command, afresh }) => {
    if (afresh) {
      for (const name of ['node_modules', '.pnp.cjs', '.pnp.loader.mjs', '.yarn/unplugged']) {
        rmSync(path.join(project, name), { recursive: true, force: true });
      }
    }
    expectInstalled(...command);
  });
});
