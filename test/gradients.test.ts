// The promise: the gradient is the derivative of the loss, whatever the options.

import type { CrossEntropyOptions } from 'smoothloss';
import { describe, expect, it } from 'vitest';
import { backends } from './conformance/backends.js';
import { Random } from './conformance/random.js';
import { type OracleOptions, oracle } from './support/oracle.js';

type Options = CrossEntropyOptions & OracleOptions;

interface Call {
  logits: Float32Array;
  targets: Int32Array;
  options: Options;
}

/** A small call with any options but those under which the loss has no derivative. */
function smallCall(seed: number): Call {
  const random = new Random(seed);
  const rows = 1 + random.below(4);
  const classes = 2 + random.below(7);
  const positive = (length: number) => random.floats(length, () => 0.125 + 2 * random.uniform());
  const options: Options = { classes, reduction: random.pick('mean', 'sum', 'none') };
  const smoothing = random.below(4);
  if (smoothing === 1) options.labelSmoothing = random.uniform();
  if (smoothing > 1) {
    const epsilon = random.once(2) ? random.uniform() : random.floats(rows, () => random.uniform());
    options.labelSmoothing = { epsilon, over: random.pick('all', 'others') };
    if (random.once(2)) options.labelSmoothing.prior = positive(classes);
    if (random.once(2) && classes > 3) options.labelSmoothing.exclude = [0, random.below(classes)];
  }
  if (random.once(2)) options.weight = positive(classes);
  if (random.once(2)) options.rowWeight = positive(rows);
  if (random.once(3)) options.ignoreIndex = random.below(classes);
  if (random.once(3)) options.mask = Uint8Array.from({ length: rows }, () => random.below(3));
  if (random.once(2))
    options.normalizer = random.pick<'rows' | 'all' | number>('rows', 'all', 1 + random.uniform());
  const upstream = () => 4 * random.uniform() - 2;
  const scale = random.below(3);
  if (scale === 1) options.gradientScale = upstream();
  if (scale === 2 && options.reduction === 'none') options.gradientScale = random.floats(rows, upstream);
  options.whenEmpty = 'zero';
  return {
    logits: random.floats(rows * classes, () => 2 * random.normal()),
    targets: Int32Array.from({ length: rows }, () => random.below(classes)),
    options,
  };
}

/** What the gradient is the gradient of: gradientScale · loss, or with reduction 'none' Σ gradientScale · losses. */
function objective(
  losses: ArrayLike<number>,
  loss: number,
  { reduction, gradientScale = 1 }: Options,
): number {
  if (reduction !== 'none') return loss * (gradientScale as number);
  let sum = 0;
  for (let r = 0; r < losses.length; r++) {
    sum += losses[r] * (typeof gradientScale === 'number' ? gradientScale : gradientScale[r]);
  }
  return sum;
}

/** The central difference of fourth order of f at logit i. */
function derivative(
  f: (logits: Float64Array) => number,
  logits: ArrayLike<number>,
  i: number,
  h: number,
): number {
  const at = (step: number) => {
    const moved = Float64Array.from(logits);
    moved[i] += step * h;
    return f(moved);
  };
  return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h);
}

describe.each(backends.map((functions) => [functions.backend.name, functions] as const))(
  '%s',
  (_, functions) => {
    it.each(Array.from({ length: 300 }, (_, seed) => seed))(
      'finite differences of the oracle, call %i',
      (seed) => {
        const { logits, targets, options } = smallCall(seed);
        const { gradient } = functions.crossEntropy(logits, targets, { ...options, gradient: true });
        const f = (moved: ArrayLike<number>) => {
          const { losses, loss } = oracle(moved, targets, options);
          return objective(losses, loss, options);
        };
        // Each loss is right to 1e-15 of at most 100, and h^4/30 · f⁗ is below 1e-12: differences are right to 1e-10.
        for (let i = 0; i < logits.length; i++) {
          expect(Math.abs((gradient?.[i] ?? NaN) - derivative(f, logits, i, 2 ** -10))).toBeLessThan(5e-6);
        }
      },
    );

    it.each(Array.from({ length: 100 }, (_, seed) => seed))(
      'finite differences of its own loss, call %i',
      (seed) => {
        const { logits, targets, options } = smallCall(seed);
        // Of the numerator, which is a double; `losses` would be floats.
        const own = { ...options, reduction: 'sum' as const, gradientScale: 1 };
        const coarse = logits.map((x) => Math.round(x * 64) / 64); // exact after the step too
        const { gradient } = functions.crossEntropy(coarse, targets, { ...own, gradient: true });
        const f = (moved: Float64Array) =>
          functions.crossEntropy(Float32Array.from(moved), targets, own).numerator;
        // The error of a loss is about 1e-7 of at most 40, divided by h.
        for (let i = 0; i < logits.length; i++) {
          expect(Math.abs(gradient[i] - derivative(f, coarse, i, 2 ** -4))).toBeLessThan(5e-4);
        }
      },
    );
  },
);
