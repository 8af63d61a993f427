// What is refused: for each wrong call the class, the code and the whole message, and that nothing was written.

import { detach, otherRealm, resizable } from '../support/memory.js';
import { backends } from './backends.js';
import { type Case, errorOf, fail, same, type Table } from './table.js';

interface Call {
  logits: unknown;
  targets: unknown;
  options: unknown;
}

type Refusal = [name: string, call: () => Call, code: keyof typeof CLASSES, message: string];

const CLASSES = {
  ERR_INVALID_ARG_TYPE: TypeError,
  ERR_OUT_OF_RANGE: RangeError,
  ERR_LENGTH_MISMATCH: RangeError,
  ERR_OVERLAP: RangeError,
  ERR_EMPTY: RangeError,
};

const TYPE = 'ERR_INVALID_ARG_TYPE';
const RANGE = 'ERR_OUT_OF_RANGE';
const LENGTH = 'ERR_LENGTH_MISMATCH';

// A call with nothing wrong: 3 rows of 4 classes, in place, so that a refusal that comes too late shows.
const goodLogits = () => Float32Array.from({ length: 12 }, (_, i) => (i * 7) % 5);
const goodTargets = () => Int32Array.of(0, 1, 3);

/** The good call with other options. */
function options(change: Record<string, unknown>): () => Call {
  return () => {
    const logits = goodLogits();
    return { logits, targets: goodTargets(), options: { classes: 4, gradient: logits, ...change } };
  };
}

const smoothing = (change: Record<string, unknown>) =>
  options({ labelSmoothing: { epsilon: 0.1, ...change } });
const perRow = (change: Record<string, unknown>) => options({ reduction: 'none', ...change });

/** The good call with other targets. */
function targets(value: unknown, change: Record<string, unknown> = {}): () => Call {
  return () => ({ ...options(change)(), targets: value });
}

/** The good call with other logits, not in place. */
function logits(value: unknown, change: Record<string, unknown> = {}): () => Call {
  return () => ({
    logits: value,
    targets: goodTargets(),
    options: { classes: 4, gradient: true, ...change },
  });
}

const floats = (...values: number[]) => Float32Array.from(values);

function detached<A extends ArrayBufferView>(array: A): A {
  detach(array.buffer);
  return array;
}

const KNOWN =
  'classes, labelSmoothing, weight, rowWeight, ignoreIndex, mask, reduction, normalizer, whenEmpty, gradient, gradientScale, rowStride';
const KNOWN_SMOOTHING = 'epsilon, over, exclude, prior';
const INDEX_ARRAY =
  'an Int8Array, Int16Array, Int32Array, Uint8Array, Uint16Array, Uint32Array, BigInt64Array or BigUint64Array';
const DETACHED = 'of length 0 whose buffer is detached: must be attached';
const NORMALIZER = "must be a finite number above 0, or 'weight', 'rows' or 'all'";
const SCALE = 'must be a finite number, within the range of float32';
const FACTOR = 'must be a finite number, at least 0';

const optionsRefused: Refusal[] = [
  ...(
    [
      ['undefined', undefined, 'undefined'],
      ['null', null, 'null'],
      ['a number', 4, '4'],
      ['a string', '4', '"4"'],
      ['a function', () => 4, 'a function'],
      ['an array', [4], 'an array of length 1'],
      ['a typed array', floats(4, 5, 6), 'a Float32Array of length 3'],
    ] as const
  ).map(
    ([name, value, shown]): Refusal => [
      `options are ${name}`,
      () => ({ ...options({})(), options: value }),
      TYPE,
      `options is ${shown}: must be an object that holds at least classes`,
    ],
  ),
  [
    'nothing at all',
    () => ({ logits: undefined, targets: undefined, options: {} }),
    TYPE,
    'classes is undefined: must be an integer from 1 to 2^31 - 1',
  ],
];

const unknownOptions: Refusal[] = [
  ...(
    [
      ['label_smoothing', 'labelSmoothing'],
      ['labelsmoothing', 'labelSmoothing'],
      ['LABEL_SMOOTHING', 'labelSmoothing'],
      ['ignore_index', 'ignoreIndex'],
      ['rowweight', 'rowWeight'],
      ['row_weight', 'rowWeight'],
      ['Reduction', 'reduction'],
    ] as const
  ).map(
    ([wrong, right]): Refusal => [
      `an option ${wrong}`,
      options({ [wrong]: 0.1 }),
      TYPE,
      `options.${wrong} is not an option: did you mean ${right}?`,
    ],
  ),
  [
    'an option nobody knows',
    options({ colour: 'red' }),
    TYPE,
    `options.colour is not an option: must be one of ${KNOWN}`,
  ],
  [
    'an unknown option that is undefined',
    options({ colour: undefined }),
    TYPE,
    `options.colour is not an option: must be one of ${KNOWN}`,
  ],
  [
    'an option of other functions',
    options({ dtype: 'float16' }),
    TYPE,
    `options.dtype is not an option: must be one of ${KNOWN}`,
  ],
  [
    'an inherited unknown option',
    () => ({ ...options({})(), options: Object.create({ classes: 4, colour: 1 }) }),
    TYPE,
    `options.colour is not an option: must be one of ${KNOWN}`,
  ],
  [
    'an unknown option of labelSmoothing',
    smoothing({ eps: 0.1 }),
    TYPE,
    `labelSmoothing.eps is not an option: must be one of ${KNOWN_SMOOTHING}`,
  ],
  [
    'an option of labelSmoothing, wrongly spelt',
    smoothing({ Exclude: 1 }),
    TYPE,
    'labelSmoothing.Exclude is not an option: did you mean exclude?',
  ],
];

const classesRefused = (
  [
    [undefined, TYPE, 'undefined'],
    [null, TYPE, 'null'],
    ['4', TYPE, '"4"'],
    [4n, TYPE, '4n'],
    [[4], TYPE, 'an array of length 1'],
    [{}, TYPE, 'an object'],
    [true, TYPE, 'true'],
    [Symbol('four'), TYPE, 'Symbol(four)'],
    [() => 4, TYPE, 'a function'],
    [0, RANGE, '0'],
    [-0, RANGE, '-0'],
    [-4, RANGE, '-4'],
    [2.5, RANGE, '2.5'],
    [NaN, RANGE, 'NaN'],
    [Infinity, RANGE, 'Infinity'],
    [2 ** 31, RANGE, '2147483648'],
    [2 ** 53, RANGE, '9007199254740992'],
  ] as const
).map(
  ([classes, code, shown]): Refusal => [
    `classes ${shown}`,
    options({ classes }),
    code,
    `classes is ${shown}: must be an integer from 1 to 2^31 - 1`,
  ],
);

const smoothingRefused: Refusal[] = [
  ...(
    [
      [null, 'null'],
      ['0.1', '"0.1"'],
      [true, 'true'],
      [1n, '1n'],
      [() => 0.1, 'a function'],
      [[0.1], 'an array of length 1'],
      [floats(0.1, 0.1, 0.1), 'a Float32Array of length 3'],
      [new Float32Array(0), 'a Float32Array of length 0'],
    ] as const
  ).map(
    ([labelSmoothing, shown]): Refusal => [
      `labelSmoothing ${shown}`,
      options({ labelSmoothing }),
      TYPE,
      `labelSmoothing is ${shown}: must be a number in [0, 1] or an object`,
    ],
  ),
  ...[-0.1, 1.1, -(2 ** -1074), 1 + 2 ** -52, NaN, Infinity, -Infinity].flatMap((epsilon): Refusal[] => [
    [
      `labelSmoothing ${epsilon}`,
      options({ labelSmoothing: epsilon }),
      RANGE,
      `labelSmoothing is ${epsilon}: must be in [0, 1]`,
    ],
    [
      `epsilon ${epsilon}`,
      smoothing({ epsilon }),
      RANGE,
      `labelSmoothing.epsilon is ${epsilon}: must be in [0, 1]`,
    ],
  ]),
  ...(
    [
      [undefined, 'undefined'],
      [null, 'null'],
      ['0.1', '"0.1"'],
      [[0.1, 0.1, 0.1], 'an array of length 3'],
      [Float64Array.of(0.1, 0.1, 0.1), 'a Float64Array of length 3'],
    ] as const
  ).map(
    ([epsilon, shown]): Refusal => [
      `epsilon ${shown}`,
      smoothing({ epsilon }),
      TYPE,
      `labelSmoothing.epsilon is ${shown}: must be a number in [0, 1] or a Float32Array of them`,
    ],
  ),
  [
    'an empty labelSmoothing',
    options({ labelSmoothing: {} }),
    TYPE,
    'labelSmoothing.epsilon is undefined: must be a number in [0, 1] or a Float32Array of them',
  ],
  [
    'epsilon of another length',
    smoothing({ epsilon: floats(0.1, 0.1) }),
    LENGTH,
    'labelSmoothing.epsilon has length 2: must have targets.length = 3',
  ],
  [
    'epsilon detached',
    () => smoothing({ epsilon: detached(floats(0.1, 0.1, 0.1)) })(),
    TYPE,
    `labelSmoothing.epsilon is a Float32Array ${DETACHED}`,
  ],
  [
    'one epsilon out of range',
    smoothing({ epsilon: floats(0.1, 0, 2) }),
    RANGE,
    'labelSmoothing.epsilon[2] is 2: must be in [0, 1]',
  ],
  [
    'one epsilon below 0',
    smoothing({ epsilon: floats(0.1, -0.25, 0) }),
    RANGE,
    'labelSmoothing.epsilon[1] is -0.25: must be in [0, 1]',
  ],
  [
    'one epsilon NaN',
    smoothing({ epsilon: floats(0.1, NaN, 0) }),
    RANGE,
    'labelSmoothing.epsilon[1] is NaN: must be in [0, 1]',
  ],
  [
    'over none',
    smoothing({ over: 'none' }),
    RANGE,
    `labelSmoothing.over is "none": must be 'all' or 'others'`,
  ],
  ['over null', smoothing({ over: null }), TYPE, `labelSmoothing.over is null: must be 'all' or 'others'`],
  ['over 1', smoothing({ over: 1 }), TYPE, `labelSmoothing.over is 1: must be 'all' or 'others'`],
  ...(
    [
      [null, TYPE, 'null'],
      ['1', TYPE, '"1"'],
      [Int32Array.of(1), TYPE, 'an Int32Array of length 1'],
      [new Set([1]), TYPE, 'an object'],
      [4, RANGE, '4'],
      [-1, RANGE, '-1'],
      [1.5, RANGE, '1.5'],
      [NaN, RANGE, 'NaN'],
    ] as const
  ).map(
    ([exclude, code, shown]): Refusal => [
      `exclude ${shown}`,
      smoothing({ exclude }),
      code,
      `labelSmoothing.exclude is ${shown}: must be an integer in [0, 4), or an array of them`,
    ],
  ),
  [
    'exclude a class there is not',
    smoothing({ exclude: [1, 4] }),
    RANGE,
    'labelSmoothing.exclude[1] is 4: must be an integer in [0, 4)',
  ],
  [
    'exclude no number',
    smoothing({ exclude: ['1'] }),
    TYPE,
    'labelSmoothing.exclude[0] is "1": must be an integer in [0, 4)',
  ],
  [
    'exclude a hole',
    smoothing({ exclude: new Array(1) }),
    TYPE,
    'labelSmoothing.exclude[0] is undefined: must be an integer in [0, 4)',
  ],
  [
    'exclude all',
    smoothing({ exclude: [0, 1, 2, 3] }),
    RANGE,
    'labelSmoothing leaves no class to smooth towards: exclude must not hold all of them',
  ],
  ['prior null', smoothing({ prior: null }), TYPE, 'labelSmoothing.prior is null: must be a Float32Array'],
  [
    'prior an array',
    smoothing({ prior: [1, 1, 1, 1] }),
    TYPE,
    'labelSmoothing.prior is an array of length 4: must be a Float32Array (Float32Array.from(labelSmoothing.prior) makes one)',
  ],
  [
    'prior of another length',
    smoothing({ prior: floats(1, 1, 1) }),
    LENGTH,
    'labelSmoothing.prior has length 3: must have classes = 4',
  ],
  [
    'prior below 0',
    smoothing({ prior: floats(1, 1, 1, -1) }),
    RANGE,
    `labelSmoothing.prior[3] is -1: ${FACTOR}`,
  ],
  [
    'prior NaN',
    smoothing({ prior: floats(NaN, 1, 1, 1) }),
    RANGE,
    `labelSmoothing.prior[0] is NaN: ${FACTOR}`,
  ],
  [
    'prior Infinity',
    smoothing({ prior: floats(1, Infinity, 1, 1) }),
    RANGE,
    `labelSmoothing.prior[1] is Infinity: ${FACTOR}`,
  ],
  [
    'prior checked though epsilon is 0',
    smoothing({ epsilon: 0, prior: floats(1, 1, 1, -1) }),
    RANGE,
    `labelSmoothing.prior[3] is -1: ${FACTOR}`,
  ],
  [
    'prior 0',
    smoothing({ prior: new Float32Array(4) }),
    RANGE,
    'labelSmoothing leaves no class to smooth towards: prior must be above 0 for a class that is not excluded',
  ],
  [
    'prior 0 but where excluded',
    smoothing({ prior: floats(0, 1, 0, 0), exclude: 1 }),
    RANGE,
    'labelSmoothing leaves no class to smooth towards: prior must be above 0 for a class that is not excluded',
  ],
  [
    'over others, prior on a target alone',
    smoothing({ prior: floats(0, 1, 0, 0), over: 'others' }),
    RANGE,
    "targets[1] is 1: labelSmoothing.over 'others' leaves no other class to smooth towards",
  ],
  [
    'over others, all others excluded',
    smoothing({ exclude: [1, 2, 3], over: 'others' }),
    RANGE,
    "targets[0] is 0: labelSmoothing.over 'others' leaves no other class to smooth towards",
  ],
  [
    'over others, one class',
    () => ({
      logits: new Float32Array(3),
      targets: new Int32Array(3),
      options: { classes: 1, labelSmoothing: { epsilon: 0.1, over: 'others' } },
    }),
    RANGE,
    "targets[0] is 0: labelSmoothing.over 'others' leaves no other class to smooth towards",
  ],
  [
    'weight · prior beyond float32',
    options({
      weight: floats(1, 1, 2 ** 100, 1),
      labelSmoothing: { epsilon: 0.1, prior: floats(1, 1, 2 ** 30, 1) },
    }),
    RANGE,
    `weight[2] · prior[2] is ${2 ** 130}: must be within the range of float32`,
  ],
];

const factorsRefused = (
  [
    ['weight', 4, 'classes = 4'],
    ['rowWeight', 3, 'targets.length = 3'],
  ] as const
).flatMap(([name, length, expected]): Refusal[] => {
  const ones = (at: number, value: number) => new Float32Array(length).fill(1).fill(value, at, at + 1);
  return [
    [`${name} null`, options({ [name]: null }), TYPE, `${name} is null: must be a Float32Array`],
    [`${name} a number`, options({ [name]: 1 }), TYPE, `${name} is 1: must be a Float32Array`],
    [
      `${name} an array`,
      options({ [name]: [1, 1] }),
      TYPE,
      `${name} is an array of length 2: must be a Float32Array (Float32Array.from(${name}) makes one)`,
    ],
    [
      `${name} a Float64Array`,
      options({ [name]: new Float64Array(length) }),
      TYPE,
      `${name} is a Float64Array of length ${length}: must be a Float32Array`,
    ],
    [
      `${name} a DataView`,
      options({ [name]: new DataView(new ArrayBuffer(8)) }),
      TYPE,
      `${name} is a DataView: must be a Float32Array`,
    ],
    [
      `${name} too long`,
      options({ [name]: new Float32Array(length + 1) }),
      LENGTH,
      `${name} has length ${length + 1}: must have ${expected}`,
    ],
    [
      `${name} too short`,
      options({ [name]: new Float32Array(length - 1) }),
      LENGTH,
      `${name} has length ${length - 1}: must have ${expected}`,
    ],
    [
      `${name} empty`,
      options({ [name]: new Float32Array(0) }),
      LENGTH,
      `${name} has length 0: must have ${expected}`,
    ],
    [
      `${name} detached`,
      () => options({ [name]: detached(new Float32Array(length)) })(),
      TYPE,
      `${name} is a Float32Array ${DETACHED}`,
    ],
    [`${name} below 0`, options({ [name]: ones(2, -1) }), RANGE, `${name}[2] is -1: ${FACTOR}`],
    [`${name} NaN`, options({ [name]: ones(0, NaN) }), RANGE, `${name}[0] is NaN: ${FACTOR}`],
    [`${name} Infinity`, options({ [name]: ones(1, Infinity) }), RANGE, `${name}[1] is Infinity: ${FACTOR}`],
    [
      `${name} -Infinity`,
      options({ [name]: ones(1, -Infinity) }),
      RANGE,
      `${name}[1] is -Infinity: ${FACTOR}`,
    ],
  ];
});

const IGNORE = 'must be an integer, or an array of them';
const maskAndIgnoreRefused: Refusal[] = [
  ['ignoreIndex null', options({ ignoreIndex: null }), TYPE, `ignoreIndex is null: ${IGNORE}`],
  ['ignoreIndex a string', options({ ignoreIndex: '-100' }), TYPE, `ignoreIndex is "-100": ${IGNORE}`],
  ['ignoreIndex a BigInt', options({ ignoreIndex: -100n }), TYPE, `ignoreIndex is -100n: ${IGNORE}`],
  [
    'ignoreIndex a typed array',
    options({ ignoreIndex: Int32Array.of(1) }),
    TYPE,
    `ignoreIndex is an Int32Array of length 1: ${IGNORE}`,
  ],
  ['ignoreIndex 1.5', options({ ignoreIndex: 1.5 }), RANGE, `ignoreIndex is 1.5: ${IGNORE}`],
  ['ignoreIndex NaN', options({ ignoreIndex: NaN }), RANGE, `ignoreIndex is NaN: ${IGNORE}`],
  [
    'ignoreIndex -Infinity',
    options({ ignoreIndex: -Infinity }),
    RANGE,
    `ignoreIndex is -Infinity: ${IGNORE}`,
  ],
  [
    'one of ignoreIndex NaN',
    options({ ignoreIndex: [1, NaN] }),
    RANGE,
    'ignoreIndex[1] is NaN: must be an integer',
  ],
  [
    'one of ignoreIndex a string',
    options({ ignoreIndex: ['x'] }),
    TYPE,
    'ignoreIndex[0] is "x": must be an integer',
  ],
  ['mask null', options({ mask: null }), TYPE, 'mask is null: must be a Uint8Array'],
  [
    'mask an array',
    options({ mask: [true, true, false] }),
    TYPE,
    'mask is an array of length 3: must be a Uint8Array (Uint8Array.from(mask) makes one)',
  ],
  [
    'mask an Int8Array',
    options({ mask: new Int8Array(3) }),
    TYPE,
    'mask is an Int8Array of length 3: must be a Uint8Array',
  ],
  [
    'mask a Uint8ClampedArray',
    options({ mask: new Uint8ClampedArray(3) }),
    TYPE,
    'mask is a Uint8ClampedArray of length 3: must be a Uint8Array',
  ],
  [
    'mask too short',
    options({ mask: new Uint8Array(2) }),
    LENGTH,
    'mask has length 2: must have targets.length = 3',
  ],
  [
    'mask detached',
    () => options({ mask: detached(new Uint8Array(3)) })(),
    TYPE,
    `mask is a Uint8Array ${DETACHED}`,
  ],
];

const choicesRefused: Refusal[] = [
  ...(
    [
      ['reduction', "'mean' or 'sum' or 'none'"],
      ['whenEmpty', "'nan' or 'zero' or 'error'"],
    ] as const
  ).flatMap(([name, expected]): Refusal[] => [
    [`${name} null`, options({ [name]: null }), TYPE, `${name} is null: must be ${expected}`],
    [`${name} a number`, options({ [name]: 0 }), TYPE, `${name} is 0: must be ${expected}`],
    [`${name} true`, options({ [name]: true }), TYPE, `${name} is true: must be ${expected}`],
    [`${name} avg`, options({ [name]: 'avg' }), RANGE, `${name} is "avg": must be ${expected}`],
    [`${name} empty`, options({ [name]: '' }), RANGE, `${name} is "": must be ${expected}`],
    [`${name} in capitals`, options({ [name]: 'NONE' }), RANGE, `${name} is "NONE": must be ${expected}`],
    [
      `${name} of 40 characters`,
      options({ [name]: 'x'.repeat(40) }),
      RANGE,
      `${name} is "${'x'.repeat(40)}": must be ${expected}`,
    ],
    [
      `${name} of 41 characters`,
      options({ [name]: 'x'.repeat(41) }),
      RANGE,
      `${name} is "${'x'.repeat(40)}…": must be ${expected}`,
    ],
    [
      `${name} with a newline, and long`,
      options({ [name]: `\n${'x'.repeat(99)}` }),
      RANGE,
      `${name} is "\\n${'x'.repeat(39)}…": must be ${expected}`,
    ],
  ]),
  ['normalizer null', options({ normalizer: null }), TYPE, `normalizer is null: ${NORMALIZER}`],
  ['normalizer true', options({ normalizer: true }), TYPE, `normalizer is true: ${NORMALIZER}`],
  ['normalizer 1n', options({ normalizer: 1n }), TYPE, `normalizer is 1n: ${NORMALIZER}`],
  ['normalizer mean', options({ normalizer: 'mean' }), RANGE, `normalizer is "mean": ${NORMALIZER}`],
  ...[0, -1, NaN, Infinity].map(
    (normalizer): Refusal => [
      `normalizer ${normalizer}`,
      options({ normalizer }),
      RANGE,
      `normalizer is ${normalizer}: ${NORMALIZER}`,
    ],
  ),
  [
    'normalizer checked with the sum too',
    options({ normalizer: 0, reduction: 'sum' }),
    RANGE,
    `normalizer is 0: ${NORMALIZER}`,
  ],
];

const gradientRefused: Refusal[] = [
  ...(
    [
      [null, 'null'],
      ['true', '"true"'],
      [1, '1'],
      [[1], 'an array of length 1'],
      [new Float64Array(12), 'a Float64Array of length 12'],
      [new Uint16Array(12), 'a Uint16Array of length 12'],
      [{}, 'an object'],
      [Float32Array, 'a function'],
    ] as const
  ).map(
    ([gradient, shown]): Refusal => [
      `gradient ${shown}`,
      options({ gradient }),
      TYPE,
      `gradient is ${shown}: must be true, false or a Float32Array`,
    ],
  ),
  [
    'gradient too short',
    options({ gradient: new Float32Array(11) }),
    LENGTH,
    'gradient has length 11: must have logits.length = 12',
  ],
  [
    'gradient too long',
    options({ gradient: new Float32Array(13) }),
    LENGTH,
    'gradient has length 13: must have logits.length = 12',
  ],
  [
    'gradient detached',
    () => options({ gradient: detached(new Float32Array(12)) })(),
    TYPE,
    `gradient is a Float32Array ${DETACHED}`,
  ],
  [
    'gradientScale null',
    options({ gradientScale: null }),
    TYPE,
    "gradientScale is null: must be a number (one per row goes with reduction 'none' only)",
  ],
  [
    'gradientScale a string',
    options({ gradientScale: '1' }),
    TYPE,
    `gradientScale is "1": must be a number (one per row goes with reduction 'none' only)`,
  ],
  [
    'gradientScale per row of a mean',
    options({ gradientScale: floats(1, 1, 1) }),
    TYPE,
    "gradientScale is a Float32Array of length 3: must be a number (one per row goes with reduction 'none' only)",
  ],
  [
    'gradientScale per row of a sum',
    options({ gradientScale: floats(1, 1, 1), reduction: 'sum' }),
    TYPE,
    "gradientScale is a Float32Array of length 3: must be a number (one per row goes with reduction 'none' only)",
  ],
  ...[NaN, Infinity, -Infinity, 1e300, -(2 ** 128)].map(
    (gradientScale): Refusal => [
      `gradientScale ${gradientScale}`,
      options({ gradientScale }),
      RANGE,
      `gradientScale is ${gradientScale}: ${SCALE}`,
    ],
  ),
  [
    'gradientScale null, none',
    perRow({ gradientScale: null }),
    TYPE,
    'gradientScale is null: must be a number or a Float32Array',
  ],
  [
    'gradientScale an array, none',
    perRow({ gradientScale: [1, 1, 1] }),
    TYPE,
    'gradientScale is an array of length 3: must be a number or a Float32Array',
  ],
  [
    'gradientScale a Float64Array, none',
    perRow({ gradientScale: new Float64Array(3) }),
    TYPE,
    'gradientScale is a Float64Array of length 3: must be a number or a Float32Array',
  ],
  [
    'gradientScale of another length',
    perRow({ gradientScale: floats(1, 1) }),
    LENGTH,
    'gradientScale has length 2: must have targets.length = 3',
  ],
  [
    'gradientScale detached',
    () => perRow({ gradientScale: detached(floats(1, 1, 1)) })(),
    TYPE,
    `gradientScale is a Float32Array ${DETACHED}`,
  ],
  [
    'one gradientScale NaN',
    perRow({ gradientScale: floats(1, NaN, 1) }),
    RANGE,
    'gradientScale[1] is NaN: must be a finite number',
  ],
  [
    'one gradientScale -Infinity',
    perRow({ gradientScale: floats(1, 1, -Infinity) }),
    RANGE,
    'gradientScale[2] is -Infinity: must be a finite number',
  ],
];

const strideRefused: Refusal[] = [
  [
    'rowStride null',
    options({ rowStride: null }),
    TYPE,
    'rowStride is null: must be an integer, at least classes = 4',
  ],
  [
    'rowStride a string',
    options({ rowStride: '5' }),
    TYPE,
    'rowStride is "5": must be an integer, at least classes = 4',
  ],
  [
    'rowStride a BigInt',
    options({ rowStride: 5n }),
    TYPE,
    'rowStride is 5n: must be an integer, at least classes = 4',
  ],
  ...[0, 3, -4, 4.5, NaN, Infinity, 2 ** 53].map(
    (rowStride): Refusal => [
      `rowStride ${rowStride}`,
      options({ rowStride }),
      RANGE,
      `rowStride is ${rowStride}: must be an integer, at least classes = 4`,
    ],
  ),
  [
    'logits too short for a rowStride',
    options({ rowStride: 5 }),
    LENGTH,
    'logits has length 12: must have targets.length · rowStride = 15, or down to 14 without the end of the last row',
  ],
  [
    'logits too long for a rowStride',
    logits(new Float32Array(16), { rowStride: 5 }),
    LENGTH,
    'logits has length 16: must have targets.length · rowStride = 15, or down to 14 without the end of the last row',
  ],
  [
    'logits too short for the last row',
    logits(new Float32Array(13), { rowStride: 5 }),
    LENGTH,
    'logits has length 13: must have targets.length · rowStride = 15, or down to 14 without the end of the last row',
  ],
  [
    'the largest rowStride',
    options({ rowStride: 2 ** 53 - 1 }),
    LENGTH,
    'logits has length 12: must have targets.length · rowStride = 27021597764222972, or down to 18014398509481984 without the end of the last row',
  ],
  [
    'the largest classes',
    options({ classes: 2 ** 31 - 1 }),
    LENGTH,
    'logits has length 12: must have targets.length · classes = 6442450941',
  ],
  // 3 · 1431655766 = 2^32 + 2, and 3 · (2^32 + 4) = 12 in 32 bits.
  [
    'a product that is right in 32 bits',
    options({ rowStride: 2 ** 32 + 4 }),
    LENGTH,
    'logits has length 12: must have targets.length · rowStride = 12884901900, or down to 8589934604 without the end of the last row',
  ],
  [
    'both the largest',
    options({ classes: 2 ** 31 - 1, rowStride: 2 ** 53 - 1 }),
    LENGTH,
    'logits has length 12: must have targets.length · rowStride = 27021597764222972, or down to 18014400656965628 without the end of the last row',
  ],
];

function resized(): Float32Array {
  const buffer = resizable(48, 96);
  const array = new Float32Array(buffer, 0, 12);
  buffer.resize(16);
  return array; // out of bounds: its length is 0
}

function shrunk(): Float32Array {
  const buffer = resizable(48, 96);
  const array = new Float32Array(buffer);
  buffer.resize(16);
  return array; // tracks the length: 4 now
}

const arraysRefused: Refusal[] = [
  ...(
    [
      ['undefined', undefined, 'undefined'],
      ['null', null, 'null'],
      ['a number', 3, '3'],
      ['a string', 'logits', '"logits"'],
      ['a Float64Array', new Float64Array(12), 'a Float64Array of length 12'],
      ['an Int32Array', new Int32Array(12), 'an Int32Array of length 12'],
      ['a Uint16Array', new Uint16Array(12), 'a Uint16Array of length 12'],
      ['a Buffer', Buffer.alloc(48), 'a Uint8Array of length 48'],
      ['a DataView', new DataView(new ArrayBuffer(48)), 'a DataView'],
      ['an object made to look like one', Object.create(Float32Array.prototype), 'an object'],
      ['an object tagged Float32Array', { [Symbol.toStringTag]: 'Float32Array', length: 12 }, 'an object'],
      ['a Proxy', new Proxy(new Float32Array(12), {}), 'an object'],
      ["another realm's Float64Array", otherRealm('new Float64Array(12)'), 'a Float64Array of length 12'],
    ] as const
  ).flatMap(([name, value, shown]): Refusal[] => [
    [`logits are ${name}`, logits(value), TYPE, `logits is ${shown}: must be a Float32Array`],
    [
      `a weight is ${name}`,
      options({ weight: value ?? null }),
      TYPE,
      `weight is ${value === undefined ? 'null' : shown}: must be a Float32Array`,
    ],
    [
      `a gradient is ${name}`,
      options({ gradient: value ?? null }),
      TYPE,
      `gradient is ${value === undefined ? 'null' : shown}: must be true, false or a Float32Array`,
    ],
  ]),
  [
    'logits are an array',
    logits([1, 2, 3]),
    TYPE,
    'logits is an array of length 3: must be a Float32Array (Float32Array.from(logits) makes one)',
  ],
  [
    "logits are another realm's array",
    logits(otherRealm('[1, 2, 3]')),
    TYPE,
    'logits is an array of length 3: must be a Float32Array (Float32Array.from(logits) makes one)',
  ],
  [
    'logits too short',
    logits(new Float32Array(11)),
    LENGTH,
    'logits has length 11: must have targets.length · classes = 12',
  ],
  [
    'logits too long',
    logits(new Float32Array(13)),
    LENGTH,
    'logits has length 13: must have targets.length · classes = 12',
  ],
  [
    'logits empty',
    logits(new Float32Array(0)),
    LENGTH,
    'logits has length 0: must have targets.length · classes = 12',
  ],
  [
    'logits detached',
    () => logits(detached(new Float32Array(12)))(),
    TYPE,
    `logits is a Float32Array ${DETACHED}`,
  ],
  [
    'logits out of the bounds of a resized buffer',
    () => logits(resized())(),
    LENGTH,
    'logits has length 0: must have targets.length · classes = 12',
  ],
  [
    'logits shrunk with their buffer',
    () => logits(shrunk())(),
    LENGTH,
    'logits has length 4: must have targets.length · classes = 12',
  ],
  [
    'gradient out of the bounds of a resized buffer',
    () => options({ gradient: resized() })(),
    LENGTH,
    'gradient has length 0: must have logits.length = 12',
  ],
  [
    'gradient shrunk with its buffer',
    () => options({ gradient: shrunk() })(),
    LENGTH,
    'gradient has length 4: must have logits.length = 12',
  ],
  ...(
    [
      ['undefined', undefined, 'undefined'],
      ['null', null, 'null'],
      ['a number', 1, '1'],
      ['a Float32Array', floats(0, 1, 3), 'a Float32Array of length 3'],
      ['a Uint8ClampedArray', new Uint8ClampedArray(3), 'a Uint8ClampedArray of length 3'],
      ['a Proxy', new Proxy(new Int32Array(3), {}), 'an object'],
      ['an object with a length', { length: 3, 0: 0, 1: 1, 2: 3 }, 'an object'],
      ['a function', () => 0, 'a function'],
    ] as const
  ).map(
    ([name, value, shown]): Refusal => [
      `targets are ${name}`,
      targets(value),
      TYPE,
      `targets is ${shown}: must be ${INDEX_ARRAY}`,
    ],
  ),
  [
    'targets are an array',
    targets([0, 1, 3]),
    TYPE,
    `targets is an array of length 3: must be ${INDEX_ARRAY} (Int32Array.from(targets) makes one)`,
  ],
  [
    'targets detached',
    () => targets(detached(Int32Array.of(0, 1, 3)))(),
    TYPE,
    `targets is an Int32Array ${DETACHED}`,
  ],
  [
    'too few targets',
    targets(Int32Array.of(0, 1)),
    LENGTH,
    'logits has length 12: must have targets.length · classes = 8',
  ],
  [
    'no targets',
    targets(new Int32Array(0)),
    LENGTH,
    'logits has length 12: must have targets.length · classes = 0',
  ],
  [
    'no targets, with a rowStride',
    targets(new Int32Array(0), { rowStride: 5 }),
    LENGTH,
    'logits has length 12: must have targets.length · rowStride = 0',
  ],
];

const NUMBER_RANGE = 'must be an integer in [0, 4) or ignoreIndex -100';
const targetsRefused: Refusal[] = [
  ...(
    [
      [Int8Array.of(0, 1, 4), 2, '4'],
      [Int8Array.of(0, -1, 3), 1, '-1'],
      [Int16Array.of(0, 1, -99), 2, '-99'],
      [Int32Array.of(1000, 1, 3), 0, '1000'],
      [Int32Array.of(0, 1, -(2 ** 31)), 2, '-2147483648'],
      [Uint8Array.of(0, 1, 156), 2, '156'],
      [Uint16Array.of(0, 1, 65436), 2, '65436'],
      [Uint32Array.of(0, 1, 2 ** 32 - 100), 2, '4294967196'],
      [BigInt64Array.of(0n, 1n, 4n), 2, '4n'],
      [BigInt64Array.of(0n, 1n, 2n ** 32n), 2, '4294967296n'],
      [BigInt64Array.of(0n, 1n, 2n ** 32n - 100n), 2, '4294967196n'],
      [BigInt64Array.of(0n, 1n, -(2n ** 32n) - 100n), 2, '-4294967396n'],
      [BigInt64Array.of(0n, 1n, 2n ** 53n + 1n), 2, '9007199254740993n'],
      [BigInt64Array.of(0n, 1n, -(2n ** 63n)), 2, '-9223372036854775808n'],
      [BigInt64Array.of(0n, 1n, 2n ** 32n + 3n), 2, '4294967299n'],
      [BigInt64Array.of(0n, 1n, 3n - 2n ** 32n), 2, '-4294967293n'],
      [BigUint64Array.of(0n, 1n, 2n ** 32n + 3n), 2, '4294967299n'],
      [BigUint64Array.of(0n, 1n, 2n ** 33n + 3n), 2, '8589934595n'],
      [BigUint64Array.of(0n, 1n, 2n ** 63n), 2, '9223372036854775808n'],
      [BigUint64Array.of(0n, 1n, 2n ** 64n - 100n), 2, '18446744073709551516n'],
    ] as const
  ).map(
    ([value, row, shown]): Refusal => [
      `a target ${shown} in an array of ${value.constructor.name}`,
      targets(value),
      RANGE,
      `targets[${row}] is ${shown}: ${NUMBER_RANGE}`,
    ],
  ),
  [
    'a target out of range, several ignored',
    targets(Int32Array.of(-1, 9, -2), { ignoreIndex: [-1, -2] }),
    RANGE,
    'targets[1] is 9: must be an integer in [0, 4) or ignoreIndex -1, -2',
  ],
  [
    'the first target out of range is named',
    targets(Int32Array.of(3, 9, -2)),
    RANGE,
    `targets[1] is 9: ${NUMBER_RANGE}`,
  ],
  [
    'a target out of range whose row weight is 0',
    targets(Int32Array.of(3, 9, 1), { rowWeight: floats(1, 0, 1) }),
    RANGE,
    `targets[1] is 9: ${NUMBER_RANGE}`,
  ],
  [
    'a target that float32 would round to a class',
    targets(BigInt64Array.of(0n, 1n, 2n ** 60n)),
    RANGE,
    `targets[2] is 1152921504606846976n: ${NUMBER_RANGE}`,
  ],
];

/** The gradient begins in the middle of another array, or ends there. */
const overlapRefused: Refusal[] = (
  [
    ['logits', (b: ArrayBuffer, at: number) => ({ x: new Float32Array(b, at, 12) }), 48],
    ['targets', (b: ArrayBuffer, at: number) => ({ y: new Int32Array(b, at, 3) }), 12],
    ['weight', (b: ArrayBuffer, at: number) => ({ weight: new Float32Array(b, at, 4) }), 16],
    ['rowWeight', (b: ArrayBuffer, at: number) => ({ rowWeight: new Float32Array(b, at, 3) }), 12],
    ['mask', (b: ArrayBuffer, at: number) => ({ mask: new Uint8Array(b, at, 3) }), 3],
    ['gradientScale', (b: ArrayBuffer, at: number) => ({ gradientScale: new Float32Array(b, at, 3) }), 12],
    [
      'labelSmoothing.epsilon',
      (b: ArrayBuffer, at: number) => ({ labelSmoothing: { epsilon: new Float32Array(b, at, 3) } }),
      12,
    ],
    [
      'labelSmoothing.prior',
      (b: ArrayBuffer, at: number) => ({
        labelSmoothing: { epsilon: 0.1, prior: new Float32Array(b, at, 4) },
      }),
      16,
    ],
  ] as const
).flatMap(([name, make, byteLength]) => {
  const fill = (buffer: ArrayBuffer, at: number) => {
    // Valid as anything: ones for floats, masks and targets.
    if (name === 'targets') new Int32Array(buffer, at, 3).fill(1);
    else if (name === 'mask') new Uint8Array(buffer, at, 3).fill(1);
    else new Float32Array(buffer, at, byteLength / 4).fill(1);
  };
  const call = (at: number, gradientAt: number) => () => {
    const buffer = new ArrayBuffer(256);
    fill(buffer, at);
    const {
      x = goodLogits(),
      y = goodTargets(),
      ...rest
    } = make(buffer, at) as { x?: Float32Array; y?: Int32Array };
    const gradient = new Float32Array(buffer, gradientAt, 12);
    return { logits: x, targets: y, options: { classes: 4, reduction: 'none', gradient, ...rest } };
  };
  const hint = name === 'logits' ? ' (to work in place, pass the very same elements)' : '';
  const message = `gradient overlaps ${name} in memory: must be apart from it${hint}`;
  const last = 64 + (name === 'mask' ? 0 : byteLength - 4);
  const refusals: Refusal[] = [
    [`gradient's end on ${name}`, call(64, 64 - 44), 'ERR_OVERLAP', message],
    [`gradient's beginning on ${name}`, call(64, last), 'ERR_OVERLAP', message],
  ];
  return refusals;
});

const emptyRefused: Refusal[] = (
  [
    ['every row ignored', targets(new Int32Array(3).fill(-100), { whenEmpty: 'error' }), 3, 0],
    ['every row masked', options({ mask: new Uint8Array(3), whenEmpty: 'error' }), 3, 0],
    ['row weights of 0', options({ rowWeight: new Float32Array(3), whenEmpty: 'error' }), 3, 3],
  ] as const
).map(([name, call, total, rows]) => [
  `${name}, whenEmpty 'error'`,
  call,
  'ERR_EMPTY',
  `the mean is empty: of ${total} rows, ${rows} take part, and their weights sum to 0`,
]);

/** A refused call, on every backend: the error, and the arrays as they were. */
function refused([name, make, code, message]: Refusal): Case {
  const run = () => {
    for (const { backend, crossEntropy } of backends) {
      const call = make();
      const given = (call.options as { gradient?: unknown } | null | undefined)?.gradient;
      const written = [call.logits, given].filter((x): x is Float32Array => ArrayBuffer.isView(x));
      const before = written.map(bytesOf);
      const error = errorOf(() =>
        (crossEntropy as unknown as (...all: unknown[]) => unknown)(call.logits, call.targets, call.options),
      );
      same(error.message, message, `the message [${backend.name}]`);
      same(error.code, code, 'the code');
      if (!(error instanceof CLASSES[code])) fail(`it is a ${error.name}, not a ${CLASSES[code].name}`);
      same(written.map(bytesOf).join(), before.join(), 'what could have been written to');
    }
  };
  return { name, run };
}

/** A copy of an array's bytes; nothing if it has none any more. */
function bytesOf(array: ArrayBufferView): string {
  try {
    return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex');
  } catch {
    return '';
  }
}

export const tables: Table[] = [
  { name: 'options refused', cases: [...optionsRefused, ...unknownOptions].map(refused) },
  { name: 'classes refused', cases: classesRefused.map(refused) },
  { name: 'labelSmoothing refused', cases: smoothingRefused.map(refused) },
  { name: 'weights refused', cases: factorsRefused.map(refused) },
  { name: 'ignoreIndex and mask refused', cases: maskAndIgnoreRefused.map(refused) },
  { name: 'reduction, normalizer and whenEmpty refused', cases: choicesRefused.map(refused) },
  { name: 'gradient and gradientScale refused', cases: gradientRefused.map(refused) },
  { name: 'rowStride refused', cases: strideRefused.map(refused) },
  { name: 'arrays refused', cases: arraysRefused.map(refused) },
  { name: 'targets refused', cases: targetsRefused.map(refused) },
  { name: 'overlap refused', cases: overlapRefused.map(refused) },
  { name: 'an empty mean refused', cases: emptyRefused.map(refused) },
];
