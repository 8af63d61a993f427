// The same bits on every backend, for every loss, number type and kind of targets.

import { type Call, type CallOptions, reports } from '../support/calls.js';
import { NUMBER_TYPES } from '../support/numbers.js';
import { backends } from './backends.js';
import { KINDS, labelsCall, ordinaryCall } from './ordinary.js';
import {
  describe,
  everywhere,
  type Numbers,
  pinned,
  pinnedCalls,
  resultBytes,
  sameBytes,
  update,
} from './pinned.js';
import { Random } from './random.js';
import { randomElements } from './random-calls.js';
import { type Case, fail, type Table } from './table.js';

/** Every loss, number type and kind of target at many sizes: ordinary numbers, then any numbers at all. */
function familyCases(): Case[] {
  const sizes = [
    ...Array.from({ length: 70 }, (_, i) => i + 1),
    96,
    127,
    128,
    129,
    511,
    512,
    513,
    1025,
    4097,
  ];
  return KINDS.flatMap((kind) =>
    NUMBER_TYPES.map((type) =>
      pinnedCalls(`${kind[0]} of ${type}, ${kind[1]}`, function* () {
        for (const classes of sizes) {
          const random = new Random(6000 + classes);
          const ordinary = ordinaryCall(
            random,
            kind,
            type,
            classes > 500 ? 1 : random.pick(2, 3, 4),
            classes,
          );
          const call = { ...ordinary, options: { ...ordinary.options, ...reports(ordinary) } };
          yield call;
          yield { ...call, logits: randomElements(random, call.logits.length, type) };
        }
      }),
    ),
  );
}

function labelCases(): Case[] {
  return (['indices', 'mixed targets', 'soft targets'] as const).map((kind) =>
    pinnedCalls(`smoothLabels, ${kind}`, function* () {
      for (let classes = 1; classes <= 70; classes++) {
        yield labelsCall(new Random(7000 + classes), kind, 1 + (classes % 5), classes);
      }
    }),
  );
}
/** The call with a copy of every typed array in it, each at another element of a larger one. */
function relocated(call: Call, offset: number): Call {
  let n = 0;
  const moved = (value: unknown): unknown => {
    if (ArrayBuffer.isView(value)) {
      const array = value as Numbers;
      const at = (offset * (2 * n++ + 1)) % 10;
      const larger = new (array.constructor as new (length: number) => Numbers)(array.length + 16);
      larger.set(array, at);
      return larger.subarray(at, at + array.length);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, moved(part)]));
  };
  return moved(call) as Call;
}

function familyLayoutCases(): Case[] {
  return KINDS.flatMap((kind) =>
    NUMBER_TYPES.map((type) =>
      pinned(`arrays at any offset, ${kind[0]} of ${type}, ${kind[1]}`, (hash) => {
        for (const classes of [5, 33, 100, 530]) {
          const ordinary = ordinaryCall(new Random(8000 + classes), kind, type, 2, classes);
          const call = { ...ordinary, options: { ...ordinary.options, ...reports(ordinary) } };
          const expected = everywhere(call);
          update(hash, expected);
          for (let offset = 0; offset < 10; offset++) {
            for (const functions of backends) {
              const there = relocated(call, offset);
              const gradient = relocated({ ...call, logits: call.logits.slice() }, 9 - offset).logits.fill(0);
              const actual = resultBytes(functions, { ...there, options: { ...there.options, gradient } });
              const where = `${functions.backend.name}, offset ${offset}, ${describe(call)}`;
              sameBytes(actual, expected, where);
              gradient.fill(0);
              const around = new (gradient.constructor as Uint16ArrayConstructor)(
                gradient.buffer as ArrayBuffer,
              );
              if (around.some((x) => x !== 0)) fail(`${where}: something beside the gradient was written`);
            }
          }
        }
      }),
    ),
  );
}

/** softplus, the logistic function, tanh and ln of very many floats. */
function functionCases(): Case[] {
  const N = 1 << 14;
  const floats = (from: number, step: number) => {
    const words = new Uint32Array(N);
    for (let i = 0; i < N; i++) words[i] = from + step * i;
    return new Float32Array(words.buffer);
  };
  // From 2^-30 to 2^8, with their signs.
  const bands = () =>
    [0x30800000, 0xb0800000].flatMap((sign) =>
      Array.from({ length: 8 }, (_, b) => floats(sign + b * ((0x43800000 - 0x30800000) / 8), 2432)),
    );
  const bce = (logits: Call['logits'], type: Call['type'], more: Partial<CallOptions> = {}): Call => ({
    name: 'bceWithLogits',
    ...(type === undefined ? {} : { type }),
    logits,
    targets: Float32Array.from({ length: N }, (_, i) => i % 2),
    options: { classes: N, reduction: 'none', ...more },
  });
  const doubles = (logits: Float32Array) => Float64Array.from(logits, (x, i) => x * (1 + i * 2 ** -40));
  const divergence = (targets: Float32Array | Float64Array): Call => ({
    name: 'klDiv',
    type: targets instanceof Float64Array ? 'float64' : 'float32',
    logits: targets.map(() => -1),
    targets,
    options: { classes: N, reduction: 'none' },
  });
  const unit = () => Array.from({ length: 8 }, (_, b) => floats(0x3f000000 - b * 0x800000, 512));
  return [
    pinnedCalls('logistic function and softplus, densely', () => bands().map((x) => bce(x, 'float32'))),
    pinnedCalls('logistic function and softplus of doubles, densely', () =>
      bands().map((x) => bce(doubles(x), 'float64')),
    ),
    pinnedCalls('tanh, densely', () => bands().map((x) => bce(x, 'float32', { softcap: 1.5 }))),
    pinnedCalls('tanh of doubles, densely', () =>
      bands().map((x) => bce(doubles(x), 'float64', { softcap: 1.5 })),
    ),
    pinnedCalls('logarithm, densely', () => unit().map(divergence)),
    pinnedCalls('logarithm of doubles, densely', () => unit().map((x) => divergence(doubles(x)))),
    pinnedCalls('every half', () =>
      (['float16', 'bfloat16'] as const).flatMap((type) =>
        [0, 1, 2, 3].map((part) =>
          bce(
            Uint16Array.from({ length: N }, (_, i) => part * N + i),
            type,
          ),
        ),
      ),
    ),
    // Targets 0 and 1 leave gradients near 0 and 1, times 2^k: the halves' gradients of all sizes, some beyond.
    pinnedCalls('gradients of every size as halves', () =>
      (['float16', 'bfloat16'] as const).flatMap((type) =>
        [2 ** -20, 1, 2 ** 14, 2 ** 127].map((gradientScale) =>
          bce(
            Uint16Array.from({ length: N }, (_, i) => 0x3400 + i),
            type,
            { gradientScale },
          ),
        ),
      ),
    ),
  ];
}

export const tables: Table[] = [
  { name: 'bits of every loss', cases: [...familyCases(), ...labelCases()] },
  { name: 'bits of every loss at any place in memory', cases: familyLayoutCases() },
  { name: 'bits of elementary functions, densely', cases: functionCases() },
];
