// @ts-check
import { BIGINT, DuckDBScalarFunction, FLOAT, LIST } from '@duckdb/node-api';
import { crossEntropy } from 'smoothloss';

/** @import { DuckDBConnection, DuckDBListVector, DuckDBVector } from '@duckdb/node-api' */

/**
 * Adds a function to the SQL of a connection's database: `ce(logits, label)` is the cross entropy of a row. Logits are FLOAT[C] or
 * FLOAT[], labels are integers. Each chunk of up to 2,048 rows is one call. Of a null the loss is null.
 * @param {DuckDBConnection} connection
 * @param {{ classes: number, name?: string, labelSmoothing?: number, weight?: Float32Array, ignoreIndex?: number }} options
 */
export function addCrossEntropy(connection, { name = 'ce', ...options }) {
  const scalarFunction = DuckDBScalarFunction.create({
    name,
    returnType: FLOAT,
    parameterTypes: [LIST(FLOAT), BIGINT], // DuckDB makes FLOAT[] of FLOAT[C], and BIGINT of INTEGER
    mainFunction(_info, chunk, output) {
      const lists = /** @type {DuckDBListVector} */ (chunk.getColumnVector(0));
      const { logits, targets, mask } = rowsOf(lists, chunk.getColumnVector(1), options.classes);
      const { losses } = crossEntropy(logits, targets, { ...options, mask, reduction: 'none' });
      losses.forEach((loss, row) => {
        output.setItem(row, mask[row] === 1 ? loss : null);
      });
      output.flush();
    },
  });
  connection.registerScalarFunction(scalarFunction);
}

/**
 * What a vector of @duckdb/node-api keeps to itself: its memory. The public getItem gives one number at a time, which
 * takes twice as long as all the rest, and 70 times as long if a FLOAT[C] is null.
 * @typedef {{ items: Float32Array, validity: { data: BigUint64Array | null, itemValid: (index: number) => boolean } }} Inside
 * @type {(vector: unknown) => Inside}
 */
const inside = (vector) => /** @type {Inside} */ (vector);

/**
 * The rows of a chunk. The logits are the list's memory as it is, where one row follows the other without a gap.
 * @param {DuckDBListVector} lists
 * @param {DuckDBVector} labels
 * @param {number} classes
 */
function rowsOf(lists, labels, classes) {
  const rows = lists.itemCount;
  const { items, validity } = inside(lists.childVector);
  const valid = validity.data && new Uint8Array(validity.data.buffer, validity.data.byteOffset);
  const starts = Array.from({ length: rows }, (_, row) => lists.getEntryOffset(row));
  const targets = new BigInt64Array(rows);
  const mask = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    const label = labels.getItem(row);
    if (label === null || !inside(lists).validity.itemValid(row)) continue;
    const length = lists.getEntryLength(row);
    if (length !== classes)
      throw new RangeError(`a list of ${length} logits: there must be ${classes}, one a class`);
    for (let i = starts[row]; valid && i < starts[row] + classes; i++) {
      if (!((valid[i >> 3] >> (i & 7)) & 1))
        throw new TypeError('a list of logits holds a null: must hold numbers');
    }
    targets[row] = /** @type {bigint} */ (label);
    mask[row] = 1;
  }
  const dense = items.length >= rows * classes && starts.every((start, row) => start === row * classes);
  const logits = dense ? items.subarray(0, rows * classes) : new Float32Array(rows * classes);
  for (let row = 0; !dense && row < rows; row++) {
    if (mask[row] === 1) logits.set(items.subarray(starts[row], starts[row] + classes), row * classes);
  }
  return { logits, targets, mask };
}
