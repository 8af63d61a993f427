// The promise: smoothloss/promises gives what smoothloss gives, to the bit, while the event loop goes on; and whatever
// becomes of its arrays meanwhile, nothing worse than an error happens.

import { getEventListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { availableBackends, type BackendName, loadBackend } from 'smoothloss';
import * as promises from 'smoothloss/promises';
import { describe, expect, it } from 'vitest';
import {
  argumentsOf as argumentsOfRefusal,
  bytesOf,
  CLASSES,
  everyRefusal,
  withoutHint,
  writableOf,
} from './conformance/errors/refusal.js';
import './conformance/errors.js';
import { KINDS, labelsCall, ordinaryCall } from './conformance/ordinary.js';
import { describe as inWords, partsOf, resultBytes, sameBytes } from './conformance/pinned.js';
import { Random } from './conformance/random.js';
import { randomLayerCall } from './conformance/random-calls.js';
import { argumentsOf, type Call, labelsOf, type Returned, reports } from './support/calls.js';
import { runChild } from './support/child.js';
import { detach, type ResizableArrayBuffer, resizable } from './support/memory.js';
import { NUMBER_TYPES } from './support/numbers.js';

// The native backends share what goes on around their kernels.
const available = availableBackends();
const both = [...new Set([available[0], 'js'] as const)].map((name) => ({
  name,
  now: loadBackend(name),
  later: promises.loadBackend(name),
}));

type Any = (...args: unknown[]) => Promise<unknown>;
const rejection = async (promise: Promise<unknown>): Promise<Error & { code?: unknown }> => {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was not rejected');
};

/** A batch that takes a while. */
function large(name: BackendName) {
  const rows = { js: 600, scalar: 1500, neon: 3000, avx2: 6000, avx512: 6000 }[name];
  const classes = 2000;
  const logits = Float32Array.from({ length: rows * classes }, (_, i) => 5 * Math.sin(i));
  return { rows, classes, logits, targets: new Int32Array(rows) };
}

describe.each(both)('with $name', ({ name, now, later }) => {
  it('every function gives the bits of its namesake', async () => {
    const calls: Call[] = KINDS.flatMap((kind, k) =>
      NUMBER_TYPES.flatMap((type, t) =>
        (
          [
            [1, 40_000],
            [400, 210],
            [7, 10],
          ] as const
        ).map(([rows, classes]) => {
          const call = ordinaryCall(new Random(20 + 4 * k + t), kind, type, rows, classes);
          return { ...call, options: { ...call.options, ...reports(call), gradient: true } };
        }),
      ),
    );
    for (const kind of ['indices', 'mixed targets', 'soft targets'] as const) {
      calls.push(labelsCall(new Random(5), kind, 30, 3000));
    }
    for (const [t, type] of NUMBER_TYPES.entries()) {
      for (const shape of [
        [1030, 17, 33],
        [40, 257, 300],
        [7, 10, 3],
      ] as const) {
        const call = randomLayerCall(new Random(60 + t), type, shape);
        calls.push({ ...call, options: { ...call.options, gradient: true } });
      }
    }
    for (const call of calls) {
      const expected = resultBytes(now, { ...call, options: { ...call.options, threads: 1 } });
      // All at once: they read the same arrays.
      const results = await Promise.all(
        [1, 2, 8].map(async (threads) => {
          const result = await (later[call.name ?? 'crossEntropy'] as Any)(...argumentsOf(call, { threads }));
          return call.name === 'smoothLabels' ? labelsOf(result) : (result as Returned);
        }),
      );
      for (const result of results) sameBytes(partsOf(result), expected, inWords(call));
    }
  });

  // Other threads may not have it, since it could shrink.
  it.each(NUMBER_TYPES)('a layer of %s in resizable memory gives the same bits, in slices', async (type) => {
    for (const shape of [
      [1030, 9, 13],
      [3, 300, 20],
    ] as const) {
      const call = randomLayerCall(new Random(70), type, shape);
      const { logits } = call;
      const buffer = resizable(logits.byteLength);
      const moved = new (logits.constructor as typeof Uint16Array)(buffer, 0, logits.length);
      moved.set(logits);
      const all = { ...call, logits: moved, options: { ...call.options, gradient: true } };
      const result = (await (later.linearCrossEntropy as Any)(...argumentsOf(all))) as Returned;
      sameBytes(partsOf(result), resultBytes(now, { ...all, logits }), inWords(call));
    }
  });

  /** A layer of 600 rows, some of which take no part, and all that there is to ask of it. */
  function layer() {
    const [rows, features, classes] = [600, 24, 40];
    const wave = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * i));
    const gradient = {
      input: new Float32Array(rows * features),
      linearWeight: new Float32Array(classes * features),
      linearBias: new Float32Array(classes),
    };
    return {
      input: wave(rows * features),
      linearWeight: wave(classes * features),
      targets: Int32Array.from({ length: rows }, (_, i) => (i % 7 === 0 ? -100 : i % classes)),
      options: { classes, linearBias: wave(classes), gradient },
    };
  }

  it('linearCrossEntropy gives the bits of its namesake, and adds to arrays that are given', async () => {
    const expected = layer();
    const asked = { metrics: true, perRow: ['lse', 'prediction'], labelSmoothing: 0.1 } as const;
    for (const accumulate of [false, true]) {
      const { input, linearWeight, targets, options } = expected;
      const result = now.linearCrossEntropy(input, linearWeight, targets, {
        ...options,
        ...asked,
        accumulate,
      });
      for (const threads of [1, 2, 8]) {
        const own = layer();
        const all = { ...own.options, ...asked, threads };
        const call = (add: boolean) =>
          later.linearCrossEntropy(own.input, own.linearWeight, own.targets, { ...all, accumulate: add });
        let answer = await call(false);
        if (accumulate) answer = await call(true);
        expect(answer).toEqual(result);
        expect(answer.gradient.linearWeight).toBe(own.options.gradient.linearWeight);
      }
    }
  });

  it.each(['input', 'linearWeight', 'linearBias'] as const)(
    'of linearCrossEntropy %s and its gradient are in use until it settles',
    async (which) => {
      const own = layer();
      const { input, linearWeight, targets, options } = own;
      const array = which === 'linearBias' ? options.linearBias : own[which];
      const gradient = options.gradient[which];
      const first = later.linearCrossEntropy(input, linearWeight, targets, options);
      const one = Int32Array.of(0);
      const reading = (logits: Float32Array) => later.crossEntropy(logits, one, { classes: logits.length });
      const writing = (written: Float32Array) => {
        const logits = new Float32Array(written.length);
        return later.crossEntropy(logits, one, { classes: logits.length, gradient: written });
      };
      const refusal = (message: string) => ({
        code: 'ERR_OVERLAP',
        message: expect.stringContaining(message),
      });
      // All before the first can settle.
      const again = {
        classes: options.classes,
        linearBias: options.linearBias,
        gradient: { [which]: gradient },
      };
      const refused = [
        [reading(gradient), 'logits overlaps the gradient'],
        [writing(gradient), 'gradient overlaps the gradient'],
        [writing(array), 'gradient overlaps an array'],
        [
          later.linearCrossEntropy(input, linearWeight, targets, again),
          `gradient.${which} overlaps the gradient`,
        ],
      ] as const;
      const allowed = reading(array);
      const errors = await Promise.all(refused.map(([promise]) => rejection(promise)));
      errors.forEach((error, i) => {
        expect(error).toMatchObject(refusal(refused[i][1]));
      });
      await Promise.all([first, allowed]);
      await writing(gradient);
    },
  );

  it.each(['input', 'linearWeight', 'linearBias', 'gradient.linearWeight'])(
    'of linearCrossEntropy %s that is detached rejects the promise',
    async (which) => {
      const { input, linearWeight, targets, options } = layer();
      const promise = later.linearCrossEntropy(input, linearWeight, targets, options);
      const arrays = {
        input,
        linearWeight,
        linearBias: options.linearBias,
        'gradient.linearWeight': options.gradient.linearWeight,
      };
      detach(Reflect.get(arrays, which).buffer);
      expect((await rejection(promise)).message).toContain(`${which} was detached or resized`);
    },
  );

  it('the event loop goes on, and the process stays alive', async () => {
    const { classes, logits, targets } = large(name);
    let settled = false;
    const call = () => later.crossEntropy(logits, targets, { classes, gradient: true });
    const promise = Promise.all([call(), call(), call()]).finally(() => {
      settled = true;
    });
    let turns = 0;
    while (!settled) {
      await setImmediate();
      turns++;
    }
    await promise;
    expect(turns).toBeGreaterThan(3);
  });

  it('no rows are nothing to do', async () => {
    const empty = new Float32Array(0);
    const result = await later.crossEntropy(empty, new Int32Array(0), { classes: 3, gradient: true });
    expect(result).toEqual({ loss: NaN, numerator: 0, denominator: 0, rows: 0, gradient: empty });
  });

  it('many calls in flight all settle, each with its own result', async () => {
    const random = new Random(8);
    const calls = Array.from({ length: 10_000 }, (_, i) => {
      const kind = KINDS[i % KINDS.length];
      return ordinaryCall(random, kind, NUMBER_TYPES[i % 4], 1 + (i % 5), 1 + (i % 23));
    });
    const promised = calls.map(async ({ name: named = 'crossEntropy', type = 'float32', ...call }) => {
      const options = { ...call.options, ...(type.endsWith('16') ? { dtype: type } : {}) };
      return (later[named] as Any)(call.logits, call.targets, options);
    });
    const results = await Promise.allSettled(promised);
    results.forEach((result, i) => {
      const settled = {
        [calls[i].name ?? 'crossEntropy']: () => {
          if (result.status === 'rejected') throw result.reason;
          return result.value;
        },
      } as unknown as typeof now;
      sameBytes(resultBytes(settled, calls[i]), resultBytes(now, calls[i]), inWords(calls[i]));
    });
  });

  it('a call that cannot begin leaves nothing in use', async () => {
    const [logits, targets] = [new Float32Array(3), Int32Array.of(0)];
    const call = () => later.crossEntropy(logits, targets, { classes: 3, gradient: logits });
    const { Promise: Original } = globalThis;
    // As if there were no memory for a promise.
    globalThis.Promise = class extends Original<never> {
      constructor() {
        super(() => {});
        throw new Error('thrown');
      }
    } as unknown as PromiseConstructor;
    let begun: ReturnType<typeof call> | undefined;
    try {
      begun = call();
    } catch (error) {
      expect(error).toHaveProperty('message', 'thrown');
    } finally {
      globalThis.Promise = Original;
    }
    await begun;
    expect((await call()).rows).toBe(1);
  });

  describe('a signal', () => {
    it('aborts what has not begun, and nothing is written', async () => {
      const logits = Float32Array.of(1, 2, 3);
      const reason = new Error('enough');
      const options = { classes: 3, gradient: logits, signal: AbortSignal.abort(reason) };
      const error = await rejection(later.crossEntropy(logits, Int32Array.of(0), options));
      expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });
      expect(error.message).toBe('The operation was aborted');
      expect([...logits]).toEqual([1, 2, 3]);
    });

    it('aborts what is under way, after which the arrays are free', async () => {
      const { classes, logits, targets } = large(name);
      for (let delay = 0; delay < 4; delay++) {
        const controller = new AbortController();
        const { signal } = controller;
        // They take turns, so none is done before the first have almost been.
        const others = [1, 2, 3].map(() => later.crossEntropy(logits, targets, { classes, gradient: true }));
        const promise = later.crossEntropy(logits, targets, { classes, gradient: true, signal });
        for (let i = 0; i < delay; i++) await setImmediate();
        controller.abort();
        expect(await rejection(promise)).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
        expect(getEventListeners(signal, 'abort')).toEqual([]);
        await Promise.all(others);
      }
      await later.crossEntropy(logits, targets, { classes, gradient: logits });
    });

    it('ends a layer before its last rows, after which the arrays are free', async () => {
      const [features, classes] = [64, 256];
      // Some 10 ms or more: a turn of the event loop must come before the end.
      const rows = name === 'js' || name === 'scalar' ? 4096 : 1 << 17;
      const input = new Float32Array(rows * features).fill(1);
      const linearWeight = new Float32Array(classes * features);
      const gradient = { input: new Float32Array(input.length).fill(NaN) };
      const controller = new AbortController();
      const call = (signal?: AbortSignal) =>
        later.linearCrossEntropy(input, linearWeight, new Int32Array(rows), { classes, gradient, signal });
      const promise = call(controller.signal);
      await setImmediate();
      controller.abort();
      expect(await rejection(promise)).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
      expect(gradient.input.at(-1)).toBe(NaN);
      await call();
    });

    it('of thousands each ends its own call, in any order', async () => {
      const count = name === 'js' ? 400 : 4000;
      const logits = Float32Array.from({ length: count }, (_, i) => Math.sin(i));
      const gradient = new Float32Array(2 * count);
      const controllers = Array.from({ length: count }, () => new AbortController());
      const promised = controllers.map(({ signal }, i) =>
        later.crossEntropy(logits.subarray(i >> 1, (i >> 1) + 2), Int32Array.of(1), {
          classes: 2,
          gradient: gradient.subarray(2 * i, 2 * i + 2),
          signal,
        }),
      );
      const random = new Random(3);
      const order = controllers.map((_, i) => ({ i, at: random.uniform() })).sort((a, b) => a.at - b.at);
      const aborted = new Set(order.slice(count / 2).map(({ i }) => i));
      for (const i of aborted) controllers[i].abort();
      const results = await Promise.allSettled(promised);
      results.forEach((result, i) => {
        if (aborted.has(i)) {
          expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ABORT_ERR' } });
        } else {
          const row = logits.subarray(i >> 1, (i >> 1) + 2);
          const { loss } = now.crossEntropy(row, Int32Array.of(1), { classes: 2 });
          expect(result).toMatchObject({ status: 'fulfilled', value: { loss } });
        }
      });
      await later.crossEntropy(gradient, new Int32Array(count), { classes: 2, gradient });
    });

    it('that never fires leaves nothing behind', async () => {
      const { signal } = new AbortController();
      const call = () => later.crossEntropy(new Float32Array(3), Int32Array.of(0), { classes: 3, signal });
      const warnings: unknown[] = [];
      const warned = (warning: Error) => warnings.push(warning.message);
      process.on('warning', warned);
      await Promise.all(Array.from({ length: 30 }, call));
      await setImmediate();
      process.off('warning', warned);
      expect(getEventListeners(signal, 'abort')).toEqual([]);
      expect(warnings).toEqual([]);
    });

    it('may be any object that is one', async () => {
      const signal = Object.assign(new EventTarget(), { aborted: false, reason: undefined });
      const { loss } = await later.crossEntropy(new Float32Array(3), Int32Array.of(0), {
        classes: 3,
        signal,
      });
      expect(loss).toBeCloseTo(Math.log(3), 12);
    });

    it('that throws, or says nothing of what it does, leaves nothing in use', async () => {
      const { classes, logits, targets } = large(name);
      const thrown = new Error('thrown');
      const fail = () => {
        throw thrown;
      };
      const nothing = () => {};
      for (const parts of [
        { aborted: false, addEventListener: fail, removeEventListener: nothing },
        { aborted: false, addEventListener: nothing, removeEventListener: fail },
        {
          aborted: false,
          addEventListener: (_: string, abort: () => void) => abort(),
          removeEventListener: nothing,
        },
      ]) {
        const promise = later.crossEntropy(logits, targets, { classes, gradient: true, signal: parts });
        const settled = await promise.then(
          ({ rows }) => rows,
          (error) => error,
        );
        // Computed in slices, it does not listen, and may be done.
        if (typeof settled !== 'number') expect([thrown.name, 'AbortError']).toContain(settled.name);
        await later.crossEntropy(logits, targets, { classes, gradient: logits });
      }
    });

    it('is not listened to any more once a call has settled', async () => {
      const { signal } = new AbortController();
      let aborted: unknown = false;
      const strange = {
        get aborted() {
          if (aborted instanceof Error && getEventListeners(signal, 'abort').length > 0) throw aborted;
          return false;
        },
        addEventListener: (type: string, abort: () => void) => signal.addEventListener(type, abort),
        removeEventListener: (type: string, abort: () => void) => signal.removeEventListener(type, abort),
      };
      for (aborted of [false, new Error('thrown')]) {
        const call = later.crossEntropy(new Float32Array(3), Int32Array.of(0), {
          classes: 3,
          signal: strange,
        });
        await call.catch((error) => expect(error).toBe(aborted));
        expect(getEventListeners(signal, 'abort')).toEqual([]);
      }
    });

    it('whose getter makes other calls does not disturb its own', async () => {
      const [x, y] = [new Float32Array(300).fill(1), Int32Array.from({ length: 100 }, (_, i) => i % 3)];
      const options = { classes: 3, weight: Float32Array.of(1, 2, 3) };
      const signal = {
        get aborted() {
          now.crossEntropy(x, new Int32Array(100).fill(2), { classes: 3 });
          return false;
        },
        addEventListener: () => {},
        removeEventListener: () => {},
      };
      const expected = now.crossEntropy(x, y, options);
      expect(await later.crossEntropy(x, y, { ...options, signal })).toEqual(expected);
    });

    it.each([null, 1, 'abort', {}, { aborted: 1 }, { aborted: false }])('cannot be %j', async (signal) => {
      const options = { classes: 3, signal } as { classes: number };
      const error = await rejection(later.crossEntropy(new Float32Array(3), Int32Array.of(0), options));
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe('ERR_INVALID_ARG_TYPE');
      expect(error.message).toMatch(/^signal is .*: must be an AbortSignal/);
    });
  });

  describe('arrays in use', () => {
    const classes = 500;
    const targets = new Int32Array(100);
    const fresh = () => Float32Array.from({ length: 100 * classes }, (_, i) => Math.cos(i));
    const overlap = (what: string) => ({
      code: 'ERR_OVERLAP',
      message: `${what} of a promise that is pending: must be apart from it, or wait for it`,
    });

    it('of no bytes may be in use by several calls, some of which end before others', async () => {
      const memory = new ArrayBuffer(64);
      const none = () => new Float32Array(memory, 16, 0);
      const weight = new Float32Array(memory, 0, 4);
      const logits = new Float32Array(4000);
      const empty = () =>
        later.crossEntropy(none(), new Int32Array(0), { classes: 4, gradient: none(), reduction: 'sum' });
      const long = () => later.crossEntropy(logits, new Int32Array(1000), { classes: 4, weight });
      for (const begin of [
        [empty, empty],
        [empty, long, empty],
        [long, empty],
      ]) {
        const results = await Promise.all(begin.map((call) => call()));
        expect(results.map(({ rows }) => rows)).toEqual(begin.map((call) => (call === empty ? 0 : 1000)));
      }
      expect((await long()).rows).toBe(1000);
    });

    it('may be read by several calls at once', async () => {
      const logits = fresh();
      const call = () => later.crossEntropy(logits, targets, { classes, gradient: true });
      const [a, b] = await Promise.all([call(), call()]);
      expect(a).toEqual(b);
      expect(a.gradient).not.toBe(b.gradient);
    });

    it('cannot be written by two, nor written by one and read by another', async () => {
      const logits = fresh();
      const gradient = fresh();
      const weight = new Float32Array(logits.buffer, 0, classes).map(Math.abs);
      const first = later.crossEntropy(logits, targets, { classes, gradient, weight });
      const part = gradient.subarray(classes, 2 * classes);
      const one = Int32Array.of(0);
      for (const [call, what] of [
        [() => later.crossEntropy(logits, targets, { classes, gradient }), 'gradient overlaps the gradient'],
        [() => later.crossEntropy(part, one, { classes }), 'logits overlaps the gradient'],
        [
          () => later.crossEntropy(logits, targets, { classes, gradient: logits }),
          'gradient overlaps an array',
        ],
        [
          () => later.bceWithLogits(new Float32Array(classes), one, { classes, gradient: weight }),
          'gradient overlaps an array',
        ],
      ] as const) {
        expect(await rejection(call())).toMatchObject(overlap(what));
      }
      expect(() => now.crossEntropy(part, one, { classes })).toThrow(
        'logits overlaps the gradient of a promise',
      );
      expect(now.crossEntropy(logits, targets, { classes }).rows).toBe(100);
      await first;
      await later.crossEntropy(logits, targets, { classes, gradient });
      expect(now.crossEntropy(part, one, { classes }).rows).toBe(1);
    });

    it('are not those that are read at once: integer masks, Float32Array weights of doubles', async () => {
      const logits = Float64Array.from(fresh());
      const dense = logits.map(Math.abs);
      const filled = (length: number) => new Float32Array(length).fill(0.5);
      const make = () => ({
        rows: filled(100),
        classes: filled(classes),
        mask: new BigInt64Array(100).fill(1n),
      });
      const optionsOf = ({ rows, classes: each, mask }: ReturnType<typeof make>) =>
        ({ classes, reduction: 'none', weight: each, rowWeight: rows, gradientScale: rows, mask }) as const;
      const smoothingOf = ({ rows, classes: prior }: ReturnType<typeof make>) => ({ epsilon: rows, prior });
      const targetsOf = ({ rows }: ReturnType<typeof make>) => ({ a: targets, b: targets, lambda: rows });
      const [arrays, same] = [make(), make()];
      const elements = BigInt64Array.from(logits, (_, i) => BigInt(i % 3));
      const promise = Promise.all([
        later.crossEntropy(logits, targetsOf(arrays), {
          ...optionsOf(arrays),
          labelSmoothing: smoothingOf(arrays),
        }),
        later.bceWithLogits(logits, dense, {
          ...optionsOf(arrays),
          posWeight: arrays.classes,
          mask: elements,
        }),
      ]);
      const mask = elements.slice();
      for (const array of [...Object.values(arrays), elements]) detach(array.buffer);
      const expected = [
        now.crossEntropy(logits, targetsOf(same), { ...optionsOf(same), labelSmoothing: smoothingOf(same) }),
        now.bceWithLogits(logits, dense, { ...optionsOf(same), posWeight: same.classes, mask }),
      ];
      expect(await promise).toEqual(expected);
    });

    it.each(['weight', 'rowWeight'])('%s in double that is detached rejects the promise', async (which) => {
      const options = { weight: new Float64Array(classes), rowWeight: new Float64Array(100) };
      const promise = later.crossEntropy(Float64Array.from(fresh()), targets, { classes, ...options });
      detach(Reflect.get(options, which).buffer);
      expect((await rejection(promise)).message).toContain(`${which} was detached`);
    });

    it('side by side in one buffer are apart', async () => {
      const all = fresh();
      const rows = Array.from({ length: 100 }, (_, r) => all.subarray(r * classes, (r + 1) * classes));
      const results = await Promise.all(
        rows.map((row) => later.crossEntropy(row, Int32Array.of(3), { classes, gradient: row })),
      );
      const expected = now.crossEntropy(fresh(), new Int32Array(100).fill(3), {
        classes,
        gradient: true,
        gradientScale: 100,
      });
      expect(results.reduce((sum, { loss }) => sum + loss, 0) / 100).toBeCloseTo(expected.loss, 12);
    });

    it('are free again after a call that was refused', async () => {
      const logits = fresh();
      const bad = { classes, gradient: logits, labelSmoothing: 2 };
      await rejection(later.crossEntropy(logits, targets, bad));
      await later.crossEntropy(logits, targets, { classes, gradient: logits });
    });

    it.each(['logits', 'gradient', 'weight'])('%s that is detached rejects the promise', async (which) => {
      const arrays = { logits: fresh(), gradient: fresh(), weight: new Float32Array(classes).fill(1) };
      const { logits, ...options } = arrays;
      const promise = later.crossEntropy(logits, targets, { classes, ...options });
      detach(Reflect.get(arrays, which).buffer);
      const error = await rejection(promise);
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        message: `${which} was detached or resized while the call computed: must stay as it is`,
      });
      await later.crossEntropy(fresh(), targets, { classes, gradient: true });
    });

    it.each(['prototype', 'property'])('that can be resized cannot hide it by a %s', async (how) => {
      class Hiding extends ArrayBuffer {
        get resizable() {
          return false;
        }
      }
      const Buffer = (how === 'prototype' ? Hiding : ArrayBuffer) as ArrayBufferConstructor;
      const buffer: ResizableArrayBuffer = Reflect.construct(Buffer, [
        4 * 100 * classes,
        { maxByteLength: 4 * 100 * classes },
      ]);
      if (how === 'property') Object.defineProperty(buffer, 'resizable', { value: false });
      const logits = new Float32Array(buffer, 0, 100 * classes);
      const promise = later.crossEntropy(logits, targets, { classes, gradient: logits });
      buffer.resize(64);
      expect(await rejection(promise)).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    });

    // Where the runtime has it: Node 22 on.
    const moves = 'transfer' in ArrayBuffer.prototype ? [16, 4 * 100 * classes, 2 ** 24] : [];
    it.each(moves)('that move to another length (%s) reject the promise', async (length) => {
      const logits = fresh();
      const promise = later.crossEntropy(logits, targets, { classes, gradient: logits });
      Reflect.apply(Reflect.get(ArrayBuffer.prototype, 'transfer'), logits.buffer, [length]);
      expect(await rejection(promise)).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    });

    it('that can be resized are computed all the same, and rejected if they are', async () => {
      const buffer = resizable(4 * 100 * classes);
      const logits = new Float32Array(buffer, 0, 100 * classes);
      logits.set(fresh());
      const before = bytesOf(logits);
      const { loss } = await later.crossEntropy(logits, targets, { classes, gradient: true });
      expect(loss).toBe(now.crossEntropy(fresh(), targets, { classes }).loss);
      expect(bytesOf(logits)).toBe(before);
      const promise = later.crossEntropy(logits, targets, { classes, gradient: logits });
      buffer.resize(64);
      expect(await rejection(promise)).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    });

    it('may be on shared memory', async () => {
      const logits = new Float32Array(new SharedArrayBuffer(4 * 100 * classes));
      logits.set(fresh());
      const expected = now.crossEntropy(fresh(), targets, { classes, gradient: true });
      const result = await later.crossEntropy(logits, targets, { classes, gradient: logits });
      expect(result.loss).toBe(expected.loss);
      expect(Buffer.compare(Buffer.from(result.gradient), Buffer.from(expected.gradient))).toBe(0);
    });

    it('targets that are classes are free at once', async () => {
      const changing = new Int32Array(100).fill(2);
      const promise = later.crossEntropy(fresh(), changing, { classes });
      const expected = now.crossEntropy(fresh(), changing, { classes }).loss;
      changing.fill(400);
      expect((await promise).loss).toBe(expected);
    });
  });

  it.each(everyRefusal)('$name, by rejection', async ({ functionName, list }) => {
    for (const [what, make, code, message] of list) {
      if (what.startsWith('signal, which goes')) continue;
      const call = make();
      const written = writableOf(call);
      const before = written.map(bytesOf);
      const error = await rejection((later[functionName] as Any)(...argumentsOfRefusal(functionName, call)));
      const told = { code: error.code, message: withoutHint(error.message) };
      expect(told, what).toEqual({ code, message: withoutHint(message) });
      expect(error).toBeInstanceOf(CLASSES[code]);
      expect(written.map(bytesOf).join(), what).toBe(before.join());
    }
  });

  const PROGRAM = `
    const { Worker } = require('node:worker_threads');
    const promises = require('smoothloss/promises').loadBackend('${name}');
    const rows = ${name === 'js' ? 300 : 2000}, classes = 2000;
    const logits = Float32Array.from({ length: rows * classes }, (_, i) => 5 * Math.sin(i));
    const call = (more) => promises.crossEntropy(logits, new Int32Array(rows), { classes, gradient: true, ...more });
  `;
  const clean = { stderr: '', status: 0, signal: null };

  it('a call keeps the process alive until it has settled', () => {
    expect(runChild(`${PROGRAM} call().then(({ loss }) => print(loss > 0))`)).toEqual({
      ...clean,
      output: true,
    });
  });

  it('process.exit() amid calls does no harm', () => {
    const program = `${PROGRAM} for (let i = 0; i < 6; i++) call(); setTimeout(() => process.exit(0), 5)`;
    for (let i = 0; i < 3; i++) expect(runChild(program)).toMatchObject(clean);
  });

  it('neither does a worker that ends amid its calls', () => {
    const program = `${PROGRAM}
      const ends = ["setTimeout(() => process.exit(0), 3)", "require('node:worker_threads').parentPort.postMessage(0)", "setTimeout(() => { throw new Error('x') }, 3)"];
      const run = (end) => new Promise((resolve) => {
        const worker = new Worker(${JSON.stringify(PROGRAM)} + 'for (let i = 0; i < 4; i++) call();' + end, { eval: true });
        worker.on('message', () => worker.terminate()).on('error', () => {}).on('exit', resolve);
      });
      (async () => {
        const before = (await call()).loss;
        for (let i = 0; i < 2; i++) await Promise.all([...ends.map(run), call()]);
        print((await call()).loss === before);
      })();
    `;
    expect(runChild(program)).toEqual({ ...clean, output: true });
  });

  it.each(['kept', 'dropped'])('memory of arrays that are %s does not grow', (arrays) => {
    // The clone is garbage at once: then the call may be the last owner of the memory.
    const drop = arrays === 'dropped' ? 'structuredClone(x.buffer, { transfer: [x.buffer] });' : '';
    const program = `
      const promises = require('smoothloss/promises').loadBackend('${name}');
      const all = new Float32Array(64 * 50), y = new Int32Array(64);
      const call = () => {
        const x = ${drop ? 'all.slice()' : 'all'};
        const promise = promises.crossEntropy(x, y, { classes: 50 });
        ${drop}
        return promise.catch(({ code }) => { if (code !== 'ERR_INVALID_ARG_TYPE') throw code; });
      };
      const round = () => Promise.all(Array.from({ length: 1000 }, call));
      (async () => {
        const sizes = [];
        for (let i = 0; i < 14; i++) { await round(); gc(); sizes.push(process.memoryUsage().rss); }
        print((sizes[13] - sizes[5]) / 1e6);
      })();
    `;
    const { output } = runChild(
      `require('node:v8').setFlagsFromString('--expose-gc'); globalThis.gc = require('node:vm').runInNewContext('gc');${program}`,
    );
    expect(output).toBeLessThan(drop ? 50 : 20); // of 100 that those dropped take
  });
});

describe('the module', () => {
  it('has what smoothloss has, by import and by require', () => {
    const program = `
      import { createRequire } from 'node:module';
      import * as imported from 'smoothloss/promises';
      import * as now from 'smoothloss';
      const required = createRequire(process.cwd() + '/x.js')('smoothloss/promises');
      const keys = Object.keys(required).sort();
      print({ keys, now: Object.keys(now).filter((key) => key !== 'default' && key !== '__esModule').sort(), same: keys.every((key) => imported[key] === required[key]), backend: now.backend === required.backend });
    `;
    const { output } = runChild(program, {}, 'module');
    const { keys, now, same } = output as { keys: string[]; now: string[]; same: boolean };
    expect(now.filter((key) => key !== 'module.exports')).toEqual(keys);
    expect(same).toBe(true);
  });
});
