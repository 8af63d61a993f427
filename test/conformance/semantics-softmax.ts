// What crossEntropy means for soft and mixed targets, form 'kl', and the terms of the logits: infinities, NaN, zeros and
// what is the same by another name.

import { type Call, type CallOptions, decoded, everything, make, oracleOf } from '../support/calls.js';
import { decode, encode, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import { check } from '../support/tolerance.js';
import { onEveryBackend } from './backends.js';
import type { Kind } from './ordinary.js';
import { Random } from './random.js';
import { INDICES, LOGITS, plainCall, SOFT, withRow } from './semantics-family.js';
import { type Case, fail, near, same, sameElements, type Table } from './table.js';

const ROWS = 5;
const CLASSES = 6;
const INDEX: Kind = ['crossEntropy', 'indices'];
const SOFT_KIND: Kind = ['crossEntropy', 'soft targets'];
const MIXED: Kind = ['crossEntropy', 'mixed targets'];
const NONE = { reduction: 'none' } as const;

type Options = Partial<CallOptions>;
type Functions = Parameters<typeof make>[0];

/** Runs a call with everything that there is to report, and compares with the oracle; `numbers` is the gradient decoded. */
export function agree(functions: Functions, call: Call) {
  const result = make(functions, call, everything(call));
  check(decoded(result, call.type), oracleOf(call), call.type);
  const gradient = result.gradient ?? fail('no gradient');
  return { ...result, gradient, numbers: decode(gradient, call.type ?? 'float32') };
}

/** Two calls have the very same answer. */
export function sameAnswer(functions: Functions, one: Call, other: Call, what: string): void {
  const a = make(functions, one, everything(one));
  const b = make(functions, other, everything(other));
  for (const part of ['numerator', 'denominator', 'rows', 'loss'] as const)
    same(b[part], a[part], `${what}: ${part}`);
  sameElements(b.losses ?? [], a.losses ?? [], `${what}: losses`);
  sameElements(b.gradient ?? [], a.gradient ?? [], `${what}: gradient`);
  for (const [part, array] of Object.entries(a.perRow ?? {})) {
    sameElements(Reflect.get(b.perRow ?? {}, part), array, `${what}: perRow.${part}`);
  }
  for (const [part, value] of Object.entries(a.metrics ?? {})) {
    same(Reflect.get(b.metrics ?? {}, part), value, `${what}: metrics.${part}`);
  }
}

const everyType = (name: string, run: (functions: Functions, type: NumberType) => void): Case[] =>
  NUMBER_TYPES.flatMap((type) => onEveryBackend(`${name}: ${type}`, (functions) => run(functions, type)));

/** Numbers that are hard on exponentials, for every kind of target. */
function hardNumbers(): Case[] {
  const random = new Random(5);
  const normal = LOGITS.map(() => random.normal());
  const logits: [string, number[]][] = [
    ['offset 1e8', normal.map((x) => 8 * Math.round(x * 4) + 1e8)],
    ['offset -1e8', normal.map((x) => 8 * Math.round(x * 4) - 1e8)],
    ['±1e38', normal.map((x) => (x > 1 ? 1e38 : x < -1 ? -1e38 : x))],
    ['subnormal numbers', normal.map((x) => x * 2 ** -140)],
    ['zeros of both signs', normal.map((x) => x * 0)],
    ['equal numbers', normal.map(() => 0.75)],
    ['gaps of 100', normal.map((x) => Math.round(x) * 100)],
    ['-Infinity for class 1', normal.map((x, i) => (i % CLASSES === 1 ? -Infinity : x))],
    ['all but class 2 -Infinity', normal.map((x, i) => (i % CLASSES === 2 ? x : -Infinity))],
  ];
  const options: [string, Options][] = [
    ['', {}],
    [', smoothed', { labelSmoothing: 0.1 }],
    [", form 'kl'", { form: 'kl', labelSmoothing: 0.25 }],
    [', zLoss', { zLoss: 0.01 }],
    [', weight, softcap', { weight: Float32Array.of(1, 0, 2, 0.5, 4, 1), softcap: 30 }],
    [', logitScale', { logitScale: 0.3 }],
  ];
  return logits.flatMap(([content, values]) =>
    options.flatMap(([name, option]) =>
      everyType(`${content}${name}`, (functions, type) => {
        for (const kind of [INDEX, SOFT_KIND, MIXED]) {
          agree(functions, {
            ...plainCall(kind, type, { ...NONE, ...option }),
            logits: encode(values, type),
          });
        }
      }),
    ),
  );
}

function undefinedRows(): Case[] {
  const rows: [string, number[]][] = [
    ['NaN', [1, 2, NaN, 4, 5, 6]],
    ['Infinity', [1, 2, 3, Infinity, 5, 6]],
    ['-Infinity alone', new Array(CLASSES).fill(-Infinity)],
  ];
  return rows.flatMap(([content, row]) =>
    everyType(`a row with ${content} is NaN, and no other row`, (functions, type) => {
      for (const kind of [SOFT_KIND, MIXED]) {
        for (const options of [
          {},
          { weight: new Float32Array(CLASSES) },
          { zLoss: 0.5 },
          { form: 'kl' },
        ] as Options[]) {
          const plain = make(functions, plainCall(kind, type, { ...NONE, ...options }), { gradient: true });
          const call = withRow(plainCall(kind, type, { ...NONE, ...options }), 2, row);
          const result = agree(functions, call);
          same(result.losses?.[2], NaN, 'losses[2]');
          const nan = encode([NaN], type)[0];
          result.gradient.forEach((g, i) => {
            const own = Math.floor(i / CLASSES) === 2;
            same(g, own ? nan : plain.gradient?.[i], `gradient[${i}]`);
          });
          for (const part of ['loss', 'nll', 'lse', 'entropy'] as const) {
            same(result.perRow?.[part]?.[2], NaN, `perRow.${part}[2]`);
          }
        }
      }
    }),
  );
}

function predictions(): Case[] {
  const rows: [string, number[], number][] = [
    ['the largest', [1, 2, 3, 6, 5, 4], 3],
    ['of equals the first', [1, 7, 7, 2, 7, 0], 1],
    ['of zeros of both signs the first', [-1, -0, 0, -0, -1, -1], 1],
    ['beside NaN', [NaN, 1, 3, 2, NaN, 3], 2],
    ['NaN alone', new Array(CLASSES).fill(NaN), 0],
    ['-Infinity alone', new Array(CLASSES).fill(-Infinity), 0],
    ['-Infinity beside NaN', [NaN, -Infinity, NaN, -Infinity, NaN, NaN], 0],
    ['Infinity', [1, 2, Infinity, Infinity, 3, 4], 2],
  ];
  return rows.flatMap(([name, row, expected]) =>
    everyType(`the prediction is ${name}`, (functions, type) => {
      const call = withRow(plainCall(INDEX, type, { perRow: ['prediction'] }), 2, row);
      same(make(functions, call).perRow?.prediction?.[2], expected, 'the prediction');
    }),
  );
}

function accuracies(): Case[] {
  const logits = [0, 0, 9, 0, 0, 0];
  const of = (targets: Call['targets'], type: NumberType = 'float32'): Call => ({
    type,
    logits: encode(logits, type),
    targets,
    options: { classes: CLASSES, metrics: true },
  });
  const mixed = (a: number, b: number, lambda: number) => ({
    a: Int32Array.of(a),
    b: Int32Array.of(b),
    lambda,
  });
  const cases: [string, Call, number][] = [
    ['the class', of(Int32Array.of(2)), 1],
    ['another class', of(Int32Array.of(3)), 0],
    ['mixed, more of a', of(mixed(2, 3, 0.75)), 1],
    ['mixed, more of b', of(mixed(2, 3, 0.25)), 0],
    ['mixed by halves, a being the smaller', of(mixed(2, 3, 0.5)), 1],
    ['mixed by halves, b being the smaller', of(mixed(3, 2, 0.5)), 1],
    ['mixed by halves, the predicted being the larger', of(mixed(1, 2, 0.5)), 0],
    ['mixed with itself', of(mixed(2, 2, 0.3)), 1],
    ['soft, the largest', of(Float32Array.of(0.1, 0.1, 0.4, 0.3, 0.1, 0)), 1],
    ['soft, of equals the first', of(Float32Array.of(0, 0, 0.5, 0.5, 0, 0)), 1],
    ['soft, of equals the second', of(Float32Array.of(0, 0.5, 0.5, 0, 0, 0)), 0],
  ];
  return cases.flatMap(([name, call, expected]) =>
    onEveryBackend(`accuracy: ${name}`, (functions) => {
      same(make(functions, call).metrics?.accuracy, expected, 'accuracy');
      same(
        make(functions, call, { labelSmoothing: 1, rowWeight: Float32Array.of(0) }).metrics?.accuracy,
        expected,
        'weighted',
      );
    }),
  );
}

/** Calls of which the answers must be the same to the last bit. */
function sameByAnotherName(): Case[] {
  const y = () => Int32Array.from(INDICES);
  const pairs: [string, (type: NumberType) => [Call, Call]][] = [
    [
      "form 'crossEntropy' is the default",
      (type) => [plainCall(INDEX, type), plainCall(INDEX, type, { form: 'crossEntropy' })],
    ],
    [
      'logitScale 1 is none',
      (type) => [plainCall(SOFT_KIND, type), plainCall(SOFT_KIND, type, { logitScale: 1 })],
    ],
    ['zLoss 0 is none', (type) => [plainCall(MIXED, type), plainCall(MIXED, type, { zLoss: 0 })]],
    ['inner 1 is none', (type) => [plainCall(SOFT_KIND, type), plainCall(SOFT_KIND, type, { inner: 1 })]],
    [
      'undefined is what an option is by default',
      (type) => [
        plainCall(SOFT_KIND, type),
        plainCall(
          SOFT_KIND,
          type,
          Object.fromEntries(
            'form logitScale softcap zLoss inner ignoreIndex mask weight normalizer labelSmoothing'
              .split(' ')
              .map((name) => [name, undefined]),
          ),
        ),
      ],
    ],
    [
      'a Float64Array of float32 targets',
      (type) => {
        const call = plainCall(SOFT_KIND, type, { labelSmoothing: 0.1 });
        return [call, { ...call, targets: Float64Array.from(call.targets as Float32Array) }];
      },
    ],
    [
      'one lambda for all rows, and per row',
      (type) => {
        const call = plainCall(MIXED, type, { labelSmoothing: { epsilon: 0.1, over: 'others' } });
        const b = Int32Array.of(1, 2, 3, 4, 4);
        return [
          { ...call, targets: { a: y(), b, lambda: 0.25 } },
          { ...call, targets: { a: y(), b, lambda: new Float32Array(ROWS).fill(0.25) } },
        ];
      },
    ],
    [
      'perRow does not change the loss',
      (type) => [plainCall(SOFT_KIND, type), plainCall(SOFT_KIND, type, { perRow: [] })],
    ],
    [
      "normalizer 'rows' is the default of soft targets",
      (type) => [plainCall(SOFT_KIND, type), plainCall(SOFT_KIND, type, { normalizer: 'rows' })],
    ],
    [
      "normalizer 'weight' is the default of mixed targets",
      (type) => [plainCall(MIXED, type), plainCall(MIXED, type, { normalizer: 'weight' })],
    ],
  ];
  const cases = pairs.flatMap(([name, make_]) =>
    everyType(name, (functions, type) => {
      const [one, other] = make_(type);
      sameAnswer(functions, one, other, name);
    }),
  );
  // What is the same by definition and computed in another way.
  const equal: [string, (type: NumberType) => [Call, Call]][] = [
    [
      'lambda 1 is the class a',
      (type) => {
        const targets = { a: y(), b: Int32Array.of(1, 2, 3, 4, 4), lambda: 1 };
        return [plainCall(INDEX, type, NONE), { ...plainCall(MIXED, type, NONE), targets }];
      },
    ],
    [
      'lambda 0 is the class b',
      (type) => {
        const targets = { a: Int32Array.of(1, 2, 3, 4, 4), b: y(), lambda: 0 };
        return [plainCall(INDEX, type, NONE), { ...plainCall(MIXED, type, NONE), targets }];
      },
    ],
    [
      'a class mixed with itself',
      (type) => [
        plainCall(INDEX, type, NONE),
        { ...plainCall(MIXED, type, NONE), targets: { a: y(), b: y(), lambda: 0.3 } },
      ],
    ],
    [
      'one-hot soft targets are classes',
      (type) => {
        const options = { ...NONE, labelSmoothing: 0.1, normalizer: 'rows' } as const;
        const targets = Float32Array.from(LOGITS, (_, i) =>
          INDICES[Math.floor(i / CLASSES)] === i % CLASSES ? 1 : 0,
        );
        return [plainCall(INDEX, type, options), { ...plainCall(SOFT_KIND, type, options), targets }];
      },
    ],
  ];
  for (const [name, make_] of equal) {
    cases.push(
      ...everyType(name, (functions, type) => {
        const [one, other] = make_(type);
        check(decoded(make(functions, other, everything(other)), type), oracleOf(one), type);
        agree(functions, other);
      }),
    );
  }
  return cases;
}

function klForm(): Case[] {
  return [
    ...onEveryBackend("form 'kl' is 0 where the model is the target, and nowhere below", (functions) => {
      // Logits ln t for t powers of two: p is t.
      const t = [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125];
      const call: Call = {
        logits: Float32Array.from(t, (x) => Math.log(x)),
        targets: Float32Array.from(t),
        options: { classes: CLASSES, form: 'kl', gradient: true },
      };
      const { loss = NaN, gradient } = make(functions, call);
      near(loss, 0, 3e-7, 'loss');
      for (const g of gradient ?? fail('no gradient')) near(g, 0, 1e-7, 'gradient');
    }),
    ...everyType("form 'kl' takes the target's entropy away, and leaves the gradient", (functions, type) => {
      for (const kind of [INDEX, SOFT_KIND, MIXED]) {
        for (const options of [
          { labelSmoothing: 0.25 },
          { labelSmoothing: 1 },
          { weight: Float32Array.of(1, 0.5, 2, 4, 0.25, 8) },
        ]) {
          const plain = agree(functions, plainCall(kind, type, options));
          const kl = agree(functions, plainCall(kind, type, { ...options, form: 'kl' }));
          sameElements(kl.gradient, plain.gradient, 'gradient');
          same(kl.denominator, plain.denominator, 'denominator');
          sameElements(kl.perRow?.nll ?? [], plain.perRow?.nll ?? [], 'nll');
        }
      }
    }),
    ...everyType('a target of zeros contributes 0', (functions, type) => {
      for (const options of [{}, { form: 'kl' }] as Options[]) {
        const call = plainCall(SOFT_KIND, type, { ...NONE, ...options });
        call.targets = Float32Array.from(SOFT, (t, i) => (i < CLASSES ? 0 : t));
        const result = agree(functions, withRow(call, 0, [-Infinity, 1, 2, 3, 4, -Infinity]));
        same(result.losses?.[0], 0, 'losses[0]');
        for (const g of result.numbers.subarray(0, CLASSES)) same(Math.abs(g), 0, 'a gradient');
      }
    }),
  ];
}

function terms(): Case[] {
  return [
    ...everyType('softcap makes infinite logits finite', (functions, type) => {
      const row = [1, -Infinity, 2, Infinity, 0, 1];
      for (const kind of [INDEX, SOFT_KIND, MIXED]) {
        const call = withRow(plainCall(kind, type, { ...NONE, softcap: 5, labelSmoothing: 0.1 }), 2, row);
        const result = agree(functions, call);
        same(Number.isFinite(result.numerator), true, 'whether the loss is finite');
        for (const k of [1, 3]) same(Math.abs(result.numbers[2 * CLASSES + k]), 0, 'the gradient there');
      }
    }),
    ...everyType('a logit times logitScale may be infinite', (functions, type) => {
      const row = [1, 2, type === 'float64' ? 1e308 : type === 'float16' ? Infinity : 3e38, 0, 0, 0];
      const result = agree(functions, withRow(plainCall(INDEX, type, { ...NONE, logitScale: 4 }), 2, row));
      same(result.losses?.[2], NaN, 'losses[2]');
    }),
    ...everyType(
      'logitScale by a power of two is the logits times it, and the gradient by it',
      (functions, type) => {
        for (const logitScale of [0.25, 8]) {
          const call = plainCall(SOFT_KIND, type, NONE);
          const scaled = {
            ...call,
            logits: encode(
              LOGITS.map((x) => Math.round(x * 16) / 16),
              type,
            ),
          };
          const by = {
            ...call,
            logits: encode(
              LOGITS.map((x) => (Math.round(x * 16) / 16) * logitScale),
              type,
            ),
          };
          const one = make(
            functions,
            { ...scaled, options: { ...call.options, logitScale } },
            { gradient: true },
          );
          const other = make(functions, by, { gradient: true, gradientScale: logitScale });
          sameElements(one.losses ?? [], other.losses ?? [], 'losses');
          sameElements(one.gradient ?? [], other.gradient ?? [], 'gradient');
        }
      },
    ),
    ...onEveryBackend('a class of probability 0 has gradient 0, however large zLoss is', (functions) => {
      for (const logits of [Float32Array.of(1, -Infinity, 2), Float32Array.of(1, -200, 0)]) {
        const options = { classes: 3, zLoss: 1e308, gradient: true } as const;
        const { gradient } = functions.crossEntropy(logits, Int32Array.of(0), options);
        same(gradient[1], 0, `the gradient of ${logits}`);
      }
    }),
    ...everyType('zLoss adds zLoss·lse² to each row', (functions, type) => {
      for (const kind of [INDEX, SOFT_KIND, MIXED]) {
        const rowWeight = Float32Array.of(1, 2, 0, 0.5, 3);
        const result = agree(functions, plainCall(kind, type, { ...NONE, zLoss: 0.5, rowWeight }));
        const mean = (result.perRow?.lse ?? fail('no lse')) as Float32Array;
        const squares = Array.from(mean, (lse) => 0.5 * lse * lse).reduce((a, b) => a + b, 0) / ROWS;
        near(result.metrics?.zLoss ?? NaN, squares, 1e-6 * squares, 'metrics.zLoss');
      }
    }),
    ...everyType('one class: the loss is that of the logsumexp alone', (functions, type) => {
      for (const options of [
        {},
        { labelSmoothing: 0.5 },
        { form: 'kl' },
        { zLoss: 0.25 },
        { softcap: 3 },
      ] as Options[]) {
        for (const targets of [
          new Int32Array(5),
          new Float32Array(5).fill(1),
          { a: new Int32Array(5), b: new Int32Array(5), lambda: 0.5 },
        ]) {
          const logits = encode([0, -5, 1000, -3e4, 2 ** -24], type);
          const result = agree(functions, {
            type,
            logits,
            targets,
            options: { classes: 1, ...NONE, ...options },
          });
          if (options.zLoss !== undefined) continue;
          for (const loss of result.losses ?? []) near(loss, 0, 0, 'a loss');
        }
      }
    }),
  ];
}

export const tables: Table[] = [
  { name: 'hard numbers of crossEntropy', cases: hardNumbers() },
  { name: 'undefined rows of soft and mixed targets', cases: undefinedRows() },
  { name: 'predictions and accuracy', cases: [...predictions(), ...accuracies()] },
  { name: 'ways to say the same of crossEntropy', cases: sameByAnotherName() },
  { name: "form 'kl'", cases: klForm() },
  { name: 'terms of the logits', cases: terms() },
];
