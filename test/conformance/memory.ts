// Arrays of every kind that JavaScript has, and callers who lie about theirs: the answer is right or the call is refused, on
// every backend alike.

import type { Functions } from 'smoothloss';
import { type Call, type FunctionName, make as makeCall, type Returned } from '../support/calls.js';
import { detach, growable, otherRealm, resizable, wasmPage } from '../support/memory.js';
import type { OracleLabelSmoothing, OracleTargets } from '../support/oracle.js';
import { backends, onEveryBackend } from './backends.js';
import { type Numbers, type Part, resultBytes, sameBytes } from './pinned.js';
import { Random } from './random.js';
import { type Case, errorOf, fail, same, sameElements, type Table } from './table.js';

const ROWS = 6;
const CLASSES = 37;

const { Float16Array: Float16 = Uint16Array } = globalThis as { Float16Array?: Uint16ArrayConstructor };
const CONSTRUCTORS = {
  Float32Array,
  Float64Array,
  Uint16Array,
  Int32Array,
  Uint8Array,
  Float16Array: Float16,
};
type Kind = keyof typeof CONSTRUCTORS;
/** An array of that kind with these elements, for the named place in a call. */
type Make = (kind: Kind, values: readonly number[], name: string) => Numbers;

/** A call with an array in every place that takes one. */
interface Sample {
  name: string;
  make(make: Make): Call;
  /** The places, the gradient last. */
  places: readonly string[];
  /** Options that the call could have as well. */
  unset: readonly string[];
}

function sample(
  name: FunctionName,
  what: string,
  unset: readonly string[],
  draw: (make: Make) => Call,
): Sample {
  const places: string[] = [];
  draw((kind, values, place) => {
    places.push(place);
    return plain(kind, values);
  });
  return { name: `${name} ${what}`, make: (make) => ({ ...draw(make), name }), places, unset };
}

const plain = (kind: Kind, values: readonly number[]): Numbers => CONSTRUCTORS[kind].from(values) as Numbers;

const random = new Random(1);
const floats = (length: number) => Array.from({ length }, () => Math.fround(random.uniform()));
const halves = (length: number) => Array.from({ length }, () => 0x3c00 + random.below(0x400));
const zeros = (length: number) => new Array<number>(length).fill(0);
const FIRST = [3, 36, 0, 7, -100, 20];
const SECOND = [36, 5, 1, 7, 9, 0];
const ROW_MASK = [1, 2, 0, 1, 1, 9];

const ELEMENTS = floats(ROWS * CLASSES);
const HALF_ELEMENTS = halves(ROWS * CLASSES);
const PER_CLASS = floats(CLASSES);
const PER_ROW = floats(ROWS);
const BITS = ELEMENTS.map((x) => Math.round(x));
/** As many as rows, so that linearWeight has as many elements as logits have. */
const FEATURES = ROWS;
const LAYER_INPUT = floats(ROWS * FEATURES);
const STRIDE = CLASSES + 3;
const STRIDED = floats(ROWS * STRIDE);

const SAMPLES: readonly Sample[] = [
  sample('crossEntropy', 'of class indices', ['normalizer', 'whenEmpty', 'rowStride', 'metrics'], (make) => ({
    logits: make('Float32Array', ELEMENTS, 'logits') as Float32Array,
    targets: make('Int32Array', FIRST, 'targets'),
    options: {
      classes: CLASSES,
      weight: make('Float32Array', PER_CLASS, 'weight'),
      rowWeight: make('Float32Array', PER_ROW, 'rowWeight'),
      mask: make('Uint8Array', ROW_MASK, 'mask'),
      labelSmoothing: {
        epsilon: make('Float32Array', PER_ROW.toReversed(), 'epsilon'),
        prior: make('Float32Array', PER_CLASS.toReversed(), 'prior'),
        exclude: [1, 2],
        over: 'others',
      },
      reduction: 'none',
      gradientScale: make('Float32Array', PER_ROW, 'gradientScale'),
      perRow: ['loss', 'prediction'],
      gradient: make('Float32Array', zeros(ROWS * CLASSES), 'gradient') as Float32Array,
    },
  })),
  sample('crossEntropy', 'of soft targets, float16', ['normalizer', 'whenEmpty', 'rowStride'], (make) => ({
    logits: make('Uint16Array', HALF_ELEMENTS, 'logits') as Uint16Array,
    targets: make('Float64Array', ELEMENTS, 'targets'),
    options: {
      classes: CLASSES,
      dtype: 'float16',
      weight: make('Float32Array', PER_CLASS, 'weight'),
      mask: make('Uint8Array', ROW_MASK, 'mask'),
      labelSmoothing: { epsilon: 0.125, prior: make('Float32Array', PER_CLASS.toReversed(), 'prior') },
      logitScale: 0.5,
      softcap: 4,
      zLoss: 0.125,
      inner: 3,
      metrics: true,
      form: 'kl',
      gradient: make('Uint16Array', zeros(ROWS * CLASSES), 'gradient') as Uint16Array,
    },
  })),
  sample('crossEntropy', 'of mixed targets, float64', ['normalizer', 'whenEmpty', 'inner'], (make) => ({
    logits: make('Float64Array', STRIDED, 'logits') as Float64Array,
    targets: {
      a: make('Int32Array', FIRST, 'targets.a'),
      b: make('Uint8Array', SECOND, 'targets.b'),
      lambda: make('Float32Array', PER_ROW, 'targets.lambda'),
    },
    options: {
      classes: CLASSES,
      rowStride: STRIDE,
      weight: make('Float32Array', PER_CLASS, 'weight'),
      rowWeight: make('Float32Array', PER_ROW, 'rowWeight'),
      labelSmoothing: 0.25,
      gradient: make('Float64Array', zeros(ROWS * STRIDE), 'gradient') as Float64Array,
    },
  })),
  sample(
    'bceWithLogits',
    'of numbers for each element',
    ['normalizer', 'whenEmpty', 'inner', 'softcap'],
    (make) => ({
      logits: make('Float32Array', STRIDED, 'logits') as Float32Array,
      targets: make('Uint8Array', BITS, 'targets'),
      options: {
        classes: CLASSES,
        rowStride: STRIDE,
        weight: make('Float32Array', ELEMENTS.toReversed(), 'weight'),
        posWeight: make('Float32Array', PER_CLASS, 'posWeight'),
        rowWeight: make('Float32Array', PER_ROW, 'rowWeight'),
        mask: make('Uint8Array', BITS.toReversed(), 'mask'),
        labelSmoothing: { epsilon: 0.25, toward: 0.75 },
        reduction: 'none',
        gradientScale: make('Float32Array', PER_ROW, 'gradientScale'),
        gradient: make('Float32Array', zeros(ROWS * STRIDE), 'gradient') as Float32Array,
      },
    }),
  ),
  sample('bceWithLogits', 'of class indices, bfloat16', ['normalizer', 'rowStride'], (make) => ({
    logits: make('Uint16Array', HALF_ELEMENTS, 'logits') as Uint16Array,
    targets: make('Int32Array', FIRST, 'targets'),
    options: {
      classes: CLASSES,
      dtype: 'bfloat16',
      inner: 2,
      weight: make('Float32Array', PER_CLASS, 'weight'),
      mask: make('Uint8Array', ROW_MASK, 'mask'),
      ignoreIndex: [-100, 7],
      gradient: make('Uint16Array', zeros(ROWS * CLASSES), 'gradient') as Uint16Array,
    },
  })),
  sample('klDiv', 'of float64', ['normalizer', 'inner', 'dtype'], (make) => ({
    logits: make('Float64Array', ELEMENTS, 'logits') as Float64Array,
    targets: make('Float32Array', ELEMENTS.toReversed(), 'targets'),
    options: {
      classes: CLASSES,
      weight: make('Float32Array', PER_CLASS, 'weight'),
      rowWeight: make('Float32Array', PER_ROW, 'rowWeight'),
      mask: make('Uint8Array', ROW_MASK, 'mask'),
      logTarget: true,
      reduction: 'none',
      gradientScale: make('Float32Array', PER_ROW, 'gradientScale'),
      gradient: make('Float64Array', zeros(ROWS * CLASSES), 'gradient') as Float64Array,
    },
  })),
  sample('nllLoss', 'of mixed targets', ['normalizer', 'rowStride', 'dtype'], (make) => ({
    logits: make('Float16Array', Float16 === Uint16Array ? HALF_ELEMENTS : ELEMENTS, 'logits') as Uint16Array,
    targets: {
      a: make('Int32Array', FIRST, 'targets.a'),
      b: make('Int32Array', SECOND, 'targets.b'),
      lambda: make('Float32Array', PER_ROW, 'targets.lambda'),
    },
    options: {
      classes: CLASSES,
      ...(Float16 === Uint16Array ? { dtype: 'float16' } : {}),
      weight: make('Float32Array', PER_CLASS, 'weight'),
      mask: make('Uint8Array', ROW_MASK, 'mask'),
      labelSmoothing: {
        epsilon: make('Float32Array', PER_ROW.toReversed(), 'epsilon'),
        prior: make('Float32Array', PER_CLASS.toReversed(), 'prior'),
      },
      perRow: ['loss', 'nll', 'prediction'],
      metrics: true,
      gradient: make('Float16Array', zeros(ROWS * CLASSES), 'gradient') as Uint16Array,
    },
  })),
  sample('nllLoss', 'of class indices', ['form', 'metrics'], (make) => ({
    logits: make('Float32Array', ELEMENTS, 'logits') as Float32Array,
    targets: make('Uint8Array', SECOND, 'targets'),
    options: {
      classes: CLASSES,
      mask: make('Uint8Array', ROW_MASK, 'mask'),
      labelSmoothing: 0.25,
      gradient: make('Float32Array', zeros(ROWS * CLASSES), 'gradient') as Float32Array,
    },
  })),
  sample('linearCrossEntropy', 'of class indices', ['softcap', 'metrics'], (make) => ({
    logits: make('Float32Array', LAYER_INPUT, 'input') as Float32Array,
    linearWeight: make('Float32Array', ELEMENTS, 'linearWeight') as Float32Array,
    targets: make('Int32Array', FIRST, 'targets'),
    options: {
      classes: CLASSES,
      linearBias: make('Float32Array', PER_CLASS.toReversed(), 'linearBias') as Float32Array,
      weight: make('Float32Array', PER_CLASS, 'weight'),
      rowWeight: make('Float32Array', PER_ROW, 'rowWeight'),
      labelSmoothing: 0.25,
      perRow: ['loss', 'prediction'],
      gradient: {
        input: make('Float32Array', zeros(ROWS * FEATURES), 'gradient.input') as Float32Array,
        linearWeight: make('Float32Array', zeros(CLASSES * FEATURES), 'gradient') as Float32Array,
      },
    },
  })),
  sample('smoothLabels', 'of mixed targets', [], (make) => ({
    logits: new Float32Array(0),
    targets: {
      a: make('Int32Array', FIRST, 'targets.a'),
      b: make('Int32Array', SECOND, 'targets.b'),
      lambda: make('Float32Array', PER_ROW, 'targets.lambda'),
    },
    options: {
      classes: CLASSES,
      ignoreIndex: [-100, 20],
      mask: make('Uint8Array', ROW_MASK, 'mask'),
      labelSmoothing: {
        epsilon: make('Float32Array', PER_ROW.toReversed(), 'epsilon'),
        prior: make('Float32Array', PER_CLASS.toReversed(), 'prior'),
        exclude: 3,
      },
    },
  })),
  sample('smoothLabels', 'of soft targets', ['mask'], (make) => ({
    logits: new Float32Array(0),
    targets: make('Float64Array', ELEMENTS, 'targets'),
    options: { classes: CLASSES, labelSmoothing: 0.125 },
  })),
];

// What each sample gives on each backend.
const expected = new Map(
  SAMPLES.map((each) => [
    each.name,
    new Map(backends.map((functions) => [functions, resultBytes(functions, each.make(plain))])),
  ]),
);
const expectedOf = (functions: Functions, { name }: Sample): Part[] =>
  expected.get(name)?.get(functions) ?? fail('no plain result');

function expectPlain(functions: Functions, each: Sample, call: Call, what: string): void {
  sameBytes(resultBytes(functions, call), expectedOf(functions, each), what);
}

/** One case for each sample on each backend. */
function onEverySample(name: string, run: (functions: Functions, each: Sample) => void): Case[] {
  return SAMPLES.flatMap((each) =>
    onEveryBackend(`${name}, ${each.name}`, (functions) => run(functions, each)),
  );
}

/** A typed array of that kind on memory of any kind. */
function view(kind: Kind, memory: ArrayBufferLike, byteOffset = 0, length?: number): Numbers {
  return new CONSTRUCTORS[kind](memory as ArrayBuffer, byteOffset, length);
}

function filled<A extends Numbers>(array: A, values: readonly number[]): A {
  array.set(values);
  return array;
}

class MyFloats extends Float32Array {}
class MyDoubles extends Float64Array {}
class MyHalves extends Uint16Array {}
class MyInts extends Int32Array {}
class MyBytes extends Uint8Array {}
class MyFloat16s extends Float16 {}

function kindsOfMemory(): Case[] {
  const kinds: Record<string, (kind: Kind, values: readonly number[]) => Numbers> = {
    'shared memory': (kind, values) =>
      filled(view(kind, new SharedArrayBuffer(values.length * 8), 0, values.length), values),
    'shared memory at an offset': (kind, values) =>
      filled(view(kind, new SharedArrayBuffer(values.length * 8 + 24), 24, values.length), values),
    'resizable memory': (kind, values) =>
      filled(view(kind, resizable(values.length * 8 + 8), 8, values.length), values),
    'resizable memory, its length tracked': (kind, values) => {
      const buffer = resizable(8, 4096);
      const array = view(kind, buffer, 8);
      buffer.resize(8 + values.length * CONSTRUCTORS[kind].BYTES_PER_ELEMENT);
      return filled(array, values);
    },
    'growable shared memory, grown': (kind, values) => {
      const buffer = growable(values.length * 8);
      const array = view(kind, buffer, 0, values.length);
      buffer.grow(values.length * 16);
      return filled(array, values);
    },
    'memory of WebAssembly': (kind, values) => filled(view(kind, wasmPage(), 64, values.length), values),
    'one buffer for all': (() => {
      const buffer = new ArrayBuffer(1 << 16);
      let at = 0;
      return (kind: Kind, values: readonly number[]) => {
        if (at > 1 << 15) at = 0;
        const array = view(kind, buffer, at, values.length);
        at += Math.ceil(array.byteLength / 8) * 8; // right next to each other
        return filled(array, values);
      };
    })(),
    'another realm': (kind, values) => otherRealm(`${kind}.from(${JSON.stringify(values)})`) as Numbers,
    subclasses: (kind, values) =>
      ({
        Float32Array: MyFloats,
        Float64Array: MyDoubles,
        Uint16Array: MyHalves,
        Int32Array: MyInts,
        Uint8Array: MyBytes,
        Float16Array: MyFloat16s,
      })[kind].from(values) as Numbers,
    'a Buffer for bytes': (kind, values) =>
      kind === 'Uint8Array' ? Buffer.from(values) : plain(kind, values),
  };
  if (Float16 === Uint16Array) {
    const foreign = kinds['another realm'];
    kinds['another realm'] = (kind, values) =>
      foreign(kind === 'Float16Array' ? 'Uint16Array' : kind, values);
  }
  const cases = Object.entries(kinds).flatMap(([name, make]) =>
    onEverySample(`arrays of ${name}`, (functions, each) =>
      expectPlain(functions, each, each.make(make), name),
    ),
  );
  cases.push(
    ...onEverySample('options and lists of another realm, or without a prototype', (functions, each) => {
      const call = each.make(plain);
      const foreign = (value: unknown): unknown => {
        if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
        if (Array.isArray(value)) return otherRealm(JSON.stringify(value));
        const parts = Object.entries(value).map(([name, part]) => [name, foreign(part)]);
        return Object.assign(Object.create(null), Object.fromEntries(parts));
      };
      const options = Object.assign(otherRealm('({})') as object, foreign(call.options)) as Call['options'];
      const targets = foreign(call.targets) as OracleTargets;
      expectPlain(functions, each, { ...call, targets, options }, 'options of another realm');
    }),
    ...onEverySample('options that a class or a prototype has', (functions, each) => {
      const call = each.make(plain);
      const { classes, mask, labelSmoothing, ...own } = call.options;
      class Options {
        mask = mask;
        get classes() {
          return classes;
        }
      }
      const bequeath = (object: object) => Object.create({ ...object });
      const options = Object.assign(Object.create(new Options()), own);
      if (typeof labelSmoothing === 'object') options.labelSmoothing = bequeath(labelSmoothing);
      else if (labelSmoothing !== undefined) options.labelSmoothing = labelSmoothing;
      const targets = 'a' in call.targets ? bequeath(call.targets) : call.targets;
      expectPlain(functions, each, { ...call, targets, options }, 'inherited options');
    }),
    ...onEverySample('a gradient right before or after any other array', (functions, each) => {
      for (const place of each.places.slice(0, -1)) {
        for (const before of [true, false]) {
          const buffer = new ArrayBuffer(1 << 14);
          const middle = 1 << 13;
          const at = (kind: Kind, { length }: readonly number[], low: boolean) =>
            view(kind, buffer, low ? middle - length * CONSTRUCTORS[kind].BYTES_PER_ELEMENT : middle, length);
          const call = each.make((kind, values, name) => {
            if (name === 'gradient') return at(kind, values, before);
            return name === place ? filled(at(kind, values, !before), values) : plain(kind, values);
          });
          expectPlain(functions, each, call, `${place} ${before ? 'after' : 'before'} the gradient`);
        }
      }
    }),
    ...onEverySample('BigInt classes in memory of every kind', (functions, each) => {
      const makers = [
        () => new BigInt64Array(new SharedArrayBuffer(80), 16, ROWS),
        () => new BigInt64Array(resizable(80), 8, ROWS),
        () => {
          const buffer = resizable(8, 4096);
          const array = new BigInt64Array(buffer);
          buffer.resize(8 * ROWS);
          return array;
        },
        () => otherRealm(`new BigInt64Array(${ROWS})`) as BigInt64Array<ArrayBuffer>,
      ];
      for (const make of makers) {
        const call = each.make((kind, values) => {
          if (kind !== 'Int32Array') return plain(kind, values);
          const array = make();
          array.set(values.map(BigInt));
          return array as unknown as Numbers;
        });
        expectPlain(functions, each, call, 'BigInt classes');
      }
    }),
    ...onEveryBackend('no rows at all', (functions) => {
      const none = new Float32Array(0);
      const lists = { a: new Int32Array(0), b: new Int16Array(0), lambda: none };
      const calls: [FunctionName, OracleTargets][] = [
        ['crossEntropy', new Uint8Array(0)],
        ['crossEntropy', none],
        ['crossEntropy', lists],
        ['bceWithLogits', new Uint8Array(0)],
        ['bceWithLogits', new Int32Array(0)],
        ['klDiv', new Float64Array(0)],
        ['nllLoss', lists],
      ];
      for (const [name, targets] of calls) {
        for (const gradient of [true, new Float32Array(0)] as const) {
          for (const layout of [{ rowStride: 3 }, { rowStride: 5 }, { inner: 4 }]) {
            const options = { classes: 3, gradient, reduction: 'none', ...layout } as const;
            const result = makeCall(functions, { name, logits: none, targets, options });
            same(result.gradient?.length, 0, `the length of the gradient of ${name}`);
            same(result.losses?.length, 0, `the length of losses of ${name}`);
            same(result.numerator, 0, `the numerator of ${name}`);
          }
        }
      }
      for (const targets of [new Int32Array(0), none, lists]) {
        same(functions.smoothLabels(targets, { classes: 3 }).length, 0, 'the length of the labels');
      }
    }),
  );
  return cases;
}

// The elements of an array, whatever its own properties say.
const elementsOf = (array: unknown): number[] => {
  const values: () => Iterable<number> = Object.getPrototypeOf(Float32Array.prototype).values;
  return Array.from(values.call(array));
};

/** The call is refused with one of the documented codes and nothing written, or its result is the plain one. */
function rightOrRefused(functions: Functions, each: Sample, call: Call, what: string): string {
  const { gradient } = call.options;
  const right = expectedOf(functions, each);
  let code = 'none';
  let result: Returned | undefined;
  try {
    result = makeCall(functions, call);
  } catch (error) {
    code = String((error as { code?: unknown }).code);
    if (!['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_LENGTH_MISMATCH', 'ERR_OVERLAP'].includes(code)) {
      fail(`${what}: ${error}`);
    }
  }
  const [numbers] = right;
  const gradients = ArrayBuffer.isView(gradient) ? [gradient] : Object.values(gradient ?? {});
  gradients.forEach((array, i) => {
    const now = elementsOf(array);
    if (code !== 'none' && now.some((x) => !Object.is(x, 0)))
      fail(`${what}: refused, but the gradient was written`);
    if (code === 'none')
      sameElements(now, right.at(i - gradients.length)?.[1] as Numbers, `the gradient, ${what}: accepted`);
  });
  if (result?.labels !== undefined)
    sameBytes([['labels', result.labels]], right.slice(1), `${what}: accepted`);
  else if (result !== undefined) same(result.numerator, numbers[1][0], `the numerator, ${what}: accepted`);
  return code;
}

/** Own properties that shadow those of a typed array: what they say is not so. */
function lies(): Case[] {
  const shadowed: [string, (array: Numbers) => unknown][] = [
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
  const outcomes = (each: Sample, change: (array: Numbers, name: string) => unknown) => {
    const codes = backends.map((functions) => {
      const call = each.make((kind, values, name) => {
        const array = plain(kind, values);
        change(array, name);
        return array;
      });
      return rightOrRefused(functions, each, call, functions.backend.name);
    });
    same(new Set(codes).size, 1, `the number of different outcomes (${codes})`);
  };
  return SAMPLES.flatMap((each) =>
    each.places.flatMap((place) => [
      {
        name: `${place} without a prototype, ${each.name}`,
        run: () => outcomes(each, (array, name) => name === place && Object.setPrototypeOf(array, null)),
      },
      ...shadowed.map(
        ([property, lie], i): Case => ({
          name: `${place} with a ${property} of its own (${i}), ${each.name}`,
          run: () =>
            outcomes(
              each,
              (array, name) =>
                name === place && Object.defineProperty(array, property, { value: lie(array) }),
            ),
        }),
      ),
    ]),
  );
}

/** Own getters that take the memory of another array away, at the first or a later use. */
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
  const detaches = (each: Sample, place: string, property: string, patience: number) => {
    for (const functions of backends) {
      let uses = 0;
      const arrays: Numbers[] = [];
      const call = each.make((kind, values, name) => {
        const array = plain(kind, values);
        arrays.push(array);
        if (name === place) {
          Object.defineProperty(array, property, {
            get() {
              if (uses++ === patience) detach(arrays[0].buffer);
              return Reflect.get(Object.getPrototypeOf(array), property, array);
            },
          });
        }
        return array;
      });
      rightOrRefused(functions, each, call, functions.backend.name);
    }
  };
  return SAMPLES.flatMap((each) =>
    each.places.flatMap((place) =>
      properties.flatMap((property) =>
        [0, 1, 2].map(
          (patience): Case => ({
            name: `${place} whose ${property}, at use ${patience}, detaches ${each.places[0]}, ${each.name}`,
            run: () => detaches(each, place, property, patience),
          }),
        ),
      ),
    ),
  );
}

/** Where an option is: among the options, in labelSmoothing or in mixed targets. */
function optionsOf(each: Sample): string[] {
  const { options, targets } = each.make(plain);
  const { labelSmoothing } = options;
  return [
    ...Object.keys(options),
    ...each.unset,
    ...(typeof labelSmoothing === 'object' ? Object.keys(labelSmoothing) : []).map(
      (name) => `labelSmoothing.${name}`,
    ),
    ...('a' in targets ? ['targets.a', 'targets.b', 'targets.lambda'] : []),
  ];
}

/** The call with a getter for that option, which does something first. */
function trapped(call: Call, name: string, act: () => void): Call {
  const { labelSmoothing } = call.options;
  const changed: Call = { ...call, options: { ...call.options } };
  let object: object = changed.options;
  if (name.startsWith('labelSmoothing.')) {
    object = changed.options.labelSmoothing = { ...(labelSmoothing as OracleLabelSmoothing) };
  } else if (name.startsWith('targets.')) {
    changed.targets = { ...(call.targets as Exclude<OracleTargets, ArrayLike<unknown>>) };
    object = changed.targets;
  }
  const key = name.slice(name.indexOf('.') + 1);
  const value = Reflect.get(object, key);
  Object.defineProperty(object, key, {
    enumerable: true,
    get() {
      act();
      return value;
    },
  });
  return changed;
}

/** Options are read before the arrays are looked at, so code among them finds nothing half done. */
function getters(): Case[] {
  const cases: Case[] = [];
  for (const each of SAMPLES) {
    const run = (functions: Functions, call: Call) => () => makeCall(functions, call);
    for (const name of optionsOf(each)) {
      for (const victim of each.places) {
        cases.push(
          ...onEveryBackend(`a getter of ${name} that detaches ${victim}, ${each.name}`, (functions) => {
            const arrays: Record<string, Numbers> = {};
            const call = each.make((kind, values, place) => {
              arrays[place] = plain(kind, values);
              return arrays[place];
            });
            const hostile = trapped(call, name, () => detach(arrays[victim].buffer));
            const error = errorOf(run(functions, hostile));
            same(error.code, 'ERR_INVALID_ARG_TYPE', `the code of ${error}`);
            if (!error.message.endsWith('whose buffer is detached: must be attached')) fail(error.message);
            if (victim !== 'gradient' && arrays.gradient !== undefined)
              sameElements(arrays.gradient, zeros(arrays.gradient.length), 'gradient');
          }),
        );
      }
      cases.push(
        ...onEveryBackend(`a getter of ${name} that throws, ${each.name}`, (functions) => {
          const mine = new Error('mine');
          const call = trapped(each.make(plain), name, () => {
            throw mine;
          });
          same(errorOf(run(functions, call)), mine, 'the error');
        }),
        ...onEveryBackend(
          `a getter of ${name} that calls the functions, and is called once, ${each.name}`,
          (functions) => {
            let uses = 0;
            const call = trapped(each.make(plain), name, () => {
              uses++;
              const other = new Float32Array(9000);
              const targets = new Int32Array(3000).fill(2);
              functions.crossEntropy(other, targets, { classes: 3, gradient: other });
              functions.nllLoss(other, { a: targets, b: targets, lambda: 0.5 }, { classes: 3 });
            });
            expectPlain(functions, each, call, name);
            same(uses, 1, 'how often it was called');
          },
        ),
      );
    }
    cases.push(
      ...onEveryBackend(`lists whose getters detach ${each.places[0]}, ${each.name}`, (functions) => {
        for (const list of ['ignoreIndex', 'exclude', 'perRow'] as const) {
          const arrays: Numbers[] = [];
          const call = each.make((kind, values) => {
            arrays.push(plain(kind, values));
            return arrays.at(-1) as Numbers;
          });
          const { labelSmoothing } = call.options;
          const smoothing = typeof labelSmoothing === 'object' ? labelSmoothing : undefined;
          const holder: Record<string, unknown> | undefined =
            list === 'exclude' ? (smoothing as Record<string, unknown> | undefined) : { ...call.options };
          if (holder?.[list] === undefined) continue;
          const array: unknown[] = Array.isArray(holder[list]) ? [...holder[list]] : [holder[list]];
          const [first] = array;
          Object.defineProperty(array, 0, {
            get: () => {
              detach(arrays[0].buffer);
              return first;
            },
          });
          holder[list] = array;
          const options = (list === 'exclude' ? call.options : holder) as Call['options'];
          const error = errorOf(run(functions, { ...call, options }));
          same(error.code, 'ERR_INVALID_ARG_TYPE', `the code of ${error}`);
        }
      }),
    );
  }
  cases.push(
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

export const tables: Table[] = [
  { name: 'memory of every kind', cases: kindsOfMemory() },
  { name: 'arrays that lie', cases: lies() },
  { name: 'arrays that detach others', cases: traps() },
  { name: 'options with getters', cases: getters() },
];
