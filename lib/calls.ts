// What each function does with its arguments, whether it answers at once or by a promise: check them, have a kernel compute
// the batch, make a result of the sums.

import { prepareBceWithLogits, prepareKlDiv } from './arguments/element-losses.js';
import type { Execution } from './arguments/options.js';
import type { Prepared } from './arguments/prepare.js';
import { prepareCrossEntropy, prepareNllLoss } from './arguments/row-losses.js';
import { prepareSmoothLabels } from './arguments/smooth-labels.js';
import type { Batch, Floats, Kernels, Sums } from './batch.js';

/** One call, checked. */
export interface Call {
  batch: Batch;
  execution: Execution;
  kernel: keyof Kernels;
  /** What the function returns. */
  resultOf(sums: Sums): unknown;
}

interface AnyResult {
  loss?: number;
  losses?: Floats;
  gradient?: unknown;
  numerator: number;
  denominator: number;
  rows: number;
  metrics?: object;
  perRow?: object;
}

// One kind of NaN: which one ∞ − ∞ makes depends on the CPU.
function oneNaN(x: number): number {
  return Number.isNaN(x) ? NaN : x;
}

function resultOf(prepared: Prepared, sum: number): AnyResult {
  const numerator = oneNaN(sum);
  const { batch, reduction, rows, gradient, perRow } = prepared;
  const denominator = oneNaN(prepared.denominator);
  const totals = { numerator, denominator, rows };
  let result: AnyResult;
  if (batch.losses !== null) {
    result = { losses: batch.losses, ...totals };
  } else if (reduction === 'sum') {
    result = { loss: numerator, ...totals };
  } else {
    const loss = denominator === 0 ? prepared.empty : oneNaN(numerator / denominator);
    result = { loss, numerator, denominator, rows };
  }
  if (gradient !== null) result.gradient = gradient;
  if (perRow !== null) result.perRow = perRow;
  return result;
}

export function crossEntropy(logits: unknown, targets: unknown, options: unknown): Call {
  const prepared = prepareCrossEntropy(logits, targets, options);
  return lossCall('crossEntropy', prepared, crossEntropyMetrics);
}

export function bceWithLogits(logits: unknown, targets: unknown, options: unknown): Call {
  const prepared = prepareBceWithLogits(logits, targets, options);
  return lossCall('bceWithLogits', prepared, bceWithLogitsMetrics);
}

export function klDiv(logProbs: unknown, targets: unknown, options: unknown): Call {
  return lossCall('linear', prepareKlDiv(logProbs, targets, options), noMetrics);
}

export function nllLoss(logProbs: unknown, targets: unknown, options: unknown): Call {
  return lossCall('linear', prepareNllLoss(logProbs, targets, options), nllLossMetrics);
}

export function smoothLabels(targets: unknown, options: unknown): Call {
  const { batch, execution, labels } = prepareSmoothLabels(targets, options);
  return { batch, execution, kernel: 'linear', resultOf: () => labels };
}

function lossCall(
  kernel: keyof Kernels,
  prepared: Prepared,
  metricsOf: (sums: Sums, parts: number) => object,
): Call {
  const { batch, execution } = prepared;
  return {
    batch,
    execution,
    kernel,
    resultOf: (sums) => {
      const result = resultOf(prepared, sums.numerator);
      if (batch.metrics) result.metrics = metricsOf(sums, prepared.parts);
      return result;
    },
  };
}

/** The mean over `parts` rows or elements; NaN, 0 / 0, if there are none. */
function mean(sum: number, parts: number): number {
  return oneNaN(sum / parts);
}

function noMetrics(): object {
  return {};
}

function nllLossMetrics({ nll, correct }: Sums, parts: number): object {
  return { nll: mean(nll, parts), accuracy: mean(correct, parts) };
}

function bceWithLogitsMetrics({ nll, correct, entropy }: Sums, parts: number): object {
  return { nll: mean(nll, parts), accuracy: mean(correct, parts), entropy: mean(entropy, parts) };
}

function crossEntropyMetrics(sums: Sums, parts: number): object {
  return {
    nll: mean(sums.nll, parts),
    accuracy: mean(sums.correct, parts),
    entropy: mean(sums.entropy, parts),
    zLoss: mean(sums.zLoss, parts),
  };
}
