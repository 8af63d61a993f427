// The promise: the gradient is the derivative of the loss, whatever the loss and the options.

import type { Functions } from 'smoothloss';
import { describe, expect, it } from 'vitest';
import { backends } from './conformance/backends.js';
import { KINDS, type Kind, ordinaryCall } from './conformance/ordinary.js';
import { Random } from './conformance/random.js';
import { type Call, make, oracleOf } from './support/calls.js';
import { decode, encode, NUMBER_TYPES, type NumberType } from './support/numbers.js';
import { oracle } from './support/oracle.js';

const CALLS = 40;

/** A small call with any options; the mean of nothing is 0, which has a derivative. */
function smallCall(kind: Kind, type: NumberType, seed: number): Call {
  const random = new Random(seed);
  const call = ordinaryCall(random, kind, type, 1 + random.below(4), 1 + random.below(8));
  return { ...call, options: { ...call.options, whenEmpty: 'zero' } };
}

/** What the gradient is the gradient of: gradientScale · loss, or with reduction 'none' Σ gradientScale · losses. */
function objective(loss: number, rowLosses: ArrayLike<number>, { options }: Call): number {
  const { reduction, gradientScale = 1 } = options;
  if (reduction !== 'none') return loss * (gradientScale as number);
  let sum = 0;
  for (let r = 0; r < rowLosses.length; r++) {
    sum += rowLosses[r] * (typeof gradientScale === 'number' ? gradientScale : gradientScale[r]);
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

function gradientOf(functions: Functions, call: Call): Float32Array | Float64Array {
  const { gradient } = make(functions, call, { gradient: true });
  return decode(gradient ?? new Float32Array(0), call.type ?? 'float32');
}

const seeds = Array.from({ length: CALLS }, (_, seed) => seed);
const kinds = KINDS.flatMap((kind) => NUMBER_TYPES.map((type) => [kind.join(', '), type, kind] as const));

describe.each(backends.map((functions) => [functions.backend.name, functions] as const))(
  '%s',
  (_, functions) => {
    it.each(kinds)('finite differences of the oracle: %s, %s', (_, type, kind) => {
      // In double precision each loss is right to 1e-15 of at most 1000, and h^4/30 · f⁗ is below 1e-11; the others round
      // z, the gradient, and the halves the gradient once more.
      const part = { float64: 1e-9, float32: 1e-5, float16: 1e-3, bfloat16: 1e-2 }[type];
      for (const seed of seeds) {
        const call = smallCall(kind, type, seed);
        const gradient = gradientOf(functions, call);
        const { units } = oracleOf(call);
        const logits = decode(call.logits, type);
        const f = (moved: Float64Array) => {
          const { loss, perRow } = oracle(moved, call.targets, call.options, kind[0] as 'klDiv');
          return objective(loss, perRow.loss, call);
        };
        expect(gradient.length).toBe(logits.length);
        for (let i = 0; i < logits.length; i++) {
          const error = Math.abs(gradient[i] - derivative(f, logits, i, 2 ** -10));
          if (!(error <= part * (1 + units.gradient[i].relative)))
            throw new Error(`call ${seed}, element ${i}: ${error}`);
        }
      }
    });

    it.each(KINDS.map((kind) => [kind.join(', '), kind] as const))(
      'finite differences of its own loss in double precision: %s',
      (_, kind) => {
        for (const seed of seeds) {
          const call = smallCall(kind, 'float64', seed);
          const gradient = gradientOf(functions, call);
          const { units } = oracleOf(call);
          const f = (moved: Float64Array) => {
            const { loss = NaN, perRow } = make(functions, { ...call, logits: moved }, { perRow: ['loss'] });
            return objective(loss, perRow?.loss ?? [], call);
          };
          for (let i = 0; i < gradient.length; i++) {
            const error = Math.abs(gradient[i] - derivative(f, call.logits, i, 2 ** -10));
            if (!(error <= 1e-9 * (1 + units.gradient[i].relative)))
              throw new Error(`call ${seed}, element ${i}: ${error}`);
          }
        }
      },
    );

    it.each(KINDS.map((kind) => [kind.join(', '), kind] as const))(
      'finite differences of its own loss in single precision: %s',
      (_, kind) => {
        for (const seed of seeds) {
          const drawn = smallCall(kind, 'float32', seed);
          // Of the sum, which is a double; and coarse, so that logits are exact after the step too.
          const options = { ...drawn.options, reduction: 'sum' as const, gradientScale: 1 };
          const logits = encode(
            Array.from(drawn.logits, (x) => Math.round(x * 64) / 64),
            'float32',
          );
          const call = { ...drawn, logits, options };
          const gradient = gradientOf(functions, call);
          const { units } = oracleOf(call);
          const f = (moved: Float64Array) =>
            make(functions, { ...call, logits: Float32Array.from(moved) }).numerator;
          // The error of a loss is about 1e-7 of at most 1000, divided by h; h^4/30 · f⁗ is as large.
          for (let i = 0; i < gradient.length; i++) {
            const error = Math.abs(gradient[i] - derivative(f, logits, i, 2 ** -5));
            if (!(error <= 1e-3 * (1 + units.gradient[i].relative)))
              throw new Error(`call ${seed}, element ${i}: ${error}`);
          }
        }
      },
    );
  },
);
