// The promise: smoothloss score computes what crossEntropy does of the whole arrays at once, to the bit, from
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
import { crossEntropy, type IndexArray, type Logits, type SoftTargets } from 'smoothloss';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
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
  tuple,
  writeNpy,
} from './support/score.js';

type Floats = Float32Array | Float64Array;

const ARRAYS = {
  '<f4': Float32Array,
  '<f8': Float64Array,
  '<f2': Uint16Array,
  '|b1': Uint8Array,
  '|i1': Int8Array,
  '<i2': Int16Array,
  '<i4': Int32Array,
  '<i8': BigInt64Array,
  '|u1': Uint8Array,
  '<u2': Uint16Array,
  '<u4': Uint32Array,
  '<u8': BigUint64Array,
};

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

  it.each(['<f4', '<f8'] as const)('classes that are stored as floats %s', (descr) => {
    const data = ARRAYS[descr].from(targets);
    data[0] = -0;
    const expected = whole(logits, targets.with(0, 0)).losses;
    for (const shape of [[R], [R, 1]]) {
      writeInputs('<f4', logits, descr, data, shape);
      expectSameBits(losses('--batch-bytes', '200'), expected);
    }
    expectSameBits(
      losses('--ignore-index', '3', '--ignore-index', '-100'),
      whole(logits, targets.with(0, 0), { ignoreIndex: [3, -100] }).losses,
    );
  });

  it('classes that are booleans', () => {
    const data = Uint8Array.from(targets, (target) => target & 1);
    writeInputs('<f4', logits, '|b1', data);
    expectSameBits(losses('--label-smoothing', '0.1'), whole(logits, data, { labelSmoothing: 0.1 }).losses);
  });

  it.each([[[R, 1]], [[1, R]], [[1, R, 1, 1]]])('classes of the shape %j', (shape) => {
    writeInputs('<f4', logits, '<i8', BigInt64Array.from(targets, BigInt), shape);
    expectSameBits(losses('--batch-bytes', '200'), whole(logits, targets).losses);
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
    for (const shape of [[2, 3, 4], [24], [24, 1], [2, 3, 4, 1]]) {
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
    const { losses: each, rows, numerator: exact, denominator } = whole(logits, targets, { weight });
    // Of the losses as they are in the file.
    const numerator = each.reduce((sum, loss) => sum + loss, 0);
    expect(numerator / exact).toBeCloseTo(1, 7);
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
    [
      `is in Fortran order: must be in C order: np.save('DIR/logits.new.npy', np.ascontiguousarray(np.load('DIR/logits.npy')))`,
      header({ fortran_order: 'True' }),
    ],
    [
      `is big-endian (>f4): must be little-endian: np.save('DIR/logits.new.npy', np.load('DIR/logits.npy').astype('<f4', order='C'))`,
      header({ descr: `'>f4'` }),
    ],
    [
      `holds Python objects: must be of numbers; if you trust the file: np.save('DIR/logits.new.npy', np.load('DIR/logits.npy', allow_pickle=True).astype(np.float64))`,
      header({ descr: `'|O'` }),
    ],
    ['is of a structured type', header({ descr: `[('a', '<f4'), ('b', '<i2', (3,))]` })],
    ['is of a structured type', header({ descr: `[]` })],
    ['is of a structured type', header({ descr: `[(('a title', 'a'), '<f4')]` })],
    ['is of a structured type', header({ descr: 'None' })],
    [`is of type "<c8": must be of floats, integers or booleans`, header({ descr: `'<c8'` })],
    [`is of type "<M8[s]": must be of floats, integers or booleans`, header({ descr: `'<M8[s]'` })],
    [`is of type "<i16": must be of floats, integers or booleans`, header({ descr: `'<i16'` })],
    [`is of type "a\\nb": must be of floats, integers or booleans`, header({ descr: `'a\nb'` })],
    [`is of type "float": must be of floats, integers or booleans`, header({ descr: `'float'` })],
    [`is of type "<f16": must be float64 at most: np.save(`, header({ descr: `'<f16'` })],
    [`holds strings: must be of numbers; if they are numerals: np.save(`, header({ descr: `'<U7'` })],
    [`holds bool (${R}, ${C}): logits must be floats`, header({ descr: `'|b1'`, shape: `(${R}, ${C})` })],
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
    writeNpy('logits.npy', text, message.includes('bool') ? new Uint8Array(R * C) : logits);
    await expectRefused(message.replaceAll('DIR', directory));
  });

  it.each([
    ['is not an .npy file, as np.save writes it', Buffer.from('0.1 0.2')],
    ['is an .npz archive or a file of PyTorch, not an .npy file', Buffer.from('PK\x03\x04 and so on')],
    ['is a Parquet file, not an .npy file', Buffer.from('PAR1 and so on')],
    ['is an HDF5 file, not an .npy file', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1')],
    ['is a compressed file, not an .npy file', Buffer.from('\x1f\x8b\x08', 'latin1')],
    ['is empty', Buffer.of()],
    ['ends within its header', Buffer.from('\x93NUMPY\x01\x00', 'latin1')],
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
    ['another number of rows', '<f4', [R - 1]],
    ['a column of another number of rows', '<i4', [R - 1, 1]],
    ['no axis', '<i4', []],
    ['probabilities of too few classes', '<f4', [R, C - 1]],
    ['probabilities, the wrong way round', '<f4', [C, R]],
  ])('targets: %s', async (_, descr, shape) => {
    const length = shape.reduce((product, n) => product * n, 1);
    writeNpy('targets.npy', dictionary(descr, shape), new Int32Array(length));
    await expectRefused(
      `${tuple(shape)}: targets must be classes of the shape (${R},), ` +
        `or probabilities of the shape of the logits, (${R}, ${C})`,
    );
  });

  it.each([
    [
      '<f2',
      [R, C],
      `float16 (${R}, ${C}): float targets must be float32 or float64: `,
      '.astype(np.float32)',
    ],
    ['<f2', [R], `float16 (${R},): float targets must be float32 or float64: `, '.astype(np.int64)'],
    [
      '|u1',
      [R, C],
      `uint8 (${R}, ${C}): must be floats, or one class for each row; if each row has a single 1: `,
      '.argmax(-1)',
    ],
    [
      '|b1',
      [R, C],
      `bool (${R}, ${C}): must be floats, or one class for each row; if each row has a single 1: `,
      '.argmax(-1)',
    ],
  ] as const)('targets %s of the shape %j', async (descr, shape, message, code) => {
    const Values = descr === '<f2' ? Uint16Array : Uint8Array;
    writeNpy(
      'targets.npy',
      dictionary(descr, shape),
      new Values(shape.reduce((product, n) => product * n, 1)),
    );
    const names = ['targets.new.npy', 'targets.npy'].map(inDirectory);
    await expectRefused(`${message}np.save('${names[0]}', np.load('${names[1]}')${code})`);
  });

  it('logits whose classes are not the last axis', async () => {
    writeNpy('logits.npy', dictionary('<f4', [3, C, 4]), logits.subarray(0, 12 * C));
    writeNpy('targets.npy', dictionary('<i4', [3, 4]), targets.subarray(0, 12));
    await expectRefused(
      `of the logits, (3, ${C}, 4), the last axis must be that of the classes: ` +
        `np.save('${inDirectory('logits.new.npy')}', np.ascontiguousarray(np.moveaxis(` +
        `np.load('${inDirectory('logits.npy')}'), 1, -1)))`,
    );
  });

  it('logits of one axis', async () => {
    writeNpy('logits.npy', dictionary('<f4', [R * C]), logits);
    await expectRefused('.reshape(-1, C))');
  });

  it('logits of more classes than the package takes', async () => {
    writeNpy('logits.npy', dictionary('<f2', [1, 2 ** 31]));
    writeNpy('targets.npy', dictionary('<i4', [1]), Int32Array.of(0));
    const { size } = statSync(inDirectory('logits.npy'));
    truncateSync(inDirectory('logits.npy'), size + 2 ** 32); // takes no room on disk
    await expectRefused('there must not be more than 2147483647 classes');
  });

  it.each([
    [0.5, 'is 0.5: must be a class, a whole number below 2^31'],
    [-0.1, 'is -0.1: must be a class, a whole number below 2^31'],
    [2 ** 32, 'is 4294967296: must be a class, a whole number below 2^31'],
    [Infinity, 'is Infinity: must be a class, a whole number below 2^31'],
    [
      Number.NaN,
      `is NaN: must be a class; if such rows are to be ignored: np.save('targets.new.npy', np.nan_to_num(np.load('targets.npy'), nan=-100))\n`,
    ],
    [C, `is ${C}: must be an integer in [0, ${C}) or ignoreIndex -100`],
  ])('a float among the classes, %d', (value, message) => {
    writeNpy('targets.npy', dictionary('<f8', [R, 1]), Float64Array.from(targets).with(29, value));
    expectError(`targets.npy: targets[29, 0] ${message}`, '--batch-bytes', '300');
  });

  it.each([
    ['x.npz', `np.load('FILE')['arr_0']`],
    ['x.pt', `torch.load('FILE', map_location='cpu').detach().numpy()`],
    ['x.pth', `torch.load('FILE', map_location='cpu').detach().numpy()`],
    ['x.parquet', `pd.read_parquet('FILE').to_numpy()`],
    ['x.feather', `pd.read_feather('FILE').to_numpy()`],
    ['x.csv', `np.loadtxt('FILE', delimiter=',')`],
    ['x.tsv', `np.loadtxt('FILE', delimiter='\\t')`],
    ['x.json', `np.array(json.load(open('FILE')))`],
    ['x.jsonl', `np.array([json.loads(line) for line in open('FILE')])`],
    ['x.h5', `h5py.File('FILE')['name'][:]`],
    ['X.PKL', `np.asarray(pickle.load(open('FILE', 'rb')))`],
    ['x.npy.gz', `np.load(gzip.open('FILE'))`],
  ])('files of other formats: %s', async (name, code) => {
    const file = inDirectory(name);
    writeFileSync(file, 'whatever its first bytes are');
    const message = `: np.save('${file}.npy', ${code.replace('FILE', file)})`;
    for (const input of ['--logits', '--targets', '--weight']) await expectRefused(message, input, file);
    await expectRefused(`--out is ${name}, as `, '--out', name);
  });

  it('names in quotes that Python reads', async () => {
    writeFileSync(inDirectory(`it's.npz`), 'PK');
    await expectRefused(`it\\'s.npz')['arr_0']`, '--targets', inDirectory(`it's.npz`));
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
    ['<f4', [C - 1], [], `w.npy holds float32 (${C - 1},): weights must be as many as classes, ${C}`],
    ['<f2', [C], [], `w.npy holds float16 (${C},): weights must be float32, float64 or integers: np.save(`],
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
      it(kind, async ({ skip }) => {
        if (!made) skip(`${kind} cannot be made here`);
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

    it('a socket', async ({ skip }) => {
      if (process.platform === 'win32') skip('Windows has no sockets in folders');
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

  it('a pipe that nobody writes to', ({ skip }) => {
    if (process.platform === 'win32') skip('Windows has no pipes in folders');
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
    changeJournal({ done: 0, run: {}, blocks: [] });
    expectDone(score(), '');
  });

  it('is ended if it had only to be given its name', () => {
    writeFileSync(partial(), expected as Buffer);
    changeJournal({ done: R, blocks: new Array(R).fill([0, 0, 0]) });
    expectDone(score(), 'nothing to score');
  });

  it('is ended if it had only to remove its journal', () => {
    writeFileSync(inDirectory('losses.npy'), expected as Buffer);
    rmSync(partial());
    changeJournal({ done: R, blocks: new Array(R).fill([0, 0, 0]) });
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
    '{"run":{},"done":1,"rows":1,"correct":0,"crc32":0,"blocks":[[1,1,1]]}',
    ...['[]', '[[1,1,1],[1,1,1]]', '[[1,1]]', '[["1",1,1]]', '[1]', '{}'].map(
      (blocks) =>
        '{"run":{},"done":1,"rows":1,"correct":0,"crc32":0,"nan":{"count":0,"first":[]},' +
        `"infinite":{"count":0,"first":[]},"blocks":${blocks}}`,
    ),
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
    const batches = readBatches(inputs, { batchBytes: 1, start: 4, end: R })[Symbol.asyncIterator]();
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

const numpy = spawnSync('python3', ['-c', 'import numpy'], { stdio: 'ignore' }).status === 0;

describe('with files of NumPy', () => {
  beforeEach(({ skip }) => {
    if (!numpy) skip('NumPy is not installed here');
  });

  /** Runs code in folders of their own, in which it makes files. */
  function python(codes: Iterable<readonly [folder: string, code: string]>): void {
    const code = Array.from(codes, ([folder, code]) => {
      mkdirSync(inDirectory(folder), { recursive: true });
      return `os.chdir('${inDirectory(folder)}')\n${code}\n`;
    });
    const all = ['import gzip, json, os, pickle, numpy as np\n', ...code].join('');
    const { status, stderr } = spawnSync('python3', ['-c', all], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  }
  const DATA =
    'r = np.random.default_rng(1)\n' +
    'x, y = r.normal(0, 3, (4, 9, 11)), r.integers(0, 11, (4, 9))\n' +
    'y[1, 3] = -100\n' +
    'np.save("logits.npy", x.astype(np.float32)); np.save("targets.npy", y)\n';

  it('the losses are those of NumPy in double', () => {
    const cases = [
      '', // int64 targets, three axes
      'np.save("logits.npy", x.reshape(-1, 11)); np.save("targets.npy", y.reshape(-1, 1))',
      'np.save("logits.npy", x.astype(np.float16)); np.save("targets.npy", y.astype(float))',
      'np.save("targets.npy", y % 2 == 0)',
      'p = r.random(x.shape); np.save("targets.npy", p / p.sum(-1, keepdims=True))',
      'np.save("logits.npy", x[:1].astype(np.float32)); np.save("targets.npy", y[0])',
    ];
    python(cases.map((code, i) => [`${i}`, DATA + code]));
    for (const i of cases.keys()) {
      const args = ['logits', 'targets', 'out'].flatMap((name) => [
        `--${name}`,
        path.join(`${i}`, `${name}.npy`),
      ]);
      const { stderr, status } = score(...args, '--batch-bytes', '400');
      expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    }
    const check =
      'x, y, got = (np.load(f"{name}.npy") for name in ("logits", "targets", "out"))\n' +
      'assert got.shape == x.shape[:-1] and got.dtype == (np.float64 if x.itemsize == 8 else np.float32)\n' +
      'x = x.astype(float)\n' +
      'lp = x - np.log(np.exp(x).sum(-1, keepdims=True))\n' +
      'if y.shape == x.shape: want = -(y * lp).sum(-1)\n' +
      'else:\n' +
      '  y = y.reshape(got.shape).astype(int)\n' +
      '  want = np.where(y == -100, 0, -np.take_along_axis(lp, np.maximum(y, 0)[..., None], -1)[..., 0])\n' +
      'assert np.abs(got - want).max() < 1e-6 < want.max(), np.abs(got - want).max()\n';
    python(cases.map((_, i) => [`${i}`, check]));
  });

  it('what an error says is done, and what it makes is taken, or leads to the next error', async () => {
    const { openInputs, closeInputs } = await load('inputs.mjs');
    const cases = [
      ['logits.npy', 'np.save("logits.npy", np.asfortranarray(x))'],
      ['logits.npy', 'np.save("logits.npy", np.asfortranarray(x.astype(">f8")))'],
      ['logits.npy', 'np.save("logits.npy", x.astype(np.longdouble))'],
      ['logits.npy', 'np.save("logits.npy", x.astype(int))'],
      ['logits.npy', 'np.save("logits.npy", x.astype(object), allow_pickle=True)'],
      ['logits.npy', 'np.save("logits.npy", x.astype(str))'],
      ['logits.npy', 'np.save("logits.npy", np.moveaxis(x, -1, 1).copy())'],
      ['logits.npy', 'np.save("logits.npy", x[:1].transpose(0, 2, 1).copy()); np.save("targets.npy", y[:1])'],
      ['logits.npy', 'np.save("logits.npy", x.reshape(-1)); np.save("targets.npy", y.reshape(-1))'],
      ['logits.npy', 'np.save("logits.npy", x.astype([("a", float)]))'],
      ['targets.npy', 'np.save("targets.npy", y.astype(str))'],
      ['targets.npy', 'np.save("targets.npy", y.astype(object), allow_pickle=True)'],
      ['targets.npy', 'np.save("targets.npy", np.asfortranarray(y))'],
      ['targets.npy', 'np.save("targets.npy", y.astype(">i8"))'],
      ['targets.npy', 'np.save("targets.npy", y.astype(np.float16))'],
      ['targets.npy', 'np.save("targets.npy", np.eye(11, dtype=bool)[y % 11])'],
      ['targets.npy', 'np.save("targets.npy", np.eye(11, dtype=np.float16)[y % 11])'],
      ['logits.npz', 'np.savez("logits.npz", x)'],
      ['targets.npz', 'np.savez_compressed("targets.npz", y)'],
      ['targets.csv', 'np.savetxt("targets.csv", y, "%d", ",")'],
      ['logits.tsv', 'np.savetxt("logits.tsv", x[0], delimiter="\\t"); np.save("targets.npy", y[0])'],
      ['logits.json', 'json.dump(x.tolist(), open("logits.json", "w"))'],
      ['targets.jsonl', 'print(*y.tolist(), sep="\\n", file=open("targets.jsonl", "w"))'],
      ['logits.pkl', 'pickle.dump(x, open("logits.pkl", "wb"))'],
      ['logits.npy.gz', 'np.save(gzip.open("logits.npy.gz", "wb"), x)'],
    ];
    python(cases.map(([, code], i) => [`${i}`, DATA + code]));
    let left = cases.map(([name], i) => {
      const input = name.startsWith('logits') ? ('logits' as const) : ('targets' as const);
      const file = (name: string) => inDirectory(path.join(`${i}`, name));
      const files = { logits: file('logits.npy'), targets: file('targets.npy'), out: file('losses.npy') };
      files[input] = file(name);
      return { i, input, files };
    });
    for (let round = 0; left.length > 0; round++) {
      expect(round).toBeLessThan(4);
      const conversions: [string, string][] = [];
      const refused = [];
      for (const each of left) {
        const message = await openInputs(each.files).then(closeInputs, (error: Error) => error.message);
        expect(round > 0 || message !== undefined, cases[each.i].join()).toBe(true);
        if (message === undefined) continue;
        const [, code, made] = /: (np\.save\('([^']+)', .*\))$/.exec(message) ?? [];
        expect(code, message).toBeDefined();
        conversions.push([`${each.i}`, `C = 11\n${code}`]);
        each.files[each.input] = made;
        refused.push(each);
      }
      python(conversions);
      left = refused;
    }
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
