// How the type of a result follows from those of logits and options.

import type { ArrayOf, FloatsOf, Logits, NewArrayOf } from './arrays.js';
import type { Gradient, Loss, Losses, Metrics, PerRow, Totals } from './results.js';

// A plain object, for an editor to show member by member.
type Simplify<T> = { [K in keyof T]: T[K] } & NonNullable<unknown>;

// What option K is among options O, which are of type Known: undefined where it is left out, anything where O is any.
type Option<K extends string, O, Known> = K extends keyof Known
  ? K extends keyof O
    ? unknown extends O[K]
      ? Known[K]
      : O[K]
    : unknown extends O
      ? Known[K]
      : undefined
  : undefined;

// Member T of the result for option V that asks for it: there, not there, or perhaps there.
type If<V, T> = [V] extends [false | undefined]
  ? unknown
  : [Extract<V, false | undefined>] extends [never]
    ? T
    : Partial<T>;

type LossOf<L extends Logits, R> = [R] extends ['none']
  ? Losses<FloatsOf<L>>
  : [Extract<R, 'none'>] extends [never]
    ? Loss
    : Partial<Loss & Losses<FloatsOf<L>>>;

// A new array, or the very one that was given.
type GradientOf<L extends Logits, G> = [ArrayOf<L>] extends [G]
  ? ArrayOf<L>
  : (true extends G ? NewArrayOf<L> : never) | Exclude<G, boolean | undefined>;

type PerRowOf<L extends Logits, P> = P extends readonly unknown[]
  ? number extends P['length']
    ? Simplify<Partial<Pick<PerRow<FloatsOf<L>>, Extract<P[number], keyof PerRow>>>>
    : Simplify<Pick<PerRow<FloatsOf<L>>, Extract<P[number], keyof PerRow>>>
  : never;

interface PerRows<T> {
  /** The arrays that option `perRow` names. */
  perRow: T;
}

/** The result of a loss with metrics T for options O, which are of type Known. */
export type Result<L extends Logits, O, Known, T> = O extends unknown
  ? Simplify<
      Totals &
        LossOf<L, Option<'reduction', O, Known>> &
        If<Option<'gradient', O, Known>, Gradient<GradientOf<L, Option<'gradient', O, Known>>>> &
        If<Option<'metrics', O, Known>, Metrics<T>> &
        If<Option<'perRow', O, Known>, PerRows<PerRowOf<L, Option<'perRow', O, Known>>>>
    >
  : never;

/** What options for a Uint16Array of logits must hold. */
export interface DtypeNeeded {
  /** Which half floats the bits are: IEEE 754 half precision, or the upper halves of float32 numbers. */
  dtype: 'float16' | 'bfloat16';
}

/**
 * What options must be for logits of type L: Known, but for what does not fit. Inference takes O from the first branch,
 * whole.
 */
export type Fitting<L extends Logits, O, Known> = [O] extends [never]
  ? O
  : [GradientOption<O>] extends [boolean | ArrayOf<L> | undefined]
    ? unknown extends L // any
      ? Known
      : [L] extends [Uint16Array]
        ? SaysHalf<O> extends true
          ? Known
          : Known & DtypeNeeded
        : Known
    : Omit<Known, 'gradient'> & { gradient?: boolean | ArrayOf<L> | undefined };

// Among what the type of `dtype` may be: a tensor's is that of any tensor.
type SaysHalf<O> = O extends { dtype: infer D }
  ? [Extract<D, DtypeNeeded['dtype']>] extends [never]
    ? false
    : true
  : false;

// Any array may be the right one.
type GradientOption<O> = O extends { gradient?: infer G }
  ? [Logits] extends [G]
    ? undefined
    : G
  : undefined;
