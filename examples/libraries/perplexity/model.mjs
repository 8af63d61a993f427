// @ts-check
// A language model as transformers.js reads it from a folder, small and with random weights: no download.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import onnxProto from 'onnx-proto';

const { onnx } = onnxProto;
const { FLOAT, FLOAT16, INT64 } = onnx.TensorProto.DataType;
const HIDDEN = 16;

/**
 * Writes the model in float32 and in float16 with the configuration and the tokenizer that belong to it.
 * @param {string} folder
 * @param {string[]} words of the vocabulary; the first is the padding, the second what unknown words become
 */
export function writeModel(folder, words) {
  const json = (/** @type {string} */ name, /** @type {object} */ content) =>
    writeFileSync(path.join(folder, name), JSON.stringify(content));
  mkdirSync(path.join(folder, 'onnx'), { recursive: true });
  writeFileSync(path.join(folder, 'onnx', 'model.onnx'), onnxModel(words.length, FLOAT));
  writeFileSync(path.join(folder, 'onnx', 'model_fp16.onnx'), onnxModel(words.length, FLOAT16));
  json('config.json', {
    model_type: 'gpt2',
    vocab_size: words.length,
    n_head: 1,
    n_layer: 0,
    n_embd: HIDDEN,
  });
  json('tokenizer_config.json', { tokenizer_class: 'PreTrainedTokenizer', pad_token: words[0] });
  json('tokenizer.json', {
    added_tokens: [],
    normalizer: null,
    post_processor: null,
    decoder: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    model: {
      type: 'WordPiece',
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      unk_token: words[1],
      continuing_subword_prefix: '##',
    },
  });
}

/**
 * input_ids and attention_mask [B, T] → logits [B, T, V] = tanh(sum of the embeddings of all tokens up to t) · W.
 * @param {number} vocabulary
 * @param {number} type of the logits
 */
function onnxModel(vocabulary, type) {
  const random = (/** @type {number} */ seed, /** @type {number[]} */ ...dims) => {
    const floatData = Array.from(
      { length: dims[0] * dims[1] },
      (_, i) => 0.5 * Math.sin(seed * (i + 1) ** 2),
    );
    return { dims, dataType: FLOAT, floatData };
  };
  const last = { dims: [1], dataType: INT64, int64Data: [-1] };
  const time = { dims: [], dataType: INT64, int64Data: [1] };
  const value = (
    /** @type {string} */ name,
    /** @type {number} */ elemType,
    /** @type {string[]} */ ...dims
  ) => ({
    name,
    type: { tensorType: { elemType, shape: { dim: dims.map((dimParam) => ({ dimParam })) } } },
  });
  const node = (
    /** @type {string} */ opType,
    /** @type {string} */ inputs,
    /** @type {string} */ output,
  ) => ({
    opType,
    input: inputs.split(' '),
    output: [output],
    attribute: /** @type {object[]} */ ([]),
  });
  const cast = (/** @type {string} */ input, /** @type {number} */ to, /** @type {string} */ output) => ({
    ...node('Cast', input, output),
    attribute: [{ name: 'to', type: onnx.AttributeProto.AttributeType.INT, i: to }],
  });
  const model = onnx.ModelProto.fromObject({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 13 }],
    graph: {
      name: 'language-model',
      input: [value('input_ids', INT64, 'B', 'T'), value('attention_mask', INT64, 'B', 'T')],
      output: [value('logits', type, 'B', 'T', 'V')],
      initializer: [
        { name: 'embeddings', ...random(0.7, vocabulary, HIDDEN) },
        { name: 'weight', ...random(0.3, HIDDEN, vocabulary) },
        { name: 'last', ...last },
        { name: 'time', ...time },
      ],
      node: [
        node('Gather', 'embeddings input_ids', 'embedded'),
        cast('attention_mask', FLOAT, 'mask'),
        node('Unsqueeze', 'mask last', 'maskColumn'),
        node('Mul', 'embedded maskColumn', 'masked'),
        node('CumSum', 'masked time', 'context'),
        node('Tanh', 'context', 'hidden'),
        node('MatMul', 'hidden weight', 'scores'),
        cast('scores', type, 'logits'),
      ],
    },
  });
  return onnx.ModelProto.encode(model).finish();
}
