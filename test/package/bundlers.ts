// The package bundled: a bundle computes natively where the binary goes along, and elsewhere in JavaScript to the same bits,
// with a warning that says what to do.

import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import commonjs from '@rollup/plugin-commonjs';
import nodeResolve from '@rollup/plugin-node-resolve';
import { nodeFileTrace } from '@vercel/nft';
import { build } from 'esbuild';
import { rollup } from 'rollup';
import { beforeAll, describe, expect, test } from 'vitest';
import webpack from 'webpack';
import { copyOfProject, installed, native, runBare, use } from './support/installed.js';
import { node, tool } from './support/run.js';

const digest = use.stdout.trim().replace(`${native} `, '');
const ENTRIES = ['use.cjs', 'bundle.mjs'];
const { directory: project } = copyOfProject('bundled');
const output = path.join(project, 'bundles');

interface Bundler {
  name: string;
  /** Bundles the project's file `entry` into the directory `to`; resolves to the file to run. */
  bundle(entry: string, to: string): Promise<string>;
}

function esbuild(format: 'cjs' | 'esm'): Bundler {
  return {
    name: `esbuild, ${format}`,
    async bundle(entry, to) {
      const outfile = path.join(to, format === 'cjs' ? 'out.cjs' : 'out.mjs');
      const { warnings } = await build({
        entryPoints: [path.join(project, entry)],
        bundle: true,
        platform: 'node',
        format,
        outfile,
        logLevel: 'silent',
      });
      expect(warnings).toEqual([]);
      return outfile;
    },
  };
}

function webpackTo(module: boolean): Bundler {
  return {
    name: `webpack, ${module ? 'module' : 'commonjs'}`,
    async bundle(entry, to) {
      const filename = module ? 'out.mjs' : 'out.cjs';
      const stats = await new Promise<webpack.Stats | undefined>((resolve, reject) => {
        const configuration: webpack.Configuration = {
          mode: 'production',
          target: 'node',
          entry: path.join(project, entry),
          output: { path: to, filename, module },
          experiments: { outputModule: module },
        };
        webpack(configuration, (error, result) => (error ? reject(error) : resolve(result)));
      });
      expect(stats?.toJson({ all: false, warnings: true, errors: true })).toMatchObject({
        warnings: [],
        errors: [],
      });
      return path.join(to, filename);
    },
  };
}

function rollupTo(format: 'cjs' | 'es'): Bundler {
  return {
    name: `rollup, ${format}`,
    async bundle(entry, to) {
      const warnings: string[] = [];
      const bundled = await rollup({
        input: path.join(project, entry),
        plugins: [nodeResolve({ preferBuiltins: true }), commonjs()],
        onwarn: ({ message }) => warnings.push(message),
      });
      const file = path.join(to, format === 'cjs' ? 'out.cjs' : 'out.mjs');
      await bundled.write({ file, format });
      expect(warnings).toEqual([]);
      return file;
    },
  };
}

const ncc: Bundler = {
  name: 'ncc',
  async bundle(entry, to) {
    const { status, stdout, stderr } = tool(
      '@vercel/ncc/dist/ncc/cli.js',
      ...['build', path.join(project, entry), '--out', to, '--no-cache'],
    );
    expect(status, stdout + stderr).toBe(0);
    return path.join(to, `index${path.extname(entry)}`);
  },
};

/** What @vercel/nft traces, as Next.js does for `output: 'standalone'` and serverless platforms for their functions. */
const nft: Bundler = {
  name: 'nft',
  async bundle(entry, to) {
    const { fileList, warnings } = await nodeFileTrace([path.join(project, entry)], { base: project });
    expect([...warnings]).toEqual([]);
    for (const file of fileList) {
      mkdirSync(path.dirname(path.join(to, file)), { recursive: true });
      copyFileSync(path.join(project, file), path.join(to, file));
    }
    return path.join(to, entry);
  },
};

const bundlers = [
  esbuild('cjs'),
  esbuild('esm'),
  webpackTo(false),
  webpackTo(true),
  rollupTo('cjs'),
  rollupTo('es'),
];
const tracers = [ncc, nft];
const cases = (of: Bundler[]) => of.flatMap(({ name }) => ENTRIES.map((entry) => [name, entry] as const));
const made = new Map<string, string>();
const prebuilds = path.join(project, 'prebuilds');

beforeAll(async () => {
  for (const { name, bundle } of [...bundlers, ...tracers]) {
    for (const entry of ENTRIES) {
      const directory = path.join(output, `${name}, ${entry}`.replaceAll(', ', '-'));
      mkdirSync(directory, { recursive: true });
      made.set(`${name}, ${entry}`, await bundle(entry, directory));
    }
  }
  // No bundle shall find the package where it was when it was bundled.
  cpSync(path.join(installed, 'prebuilds'), prebuilds, { recursive: true });
  rmSync(path.join(project, 'node_modules'), { recursive: true });
}, 600_000);

describe.each(cases(bundlers))('%s of %s', (name, entry) => {
  const bundle = () => made.get(`${name}, ${entry}`) as string;

  test('alone computes in JavaScript, and warns once', () => {
    const { status, stdout, stderr } = runBare(node(bundle()), project);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(`js ${digest}\n`);
    expect(stdout).toContain('bundlers: leave smoothloss external, or copy its folder prebuilds');
    expect(stderr.match(/Warning: /g)).toHaveLength(1);
    expect(stderr).toContain('SMOOTHLOSS_NATIVE_MISSING');
  });

  test('beside a copy of prebuilds computes natively', () => {
    cpSync(prebuilds, path.join(path.dirname(bundle()), 'prebuilds'), { recursive: true });
    expect(runBare(node(bundle()), project)).toEqual(use);
  });
});

describe.each(cases(tracers))('%s of %s', (name, entry) => {
  test('takes the binary along', () => {
    expect(runBare(node(made.get(`${name}, ${entry}`) as string), project)).toEqual(use);
  });
});

test('a startup snapshot holds the JavaScript backend, though the binary is beside it', async () => {
  const { directory } = copyOfProject('snapshot');
  const [bundle, blob] = ['bundle.cjs', 'snapshot.blob'].map((name) => path.join(directory, name));
  const program = `
    const { backend, crossEntropy } = require('smoothloss');
    const { loss } = crossEntropy(Float32Array.of(0, 0), Uint8Array.of(0), { classes: 2 });
    const main = () => console.log(backend.name, Math.abs(loss - Math.LN2) < 1e-15, backend.reason);
    require('node:v8').startupSnapshot.setDeserializeMainFunction(main);
  `;
  const stdin = { contents: program, resolveDir: directory };
  await build({ stdin, bundle: true, platform: 'node', outfile: bundle, logLevel: 'silent' });
  cpSync(path.join(installed, 'prebuilds'), path.join(directory, 'prebuilds'), { recursive: true });
  const built = runBare(node('--snapshot-blob', blob, '--build-snapshot', bundle), directory);
  expect(built).toEqual({ status: 0, stdout: '', stderr: '' });
  expect(runBare(node('--snapshot-blob', blob), directory).stdout).toBe(
    'js true a startup snapshot can hold no native addon\n',
  );
});

test.each(['browser', 'workerd', 'edge-light'])(
  'the condition %s leads to the JavaScript backend',
  async (condition) => {
    const { directory } = copyOfProject(condition);
    const outfile = path.join(directory, 'edge', 'out.mjs');
    const entryPoints = [path.join(directory, 'bundle.mjs')];
    const { warnings } = await build({
      entryPoints,
      bundle: true,
      platform: 'neutral',
      format: 'esm',
      conditions: ['module', condition],
      outfile,
      logLevel: 'silent',
    });
    expect(warnings).toEqual([]);
    expect(runBare(node(outfile), directory)).toEqual({
      status: 0,
      stdout: `js ${digest}\nbrowsers and edge runtimes load no native addons\n`,
      stderr: '',
    });
  },
);

const chromium = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((file) => existsSync(file));

// A page of a file is not isolated from others: it has no SharedArrayBuffer.
test.skipIf(!chromium)('a browser computes in JavaScript, to the same bits', async () => {
  const { directory } = copyOfProject('page');
  const page = path.join(directory, 'page.html');
  const { outputFiles, warnings } = await build({
    entryPoints: [path.join(directory, 'bundle.mjs')],
    bundle: true,
    platform: 'browser',
    write: false,
    logLevel: 'silent',
  });
  expect(warnings).toEqual([]);
  writeFileSync(page, `<!doctype html><meta charset="utf-8"><body><script>${outputFiles[0].text}</script>`);
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
  ];
  const profile = `--user-data-dir=${path.join(directory, 'profile')}`;
  const wait = '--virtual-time-budget=60000';
  const html = execFileSync(chromium as string, [...flags, profile, wait, '--dump-dom', `file://${page}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [, text] = /<\/script>([^<]*)/.exec(html) ?? [];
  expect(text.trim()).toBe(`js ${digest}\nbrowsers and edge runtimes load no native addons`);
});
