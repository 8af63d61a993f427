// The loops over a row that losses are made of, once in float (float32.ts) and once in double (float64.ts). Both do what the
// vectors of native/simd/vec_scalar-inl.h do, number by number; most have the name of a visitor in native/kernels/. They are
// two modules, so that each loop has one type of array.

import type { Floats } from '../batch.js';

export const LANES = 32;
export const BLOCK = 512;

/** Loops over n columns. Rows begin at index 0, but those of `z` and `out`, which may be the caller's, at `at` and `outAt`. */
export interface Arithmetic<A extends Floats> {
  create(length: number): A;
  /** Scratch memory, by its number in ScratchBlock. */
  readonly scratch: A[];
  /** Factors of the classes, which have the type of the arithmetic. */
  factors(array: Floats | null): A | null;
  /** Rounds to the type of the arithmetic. */
  round(x: number): number;
  /** The same; beyond the type's range its largest number. */
  toReal(x: number): number;

  /** z ← scale · z, or cap · tanh(scale · z / cap) if cap is not 0. */
  terms(z: A, n: number, scale: number, cap: number): void;
  /** The first index of the largest number, NaN ignored; 0 if there is none. */
  argmax(z: A, at: number, n: number): number;
  /** out ← e^(z − shift) · 2^−k; 0 where that is below the range of exp. */
  exp(z: A, at: number, n: number, shift: number, k: number, out: A): void;
  /** out ← e^−|z|. */
  expOfMinusAbs(z: A, at: number, n: number, out: A): void;
  /** out ← e^x of logarithms, at most e^88 in float and e^709 in double. */
  expOfLogs(x: A, n: number, out: A): void;
  /** out ← ln x. */
  log(x: A, n: number, out: A): void;
  /** out ← ln(1 + e). */
  log1p(e: A, n: number, out: A): void;

  /** Σ x but for column `skip`. */
  sum(x: A, n: number, skip: number): number;
  /** Σ factor · (z − maximum) over the columns [first, end) of one block but `skip`; factors null: ones. */
  below(
    z: A,
    at: number,
    first: number,
    end: number,
    factors: A | null,
    skip: number,
    maximum: number,
  ): number;

  /** out ← a · b, +0 where a is 0. */
  product(a: A, b: A, n: number, out: A): void;
  /** out ← factor · (z − maximum), +0 where the factor is 0. */
  spread(z: A, at: number, n: number, factors: A, maximum: number, out: A): void;
  /** shares ← keep · dense + mass · prior, targets ← shares · weight; null: ones. */
  blend(
    dense: A,
    n: number,
    keep: number,
    mass: number,
    prior: A | null,
    weight: A | null,
    shares: A,
    targets: A,
  ): void;
  /** out ← scale · e + offset · factor. */
  gradient(e: A, n: number, scale: number, offset: number, factors: A | null, out: A, outAt: number): void;
  /** out ← numbers · (1 − (z/softcap)²). */
  cap(numbers: A, n: number, z: A, at: number, softcap: number, out: A, outAt: number): void;
  /** out ← scale · factor. */
  scale(factors: A | null, n: number, scale: number, out: A, outAt: number): void;
  /** out ← weight · loss of elements, never −0. A weight of 0 makes 0 of an infinite loss too. */
  weigh(losses: A, n: number, weight: number, out: A): void;

  /** targets ← shares · weight, terms ← targets · (logs − x), +0 where the target is 0. */
  divergence(shares: A, logs: A, x: A, at: number, n: number, weight: A | null, targets: A, terms: A): void;

  /** positive ← (keep · t + toOne) · posWeight · weight and negative ← (keep · (1 − t) + toZero) · weight. */
  pairs(
    t: A,
    n: number,
    keep: number,
    toOne: number,
    toZero: number,
    posWeight: A | null,
    weight: A | null,
    positive: A,
    negative: A,
  ): void;
  /** out ← (a + b) · logs + (b · z for z > 0, a · |z| else). */
  binaryLoss(z: A, at: number, n: number, a: A, b: A, logs: A, out: A): void;
  /** out ← scale · (b · σ(z) − a · (1 − σ(z))) with e = e^−|z|. */
  binaryGradient(z: A, at: number, n: number, a: A, b: A, e: A, scale: number, out: A, outAt: number): void;
  /** out ← the entropy of σ(z), with e = e^−|z| and logs = ln(1 + e). */
  binaryEntropy(z: A, at: number, n: number, e: A, logs: A, out: A): void;
}

/** The scratch memory of one row. */
export enum ScratchBlock {
  Logits,
  Dense,
  Shares,
  Targets,
  Exps,
  Numbers,
  Terms,
  Logs,
  Weights,
  Gradient,
  Losses,
}

export function scratchRow<A extends Floats>(arithmetic: Arithmetic<A>, block: ScratchBlock, n: number): A {
  const { scratch } = arithmetic;
  while (scratch.length <= block) scratch.push(arithmetic.create(0));
  if (scratch[block].length < n) scratch[block] = arithmetic.create(n);
  return scratch[block];
}
