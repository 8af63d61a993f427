// The promise: the recipe of docs/api.md for gradient accumulation and data parallel training. Parts of a batch with the whole
// batch's denominator as normalizer give losses that add up to its loss, and the rows of its gradient.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { availableBackends, type Functions, loadBackend } from 'smoothloss';
import { describe, expect, it } from 'vitest';
import { type Numbers, type PlainOptions, typedCall } from './support/options.js';
import { type OracleOptions, type OracleResult, oracle } from './support/oracle.js';
import { root } from './support/root.js';
import { check } from './support/tolerance.js';

interface Vector {
  name: string;
  options: PlainOptions;
  logits: Numbers;
  targets: number[];
  expected: { loss: number; gradient: number[]; denominator: number };
}

const SPLITTABLE = ['classes', 'reduction', 'labelSmoothing', 'weight', 'ignoreIndex', 'form', 'zLoss'];

/** What PyTorch makes of whole batches: with weights, ignored rows and smoothing. */
const file = readFileSync(path.join(root, 'test/vectors/pytorch-cross-entropy.json'), 'utf8');
const vectors = (JSON.parse(file) as { cases: Vector[] }).cases.filter(({ options, targets, expected }) => {
  const { reduction = 'mean', labelSmoothing } = options as { reduction?: string; labelSmoothing?: unknown };
  const splits = Object.keys(options).every((name) => SPLITTABLE.includes(name));
  const perRow = JSON.stringify(labelSmoothing ?? 0).includes('"epsilon":[');
  return reduction === 'mean' && targets.length > 1 && expected.denominator > 0 && splits && !perRow;
});

const backends = availableBackends().map((name) => ({ name, functions: loadBackend(name) }));

interface Batch {
  logits: Float32Array;
  targets: Int32Array;
  options: OracleOptions & { classes: number };
}

/** As docs/api.md has it, with weights per row besides. */
function denominatorOf({ targets, options: { weight, rowWeight, ignoreIndex = -100 } }: Batch): number {
  const ignored = [ignoreIndex].flat();
  let normalizer = 0;
  targets.forEach((y, row) => {
    if (!ignored.includes(y)) normalizer += (weight?.[y] ?? 1) * (rowWeight?.[row] ?? 1);
  });
  return normalizer;
}

/** The sums of the parts that begin at these rows, and their gradients one after the other. */
function accumulated({ crossEntropy }: Functions, batch: Batch, begins: readonly number[]) {
  const { logits, targets, options } = batch;
  const { classes, rowWeight } = options;
  const normalizer = denominatorOf(batch);
  const sums = {
    loss: 0,
    numerator: 0,
    denominator: normalizer,
    rows: 0,
    gradient: new Float32Array(logits.length),
  };
  begins.forEach((begin, i) => {
    const end = begins[i + 1] ?? targets.length;
    const part = crossEntropy(logits.subarray(begin * classes, end * classes), targets.subarray(begin, end), {
      ...(options as { classes: number }),
      ...(rowWeight === undefined ? {} : { rowWeight: Float32Array.from(rowWeight).subarray(begin, end) }),
      normalizer,
      gradient: sums.gradient.subarray(begin * classes, end * classes),
    });
    expect(part.denominator).toBe(normalizer);
    sums.loss += part.loss;
    sums.numerator += part.numerator;
    sums.rows += part.rows;
  });
  return sums;
}

/** Parts of one, two, three … rows. */
function growing(rows: number): number[] {
  const begins: number[] = [];
  for (let begin = 0, part = 1; begin < rows; begin += part++) begins.push(begin);
  return begins;
}

it('there are vectors with weights, ignored rows and smoothing', () => {
  const names = vectors.map(({ name }) => name).join();
  expect(names).toContain('mean, smoothing 0.1, weights, ignoring -100');
  expect(vectors.length).toBeGreaterThan(20);
});

describe.each(backends)('with $name', ({ functions }) => {
  it.each(vectors)('as PyTorch: $name', ({ options, logits, targets, expected }) => {
    const call = typedCall({
      options,
      logits: { type: 'float32', values: logits },
      targets: { type: 'index', values: targets },
    });
    const batch = { ...call, targets: Int32Array.from(targets) } as unknown as Batch;
    expect(denominatorOf(batch)).toBeCloseTo(expected.denominator, 12);
    const whole: OracleResult = {
      ...oracle(batch.logits, batch.targets, batch.options),
      loss: Number(expected.loss),
      gradient: Float64Array.from(expected.gradient, Number),
    };
    for (const begins of [targets.map((_, row) => row), growing(targets.length), [0]]) {
      check(accumulated(functions, batch, begins), whole);
    }
  });

  it.each([
    ['nothing else', {}],
    ['weights', { weight: true }],
    ['weights and ignored rows', { weight: true, ignoreIndex: [2, -100] }],
    ['weights of classes and rows', { weight: true, rowWeight: true, ignoreIndex: [5, -100] }],
    ['smoothing with weights', { weight: true, labelSmoothing: 0.1, ignoreIndex: [0, -100] }],
    [
      'smoothing over others, and a z-loss',
      { labelSmoothing: { epsilon: 0.2, over: 'others' }, zLoss: 0.01 },
    ],
  ] as const)(
    'as a whole batch, with %s',
    (_, { weight, rowWeight, ...options }: Record<string, unknown>) => {
      const [rows, classes] = [23, 17];
      const batch: Batch = {
        logits: Float32Array.from({ length: rows * classes }, (_, i) => 6 * Math.sin(i * i)),
        targets: Int32Array.from({ length: rows }, (_, r) => (r % 7 === 6 ? -100 : (r * r) % classes)),
        options: {
          classes,
          ...options,
          ...(weight === true
            ? { weight: Float32Array.from({ length: classes }, (_, k) => (k % 5) / 4) }
            : {}),
          ...(rowWeight === true
            ? { rowWeight: Float32Array.from({ length: rows }, (_, r) => (r % 3) / 2) }
            : {}),
        } as Batch['options'],
      };
      const whole = functions.crossEntropy(batch.logits, batch.targets, {
        ...(batch.options as { classes: number }),
        gradient: true,
      });
      const expected = oracle(batch.logits, batch.targets, batch.options);
      for (const begins of [growing(rows), [0, 1, 22], Array.from({ length: rows }, (_, r) => r)]) {
        const sums = accumulated(functions, batch, begins);
        check(sums, expected);
        expect(sums.rows).toBe(whole.rows);
        expect(sums.gradient).toEqual(whole.gradient); // to the bit
      }
    },
  );

  it('without gradients by numerators and denominators, each of its own', () => {
    const logits = Float32Array.from({ length: 40 }, (_, i) => Math.cos(i));
    const targets = Int32Array.from({ length: 10 }, (_, r) => r % 4);
    const options = { classes: 4, weight: Float32Array.of(1, 2, 3, 4), ignoreIndex: 1 };
    const parts = [0, 3].map((begin, i) =>
      functions.crossEntropy(
        logits.subarray(begin * 4, [3, 10][i] * 4),
        targets.subarray(begin, [3, 10][i]),
        options,
      ),
    );
    const sum = (key: 'numerator' | 'denominator') => parts[0][key] + parts[1][key];
    const whole = oracle(logits, targets, options);
    expect(sum('numerator') / sum('denominator')).toBeCloseTo(whole.loss, 6);
  });

  it('of elements: their number is the denominator', () => {
    const logits = Float32Array.from({ length: 40 }, (_, i) => Math.cos(i));
    const targets = Float32Array.from({ length: 40 }, (_, i) => (i % 5) / 4);
    for (const name of ['bceWithLogits', 'klDiv'] as const) {
      const whole = oracle(logits, targets, { classes: 4 }, name);
      const options = { classes: 4, normalizer: 40, gradient: true } as const;
      const parts = [0, 12, 20].map((begin, i) => {
        const end = [12, 20, 40][i];
        const loss = functions[name] as Functions['klDiv'];
        return loss(logits.subarray(begin, end), targets.subarray(begin, end), options);
      });
      const add = (key: 'loss' | 'numerator' | 'rows') => parts.reduce((sum, part) => sum + part[key], 0);
      const gradient = Float32Array.from(parts.flatMap((part) => [...part.gradient]));
      const sums = {
        loss: add('loss'),
        numerator: add('numerator'),
        denominator: 40,
        rows: add('rows'),
        gradient,
      };
      check(sums, whole);
    }
  });
});
