// Runs a program in a process of its own, with the package as its users see it.

import { spawnSync } from 'node:child_process';
import { hasAddon } from './native.js';
import { root } from './root.js';

export interface Child {
  /** What the program printed, as JSON. */
  output: unknown;
  stderr: string;
  status: number | null;
  signal: NodeJS.Signals | null;
}

// SMOOTHLOSS_TEST_NODE=<command>: how to start Node, where it is an emulator that runs it.
const [command, ...commandArguments] = process.env.SMOOTHLOSS_TEST_NODE?.split(' ') ?? [process.execPath];

/** Where this machine has no native addon every process warns of it, also where a test means something else. */
const quiet = (env: NodeJS.ProcessEnv) =>
  hasAddon || 'SMOOTHLOSS_PREBUILD' in env ? [] : ['--disable-warning=SMOOTHLOSS_NATIVE_MISSING'];

/**
 * `program` is CommonJS, or with `type: 'module'` a module; `print(value)` in it is the way to say something. `flags` are
 * Node's.
 */
export function runChild(
  program: string,
  env: NodeJS.ProcessEnv = {},
  type = 'commonjs',
  flags: readonly string[] = [],
): Child {
  const all: NodeJS.ProcessEnv = { ...process.env };
  for (const name of Object.keys(all))
    if (/^(SMOOTHLOSS_(?!PREBUILD$)|NODE_OPTIONS|VITEST)/.test(name)) delete all[name];
  const print = 'const print = (value) => console.log(JSON.stringify(value));';
  const { stdout, stderr, status, signal } = spawnSync(
    command,
    [...commandArguments, ...quiet(env), ...flags, `--input-type=${type}`, '--eval', `${print}\n${program}`],
    { cwd: root, env: { ...all, ...env }, encoding: 'utf8', timeout: 300_000 },
  );
  const output = stdout.trim() === '' ? undefined : JSON.parse(stdout);
  return { output, stderr, status, signal };
}
