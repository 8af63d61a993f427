// The promise: shards that a queue hands out make the file of one run, whatever happens to the workers; a worker at work
// keeps its shard, and a shard that cannot be scored is named.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { classIndices, normals } from '../support/data.js';
import { loadLibrary, runExample } from '../support/example-libraries.js';
import { root } from '../support/root.js';
import { dictionary, directory, env, INPUTS, inDirectory, score, writeNpy } from '../support/score.js';

const [ROWS, CLASSES] = [40_000, 20];
const queue = path.join(root, 'examples', 'libraries', 'queue.mjs');

let redis: ChildProcess;
let where: string[];
beforeAll(async () => {
  await loadLibrary('bullmq');
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  redis = spawn('redis-server', ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '']);
  redis.once('error', ({ message }) => {
    throw new Error(`redis-server cannot be had here: ${message}`);
  });
  for await (const line of createInterface(redis.stdout as NodeJS.ReadableStream)) {
    if (/Ready to accept connections/.test(line)) break;
  }
  where = ['--redis', `redis://127.0.0.1:${port}`];
});
afterAll(() => redis.kill());

const running = new Set<ChildProcess>();
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  await Promise.all([...running].map((child) => once(child, 'exit')));
});

/** A worker, and a promise of the line with that text among those that it prints. */
function work(lockSeconds = 1) {
  const args = [queue, 'work', '--lock-seconds', `${lockSeconds}`, ...where];
  const child = spawn(process.execPath, args, { cwd: directory, env });
  running.add(child);
  child.once('exit', () => running.delete(child));
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => lines.push(line));
  }
  const says = async (pattern: RegExp) => {
    for (;;) {
      const line = lines.find((each) => pattern.test(each));
      if (line !== undefined) return line;
      await sleep(5);
    }
  };
  return { child, lines, says };
}

function submit(shards: number, ...args: string[]) {
  const all = ['submit', '--shards', `${shards}`, ...where, '--', ...INPUTS, '--out', 'losses.npy', ...args];
  const child = spawn(process.execPath, [queue, ...all], { cwd: directory, env });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    output.stdout += data;
  });
  child.stderr.on('data', (data) => {
    output.stderr += data;
  });
  return once(child, 'close').then(([status]) => ({ ...output, status }));
}

function writeInputs(targets = classIndices(ROWS, CLASSES, 2)) {
  writeNpy('logits.npy', dictionary('<f4', [ROWS, CLASSES]), normals(ROWS * CLASSES, 1, 3));
  writeNpy('targets.npy', dictionary('<i4', [ROWS]), targets);
}

/** The losses of one run, and its numbers. */
function single(...args: string[]) {
  const { stdout } = score(...args, '--json', '--out', 'single.npy');
  return { losses: readFileSync(inDirectory('single.npy')), numbers: numbersIn(stdout) };
}

function numbersIn(json: string) {
  const { seconds, rowsPerSecond, bytesPerSecond, memory, ...numbers } = JSON.parse(json);
  return numbers;
}

const slow = ['--batch-bytes', '1', '--sync-seconds', '0.1']; // a row at a time

describe('examples/libraries/queue.mjs', () => {
  it('gives the losses and the numbers of one run', async () => {
    writeInputs();
    const { losses, numbers } = single('--label-smoothing', '0.1');
    const workers = [work(), work()];
    const { stdout, stderr, status } = await submit(5, '--label-smoothing', '0.1');
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(numbersIn(stdout)).toEqual(numbers);
    expect(readFileSync(inDirectory('losses.npy')).equals(losses)).toBe(true);
    const done = workers.flatMap(({ lines }) => lines.filter((line) => line.includes('/5')));
    expect(done.sort()).toEqual([0, 1, 2, 3, 4].map((i) => `shard ${i}/5`));
  });

  it('does so when workers are killed in mid-shard', async () => {
    writeInputs();
    const { losses, numbers } = single();
    const submitted = submit(4, ...slow);
    for (let i = 0; i < 3; i++) {
      const { child, says } = work();
      await says(/^shard/);
      await sleep(200 + 100 * i);
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    work();
    const { stdout, stderr, status } = await submitted;
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(numbersIn(stdout)).toEqual(numbers);
    expect(readFileSync(inDirectory('losses.npy')).equals(losses)).toBe(true);
  });

  it('a worker that is told to stop gives its shard back, which is not a try', async () => {
    writeInputs();
    const { losses } = single();
    const submitted = submit(1, ...slow);
    for (let i = 0; i < 4; i++) {
      const { child, says } = work(30); // so that no lock ends
      await says(/^shard 0\/1$/);
      await sleep(200);
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([0, null]);
    }
    work();
    const { stderr, status } = await submitted;
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(readFileSync(inDirectory('losses.npy')).equals(losses)).toBe(true);
  });

  it('what is submitted again while it is under way is done once', async () => {
    writeInputs();
    const { losses, numbers } = single();
    const first = submit(2);
    await sleep(1500); // nothing works yet
    const second = submit(2);
    await sleep(1500);
    const { lines } = work();
    const results = await Promise.all([first, second]);
    expect(results.map(({ status }) => status)).toEqual([0, 0]);
    expect(results.map(({ stdout }) => numbersIn(stdout))).toEqual([numbers, numbers]);
    expect(results[1].stderr).toBe('the same is under way: waiting for it\n');
    expect(lines).toEqual(['waiting for shards', 'shard 0/2', 'shard 1/2', 'merge 2']);
    expect(readFileSync(inDirectory('losses.npy')).equals(losses)).toBe(true);
  });

  it('a shard that takes longer than its lock stays with its worker', async () => {
    writeInputs();
    const workers = [work(), work()];
    const started = performance.now();
    const { status } = await submit(1, ...slow);
    expect(status).toBe(0);
    expect(performance.now() - started).toBeGreaterThan(2000); // two locks
    const shards = workers.flatMap(({ lines }) => lines.filter((line) => line.startsWith('shard')));
    expect(shards).toEqual(['shard 0/1']);
  });

  it('a shard that cannot be scored is tried again, then named; the others are scored', async () => {
    const targets = classIndices(ROWS, CLASSES, 2);
    targets[ROWS - 1] = CLASSES;
    writeInputs(targets);
    const { lines } = work();
    const { stdout, stderr, status } = await submit(3);
    const reason = `targets.npy: targets[${ROWS - 1}] is ${CLASSES}: must be an integer in [0, ${CLASSES}) or ignoreIndex -100`;
    expect({ stdout, stderr, status }).toEqual({ stdout: '', stderr: `shard 2/3: ${reason}\n`, status: 1 });
    expect(lines.filter((line) => line === `shard 2/3: ${reason}`)).toHaveLength(3);
    expect(lines.filter((line) => /^shard [01]\/3$/.test(line))).toHaveLength(2);
    const merged = score('--merge', '3');
    expect(merged.stderr).toMatch(/^score: shard 2\/3 has \d+ losses of \d+\n$/);
  });

  it('what is wrong with the options is said before anything is submitted', () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [queue, ...args], { cwd: directory, env, encoding: 'utf8' });
    for (const [args, message] of [
      [['submit', '--shards', '2', ...where, '--', ...INPUTS], /^--out is missing\n/],
      [['submit', ...where, '--', ...INPUTS, '--out', 'losses.npy'], /^Usage/],
      [
        ['submit', '--shards', '2', ...where, '--', ...INPUTS, '--restart'],
        /^--restart cannot be submitted\nUsage/,
      ],
      [['submit', '--shards', '2', '--logits', 'logits.npy'], /^Unknown option '--logits'\nUsage/],
      [['submit', '--shards', '0', ...where, '--', ...INPUTS, '--out', 'losses.npy'], /^Usage/],
      [['work', '--lock-seconds', '0'], /^Usage/],
      [['work', '--redis', 'redis://127.0.0.1:1'], /^there is no Redis at redis:\/\/127\.0\.0\.1:1: connect/],
      [['rest'], /^Usage/],
    ] as const) {
      const { stdout, stderr, status } = run(...args);
      expect({ stdout, status }, args.join(' ')).toEqual({ stdout: '', status: 1 });
      expect(stderr).toMatch(message);
    }
  });

  it('the example runs, kills a worker, and compares', () => {
    const { stdout, stderr, status } = runExample('queue-demo.mjs', ...where);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toContain('worker 1 is killed');
    expect(stdout).toMatch(/The losses are those of one run, byte for byte\.\n$/);
  });
});
