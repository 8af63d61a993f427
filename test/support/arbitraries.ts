// fast-check's random calls: as conformance/random.ts makes them, but such that a failure shrinks.

import fc from 'fast-check';
import type { CrossEntropyOptions } from 'smoothloss';
import { EDGES_OF_CLASSES } from '../conformance/random.js';
import type { OracleOptions } from './oracle.js';

export type Options = CrossEntropyOptions & OracleOptions;

export interface Call {
  logits: Float32Array;
  targets: Int32Array;
  options: Options;
}

const float = (min: number, max: number) => fc.float({ min, max, noNaN: true, noDefaultInfinity: true });

/** Some 30,000 numbers of their own would take too long to draw: so many are all alike. */
const floats = (length: number, one: fc.Arbitrary<number>) =>
  length > 1000
    ? one.map((value) => new Float32Array(length).fill(value))
    : fc.array(one, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values));

/** Factors of everyday size, some of them 0. */
const factor = fc.oneof(
  { weight: 4, arbitrary: float(2 ** -6, 8) },
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 100_000 }) },
);

// Neither ε nor gradientScale so small that the parts of a gradient are subnormal.
const epsilon = fc.oneof(
  fc.constantFrom(0, 0.1, 1),
  float(0, 1).filter((e) => e > 2 ** -30),
);

const labelSmoothing = (rows: number, classes: number) =>
  fc.oneof(
    epsilon,
    fc
      .record(
        {
          epsilon: fc.oneof(epsilon, floats(rows, epsilon)),
          over: fc.constantFrom('all' as const, 'others' as const),
          exclude: fc.oneof(fc.nat(classes - 1), fc.array(fc.nat(classes - 1), { maxLength: 3 })),
          prior: floats(classes, factor),
        },
        { requiredKeys: ['epsilon'] },
      )
      .map((smoothing) => ({ ...smoothing })),
  );

const logit = fc.oneof(
  { weight: 8, arbitrary: float(-20, 20) },
  { weight: 2, arbitrary: fc.integer({ min: -3, max: 3 }) },
  { weight: 1, arbitrary: float(-1e6, 1e6) },
  { weight: 1, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
);
const specialLogit = fc.oneof(
  { weight: 6, arbitrary: logit },
  { weight: 1, arbitrary: fc.constant(-Infinity) },
  { weight: 1, arbitrary: fc.float() },
);

/** Options of every kind for so many rows and classes; rowStride is left to the caller. */
const options = (rows: number, classes: number) =>
  fc.record(
    {
      classes: fc.constant(classes),
      labelSmoothing: labelSmoothing(rows, classes),
      weight: floats(classes, factor),
      rowWeight: floats(rows, factor),
      ignoreIndex: fc.oneof(
        fc.nat(classes - 1),
        fc.array(fc.integer({ min: -2, max: classes }), { maxLength: 3 }),
      ),
      mask: fc.uint8Array({ minLength: rows, maxLength: rows, max: 3 }),
      reduction: fc.constantFrom('mean' as const, 'sum' as const, 'none' as const),
      normalizer: fc.oneof(
        fc.constantFrom('weight' as const, 'rows' as const, 'all' as const),
        float(0.5, 1e6),
      ),
      whenEmpty: fc.constantFrom('nan' as const, 'zero' as const),
      gradientScale: fc.oneof(
        fc.constantFrom(1, -1, 0, 1024),
        float(-8, 8).filter((scale) => Math.abs(scale) > 2 ** -20),
      ),
    },
    { requiredKeys: ['classes'] },
  );

/** False where the smoothing mass has no class to go to, which is an error. */
function possible({ targets, options }: Call): boolean {
  const { classes, labelSmoothing } = options;
  if (typeof labelSmoothing !== 'object') return true;
  const { epsilon, exclude = [], prior, over } = labelSmoothing;
  const excluded = typeof exclude === 'number' ? [exclude] : exclude;
  const left = (target: number) => {
    for (let k = 0; k < classes; k++) {
      if (k !== target && !excluded.includes(k) && (prior?.[k] ?? 1) > 0) return true;
    }
    return false;
  };
  const smoothed = (row: number) => (typeof epsilon === 'number' ? epsilon : epsilon[row]) > 0;
  const rows = Array.from(targets.keys());
  if ((typeof epsilon === 'number' ? smoothed(0) : rows.some(smoothed)) && !left(-1)) return false;
  return over !== 'others' || rows.every((row) => !smoothed(row) || left(targets[row]));
}

/** No rows, of any number of classes. */
const empty: fc.Arbitrary<Call> = fc
  .tuple(fc.constantFrom(1, 40, ...EDGES_OF_CLASSES), fc.constantFrom(1, 2, 32))
  .chain(([classes, inner]) =>
    fc.record({
      logits: fc.constant(new Float32Array(0)),
      targets: fc.constant(new Int32Array(0)),
      options: options(0, classes).map((all): Options => (inner > 1 ? { ...all, inner } : all)),
    }),
  );

/** Calls that are valid. `special`: with NaN and infinities among the logits. */
export function calls({ special = false, maxClasses = 40 } = {}): fc.Arbitrary<Call> {
  const some = fc
    .tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: maxClasses }), fc.nat(3))
    .chain(([rows, classes, gap]) =>
      fc.record({
        logits: floats(rows * (classes + gap), special ? specialLogit : logit),
        targets: fc
          .array(fc.nat(classes - 1), { minLength: rows, maxLength: rows })
          .map((values) => Int32Array.from(values)),
        options: options(rows, classes).map(
          (all): Options => (gap > 0 ? { ...all, rowStride: classes + gap } : all),
        ),
      }),
    )
    .filter(possible);
  return fc.oneof({ weight: 40, arbitrary: some }, { weight: 1, arbitrary: empty.filter(possible) });
}
