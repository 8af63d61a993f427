// @ts-check
import { createRequire } from 'node:module';
import path from 'node:path';
import { lossModel } from './onnx-model.mjs';

/** @import { Start, Started } from './worker.mjs' */

/** @param {Start} options @returns {Started} */
export function start({ modules, threads }) {
  const load = createRequire(path.join(modules, 'index.js'));
  const { InferenceSession, Tensor } = load('onnxruntime-node');
  const { version } = load('onnxruntime-node/package.json');
  return {
    version,
    async prepare({ rows, classes, logits, targets }) {
      const session = await InferenceSession.create(lossModel(rows, classes, 0.1), {
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
      });
      const feeds = {
        x: new Tensor('float32', logits, [rows, classes]),
        y: new Tensor('int64', BigInt64Array.from(targets, BigInt), [rows, 1]),
      };
      let loss = 0;
      return {
        run: async () => {
          loss = (await session.run(feeds)).loss.data[0];
        },
        result: () => ({ loss }),
        release: () => session.release(),
      };
    },
  };
}
