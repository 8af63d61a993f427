// @ts-check
// Adds cross entropy to DuckDB's SQL, and runs it over a Parquet file: see README.md.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { addCrossEntropy } from './duckdb/cross-entropy.mjs';

const [ROWS, CLASSES, RUNS] = [10_000, 1_000, 5];

const directory = mkdtempSync(join(tmpdir(), 'smoothloss-'));
const instance = await DuckDBInstance.create(':memory:');
const connection = await instance.connect();
try {
  // Such a file comes from a model's evaluation; here DuckDB makes one. Every tenth label is null.
  const file = join(directory, 'logits.parquet');
  await connection.run(`copy (
    select i % 4 as part,
      list_transform(range(${CLASSES}), lambda k: (hash(i * ${CLASSES} + k) % 4000) / 1000)::float[${CLASSES}] as logits,
      if(i % 10 = 9, null, hash(i) % ${CLASSES})::integer as label
    from range(${ROWS}) rows(i)
  ) to '${file}'`);

  addCrossEntropy(connection, { classes: CLASSES });
  await connection.run(`create table loaded as from '${file}'`);
  const ours = (/** @type {string} */ from) =>
    `select part, avg(ce(logits, label)), count(label) from ${from} group by part order by part`;
  // The same formula in SQL alone, in double.
  const sql = (/** @type {string} */ from) => `
    select part, avg(ln(list_sum(list_transform(x, lambda each: exp(each - most)))) + most - x[label + 1]), count(label)
    from (select part, label, logits::double[] as x, list_max(logits)::double as most from ${from})
    group by part order by part`;
  const queries = {
    'ce(logits, label) of the Parquet file': ours(`'${file}'`),
    'SQL alone of the Parquet file': sql(`'${file}'`),
    'ce(logits, label) of a table in memory': ours('loaded'),
    'SQL alone of a table in memory': sql('loaded'),
  };

  /** @type {number[][]} */
  const times = Object.keys(queries).map(() => []);
  /** @type {number[][][]} */
  let results = [];
  for (let run = 0; run < RUNS; run++) {
    results = [];
    for (const [i, query] of Object.values(queries).entries()) {
      const started = performance.now();
      const reader = await connection.runAndReadAll(query);
      times[i].push(performance.now() - started);
      results.push(reader.getRowsJS().map((row) => row.map(Number)));
    }
  }

  const count = (/** @type {number} */ n) => n.toLocaleString('en');
  console.log(`${count(ROWS)} rows × ${count(CLASSES)} classes`);
  for (const [part, mean, labels] of results[0]) {
    console.log(`part ${part}: mean loss ${mean.toFixed(6)} of ${count(labels)} rows with a label`);
  }
  Object.keys(queries).forEach((name, i) => {
    const median = times[i].sort((a, b) => a - b)[RUNS >> 1];
    console.log(
      `${name.padEnd(38)} ${median.toFixed(0).padStart(5)} ms, ${count(Math.round(ROWS / median))},000 rows/s`,
    );
  });
  const [expected, ...others] = results.map((rows) => rows.flat());
  const same = others.every((result) => result.every((value, i) => Math.abs(value - expected[i]) < 1e-5));
  console.log(same ? 'All four give the same.' : 'They differ.');
  if (!same) process.exitCode = 1;
} finally {
  connection.closeSync();
  instance.closeSync();
  rmSync(directory, { recursive: true });
}
