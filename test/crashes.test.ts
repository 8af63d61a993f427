// The promise: nothing that a program does with the package or with its addon's own entry ends the process. What once did
// is here by itself, each in a process of its own; attack.ts looks for more.

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { availableBackends } from 'smoothloss';
import { describe, expect, it } from 'vitest';
import { runChild } from './support/child.js';
import { itNative } from './support/native.js';
import { root } from './support/root.js';

const native = availableBackends().filter((name) => name !== 'js');

/** Programs have this: the addon, the collector, and a job of a megabyte or more of memory to be taken away. */
const COMMON = `
  const { setImmediate: turn } = require('node:timers/promises');
  const v8 = require('node:v8');
  v8.setFlagsFromString('--expose-gc');
  const gc = require('node:vm').runInNewContext('gc');
  const smoothloss = require('smoothloss');
  const promises = require('smoothloss/promises');
  const addon = require(require('node-gyp-build').path(${JSON.stringify(root)}));
  const { FIRST_SLOT, HEADER, SLOTS } = require(${JSON.stringify(path.join(root, 'dist/arena.js'))});
  const classes = 1000, rows = 4000;
  const targets = new Int32Array(rows);
  /** A job of crossEntropy; undefined if it was refused. */
  const start = (logits, gradient, ...more) => {
    const arena = new ArrayBuffer(8 * HEADER + 4 * rows);
    const slots = new Float64Array(arena, 0, HEADER);
    const numbers = { threads: 2, end: rows, arrays: 3, rows, classes, rowStride: classes, inner: 1, gradientScale: 1, logitScale: 1 };
    SLOTS.forEach((name, i) => { slots[FIRST_SLOT + i] = numbers[name] ?? 0; });
    let done;
    const promise = new Promise((resolve) => { done = (...sums) => resolve(sums.length); });
    return addon.start(done, arena, logits, gradient, ...more) === 0 ? undefined : promise;
  };
  const shared = () => new Float32Array(new SharedArrayBuffer(4 * rows * classes));
`;

function survives(program: string, expected: unknown): void {
  const { output, stderr, status, signal } = runChild(`${COMMON}\n(async () => {${program}})();`);
  expect({ output, stderr, status, signal }).toEqual({
    output: expected,
    stderr: '',
    status: 0,
    signal: null,
  });
}

describe('the process survives', () => {
  itNative.each([19, 20, 22, 40, 1000, 60_000])('start with %i arguments', (count) => {
    survives(
      `const all = Array.from({ length: ${count} - 4 }, () => new Float32Array(4));
       print(await start(new Float32Array(rows * classes), new Float32Array(rows * classes), ...all));`,
      5,
    );
  });

  // The addon asks, and tries, whether it can hold arrays.
  const change = (object: string, name: string, descriptor: string) =>
    `Object.defineProperty(${object}, '${name}', { configurable: true, ${descriptor} });`;
  const thrower = "get() { throw new Error('thrown'); }";
  itNative.each([
    ['as it is', '', !process.version.startsWith('v22.')],
    ['with a global Bun', 'globalThis.Bun = {};', false],
    ['with the version of Electron', change('process.versions', 'electron', "value: '1'"), false],
    ['without process', 'delete globalThis.process;', false],
    ['whose versions throw', change('process', 'versions', thrower), false],
    ['whose transfer throws', change('ArrayBuffer.prototype', 'transfer', 'value() { throw 1; }'), false],
    ['whose transfer cannot be read', change('ArrayBuffer.prototype', 'transfer', thrower), false],
  ])('loading the addon in a runtime %s', (_, program, holds) => {
    const file = `require('node-gyp-build').path(${JSON.stringify(root)})`;
    const child = runChild(`const file = ${file}; ${program} print(require(file).holds);`);
    expect(child).toEqual({ output: holds, stderr: '', status: 0, signal: null });
  });

  itNative('arrays whose iterator gives more than they hold', () => {
    survives(
      `const logits = new Float32Array(rows * classes);
       const rowWeight = new Float32Array(rows).fill(1);
       const options = { classes, rowWeight, gradient: new Float32Array(rows * classes) };
       const { iterator } = Symbol;
       const own = Array.prototype[iterator];
       let promise, now;
       Array.prototype[iterator] = function* () {
         for (let i = 0; i < this.length; i++) yield this[i];
         for (let i = 0; i < 40 && this.length === 18; i++) yield logits;
       };
       try {
         promise = promises.crossEntropy(logits, targets, options);
         now = smoothloss.crossEntropy(logits.slice(), targets, { classes, rowWeight });
       } finally {
         Array.prototype[iterator] = own;
       }
       print([(await promise).loss === now.loss, now.rows]);`,
      [true, 4000],
    );
  });

  itNative('a replaced iterator leaves the sums as they are', () => {
    survives(
      `const { iterator } = Symbol;
       const own = Array.prototype[iterator];
       let promise;
       const x = Float32Array.of(1, 2, 3);
       Array.prototype[iterator] = function* () {};
       try {
         promise = promises.loadBackend('${native[0]}').crossEntropy(x, Int32Array.of(1), { classes: 3 });
         await turn();
         await turn();
       } finally {
         Array.prototype[iterator] = own;
       }
       print((await promise).loss === smoothloss.crossEntropy(x, Int32Array.of(1), { classes: 3 }).loss);`,
      true,
    );
  });

  itNative('shared memory that is dropped while a job works on it', () => {
    survives(
      `let ended = 0;
       for (let i = 0; i < 12; i++) {
         const job = start(shared(), shared());
         for (let n = 0; n < 3; n++) gc();
         await turn();
         gc();
         ended += await job;
       }
       print(ended);`,
      60,
    );
  });

  itNative('a buffer that shrinks while a job could work on it', () => {
    survives(
      `const bytes = 4 * rows * classes;
       const resizable = () => new Float32Array(new ArrayBuffer(bytes, { maxByteLength: bytes }));
       const plain = () => new Float32Array(rows * classes);
       const jobs = [];
       for (const make of [() => [resizable(), plain()], () => [plain(), resizable()]]) {
         for (let i = 0; i < 5; i++) {
           const arrays = make();
           const job = start(...arrays);
           for (const { buffer } of arrays) if (buffer.resizable) buffer.resize(0);
           jobs.push(await job);
         }
       }
       print(jobs);`,
      new Array(10).fill(null),
    );
  });

  itNative('the same through a promise, where the checks were replaced', () => {
    survives(
      `const bytes = 4 * rows * classes;
       const { some } = Array.prototype;
       const results = [];
       for (let i = 0; i < 5; i++) {
         const logits = new Float32Array(new ArrayBuffer(bytes, { maxByteLength: bytes }));
         Array.prototype.some = () => false;
         const promise = promises.crossEntropy(logits, targets, { classes, gradient: true });
         Array.prototype.some = some;
         logits.buffer.resize(0);
         results.push(await promise.then(() => 'settled', ({ code }) => code));
       }
       print(results);`,
      new Array(5).fill('ERR_INVALID_ARG_TYPE'),
    );
  });

  itNative('shared memory that grows is computed on all the same', () => {
    survives(
      `const bytes = 4 * rows * classes;
       const buffer = new SharedArrayBuffer(bytes, { maxByteLength: 2 * bytes });
       const job = start(new Float32Array(buffer, 0, rows * classes), shared());
       buffer.grow(2 * bytes);
       print(await job);`,
      5,
    );
  });
});

it('promises that begin on a stack nearly full settle once, and leave nothing in use', () => {
  // Node itself says on stderr where its hooks had no stack left.
  const { output, status, signal } = runChild(`${COMMON}
    const logits = new Float32Array(40), four = new Int32Array(4);
    const options = { classes: 10, signal: new AbortController().signal };
    let all = [];
    const call = () => all.push(promises.crossEntropy(logits, four, options));
    let tries = 0;
    const deep = () => {
      try {
        deep();
      } catch (error) {
        try {
          if (tries++ < 40) call();
        } catch {}
        throw error;
      }
    };
    (async () => {
      const codes = new Set();
      for (let i = 0; i < 2000; i++) call(); // until they are compiled
      for (let i = 0; i < 100; i++) {
        try {
          tries = 0;
          deep();
        } catch {}
        for (const { reason } of await Promise.allSettled(all)) {
          if (reason !== undefined && !(reason instanceof RangeError)) codes.add(reason.code ?? reason.message);
        }
        all = [];
      }
      codes.delete('ERR_INVALID_ARG_TYPE'); // the signal could not be read
      const { rows } = await promises.crossEntropy(logits, four, { classes: 10, gradient: logits });
      print([rows, ...codes]);
    })();`);
  expect({ output, status, signal }).toEqual({ output: [4], status: 0, signal: null });
});

it('an attack of some seconds', () => {
  const program = path.join(root, 'build/test/attack.js');
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, [program, '10'], {
    encoding: 'utf8',
  });
  expect({ stderr, status, signal }, stdout).toEqual({ stderr: '', status: 0, signal: null });
  expect(stdout).toMatch(/\n[1-9]\d* passed, 0 failed\n$/);
});
