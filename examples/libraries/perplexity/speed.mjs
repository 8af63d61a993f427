// @ts-check
// The time of a batch's perplexity, beside what transformers.js has for it: npm run example perplexity-speed
import { log_softmax, Tensor } from '@huggingface/transformers';
import { backend } from 'smoothloss';
import { perplexity } from './next-token.mjs';

const [batch, length, classes] = [4, 128, 32_000];
const ROUNDS = 7;

const logits = new Tensor(
  'float32',
  Float32Array.from({ length: batch * length * classes }, () => 8 * Math.random() - 4),
  [batch, length, classes],
);
const ids = BigInt64Array.from({ length: batch * length }, () => BigInt(Math.floor(classes * Math.random())));
const inputs = {
  input_ids: new Tensor('int64', ids, [batch, length]),
  attention_mask: new Tensor('int64', new BigInt64Array(batch * length).fill(1n), [batch, length]),
};

/** @type {(b: number, t: number) => Tensor} */
const at = (b, t) => /** @type {any} */ (logits)[b][t];
/** @type {Record<string, () => number>} */
const ways = {
  smoothloss: () => perplexity(logits, inputs).perplexity,
  'log_softmax of each row': () => byRows((b, t) => at(b, t).data),
  'slice, tolist, log_softmax of each row': () => {
    const rows = logits.slice(null, [0, length - 1], null).tolist();
    return byRows((b, t) => rows[b][t]);
  },
};

/** @param {(b: number, t: number) => any} row */
function byRows(row) {
  let sum = 0;
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t + 1 < length; t++) sum -= log_softmax(row(b, t))[Number(ids[b * length + t + 1])];
  }
  return Math.exp(sum / (batch * (length - 1)));
}

/** @type {Map<string, number[]>} */
const times = new Map(Object.keys(ways).map((name) => [name, []]));
/** @type {Map<string, number>} */
const results = new Map();
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, compute] of Object.entries(ways)) {
    const started = performance.now();
    results.set(name, compute());
    if (round > 0) times.get(name)?.push(performance.now() - started); // the first one warms up
  }
}
console.log(`${batch} × ${length} × ${classes} logits, ${backend.name}, ${backend.threads} threads, median`);
for (const [name, all] of times) {
  const median = all.sort((a, b) => a - b)[(ROUNDS - 1) / 2];
  console.log(
    `${name.padEnd(40)}${median.toFixed(1).padStart(8)} ms   perplexity ${results.get(name)?.toFixed(1)}`,
  );
}
