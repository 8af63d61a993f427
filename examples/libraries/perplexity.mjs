// @ts-check
// Perplexity of a language model of transformers.js, from its logits as they are: see README.md.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AutoModelForCausalLM, AutoTokenizer, env, log_softmax } from '@huggingface/transformers';
import { writeModel } from './perplexity/model.mjs';
import { perplexity } from './perplexity/next-token.mjs';

/** @import { Tensor } from '@huggingface/transformers' */

const texts = ['the cat sat on the mat', 'the mat sat', 'a cat on a mat sat on the cat'];

// Any folder or name of a causal language model does; this one has random weights.
env.allowRemoteModels = false;
const folder = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-perplexity-'));
writeModel(folder, ['<pad>', '<unk>', ...new Set(texts.join(' ').split(' '))]);
try {
  const tokenizer = await AutoTokenizer.from_pretrained(folder);
  for (const dtype of /** @type {const} */ (['fp32', 'fp16'])) {
    const model = await AutoModelForCausalLM.from_pretrained(folder, { dtype });
    for (const side of /** @type {const} */ (['right', 'left'])) {
      tokenizer.padding_side = side;
      const inputs = tokenizer(texts, { padding: true });
      const { logits } = await model(inputs);
      const result = perplexity(logits, inputs);
      report(`${logits.type}, padding ${side}`, result, byHand(logits, inputs));
    }
    await model.dispose();
  }
} finally {
  rmSync(folder, { recursive: true });
}

/**
 * Row by row with the functions of transformers.js: what must come out.
 * @param {Tensor} logits
 * @param {{ input_ids: Tensor, attention_mask: Tensor }} inputs
 */
function byHand(logits, { input_ids, attention_mask }) {
  const [, length, classes] = logits.dims;
  const values = /** @type {Float32Array} */ (logits.to('float32').data);
  let sum = 0;
  let tokens = 0;
  for (let i = 0; i + 1 < input_ids.size; i++) {
    if ((i + 1) % length === 0 || !attention_mask.data[i] || !attention_mask.data[i + 1]) continue;
    const logProbs = log_softmax(Array.from(values.subarray(i * classes, (i + 1) * classes)));
    sum -= logProbs[Number(input_ids.data[i + 1])];
    tokens++;
  }
  return Math.exp(sum / tokens);
}

/**
 * @param {string} name
 * @param {ReturnType<typeof perplexity>} result
 * @param {number} expected
 */
function report(name, { perplexity: value, perSequence, tokens }, expected) {
  const all = perSequence.map((each) => each.toFixed(3)).join(', ');
  console.log(`${name.padEnd(22)} perplexity ${value.toFixed(4)} of ${tokens} tokens; of each text ${all}`);
  if (Math.abs(value / expected - 1) < 1e-5) return;
  console.error(`perplexity: by hand it is ${expected}`);
  process.exitCode = 1;
}
