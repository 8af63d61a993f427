// The promise: shards of smoothloss score, in whatever order, at once, killed and continued, make together the file
// and the numbers of one run, to the last byte; and nothing else passes for that.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { crossEntropy } from 'smoothloss';
import { beforeEach, describe, expect, it } from 'vitest';
import { classIndices, mulberry32, normals } from './support/data.js';
import {
  bytesOf,
  dictionary,
  directory,
  env,
  INPUTS,
  inDirectory,
  load,
  program,
  score,
  writeNpy,
} from './support/score.js';

const R = 2500; // blocks of 3 rows, and the last one of 1
const C = 5;
const logits = normals(R * C, 1, 3);
const targets = classIndices(R, C, 2);
for (let row = 3; row < R; row += 7) targets[row] = -100;

function writeInputs(values = logits, classes = targets): void {
  writeNpy('logits.npy', dictionary('<f4', [classes.length, C]), values);
  writeNpy('targets.npy', dictionary('<i4', [classes.length]), classes);
}
beforeEach(() => writeInputs());

const out = () => readFileSync(inDirectory('losses.npy'));
const written = () =>
  readdirSync(directory)
    .filter((name) => name.startsWith('losses.npy'))
    .sort();
const journal = (shard: number, of: number) => inDirectory(`losses.npy.partial.${shard}-of-${of}.json`);

/** Runs it to its end, and returns the numbers that do not speak of time and memory. */
function numbers(...args: string[]): Record<string, unknown> {
  const { stdout, stderr, status } = score(...args, '--json');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const { seconds, rowsPerSecond, bytesPerSecond, memory, ...rest } = JSON.parse(stdout);
  return rest;
}

/** What one run writes and prints, without leaving it there. */
function oneRun(...args: string[]): { bytes: Buffer; json: Record<string, unknown>; text: string } {
  const json = numbers(...args);
  const bytes = out();
  const text = lines(score(...args).stdout);
  rmSync(inDirectory('losses.npy'));
  return { bytes, json, text };
}

/** The summary without the lines on time and memory. */
const lines = (stdout: string) => stdout.replace(/^(speed|memory) .*\n/gm, '');

function expectMerged(of: number, { bytes, json }: ReturnType<typeof oneRun>, ...args: string[]): void {
  expect(existsSync(inDirectory('losses.npy'))).toBe(false);
  expect(numbers(...args, '--merge', `${of}`)).toEqual(json);
  expect(out().equals(bytes)).toBe(true);
  expect(written()).toEqual(['losses.npy']);
  rmSync(inDirectory('losses.npy'));
}

function expectError(message: string, ...args: string[]): void {
  const before = written().map((name) => [name, readFileSync(inDirectory(name))]);
  const { stdout, stderr, status } = score(...args);
  expect({ stdout, stderr, status }).toEqual({ stdout: '', stderr: `score: ${message}\n`, status: 1 });
  expect(written().map((name) => [name, readFileSync(inDirectory(name))])).toEqual(before);
}

describe('the sums are the same', () => {
  it('in batches of any size', () => {
    // Sums of float32 in double are often exact, and those of many blocks hide the order within one.
    const some = targets.map((_, row) => (row >= 3 && row < 6 ? row % C : -100));
    writeInputs(logits, some);
    writeNpy('logits.npy', dictionary('<f8', [R, C]), Float64Array.from(logits.map((x) => x / 3)));
    writeNpy('w.npy', dictionary('<f4', [C]), Float32Array.of(0.1, 0.7, 1 / 3, 0, 1e-3));
    for (const args of [[], ['--weight', 'w.npy', '--label-smoothing', '0.1']]) {
      const { json, bytes } = oneRun(...args);
      for (const size of ['1', '100', '20KB']) {
        expect(numbers(...args, '--batch-bytes', size)).toEqual(json);
        expect(out().equals(bytes)).toBe(true);
      }
    }
  });

  it('as those of the losses by hand', () => {
    const weight = Float32Array.of(0.1, 0.7, 1 / 3, 0, 1e-3);
    writeNpy('w.npy', dictionary('<f4', [C]), weight);
    const options = { classes: C, reduction: 'none', weight, ignoreIndex: [-100, 2] } as const;
    const { losses, rows } = crossEntropy(logits, targets, options);
    const { json, bytes } = oneRun('--weight', 'w.npy', '--ignore-index', '-100', '--ignore-index', '2');
    expect(bytes.subarray(128).equals(bytesOf(losses))).toBe(true);
    const classes = targets.filter((target) => target !== -100 && target !== 2);
    expect(json.ignored).toBe(R - rows);
    expect(Number(json.numerator) / losses.reduce((sum, loss) => sum + loss, 0)).toBeCloseTo(1, 12);
    const denominator = classes.reduce((sum, target) => sum + weight[target], 0);
    expect(Number(json.denominator) / denominator).toBeCloseTo(1, 12);
  });
});

describe('shards make what one run makes', () => {
  it.each([1, 2, 3, 7])('%d of them, in whatever order, in batches of any size', (of) => {
    const whole = oneRun('--label-smoothing', '0.1');
    const sizes = ['1', '300', '4MiB'];
    const order = Array.from({ length: of }, (_, i) => (i * 3 + 1) % of);
    if (of === 3) order.splice(0, 3, 2, 0, 1);
    let [rows, correct] = [0, 0];
    for (const i of order) {
      const args = ['--label-smoothing', '0.1', '--shard', `${i}/${of}`, '--batch-bytes', sizes[i % 3]];
      const json = numbers(...args);
      expect(json.shard).toBe(`${i}/${of}`);
      rows += Number(json.rows);
      correct += Number(json.correct);
    }
    expect({ rows, correct }).toEqual({ rows: R, correct: whole.json.correct });
    expectMerged(of, whole, '--label-smoothing', '0.1');
  });

  it('more of them than blocks', () => {
    writeInputs(logits.subarray(0, 4 * C), targets.subarray(0, 4));
    const whole = oneRun();
    const rows = [];
    for (const i of [5, 4, 3, 2, 1, 0]) rows.unshift(numbers('--shard', `${i}/6`).rows);
    expect(rows).toEqual([0, 1, 1, 0, 1, 1]);
    expect(score('--shard', '0/6').stdout).toContain('shard       0/6: no rows\n');
    expectMerged(6, whole);
  });

  it.each([0, 1])('of %d rows', (count) => {
    writeInputs(logits.subarray(0, count * C), targets.subarray(0, count));
    const whole = oneRun();
    for (const i of [0, 1]) numbers('--shard', `${i}/2`);
    expectMerged(2, whole);
  });

  it('of float64, with weights, probabilities and axes in front', () => {
    const soft = logits.map((x) => Math.abs(x) / C);
    writeNpy('logits.npy', dictionary('<f8', [50, 50, C]), Float64Array.from(logits));
    writeNpy('targets.npy', dictionary('<f4', [50, 50, C]), soft);
    writeNpy('w.npy', dictionary('<f4', [C]), Float32Array.of(0.1, 0.7, 1 / 3, 0, 1e-3));
    const whole = oneRun('--weight', 'w.npy');
    for (const i of [2, 0, 1]) numbers('--weight', 'w.npy', '--shard', `${i}/3`);
    expectMerged(3, whole, '--weight', 'w.npy');
  });

  it('with the first rows of all whose loss is not finite, and the same summary', () => {
    const bad = logits.slice();
    for (const row of [1201, 1300, 5, 2499, 1301, 1302, 12]) bad[row * C] = Number.NaN;
    for (const row of [2000, 30]) bad[row * C + targets[row]] = -Infinity;
    writeInputs(bad);
    const whole = oneRun();
    expect(whole.json).toMatchObject({
      nan: { count: 7, first: [5, 12, 1201, 1300, 1301] },
      infinite: { count: 2, first: [30, 2000] },
      loss: 'NaN',
    });
    expect(numbers('--shard', '1/2')).toMatchObject({
      ...{ shard: '1/2', first: 1251, rows: 1249, nan: { count: 4, first: [1300, 1301, 1302, 2499] } },
    });
    numbers('--shard', '0/2');
    const { stdout } = score('--merge', '2');
    expect(lines(stdout)).toBe(whole.text);
    expect(stdout).not.toMatch(/speed|resumed/);
    expect(out().equals(whole.bytes)).toBe(true);
  });

  it('that run at once, beside an older output', async () => {
    const rows = 30_000;
    writeInputs(normals(rows * C, 6, 2), classIndices(rows, C, 7));
    const whole = oneRun();
    for (let round = 0; round < 3; round++) {
      const children = [0, 1, 2].map((i) => start('--shard', `${i}/3`, '--batch-bytes', '500'));
      const codes = await Promise.all(children.map(async (child) => (await once(child, 'close'))[0]));
      expect(codes).toEqual([0, 0, 0]);
      expectMerged(3, whole);
    }
  });

  it('of files that are the same under other paths', () => {
    const whole = oneRun();
    symlinkSync('.', inDirectory('mounted'));
    numbers('--shard', '0/2');
    const there = (name: string) => path.join('mounted', `${name}.npy`);
    const args = ['logits', 'targets'].flatMap((name) => [`--${name}`, there(name)]);
    numbers(...args, '--shard', '1/2', '--out', there('losses'));
    expectMerged(2, whole);
  });
});

const start = (...args: string[]) =>
  spawn(process.execPath, program([...INPUTS, '--out', 'losses.npy', ...args]), {
    cwd: directory,
    env,
    stdio: 'ignore',
  });

describe('killed', () => {
  const random = mulberry32(11);

  it('20 times in its course, a shard continues to the same bytes', async () => {
    const rows = 40_000; // far more than it can do before it is killed
    writeInputs(normals(rows * C, 6, 2), classIndices(rows, C, 7));
    const whole = oneRun();
    numbers('--shard', '0/2');
    const done = () => {
      try {
        return JSON.parse(readFileSync(journal(1, 2), 'utf8')).done as number;
      } catch {
        return 0;
      }
    };
    for (let round = 0; round < 20; round++) {
      const until = done() + Math.floor(800 * random());
      const args = ['--shard', '1/2', '--batch-bytes', `${24 * (1 + (round % 20))}`, '--sync-seconds', '0'];
      const child = start(...args);
      const closed = once(child, 'close');
      while (child.exitCode === null && done() <= until) await sleep(1);
      child.kill('SIGKILL');
      await closed;
      expect(child.signalCode).toBe('SIGKILL');
    }
    expect(done()).toBeLessThan(rows / 2);
    const { stderr } = score('--shard', '1/2');
    expect(stderr).toMatch(/^\d+ of \d+ losses are there already: continuing after them\n$/);
    expectMerged(2, whole);
  });

  it('at any moment, a merge can be repeated', async () => {
    const whole = oneRun();
    for (const i of [0, 1]) numbers('--shard', `${i}/2`);
    const shards = written().map((name) => [inDirectory(name), readFileSync(inDirectory(name))] as const);
    for (let round = 0; round < 10; round++) {
      for (const [file, bytes] of shards) writeFileSync(file, bytes);
      const child = start('--merge', '2');
      const closed = once(child, 'close');
      const before = written().join();
      while (child.exitCode === null && written().join() === before) await sleep(1);
      if (round > 0) await sleep(2 * random());
      child.kill('SIGKILL');
      await closed;
      if (existsSync(inDirectory('losses.npy'))) expect(out().equals(whole.bytes)).toBe(true);
      if (written().join() !== 'losses.npy') expect(numbers('--merge', '2')).toEqual(whole.json);
      expect(out().equals(whole.bytes)).toBe(true);
      expect(written()).toEqual(['losses.npy']);
      rmSync(inDirectory('losses.npy'));
    }
  });

  /** The files after each step of a merge. */
  it.each([
    ['when all sums are in one journal', ['losses.npy.partial', '.json', '.0-of-2.json', '.1-of-2.json']],
    ['among the removals of journals', ['losses.npy.partial', '.json', '.1-of-2.json']],
    ['before the file has its name', ['losses.npy.partial', '.json']],
    ['before its journal is removed', ['losses.npy', '.json']],
  ])('%s, a merge is completed', (_, [first, ...journals]) => {
    const whole = oneRun();
    for (const i of [0, 1]) numbers('--shard', `${i}/2`);
    const shards = [0, 1].map((i) => readFileSync(journal(i, 2)));
    const partial = readFileSync(inDirectory('losses.npy.partial'));
    // The journal that all become: the run is that of the shards.
    const [a, b] = shards.map((bytes) => JSON.parse(bytes.toString()));
    const sums = { ...a, done: R, rows: a.rows + b.rows, correct: a.correct + b.correct, blocks: [a, b] };
    sums.blocks = [...a.blocks, ...b.blocks];
    for (const name of written()) rmSync(inDirectory(name));
    whole.bytes.copy(partial, 0, 0, 128);
    writeFileSync(inDirectory(first), partial);
    for (const name of journals) {
      const contents = name === '.json' ? JSON.stringify(sums) : shards[Number(name[1])];
      writeFileSync(inDirectory(`losses.npy.partial${name}`), contents);
    }
    expect(numbers('--merge', '2')).toEqual(whole.json);
    expect(out().equals(whole.bytes)).toBe(true);
    expect(written()).toEqual(['losses.npy']);
  });
});

// As a worker whose machine slept does, when another one has taken its shard.
it('a shard that was stopped while others ended the run writes nothing more', async () => {
  const rows = 40_000;
  writeInputs(normals(rows * C, 6, 2), classIndices(rows, C, 7));
  const whole = oneRun();
  const child = start(
    '--shard',
    '0/2',
    '--label-smoothing',
    '0.3',
    '--batch-bytes',
    '24',
    '--sync-seconds',
    '0',
  );
  const closed = once(child, 'close');
  while (!existsSync(journal(0, 2))) await sleep(1);
  child.kill('SIGSTOP');
  numbers('--shard', '0/2', '--restart');
  numbers('--shard', '1/2');
  expect(numbers('--merge', '2')).toEqual(whole.json);
  child.kill('SIGCONT');
  expect(await closed).toEqual([1, null]);
  expect(out().equals(whole.bytes)).toBe(true);
  expect(written()).toEqual(['losses.npy']);
});

it('a merge stops at SIGTERM, and the same command ends it', async () => {
  const whole = oneRun();
  for (const i of [0, 1]) numbers('--shard', `${i}/2`);
  const { score: merge } = await load('score.mjs');
  const { readOptions } = await load('options.mjs');
  const [logitsFile, targetsFile, outFile] = ['logits.npy', 'targets.npy', 'losses.npy'].map(inDirectory);
  const files = ['--logits', logitsFile, '--targets', targetsFile, '--out', outFile];
  const stopped = merge(readOptions([...files, '--merge', '2']), { signal: AbortSignal.abort() });
  await expect(stopped).rejects.toThrow('stopped; the same command continues where the losses are safe');
  expectMerged(2, whole);
});

describe('a merge is refused', () => {
  it('if a shard is missing, not whole or not understood', () => {
    const whole = oneRun();
    expectError('no shard of losses.npy has been scored', '--merge', '4');
    numbers('--shard', '1/4');
    expectError('shard 0/4 is missing; shard 2/4 is missing; shard 3/4 is missing', '--merge', '4');
    for (const i of [0, 2, 3]) numbers('--shard', `${i}/4`);
    const bytes = readFileSync(journal(3, 4));
    const { blocks, ...json } = JSON.parse(bytes.toString());
    writeFileSync(journal(3, 4), JSON.stringify({ ...json, done: 6, blocks: blocks.slice(0, 2) }));
    expectError(`shard 3/4 has 6 losses of ${json.done}`, '--merge', '4');
    writeFileSync(journal(3, 4), '{');
    expectError('shard 3/4 has a journal that is not understood', '--merge', '4');
    expectError('losses.npy.partial.3-of-4.json is not understood: --restart begins anew', '--shard', '3/4');
    writeFileSync(journal(3, 4), bytes);
    expectMerged(4, whole);
  });

  it('if many are missing: some are named', () => {
    numbers('--shard', '1/40');
    const first = [0, 2, 3, 4, 5].map((i) => `shard ${i}/40 is missing`);
    expectError(`${first.join('; ')} and 34 more`, '--merge', '40');
  });

  it('if a shard is of other options, or of another file', () => {
    const whole = oneRun();
    numbers('--shard', '0/2');
    numbers('--shard', '1/2', '--label-smoothing', '0.1');
    expectError('shard 1/2 was begun with --label-smoothing 0.1, and this is 0', '--merge', '2');
    expectError(
      'losses.npy.partial was begun with --label-smoothing 0.1, and this is 0: --restart begins anew',
      '--shard',
      '1/2',
    );
    numbers('--shard', '1/2', '--restart');
    expectMerged(2, whole);

    numbers('--shard', '0/2');
    writeInputs(logits.with(0, 1));
    numbers('--shard', '1/2');
    const { stderr, status } = score('--merge', '2');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^score: shard 0\/2 was begun with logits logits\.npy, float32 .*\n$/);
  });

  it('if losses are not those that a shard wrote', () => {
    const whole = oneRun();
    for (const i of [0, 1, 2]) numbers('--shard', `${i}/3`);
    const partial = inDirectory('losses.npy.partial');
    const bytes = readFileSync(partial);
    bytes[128 + 4 * 1000] ^= 1;
    writeFileSync(partial, bytes);
    expectError('shard 1/3 has lost what it wrote: score it with --restart', '--merge', '3');
    numbers('--shard', '1/3', '--restart');
    truncateSync(partial, 200);
    const anew = 'to begin anew, remove losses.npy.partial*';
    for (const args of [
      ['--merge', '3'],
      ['--shard', '1/3'],
      ['--shard', '1/3', '--restart'],
    ]) {
      expectError(`losses.npy.partial is 200 bytes, and must be 10128 for this run: ${anew}`, ...args);
    }
    rmSync(partial);
    numbers('--shard', '1/3');
    expectError(
      'shard 0/3 has lost what it wrote; shard 2/3 has lost what it wrote: score it with --restart',
      '--merge',
      '3',
    );
    rmSync(partial);
    expectError('losses.npy.partial is gone: score all shards with --restart', '--merge', '3');
    for (const i of [0, 1, 2]) numbers('--shard', `${i}/3`, ...(i > 0 ? ['--restart'] : []));
    expectMerged(3, whole);
  });

  it('after it was done', () => {
    for (const i of [0, 1]) numbers('--shard', `${i}/2`);
    numbers('--merge', '2');
    expectError('no shard of losses.npy has been scored; losses.npy is there already', '--merge', '2');
  });
});

describe('what another run has left is kept', () => {
  const others = (how: string, name: string, end: string) =>
    `losses.npy.partial is of a run ${how}, as ${name} beside it says: end that with ${end}, or remove losses.npy.partial*`;

  it('by a run without shards, and by other shards', () => {
    numbers('--shard', '1/3');
    const message = others('in 3 shards', 'losses.npy.partial.1-of-3.json', '--merge 3');
    for (const args of [[], ['--shard', '0/2'], ['--merge', '2']]) {
      expectError(message, ...args);
      if (args[0] !== '--merge') expectError(message, ...args, '--restart');
    }
  });

  it('by shards', () => {
    writeInputs(logits, targets.with(50, C));
    expect(score('--batch-bytes', '1', '--sync-seconds', '0').status).toBe(1);
    expect(written()).toEqual(['losses.npy.partial', 'losses.npy.partial.json']);
    const end = 'the command that began it';
    const message = others('without --shard, or of a merge', 'losses.npy.partial.json', end);
    for (const args of [
      ['--shard', '0/2'],
      ['--shard', '0/2', '--restart'],
      ['--merge', '2'],
    ]) {
      expectError(message, ...args);
    }
  });

  it('by a shard of a file of another size', () => {
    numbers('--shard', '1/2');
    writeInputs(logits.subarray(0, 20 * C), targets.subarray(0, 20));
    expectError(
      'losses.npy.partial is 10128 bytes, and must be 208 for this run: to begin anew, remove losses.npy.partial*',
      '--shard',
      '0/2',
    );
  });

  it('and a shard that is repeated scores nothing', () => {
    numbers('--shard', '1/2');
    const { ino, mtimeMs } = statSync(inDirectory('losses.npy.partial'));
    const { stderr, status } = score('--shard', '1/2');
    expect({ stderr, status }).toEqual({
      stderr: '1249 of 1249 losses are there already: nothing to score\n',
      status: 0,
    });
    expect(statSync(inDirectory('losses.npy.partial'))).toMatchObject({ ino, mtimeMs });
  });

  it('if it is no regular file, or an input', async () => {
    const { openInputs } = await load('inputs.mjs');
    const files = { logits: 'logits.npy', targets: 'targets.npy', out: 'losses.npy' };
    const options = Object.fromEntries(
      Object.entries(files).map(([name, file]) => [name, inDirectory(file)]),
    );
    const KINDS: Record<string, (file: string) => void> = {
      'a folder,': (file) => mkdirSync(file),
      'a symbolic link to other.npy,': (file) => symlinkSync('other.npy', file),
      'an input': (file) => linkSync(inDirectory('targets.npy'), file),
    };
    for (const end of ['', '.partial', '.partial.1-of-2.json', '.partial.1-of-2.json.next']) {
      const file = `${options.out}${end}`;
      for (const [what, make] of Object.entries(KINDS)) {
        make(file);
        for (const more of [{ shard: { index: 1, of: 2 } }, { merge: 2 }]) {
          const where = end === '' ? '' : `, for which ${file} is written`;
          const message = `--out is ${options.out}${where}: that is ${what}`;
          await expect(openInputs({ ...options, ...more })).rejects.toThrow(message);
        }
        rmSync(file, { recursive: true });
      }
    }
  });
});

describe('options', () => {
  it.each([
    ["--shard is '2/2': the last one of 2 is 1/2", ['--shard', '2/2']],
    ["--shard is '1': must be i/n, with i from 0 and n from 1 to 10000", ['--shard', '1']],
    ["--shard is '0/0': must be i/n, with i from 0 and n from 1 to 10000", ['--shard', '0/0']],
    ["--shard is '-1/2': must be i/n, with i from 0 and n from 1 to 10000", ['--shard=-1/2']],
    ["--shard is '0/99999': must be i/n, with i from 0 and n from 1 to 10000", ['--shard', '0/99999']],
    ["--merge is '0': must be a number from 1 to 10000", ['--merge', '0']],
    ["--merge is '1e3': must be a number from 1 to 10000", ['--merge', '1e3']],
    ['--merge comes after all runs with --shard: give one of them', ['--shard', '0/2', '--merge', '2']],
    ['--merge scores nothing: --restart goes with --shard', ['--merge', '2', '--restart']],
  ])('%s', (message, args) => {
    expectError(message, ...args);
  });
});
