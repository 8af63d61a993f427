// What bceWithLogits, klDiv, nllLoss and smoothLabels refuse.

import type { Table } from '../table.js';
import {
  ANY_TARGETS,
  type Call,
  DETACHED,
  detached,
  EMPTY,
  FACTOR,
  type FunctionName,
  floats,
  goodLogits,
  goodTargets,
  IN_PLACE,
  INDEX_ARRAY,
  LENGTH,
  LOGITS,
  MASK,
  OVERLAP,
  RANGE,
  type Refusal,
  refusals,
  TYPE,
} from './refusal.js';

type Change = Record<string, unknown>;
type Make = (change?: Change, targets?: unknown) => () => Call;

/** A call with nothing wrong, in place, with other options or targets. */
const call =
  (good: () => unknown): Make =>
  (change = {}, targets = undefined) =>
  () => {
    const logits = goodLogits();
    return {
      logits,
      targets: targets === undefined ? good() : targets,
      options: { classes: 4, gradient: logits, ...change },
    };
  };

const dense = () => new Float32Array(12).fill(0.25);
const bce = call(dense);
const bceOfClasses = call(goodTargets);
const kl = call(dense);
const nll = call(goodTargets);
/** The same without the gradient, which smoothLabels does not know. */
const labels: Make = (change = {}, targets = goodTargets()) => {
  return () => ({ logits: undefined, targets, options: { classes: 4, ...change } });
};

const TOTALS = 'reduction, normalizer, whenEmpty, gradient, gradientScale, rowStride, inner';

/** What the functions do not accept, and what the first argument and the default rows are called. */
const FUNCTIONS: {
  name: 'bceWithLogits' | 'klDiv' | 'nllLoss' | 'smoothLabels';
  make: Make;
  logits: string;
  of: string;
  known: string;
  perRow: string | null;
  targets: string;
  from: string;
}[] = [
  {
    name: 'bceWithLogits',
    make: bce,
    logits: 'logits',
    of: 'rows',
    known: `classes, dtype, labelSmoothing, weight, posWeight, rowWeight, ignoreIndex, mask, logitScale, softcap, ${TOTALS}, metrics, perRow, threads`,
    perRow: "'loss' or 'nll' or 'entropy'",
    targets:
      'a Float32Array, Float64Array or Uint8Array of probabilities, or an Int8Array, Int16Array, Int32Array, Uint16Array, Uint32Array, BigInt64Array or BigUint64Array of classes',
    from: 'Float32Array',
  },
  {
    name: 'klDiv',
    make: kl,
    logits: 'logProbs',
    of: 'rows',
    known: `classes, dtype, logTarget, weight, rowWeight, mask, ${TOTALS}, perRow, threads`,
    perRow: "'loss'",
    targets: 'a Float32Array or Float64Array',
    from: 'Float32Array',
  },
  {
    name: 'nllLoss',
    make: nll,
    logits: 'logProbs',
    of: 'targets.length',
    known: `classes, dtype, labelSmoothing, weight, rowWeight, ignoreIndex, mask, form, ${TOTALS}, metrics, perRow, threads`,
    perRow: "'loss' or 'nll' or 'prediction'",
    targets: `${INDEX_ARRAY} of classes, or { a, b, lambda }`,
    from: 'Int32Array',
  },
  {
    name: 'smoothLabels',
    make: labels,
    logits: 'targets',
    of: 'targets.length',
    known: 'classes, labelSmoothing, ignoreIndex, mask, threads',
    perRow: null,
    targets: ANY_TARGETS,
    from: 'Int32Array',
  },
];

/** What all of them refuse in the same words. */
function commonRefused({ name, make, of, known, targets, from }: (typeof FUNCTIONS)[number]): Refusal[] {
  const good = make();
  return [
    [
      'no options',
      () => ({ ...good(), options: undefined }),
      TYPE,
      'options is undefined: must be an object that holds at least classes',
    ],
    [
      'options an array',
      () => ({ ...good(), options: [4] }),
      TYPE,
      'options is an array of length 1: must be an object that holds at least classes',
    ],
    [
      'no classes',
      make({ classes: undefined }),
      TYPE,
      'classes is undefined: must be an integer from 1 to 2^31 - 1',
    ],
    ['classes 0', make({ classes: 0 }), RANGE, 'classes is 0: must be an integer from 1 to 2^31 - 1'],
    [
      'an option nobody knows',
      make({ colour: 'red' }),
      TYPE,
      `options.colour is not an option: must be one of ${known}`,
    ],
    ['an option misspelt', make({ Mask: 1 }), TYPE, 'options.Mask is not an option: did you mean mask?'],
    [
      'an option of another function',
      make({ zLoss: 1 }),
      TYPE,
      'options.zLoss is not an option here: crossEntropy, linearCrossEntropy take zLoss',
    ],
    ...(
      [
        ['0', 0, RANGE],
        ['1.5', 1.5, RANGE],
        ['NaN', NaN, RANGE],
        ['1025', 1025, RANGE],
        ['null', null, TYPE],
        ['"2"', '2', TYPE],
      ] as const
    ).map(
      ([shown, threads, code]): Refusal => [
        `threads ${shown}`,
        make({ threads }),
        code,
        `threads is ${shown}: must be an integer from 1 to 1024`,
      ],
    ),
    [
      'signal, which goes with promises',
      make({ signal: new AbortController().signal }),
      TYPE,
      'signal is an object: must be left out here, it is for smoothloss/promises',
    ],
    [
      'signal null',
      make({ signal: null }),
      TYPE,
      'signal is null: must be an AbortSignal (of an AbortController its signal)',
    ],
    ['mask null', make({ mask: null }), TYPE, `mask is null: must be ${MASK}`],
    [
      'mask of booleans',
      make({ mask: [true] }),
      TYPE,
      `mask is an array of length 1: must be ${MASK} (Uint8Array.from(mask, Boolean) makes one)`,
    ],
    [
      'mask too short',
      make({ mask: new Uint8Array(2) }),
      LENGTH,
      `mask has length 2: must have ${of} = 3${name === 'bceWithLogits' ? ' or rows · classes = 12' : ''}`,
    ],
    [
      'mask detached',
      () => make({ mask: detached(new Uint8Array(3)) })(),
      TYPE,
      `mask is a Uint8Array ${DETACHED}`,
    ],
    ...(
      [
        ['null', null, 'null'],
        ['a number', 3, '3'],
        ['a function', () => 0, 'a function'],
        ['a Uint8ClampedArray', new Uint8ClampedArray(12), 'a Uint8ClampedArray of length 12'],
        ['a DataView', new DataView(new ArrayBuffer(48)), 'a DataView'],
        ['a Proxy', new Proxy(new Float32Array(12), {}), 'an object'],
        ['an empty object', {}, 'an object'],
      ] as const
    ).map(
      ([what, value, shown]): Refusal => [
        `targets are ${what}`,
        make({}, value),
        TYPE,
        `targets is ${shown}: must be ${targets}`,
      ],
    ),
    [
      'targets are an array',
      make({}, [0, 1, 3]),
      TYPE,
      `targets is an array of length 3: must be ${targets} (${from}.from(targets) makes one)`,
    ],
  ];
}

/** What the losses refuse in the same words. */
function lossRefused({ name, make, logits, of, perRow }: (typeof FUNCTIONS)[number]): Refusal[] {
  if (name === 'smoothLabels') return [];
  const good = make();
  const withLogits = (value: unknown, change: Change = {}) => {
    return () => ({ ...make({ gradient: true, ...change })(), logits: value });
  };
  const reductions = `'mean' or 'sum' or 'none'${name === 'klDiv' ? " or 'batchmean'" : ''}`;
  const normalizers =
    name === 'nllLoss' ? "'weight', 'rows' or 'all'" : "'elements', 'rows', 'weight' or 'all'";
  const wrongLength =
    of === 'rows'
      ? `${logits} has length 13: must have a multiple of classes = 4`
      : `${logits} has length 13: must have targets.length · classes = 12`;
  return [
    ...(
      [
        ['undefined', undefined, 'undefined'],
        ['an Int32Array', new Int32Array(12), 'an Int32Array of length 12'],
        ['a Proxy', new Proxy(new Float32Array(12), {}), 'an object'],
      ] as const
    ).map(
      ([what, value, shown]): Refusal => [
        `${logits} are ${what}`,
        withLogits(value),
        TYPE,
        `${logits} is ${shown}: must be ${LOGITS}`,
      ],
    ),
    [
      `${logits} are an array`,
      withLogits([1]),
      TYPE,
      `${logits} is an array of length 1: must be ${LOGITS} (Float32Array.from(${logits}) makes one)`,
    ],
    [
      `${logits} are half floats of no kind`,
      withLogits(new Uint16Array(12)),
      TYPE,
      `dtype is undefined: must be 'float16' or 'bfloat16' where ${logits} is a Uint16Array`,
    ],
    [
      'dtype with floats',
      make({ dtype: 'float16' }),
      TYPE,
      `dtype is "float16": must be 'float32' or undefined where ${logits} is a Float32Array`,
    ],
    [`${logits} too long`, withLogits(new Float32Array(13)), LENGTH, wrongLength],
    [
      `${logits} detached`,
      () => withLogits(detached(new Float32Array(12)))(),
      TYPE,
      `${logits} is a Float32Array ${DETACHED}`,
    ],
    [
      'rowStride too small',
      make({ rowStride: 3 }),
      RANGE,
      'rowStride is 3: must be an integer, at least classes = 4',
    ],
    ['inner 0', make({ inner: 0 }), RANGE, 'inner is 0: must be an integer, at least 1'],
    [
      'inner and a rowStride',
      make({ inner: 3, rowStride: 5 }),
      RANGE,
      'rowStride is 5: must be classes = 4 where inner is not 1',
    ],
    ['weight null', make({ weight: null }), TYPE, 'weight is null: must be a Float32Array'],
    ['weight below 0', make({ weight: floats(1, 1, -1, 1) }), RANGE, `weight[2] is -1: ${FACTOR}`],
    [
      'weight too long',
      make({ weight: new Float32Array(5) }),
      LENGTH,
      `weight has length 5: must have classes = 4${name === 'bceWithLogits' ? ' or rows · classes = 12' : ''}`,
    ],
    [
      'weight detached',
      () => make({ weight: detached(new Float32Array(4)) })(),
      TYPE,
      `weight is a Float32Array ${DETACHED}`,
    ],
    ['rowWeight NaN', make({ rowWeight: floats(1, NaN, 1) }), RANGE, `rowWeight[1] is NaN: ${FACTOR}`],
    [
      'rowWeight too long',
      make({ rowWeight: new Float32Array(4) }),
      LENGTH,
      `rowWeight has length 4: must have ${of} = 3`,
    ],
    ['reduction avg', make({ reduction: 'avg' }), RANGE, `reduction is "avg": must be ${reductions}`],
    ['reduction null', make({ reduction: null }), TYPE, `reduction is null: must be ${reductions}`],
    [
      'normalizer mean',
      make({ normalizer: 'mean' }),
      RANGE,
      `normalizer is "mean": must be a finite number above 0, or ${normalizers}`,
    ],
    [
      'normalizer true',
      make({ normalizer: true }),
      TYPE,
      `normalizer is true: must be a finite number above 0, or ${normalizers}`,
    ],
    [
      'normalizer 0',
      make({ normalizer: 0 }),
      RANGE,
      `normalizer is 0: must be a finite number above 0, or ${normalizers}`,
    ],
    [
      'whenEmpty never',
      make({ whenEmpty: 'never' }),
      RANGE,
      `whenEmpty is "never": must be 'nan' or 'zero' or 'error'`,
    ],
    [
      'every row masked',
      make({ mask: new Uint8Array(3), whenEmpty: 'error' }),
      EMPTY,
      'the mean is empty: of 3 rows, 0 take part, and their weights sum to 0',
    ],
    [
      'a gradient of another type',
      make({ gradient: new Float64Array(12) }),
      TYPE,
      'gradient is a Float64Array of length 12: must be true, false or a Float32Array',
    ],
    [
      'a gradient too short',
      make({ gradient: new Float32Array(11) }),
      LENGTH,
      `gradient has length 11: must have ${logits}.length = 12`,
    ],
    [
      'gradientScale per row of a mean',
      make({ gradientScale: floats(1, 1, 1) }),
      TYPE,
      "gradientScale is a Float32Array of length 3: must be a number (one per row goes with reduction 'none' only)",
    ],
    [
      'gradientScale of another length',
      make({ gradientScale: floats(1, 1), reduction: 'none' }),
      LENGTH,
      `gradientScale has length 2: must have ${of} = 3`,
    ],
    [
      'gradientScale Infinity',
      make({ gradientScale: Infinity }),
      RANGE,
      'gradientScale is Infinity: must be a finite number, within the range of float32',
    ],
    ['perRow no list', make({ perRow: 'loss' }), TYPE, `perRow is "loss": must be an array of ${perRow}`],
    ['perRow lse', make({ perRow: ['loss', 'lse'] }), RANGE, `perRow[1] is "lse": must be ${perRow}`],
    [
      'gradient over the end of the logits',
      () => {
        const both = new Float32Array(13);
        return {
          ...good(),
          logits: both.subarray(0, 12),
          options: { classes: 4, gradient: both.subarray(1, 13) },
        };
      },
      OVERLAP,
      `gradient overlaps ${logits} in memory: must be apart from it${IN_PLACE}`,
    ],
    ...overlaps(name),
  ];
}

/** The gradient shares memory with each of the other arrays. */
function overlaps(name: FunctionName): Refusal[] {
  const places: [string, (b: ArrayBuffer) => Change][] = [
    [
      'targets',
      (b) => ({ targets: name === 'nllLoss' ? new Int32Array(b, 44, 3) : new Float32Array(b, 44, 12) }),
    ],
    ['weight', (b) => ({ weight: new Float32Array(b, 44, 4) })],
    ['rowWeight', (b) => ({ rowWeight: new Float32Array(b, 44, 3) })],
    ['mask', (b) => ({ mask: new Uint8Array(b, 47, 3) })],
    ['gradientScale', (b) => ({ reduction: 'none', gradientScale: new Float32Array(b, 44, 3) })],
  ];
  if (name === 'bceWithLogits') {
    places.push(
      ['posWeight', (b) => ({ posWeight: new Float32Array(b, 44, 4) })],
      ['weight', (b) => ({ weight: new Float32Array(b, 44, 12) })],
      ['mask', (b) => ({ mask: new Uint8Array(b, 47, 12) })],
      ['targets', (b) => ({ targets: new Uint8Array(b, 47, 12) })],
      ['targets', (b) => ({ targets: new Int32Array(b, 44, 3) })],
    );
  }
  if (name === 'nllLoss') {
    places.push(
      ['labelSmoothing.epsilon', (b) => ({ labelSmoothing: { epsilon: new Float32Array(b, 44, 3) } })],
      [
        'labelSmoothing.prior',
        (b) => ({ labelSmoothing: { epsilon: 0.1, prior: new Float32Array(b, 44, 4).fill(1) } }),
      ],
      ['targets.b', (b) => ({ targets: { a: goodTargets(), b: new Int8Array(b, 47, 3), lambda: 1 } })],
    );
  }
  return places.map(([place, make], i) => [
    `gradient on ${place}, ${i}`,
    () => {
      const buffer = new ArrayBuffer(128);
      const { targets = name === 'nllLoss' ? goodTargets() : dense(), ...options } = make(buffer);
      const gradient = new Float32Array(buffer, 0, 12);
      return { logits: goodLogits(), targets, options: { classes: 4, gradient, ...options } };
    },
    OVERLAP,
    `gradient overlaps ${place} in memory: must be apart from it`,
  ]);
}

const ELEMENTS = 'must have classes = 4 or rows · classes = 12';
const wide = (change: Change = {}) => {
  return () => ({
    logits: new Float32Array(15),
    targets: dense(),
    options: { classes: 4, rowStride: 5, ...change },
  });
};

const bceRefused: Refusal[] = [
  [
    'targets of another length',
    bce({}, new Float32Array(8)),
    LENGTH,
    'targets has length 8: must have rows · classes = 12',
  ],
  [
    'a class per row in a Uint8Array',
    bce({}, Uint8Array.of(0, 1, 3)),
    LENGTH,
    'targets has length 3: must have rows · classes = 12; in a Uint8Array they are numbers for each class, not classes',
  ],
  [
    'targets detached',
    () => bce({}, detached(new Uint8Array(12)))(),
    TYPE,
    `targets is a Uint8Array ${DETACHED}`,
  ],
  [
    'too few classes',
    bce({}, Int32Array.of(0, 1)),
    LENGTH,
    'logits has length 12: must have targets.length · classes = 8',
  ],
  [
    'a class out of range',
    bceOfClasses({}, Int16Array.of(0, 4, 1)),
    RANGE,
    'targets[1] is 4: must be an integer in [0, 4) or ignoreIndex -100',
  ],
  [
    'a class out of range in a row of which one element takes part',
    bceOfClasses({ mask: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1) }, Int16Array.of(9, 4, 1)),
    RANGE,
    'targets[1] is 4: must be an integer in [0, 4) or ignoreIndex -100',
  ],
  [
    'ignoreIndex with numbers',
    bce({ ignoreIndex: -1 }),
    TYPE,
    'ignoreIndex is -1: must be undefined with targets that are numbers per row and class (it goes with class indices; use mask)',
  ],
  [
    'mixed targets',
    bce({}, { a: goodTargets(), b: goodTargets(), lambda: 1 }),
    TYPE,
    `targets is an object: must be ${FUNCTIONS[0].targets}`,
  ],
  ['weight empty', bce({ weight: new Float32Array(0) }), LENGTH, `weight has length 0: ${ELEMENTS}`],
  ['weight per row', bce({ weight: new Float32Array(3) }), LENGTH, `weight has length 3: ${ELEMENTS}`],
  [
    'weight of another length, with a rowStride',
    wide({ weight: new Float32Array(14) }),
    LENGTH,
    `weight has length 14: ${ELEMENTS}, or logits.length = 15`,
  ],
  [
    'a weight of an element below 0',
    bce({ weight: new Float32Array(12).fill(-0.5, 11) }),
    RANGE,
    `weight[11] is -0.5: ${FACTOR}`,
  ],
  [
    'a weight of an element NaN, with a rowStride',
    wide({ weight: new Float32Array(15).fill(NaN, 4, 6) }),
    RANGE,
    `weight[5] is NaN: ${FACTOR}`,
  ],
  [
    'mask of another length, with a rowStride',
    wide({ mask: new Uint8Array(14) }),
    LENGTH,
    'mask has length 14: must have rows = 3 or rows · classes = 12, or logits.length = 15',
  ],
  [
    'mask of another length, with classes',
    bceOfClasses({ mask: new Uint8Array(4) }),
    LENGTH,
    'mask has length 4: must have targets.length = 3 or targets.length · classes = 12',
  ],
  [
    'posWeight too short',
    bce({ posWeight: floats(1, 1, 1) }),
    LENGTH,
    'posWeight has length 3: must have classes = 4',
  ],
  [
    'posWeight Infinity',
    bce({ posWeight: floats(1, 1, 1, Infinity) }),
    RANGE,
    `posWeight[3] is Infinity: ${FACTOR}`,
  ],
  ['posWeight a number', bce({ posWeight: 2 }), TYPE, 'posWeight is 2: must be a Float32Array'],
  ...(
    [
      [null, TYPE, 'labelSmoothing is null: must be a number in [0, 1] or an object'],
      ['0.1', TYPE, 'labelSmoothing is "0.1": must be a number in [0, 1] or an object'],
      [
        floats(0.1),
        TYPE,
        'labelSmoothing is a Float32Array of length 1: must be a number in [0, 1] or an object',
      ],
      [1.5, RANGE, 'labelSmoothing is 1.5: must be in [0, 1]'],
      [NaN, RANGE, 'labelSmoothing is NaN: must be in [0, 1]'],
      [{}, TYPE, 'labelSmoothing.epsilon is undefined: must be a number in [0, 1]'],
      [
        { epsilon: floats(0.1, 0.1, 0.1) },
        TYPE,
        'labelSmoothing.epsilon is a Float32Array of length 3: must be a number in [0, 1]',
      ],
      [{ epsilon: -1 }, RANGE, 'labelSmoothing.epsilon is -1: must be in [0, 1]'],
      [{ epsilon: 0.1, toward: null }, TYPE, 'labelSmoothing.toward is null: must be a number in [0, 1]'],
      [{ epsilon: 0.1, toward: 2 }, RANGE, 'labelSmoothing.toward is 2: must be in [0, 1]'],
      [
        { epsilon: 0.1, over: 'others' },
        TYPE,
        'labelSmoothing.over is not an option: must be one of epsilon, toward',
      ],
    ] as const
  ).map(
    ([labelSmoothing, code, message], i): Refusal => [
      `labelSmoothing ${i}`,
      bce({ labelSmoothing }),
      code,
      message,
    ],
  ),
  ['softcap 0', bce({ softcap: 0 }), RANGE, 'softcap is 0: must be a finite number above 0'],
  [
    'logitScale beyond float32',
    bce({ logitScale: 1e39 }),
    RANGE,
    'logitScale is 1e+39: must be a finite number above 0, within the range of float32',
  ],
  [
    'labels of each element as classes',
    bce({}, new Int32Array(12)),
    LENGTH,
    'logits has length 12: must have targets.length · classes = 48: targets of type Int32Array are classes; labels for each class go in a Uint8Array or Float32Array',
  ],
  ['metrics a string', bce({ metrics: 'yes' }), TYPE, 'metrics is "yes": must be true or false'],
  [
    'reduction batchmean',
    bce({ reduction: 'batchmean' }),
    RANGE,
    `reduction is "batchmean": must be 'mean' or 'sum' or 'none'`,
  ],
  [
    'every element masked',
    bce({ mask: new Uint8Array(12), whenEmpty: 'error' }),
    EMPTY,
    'the mean is empty: of 3 rows, 0 take part, and their weights sum to 0',
  ],
  [
    'weights of 0, by weight',
    bce({ weight: new Float32Array(4), normalizer: 'weight', whenEmpty: 'error' }),
    EMPTY,
    'the mean is empty: of 3 rows, 3 take part, and their weights sum to 0',
  ],
];

const klRefused: Refusal[] = [
  [
    'targets of another length',
    kl({}, new Float64Array(3)),
    LENGTH,
    'targets has length 3: must have rows · classes = 12; in a Float64Array they are numbers for each class, not classes',
  ],
  [
    'class indices',
    kl({}, goodTargets()),
    TYPE,
    'targets is an Int32Array of length 3: must be a Float32Array or Float64Array',
  ],
  [
    'bytes',
    kl({}, new Uint8Array(12)),
    TYPE,
    'targets is a Uint8Array of length 12: must be a Float32Array or Float64Array',
  ],
  [
    'targets detached',
    () => kl({}, detached(new Float32Array(12)))(),
    TYPE,
    `targets is a Float32Array ${DETACHED}`,
  ],
  ['logTarget 1', kl({ logTarget: 1 }), TYPE, 'logTarget is 1: must be true or false'],
  ['logTarget null', kl({ logTarget: null }), TYPE, 'logTarget is null: must be true or false'],
  [
    'log_target',
    kl({ log_target: true }),
    TYPE,
    'options.log_target is not an option: did you mean logTarget?',
  ],
  ...['rows', 12, 'mean', null].map(
    (normalizer): Refusal => [
      `batchmean and normalizer ${normalizer}`,
      kl({ reduction: 'batchmean', normalizer }),
      TYPE,
      `normalizer is ${typeof normalizer === 'string' ? `"${normalizer}"` : normalizer}: must be undefined with reduction 'batchmean', which divides by the rows`,
    ],
  ),
  [
    'batchmean of nothing',
    kl({ reduction: 'batchmean', mask: new Uint8Array(3), whenEmpty: 'error' }),
    EMPTY,
    'the mean is empty: of 3 rows, 0 take part, and their weights sum to 0',
  ],
  ['mask per element', kl({ mask: new Uint8Array(12) }), LENGTH, 'mask has length 12: must have rows = 3'],
  [
    'weight per element',
    kl({ weight: new Float32Array(12) }),
    LENGTH,
    'weight has length 12: must have classes = 4',
  ],
  [
    'weights of 0, by weight',
    kl({ weight: new Float32Array(4), normalizer: 'weight', whenEmpty: 'error' }),
    EMPTY,
    'the mean is empty: of 3 rows, 3 take part, and their weights sum to 0',
  ],
];

const nllRefused: Refusal[] = [
  [
    'soft targets',
    nll({}, dense()),
    TYPE,
    `targets is a Float32Array of length 12: must be ${INDEX_ARRAY} of classes, or { a, b, lambda }`,
  ],
  [
    'a class out of range',
    nll({ ignoreIndex: [] }, Uint8Array.of(0, 4, 1)),
    RANGE,
    'targets[1] is 4: must be an integer in [0, 4)',
  ],
  [
    'mixed, a class out of range',
    nll({}, { a: goodTargets(), b: Int8Array.of(0, 1, -1), lambda: 0.5 }),
    RANGE,
    'targets.b[2] is -1: must be an integer in [0, 4) or ignoreIndex -100',
  ],
  [
    'mixed, no lambda',
    nll({}, { a: goodTargets(), b: goodTargets() }),
    TYPE,
    'targets.lambda is undefined: must be a number in [0, 1] or a Float32Array of them',
  ],
  ['form KL', nll({ form: 'KL' }), RANGE, `form is "KL": must be 'crossEntropy' or 'kl'`],
  [
    'epsilon 2',
    nll({ labelSmoothing: { epsilon: 2 } }),
    RANGE,
    'labelSmoothing.epsilon is 2: must be in [0, 1]',
  ],
  [
    'over others, all others excluded',
    nll({ labelSmoothing: { epsilon: 0.1, exclude: [1, 2, 3], over: 'others' } }),
    RANGE,
    "targets[0] is 0: labelSmoothing.over 'others' leaves no other class to smooth towards",
  ],
  [
    'softcap',
    nll({ softcap: 1 }),
    TYPE,
    'options.softcap is not an option here: bceWithLogits, crossEntropy, linearCrossEntropy take softcap',
  ],
];

const labelsRefused: Refusal[] = [
  [
    'a class out of range',
    labels({}, Int32Array.of(0, 4, 1)),
    RANGE,
    'targets[1] is 4: must be an integer in [0, 4) or ignoreIndex -100',
  ],
  [
    'soft targets, no whole number of rows',
    labels({}, new Float64Array(13)),
    LENGTH,
    'targets has length 13: must have a multiple of classes = 4',
  ],
  [
    'soft targets, detached',
    () => labels({}, detached(new Float64Array(12)))(),
    TYPE,
    `targets is a Float64Array ${DETACHED}`,
  ],
  [
    'soft targets, over others',
    labels({ labelSmoothing: { epsilon: 0.1, over: 'others' } }, dense()),
    RANGE,
    `labelSmoothing.over is "others": must be 'all' with targets that are numbers per row and class, which name no class to leave out`,
  ],
  [
    'soft targets, ignoreIndex',
    labels({ ignoreIndex: 0 }, dense()),
    TYPE,
    'ignoreIndex is 0: must be undefined with targets that are numbers per row and class (it goes with class indices; use mask)',
  ],
  [
    'soft targets, a mask too long',
    labels({ mask: new Uint8Array(4) }, dense()),
    LENGTH,
    'mask has length 4: must have rows = 3',
  ],
  [
    'mixed, lambda out of range',
    labels({}, { a: goodTargets(), b: goodTargets(), lambda: -1 }),
    RANGE,
    'targets.lambda is -1: must be in [0, 1]',
  ],
  [
    'epsilon of another length',
    labels({ labelSmoothing: { epsilon: floats(0.1) } }),
    LENGTH,
    'labelSmoothing.epsilon has length 1: must have targets.length = 3',
  ],
  [
    'one epsilon out of range',
    labels({ labelSmoothing: { epsilon: floats(0.1, 0.1, 1.5) } }),
    RANGE,
    'labelSmoothing.epsilon[2] is 1.5: must be in [0, 1]',
  ],
  [
    'prior NaN',
    labels({ labelSmoothing: { epsilon: 0.1, prior: floats(1, NaN, 1, 1) } }),
    RANGE,
    `labelSmoothing.prior[1] is NaN: ${FACTOR}`,
  ],
  [
    'exclude all',
    labels({ labelSmoothing: { epsilon: 0.1, exclude: [0, 1, 2, 3] } }),
    RANGE,
    'labelSmoothing leaves no class to smooth towards: exclude must not hold all of them',
  ],
];

const OWN: Record<(typeof FUNCTIONS)[number]['name'], Refusal[]> = {
  bceWithLogits: bceRefused,
  klDiv: klRefused,
  nllLoss: nllRefused,
  smoothLabels: labelsRefused,
};

export const tables: Table[] = FUNCTIONS.map((fn) =>
  refusals(`${fn.name} refuses`, [...commonRefused(fn), ...lossRefused(fn), ...OWN[fn.name]], fn.name),
);
