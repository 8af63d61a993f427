// ONNX's own node tests of SoftmaxCrossEntropyLoss and NegativeLogLikelihoodLoss. They stay out of the repository:
// SMOOTHLOSS_ONNX_VECTORS is the path.

import { readFileSync } from 'node:fs';
import { make } from '../support/calls.js';
import { onEveryBackend } from './backends.js';
import { type Case, fail, near, same, type Table } from './table.js';

interface Tensor {
  shape: number[];
  data: number[];
}

interface Vector {
  name: string;
  op: 'SoftmaxCrossEntropyLoss' | 'NegativeLogLikelihoodLoss';
  attributes: { reduction: 'mean' | 'sum' | 'none'; ignore_index?: number };
  inputs: { scores: Tensor; labels: Tensor; weights?: Tensor };
  outputs: { loss: Tensor; log_prob?: Tensor };
}

// The vectors were made in float32.
const close = (actual: number, expected: number, what: string) =>
  near(actual, expected, 2e-6 * Math.abs(expected) + 1e-6, what);

/** Scores are laid out [N, C, d1, d2, ...], which is `inner` = d1·d2·…, and labels [N, d1, d2, ...]. */
function casesOf({ name, op, attributes, inputs, outputs }: Vector): Case[] {
  return onEveryBackend(name, (functions) => {
    const { scores, labels, weights } = inputs;
    const [, classes, ...dimensions] = scores.shape;
    const inner = dimensions.reduce((a, b) => a * b, 1);
    const logits = Float32Array.from(scores.data);
    const targets = Int32Array.from(labels.data);
    const ignoreIndex = attributes.ignore_index ?? [];
    const options = { classes, inner, ignoreIndex };
    const weight = weights === undefined ? {} : { weight: Float32Array.from(weights.data) };
    const expect = (losses: ArrayLike<number>, what: string) => {
      same(losses.length, outputs.loss.data.length, 'the number of losses');
      outputs.loss.data.forEach((expected, i) => {
        close(losses[i], expected, `${what} ${i}`);
      });
    };

    const { reduction } = attributes;
    const all = { ...options, ...weight, reduction };
    const loss = op === 'SoftmaxCrossEntropyLoss' ? 'crossEntropy' : 'nllLoss';
    const result = make(functions, { name: loss, logits, targets, options: all });
    expect(result.losses ?? [result.loss ?? NaN], 'loss');

    const { log_prob } = outputs;
    if (log_prob === undefined) return;
    // log_prob = x − lse, of ignored rows too, and the loss again from it.
    const everyRow = { ...options, ignoreIndex: [], reduction: 'none', perRow: ['lse'] } as const;
    const zeros = new Int32Array(targets.length);
    const { perRow } = make(functions, { logits, targets: zeros, options: everyRow });
    const lse = perRow?.lse ?? fail('there is no lse');
    const logProbs = logits.map((x, i) => {
      const row = Math.floor(i / (classes * inner)) * inner + (i % inner);
      return x - lse[row];
    });
    log_prob.data.forEach((expected, i) => {
      close(logProbs[i], expected, `log_prob ${i}`);
    });
    const again = make(functions, { name: 'nllLoss', logits: logProbs, targets, options: all });
    expect(again.losses ?? [again.loss ?? NaN], 'nllLoss of log_prob');
  });
}

/** Where the vectors are; undefined: there are none to check. */
export const file = process.env.SMOOTHLOSS_ONNX_VECTORS;

const vectors: Vector[] = file === undefined ? [] : JSON.parse(readFileSync(file, 'utf8')).cases;
const of = (op: Vector['op']) => vectors.filter((vector) => vector.op === op).flatMap(casesOf);

export const tables: Table[] = [
  { name: 'SoftmaxCrossEntropyLoss of ONNX', cases: of('SoftmaxCrossEntropyLoss') },
  { name: 'NegativeLogLikelihoodLoss of ONNX', cases: of('NegativeLogLikelihoodLoss') },
];
