// @ts-check
// The three products of a layer around crossEntropy: by OpenBLAS, which koffi calls, or in plain JavaScript.
import { createRequire } from 'node:module';
import path from 'node:path';
import { backend, crossEntropy } from 'smoothloss';
import { plainLayerGradients, plainLogits } from '../plain.mjs';

/** @import { LayerShape } from '../race.mjs' */
/** @import { LayerBatch, Start, Started } from './worker.mjs' */

/**
 * @typedef {object} Products
 * @property {string} version
 * @property {typeof plainLogits} logitsOf
 * @property {typeof plainLayerGradients} gradientsOf
 */

/** @type {Products} */
const PLAIN = { version: process.version, logitsOf: plainLogits, gradientsOf: plainLayerGradients };

/** @type {Partial<Record<NodeJS.Platform, string>>} */
const LIBRARIES = { win32: 'libopenblas.dll', darwin: 'libopenblas.dylib' };
const [ROW_MAJOR, AS_IT_IS, TRANSPOSED] = [101, 111, 112];

/** @type {Partial<Record<string, string>>} */
const CORES = { avx512: 'SkylakeX', avx2: 'Haswell' };

/** @param {string} modules @returns {Products} */
function openblas(modules) {
  // OpenBLAS 0.3.21 takes newer CPUs for one of 2004, and is then five times as slow.
  const core = CORES[backend.name];
  if (core !== undefined) process.env.OPENBLAS_CORETYPE = core;
  const koffi = createRequire(path.join(modules, 'index.js'))('koffi');
  let library;
  try {
    library = koffi.load(LIBRARIES[process.platform] ?? 'libopenblas.so.0');
  } catch (error) {
    throw Object.assign(/** @type {Error} */ (error), { code: 'MODULE_NOT_FOUND' });
  }
  const says = (/** @type {string} */ name) => library.func(`const char *${name}()`)();
  const sgemm = library.func(
    'void cblas_sgemm(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int)',
  );
  const [, version] = says('openblas_get_config').split(' ');
  return {
    version: `${version} (${says('openblas_get_corename')})`,
    logitsOf: (input, weight, { rows: R, features: D, classes: C }, logits) =>
      sgemm(ROW_MAJOR, AS_IT_IS, TRANSPOSED, R, C, D, 1, input, D, weight, D, 0, logits, C),
    gradientsOf: (input, weight, { rows: R, features: D, classes: C }, gradient, [ofInput, ofWeight]) => {
      sgemm(ROW_MAJOR, AS_IT_IS, AS_IT_IS, R, D, C, 1, gradient, C, weight, D, 0, ofInput, D);
      sgemm(ROW_MAJOR, TRANSPOSED, AS_IT_IS, C, D, R, 1, gradient, C, input, D, 0, ofWeight, D);
    },
  };
}

/** @param {Start} options args: 'openblas' or 'plain' @returns {Started} */
export function start({ threads, modules, args: [by] }) {
  const { version, logitsOf, gradientsOf } = by === 'openblas' ? openblas(modules) : PLAIN;
  return {
    version,
    /** @param {LayerBatch} batch */
    prepare({ input, linearWeight, targets, epsilon, gradient, ...shape }) {
      const { rows, classes } = shape;
      const logits = new Float32Array(rows * classes);
      const options = { classes, labelSmoothing: epsilon, gradient: gradient && logits, threads };
      const gradients = gradient
        ? [input, linearWeight].map(({ length }) => new Float32Array(length).fill(1))
        : [];
      let loss = 0;
      return {
        run: () => {
          logitsOf(input, linearWeight, shape, logits);
          ({ loss } = crossEntropy(logits, targets, options));
          if (gradient) gradientsOf(input, linearWeight, shape, logits, gradients);
        },
        result: () => ({ loss, gradient: gradients }),
      };
    },
  };
}
