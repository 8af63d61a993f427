// @ts-check
// Scores the rows of an Arrow file where they lie in memory: see README.md.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Field,
  FixedSizeList,
  Float32,
  Int64,
  makeData,
  Table,
  tableFromIPC,
  tableToIPC,
  util,
  Vector,
} from 'apache-arrow';
import { logitsOf, scoreTable } from './arrow/score.mjs';

const [BATCHES, ROWS, CLASSES] = [4, 2_000, 1_000];

/** Such a file comes from pyarrow, Polars or pandas; here it is written by hand. Every tenth label is null. */
function writeTable() {
  const floats = new FixedSizeList(CLASSES, new Field('item', new Float32()));
  const batches = Array.from({ length: BATCHES }, () => {
    const data = Float32Array.from({ length: ROWS * CLASSES }, () => 4 * Math.random());
    const logits = makeData({
      type: floats,
      length: ROWS,
      nullCount: 0,
      child: makeData({ type: new Float32(), data }),
    });
    const labels = makeData({
      type: new Int64(),
      data: BigInt64Array.from({ length: ROWS }, (_, row) => BigInt((row * 7) % CLASSES)),
      nullBitmap: util.packBools(Array.from({ length: ROWS }, (_, row) => row % 10 !== 9)),
    });
    return { logits, labels };
  });
  return new Table({
    logits: new Vector(batches.map(({ logits }) => logits)),
    labels: new Vector(batches.map(({ labels }) => labels)),
  });
}

/**
 * The losses in float64, by Arrow's getters; of a row without a label NaN.
 * @param {Table} table
 */
function byHand(table) {
  const [logits, labels] = ['logits', 'labels'].map((name) => /** @type {Vector} */ (table.getChild(name)));
  return Array.from(logits, (list, row) => {
    const x = /** @type {Float32Array} */ (list.toArray());
    const most = x.reduce((a, b) => Math.max(a, b));
    const lse = most + Math.log(x.reduce((sum, each) => sum + Math.exp(each - most), 0));
    return labels.isValid(row) ? lse - x[Number(labels.get(row))] : Number.NaN;
  });
}

const directory = mkdtempSync(join(tmpdir(), 'smoothloss-'));
try {
  const path = join(directory, 'logits.arrow');
  writeFileSync(path, tableToIPC(writeTable(), 'file'));

  const bytes = readFileSync(path);
  const table = tableFromIPC(bytes);
  const times = Array.from({ length: 5 }, () => {
    const started = performance.now();
    scoreTable(table, { logits: 'logits', labels: 'labels' });
    const scored = performance.now();
    byHand(table);
    return [scored - started, performance.now() - scored];
  });
  const [ours, hand] = [0, 1].map((i) =>
    times
      .map((pair) => pair[i])
      .sort((a, b) => a - b)[2]
      .toFixed(1),
  );

  const { loss, rows, losses } = scoreTable(table, { logits: 'logits', labels: 'labels' });
  const different = byHand(table).filter((expected, row) => {
    const actual = losses.get(row);
    return Number.isNaN(expected) ? actual !== null : !(Math.abs(Number(actual) - expected) < 1e-5);
  });
  const nulls = losses.nullCount;
  const copied = table.batches.filter((batch) => {
    const [list] = /** @type {Vector} */ (batch.getChild('logits')).data;
    return logitsOf(list).buffer !== bytes.buffer;
  });
  const count = (/** @type {number} */ n) => n.toLocaleString('en');
  console.log(
    `table   ${count(table.numRows)} rows × ${count(CLASSES)} classes, ${table.batches.length} record batches`,
  );
  console.log(`loss    ${loss.toFixed(6)}, the mean of ${count(rows)} rows; ${count(nulls)} have no label`);
  console.log(`time    scoreTable ${ours} ms; float64 by Arrow's getters ${hand} ms (medians of 5)`);
  console.log(`check   logits copied in ${copied.length} record batches; ${different.length} losses differ`);
  if (copied.length + different.length > 0 || rows + nulls !== table.numRows) process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true });
}
