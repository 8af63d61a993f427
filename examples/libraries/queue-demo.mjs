// @ts-check
// Scores a file in eight shards with two workers of queue.mjs. One is killed in its first shard; the other continues it, and
// the losses are those of a single run to the last byte. Redis must run: redis-server --port 6379
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { formatHeader } from '../../bin/score/npy.mjs';

const ROWS = 200_000;
const CLASSES = 100;

const { values } = parseArgs({ options: { redis: { type: 'string', default: 'redis://127.0.0.1:6379' } } });
const folder = await mkdtemp(path.join(tmpdir(), 'smoothloss-queue-'));
/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/**
 * @param {string} name for the lines that it prints
 * @param {string[]} args
 */
function start(name, args) {
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  const lines = createInterface(child.stdout);
  lines.on('line', (line) => console.log(`${name.padEnd(9)} ${line}`));
  const ended = once(child, 'exit');
  const firstLine = Promise.race([
    once(lines, 'line'),
    ended.then(() => Promise.reject(new Error(`${name} ended`))),
  ]);
  return { child, lines, ended, firstLine };
}

const queue = (/** @type {string} */ name, /** @type {string[]} */ ...args) =>
  start(name, [path.join(import.meta.dirname, 'queue.mjs'), ...args]);
const files = (/** @type {string} */ out) => [
  '--logits',
  'logits.npy',
  '--targets',
  'targets.npy',
  '--out',
  out,
];

try {
  const logits = Float32Array.from({ length: ROWS * CLASSES }, (_, i) => 4 * Math.sin(i * i));
  const targets = Float32Array.from({ length: ROWS }, (_, row) => (7 * row) % CLASSES);
  const npy = (/** @type {string} */ name, /** @type {number[]} */ shape, /** @type {Float32Array} */ data) =>
    writeFile(path.join(folder, name), [formatHeader('float32', shape), data]);
  await npy('logits.npy', [ROWS, CLASSES], logits);
  await npy('targets.npy', [ROWS], targets);

  const where = ['--redis', values.redis, '--lock-seconds', '2'];
  const workers = ['worker 1', 'worker 2'].map((name) => queue(name, 'work', ...where));
  await Promise.all(workers.map(({ firstLine }) => firstLine));
  const submitted = queue(
    'submit',
    'submit',
    '--redis',
    values.redis,
    '--shards',
    '8',
    '--',
    ...files('losses.npy'),
  );
  await once(workers[0].lines, 'line');
  workers[0].child.kill('SIGKILL');
  console.log('          worker 1 is killed');
  const [status] = await submitted.ended;
  const single = start('one run', [
    path.join(import.meta.dirname, '../../bin/smoothloss.mjs'),
    'score',
    ...files('single.npy'),
  ]);
  await single.ended;
  const [losses, expected] = await Promise.all(
    ['losses.npy', 'single.npy'].map((name) => readFile(path.join(folder, name))),
  );
  const same = status === 0 && losses.equals(expected);
  console.log(
    same ? 'The losses are those of one run, byte for byte.' : 'The losses DIFFER from those of one run.',
  );
  process.exitCode = same ? 0 : 1;
} catch (error) {
  console.error(`queue: ${/** @type {Error} */ (error).message}`);
  process.exitCode = 1;
} finally {
  for (const child of running) child.kill();
  await rm(folder, { recursive: true });
}
