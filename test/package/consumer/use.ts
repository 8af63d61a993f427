// TypeScript, without any @types package: the result's type holds what was asked for, and nothing else. The test compiles
// this as CommonJS, as an ES module and for a bundler, then runs the first two.

import {
  type availableBackends,
  type Backend,
  type BackendName,
  backend,
  bceWithLogits,
  type CrossEntropyOptions,
  crossEntropy,
  type Functions,
  klDiv,
  linearCrossEntropy,
  loadBackend,
  nllLoss,
  smoothLabels,
} from 'smoothloss';
import * as promises from 'smoothloss/promises';

declare const console: { log(text: string): void };

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

// What the package makes: Float32Array<ArrayBuffer>, or Float32Array where TypeScript is older than 5.7.
type Floats = ReturnType<typeof Float32Array.of>;
type Doubles = ReturnType<typeof Float64Array.of>;

const logits = new Float32Array(2 * 4);
const targets = new Uint8Array([1, 3]);

const mean = crossEntropy(logits, targets, { classes: 4 });
same<typeof mean.loss, number>(true);
same<keyof typeof mean, 'loss' | 'numerator' | 'denominator' | 'rows'>(true);
// @ts-expect-error no gradient was asked for
mean.gradient;
// @ts-expect-error nor one loss per row
mean.losses;

const sum = crossEntropy(logits, targets, { classes: 4, reduction: 'sum', gradient: true });
same<typeof sum.gradient, Floats>(true);
same<keyof typeof sum, 'loss' | 'gradient' | 'numerator' | 'denominator' | 'rows'>(true);

const none = crossEntropy(logits, targets, { classes: 4, reduction: 'none', gradient: new Float32Array(8) });
same<typeof none.losses, Floats>(true);
class Tensor extends Float32Array {
  shape = [2, 4];
}
const given = crossEntropy(logits, targets, { classes: 4, gradient: new Tensor(8) });
same<typeof given.gradient, Tensor>(true);
same<keyof typeof none, 'losses' | 'gradient' | 'numerator' | 'denominator' | 'rows'>(true);
// @ts-expect-error reduction 'none' gives no single loss
none.loss;

const binary = bceWithLogits(new Float64Array(8), new Float32Array(8), { classes: 4, reduction: 'none' });
same<typeof binary.losses, Doubles>(true);
const divergence = klDiv(logits, new Float32Array(8), {
  classes: 4,
  reduction: 'batchmean',
  perRow: ['loss'],
});
same<typeof divergence.perRow, { loss: Floats }>(true);
const likelihood = nllLoss(logits, { a: targets, b: targets, lambda: 0.5 }, { classes: 4, perRow: ['nll'] });
same<typeof likelihood.perRow.nll, Floats>(true);
const layer = linearCrossEntropy(logits, new Float32Array(3 * 4), Uint8Array.of(1, 2), {
  classes: 3,
  gradient: { input: true, linearWeight: new Tensor(12) },
});
same<typeof layer.gradient, { input: Floats; linearWeight: Tensor }>(true);
const smoothed = smoothLabels(targets, { classes: 4, labelSmoothing: 0.1 });
same<typeof smoothed, Floats>(true);

const signal = { aborted: false, addEventListener() {}, removeEventListener() {} };
export const later = promises.crossEntropy(logits, targets, { classes: 4, gradient: true, signal });
same<Awaited<typeof later>['gradient'], Floats>(true);

const fixed = { classes: 4, reduction: 'none', perRow: ['lse'] } as const satisfies CrossEntropyOptions;
const exact = crossEntropy(logits, targets, fixed);
same<keyof typeof exact, 'losses' | 'perRow' | 'numerator' | 'denominator' | 'rows'>(true);
same<typeof exact.perRow, { lse: Floats }>(true);

const options: CrossEntropyOptions = {
  classes: 4,
  labelSmoothing: { epsilon: 0.1, over: 'others', exclude: [0] },
};
const unknown = crossEntropy(logits, targets, options);
same<typeof unknown.loss, number | undefined>(true);
same<typeof unknown.gradient, Float32Array | undefined>(true);

same<typeof backend, Backend>(true);
same<ReturnType<typeof availableBackends>, BackendName[]>(true);
const js: Functions = loadBackend('js');

/** What must not compile; not called. */
export function mistakes(): void {
  // @ts-expect-error classes must be given
  crossEntropy(logits, targets, {});
  // @ts-expect-error a misspelt option
  crossEntropy(logits, targets, { classes: 4, labelSmoothin: 0.1 });
  // @ts-expect-error logits are typed arrays
  crossEntropy([1, 2, 3, 4], targets, { classes: 4 });
  // @ts-expect-error targets are typed arrays, or a pair of them
  crossEntropy(logits, [1, 3], { classes: 4 });
  // @ts-expect-error mixed targets have a lambda
  crossEntropy(logits, { a: targets, b: targets }, { classes: 4 });
  // @ts-expect-error of soft targets, klDiv computes this
  nllLoss(logits, new Float32Array(8), { classes: 4 });
  // @ts-expect-error an option of crossEntropy
  bceWithLogits(logits, new Float32Array(8), { classes: 4, zLoss: 1 });
  // @ts-expect-error no such reduction
  crossEntropy(logits, targets, { classes: 4, reduction: 'average' });
  // @ts-expect-error no such backend
  loadBackend('cuda');
  // @ts-expect-error it tells, and takes no orders
  backend.name = 'js';
}

const fromJs = js.crossEntropy(logits, targets, { classes: 4 });
if (fromJs.loss !== mean.loss || Math.abs(mean.loss - Math.log(4)) > 1e-15) {
  throw new Error(`the loss of 4 equal logits is ${mean.loss}`);
}
console.log(backend.name);
