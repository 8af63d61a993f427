// What the tests of smoothloss score share: a folder of files, and the program that runs in it.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { QUIET } from './native.js';
import { root } from './root.js';

export let directory: string;
beforeAll(() => {
  directory = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'smoothloss-score-')));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => {
  for (const name of readdirSync(directory)) rmSync(path.join(directory, name), { recursive: true });
});

export const inDirectory = (name: string) => path.join(directory, name);
export const bytesOf = (array: ArrayBufferView) =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength);
export const tuple = (shape: readonly number[]) =>
  shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
export const dictionary = (descr: string, shape: readonly number[]) =>
  `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple(shape)}, }`;

/** Writes a file as the format's description says, by hand. */
export function writeNpy(
  name: string,
  header: string,
  data: ArrayBufferView = Buffer.of(),
  version = 1,
): void {
  const text = Buffer.from(header, version === 3 ? 'utf8' : 'latin1');
  const start = Buffer.alloc(version === 1 ? 10 : 12);
  start.write('\x93NUMPY', 'latin1');
  start[6] = version;
  if (version === 1) start.writeUInt16LE(text.length, 8);
  else start.writeUInt32LE(text.length, 8);
  writeFileSync(inDirectory(name), Buffer.concat([start, text, bytesOf(data)]));
}

export const load = (file: string) => import(pathToFileURL(path.join(root, 'bin', 'score', file)).href);

export const env = { ...process.env };
for (const name of Object.keys(env))
  if (/^(SMOOTHLOSS_(?!PREBUILD$)|NODE_OPTIONS|VITEST)/.test(name)) delete env[name];
Object.assign(env, QUIET);

export const INPUTS = ['--logits', 'logits.npy', '--targets', 'targets.npy'];
export const program = (args: readonly string[]) => [
  path.join(root, 'bin', 'smoothloss.mjs'),
  'score',
  ...args,
];

export function score(...args: string[]): { stdout: string; stderr: string; status: number | null } {
  const all = args.includes('--logits') ? args : [...INPUTS, ...args];
  const out = all.includes('--out') ? all : [...all, '--out', 'losses.npy'];
  return spawnSync(process.execPath, program(out), {
    cwd: directory,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  });
}
