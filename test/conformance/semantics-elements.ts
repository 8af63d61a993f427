// What bceWithLogits, klDiv, nllLoss and smoothLabels mean: infinities, NaN, zeros, denominators and what is the same by
// another name.

import { type Call, type CallOptions, decoded, everything, make, oracleOf } from '../support/calls.js';
import { encode, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import { type OracleTargets, oracleLabels } from '../support/oracle.js';
import { check } from '../support/tolerance.js';
import { onEveryBackend } from './backends.js';
import type { Kind } from './ordinary.js';
import { INDICES, LOGITS, plainCall, SOFT } from './semantics-family.js';
import { agree, sameAnswer } from './semantics-softmax.js';
import { type Case, errorOf, fail, near, same, sameElements, type Table } from './table.js';

const ROWS = 5;
const CLASSES = 6;
const BCE: Kind = ['bceWithLogits', 'soft targets'];
const BCE_INDEX: Kind = ['bceWithLogits', 'indices'];
const KL: Kind = ['klDiv', 'soft targets'];
const NLL: Kind = ['nllLoss', 'indices'];
const NLL_MIXED: Kind = ['nllLoss', 'mixed targets'];
const NONE = { reduction: 'none' } as const;

type Options = Partial<CallOptions>;
type Functions = Parameters<typeof make>[0];

const everyType = (name: string, run: (functions: Functions, type: NumberType) => void): Case[] =>
  NUMBER_TYPES.flatMap((type) => onEveryBackend(`${name}: ${type}`, (functions) => run(functions, type)));

/** One row of logits or log-probabilities against one of targets. */
function row(
  name: 'bceWithLogits' | 'klDiv' | 'nllLoss',
  type: NumberType,
  logits: readonly number[],
  targets: OracleTargets,
  options: Options = {},
): Call {
  return {
    name,
    type,
    logits: encode(logits, type),
    targets,
    options: { classes: logits.length, reduction: 'none', ...options },
  };
}

function bceElements(): Case[] {
  return [
    ...everyType('bceWithLogits of infinite logits that agree with the target is 0', (functions, type) => {
      const result = agree(
        functions,
        row('bceWithLogits', type, [Infinity, -Infinity], Float32Array.of(1, 0)),
      );
      sameElements(result.losses ?? [], [0, 0], 'losses');
      for (const g of result.numbers) same(Math.abs(g), 0, 'a gradient');
    }),
    ...everyType(
      'bceWithLogits of infinite logits that do not is Infinity, the gradient finite',
      (functions, type) => {
        const targets = Float32Array.of(0, 1, 0.5, 0.5);
        const call = row('bceWithLogits', type, [Infinity, -Infinity, Infinity, -Infinity], targets);
        const result = agree(functions, call);
        sameElements(result.losses ?? [], [Infinity, Infinity, Infinity, Infinity], 'losses');
        sameElements(result.numbers, [1, -1, 0.5, -0.5], 'gradient');
      },
    ),
    ...everyType('bceWithLogits of NaN is NaN, for that element alone', (functions, type) => {
      for (const options of [{}, { labelSmoothing: 0.1 }] as Options[]) {
        const call = row('bceWithLogits', type, [1, NaN, -2], Float32Array.of(1, 0, 0.25), options);
        const result = agree(functions, call);
        same(result.losses?.[1], NaN, 'losses[1]');
        same(result.gradient[1], encode([NaN], type)[1 - 1], 'gradient[1]');
        same(Number.isFinite(result.losses?.[0]), true, 'whether the first loss is finite');
      }
    }),
    ...everyType('bceWithLogits of NaN that is masked or whose row is ignored is 0', (functions, type) => {
      const masked = row('bceWithLogits', type, [1, NaN, -2], Float32Array.of(1, NaN, 0.25), {
        mask: Uint8Array.of(1, 0, 7),
      });
      const result = agree(functions, masked);
      same(result.losses?.[1], 0, 'losses[1]');
      same(result.gradient[1], 0, 'gradient[1]');
      same(result.denominator, 2, 'denominator');
      same(result.rows, 1, 'rows');
      const ignored = row('bceWithLogits', type, [1, NaN, -2], Int32Array.of(-100));
      same(agree(functions, ignored).rows, 0, 'rows where the row is ignored');
    }),
    ...everyType('a posWeight of 0 leaves the negative part alone', (functions, type) => {
      const posWeight = Float32Array.of(0, 0, 3);
      const result = agree(
        functions,
        row('bceWithLogits', type, [-Infinity, 2, 1], Float32Array.of(1, 1, 1), { posWeight }),
      );
      sameElements((result.losses ?? []).slice(0, 2), [0, 0], 'losses');
    }),
    ...everyType('a weight of 0 makes an infinite loss 0', (functions, type) => {
      const weight = Float32Array.of(0, 1);
      const result = agree(
        functions,
        row('bceWithLogits', type, [-Infinity, 2], Float32Array.of(1, 1), { weight }),
      );
      same(result.losses?.[0], 0, 'losses[0]');
    }),
    ...everyType('bceWithLogits of hard numbers', (functions, type) => {
      const numbers = [
        0,
        -0,
        1e-7,
        -1e-7,
        20,
        -20,
        80,
        -80,
        120,
        -120,
        1000,
        -1000,
        1e8,
        -1e8,
        3e38,
        -3e38,
        2 ** -140,
      ];
      for (const t of [0, 1, 0.5, 2 ** -30, 1 - 2 ** -20]) {
        for (const options of [
          {},
          { labelSmoothing: 0.1 },
          { labelSmoothing: { epsilon: 0.25, toward: 1 } },
          { softcap: 10 },
          { logitScale: 0.125 },
        ] as Options[]) {
          const targets = new Float32Array(numbers.length).fill(t);
          agree(functions, row('bceWithLogits', type, numbers, targets, options));
        }
      }
    }),
    ...everyType('targets beyond [0, 1] are taken as they are', (functions, type) => {
      agree(functions, row('bceWithLogits', type, [1, -1, 2, 0], Float32Array.of(2, -1, 1.5, -0.5)));
      agree(functions, row('bceWithLogits', type, [1, -1, 2, 0], Uint8Array.of(2, 3, 0, 255)));
    }),
    ...onEveryBackend('bceWithLogits: what counts as right', (functions) => {
      const logits = [1, -1, 0, 2, -2, 0, 1];
      const targets = Float32Array.of(1, 0, 0, 0.5, 0.75, 1, 0.51);
      const call = row('bceWithLogits', 'float32', logits, targets, { metrics: true });
      same(make(functions, call).metrics?.accuracy, 4 / 7, 'accuracy');
    }),
  ];
}

function bceDenominators(): Case[] {
  const weight = Float32Array.of(1, 0.5, 2, 4, 0.25, 8); // Σ = 15.75
  const rowWeight = Float32Array.of(1, 2, 0.5, 4, 0);
  const mask = Uint8Array.of(1, 1, 1, 0, 1);
  const elements = Uint8Array.from({ length: ROWS * CLASSES }, (_, i) => (i < 7 ? 0 : 1)); // row 0 and one more
  const expected: [string, Kind, Options, number, number][] = [
    ['the mean divides by the number of elements', BCE, {}, 30, 5],
    ['of rows that take part', BCE, { mask, weight, rowWeight }, 24, 4],
    ['of elements that take part', BCE, { mask: elements }, 23, 4],
    ["normalizer 'rows'", BCE, { mask: elements, normalizer: 'rows' }, 4, 4],
    ["normalizer 'all'", BCE, { mask: elements, normalizer: 'all' }, 30, 4],
    ["normalizer 'weight'", BCE, { weight, rowWeight, mask, normalizer: 'weight' }, 15.75 * 3.5, 4],
    [
      "normalizer 'weight', elements",
      BCE,
      { weight, mask: elements, normalizer: 'weight' },
      4 * 15.75 - 1,
      4,
    ],
    ['a number', BCE, { mask, normalizer: 12.5 }, 12.5, 4],
    ['classes', BCE_INDEX, { ignoreIndex: 5 }, 24, 4],
    ['klDiv: elements', KL, { mask, weight }, 24, 4],
    ['klDiv: rows', KL, { mask, normalizer: 'rows' }, 4, 4],
    ["klDiv: 'batchmean'", KL, { mask, reduction: 'batchmean' }, 4, 4],
    ["klDiv: 'all'", KL, { mask, normalizer: 'all' }, 30, 4],
    ["klDiv: 'weight'", KL, { mask, weight, rowWeight, normalizer: 'weight' }, 15.75 * 3.5, 4],
    ['nllLoss: weights', NLL, { weight, rowWeight, mask }, 10, 4],
    ['nllLoss: rows', NLL, { weight, rowWeight, mask, normalizer: 'rows' }, 4, 4],
    [
      'nllLoss: mixed',
      NLL_MIXED,
      { weight, mask },
      0.75 * (4 + 1 + 8 + 0.25) + 0.25 * (0.5 + 2 + 4 + 0.25),
      4,
    ],
    ['crossEntropy: soft targets', ['crossEntropy', 'soft targets'], { weight, mask }, 4, 4],
    ['crossEntropy: mixed', ['crossEntropy', 'mixed targets'], { rowWeight, mask }, 3.5, 4],
  ];
  return expected.flatMap(([name, kind, options, denominator, rows]) =>
    everyType(`denominator, ${name}`, (functions, type) => {
      const result = agree(functions, plainCall(kind, type, options));
      same(result.denominator, denominator, 'denominator');
      same(result.rows, rows, 'rows');
      same(result.loss, result.numerator / denominator, 'loss');
      if (options.reduction !== undefined) return;
      for (const reduction of ['sum', 'none'] as const) {
        const other = agree(functions, plainCall(kind, type, { ...options, reduction }));
        same(other.numerator, result.numerator, 'numerator with another reduction');
        same(other.denominator, denominator, 'denominator with another reduction');
      }
    }),
  );
}

function divergence(): Case[] {
  return [
    ...everyType('klDiv: a target of 0 contributes 0 whatever the log-probability', (functions, type) => {
      const x = [-1, NaN, -Infinity, Infinity, -2];
      for (const [targets, options] of [
        [Float32Array.of(0.5, 0, 0, 0, 0.5), {}],
        [Float32Array.of(-1, -Infinity, -Infinity, -Infinity, -1), { logTarget: true }],
      ] as const) {
        const result = agree(functions, row('klDiv', type, x, targets, options));
        sameElements((result.losses ?? []).slice(1, 4), [0, 0, 0], 'losses');
        for (const g of result.numbers.slice(1, 4)) same(Math.abs(g), 0, 'a gradient');
        same(Number.isFinite(result.numerator), true, 'whether the sum is finite');
      }
    }),
    ...everyType(
      'klDiv: -Infinity where there is a target is Infinity, the gradient finite',
      (functions, type) => {
        const result = agree(functions, row('klDiv', type, [-Infinity, -1], Float32Array.of(0.25, 0.75)));
        same(result.losses?.[0], Infinity, 'losses[0]');
        sameElements(result.numbers, [-0.25, -0.75], 'gradient');
      },
    ),
    ...everyType('klDiv: the gradient does not look at the log-probability', (functions, type) => {
      const result = agree(functions, row('klDiv', type, [NaN, 1e30, 0], Float32Array.of(0.5, 0.25, 0.25)));
      same(result.losses?.[0], NaN, 'losses[0]');
      sameElements(result.numbers, [-0.5, -0.25, -0.25], 'gradient');
    }),
    ...everyType('klDiv: a negative target is NaN, of that element alone', (functions, type) => {
      const result = agree(functions, row('klDiv', type, [-1, -1], Float32Array.of(-0.5, 0.5)));
      same(result.losses?.[0], NaN, 'losses[0]');
      same(Number.isFinite(result.losses?.[1]), true, 'whether the other is finite');
    }),
    ...everyType('klDiv: 0 where the model is the target', (functions, type) => {
      const t = [0.5, 0.25, 0.125, 0.125];
      const targets = Float64Array.from(t);
      const { losses, numerator } = make(functions, row('klDiv', type, t.map(Math.log), targets));
      const part = type === 'float64' ? 1e-15 : { float32: 1e-7, float16: 1e-3, bfloat16: 1e-2 }[type];
      losses?.forEach((loss, k) => {
        near(loss, 0, part, `losses[${k}]`);
      });
      near(numerator, 0, 4 * part, 'numerator');
    }),
    ...everyType('klDiv of targets and of their logarithms', (functions, type) => {
      const call = plainCall(KL, type, NONE);
      const logarithms = Float64Array.from(call.targets as Float32Array, Math.log);
      const log = { ...call, targets: logarithms, options: { ...call.options, logTarget: true } };
      agree(functions, call);
      agree(functions, log);
      near(make(functions, log).numerator, make(functions, call).numerator, 1e-6, 'numerator');
    }),
    ...everyType("klDiv: 'batchmean' is 'mean' times the classes", (functions, type) => {
      const mean = make(functions, plainCall(KL, type, { reduction: 'mean' }));
      const batchmean = make(functions, plainCall(KL, type, { reduction: 'batchmean' }));
      const { loss = NaN } = mean;
      near(batchmean.loss ?? NaN, loss * CLASSES, 1e-15 * Math.abs(loss * CLASSES), 'loss');
    }),
  ];
}

function likelihood(): Case[] {
  return [
    ...everyType('nllLoss does not look at classes without a target', (functions, type) => {
      for (const [targets, options] of [
        [Int32Array.of(1), {}],
        [Int32Array.of(1), { labelSmoothing: { epsilon: 0.5, exclude: [0, 2, 3] } }],
        [Int32Array.of(1), { labelSmoothing: 0.5, weight: Float32Array.of(0, 1, 0, 0) }],
        [{ a: Int32Array.of(1), b: Int32Array.of(1), lambda: 0.5 }, {}],
        [{ a: Int32Array.of(1), b: Int32Array.of(0), lambda: 1 }, { form: 'kl' }],
      ] as [OracleTargets, Options][]) {
        const result = agree(
          functions,
          row('nllLoss', type, [NaN, -2, -Infinity, Infinity], targets, options),
        );
        same(Number.isFinite(result.losses?.[0]), true, 'whether the loss is finite');
        for (const k of [0, 2, 3]) same(Math.abs(result.numbers[k]), 0, 'a gradient');
      }
    }),
    ...everyType('nllLoss: the gradient is there whatever the log-probability', (functions, type) => {
      for (const [x, loss] of [
        [-Infinity, Infinity],
        [Infinity, -Infinity],
        [NaN, NaN],
      ]) {
        const result = agree(functions, row('nllLoss', type, [-1, x, -1], Int32Array.of(1)));
        same(result.losses?.[0], loss, 'losses[0]');
        sameElements(result.numbers.map(Math.abs), [0, 1, 0], 'gradient');
        same(result.numbers[1], -1, 'the gradient of the target');
      }
    }),
    ...everyType('nllLoss takes scores above 0 too', (functions, type) => {
      const result = agree(functions, row('nllLoss', type, [0.5, 0.25, 3], Int32Array.of(2)));
      same(result.losses?.[0], -3, 'losses[0]');
    }),
    ...everyType('nllLoss of log-probabilities is crossEntropy', (functions, type) => {
      const call = plainCall(['crossEntropy', 'indices'], 'float64', NONE);
      const { perRow } = make(functions, call, { perRow: ['lse'] });
      const lse = perRow?.lse ?? fail('no lse');
      const logProbs = Array.from(call.logits, (x, i) => x - lse[Math.floor(i / CLASSES)]);
      const options = {
        labelSmoothing: { epsilon: 0.1, over: 'others', exclude: 1 },
        form: 'kl',
        ...NONE,
      } as const;
      const nll = agree(functions, {
        ...plainCall(NLL, type, options),
        logits: encode(logProbs, type),
      });
      const direct = agree(functions, plainCall(['crossEntropy', 'indices'], 'float64', options));
      const part = { float64: 1e-13, float32: 1e-5, float16: 0.02, bfloat16: 0.2 }[type];
      nll.losses?.forEach((loss, r) => {
        near(loss, direct.losses?.[r] ?? NaN, part, `losses[${r}]`);
      });
    }),
  ];
}

function labels(): Case[] {
  const of = (targets: OracleTargets, options: Options): Call => ({
    name: 'smoothLabels',
    logits: new Float32Array(0),
    targets,
    options: { classes: CLASSES, labelSmoothing: 0, ...options },
  });
  const y = () => Int32Array.from(INDICES, (index, r) => (r === 2 ? -100 : index));
  return [
    ...onEveryBackend('smoothLabels without smoothing is one-hot, ignored rows 0', (functions) => {
      const result = make(functions, of(y(), {})).labels ?? fail('no labels');
      const expected = Array.from({ length: ROWS * CLASSES }, (_, i) =>
        y()[Math.floor(i / CLASSES)] === i % CLASSES ? 1 : 0,
      );
      sameElements(result, expected, 'labels');
      same(result instanceof Float32Array, true, 'whether it is a Float32Array');
    }),
    ...onEveryBackend('smoothLabels: rows that take no part are +0 whatever their targets', (functions) => {
      const mask = Uint8Array.of(1, 1, 0, 1, 1);
      const smoothing = { labelSmoothing: { epsilon: 0.5, prior: Float32Array.of(1, 2, 0, 1, 1, 1) }, mask };
      const soft = Float32Array.from(SOFT, (t, i) => (Math.floor(i / CLASSES) === 2 ? NaN : t));
      const wrong = Int32Array.from(INDICES, (index, r) => (r === 2 ? 77 : index));
      for (const targets of [wrong, soft, { a: wrong, b: wrong, lambda: 0.5 }, Float64Array.from(soft)]) {
        const call = of(targets, smoothing);
        const result = make(functions, call).labels ?? fail('no labels');
        for (const t of result.subarray(2 * CLASSES, 3 * CLASSES)) same(t, 0, 'a label');
        oracleLabels(call.targets, call.options).forEach((t, i) => {
          near(result[i], t, 1.2e-7 * t, `labels[${i}]`);
        });
      }
    }),
    ...onEveryBackend('smoothLabels: what over and exclude leave out is exactly 0', (functions) => {
      const labelSmoothing = { epsilon: 1, over: 'others', exclude: [0, 5] } as const;
      const targets = Int32Array.of(1, 2, 0, 3, 4);
      const result = make(functions, of(targets, { labelSmoothing })).labels ?? fail('no labels');
      result.forEach((t, i) => {
        const k = i % CLASSES;
        const left = k !== 0 && k !== 5 && k !== targets[Math.floor(i / CLASSES)];
        if (!left) same(t, 0, `labels[${i}]`);
        else near(t, targets[Math.floor(i / CLASSES)] === 0 ? 1 / 4 : 1 / 3, 1e-7, `labels[${i}]`);
      });
    }),
    ...onEveryBackend('smoothLabels as soft targets is the smoothed loss', (functions) => {
      const labelSmoothing = { epsilon: 0.3, over: 'others', exclude: 1 } as const;
      for (const targets of [
        Int32Array.from(INDICES),
        { a: Int32Array.from(INDICES), b: Int32Array.of(1, 2, 3, 4, 4), lambda: 0.25 },
      ]) {
        const soft = make(functions, of(targets, { labelSmoothing })).labels ?? fail('no labels');
        const index: Call = {
          logits: Float32Array.from(LOGITS),
          targets,
          options: { classes: CLASSES, labelSmoothing, reduction: 'none' },
        };
        const call = { ...index, targets: soft, options: { classes: CLASSES, ...NONE } };
        const actual = make(functions, call, { gradient: true });
        check(decoded(actual), { ...oracleOf(index), denominator: ROWS });
      }
    }),
    ...onEveryBackend('smoothLabels refuses classes out of range', (functions) => {
      const error = errorOf(() => make(functions, of(Int32Array.of(0, 6, 1), { labelSmoothing: 0.1 })));
      same(error.code, 'ERR_OUT_OF_RANGE', 'the code');
    }),
    ...onEveryBackend('smoothLabels returns a new array each time', (functions) => {
      const one = make(functions, of(y(), { labelSmoothing: 0.1 })).labels;
      const other = make(functions, of(y(), { labelSmoothing: 0.1 })).labels;
      same(one?.buffer === other?.buffer, false, 'whether they share memory');
    }),
  ];
}

/** Calls of which the answers must be the same to the last bit. */
function sameByAnotherName(): Case[] {
  const onehot = () =>
    Float32Array.from(LOGITS, (_, i) => (INDICES[Math.floor(i / CLASSES)] === i % CLASSES ? 1 : 0));
  const repeated = (factors: ArrayLike<number>) =>
    Array.from({ length: ROWS * CLASSES }, (_, i) => factors[i % CLASSES]);
  const weight = Float32Array.of(1, 0.5, 2, 4, 0.25, 0);
  const mask = Uint8Array.of(1, 0, 3, 1, 0);
  const perElement = Uint8Array.from({ length: ROWS * CLASSES }, (_, i) => mask[Math.floor(i / CLASSES)]);
  const bce = (type: NumberType, targets: OracleTargets, options: Options = {}): Call => ({
    ...plainCall(BCE, type, { labelSmoothing: 0.1, ...options }),
    targets,
  });
  const pairs: [string, (type: NumberType) => [Call, Call]][] = [
    [
      'bceWithLogits of classes and of one-hot targets',
      (type) => [bce(type, onehot()), bce(type, Int32Array.from(INDICES))],
    ],
    ['one-hot targets as bytes', (type) => [bce(type, onehot()), bce(type, Uint8Array.from(onehot()))]],
    ['one-hot targets as doubles', (type) => [bce(type, onehot()), bce(type, Float64Array.from(onehot()))]],
    [
      'toward 1/2 is the default',
      (type) => [bce(type, onehot()), bce(type, onehot(), { labelSmoothing: { epsilon: 0.1, toward: 0.5 } })],
    ],
    [
      'a weight per class and per element',
      (type) => [
        bce(type, onehot(), { weight }),
        bce(type, onehot(), { weight: Float32Array.from(repeated(weight)) }),
      ],
    ],
    [
      'a mask per row and per element',
      (type) => [bce(type, onehot(), { mask }), bce(type, onehot(), { mask: perElement })],
    ],
    [
      'posWeight of ones is none',
      (type) => [bce(type, onehot()), bce(type, onehot(), { posWeight: new Float32Array(CLASSES).fill(1) })],
    ],
    [
      "normalizer 'elements' is the default",
      (type) => [bce(type, onehot()), bce(type, onehot(), { normalizer: 'elements' })],
    ],
    [
      'klDiv: logTarget false is the default',
      (type) => [plainCall(KL, type), plainCall(KL, type, { logTarget: false })],
    ],
    [
      "klDiv: 'batchmean' is the mean by rows",
      (type) => [
        plainCall(KL, type, { mask, reduction: 'batchmean' }),
        plainCall(KL, type, { mask, normalizer: 'rows' }),
      ],
    ],
    [
      "nllLoss: normalizer 'weight' is the default",
      (type) => [plainCall(NLL, type), plainCall(NLL, type, { normalizer: 'weight' })],
    ],
  ];
  return pairs.flatMap(([name, make_]) =>
    everyType(name, (functions, type) => {
      const [one, other] = make_(type);
      make(functions, one, everything(one));
      sameAnswer(functions, one, other, name);
    }),
  );
}

export const tables: Table[] = [
  { name: 'elements of bceWithLogits', cases: bceElements() },
  { name: 'denominators of every loss', cases: bceDenominators() },
  { name: 'klDiv', cases: divergence() },
  { name: 'nllLoss', cases: likelihood() },
  { name: 'smoothLabels', cases: labels() },
  { name: 'ways to say the same of elements', cases: sameByAnotherName() },
];
