// What holds for every loss, number type and kind of targets: rows that take no part, the mean of nothing, what is in a
// result, and that no input is written to.

import {
  type Call,
  type CallOptions,
  decoded,
  everything,
  make,
  oracleOf,
  REPORTS,
} from '../support/calls.js';
import { encode, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import type { OracleTargets } from '../support/oracle.js';
import { check } from '../support/tolerance.js';
import { onEveryBackend } from './backends.js';
import { KINDS, type Kind, ordinaryCall } from './ordinary.js';
import { Random } from './random.js';
import { type Case, errorOf, fail, same, sameElements, show, type Table } from './table.js';

const ROWS = 5;
const CLASSES = 6;
export const INDICES: readonly number[] = [3, 0, 5, 2, 4];

const numbers = (seed: number, draw: (uniform: () => number) => number) => {
  const { uniform } = new Random(seed);
  return Array.from({ length: ROWS * CLASSES }, () => draw(uniform));
};
export const LOGITS = numbers(1, (uniform) => 8 * uniform() - 4);
const LOG_PROBS = numbers(2, (uniform) => -6 * uniform());
/** Positive numbers; each row sums to 1 but for rounding. */
export const SOFT = numbers(3, (uniform) => uniform() + 0.125).map((t, i, all) => {
  const row = all.slice(i - (i % CLASSES), i - (i % CLASSES) + CLASSES);
  return t / row.reduce((a, b) => a + b, 0);
});

/** A call of five rows and six classes with ordinary numbers. */
export function plainCall(
  [name, kind]: Kind,
  type: NumberType = 'float32',
  options: Partial<CallOptions> = {},
): Call {
  const y = Int32Array.from(INDICES);
  const targets: Record<Kind[1], () => OracleTargets> = {
    indices: () => y,
    'mixed targets': () => ({ a: y, b: Int32Array.of(1, 2, 3, 4, 4), lambda: 0.75 }),
    'soft targets': () => Float32Array.from(SOFT),
    logarithms: () => Float32Array.from(SOFT, (t) => -8 * t),
  };
  const logProbs = name === 'klDiv' || name === 'nllLoss';
  return {
    name,
    type,
    logits: encode(logProbs ? LOG_PROBS : LOGITS, type),
    targets: targets[kind](),
    options: { classes: CLASSES, ...(kind === 'logarithms' ? { logTarget: true } : {}), ...options },
  };
}

/** The call with the numbers of one row of logits replaced. */
export function withRow(call: Call, r: number, row: readonly number[]): Call {
  const logits = call.logits.slice();
  logits.set(encode(row, call.type ?? 'float32'), r * CLASSES);
  return { ...call, logits };
}

const rowOf = <T extends { subarray(from: number, to: number): T }>(array: T, r: number): T =>
  array.subarray(r * CLASSES, (r + 1) * CLASSES);

export const everyKind = (run: (kind: Kind, type: NumberType, name: string) => Case[]): Case[] =>
  KINDS.flatMap((kind) =>
    NUMBER_TYPES.flatMap((type) => run(kind, type, `${kind[0]} of ${type}, ${kind[1]}`)),
  );

/** +0 and nothing else, of halves the bits 0. */
export function zeros(array: ArrayLike<number>, what: string): void {
  for (let i = 0; i < array.length; i++) {
    if (!Object.is(array[i], 0)) fail(`${what}[${i}] is ${show(array[i])}, expected +0`);
  }
}

/** Targets for which the row r takes no part, and holds what would be refused or spoil everything if it did. */
function spoiled(targets: OracleTargets, r: number): OracleTargets {
  const wrong = (indices: Int32Array) => indices.map((y, row) => (row === r ? 77 : y));
  if (targets instanceof Int32Array) return wrong(targets);
  if ('a' in targets)
    return { ...targets, a: wrong(targets.a as Int32Array), b: wrong(targets.b as Int32Array) };
  return (targets as Float32Array).map((t, i) => (Math.floor(i / CLASSES) === r ? NaN : t));
}

function ignoredRows(): Case[] {
  const contents: [string, number[]][] = [
    ['ordinary numbers', [1, 2, 3, 4, 5, 6]],
    ['NaN', new Array(CLASSES).fill(NaN)],
    ['one Infinity', [1, 2, Infinity, 1, 1, 1]],
    ['-Infinity alone', new Array(CLASSES).fill(-Infinity)],
    ['the largest numbers', [3e38, -3e38, 3e38, 3e38, -3e38, 0]],
  ];
  return everyKind((kind, type, name) =>
    onEveryBackend(`a masked row is +0 whatever it holds: ${name}`, (functions) => {
      const mask = Uint8Array.of(1, 2, 0, 255, 1);
      for (const reduction of ['none', 'mean'] as const) {
        const call = plainCall(kind, type, { mask, reduction });
        const plain = make(functions, call, everything(call));
        check(decoded(plain, type), oracleOf(call), type);
        for (const [content, row] of contents) {
          const there = { ...withRow(call, 2, row), targets: spoiled(call.targets, 2) };
          const own = there.logits.slice();
          for (const [way, result] of [
            ['new', make(functions, there, everything(there))],
            ['in place', make(functions, { ...there, logits: own }, { ...everything(there), gradient: own })],
          ] as const) {
            const what = `${content}, gradient ${way}`;
            const gradient = result.gradient ?? fail('no gradient');
            zeros(rowOf(gradient, 2), `${what}: gradient of the row`);
            sameElements(gradient, plain.gradient ?? [], `${what}: gradient`);
            sameElements(result.losses ?? [], plain.losses ?? [], `${what}: losses`);
            same(result.numerator, plain.numerator, `${what}: numerator`);
            same(result.denominator, plain.denominator, `${what}: denominator`);
            same(result.rows, 4, `${what}: rows`);
            for (const [part, array] of Object.entries(result.perRow ?? {})) {
              same(array[2], part === 'prediction' ? -1 : 0, `${what}: perRow.${part}[2]`);
              sameElements(array, Reflect.get(plain.perRow ?? {}, part), `${what}: perRow.${part}`);
            }
            for (const [part, value] of Object.entries(result.metrics ?? {})) {
              same(value, Reflect.get(plain.metrics ?? {}, part), `${what}: metrics.${part}`);
            }
          }
        }
      }
    }),
  );
}

/** ignoreIndex, where targets are classes. */
function ignoredIndices(): Case[] {
  return everyKind((kind, type, name) => {
    if (kind[1] !== 'indices' && kind[1] !== 'mixed targets') return [];
    return onEveryBackend(`a row of an ignoreIndex is as one that is masked: ${name}`, (functions) => {
      for (const [ignored, options] of [
        [-100, {}],
        [-1, { ignoreIndex: -1 }],
        [4, { ignoreIndex: [9, 4] }],
      ] as const) {
        const nan = new Array(CLASSES).fill(NaN);
        const ignore = (r: number) => INDICES.map((y, row) => (row === r ? ignored : y === 4 ? 1 : y));
        const mixed = { a: ignore(2), b: ignore(0), lambda: 0.25 };
        const call = withRow(
          withRow(plainCall(kind, type, { ...options, reduction: 'none' }), 2, nan),
          0,
          nan,
        );
        call.targets =
          kind[1] === 'indices'
            ? Int32Array.from(mixed.a, (y, r) => (r === 0 ? ignored : y))
            : { ...mixed, a: Int32Array.from(mixed.a), b: Int32Array.from(mixed.b) };
        const result = make(functions, call, everything(call));
        same(result.rows, 3, 'rows');
        check(decoded(result, type), oracleOf(call), type);
        for (const r of [0, 2]) zeros(rowOf(result.gradient ?? fail('no gradient'), r), 'gradient');
      }
    });
  });
}

function nothing(): Case[] {
  return everyKind((kind, type, name) =>
    onEveryBackend(`the mean of nothing: ${name}`, (functions) => {
      const nan = new Array(ROWS * CLASSES).fill(NaN);
      const masked = { ...plainCall(kind, type, { mask: new Uint8Array(ROWS) }), logits: encode(nan, type) };
      const none = { ...plainCall(kind, type), logits: encode([], type) };
      const empty = new Int32Array(0);
      none.targets =
        kind[1] === 'indices'
          ? empty
          : kind[1] === 'mixed targets'
            ? { a: empty, b: empty, lambda: 0.5 }
            : new Float32Array(0);
      for (const call of [masked, none]) {
        const rows = call === none ? 0 : ROWS;
        const run = (more: Partial<CallOptions>) => {
          const options = { ...call.options, ...more };
          return make(functions, { ...call, options }, everything(call));
        };
        for (const [whenEmpty, loss] of [
          [undefined, NaN],
          ['nan', NaN],
          ['zero', 0],
        ] as const) {
          const mean = run({ whenEmpty });
          same(mean.loss, loss, `loss with whenEmpty ${whenEmpty}`);
          same(mean.numerator, 0, 'numerator');
          same(mean.denominator, 0, 'denominator');
          same(mean.rows, 0, 'rows');
          zeros(mean.gradient ?? fail('no gradient'), 'gradient');
          for (const [part, value] of Object.entries(mean.metrics ?? {})) same(value, NaN, `metrics.${part}`);
          for (const [part, array] of Object.entries(mean.perRow ?? {})) {
            same(array.length, rows, `the length of perRow.${part}`);
            for (const value of Array.from(array)) same(value, part === 'prediction' ? -1 : 0, part);
          }
        }
        const error = errorOf(() => run({ whenEmpty: 'error' }));
        same(error.code, 'ERR_EMPTY', 'the code');
        same(run({ whenEmpty: 'error', reduction: 'sum' }).loss, 0, 'the sum');
        zeros(run({ whenEmpty: 'error', reduction: 'none' }).losses ?? fail('no losses'), 'losses');
        same(run({ normalizer: 8, whenEmpty: 'error' }).loss, 0, 'the mean by a number');
        if (kind[0] === 'klDiv') same(run({ reduction: 'batchmean' }).loss, NaN, 'the batchmean');
      }
      same(make(functions, masked, { normalizer: 'all' }).loss, 0, "the mean with normalizer 'all'");
    }),
  );
}

function results(): Case[] {
  const keys = (object: object) => Object.keys(object).sort().join(' ');
  return everyKind((kind, type, name) =>
    onEveryBackend(`what a result holds: ${name}`, (functions) => {
      const call = plainCall(kind, type);
      const run = (options: object) => make(functions, call, options);
      const { metrics, perRow } = REPORTS[kind[0] as keyof typeof REPORTS];
      same(keys(run({})), 'denominator loss numerator rows', 'mean');
      same(keys(run({ reduction: 'sum' })), 'denominator loss numerator rows', 'sum');
      same(keys(run({ reduction: 'none' })), 'denominator losses numerator rows', 'none');
      same(keys(run({ gradient: true })), 'denominator gradient loss numerator rows', 'with a gradient');
      same(keys(run({ gradient: false, perRow: undefined })), 'denominator loss numerator rows', 'without');
      same(keys(run({ perRow: [] }).perRow ?? fail('no perRow')), '', 'perRow of nothing');
      for (const part of perRow) {
        const result = run({ perRow: [part] });
        same(keys(result.perRow ?? {}), part, 'perRow');
        const Type = part === 'prediction' ? Int32Array : type === 'float64' ? Float64Array : Float32Array;
        same(result.perRow?.[part as 'loss']?.constructor.name, Type.name, `the type of perRow.${part}`);
      }
      same(keys(run({ perRow }).perRow ?? {}), [...perRow].sort().join(' '), 'all of perRow');
      if (metrics) {
        const softmax = kind[0] === 'crossEntropy' ? 'accuracy entropy nll zLoss' : undefined;
        const expected = softmax ?? (kind[0] === 'nllLoss' ? 'accuracy nll' : 'accuracy entropy nll');
        same(keys(run({ metrics: true }).metrics ?? {}), expected, 'metrics');
        same('metrics' in run({ metrics: false }), false, 'whether there are metrics that nobody asked for');
      }
      const { gradient, losses } = run({ gradient: true, reduction: 'none' });
      same(gradient?.constructor.name, call.logits.constructor.name, 'the type of the gradient');
      same(gradient?.length, call.logits.length, 'the length of the gradient');
      same(
        losses?.constructor.name,
        type === 'float64' ? 'Float64Array' : 'Float32Array',
        'the type of losses',
      );
      const elements = kind[0] === 'bceWithLogits' || kind[0] === 'klDiv';
      same(losses?.length, elements ? ROWS * CLASSES : ROWS, 'the length of losses');
      const supplied = call.logits.slice().fill(7);
      const filled = run({ gradient: supplied, reduction: 'none' });
      same(filled.gradient, supplied, 'gradient');
      sameElements(supplied, gradient ?? [], 'the array');
      const again = run({ gradient: true, reduction: 'none' });
      same(again.gradient?.buffer === gradient?.buffer, false, 'whether two gradients share memory');
      same(again.losses?.buffer === losses?.buffer, false, 'whether two losses share memory');
      // losses and perRow.loss are two arrays, even where they hold the same.
      const both = run({ reduction: 'none', perRow: ['loss'] });
      same(both.perRow?.loss === both.losses, false, 'whether losses is perRow.loss');
      if (!elements) sameElements(both.perRow?.loss ?? [], losses ?? [], 'perRow.loss');
    }),
  );
}

/** All typed arrays in a call, by place. */
function arraysOf(value: unknown, place: string): [string, ArrayLike<unknown>][] {
  if (ArrayBuffer.isView(value)) return [[place, value as unknown as ArrayLike<unknown>]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => arraysOf(part, `${place}.${name}`));
}

function inputsStay(): Case[] {
  return everyKind((kind, type, name) =>
    onEveryBackend(`no input is written to: ${name}`, (functions) => {
      for (let seed = 0; seed < 20; seed++) {
        const call = ordinaryCall(new Random(seed), kind, type, 4, 7);
        const before = structuredClone(arraysOf(call, 'call'));
        make(functions, call, everything(call));
        arraysOf(call, 'call').forEach(([place, array], i) => {
          sameElements(array, before[i][1], place);
        });
      }
    }),
  );
}

export const tables: Table[] = [
  { name: 'ignored rows of every loss', cases: [...ignoredRows(), ...ignoredIndices()] },
  { name: 'the mean of nothing, of every loss', cases: nothing() },
  { name: 'what every loss returns', cases: [...results(), ...inputsStay()] },
];
