// What crossEntropy refuses among its options.

import {
  DETACHED,
  DOUBLES,
  detached,
  FACTOR,
  floats,
  goodTargets,
  LENGTH,
  logits,
  MASK,
  OVERLAP,
  options,
  perRow,
  RANGE,
  type Refusal,
  refusals,
  smoothing,
  TYPE,
} from './refusal.js';

const KNOWN =
  'classes, dtype, labelSmoothing, weight, rowWeight, ignoreIndex, mask, form, reduction, normalizer, whenEmpty, gradient, gradientScale, rowStride, inner, metrics, perRow, threads, logitScale, softcap, zLoss';
const KNOWN_SMOOTHING = 'epsilon, over, exclude, prior';
const NORMALIZER = "must be a finite number above 0, or 'weight', 'rows' or 'all'";
const SCALE = 'must be a finite number, within the range of float32';

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
      ['labelSmoothng', 'labelSmoothing'],
      ['wieght', 'weight'],
      ['temperature', 'logitScale = 1 / temperature'],
      ['num_classes', 'classes'],
      ['C', 'classes'],
      ['sample_weight', 'rowWeight'],
      ['classWeights', 'weight'],
      ['paddingIdx', 'ignoreIndex'],
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
    options({ posWeight: floats(1, 1, 1, 1) }),
    TYPE,
    'options.posWeight is not an option here: bceWithLogits takes posWeight',
  ],
  [
    'an inherited unknown option',
    () => ({ ...options({})(), options: Object.create({ classes: 4, colour: 1 }) }),
    TYPE,
    `options.colour is not an option: must be one of ${KNOWN}`,
  ],
  [
    'an unknown option of labelSmoothing',
    smoothing({ colour: 0.1 }),
    TYPE,
    `labelSmoothing.colour is not an option: must be one of ${KNOWN_SMOOTHING}`,
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
      [Float64Array.of(0.1, 0.1, 0.1), 'a Float64Array of length 3', DOUBLES],
    ] as const
  ).map(
    ([epsilon, shown, hint = '']): Refusal => [
      `epsilon ${shown}`,
      smoothing({ epsilon }),
      TYPE,
      `labelSmoothing.epsilon is ${shown}: must be a number in [0, 1] or a Float32Array of them${hint}`,
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
      `${name} is a Float64Array of length ${length}: must be a Float32Array${DOUBLES}`,
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

const IGNORE = 'must be an integer within ±(2^53 - 1), or an array of them';
/** The good call in double. */
const inDouble =
  (change: Record<string, unknown>, given: unknown = goodTargets()) =>
  () => ({ ...logits(new Float64Array(12), change)(), targets: given });
const doublesRefused: Refusal[] = [
  ...(
    [
      ['weight', 4],
      ['rowWeight', 3],
    ] as const
  ).flatMap(([name, length]): Refusal[] => {
    const one = (value: number) => Float64Array.from({ length }, (_, i) => (i === 1 ? value : 1));
    const either = `must be a Float32Array or Float64Array`;
    return [
      [`${name} null`, inDouble({ [name]: null }), TYPE, `${name} is null: ${either}`],
      [
        `${name} an array`,
        inDouble({ [name]: [1, 1] }),
        TYPE,
        `${name} is an array of length 2: ${either} (Float64Array.from(${name}) makes one)`,
      ],
      [
        `${name} an Int32Array`,
        inDouble({ [name]: new Int32Array(length) }),
        TYPE,
        `${name} is an Int32Array of length ${length}: ${either}`,
      ],
      [`${name} NaN`, inDouble({ [name]: one(NaN) }), RANGE, `${name}[1] is NaN: ${FACTOR}`],
      [`${name} below 0`, inDouble({ [name]: one(-1e-300) }), RANGE, `${name}[1] is -1e-300: ${FACTOR}`],
      [`${name} infinite`, inDouble({ [name]: one(Infinity) }), RANGE, `${name}[1] is Infinity: ${FACTOR}`],
      [
        `${name} beyond float32`,
        inDouble({ [name]: one(1e39) }),
        RANGE,
        `${name}[1] is 1e+39: ${FACTOR}, within the range of float32`,
      ],
      [
        `${name} too short`,
        inDouble({ [name]: new Float64Array(length - 1) }),
        LENGTH,
        `${name} has length ${length - 1}: must have ${length === 4 ? 'classes = 4' : 'targets.length = 3'}`,
      ],
      [
        `${name} detached`,
        () => inDouble({ [name]: detached(new Float64Array(length)) })(),
        TYPE,
        `${name} is a Float64Array ${DETACHED}`,
      ],
    ];
  }),
  [
    'gradientScale beyond float32',
    inDouble({ gradientScale: Float64Array.of(1, -1e39, 1), reduction: 'none' }),
    RANGE,
    'gradientScale[1] is -1e+39: must be a finite number, within the range of float32',
  ],
  [
    'gradientScale an array',
    inDouble({ gradientScale: [1, 1, 1], reduction: 'none' }),
    TYPE,
    'gradientScale is an array of length 3: must be a number, or a Float32Array or Float64Array of them',
  ],
  [
    'epsilon above 1',
    inDouble({ labelSmoothing: { epsilon: Float64Array.of(0, 1 + 2 ** -52, 1) } }),
    RANGE,
    'labelSmoothing.epsilon[1] is 1.0000000000000002: must be in [0, 1]',
  ],
  [
    'lambda above 1',
    inDouble({}, { a: goodTargets(), b: goodTargets(), lambda: Float64Array.of(0, 1 + 2 ** -52, 1) }),
    RANGE,
    'targets.lambda[1] is 1.0000000000000002: must be in [0, 1]',
  ],
  [
    'a prior of float32 logits',
    smoothing({ prior: new Float64Array(4) }),
    TYPE,
    `labelSmoothing.prior is a Float64Array of length 4: must be a Float32Array${DOUBLES}`,
  ],
  ...(['weight', 'rowWeight', 'mask'] as const).map((name): Refusal => {
    const call = () => {
      const buffer = new ArrayBuffer(160);
      const length = name === 'weight' ? 4 : 3;
      const array = name === 'mask' ? new BigInt64Array(buffer, 88, 3) : new Float64Array(buffer, 88, length);
      array.fill((name === 'mask' ? 1n : 1) as never);
      return inDouble({ gradient: new Float64Array(buffer, 0, 12), [name]: array })();
    };
    return [
      `a gradient on ${name}`,
      call,
      OVERLAP,
      `gradient overlaps ${name} in memory: must be apart from it`,
    ];
  }),
];

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
    'ignoreIndex[1] is NaN: must be an integer within ±(2^53 - 1)',
  ],
  [
    'one of ignoreIndex a string',
    options({ ignoreIndex: ['x'] }),
    TYPE,
    'ignoreIndex[0] is "x": must be an integer within ±(2^53 - 1)',
  ],
  ['mask null', options({ mask: null }), TYPE, `mask is null: must be ${MASK}`],
  [
    'mask an array',
    options({ mask: [true, true, false] }),
    TYPE,
    `mask is an array of length 3: must be ${MASK} (Uint8Array.from(mask, Boolean) makes one)`,
  ],
  ...[Float32Array, Float64Array].map(
    (Type): Refusal => [
      `mask a ${Type.name}`,
      options({ mask: new Type(3) }),
      TYPE,
      `mask is a ${Type.name} of length 3: must be ${MASK} (Uint8Array.from(mask, Boolean) makes one)`,
    ],
  ),
  [
    'mask a DataView',
    options({ mask: new DataView(new ArrayBuffer(3)) }),
    TYPE,
    `mask is a DataView: must be ${MASK}`,
  ],
  [
    'mask of bigints too long',
    options({ mask: new BigInt64Array(4) }),
    LENGTH,
    'mask has length 4: must have targets.length = 3',
  ],
  [
    'mask of bigints detached',
    () => options({ mask: detached(new BigInt64Array(3)) })(),
    TYPE,
    `mask is a BigInt64Array ${DETACHED}`,
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
    'gradientScale is null: must be a number or a Float32Array of them',
  ],
  [
    'gradientScale an array, none',
    perRow({ gradientScale: [1, 1, 1] }),
    TYPE,
    'gradientScale is an array of length 3: must be a number or a Float32Array of them',
  ],
  [
    'gradientScale a Float64Array, none',
    perRow({ gradientScale: new Float64Array(3) }),
    TYPE,
    `gradientScale is a Float64Array of length 3: must be a number or a Float32Array of them${DOUBLES}`,
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

export const tables = [
  refusals('options refused', [...optionsRefused, ...unknownOptions]),
  refusals('classes refused', classesRefused),
  refusals('labelSmoothing refused', smoothingRefused),
  refusals('weights refused', factorsRefused),
  refusals('weights in double refused', doublesRefused),
  refusals('ignoreIndex and mask refused', maskAndIgnoreRefused),
  refusals('reduction, normalizer and whenEmpty refused', choicesRefused),
  refusals('gradient and gradientScale refused', gradientRefused),
  refusals('rowStride refused', strideRefused),
];
