// What smoothloss needs of Node, and of the runtimes that have its modules: Bun, Deno, Electron.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import v8 from 'node:v8';
import type { Addon, FoundAddon } from '../native.js';

export const platform = `${process.platform}-${process.arch}`;

/** The platforms whose binary the package has; of Linux for glibc and for musl: those of scripts/prebuild/platforms.mjs. */
const SHIPPED = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64', 'win32-arm64'];
const BUILD = 'npx node-gyp rebuild -C node_modules/smoothloss/native builds one';
const BUNDLE =
  'bundlers: leave smoothloss external, or copy its folder prebuilds beside the bundle; in a clone: npm run build';

/** The result of `probe`, or `otherwise` if it throws: the package loads even where a runtime lacks or forbids something. */
export function permitted<T>(probe: () => T, otherwise: T): T {
  try {
    return probe();
  } catch {
    return otherwise;
  }
}

/** An environment variable; undefined if it is empty, not set or not permitted. */
export function environment(name: string): string | undefined {
  return permitted(() => process.env[name] || undefined, undefined);
}

export function warn(message: string, code: string): void {
  process.emitWarning(message, { code });
}

/** Resolves after other work of the event loop had its turn. */
export function nextTurn(): Promise<void> {
  return setImmediate();
}

/** The text of a file; '' if there is none. */
const read = (file: string) => permitted(() => readFileSync(file, 'utf8').trim(), '');

/** The CPU time that Linux's control groups allow, in CPUs: a container may have less of it than there are CPUs. */
function cgroupLimit(): number {
  if (process.platform !== 'linux') return Infinity;
  let limit = Infinity;
  const group = /^0::(.*)$/m.exec(read('/proc/self/cgroup'))?.[1];
  for (let at = group; at !== undefined; at = at === '/' ? undefined : path.posix.dirname(at)) {
    const [quota, period] = read(`/sys/fs/cgroup${at === '/' ? '' : at}/cpu.max`)
      .split(' ')
      .map(Number);
    if (quota > 0 && period > 0) limit = Math.min(limit, quota / period);
  }
  // The first version of control groups.
  const quota = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'));
  const period = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'));
  return quota > 0 && period > 0 ? Math.min(limit, quota / period) : limit;
}

/** How many CPUs the process may use. */
export function processors(): number {
  const available = permitted(() => os.availableParallelism(), 1);
  return Math.max(1, Math.min(available, Math.ceil(cgroupLimit())));
}

/** The reason for no addon while a snapshot is built: Node aborts if a snapshot is to hold one. */
export function inSnapshot(): FoundAddon | undefined {
  const builds = permitted(() => v8.startupSnapshot.isBuildingSnapshot(), false);
  return builds ? { reason: 'a startup snapshot can hold no native addon' } : undefined;
}

/** The exports of a binary as our addon. Throws if they are another's. */
export function accept(exports: Partial<Addon>): FoundAddon {
  if (!Array.isArray(exports.backends) || typeof exports.compute !== 'function') {
    throw new Error('it is not the addon of smoothloss');
  }
  return { addon: exports as Addon };
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

/** There is a binary, and it does not load. */
export function broken(file: string, error: unknown): FoundAddon {
  const message = error instanceof Error ? error.message : String(error);
  const remedy = codeOf(error) === 'ERR_DLOPEN_DISABLED' ? ' (start Node with --allow-addons)' : '';
  return {
    reason: `the native binary ${file} does not load: ${message}${remedy}`,
    warning: 'SMOOTHLOSS_NATIVE_BROKEN',
  };
}

/**
 * Whether the C library is musl, which does not run binaries for glibc. Some systems have both, so a report decides; it
 * takes 20 ms.
 */
export function isMusl(): boolean {
  return permitted(() => {
    if (!readdirSync('/lib').some((name) => name.startsWith('ld-musl-'))) return false;
    const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
    return header.glibcVersionRuntime === undefined;
  }, false);
}

/** There is no binary. It warns only if the package has one for the platform. */
function missing(): FoundAddon {
  const shipped = SHIPPED.includes(platform);
  const libc = isMusl() ? ' with musl' : '';
  const reason = `no native binary for ${platform}${libc} was found (${shipped ? BUNDLE : BUILD})`;
  return shipped ? { reason, warning: 'SMOOTHLOSS_NATIVE_MISSING' } : { reason };
}

/** A folder that may hold a binary cannot be read. */
function unreadable(folder: string, error: Error): FoundAddon {
  return {
    reason: `${folder}, where the native binary should be, cannot be read: ${error.message}`,
    warning: 'SMOOTHLOSS_NATIVE_MISSING',
  };
}

/** The folder of the binary in a copy of the package's `prebuilds` in this directory. */
export function prebuiltIn(directory: string): string {
  return path.join(directory, 'prebuilds', platform);
}

/** The same beside the program. A program from the command line (`node -e`) has no place. */
export function besideProgram(): string[] {
  const [, program = ''] = process.argv;
  return path.isAbsolute(program) ? [prebuiltIn(path.dirname(program))] : [];
}

/** Whether a directory does not exist here: bundlers may write the build machine's `__dirname`. */
export function isGone(directory: string): boolean {
  try {
    statSync(directory);
    return false;
  } catch (error) {
    return codeOf(error) === 'ENOENT';
  }
}

/** The addon in one of the folders, or in `prebuilds` beside the executable. */
export function loadFrom(folders: readonly string[]): FoundAddon {
  const nearby = prebuiltIn(path.dirname(process.execPath));
  const otherLibc = isMusl() ? '.glibc.' : '.musl.';
  let refused: FoundAddon | undefined;
  let denied: FoundAddon | undefined;
  for (const folder of [...folders, nearby]) {
    let files: string[] = [];
    try {
      files = readdirSync(folder).filter(
        (name) => /^smoothloss.*\.node$/.test(name) && !name.includes(otherLibc),
      );
    } catch (error) {
      const absent = ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '');
      if (!absent && folder !== nearby) denied ??= unreadable(folder, error as Error);
    }
    for (const name of files) {
      const file = path.join(folder, name);
      try {
        // Not `require`: bundlers replace it, and in single executables it knows Node's own modules alone.
        const module = { exports: {} };
        process.dlopen(module, file);
        return accept(module.exports);
      } catch (error) {
        refused ??= broken(file, error);
      }
    }
  }
  return refused ?? denied ?? missing();
}
