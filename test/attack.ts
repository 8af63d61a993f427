// Valid, hostile and raw calls from a seed, by turns until the time is over. None may end the process or write what is not
// its own, and valid ones have the same bits on every backend. For sanitizers to watch:
//
//     npm run build:test && node build/test/attack.js [seconds] [seed]

import { setImmediate } from 'node:timers/promises';
import v8 from 'node:v8';
import vm from 'node:vm';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { availableBackends, type BackendName, loadBackend } from 'smoothloss';
import * as promises from 'smoothloss/promises';
import { KINDS } from './conformance/ordinary.js';
import { describe, partsOf, resultBytes, sameBytes } from './conformance/pinned.js';
import { EDGES_OF_CLASSES, Random } from './conformance/random.js';
import { edgeCall, emptyCall, randomCall, randomLayerCall } from './conformance/random-calls.js';
import {
  type Allocate,
  findAddon,
  garbage,
  OPERATIONS,
  type RawAddon,
  RawCall,
  SLOT,
  spoil,
  TYPES,
} from './conformance/raw-call.js';
import { argumentsOf, type Call, labelsOf, type Returned } from './support/calls.js';
import { detach, growable, type ResizableArrayBuffer, resizable } from './support/memory.js';
import { NUMBER_TYPES } from './support/numbers.js';
import { requireFromRoot } from './support/root.js';

const { seconds, seed } = (workerData as { seconds: number; seed: number } | null) ?? {
  seconds: Number(process.argv[2] ?? 30),
  seed: Number(process.argv[3] ?? 1),
};
const random = new Random(seed);
v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;

const file = findAddon();
const addon = file === undefined ? undefined : (requireFromRoot(file) as RawAddon);
const names: readonly BackendName[] = availableBackends();
/** Not those whose loops are JavaScript, which other built-ins may keep going for ever. */
const native = names.filter((name) => name !== 'js');
const counts = {
  valid: 0,
  'valid by promise': 0,
  hostile: 0,
  vanishing: 0,
  raw: 0,
};
const ended = { returned: 0, refused: 0 };

type Any = (...args: unknown[]) => unknown;
const now = (name: BackendName) => loadBackend(name) as unknown as Record<string, Any>;
const later = (name: BackendName) => promises.loadBackend(name) as unknown as Record<string, Any>;

function draw(): Call {
  const kind = random.below(40);
  if (kind === 0) return edgeCall(random.below(2 ** 31));
  if (kind < 6) {
    const classes = random.pick(...EDGES_OF_CLASSES);
    return emptyCall(
      random,
      random.pick(...KINDS),
      random.pick(...NUMBER_TYPES),
      classes,
      random.pick(1, 2, 5),
    );
  }
  if (kind < 12) {
    const rows = random.pick(random.below(4), 1 + random.below(40), 500 + random.below(600));
    const most = rows > 100 ? 20 : 60;
    const shape = [rows, 1 + random.below(most), 1 + random.below(most)] as const;
    return randomLayerCall(random, random.pick(...NUMBER_TYPES), shape);
  }
  return randomCall(random.below(2 ** 31));
}

function survive(call: () => unknown): unknown {
  try {
    const result = call();
    ended.returned++;
    return result;
  } catch (error) {
    if (!(error instanceof Error)) throw new Error(`thrown was ${String(error)}`);
    ended.refused++;
    return undefined;
  }
}

// Promises that are not awaited yet.
const pending = new Set<Promise<void>>();

function settle(promise: unknown, check: (result: Returned) => void = () => {}): void {
  const settled: Promise<void> = Promise.resolve(promise as Promise<Returned>).then(
    (result) => {
      ended.returned++;
      if (result !== undefined) check(result);
    },
    (error) => {
      if (!(error instanceof Error)) throw new Error(`rejected with ${String(error)}`);
      ended.refused++;
    },
  );
  pending.add(settled);
  void settled.finally(() => pending.delete(settled)).catch(() => {});
}

/** The same bits on every backend, at once and by promise. */
function valid(): void {
  const call = draw();
  call.options.gradient = call.name !== 'smoothLabels';
  if (call.name === 'smoothLabels') delete call.options.gradient;
  const elements = call.logits.length;
  const expected = resultBytes(loadBackend(names[0]), call);
  for (const name of names.slice(1)) {
    if (name === 'js' && elements > 20_000) continue;
    sameBytes(resultBytes(loadBackend(name), call), expected, `${name}, ${describe(call)}`);
    counts.valid++;
  }
  const { name = 'crossEntropy' } = call;
  counts['valid by promise']++;
  settle(
    later(random.pick(...names))[name](...argumentsOf(call, { threads: random.pick(1, 2, 3) })),
    (result) => {
      sameBytes(partsOf(name === 'smoothLabels' ? labelsOf(result) : result), expected, describe(call));
    },
  );
}

/** An array of memory that may be another's, shrink or be gone. */
function oddArray(length: number): unknown {
  const Type = random.pick(...Object.values(TYPES));
  const bytes = 8 * length;
  const buffer = random.pick<() => ArrayBufferLike>(
    () => new SharedArrayBuffer(bytes),
    () => resizable(bytes),
    () => growable(bytes),
    () => new ArrayBuffer(bytes),
  )();
  const array = new Type(buffer as ArrayBuffer, 0, length);
  const end = random.below(4);
  if (end === 0 && 'resizable' in buffer && buffer.resizable === true)
    (buffer as unknown as ResizableArrayBuffer).resize(random.below(bytes + 1));
  if (end === 1 && buffer instanceof ArrayBuffer) detach(buffer);
  return array;
}

function oddValue(length: number, run: () => unknown): unknown {
  const { proxy, revoke } = Proxy.revocable(new Float32Array(length), {});
  revoke();
  return random.pick<() => unknown>(
    () =>
      random.pick<unknown>(
        undefined,
        null,
        0,
        -0,
        -1,
        0.5,
        NaN,
        Infinity,
        2 ** 31,
        2 ** 32 + 1,
        2 ** 53,
        1e300,
        1n,
      ),
    () => random.pick<unknown>('', 'mean', 'none', 'float16', Symbol('x'), {}, [], true, () => 0, new Date()),
    () => oddArray(length),
    () => oddArray(random.below(2 * length + 2)),
    () =>
      random.pick(...garbage({ types: [random.pick('Float32Array', 'Int32Array', 'Uint8Array')], length })),
    () => proxy,
    () => new Proxy(new Float32Array(length), {}),
    () => Object.defineProperty(new Float32Array(length), 'length', { get: () => 1e6 }),
    () => ({
      epsilon: oddArray(length),
      prior: oddArray(length),
      get over() {
        return run();
      },
    }),
    () => ({
      a: oddArray(length),
      b: oddArray(length),
      get lambda() {
        return run();
      },
    }),
    () => ({ valueOf: run, toString: run, [Symbol.toPrimitive]: run }),
  )();
}

const OPTIONS = [
  'classes',
  'dtype',
  'labelSmoothing',
  'weight',
  'rowWeight',
  'ignoreIndex',
  'mask',
  'form',
  'reduction',
  'normalizer',
  'whenEmpty',
  'gradient',
  'gradientScale',
  'rowStride',
  'inner',
  'metrics',
  'perRow',
  'threads',
  'logitScale',
  'softcap',
  'zLoss',
  'linearBias',
  'accumulate',
  'posWeight',
  'logTarget',
  'signal',
];

const property = { enumerable: true, configurable: true };

/** A call with some arguments that are not what they must be; getters of the options make calls or take arrays away. */
function hostileArguments(call: Call): unknown[] {
  const args = argumentsOf(call, { gradient: true });
  const options = args[args.length - 1] as Record<string, unknown>;
  const length = random.pick(call.logits.length, options.classes as number, 3);
  let depth = 0;
  const run = () => {
    if (depth++ > 3) return undefined;
    const { buffer } = call.logits;
    if (random.once(3) && buffer instanceof ArrayBuffer && buffer.byteLength > 0) detach(buffer);
    return survive(() => now(random.pick(...native)).crossEntropy(...args));
  };
  for (let change = 1 + random.below(3); change > 0; change--) {
    const small = Math.min(length, 3000);
    const key = random.pick(...OPTIONS);
    const kind = random.below(5);
    if (kind === 0) args[random.below(args.length)] = oddValue(small, run);
    else if (kind === 1) Object.defineProperty(options, key, { ...property, get: run });
    else Object.defineProperty(options, key, { ...property, value: oddValue(small, run) });
  }
  return args;
}

function hostile(): void {
  counts.hostile++;
  const call = draw();
  const args = hostileArguments(call);
  const name = random.once(10)
    ? random.pick('klDiv', 'smoothLabels', 'nllLoss', 'linearCrossEntropy')
    : (call.name ?? 'crossEntropy');
  if (random.once(3)) settle(later(random.pick(...names))[name](...args));
  else survive(() => now(random.pick(...names))[name](...args));
}

const { iterator } = Symbol;
/** What programs may put in the place of built-ins: [object, key, value]. */
const OTHERS: readonly (readonly [object, PropertyKey, PropertyDescriptor])[] = [
  [
    Array.prototype,
    iterator,
    {
      value: function* (this: unknown[]) {
        for (let i = 0; i < this.length; i++) yield this[i];
        for (let i = 0; i < 40; i++) yield this[0];
      },
    },
  ],
  [Array.prototype, iterator, { value: function* () {} }],
  [Array.prototype, 'some', { value: () => false }],
  [Array.prototype, 'some', { value: () => true }],
  [Array.prototype, 'map', { value: () => [] }],
  [Array.prototype, 'forEach', { value: () => {} }],
  [Array.prototype, 'includes', { value: () => true }],
  [Array.prototype, 'push', { value: () => 0 }],
  [ArrayBuffer.prototype, 'resizable', { get: () => false }],
  [ArrayBuffer.prototype, 'byteLength', { get: () => 1e6 }],
  [Object.getPrototypeOf(Int8Array.prototype), 'length', { get: () => 1e6 }],
  [Object.getPrototypeOf(Int8Array.prototype), 'byteLength', { get: () => 0 }],
  [Object.getPrototypeOf(Int8Array.prototype), 'subarray', { value: () => new Float32Array(1) }],
  [Object.getPrototypeOf(Int8Array.prototype), 'set', { value: () => {} }],
  [Object.getPrototypeOf(Int8Array.prototype), 'fill', { value: () => {} }],
  [Math, 'max', { value: () => NaN }],
  [Math, 'floor', { value: () => 2 ** 40 }],
  [Math, 'imul', { value: () => 2 ** 31 }],
  [Number, 'isInteger', { value: () => true }],
  [Number, 'isNaN', { value: () => false }],
  [Object, 'is', { value: () => true }],
  [Map.prototype, 'get', { value: () => undefined }],
  [Reflect, 'get', { value: () => 1e9 }],
];

function withOthers(): void {
  const call = draw();
  const args = random.once(2) ? argumentsOf(call, { gradient: true }) : hostileArguments(call);
  const name = call.name ?? 'crossEntropy';
  const functions = (random.once(2) ? later : now)(random.pick(...native));
  const [object, key, replacement] = random.pick(...OTHERS);
  const before = Object.getOwnPropertyDescriptor(object, key);
  let result: unknown;
  let thrown: unknown;
  if (before !== undefined) Object.defineProperty(object, key, { ...replacement, configurable: true });
  try {
    result = functions[name](...args);
  } catch (error) {
    thrown = error;
  } finally {
    if (before !== undefined) Object.defineProperty(object, key, before);
  }
  if (thrown !== undefined) ended.refused++;
  else if (result instanceof Promise) settle(result);
}

/** Memory of all kinds, such as calls may be given. */
const anyMemory = (): Allocate =>
  random.pick<Allocate>(
    (bytes) => new ArrayBuffer(bytes),
    (bytes) => new SharedArrayBuffer(bytes),
    (bytes) => resizable(bytes),
    (bytes) => growable(bytes),
  );

/** Takes memory away, if it can be taken. */
function take(buffer: ArrayBufferLike): void {
  const kind = random.below(3);
  if ('grow' in buffer && 'growable' in buffer && buffer.growable === true) {
    (buffer as unknown as { grow(bytes: number): void }).grow(buffer.byteLength);
  } else if (kind === 0 && 'resizable' in buffer && buffer.resizable === true) {
    (buffer as unknown as ResizableArrayBuffer).resize(random.pick(0, buffer.byteLength >> 1));
  } else if (kind === 1 && buffer instanceof ArrayBuffer && buffer.byteLength > 0) {
    detach(buffer);
  }
}

/** A batch by promise whose memory goes away meanwhile. */
function vanishing(): void {
  counts.vanishing++;
  const features = random.once(2) ? 0 : 1 + random.below(40); // 0: no layer
  const classes = random.pick(3, 1000, 40_000);
  const rows = random.pick(1, 3, Math.max(1, Math.floor(400_000 / classes / (1 + features / 4))));
  const allocate = anyMemory();
  const floats = (length: number) => new Float32Array(allocate(4 * length) as ArrayBuffer);
  const [weight, rowWeight] = [floats(classes), floats(rows)];
  const arrays = [weight, rowWeight];
  const controller = new AbortController();
  const signal = random.once(3) ? { signal: controller.signal } : {};
  const options = { classes, weight, rowWeight, threads: 1 + random.below(3), ...signal };
  const targets = new Int32Array(rows);
  const { crossEntropy, linearCrossEntropy } = later(random.pick(...names));
  if (features === 0) {
    const [logits, gradient] = [floats(rows * classes), floats(rows * classes)];
    arrays.push(logits, gradient);
    settle(crossEntropy(logits, targets, { ...options, gradient: random.once(3) ? logits : gradient }));
  } else {
    const [input, linearWeight, ...own] = [rows, classes, rows, classes].map((n) => floats(n * features));
    arrays.push(input, linearWeight, ...own);
    const gradient = { input: own[0], linearWeight: own[1] };
    settle(
      linearCrossEntropy(input, linearWeight, targets, { ...options, gradient, accumulate: random.once(2) }),
    );
  }
  for (const { buffer } of arrays) if (random.once(2)) take(buffer);
  if (random.once(3)) controller.abort();
}

let jobs = 0;
let lastJob = 0;

/** compute, start or abort of the addon with anything. */
function raw(entry: RawAddon): void {
  counts.raw++;
  const operation = random.pick(...OPERATIONS);
  const inner = random.once(8) || !operation.layer ? random.pick(1, 1, 2, 3) : 1;
  const large = random.once(30);
  const classes = large
    ? random.pick(100, 1000, 40_000, ...EDGES_OF_CLASSES)
    : random.once(20)
      ? 32_769
      : 1 + random.below(40);
  const most = large ? Math.floor(300_000 / classes) : classes > 1000 ? 1 : 6;
  const rows = inner * random.below(Math.floor(most / inner) + 1);
  const allocate = random.once(2) ? anyMemory() : undefined;
  const call = new RawCall(
    operation,
    random.below(4),
    inner,
    random.below(entry.backends.length),
    rows,
    classes,
    allocate,
  );
  if (random.once(3)) call.slots[SLOT.threads] = random.pick(1, 2, 4, 1024);
  const args: unknown[] = [call.buffer, ...call.arrays];
  if (!random.once(4)) spoil(random, call, args);
  if (random.once(8)) args.length = random.below(args.length + 1);
  if (random.once(8))
    for (let more = random.pick(1, 3, 20, 1000); more > 0; more--) args.push(random.pick(...args, null));
  if (random.once(20))
    args[0] = random.pick<unknown>(
      new SharedArrayBuffer(4096),
      resizable(4096),
      call.arrays[0]?.buffer,
      oddArray(40),
    );
  let shares = false;
  if (random.once(12)) {
    // The arena with all arrays on its targets and on each other.
    const all = call.arrays.reduce(
      (bytes, array) => Math.max(bytes, array?.byteLength ?? 0),
      call.buffer.byteLength,
    );
    const big = random.once(2) ? resizable(all + 1024) : new ArrayBuffer(all + 1024);
    new Uint8Array(big).set(new Uint8Array(call.buffer));
    args[0] = big;
    shares = true;
    call.arrays.forEach((array, i) => {
      if (array === null || args.length <= 1 + i) return;
      const Type = array.constructor as typeof Float32Array;
      args[1 + i] = new Type(big, 8 * random.below(128), array.length);
    });
  }
  const check = () => {
    if (!shares) call.marginsStay();
  };
  const arrays = call.arrays;
  if (random.once(2)) {
    survive(() => entry.compute(...args));
    check();
    return;
  }
  let taken = false;
  let called = 0;
  const done = (...sums: unknown[]) => {
    jobs--;
    if (++called > 1) throw new Error('called twice');
    if (sums.length !== 0 && sums.length !== 5) throw new Error(`called with ${sums.length} sums`);
    if (!taken) check();
    if (random.once(10)) survive(() => entry.compute(...args));
    if (random.once(20) && jobs < 100) raw(entry);
  };
  const callback = random.once(12)
    ? random.pick<unknown>(undefined, null, {}, 'done', 7, new Proxy({}, {}))
    : random.once(8)
      ? random.pick(done.bind(null), new Proxy(done, {}), async (...sums: unknown[]) => done(...sums))
      : done;
  const job = survive(() => entry.start(callback, ...args));
  if (typeof job === 'number' && job !== 0) {
    const unheld = !entry.holds && arrays.some((array) => array?.buffer instanceof ArrayBuffer);
    if (typeof callback !== 'function' || unheld) throw new Error('a job was started that cannot be');
    jobs++;
    lastJob = job;
  }
  if (random.once(2)) {
    taken = true;
    for (const array of arrays) if (array !== null && random.once(2)) take(array.buffer);
  }
  if (random.once(4))
    survive(() =>
      entry.abort(
        random.once(2) ? lastJob : random.pick<unknown>(-1, NaN, Infinity, 'x', {}, lastJob - 1, 1e300),
      ),
    );
  if (random.once(50)) survive(() => entry.abort());
}

async function quiet(): Promise<void> {
  await Promise.all(pending);
  const end = performance.now() + 120_000;
  while (jobs > 0) {
    await setImmediate();
    if (performance.now() > end) throw new Error(`${jobs} jobs were never called back`);
  }
}

async function attack(): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end) {
    const kind = random.below(20);
    // What other built-ins leave behind may make later calls fail: they have a worker of their own.
    if (kind < 3 && isMainThread) valid();
    else if (kind < 8) hostile();
    else if (kind < 11 && native.length > 0 && !isMainThread) withOthers();
    else if (kind === 11) vanishing();
    else if (addon !== undefined) raw(addon);
    if (random.once(8)) await setImmediate();
    if (random.once(100)) collect();
    if (pending.size > 50 || jobs > 50) await quiet();
  }
  await quiet();
}

/** Workers that do the same until they are stopped in the middle of it. */
async function workers(): Promise<number> {
  const end = performance.now() + 1000 * seconds;
  let stopped = 0;
  while (performance.now() < end) {
    const worker = new Worker(__filename, { workerData: { seconds: 1000, seed: seed + ++stopped } });
    const failed = new Promise<never>((_, reject) => worker.once('error', reject));
    failed.catch(() => {});
    const time = Math.min(1000 + random.below(3000), end - performance.now());
    await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, time))]);
    await worker.terminate();
  }
  return stopped;
}

async function main(): Promise<void> {
  if (!isMainThread) return attack();
  const [, stopped] = await Promise.all([attack(), workers()]);
  for (const [what, count] of Object.entries(counts)) console.log(`${what}: ${count}`);
  console.log(`${ended.returned} returned, ${ended.refused} were refused, ${stopped} workers stopped`);
  console.log(`${Object.values(counts).filter((count) => count > 0).length} passed, 0 failed`);
}

main().catch((error) => {
  console.error(`seed ${seed}:`, error);
  process.exit(1);
});
