// What a batch of softmax cross entropy asks for, and where the results of its rows go. Mirrors
// native/kernels/softmax_batch-inl.h; there are no fast paths here.

import type { Batch, Sums } from '../batch.js';
import { numberOf, putResult, weigh } from './results.js';

/** What a batch asks for beyond the loss of one class per row and its gradient. */
export class SoftmaxParts {
  readonly soft: boolean;
  readonly kl: boolean;
  readonly capped: boolean;
  readonly reports: boolean;
  readonly wantsNll: boolean;
  readonly wantsEntropy: boolean;
  readonly wantsPrediction: boolean;

  constructor(batch: Batch) {
    this.soft = batch.dense !== null;
    this.kl = batch.kl;
    this.capped = batch.softcap !== 0;
    this.wantsNll = batch.metrics || batch.rowNll !== null;
    this.wantsEntropy = batch.metrics || batch.rowEntropy !== null;
    this.wantsPrediction = batch.prediction !== null;
    const lossOrLse = batch.rowLoss !== null || batch.rowLse !== null;
    this.reports = this.wantsNll || this.wantsEntropy || this.wantsPrediction || lossOrLse;
  }
}

/** Adds a row's loss; returns it with its weight. */
export function addLoss(batch: Batch, row: number, loss: number, sums: Sums): number {
  const weighed = weigh(numberOf(batch.rowWeight, row, 1), loss);
  sums.numerator += weighed;
  putResult(batch.losses, row, weighed);
  return weighed;
}

/** What is reported of a row. */
export interface RowReport {
  /** With its weight. */
  loss: number;
  nll: number;
  lse: number;
  entropy: number;
  zTerm: number;
  predicted: number;
  labelled: number;
}

export function report(batch: Batch, row: number, of: RowReport, sums: Sums): void {
  putResult(batch.rowLoss, row, of.loss);
  putResult(batch.rowNll, row, of.nll);
  putResult(batch.rowLse, row, of.lse);
  putResult(batch.rowEntropy, row, of.entropy);
  if (batch.prediction !== null) batch.prediction[row] = of.predicted;
  sums.nll += of.nll;
  sums.entropy += of.entropy;
  sums.zLoss += of.zTerm;
  if (batch.metrics && of.predicted === of.labelled) sums.correct += 1;
}
