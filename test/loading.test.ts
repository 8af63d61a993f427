// The promise: the package loads everywhere, says which backend computes and why, and never falls back in silence from
// what it was asked for.

import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { availableBackends, type BackendName, backend, crossEntropy, loadBackend } from 'smoothloss';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf } from './conformance/table.js';
import { runChild } from './support/child.js';
import { hasAddon, itNative } from './support/native.js';
import { requireFromRoot, root } from './support/root.js';

const NAMES: BackendName[] = ['avx512', 'avx2', 'neon', 'scalar', 'js'];
const available = availableBackends();
const native = available.filter((name) => name !== 'js');
const unavailable = NAMES.filter((name) => !available.includes(name));
/** Why a backend is not available. */
const why = hasAddon
  ? `this machine (${process.platform}-${process.arch}) does not run it`
  : String(backend.reason);
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const addonFile = (requireFromRoot('node-gyp-build') as { path(directory: string): string }).path;

const SAY = `
  const smoothloss = require('smoothloss');
  const { loss } = smoothloss.crossEntropy(Float32Array.of(1, 2, 3), Uint8Array.of(2), { classes: 3 });
  print({ ...smoothloss.backend, available: smoothloss.availableBackends(), loss });
`;
const ASKED = { reason: 'SMOOTHLOSS_BACKEND asks for it' };
const { loss } = crossEntropy(Float32Array.of(1, 2, 3), Uint8Array.of(2), { classes: 3 });
const threadsOf = (name: BackendName) => (name === 'js' ? 1 : os.availableParallelism());

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-loading-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** A directory for SMOOTHLOSS_PREBUILD, which node-gyp-build searches in place of the package's own. */
function prebuild(
  name: string,
  write: (file: string) => void,
): { SMOOTHLOSS_PREBUILD: string; file: string } {
  const place = path.join(directory, name);
  const file = path.join(place, 'build', 'Release', 'smoothloss.node');
  mkdirSync(path.dirname(file), { recursive: true });
  write(file);
  return { SMOOTHLOSS_PREBUILD: place, file };
}

describe('the backend', () => {
  itNative('is the fastest there is, with no reason to give', () => {
    expect(runChild(SAY)).toMatchObject({
      output: { name: available[0], threads: threadsOf(available[0]), available, loss },
      stderr: '',
      status: 0,
    });
    expect(backend.reason).toBeUndefined();
  });

  it.each(available)('is %s if SMOOTHLOSS_BACKEND says so', (name) => {
    const { output, stderr } = runChild(SAY, { SMOOTHLOSS_BACKEND: name });
    const reason = name === 'js' ? ASKED : {};
    expect(output).toEqual({ name, threads: threadsOf(name), available, loss, ...reason });
    expect(stderr).toBe('');
  });

  it('is the default one if SMOOTHLOSS_BACKEND is empty', () => {
    expect(runChild(SAY, { SMOOTHLOSS_BACKEND: '' }).output).toMatchObject({ name: available[0] });
  });

  it.each(['', 'module'])('cannot be one that nobody knows (%s)', (type) => {
    const program = type === 'module' ? "import 'smoothloss';" : SAY;
    const { status, stderr, output } = runChild(program, { SMOOTHLOSS_BACKEND: 'AVX2' }, type || 'commonjs');
    expect(output).toBeUndefined();
    expect(status).toBe(1);
    expect(stderr).toContain(
      `SMOOTHLOSS_BACKEND is "AVX2": must be one of 'avx512', 'avx2', 'neon', 'scalar', 'js' (did you mean 'avx2'?)`,
    );
    expect(stderr).toContain("code: 'ERR_OUT_OF_RANGE'");
  });

  it.each(unavailable)('cannot be %s, which does not run here', (name) => {
    const { status, stderr } = runChild(SAY, { SMOOTHLOSS_BACKEND: name });
    expect(status).toBe(1);
    expect(stderr).toContain(
      `SMOOTHLOSS_BACKEND is "${name}", but ${why}: must be one of those available here, ${available.join(', ')}`,
    );
    expect(stderr).toContain("code: 'ERR_BACKEND_UNAVAILABLE'");
  });

  it('cannot be changed, and neither can the list of backends', () => {
    for (const key of ['name', 'threads', 'reason']) {
      expect(Reflect.set(backend, key, 'js'), key).toBe(false);
    }
    availableBackends().length = 0;
    expect(availableBackends()).toEqual(available);
  });
});

describe('loadBackend', () => {
  it.each(available)('gives the functions of %s', (name) => {
    const functions = loadBackend(name);
    expect(functions.backend).toEqual({ name, threads: threadsOf(name) });
    const result = functions.crossEntropy(Float32Array.of(1, 2, 3), Uint8Array.of(2), { classes: 3 });
    expect(result.loss).toBe(loss);
  });

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    ['AVX2', '"AVX2"'],
    ['', '""'],
    [1, '1'],
    [['js'], 'an array of length 1'],
  ])('refuses %s', (name, shown) => {
    const error = errorOf(() => loadBackend(name as BackendName));
    const isName = typeof name === 'string';
    expect(error).toBeInstanceOf(isName ? RangeError : TypeError);
    expect(error.code).toBe(isName ? 'ERR_OUT_OF_RANGE' : 'ERR_INVALID_ARG_TYPE');
    const hint = name === 'AVX2' ? " (did you mean 'avx2'?)" : '';
    expect(error.message).toBe(
      `the backend is ${shown}: must be one of 'avx512', 'avx2', 'neon', 'scalar', 'js'${hint}`,
    );
  });

  it.each(unavailable)('refuses %s, which does not run here', (name) => {
    const error = errorOf(() => loadBackend(name));
    expect(error.code).toBe('ERR_BACKEND_UNAVAILABLE');
    expect(error.message).toBe(
      `the backend is "${name}", but ${why}: must be one of those available here, ${available.join(', ')}`,
    );
  });
});

describe('without a native binary', () => {
  const empty = () => {
    const place = path.join(directory, 'empty');
    mkdirSync(place, { recursive: true });
    return { SMOOTHLOSS_PREBUILD: place };
  };
  const platform = `${process.platform}-${process.arch}`;
  const reason = `no native binary for ${platform} was found (bundlers: leave smoothloss external, or copy its folder prebuilds beside the bundle; in a clone: npm run build)`;
  const js = { name: 'js', threads: 1, available: ['js'], loss };

  it('that the package has, JavaScript computes, says why, and warns once', () => {
    const { output, stderr, status } = runChild(SAY, empty());
    expect({ output, status }).toEqual({ output: { ...js, reason }, status: 0 });
    expect(stderr).toContain(
      `[SMOOTHLOSS_NATIVE_MISSING] Warning: ${reason}; smoothloss computes in JavaScript, slower\n`,
    );
    expect(stderr.match(/SMOOTHLOSS_NATIVE_MISSING/g)).toHaveLength(1);
  });

  it.each([
    ['platform', 'freebsd', `freebsd-${process.arch}`],
    ['arch', 'riscv64', `${process.platform}-riscv64`],
  ])(
    'and none in the package either, since %s is %s, JavaScript computes, says how to build one, and does not complain',
    (key, value, name) => {
      const elsewhere = `Object.defineProperty(process, '${key}', { value: '${value}' }); ${SAY}`;
      const build = 'npx node-gyp rebuild -C node_modules/smoothloss/native builds one';
      const missing = `no native binary for ${name} was found (${build})`;
      expect(runChild(elsewhere, empty())).toMatchObject({
        output: { ...js, reason: missing },
        stderr: '',
        status: 0,
      });
    },
  );

  it('the platforms for which one is missed are those that scripts/prebuild.mjs builds', async () => {
    const [, shipped] = /SHIPPED = \[([^\]]*)\]/.exec(read('lib/host/process.ts')) ?? [];
    const platforms = pathToFileURL(path.join(root, 'scripts/prebuild/platforms.mjs')).href;
    const { PLATFORMS } = (await import(platforms)) as { PLATFORMS: Record<string, { file: string }> };
    const built = Object.values(PLATFORMS).map(({ file }) => path.dirname(file));
    expect([...new Set(built)].sort()).toEqual(shipped.match(/[\w-]+/g)?.sort());
  });

  it('JavaScript gives another reason if it was asked for', () => {
    const { output, stderr } = runChild(SAY, { ...empty(), SMOOTHLOSS_BACKEND: 'js' });
    expect(output).toEqual({ ...js, ...ASKED });
    expect(stderr).toBe('');
  });

  it.each(['avx512', 'avx2', 'neon', 'scalar'])('%s is an error', (name) => {
    const { status, stderr } = runChild(SAY, { ...empty(), SMOOTHLOSS_BACKEND: name });
    expect(status).toBe(1);
    expect(stderr).toContain(
      `SMOOTHLOSS_BACKEND is "${name}", but ${reason}: must be one of those available here, js`,
    );
    expect(stderr).toContain("code: 'ERR_BACKEND_UNAVAILABLE'");
  });

  it('loadBackend says the same', () => {
    const program = `try { require('smoothloss').loadBackend('scalar') } catch ({ message, code }) { print({ message, code }) }`;
    expect(runChild(program, empty()).output).toEqual({
      message: `the backend is "scalar", but ${reason}: must be one of those available here, js`,
      code: 'ERR_BACKEND_UNAVAILABLE',
    });
  });
});

describe('with a broken native binary', () => {
  const broken: [string, (file: string) => void][] = [
    ['garbage', (file) => writeFileSync(file, 'this is no shared library')],
    ['empty', (file) => writeFileSync(file, '')],
    [
      'cut off',
      (file) =>
        writeFileSync(file, readFileSync(hasAddon ? addonFile(root) : someOtherAddon()).subarray(0, 100)),
    ],
    ['a directory', (file) => mkdirSync(file)],
    ['the addon of another package', (file) => copyFileSync(someOtherAddon(), file)],
  ];

  it.each(broken)('%s: JavaScript computes, says why, and warns once', (name, write) => {
    const { file, ...env } = prebuild(name, write);
    const program = `
      const warnings = [];
      process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }));
      const { backend, crossEntropy, availableBackends } = require('smoothloss');
      crossEntropy(Float32Array.of(1), Uint8Array.of(0), { classes: 1 });
      import('smoothloss').then(({ loadBackend }) => {
        loadBackend('js');
        setImmediate(() => print({ ...backend, available: availableBackends(), warnings }));
      });
    `;
    const { output, status, stderr } = runChild(program, env);
    expect(status).toBe(0);
    const { warnings, reason, ...rest } = output as { warnings: Record<string, string>[]; reason: string };
    expect(rest).toEqual({ name: 'js', threads: 1, available: ['js'] });
    expect(reason).toContain(`the native binary ${file} does not load: `);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ name: 'Warning', code: 'SMOOTHLOSS_NATIVE_BROKEN' });
    expect(warnings[0].message).toBe(`${reason}; smoothloss computes in JavaScript, slower`);
    expect(stderr.match(/SMOOTHLOSS_NATIVE_BROKEN/g)).toHaveLength(1);
  });

  it('JavaScript that was asked for does not warn', () => {
    const { file: _, ...env } = prebuild('garbage', broken[0][1]);
    const { output, stderr } = runChild(SAY, { ...env, SMOOTHLOSS_BACKEND: 'js' });
    expect(output).toEqual({ name: 'js', threads: 1, ...ASKED, available: ['js'], loss });
    expect(stderr).toBe('');
  });

  it('a native backend is an error that says what is wrong', () => {
    const { file, ...env } = prebuild('garbage', broken[0][1]);
    const { status, stderr } = runChild(SAY, { ...env, SMOOTHLOSS_BACKEND: 'scalar' });
    expect(status).toBe(1);
    expect(stderr).toContain(`SMOOTHLOSS_BACKEND is "scalar", but the native binary ${file} does not load: `);
    expect(stderr).toContain("code: 'ERR_BACKEND_UNAVAILABLE'");
  });
});

// node-gyp-build takes the binary for glibc everywhere but on Alpine.
describe('with musl on a system that is not Alpine', () => {
  const platform = `${process.platform}-${process.arch}`;
  const OWN = { SMOOTHLOSS_PREBUILD: '' }; // the package's own binaries, whatever the suite is told to use
  const onMusl = `
    const fs = require('node:fs');
    const { readdirSync } = fs;
    fs.readdirSync = (at, ...rest) => (at === '/lib' ? ['ld-musl-${process.arch}.so.1'] : readdirSync(at, ...rest));
    require('node:module').syncBuiltinESMExports();
    process.report.getReport = () => ({ header: {} });
  `;

  function install(...files: [string, string | Buffer][]): string {
    const place = mkdtempSync(path.join(directory, 'musl-'));
    const folder = path.join(place, 'prebuilds', platform);
    mkdirSync(folder, { recursive: true });
    for (const name of ['package.json', 'dist'])
      cpSync(path.join(root, name), path.join(place, name), { recursive: true });
    symlinkSync(path.join(root, 'node_modules'), path.join(place, 'node_modules'), 'junction');
    for (const [name, content] of files) writeFileSync(path.join(folder, name), content);
    return `${onMusl} const { backend } = require(${JSON.stringify(place)}); print(backend);`;
  }

  itNative('the binary for musl is used', () => {
    const program = install(
      ['smoothloss.glibc.node', 'not for here'],
      ['smoothloss.musl.node', readFileSync(addonFile(root))],
    );
    expect(runChild(program, OWN)).toMatchObject({ output: { name: available[0] }, stderr: '', status: 0 });
  });

  it('a missing one is named', () => {
    const { output, stderr } = runChild(install(['smoothloss.glibc.node', 'not for here']), OWN);
    expect(output).toMatchObject({
      name: 'js',
      reason: expect.stringContaining(`for ${platform} with musl`),
    });
    expect(stderr).toContain('SMOOTHLOSS_NATIVE_MISSING');
  });
});

// Node 24's name of it; 20's is experimental and says so.
const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission')
  ? ['--permission']
  : ['--experimental-permission', '--disable-warning=ExperimentalWarning'];

describe('where permissions are denied', () => {
  const run = (...flags: string[]) => runChild(SAY, {}, 'commonjs', [...PERMISSION, ...flags]);

  itNative('the addon is not loaded: JavaScript computes, and one warning says what to do', () => {
    const { output, stderr, status } = run(`--allow-fs-read=${root}`);
    expect(status, stderr).toBe(0);
    expect(output).toMatchObject({ name: 'js', threads: 1, available: ['js'], loss });
    expect(output).toHaveProperty('reason', expect.stringContaining('(start Node with --allow-addons)'));
    expect(stderr.match(/SMOOTHLOSS_NATIVE_BROKEN/g)).toHaveLength(1);
  });

  itNative('what node-gyp-build looks at besides the package does not matter', () => {
    const { output, stderr } = run(`--allow-fs-read=${root}`, '--allow-addons');
    expect(output, stderr).toMatchObject({ name: available[0], available, loss });
  });
});

it('without SharedArrayBuffer, as in a page that is not isolated, all is as with it', () => {
  const program = `
    delete globalThis.SharedArrayBuffer;
    ${SAY}
    const { crossEntropy } = require('smoothloss/promises').loadBackend('js');
    crossEntropy(Float32Array.of(1, 2, 3), Uint8Array.of(2), { classes: 3 }).then(({ loss }) => console.error(loss));
  `;
  const { output, stderr } = runChild(program);
  expect(output).toMatchObject({ name: available[0], available, loss });
  expect(stderr).toBe(`${loss}\n`);
});

/** Some addon that is not ours: a build tool's. */
function someOtherAddon(): string {
  const modules = path.join(root, 'node_modules');
  const found = readdirSync(modules, { recursive: true, encoding: 'utf8' }).find((file) =>
    file.endsWith('.node'),
  );
  if (found === undefined) throw new Error('node_modules holds no addon of another package');
  return path.join(modules, found);
}

describe('modules', () => {
  it('import and require give the same functions', () => {
    const program = `
      import { createRequire } from 'node:module';
      import * as imported from 'smoothloss';
      const required = createRequire(process.cwd() + '/x.js')('smoothloss');
      const keys = Object.keys(required).sort();
      print({ keys, imported: Object.keys(imported).filter((key) => key !== '__esModule' && key !== 'module.exports').sort(), same: keys.every((key) => imported[key] === required[key]) });
    `;
    const keys =
      'availableBackends backend bceWithLogits crossEntropy klDiv linearCrossEntropy loadBackend nllLoss setThreads smoothLabels'.split(
        ' ',
      );
    expect(runChild(program, {}, 'module').output).toEqual({ keys, imported: keys, same: true });
  });

  it('loading prints nothing, starts nothing and keeps nothing alive', () => {
    const before = performance.now();
    expect(runChild("require('smoothloss')")).toEqual({
      output: undefined,
      stderr: '',
      status: 0,
      signal: null,
    });
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  it('an addon that is initialised twice in one thread is none the worse', () => {
    const program = `
      const load = () => require('smoothloss').crossEntropy(new Float32Array(3e5), new Int32Array(1e5), { classes: 3, threads: 3 }).loss;
      const first = load();
      for (const file in require.cache) delete require.cache[file];
      print(load() === first);
    `;
    expect(runChild(program)).toEqual({ output: true, stderr: '', status: 0, signal: null });
  });

  // A module stays in `children` of the one that required it, which is Node's own doing: 650 KB a load.
  it('loading again after require.cache was cleared keeps no memory', () => {
    const program = `
      const load = () => {
        module.children.length = 0;
        for (const file in require.cache) delete require.cache[file];
        require('smoothloss').crossEntropy(new Float32Array(20), new Int32Array(2), { classes: 10 });
      };
      const kept = () => {
        gc();
        const { heapUsed, arrayBuffers } = process.memoryUsage();
        return heapUsed + arrayBuffers;
      };
      for (let i = 0; i < 20; i++) load();
      const before = kept();
      for (let i = 0; i < 100; i++) load();
      print((kept() - before) / 100);
    `;
    const { output, status } = runChild(program, {}, 'commonjs', ['--expose-gc']);
    expect(status).toBe(0);
    expect(output).toBeLessThan(30_000);
  });

  // Test runners that reset modules (jest.resetModules, vitest's vmThreads) load the JavaScript again over an addon that
  // the process has already.
  it.each(native)(
    'two copies of the JavaScript over one addon do not get in each other’s way (%s)',
    (name) => {
      const program = `
      const load = () => {
        for (const file of Object.keys(require.cache)) if (!file.endsWith('.node')) delete require.cache[file];
        return require('smoothloss').loadBackend('${name}').crossEntropy;
      };
      const [one, two] = [load(), load()];
      const logits = Float32Array.of(0, 1, 2, 4);
      const losses = [];
      for (const rows of [1, 2000, 1]) {
        const many = new Float32Array(4 * rows).map((_, i) => logits[i % 4]);
        for (const call of [one, two]) {
          for (let y = 0; y < 4; y++) losses.push(call(many, new Int32Array(rows).fill(y), { classes: 4 }).loss);
        }
      }
      print({ same: one === two, losses });
    `;
      const { output, status } = runChild(program);
      expect(status).toBe(0);
      const { same, losses } = output as { same: boolean; losses: number[] };
      expect(same).toBe(false);
      const reference = loadBackend('js').crossEntropy;
      const logits = Float32Array.of(0, 1, 2, 4);
      losses.forEach((loss, i) => {
        const { loss: expected } = reference(logits, Int32Array.of(i % 4), { classes: 4 });
        expect(Math.abs(loss - expected), `call ${i}`).toBeLessThan(1e-9);
      });
    },
  );
});

describe('worker threads', () => {
  const WORK = `
    const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
    const { createHash } = require('node:crypto');
    const work = (smoothloss, seed, calls) => {
      const hash = createHash('sha256');
      const logits = new Float32Array(60 * 100);
      for (let n = 0; n < calls; n++) {
        for (let i = 0; i < logits.length; i++) logits[i] = Math.imul(i + n * 7919 + seed, 2654435761) / 2 ** 29;
        const targets = Int32Array.from({ length: 60 }, (_, r) => (r * 31 + n) % 100);
        const { loss, gradient } = smoothloss.crossEntropy(logits, targets, { classes: 100, labelSmoothing: 0.1, gradient: true });
        hash.update(Float64Array.of(loss)).update(gradient);
      }
      return hash.digest('hex');
    };
  `;

  it.each(available)('several compute at once, each with its own memory (%s)', (name) => {
    const program = `${WORK}
      const code = ${JSON.stringify(`${WORK}
        parentPort.postMessage(work(require('smoothloss').loadBackend('${name}'), workerData, 100));
      `)};
      const smoothloss = require('smoothloss').loadBackend('${name}');
      const running = [0, 1, 2, 3].map((seed) => new Promise((resolve, reject) => {
        const worker = new Worker(code, { eval: true, workerData: seed });
        worker.on('message', resolve).on('error', reject);
      }));
      const here = [0, 1, 2, 3].map((seed) => work(smoothloss, seed, 100));
      Promise.all(running).then((there) => print({ here, there }));
    `;
    const { output, status, stderr } = runChild(program);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const { here, there } = output as { here: string[]; there: string[] };
    expect(there).toEqual(here);
    expect(new Set(here).size).toBe(4);
  });

  it.each(available)('one that is stopped amid a call does no harm (%s)', (name) => {
    const program = `${WORK}
      const code = ${JSON.stringify(`
        const { parentPort } = require('node:worker_threads');
        const { crossEntropy } = require('smoothloss').loadBackend('${name}');
        const logits = new Float32Array(200 * 5000);
        parentPort.postMessage('ready');
        for (;;) crossEntropy(logits, new Int32Array(200), { classes: 5000, gradient: logits });
      `)};
      const smoothloss = require('smoothloss').loadBackend('${name}');
      const before = work(smoothloss, 1, 20);
      (async () => {
        for (let n = 0; n < 8; n++) {
          const worker = new Worker(code, { eval: true });
          await new Promise((resolve) => worker.once('message', resolve));
          await new Promise((resolve) => setTimeout(resolve, n));
          await worker.terminate();
        }
        print({ same: work(smoothloss, 1, 20) === before });
        // And one that still computes when the process ends.
        new Worker(code, { eval: true }).once('message', () => process.exit(0));
      })();
    `;
    expect(runChild(program)).toEqual({ output: { same: true }, stderr: '', status: 0, signal: null });
  });

  it('each can have a backend of its own', () => {
    const program = `
      const { Worker } = require('node:worker_threads');
      const code = "require('node:worker_threads').parentPort.postMessage(require('smoothloss').backend.name)";
      const names = ${JSON.stringify(available)};
      const ask = (name) => new Promise((resolve, reject) => {
        const env = { ...process.env, SMOOTHLOSS_BACKEND: name };
        new Worker(code, { eval: true, env }).on('message', resolve).on('error', reject);
      });
      Promise.all(names.map(ask)).then((answers) => print(answers));
    `;
    expect(runChild(program).output).toEqual(available);
  });

  it('nothing is left behind by many that come and go', () => {
    const program = `
      const { Worker } = require('node:worker_threads');
      const code = "const { crossEntropy } = require('smoothloss'); crossEntropy(new Float32Array(3e5), new Int32Array(1e5), { classes: 3 })";
      (async () => {
        for (let n = 0; n < 15; n++) {
          await Promise.all([0, 1].map(() => new Promise((resolve, reject) => {
            new Worker(code, { eval: true }).on('exit', resolve).on('error', reject);
          })));
        }
        print('done');
      })();
    `;
    expect(runChild(program)).toEqual({ output: 'done', stderr: '', status: 0, signal: null });
  });
});
