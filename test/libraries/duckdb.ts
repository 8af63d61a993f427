// The promise: ce(logits, label) in DuckDB's SQL is the cross entropy of every row, whatever the chunks, types and nulls;
// what is wrong ends the query with an error, and the connection goes on.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadExample, loadLibrary, runExample } from '../support/example-libraries.js';

const C = 32;

// biome-ignore lint/suspicious/noExplicitAny: the root has no types of it, as it does not depend on it
type Any = any;
let directory: string;
let instance: Any;
let connection: Any;
let addCrossEntropy: Any;

interface Row {
  id: number;
  part: number;
  logits: number[] | null;
  label: number | null;
}
let rows: Row[];

const query = async (sql: string): Promise<Any[][]> => (await connection.runAndReadAll(sql)).getRowsJS();
const parquet = (name: string) => `'${path.join(directory, `${name}.parquet`)}'`;

beforeAll(async () => {
  const duckdb = await loadLibrary('@duckdb/node-api');
  ({ addCrossEntropy } = await loadExample('duckdb/cross-entropy.mjs'));
  directory = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-duckdb-'));
  instance = await duckdb.DuckDBInstance.create(':memory:');
  connection = await instance.connect();
  addCrossEntropy(connection, { classes: C });

  await connection.run(`create table lists as
    select i::integer as id, (i % 7)::integer as part,
      case when i % 11 = 3 then null
        else list_transform(range(${C}), lambda k: (hash(i * ${C} + k) % 8000) / 1000 - 4) end::float[] as logits,
      if(i % 10 = 9, null, hash(i) % ${C})::integer as label
    from range(10000) rows(i)`);
  await connection.run(`create table arrays as select * replace (logits::float[${C}] as logits) from lists`);
  for (const table of ['lists', 'arrays']) await connection.run(`copy ${table} to ${parquet(table)}`);
  rows = (await query('select id, part, logits, label from lists order by id')).map(
    ([id, part, logits, label]) => ({ id, part, logits, label }),
  );
});

afterAll(() => {
  connection?.closeSync();
  instance?.closeSync();
  if (directory) rmSync(directory, { recursive: true });
});

/** In float64; null of a null. */
function byHand({ logits, label }: Pick<Row, 'logits' | 'label'>): number | null {
  if (logits === null || label === null) return null;
  const most = Math.max(...logits);
  return most + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0)) - logits[label];
}

function mean(losses: (number | null)[]): number {
  const there = losses.filter((loss) => loss !== null);
  return there.reduce((sum, loss) => sum + loss, 0) / there.length;
}

/** Expects `id, loss` of a query to be those of some rows. */
async function expectLosses(sql: string, expected: Row[]): Promise<void> {
  const result = await query(sql);
  expect(result.map(([id]) => id)).toEqual(expected.map(({ id }) => id));
  result.forEach(([id, loss], i) => {
    const value = byHand(expected[i]);
    if (value === null) expect(loss, `id ${id}`).toBeNull();
    else expect(loss, `id ${id}`).toBeCloseTo(value, 5);
  });
}

const SOURCES = ['lists', 'arrays', 'lists.parquet', 'arrays.parquet'];
const source = (name: string) =>
  name.endsWith('.parquet') ? parquet(path.basename(name, '.parquet')) : name;

describe('the losses are those of float64 by hand', () => {
  it.each(SOURCES)('of %s: each, the mean, and the mean of groups', async (name) => {
    const from = source(name);
    expect(rows.filter((row) => byHand(row) === null).length).toBeGreaterThan(1000);
    await expectLosses(`select id, ce(logits, label) from ${from} order by id`, rows);
    const [[all]] = await query(`select avg(ce(logits, label)) from ${from}`);
    expect(all).toBeCloseTo(mean(rows.map(byHand)), 5);
    const groups = await query(
      `select part, avg(ce(logits, label)) from ${from} group by part order by part`,
    );
    expect(groups.map(([part]) => part)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    for (const [part, loss] of groups) {
      expect(loss).toBeCloseTo(mean(rows.filter((row) => row.part === part).map(byHand)), 5);
    }
  });

  it.each(SOURCES)('of %s: some rows, in another order', async (name) => {
    const some = rows.filter(({ id }) => id % 3 === 1);
    const where = `${source(name)} where id % 3 = 1`;
    await expectLosses(`select id, ce(logits, label) from ${where} order by id`, some);
    await expectLosses(
      `select id, loss from (select id, ce(logits, label) as loss from ${where} order by id % 13, id) order by id`,
      some,
    );
    // Lists that stand in memory with gaps, of rows that are there and of others.
    const expected = some.map((row) => (row.id % 2 === 0 ? row : { ...row, logits: null }));
    await expectLosses(
      `select id, ce(case when id % 2 = 0 then logits::float[] end, label) from ${where} order by id`,
      expected,
    );
  });

  it('of constants, of parts of lists, and of lists that several rows share', async () => {
    const [first] = rows;
    const list = `(select logits from lists where id = 0)`;
    const [[one]] = await query(`select ce(${list}, ${first.label})`);
    expect(one).toBeCloseTo(byHand(first) as number, 5);
    const shared = await query(`select ce(${list}, label), label from lists where id % 10 < 9 order by id`);
    for (const [loss, label] of shared) {
      expect(loss).toBeCloseTo(byHand({ logits: first.logits, label }) as number, 5);
    }
    addCrossEntropy(connection, { name: 'ce5', classes: 5 });
    await expectLosses(
      'select id, ce5(logits[4:8], label % 5) from lists order by id',
      rows.map(({ logits, label, ...row }) => ({
        ...row,
        logits: logits?.slice(3, 8) ?? null,
        label: label === null ? null : label % 5,
      })),
    );
    expect(await query('select ce(null, 1), ce([1.0]::float[], null)')).toEqual([[null, null]]);
  });

  it.each(['tinyint', 'smallint', 'integer', 'bigint', 'utinyint', 'usmallint', 'uinteger'])(
    'of labels that are %s',
    async (type) => {
      await expectLosses(`select id, ce(logits, label::${type}) from lists order by id`, rows);
    },
  );

  it('with options', async () => {
    addCrossEntropy(connection, { name: 'ce_smooth', classes: C, labelSmoothing: 1, ignoreIndex: 3 });
    const result = await query('select ce_smooth(logits, label), logits, label from lists order by id');
    for (const [loss, logits, label] of result) {
      const hard = byHand({ logits, label });
      if (hard === null) expect(loss).toBeNull();
      else if (label === 3) expect(loss).toBe(0);
      else
        expect(loss).toBeCloseTo(
          hard + logits[label] - logits.reduce((a: number, b: number) => a + b) / C,
          5,
        );
    }
  });

  it("with several of DuckDB's threads: JavaScript runs on its own thread, and its event loop goes on", async () => {
    await connection.run('set threads = 4');
    await connection.run(`create table many as
      select logits, label, id from lists, range(40) copies(i) where logits is not null and label is not null`);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const [[loss, count]] = await query('select avg(ce(logits, label)), count(*) from many');
    clearInterval(timer);
    expect(loss).toBeCloseTo(mean(rows.map(byHand)), 5);
    expect(count).toBeGreaterThan(300_000n); // row groups are of 122,880 rows: more than one thread scans
    expect(turns).toBeGreaterThan(0);
  });
});

describe('what is wrong ends the query with an error', () => {
  it.each([
    [
      'select ce(logits, label) from (select logits[1:31] as logits, label from lists)',
      /: a list of 31 logits: there must be 32, one a class$/,
    ],
    ['select ce([], 0)', /a list of 0 logits: there must be 32/],
    [
      'select ce(logits, 32) from lists',
      /targets\[\d+\] is 32n?: must be an integer in \[0, 32\) or ignoreIndex -100$/,
    ],
    ['select ce(logits, -1) from arrays', /targets\[\d+\] is -1n?: must be an integer in \[0, 32\)/],
    [
      `select ce(list_transform(range(${C}), lambda k: if(k = 7, null, k))::float[], 0)`,
      /: a list of logits holds a null: must hold numbers$/,
    ],
    [
      `select ce(list_transform(range(${C}), lambda k: if(k = 7, null, k))::float[${C}], label) from lists`,
      /holds a null/,
    ],
    ['select ce(logits::double[], label) from lists', /^Binder Error: No function matches .*DOUBLE\[\]/],
    ["select ce(logits, 'cat') from lists", /Could not convert string 'cat' to INT64/],
  ])('%s', async (sql, message) => {
    await expect(query(sql)).rejects.toThrow(message);
    const [[loss]] = await query('select avg(ce(logits, label)) from lists');
    expect(loss).toBeCloseTo(mean(rows.map(byHand)), 5);
  });
});

describe('examples/libraries/duckdb.mjs', () => {
  it('runs, and finds its losses right', () => {
    const { stdout, stderr, status } = runExample('duckdb.mjs');
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toContain('All four give the same.');
  });
});
