// Runs before npm packs: refuses to make a package that would lack its binary or its JavaScript, and would not say so.

import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const binaries = path.join('prebuilds', `${process.platform}-${process.arch}`);

const holds = (directory, pattern) =>
  existsSync(path.join(root, directory)) &&
  readdirSync(path.join(root, directory)).some((name) => pattern.test(name));

const missing = [
  !(holds('dist', /^index\.js$/) && holds('dist/esm/host', /^bundle\.mjs$/)) &&
    'the JavaScript, dist: npm run build:ts',
  !holds(binaries, /\.node$/) && `the binary for this machine, ${binaries}: npm run build:prebuilt`,
].filter(Boolean);

if (missing.length > 0) {
  console.error(`smoothloss is not packed. Missing:\n${missing.map((each) => `  ${each}`).join('\n')}`);
  process.exitCode = 1;
}
