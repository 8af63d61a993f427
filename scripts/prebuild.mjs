// Builds the binary that the package ships for one platform, with prebuildify, into prebuilds/<platform>-<arch>:
//
//     node scripts/prebuild.mjs [--arch arm64]
//
// For another architecture than this machine's on Linux it takes Debian's cross compilers, unless CC and CXX name others.

import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import prebuildify from 'prebuildify';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values } = parseArgs({ options: { arch: { type: 'string', default: process.arch } } });
const { arch } = values;
const linux = process.platform === 'linux';

// node-gyp's rebuild begins by deleting build/, so it gets a directory of its own.
const cwd = path.join(root, 'build', 'prebuild', arch);
rmSync(cwd, { recursive: true, force: true });
mkdirSync(cwd, { recursive: true });
for (const name of ['package.json', 'binding.gyp', 'native']) {
  cpSync(path.join(root, name), path.join(cwd, name), { recursive: true });
}

// Node's headers: those that came with it if they did; else node-gyp downloads them.
const prefix = path.join(path.dirname(process.execPath), '..');
if (!process.env.npm_config_nodedir && existsSync(path.join(prefix, 'include', 'node', 'common.gypi'))) {
  process.env.npm_config_nodedir = prefix;
}

process.env.JOBS ??= 'max'; // for node-gyp

const cross = linux && arch !== process.arch ? { arm64: 'aarch64', x64: 'x86_64' }[arch] : undefined;
if (cross) {
  process.env.CC ??= `${cross}-linux-gnu-gcc`;
  process.env.CXX ??= `${cross}-linux-gnu-g++`;
}

await promisify(prebuildify)({
  arch,
  cwd,
  out: root,
  napi: true,
  targets: [process.versions.node],
  strip: true,
  stripBin: cross ? `${cross}-linux-gnu-strip` : 'strip',
  tagLibc: linux, // a binary for glibc must not be taken for one that loads on musl
});
