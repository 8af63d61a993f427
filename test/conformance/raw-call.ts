// Calls of the addon without the checks of lib/arguments/: sound ones of every operation, to be spoiled.

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { detach, resizable } from '../support/memory.js';
import { requireFromRoot, root } from '../support/root.js';
import type { Random } from './random.js';
import { fail, same, sameElements } from './table.js';

export interface RawAddon {
  backends: string[];
  holds: boolean;
  compute(...all: unknown[]): unknown;
  start(...all: unknown[]): unknown;
  abort(...all: unknown[]): unknown;
}

/** The file of the addon. */
export function findAddon(): string | undefined {
  const { path: find } = requireFromRoot('node-gyp-build') as { path(directory: string): string };
  try {
    return find(root);
  } catch {
    return undefined;
  }
}

/** The addon, loaded once more from a copy. */
export function loadAddon(): RawAddon | undefined {
  const file = findAddon();
  if (file === undefined) return undefined;
  const directory = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-'));
  try {
    copyFileSync(file, path.join(directory, 'copy.node'));
    return requireFromRoot(path.join(directory, 'copy.node')) as RawAddon;
  } finally {
    // Windows deletes no file that a process has loaded.
    if (process.platform !== 'win32') rmSync(directory, { recursive: true, force: true });
  }
}

const { FIRST_SLOT, HEADER, SLOTS } = requireFromRoot(
  './dist/arena.js',
) as typeof import('../../dist/arena.js');
type SlotName = (typeof SLOTS)[number];

/** Where the arena has the sums, each number by its name, and the targets. */
export const SUMS = 0;
export const SLOT = Object.fromEntries(SLOTS.map((name, i) => [name, FIRST_SLOT + i])) as Record<
  SlotName,
  number
>;
export const TARGETS_OFFSET = 8 * HEADER;
export type Flag = 'mixed' | 'logTarget' | 'others' | 'kl' | 'metrics' | 'accumulate';

/** How much of its arena a call uses, where the rest has no use. */
export function arenaBytes(arena: ArrayBuffer): number {
  const slots = new Float64Array(arena, 0, HEADER);
  const classes = (slots[SLOT.mixed] === 0 ? 1 : 2) * slots[SLOT.rows];
  return Math.min(arena.byteLength, TARGETS_OFFSET + 4 * classes);
}

// Argument of native/addon/call.cc is the same list.
export const ARGUMENTS = [
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
  'input',
  'linearWeight',
  'linearBias',
  'inputGradient',
  'linearWeightGradient',
  'linearBiasGradient',
] as const;
export type Argument = (typeof ARGUMENTS)[number];

export const TYPES = { Float32Array, Float64Array, Uint16Array, Uint8Array, Int32Array };
export type TypeName = keyof typeof TYPES;
type Numbers = Float32Array | Float64Array | Uint16Array | Uint8Array | Int32Array;

export const ROWS = 4;
export const CLASSES = 5;
export const FEATURES = 3;

/** An operation with all the arrays that it knows. */
export interface Operation {
  name: string;
  operation: number;
  flags: readonly Flag[];
  targets: 'classes' | 'dense';
  /** Weights and mask with a number per element. */
  perElement?: boolean;
  /** A layer makes its logits. It has rows alone, and of these those that take part are computed. */
  layer?: boolean;
  arrays: readonly Argument[];
}

const SMOOTHED = ['weight', 'prior', 'smoothing', 'rowWeight', 'epsilons', 'gradientScales'] as const;
export const REPORTED = ['rowLoss', 'rowNll', 'rowLse', 'rowEntropy', 'prediction'] as const;
const WRITTEN = ['gradient', 'losses', ...REPORTED] as const;
const LAYER = ['input', 'linearWeight'] as const;
const LAYER_GRADIENTS = ['inputGradient', 'linearWeightGradient', 'linearBiasGradient'] as const;

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'crossEntropy, classes',
    operation: 0,
    flags: ['others'],
    targets: 'classes',
    arrays: ['logits', ...WRITTEN, ...SMOOTHED],
  },
  {
    name: 'crossEntropy, mixed targets',
    operation: 0,
    flags: ['mixed', 'kl', 'metrics'],
    targets: 'classes',
    arrays: ['logits', ...WRITTEN, ...SMOOTHED, 'lambdas'],
  },
  {
    name: 'crossEntropy, soft targets',
    operation: 0,
    flags: ['kl', 'metrics'],
    targets: 'dense',
    arrays: ['logits', ...WRITTEN, ...SMOOTHED, 'dense'],
  },
  {
    name: 'crossEntropy, nothing but logits',
    operation: 0,
    flags: [],
    targets: 'classes',
    arrays: ['logits'],
  },
  {
    name: 'bceWithLogits, classes',
    operation: 1,
    flags: ['metrics'],
    targets: 'classes',
    arrays: ['logits', ...WRITTEN, 'weight', 'posWeight', 'rowWeight', 'gradientScales'],
  },
  {
    name: 'bceWithLogits, numbers for each element',
    operation: 1,
    flags: ['metrics'],
    targets: 'dense',
    perElement: true,
    arrays: ['logits', ...WRITTEN, 'dense', 'weight', 'mask', 'posWeight', 'rowWeight'],
  },
  {
    name: 'klDiv',
    operation: 2,
    flags: ['metrics'],
    targets: 'dense',
    arrays: ['logits', ...WRITTEN, 'dense', 'weight', 'rowWeight', 'gradientScales'],
  },
  {
    name: 'klDiv, logarithms',
    operation: 2,
    flags: ['logTarget'],
    targets: 'dense',
    arrays: ['logits', ...WRITTEN, 'dense', 'weight', 'rowWeight', 'gradientScales'],
  },
  {
    name: 'nllLoss, classes',
    operation: 2,
    flags: ['metrics'],
    targets: 'classes',
    arrays: ['logits', ...WRITTEN, ...SMOOTHED],
  },
  {
    name: 'nllLoss, mixed targets',
    operation: 2,
    flags: ['mixed', 'others', 'kl'],
    targets: 'classes',
    arrays: ['logits', ...WRITTEN, ...SMOOTHED, 'lambdas'],
  },
  {
    name: 'smoothLabels, classes',
    operation: 2,
    flags: [],
    targets: 'classes',
    arrays: ['gradient', 'prior', 'smoothing', 'epsilons'],
  },
  {
    name: 'smoothLabels, soft targets',
    operation: 2,
    flags: [],
    targets: 'dense',
    arrays: ['gradient', 'dense', 'prior', 'smoothing', 'epsilons'],
  },
  {
    name: 'linearCrossEntropy, classes',
    operation: 3,
    flags: ['others'],
    targets: 'classes',
    layer: true,
    arrays: [...LAYER, 'linearBias', ...LAYER_GRADIENTS, 'losses', ...REPORTED, ...SMOOTHED],
  },
  {
    name: 'linearCrossEntropy, mixed targets, added to gradients',
    operation: 3,
    flags: ['mixed', 'kl', 'metrics', 'accumulate'],
    targets: 'classes',
    layer: true,
    arrays: [...LAYER, 'linearBias', ...LAYER_GRADIENTS, 'losses', ...REPORTED, ...SMOOTHED, 'lambdas'],
  },
  {
    name: 'linearCrossEntropy, soft targets',
    operation: 3,
    flags: ['metrics'],
    targets: 'dense',
    layer: true,
    arrays: [...LAYER, 'inputGradient', 'losses', ...REPORTED, 'dense', 'rowWeight', 'gradientScales'],
  },
  {
    name: 'linearCrossEntropy, nothing but the layer',
    operation: 3,
    flags: [],
    targets: 'classes',
    layer: true,
    arrays: LAYER,
  },
];

/** The values of `inner` that the operation can have: rows apart, and if there is another layout, across. */
export const layoutsOf = ({ layer }: Operation): readonly number[] => (layer ? [1] : [1, 2]);

/** What an argument must be. */
export interface Wanted {
  types: readonly TypeName[];
  length: number;
}

/** Where the memory of arrays comes from. */
export type Allocate = (bytes: number) => ArrayBufferLike;

/** A sound call, to be spoiled. */
export class RawCall {
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
    rows = ROWS,
    classes = CLASSES,
    allocate: Allocate = (bytes) => new ArrayBuffer(bytes),
  ) {
    this.what = `${operation.name}, type ${type}, inner ${inner}, backend ${backend}, ${rows} x ${classes}`;
    const mixed = operation.flags.includes('mixed');
    this.buffer = new ArrayBuffer(TARGETS_OFFSET + (mixed ? 2 : 1) * rows * 4);
    this.slots = new Float64Array(this.buffer, 0, HEADER);
    this.targets = new Int32Array(this.buffer, TARGETS_OFFSET, rows);
    this.seconds = new Int32Array(this.buffer, TARGETS_OFFSET + 4 * rows);
    const [firsts, others] = [
      [0, 4, -1, 2],
      [3, 4, 0, 1],
    ];
    if (operation.targets === 'classes')
      this.targets.forEach((_, r) => {
        this.targets[r] = Math.min(firsts[r % 4], classes - 1);
      });
    this.seconds.forEach((_, r) => {
      this.seconds[r] = others[r % 4] % classes;
    });

    // Strides of their own where the layout has any.
    const gaps = inner === 1 ? [3, 1, 2, 4] : [0, 0, 0, 0];
    const [rowStride, denseStride, weightStride, maskStride] = gaps.map((gap) => classes + gap);
    const flag = (name: Flag) => (operation.flags.includes(name) ? 1 : 0);
    const values: Record<SlotName, number> = {
      backend,
      operation: operation.operation,
      type,
      arrays: operation.arrays.reduce((bits, name) => bits | (1 << ARGUMENTS.indexOf(name)), 0),
      rows,
      classes,
      rowStride,
      inner,
      denseStride,
      weightStride: operation.perElement ? weightStride : 0,
      maskStride,
      mixed: flag('mixed'),
      logTarget: flag('logTarget'),
      others: flag('others'),
      kl: flag('kl'),
      metrics: flag('metrics'),
      features: operation.layer ? FEATURES : 0,
      accumulate: flag('accumulate'),
      lambda: 0.75,
      epsilon: 0.125,
      toward: 0.5,
      gradientScale: 0.5,
      logitScale: type === 0 ? 1 : 0.5,
      softcap: type === 1 ? 4 : 0,
      zLoss: 0.125,
      priorSum: classes,
      priorRest: classes - 1,
      priorTop: classes - 1,
      smoothingSum: classes,
      smoothingRest: classes - 1,
      smoothingTop: classes - 1,
      smoothingLog: 0,
      threads: 1 + ((type + inner) % 3),
      begin: 0,
      end: operation.layer ? this.targets.filter((y) => y >= 0).length : rows,
    };
    SLOTS.forEach((name, i) => {
      this.slots[FIRST_SLOT + i] = values[name];
    });

    const elements = (stride: number) => rows && (rows - 1) * stride + classes;
    const real = type === 1 ? 'Float64Array' : 'Float32Array';
    const lossPerElement =
      operation.operation === 1 || (operation.operation === 2 && operation.targets === 'dense');
    const anyDense: TypeName[] = ['Float32Array', 'Float64Array'];
    if (operation.operation === 1) anyDense.push('Uint8Array');
    // The type that the dense targets have here comes first.
    const dense = [...anyDense.slice((type + inner) % anyDense.length), ...anyDense];
    const element = type > 1 ? 'Uint16Array' : real;
    // In double a weight per element may be of floats.
    const float: TypeName = 'Float32Array';
    const weight: TypeName[] =
      type !== 1 || !operation.perElement ? [real] : inner === 1 ? [float, real] : [real, float];
    const types: Record<Argument, Wanted> = {
      logits: { types: [element], length: elements(rowStride) },
      gradient: { types: [element], length: elements(rowStride) },
      losses: { types: [real], length: lossPerElement ? elements(rowStride) : rows },
      weight: { types: weight, length: operation.perElement ? elements(weightStride) : classes },
      dense: { types: dense, length: elements(denseStride) },
      prior: { types: [real], length: classes },
      smoothing: { types: [real], length: classes },
      rowWeight: { types: [real], length: rows },
      epsilons: { types: [real], length: rows },
      gradientScales: { types: [real], length: rows },
      lambdas: { types: [real], length: rows },
      posWeight: { types: [real], length: classes },
      mask: { types: ['Uint8Array'], length: elements(maskStride) },
      rowLoss: { types: [real], length: rows },
      rowNll: { types: [real], length: rows },
      rowLse: { types: [real], length: rows },
      rowEntropy: { types: [real], length: rows },
      prediction: { types: ['Int32Array'], length: rows },
      input: { types: [element], length: rows * FEATURES },
      linearWeight: { types: [element], length: classes * FEATURES },
      linearBias: { types: [element], length: classes },
      inputGradient: { types: [real], length: rows * FEATURES },
      linearWeightGradient: { types: [real], length: classes * FEATURES },
      linearBiasGradient: { types: [real], length: classes },
    };
    this.wanted = ARGUMENTS.map((name) => (operation.arrays.includes(name) ? types[name] : null));
    this.arrays = this.wanted.map((wanted, place) =>
      wanted === null ? null : inMargins(wanted, place, allocate),
    );
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
      if (all.subarray(0, array.byteOffset).some(changed) || all.subarray(end).some(changed))
        fail(`written beside ${ARGUMENTS[i]} (${this.what})`);
    });
  }
}

const MARGIN = 64;
const FILLING = 0x5a;
const changed = (byte: number) => byte !== FILLING;

/** An array of small numbers in the middle of a larger one. */
function inMargins({ types, length }: Wanted, seed: number, allocate: Allocate): Numbers {
  const Type = TYPES[types[0]];
  const bytes = length * Type.BYTES_PER_ELEMENT;
  const around = new Uint8Array(allocate(2 * MARGIN + bytes) as ArrayBuffer).fill(FILLING);
  const array = new Type(around.buffer, MARGIN, length) as Numbers;
  for (let i = 0; i < length; i++)
    array[i] = Type === Uint16Array ? 0x3c00 + ((29 * i + seed) % 512) : ((3 * i + seed) % 7) / 4;
  return array;
}

/** Every operation on every number type, in rows and across them. */
export function* sound(addon: RawAddon): Generator<RawCall> {
  for (let backend = 0; backend < addon.backends.length; backend++) {
    for (const operation of OPERATIONS) {
      for (const type of [0, 1, 2, 3]) {
        for (const inner of layoutsOf(operation)) yield new RawCall(operation, type, inner, backend);
      }
    }
  }
}

/** A call of each operation, number types and layouts by turns. */
export function each(): RawCall[] {
  return OPERATIONS.flatMap((operation, i) =>
    layoutsOf(operation).map((inner, n) => new RawCall(operation, (i + 2 * n) % 4, inner)),
  );
}

// A type that Node-API may have no name for.
const { Float16Array: Float16 } = globalThis as { Float16Array?: typeof Uint16Array };

export const LONG = 100; // more than any array needs

/** What is not an array, arrays of other types, and too short ones of the right type. */
export function garbage({ types, length }: Wanted): unknown[] {
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
    ...(Float16 === undefined ? [] : [Float16]),
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
    Object.defineProperty(new Type(Math.max(0, length - 1)), 'length', { value: LONG }),
    new Type(0),
    new Type(Math.max(0, length - 1)),
    gone,
    shrunk,
    ...others.map((Other) => new Other(LONG)),
  ];
}

const NUMBERS = [
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
  2 ** -1074,
];

const DECIDING = ['operation', 'type', 'mixed', 'kl', 'others', 'metrics', 'features', 'accumulate'] as const;

/** Changes up to three things of a call, or of its arguments `args`, of which the arrays begin at `first`. */
export function spoil(random: Random, call: RawCall, args: unknown[], first = 1): void {
  for (let change = random.below(4); change > 0; change--) {
    const kind = random.below(5);
    const place = random.below(ARGUMENTS.length);
    const wanted = call.wanted[place] ?? { types: ['Float32Array'], length: 4 };
    if (kind === 0) call.slots[FIRST_SLOT + random.below(SLOTS.length)] = random.pick(...NUMBERS);
    else if (kind === 1) call.slots[SLOT[random.pick(...DECIDING)]] += 1;
    else if (kind === 2) call.slots[SLOT.arrays] += random.pick(1, -1) * (1 << place);
    else if (kind === 3) args[first + place] = random.pick(...garbage(wanted as Wanted));
    else call.targets[random.below(ROWS)] = random.pick(0, 1, CLASSES, -1, 2 ** 31 - 1, -(2 ** 31));
  }
}
