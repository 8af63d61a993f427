// What linearCrossEntropy refuses.

import type { Table } from '../table.js';
import {
  ANY_TARGETS,
  type Call,
  DETACHED,
  detached,
  EMPTY,
  FACTOR,
  floats,
  goodTargets,
  LENGTH,
  LOGITS,
  MASK,
  OVERLAP,
  RANGE,
  type Refusal,
  refusals,
  TYPE,
} from './refusal.js';

const KNOWN =
  'classes, dtype, labelSmoothing, weight, rowWeight, ignoreIndex, mask, form, reduction, normalizer, whenEmpty, gradient, gradientScale, metrics, perRow, threads, logitScale, softcap, zLoss, linearBias, accumulate';
const GRADIENT = 'must be true, false or an object { input, linearWeight, linearBias }';
const FEATURES = 'linearWeight.length / classes';

const numbers = (length: number) => Float32Array.from({ length }, (_, i) => (i * 7) % 5);
const goodBias = () => floats(1, 2, 3, 4);

/** A call with nothing wrong: 3 rows of 2 features, 4 classes, with gradients of everything. */
function call(change: Record<string, unknown> = {}, more: Partial<Call> = {}): () => Call {
  return () => {
    const gradient = { input: numbers(6), linearWeight: numbers(8), linearBias: numbers(4) };
    const options = { classes: 4, linearBias: goodBias(), gradient, ...change };
    return { logits: numbers(6), linearWeight: numbers(8), targets: goodTargets(), options, ...more };
  };
}

/** The good call with other gradients. */
const gradients = (gradient: unknown, change: Record<string, unknown> = {}) => call({ gradient, ...change });

const optionsRefused: Refusal[] = [
  [
    'no options',
    () => ({ ...call()(), options: undefined }),
    TYPE,
    'options is undefined: must be an object that holds at least classes',
  ],
  [
    'no classes',
    call({ classes: undefined }),
    TYPE,
    'classes is undefined: must be an integer from 1 to 2^31 - 1',
  ],
  [
    'an option nobody knows',
    call({ colour: 'red' }),
    TYPE,
    `options.colour is not an option: must be one of ${KNOWN}`,
  ],
  ...(
    [
      ['bias', 'linearBias'],
      ['linear_bias', 'linearBias'],
      ['ce_weight', 'weight'],
      ['ignore_index', 'ignoreIndex'],
      ['accumulate_gradients', 'accumulate'],
    ] as const
  ).map(
    ([wrong, right]): Refusal => [
      `an option ${wrong}`,
      call({ [wrong]: undefined }),
      TYPE,
      `options.${wrong} is not an option: did you mean ${right}?`,
    ],
  ),
  [
    'linear_weight among the options',
    call({ linear_weight: numbers(8) }),
    TYPE,
    'options.linear_weight is not an option: linearCrossEntropy takes it as its second argument',
  ],
  [
    'rowStride',
    call({ rowStride: 4 }),
    TYPE,
    'options.rowStride is not an option here: bceWithLogits, klDiv, nllLoss, crossEntropy take rowStride',
  ],
  [
    'inner',
    call({ inner: 1 }),
    TYPE,
    'options.inner is not an option here: bceWithLogits, klDiv, nllLoss, crossEntropy take inner',
  ],
  [
    'posWeight',
    call({ posWeight: goodBias() }),
    TYPE,
    'options.posWeight is not an option here: bceWithLogits takes posWeight',
  ],
  [
    'signal, which goes with promises',
    call({ signal: new AbortController().signal }),
    TYPE,
    'signal is an object: must be left out here, it is for smoothloss/promises',
  ],
  ['accumulate 1', call({ accumulate: 1 }), TYPE, 'accumulate is 1: must be true or false'],
  ['accumulate null', call({ accumulate: null }), TYPE, 'accumulate is null: must be true or false'],
  ['mask null', call({ mask: null }), TYPE, `mask is null: must be ${MASK}`],
  [
    'rowWeight too short',
    call({ rowWeight: floats(1, 1) }),
    LENGTH,
    'rowWeight has length 2: must have targets.length = 3',
  ],
  ['weight below 0', call({ weight: floats(1, 1, -1, 1) }), RANGE, `weight[2] is -1: ${FACTOR}`],
  [
    'a Float64Array of weights',
    call({ weight: new Float64Array(4) }),
    TYPE,
    'weight is a Float64Array of length 4: must be a Float32Array where input is no Float64Array',
  ],
  [
    'every row masked',
    call({ mask: new Uint8Array(3), whenEmpty: 'error' }),
    EMPTY,
    'the mean is empty: of 3 rows, 0 take part, and their weights sum to 0',
  ],
  [
    'normalizer elements',
    call({ normalizer: 'elements' }),
    RANGE,
    "normalizer is \"elements\": must be a finite number above 0, or 'weight', 'rows' or 'all'",
  ],
];

const arraysRefused: Refusal[] = [
  ...(
    [
      ['undefined', undefined, 'undefined'],
      ['an array', [1, 2], 'an array of length 2'],
      ['an Int32Array', new Int32Array(6), 'an Int32Array of length 6'],
    ] as const
  ).map(
    ([what, logits, shown]): Refusal => [
      `input ${what}`,
      call({}, { logits }),
      TYPE,
      `input is ${shown}: must be ${LOGITS}${what === 'an array' ? ' (Float32Array.from(input) makes one)' : ''}`,
    ],
  ),
  ...(
    [
      ['undefined', undefined, 'undefined', ''],
      [
        'a Float64Array',
        new Float64Array(8),
        'a Float64Array of length 8',
        'Float32Array.from(linearWeight)',
      ],
      ['an array of rows', [[1, 2]], 'an array of length 1', 'Float32Array.from(linearWeight.flat())'],
      ['half floats', new Uint16Array(8), 'a Uint16Array of length 8', ''],
    ] as const
  ).map(
    ([what, linearWeight, shown, hint]): Refusal => [
      `linearWeight ${what}`,
      call({}, { linearWeight }),
      TYPE,
      `linearWeight is ${shown}: must be a Float32Array, as input is${hint && ` (${hint} makes one)`}`,
    ],
  ),
  [
    'a linearWeight of floats with doubles',
    call({}, { logits: new Float64Array(6) }),
    TYPE,
    'linearWeight is a Float32Array of length 8: must be a Float64Array, as input is (Float64Array.from(linearWeight) makes one)',
  ],
  [
    'a linearBias of floats with doubles',
    call({}, { logits: new Float64Array(6), linearWeight: new Float64Array(8) }),
    TYPE,
    'linearBias is a Float32Array of length 4: must be a Float64Array, as input is (Float64Array.from(linearBias) makes one)',
  ],
  [
    'the order of crossEntropy: targets second',
    call({}, { linearWeight: goodTargets(), targets: numbers(8) }),
    TYPE,
    'linearWeight is an Int32Array of length 3: must be a Float32Array, as input is (targets come third)',
  ],
  [
    'mixed targets second',
    call({}, { linearWeight: { a: goodTargets(), b: goodTargets(), lambda: 1 } }),
    TYPE,
    'linearWeight is an object: must be a Float32Array, as input is (targets come third)',
  ],
  [
    'half floats of no kind',
    call({}, { logits: new Uint16Array(6), linearWeight: new Uint16Array(8) }),
    TYPE,
    "dtype is undefined: must be 'float16' or 'bfloat16' where input is a Uint16Array",
  ],
  [
    'dtype float16 with floats',
    call({ dtype: 'float16' }),
    TYPE,
    'dtype is "float16": must be \'float32\' or undefined where input is a Float32Array',
  ],
  [
    'a linearWeight of no whole number of rows',
    call({}, { linearWeight: numbers(9) }),
    LENGTH,
    'linearWeight has length 9: must have a multiple of classes = 4, not 0',
  ],
  [
    'a linearWeight of nothing',
    call({}, { linearWeight: numbers(0) }),
    LENGTH,
    'linearWeight has length 0: must have a multiple of classes = 4, not 0',
  ],
  [
    'the order of Liger: linearWeight first',
    call({}, { logits: numbers(8), linearWeight: numbers(6) }),
    LENGTH,
    'linearWeight has length 6: must have a multiple of classes = 4, not 0 (did you mean linearCrossEntropy(linearWeight, input, …)?)',
  ],
  [
    'the same where classes divide the length',
    call({}, { logits: numbers(8), linearWeight: numbers(12), targets: new Int32Array(6) }),
    LENGTH,
    `input has length 8: must have targets.length · ${FEATURES} = 18 (did you mean linearCrossEntropy(linearWeight, input, …)?)`,
  ],
  [
    'input too long',
    call({}, { logits: numbers(7) }),
    LENGTH,
    `input has length 7: must have targets.length · ${FEATURES} = 6`,
  ],
  [
    'input of another number of rows than mixed targets',
    call({}, { targets: { a: Int32Array.of(0, 1), b: Int32Array.of(0, 1), lambda: 1 } }),
    LENGTH,
    `input has length 6: must have targets.a.length · ${FEATURES} = 4`,
  ],
  [
    'input of no whole number of rows, with probabilities',
    call({}, { logits: numbers(7), targets: new Float32Array(12) }),
    LENGTH,
    `input has length 7: must have a multiple of ${FEATURES} = 2`,
  ],
  [
    'labels for each class in an array of classes',
    call({}, { targets: new Uint8Array(12) }),
    LENGTH,
    `input has length 6: must have targets.length · ${FEATURES} = 24: targets of type Uint8Array are classes; labels for each class go in a Float32Array (Float32Array.from(targets) makes one)`,
  ],
  [
    'too few probabilities',
    call({}, { targets: new Float32Array(8) }),
    LENGTH,
    'targets has length 8: must have rows · classes = 12',
  ],
  ['targets of nothing', call({}, { targets: null }), TYPE, `targets is null: must be ${ANY_TARGETS}`],
  [
    'a class too many',
    call({}, { targets: Int32Array.of(0, 4, 1) }),
    RANGE,
    'targets[1] is 4: must be an integer in [0, 4) or ignoreIndex -100',
  ],
  [
    'linearBias null',
    call({ linearBias: null }),
    TYPE,
    'linearBias is null: must be a Float32Array, as input is',
  ],
  [
    'linearBias a number for each row',
    call({ linearBias: floats(1, 2, 3) }),
    LENGTH,
    'linearBias has length 3: must have classes = 4',
  ],
  ...(['logits', 'linearWeight'] as const).map((place): Refusal => {
    const length = place === 'logits' ? 6 : 8;
    return [
      `${place} detached`,
      () => call({}, { [place]: detached(numbers(length)) })(),
      TYPE,
      `${place === 'logits' ? 'input' : place} is a Float32Array ${DETACHED}`,
    ];
  }),
  [
    'linearBias detached',
    () => call({ linearBias: detached(goodBias()) })(),
    TYPE,
    `linearBias is a Float32Array ${DETACHED}`,
  ],
];

const gradientsRefused: Refusal[] = [
  ['gradient an array', gradients(numbers(6)), TYPE, `gradient is a Float32Array of length 6: ${GRADIENT}`],
  ['gradient a list', gradients(['input']), TYPE, `gradient is an array of length 1: ${GRADIENT}`],
  ['gradient null', gradients(null), TYPE, `gradient is null: ${GRADIENT}`],
  ['gradient "input"', gradients('input'), TYPE, `gradient is "input": ${GRADIENT}`],
  [
    'gradient of the logits',
    gradients({ logits: true }),
    TYPE,
    'gradient.logits is not an option: must be one of input, linearWeight, linearBias',
  ],
  ...(
    [
      ['weight', 'linearWeight'],
      ['bias', 'linearBias'],
      ['linear_bias', 'linearBias'],
      ['hidden', 'input'],
    ] as const
  ).map(
    ([wrong, right]): Refusal => [
      `gradient of ${wrong}`,
      gradients({ [wrong]: undefined }),
      TYPE,
      `gradient.${wrong} is not an option: did you mean ${right}?`,
    ],
  ),
  ...(
    [
      ['input', null, 'null'],
      ['linearWeight', 1, '1'],
      ['linearBias', [1, 2, 3, 4], 'an array of length 4'],
      ['input', new Float64Array(6), 'a Float64Array of length 6'],
      ['linearWeight', new Uint16Array(8), 'a Uint16Array of length 8'],
    ] as const
  ).map(
    ([name, value, shown]): Refusal => [
      `gradient.${name} ${shown}`,
      gradients({ [name]: value }),
      TYPE,
      `gradient.${name} is ${shown}: must be true, false or a Float32Array`,
    ],
  ),
  [
    'a Float32Array for the gradient of doubles',
    call(
      { linearBias: undefined, gradient: { input: numbers(6) } },
      { logits: new Float64Array(6), linearWeight: new Float64Array(8) },
    ),
    TYPE,
    'gradient.input is a Float32Array of length 6: must be true, false or a Float64Array',
  ],
  [
    'a Uint16Array for the gradient of halves',
    call(
      { dtype: 'bfloat16', linearBias: undefined, gradient: { input: new Uint16Array(6) } },
      { logits: new Uint16Array(6), linearWeight: new Uint16Array(8) },
    ),
    TYPE,
    'gradient.input is a Uint16Array of length 6: must be true, false or a Float32Array',
  ],
  ...(
    [
      ['input', 6],
      ['linearWeight', 8],
      ['linearBias', 4],
    ] as const
  ).flatMap(([name, length]): Refusal[] => [
    [
      `gradient.${name} too long`,
      gradients({ [name]: numbers(length + 1) }),
      LENGTH,
      `gradient.${name} has length ${length + 1}: must have ${name}.length = ${length}`,
    ],
    [
      `gradient.${name} detached`,
      () => gradients({ [name]: detached(numbers(length)) })(),
      TYPE,
      `gradient.${name} is a Float32Array ${DETACHED}`,
    ],
  ]),
  ...[true, numbers(4)].map((linearBias): Refusal => {
    const shown = linearBias === true ? 'true' : 'a Float32Array of length 4';
    return [
      `gradient.linearBias ${shown} without linearBias`,
      gradients({ linearBias }, { linearBias: undefined }),
      TYPE,
      `gradient.linearBias is ${shown}: must be false or undefined where there is no linearBias`,
    ];
  }),
  [
    'accumulate into new arrays',
    gradients(true, { accumulate: true }),
    TYPE,
    'gradient is true: must be an object of arrays to add to where accumulate is true',
  ],
  ...(['linearWeight', 'linearBias'] as const).map(
    (name): Refusal => [
      `accumulate into a new ${name}`,
      () => {
        const given = { linearWeight: numbers(8), linearBias: numbers(4), [name]: true };
        return gradients(given, { accumulate: true })();
      },
      TYPE,
      `gradient.${name} is true: must be an array to add to where accumulate is true`,
    ],
  ),
  ...([undefined, false, {}, { input: true }, { linearWeight: false }] as const).map(
    (gradient, i): Refusal => [
      `accumulate into nothing, ${i}`,
      gradients(gradient, { accumulate: true }),
      TYPE,
      'accumulate is true: must be false or undefined without a gradient of linearWeight or linearBias',
    ],
  ),
];

/** A gradient of 6, 8 or 4 numbers shares memory with each of the other arrays. */
function overlaps(): Refusal[] {
  const lengths = { input: 6, linearWeight: 8, linearBias: 4 };
  const names = ['input', 'linearWeight', 'linearBias'] as const;
  type Place = [place: string, make: (b: ArrayBuffer, at: number) => { options?: object } & Partial<Call>];
  const options = (option: string, make: (b: ArrayBuffer, at: number) => object): Place => [
    option,
    (b, at) => ({ options: make(b, at) }),
  ];
  const places: Place[] = [
    ['input', (b, at) => ({ logits: new Float32Array(b, at, 6) })],
    ['linearWeight', (b, at) => ({ linearWeight: new Float32Array(b, at, 8) })],
    options('linearBias', (b, at) => ({ linearBias: new Float32Array(b, at, 4) })),
    ['targets', (b, at) => ({ targets: new Int32Array(b, at, 3) })],
    ['targets', (b, at) => ({ targets: new Float32Array(b, at, 12) })],
    ['targets.b', (b, at) => ({ targets: { a: goodTargets(), b: new Int8Array(b, at, 3), lambda: 1 } })],
    [
      'targets.lambda',
      (b, at) => ({ targets: { a: goodTargets(), b: goodTargets(), lambda: new Float32Array(b, at, 3) } }),
    ],
    options('weight', (b, at) => ({ weight: new Float32Array(b, at, 4) })),
    options('rowWeight', (b, at) => ({ rowWeight: new Float32Array(b, at, 3) })),
    options('mask', (b, at) => ({ mask: new Uint8Array(b, at, 3) })),
    options('labelSmoothing.epsilon', (b, at) => ({
      labelSmoothing: { epsilon: new Float32Array(b, at, 3) },
    })),
    options('labelSmoothing.prior', (b, at) => ({
      labelSmoothing: { epsilon: 0.1, prior: new Float32Array(b, at, 4).fill(1) },
    })),
    options('gradientScale', (b, at) => ({ reduction: 'none', gradientScale: new Float32Array(b, at, 3) })),
  ];
  const inputs = names.flatMap((name) =>
    places.map(([place, make], i): Refusal => {
      return [
        `gradient.${name} on ${place}, ${i}`,
        () => {
          const buffer = new ArrayBuffer(128);
          const gradient = { [name]: new Float32Array(buffer, 0, lengths[name]) };
          const { options: change = {}, ...more } = make(buffer, 4 * (lengths[name] - 1));
          return call({ gradient, ...change }, more)();
        },
        OVERLAP,
        `gradient.${name} overlaps ${place} in memory: must be apart from it`,
      ];
    }),
  );
  const each = names.flatMap((name, i) =>
    names.slice(0, i).map((other): Refusal => {
      return [
        `gradient.${name} on gradient.${other}`,
        () => {
          const buffer = new ArrayBuffer(128);
          const gradient = {
            [other]: new Float32Array(buffer, 0, lengths[other]),
            [name]: new Float32Array(buffer, 4 * lengths[other] - 4, lengths[name]),
          };
          return call({ gradient })();
        },
        OVERLAP,
        `gradient.${name} overlaps gradient.${other} in memory: must be apart from it`,
      ];
    }),
  );
  // In place, as crossEntropy allows, what the products still read would be written over.
  const inPlace = (['logits', 'linearWeight'] as const).map((place): Refusal => {
    const name = place === 'logits' ? 'input' : place;
    return [
      `${name} in place`,
      () => {
        const array = numbers(lengths[name]);
        return call({ gradient: { [name]: array } }, { [place]: array })();
      },
      OVERLAP,
      `gradient.${name} overlaps ${name} in memory: must be apart from it`,
    ];
  });
  return [...inputs, ...each, ...inPlace];
}

const NAME = 'linearCrossEntropy';

export const tables: Table[] = [
  refusals(`${NAME} refuses options`, optionsRefused, NAME),
  refusals(`${NAME} refuses arrays`, arraysRefused, NAME),
  refusals(`${NAME} refuses gradients`, gradientsRefused, NAME),
  refusals(`${NAME} refuses overlaps`, overlaps(), NAME),
];
