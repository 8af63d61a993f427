// Hostile values, and the places of a call where they can stand. Every one of both becomes a call.

import { detach, otherRealm } from '../../support/memory.js';
import { argumentsOf, type Call, type FunctionName, writableOf } from './refusal.js';

/** What a hostile getter or trap throws: an exception of the caller's own. */
export class Thrown extends Error {}

const fail = () => {
  throw new Thrown('thrown by a getter or a trap');
};

/** A proxy of which every trap is called. */
function trapped(target: object, trap: () => unknown): unknown {
  const names = Object.getOwnPropertyNames(Reflect) as (keyof typeof Reflect)[];
  return new Proxy(target, Object.fromEntries(names.map((name) => [name, trap])));
}

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** Works until it was looked into so many times, and is revoked then. */
function fading(target: object, looks: number): unknown {
  let left = looks;
  const names = Object.getOwnPropertyNames(Reflect) as 'get'[];
  const trap = (name: 'get') => {
    return (...all: Parameters<typeof Reflect.get>) => {
      if (left-- === 0) revoke();
      return Reflect[name](...all);
    };
  };
  const { proxy, revoke } = Proxy.revocable(
    target,
    Object.fromEntries(names.map((name) => [name, trap(name)])),
  );
  return proxy;
}

/** A list that says that it is that long. */
const longList = (length: unknown, item: unknown) =>
  new Proxy([], { get: (_, key) => (key === 'length' ? length : item) });

const conversions = {
  toString: fail,
  valueOf: fail,
  toJSON: fail,
  [Symbol.toPrimitive]: fail,
};

class Options {
  #classes = 4;
  get classes() {
    return this.#classes;
  }
}
class TaggedArray extends Float32Array {
  override get [Symbol.toStringTag]() {
    return 'Int32Array' as 'Float32Array';
  }
  override get length(): number {
    return fail();
  }
  override *[Symbol.iterator](): ArrayIterator<number> {
    yield fail();
  }
}

const detached = () => {
  const array = new Float32Array(12);
  detach(array.buffer);
  return array;
};

const cyclic = (): unknown => {
  const list: unknown[] = [];
  list.push(list, list);
  return list;
};

// What is long to make is made once.
const LONG = 'x'.repeat(2 ** 20);
LONG.charCodeAt(1); // a rope until it is looked into
const LONG_SYMBOL = Symbol(LONG);
const HUGE = 1n << 4_000_000n;
const REALM = {
  list: otherRealm('[1, 2, 3]'),
  object: otherRealm('({ classes: 4 })'),
  array: otherRealm('new Float32Array(12)'),
  revoked: otherRealm('{ const r = Proxy.revocable({}, {}); r.revoke(); r.proxy }'),
};

/** Values that a function may be given; each made anew for each call. */
export const HOSTILE: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  NaN: () => NaN,
  '-0': () => -0,
  Infinity: () => Infinity,
  '2^53': () => 2 ** 53,
  'the smallest number': () => 5e-324,
  'a string': () => 'x',
  'no string': () => '',
  'half a surrogate': () => '\ud800',
  'a long string': () => LONG,
  'a symbol': () => Symbol('s'),
  'a symbol without a name': () => Symbol(),
  'a symbol with a long name': () => LONG_SYMBOL,
  'a symbol that is known': () => Symbol.iterator,
  'a BigInt': () => 4n,
  'a huge BigInt': () => HUGE,
  'a function': () => () => 4,
  'a class': () => Options,
  'an async function': () => async () => 4,
  'a revoked proxy': () => revoked({}),
  'a revoked proxy of an array': () => revoked([]),
  'a revoked proxy of a function': () => revoked(() => 4),
  'a revoked proxy of a typed array': () => revoked(new Float32Array(12)),
  'a proxy of a revoked proxy': () => new Proxy(revoked({}) as object, {}),
  'a proxy of a revoked array': () => new Proxy(revoked([]) as object, {}),
  'an heir of a revoked proxy': () => Object.create(revoked({}) as object),
  'a proxy whose handler is revoked': () => new Proxy({}, revoked({}) as object),
  'an array whose handler is revoked': () => new Proxy([], revoked({}) as object),
  ...Object.fromEntries(
    [0, 1, 2, 3, 5, 8].map((looks) => [
      `options that are revoked after ${looks} looks`,
      () => fading({ classes: 4, epsilon: 0.1, a: [], aborted: false }, looks),
    ]),
  ),
  ...Object.fromEntries(
    [0, 1, 2, 3].map((looks) => [
      `a list that is revoked after ${looks} looks`,
      () => fading([1, 2, 3], looks),
    ]),
  ),
  'a proxy whose traps throw': () => trapped({}, fail),
  'an array whose traps throw': () => trapped([1, 2], fail),
  'a proxy whose traps return a symbol': () => trapped({}, () => Symbol('s')),
  'an array whose traps return a symbol': () => trapped([1], () => Symbol('s')),
  'a proxy whose traps return nothing': () => trapped({ classes: 4 }, () => undefined),
  'an array whose traps return NaN': () => trapped([1], () => NaN),
  'a proxy whose traps are none': () =>
    new Proxy({}, { get: 5, ownKeys: 5, has: 5 } as unknown as ProxyHandler<object>),
  'a proxy with one key twice': () => new Proxy({}, { ownKeys: () => ['classes', 'classes'] }),
  'a proxy that claims keys': () => new Proxy({}, { ownKeys: () => ['classes', 'weight'] }),
  'a proxy of a frozen object that lies': () => new Proxy(Object.freeze({ classes: 4 }), { get: () => 5 }),
  'a list of any length': () => longList(2 ** 53 - 1, 1),
  'a list of strings of any length': () => longList(2 ** 53 - 1, 'loss'),
  'a list of length -1': () => longList(-1, 1),
  'a list of length NaN': () => longList(NaN, 1),
  'a list whose length is a symbol': () => longList(Symbol('length'), 1),
  'a list whose length is a BigInt': () => longList(3n, 1),
  'a list whose length is an object': () => longList(conversions, 1),
  'a list of symbols': () => [Symbol('a'), Symbol('b')],
  'a list of hostile objects': () => [conversions, conversions],
  'a list of revoked proxies': () => [revoked({}), revoked([])],
  'a list of lists of revoked proxies': () => [[revoked({})], [revoked([])]],
  'a list in itself': cyclic,
  'a list with a getter': () => Object.defineProperty([1, 2], 0, { get: fail }),
  'a list without an iterator': () => Object.assign([1, 2], { [Symbol.iterator]: 5 }),
  'a list of holes': () => new Array(3),
  'a long list of holes': () => new Array(2 ** 32 - 1),
  'nested lists': () => [[[[[[[[[[1]]]]]]]]]],
  "another realm's list": () => REALM.list,
  "another realm's object": () => REALM.object,
  "another realm's typed array": () => REALM.array,
  "another realm's revoked proxy": () => REALM.revoked,
  'an object': () => ({}),
  'an object without a prototype': () => Object.create(null),
  'an object that throws when it is converted': () => conversions,
  'a class instance': () => new Options(),
  'an heir of a class that is none of it': () => Object.create(Options.prototype),
  'an heir of AbortSignal that is none': () => Object.create(AbortSignal.prototype),
  'an heir of Float32Array that is none': () => Object.create(Float32Array.prototype),
  'a typed array that lies': () => new TaggedArray(12),
  'an object with throwing getters': () => {
    const names = [
      'classes',
      'epsilon',
      'a',
      'aborted',
      'data',
      'dataSync',
      'getData',
      'dtype',
      'length',
      'signal',
    ];
    const get = { get: fail, enumerable: true };
    return Object.defineProperties({}, Object.fromEntries(names.map((name) => [name, get])));
  },
  'a tensor without data': () => ({ data: revoked([]), dims: [3, 4] }),
  'a tensor whose dataSync is none': () => ({ dataSync: revoked({}), dtype: conversions }),
  'a DataView': () => new DataView(new ArrayBuffer(48)),
  'a DataView of nothing': () => new DataView(new ArrayBuffer(0)),
  'an ArrayBuffer': () => new ArrayBuffer(48),
  'a SharedArrayBuffer': () => new SharedArrayBuffer(48),
  'a detached array': detached,
  'an empty array': () => new Float32Array(0),
  'a Float32Array': () => new Float32Array(12).fill(NaN),
  'a Float64Array': () => new Float64Array(12).fill(-1),
  'a Uint8Array': () => new Uint8Array(12).fill(255),
  'a Uint8ClampedArray': () => new Uint8ClampedArray(12),
  'a BigInt64Array': () => BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 0n),
  'a BigUint64Array': () => BigUint64Array.of(2n ** 64n - 1n, 0n, 1n),
  'a Set': () => new Set([1, 'loss']),
  'a Map': () => new Map([['classes', 4]]),
  'a Date': () => new Date(NaN),
  'a RegExp': () => /x/g,
  'a Promise': () => Promise.resolve(4),
  'a thenable': () => Object.fromEntries([['then', fail]]),
  'a Number object': () => Object(4),
  'a String object': () => Object('mean'),
  'an Error': () => new Error('given'),
  'a generator': () =>
    (function* () {
      yield 1;
    })(),
  globalThis: () => globalThis,
  Reflect: () => Reflect,
  'a WeakRef': () => new WeakRef({}),
};

type Place = (options: Record<string, unknown>, value: unknown) => Record<string, unknown>;

const OPTIONS =
  'classes dtype labelSmoothing weight posWeight rowWeight ignoreIndex mask form logTarget logitScale softcap zLoss reduction normalizer whenEmpty gradient gradientScale rowStride inner metrics perRow threads linearBias accumulate signal'.split(
    ' ',
  );

/** Within the options. */
export const PLACES: Record<string, Place> = {
  ...Object.fromEntries(
    OPTIONS.map((name): [string, Place] => [name, (options, value) => ({ ...options, [name]: value })]),
  ),
  ...Object.fromEntries(
    ['epsilon', 'over', 'exclude', 'prior', 'toward'].map((name): [string, Place] => [
      `labelSmoothing.${name}`,
      (options, value) => ({ ...options, labelSmoothing: { epsilon: 0.1, [name]: value } }),
    ]),
  ),
  'labelSmoothing.exclude[1]': (options, value) => ({
    ...options,
    labelSmoothing: { epsilon: 0.1, exclude: [1, value] },
  }),
  'ignoreIndex[1]': (options, value) => ({ ...options, ignoreIndex: [1, value] }),
  'perRow[1]': (options, value) => ({ ...options, perRow: ['loss', value] }),
  'gradientScale of each row': (options, value) => ({ ...options, reduction: 'none', gradientScale: value }),
  ...Object.fromEntries(
    ['aborted', 'addEventListener', 'removeEventListener', 'reason'].map((name): [string, Place] => [
      `signal.${name}`,
      (options, value) => ({
        ...options,
        signal: {
          aborted: name === 'reason',
          addEventListener() {},
          removeEventListener() {},
          [name]: value,
        },
      }),
    ]),
  ),
  'an option that there is not': (options, value) => ({ ...options, colour: value }),
};

export interface HostileCall {
  name: string;
  functionName: FunctionName;
  /** The arguments, made anew, and the arrays that the call might write to. */
  make(): { args: unknown[]; writable: ArrayBufferView[] };
}

function good(functionName: FunctionName): Call & { options: Record<string, unknown> } {
  const logits = Float32Array.from({ length: 12 }, (_, i) => Math.sin(i));
  const targets = functionName === 'klDiv' ? new Float32Array(12).fill(0.25) : Int32Array.of(0, 1, 3);
  if (functionName === 'smoothLabels') return { logits, targets, options: { classes: 4 } };
  if (functionName !== 'linearCrossEntropy')
    return { logits, targets, options: { classes: 4, gradient: logits } };
  const linearWeight = Float32Array.from({ length: 16 }, (_, i) => Math.cos(i));
  const gradient = { input: new Float32Array(12), linearWeight: new Float32Array(16), linearBias: true };
  const options = { classes: 4, linearBias: Float32Array.of(1, 2, 3, 4), gradient };
  return { logits, linearWeight, targets, options };
}

/** Every value in every place of a function's calls. */
export function hostileCalls(functionName: FunctionName): HostileCall[] {
  const calls: HostileCall[] = [];
  const add = (place: string, change: (value: unknown, call: ReturnType<typeof good>) => Partial<Call>) => {
    for (const [name, value] of Object.entries(HOSTILE)) {
      const make = () => {
        const call = good(functionName);
        const writable = writableOf(call);
        return { args: argumentsOf(functionName, { ...call, ...change(value(), call) }), writable };
      };
      calls.push({ name: `${place}: ${name}`, functionName, make });
    }
  };
  if (functionName !== 'smoothLabels') add('logits', (logits) => ({ logits }));
  if (functionName === 'linearCrossEntropy') {
    add('linearWeight', (linearWeight) => ({ linearWeight }));
    for (const part of ['input', 'linearWeight', 'linearBias', 'logits']) {
      add(`gradient.${part}`, (value, { options }) => ({
        options: { ...options, gradient: { ...Object(options.gradient), [part]: value } },
      }));
    }
  }
  add('targets', (targets) => ({ targets }));
  add('options', (options) => ({ options }));
  add('everything', (value) => ({ logits: value, linearWeight: value, targets: value, options: value }));
  for (const part of ['a', 'b', 'lambda', 'c']) {
    add(`targets.${part}`, (value, { targets }) => ({
      targets: { a: targets, b: targets, lambda: 0.5, [part]: value },
    }));
  }
  for (const [place, put] of Object.entries(PLACES)) {
    add(place, (value, { options }) => ({ options: put(options, value) }));
  }
  add('the prototype of options', (value, { options }) => {
    const heir = attempt(() => Object.assign(Object.create(value as object) as object, options));
    return { options: heir ?? options };
  });
  return calls;
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
