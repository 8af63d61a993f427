// What a call means, row by row of the table in the documentation: exact zeros, NaN, infinities, which rows take part, and
// what is in a result.

import type { CrossEntropyOptions, Functions, IndexArray } from 'smoothloss';
import { mulberry32 } from '../support/data.js';
import { oracle } from '../support/oracle.js';
import { check } from '../support/tolerance.js';
import { onEveryBackend } from './backends.js';
import { Random } from './random.js';
import { type Case, errorOf, fail, near, same, sameElements, show, type Table } from './table.js';

type Options = Partial<CrossEntropyOptions>;

const ROWS = 5;
const CLASSES = 6;
const TARGETS = [3, 0, 5, 2, 4];

const uniform = mulberry32(11);
const LOGITS = Float32Array.from({ length: ROWS * CLASSES }, () => 8 * uniform() - 4);

/** The call on ordinary logits and targets, except where `change` says otherwise. */
function batch(options: Options = {}, change: { logits?: Float32Array; targets?: IndexArray } = {}) {
  const { logits = LOGITS.slice(), targets = Int32Array.from(TARGETS) } = change;
  return { logits, targets, options: { classes: CLASSES, ...options } };
}

function run({ crossEntropy }: Functions, { logits, targets, options }: ReturnType<typeof batch>) {
  const { gradient = fail('there is no gradient'), ...rest } = crossEntropy(logits, targets, {
    ...options,
    gradient: options.gradient ?? true,
  });
  return { ...rest, gradient };
}

/** LOGITS with row r as given. */
function withRow(r: number, row: readonly number[]): Float32Array {
  const logits = LOGITS.slice();
  logits.set(row, r * CLASSES);
  return logits;
}

const rowOf = (array: Float32Array, r: number, rowStride = CLASSES) =>
  array.subarray(r * rowStride, r * rowStride + CLASSES);

function zeroRow(gradient: Float32Array, r: number, what: string): void {
  for (const [k, g] of rowOf(gradient, r).entries()) {
    if (!Object.is(g, 0)) fail(`${what}: gradient[${r}][${k}] is ${show(g)}, expected +0`);
  }
}

function nanRow(gradient: Float32Array, r: number, what: string): void {
  for (const [k, g] of rowOf(gradient, r).entries()) {
    if (!Number.isNaN(g)) fail(`${what}: gradient[${r}][${k}] is ${show(g)}, expected NaN`);
  }
}

/** Every row but r is as in the other result. */
function restAs(actual: Float32Array, expected: Float32Array, r: number, what: string): void {
  for (let other = 0; other < ROWS; other++) {
    if (other === r) continue;
    sameElements(rowOf(actual, other), rowOf(expected, other), `${what}: gradient of row ${other}`);
  }
}

const NONE: Options = { reduction: 'none' };
const SMOOTH: Options = { labelSmoothing: 0.1 };

function denominators(): Case[] {
  const weight = Float32Array.of(1, 0.5, 2, 4, 0.25, 8);
  const rowWeight = Float32Array.of(1, 2, 0.5, 4, 0);
  const mask = Uint8Array.of(1, 1, 1, 0, 1);
  // Of rows 0, 1, 2 and 4: 1·4 + 2·1 + 0.5·8 + 0·0.25.
  const everything = { weight, rowWeight, mask, labelSmoothing: 0.25 };
  const expected = [
    ['the mean divides by Σ rowWeight · weight[target]', everything, 10],
    ["normalizer 'weight' is the same", { ...everything, normalizer: 'weight' }, 10],
    ["normalizer 'rows' is the number of rows that take part", { ...everything, normalizer: 'rows' }, 4],
    ["normalizer 'all' is the number of rows, ignored or not", { ...everything, normalizer: 'all' }, 5],
    ['normalizer 12.5 is 12.5', { ...everything, normalizer: 12.5 }, 12.5],
    ['without weights the mean divides by the number of rows', { mask }, 4],
    ['class weights alone', { weight }, 4 + 1 + 8 + 2 + 0.25],
    ['row weights alone', { rowWeight }, 7.5],
  ] satisfies [string, Options, number][];
  return expected.flatMap(([name, options, denominator]) =>
    onEveryBackend(name, (functions) => {
      const mean = run(functions, batch(options));
      same(mean.denominator, denominator, 'denominator');
      same(mean.loss, mean.numerator / denominator, 'loss');
      const sum = run(functions, batch({ ...options, reduction: 'sum' }));
      const none = run(functions, batch({ ...options, reduction: 'none' }));
      same(sum.loss, mean.numerator, 'the sum');
      for (const other of [sum, none]) {
        same(other.numerator, mean.numerator, 'numerator with another reduction');
        same(other.denominator, denominator, 'denominator with another reduction');
        same(other.rows, mean.rows, 'rows with another reduction');
      }
      sameElements(none.gradient, sum.gradient, "gradient with reduction 'none'");
      const { logits, targets, options: all } = batch(options);
      check(mean, oracle(logits, targets, all as never));
    }),
  );
}

function accumulation(): Case[] {
  return onEveryBackend(
    'micro-batches with the global count as normalizer add up to one batch',
    (functions) => {
      const rowWeight = Float32Array.of(1, 2, 0.5, 4, 3);
      const whole = run(functions, batch({ ...SMOOTH, rowWeight, normalizer: 10.5 }));
      let loss = 0;
      for (const [from, to] of [
        [0, 2],
        [2, 5],
      ]) {
        const part = run(
          functions,
          batch(
            { ...SMOOTH, rowWeight: rowWeight.subarray(from, to), normalizer: 10.5 },
            {
              logits: LOGITS.slice(from * CLASSES, to * CLASSES),
              targets: Int32Array.from(TARGETS.slice(from, to)),
            },
          ),
        );
        sameElements(part.gradient, whole.gradient.subarray(from * CLASSES, to * CLASSES), 'the gradient');
        loss += part.loss ?? NaN;
      }
      near(loss, whole.loss ?? NaN, 1e-15, 'the sum of the losses');
    },
  );
}

function ignoredRows(): Case[] {
  const rows = {
    'ordinary logits': [1, 2, 3, 4, 5, 6],
    NaN: new Array(CLASSES).fill(NaN),
    'one NaN': [1, 2, 3, NaN, 4, 5],
    Infinity: [1, Infinity, Infinity, 1, 1, 1],
    '-Infinity alone': new Array(CLASSES).fill(-Infinity),
    'the largest float': new Array(CLASSES).fill(3.4e38),
  };
  const ways: [string, Options, number][] = [
    ['by the default ignoreIndex', {}, -100],
    ['by an ignoreIndex of its own', { ignoreIndex: -1 }, -1],
    ['by an ignoreIndex that is a class', { ignoreIndex: 1 }, 1],
    ['by one of several', { ignoreIndex: [7, -1, 2 ** 31 - 1] }, 2 ** 31 - 1],
    ['by the mask', { mask: Uint8Array.of(1, 1, 0, 1, 255) }, 3],
    ['by the mask, the target being out of range', { mask: Uint8Array.of(1, 1, 0, 1, 2) }, 77],
    ['by both', { mask: Uint8Array.of(9, 1, 0, 1, 1), ignoreIndex: -5 }, -5],
  ];
  return Object.entries(rows).flatMap(([content, row]) =>
    ways.flatMap(([way, options, target]) =>
      onEveryBackend(`a row of ${content}, ignored ${way}`, (functions) => {
        for (const more of [NONE, { ...NONE, ...SMOOTH }]) {
          const logits = withRow(2, row);
          const targets = Int32Array.from(TARGETS, (y, r) => (r === 2 ? target : y));
          const plain = run(functions, batch({ ...more, ...options, mask: undefined }));
          const there = run(functions, batch({ ...more, ...options }, { logits, targets }));
          const own = logits.slice();
          const inPlace = run(
            functions,
            batch({ ...more, ...options, gradient: own }, { logits: own, targets }),
          );
          same(there.losses?.[2], 0, 'losses[2]');
          same(there.rows, 4, 'rows');
          same(there.denominator, 4, 'denominator');
          zeroRow(there.gradient, 2, 'in a new array');
          zeroRow(inPlace.gradient, 2, 'in place');
          restAs(there.gradient, plain.gradient, 2, 'the other rows');
          const supplied = new Float32Array(logits.length).fill(NaN);
          const given = batch({ ...more, ...options, gradient: supplied }, { logits, targets });
          zeroRow(run(functions, given).gradient, 2, 'in an array that held something');
          if (!Number.isFinite(there.numerator)) fail(`numerator is ${there.numerator}`);
        }
      }),
    ),
  );
}

function ignoreIndexCases(): Case[] {
  return [
    ...onEveryBackend('an ignoreIndex replaces -100', ({ crossEntropy }) => {
      const targets = Int32Array.of(3, 0, -100, 2, 4);
      const error = errorOf(() => crossEntropy(LOGITS, targets, { classes: CLASSES, ignoreIndex: -1 }));
      same(
        error.message,
        'targets[2] is -100: must be an integer in [0, 6) or ignoreIndex -1',
        'the message',
      );
    }),
    ...onEveryBackend('an empty ignoreIndex ignores nothing', ({ crossEntropy }) => {
      const targets = Int32Array.of(3, 0, -100, 2, 4);
      const error = errorOf(() => crossEntropy(LOGITS, targets, { classes: CLASSES, ignoreIndex: [] }));
      same(error.message, 'targets[2] is -100: must be an integer in [0, 6)', 'the message');
      same(
        crossEntropy(LOGITS, Int32Array.from(TARGETS), { classes: CLASSES, ignoreIndex: [] }).rows,
        5,
        'rows',
      );
    }),
    ...onEveryBackend('ignoreIndex -0 is 0', ({ crossEntropy }) => {
      const targets = Int32Array.from(TARGETS);
      for (const ignoreIndex of [-0, [-0, 99]]) {
        same(crossEntropy(LOGITS, targets, { classes: CLASSES, ignoreIndex }).rows, 4, 'rows');
      }
    }),
    ...onEveryBackend('a larger ignoreIndex finds its BigInt, or is refused', ({ crossEntropy }) => {
      for (const ignoreIndex of [
        2 ** 53,
        -(2 ** 53),
        2 ** 53 + 2,
        -(2 ** 54),
        2 ** 62,
        -(2 ** 63),
        2 ** 63,
      ]) {
        let rows = 4;
        try {
          const targets = BigInt64Array.of(3n, 0n, BigInt(ignoreIndex), 2n, 4n);
          rows = crossEntropy(LOGITS, targets, { classes: CLASSES, ignoreIndex }).rows;
        } catch (error) {
          const { message } = error as Error;
          if (!message.startsWith(`ignoreIndex is ${ignoreIndex}: must be an integer`)) fail(message);
        }
        same(rows, 4, 'rows');
      }
    }),
    ...onEveryBackend('ignoreIndex up to ±(2^53 - 1) finds its BigInt', ({ crossEntropy }) => {
      for (const ignoreIndex of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 32, -(2 ** 32), -1]) {
        const targets = BigInt64Array.of(3n, 0n, BigInt(ignoreIndex), 2n, 4n);
        same(crossEntropy(LOGITS, targets, { classes: CLASSES, ignoreIndex }).rows, 4, 'rows');
      }
    }),
  ];
}

function indexArrays(): Case[] {
  const numbers = [Int8Array, Int16Array, Int32Array, Uint8Array, Uint16Array, Uint32Array];
  const cases = numbers.flatMap((Type) =>
    onEveryBackend(`targets may be an ${Type.name}`, (functions) => {
      const expected = run(functions, batch({ ...SMOOTH, ignoreIndex: 5 }));
      const targets = Type.from(TARGETS);
      const actual = run(functions, batch({ ...SMOOTH, ignoreIndex: 5 }, { targets }));
      same(actual.numerator, expected.numerator, 'numerator');
      same(actual.rows, 4, 'rows');
      sameElements(actual.gradient, expected.gradient, 'gradient');
      sameElements(targets, TARGETS, 'the targets afterwards');
    }),
  );
  for (const Type of [BigInt64Array, BigUint64Array]) {
    cases.push(
      ...onEveryBackend(`targets may be a ${Type.name}`, (functions) => {
        const expected = run(functions, batch({ ...SMOOTH, ignoreIndex: 5 }));
        const targets = Type.from(TARGETS.map(BigInt));
        const actual = run(functions, batch({ ...SMOOTH, ignoreIndex: 5 }, { targets }));
        same(actual.numerator, expected.numerator, 'numerator');
        sameElements(actual.gradient, expected.gradient, 'gradient');
        // Not at the start of its buffer.
        const shifted = new Type(ROWS + 1);
        shifted.set(targets, 1);
        const again = run(functions, batch({ ...SMOOTH, ignoreIndex: 5 }, { targets: shifted.subarray(1) }));
        same(again.numerator, expected.numerator, 'numerator of targets at an offset');
      }),
    );
  }
  const extremes: [IndexArray, number][] = [
    [Int8Array.of(-128), -128],
    [Int16Array.of(-32768), -32768],
    [Int32Array.of(-(2 ** 31)), -(2 ** 31)],
    [Uint8Array.of(255), 255],
    [Uint16Array.of(65535), 65535],
    [Uint32Array.of(2 ** 32 - 1), 2 ** 32 - 1],
  ];
  for (const [targets, ignoreIndex] of extremes) {
    const name = `${ignoreIndex} in an ${targets.constructor.name} can be ignored, and is out of range if it is not`;
    cases.push(
      ...onEveryBackend(name, ({ crossEntropy }) => {
        const logits = Float32Array.of(1, 2);
        same(crossEntropy(logits, targets, { classes: 2, ignoreIndex }).rows, 0, 'rows');
        const error = errorOf(() => crossEntropy(logits, targets, { classes: 2 }));
        same(error.code, 'ERR_OUT_OF_RANGE', 'the code');
      }),
    );
  }
  cases.push(
    ...onEveryBackend(
      'an Int8Array has the classes up to 127, an Uint8Array up to 255',
      ({ crossEntropy }) => {
        for (const [targets, y] of [
          [Int8Array.of(127), 127],
          [Uint8Array.of(255), 255],
        ] as const) {
          const logits = new Float32Array(300);
          logits[y] = 1000;
          same(crossEntropy(logits, targets, { classes: 300 }).loss, 0, 'loss');
        }
      },
    ),
  );
  return cases;
}

function empty(): Case[] {
  const ways: [string, Options, { logits?: Float32Array; targets?: IndexArray }, number][] = [
    ['every row ignored', {}, { targets: new Int32Array(ROWS).fill(-100) }, 0],
    ['every row masked', { mask: new Uint8Array(ROWS) }, {}, 0],
    ['row weights of 0', { rowWeight: new Float32Array(ROWS) }, {}, ROWS],
    ['class weights of 0', { weight: new Float32Array(CLASSES) }, {}, ROWS],
    ['no rows', {}, { logits: new Float32Array(0), targets: new Int32Array(0) }, 0],
    [
      "no rows, normalizer 'rows'",
      { normalizer: 'rows' },
      { logits: new Float32Array(0), targets: new Int32Array(0) },
      0,
    ],
    [
      "no rows, normalizer 'all'",
      { normalizer: 'all' },
      { logits: new Float32Array(0), targets: new Int32Array(0) },
      0,
    ],
  ];
  return ways.flatMap(([way, options, change, rows]) =>
    [{}, SMOOTH].flatMap((smoothing) =>
      onEveryBackend(
        `nothing to divide by: ${way}${smoothing === SMOOTH ? ', smoothed' : ''}`,
        (functions) => {
          const call = (more: Options) =>
            run(functions, batch({ ...smoothing, ...options, ...more }, change));
          const zeros = (gradient: Float32Array) => {
            gradient.forEach((g, i) => {
              if (g !== 0) fail(`gradient[${i}] is ${g}, expected 0`);
            });
          };
          for (const [whenEmpty, loss] of [
            [undefined, NaN],
            ['nan', NaN],
            ['zero', 0],
          ] as const) {
            const mean = call({ whenEmpty });
            same(mean.loss, loss, `loss with whenEmpty ${whenEmpty}`);
            same(mean.numerator, 0, 'numerator');
            same(mean.denominator, 0, 'denominator');
            same(mean.rows, rows, 'rows');
            zeros(mean.gradient);
          }
          const logits = (change.logits ?? LOGITS).slice();
          const error = errorOf(() =>
            run(
              functions,
              batch({ ...options, whenEmpty: 'error', gradient: logits }, { ...change, logits }),
            ),
          );
          same(error.code, 'ERR_EMPTY', 'the code');
          same(error instanceof RangeError, true, 'whether it is a RangeError');
          sameElements(logits, change.logits ?? LOGITS, 'the logits after the error');
          // It is the mean that is empty: the sum of nothing is 0.
          const sum = call({ reduction: 'sum', whenEmpty: 'error' });
          same(sum.loss, 0, 'the sum');
          zeros(sum.gradient);
          const none = call({ ...NONE, whenEmpty: 'error' });
          for (const loss of none.losses ?? fail('no losses')) same(loss, 0, 'a loss');
          zeros(none.gradient);
        },
      ),
    ),
  );
}

function emptyButDivided(): Case[] {
  return ["'all'", '8'].flatMap((which) =>
    onEveryBackend(`every row ignored, normalizer ${which}: the mean is 0`, (functions) => {
      const normalizer = which === '8' ? 8 : 'all';
      const targets = new Int32Array(ROWS).fill(-100);
      const mean = run(functions, batch({ normalizer, whenEmpty: 'error' }, { targets }));
      same(mean.loss, 0, 'loss');
      same(mean.denominator, which === '8' ? 8 : ROWS, 'denominator');
      for (let r = 0; r < ROWS; r++) zeroRow(mean.gradient, r, 'ignored');
    }),
  );
}

function minusInfinity(): Case[] {
  const hole = [1, -Infinity, 2, -Infinity, 0.5, 1]; // row 2, whose target is 5
  const others: [string, Options][] = [
    ['no smoothing', {}],
    ['an epsilon of 0', { labelSmoothing: { epsilon: new Float32Array(ROWS) } }],
    ['exclude', { labelSmoothing: { epsilon: 0.1, exclude: [1, 3] } }],
    ['exclude, over others', { labelSmoothing: { epsilon: 0.1, exclude: [1, 3], over: 'others' } }],
    ['a prior of 0', { labelSmoothing: { epsilon: 0.1, prior: Float32Array.of(1, 0, 2, 0, 1, 3) } }],
    ['a weight of 0', { labelSmoothing: 0.1, weight: Float32Array.of(1, 0, 2, 0, 1, 3) }],
    [
      'a weight of 0 and a prior',
      {
        labelSmoothing: { epsilon: 0.1, prior: Float32Array.of(1, 0, 2, 4, 1, 3) },
        weight: Float32Array.of(1, 7, 2, 0, 1, 3),
      },
    ],
  ];
  const cases = others.flatMap(([name, options]) =>
    onEveryBackend(`-Infinity has probability and gradient 0: ${name}`, (functions) => {
      for (const gradientScale of [1, -3]) {
        const call = batch({ ...NONE, ...options, gradientScale }, { logits: withRow(2, hole) });
        const result = run(functions, call);
        same(rowOf(result.gradient, 2)[1], 0, 'gradient[2][1]');
        same(rowOf(result.gradient, 2)[3], 0, 'gradient[2][3]');
        check(result, oracle(call.logits, call.targets, call.options as never));
        if (!Number.isFinite(result.numerator)) fail(`numerator is ${result.numerator}`);
      }
    }),
  );
  cases.push(
    ...onEveryBackend(
      'smoothing mass on -Infinity: the loss is Infinity, the gradient finite',
      (functions) => {
        for (const labelSmoothing of [0.1, 1, { epsilon: 0.25, over: 'others' as const }]) {
          const call = batch({ ...NONE, labelSmoothing }, { logits: withRow(2, hole) });
          const result = run(functions, call);
          same(result.losses?.[2], Infinity, 'losses[2]');
          same(result.numerator, Infinity, 'numerator');
          check(result, oracle(call.logits, call.targets, call.options as never));
          for (const g of result.gradient) if (!Number.isFinite(g)) fail(`a gradient is ${g}`);
          same(rowOf(result.gradient, 2)[1] < 0, true, 'whether the gradient there is below 0');
        }
      },
    ),
    ...onEveryBackend('a target at -Infinity: the loss is Infinity, the gradient finite', (functions) => {
      for (const smoothing of [{}, SMOOTH]) {
        const call = batch({ ...NONE, ...smoothing }, { logits: withRow(0, [1, 2, 0, -Infinity, 1, 1]) });
        const result = run(functions, call);
        same(result.losses?.[0], Infinity, 'losses[0]');
        check(result, oracle(call.logits, call.targets, call.options as never));
        for (const g of result.gradient) if (!Number.isFinite(g)) fail(`a gradient is ${g}`);
      }
      const only = run(functions, batch(NONE, { logits: withRow(0, [1, 2, 0, -Infinity, 1, 1]) }));
      same(rowOf(only.gradient, 0)[3], -1, 'the gradient of the target');
    }),
    ...onEveryBackend('a target at -Infinity whose weight is 0 contributes 0', (functions) => {
      const weight = Float32Array.of(1, 1, 1, 0, 1, 1);
      const logits = withRow(0, [1, 2, 0, -Infinity, 1, 1]);
      const result = run(functions, batch({ ...NONE, weight }, { logits }));
      same(result.losses?.[0], 0, 'losses[0]');
      for (const g of rowOf(result.gradient, 0)) if (g !== 0) fail(`a gradient is ${g}`);
    }),
    ...onEveryBackend('all but the target at -Infinity: loss and gradient 0', (functions) => {
      const row = new Array(CLASSES).fill(-Infinity);
      row[3] = -7;
      const result = run(functions, batch(NONE, { logits: withRow(0, row) }));
      same(result.losses?.[0], 0, 'losses[0]');
      for (const g of rowOf(result.gradient, 0)) if (g !== 0) fail(`a gradient is ${g}`);
    }),
  );
  return cases;
}

function undefinedRows(): Case[] {
  const rows: [string, (k: number) => number[]][] = [
    ['NaN', (k) => [1, 2, 3, 4, 5, 6].with(k, NaN)],
    ['Infinity', (k) => [1, 2, 3, 4, 5, 6].with(k, Infinity)],
    ['NaN beside Infinity', (k) => [Infinity, 2, 3, 4, 5, Infinity].with(k, NaN)],
    ['NaN beside -Infinity alone', (k) => new Array(CLASSES).fill(-Infinity).with(k, NaN)],
    ['-Infinity alone', () => new Array(CLASSES).fill(-Infinity)],
    ['Infinity beside -Infinity', (k) => new Array(CLASSES).fill(-Infinity).with(k, Infinity)],
  ];
  const options: [string, Options][] = [
    ['', {}],
    [', smoothed', SMOOTH],
    [', weights of 0', { weight: new Float32Array(CLASSES), ...SMOOTH }],
    [', a row weight of 0', { rowWeight: Float32Array.of(1, 1, 0, 1, 1) }],
    [', a gradientScale of 0', { gradientScale: 0 }],
  ];
  return rows.flatMap(([content, row]) =>
    options.flatMap(([name, option]) =>
      onEveryBackend(`a row with ${content} is NaN, and no other row${name}`, (functions) => {
        const plain = run(functions, batch({ ...NONE, ...option }));
        for (let k = 0; k < CLASSES; k++) {
          const logits = withRow(2, row(k));
          const result = run(functions, batch({ ...NONE, ...option }, { logits }));
          same(result.losses?.[2], NaN, 'losses[2]');
          same(result.numerator, NaN, 'numerator');
          same(result.rows, ROWS, 'rows');
          same(result.denominator, plain.denominator, 'denominator');
          nanRow(result.gradient, 2, `at ${k}`);
          restAs(result.gradient, plain.gradient, 2, `at ${k}`);
          for (const r of [0, 1, 3, 4]) same(result.losses?.[r], plain.losses?.[r], `losses[${r}]`);
          const own = logits.slice();
          nanRow(
            run(functions, batch({ ...NONE, ...option, gradient: own }, { logits: own })).gradient,
            2,
            'in place',
          );
          if (plain.denominator !== 0) same(run(functions, batch(option, { logits })).loss, NaN, 'the mean');
        }
      }),
    ),
  );
}

function longNaNRows(): Case[] {
  return onEveryBackend('a NaN is found wherever in a row it is', ({ crossEntropy }) => {
    for (const classes of [31, 32, 33, 65, 1024, 1031, 2500]) {
      for (const at of [0, 1, 7, 8, 30, 31, 32, 63, 64, 1023, 1024, 1030, 2047, 2048, classes - 1]) {
        if (at >= classes) continue;
        for (const [value, expected] of [
          [NaN, NaN],
          [Infinity, NaN],
          [1e4, 0],
        ]) {
          const logits = new Float32Array(classes);
          logits[at] = value;
          const { loss, gradient } = crossEntropy(logits, Int32Array.of(at), { classes, gradient: true });
          same(loss, expected, `loss of ${classes} classes with ${value} at ${at}`);
          same(
            gradient.every((g) => Object.is(Math.abs(g), expected)),
            true,
            'whether the whole gradient is that',
          );
        }
      }
    }
  });
}

function rowWeights(): Case[] {
  return [
    ...onEveryBackend('a row weight multiplies loss and gradient', (functions) => {
      const rowWeight = Float32Array.of(1, 2, 0.5, 4, 0);
      for (const smoothing of [{}, SMOOTH]) {
        const plain = run(functions, batch({ ...NONE, ...smoothing }));
        const weighted = run(functions, batch({ ...NONE, ...smoothing, rowWeight }));
        rowWeight.forEach((w, r) => {
          same(weighted.losses?.[r], w * (plain.losses?.[r] ?? NaN), `losses[${r}]`);
          for (let k = 0; k < CLASSES; k++) {
            const g = w * rowOf(plain.gradient, r)[k];
            same(rowOf(weighted.gradient, r)[k] + 0, g + 0, `gradient[${r}][${k}]`);
          }
        });
        same(weighted.rows, ROWS, 'rows: a weight of 0 takes part');
      }
    }),
    ...onEveryBackend('a row weight of 0 makes an infinite loss 0', (functions) => {
      const rowWeight = Float32Array.of(0, 1, 1, 1, 1);
      for (const smoothing of [{}, SMOOTH]) {
        const logits = withRow(0, [1, 2, 0, -Infinity, 1, 1]);
        const result = run(functions, batch({ ...NONE, ...smoothing, rowWeight }, { logits }));
        same(result.losses?.[0], 0, 'losses[0]');
        for (const g of rowOf(result.gradient, 0)) if (g !== 0) fail(`a gradient is ${g}`);
        if (!Number.isFinite(result.numerator)) fail(`numerator is ${result.numerator}`);
      }
    }),
  ];
}

function gradients(): Case[] {
  return [
    ...onEveryBackend(
      'gradient: true is a new array each time, which nobody writes to again',
      (functions) => {
        const { logits, targets } = batch();
        const options = { classes: CLASSES, labelSmoothing: 0.1, gradient: true } as const;
        const before = logits.slice();
        const first = functions.crossEntropy(logits, targets, options);
        const kept = first.gradient.slice();
        const second = functions.crossEntropy(
          logits.map((x) => -x),
          targets,
          options,
        );
        same(first.gradient.buffer === second.gradient.buffer, false, 'whether the gradients share memory');
        sameElements(first.gradient, kept, 'the first gradient afterwards');
        sameElements(logits, before, 'the logits afterwards');
        same(first.gradient instanceof Float32Array, true, 'whether it is a Float32Array');
        same(first.gradient.length, logits.length, 'its length');
      },
    ),
    ...onEveryBackend('losses are a new array each time', (functions) => {
      const first = run(functions, batch(NONE)).losses ?? fail('no losses');
      const kept = first.slice();
      run(functions, batch({ ...NONE, labelSmoothing: 0.5 }));
      sameElements(first, kept, 'the first losses afterwards');
    }),
    ...onEveryBackend('a gradient array is filled and returned', (functions) => {
      const expected = run(functions, batch(SMOOTH));
      const supplied = new Float32Array(LOGITS.length).fill(NaN);
      const { logits, targets, options } = batch(SMOOTH);
      const result = functions.crossEntropy(logits, targets, { ...options, gradient: supplied });
      same(result.gradient, supplied, 'gradient');
      sameElements(supplied, expected.gradient, 'the array');
      sameElements(logits, LOGITS, 'the logits afterwards');
      const own = LOGITS.slice();
      const inPlace = functions.crossEntropy(own, targets, { ...options, gradient: own });
      same(inPlace.gradient, own, 'gradient in place');
      sameElements(own, expected.gradient, 'the logits in place');
      const other = LOGITS.slice();
      const view = new Float32Array(other.buffer, 0, other.length);
      functions.crossEntropy(other, targets, { ...options, gradient: view });
      sameElements(other, expected.gradient, 'the logits in place, through another view of them');
    }),
    ...onEveryBackend('no gradient unless asked for', (functions) => {
      for (const gradient of [undefined, false]) {
        const { logits, targets, options } = batch();
        const result = functions.crossEntropy(logits, targets, {
          ...options,
          gradient,
        } as CrossEntropyOptions);
        same('gradient' in result, false, 'whether there is a gradient');
        sameElements(logits, LOGITS, 'the logits afterwards');
      }
    }),
    ...onEveryBackend('what a result holds', ({ crossEntropy }) => {
      const { logits, targets } = batch();
      const keys = (options: Options) =>
        Object.keys(crossEntropy(logits, targets, { classes: CLASSES, ...options }))
          .sort()
          .join(' ');
      same(keys({}), 'denominator loss numerator rows', 'mean');
      same(keys({ reduction: 'sum' }), 'denominator loss numerator rows', 'sum');
      same(keys({ reduction: 'none' }), 'denominator losses numerator rows', 'none');
      same(keys({ gradient: true }), 'denominator gradient loss numerator rows', 'mean and gradient');
      same(
        keys({ ...NONE, gradient: true }),
        'denominator gradient losses numerator rows',
        'none and gradient',
      );
    }),
    ...onEveryBackend('gradientScale multiplies the gradient, not the loss', (functions) => {
      for (const reduction of ['mean', 'sum', 'none'] as const) {
        const one = run(functions, batch({ ...SMOOTH, reduction }));
        for (const gradientScale of [2, -0.5, 0, 1024]) {
          const scaled = run(functions, batch({ ...SMOOTH, reduction, gradientScale }));
          same(scaled.loss, one.loss, 'loss');
          same(scaled.numerator, one.numerator, 'numerator');
          // Powers of two change no bits but the exponent.
          scaled.gradient.forEach((g, i) => {
            same(g + 0, one.gradient[i] * gradientScale + 0, `gradient[${i}]`);
          });
        }
      }
    }),
    ...onEveryBackend("gradientScale per row with reduction 'none'", (functions) => {
      const gradientScale = Float32Array.of(1, -2, 0, 0.5, 128);
      const one = run(functions, batch({ ...NONE, ...SMOOTH }));
      const scaled = run(functions, batch({ ...NONE, ...SMOOTH, gradientScale }));
      sameElements(scaled.losses ?? [], one.losses ?? [], 'losses');
      scaled.gradient.forEach((g, i) => {
        same(g + 0, one.gradient[i] * gradientScale[Math.floor(i / CLASSES)] + 0, `gradient[${i}]`);
      });
    }),
    ...onEveryBackend('one class: loss and gradient 0', ({ crossEntropy }) => {
      for (const labelSmoothing of [0, 0.1, 1]) {
        const logits = Float32Array.of(0, -5, 1e8, -3e38, 2 ** -149);
        const options = { classes: 1, labelSmoothing, gradient: true, reduction: 'none' } as const;
        const { losses, gradient } = crossEntropy(logits, new Int32Array(5), options);
        for (const x of [...losses, ...gradient]) if (x !== 0) fail(`something is ${x}`);
      }
    }),
  ];
}

function strides(): Case[] {
  const rowStride = CLASSES + 3;
  const padded = (fill: number) => {
    const logits = new Float32Array(ROWS * rowStride).fill(fill);
    for (let r = 0; r < ROWS; r++) logits.set(rowOf(LOGITS, r), r * rowStride);
    return logits;
  };
  return [NaN, Infinity, 0, 99].flatMap((fill) =>
    onEveryBackend(`rowStride: gaps of ${fill} change nothing and stay as they are`, (functions) => {
      for (const options of [
        NONE,
        { ...NONE, ...SMOOTH },
        { ...SMOOTH, weight: new Float32Array(CLASSES).fill(2) },
      ]) {
        const expected = run(functions, batch(options));
        const compare = (what: string, { gradient, ...rest }: ReturnType<typeof run>, gap: number) => {
          same(rest.numerator, expected.numerator, `${what}: numerator`);
          for (let r = 0; r < ROWS; r++) {
            sameElements(
              rowOf(gradient, r, rowStride),
              rowOf(expected.gradient, r),
              `${what}: gradient of row ${r}`,
            );
            for (const g of gradient.subarray(r * rowStride + CLASSES, (r + 1) * rowStride)) {
              same(g, gap, `${what}: between rows`);
            }
          }
        };
        const logits = padded(fill);
        compare('a new gradient', run(functions, batch({ ...options, rowStride }, { logits })), 0);
        sameElements(logits, padded(fill), 'the logits afterwards');
        const gradient = new Float32Array(logits.length).fill(7);
        compare(
          'a supplied gradient',
          run(functions, batch({ ...options, rowStride, gradient }, { logits })),
          7,
        );
        compare(
          'in place',
          run(functions, batch({ ...options, rowStride, gradient: logits }, { logits })),
          fill,
        );
        // The last row may end where its classes do, or anywhere in its gap.
        for (const less of [1, 2, 3]) {
          const shorter = padded(fill).slice(0, ROWS * rowStride - less);
          compare('shorter', run(functions, batch({ ...options, rowStride }, { logits: shorter })), 0);
        }
        // An ignored row's gap is no different.
        const targets = Int32Array.of(3, -100, 5, 2, 4);
        const around = new Float32Array(logits.length).fill(7);
        run(functions, batch({ ...options, rowStride, gradient: around }, { logits: padded(fill), targets }));
        same(around[2 * rowStride - 1], 7, 'the gap after an ignored row');
      }
    }),
  );
}

function oneRowOfHugeStride(): Case[] {
  return onEveryBackend('one row, whatever its stride', (functions) => {
    const expected = run(
      functions,
      batch({}, { logits: LOGITS.slice(0, CLASSES), targets: Int32Array.of(3) }),
    );
    for (const rowStride of [CLASSES + 1, 2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]) {
      const call = batch({ rowStride }, { logits: LOGITS.slice(0, CLASSES), targets: Int32Array.of(3) });
      same(run(functions, call).numerator, expected.numerator, 'numerator');
    }
  });
}

function smoothingForms(): Case[] {
  const equal: [string, Options, Options][] = [
    [
      'a number is an object with that epsilon',
      { labelSmoothing: 0.1 },
      { labelSmoothing: { epsilon: 0.1 } },
    ],
    [
      "over is 'all' if not given",
      { labelSmoothing: 0.1 },
      { labelSmoothing: { epsilon: 0.1, over: 'all' } },
    ],
    ['excluding nothing', { labelSmoothing: 0.1 }, { labelSmoothing: { epsilon: 0.1, exclude: [] } }],
    [
      'one class, excluded alone or in an array, once or twice',
      { labelSmoothing: { epsilon: 0.1, exclude: 2 } },
      { labelSmoothing: { epsilon: 0.1, exclude: [2, 2] } },
    ],
    [
      'the same epsilon for every row',
      { labelSmoothing: 0.25 },
      { labelSmoothing: { epsilon: new Float32Array(ROWS).fill(0.25) } },
    ],
    ['epsilon 0 in a number is no smoothing', {}, { labelSmoothing: 0 }],
    ['epsilon 0 in an object is no smoothing', {}, { labelSmoothing: { epsilon: 0, over: 'others' } }],
    [
      'epsilon 0 needs no class to smooth towards',
      {},
      { labelSmoothing: { epsilon: 0, exclude: [0, 1, 2, 3, 4, 5], prior: new Float32Array(CLASSES) } },
    ],
    [
      'epsilon 0 in every row is no smoothing',
      {},
      { labelSmoothing: { epsilon: new Float32Array(ROWS), exclude: [0, 1, 2, 3, 4, 5] } },
    ],
    ['weights of 1 are no weights', SMOOTH, { ...SMOOTH, weight: new Float32Array(CLASSES).fill(1) }],
    ['row weights of 1 are no row weights', SMOOTH, { ...SMOOTH, rowWeight: new Float32Array(ROWS).fill(1) }],
    ['a mask of anything but 0 masks nothing', SMOOTH, { ...SMOOTH, mask: Uint8Array.of(1, 2, 3, 128, 255) }],
    [
      'undefined is what an option is by default',
      {},
      Object.fromEntries(
        'labelSmoothing weight rowWeight ignoreIndex mask reduction normalizer whenEmpty gradientScale rowStride'
          .split(' ')
          .map((name) => [name, undefined]),
      ),
    ],
    [
      'and so in labelSmoothing',
      SMOOTH,
      { labelSmoothing: { epsilon: 0.1, over: undefined, exclude: undefined, prior: undefined } },
    ],
    [
      'a prior counts by its proportions',
      { labelSmoothing: { epsilon: 0.3, prior: Float32Array.of(1, 2, 0, 5, 3, 1) } },
      { labelSmoothing: { epsilon: 0.3, prior: Float32Array.of(64, 128, 0, 320, 192, 64) } },
    ],
  ];
  return equal.flatMap(([name, one, other]) =>
    onEveryBackend(name, (functions) => {
      for (const reduction of ['mean', 'none'] as const) {
        const a = run(functions, batch({ ...one, reduction }));
        const b = run(functions, batch({ ...other, reduction }));
        same(b.numerator, a.numerator, 'numerator');
        same(b.denominator, a.denominator, 'denominator');
        sameElements(b.losses ?? [], a.losses ?? [], 'losses');
        sameElements(b.gradient, a.gradient, 'gradient');
      }
    }),
  );
}

const LARGEST = 2 ** 128 - 2 ** 104;

/** Factors at the limits of what is accepted, and beyond what float32 can hold when multiplied. */
function extremes(): Case[] {
  const all = (length: number, value: number) => new Float32Array(length).fill(value);
  const accepted: [string, Options][] = [
    ['gradientScale the largest float', { gradientScale: LARGEST }],
    ['gradientScale minus the largest float', { gradientScale: -LARGEST }],
    ['gradientScale 2^-149', { gradientScale: 2 ** -149 }],
    [
      'gradientScale per row',
      { ...NONE, gradientScale: Float32Array.of(LARGEST, -LARGEST, 2 ** -149, 0, 1) },
    ],
    ['weights of the largest float', { weight: all(CLASSES, LARGEST) }],
    ['weights of the largest float, summed', { weight: all(CLASSES, LARGEST), reduction: 'sum' }],
    ['weights of 2^-149', { weight: all(CLASSES, 2 ** -149) }],
    ['row weights of the largest float', { rowWeight: all(ROWS, LARGEST) }],
    [
      'row and class weights of the largest float, summed, times the largest float',
      {
        rowWeight: all(ROWS, LARGEST),
        weight: all(CLASSES, LARGEST),
        reduction: 'sum',
        gradientScale: -LARGEST,
      },
    ],
    ['row and class weights of 2^-149', { rowWeight: all(ROWS, 2 ** -149), weight: all(CLASSES, 2 ** -149) }],
    ['normalizer 2^-1074', { normalizer: 2 ** -1074 }],
    [
      'normalizer 2^-1074 and gradientScale the largest float',
      { normalizer: 2 ** -1074, gradientScale: LARGEST },
    ],
    ['normalizer the largest number', { normalizer: Number.MAX_VALUE }],
    ['prior of the largest float', { labelSmoothing: { epsilon: 0.1, prior: all(CLASSES, LARGEST) } }],
    ['prior of 2^-149', { labelSmoothing: { epsilon: 0.1, prior: all(CLASSES, 2 ** -149) } }],
  ];
  const cases = accepted.flatMap(([name, options]) =>
    onEveryBackend(`at the limit: ${name}`, (functions) => {
      for (const smoothing of [{}, SMOOTH]) {
        const logits = LOGITS.slice();
        logits[1] = -Infinity; // row 0, whose target is 3
        const call = batch({ ...smoothing, ...options }, { logits });
        const { gradient } = run(functions, call);
        // Infinite only where float32 has no number for it; never NaN.
        const expected = oracle(call.logits, call.targets, call.options as never).gradient;
        gradient.forEach((g, i) => {
          if (Number.isNaN(g) || (Math.abs(g) === Infinity && !(Math.abs(expected[i]) > LARGEST))) {
            fail(`gradient[${i}] is ${g}, expected ${expected[i]}`);
          }
        });
        const smoothed = options.labelSmoothing !== undefined || smoothing === SMOOTH;
        if (!smoothed) same(Math.abs(gradient[1]), 0, 'the gradient of a logit of -Infinity');
      }
    }),
  );
  cases.push(
    ...onEveryBackend(
      'a prior of very small or large numbers smooths as one of everyday numbers',
      (functions) => {
        const prior = Float32Array.of(1, 2, 0.5, 5, 3, 1);
        const weight = Float32Array.of(1, 0.5, 2, 4, 0.25, 8);
        for (const scale of [2 ** -140, 2 ** -120, 2 ** -40, 2 ** 33, 2 ** 60, 2 ** 124]) {
          const labelSmoothing = { epsilon: 0.3, prior: prior.map((p) => p * scale) };
          const call = batch({ ...NONE, weight, labelSmoothing });
          // What is left of the prior where it is subnormal is what counts.
          const result = run(functions, call);
          check(result, oracle(call.logits, call.targets, call.options as never));
        }
      },
    ),
    ...onEveryBackend('one number beyond the limit is refused', ({ crossEntropy }) => {
      const refused = (options: Options) => {
        const error = errorOf(() =>
          crossEntropy(LOGITS, Int32Array.from(TARGETS), { classes: CLASSES, ...options }),
        );
        same(error.code, 'ERR_OUT_OF_RANGE', `the code of ${error}`);
      };
      refused({ gradientScale: LARGEST + 2 ** 76 });
      refused({ labelSmoothing: 1 + 2 ** -52 });
      refused({ labelSmoothing: -(2 ** -1074) });
      refused({ normalizer: 0 });
    }),
    ...onEveryBackend('as many classes as there can be', ({ crossEntropy }) => {
      for (const options of [{}, SMOOTH]) {
        const none = new Float32Array(0);
        const result = crossEntropy(none, new Int32Array(0), {
          classes: 2 ** 31 - 1,
          gradient: true,
          ...options,
        });
        same(result.loss, NaN, 'loss');
      }
    }),
  );
  return cases;
}

function oneAfterTheOther(): Case[] {
  return onEveryBackend('no call remembers the options of the one before', (functions) => {
    const excludes = [[1], [1, 2], [1], [], [2, 1], [1, 2], 1, [1, 1], [0, 2], [0], 0, undefined, [1]];
    const calls = excludes.flatMap((exclude) =>
      [CLASSES, 3].map((classes) => {
        const labelSmoothing = { epsilon: 0.5, exclude };
        const options: Options = { ...NONE, classes, labelSmoothing, rowStride: CLASSES };
        return batch(options, { targets: Int32Array.of(0, 1, 2, 0, 1) });
      }),
    );
    for (const call of calls) {
      const expected = oracle(call.logits, call.targets, call.options as never);
      check(run(functions, call), expected);
    }
  });
}

function inputsStay(): Case[] {
  return onEveryBackend('no input is written to but logits that are the gradient', (functions) => {
    const random = new Random(99);
    const floats = (length: number) => random.floats(length, () => random.uniform());
    const inputs = {
      logits: LOGITS.slice(),
      targets: Int32Array.from(TARGETS),
      weight: floats(CLASSES),
      rowWeight: floats(ROWS),
      mask: Uint8Array.of(1, 0, 1, 2, 3),
      gradientScale: floats(ROWS),
      epsilon: floats(ROWS),
      prior: floats(CLASSES),
    };
    const before = structuredClone(inputs);
    const { logits, targets, epsilon, prior, ...options } = inputs;
    const labelSmoothing = Object.freeze({ epsilon, prior, exclude: Object.freeze([2]), over: 'others' });
    const frozen = Object.freeze({ classes: CLASSES, ...options, ...NONE, labelSmoothing, gradient: true });
    functions.crossEntropy(logits, targets, frozen as CrossEntropyOptions);
    for (const [name, array] of Object.entries(inputs)) {
      sameElements(array, before[name as keyof typeof before], name);
    }
    // One array in two places is fine as long as nobody writes to it.
    const twice = Uint8Array.of(3, 0, 5, 2, 4);
    const shared = run(
      functions,
      batch({ mask: twice, rowWeight: prior.subarray(1), weight: prior }, { targets: twice }),
    );
    same(shared.rows, 4, 'rows where the targets are the mask');
  });
}

export const tables: Table[] = [
  { name: 'denominators', cases: [...denominators(), ...accumulation()] },
  { name: 'ignored and masked rows', cases: [...ignoredRows(), ...ignoreIndexCases()] },
  { name: 'targets of every type', cases: indexArrays() },
  { name: 'when nothing contributes', cases: [...empty(), ...emptyButDivided()] },
  { name: 'minus infinity', cases: minusInfinity() },
  { name: 'undefined rows', cases: [...undefinedRows(), ...longNaNRows()] },
  { name: 'row weights', cases: rowWeights() },
  { name: 'what is returned', cases: [...gradients(), ...inputsStay(), ...oneAfterTheOther()] },
  { name: 'row strides', cases: [...strides(), ...oneRowOfHugeStride()] },
  { name: 'extreme numbers', cases: extremes() },
  { name: 'ways to say the same', cases: smoothingForms() },
];
