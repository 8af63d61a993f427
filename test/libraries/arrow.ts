// The promise: scoreTable gives the loss of every row of Arrow data, whatever its types, batches, slices and nulls, and
// copies no logit.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { mulberry32, normals } from '../support/data.js';
import { loadExample, loadLibrary, runExample } from '../support/example-libraries.js';

// biome-ignore lint/suspicious/noExplicitAny: the root has no types of it, as it does not depend on it
type Any = any;
let arrow: Any;
let scoreTable: Any;
let logitsOf: Any;
beforeAll(async () => {
  arrow = await loadLibrary('apache-arrow');
  ({ scoreTable, logitsOf } = await loadExample('arrow/score.mjs'));
});

const C = 13;
const names = { logits: 'x', labels: 'y' };

/** A row as it was written; null where the whole list or the label is null. */
type Row = { logits: number[] | null; label: number | null };

interface Shape {
  sizes?: number[];
  floats?: 'Float16' | 'Float32' | 'Float64';
  integers?: string;
  nulls?: boolean;
}

/** A table and its rows. Where something is null, the memory holds NaN, or a label that is none. */
function makeTable({ sizes = [17, 1, 40], floats = 'Float32', integers = 'Int32', nulls = true }: Shape) {
  const random = mulberry32(7);
  const rows: Row[] = [];
  const type = new arrow[floats]();
  const batches = sizes.map((length, batch) => {
    const numbers = normals(length * C, 10 + batch, 3);
    const data = new type.ArrayType(length * C);
    numbers.forEach((x, i) => {
      data[i] = floats === 'Float16' ? arrow.util.float64ToUint16(x) : x;
      if (floats === 'Float16') numbers[i] = arrow.util.uint16ToFloat64(data[i]);
    });
    const labelType = new arrow[integers]();
    const labels = new labelType.ArrayType(length);
    const listBits: boolean[] = [];
    const labelBits: boolean[] = [];
    for (let r = 0; r < length; r++) {
      const label = Math.floor(random() * C);
      listBits.push(!nulls || random() > 0.2);
      labelBits.push(!nulls || random() > 0.2);
      if (!listBits[r]) data.fill(floats === 'Float16' ? 0x7e00 : Number.NaN, r * C, (r + 1) * C);
      const stored = labelBits[r] ? label : 99;
      labels[r] = typeof labels[0] === 'bigint' ? BigInt(stored) : stored;
      rows.push({
        logits: listBits[r] ? Array.from(numbers.subarray(r * C, (r + 1) * C)) : null,
        label: labelBits[r] ? label : null,
      });
    }
    const bits = (valid: boolean[]) => (nulls ? { nullBitmap: arrow.util.packBools(valid) } : {});
    return {
      x: arrow.makeData({
        type: new arrow.FixedSizeList(C, new arrow.Field('item', type, true)),
        length,
        nullCount: nulls ? -1 : 0,
        ...bits(listBits),
        child: arrow.makeData({ type, data }),
      }),
      y: arrow.makeData({ type: labelType, data: labels, ...bits(labelBits) }),
    };
  });
  const table = new arrow.Table({
    x: new arrow.Vector(batches.map(({ x }) => x)),
    y: new arrow.Vector(batches.map(({ y }) => y)),
  });
  return { table, rows };
}

/** In float64; null for a row that takes no part. */
function byHand({ logits, label }: Row): number | null {
  if (logits === null || label === null) return null;
  const most = Math.max(...logits);
  return most + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0)) - logits[label];
}

function expectLosses(table: Any, rows: Row[]): void {
  const result = scoreTable(table, names);
  const expected = rows.map(byHand);
  const taking = expected.filter((loss) => loss !== null);
  expect(result.losses).toHaveLength(rows.length);
  expect(result.rows).toBe(taking.length);
  expected.forEach((loss, row) => {
    if (loss === null) expect(result.losses.get(row), `row ${row}`).toBeNull();
    else expect(result.losses.get(row), `row ${row}`).toBeCloseTo(loss, 5);
  });
  if (taking.length === 0) expect(result.loss).toBeNaN();
  else expect(result.loss).toBeCloseTo(taking.reduce((sum, loss) => sum + loss, 0) / taking.length, 5);
}

const written = (table: Any, how: 'file' | 'stream') => arrow.tableFromIPC(arrow.tableToIPC(table, how));

describe('the losses are those of float64 by hand', () => {
  it.each(['Float16', 'Float32', 'Float64'] as const)('of %s', (floats) => {
    for (const nulls of [false, true]) {
      const { table, rows } = makeTable({ floats, nulls });
      expect(rows.some(({ logits, label }) => logits === null || label === null)).toBe(nulls);
      for (const each of [table, written(table, 'file'), written(table, 'stream')]) expectLosses(each, rows);
    }
  });

  it.each(['Int8', 'Int16', 'Int32', 'Int64', 'Uint8', 'Uint16', 'Uint32', 'Uint64'])('of %s', (integers) => {
    const { table, rows } = makeTable({ integers });
    for (const each of [table, written(table, 'file'), written(table, 'stream')]) expectLosses(each, rows);
  });

  it('of slices, of slices of slices, and of slices that were written and read again', () => {
    for (const floats of ['Float32', 'Float16'] as const) {
      const { table: inMemory, rows } = makeTable({ floats, integers: 'Int64', sizes: [9, 30, 1, 70] });
      const table = written(inMemory, 'file');
      const random = mulberry32(3);
      const between = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
      for (let i = 0; i < 100; i++) {
        const first = between(0, rows.length - 1);
        const last = between(first + 1, rows.length);
        const slice = table.slice(first, last);
        expectLosses(slice, rows.slice(first, last));
        const inner = between(0, last - first - 1);
        expectLosses(slice.slice(inner), rows.slice(first + inner, last));
        expectLosses(written(slice, i % 2 === 0 ? 'file' : 'stream'), rows.slice(first, last));
      }
    }
  });

  it('of vectors in other pieces than each other', () => {
    const { table, rows } = makeTable({ sizes: [40, 60] });
    const [x, y] = [table.getChild('x'), table.getChild('y')];
    const other = new arrow.Table({ x: x.slice(5), y: y.slice(5, 30).concat(y.slice(30)) });
    expect(other.batches.length).toBeGreaterThan(2);
    expectLosses(other, rows.slice(5));
  });

  it('of a table without rows, and of one in which all are null', () => {
    const { table } = makeTable({});
    expectLosses(table.slice(4, 4), []);
    expectLosses(written(table.slice(4, 4), 'stream'), []);
    const x = table.getChild('x').slice(0, 17);
    const labels = arrow.vectorFromArray(new Array(17).fill(null), new arrow.Int32());
    expectLosses(new arrow.Table({ x, y: labels }), new Array(17).fill({ logits: null, label: null }));
  });

  it('with options: label smoothing, weights, ignoreIndex', () => {
    const { table, rows } = makeTable({ integers: 'Int8', nulls: false });
    const weight = Float32Array.from({ length: C }, (_, k) => 1 + k);
    const { loss, losses } = scoreTable(table, { ...names, weight, ignoreIndex: 3 });
    let [numerator, denominator] = [0, 0];
    rows.forEach((row, r) => {
      const w = row.label === 3 ? 0 : 1 + (row.label as number);
      numerator += w * (byHand(row) as number);
      denominator += w;
      expect(losses.get(r)).toBeCloseTo(w * (byHand(row) as number), 3);
    });
    expect(loss).toBeCloseTo(numerator / denominator, 4);
    const smoothed = scoreTable(table, { ...names, labelSmoothing: 1 });
    const uniform = rows.map(({ logits, label }) => {
      const x = logits as number[];
      return (
        (byHand({ logits, label }) as number) +
        x[label as number] -
        x.reduce((sum, each) => sum + each, 0) / C
      );
    });
    expect(smoothed.loss).toBeCloseTo(uniform.reduce((sum, loss) => sum + loss, 0) / rows.length, 5);
  });
});

describe('nothing is copied', () => {
  it('the logits of every batch, and of every slice, are a window on the bytes of the file', () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-arrow-'));
    try {
      for (const floats of ['Float16', 'Float32', 'Float64'] as const) {
        const file = path.join(directory, `${floats}.arrow`);
        writeFileSync(file, arrow.tableToIPC(makeTable({ floats }).table, 'file'));
        const bytes = readFileSync(file);
        const table = arrow.tableFromIPC(bytes);
        for (const each of [table, table.slice(3, 30)]) {
          for (const batch of each.batches) {
            const values = logitsOf(batch.getChild('x').data[0]);
            expect(values.buffer).toBe(bytes.buffer);
            expect(values).toHaveLength(batch.numRows * C);
          }
        }
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('what is refused', () => {
  /** Two lists, with a null among the numbers of the first, which may be null itself. */
  const torn = (listIsNull: boolean) => {
    const child = arrow.makeData({
      type: new arrow.Float32(),
      data: new Float32Array(2 * C),
      nullBitmap: arrow.util.packBools(Array.from({ length: 2 * C }, (_, i) => i !== 4)),
    });
    const x = arrow.makeData({
      type: new arrow.FixedSizeList(C, new arrow.Field('item', new arrow.Float32(), true)),
      length: 2,
      nullCount: -1,
      nullBitmap: arrow.util.packBools([!listIsNull, true]),
      child,
    });
    return new arrow.Table({ x: new arrow.Vector([x]), y: arrow.makeVector(Int32Array.of(1, 2)) });
  };

  it('a null among the logits of a row that takes part', () => {
    const message = 'record batch 0: the logits of row 0 hold a null: only a whole list may be null';
    expect(() => scoreTable(torn(false), names)).toThrow(message);
    expect(() => scoreTable(written(torn(false), 'stream'), names)).toThrow(message);
    expect(scoreTable(torn(true), names)).toMatchObject({ rows: 1, loss: expect.closeTo(Math.log(C), 6) });
    expect(scoreTable(torn(false).slice(1), names).rows).toBe(1);
  });

  it('a label that is no class, with the batch', () => {
    const { table } = makeTable({ sizes: [3, 3], nulls: false });
    table.getChild('y').set(4, 99);
    const message = `record batch 1: targets[1] is 99: must be an integer in [0, ${C}) or ignoreIndex -100`;
    expect(() => scoreTable(table, names)).toThrow(message);
    expect(() => scoreTable(table, names)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  });

  it('other columns', () => {
    const { table } = makeTable({ nulls: false });
    const score = (x: string, y: string) => () => scoreTable(table, { logits: x, labels: y });
    expect(score('z', 'y')).toThrow('column z is undefined: must be FixedSizeList of floats');
    expect(score('y', 'y')).toThrow('column y is Int32: must be FixedSizeList of floats');
    expect(score('x', 'x')).toThrow(/^column x is FixedSizeList\[13\]<Float32>: must be integers$/);
  });

  it('columns of different lengths', () => {
    const { table } = makeTable({ sizes: [17], nulls: false });
    const longer = arrow.makeVector(new Int32Array(20));
    const uneven = new arrow.Table({ x: table.getChild('x'), y: longer });
    const message = 'record batch 1: logits has length 0: must have targets.length · classes = 39';
    expect(() => scoreTable(uneven, names)).toThrow(message);
  });
});

describe('examples/libraries/arrow.mjs', () => {
  it('runs, and finds its losses right', () => {
    const { stdout, stderr, status } = runExample('arrow.mjs');
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toContain('logits copied in 0 record batches; 0 losses differ');
  });
});
