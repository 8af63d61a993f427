// The promise: the type of a result follows from the options. Checked by the compiler (npm run build:test), never run.

import {
  availableBackends,
  type BackendName,
  type BceWithLogitsOptions,
  bceWithLogits,
  type CrossEntropyMetrics,
  type CrossEntropyOptions,
  crossEntropy,
  type Functions,
  type KlDivOptions,
  klDiv,
  type LinearCrossEntropyOptions,
  type Logits,
  linearCrossEntropy,
  loadBackend,
  type NllLossOptions,
  nllLoss,
  type SmoothLabelsOptions,
  setThreads,
  smoothLabels,
  type Targets,
} from 'smoothloss';
import * as promises from 'smoothloss/promises';

/** The very same type, not just one that fits. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Plain<T> = { [K in keyof T]: T[K] };
declare function exactly<Expected>(): <Actual>(
  actual: Actual,
  ...ok: Same<Plain<Actual>, Plain<Expected>> extends true
    ? []
    : [actual: Plain<Actual>, is: 'not the expected type']
) => void;

// What the package makes is on an ArrayBuffer of its own.
type Floats = Float32Array<ArrayBuffer>;
type Doubles = Float64Array<ArrayBuffer>;
type Ints = Int32Array<ArrayBuffer>;

interface Totals {
  numerator: number;
  denominator: number;
  rows: number;
}
type Loss = Totals & { loss: number };
type Losses = Totals & { losses: Floats };
type Gradient = { gradient: Floats };
type Given = { gradient: Float32Array };
type RowMetrics = { metrics: CrossEntropyMetrics };
type Double = Totals & { losses: Doubles; gradient: Doubles };

/** Where the options are not known, everything may be there. */
type Anything = Totals & Partial<{ loss: number; losses: Floats; gradient: Float32Array }>;
type RowNames = { loss?: Floats; nll?: Floats; lse?: Floats; entropy?: Floats; prediction?: Ints };

declare const x: Float32Array;
declare const d: Float64Array;
declare const h: Uint16Array;
declare const y: Int32Array;
declare const flag: boolean;
declare const reduction: 'mean' | 'sum' | 'none';
declare const options: CrossEntropyOptions;
declare const anyLogits: Logits;
const classes = 3;

exactly<Loss>()(crossEntropy(x, y, { classes }));
exactly<Loss>()(crossEntropy(x, y, { classes, reduction: 'mean' }));
exactly<Loss>()(crossEntropy(x, y, { classes, reduction: 'sum', gradient: false }));
exactly<Loss>()(crossEntropy(x, y, { classes, reduction: undefined, gradient: undefined }));
exactly<Loss>()(crossEntropy(x, y, { classes, metrics: false, perRow: undefined }));
exactly<Losses>()(crossEntropy(x, y, { classes, reduction: 'none' }));
exactly<Loss & Gradient>()(crossEntropy(x, y, { classes, gradient: true }));
exactly<Loss & Given>()(crossEntropy(x, y, { classes, gradient: x, reduction: 'sum' }));
exactly<Losses & Gradient>()(crossEntropy(x, y, { classes, gradient: true, reduction: 'none' }));
exactly<Losses & Given>()(crossEntropy(x, y, { classes, gradient: x, reduction: 'none' }));
exactly<Loss & Gradient & RowMetrics>()(crossEntropy(x, y, { classes, gradient: true, metrics: true }));
exactly<{ nll: number; accuracy: number; entropy: number; zLoss: number }>()(
  crossEntropy(x, y, { classes, metrics: true }).metrics,
);

// Of the logits' type, whatever memory they are on.
exactly<Double>()(crossEntropy(d, y, { classes, gradient: true, reduction: 'none' }));
exactly<Losses & { gradient: Uint16Array<ArrayBuffer> }>()(
  crossEntropy(h, y, { classes, dtype: 'float16', gradient: true, reduction: 'none' }),
);
exactly<Loss & { gradient: Floats | Doubles }>()(crossEntropy(flag ? x : d, y, { classes, gradient: true }));
exactly<Totals & { losses: Floats | Doubles }>()(
  crossEntropy(flag ? x : d, y, { classes, reduction: 'none' }),
);

// A given gradient is what was given, to the letter.
class Tensor extends Float32Array<ArrayBuffer> {
  shape = [0, 0];
}
declare const tensor: Tensor;
declare const shared: Float32Array<SharedArrayBuffer>;
declare const half: Uint16Array<SharedArrayBuffer>;
exactly<Loss & { gradient: Float32Array<SharedArrayBuffer> }>()(
  crossEntropy(x, y, { classes, gradient: shared }),
);
exactly<Loss & { gradient: Tensor }>()(crossEntropy(x, y, { classes, gradient: tensor }));
exactly<Loss & { gradient: Floats }>()(crossEntropy(shared, y, { classes, gradient: true }));
exactly<Loss & { gradient: Floats }>()(crossEntropy(tensor, y, { classes, gradient: true }));
exactly<Totals & { losses: Doubles; gradient: Float64Array }>()(
  crossEntropy(new Float64Array(3), y, { classes, gradient: d, reduction: 'none' }),
);
exactly<Uint16Array<SharedArrayBuffer>>()(
  klDiv(h, x, { classes, dtype: 'float16', gradient: half }).gradient,
);
exactly<Float32Array<SharedArrayBuffer>>()(bceWithLogits(x, x, { classes, gradient: shared }).gradient);
exactly<Tensor>()(nllLoss(x, y, { classes, gradient: tensor }).gradient);
exactly<Tensor | Float32Array<SharedArrayBuffer>>()(
  crossEntropy(x, y, { classes, gradient: flag ? tensor : shared }).gradient,
);
exactly<Floats | Float32Array<SharedArrayBuffer>>()(
  crossEntropy(x, y, { classes, gradient: flag ? true : shared }).gradient,
);
exactly<Loss & Partial<{ gradient: Tensor }>>()(crossEntropy(x, y, { classes, gradient: flag && tensor }));
exactly<Loss & { gradient: Float32Array | Float64Array }>()(
  crossEntropy(flag ? x : d, y, { classes, gradient: flag ? x : d }),
);

// New arrays can be transferred to another thread.
declare const port: import('node:worker_threads').MessagePort;
const transferred = crossEntropy(x, y, {
  classes,
  gradient: true,
  reduction: 'none',
  perRow: ['prediction'],
});
port.postMessage(transferred, [
  transferred.gradient.buffer,
  transferred.losses.buffer,
  transferred.perRow.prediction.buffer,
  smoothLabels(y, { classes }).buffer,
]);
// @ts-expect-error memory that is shared already
port.postMessage(shared, [crossEntropy(x, y, { classes, gradient: shared }).gradient.buffer]);

// Just the names that are listed.
exactly<Loss & { perRow: { loss: Floats; prediction: Ints } }>()(
  crossEntropy(x, y, { classes, perRow: ['loss', 'prediction'] }),
);
exactly<Loss & { perRow: { lse: Doubles; entropy: Doubles } }>()(
  crossEntropy(d, y, { classes, perRow: ['lse', 'entropy'] }),
);
// biome-ignore lint/complexity/noBannedTypes: an object without properties is what is meant
exactly<Loss & { perRow: {} }>()(crossEntropy(x, y, { classes, perRow: [] }));
declare const names: ('loss' | 'nll')[];
exactly<Loss & { perRow: { loss?: Floats; nll?: Floats } }>()(crossEntropy(x, y, { classes, perRow: names }));
exactly<Loss & { perRow?: { nll: Floats } }>()(
  crossEntropy(x, y, { classes, perRow: flag ? (['nll'] as const) : undefined }),
);

// Options in a variable.
const constant = { classes, perRow: ['nll'], reduction: 'none' } as const;
exactly<Losses & { perRow: { nll: Floats } }>()(crossEntropy(x, y, constant));
exactly<Losses & Gradient & { perRow: { nll: Floats } }>()(
  crossEntropy(x, y, { ...constant, gradient: true }),
);
const satisfied = { classes, perRow: ['lse'], gradient: true } satisfies CrossEntropyOptions;
exactly<Loss & Gradient & { perRow: { lse?: Floats } }>()(crossEntropy(x, y, satisfied));
const both = {
  classes,
  perRow: ['lse'],
  gradient: true,
  reduction: 'none',
} as const satisfies CrossEntropyOptions;
exactly<Losses & Gradient & { perRow: { lse: Floats } }>()(crossEntropy(x, y, both));

// Where the options are not known, everything may be there.
exactly<Anything & { metrics?: CrossEntropyMetrics; perRow?: RowNames }>()(crossEntropy(x, y, options));
exactly<Totals & Partial<{ loss: number; losses: Floats }>>()(crossEntropy(x, y, { classes, reduction }));
exactly<Loss & Partial<Gradient>>()(crossEntropy(x, y, { classes, gradient: flag }));
exactly<Losses & Partial<Gradient>>()(crossEntropy(x, y, { classes, gradient: flag, reduction: 'none' }));
exactly<Loss & Partial<RowMetrics>>()(crossEntropy(x, y, { classes, metrics: flag }));
const given: CrossEntropyOptions = { classes, reduction: 'none', gradient: true };
exactly<Anything & { metrics?: CrossEntropyMetrics; perRow?: RowNames }>()(crossEntropy(x, y, given));
exactly<Losses & Gradient & { metrics?: CrossEntropyMetrics; perRow?: RowNames }>()(
  crossEntropy(x, y, { ...given, reduction: 'none', gradient: true }),
);
// biome-ignore lint/suspicious/noExplicitAny: what is meant
declare const any: any;
exactly<Anything & { metrics?: CrossEntropyMetrics; perRow?: RowNames }>()(crossEntropy(x, y, any));
exactly<Totals & Partial<{ loss: number; losses: Floats }>>()(
  crossEntropy(x, y, { classes, reduction: any }),
);

// An option that may be missing, or undefined, is not taken for one that is there.
declare const optional: { classes: number; reduction?: 'none' };
exactly<Totals & Partial<{ loss: number; losses: Floats }>>()(crossEntropy(x, y, optional));
declare const perhaps: { classes: number; gradient?: true; metrics?: boolean };
exactly<Loss & Partial<Gradient & RowMetrics>>()(crossEntropy(x, y, perhaps));
exactly<Loss & Partial<Gradient>>()(crossEntropy(x, y, { classes, gradient: flag ? true : undefined }));
declare const either: { classes: number; reduction: 'none' } | { classes: number; gradient: true };
exactly<Losses | (Loss & Gradient)>()(crossEntropy(x, y, either));

exactly<Loss & { gradient: Floats | Doubles | Uint16Array<ArrayBuffer> }>()(
  crossEntropy(any, any, { classes, gradient: true }),
);
declare const mayBeGiven: Float32Array | undefined;
exactly<Loss & { gradient?: Float32Array }>()(crossEntropy(x, y, { classes, gradient: mayBeGiven }));

// As a type, a parameter or a callback.
declare const returned: ReturnType<typeof crossEntropy>;
exactly<number | undefined>()(returned.loss);
declare const taken: Parameters<typeof crossEntropy>[2];
exactly<CrossEntropyOptions>()(taken);
export const callback: (
  scores: Float32Array,
  labels: Int32Array,
  more: { classes: number; reduction: 'sum'; gradient: true },
) => { loss: number; gradient: Float32Array<ArrayBuffer> } = crossEntropy;

// In a function that leaves the type of its options to its callers.
export function wrap<O extends CrossEntropyOptions>(more: O) {
  return crossEntropy(x, y, more);
}
exactly<Losses & Gradient>()(wrap({ classes, reduction: 'none' as const, gradient: true as const }));

// linearCrossEntropy: of the gradients those that were asked for.
type Layer = { input: Floats; linearWeight: Floats };
type Whole = Layer & { linearBias: Floats };
declare const layerOptions: LinearCrossEntropyOptions;
exactly<Loss>()(linearCrossEntropy(x, x, y, { classes }));
exactly<Loss>()(linearCrossEntropy(x, x, y, { classes, linearBias: x, gradient: false }));
exactly<Layer>()(linearCrossEntropy(x, x, y, { classes, gradient: true }).gradient);
exactly<Whole>()(linearCrossEntropy(x, x, y, { classes, linearBias: x, gradient: true }).gradient);
exactly<Loss & { gradient: { linearWeight: Floats } }>()(
  linearCrossEntropy(x, x, y, { classes, gradient: { linearWeight: true } }),
);
exactly<{ input: Floats }>()(
  linearCrossEntropy(x, x, y, { classes, gradient: { input: true, linearWeight: false } }).gradient,
);
// biome-ignore lint/complexity/noBannedTypes: an object without properties is what is meant
exactly<{}>()(linearCrossEntropy(x, x, y, { classes, gradient: {} }).gradient);
exactly<{ input: Tensor; linearWeight: Float32Array<SharedArrayBuffer>; linearBias: Floats }>()(
  linearCrossEntropy(x, x, y, {
    classes,
    linearBias: x,
    gradient: { input: tensor, linearWeight: shared, linearBias: true },
    accumulate: false,
  }).gradient,
);
exactly<{ input?: Floats; linearWeight: Floats }>()(
  linearCrossEntropy(x, x, y, { classes, gradient: { input: flag, linearWeight: true } }).gradient,
);
exactly<{ input: Doubles; linearWeight: Doubles }>()(
  linearCrossEntropy(d, d, y, { classes, gradient: true }).gradient,
);
exactly<Layer>()(linearCrossEntropy(h, h, y, { classes, dtype: 'bfloat16', gradient: true }).gradient);
exactly<{ linearWeight: Float32Array }>()(
  linearCrossEntropy(h, h, y, { classes, dtype: 'float16', gradient: { linearWeight: x }, accumulate: true })
    .gradient,
);
exactly<Loss & { gradient?: Layer }>()(linearCrossEntropy(x, x, y, { classes, gradient: flag }));
exactly<Losses & RowMetrics & { perRow: { lse: Floats } }>()(
  linearCrossEntropy(x, x, x, { classes, reduction: 'none', metrics: true, perRow: ['lse'] }),
);
type AnyLayer = { input?: Float32Array; linearWeight?: Float32Array; linearBias?: Float32Array };
exactly<(Layer & { linearBias?: Floats }) | AnyLayer | undefined>()(
  linearCrossEntropy(x, x, y, layerOptions).gradient,
);
exactly<(Layer & { linearBias?: Floats }) | undefined>()(
  linearCrossEntropy(x, x, y, { classes, linearBias: flag ? x : undefined, gradient: flag }).gradient,
);
linearCrossEntropy(anyLogits, anyLogits as never, y, layerOptions);
linearCrossEntropy(any, any, any, any).rows.toFixed();
// @ts-expect-error another type than the input
linearCrossEntropy(x, d, y, { classes });
// @ts-expect-error another type than the input
linearCrossEntropy(x, x, y, { classes, linearBias: d });
// @ts-expect-error gradients of floats are Float32Arrays
linearCrossEntropy(x, x, y, { classes, gradient: { input: d } });
// @ts-expect-error gradients of half floats too
linearCrossEntropy(h, h, y, { classes, dtype: 'float16', gradient: { input: h } });
// @ts-expect-error gradients of doubles are Float64Arrays
linearCrossEntropy(d, d, y, { classes, gradient: { linearBias: x }, linearBias: d });
// @ts-expect-error an object of arrays
linearCrossEntropy(x, x, y, { classes, gradient: x });
// @ts-expect-error an unknown gradient
linearCrossEntropy(x, x, y, { classes, gradient: { weight: true } });
// @ts-expect-error half floats of a kind that is not said
linearCrossEntropy(h, h, y, { classes });
// @ts-expect-error rows follow each other
linearCrossEntropy(x, x, y, { classes, rowStride: 4 });
// @ts-expect-error rows follow each other
linearCrossEntropy(x, x, y, { classes, inner: 4 });
// @ts-expect-error an option of another function
linearCrossEntropy(x, x, y, { classes, posWeight: x });
// @ts-expect-error linearBias
linearCrossEntropy(x, x, y, { classes, bias: x });
// @ts-expect-error the third argument are the targets
linearCrossEntropy(x, y, x, { classes });
// @ts-expect-error not asked for
linearCrossEntropy(x, x, y, { classes, gradient: { input: true } }).gradient.linearWeight;
// @ts-expect-error there is no linearBias
linearCrossEntropy(x, x, y, { classes, gradient: true }).gradient.linearBias;

// The other functions.
type BceMetrics = { nll: number; accuracy: number; entropy: number };
exactly<Loss>()(bceWithLogits(x, d, { classes }));
exactly<Losses & Gradient>()(
  bceWithLogits(x, new Uint8Array(1), { classes, gradient: true, reduction: 'none' }),
);
exactly<BceMetrics>()(bceWithLogits(x, y, { classes, metrics: true }).metrics);
exactly<Loss & { perRow: { entropy: Doubles } }>()(bceWithLogits(d, x, { classes, perRow: ['entropy'] }));
declare const bceOptions: BceWithLogitsOptions;
exactly<Totals & Partial<{ loss: number; losses: Doubles }>>()(bceWithLogits(d, x, { classes, reduction }));
exactly<Doubles | undefined>()(bceWithLogits(d, x, bceOptions).losses);

exactly<Loss & Gradient>()(klDiv(x, x, { classes, gradient: true, reduction: 'batchmean' }));
exactly<Totals & { losses: Doubles }>()(klDiv(d, x, { classes, reduction: 'none' }));
exactly<Loss & { perRow: { loss: Floats } }>()(klDiv(x, x, { classes, perRow: ['loss'] }));
declare const klOptions: KlDivOptions;
exactly<Anything & Partial<{ perRow: { loss?: Floats } }>>()(klDiv(x, x, klOptions));

type NllMetrics = { nll: number; accuracy: number };
exactly<NllMetrics>()(nllLoss(x, y, { classes, metrics: true }).metrics);
exactly<Loss & { perRow: { nll: Floats; prediction: Ints } }>()(
  nllLoss(x, { a: y, b: y, lambda: x }, { classes, perRow: ['nll', 'prediction'] }),
);
exactly<Losses & Gradient>()(nllLoss(x, y, { classes, gradient: true, reduction: 'none' }));
declare const nllOptions: NllLossOptions;
exactly<number | undefined>()(nllLoss(x, y, nllOptions).loss);

declare const labelOptions: SmoothLabelsOptions;
declare const anyTargets: Targets;
exactly<Floats>()(smoothLabels(y, { classes, labelSmoothing: 0.1 }));
exactly<Floats>()(smoothLabels({ a: y, b: y, lambda: 0.5 }, labelOptions));
exactly<Floats>()(smoothLabels(x, { classes }));
exactly<Doubles>()(smoothLabels(d, { classes, mask: new Uint8Array(1) }));
exactly<Floats | Doubles>()(smoothLabels(anyTargets, { classes, ignoreIndex: [-1] }));

// @ts-expect-error no gradient unless asked for
crossEntropy(x, y, { classes }).gradient;
// @ts-expect-error no gradient unless asked for
crossEntropy(x, y, { classes, gradient: false }).gradient;
// @ts-expect-error no loss with reduction 'none'
crossEntropy(x, y, { classes, reduction: 'none' }).loss;
// @ts-expect-error no losses but with reduction 'none'
crossEntropy(x, y, { classes, reduction: 'sum' }).losses;
// @ts-expect-error perhaps no gradient
crossEntropy(x, y, { classes, gradient: flag }).gradient.length;
// @ts-expect-error no metrics unless asked for
crossEntropy(x, y, { classes }).metrics;
// @ts-expect-error only what is listed
crossEntropy(x, y, { classes, perRow: ['loss'] }).perRow.nll;
// @ts-expect-error perhaps not listed
crossEntropy(x, y, { classes, perRow: names }).perRow.nll.length;
// @ts-expect-error no zLoss
bceWithLogits(x, y, { classes, metrics: true }).metrics.zLoss;

// Every kind of targets.
crossEntropy(x, new Int8Array(1), { classes });
crossEntropy(x, new Int16Array(1), { classes });
crossEntropy(x, new Uint8Array(1), { classes });
crossEntropy(x, new Uint16Array(1), { classes });
crossEntropy(x, new Uint32Array(1), { classes });
crossEntropy(x, new BigInt64Array(1), { classes });
crossEntropy(x, new BigUint64Array(1), { classes });
crossEntropy(x, Buffer.alloc(1), { classes });
crossEntropy(x, x, { classes });
crossEntropy(x, d, { classes });
crossEntropy(x, { a: y, b: new BigInt64Array(1), lambda: 0.3 }, { classes });
crossEntropy(x, { a: y, b: y, lambda: new Float32Array(1) }, { classes });
bceWithLogits(x, x, { classes });
bceWithLogits(x, d, { classes });
bceWithLogits(x, Buffer.alloc(1), { classes });
bceWithLogits(x, new BigInt64Array(1), { classes });
klDiv(x, d, { classes });
nllLoss(x, new Uint8Array(1), { classes });

// Every option, also on shared memory, also undefined, also read-only.
crossEntropy(new Float32Array(new SharedArrayBuffer(12)), y, {
  classes,
  labelSmoothing: { epsilon: x, over: 'others', exclude: [1, 2] as const, prior: x },
  weight: x,
  rowWeight: x,
  ignoreIndex: [-100, -1] as const,
  mask: new Uint8Array(1),
  form: 'kl',
  logitScale: 2,
  softcap: 30,
  zLoss: 1e-4,
  reduction: 'none',
  normalizer: 'rows',
  whenEmpty: 'zero',
  gradient: x,
  gradientScale: x,
  rowStride: 4,
  inner: 1,
  metrics: true,
  perRow: ['loss', 'nll', 'lse', 'entropy', 'prediction'] as const,
});
crossEntropy(x, y, {
  classes,
  dtype: undefined,
  labelSmoothing: { epsilon: 0.1, over: undefined, exclude: undefined, prior: undefined },
  weight: undefined,
  rowWeight: undefined,
  ignoreIndex: undefined,
  mask: undefined,
  form: undefined,
  logitScale: undefined,
  softcap: undefined,
  zLoss: undefined,
  normalizer: undefined,
  whenEmpty: undefined,
  gradientScale: undefined,
  rowStride: undefined,
  inner: undefined,
  metrics: undefined,
  perRow: undefined,
});
linearCrossEntropy(new Float32Array(new SharedArrayBuffer(12)), x, y, {
  classes,
  dtype: 'float32',
  linearBias: x,
  labelSmoothing: { epsilon: x, over: 'others', exclude: [1, 2] as const, prior: x },
  weight: x,
  rowWeight: x,
  ignoreIndex: [-100, -1] as const,
  mask: new Uint8Array(1),
  form: 'kl',
  logitScale: 2,
  softcap: 30,
  zLoss: 1e-4,
  reduction: 'none',
  normalizer: 'rows',
  whenEmpty: 'zero',
  gradient: { input: x, linearWeight: x, linearBias: undefined },
  accumulate: true,
  gradientScale: x,
  metrics: true,
  perRow: ['loss', 'nll', 'lse', 'entropy', 'prediction'] as const,
  threads: 2,
});
bceWithLogits(h, x, {
  classes,
  dtype: 'bfloat16',
  labelSmoothing: { epsilon: 0.1, toward: 0.01 },
  weight: x,
  posWeight: x,
  rowWeight: x,
  mask: new Uint8Array(1),
  logitScale: 2,
  softcap: 30,
  reduction: 'mean',
  normalizer: 'elements',
  whenEmpty: 'error',
  gradient: h,
  gradientScale: 2,
  rowStride: 4,
  inner: 1,
  metrics: true,
  perRow: ['loss', 'nll', 'entropy'],
  threads: 8,
});
bceWithLogits(x, y, { classes, ignoreIndex: -1, labelSmoothing: { epsilon: 0.1, toward: undefined } });
klDiv(x, x, {
  classes,
  dtype: undefined,
  logTarget: true,
  weight: x,
  rowWeight: x,
  mask: new Uint8Array(1),
  reduction: 'mean',
  normalizer: 'weight',
  whenEmpty: 'nan',
  gradient: true,
  gradientScale: 2,
  rowStride: 4,
  inner: 1,
  perRow: ['loss'],
});
nllLoss(x, y, {
  classes,
  labelSmoothing: { epsilon: 0.1, over: 'others', exclude: 0 },
  ignoreIndex: 0,
  weight: x,
  rowWeight: x,
  mask: new Uint8Array(1),
  form: 'kl',
  reduction: 'sum',
  normalizer: 3,
  gradient: true,
  inner: 4,
  metrics: true,
  perRow: ['loss', 'nll', 'prediction'],
});

// In double, weights and the like too; whether the logits are doubles is found out when it runs.
crossEntropy(
  d,
  { a: y, b: y, lambda: d },
  {
    classes,
    labelSmoothing: { epsilon: d, prior: d },
    weight: d,
    rowWeight: x,
    gradientScale: d,
  },
);
linearCrossEntropy(d, d, y, { classes, weight: d, rowWeight: d, labelSmoothing: { epsilon: d, prior: d } });
bceWithLogits(d, x, { classes, weight: d, posWeight: d, rowWeight: d });
smoothLabels(d, { classes, labelSmoothing: { epsilon: d, prior: d } });

// Masks of any integers.
crossEntropy(x, y, { classes, mask: new BigInt64Array(1) });
bceWithLogits(x, x, { classes, mask: new Uint8ClampedArray(1) });
klDiv(x, x, { classes, mask: y });
nllLoss(x, y, { classes, mask: new Int8Array(1) });
smoothLabels(y, { classes, mask: new BigUint64Array(1) });
// @ts-expect-error a mask of floats
klDiv(x, x, { classes, mask: x });

// dtype may be said of all logits, by the name of a ortTensor's type too, as wide as onnxruntime and TensorFlow.js have it.
type TensorType =
  | ('float32' | 'uint8' | 'int8' | 'uint16' | 'int16' | 'int32' | 'int64' | 'string' | 'bool' | 'float16')
  | ('float64' | 'uint32' | 'uint64' | 'uint4' | 'int4' | 'complex64');
declare const ortTensor: { type: TensorType; data: unknown };
declare const typed: { type: 'float32'; data: Float32Array };
exactly<Loss>()(crossEntropy(x, y, { classes, dtype: 'float32' }));
exactly<Loss>()(crossEntropy(typed.data, y, { classes, dtype: typed.type }));
exactly<Loss>()(crossEntropy(ortTensor.data as Float32Array, y, { classes, dtype: ortTensor.type }));
exactly<Loss>()(klDiv(ortTensor.data as Uint16Array, x, { classes, dtype: ortTensor.type }));
exactly<Loss>()(bceWithLogits(d, x, { classes, dtype: 'float64' }));
// @ts-expect-error an unknown type
crossEntropy(x, y, { classes, dtype: 'float31' });

// Whether logits of an unknown type need dtype is found out when it runs.
crossEntropy(anyLogits, y, { classes });

// By promise: the same, and a signal.
declare function eventually<Expected>(): <Actual>(
  actual: Promise<Actual>,
  ...ok: Same<Plain<Actual>, Plain<Expected>> extends true ? [] : [is: 'not the expected type']
) => void;
declare const controller: AbortController;
const { signal } = controller;
eventually<Loss>()(promises.crossEntropy(x, y, { classes, threads: 2, signal }));
eventually<Losses & Gradient>()(
  promises.crossEntropy(x, y, { classes, gradient: true, reduction: 'none', signal: undefined }),
);
eventually<Double>()(promises.crossEntropy(d, y, { classes, gradient: true, reduction: 'none' }));
eventually<Anything & { metrics?: CrossEntropyMetrics; perRow?: RowNames }>()(
  promises.crossEntropy(x, y, { ...options, signal }),
);
eventually<Loss & { perRow: { loss: Floats } }>()(
  promises.klDiv(x, x, { classes, reduction: 'batchmean', perRow: ['loss'], signal }),
);
eventually<Loss & Given>()(promises.bceWithLogits(x, x, { classes, gradient: x, signal }));
eventually<Losses>()(promises.nllLoss(x, y, { classes, reduction: 'none', signal }));
eventually<Loss & { gradient: Layer }>()(
  promises.linearCrossEntropy(x, x, y, { classes, gradient: true, signal }),
);
eventually<Doubles>()(promises.smoothLabels(d, { classes, signal }));
eventually<Losses & { gradient: Tensor } & { perRow: { lse: Floats } }>()(
  promises.crossEntropy(x, y, { ...both, gradient: tensor }),
);
exactly<Losses & Gradient & { perRow: { lse: Floats } }>()(loadBackend('js').crossEntropy(x, y, both));
eventually<Losses & Gradient & { perRow: { lse: Floats } }>()(
  promises.loadBackend('js').crossEntropy(x, y, both),
);
exactly<Functions<'promise'>>()(promises.loadBackend('js'));
setThreads(4);

// @ts-expect-error a signal is for promises
crossEntropy(x, y, { classes, signal });
// @ts-expect-error a signal is for promises
smoothLabels(y, { classes, signal });
// @ts-expect-error what aborts is its signal
promises.crossEntropy(x, y, { classes, signal: controller });
// @ts-expect-error a number
crossEntropy(x, y, { classes, threads: 'all' });
// @ts-expect-error a number
setThreads();

// @ts-expect-error options are needed
crossEntropy(x, y);
// @ts-expect-error classes are needed
crossEntropy(x, y, {});
// @ts-expect-error arrays of numbers are none of the typed arrays
crossEntropy([1, 2, 3], y, { classes });
// @ts-expect-error arrays of numbers are none of the typed arrays
crossEntropy(x, [1], { classes });
// @ts-expect-error logits that are no floats
crossEntropy(new Int32Array(3), y, { classes });
// @ts-expect-error half floats of a kind that is not said
crossEntropy(h, y, { classes });
// @ts-expect-error an unknown kind of half floats
crossEntropy(h, y, { classes, dtype: 'float8' });
// @ts-expect-error a gradient of another type
crossEntropy(x, y, { classes, gradient: d });
// @ts-expect-error a gradient of another type
klDiv(d, x, { classes, gradient: x });
// @ts-expect-error an unknown option
crossEntropy(x, y, { classes, label_smoothing: 0.1 });
// @ts-expect-error an option of another function
crossEntropy(x, y, { classes, posWeight: x });
// @ts-expect-error an option of another function
klDiv(x, x, { classes, metrics: true });
// @ts-expect-error an option of another function
nllLoss(x, y, { classes, zLoss: 1 });
// @ts-expect-error an option of another function
smoothLabels(y, { classes, gradient: true });
// @ts-expect-error an unknown reduction
crossEntropy(x, y, { classes, reduction: 'average' });
// @ts-expect-error a reduction of klDiv
crossEntropy(x, y, { classes, reduction: 'batchmean' });
// @ts-expect-error epsilon is needed
crossEntropy(x, y, { classes, labelSmoothing: { over: 'others' } });
// @ts-expect-error an unknown normalizer
crossEntropy(x, y, { classes, normalizer: 'mean' });
// @ts-expect-error a normalizer of losses of elements
crossEntropy(x, y, { classes, normalizer: 'elements' });
// @ts-expect-error a mask of booleans
crossEntropy(x, y, { classes, mask: [true] });
// @ts-expect-error an unknown name
crossEntropy(x, y, { classes, perRow: ['lsee'] });
// @ts-expect-error a name of crossEntropy
bceWithLogits(x, y, { classes, perRow: ['lse'] });
// @ts-expect-error one epsilon for all
bceWithLogits(x, y, { classes, labelSmoothing: { epsilon: x } });
// @ts-expect-error mixed targets
bceWithLogits(x, { a: y, b: y, lambda: 1 }, { classes });
// @ts-expect-error class indices
klDiv(x, y, { classes });
// @ts-expect-error probabilities
nllLoss(x, x, { classes });
// @ts-expect-error lambda is needed
crossEntropy(x, { a: y, b: y }, { classes });

exactly<BackendName[]>()(availableBackends());
const { backend, ...functions }: Functions = loadBackend('js');
export const bound: {
  crossEntropy: typeof crossEntropy;
  linearCrossEntropy: typeof linearCrossEntropy;
  bceWithLogits: typeof bceWithLogits;
  klDiv: typeof klDiv;
  nllLoss: typeof nllLoss;
  smoothLabels: typeof smoothLabels;
} = functions;
const name: 'avx512' | 'avx2' | 'neon' | 'scalar' | 'js' = backend.name;
// @ts-expect-error an unknown backend
loadBackend('gpu');
// @ts-expect-error the backend is read-only
loadBackend('js').backend.name = name;
