// What crossEntropy refuses among its arrays, and a mean of nothing.

import { otherRealm } from '../../support/memory.js';
import {
  ANY_TARGETS,
  DETACHED,
  detached,
  EMPTY,
  floats,
  goodLogits,
  goodTargets,
  IN_PLACE,
  LENGTH,
  LOGITS,
  logits,
  OVERLAP,
  options,
  RANGE,
  type Refusal,
  refusals,
  resized,
  shrunk,
  TYPE,
  targets,
} from './refusal.js';

const arraysRefused: Refusal[] = [
  ...(
    [
      ['undefined', undefined, 'undefined'],
      ['null', null, 'null'],
      ['a number', 3, '3'],
      ['a string', 'logits', '"logits"'],
      ['an Int32Array', new Int32Array(12), 'an Int32Array of length 12'],
      ['a Uint8ClampedArray', new Uint8ClampedArray(12), 'a Uint8ClampedArray of length 12'],
      ['a Buffer', Buffer.alloc(48), 'a Uint8Array of length 48'],
      ['a DataView', new DataView(new ArrayBuffer(48)), 'a DataView'],
      ['an object made to look like one', Object.create(Float32Array.prototype), 'an object'],
      ['an object tagged Float32Array', { [Symbol.toStringTag]: 'Float32Array', length: 12 }, 'an object'],
      ['a Proxy', new Proxy(new Float32Array(12), {}), 'an object'],
      ["another realm's Int32Array", otherRealm('new Int32Array(12)'), 'an Int32Array of length 12'],
    ] as const
  ).flatMap(([name, value, shown]): Refusal[] => [
    [`logits are ${name}`, logits(value), TYPE, `logits is ${shown}: must be ${LOGITS}`],
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
    `logits is an array of length 3: must be ${LOGITS} (Float32Array.from(logits) makes one)`,
  ],
  [
    "logits are another realm's array",
    logits(otherRealm('[1, 2, 3]')),
    TYPE,
    `logits is an array of length 3: must be ${LOGITS} (Float32Array.from(logits) makes one)`,
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
    TYPE,
    'logits is a Float32Array of length 0 beyond the end of its buffer, which was resized: must be within it',
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
    TYPE,
    'gradient is a Float32Array of length 0 beyond the end of its buffer, which was resized: must be within it',
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
      ['a DataView', new DataView(new ArrayBuffer(12)), 'a DataView'],
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
      `targets is ${shown}: must be ${ANY_TARGETS}`,
    ],
  ),
  [
    'targets are an array',
    targets([0, 1, 3]),
    TYPE,
    `targets is an array of length 3: must be ${ANY_TARGETS} (Int32Array.from(targets) makes one)`,
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
      [BigInt64Array.of(0n, 1n, 4n), 2, '4'],
      [BigInt64Array.of(0n, 1n, 2n ** 32n), 2, '4294967296'],
      [BigInt64Array.of(0n, 1n, 2n ** 32n - 100n), 2, '4294967196'],
      [BigInt64Array.of(0n, 1n, -(2n ** 32n) - 100n), 2, '-4294967396'],
      [BigInt64Array.of(0n, 1n, 2n ** 53n + 1n), 2, '9007199254740993'],
      [BigInt64Array.of(0n, 1n, -(2n ** 63n)), 2, '-9223372036854775808'],
      [BigInt64Array.of(0n, 1n, 2n ** 32n + 3n), 2, '4294967299'],
      [BigInt64Array.of(0n, 1n, 3n - 2n ** 32n), 2, '-4294967293'],
      [BigUint64Array.of(0n, 1n, 2n ** 32n + 3n), 2, '4294967299'],
      [BigUint64Array.of(0n, 1n, 2n ** 33n + 3n), 2, '8589934595'],
      [BigUint64Array.of(0n, 1n, 2n ** 63n), 2, '9223372036854775808'],
      [BigUint64Array.of(0n, 1n, 2n ** 64n - 100n), 2, '18446744073709551516'],
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
    `targets[2] is 1152921504606846976: ${NUMBER_RANGE}`,
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
  const hint = name === 'logits' ? IN_PLACE : '';
  const message = `gradient overlaps ${name} in memory: must be apart from it${hint}`;
  const last = 64 + (name === 'mask' ? 0 : byteLength - 4);
  const refusals: Refusal[] = [
    [`gradient's end on ${name}`, call(64, 64 - 44), OVERLAP, message],
    [`gradient's beginning on ${name}`, call(64, last), OVERLAP, message],
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
  EMPTY,
  `the mean is empty: of ${total} rows, ${rows} take part, and their weights sum to 0`,
]);

export const tables = [
  refusals('arrays refused', arraysRefused),
  refusals('targets refused', targetsRefused),
  refusals('overlap refused', overlapRefused),
  refusals('an empty mean refused', emptyRefused),
];
