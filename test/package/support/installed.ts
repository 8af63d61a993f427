// The package as it was packed and installed, and projects to try it in.

import { cpSync, mkdtempSync } from 'node:fs';
import path from 'node:path';
import { availableBackends } from 'smoothloss';
import { inject } from 'vitest';
import { node, type Run, run, withoutSettings } from './run.js';

export const root = process.cwd();
export const consumer = path.join(root, 'test', 'package', 'consumer');
export const platform = `${process.platform}-${process.arch}`;
export const { temporary, bin, tarball, files, project } = inject('packed');
export const installed = path.join(project, 'node_modules', 'smoothloss');

/** The backend that the package must choose here. */
export const [native] = availableBackends();

/** Runs it as on a machine that has Node and a shell, and neither compilers nor build tools. */
export function runBare(command: readonly string[], cwd = project, env: NodeJS.ProcessEnv = {}): Run {
  return run(command, cwd, { ...withoutSettings(bin), ...env });
}

/** A new directory. */
export function newDirectory(name: string): string {
  return mkdtempSync(path.join(temporary, `${name}-`));
}

/** A second project with the same package, to break. */
export function copyOfProject(name: string): { directory: string; prebuilds: string } {
  const directory = newDirectory(name);
  cpSync(project, directory, { recursive: true });
  return { directory, prebuilds: path.join(directory, 'node_modules', 'smoothloss', 'prebuilds') };
}

/** What use.cjs prints where all is well: the native backend, and a digest of the results' bits. */
export const use = runBare(node('use.cjs'));
if (use.status !== 0) throw new Error(`use.cjs: ${use.stderr}`);
