// How the type of a result follows from those of logits and options.

import type { ArrayOf, FloatsOf, GradientArrayOf, Logits, NewArrayOf } from './arrays.js';
import type { LinearCrossEntropyGradients } from './functions.js';
import type { Gradient, LayerGradients, Loss, Losses, Metrics, PerRow, Totals } from './results.js';

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

// The result with gradient G, if it was asked for.
type ResultWith<G, L extends Logits, O, Known, T> = Simplify<
  Totals &
    LossOf<L, Option<'reduction', O, Known>> &
    If<Option<'gradient', O, Known>, Gradient<G>> &
    If<Option<'metrics', O, Known>, Metrics<T>> &
    If<Option<'perRow', O, Known>, PerRows<PerRowOf<L, Option<'perRow', O, Known>>>>
>;

/** The result of a loss with metrics T for options O, which are of type Known. */
export type Result<L extends Logits, O, Known, T> = O extends unknown
  ? ResultWith<GradientOf<L, Option<'gradient', O, Known>>, L, O, Known, T>
  : never;

// A new array, or the very one that was given, for member V of option `gradient`.
type LayerArray<L extends Logits, V> = [GradientArrayOf<L>] extends [V]
  ? GradientArrayOf<L>
  : (true extends V ? FloatsOf<L> : never) | Exclude<V, boolean | undefined>;

type Member<K extends string, G> = Option<K, G, LayerGradients<unknown>>;

// B is option `linearBias`.
type LayerGradientsOf<L extends Logits, G, B> = G extends true
  ? Simplify<
      Omit<LayerGradients<FloatsOf<L>>, 'linearBias'> & If<B, Pick<LayerGradients<FloatsOf<L>>, 'linearBias'>>
    >
  : G extends object
    ? Simplify<
        If<Member<'input', G>, Pick<LayerGradients<LayerArray<L, Member<'input', G>>>, 'input'>> &
          If<
            Member<'linearWeight', G>,
            Pick<LayerGradients<LayerArray<L, Member<'linearWeight', G>>>, 'linearWeight'>
          > &
          If<
            Member<'linearBias', G>,
            Pick<LayerGradients<LayerArray<L, Member<'linearBias', G>>>, 'linearBias'>
          >
      >
    : never;

/** The same of linearCrossEntropy. */
export type LayerResult<L extends Logits, O, Known, T> = O extends unknown
  ? ResultWith<
      LayerGradientsOf<L, Option<'gradient', O, Known>, Option<'linearBias', O, Known>>,
      L,
      O,
      Known,
      T
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
  : [Given<'gradient', O, Logits>] extends [boolean | ArrayOf<L> | undefined]
    ? WithDtype<L, O, Known>
    : Omit<Known, 'gradient'> & { gradient?: boolean | ArrayOf<L> | undefined };

/** The same of linearCrossEntropy, for input of type L. */
export type FittingLayer<L extends Logits, O, Known> = [O] extends [never]
  ? O
  : [Given<'linearBias', O, Logits>] extends [ArrayOf<L> | undefined]
    ? [GivenGradients<O>] extends [boolean | GradientArrayOf<L> | undefined]
      ? WithDtype<L, O, Known>
      : Omit<Known, 'gradient'> & { gradient?: boolean | GradientsOf<L> | undefined }
    : Omit<Known, 'linearBias'> & { linearBias?: ArrayOf<L> | undefined };

type WithDtype<L extends Logits, O, Known> = unknown extends L // any
  ? Known
  : [L] extends [Uint16Array]
    ? SaysHalf<O> extends true
      ? Known
      : Known & DtypeNeeded
    : Known;

// Among what the type of `dtype` may be: a tensor's is that of any tensor.
type SaysHalf<O> = O extends { dtype: infer D }
  ? [Extract<D, DtypeNeeded['dtype']>] extends [never]
    ? false
    : true
  : false;

// What option K of options O is. If it may be any of Arrays, it may be the right one.
type Given<K extends string, O, Arrays> = O extends { [P in K]?: infer G }
  ? [Arrays] extends [G]
    ? undefined
    : G
  : undefined;

// The members of option `gradient` of linearCrossEntropy.
type GivenGradients<O> = GivenMembers<Given<'gradient', O, LinearCrossEntropyGradients>>;
type GivenMembers<G> = G extends object
  ? {
      [K in keyof LinearCrossEntropyGradients]-?: Given<K, G, Float32Array | Float64Array>;
    }[keyof LinearCrossEntropyGradients]
  : undefined;

interface GradientsOf<L extends Logits> {
  input?: boolean | GradientArrayOf<L> | undefined;
  linearWeight?: boolean | GradientArrayOf<L> | undefined;
  linearBias?: boolean | GradientArrayOf<L> | undefined;
}
