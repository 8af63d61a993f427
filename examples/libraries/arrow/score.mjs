// @ts-check
import { DataType, Float32, Float64, makeData, Precision, util, Vector } from 'apache-arrow';
import { crossEntropy } from 'smoothloss';

/** @import { Data, Table } from 'apache-arrow' */

/**
 * The cross entropy of every row of a table with a column of logits, FixedSizeList<float>[C], and one of labels, integers.
 * Each record batch is one call, on the memory that Arrow holds. A row whose label or logits are null takes no part,
 * and its loss is null.
 * @param {Table} table
 * @param {{ logits: string, labels: string, labelSmoothing?: number, weight?: Float32Array, ignoreIndex?: number }} options
 */
export function scoreTable(table, { logits, labels, ...options }) {
  const total = { numerator: 0, denominator: 0, rows: 0 };
  const losses = table.batches.map((batch, i) => {
    const [x, y] = [logits, labels].map((name) => batch.getChild(name)?.data[0]);
    if (!DataType.isFixedSizeList(x?.type) || !DataType.isFloat(x.type.valueType)) {
      throw new TypeError(`column ${logits} is ${x?.type}: must be FixedSizeList of floats`);
    }
    if (!DataType.isInt(y?.type)) throw new TypeError(`column ${labels} is ${y?.type}: must be integers`);
    try {
      const mask = maskOf(x, y);
      const half = x.type.valueType.precision === Precision.HALF; // a Uint16Array of their bits
      const dtype = half ? /** @type {const} */ ('float16') : undefined;
      const call = {
        ...options,
        classes: x.type.listSize,
        dtype,
        mask,
        reduction: /** @type {const} */ ('none'),
      };
      const scored = crossEntropy(logitsOf(x), y.values.subarray(0, y.length), call);
      total.numerator += scored.numerator;
      total.denominator += scored.denominator;
      total.rows += scored.rows;
      const type = scored.losses instanceof Float64Array ? new Float64() : new Float32();
      return makeData({ type, data: scored.losses, nullBitmap: mask && util.packBools(mask) });
    } catch (error) {
      if (error instanceof Error) error.message = `record batch ${i}: ${error.message}`;
      throw error;
    }
  });
  return { loss: total.numerator / total.denominator, ...total, losses: new Vector(losses) };
}

/**
 * The numbers of fixed-size lists as they lie in memory, without a copy. In a slice, Arrow has moved the child's
 * beginning to that of the slice: `list.offset` counts bits of the validity bitmap alone.
 * @param {Data} list
 */
export function logitsOf({ length, stride, children: [child] }) {
  return child.values.subarray(0, length * stride);
}

/**
 * 1 for the rows that take part; undefined if all do. No logit of these may be null; where a whole list is null, its
 * numbers may be anything.
 * @param {Data} list
 * @param {Data} label
 */
function maskOf(list, label) {
  const {
    length,
    stride,
    children: [child],
  } = list;
  if (list.nullCount + label.nullCount + child.nullCount === 0) return undefined;
  const mask = new Uint8Array(length).fill(1);
  for (const { nullBitmap, nullCount, offset } of [list, label]) {
    if (!nullBitmap || nullCount === 0) continue;
    for (let row = 0; row < length; row++) {
      const bit = offset + row;
      mask[row] &= nullBitmap[bit >> 3] >> (bit & 7);
    }
  }
  const torn =
    child.nullCount === 0
      ? -1
      : mask.findIndex((part, row) => part === 1 && child.slice(row * stride, stride).nullCount > 0);
  if (torn >= 0) throw new TypeError(`the logits of row ${torn} hold a null: only a whole list may be null`);
  return mask;
}
