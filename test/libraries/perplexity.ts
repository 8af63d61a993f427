// The promise: the perplexity that examples/libraries/perplexity/next-token.mjs gives is the one that float64 gives by hand, whichever side is
// padded, from tensors of onnxruntime and transformers.js, and no logit is copied for it.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mulberry32, normals } from '../support/data.js';
import { loadExample, loadLibrary, runExample } from '../support/example-libraries.js';
import { decodeHalf, encodeHalf, HALVES } from '../support/numbers.js';

const { float16 } = HALVES;
const PAD = 0n;
const IGNORED = -100n;
type Side = 'left' | 'right';

// biome-ignore-start lint/suspicious/noExplicitAny: JavaScript
let shiftTargets: any;
let perplexity: any;
// biome-ignore-end lint/suspicious/noExplicitAny: above
beforeAll(async () => {
  ({ shiftTargets, perplexity } = await loadExample('perplexity/next-token.mjs'));
});

/** Rows of ids with padding at one side, as a tokenizer returns them. */
function padded(rows: readonly bigint[][], side: Side) {
  const dims = [rows.length, Math.max(...rows.map((row) => row.length))];
  const pad = (row: bigint[], fill: bigint) => {
    const padding = new Array<bigint>(dims[1] - row.length).fill(fill);
    return side === 'left' ? [...padding, ...row] : [...row, ...padding];
  };
  const tensor = (each: (row: bigint[]) => bigint[]) => ({
    type: 'int64',
    data: BigInt64Array.from(rows.flatMap(each)),
    dims,
  });
  const ones = (row: bigint[]) => row.map(() => 1n);
  return {
    input_ids: tensor((row) => pad(row, PAD)),
    attention_mask: tensor((row) => pad(ones(row), 0n)),
  };
}

/** Σ −log p of a row's tokens after its first, in double; `logitsAt(t)` are those of its position t. */
function nllOf(ids: readonly bigint[], logitsAt: (t: number) => number[]): number {
  let sum = 0;
  for (let t = 0; t + 1 < ids.length; t++) {
    const x = logitsAt(t);
    const most = Math.max(...x);
    const total = x.reduce((all, each) => all + Math.exp(each - most), 0);
    sum += most + Math.log(total) - x[Number(ids[t + 1])];
  }
  return sum;
}

/** The perplexities by the definition: of all rows, and of each. */
function byHand(rows: readonly bigint[][], side: Side, values: number[], [, length, classes]: number[]) {
  const nlls = rows.map((ids, b) => {
    const start = b * length + (side === 'left' ? length - ids.length : 0);
    return nllOf(ids, (t) => values.slice((start + t) * classes, (start + t + 1) * classes));
  });
  const tokens = rows.reduce((sum, ids) => sum + ids.length - 1, 0);
  return {
    perplexity: Math.exp(nlls.reduce((a, b) => a + b) / tokens),
    perSequence: nlls.map((nll, b) => Math.exp(nll / (rows[b].length - 1))),
    tokens,
  };
}

function expectClose(actual: ReturnType<typeof byHand>, expected: ReturnType<typeof byHand>): void {
  expect(actual.tokens).toBe(expected.tokens);
  // A row's loss is rounded to float32; with logits of this size that is 2⁻²² at most.
  const close = (a: number, b: number) => expect(Math.abs(a / b - 1)).toBeLessThan(1e-6);
  close(actual.perplexity, expected.perplexity);
  expect(actual.perSequence).toHaveLength(expected.perSequence.length);
  for (const [b, each] of actual.perSequence.entries()) close(each, expected.perSequence[b]);
}

describe('shiftTargets', () => {
  const shift = (rows: readonly bigint[][], side: Side) => {
    const { input_ids, attention_mask } = padded(rows, side);
    return Array.from(shiftTargets(input_ids.data, attention_mask.data, input_ids.dims) as BigInt64Array);
  };

  it('a position has the next token of its own row, the last one none', () => {
    const rows = [
      [1n, 2n, 3n],
      [4n, 5n, 6n],
    ];
    expect(shift(rows, 'right')).toEqual([2n, 3n, IGNORED, 5n, 6n, IGNORED]);
  });

  it('padding is neither predicted nor predicts', () => {
    const rows = [[1n, 2n, 3n, 4n], [5n, 6n], [7n]];
    const none = new Array(4).fill(IGNORED);
    expect(shift(rows, 'right')).toEqual([2n, 3n, 4n, IGNORED, 6n, IGNORED, IGNORED, IGNORED, ...none]);
    expect(shift(rows, 'left')).toEqual([2n, 3n, 4n, IGNORED, IGNORED, IGNORED, 6n, IGNORED, ...none]);
  });

  it('takes one row, and rows of one token', () => {
    expect(shift([[7n, 0n]], 'right')).toEqual([0n, IGNORED]); // 0 is a token like another
    expect(shift([[7n]], 'right')).toEqual([IGNORED]);
    expect(shift([[7n], [8n]], 'left')).toEqual([IGNORED, IGNORED]);
  });

  it('leaves its arguments alone, and refuses other lengths', () => {
    const ids = BigInt64Array.of(1n, 2n);
    const mask = BigInt64Array.of(1n, 1n);
    shiftTargets(ids, mask, [1, 2]);
    expect([ids, mask]).toEqual([BigInt64Array.of(1n, 2n), BigInt64Array.of(1n, 1n)]);
    const message = '2 ids and a mask of 2: both must be of 1 × 3';
    expect(() => shiftTargets(ids, mask, [1, 3])).toThrow(message);
    expect(() => shiftTargets(ids, BigInt64Array.of(1n), [1, 2])).toThrow('a mask of 1');
  });
});

describe('perplexity', () => {
  const classes = 53;
  const uniform = mulberry32(3);
  const rows = [9, 2, 5, 7].map((length) =>
    Array.from({ length }, () => BigInt(Math.floor(uniform() * classes))),
  );
  const dims = [4, 9, classes];
  const values = normals(4 * 9 * classes, 1, 3);

  it.each(['right', 'left'] as const)('is that of float64, padding %s', (side) => {
    const inputs = padded(rows, side);
    const logits = { type: 'float32', data: values, dims };
    expectClose(perplexity(logits, inputs), byHand(rows, side, Array.from(values), dims));
  });

  it.each(['right', 'left'] as const)('is that of float64 of the same halves, padding %s', (side) => {
    const data = Uint16Array.from(values, (x) => encodeHalf(x, float16));
    const halves = Array.from(data, (bits) => decodeHalf(bits, float16));
    const result = perplexity({ type: 'float16', data, dims }, padded(rows, side));
    expectClose(result, byHand(rows, side, halves, dims));
  });

  it('a row of one token has none, and changes no other', () => {
    const inputs = padded([[1n, 2n], [3n]], 'right');
    const logits = { type: 'float32', data: values.subarray(0, 4 * classes), dims: [2, 2, classes] };
    const result = perplexity(logits, inputs);
    const alone = byHand([[1n, 2n]], 'right', Array.from(logits.data), [1, 2, classes]);
    expectClose({ ...result, perSequence: result.perSequence.slice(0, 1) }, alone);
    expect(result.perSequence[1]).toBeNaN();
  });

  it('copies no logits', () => {
    const [batch, length, classes] = [2, 64, 16_000];
    const inputs = padded(
      Array.from({ length: batch }, () => new Array<bigint>(length).fill(5n)),
      'right',
    );
    const logits = {
      type: 'float32',
      data: new Float32Array(batch * length * classes),
      dims: [batch, length, classes],
    };
    const before = process.memoryUsage().arrayBuffers;
    expect(perplexity(logits, inputs).perplexity).toBeCloseTo(classes);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(logits.data.byteLength / 8);
  });
});

describe('with transformers.js', () => {
  const texts = ['a b c d e', 'c a', 'b b a e d c a e'];
  // biome-ignore lint/suspicious/noExplicitAny: its types are where it is installed
  let transformers: any;
  let folder: string;

  beforeAll(async () => {
    transformers = await loadLibrary('@huggingface/transformers');
    transformers.env.allowRemoteModels = false;
    folder = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-perplexity-'));
    const { writeModel } = await loadExample('perplexity/model.mjs');
    writeModel(folder, ['<pad>', '<unk>', 'a', 'b', 'c', 'd', 'e']);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(['fp32', 'fp16'])(
    '%s: a batch gives what its texts give alone, padded right and left',
    async (dtype) => {
      const tokenizer = await transformers.AutoTokenizer.from_pretrained(folder);
      const model = await transformers.AutoModelForCausalLM.from_pretrained(folder, { dtype });
      const of = async (texts: string[]) => {
        const inputs = tokenizer(texts, { padding: true });
        const { logits } = await model(inputs);
        expect(logits.type).toBe(dtype === 'fp32' ? 'float32' : 'float16');
        const numbers = Array.from<number>(logits.to('float32').data);
        return { inputs, result: perplexity(logits, inputs), numbers, dims: logits.dims };
      };
      const alone: number[] = [];
      for (const text of texts) alone.push((await of([text])).result.perplexity);
      for (const side of ['right', 'left'] as const) {
        tokenizer.padding_side = side;
        const { inputs, result, numbers, dims } = await of(texts);
        expect(inputs.attention_mask.data[side === 'right' ? 5 : 0]).toBe(0n);
        const ids = texts.map((text) => text.split(' ').map((word) => BigInt(2 + 'abcde'.indexOf(word))));
        expectClose(result, byHand(ids, side, numbers, dims));
        for (const [i, each] of alone.entries()) expect(result.perSequence[i] / each).toBeCloseTo(1, 6);
      }
      await model.dispose();
    },
  );
});

describe('with onnxruntime-node', () => {
  it.each(['float32', 'float16'])('takes its tensors, %s', async (type) => {
    const { InferenceSession, Tensor } = await loadLibrary('onnxruntime-node');
    const folder = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-perplexity-'));
    try {
      const { writeModel } = await loadExample('perplexity/model.mjs');
      writeModel(folder, Array.from('0123456789'));
      const file = type === 'float32' ? 'model.onnx' : 'model_fp16.onnx';
      const session = await InferenceSession.create(path.join(folder, 'onnx', file));
      const rows = [
        [1n, 5n, 9n, 2n],
        [7n, 3n],
      ];
      const { input_ids, attention_mask } = padded(rows, 'right');
      const tensor = (each: typeof input_ids) => new Tensor('int64', each.data, each.dims);
      const inputs = { input_ids: tensor(input_ids), attention_mask: tensor(attention_mask) };
      const { logits } = await session.run(inputs);
      expect(logits.type).toBe(type);
      // A Float16Array where the runtime has it, bits elsewhere.
      const bits = (data: Uint16Array) => new Uint16Array(data.buffer, data.byteOffset, data.length);
      const numbers =
        type === 'float32' ? logits.data : Array.from(bits(logits.data), (each) => decodeHalf(each, float16));
      expectClose(
        perplexity(logits, inputs),
        byHand(rows, 'right', Array.from<number>(numbers), logits.dims),
      );
      await session.release();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

it('the example prints four lines and agrees with itself', () => {
  const { stdout, stderr, status } = runExample('perplexity.mjs');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  expect(stdout.match(/^float(32|16), padding (right|left) +perplexity \d/gm)).toHaveLength(4);
});
