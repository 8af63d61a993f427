// The promise: npm run build builds the sources beside it, or says that it does not.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect } from 'vitest';
import { itNative } from './support/native.js';
import { root } from './support/root.js';

const directory = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'smoothloss-build-')));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A checkout with the script and a small project for CMake, which copies `source` into its build directory. */
function checkout(name: string): string {
  const place = path.join(directory, name);
  mkdirSync(place);
  cpSync(path.join(root, 'scripts'), path.join(place, 'scripts'), { recursive: true });
  writeFileSync(path.join(place, 'package.json'), '{ "name": "small", "version": "1.0.0" }');
  writeFileSync(path.join(place, 'source'), name);
  writeFileSync(
    path.join(place, 'CMakeLists.txt'),
    `cmake_minimum_required(VERSION 3.19)
project(small NONE)
add_custom_target(result ALL COMMAND \${CMAKE_COMMAND} -E copy \${CMAKE_SOURCE_DIR}/source \${CMAKE_BINARY_DIR}/result)`,
  );
  return place;
}

function build(place: string) {
  const bin = path.join(root, 'node_modules', '.bin');
  const { status, stderr, stdout } = spawnSync(process.execPath, ['scripts/build-native.mjs'], {
    cwd: place,
    env: { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH}` },
    encoding: 'utf8',
  });
  return {
    status,
    output: stdout + stderr,
    result: () => readFileSync(path.join(place, 'build', 'result'), 'utf8'),
  };
}

describe('the native build', () => {
  itNative('of a copied checkout is of its own sources', () => {
    const original = checkout('original');
    const first = build(original);
    expect(first.status, first.output).toBe(0);
    expect(first.result()).toBe('original');

    const copy = path.join(directory, 'copy');
    cpSync(original, copy, { recursive: true });
    writeFileSync(path.join(copy, 'source'), 'copy');
    const second = build(copy);
    expect(second.status, second.output).toBe(0);
    expect(second.output).toContain('configured for other sources');
    expect(second.result()).toBe('copy');
    expect(build(copy).output).not.toContain('other sources');
  });

  itNative('fails if CMake does', () => {
    const place = checkout('broken');
    writeFileSync(path.join(place, 'CMakeLists.txt'), 'message(FATAL_ERROR "this is no project")');
    const { status, output } = build(place);
    expect(status).not.toBe(0);
    expect(output).toContain('this is no project');
  });
});
