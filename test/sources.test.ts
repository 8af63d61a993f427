// The promise: native/sources.gypi is the one list of sources and flags, which both build systems read.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './support/root.js';

const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const list = JSON.parse(read('native/sources.gypi')).variables as Record<string, string[]>;
const cmake = read('CMakeLists.txt');
const gyp = JSON.parse(read('binding.gyp'));

describe('native/sources.gypi', () => {
  it('lists every source file of native/, and no other', () => {
    const files = readdirSync(path.join(root, 'native'), { recursive: true, encoding: 'utf8' });
    const sources = files
      .filter((file) => /\.(c|cc|cpp|cxx|s|asm)$/i.test(file))
      .map((file) => `native/${file}`);
    expect([...list.smoothloss_sources].sort()).toEqual(sources.sort());
  });

  it.each(Object.keys(list))('%s holds nothing twice', (name) => {
    expect(new Set(list[name]).size).toBe(list[name].length);
  });

  it('keeps the compiler from fusing or reordering arithmetic', () => {
    expect(list.smoothloss_cflags).toContain('-ffp-contract=off');
    expect(list.smoothloss_msvc_flags).toContain('/fp:precise');
    const flags = [...list.smoothloss_cflags, ...list.smoothloss_msvc_flags].join(' ');
    expect(flags).not.toMatch(/fast|-Ofast|-funsafe|-march|-mavx|-mfma|\/arch|reciprocal|associative/);
  });
});

describe('binding.gyp', () => {
  const text = JSON.stringify(gyp);

  it('includes the list and names no source', () => {
    expect(gyp.includes).toEqual(['native/sources.gypi']);
    expect(gyp.targets).toHaveLength(1);
    expect(gyp.targets[0].sources).toEqual(['<@(smoothloss_sources)']);
    expect(text).not.toMatch(/\.(c|cc|cpp)"/);
  });

  it('uses every entry of the list', () => {
    for (const name of Object.keys(list)) expect(text, name).toContain(`<@(${name})`);
  });

  it('repeats no flag or definition', () => {
    for (const flag of Object.values(list).flat()) expect(text, flag).not.toContain(flag);
  });
});

describe('CMakeLists.txt', () => {
  it('reads the list and names no source', () => {
    expect(cmake).toContain('file(READ native/sources.gypi');
    expect(cmake).not.toMatch(/\.(c|cc|cpp|h)\b/);
  });

  it('uses every entry of the list', () => {
    for (const name of Object.keys(list)) expect(cmake, name).toContain(name);
  });

  it('repeats no flag or definition', () => {
    for (const flag of Object.values(list).flat()) expect(cmake, flag).not.toContain(flag);
    // What CMake would turn into flags that the list has already.
    expect(cmake).not.toMatch(/CXX_STANDARD|CMAKE_CXX_FLAGS|CXX_VISIBILITY_PRESET|CMAKE_BUILD_TYPE/);
  });
});

describe('kernels', () => {
  it('intrinsics are in the vec_*-inl.h files alone, and each kernel file has an instruction set', () => {
    for (const file of readdirSync(path.join(root, 'native'))) {
      if (/^vec_.*-inl\.h$/.test(file)) continue;
      const code = read(`native/${file}`).replace(/\/\/.*$/gm, '');
      expect(code, file).not.toMatch(/_mm\d*_(?!getcsr|setcsr|prefetch)|\bv(ld|st|add|mul|fma)\w*q_f32\b/);
    }
  });

  it('lib/batch.ts and native/kernels.h agree on the rows of a chunk', () => {
    const chunk = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1]);
    expect(chunk(read('lib/batch.ts'), /ROW_CHUNK = (\d+)/)).toBe(
      chunk(read('native/kernels.h'), /kRowChunk = (\d+)/),
    );
  });
});

describe('test/conformance', () => {
  it('every table runs in vitest and in the plain runner', () => {
    const directory = path.join(root, 'test/conformance');
    const tests = readdirSync(path.join(root, 'test')).filter((file) => file.endsWith('.test.ts'));
    const all = tests.map((file) => read(`test/${file}`)).join('\n');
    const runner = read('test/conformance/run.ts');
    for (const file of readdirSync(directory).filter((name) => name.endsWith('.ts'))) {
      if (!read(`test/conformance/${file}`).includes('export const tables')) continue;
      const module = file.replace(/\.ts$/, '.js');
      expect(runner, file).toContain(`from './${module}'`);
      expect(all, file).toContain(`from './conformance/${module}'`);
    }
  });

  it('no test is switched off', () => {
    for (const file of readdirSync(path.join(root, 'test'), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(test|test-d)\.ts$|conformance.*\.ts$/.test(file) || file.endsWith('sources.test.ts')) continue;
      expect(read(`test/${file}`), file).not.toMatch(/\.(only|skip|todo|fails|skipIf|runIf)\b/);
    }
  });
});
