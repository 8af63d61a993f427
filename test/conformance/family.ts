// The values of every loss, of every number type, at every length and in every layout, against the float64 oracle.

import { type Call, decoded, everything, make, oracleOf } from '../support/calls.js';
import { encode, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import { type OracleResult, oracleLabels } from '../support/oracle.js';
import { check } from '../support/tolerance.js';
import { onEveryBackend } from './backends.js';
import { KINDS, type Kind, labelsCall, ordinaryCall } from './ordinary.js';
import { Random } from './random.js';
import { type Case, fail, near, same, sameElements, type Table } from './table.js';

/** Around the multiples of 32 lanes and of blocks of 512 columns. */
const CLASSES = [
  1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 100, 127, 128, 129, 255, 256, 257, 511, 512, 513,
  544, 1000, 1023, 1024, 1025, 1536, 2047, 2049,
];
const ROWS = [0, 1, 63, 64, 65, 129];

function agrees(name: string, draw: () => Call): Case[] {
  let drawn: { call: Call; expected: OracleResult } | undefined; // the same for every backend
  return onEveryBackend(name, (functions) => {
    if (drawn === undefined) {
      const call = draw();
      drawn = { call, expected: oracleOf(call) };
    }
    const { call, expected } = drawn;
    const actual = make(functions, call, everything(call));
    check(decoded(actual, call.type), expected, call.type);
    const { reduction } = call.options;
    const mean = reduction === 'mean' || reduction === 'batchmean';
    if (mean && actual.denominator !== 0) {
      same(actual.loss, actual.numerator / actual.denominator, 'the mean');
    }
    if (reduction === 'sum') same(actual.loss, actual.numerator, 'the sum');
    // What else is asked for changes nothing.
    const bare = make(functions, call);
    same(bare.numerator, actual.numerator, 'the numerator alone');
    same(bare.loss, actual.loss, 'the loss alone');
    sameElements(bare.losses ?? [], actual.losses ?? [], 'the losses alone');
    const gradient = make(functions, call, { gradient: true }).gradient ?? fail('no gradient');
    sameElements(gradient, actual.gradient ?? [], 'the gradient alone');
  });
}

const describe = ([name, targets]: Kind, type: NumberType) => `${name} of ${type}, ${targets}`;

function lengthCases(kind: Kind, type: NumberType, seed: number): Case[] {
  const random = (n: number) => new Random(seed * 10_000 + n);
  const cases = [
    ...CLASSES.flatMap((classes) =>
      agrees(`${describe(kind, type)}, ${classes} classes`, () => {
        const draw = random(classes);
        return ordinaryCall(draw, kind, type, classes > 300 ? 2 : draw.pick(3, 4, 6), classes);
      }),
    ),
    ...ROWS.flatMap((rows) =>
      agrees(`${describe(kind, type)}, ${rows} rows`, () =>
        ordinaryCall(random(5000 + rows), kind, type, rows, 5),
      ),
    ),
  ];
  return cases;
}

/** One row of very many classes of each kind. */
const largeCases = KINDS.flatMap((kind, seed) =>
  agrees(`${describe(kind, 'float32')}, 40000 classes`, () =>
    ordinaryCall(new Random(seed), kind, 'float32', 1, 40_000),
  ),
);

/** The same where each logit has terms and the gradient is the place for what is computed on the way. */
const scaledCases = NUMBER_TYPES.flatMap((type) =>
  agrees(`crossEntropy of ${type}, scaled logits, 200000 classes`, () => {
    const classes = 200_000;
    const random = new Random(99);
    const logits = encode(random.floats(classes, random.normal.bind(random)), type);
    const options = { classes, logitScale: 0.5, labelSmoothing: 0.125 };
    return { type, logits, targets: Int32Array.of(7), options };
  }),
);

function labelCases(): Case[] {
  const kinds = ['indices', 'mixed targets', 'soft targets'] as const;
  return kinds.flatMap((kind, seed) =>
    [...CLASSES, ...ROWS.map((rows) => -rows)].flatMap((size) =>
      onEveryBackend(
        size > 0 ? `smoothLabels, ${kind}, ${size} classes` : `smoothLabels, ${kind}, ${-size} rows`,
        (functions) => {
          const [rows, classes] = size > 0 ? [3, size] : [-size, 5];
          const call = labelsCall(new Random(90_000 + 3000 * seed + size), kind, rows, classes);
          const labels = make(functions, call).labels ?? fail('no labels');
          const expected = oracleLabels(call.targets, call.options);
          const double = call.targets instanceof Float64Array;
          same(labels instanceof Float64Array, double, 'whether the labels are doubles');
          same(labels.length, expected.length, 'how many there are');
          const tolerance = double ? 4e-16 : 1.2e-7;
          labels.forEach((label, i) => {
            near(label, expected[i], tolerance * expected[i] + (double ? 0 : 2 ** -149), `labels[${i}]`);
          });
        },
      ),
    ),
  );
}

export const tables: Table[] = [
  ...KINDS.map((kind, k) => ({
    name: `values: ${kind.join(', ')}`,
    cases: NUMBER_TYPES.flatMap((type, n) => lengthCases(kind, type, 1 + 4 * k + n)),
  })),
  { name: 'values: very many classes', cases: [...largeCases, ...scaledCases] },
  { name: 'values: smoothLabels', cases: labelCases() },
];
