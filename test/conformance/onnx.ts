// ONNX's own node tests of SoftmaxCrossEntropyLoss. They stay out of the repository: SMOOTHLOSS_ONNX_VECTORS is the path.

import { readFileSync } from 'node:fs';
import type { CrossEntropyOptions } from 'smoothloss';
import { onEveryBackend } from './backends.js';
import { type Case, near, same, type Table } from './table.js';

interface Tensor {
  shape: number[];
  data: number[];
}

interface Vector {
  name: string;
  op: string;
  attributes: { reduction: 'mean' | 'sum' | 'none'; ignore_index?: number };
  inputs: { scores: Tensor; labels: Tensor; weights?: Tensor };
  outputs: { loss: Tensor; log_prob?: Tensor };
}

/** Scores are laid out [N, C, d1, d2, ...], crossEntropy's logits [N, d1, d2, ..., C]. */
function lastClasses({ shape: [n, classes, ...inner], data }: Tensor): Float32Array {
  const size = inner.reduce((a, b) => a * b, 1);
  const moved = new Float32Array(data.length);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < classes; k++) {
      for (let j = 0; j < size; j++) moved[(i * size + j) * classes + k] = data[(i * classes + k) * size + j];
    }
  }
  return moved;
}

// The vectors were made in float32.
const close = (actual: number, expected: number, what: string) =>
  near(actual, expected, 2e-6 * Math.abs(expected) + 1e-6, what);

function casesOf(vector: Vector): Case[] {
  return onEveryBackend(vector.name, ({ crossEntropy }) => {
    const { scores, labels, weights } = vector.inputs;
    const { loss, log_prob } = vector.outputs;
    const { reduction, ignore_index } = vector.attributes;
    const classes = scores.shape[1];
    const logits = lastClasses(scores);
    const targets = BigInt64Array.from(labels.data.map(BigInt));
    const options: CrossEntropyOptions = { classes, reduction, ignoreIndex: ignore_index ?? [] };
    if (weights !== undefined) options.weight = Float32Array.from(weights.data);
    const result = crossEntropy(logits, targets, options);
    const losses = result.losses ?? [result.loss ?? NaN];
    same(losses.length, loss.data.length, 'the number of losses');
    loss.data.forEach((expected, i) => {
      close(losses[i], expected, `loss ${i}`);
    });
    if (log_prob === undefined) return;
    const expected = lastClasses(log_prob);
    for (let k = 0; k < classes; k++) {
      const all = new Int32Array(targets.length).fill(k);
      const { losses: nlls } = crossEntropy(logits, all, { classes, reduction: 'none' });
      nlls.forEach((nll, r) => {
        close(-nll, expected[r * classes + k], `log_prob of row ${r}, class ${k}`);
      });
    }
  });
}

/** Where the vectors are; undefined: there are none to check. */
export const file = process.env.SMOOTHLOSS_ONNX_VECTORS;

function allCases(): Case[] {
  if (file === undefined) return [];
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Vector[] };
  return cases.filter(({ op }) => op === 'SoftmaxCrossEntropyLoss').flatMap(casesOf);
}

export const tables: Table[] = [{ name: 'SoftmaxCrossEntropyLoss of ONNX', cases: allCases() }];
