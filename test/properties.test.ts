// Promises that hold for any call: random options, shrunk to the least that breaks them.

import fc from 'fast-check';
import type { Functions } from 'smoothloss';
import { describe, expect, it } from 'vitest';
import { backends } from './conformance/backends.js';
import { resultBytes, sameBytes } from './conformance/pinned.js';
import { type Call, calls } from './support/arbitraries.js';
import { oracle } from './support/oracle.js';
import { check } from './support/tolerance.js';

const strideOf = ({ options }: Call) => options.rowStride ?? options.classes;

function result({ crossEntropy }: Functions, { logits, targets, options }: Call) {
  const { gradient, ...rest } = crossEntropy(logits, targets, { ...options, gradient: true });
  return { ...rest, gradient: gradient ?? new Float32Array(0) };
}

/** The rows of a call in another order, or some of them. */
function take(call: Call, rows: readonly number[]): Call {
  const stride = strideOf(call);
  const { logits, targets, options } = call;
  const pick = (array: Float32Array) => Float32Array.from(rows, (r) => array[r]);
  const taken = { ...options };
  if (options.rowWeight) taken.rowWeight = pick(options.rowWeight as Float32Array);
  if (options.mask) taken.mask = Uint8Array.from(rows, (r) => options.mask?.[r] ?? 0);
  if (typeof options.labelSmoothing === 'object' && typeof options.labelSmoothing.epsilon !== 'number') {
    taken.labelSmoothing = {
      ...options.labelSmoothing,
      epsilon: pick(options.labelSmoothing.epsilon as Float32Array),
    };
  }
  const moved = new Float32Array(rows.length * stride);
  rows.forEach((r, i) => {
    moved.set(logits.subarray(r * stride, (r + 1) * stride), i * stride);
  });
  return { logits: moved, targets: Int32Array.from(rows, (r) => targets[r]), options: taken };
}

const all = (n: number) => Array.from({ length: n }, (_, i) => i);

describe.each(backends.map((functions) => [functions.backend.name, functions] as const))(
  '%s',
  (_, functions) => {
    it('agrees with the oracle', () => {
      fc.assert(
        fc.property(calls(), (call) => {
          const { logits, targets, options } = call;
          check(result(functions, call), oracle(logits, targets, options));
        }),
        { numRuns: 2000 },
      );
    });

    it('agrees with the oracle where NaN and infinities are', () => {
      fc.assert(
        fc.property(calls({ special: true, maxClasses: 8 }), (call) => {
          const { logits, targets, options } = call;
          check(result(functions, call), oracle(logits, targets, options));
        }),
        { numRuns: 2000 },
      );
    });

    it('has the bits of the first backend', () => {
      fc.assert(
        fc.property(calls({ special: true, maxClasses: 130 }), (call) => {
          const withGradient = { ...call, options: { ...call.options, gradient: true as const } };
          sameBytes(resultBytes(functions, withGradient), resultBytes(backends[0], withGradient), 'bits');
        }),
        { numRuns: 1000 },
      );
    });

    it('in place gives the same bits', () => {
      fc.assert(
        fc.property(calls({ special: true, maxClasses: 130 }), (call) => {
          const { logits, targets, options } = call;
          const separate = result(functions, call);
          const own = logits.slice();
          const inPlace = functions.crossEntropy(own, targets, { ...options, gradient: own });
          expect(inPlace.numerator).toBe(separate.numerator);
          const stride = strideOf(call);
          own.forEach((g, i) => {
            const expected = i % stride < options.classes ? separate.gradient[i] : logits[i];
            if (!Object.is(g, expected)) throw new Error(`element ${i} is ${g}, expected ${expected}`);
          });
        }),
        { numRuns: 1000 },
      );
    });

    it('does the rows one by one: in any order the same losses', () => {
      const shuffled = calls({ special: true }).chain((call) =>
        fc.tuple(
          fc.constant(call),
          fc.shuffledSubarray(all(call.targets.length), { minLength: call.targets.length }),
        ),
      );
      fc.assert(
        fc.property(shuffled, ([call, order]) => {
          const options = { ...call.options, reduction: 'none' as const };
          const before = result(functions, { ...call, options });
          const after = result(functions, take({ ...call, options }, order));
          expect(after.rows).toBe(before.rows);
          const stride = strideOf(call);
          order.forEach((r, i) => {
            expect(after.losses?.[i]).toBe(before.losses?.[r]);
            const row = (g: Float32Array, at: number) => g.subarray(at * stride, (at + 1) * stride);
            expect(row(after.gradient, i)).toEqual(row(before.gradient, r));
          });
        }),
        { numRuns: 500 },
      );
    });

    it('a batch in two parts adds up', () => {
      const parts = calls().chain((call) => fc.tuple(fc.constant(call), fc.nat(call.targets.length)));
      fc.assert(
        fc.property(parts, ([call, at]) => {
          const rows = all(call.targets.length);
          const sum = { ...call, options: { ...call.options, reduction: 'sum' as const } };
          const whole = result(functions, sum);
          const first = result(functions, take(sum, rows.slice(0, at)));
          const second = result(functions, take(sum, rows.slice(at)));
          expect(first.rows + second.rows).toBe(whole.rows);
          const { normalizer = 'weight' } = call.options;
          if (typeof normalizer === 'string') {
            expect(first.denominator + second.denominator).toBeCloseTo(whole.denominator, 5);
            if (normalizer !== 'weight')
              expect(first.denominator + second.denominator).toBe(whole.denominator);
          }
          const apart = Math.abs(first.numerator + second.numerator - whole.numerator);
          // Six losses, none below 0: additions in another order are at most 6 roundings off.
          if (whole.numerator !== Infinity) expect(apart).toBeLessThanOrEqual(1e-15 * whole.numerator);
          const gradient = [...first.gradient, ...second.gradient];
          expect(gradient).toEqual([...whole.gradient]);
        }),
        { numRuns: 500 },
      );
    });

    it('a shift of a row that rounds nothing leaves its loss and gradient', () => {
      // Logits that are multiples of 1/16 below 2^10, moved by a multiple of 1/16 up to 2^18: all exact.
      const shifts = fc.tuple(
        calls({ maxClasses: 70 }),
        fc.integer({ min: -(2 ** 22), max: 2 ** 22 }).map((n) => n / 16),
      );
      fc.assert(
        fc.property(shifts, ([call, shift]) => {
          const { targets, options } = call;
          const logits = call.logits.map((x) => Math.round(Math.max(-1000, Math.min(1000, x)) * 16) / 16);
          const before = result(functions, { logits, targets, options });
          const moved = logits.map((x) => x + shift);
          const after = result(functions, { logits: moved, targets, options });
          const expected = oracle(logits, targets, options);
          check(before, expected);
          check(after, expected);
        }),
        { numRuns: 500 },
      );
    });

    it('a gradient without weights sums to 0 in each row', () => {
      fc.assert(
        fc.property(calls({ maxClasses: 130 }), (call) => {
          const { weight: _, ...options } = call.options;
          const { gradient } = result(functions, { ...call, options });
          const { units } = oracle(call.logits, call.targets, options);
          const stride = strideOf(call);
          for (let r = 0; r < call.targets.length; r++) {
            const row = gradient.subarray(r * stride, r * stride + options.classes);
            const sum = row.reduce((a, b) => a + b, 0);
            // p sums to 1 within the error of the exponentials' sum, and each element is rounded.
            expect(Math.abs(sum)).toBeLessThanOrEqual(1e-6 * units.gradient[r * stride].relative + 2 ** -120);
          }
        }),
        { numRuns: 500 },
      );
    });

    it('a loss is at least 0', () => {
      fc.assert(
        fc.property(calls(), (call) => {
          const { losses = [] } = result(functions, {
            ...call,
            options: { ...call.options, reduction: 'none' },
          });
          for (const loss of losses) expect(loss).toBeGreaterThanOrEqual(0);
        }),
        { numRuns: 500 },
      );
    });
  },
);
