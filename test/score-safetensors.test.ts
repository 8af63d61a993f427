// The promise: tensors in .safetensors files are read like the same arrays in .npy files, and a header that is wrong or
// hostile ends in one line.

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { classIndices, normals } from './support/data.js';
import { bytesOf, dictionary, directory, inDirectory, load, score, writeNpy } from './support/score.js';

const R = 37;
const C = 11;
const logits = normals(R * C, 1, 3);
const targets = classIndices(R, C, 2);
for (let row = 3; row < R; row += 7) targets[row] = -100;
const soft = normals(R * C, 3, 1).map((x) => Math.abs(x) / C);
const bits = new Uint32Array(logits.buffer, logits.byteOffset, logits.length);
const bfloat16 = Uint16Array.from(bits, (each) => each >>> 16);
const float16 = bfloat16.map((each) => each & 0xbfff);

/** Writes a file as the format's description says, by hand. */
function writeFile(name: string, header: string | Buffer, ...data: ArrayBufferView[]): void {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(inDirectory(name), Buffer.concat([length, text, ...data.map(bytesOf)]));
}

type Tensor = readonly [name: string, dtype: string, shape: readonly number[], data: ArrayBufferView];

function writeSafetensors(name: string, ...tensors: Tensor[]): void {
  let begin = 0;
  const entries = tensors.map(([name, dtype, shape, { byteLength }]) => {
    const offsets = [begin, begin + byteLength];
    begin += byteLength;
    return [name, { dtype, shape, data_offsets: offsets }];
  });
  const header = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) });
  // Padded with spaces to a multiple of 8.
  writeFile(name, header.padEnd(8 * Math.ceil(header.length / 8)), ...tensors.map(([, , , data]) => data));
}

/** The losses, as bytes, and the summary without the lines on time and memory. */
function run(...args: string[]): { bytes: Buffer; text: string } {
  const { stdout, stderr, status } = score(...args);
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const bytes = readFileSync(inDirectory('losses.npy'));
  rmSync(inDirectory('losses.npy'));
  return { bytes, text: stdout.replace(/^(speed|memory) .*\n/gm, '') };
}

describe('the losses are those of .npy files', () => {
  const i64 = BigInt64Array.from(targets, BigInt);
  it.each([
    ['F32', '<f4', logits],
    ['F64', '<f8', Float64Array.from(logits)],
    ['F16', '<f2', float16],
    ['BF16', '<u2', bfloat16],
  ] as const)('logits %s', (dtype, descr, data) => {
    const args = dtype === 'BF16' ? ['--dtype', 'bfloat16'] : [];
    writeNpy('logits.npy', dictionary(descr, [R, C]), data);
    writeNpy('targets.npy', dictionary('<i8', [R]), i64);
    // An odd number of bytes before them.
    const odd = ['odd', 'U8', [3], Uint8Array.of(1, 2, 3)] as const;
    writeSafetensors('x.safetensors', odd, ['logits', dtype, [R, C], data], ['targets', 'I64', [R], i64]);
    const expected = run('--logits', 'logits.npy', '--targets', 'targets.npy', ...args);
    const files = ['--logits', 'x.safetensors:logits', '--targets', 'x.safetensors:targets'];
    for (const size of ['1', '4MiB']) expect(run(...files, '--batch-bytes', size)).toEqual(expected);
    expect(run(...files, ...args)).toEqual(expected);
  });

  const plain = targets.map((target) => Math.max(target, 0));
  it.each([
    ['I8', '|i1', Int8Array.from(plain)],
    ['I16', '<i2', Int16Array.from(plain)],
    ['I32', '<i4', plain],
    ['I64', '<i8', BigInt64Array.from(plain, BigInt)],
    ['U8', '|u1', Uint8Array.from(plain)],
    ['U16', '<u2', Uint16Array.from(plain)],
    ['U32', '<u4', Uint32Array.from(plain)],
    ['U64', '<u8', BigUint64Array.from(plain, BigInt)],
    ['BOOL', '|b1', Uint8Array.from(plain, (target) => target & 1)],
    ['F64', '<f8', Float64Array.from(plain)],
    ['F32', '<f4', soft],
  ] as const)('targets %s, of the only tensor in a file', (dtype, descr, data) => {
    const shape = data === soft ? [R, C] : [R, 1];
    writeNpy('logits.npy', dictionary('<f4', [R, C]), logits);
    writeNpy('targets.npy', dictionary(descr, shape), data);
    writeSafetensors('Y.SafeTensors', ['y', dtype, shape, data]);
    expect(run('--logits', 'logits.npy', '--targets', 'Y.SafeTensors')).toEqual(
      run('--logits', 'logits.npy', '--targets', 'targets.npy'),
    );
  });

  it('weights, and names of all kinds', () => {
    const weight = Float32Array.from({ length: C }, (_, k) => k / 3);
    writeNpy('logits.npy', dictionary('<f4', [R, C]), logits);
    writeNpy('targets.npy', dictionary('<i8', [R]), i64);
    writeNpy('w.npy', dictionary('<f4', [C]), weight);
    const npy = ['--logits', 'logits.npy', '--targets', 'targets.npy'];
    const expected = run(...npy, '--weight', 'w.npy');
    for (const name of ['w', 'a:b', 'toString', 'constructor', 'ä "ß"\n', '0', '/x/../y', ' ']) {
      const other = [`${name}2`, 'F4_UNKNOWN', [3, 7], Uint8Array.of(1)] as const;
      writeSafetensors('w.safetensors', other, [name, 'F32', [C], weight]);
      expect(run(...npy, '--weight', `w.safetensors:${name}`)).toEqual(expected);
    }
    const entry = (begin: number, end: number) =>
      `{"dtype":"F32","shape":[${(end - begin) / 4}],"data_offsets":[${begin},${end}]}`;
    writeFile(
      'w.safetensors',
      `{"a":${entry(0, 4)},"__proto__":${entry(4, 48)}}`,
      Float32Array.of(9),
      weight,
    );
    expect(run(...npy, '--weight', 'w.safetensors:__proto__')).toEqual(expected);
  });

  it('and in shards', () => {
    writeSafetensors('x.safetensors', ['x', 'F32', [R, C], logits], ['y', 'I64', [R], i64]);
    const files = ['--logits', 'x.safetensors:x', '--targets', 'x.safetensors:y'];
    const expected = run(...files);
    for (const i of [1, 0]) expect(score(...files, '--shard', `${i}/2`).status).toBe(0);
    expect(run(...files, '--merge', '2')).toEqual(expected);
  });

  it('and a run of one tensor is not continued with another', () => {
    const [a, b] = ['a', 'b'].map((name) => [name, 'F32', [R, C], logits] as const);
    const bad = targets.with(R - 1, C);
    writeSafetensors('x.safetensors', a, b, ['y', 'I32', [R], targets], ['z', 'I32', [R], bad]);
    const files = ['--logits', 'x.safetensors:a', '--targets', 'x.safetensors:z'];
    const small = ['--batch-bytes', '1', '--sync-seconds', '0'];
    expect(score(...files, ...small).stderr).toBe(
      `score: x.safetensors:z: targets[36] is ${C}: must be an integer in [0, ${C}) or ignoreIndex -100\n`,
    );
    for (const args of [
      ['--targets', 'x.safetensors:y'],
      ['--logits', 'x.safetensors:b'],
    ]) {
      const { stderr, status } = score(...files, ...args);
      expect(status).toBe(1);
      expect(stderr).toMatch(
        /was begun with (logits .*:a|targets .*:z), .* and this is .*:[by], .*--restart/,
      );
    }
  });
});

describe('with files of the safetensors library', () => {
  const code =
    'import numpy as np, safetensors.numpy\n' +
    'r = np.random.default_rng(1)\n' +
    'x, y = r.normal(0, 3, (4, 9, 11)).astype(np.float32), r.integers(0, 11, (4, 9))\n' +
    'safetensors.numpy.save_file({"targets": y, "logits": x, "mask": y > 3}, "x.safetensors", {"a": "b"})\n' +
    'np.save("logits.npy", x); np.save("targets.npy", y)\n';
  beforeEach(({ skip }) => {
    const { status } = spawnSync('python3', ['-c', code], { cwd: directory, stdio: 'ignore' });
    if (status !== 0) skip('safetensors and NumPy are not installed here');
  });

  it('the losses are those of .npy files', () => {
    const files = ['--logits', 'x.safetensors:logits', '--targets', 'x.safetensors:targets'];
    expect(run(...files)).toEqual(run('--logits', 'logits.npy', '--targets', 'targets.npy'));
  });
});

describe('errors of one line', () => {
  let check: (...args: string[]) => Promise<string>;
  beforeEach(async () => {
    const { readOptions } = await load('options.mjs');
    const { openInputs, closeInputs } = await load('inputs.mjs');
    check = (...args) =>
      (async () => closeInputs(await openInputs(readOptions(args))))().then(
        () => 'no error',
        (error: Error) => {
          expect(error.constructor.name).toBe('UserError');
          expect(error.message).not.toContain('\n');
          return error.message.replaceAll(directory, 'DIR');
        },
      );
    writeNpy('logits.npy', dictionary('<f4', [R, C]), logits);
    writeNpy('targets.npy', dictionary('<i4', [R]), targets);
  });
  const out = () => ['--out', inDirectory('losses.npy'), '--targets', inDirectory('targets.npy')];
  const ofLogits = (name: string, ...args: string[]) =>
    check(...out(), '--logits', inDirectory(name), ...args);

  const bytes = 4 * R * C;
  const entry = (fields: object = {}) =>
    JSON.stringify({ dtype: 'F32', shape: [R, C], data_offsets: [0, bytes], ...fields });
  const notThree = 'whose "x" is not of dtype, shape and data_offsets';
  it.each([
    ['that is not JSON', ''],
    ['that is not JSON', '{'],
    ['that is not JSON', `{"x":${entry()},}`],
    ['that is not JSON', Buffer.from(`{"\xff":${entry()}}`, 'latin1')],
    ['that is not JSON', `\ufeff{"x":${entry()}}`],
    ['that is not JSON', `{"x":${'['.repeat(1_000_000)}`],
    ['that is no JSON object', 'null'],
    ['that is no JSON object', `[${entry()}]`],
    ['that is no JSON object', ` {"x":${entry()}}`],
    [notThree, '{"x":null}'],
    [notThree, '{"x":[]}'],
    [notThree, '{"x":"F32"}'],
    [notThree, `{"x":${entry({ more: 1 })}}`],
    [notThree, `{"x":{"dtype":"F32","shape":[1],"__proto__":[0,4]}}`],
    [notThree, `{"x":${entry({ dtype: 3 })}}`],
    [notThree, `{"x":${entry({ dtype: 'F32\n' })}}`],
    [notThree, `{"x":${entry({ shape: [-1, C] })}}`],
    [notThree, `{"x":${entry({ shape: [1.5, C] })}}`],
    [notThree, `{"x":${entry({ shape: `${R}` })}}`],
    [notThree, `{"x":${entry({ shape: new Array(65).fill(1) })}}`],
    [notThree, `{"x":${entry({ data_offsets: [0] })}}`],
    [notThree, `{"x":${entry({ data_offsets: [0, bytes, bytes] })}}`],
    [notThree, `{"x":${entry({ data_offsets: { 0: 0, 1: bytes } })}}`],
    [notThree, '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,1e400]}}'],
    [notThree, '{"x":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}}'],
    [
      `whose "x" is ${bytes} bytes, and ${4 * C * (R + 1)} for F32 (${R + 1}, ${C})`,
      `{"x":${entry({ shape: [R + 1, C] })}}`,
    ],
    [
      `whose "x" is ${bytes} bytes, and ${4 * (2 ** 53 - 1) ** 2} for F32 (9007199254740991, 9007199254740991)`,
      `{"x":${entry({ shape: [2 ** 53 - 1, 2 ** 53 - 1] })}}`,
    ],
    ['whose "x" begins at byte 4 of the data: must be 0', `{"x":${entry({ data_offsets: [4, bytes + 4] })}}`],
    ['whose "y" ends before it begins', `{"x":${entry()},"y":${entry({ data_offsets: [bytes, 4] })}}`],
    [
      'whose "y" begins at byte 4 of the data: must be 1628',
      `{"x":${entry()},"y":${entry({ data_offsets: [4, 4 + bytes] })}}`,
    ],
    ['with a name that is there twice', `{"x":${entry({ dtype: 'I32' })},"x":${entry()}}`],
    ['with a name that is there twice', `{"\\u0078":${entry({ dtype: 'I32' })},"x":${entry()}}`],
    ['with a name that is there twice', `{"x":${entry().replace('{', '{"dtype":"I32",')}}`],
    ['whose __metadata__ is not an object of strings', `{"__metadata__":{"a":1},"x":${entry()}}`],
    ['whose __metadata__ is not an object of strings', `{"__metadata__":null,"x":${entry()}}`],
  ])('a header %s (%#)', async (message, header) => {
    writeFile('x.safetensors', header, logits);
    expect(await ofLogits('x.safetensors')).toContain(`DIR/x.safetensors has a header ${message}`);
  });

  const lengthOnly = (length: bigint) => Buffer.from(BigUint64Array.of(length).buffer);
  it.each([
    ['is empty', Buffer.of()],
    ['ends within its header', Buffer.from('1234567')],
    ['ends within its header', Buffer.concat([lengthOnly(3n), Buffer.from('{}')])],
    ['ends within its header', lengthOnly(100_000_000n)],
    ['has a header of 100000001 bytes: the most is 100000000', lengthOnly(100_000_001n)],
    ['has a header of 18446744073709551615 bytes: the most is 100000000', lengthOnly(2n ** 64n - 1n)],
    ['holds no tensor', Buffer.concat([lengthOnly(2n), Buffer.from('{}')])],
    [
      'holds 1 bytes of data, 0 for its tensors: it is too long',
      Buffer.concat([lengthOnly(2n), Buffer.from('{} ')]),
    ],
  ])('%s', async (message, contents) => {
    writeFileSync(inDirectory('x.safetensors'), contents);
    expect(await ofLogits('x.safetensors')).toBe(`DIR/x.safetensors ${message}`);
  });

  it('a file that has lost its end', async () => {
    writeSafetensors('x.safetensors', ['x', 'F32', [R, C], logits]);
    truncateSync(inDirectory('x.safetensors'), bytes);
    expect(await ofLogits('x.safetensors')).toMatch(
      /holds 15\d\d bytes of data, 1628 for its tensors: it is truncated$/,
    );
  });

  it('a name that is missing, or not there', async () => {
    const some = ['a', 'b'].map((name) => [name, 'F32', [R, C], logits] as const);
    writeSafetensors('x.safetensors', ...some);
    expect(await ofLogits('x.safetensors')).toBe(
      'DIR/x.safetensors holds "a", "b": say which, as in DIR/x.safetensors:a',
    );
    expect(await ofLogits('x.safetensors:c')).toBe('DIR/x.safetensors holds no tensor "c", but "a", "b"');
    for (const name of ['__metadata__', '__proto__', 'toString']) {
      expect(await ofLogits(`x.safetensors:${name}`)).toContain(`holds no tensor "${name}", but "a", "b"`);
    }
    const many = Array.from({ length: 12 }, (_, i) => [`n${i}\n`, 'U8', [0], Buffer.of()] as const);
    writeSafetensors('x.safetensors', ...many);
    expect(await ofLogits('x.safetensors')).toMatch(
      /holds "n0\\n", .*"n9\\n" and 2 more: say which, as in .*:n0\\n$/,
    );
  });

  it('types that cannot be read, and how Python converts the others', async () => {
    const x = ['x', 'F32', [R, C], logits] as const;
    const converted = (name: string, how: string, more = '') =>
      `np.save('DIR/x.safetensors.${name}.npy', safetensors.${more === '' ? 'numpy' : 'torch'}` +
      `.load_file('DIR/x.safetensors')['${name}']${more}${how})`;
    const float = '.float().numpy()';
    writeSafetensors(
      'x.safetensors',
      ...([
        x,
        ['i', 'I32', [R, C], new Int32Array(R * C)],
        ['f8', 'F8_E4M3', [3], Uint8Array.of(1, 2, 3)],
      ] as const),
      ...([
        ['y', 'BF16', [R], bfloat16.subarray(0, R)],
        ['p', 'F16', [R, C], float16],
      ] as const),
      ['w', 'BF16', [C], bfloat16.subarray(0, C)],
    );
    expect(await ofLogits('x.safetensors:f8')).toBe(
      'DIR/x.safetensors holds "f8" of type F8_E4M3: must be of floats, integers or booleans',
    );
    expect(await ofLogits('x.safetensors:i')).toBe(
      `DIR/x.safetensors:i holds int32 (37, 11): logits must be floats, or uint16 with --dtype: ${converted('i', '.astype(np.float32)')}`,
    );
    const ofX = (...args: string[]) => ofLogits('x.safetensors:x', ...args);
    expect(await ofX('--targets', inDirectory('x.safetensors:y'))).toBe(
      `DIR/x.safetensors:y holds bfloat16 (37,): float targets must be float32 or float64: ${converted('y', '.astype(np.int64)', float)}`,
    );
    expect(await ofX('--targets', inDirectory('x.safetensors:p'))).toBe(
      `DIR/x.safetensors:p holds float16 (37, 11): float targets must be float32 or float64: ${converted('p', '.astype(np.float32)')}`,
    );
    expect(await ofX('--weight', inDirectory('x.safetensors:w'))).toBe(
      `DIR/x.safetensors:w holds bfloat16 (11,): weights must be float32, float64 or integers: ${converted('w', '.astype(np.float32)', float)}`,
    );
    expect(await ofX('--dtype', 'bfloat16')).toBe(
      'DIR/x.safetensors:x holds float32 (37, 11), not bfloat16: --dtype is for logits of type uint16',
    );
    expect(await ofX('--weight', inDirectory('none.safetensors:w'))).toBe(
      'DIR/none.safetensors cannot be read: no such file or directory (ENOENT)',
    );
  });

  it('an output of that name', async () => {
    writeSafetensors('x.safetensors', ['x', 'F32', [R, C], logits]);
    expect(await ofLogits('x.safetensors', '--out', 'y.safetensors')).toBe(
      '--out is y.safetensors, as a safetensors file is called: it becomes an .npy file',
    );
  });
});
