// The promise: whatever is given to a function, in whatever place, it answers, or it throws an error with a code, in which case
// nothing was written. Exceptions that a caller's own getters and proxies throw pass as they are.

import { readFileSync } from 'node:fs';
import { availableBackends, backend, loadBackend, setThreads } from 'smoothloss';
import * as promises from 'smoothloss/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { HOSTILE, hostileCalls, Thrown } from './conformance/errors/hostile.js';
import { bytesOf, CLASSES } from './conformance/errors/refusal.js';
import { runChild } from './support/child.js';
import { detach, type ResizableArrayBuffer, resizable } from './support/memory.js';

const FUNCTIONS = [
  'crossEntropy',
  'linearCrossEntropy',
  'bceWithLogits',
  'klDiv',
  'nllLoss',
  'smoothLabels',
] as const;
const MEMORY = 'ERR_MEMORY_ALLOCATION_FAILED';
const later = promises.loadBackend(backend.name);
const threads = backend.threads;
afterAll(() => setThreads(threads));

/** What is wrong with what was thrown; nothing if it is as promised. */
function faultOf(error: unknown): string | undefined {
  if (error instanceof Thrown) return undefined;
  if (!(error instanceof Error)) return `what was thrown is a ${typeof error}`;
  const { code, message } = error as Error & { code?: string };
  const known = { ...CLASSES, [MEMORY]: RangeError, ABORT_ERR: Error } as Record<string, ErrorConstructor>;
  if (code === undefined || known[code] === undefined) return `code ${code}: ${error.stack}`;
  if (!(error instanceof known[code])) return `another class with code ${code}`;
  if (message.length > 700) return `a message of ${message.length} characters: ${message.slice(0, 100)}`;
  if (/undefined: must|\[object|function |native code/.test(message.replace(/ is undefined: must/, '')))
    return message;
  return undefined;
}

const views = (arrays: unknown[]) =>
  arrays
    .filter((x) => ArrayBuffer.isView(x))
    .map(bytesOf)
    .join();

describe.each(FUNCTIONS)('%s', (functionName) => {
  const calls = hostileCalls(functionName);

  it.each(availableBackends())('at once, with %s', (name) => {
    const callee = loadBackend(name)[functionName] as unknown as (...args: unknown[]) => unknown;
    const faults: string[] = [];
    let answers = 0;
    for (const call of calls) {
      const { args, writable } = call.make();
      const all = [...args, ...writable];
      const before = views(all);
      try {
        callee(...args);
        answers++;
      } catch (error) {
        const fault = faultOf(error) ?? (views(all) === before ? undefined : 'it has written');
        if (fault !== undefined) faults.push(`${call.name}: ${fault}`);
      }
    }
    expect(faults).toEqual([]);
    expect(answers).toBeGreaterThan(FUNCTIONS.length);
    expect(answers).toBeLessThan(calls.length / 2);
  });

  it('by a promise', async () => {
    const faults: string[] = [];
    for (const call of calls) {
      const { args, writable } = call.make();
      const all = [...args, ...writable];
      const before = views(all);
      try {
        await (later[functionName] as unknown as (...args: unknown[]) => Promise<unknown>)(...args);
      } catch (error) {
        const aborted = (error as { code?: string } | null)?.code === 'ABORT_ERR';
        // A signal that fails when it is under way leaves what was written.
        const written = views(all) !== before && !call.name.startsWith('signal');
        const fault = faultOf(error) ?? (written && !aborted ? 'it has written' : undefined);
        if (fault !== undefined) faults.push(`${call.name}: ${fault}`);
      }
    }
    expect(faults).toEqual([]);
  });
});

describe.each([
  ['loadBackend', loadBackend],
  ['loadBackend of promises', promises.loadBackend],
  ['setThreads', setThreads],
  ['setThreads of promises', promises.setThreads],
] as [string, (value: unknown) => unknown][])('%s', (_, callee) => {
  it('of any value', () => {
    const faults = Object.entries(HOSTILE).flatMap(([name, make]) => {
      try {
        callee(make());
        return name === 'a BigInt' ? [`${name}: it was taken`] : [];
      } catch (error) {
        const fault = faultOf(error);
        return fault === undefined ? [] : [`${name}: ${fault}`];
      }
    });
    expect(faults).toEqual([]);
  });
});

const { crossEntropy, smoothLabels } = loadBackend(availableBackends()[0]);
const logits = Float32Array.of(1, 2, 3, 4, 4, 3, 2, 1);
const targets = Int32Array.of(0, 3);
const errorOf = (call: () => unknown): Error & { code?: string; cause?: unknown } => {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
};

describe("what a caller's getter throws", () => {
  it('passes as it is', () => {
    const thrown = new Thrown('mine');
    const options = {
      classes: 4,
      get labelSmoothing(): number {
        throw thrown;
      },
    };
    expect(errorOf(() => crossEntropy(logits, targets, options))).toBe(thrown);
  });

  it.each([TypeError, RangeError])(
    'is the cause of an error with a code if it is a %o, as the engine throws',
    (Type) => {
      const thrown = new Type('mine');
      const options = {
        classes: 4,
        get labelSmoothing(): number {
          throw thrown;
        },
      };
      const error = errorOf(() => crossEntropy(logits, targets, options));
      expect(error).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        message: 'options cannot be read: mine',
        cause: thrown,
      });
    },
  );

  it('is not looked into', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const options = {
      classes: 4,
      get weight(): Float32Array {
        throw proxy;
      },
    };
    let caught: unknown;
    try {
      crossEntropy(logits, targets, options);
    } catch (error) {
      caught = error;
    }
    expect(caught === proxy).toBe(true);
  });
});

describe('where options come from', () => {
  const expected = crossEntropy(logits, targets, { classes: 4, labelSmoothing: 0.1 });

  it('own properties, whatever the prototype', () => {
    const own = { classes: 4, labelSmoothing: 0.1 };
    expect(crossEntropy(logits, targets, Object.assign(Object.create(null), own))).toEqual(expected);
    expect(crossEntropy(logits, targets, new Proxy(own, {}))).toEqual(expected);
  });

  it('prototypes: defaults, and the getters of classes', () => {
    class Defaults {
      get classes() {
        return 4;
      }
      helper() {
        return 4;
      }
    }
    class Mine extends Defaults {
      labelSmoothing = 0.1;
    }
    expect(crossEntropy(logits, targets, new Mine())).toEqual(expected);
    const inherits = Object.assign(Object.create({ classes: 4, labelSmoothing: 0.5 }), {
      labelSmoothing: 0.1,
    });
    expect(crossEntropy(logits, targets, inherits)).toEqual(expected);
    const parts = { epsilon: 0.1, over: 'others' } as const;
    const smoothed = crossEntropy(logits, targets, { classes: 4, labelSmoothing: parts });
    expect(crossEntropy(logits, targets, { classes: 4, labelSmoothing: Object.create(parts) })).toEqual(
      smoothed,
    );
    const mixed = { a: targets, b: Int32Array.of(1, 1), lambda: 0.25 };
    expect(smoothLabels(Object.create(mixed), { classes: 4 })).toEqual(smoothLabels(mixed, { classes: 4 }));
  });

  it('not Object.prototype, whatever stands there', () => {
    const program = `
      const { crossEntropy, smoothLabels, loadBackend, setThreads } = require('smoothloss');
      const logits = Float32Array.of(1, 2, 3, 4, 4, 3, 2, 1), targets = Int32Array.of(0, 3);
      class Mine { classes = 4; labelSmoothing = { epsilon: 0.1 }; }
      const calls = () => {
        const mixed = { a: targets, b: Int32Array.of(1, 1), lambda: 0.25 };
        const results = [
          crossEntropy(logits, targets, { classes: 4 }),
          crossEntropy(logits, mixed, { classes: 4, labelSmoothing: { epsilon: 0.1 }, gradient: true, metrics: true }),
          crossEntropy(logits, targets, new Mine()),
          Array.from(smoothLabels(mixed, { classes: 4 })),
          loadBackend('js').crossEntropy(logits, targets, { classes: 4, perRow: ['loss'] }),
        ];
        setThreads(2);
        let error;
        try { crossEntropy(logits, targets, { classes: 4, labelSmoothng: 1 }); } catch (e) { error = e; }
        return JSON.stringify([results, error.code, error.message]);
      };
      const expected = calls();
      const names = 'foo a b lambda epsilon over exclude prior toward classes weight rowWeight mask reduction gradient inner perRow signal length data code cause get set value writable'.split(' ');
      const faults = [];
      for (const name of names) for (const enumerable of [true, false]) for (const value of ['x', 1, undefined, () => 1, [1]]) {
        Object.defineProperty(Object.prototype, name, { __proto__: null, value, enumerable, writable: true, configurable: true });
        let found;
        try { found = calls(); } catch (error) { found = String(error.stack); }
        delete Object.prototype[name];
        if (found !== expected) faults.push([name, enumerable, typeof value, found]);
      }
      print(faults);
    `;
    expect(runChild(program)).toMatchObject({ output: [], stderr: '' });
  });

  it('nor does it matter whether all is frozen', () => {
    const program = `
      const { crossEntropy } = require('smoothloss');
      const promises = require('smoothloss/promises');
      const logits = Float32Array.of(1, 2, 3, 4), codes = [];
      try { crossEntropy(logits, [0], { classes: 4 }); } catch ({ code }) { codes.push(code); }
      promises.crossEntropy(logits, Int32Array.of(0), { classes: 4, signal: AbortSignal.abort() }).catch(({ name, code }) => {
        print([...codes, name, code, crossEntropy(logits, Int32Array.of(3), { classes: 4 }).rows]);
      });
    `;
    const { output } = runChild(program, { NODE_OPTIONS: '--frozen-intrinsics' });
    expect(output).toEqual(['ERR_INVALID_ARG_TYPE', 'AbortError', 'ABORT_ERR', 1]);
  });
});

// Such an array is as long as what a batch without rows has, so that no check of lengths finds it.
describe.each([
  ['detached', 'whose buffer is detached: must be attached'],
  ['out of bounds', 'beyond the end of its buffer, which was resized: must be within it'],
])('without rows, an array that is %s is refused', (kind, why) => {
  const lost = (type: 'Float32Array' | 'Float64Array' | 'Int32Array' | 'Uint8Array') => {
    const buffer = kind === 'detached' ? new ArrayBuffer(64) : resizable(64);
    const array = new { Float32Array, Float64Array, Int32Array, Uint8Array }[type](buffer, 0, 4);
    if (kind === 'detached') detach(buffer);
    else (buffer as ResizableArrayBuffer).resize(0);
    return array;
  };
  const none = () => new Float64Array(0);
  const targets = () => new Int32Array(0);
  const mixed = () => ({ a: targets(), b: targets(), lambda: 0.5 });
  const all = { classes: 4, reduction: 'none' };
  const cases: [name: string, functionName: (typeof FUNCTIONS)[number], ...args: unknown[]][] = [
    ['logits', 'crossEntropy', lost('Float64Array'), targets(), all],
    ['targets', 'crossEntropy', none(), lost('Int32Array'), all],
    ['targets', 'crossEntropy', none(), lost('Float64Array'), all],
    ['targets.b', 'crossEntropy', none(), { ...mixed(), b: lost('Int32Array') }, all],
    ['targets.lambda', 'crossEntropy', none(), { ...mixed(), lambda: lost('Float32Array') }, all],
    ['rowWeight', 'crossEntropy', none(), targets(), { ...all, rowWeight: lost('Float32Array') }],
    ['gradientScale', 'nllLoss', none(), targets(), { ...all, gradientScale: lost('Float32Array') }],
    [
      'labelSmoothing.epsilon',
      'nllLoss',
      none(),
      targets(),
      { ...all, labelSmoothing: { epsilon: lost('Float32Array') } },
    ],
    ['mask', 'nllLoss', none(), targets(), { ...all, mask: lost('Uint8Array') }],
    ['gradient', 'klDiv', none(), none(), { ...all, gradient: lost('Float64Array') }],
    ['weight', 'bceWithLogits', none(), none(), { ...all, weight: lost('Float32Array') }],
    ['input', 'linearCrossEntropy', lost('Float64Array'), new Float64Array(8), targets(), all],
    [
      'gradient.input',
      'linearCrossEntropy',
      none(),
      new Float64Array(8),
      targets(),
      { ...all, gradient: { input: lost('Float64Array') } },
    ],
    ['targets', 'smoothLabels', lost('Int32Array'), { classes: 4, labelSmoothing: 0.1 }],
  ];
  it.each(cases)('%s of %s', async (name, functionName, ...args) => {
    const message = expect.stringMatching(new RegExp(`^${name} is an? .* ${why}$`));
    const error = expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message });
    const call = loadBackend(backend.name)[functionName] as unknown as (...all: unknown[]) => unknown;
    expect(() => call(...args)).toThrow(error);
    await expect((later[functionName] as unknown as typeof call)(...args)).rejects.toThrow(error);
  });
});

describe('memory that there is not', () => {
  it('is told of with a code', () => {
    const error = errorOf(() => smoothLabels(new Int32Array(2 ** 20), { classes: 2 ** 31 - 1 }));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.code).toBe(MEMORY);
    expect(error.message).toBe(
      `there is no memory for the labels: a Float32Array of length ${2 ** 20 * (2 ** 31 - 1)}`,
    );
  });

  // Where a system gives out more memory than there is, the layer would be computed.
  const overcommits =
    process.platform !== 'linux' || readFileSync('/proc/sys/vm/overcommit_memory', 'utf8').trim() === '1';
  const layers = availableBackends().filter((name) => name === 'js' || !overcommits);

  it.each(layers)('for the logits of a layer is told of with a code (%s)', async (name) => {
    const classes = 2 ** 29;
    const rows = 256;
    const [input, weight] = [rows, classes].map((length) => new Uint16Array(length));
    const options = { classes, dtype: 'bfloat16' } as const;
    const targets = new Int32Array(rows);
    const { linearCrossEntropy } = loadBackend(name);
    const error = errorOf(() => linearCrossEntropy(input, weight, targets, options));
    expect(error.code).toBe(MEMORY);
    expect(error.message).toContain('there is no memory for the ');
    const promise = promises.loadBackend(name).linearCrossEntropy(input, weight, targets, options);
    await expect(promise).rejects.toMatchObject({ code: MEMORY });
    // The next call has what it needs.
    const { loss } = linearCrossEntropy(input, weight.subarray(0, 4), targets, { ...options, classes: 4 });
    expect(loss).toBeCloseTo(Math.log(4), 6);
  });

  it('is not asked for by what has no rows', () => {
    const options = { classes: 2 ** 31 - 1, labelSmoothing: { epsilon: 0.1, exclude: 1 } };
    expect(crossEntropy(new Float32Array(0), new Int32Array(0), options).rows).toBe(0);
    expect(smoothLabels(new Int32Array(0), options).length).toBe(0);
    expect(process.memoryUsage().rss).toBeLessThan(4 * 2 ** 30);
  });
});
