// What crossEntropy refuses among soft and mixed targets, half floats, layouts, and what it is asked beside the loss.

import {
  ANY_TARGETS,
  DETACHED,
  DOUBLES,
  detached,
  EMPTY,
  floats,
  goodLogits,
  goodTargets,
  INDEX_ARRAY,
  LENGTH,
  logits,
  OVERLAP,
  options,
  RANGE,
  type Refusal,
  refusals,
  TYPE,
  targets,
} from './refusal.js';

const SOFT = 'targets that are numbers per row and class';
const SHARES = 'must be a number in [0, 1] or a Float32Array of them';

const uniform = (length = 12) => new Float32Array(length).fill(0.25);
const soft = (change: Record<string, unknown> = {}) => targets(uniform(), change);
const mixed = (change: Record<string, unknown> = {}, more: Record<string, unknown> = {}) =>
  targets({ a: goodTargets(), b: Int32Array.of(1, 2, 0), lambda: 0.5, ...change }, more);

const softRefused: Refusal[] = [
  ['too few', targets(uniform(8)), LENGTH, 'targets has length 8: must have rows · classes = 12'],
  ['too many', targets(new Float64Array(13)), LENGTH, 'targets has length 13: must have rows · classes = 12'],
  ['none', targets(new Float32Array(0)), LENGTH, 'targets has length 0: must have rows · classes = 12'],
  [
    'a class per row, in floats',
    targets(floats(0, 1, 3)),
    LENGTH,
    'targets has length 3: must have rows · classes = 12; in a Float32Array they are numbers for each class, not classes',
  ],
  [
    'detached',
    () => targets(detached(new Float64Array(12)))(),
    TYPE,
    `targets is a Float64Array ${DETACHED}`,
  ],
  [
    'logits that are no whole number of rows',
    () => ({ logits: new Float32Array(13), targets: uniform(), options: { classes: 4 } }),
    LENGTH,
    'logits has length 13: must have a multiple of classes = 4',
  ],
  [
    'logits that are no whole number of images',
    () => ({ logits: new Float32Array(12), targets: uniform(), options: { classes: 4, inner: 2 } }),
    LENGTH,
    'logits has length 12: must have a multiple of classes · inner = 8',
  ],
  [
    'logits that end within a row',
    () => ({ logits: new Float32Array(13), targets: uniform(), options: { classes: 4, rowStride: 5 } }),
    LENGTH,
    'logits has length 13: must have a multiple of rowStride = 5, or up to 1 less',
  ],
  [
    'a length between that of the rows and that of the logits',
    () => ({ logits: new Float32Array(15), targets: uniform(13), options: { classes: 4, rowStride: 5 } }),
    LENGTH,
    'targets has length 13: must have rows · classes = 12, or logits.length = 15',
  ],
  [
    'a row more than the logits have',
    () => ({ logits: new Float32Array(14), targets: uniform(15), options: { classes: 4, rowStride: 5 } }),
    LENGTH,
    'targets has length 15: must have rows · classes = 12, or logits.length = 14',
  ],
  [
    'logits detached',
    () => ({ logits: detached(new Float32Array(12)), targets: uniform(), options: { classes: 4 } }),
    TYPE,
    `logits is a Float32Array ${DETACHED}`,
  ],
  [
    'over others',
    soft({ labelSmoothing: { epsilon: 0.1, over: 'others' } }),
    RANGE,
    `labelSmoothing.over is "others": must be 'all' with ${SOFT}, which name no class to leave out`,
  ],
  [
    'ignoreIndex',
    soft({ ignoreIndex: -100 }),
    TYPE,
    `ignoreIndex is -100: must be undefined with ${SOFT} (it goes with class indices; use mask)`,
  ],
  [
    'ignoreIndex, several',
    soft({ ignoreIndex: [-1, -2] }),
    TYPE,
    `ignoreIndex is an array of length 2: must be undefined with ${SOFT} (it goes with class indices; use mask)`,
  ],
  [
    'a row weight too many',
    soft({ rowWeight: floats(1, 1, 1, 1) }),
    LENGTH,
    'rowWeight has length 4: must have rows = 3',
  ],
  ['a mask too short', soft({ mask: new Uint8Array(2) }), LENGTH, 'mask has length 2: must have rows = 3'],
  [
    'a mask per element',
    soft({ mask: new Uint8Array(12) }),
    LENGTH,
    'mask has length 12: must have rows = 3',
  ],
  [
    'epsilon of another length',
    soft({ labelSmoothing: { epsilon: floats(0.1, 0.1) } }),
    LENGTH,
    'labelSmoothing.epsilon has length 2: must have rows = 3',
  ],
  [
    'gradientScale of another length',
    soft({ reduction: 'none', gradientScale: floats(1) }),
    LENGTH,
    'gradientScale has length 1: must have rows = 3',
  ],
  [
    'all rows masked',
    soft({ mask: new Uint8Array(3), whenEmpty: 'error' }),
    EMPTY,
    'the mean is empty: of 3 rows, 0 take part, and their weights sum to 0',
  ],
  [
    'targets of 0, by weight',
    targets(new Float32Array(12), { whenEmpty: 'error', normalizer: 'weight' }),
    EMPTY,
    'the mean is empty: of 3 rows, 3 take part, and their weights sum to 0',
  ],
];

const mixedRefused: Refusal[] = [
  ...['a', 'b'].flatMap((name): Refusal[] => [
    [
      `no ${name}`,
      mixed({ [name]: undefined }),
      TYPE,
      `targets.${name} is undefined: must be ${INDEX_ARRAY}`,
    ],
    [`${name} null`, mixed({ [name]: null }), TYPE, `targets.${name} is null: must be ${INDEX_ARRAY}`],
    [
      `${name} an array`,
      mixed({ [name]: [0, 1, 3] }),
      TYPE,
      `targets.${name} is an array of length 3: must be ${INDEX_ARRAY} (Int32Array.from(targets.${name}) makes one)`,
    ],
    [
      `${name} in floats`,
      mixed({ [name]: floats(0, 1, 3) }),
      TYPE,
      `targets.${name} is a Float32Array of length 3: must be ${INDEX_ARRAY}`,
    ],
    [
      `${name} detached`,
      () => mixed({ [name]: detached(new Int32Array(3)) })(),
      TYPE,
      `targets.${name} is an Int32Array ${DETACHED}`,
    ],
    [
      `${name} out of range`,
      mixed({ [name]: Int32Array.of(0, 4, 1) }),
      RANGE,
      `targets.${name}[1] is 4: must be an integer in [0, 4) or ignoreIndex -100`,
    ],
    [
      `${name} far out of range`,
      mixed({ [name]: BigInt64Array.of(0n, 2n ** 32n + 1n, 1n) }),
      RANGE,
      `targets.${name}[1] is 4294967297: must be an integer in [0, 4) or ignoreIndex -100`,
    ],
  ]),
  [
    'b out of range where its share is 0',
    mixed({ b: Int32Array.of(0, 1, 9), lambda: 1 }),
    RANGE,
    'targets.b[2] is 9: must be an integer in [0, 4) or ignoreIndex -100',
  ],
  [
    'b too short',
    mixed({ b: Int32Array.of(1, 2) }),
    LENGTH,
    'targets.b has length 2: must have targets.a.length = 3',
  ],
  [
    'both too short',
    mixed({ a: Int32Array.of(1, 2), b: Int32Array.of(1, 2) }),
    LENGTH,
    'logits has length 12: must have targets.a.length · classes = 8',
  ],
  ...(
    [
      [undefined, TYPE, `targets.lambda is undefined: ${SHARES}`],
      [null, TYPE, `targets.lambda is null: ${SHARES}`],
      ['0.5', TYPE, `targets.lambda is "0.5": ${SHARES}`],
      [[0.5, 0.5, 0.5], TYPE, `targets.lambda is an array of length 3: ${SHARES}`],
      [new Float64Array(3), TYPE, `targets.lambda is a Float64Array of length 3: ${SHARES}${DOUBLES}`],
      [-0.1, RANGE, 'targets.lambda is -0.1: must be in [0, 1]'],
      [1.1, RANGE, 'targets.lambda is 1.1: must be in [0, 1]'],
      [NaN, RANGE, 'targets.lambda is NaN: must be in [0, 1]'],
      [floats(0.5, 0.5), LENGTH, 'targets.lambda has length 2: must have targets.a.length = 3'],
      [floats(0.5, 2, 0.5), RANGE, 'targets.lambda[1] is 2: must be in [0, 1]'],
      [floats(0.5, 1, NaN), RANGE, 'targets.lambda[2] is NaN: must be in [0, 1]'],
    ] as const
  ).map(([lambda, code, message], i): Refusal => [`lambda ${i}`, mixed({ lambda }), code, message]),
  [
    'lambda detached',
    () => mixed({ lambda: detached(new Float32Array(3)) })(),
    TYPE,
    `targets.lambda is a Float32Array ${DETACHED}`,
  ],
  ['lambda alone', targets({ lambda: 0.5 }), TYPE, `targets.a is undefined: must be ${INDEX_ARRAY}`],
  ['an empty object', targets({}), TYPE, `targets is an object: must be ${ANY_TARGETS}`],
  ['a part that is none', mixed({ c: 1 }), TYPE, 'targets.c is not an option: must be one of a, b, lambda'],
  ['a part misspelt', mixed({ Lambda: 1 }), TYPE, 'targets.Lambda is not an option: did you mean lambda?'],
  [
    'row weights of another length',
    mixed({}, { rowWeight: floats(1, 1) }),
    LENGTH,
    'rowWeight has length 2: must have targets.a.length = 3',
  ],
  [
    'over others, all others of b excluded',
    mixed(
      { a: Int32Array.of(1, 1, 1), b: Int32Array.of(1, 0, 1) },
      { labelSmoothing: { epsilon: 0.1, exclude: [1, 2, 3], over: 'others' } },
    ),
    RANGE,
    "targets.b[1] is 0: labelSmoothing.over 'others' leaves no other class to smooth towards",
  ],
  [
    'over others, all others of a excluded',
    mixed({}, { labelSmoothing: { epsilon: 0.1, exclude: [1, 2, 3], over: 'others' } }),
    RANGE,
    "targets.a[0] is 0: labelSmoothing.over 'others' leaves no other class to smooth towards",
  ],
  [
    'every row ignored',
    mixed({ a: Int32Array.of(-100, -100, 0), b: Int32Array.of(0, -100, -100) }, { whenEmpty: 'error' }),
    EMPTY,
    'the mean is empty: of 3 rows, 0 take part, and their weights sum to 0',
  ],
];

const HALF = "must be 'float16' or 'bfloat16' where logits is a Uint16Array";
const dtypeRefused: Refusal[] = [
  ['none with a Uint16Array', logits(new Uint16Array(12)), TYPE, `dtype is undefined: ${HALF}`],
  ['null', logits(new Uint16Array(12), { dtype: null }), TYPE, `dtype is null: ${HALF}`],
  ['a number', logits(new Uint16Array(12), { dtype: 16 }), TYPE, `dtype is 16: ${HALF}`],
  ['fp16', logits(new Uint16Array(12), { dtype: 'fp16' }), RANGE, `dtype is "fp16": ${HALF}`],
  [
    'with a Float32Array',
    options({ dtype: 'float16' }),
    TYPE,
    'dtype is "float16": must be \'float32\' or undefined where logits is a Float32Array',
  ],
  [
    'with a Float64Array',
    logits(new Float64Array(12), { dtype: 'bfloat16' }),
    TYPE,
    'dtype is "bfloat16": must be \'float64\' or undefined where logits is a Float64Array',
  ],
  ...(
    [
      [new Float64Array(12), new Float32Array(12), undefined],
      [new Float32Array(12), new Float64Array(12), undefined],
      [new Uint16Array(12), new Float32Array(12), 'float16'],
      [new Uint16Array(12), new Int16Array(12), 'bfloat16'],
    ] as const
  ).map(([x, gradient, dtype]): Refusal => {
    const name = x.constructor.name;
    const other = `${gradient.constructor.name === 'Int16Array' ? 'an' : 'a'} ${gradient.constructor.name}`;
    return [
      `${name}, and its gradient ${other}`,
      logits(x, { gradient, dtype }),
      TYPE,
      `gradient is ${other} of length 12: must be true, false or a ${name}`,
    ];
  }),
  [
    'a gradient of half floats too short',
    logits(new Uint16Array(12), { gradient: new Uint16Array(11), dtype: 'float16' }),
    LENGTH,
    'gradient has length 11: must have logits.length = 12',
  ],
];

const POSITIVE = 'must be a finite number above 0';
const numbersRefused: Refusal[] = [
  ...['logitScale', 'softcap'].flatMap((name): Refusal[] => [
    [`${name} null`, options({ [name]: null }), TYPE, `${name} is null: ${POSITIVE}`],
    [`${name} a string`, options({ [name]: '1' }), TYPE, `${name} is "1": ${POSITIVE}`],
    [
      `${name} an array`,
      options({ [name]: floats(1) }),
      TYPE,
      `${name} is a Float32Array of length 1: ${POSITIVE}`,
    ],
    ...[0, -0, -1, NaN, Infinity, -Infinity].map((value): Refusal => {
      const shown = Object.is(value, -0) ? '-0' : String(value);
      return [`${name} ${shown}`, options({ [name]: value }), RANGE, `${name} is ${shown}: ${POSITIVE}`];
    }),
    ...[1e-50, 1e39].map(
      (value): Refusal => [
        `${name} ${value}, in float32`,
        options({ [name]: value }),
        RANGE,
        `${name} is ${value}: ${POSITIVE}, within the range of float32`,
      ],
    ),
  ]),
  ['zLoss null', options({ zLoss: null }), TYPE, 'zLoss is null: must be a finite number, at least 0'],
  ['zLoss true', options({ zLoss: true }), TYPE, 'zLoss is true: must be a finite number, at least 0'],
  ...[-1e-300, NaN, Infinity].map(
    (zLoss): Refusal => [
      `zLoss ${zLoss}`,
      options({ zLoss }),
      RANGE,
      `zLoss is ${zLoss}: must be a finite number, at least 0`,
    ],
  ),
  ['form null', options({ form: null }), TYPE, "form is null: must be 'crossEntropy' or 'kl'"],
  ['form KL', options({ form: 'KL' }), RANGE, `form is "KL": must be 'crossEntropy' or 'kl'`],
];

const innerRefused: Refusal[] = [
  ['inner null', options({ inner: null }), TYPE, 'inner is null: must be an integer, at least 1'],
  ['inner a BigInt', options({ inner: 3n }), TYPE, 'inner is 3n: must be an integer, at least 1'],
  ...[0, -3, 1.5, NaN, Infinity, 2 ** 53].map(
    (inner): Refusal => [
      `inner ${inner}`,
      options({ inner }),
      RANGE,
      `inner is ${inner}: must be an integer, at least 1`,
    ],
  ),
  [
    'inner that does not divide the rows',
    options({ inner: 2 }),
    LENGTH,
    'targets.length is 3: must be a multiple of inner = 2',
  ],
  [
    'inner that does not divide the rows, mixed',
    mixed({}, { inner: 2 }),
    LENGTH,
    'targets.a.length is 3: must be a multiple of inner = 2',
  ],
  [
    'the largest inner',
    options({ inner: 2 ** 53 - 1 }),
    LENGTH,
    `targets.length is 3: must be a multiple of inner = ${2 ** 53 - 1}`,
  ],
  [
    'inner and a rowStride',
    options({ inner: 3, rowStride: 5 }),
    RANGE,
    'rowStride is 5: must be classes = 4 where inner is not 1',
  ],
  [
    'logits too short for the images',
    logits(new Float32Array(8), { inner: 3 }),
    LENGTH,
    'logits has length 8: must have targets.length · classes = 12',
  ],
];

const NAMES = "'loss' or 'nll' or 'lse' or 'entropy' or 'prediction'";
const asked: Refusal[] = [
  ['metrics null', options({ metrics: null }), TYPE, 'metrics is null: must be true or false'],
  ['metrics 1', options({ metrics: 1 }), TYPE, 'metrics is 1: must be true or false'],
  ['perRow null', options({ perRow: null }), TYPE, `perRow is null: must be an array of ${NAMES}`],
  ['perRow true', options({ perRow: true }), TYPE, `perRow is true: must be an array of ${NAMES}`],
  ['perRow a name', options({ perRow: 'loss' }), TYPE, `perRow is "loss": must be an array of ${NAMES}`],
  [
    'perRow a set',
    options({ perRow: new Set(['loss']) }),
    TYPE,
    `perRow is an object: must be an array of ${NAMES}`,
  ],
  ['an unknown name', options({ perRow: ['loss', 'lsee'] }), RANGE, `perRow[1] is "lsee": must be ${NAMES}`],
  ['no name', options({ perRow: [0] }), TYPE, `perRow[0] is 0: must be ${NAMES}`],
  ['a hole', options({ perRow: new Array(1) }), TYPE, `perRow[0] is undefined: must be ${NAMES}`],
];

const overlapRefused: Refusal[] = (
  [
    ['targets', (b: ArrayBuffer) => new Float32Array(b, 44, 12)],
    ['targets', (b: ArrayBuffer) => new Float64Array(b, 0, 12)],
    ['targets.a', (b: ArrayBuffer) => ({ a: new Int32Array(b, 44, 3), b: goodTargets(), lambda: 0.5 })],
    ['targets.b', (b: ArrayBuffer) => ({ a: goodTargets(), b: new Uint8Array(b, 47, 3), lambda: 0.5 })],
    [
      'targets.lambda',
      (b: ArrayBuffer) => ({ a: goodTargets(), b: goodTargets(), lambda: new Float32Array(b, 40, 3) }),
    ],
  ] as const
).map(([name, make], i) => [
  `gradient on ${name}, ${i}`,
  () => {
    const buffer = new ArrayBuffer(256);
    const gradient = new Float32Array(buffer, 0, 12);
    return { logits: goodLogits(), targets: make(buffer), options: { classes: 4, gradient } };
  },
  OVERLAP,
  `gradient overlaps ${name} in memory: must be apart from it`,
]);

export const tables = [
  refusals('soft targets refused', softRefused),
  refusals('mixed targets refused', mixedRefused),
  refusals('dtype refused', dtypeRefused),
  refusals('logitScale, softcap, zLoss and form refused', numbersRefused),
  refusals('inner refused', innerRefused),
  refusals('metrics and perRow refused', asked),
  refusals('overlap with soft and mixed targets refused', overlapRefused),
];
