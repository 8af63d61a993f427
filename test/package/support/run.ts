// Programs that a test starts.

import { spawnSync } from 'node:child_process';
import path from 'node:path';

export interface Run {
  status: number | null;
  stdout: string;
  stderr: string;
}

export function run(command: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env): Run {
  const { status, stdout, stderr, error } = spawnSync(command[0], command.slice(1), {
    cwd,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** This process's environment with neither the settings of the npm that started it nor the package's own. */
export function withoutSettings(PATH: string): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|smoothloss_|vitest|node_options$|node_env$|path$)/i.test(name),
  );
  return { ...Object.fromEntries(inherited), PATH: process.platform === 'win32' ? process.env.PATH : PATH };
}

export const node = (...args: string[]) => [process.execPath, ...args];
export const npm = (...args: string[]) => node(String(process.env.npm_execpath), ...args);
export const npx = (...args: string[]) => npm('exec', '--', ...args);

const root = process.cwd();

/** A program of the development dependencies, on the repository. */
export const tool = (name: string, ...args: string[]) =>
  run(node(path.join(root, 'node_modules', name), ...args), root, { ...process.env, NO_COLOR: '1' });
