// @ts-check
// To copy: the loss of a causal language model from its logits as they are.
import { crossEntropy } from 'smoothloss';

const IGNORED = -100n;

/**
 * What each position is to predict: the next token of its row. Positions without one are ignored: a row's last
 * one, and all where either token is padding, right or left.
 * @param {BigInt64Array | Int32Array} inputIds B·T
 * @param {BigInt64Array | Int32Array} attentionMask B·T, 0 at padding
 * @param {readonly number[]} dims [B, T]
 */
export function shiftTargets(inputIds, attentionMask, [batch, length]) {
  const size = batch * length;
  if (inputIds.length !== size || attentionMask.length !== size) {
    const lengths = `${inputIds.length} ids and a mask of ${attentionMask.length}`;
    throw new RangeError(`${lengths}: both must be of ${batch} × ${length}`);
  }
  const targets = new BigInt64Array(size).fill(IGNORED);
  for (let i = 0; i < size - 1; i++) {
    const isLast = (i + 1) % length === 0;
    if (!isLast && attentionMask[i] && attentionMask[i + 1]) targets[i] = BigInt(inputIds[i + 1]);
  }
  return targets;
}

/** @typedef {{ data: any, dims: readonly number[], type: any }} Tensor of onnxruntime or transformers.js */

/**
 * Perplexity of the batch, over all tokens that were predicted, and of each row. A row of one token has none: NaN.
 * @param {Tensor} logits [B, T, V], float32 or float16
 * @param {{ input_ids: Tensor, attention_mask: Tensor }} inputs what the tokenizer returned
 */
export function perplexity(logits, { input_ids, attention_mask }) {
  const [batch, length, classes] = logits.dims;
  const targets = shiftTargets(input_ids.data, attention_mask.data, [batch, length]);
  const { loss, rows, perRow } = crossEntropy(logits.data, targets, {
    classes,
    dtype: logits.type,
    perRow: ['nll'],
  });
  const perSequence = Array.from({ length: batch }, (_, b) => {
    let sum = 0;
    let tokens = 0;
    for (let i = b * length; i < (b + 1) * length; i++) {
      if (targets[i] === IGNORED) continue;
      sum += perRow.nll[i];
      tokens++;
    }
    return Math.exp(sum / tokens);
  });
  return { perplexity: Math.exp(loss), perSequence, tokens: rows };
}
