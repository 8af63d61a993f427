// The promise: the type of a result follows from the options. Checked by the compiler (npm run build:test), never run.

import {
  availableBackends,
  type BackendName,
  type CrossEntropyOptions,
  crossEntropy,
  loadBackend,
} from 'smoothloss';

/** The very same type, not just one that fits. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Plain<T> = { [K in keyof T]: T[K] };
declare function exactly<Expected>(): <Actual>(
  actual: Actual,
  ...ok: Same<Plain<Actual>, Plain<Expected>> extends true
    ? []
    : [actual: Plain<Actual>, is: 'not the expected type']
) => void;

interface Totals {
  numerator: number;
  denominator: number;
  rows: number;
}
type Loss = Totals & { loss: number };
type Losses = Totals & { losses: Float32Array };
type Gradient = { gradient: Float32Array };

declare const x: Float32Array;
declare const y: Int32Array;
declare const flag: boolean;
declare const reduction: 'mean' | 'sum' | 'none';
declare const options: CrossEntropyOptions;
const classes = 3;

exactly<Loss>()(crossEntropy(x, y, { classes }));
exactly<Loss>()(crossEntropy(x, y, { classes, reduction: 'mean' }));
exactly<Loss>()(crossEntropy(x, y, { classes, reduction: 'sum', gradient: false }));
exactly<Loss>()(crossEntropy(x, y, { classes, reduction: undefined, gradient: undefined }));
exactly<Losses>()(crossEntropy(x, y, { classes, reduction: 'none' }));
exactly<Loss & Gradient>()(crossEntropy(x, y, { classes, gradient: true }));
exactly<Loss & Gradient>()(crossEntropy(x, y, { classes, gradient: x, reduction: 'sum' }));
exactly<Losses & Gradient>()(crossEntropy(x, y, { classes, gradient: true, reduction: 'none' }));
exactly<Losses & Gradient>()(crossEntropy(x, y, { classes, gradient: x, reduction: 'none' }));

// Where the options are not known, everything may be there.
exactly<Totals & Partial<Loss & Losses & Gradient>>()(crossEntropy(x, y, options));
exactly<Totals & Partial<Loss & Losses & Gradient>>()(crossEntropy(x, y, { classes, reduction }));
exactly<Loss & Partial<Gradient>>()(crossEntropy(x, y, { classes, gradient: flag }));
exactly<Losses & Partial<Gradient>>()(crossEntropy(x, y, { classes, gradient: flag, reduction: 'none' }));

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

// Every kind of targets.
crossEntropy(x, new Int8Array(1), { classes });
crossEntropy(x, new Int16Array(1), { classes });
crossEntropy(x, new Uint8Array(1), { classes });
crossEntropy(x, new Uint16Array(1), { classes });
crossEntropy(x, new Uint32Array(1), { classes });
crossEntropy(x, new BigInt64Array(1), { classes });
crossEntropy(x, new BigUint64Array(1), { classes });
crossEntropy(x, Buffer.alloc(1), { classes });

// Every option, also on shared memory, also undefined, also read-only.
crossEntropy(new Float32Array(new SharedArrayBuffer(12)), y, {
  classes,
  labelSmoothing: { epsilon: x, over: 'others', exclude: [1, 2] as const, prior: x },
  weight: x,
  rowWeight: x,
  ignoreIndex: [-100, -1] as const,
  mask: new Uint8Array(1),
  reduction: 'none',
  normalizer: 'rows',
  whenEmpty: 'zero',
  gradient: x,
  gradientScale: x,
  rowStride: 4,
});
crossEntropy(x, y, {
  classes,
  labelSmoothing: { epsilon: 0.1, over: undefined, exclude: undefined, prior: undefined },
  weight: undefined,
  rowWeight: undefined,
  ignoreIndex: undefined,
  mask: undefined,
  normalizer: undefined,
  whenEmpty: undefined,
  gradientScale: undefined,
  rowStride: undefined,
});

// @ts-expect-error options are needed
crossEntropy(x, y);
// @ts-expect-error classes are needed
crossEntropy(x, y, {});
// @ts-expect-error Float64Array logits
crossEntropy(new Float64Array(3), y, { classes });
// @ts-expect-error arrays of numbers are none of the typed arrays
crossEntropy([1, 2, 3], y, { classes });
// @ts-expect-error arrays of numbers are none of the typed arrays
crossEntropy(x, [1], { classes });
// @ts-expect-error Float32Array targets
crossEntropy(x, x, { classes });
// @ts-expect-error an unknown option
crossEntropy(x, y, { classes, label_smoothing: 0.1 });
// @ts-expect-error an unknown reduction
crossEntropy(x, y, { classes, reduction: 'average' });
// @ts-expect-error epsilon is needed
crossEntropy(x, y, { classes, labelSmoothing: { over: 'others' } });
// @ts-expect-error an unknown normalizer
crossEntropy(x, y, { classes, normalizer: 'mean' });
// @ts-expect-error a mask of booleans
crossEntropy(x, y, { classes, mask: [true] });

exactly<BackendName[]>()(availableBackends());
const name: 'avx2' | 'neon' | 'scalar' | 'js' = loadBackend('js').backend.name;
// @ts-expect-error an unknown backend
loadBackend('gpu');
// @ts-expect-error the backend is read-only
loadBackend('js').backend.name = name;
