// The promise: examples/score.mjs computes what crossEntropy does of the whole arrays at once, to the bit, from
// any .npy file that it takes, in bounded memory, at whatever moment it is killed.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { crossEntropy, type IndexArray, type Logits, type SoftTargets } from 'smoothloss';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { classIndices, mulberry32, normals } from './support/data.js';
import { root } from './support/root.js';

type Floats = Float32Array | Float64Array;

const ARRAYS = {
  '<f4': Float32Array,
  '<f8': Float64Array,
  '<f2': Uint16Array,
  '|i1': Int8Array,
  '<i2': Int16Array,
  '<i4': Int32Array,
  '<i8': BigInt64Array,
  '|u1': Uint8Array,
  '<u2': Uint16Array,
  '<u4': Uint32Array,
  '<u8': BigUint64Array,
};

let directory: string;
beforeAll(() => {
  directory = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'smoothloss-score-')));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => {
  for (const name of readdirSync(directory)) rmSync(path.join(directory, name), { recursive: true });
});

const inDirectory = (name: string) => path.join(directory, name);
const bytesOf = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
const tuple = (shape: readonly number[]) => (shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`);
const dictionary = (descr: string, shape: readonly number[]) =>
  `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple(shape)}, }`;

/** Writes a file as the format's description says, by hand. */
function writeNpy(name: string, header: string, data: ArrayBufferView = Buffer.of(), version = 1): void {
  const text = Buffer.from(header, version === 3 ? 'utf8' : 'latin1');
  const start = Buffer.alloc(version === 1 ? 10 : 12);
  start.write('\x93NUMPY', 'latin1');
  start[6] = version;
  if (version === 1) start.writeUInt16LE(text.length, 8);
  else start.writeUInt32LE(text.length, 8);
  writeFileSync(inDirectory(name), Buffer.concat([start, text, bytesOf(data)]));
}

/** Reads a file and checks that its header is, byte for byte, what NumPy writes. */
function readNpy(name: string): { losses: Floats; shape: number[] } {
  const bytes = readFileSync(inDirectory(name));
  const offset = 10 + bytes.readUInt16LE(8);
  expect(bytes.toString('latin1', 0, 8)).toBe('\x93NUMPY\x01\x00');
  expect(offset % 64).toBe(0);
  const header = bytes.toString('latin1', 10, offset);
  const [, descr, sizes] = /^\{'descr': '(<f[48])', .*'shape': \(([\d, ]*)\), \} *\n$/.exec(header) ?? [];
  const shape = sizes.split(/, ?/).filter(Boolean).map(Number);
  expect(header.trimEnd()).toBe(dictionary(descr, shape));
  expect(header.length - header.trimEnd().length).toBeLessThanOrEqual(64);
  const Losses = descr === '<f8' ? Float64Array : Float32Array;
  return { losses: new Losses(Uint8Array.from(bytes.subarray(offset)).buffer), shape };
}

const load = (file: string) => import(pathToFileURL(path.join(root, 'examples', 'score', file)).href);

const env = { ...process.env };
for (const name of Object.keys(env))
  if (/^(SMOOTHLOSS_(?!PREBUILD$)|NODE_OPTIONS|VITEST)/.test(name)) delete env[name];

const INPUTS = ['--logits', 'logits.npy', '--targets', 'targets.npy'];
const program = (args: readonly string[]) => [path.join(root, 'examples', 'score.mjs'), ...args];

function score(...args: string[]): { stdout: string; stderr: string; status: number | null } {
  const all = args.includes('--logits') ? args : [...INPUTS, ...args];
  const out = all.includes('--out') ? all : [...all, '--out', 'losses.npy'];
  return spawnSync(process.execPath, program(out), {
    cwd: directory,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  });
}

/** Runs it to its end and returns the losses. */
function losses(...args: string[]): Floats {
  const { stderr, status } = score(...args);
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  expect(readdirSync(directory).filter((name) => /partial/.test(name))).toEqual([]);
  return readNpy('losses.npy').losses;
}

function expectSameBits(actual: Floats, expected: Floats): void {
  expect(actual.constructor).toBe(expected.constructor);
  expect(bytesOf(actual).equals(bytesOf(expected))).toBe(true);
}

/** The bits of half floats whose values are about those of `values`. */
function halves(values: Float32Array, dtype: 'float16' | 'bfloat16'): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (dtype === 'bfloat16') return Uint16Array.from(bits, (each) => each >>> 16);
  // Any bits do, but those of infinities and NaN.
  return Uint16Array.from(bits, (each) => (each >>> 16) & 0xbfff);
}

const R = 37;
const C = 11;
const logits = normals(R * C, 1, 3);
const targets = classIndices(R, C, 2);
for (let row = 3; row < R; row += 7) targets[row] = -100;

function writeInputs(
  descr: string,
  logitData: ArrayBufferView,
  targetDescr: string,
  targetData: ArrayBufferView,
  targetShape = [R],
): void {
  writeNpy('logits.npy', dictionary(descr, [R, C]), logitData);
  writeNpy('targets.npy', dictionary(targetDescr, targetShape), targetData);
}

const whole = (
  values: Logits,
  targetData: IndexArray | SoftTargets,
  options: {
    labelSmoothing?: number;
    ignoreIndex?: number[];
    dtype?: 'float16' | 'bfloat16';
    weight?: Float32Array;
  } = {},
) => crossEntropy(values as Float32Array, targetData, { classes: C, reduction: 'none', ...options });

describe('the losses are those of the whole arrays at once', () => {
  it.each([
    ['<f4', logits, undefined],
    ['<f8', Float64Array.from(logits, (x) => x / 3), undefined],
    ['<f2', halves(logits, 'float16'), 'float16'],
    ['<u2', halves(logits, 'float16'), 'float16'],
    ['<u2', halves(logits, 'bfloat16'), 'bfloat16'],
    ['|V2', halves(logits, 'bfloat16'), 'bfloat16'],
  ] as const)('logits %s (%#)', (descr, values, dtype) => {
    writeInputs(descr, values, '<i4', targets);
    const expected = whole(values, targets, { labelSmoothing: 0.1, ...(dtype && { dtype }) }).losses;
    const args = ['--label-smoothing', '0.1', ...(dtype && descr !== '<f2' ? ['--dtype', dtype] : [])];
    const rowBytes = C * values.BYTES_PER_ELEMENT + 4;
    for (const size of ['1', `${5 * rowBytes}B`]) {
      expectSameBits(losses(...args, '--batch-bytes', size), expected);
    }
  });

  it.each(['|i1', '<i2', '<i4', '<i8', '|u1', '<u2', '<u4', '<u8'] as const)('classes %s', (descr) => {
    const ignored = descr.includes('i') ? -100 : 3;
    const plain = Array.from(targets, (y) => (y === -100 ? ignored : y));
    const Indices = ARRAYS[descr] as Uint8ArrayConstructor;
    const data = Indices.from((descr.endsWith('8') ? plain.map(BigInt) : plain) as number[]);
    writeInputs('<f4', logits, descr, data);
    const expected = whole(logits, data, { ignoreIndex: [ignored] }).losses;
    expectSameBits(losses('--ignore-index', `${ignored}`, '--batch-bytes', '200'), expected);
  });

  it.each(['<f4', '<f8'] as const)('probabilities %s', (descr) => {
    const soft = ARRAYS[descr].from(normals(R * C, 3, 1).map((x) => Math.abs(x) / C));
    writeInputs('<f4', logits, descr, soft, [R, C]);
    expectSameBits(
      losses('--label-smoothing', '0.2', '--batch-bytes', '300'),
      whole(logits, soft, { labelSmoothing: 0.2 }).losses,
    );
    writeInputs('<f8', Float64Array.from(logits), descr, soft, [R, C]);
    expectSameBits(losses('--batch-bytes', '300'), whole(Float64Array.from(logits), soft).losses);
  });

  it('several ignored classes', () => {
    writeInputs('<f4', logits, '<i4', targets);
    const args = ['--ignore-index', '2', '--ignore-index', '-100', '--ignore-index=5'];
    expectSameBits(losses(...args), whole(logits, targets, { ignoreIndex: [2, -100, 5] }).losses);
  });

  it.each([
    ['<f4', [C]],
    ['<f8', [C, 1]],
    ['<i8', [1, C]],
    ['|u1', [C]],
  ] as const)('class weights %s (%j)', (descr, shape) => {
    const values = Array.from({ length: C }, (_, k) =>
      descr.includes('f') ? ((k * 5) % C) / 3 : (k * 5) % C,
    );
    const Weights = ARRAYS[descr] as Float64ArrayConstructor;
    const data = Weights.from((descr === '<i8' ? values.map(BigInt) : values) as number[]);
    writeNpy('w.npy', dictionary(descr, shape), data);
    const weight = Float32Array.from(values);
    writeInputs('<f4', logits, '<i4', targets);
    const args = ['--weight', 'w.npy', '--label-smoothing', '0.1', '--batch-bytes', '250'];
    expectSameBits(losses(...args), whole(logits, targets, { weight, labelSmoothing: 0.1 }).losses);
    const soft = normals(R * C, 3, 1).map((x) => Math.abs(x) / C);
    writeInputs('<f8', Float64Array.from(logits), '<f4', soft, [R, C]);
    expectSameBits(
      losses(...args),
      whole(Float64Array.from(logits), soft, { weight, labelSmoothing: 0.1 }).losses,
    );
  });

  it('with axes in front, which the losses have too', () => {
    const expected = whole(logits.subarray(0, 24 * C), targets.subarray(0, 24)).losses;
    writeNpy('logits.npy', dictionary('<f4', [2, 3, 4, C]), logits.subarray(0, 24 * C));
    for (const shape of [[2, 3, 4], [24]]) {
      writeNpy('targets.npy', dictionary('<i4', shape), targets.subarray(0, 24));
      expectSameBits(losses('--batch-bytes', '250'), expected);
      expect(readNpy('losses.npy').shape).toEqual([2, 3, 4]);
    }
  });

  it('of no rows', () => {
    writeNpy('logits.npy', dictionary('<f4', [0, C]));
    writeNpy('targets.npy', dictionary('<i8', [0]));
    expect(losses()).toHaveLength(0);
    expect(score().stdout).toContain('mean loss   NaN (0 / 0)');
  });
});

describe('the summary', () => {
  it('has the sums of crossEntropy, and the perplexity without smoothing', () => {
    writeInputs('<f4', logits, '<i4', targets);
    const { numerator, denominator, rows } = whole(logits, targets, { labelSmoothing: 0.1 });
    const { stdout } = score('--label-smoothing', '0.1');
    expect(stdout).toContain(`rows        ${R} (${R - rows} ignored)\n`);
    const [mean, sum, count] = [numerator / denominator, numerator, denominator].map((x) =>
      Number(x.toPrecision(7)),
    );
    expect(stdout).toContain(`mean loss   ${mean} (${sum} / ${count})\n`);
    const plain = whole(logits, targets);
    const perplexity = Number(/perplexity +(\S+)/.exec(stdout)?.[1]);
    expect(perplexity / Math.exp(plain.numerator / plain.denominator)).toBeCloseTo(1, 5);
  });

  /** Of the rows that take part, in double precision. */
  function byHand(): { accuracy: number; correct: number; entropy: number } {
    const each = Array.from(targets, (target, row) => {
      const x = Array.from(logits.subarray(row * C, (row + 1) * C));
      const sum = x.reduce((total, z) => total + Math.exp(z), 0);
      const entropy = x.reduce((total, z) => total - (Math.exp(z) / sum) * (z - Math.log(sum)), 0);
      return { takesPart: target !== -100, right: x.indexOf(Math.max(...x)) === target, entropy };
    }).filter(({ takesPart }) => takesPart);
    const correct = each.filter(({ right }) => right).length;
    const entropy = each.reduce((total, row) => total + row.entropy, 0) / each.length;
    return { accuracy: correct / each.length, correct, entropy };
  }

  it.each(['1', '300', '4MiB'])('has accuracy and entropy, in batches of %s', (size) => {
    writeInputs('<f4', logits, '<i4', targets);
    writeNpy('w.npy', dictionary('<f4', [C]), new Float32Array(C).fill(0.5));
    const { accuracy, correct, entropy } = byHand();
    expect(correct).toBeGreaterThan(0);
    const { stdout } = score('--label-smoothing', '0.1', '--weight', 'w.npy', '--batch-bytes', size);
    const rows = targets.filter((target) => target !== -100).length;
    expect(stdout).toContain(`accuracy    ${Number(accuracy.toPrecision(7))} (${correct} of ${rows})\n`);
    expect(Number(/entropy +(\S+) nats/.exec(stdout)?.[1]) / entropy).toBeCloseTo(1, 5);
    expect(stdout).not.toMatch(/NaN|infinite/);
  });

  it('has the same as JSON', () => {
    writeInputs('<f4', logits, '<i4', targets);
    writeNpy(
      'w.npy',
      dictionary('<f4', [C]),
      Float32Array.from({ length: C }, (_, k) => k / 4),
    );
    const { stdout, status } = score('--json', '--weight', 'w.npy');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^.*\n$/);
    const weight = Float32Array.from({ length: C }, (_, k) => k / 4);
    const { rows, numerator, denominator } = whole(logits, targets, { weight });
    const plain = whole(logits, targets);
    const { accuracy, correct, entropy } = byHand();
    const none = { count: 0, first: [] };
    const number = expect.any(Number);
    expect(JSON.parse(stdout)).toEqual({
      ...{ rows: R, ignored: R - rows, loss: numerator / denominator, numerator, denominator },
      perplexity: expect.closeTo(Math.exp(plain.numerator / plain.denominator), 4),
      ...{ accuracy, correct, entropy: expect.closeTo(entropy, 6), nan: none, infinite: none },
      ...{ resumedAfter: 0, seconds: number, rowsPerSecond: number, bytesPerSecond: number, memory: number },
    });
  });

  it.each(['1', '300', '4MiB'])('names the rows whose loss is not finite, in batches of %s', (size) => {
    const [n, m] = [4, 6];
    const bad = logits.slice(0, n * m * C);
    const zeros = new Int32Array(n * m);
    zeros[1] = -100; // takes no part, so its logits do not matter
    for (const row of [1, 2, 5, 7, 13, 14, 23]) bad[row * C + 3] = row % 2 ? Number.NaN : Infinity;
    bad.fill(-Infinity, 20 * C, 21 * C);
    bad[9 * C] = -Infinity;
    writeNpy('logits.npy', dictionary('<f4', [n, m, C]), bad);
    writeNpy('targets.npy', dictionary('<i4', [n, m]), zeros);
    const names = '[0, 2], [0, 5], [1, 1], [2, 1], [2, 2]';
    const { stdout } = score('--batch-bytes', size);
    expect(stdout).toContain(`NaN loss    7 rows, first ${names}: NaN or +Infinity among the logits`);
    expect(stdout).toContain('infinite    1 row, [1, 3]: a logit of -Infinity');
    expect(
      Array.from(readNpy('losses.npy').losses.entries()).filter(([, x]) => Number.isNaN(x)),
    ).toHaveLength(7);

    const json = JSON.parse(score('--json', '--batch-bytes', size).stdout);
    expect(json.nan).toEqual({
      count: 7,
      first: [
        [0, 2],
        [0, 5],
        [1, 1],
        [2, 1],
        [2, 2],
      ],
    });
    expect(json.infinite).toEqual({ count: 1, first: [[1, 3]] });
    expect([json.loss, json.numerator, json.denominator]).toEqual(['NaN', 'NaN', n * m - 1]);

    writeNpy('logits.npy', dictionary('<f4', [n * m, C]), bad);
    writeNpy('targets.npy', dictionary('<i4', [n * m]), zeros);
    expect(score('--batch-bytes', size).stdout).toContain(
      'NaN loss    7 rows, first [2], [5], [7], [13], [14]: ',
    );
    expect(JSON.parse(score('--json').stdout).nan.first).toEqual([2, 5, 7, 13, 14]);
  });

  it('has infinite losses in its sums', () => {
    writeInputs(
      '<f4',
      logits.map((x, i) => (i % C === targets[0] ? -Infinity : x)),
      '<i4',
      targets,
    );
    const { stdout } = score('--batch-bytes', '1', '--sync-seconds', '0');
    expect(stdout).toContain('mean loss   Infinity (Infinity / ');
  });
});

describe('headers', () => {
  const shape = `(${R}, ${C})`;
  it.each([
    ['version 1', 1, `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`],
    ['version 2', 2, `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }      \n`],
    ['version 3', 3, `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, } \n`],
    [
      'another order, other quotes, no spaces',
      1,
      `{"shape":(${R},${C}),"fortran_order":False,"descr":"<f4"}`,
    ],
    ['the long integers of Python 2', 1, `{'descr': '<f4', 'fortran_order': False, 'shape': (${R}L, ${C}L)}`],
    ['a list', 2, `{ 'descr' : '<f4' , 'fortran_order' : False , 'shape' : [ ${R} , ${C} , ] , }\n\n`],
  ])('%s', (_, version, header) => {
    writeNpy('logits.npy', header, logits, version);
    writeNpy('targets.npy', `{'descr': '<i4', 'fortran_order': True, 'shape': (${R},), }`, targets);
    expectSameBits(losses(), whole(logits, targets).losses);
  });
});

describe('errors of one line', () => {
  beforeEach(() => writeInputs('<f4', logits, '<i4', targets));

  /** What a run does before it computes. */
  let check: (args: string[]) => Promise<void>;
  beforeAll(async () => {
    const { readOptions } = await load('options.mjs');
    const { openInputs, closeInputs } = await load('inputs.mjs');
    check = async (args) => closeInputs(await openInputs(readOptions(args)));
  });

  async function expectRefused(message: string, ...args: string[]): Promise<void> {
    const files = { '--logits': 'logits.npy', '--targets': 'targets.npy', '--out': 'losses.npy' };
    const all = Object.entries(files).flatMap(([option, file]) => [option, inDirectory(file)]);
    const error = await check([...all, ...args]).then(
      () => undefined,
      (error: Error) => error,
    );
    expect(error?.constructor.name).toBe('UserError');
    expect(error?.message).toContain(message);
    expect(error?.message.replace(/\nusage: .*$/, '')).not.toContain('\n');
  }

  /** The same of the program itself. */
  function expectError(message: string, ...args: string[]): void {
    const { stdout, stderr, status } = score(...args);
    expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
    expect(stderr).toMatch(/^score: .*\n(usage: .*\n)?$/);
    expect(stderr).toContain(message);
    expect(existsSync(inDirectory('losses.npy'))).toBe(false);
  }

  const header = (fields: object) => {
    const all = { descr: `'<f4'`, fortran_order: 'False', shape: `(${R}, ${C})`, ...fields };
    return `{${Object.entries(all).map(([name, value]) => `'${name}': ${value}`)}}`;
  };

  it.each([
    ['is in Fortran order', header({ fortran_order: 'True' })],
    ["is big-endian (>f4): must be little-endian, as astype('<f4') makes it", header({ descr: `'>f4'` })],
    ['holds Python objects', header({ descr: `'|O'` })],
    ['is of a structured type', header({ descr: `[('a', '<f4'), ('b', '<i2', (3,))]` })],
    [`is of type "<c8", which has no use here`, header({ descr: `'<c8'` })],
    [`is of type "|b1", which has no use here`, header({ descr: `'|b1'` })],
    [`is of type "<U7", which has no use here`, header({ descr: `'<U7'` })],
    [`is of type "<i16", which has no use here`, header({ descr: `'<i16'` })],
    [`is of type "a\\nb", which has no use here`, header({ descr: `'a\nb'` })],
    [`is of type "float", which has no use here`, header({ descr: `'float'` })],
    [`logits.npy holds int32 (${R}, ${C}): logits must be floats`, header({ descr: `'<i4'` })],
    [
      `holds ${4 * R * C} bytes of data, ${4 * R * C + 4 * C} for the shape`,
      header({ shape: `(${R + 1}, ${C})` }),
    ],
    ['it is too long', header({ shape: `(${R - 1}, ${C})` })],
    ['shape is not a tuple of sizes', header({ shape: `(-1, ${C})` })],
    ['shape is not a tuple of sizes', header({ shape: `(${R * C})` })],
    ['has 65 axes: the most is 64', header({ shape: `(${R}, ${C}, ${'1, '.repeat(63)})` })],
    ['has 21001 axes: the most is 64', header({ shape: `(${R},${C},${'1,'.repeat(20_999)})` })],
    ['has 31001 axes: the most is 64', header({ shape: `(0,${'1,'.repeat(31_000)})` })],
    ['holds 1628 bytes of data, 0 for the shape', header({ shape: `(${'9007199254740991, '.repeat(30)}0)` })],
    ['it is truncated', header({ shape: '(9007199254740991, 9007199254740991)' })],
    [`logits must have two axes or more`, header({ shape: `(${R * C},)` })],
    ['fortran_order is not True or False', header({ fortran_order: '0' })],
    [`is no dictionary of 'descr', 'fortran_order' and 'shape'`, header({ more: '1' })],
    [`is no dictionary of 'descr', 'fortran_order' and 'shape'`, `('descr', 'fortran_order', 'shape')`],
    ['cannot be understood at', `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)`],
    ['cannot be understood at', header({ shape: '__import__("os")' })],
    ['cannot be understood at', `${header({})} extra`],
    ['cannot be understood at', '('.repeat(60_000)],
    ['cannot be understood at', `\n{'descr'\n:\n?`],
    ['cannot be understood at', ''],
  ])('%s (%#)', async (message, text) => {
    writeNpy('logits.npy', text, logits);
    await expectRefused(message);
  });

  it.each([
    ['is not an .npy file', Buffer.from('PK\x03\x04 and so on: an archive')],
    ['is not an .npy file', Buffer.of()],
    ['is of version 4.0 of the .npy format', Buffer.from('\x93NUMPY\x04\x00\x00\x00\x00\x00', 'latin1')],
    ['is of version 1.1 of the .npy format', Buffer.from('\x93NUMPY\x01\x01\x00\x00\x00\x00', 'latin1')],
    ['ends within its header', Buffer.from('\x93NUMPY\x01\x00\xff\x00', 'latin1')],
    ['ends within its header', Buffer.from('\x93NUMPY\x02\x00\xff\x00', 'latin1')],
    ['has a header of 4294967295 bytes', Buffer.from('\x93NUMPY\x02\x00\xff\xff\xff\xff', 'latin1')],
  ])('%s (file %#)', async (message, bytes) => {
    writeFileSync(inDirectory('targets.npy'), bytes);
    await expectRefused(`targets.npy ${message}`);
  });

  it('a file that has lost its end', () => {
    truncateSync(inDirectory('logits.npy'), statSync(inDirectory('logits.npy')).size - 1);
    expectError('it is truncated');
  });

  it.each([
    ['another number of rows', '<i4', [R - 1]],
    ['an axis too many', '<i4', [R, 1]],
    ['classes as floats of the wrong shape', '<f4', [R]],
  ])('targets: %s', async (_, descr, shape) => {
    writeNpy('targets.npy', dictionary(descr, shape), targets.subarray(0, shape[0]));
    await expectRefused(
      descr === '<f4'
        ? 'must have the shape of the logits'
        : `must have the shape of the logits without the last`,
    );
  });

  it('targets that are half floats', async () => {
    writeNpy('targets.npy', dictionary('<f2', [R, C]), new Uint16Array(R * C));
    await expectRefused(
      `targets.npy holds float16 (${R}, ${C}): targets must be integers, float32 or float64`,
    );
  });

  it('a target out of range: the row is that of the file', () => {
    writeInputs('<f4', logits, '<i4', targets.with(29, C));
    expectError(
      `targets.npy: targets[29] is ${C}: must be an integer in [0, ${C}) or ignoreIndex -100`,
      '--batch-bytes',
      '300',
    );
  });

  it('a target out of range: its row is named as the array has it', () => {
    writeNpy('logits.npy', dictionary('<f4', [5, 7, C]), logits.subarray(0, 35 * C));
    writeNpy('targets.npy', dictionary('<i4', [5, 7]), targets.slice(0, 35).with(30, C));
    expectError(`targets.npy: targets[4, 2] is ${C}: must be`, '--batch-bytes', '300');
  });

  it.each([
    ['<f4', [C - 1], [], `w.npy holds float32 (${C - 1}): weights must be one for each of ${C} classes`],
    ['<f2', [C], [], `w.npy holds float16 (${C}): weights must be one for each of ${C} classes`],
    ['<f4', [C], [[3, -1]], 'w.npy: the weight of class 3 is -1: must be finite and ≥ 0'],
    ['<f4', [C], [[7, Number.NaN]], 'w.npy: the weight of class 7 is NaN: must be finite and ≥ 0'],
    ['<f8', [C], [[0, 1e39]], 'w.npy: the weight of class 0 is 1e+39: must be finite and ≥ 0'],
  ] as const)('weights %s (%j) with %j', async (descr, shape, changes, message) => {
    const weights = new ARRAYS[descr](shape[0]).fill(1);
    for (const [k, value] of changes) weights[k] = value;
    writeNpy('w.npy', dictionary(descr, shape), weights);
    await expectRefused(message, '--weight', inDirectory('w.npy'));
  });

  it.each([
    ['--weight is missing', ['--weight', '']],
    ['--logits is missing', ['--logits', '']],
    [`--label-smoothing is '1.5': must be a number from 0 to 1`, ['--label-smoothing', '1.5']],
    [`--label-smoothing is '': must be a number from 0 to 1`, ['--label-smoothing', '']],
    [`--ignore-index is '1.5': must be an integer`, ['--ignore-index', '1.5']],
    [`--batch-bytes is '8 parsecs': must be a size from 1 to 1GiB`, ['--batch-bytes', '8 parsecs']],
    [`--batch-bytes is '2GiB': must be a size from 1 to 1GiB`, ['--batch-bytes', '2GiB']],
    [`--sync-seconds is '-1': must be`, ['--sync-seconds=-1']],
    [`--dtype is 'float8': must be bfloat16 or float16`, ['--dtype', 'float8']],
    ['not bfloat16: --dtype is for logits of type uint16', ['--dtype', 'bfloat16']],
    ['none.npy cannot be read: no such file or directory (ENOENT)', ['--targets', 'none.npy']],
    ["Unexpected argument 'more'", ['more']],
  ])('%s', async (message, args) => {
    await expectRefused(message, ...args);
  });

  it.each([
    ["Unknown option '--label-smothing'", ['--label-smothing', '0.1']],
    ['--out is logits.npy: that is an input', ['--out', 'logits.npy']],
    ['--out is link.npy: that is an input', ['--out', 'link.npy']],
    [
      `losses.npy.partial cannot be written: no such file or directory (ENOENT)`,
      ['--out', path.join('nowhere', 'losses.npy')],
    ],
    [
      'targets.npy/losses.npy cannot be written: not a directory (ENOTDIR)',
      ['--out', path.join('targets.npy', 'losses.npy')],
    ],
    ['folder is a folder: must be a regular file', ['--logits', 'folder', '--targets', 'targets.npy']],
  ])('%s (program)', (message, args) => {
    mkdirSync(inDirectory('folder'));
    if (args.includes('link.npy')) symlinkSync('targets.npy', inDirectory('link.npy'));
    expectError(message, ...args);
  });

  /** All that is there, and what it is. */
  const everything = () =>
    readdirSync(directory).map((name) => {
      const stats = lstatSync(inDirectory(name));
      return [name, stats.ino, stats.mode, stats.rdev, stats.isFile() ? readFileSync(inDirectory(name)) : ''];
    });

  describe('about what must not be written over', () => {
    const WRITTEN = [
      'losses.npy',
      'losses.npy.partial',
      'losses.npy.partial.json',
      'losses.npy.partial.json.next',
    ];
    const isRefused = (place: (name: string) => string, name: string, what: string) =>
      `--out is ${place('losses.npy')}` +
      `${name === 'losses.npy' ? '' : `, for which ${place(name)} is written`}: that is ${what}`;

    /** The check that comes before all writing, or the program. */
    async function expectKept(name: string, what: string, ...args: string[]): Promise<void> {
      await expectRefused(isRefused(inDirectory, name, what), ...args);
    }
    function expectKeptByProgram(name: string, what: string, ...args: string[]): void {
      const before = everything();
      const { stdout, stderr, status } = score(...args);
      const message = `score: ${isRefused((name) => name, name, what)}\n`;
      expect({ stdout, stderr, status }).toEqual({ stdout: '', stderr: message, status: 1 });
      expect(everything()).toEqual(before);
    }

    const OTHERWISE = ', and must be a regular file or not be there';
    const KINDS: Record<string, (file: string) => void> = {
      'a folder': (file) => mkdirSync(file),
      'a device': (file) => spawnSync('mknod', [file, 'c', '1', '3']),
      'a named pipe': (file) => spawnSync('mkfifo', [file]),
      'a symbolic link to other.npy': (file) => symlinkSync('other.npy', file),
    };
    const canMake = (kind: string) => {
      const place = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-kind-'));
      KINDS[kind](path.join(place, 'a'));
      const made = readdirSync(place).length === 1;
      rmSync(place, { recursive: true });
      return made;
    };
    for (const kind of Object.keys(KINDS)) {
      const made = canMake(kind);
      it.skipIf(!made)(`${kind}${made ? '' : ', which cannot be made here'}`, async () => {
        for (const name of WRITTEN) {
          KINDS[kind](inDirectory(name));
          await expectKept(name, kind + OTHERWISE);
          if (name !== WRITTEN[2]) expectKeptByProgram(name, kind + OTHERWISE, '--restart');
          rmSync(inDirectory(name), { recursive: true });
        }
      });
    }

    it('a symbolic link to a file', () => {
      writeFileSync(inDirectory('other.npy'), 'other');
      symlinkSync('other.npy', inDirectory('losses.npy'));
      expectKeptByProgram('losses.npy', `a symbolic link to other.npy${OTHERWISE}`);
    });

    it.skipIf(process.platform === 'win32')('a socket', async () => {
      const server = net.createServer().listen(inDirectory('losses.npy'));
      await once(server, 'listening');
      await expectKept('losses.npy', `a socket${OTHERWISE}`);
      server.close();
    });

    it.each(WRITTEN)('an input of that name: %s', async (name) => {
      for (const input of ['logits', 'targets', 'weight']) {
        if (input === 'weight') writeNpy('weight.npy', dictionary('<f4', [C]), new Float32Array(C));
        copyFileSync(inDirectory(`${input}.npy`), inDirectory(name));
        await expectKept(name, 'an input', `--${input}`, inDirectory(name));
        rmSync(inDirectory(name));
      }
    });

    it.each(WRITTEN)('another name of an input: %s', async (name) => {
      for (const input of ['logits.npy', 'targets.npy']) {
        for (const link of [symlinkSync, linkSync]) {
          link(inDirectory(input), inDirectory(name));
          await expectKept(name, 'an input');
          rmSync(inDirectory(name));
        }
      }
      symlinkSync('targets.npy', inDirectory(name));
      expectKeptByProgram(name, 'an input');
    });

    it('but an older output is replaced, and another name of it left alone', () => {
      writeFileSync(inDirectory('losses.npy'), 'older');
      linkSync(inDirectory('losses.npy'), inDirectory('kept.npy'));
      expectSameBits(losses(), whole(logits, targets).losses);
      expect(readFileSync(inDirectory('kept.npy'), 'utf8')).toBe('older');
    });
  });

  it.skipIf(process.platform === 'win32')('a pipe that nobody writes to', () => {
    spawnSync('mkfifo', [inDirectory('pipe.npy')]);
    for (const input of ['--logits', '--targets']) {
      expectError(
        'pipe.npy is a named pipe: must be a regular file, which can be read from any place on\n',
        ...INPUTS,
        input,
        'pipe.npy',
      );
    }
  });

  it('bits of unknown meaning', async () => {
    writeNpy('logits.npy', dictionary('<u2', [R, C]), new Uint16Array(R * C));
    await expectRefused('say with --dtype if these are bfloat16 or float16');
  });

  it('--ignore-index with probabilities', async () => {
    writeInputs('<f4', logits, '<f4', logits, [R, C]);
    await expectRefused('--ignore-index is for targets that are classes', '--ignore-index', '-100');
  });

  it('none for --help', () => {
    expect(score('--help')).toMatchObject({
      stdout: expect.stringContaining('--batch-bytes'),
      stderr: '',
      status: 0,
    });
  });
});

describe('a run that was cut short', () => {
  const FAILS_AT = 30;
  const partial = () => inDirectory('losses.npy.partial');
  const journal = () => inDirectory('losses.npy.partial.json');
  const readJournal = () => JSON.parse(readFileSync(journal(), 'utf8')) as { done: number };
  const changeJournal = (change: object) =>
    writeFileSync(journal(), JSON.stringify({ ...readJournal(), ...change }));
  const byRows = ['--batch-bytes', '1', '--sync-seconds', '0'];
  let expected: Buffer | undefined;

  function write(name: string, ...contents: [header: string, data: ArrayBufferView]): void {
    writeNpy(name, ...contents);
    utimesSync(inDirectory(name), 1e9, 1e9);
  }

  /** Files that were written again are not the same files: makes the journal one of these. */
  async function adopt(): Promise<void> {
    const { openInputs, closeInputs } = await load('inputs.mjs');
    const { describeRun } = await load('run.mjs');
    const files = { logits: 'logits.npy', targets: 'targets.npy', out: 'losses.npy' };
    const inputs = await openInputs(
      Object.fromEntries(Object.entries(files).map(([name, file]) => [name, inDirectory(file)])),
    );
    changeJournal({ run: describeRun(inputs, { labelSmoothing: 0 }) });
    await closeInputs(inputs);
  }

  /** What a run leaves that fails at a bad target: as good as a crash, and can be put right afterwards. */
  const left: Record<string, Buffer> = {};
  beforeEach(async () => {
    const header = dictionary('<i4', [R]);
    write('logits.npy', dictionary('<f4', [R, C]), logits);
    write('targets.npy', header, targets);
    if (!expected) {
      losses();
      expected = readFileSync(inDirectory('losses.npy'));
      rmSync(inDirectory('losses.npy'));
      write('targets.npy', header, targets.with(FAILS_AT, C));
      expect(score(...byRows).status).toBe(1);
      expect(readdirSync(directory)).toHaveLength(4);
      for (const file of [partial(), journal()]) left[file] = readFileSync(file);
      write('targets.npy', header, targets);
    }
    for (const [file, bytes] of Object.entries(left)) writeFileSync(file, bytes);
    await adopt();
    expect(readJournal().done).toBeGreaterThan(0);
    expect(readJournal().done).toBeLessThanOrEqual(FAILS_AT);
  });

  function expectDone({ status, stderr }: ReturnType<typeof score>, message: string): void {
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining(message) });
    expect(readFileSync(inDirectory('losses.npy'))).toEqual(expected);
    expect(readdirSync(directory).sort()).toEqual(['logits.npy', 'losses.npy', 'targets.npy']);
  }

  function expectRefused(message: string, ...args: string[]): void {
    const before = [readFileSync(partial()), readFileSync(journal())];
    const { status, stderr } = score(...args);
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(message) });
    expect(stderr).toContain('--restart begins anew\n');
    expect([readFileSync(partial()), readFileSync(journal())]).toEqual(before);
  }

  it('is continued, with the same sums', () => {
    const { done } = readJournal();
    const result = score(...byRows);
    expectDone(result, `${done} of ${R} losses are there already: continuing after them\n`);
    expect(result.stdout).toContain(`resumed     after ${done} rows\n`);
    const sums = /^rows.*nats$/ms;
    expect(result.stdout).toMatch(sums);
    expect(sums.exec(result.stdout)?.[0]).toBe(sums.exec(score(...byRows).stdout)?.[0]);
  });

  it('is continued, and names the rows of both runs whose loss is not finite', async () => {
    const bad = logits.slice();
    for (const row of [2, 4, 35]) bad[row * C] = Number.NaN;
    for (const row of [5, 36]) bad[row * C + targets[row]] = -Infinity;
    write('logits.npy', dictionary('<f4', [R, C]), bad);
    write('targets.npy', dictionary('<i4', [R]), targets.with(FAILS_AT, C));
    expect(score(...byRows, '--restart').status).toBe(1);
    expect(readJournal().done).toBeGreaterThan(5);
    write('targets.npy', dictionary('<i4', [R]), targets);
    await adopt();
    const { stdout, stderr } = score('--json');
    expect(stderr).toContain('continuing after them');
    expect(JSON.parse(stdout)).toMatchObject({
      nan: { count: 3, first: [2, 4, 35] },
      infinite: { count: 2, first: [5, 36] },
    });
  });

  it('is continued with batches of another size', () => {
    expectDone(score('--batch-bytes', '150'), 'continuing after them');
  });

  it('is continued over what it wrote and could not vouch for', () => {
    const { done } = readJournal();
    const safe = left[partial()].subarray(0, 128 + 4 * done);
    writeFileSync(partial(), Buffer.concat([safe, Buffer.alloc(4 * (R - done), 0xff)]));
    writeFileSync(`${journal()}.next`, '{ "run":');
    expectDone(score(), 'continuing after them');
  });

  it('is begun anew if its losses are gone, or none are safe', () => {
    rmSync(partial());
    expectDone(score(), '');
  });

  it('is begun anew if its journal is gone', () => {
    rmSync(journal());
    expectDone(score(), '');
  });

  it('is begun anew with other options if no row is safe', () => {
    changeJournal({ done: 0, run: {} });
    expectDone(score(), '');
  });

  it('is ended if it had only to be given its name', () => {
    writeFileSync(partial(), expected as Buffer);
    changeJournal({ done: R });
    expectDone(score(), 'continuing after them');
  });

  it('is ended if it had only to remove its journal', () => {
    writeFileSync(inDirectory('losses.npy'), expected as Buffer);
    rmSync(partial());
    changeJournal({ done: R });
    const { ino } = statSync(inDirectory('losses.npy'));
    expectDone(score(), '');
    expect(statSync(inDirectory('losses.npy')).ino).toBe(ino);
  });

  it('is begun anew with --restart', () => {
    writeFileSync(partial(), 'nonsense');
    writeFileSync(journal(), 'nonsense');
    expectDone(score('--restart'), '');
  });

  it('is not continued with other options', () => {
    expectRefused('was begun with --label-smoothing 0, and this is 0.1', '--label-smoothing', '0.1');
    expectRefused(
      'was begun with --ignore-index -100, and this is -1,-100',
      '--ignore-index',
      '-1',
      '--ignore-index',
      '-100',
    );
  });

  it('is not continued with weights, or other ones', async () => {
    write('w.npy', dictionary('<f4', [C]), new Float32Array(C).fill(1));
    expectRefused('was begun with --weight none, and this is ', '--weight', 'w.npy');
    expect(score(...byRows, '--weight', 'w.npy', '--restart').status).toBe(0);
  });

  it('is not continued with other inputs', () => {
    utimesSync(inDirectory('targets.npy'), 1e9 + 1, 1e9 + 1);
    expectRefused('was begun with targets ');
    utimesSync(inDirectory('targets.npy'), 1e9, 1e9);
    write('logits.npy', dictionary('<f4', [1, C]), logits.subarray(0, C));
    write('targets.npy', dictionary('<i4', [1]), targets.subarray(0, 1));
    expectRefused('was begun with logits ');
  });

  it.each(['logits.npy', 'targets.npy'])(
    'is not continued if %s changed in place, its times kept',
    async (name) => {
      await sleep(20); // the system's clock may tick as seldom as that
      const file = inDirectory(name);
      const before = statSync(file);
      const bytes = readFileSync(file);
      bytes[bytes.length - 1] ^= 1;
      writeFileSync(file, bytes);
      utimesSync(file, 1e9, 1e9);
      const { ino, size, mtimeMs } = statSync(file);
      expect({ ino, size, mtimeMs }).toEqual({ ino: before.ino, size: before.size, mtimeMs: before.mtimeMs });
      expectRefused(`was begun with ${name.replace('.npy', '')} `);
    },
  );

  it('is not continued with another version of the package', () => {
    changeJournal({ run: { ...(readJournal() as unknown as { run: object }).run, smoothloss: '0.0.1' } });
    expectRefused('was begun with smoothloss 0.0.1, and this is ');
  });

  it('is not continued with a journal that counts more rows than there are', () => {
    changeJournal({ done: R + 1 });
    expectRefused('losses.npy.partial.json is not understood');
  });

  it('is not continued if its losses are not all there', () => {
    truncateSync(partial(), 140);
    expectRefused('losses.npy.partial is shorter than its journal says');
  });

  it.each([
    '',
    '{',
    'null',
    '[]',
    '{"run":{},"done":"1","rows":1}',
    '{"run":{},"rows":1}',
    '{"run":{},"done":1,"rows":1,"numerator":1,"denominator":1,"nll":1}',
  ])('is not continued with the journal %j', (text) => {
    writeFileSync(journal(), text);
    expectRefused('losses.npy.partial.json is not understood');
  });
});

describe('a run that is killed', () => {
  const C = 4;
  const random = mulberry32(5);
  const doneRows = () => {
    try {
      return (JSON.parse(readFileSync(inDirectory('losses.npy.partial.json'), 'utf8')) as { done: number })
        .done;
    } catch {
      return 0;
    }
  };

  function prepare(rows: number): Buffer {
    writeNpy('logits.npy', dictionary('<f4', [rows, C]), normals(rows * C, 6, 2));
    writeNpy('targets.npy', dictionary('<i4', [rows]), classIndices(rows, C, 7));
    losses();
    const expected = readFileSync(inDirectory('losses.npy'));
    rmSync(inDirectory('losses.npy'));
    return expected;
  }

  /** Sends a signal when that many rows are safe, unless the run ends before. */
  async function runUntil(
    rows: number,
    signal: NodeJS.Signals,
  ): Promise<{ stderr: string; child: ChildProcess }> {
    const args = [...INPUTS, '--out', 'losses.npy', '--batch-bytes', '1', '--sync-seconds', '0'];
    const child = spawn(process.execPath, program(args), {
      cwd: directory,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    const closed = once(child, 'close');
    while (child.exitCode === null && doneRows() < rows) await sleep(1);
    child.kill(signal);
    await closed;
    return { stderr, child };
  }

  it('many times in its course continues to the same bytes', async () => {
    const expected = prepare(50_000); // far more than it can do before it is killed
    let done = 0;
    for (let round = 0; round < 6; round++) {
      const { child, stderr } = await runUntil(done + 1 + Math.floor(60 * random()), 'SIGKILL');
      expect(child.signalCode).toBe('SIGKILL');
      expect(stderr).toBe(
        done === 0 ? '' : `${done} of 50000 losses are there already: continuing after them\n`,
      );
      expect(existsSync(inDirectory('losses.npy'))).toBe(false);
      done = doneRows();
    }
    expect(score().stderr).toContain(`${done} of 50000 losses`);
    expect(readFileSync(inDirectory('losses.npy')).equals(expected)).toBe(true);
  });

  it('at any moment up to its end never leaves a torn file', async () => {
    const expected = prepare(8);
    for (let round = 0; round < 8; round++) {
      await runUntil(Math.floor(9 * random()), 'SIGKILL');
      const out = inDirectory('losses.npy');
      if (existsSync(out)) expect(readFileSync(out).equals(expected)).toBe(true);
      if (round % 4 < 3) continue;
      expect(score().status).toBe(0);
      expect(readFileSync(out).equals(expected)).toBe(true);
      rmSync(out);
      expect(readdirSync(directory).sort()).toEqual(['logits.npy', 'targets.npy']);
    }
  });

  it('or interrupted says how to continue', async () => {
    const expected = prepare(50_000);
    const { child, stderr } = await runUntil(5, 'SIGINT');
    expect(child.exitCode).toBe(1);
    expect(stderr).toBe('score: stopped; the same command continues where the losses are safe\n');
    expect(score().stderr).toContain('continuing after them');
    expect(readFileSync(inDirectory('losses.npy')).equals(expected)).toBe(true);
  });
});

describe('the inputs', () => {
  let open: () => Promise<{ rows: number }>;
  let close: (inputs: object) => Promise<void>;
  beforeEach(async () => {
    writeInputs('<f4', logits, '<i4', targets);
    const { openInputs, closeInputs } = await load('inputs.mjs');
    const options = { logits: 'logits.npy', targets: 'targets.npy', out: 'losses.npy' };
    open = () => openInputs(Object.fromEntries(Object.entries(options).map(([k, v]) => [k, inDirectory(v)])));
    close = closeInputs;
  });

  it('are read one batch ahead, and never over a batch in use', async () => {
    const inputs = await open();
    const { readBatches } = await load('batches.mjs');
    const batches = readBatches(inputs, { batchBytes: 1, start: 4 })[Symbol.asyncIterator]();
    const [a, b] = [await batches.next(), await batches.next()];
    let read = false;
    const c = batches.next().then((result: unknown) => {
      read = true;
      return result;
    });
    await sleep(20);
    expect(read).toBe(false);
    const row = (n: number) => ({ first: n, logits: logits.slice(n * C, (n + 1) * C) });
    expect(a.value).toMatchObject(row(4));
    expect(b.value).toMatchObject(row(5));
    a.value.release();
    expect((await c).value).toMatchObject(row(6));
    expect(b.value).toMatchObject(row(5));
    await batches.return();
    await close(inputs);
  });

  it('must not change meanwhile', async () => {
    const inputs = await open();
    const { checkUnchanged } = await load('inputs.mjs');
    await checkUnchanged(inputs);
    utimesSync(inDirectory('targets.npy'), 1e9, 1e9);
    await expect(checkUnchanged(inputs)).rejects.toThrow('targets.npy was changed while it was read');
    await close(inputs);

    const again = await open();
    await sleep(20); // the system's clock may tick as seldom as that
    writeFileSync(inDirectory('targets.npy'), readFileSync(inDirectory('targets.npy')));
    utimesSync(inDirectory('targets.npy'), 1e9, 1e9);
    await expect(checkUnchanged(again)).rejects.toThrow('targets.npy was changed while it was read');
    await close(again);
  });
});

describe('memory', () => {
  it('is bounded: a file of 1 GiB takes less than 200 MiB', () => {
    const [rows, classes] = [2 ** 18, 2 ** 10];
    // All zeros, which take no room on disk.
    writeNpy('logits.npy', dictionary('<f4', [rows, classes]));
    writeNpy('targets.npy', dictionary('<u2', [rows]));
    truncateSync(inDirectory('logits.npy'), statSync(inDirectory('logits.npy')).size + 4 * rows * classes);
    truncateSync(inDirectory('targets.npy'), statSync(inDirectory('targets.npy')).size + 2 * rows);
    const { stdout, status } = score();
    expect(status).toBe(0);
    expect(Number(/memory +(\d+) MiB/.exec(stdout)?.[1])).toBeLessThan(200);
    expectSameBits(readNpy('losses.npy').losses, new Float32Array(rows).fill(Math.log(classes)));
  });
});
