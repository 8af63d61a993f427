// The addon without its argument checks: what memory safety needs is checked once more, and no byte is touched that is not
// the call's own.

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { detach, resizable } from '../support/memory.js';
import { requireFromRoot, root } from '../support/root.js';
import { backends } from './backends.js';
import { Random } from './random.js';
import { type Case, fail, near, same, sameElements, type Table } from './table.js';

interface RawAddon {
  backends: string[];
  compute(...all: unknown[]): unknown;
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

// Slot, kSums and kTargetsOffset of native/addon.cc.
const SLOT = {
  call: 0,
  arrays: 1,
  rows: 2,
  classes: 3,
  rowStride: 4,
  inner: 5,
  denseStride: 6,
  weightStride: 7,
  maskStride: 8,
  lambda: 9,
  epsilon: 10,
  toward: 11,
  gradientScale: 12,
  logitScale: 13,
  softcap: 14,
  zLoss: 15,
  priorSum: 16,
  priorRest: 17,
  priorTop: 18,
  smoothingSum: 19,
  smoothingRest: 20,
  smoothingTop: 21,
  smoothingLog: 22,
} as const;
const SUMS = 23;
const TARGETS_OFFSET = 256;
// The flags of a call.
const MIXED = 1 << 12;
const LOG_TARGET = 1 << 13;
const OTHERS = 1 << 14;
const KL = 1 << 15;
const METRICS = 1 << 16;

// Argument of native/addon.cc.
const ARGUMENTS = [
  'logits',
  'gradient',
  'losses',
  'weight',
  'dense',
  'prior',
  'smoothing',
  'rowWeight',
  'epsilons',
  'gradientScales',
  'lambdas',
  'posWeight',
  'mask',
  'rowLoss',
  'rowNll',
  'rowLse',
  'rowEntropy',
  'prediction',
] as const;
type Argument = (typeof ARGUMENTS)[number];

const TYPES = { Float32Array, Float64Array, Uint16Array, Uint8Array, Int32Array };
type TypeName = keyof typeof TYPES;
type Numbers = Float32Array | Float64Array | Uint16Array | Uint8Array | Int32Array;

const ROWS = 4;
const CLASSES = 5;

/** An operation with all the arrays that it knows. */
interface Operation {
  name: string;
  operation: number;
  flags: number;
  targets: 'classes' | 'dense';
  /** Weights and mask with a number per element. */
  perElement?: boolean;
  arrays: readonly Argument[];
}

const SMOOTHED = ['weight', 'prior', 'smoothing', 'rowWeight', 'epsilons', 'gradientScales'] as const;
const REPORTED = ['rowLoss', 'rowNll', 'rowLse', 'rowEntropy', 'prediction'] as const;
const WRITTEN = ['gradient', 'losses', ...REPORTED] as const;

const OPERATIONS: readonly Operation[] = [
  {
    name: 'crossEntropy, classes',
    operation: 0,
    flags: OTHERS,
    targets: 'classes',
    arrays: ['logits', ...WRITTEN, ...SMOOTHED],
  },
  {
    name: 'crossEntropy, mixed targets',
    operation: 0,
    flags: MIXED | KL | METRICS,
    targets: 'classes',
    arrays: ['logits', ...WRITTEN, ...SMOOTHED, 'lambdas'],
  },
  {
    name: 'crossEntropy, soft targets',
    operation: 0,
    flags: KL | METRICS,
    targets: 'dense',
    arrays: ['logits', ...WRITTEN, ...SMOOTHED, 'dense'],
  },
  {
    name: 'crossEntropy, nothing but logits',
    operation: 0,
    flags: 0,
    targets: 'classes',
    arrays: ['logits'],
  },
  {
    name: 'bceWithLogits, classes',
    operation: 1,
    flags: METRICS,
    targets: 'classes',
    arrays: ['logits', ...WRITTEN, 'weight', 'posWeight', 'rowWeight', 'gradientScales'],
  },
  {
    name: 'bceWithLogits, numbers for each element',
    operation: 1,
    flags: METRICS,
    targets: 'dense',
    perElement: true,
    arrays: ['logits', ...WRITTEN, 'dense', 'weight', 'mask', 'posWeight', 'rowWeight'],
  },
  {
    name: 'klDiv',
    operation: 2,
    flags: METRICS,
    targets: 'dense',
    arrays: ['logits', ...WRITTEN, 'dense', 'weight', 'rowWeight', 'gradientScales'],
  },
  {
    name: 'klDiv, logarithms',
    operation: 2,
    flags: LOG_TARGET,
    targets: 'dense',
    arrays: ['logits', ...WRITTEN, 'dense', 'weight', 'rowWeight', 'gradientScales'],
  },
  {
    name: 'nllLoss, classes',
    operation: 2,
    flags: METRICS,
    targets: 'classes',
    arrays: ['logits', ...WRITTEN, ...SMOOTHED],
  },
  {
    name: 'nllLoss, mixed targets',
    operation: 2,
    flags: MIXED | OTHERS | KL,
    targets: 'classes',
    arrays: ['logits', ...WRITTEN, ...SMOOTHED, 'lambdas'],
  },
  {
    name: 'smoothLabels, classes',
    operation: 2,
    flags: 0,
    targets: 'classes',
    arrays: ['gradient', 'prior', 'smoothing', 'epsilons'],
  },
  {
    name: 'smoothLabels, soft targets',
    operation: 2,
    flags: 0,
    targets: 'dense',
    arrays: ['gradient', 'dense', 'prior', 'smoothing', 'epsilons'],
  },
];

/** What an argument must be. */
interface Wanted {
  types: readonly TypeName[];
  length: number;
}

/** A sound call, to be spoiled. */
class RawCall {
  readonly buffer: ArrayBuffer;
  readonly slots: Float64Array;
  readonly targets: Int32Array;
  readonly seconds: Int32Array;
  /** The arguments after the arena, each in the middle of a larger one. */
  readonly arrays: (Numbers | null)[];
  readonly wanted: (Wanted | null)[];
  readonly what: string;
  private readonly before: (Buffer | undefined)[];

  constructor(
    readonly operation: Operation,
    readonly type: number,
    readonly inner: number,
    backend = 0,
  ) {
    this.what = `${operation.name}, type ${type}, inner ${inner}, backend ${backend}`;
    const mixed = (operation.flags & MIXED) !== 0;
    this.buffer = new ArrayBuffer(TARGETS_OFFSET + (mixed ? 2 : 1) * ROWS * 4);
    this.slots = new Float64Array(this.buffer, 0, TARGETS_OFFSET / 8);
    this.targets = new Int32Array(this.buffer, TARGETS_OFFSET, ROWS);
    this.seconds = new Int32Array(this.buffer, TARGETS_OFFSET + 4 * ROWS);
    if (operation.targets === 'classes') this.targets.set([0, 4, -1, 2]);
    this.seconds.set([3, 4, 0, 1].slice(0, this.seconds.length));

    // Strides of their own where the layout has any.
    const [rowStride, denseStride, weightStride, maskStride] = inner === 1 ? [8, 6, 7, 9] : [5, 5, 5, 5];
    const values = {
      call: backend | (operation.operation << 4) | (type << 8) | operation.flags,
      arrays: operation.arrays.reduce((bits, name) => bits | (1 << ARGUMENTS.indexOf(name)), 0),
      rows: ROWS,
      classes: CLASSES,
      rowStride,
      inner,
      denseStride,
      weightStride: operation.perElement ? weightStride : 0,
      maskStride,
      lambda: 0.75,
      epsilon: 0.125,
      toward: 0.5,
      gradientScale: 0.5,
      logitScale: type === 0 ? 1 : 0.5,
      softcap: type === 1 ? 4 : 0,
      zLoss: 0.125,
      priorSum: CLASSES,
      priorRest: CLASSES - 1,
      priorTop: 4,
      smoothingSum: CLASSES,
      smoothingRest: CLASSES - 1,
      smoothingTop: 4,
      smoothingLog: 0,
    };
    for (const [name, value] of Object.entries(values)) this.slots[SLOT[name as keyof typeof SLOT]] = value;

    const elements = (stride: number) => (ROWS - 1) * stride + CLASSES;
    const real = type === 1 ? 'Float64Array' : 'Float32Array';
    const lossPerElement =
      operation.operation === 1 || (operation.operation === 2 && operation.targets === 'dense');
    const anyDense: TypeName[] = ['Float32Array', 'Float64Array'];
    if (operation.operation === 1) anyDense.push('Uint8Array');
    // The type that the dense targets have here comes first.
    const dense = [...anyDense.slice((type + inner) % anyDense.length), ...anyDense];
    const element = type > 1 ? 'Uint16Array' : real;
    const types: Record<Argument, Wanted> = {
      logits: { types: [element], length: elements(rowStride) },
      gradient: { types: [element], length: elements(rowStride) },
      losses: { types: [real], length: lossPerElement ? elements(rowStride) : ROWS },
      weight: { types: ['Float32Array'], length: operation.perElement ? elements(weightStride) : CLASSES },
      dense: { types: dense, length: elements(denseStride) },
      prior: { types: ['Float32Array'], length: CLASSES },
      smoothing: { types: [real], length: CLASSES },
      rowWeight: { types: ['Float32Array'], length: ROWS },
      epsilons: { types: ['Float32Array'], length: ROWS },
      gradientScales: { types: ['Float32Array'], length: ROWS },
      lambdas: { types: ['Float32Array'], length: ROWS },
      posWeight: { types: ['Float32Array'], length: CLASSES },
      mask: { types: ['Uint8Array'], length: elements(maskStride) },
      rowLoss: { types: [real], length: ROWS },
      rowNll: { types: [real], length: ROWS },
      rowLse: { types: [real], length: ROWS },
      rowEntropy: { types: [real], length: ROWS },
      prediction: { types: ['Int32Array'], length: ROWS },
    };
    this.wanted = ARGUMENTS.map((name) => (operation.arrays.includes(name) ? types[name] : null));
    this.arrays = this.wanted.map((wanted, place) => (wanted === null ? null : inMargins(wanted, place)));
    this.before = this.arrays.map((array) => array?.buffer && Buffer.from(array.buffer.slice(0)));
  }

  /** Makes the call. */
  on(addon: RawAddon): void {
    same(addon.compute(this.buffer, ...this.arrays), undefined, `what ${this.what} returns`);
    this.marginsStay();
  }

  /** Makes the call with these in place of its own arguments: they must be refused, and nothing written. */
  refused(addon: RawAddon, what: string, args: readonly unknown[] = [this.buffer, ...this.arrays]): void {
    const slots = this.slots.slice();
    let error = new Error('nothing was thrown');
    try {
      addon.compute(...args);
    } catch (thrown) {
      error = thrown as Error;
    }
    same(
      Reflect.get(error, 'code'),
      'ERR_INTERNAL_ASSERTION',
      `the code of ${error} (${what}; ${this.what})`,
    );
    this.arrays.forEach((array, i) => {
      if (array && this.before[i]?.compare(new Uint8Array(array.buffer)) !== 0)
        fail(`${ARGUMENTS[i]} was written by a call that was refused (${what}; ${this.what})`);
    });
    sameElements(this.slots, slots, `the arena, ${what}; ${this.what}`);
  }

  /** The arguments with another one in a place. */
  with(place: number, value: unknown): unknown[] {
    const args: unknown[] = [this.buffer, ...this.arrays];
    args[1 + place] = value;
    return args;
  }

  /** Nothing was written beside an array. */
  marginsStay(): void {
    this.arrays.forEach((array, i) => {
      if (array === null) return;
      const all = new Uint8Array(array.buffer);
      const end = array.byteOffset + array.byteLength;
      if (all.some((byte, at) => byte !== FILLING && (at < array.byteOffset || at >= end)))
        fail(`written beside ${ARGUMENTS[i]} (${this.what})`);
    });
  }
}

const MARGIN = 64;
const FILLING = 0x5a;

/** An array of small numbers in the middle of a larger one. */
function inMargins({ types, length }: Wanted, seed: number): Numbers {
  const Type = TYPES[types[0]];
  const bytes = length * Type.BYTES_PER_ELEMENT;
  const around = new Uint8Array(2 * MARGIN + bytes).fill(FILLING);
  const array = new Type(around.buffer, MARGIN, length);
  for (let i = 0; i < length; i++)
    array[i] = Type === Uint16Array ? 0x3c00 + ((29 * i + seed) % 512) : ((3 * i + seed) % 7) / 4;
  return array;
}

const LONG = 100; // more than any array needs

/** What is not an array, arrays of other types, and too short ones of the right type. */
function garbage({ types, length }: Wanted): unknown[] {
  const Type = TYPES[types[0]];
  const gone = new Type(LONG);
  detach(gone.buffer);
  const buffer = resizable(8 * LONG);
  const shrunk = new Type(buffer, 0, LONG);
  buffer.resize(8);
  const others = [
    ...Object.values(TYPES).filter((Other) => !types.includes(Other.name as TypeName)),
    Int8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint32Array,
    BigInt64Array,
    BigUint64Array,
  ];
  return [
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
    new ArrayBuffer(8 * LONG),
    new SharedArrayBuffer(8 * LONG),
    new DataView(new ArrayBuffer(8 * LONG)),
    new Proxy(new Type(LONG), {}),
    Object.create(Type.prototype),
    Object.defineProperty(new Type(length - 1), 'length', { value: LONG }),
    new Type(0),
    new Type(length - 1),
    gone,
    shrunk,
    ...others.map((Other) => new Other(LONG)),
  ];
}

const show = (value: unknown) =>
  `${Object.prototype.toString.call(value)}${ArrayBuffer.isView(value) ? ` of ${value.byteLength} bytes` : ''}`;

/** Every operation on every number type, in rows and across them. */
function* sound(addon: RawAddon): Generator<RawCall> {
  for (let backend = 0; backend < addon.backends.length; backend++) {
    for (const operation of OPERATIONS) {
      for (const type of [0, 1, 2, 3]) {
        for (const inner of [1, 2]) yield new RawCall(operation, type, inner, backend);
      }
    }
  }
}

/** A call of each operation, number types and layouts by turns. */
function each(): RawCall[] {
  return OPERATIONS.flatMap((operation, i) => [
    new RawCall(operation, i % 4, 1),
    new RawCall(operation, (i + 2) % 4, 2),
  ]);
}

function cases(): Case[] {
  const addon = backends.some(({ backend }) => backend.name !== 'js') ? loadAddon() : undefined;
  if (addon === undefined) return [];
  return [
    {
      name: 'good calls of every operation, on every native backend',
      run: () => {
        for (const call of sound(addon)) {
          const before = call.arrays[0]?.slice() ?? [];
          call.on(addon);
          const { arrays, slots, operation } = call;
          const written = (name: Argument) => arrays[ARGUMENTS.indexOf(name)];
          const [logits, gradient, rowLoss] = [written('logits'), written('gradient'), written('rowLoss')];
          // The third row takes no part, if there is a class for each.
          if (gradient?.every((x) => x === gradient[0])) fail(`no gradient: ${call.what}`);
          if (rowLoss) {
            const sum =
              rowLoss[0] + rowLoss[1] + (operation.targets === 'dense' ? rowLoss[2] : 0) + rowLoss[3];
            near(slots[SUMS], sum, 1e-5 * Math.abs(sum), `the numerator, ${call.what}`);
          }
          if (logits && !(slots[SUMS] !== 0)) fail(`no numerator: ${call.what}`);
          if (logits?.some((x, i) => x !== before[i])) fail(`the logits were written: ${call.what}`);
        }
      },
    },
    {
      name: 'a good call with new, without this and with more arguments',
      run: () => {
        const [first] = each();
        same(
          typeof Reflect.construct(addon.compute, [first.buffer, ...first.arrays]),
          'object',
          'what new makes',
        );
        const { compute } = addon;
        same(compute(first.buffer, ...first.arrays, 1, {}, null), undefined, 'what it returns');
        same(compute.call(null, first.buffer, ...first.arrays), undefined, 'what it returns');
        first.marginsStay();
      },
    },
    {
      name: 'an arena that is none',
      run: () => {
        const [first] = each();
        first.refused(addon, 'no arguments', []);
        const shrunk = resizable(400);
        shrunk.resize(64);
        const gone = new ArrayBuffer(400);
        detach(gone);
        const views = [new Float64Array(100), new Uint8Array(800), new DataView(new ArrayBuffer(800))];
        const nothing = [
          undefined,
          null,
          0,
          'x',
          {},
          [],
          Symbol('x'),
          () => 0,
          1n,
          new SharedArrayBuffer(800),
        ];
        const small = [0, 1, TARGETS_OFFSET - 8, TARGETS_OFFSET - 1].map((bytes) => new ArrayBuffer(bytes));
        for (const value of [...nothing, ...views, ...small, shrunk, gone, new Proxy(first.buffer, {})]) {
          first.refused(addon, `arena ${show(value)}`, [value, ...first.arrays]);
        }
      },
    },
    {
      name: 'an arena with fewer targets than rows',
      run: () => {
        for (const call of each()) {
          const { byteLength } = call.buffer;
          for (const short of [1, 4, byteLength - TARGETS_OFFSET]) {
            call.refused(addon, `${short} bytes too few`, [
              call.buffer.slice(0, byteLength - short),
              ...call.arrays,
            ]);
          }
        }
      },
    },
    {
      name: 'too few arguments',
      run: () => {
        for (const call of each()) {
          const last = call.arrays.findLastIndex((array) => array !== null);
          for (let n = 0; n <= last; n++)
            call.refused(addon, `${n} arrays`, [call.buffer, ...call.arrays.slice(0, n)]);
          addon.compute(call.buffer, ...call.arrays.slice(0, last + 1));
          call.marginsStay();
        }
      },
    },
    {
      name: 'garbage for an array',
      run: () => {
        for (const call of each()) {
          call.wanted.forEach((wanted, place) => {
            if (wanted === null) return;
            for (const value of garbage(wanted))
              call.refused(addon, `${ARGUMENTS[place]} is ${show(value)}`, call.with(place, value));
          });
        }
      },
    },
    {
      name: 'garbage in the place of an array that there is not',
      run: () => {
        for (const call of each()) {
          call.wanted.forEach((wanted, place) => {
            if (wanted !== null) return;
            call.slots[SLOT.arrays] += 1 << place;
            call.refused(addon, `no ${ARGUMENTS[place]}`);
            call.slots[SLOT.arrays] -= 1 << place;
          });
          const args: unknown[] = call.arrays.map((array) => array ?? Symbol('unused'));
          same(addon.compute(call.buffer, ...args), undefined, `what ${call.what} returns`);
          call.marginsStay();
        }
      },
    },
    {
      name: 'arrays that contradict each other, or none to read from',
      run: () => {
        const without = (operation: number, ...names: Argument[]) => {
          const call = new RawCall(OPERATIONS[operation], 0, 1);
          for (const name of names) call.slots[SLOT.arrays] -= 1 << ARGUMENTS.indexOf(name);
          call.refused(addon, `without ${names}`);
        };
        OPERATIONS.forEach(({ arrays }, i) => {
          if (arrays.includes('logits')) without(i, 'logits');
          if (arrays.includes('smoothing')) without(i, 'smoothing');
          if (arrays.includes('logits') && arrays.includes('smoothing')) without(i, 'logits', 'smoothing');
        });
        // Labels have no logits, so nothing can be said of those.
        const flagged = new RawCall(OPERATIONS[10], 0, 1);
        flagged.slots[SLOT.call] += METRICS;
        flagged.refused(addon, 'metrics of labels');
        for (const name of ['losses', ...REPORTED] as const) {
          const call = new RawCall(OPERATIONS[10], 0, 1);
          const place = ARGUMENTS.indexOf(name);
          call.slots[SLOT.arrays] += 1 << place;
          const Type = name === 'prediction' ? Int32Array : Float32Array;
          call.refused(addon, `${name} of labels`, call.with(place, new Type(LONG)));
        }
        const mixed = new RawCall(OPERATIONS[1], 0, 1);
        mixed.slots[SLOT.arrays] += 1 << ARGUMENTS.indexOf('dense');
        mixed.refused(
          addon,
          'mixed and dense',
          mixed.with(ARGUMENTS.indexOf('dense'), new Float32Array(LONG)),
        );
      },
    },
    {
      name: 'garbage for a number',
      run: () => {
        const integers = [-1, 0.5, NaN, Infinity, -Infinity, 2 ** 53, 2 ** 63, 2 ** 64, 1e300];
        const many = [2 ** 31, 2 ** 32 + 4, 2 ** 53 - 1, 2 ** 62 + 4];
        for (const call of each()) {
          const { slots, inner, operation } = call;
          const has = (name: Argument) => operation.arrays.includes(name);
          const wrong: Partial<Record<keyof typeof SLOT, number[]>> = {
            call: [
              ...integers,
              slots[SLOT.call] + addon.backends.length, // no such backend
              slots[SLOT.call] + 15,
              slots[SLOT.call] - (operation.operation << 4) + (3 << 4), // no such operation
              slots[SLOT.call] | (15 << 4),
              slots[SLOT.call] - (call.type << 8) + (4 << 8), // no such type
              slots[SLOT.call] | (15 << 8),
              slots[SLOT.call] - (call.type << 8) + ((call.type ^ 2) << 8), // not that of the arrays
            ],
            arrays: [...integers, 2 ** 32 - 1],
            rows: [...integers, ...many, ROWS + 1, ROWS + inner],
            classes: [...integers, ...many, 0, CLASSES + 1],
            rowStride: [...integers, ...many, 0, CLASSES - 1, slots[SLOT.rowStride] + 1],
            inner: [...integers, 0, 3, 8, ...(inner === 1 ? [2] : [])],
          };
          if (inner === 1) {
            for (const [name, slot] of [
              ['dense', 'denseStride'],
              ['mask', 'maskStride'],
            ] as const) {
              if (has(name)) wrong[slot] = [...integers, ...many, 0, CLASSES - 1, slots[SLOT[slot]] + 1];
            }
            if (operation.perElement)
              wrong.weightStride = [...integers, ...many, CLASSES - 1, slots[SLOT.weightStride] + 1];
          }
          // Weights per element are for one operation alone.
          if (operation.operation !== 1) wrong.weightStride = [...integers, ...many, CLASSES, CLASSES + 1];
          for (const [name, values] of Object.entries(wrong)) {
            const slot = SLOT[name as keyof typeof SLOT];
            const right = slots[slot];
            for (const value of values) {
              slots[slot] = value;
              call.refused(addon, `${name} is ${value}`);
            }
            slots[slot] = right;
          }
          call.on(addon);
        }
      },
    },
    {
      name: 'no rows: nothing is read or written, whatever the strides',
      run: () => {
        for (const call of each()) {
          call.slots[SLOT.rows] = 0;
          for (const stride of [SLOT.denseStride, SLOT.maskStride]) call.slots[stride] = 2 ** 53 - 1;
          if (call.inner === 1) call.slots[SLOT.rowStride] = 2 ** 53 - 1;
          const empty = call.wanted.map((wanted, i) => {
            const perRow = wanted !== null && wanted.length !== CLASSES;
            return perRow ? new TYPES[wanted.types[0]](0) : call.arrays[i];
          });
          addon.compute(call.buffer, ...empty);
          sameElements(call.slots.subarray(SUMS, SUMS + 5), new Float64Array(5), 'the sums');
          call.marginsStay();
        }
      },
    },
    {
      name: 'targets out of range take no part',
      run: () => {
        for (const call of sound(addon)) {
          call.targets.set([CLASSES, -1, -(2 ** 31), 2 ** 31 - 1]);
          call.on(addon);
          const gradient = call.arrays[ARGUMENTS.indexOf('gradient')];
          const { inner, slots } = call;
          gradient?.forEach((x, i) => {
            const column = inner === 1 ? i % slots[SLOT.rowStride] : 0;
            if (column < CLASSES) same(x, 0, `gradient[${i}], ${call.what}`);
          });
          sameElements(slots.subarray(SUMS, SUMS + 5), new Float64Array(5), `the sums, ${call.what}`);
        }
      },
    },
    {
      name: 'second classes out of range are refused',
      run: () => {
        for (const call of each()) {
          const { seconds } = call;
          for (let row = 0; row < seconds.length; row++) {
            const right = seconds[row];
            for (const wrong of [CLASSES, -1, -(2 ** 31), 2 ** 31 - 1]) {
              seconds[row] = wrong;
              call.refused(addon, `second class ${wrong}`);
            }
            seconds[row] = right;
          }
        }
      },
    },
    {
      name: 'numbers of any kind, in slots and arrays',
      run: () => {
        const random = new Random(6);
        const numbers = [0, -0, 1, -1, 0.5, 7, NaN, Infinity, -Infinity, 2 ** 31, 1e300, -1e300, 2 ** -1074];
        for (let n = 0; n < 20; n++) {
          for (const call of sound(addon)) {
            for (let slot = SLOT.lambda; slot <= SLOT.smoothingLog; slot++)
              if (random.once(4)) call.slots[slot] = random.pick(...numbers);
            for (const array of call.arrays) {
              if (array === null || random.once(2)) continue;
              for (let i = 0; i < array.length; i++)
                array[i] = array instanceof Uint16Array ? random.below(2 ** 16) : random.pick(...numbers);
            }
            call.on(addon);
          }
        }
      },
    },
    {
      name: 'arguments that share memory, with each other and with the arena',
      run: () => {
        const random = new Random(7);
        for (let n = 0; n < 10; n++) {
          for (const call of sound(addon)) {
            if (call.seconds.length > 0) continue;
            // The arena with all arrays on its targets and on each other.
            const big = new ArrayBuffer(4096);
            new Uint8Array(big).set(new Uint8Array(call.buffer));
            const shared = call.wanted.map((wanted) => {
              if (wanted === null) return null;
              const at = n === 0 ? TARGETS_OFFSET : 8 * random.below(60);
              return new TYPES[wanted.types[0]](big, at, wanted.length);
            });
            addon.compute(big, ...shared);
          }
        }
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
          8,
          -1,
          0.5,
          NaN,
          Infinity,
          2 ** 31,
          2 ** 32,
          2 ** 53,
          1e300,
          -1e300,
        ];
        const tiny = 2 ** -1074;
        let returned = 0;
        for (let n = 0; n < 6000; n++) {
          const backend = random.below(addon.backends.length);
          const call = new RawCall(random.pick(...OPERATIONS), random.below(4), random.pick(1, 2), backend);
          const args: unknown[] = [call.buffer, ...call.arrays];
          for (let change = random.below(4); change > 0; change--) {
            const kind = random.below(5);
            const place = random.below(ARGUMENTS.length);
            const wanted = call.wanted[place] ?? { types: ['Float32Array'], length: 4 };
            if (kind === 0) call.slots[random.below(SUMS)] = random.pick(...numbers, tiny);
            else if (kind === 1)
              call.slots[SLOT.call] += random.pick(1 << 4, 1 << 8, MIXED, KL, OTHERS, METRICS);
            else if (kind === 2) call.slots[SLOT.arrays] += random.pick(1, -1) * (1 << place);
            else if (kind === 3) args[1 + place] = random.pick(...garbage(wanted as Wanted));
            else call.targets[random.below(ROWS)] = random.pick(0, 1, CLASSES, -1, 2 ** 31 - 1, -(2 ** 31));
          }
          try {
            addon.compute(...args);
            returned++;
          } catch (error) {
            same((error as { code: unknown }).code, 'ERR_INTERNAL_ASSERTION', `the code of ${error}`);
          }
          call.marginsStay();
        }
        if (returned < 600) fail(`only ${returned} of the calls got through: the garbage is too plain`);
      },
    },
  ];
}

export const tables: Table[] = [{ name: 'the addon without argument checks', cases: cases() }];
