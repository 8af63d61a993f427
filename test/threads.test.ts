// The promise: as many threads as are asked for and no more, shared by all, gone when nobody needs them; and equal bits,
// for which see bits.test.ts.

import os from 'node:os';
import { availableBackends, type BackendName, backend, crossEntropy, setThreads } from 'smoothloss';
import { afterEach, describe, expect, it } from 'vitest';
import { errorOf } from './conformance/table.js';
import { runChild } from './support/child.js';
import { hasAddon } from './support/native.js';

const native = availableBackends().filter((name) => name !== 'js');
const initial = backend.threads;

afterEach(() => setThreads(initial));

/** Programs have this: a large batch, and how many threads the process has. */
const COMMON = `
  const { readdirSync } = require('node:fs');
  const smoothloss = require('smoothloss');
  const rows = 1000, classes = 1000;
  const logits = Float32Array.from({ length: rows * classes }, (_, i) => Math.sin(i));
  const targets = Int32Array.from({ length: rows }, (_, i) => i);
  const gradient = new Float32Array(logits.length);
  const count = () => readdirSync('/proc/self/task').length;
  const call = (options) => smoothloss.crossEntropy(logits, targets, { classes, gradient, ...options }).loss;
`;

describe('the number of threads', () => {
  it('is that of the CPUs, at first', () => {
    expect(backend.threads).toBe(backend.name === 'js' ? 1 : os.availableParallelism());
  });

  it('is what SMOOTHLOSS_THREADS says', () => {
    const program =
      "print([require('smoothloss').backend.threads, require('smoothloss').loadBackend('js').backend.threads])";
    expect(runChild(program, { SMOOTHLOSS_THREADS: '3' }).output).toEqual([hasAddon ? 3 : 1, 1]);
    expect(runChild(program, { SMOOTHLOSS_THREADS: '' }).output).toEqual([
      hasAddon ? os.availableParallelism() : 1,
      1,
    ]);
  });

  it.each(['0', '-1', '1.5', '1025', '2 ', 'all', '0x2', '1e1'])(
    'SMOOTHLOSS_THREADS cannot be %j',
    (value) => {
      const { status, stderr } = runChild("require('smoothloss')", { SMOOTHLOSS_THREADS: value });
      expect(status).toBe(1);
      expect(stderr).toContain(`SMOOTHLOSS_THREADS is "${value}": must be an integer from 1 to 1024`);
      expect(stderr).toContain("code: 'ERR_OUT_OF_RANGE'");
    },
  );

  it('is what setThreads says, for this JavaScript thread', () => {
    setThreads(7);
    expect(backend.threads).toBe(backend.name === 'js' ? 1 : 7);
  });

  it.each([0, -1, 1.5, NaN, 1025])('setThreads refuses %s', (value) => {
    const error = errorOf(() => setThreads(value));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    expect(error.message).toBe(`threads is ${value}: must be an integer from 1 to 1024`);
    expect(backend.threads).toBe(initial);
  });

  it.each([undefined, null, '2', [2]])('setThreads refuses %j', (value) => {
    const error = errorOf(() => setThreads(value as unknown as number));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('is no concern of the js backend, which takes it and has one', () => {
    const { loss } = crossEntropy(new Float32Array(3), Int32Array.of(1), { classes: 3, threads: 64 });
    expect(loss).toBeCloseTo(Math.log(3), 12);
  });
});

// Where /proc tells how many there are.
const counted = process.platform === 'linux' && native.length > 0 ? ['threads'] : [];

describe.each(counted)('%s', () => {
  it('start when they are first needed, and only as many', () => {
    const program = `${COMMON}
      call({ threads: 1 });
      const before = count();
      smoothloss.crossEntropy(new Float32Array(40), Int32Array.of(1, 2, 3, 4), { classes: 10, threads: 8 });
      const small = count() - before;
      call({ threads: 4 });
      const four = count() - before;
      call({ threads: 3 });
      print({ small, four, three: count() - before });
    `;
    expect(runChild(program).output).toEqual({ small: 0, four: 3, three: 3 });
  });

  it('burn nothing when idle', () => {
    const program = `${COMMON}
      for (let i = 0; i < 20; i++) call({ threads: 8 });
      const start = process.cpuUsage();
      setTimeout(() => {
        const { user, system } = process.cpuUsage(start);
        print((user + system) / 1e3);
      }, 1000);
    `;
    expect(runChild(program).output).toBeLessThan(200); // of 8,000 ms
  });

  it.each(native)('end with the process, however it ends (%s)', (name: BackendName) => {
    const env = { SMOOTHLOSS_BACKEND: name };
    const clean = { stderr: '', status: 0, signal: null };
    expect(runChild(`${COMMON} print(call({ threads: 8 }) > 0)`, env)).toEqual({ ...clean, output: true });
    expect(runChild(`${COMMON} call({ threads: 8 }); process.exit(0)`, env)).toMatchObject(clean);
    expect(
      runChild(`${COMMON} call({ threads: 8 }); process.kill(process.pid, 'SIGTERM')`, env),
    ).toMatchObject({
      stderr: '',
      signal: 'SIGTERM',
    });
  });

  it('leave signals to the main thread', () => {
    const program = `${COMMON}
      call({ threads: 4 });
      process.once('SIGUSR2', () => { clearTimeout(timer); print('received'); });
      const timer = setTimeout(() => {}, 60_000);
      process.kill(process.pid, 'SIGUSR2');
    `;
    expect(runChild(program)).toEqual({ output: 'received', stderr: '', status: 0, signal: null });
  });

  it('work in child processes, whatever the parent had', () => {
    const program = `${COMMON}
      const { fork, execFileSync } = require('node:child_process');
      const { writeFileSync, mkdtempSync, rmSync } = require('node:fs');
      const here = call({ threads: 4 });
      const directory = mkdtempSync(require('node:os').tmpdir() + '/smoothloss-');
      const file = directory + '/child.js';
      writeFileSync(file, ${JSON.stringify(COMMON)}.replace("'smoothloss'", JSON.stringify(require.resolve('smoothloss'))) +
        'process.send(call({ threads: 4 }))');
      const child = fork(file);
      child.once('message', (there) => {
        print(there === here && call({ threads: 4 }) === here);
        child.once('exit', () => rmSync(directory, { recursive: true }));
      });
    `;
    expect(runChild(program)).toEqual({ output: true, stderr: '', status: 0, signal: null });
  });

  it('are shared by workers that call at once, and outlive none of them', () => {
    const program = `${COMMON}
      const { Worker } = require('node:worker_threads');
      const code = ${JSON.stringify(`${COMMON}
        const { parentPort } = require('node:worker_threads');
        const losses = new Set();
        for (let i = 0; i < 20; i++) losses.add(call({ threads: 1 + i % 5 }));
        parentPort.postMessage([...losses]);
      `)};
      const run = () => new Promise((resolve, reject) => {
        let losses;
        const worker = new Worker(code, { eval: true });
        worker.on('message', (message) => { losses = message; }).on('exit', () => resolve(losses)).on('error', reject);
      });
      (async () => {
        const all = await Promise.all([run(), run(), run()]);
        print(all.flat().every((loss) => loss === call({ threads: 3 })));
      })();
    `;
    expect(runChild(program)).toEqual({ output: true, stderr: '', status: 0, signal: null });
  });

  // The addon is unloaded with the last thread that loaded it: no thread of the pool may still be in it.
  it('end with a worker that alone has loaded the package', () => {
    const program = `
      const { Worker } = require('node:worker_threads');
      const { readdirSync } = require('node:fs');
      const code = ${JSON.stringify(`${COMMON} call({ threads: 6 });`)};
      const run = () => new Promise((resolve, reject) => {
        new Worker(code, { eval: true }).on('exit', resolve).on('error', reject);
      });
      (async () => {
        const counts = [];
        for (let i = 0; i < 6; i++) { await run(); counts.push(readdirSync('/proc/self/task').length); }
        print(Math.max(...counts) - counts[0] < 3);
      })();
    `;
    expect(runChild(program)).toEqual({ output: true, stderr: '', status: 0, signal: null });
  });

  it('that cannot be had are done without', () => {
    const program = `${COMMON}
      const one = call({ threads: 1 });
      print([2, 64, 1024].map((threads) => call({ threads }) === one));
    `;
    expect(runChild(program).output).toEqual([true, true, true]);
  });
});

describe('backends', () => {
  it.each(availableBackends())('%s gives the same loss for any number of threads', (name) => {
    const program = `${COMMON} print([1, 2, 3, 8, 64].map((threads) => call({ threads })))`;
    const losses = runChild(program, { SMOOTHLOSS_BACKEND: name }).output as number[];
    expect(new Set(losses).size).toBe(1);
  });
});
