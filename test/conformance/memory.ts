// Arrays of every kind that JavaScript has, callers who lie about theirs, and the addon without its argument checks: the
// answer is right or the call is refused, on every backend alike, and no byte is touched that is not the call's own.

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { CrossEntropyOptions, Functions, IndexArray } from 'smoothloss';
import { detach, growable, otherRealm, resizable, wasmPage } from '../support/memory.js';
import { requireFromRoot, root } from '../support/root.js';
import { backends, onEveryBackend } from './backends.js';
import { resultBytes, sameBytes } from './pinned.js';
import { Random } from './random.js';
import { type Case, errorOf, fail, same, sameElements, type Table } from './table.js';

const ROWS = 5;
const CLASSES = 37;

interface Call {
  logits: Float32Array;
  targets: IndexArray;
  options: CrossEntropyOptions;
}

type Kind = 'Float32Array' | 'Int32Array' | 'Uint8Array';
type Array_ = Float32Array | Int32Array | Uint8Array;
const CONSTRUCTORS = { Float32Array, Int32Array, Uint8Array };

/** A call with an array in every place that takes one, made by `make` from its type and elements. */
function callWith(make: (kind: Kind, values: readonly number[], name: string) => Array_): Call {
  const random = new Random(1);
  const values = (length: number) => Array.from({ length }, () => Math.fround(random.uniform()));
  const floats = (length: number, name: string) => make('Float32Array', values(length), name) as Float32Array;
  return {
    logits: floats(ROWS * CLASSES, 'logits'),
    targets: make('Int32Array', [3, 36, 0, 7, -100], 'targets') as Int32Array,
    options: {
      classes: CLASSES,
      weight: floats(CLASSES, 'weight'),
      rowWeight: floats(ROWS, 'rowWeight'),
      mask: make('Uint8Array', [1, 2, 0, 1, 1], 'mask') as Uint8Array,
      labelSmoothing: {
        epsilon: floats(ROWS, 'epsilon'),
        prior: floats(CLASSES, 'prior'),
        exclude: [1, 2],
        over: 'others',
      },
      reduction: 'none',
      gradientScale: floats(ROWS, 'gradientScale'),
      gradient: make('Float32Array', new Array(ROWS * CLASSES).fill(0), 'gradient') as Float32Array,
    },
  };
}

const plain = (kind: Kind, values: readonly number[]): Array_ => CONSTRUCTORS[kind].from(values);
const expected = new Map(backends.map((functions) => [functions, resultBytes(functions, callWith(plain))]));

function expectPlain(functions: Functions, call: Call, what: string): void {
  sameBytes(resultBytes(functions, call), expected.get(functions) ?? [], what);
}

/** A typed array of that kind on memory of any kind. */
function view(kind: Kind, memory: ArrayBufferLike, byteOffset = 0, length?: number): Array_ {
  return new CONSTRUCTORS[kind](memory as ArrayBuffer, byteOffset, length);
}

function filled<A extends Array_>(array: A, values: readonly number[]): A {
  array.set(values);
  return array;
}

class MyFloats extends Float32Array {}
class MyInts extends Int32Array {}
class MyBytes extends Uint8Array {}

function kindsOfMemory(): Case[] {
  const kinds: Record<string, (kind: Kind, values: readonly number[]) => Array_> = {
    'shared memory': (kind, values) =>
      filled(view(kind, new SharedArrayBuffer(values.length * 4), 0, values.length), values),
    'shared memory at an offset': (kind, values) =>
      filled(view(kind, new SharedArrayBuffer(values.length * 4 + 12), 12, values.length), values),
    'resizable memory': (kind, values) =>
      filled(view(kind, resizable(values.length * 4 + 8), 8, values.length), values),
    'resizable memory, its length tracked': (kind, values) => {
      const buffer = resizable(4, 4096);
      const array = view(kind, buffer, 4 - (4 % CONSTRUCTORS[kind].BYTES_PER_ELEMENT));
      buffer.resize(4 + values.length * CONSTRUCTORS[kind].BYTES_PER_ELEMENT);
      return filled(array, values);
    },
    'growable shared memory, grown': (kind, values) => {
      const buffer = growable(values.length * 4);
      const array = view(kind, buffer, 0, values.length);
      buffer.grow(values.length * 8);
      return filled(array, values);
    },
    'memory of WebAssembly': (kind, values) => filled(view(kind, wasmPage(), 64, values.length), values),
    'one buffer for all': (() => {
      const buffer = new ArrayBuffer(1 << 16);
      let at = 0;
      return (kind: Kind, values: readonly number[]) => {
        if (at > 1 << 15) at = 0;
        const array = view(kind, buffer, at, values.length);
        at += Math.ceil(array.byteLength / 4) * 4; // right next to each other
        return filled(array, values);
      };
    })(),
    'another realm': (kind, values) => otherRealm(`${kind}.from(${JSON.stringify(values)})`) as Array_,
    subclasses: (kind, values) =>
      ({ Float32Array: MyFloats, Int32Array: MyInts, Uint8Array: MyBytes })[kind].from(values),
    'a Buffer for bytes': (kind, values) =>
      kind === 'Uint8Array' ? Buffer.from(values) : plain(kind, values),
  };
  const cases = Object.entries(kinds).flatMap(([name, make]) =>
    onEveryBackend(`arrays of ${name}`, (functions) => expectPlain(functions, callWith(make), name)),
  );
  cases.push(
    ...onEveryBackend('options and lists of another realm, or without a prototype', (functions) => {
      const call = callWith(plain);
      const foreign = otherRealm('({ exclude: [1, 2], ignoreIndex: [-100], o: {} })') as {
        exclude: number[];
        ignoreIndex: number[];
        o: object;
      };
      const labelSmoothing = Object.assign(Object.create(null), call.options.labelSmoothing);
      labelSmoothing.exclude = foreign.exclude;
      const options = Object.assign(foreign.o, call.options, {
        labelSmoothing,
        ignoreIndex: foreign.ignoreIndex,
      });
      expectPlain(functions, { ...call, options }, 'options of another realm');
    }),
    ...onEveryBackend('options that a class or a prototype has', (functions) => {
      const call = callWith(plain);
      const { classes, labelSmoothing, ...own } = call.options;
      class Options {
        labelSmoothing = labelSmoothing;
        get classes() {
          return classes;
        }
      }
      const options = Object.assign(Object.create(new Options()), own);
      expectPlain(functions, { ...call, options }, 'inherited options');
    }),
    ...onEveryBackend('a gradient right before or after any other array', (functions) => {
      for (const place of PLACES.slice(0, -1)) {
        for (const before of [true, false]) {
          const buffer = new ArrayBuffer(4096);
          const call = callWith((kind, values, name) => {
            const gradientBytes = 4 * ROWS * CLASSES;
            if (name === 'gradient')
              return view(kind, buffer, before ? 1024 - gradientBytes : 1024, values.length);
            if (name !== place) return plain(kind, values);
            const length = values.length * CONSTRUCTORS[kind].BYTES_PER_ELEMENT;
            const start = before ? 1024 : 1024 - length;
            return filled(view(kind, buffer, start, values.length), values);
          });
          expectPlain(functions, call, `${place} ${before ? 'after' : 'before'} the gradient`);
        }
      }
    }),
    ...onEveryBackend('BigInt targets in memory of every kind', (functions) => {
      const call = callWith(plain);
      const bigs = Array.from(call.targets as Int32Array, BigInt);
      const tracking = resizable(8, 4096);
      const targets = [
        new BigInt64Array(new SharedArrayBuffer(80), 16, ROWS),
        new BigInt64Array(resizable(80), 8, ROWS),
        new BigInt64Array(tracking),
        otherRealm('new BigInt64Array(5)') as BigInt64Array<ArrayBuffer>,
      ];
      tracking.resize(8 * ROWS);
      for (const array of targets) {
        array.set(bigs);
        expectPlain(functions, { ...call, targets: array }, 'BigInt targets');
      }
    }),
    ...onEveryBackend('no rows at all', ({ crossEntropy }) => {
      for (const gradient of [true, new Float32Array(0)] as const) {
        for (const rowStride of [3, 5]) {
          const options = { classes: 3, gradient, reduction: 'none', rowStride } as const;
          const result = crossEntropy(new Float32Array(0), new Uint8Array(0), options);
          same(result.gradient.length, 0, 'the length of the gradient');
          same(result.losses.length, 0, 'the length of losses');
        }
      }
    }),
  );
  return cases;
}

const PLACES = [
  'logits',
  'targets',
  'weight',
  'rowWeight',
  'mask',
  'epsilon',
  'prior',
  'gradientScale',
  'gradient',
];

/** The call is refused with one of the documented codes and nothing written, or its result is the plain one. */
function rightOrRefused(functions: Functions, call: Call, what: string): string {
  const { gradient } = call.options;
  let code = 'none';
  try {
    functions.crossEntropy(call.logits, call.targets, call.options);
  } catch (error) {
    code = String((error as { code?: unknown }).code);
    if (!['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_LENGTH_MISMATCH', 'ERR_OVERLAP'].includes(code)) {
      fail(`${what}: ${error}`);
    }
  }
  const held = Reflect.get(Object.getPrototypeOf(Float32Array.prototype), 'values').call(gradient);
  const now = Float32Array.from(held as Iterable<number>);
  const right = expected.get(functions)?.at(-1) ?? fail('no plain result');
  if (code !== 'none' && now.some((x) => !Object.is(x, 0)))
    fail(`${what}: refused, but the gradient was written`);
  if (code === 'none') sameBytes([['gradient', now]], [right], `${what}: accepted`);
  return code;
}

/** Own properties that shadow those of a typed array: what they say is not so. */
function lies(): Case[] {
  const shadowed: [string, (array: Array_) => unknown][] = [
    ['length', (array) => array.length + 1],
    ['length', (array) => array.length - 1],
    ['length', () => 0],
    ['length', () => 2 ** 40],
    ['length', () => NaN],
    ['byteLength', () => 0],
    ['byteLength', () => 2 ** 40],
    ['byteOffset', () => 4],
    ['byteOffset', () => -1],
    ['buffer', () => new ArrayBuffer(8)],
    ['buffer', () => null],
    ['constructor', () => null],
    ['constructor', () => ({ [Symbol.species]: Uint8Array, name: 'x' })],
    ['slice', () => () => new Float32Array(1)],
    ['subarray', () => () => new Float32Array(1)],
    ['fill', () => () => undefined],
    ['set', () => () => undefined],
    ['then', () => () => undefined],
  ];
  const noPrototype = PLACES.map(
    (place): Case => ({
      name: `${place} without a prototype`,
      run: () => {
        for (const functions of backends) {
          const call = callWith((kind, values, name) => {
            const array = plain(kind, values);
            return name === place ? Object.setPrototypeOf(array, null) : array;
          });
          rightOrRefused(functions, call, functions.backend.name);
        }
      },
    }),
  );
  const shadows = PLACES.flatMap((place) =>
    shadowed.map(
      ([property, lie], i): Case => ({
        name: `${place} with a ${property} of its own (${i})`,
        run: () => {
          const outcomes = backends.map((functions) => {
            const call = callWith((kind, values, name) => {
              const array = plain(kind, values);
              if (name === place) Object.defineProperty(array, property, { value: lie(array) });
              return array;
            });
            return rightOrRefused(functions, call, functions.backend.name);
          });
          same(new Set(outcomes).size, 1, `the number of different outcomes (${outcomes})`);
        },
      }),
    ),
  );
  return [...noPrototype, ...shadows];
}

/** Subclasses whose getters and methods take the memory of the logits away, at the first or a later use. */
function traps(): Case[] {
  const properties = [
    'length',
    'byteLength',
    'byteOffset',
    'buffer',
    'constructor',
    'slice',
    'fill',
    'subarray',
  ];
  return PLACES.flatMap((place) =>
    properties.flatMap((property) =>
      [0, 1, 2].map(
        (patience): Case => ({
          name: `${place} whose ${property}, at use ${patience}, detaches the logits`,
          run: () => {
            for (const functions of backends) {
              let uses = 0;
              const call: Call = callWith((kind, values, name) => {
                const array = plain(kind, values);
                if (name === place) {
                  Object.defineProperty(array, property, {
                    get() {
                      if (uses++ === patience) detach(call.logits.buffer);
                      return Reflect.get(Object.getPrototypeOf(array), property, array);
                    },
                  });
                }
                return array;
              });
              rightOrRefused(functions, call, functions.backend.name);
            }
          },
        }),
      ),
    ),
  );
}

/** Options are read before the arrays are looked at, so code among them finds nothing half done. */
function getters(): Case[] {
  const names = [
    'classes',
    'labelSmoothing',
    'weight',
    'rowWeight',
    'ignoreIndex',
    'mask',
    'reduction',
    'normalizer',
    'whenEmpty',
    'gradient',
    'gradientScale',
    'rowStride',
  ];
  const inner = ['epsilon', 'over', 'exclude', 'prior'];
  const trapped = (call: Call, name: string, act: () => void): Call => {
    const { labelSmoothing, ...rest } = call.options;
    const options = { ...rest, labelSmoothing: { ...(labelSmoothing as object) } };
    const object = inner.includes(name) ? options.labelSmoothing : options;
    const value = Reflect.get(object, name);
    Object.defineProperty(object, name, {
      enumerable: true,
      get() {
        act();
        return value;
      },
    });
    return { ...call, options: options as CrossEntropyOptions };
  };
  const cases: Case[] = [];
  for (const name of [...names, ...inner]) {
    for (const victim of ['logits', 'targets', 'gradient', 'weight', 'prior'] as const) {
      cases.push(
        ...onEveryBackend(`a getter of ${name} that detaches ${victim}`, (functions) => {
          const arrays: Record<string, Array_> = {};
          const call = callWith((kind, values, place) => {
            arrays[place] = plain(kind, values);
            return arrays[place];
          });
          const hostile = trapped(call, name, () => detach(arrays[victim].buffer));
          const error = errorOf(() =>
            functions.crossEntropy(hostile.logits, hostile.targets, hostile.options),
          );
          same(error.code, 'ERR_INVALID_ARG_TYPE', `the code of ${error}`);
          if (!error.message.endsWith('whose buffer is detached: must be attached')) fail(error.message);
          if (victim !== 'gradient')
            sameElements(arrays.gradient, new Float32Array(ROWS * CLASSES), 'gradient');
        }),
      );
    }
    cases.push(
      ...onEveryBackend(`a getter of ${name} that throws`, (functions) => {
        const mine = new Error('mine');
        const call = trapped(callWith(plain), name, () => {
          throw mine;
        });
        same(
          errorOf(() => functions.crossEntropy(call.logits, call.targets, call.options)),
          mine,
          'the error',
        );
      }),
      ...onEveryBackend(`a getter of ${name} that calls the function, and is called once`, (functions) => {
        let uses = 0;
        const call = trapped(callWith(plain), name, () => {
          uses++;
          const other = new Float32Array(9000);
          functions.crossEntropy(other, new Int32Array(3000).fill(2), { classes: 3, gradient: other });
        });
        expectPlain(functions, call, name);
        same(uses, 1, 'how often it was called');
      }),
    );
  }
  cases.push(
    ...onEveryBackend('lists whose iterators detach the logits', (functions) => {
      for (const list of ['ignoreIndex', 'exclude']) {
        const call = callWith(plain);
        const array = [1, 2];
        Object.defineProperty(array, Symbol.iterator, {
          value: function* () {
            detach(call.logits.buffer);
            yield 1;
            yield 2;
          },
        });
        if (list === 'ignoreIndex') call.options.ignoreIndex = array;
        else
          call.options.labelSmoothing = {
            ...(call.options.labelSmoothing as { epsilon: number }),
            exclude: array,
          };
        const error = errorOf(() => functions.crossEntropy(call.logits, call.targets, call.options));
        same(error.code, 'ERR_INVALID_ARG_TYPE', `the code of ${error}`);
      }
    }),
    ...onEveryBackend(
      'a DataView on a detached buffer is refused like any other DataView',
      ({ crossEntropy }) => {
        const view = new DataView(new ArrayBuffer(48));
        detach(view.buffer);
        const error = errorOf(() =>
          crossEntropy(view as unknown as Float32Array, Int32Array.of(0), { classes: 12 }),
        );
        same(error.code, 'ERR_INVALID_ARG_TYPE', `the code of ${error}`);
      },
    ),
  );
  return cases;
}

interface RawAddon {
  backends: string[];
  crossEntropy(...all: unknown[]): unknown;
}

/** The addon, loaded once more from a copy. */
function loadAddon(): RawAddon | undefined {
  const { path: find } = requireFromRoot('node-gyp-build') as { path(directory: string): string };
  let file: string;
  try {
    file = find(root);
  } catch {
    return undefined;
  }
  const directory = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-'));
  try {
    copyFileSync(file, path.join(directory, 'copy.node'));
    return requireFromRoot(path.join(directory, 'copy.node')) as RawAddon;
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

// The slots of the arena, as in native/addon.cc.
const SLOT = { backend: 0, arrays: 1, rows: 2, classes: 3, rowStride: 4, epsilon: 5, gradientScale: 6 };
const LENGTHS = [12, 12, 3, 4, 4, 4, 3, 3, 3]; // of the nine arrays, for 3 rows of 4 classes
const MARGIN = 16;

function raw(): Case[] {
  const addon = backends.some(({ backend }) => backend.name !== 'js') ? loadAddon() : undefined;
  if (addon === undefined) return [];
  const refused = (call: () => unknown, what: string) => {
    const error = errorOf(call);
    same(error.code, 'ERR_INTERNAL_ASSERTION', `the code of ${error} (${what})`);
  };

  const arena = () => {
    const buffer = new ArrayBuffer(128 + 3 * 4);
    const slots = new Float64Array(buffer, 0, 16);
    slots.set([0, 0x3fe, 3, 4, 4, 0.1, 1, 0, 4, 3, -1, 4, 3, -1]);
    new Int32Array(buffer, 128).set([0, 3, 2]);
    return { buffer, slots, targets: new Int32Array(buffer, 128) };
  };
  // Each array in the middle of a larger one, whose margins must stay as they are.
  const arrays = () =>
    LENGTHS.map((length) => {
      const around = new Float32Array(length + 2 * MARGIN).fill(7);
      return around.subarray(MARGIN, MARGIN + length).fill(1);
    });
  const marginsStay = (all: unknown[], what: string) => {
    for (const array of all) {
      if (!isMarginal(array)) continue;
      const around = new Float32Array(array.buffer);
      const inner = around.length - MARGIN;
      if (around.some((x, i) => (i < MARGIN || i >= inner) && x !== 7))
        fail(`${what}: written outside of an array`);
    }
  };

  const isMarginal = (array: unknown): array is Float32Array =>
    ArrayBuffer.isView(array) && array instanceof Float32Array && array.byteOffset === 4 * MARGIN;

  const garbage = (): unknown[] => [
    undefined,
    null,
    0,
    NaN,
    'x',
    {},
    [],
    Symbol('x'),
    () => 0,
    1n,
    new ArrayBuffer(400),
    new SharedArrayBuffer(400),
    new DataView(new ArrayBuffer(400)),
    new Float64Array(100),
    new Int32Array(100),
    new Uint8Array(400),
    new BigInt64Array(100),
    new Float32Array(0),
    new Float32Array(2),
    new Proxy(new Float32Array(100), {}),
    Object.create(Float32Array.prototype),
    (() => {
      const array = new Float32Array(100);
      detach(array.buffer);
      return array;
    })(),
    (() => {
      const buffer = resizable(400);
      const array = new Float32Array(buffer, 0, 100);
      buffer.resize(4);
      return array;
    })(),
    Object.defineProperty(new Float32Array(2), 'length', { value: 100 }),
  ];

  return [
    {
      name: 'an arena that is none',
      run: () => {
        refused(() => addon.crossEntropy(), 'no arguments');
        const shrunk = resizable(400);
        shrunk.resize(64);
        const small = [new ArrayBuffer(0), new ArrayBuffer(127), shrunk];
        const gone = new ArrayBuffer(400);
        detach(gone);
        for (const value of [...garbage(), ...small, gone]) {
          if (value instanceof ArrayBuffer && value.byteLength >= 128) continue;
          refused(() => addon.crossEntropy(value, ...arrays()), Object.prototype.toString.call(value));
        }
      },
    },
    {
      name: 'a good call, on every native backend, with and without new',
      run: () => {
        for (let backend = 0; backend < addon.backends.length; backend++) {
          const { buffer, slots } = arena();
          slots[SLOT.backend] = backend;
          const all = arrays();
          same(addon.crossEntropy(buffer, ...all), undefined, 'what it returns');
          if (!(slots[14] > 0)) fail(`the numerator is ${slots[14]}`);
          marginsStay(all, 'a good call');
          same(
            typeof Reflect.construct(addon.crossEntropy, [buffer, ...arrays()]),
            'object',
            'what new makes',
          );
        }
      },
    },
    {
      name: 'too few arguments',
      run: () => {
        const { buffer } = arena();
        for (let n = 0; n < LENGTHS.length; n++) {
          refused(() => addon.crossEntropy(buffer, ...arrays().slice(0, n)), `${n} arrays`);
        }
      },
    },
    {
      name: 'garbage for an array',
      run: () => {
        const { buffer } = arena();
        for (let place = 0; place < LENGTHS.length; place++) {
          for (const value of garbage()) {
            const all: unknown[] = arrays();
            all[place] = value;
            refused(
              () => addon.crossEntropy(buffer, ...all),
              `place ${place}, ${Object.prototype.toString.call(value)}`,
            );
            marginsStay(all, 'garbage');
          }
          const short: unknown[] = arrays();
          short[place] = new Float32Array(LENGTHS[place] - 1);
          refused(() => addon.crossEntropy(buffer, ...short), `place ${place}, an element too few`);
        }
      },
    },
    {
      name: 'garbage for a number',
      run: () => {
        const wrong = {
          backend: [-1, 0.5, addon.backends.length, NaN, Infinity, 2 ** 53, 1e300],
          rows: [4, -1, 2.5, NaN, Infinity, 2 ** 32 + 3, 2 ** 53 - 1, 2 ** 62, 2 ** 63, 2 ** 64, 1e300],
          classes: [
            0,
            5,
            -1,
            2.5,
            NaN,
            Infinity,
            2 ** 31,
            2 ** 32 + 4,
            2 ** 53 - 1,
            2 ** 62 + 4,
            2 ** 64 + 4,
          ],
          rowStride: [
            3,
            0,
            5,
            -1,
            4.5,
            NaN,
            Infinity,
            2 ** 31,
            2 ** 32 + 4,
            2 ** 53 - 1,
            2 ** 62 + 4,
            2 ** 64,
          ],
        };
        for (const [name, values] of Object.entries(wrong)) {
          for (const value of values) {
            const { buffer, slots } = arena();
            slots[SLOT[name as keyof typeof wrong]] = value;
            const all = arrays();
            refused(() => addon.crossEntropy(buffer, ...all), `${name} ${value}`);
            marginsStay(all, `${name} ${value}`);
          }
        }
      },
    },
    {
      name: 'targets out of range take no part',
      run: () => {
        const { buffer, targets } = arena();
        targets.set([4, -1, -(2 ** 31)]);
        const all = arrays();
        addon.crossEntropy(buffer, ...all);
        sameElements(all[1], new Float32Array(12), 'the gradient');
        marginsStay(all, 'targets out of range');
      },
    },
    {
      name: 'arguments that share memory, with each other and with the arena',
      run: () => {
        const { buffer } = arena();
        const all = arrays();
        const overlapping = new Float32Array(40).fill(1);
        addon.crossEntropy(
          buffer,
          overlapping,
          overlapping.subarray(5),
          overlapping.subarray(1),
          ...all.slice(3),
        );
        const big = new ArrayBuffer(4096);
        new Uint8Array(big).set(new Uint8Array(buffer));
        addon.crossEntropy(
          big,
          new Float32Array(big, 0, 12),
          new Float32Array(big, 100, 12),
          new Float32Array(big, 128, 3),
          ...all.slice(3),
        );
      },
    },
    {
      name: 'random garbage',
      run: () => {
        const random = new Random(5);
        const numbers = [
          0,
          1,
          2,
          3,
          4,
          5,
          -1,
          0.5,
          NaN,
          Infinity,
          2 ** 31,
          2 ** 32,
          2 ** 53,
          1e300,
          -1e300,
          2 ** -1074,
        ];
        let returned = 0;
        for (let n = 0; n < 3000; n++) {
          const { buffer, slots, targets } = arena();
          slots[SLOT.arrays] = random.below(1024);
          const all: unknown[] = arrays();
          for (let change = random.below(4); change > 0; change--) {
            if (random.once(2)) slots[random.below(14)] = random.pick(...numbers);
            else if (random.once(3)) all[random.below(9)] = random.pick(...garbage());
            else targets[random.below(3)] = random.pick(0, 1, 4, -1, 2 ** 31 - 1, -(2 ** 31));
          }
          try {
            addon.crossEntropy(buffer, ...all);
            returned++;
          } catch (error) {
            same((error as { code: unknown }).code, 'ERR_INTERNAL_ASSERTION', `the code of ${error}`);
          }
          marginsStay(all, `call ${n}`);
        }
        if (returned < 300) fail(`only ${returned} of the calls got through: the garbage is too plain`);
      },
    },
  ];
}

export const tables: Table[] = [
  { name: 'memory of every kind', cases: kindsOfMemory() },
  { name: 'arrays that lie', cases: lies() },
  { name: 'arrays that detach others', cases: traps() },
  { name: 'options with getters', cases: getters() },
  { name: 'the addon without argument checks', cases: raw() },
];
