// @ts-check
// Who is compared, how each is started, and what it says about itself.

/**
 * @typedef {object} Peer
 * @property {string} id
 * @property {string} name
 * @property {[file: string, ...args: string[]]} worker a module of this folder, and what it is told; .py runs in Python
 * @property {boolean} gradient whether it computes one; if not, only its loss is compared and timed
 * @property {boolean} threads whether it can be told how many to use; if not, it is measured with one
 * @property {{ loss: number, gradient: number } | null} tolerance its stated error: relative of the loss, absolute of
 *   the gradient of the sum. 0: the same bits. null: it computes no loss (memcpy)
 * @property {string} outputs where its gradient goes
 * @property {string} [install] how to get it
 * @property {number} [epsilon] its label smoothing, if it cannot have what the others have
 * @property {boolean} [allocates] whether a call allocates the gradients that it returns
 */

// PyTorch adds C terms of ε/C in float32, and is off by 1e-4 at 32,000 classes; others get as much.
const OTHER = { gradient: true, threads: true, tolerance: { loss: 1e-5, gradient: 2e-4 } };
const OWN = { ...OTHER, tolerance: { loss: 0, gradient: 0 } };

const TORCH = { ...OTHER, install: 'pip install torch, and --python with that environment' };
const FRESH = 'new each call: x.grad = None before it, which is faster than adding to the old one';
const TFJS = {
  ...OTHER,
  threads: false, // web workers, which Node does not have
  outputs: 'new tensors each call, disposed of in it and not read; one-hot targets are made beforehand',
  install: 'npm install --no-save @tensorflow/tfjs @tensorflow/tfjs-backend-wasm',
};

/** @type {Peer[]} */
export const PEERS = [
  {
    ...OWN,
    id: 'memcpy',
    name: 'memcpy',
    worker: ['memcpy.mjs'],
    tolerance: null,
    outputs: 'reused; several threads from 4 MB on',
  },
  {
    ...OWN,
    id: 'smoothloss',
    name: 'smoothloss',
    worker: ['smoothloss.mjs', 'reused'],
    outputs: 'reused',
  },
  {
    ...OWN,
    id: 'smoothloss-in-place',
    name: 'smoothloss, in place',
    worker: ['smoothloss.mjs', 'in place'],
    outputs: 'the logits: from the second call on they are the gradient of the call before',
  },
  {
    ...OWN,
    id: 'smoothloss-new',
    name: 'smoothloss, new array',
    worker: ['smoothloss.mjs', 'new'],
    outputs: 'a new array each call',
  },
  {
    ...OWN,
    id: 'smoothloss-loss',
    name: 'smoothloss, loss only',
    worker: ['smoothloss.mjs', 'none'],
    gradient: false,
    outputs: 'no gradient',
  },
  {
    ...OWN,
    id: 'js',
    name: 'smoothloss, js backend',
    worker: ['smoothloss.mjs', 'reused', 'js'],
    threads: false,
    outputs: 'reused',
  },
  {
    ...OTHER,
    id: 'plain',
    name: 'plain JavaScript',
    worker: ['plain.mjs'],
    threads: false,
    tolerance: { loss: 1e-6, gradient: 1e-6 },
    outputs: 'reused',
  },
  {
    ...TORCH,
    id: 'torch',
    name: 'PyTorch, eager',
    worker: ['torch_peer.py', 'eager'],
    outputs: FRESH,
  },
  {
    ...TORCH,
    id: 'torch-compile',
    name: 'PyTorch, compiled',
    worker: ['torch_peer.py', 'compile'],
    outputs: `${FRESH}; compiled for each shape, not timed`,
    install: `${TORCH.install}; torch.compile also needs a C++ compiler`,
  },
  {
    ...OTHER,
    id: 'jax',
    name: 'JAX, hand-fused',
    worker: ['jax_peer.py'],
    outputs: 'new each call: jit can reuse an argument only, and the logits are needed again',
    install: 'pip install jax, and --python with that environment',
  },
  { ...TFJS, id: 'tfjs-wasm', name: 'TensorFlow.js, wasm', worker: ['tfjs.mjs', 'wasm'] },
  { ...TFJS, id: 'tfjs-cpu', name: 'TensorFlow.js, cpu', worker: ['tfjs.mjs', 'cpu'] },
  {
    ...OTHER,
    id: 'onnxruntime',
    name: 'ONNX Runtime, loss only',
    worker: ['onnxruntime.mjs'],
    gradient: false,
    outputs: 'no gradient: the runtime has only inference in Node',
    install: 'npm install --no-save --ignore-scripts onnxruntime-node',
  },
];

// Of a layer's gradients the tolerance is relative, of the root of the mean square.
const PRODUCTS = { ...OTHER, outputs: 'reused; the gradient of the logits is in place' };

/** Of a linear layer and its loss. @type {Peer[]} */
export const LAYER_PEERS = [
  {
    ...OWN,
    id: 'smoothloss',
    name: 'smoothloss',
    worker: ['layer-smoothloss.mjs'],
    outputs: 'reused',
  },
  {
    ...OWN,
    id: 'js',
    name: 'smoothloss, js backend',
    worker: ['layer-smoothloss.mjs', 'js'],
    threads: false,
    outputs: 'reused',
  },
  {
    ...PRODUCTS,
    id: 'openblas',
    name: 'OpenBLAS + crossEntropy',
    worker: ['layer-products.mjs', 'openblas'],
    install: 'npm install --no-save koffi, and OpenBLAS (apt-get install libopenblas0-pthread)',
  },
  {
    ...PRODUCTS,
    id: 'plain',
    name: 'plain JavaScript + crossEntropy',
    worker: ['layer-products.mjs', 'plain'],
    threads: false,
  },
  {
    ...TORCH,
    id: 'torch',
    name: 'PyTorch, eager',
    worker: ['layer_torch_peer.py', 'eager'],
    allocates: true,
    outputs: FRESH,
  },
  {
    ...TORCH,
    id: 'torch-chunked',
    name: 'PyTorch, in chunks, ε = 0',
    worker: ['layer_torch_peer.py', 'chunked'],
    epsilon: 0, // with label smoothing it computes all logits at once
    allocates: true,
    outputs: FRESH,
  },
  {
    ...TFJS,
    id: 'tfjs-wasm',
    name: 'TensorFlow.js, wasm',
    worker: ['layer-tfjs.mjs', 'wasm'],
    allocates: true,
  },
];

/** A peer of the user's own: a module that exports start() as those of this folder do. @param {string} file @returns {Peer} */
export function addedPeer(file) {
  const id = file.replace(/^.*[/\\]|\.[^.]*$/g, '');
  return { ...OTHER, id, name: id, worker: [file], threads: false, outputs: 'not said' };
}
