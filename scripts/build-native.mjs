// Builds the native addon into build/Release with cmake-js. A machine without a compiler is no failure: the package then
// computes in JavaScript, and this says so. A compiler that rejects the sources is one.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = realpathSync(path.join(path.dirname(fileURLToPath(import.meta.url)), '..'));

/** Whether CMake configured this directory for the sources of another one: in a checkout that was copied or moved. */
function isOfOtherSources(directory) {
  const cache = path.join(directory, 'CMakeCache.txt');
  if (!existsSync(cache)) return false;
  const [, home] = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, 'utf8')) ?? [];
  return home === undefined || !existsSync(home) || realpathSync(home) !== root;
}

// CMake would go on with the other directory's sources. Beside build it is where other compilers and sanitizers build.
const build = path.join(root, 'build');
const within = existsSync(build) ? readdirSync(build).map((name) => path.join(build, name, 'build')) : [];
for (const directory of [build, ...within].filter(isOfOtherSources)) {
  console.warn(
    `smoothloss: ${directory} was configured for other sources, of which this is a copy; it is made anew`,
  );
  for (const name of ['CMakeCache.txt', 'CMakeFiles', 'Release']) {
    rmSync(path.join(directory, name), { recursive: true, force: true });
  }
}

const found = (command) =>
  spawnSync(command, ['--version'], { shell: process.platform === 'win32' }).status === 0;

const windows = process.platform === 'win32';
const compilers = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
const missing = [
  !found('cmake') && 'cmake',
  !windows && !['make', 'ninja'].some(found) && 'make',
  !windows && !compilers.some(found) && 'a C++ compiler',
].filter(Boolean);

if (missing.length > 0) {
  console.warn(
    `smoothloss: ${missing.join(' and ')} not found, so no native addon is built; computing in JavaScript`,
  );
} else {
  const { status, stdout } = spawnSync('cmake-js', ['compile', '--out', 'build', '--log-level', 'warn'], {
    cwd: root,
    stdio: ['inherit', 'pipe', 'inherit'],
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0) console.log(stdout);
  process.exitCode = status ?? 1;
}
