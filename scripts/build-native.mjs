// Builds the native addon into build/Release with cmake-js. A machine without a compiler is no failure: the package then
// computes in JavaScript, and this says so. A compiler that rejects the sources is one.

import { spawnSync } from 'node:child_process';

const found = (command) =>
  spawnSync(command, ['--version'], { shell: process.platform === 'win32' }).status === 0;

const compilers = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++', 'cl'];
const missing = [
  !found('cmake') && 'cmake',
  process.platform !== 'win32' && !compilers.some(found) && 'a C++ compiler',
].filter(Boolean);

if (missing.length > 0) {
  console.warn(
    `smoothloss: ${missing.join(' and ')} not found, so no native addon is built; computing in JavaScript`,
  );
} else {
  const { status, stdout } = spawnSync('cmake-js', ['compile', '--out', 'build', '--log-level', 'warn'], {
    stdio: ['inherit', 'pipe', 'inherit'],
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0) console.log(stdout);
  process.exitCode = status ?? 1;
}
