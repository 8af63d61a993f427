// @ts-check
// The loss as an ONNX model, written out as protocol buffers: nothing else of them is needed here.

/** @param {number} n @returns {number[]} */
const varint = (n) => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);
const integer = (/** @type {number} */ field, /** @type {number} */ n) => [
  ...varint(field * 8),
  ...varint(n),
];
/** @param {number} field @param {Iterable<number>} content */
const bytes = (field, content) => {
  const array = [...content];
  return [...varint(field * 8 + 2), ...varint(array.length), ...array];
};
const text = (/** @type {number} */ field, /** @type {string} */ s) => bytes(field, Buffer.from(s));

const [FLOAT, INT64] = [1, 7];

/** @param {string} op @param {string[]} inputs @param {string} output @param {Record<string, number | number[]>} [attributes] */
const node = (op, inputs, output, attributes = {}) =>
  bytes(1, [
    ...inputs.flatMap((name) => text(1, name)),
    ...text(2, output),
    ...text(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) =>
      bytes(5, [
        ...text(1, name),
        ...(Array.isArray(value)
          ? [...value.flatMap((n) => integer(8, n)), ...integer(20, 7)]
          : [...integer(3, value), ...integer(20, 2)]),
      ]),
    ),
  ]);

/** @param {string} name @param {number} value */
const constant = (name, value) =>
  bytes(5, [
    ...integer(2, FLOAT),
    ...text(8, name),
    ...bytes(9, new Uint8Array(Float32Array.of(value).buffer)),
  ]);

/** @param {number} field @param {string} name @param {number} type @param {number[]} dimensions */
const tensor = (field, name, type, dimensions) => {
  const shape = dimensions.flatMap((n) => bytes(1, integer(1, n)));
  return bytes(field, [...text(1, name), ...bytes(2, bytes(1, [...integer(1, type), ...bytes(2, shape)]))]);
};

/** Mean cross entropy with ε/C to every class, of x [rows, classes] and y [rows, 1]. */
export function lossModel(
  /** @type {number} */ rows,
  /** @type {number} */ classes,
  /** @type {number} */ epsilon,
) {
  const graph = [
    ...node('LogSoftmax', ['x'], 'lp', { axis: 1 }),
    ...node('GatherElements', ['lp', 'y'], 'ofTarget', { axis: 1 }),
    ...node('ReduceMean', ['lp'], 'uniform', { axes: [1] }),
    ...node('Mul', ['ofTarget', 'a'], 'nll'),
    ...node('Mul', ['uniform', 'b'], 'smoothing'),
    ...node('Add', ['nll', 'smoothing'], 'ofRow'),
    ...node('ReduceMean', ['ofRow'], 'loss', { keepdims: 0 }),
    ...text(2, 'loss'),
    ...constant('a', epsilon - 1),
    ...constant('b', -epsilon),
    ...tensor(11, 'x', FLOAT, [rows, classes]),
    ...tensor(11, 'y', INT64, [rows, 1]),
    ...tensor(12, 'loss', FLOAT, []),
  ];
  return Uint8Array.from([...integer(1, 8), ...bytes(7, graph), ...bytes(8, integer(2, 13))]);
}
