// The values that PyTorch computes, in double precision: the oracle has them to double precision, every backend to its own.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type Call, decoded, make, oracleOf } from '../support/calls.js';
import { decode, NUMBER_TYPES } from '../support/numbers.js';
import { type Numbers, type PlainCall, type PlainOptions, typedCall } from '../support/options.js';
import { type LossName, type OracleResult, oracle, oracleLabels } from '../support/oracle.js';
import { root } from '../support/root.js';
import { type Answer, check } from '../support/tolerance.js';
import { onEveryBackend } from './backends.js';
import { type Case, fail, near, same, type Table } from './table.js';

type Value = number | string;

interface Expected {
  loss?: Value;
  losses?: Numbers;
  gradient?: Numbers;
  numerator?: Value;
  denominator?: Value;
  rows?: number;
  metrics?: Record<string, Value>;
  perRow?: Partial<Record<keyof OracleResult['perRow'], Numbers>>;
  labels?: Numbers;
}

interface Vector extends PlainCall {
  name: string;
  expected: Expected;
}

/** A case of pytorch-cross-entropy.json: float32 logits, class indices. */
interface IndexVector {
  name: string;
  options: PlainOptions;
  logits: Numbers;
  targets: number[];
  expected: Expected;
}

interface Data {
  rows: number;
  classes: number;
  logitsSeed: number;
  targetsSeed: number;
  logitsSha256: string;
  targetsSha256: string;
}

const read = <T>(name: string): T => JSON.parse(readFileSync(path.join(root, 'test/vectors', name), 'utf8'));

const indexVectors = read<{ cases: IndexVector[]; pytorchFloat32Error: { data: Data[] } }>(
  'pytorch-cross-entropy.json',
);
/** Large data made from seeds, and the hashes they must have. */
export const { data } = indexVectors.pytorchFloat32Error;

const FAMILY = 'pytorch-family.json';
const familyVectors = existsSync(path.join(root, 'test/vectors', FAMILY))
  ? read<{ cases: Vector[] }>(FAMILY).cases
  : [];

const vectors: Vector[] = [
  ...indexVectors.cases.map(({ logits, targets, ...rest }) => ({
    ...rest,
    function: 'crossEntropy' as const,
    logits: { type: 'float32' as const, values: logits },
    targets: { type: 'index' as const, values: targets },
  })),
  ...familyVectors,
];

const numbers = (values: Numbers) => Float64Array.from(values, Number);

// Where PyTorch subtracts numbers near 1 it has 1e-16 of them, not of what is left.
const close = (is: number, should: number, what: string) =>
  near(is, should, 1e-13 * Math.abs(should) + 1e-15, what);

/** Compares all that is expected, as numbers in double precision. */
function closeAll(expected: Expected, actual: Answer): void {
  const { metrics = {}, perRow = {}, losses = [], gradient = [] } = actual;
  const array = (name: string, is: ArrayLike<number>, should: Numbers = []) => {
    for (const [i, value] of should.entries()) close(is[i], Number(value), `${name}[${i}]`);
  };
  if (expected.loss !== undefined) close(actual.loss ?? fail('no loss'), Number(expected.loss), 'loss');
  close(actual.numerator, Number(expected.numerator), 'numerator');
  close(actual.denominator, Number(expected.denominator), 'denominator');
  same(actual.rows, expected.rows, 'rows');
  array('losses', losses, expected.losses);
  array('gradient', gradient, expected.gradient);
  for (const [name, value] of Object.entries(expected.metrics ?? {})) {
    close(Reflect.get(metrics, name), Number(value), `metrics.${name}`);
  }
  for (const [name, values] of Object.entries(expected.perRow ?? {})) {
    array(`perRow.${name}`, Reflect.get(perRow, name), values);
  }
}

/** The oracle itself has to agree with PyTorch, to double precision, or it is no oracle. */
const oracleCases = vectors.map((vector): Case => {
  const run = () => {
    const { name = 'crossEntropy', type = 'float32', logits, targets, options } = typedCall(vector);
    const { expected } = vector;
    if (name === 'smoothLabels') {
      const labels = oracleLabels(targets, options);
      same(labels.length, expected.labels?.length, 'the length of the labels');
      labels.forEach((label, i) => {
        close(label, Number(expected.labels?.[i]), `labels[${i}]`);
      });
      return;
    }
    // In doubles, as PyTorch: the terms of the logits are not rounded to float32. Its soft targets are.
    const rounded =
      type !== 'float64' && targets instanceof Float64Array ? Float32Array.from(targets) : targets;
    closeAll(expected, oracle(Float64Array.from(decode(logits, type)), rounded, options, name as LossName));
  };
  return { name: vector.name, run };
});

/** The oracle's answer with PyTorch's numbers, where PyTorch has the same z: it does not round it to float32. */
function expectedOf(call: Call, { expected }: Vector): OracleResult {
  const result = oracleOf(call);
  const { logitScale = 1, softcap } = call.options;
  if (call.type === 'float64' || logitScale !== 1 || softcap !== undefined) return result;
  const { losses, gradient, perRow = {}, metrics = {} } = expected;
  const entries = Object.entries(perRow).map(([name, values]) => [name, numbers(values)]);
  const means = Object.entries(metrics).map(([name, value]) => [name, Number(value)]);
  return {
    ...result,
    loss: Number(expected.loss ?? NaN),
    losses: losses === undefined ? result.losses : numbers(losses),
    gradient: gradient === undefined ? result.gradient : numbers(gradient),
    numerator: Number(expected.numerator),
    denominator: Number(expected.denominator),
    rows: Number(expected.rows),
    metrics: { ...result.metrics, ...Object.fromEntries(means) },
    perRow: { ...result.perRow, ...Object.fromEntries(entries) },
  };
}

const vectorCases = vectors.flatMap((vector) => {
  let expected: OracleResult | undefined; // the same for every backend
  return onEveryBackend(vector.name, (functions) => {
    const call = typedCall(vector);
    const { metrics, perRow, labels } = vector.expected;
    if (call.name === 'smoothLabels') {
      const result = make(functions, call).labels ?? [];
      same(result.length, labels?.length, 'the length of the labels');
      const double = result instanceof Float64Array;
      labels?.forEach((label, i) => {
        near(result[i], Number(label), (double ? 1e-15 : 3e-7) * Math.abs(Number(label)), `labels[${i}]`);
      });
      return;
    }
    const more = {
      ...(metrics === undefined ? {} : { metrics: true }),
      ...(perRow === undefined ? {} : { perRow: Object.keys(perRow) }),
    };
    const actual = make(functions, call, { ...more, gradient: true });
    expected ??= expectedOf(call, vector);
    check(decoded(actual, call.type), expected, call.type);
    if (call.type === 'float64') closeAll(vector.expected, actual);
    const none = call.options.reduction === 'none';
    same('losses' in actual, none, 'whether there are losses');
    same('loss' in actual, !none, 'whether there is a loss');
    same(make(functions, call).numerator, actual.numerator, 'the numerator without a gradient');
  });
});

const familyCases: Case[] = [
  {
    name: 'there are vectors of every function and of every number type',
    run: () => {
      for (const name of ['crossEntropy', 'bceWithLogits', 'klDiv', 'nllLoss', 'smoothLabels']) {
        same(
          familyVectors.some((vector) => vector.function === name),
          true,
          name,
        );
      }
      for (const type of NUMBER_TYPES) {
        same(
          familyVectors.some(({ logits }) => logits?.type === type),
          true,
          type,
        );
      }
    },
  },
];

export const tables: Table[] = [
  { name: 'the oracle agrees with PyTorch', cases: [...oracleCases, ...familyCases] },
  { name: 'values made by PyTorch', cases: vectorCases },
];
