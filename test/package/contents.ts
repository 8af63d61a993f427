// What npm packs.

import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { files, installed, newDirectory, root, tarball } from './support/installed.js';
import { npm, run, tool } from './support/run.js';

/** The files below a directory of the repository. */
function filesBelow(directory: string): string[] {
  const entries = readdirSync(path.join(root, directory), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(path.join(root, directory), path.join(entry.parentPath, entry.name)))
    .map((file) => file.replaceAll('\\', '/'));
}

describe('the tarball', () => {
  test('holds what it should and nothing else', () => {
    const modules = filesBelow('lib').filter((file) => /\.m?ts$/.test(file));
    // host/bundle is for the build of ES modules, which bundlers take.
    const commonJs = modules.filter((file) => file !== 'host/bundle.mts');
    const esModules = ['index', 'promises', 'shared', 'host/bundle', 'host/browser'];
    // SHA256SUMS beside them is what scripts/prebuild.mjs writes last.
    const prebuilt = filesBelow('prebuilds').filter((file) =>
      /^(linux-(x64|arm64)\/smoothloss\.(glibc|musl)|(darwin|win32)-(x64|arm64)\/smoothloss)\.node$|^SHA256SUMS$/.test(
        file,
      ),
    );
    const expected = [
      ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'],
      ...['bin', 'native'].flatMap((directory) =>
        filesBelow(directory).map((file) => `${directory}/${file}`),
      ),
      ...commonJs.map((file) => `dist/${file.replace(/ts$/, 'js')}`),
      ...commonJs.map((file) => `dist/${file.replace(/(m?ts)$/, 'd.$1')}`),
      ...['index', 'promises'].flatMap((face) => [`dist/${face}.mjs`, `dist/${face}.d.mts`]),
      ...esModules.map((file) => `dist/esm/${file}.mjs`),
      ...prebuilt.map((file) => `prebuilds/${file}`),
    ];
    expect(files.map((file) => file.path).sort()).toEqual(expected.sort());
    for (const file of expected.filter((name) => name.startsWith('native/'))) {
      expect(file).toMatch(/\.(h|cc|gypi?)$/);
    }
  });

  // npm and Yarn take a binding.gyp in the root for a script to run at every install from a lock file, "gypfile": false or not.
  test('has nothing in its root that package managers would compile', () => {
    expect(files.map((file) => file.path).filter((file) => /^[^/]*\.gypi?$/.test(file))).toEqual([]);
  });

  test('is small', () => {
    const isBinary = ({ path: name }: { path: string }) => name.endsWith('.node');
    for (const { path: name, size } of files.filter(isBinary)) expect(size, name).toBeLessThan(3e6);
    const rest = files.filter((file) => !isBinary(file)).reduce((sum, { size }) => sum + size, 0);
    expect(rest).toBeLessThan(1.1e6);
    expect(statSync(tarball).size).toBeLessThan(6e6);
  });

  test('has the hash of each of its binaries', () => {
    const lines = readFileSync(path.join(installed, 'prebuilds', 'SHA256SUMS'), 'utf8')
      .trimEnd()
      .split('\n');
    const binaries = files.map((file) => file.path).filter((name) => name.endsWith('.node'));
    const hashes = binaries.sort().map((name) => {
      const content = readFileSync(path.join(installed, name));
      return `${createHash('sha256').update(content).digest('hex')}  ${name.replace('prebuilds/', '')}`;
    });
    expect(lines).toEqual(hashes);
  });

  test('satisfies publint', () => {
    const { status, stdout, stderr } = tool('publint/src/cli.js', 'run', tarball, '--strict');
    expect(stdout + stderr).toMatch(/All good!/);
    expect(status).toBe(0);
  });

  test('has the right types for every way to import it, as attw sees it', () => {
    const { status, stdout, stderr } = tool(
      '@arethetypeswrong/cli/dist/index.js',
      tarball,
      '--profile',
      'strict',
    );
    expect(stdout + stderr).toMatch(/No problems found/);
    expect(status).toBe(0);
  });
});

describe('packing', () => {
  test.each(['dist', 'prebuilds'])('is refused without %s, and says what makes it', (missing) => {
    const checkout = newDirectory('checkout');
    const { files: entries } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    for (const entry of ['package.json', 'README.md', 'scripts', ...entries]) {
      const leftOut = entry === missing || entry.startsWith('!');
      if (!leftOut) cpSync(path.join(root, entry), path.join(checkout, entry), { recursive: true });
    }
    const { status, stderr } = run(npm('pack'), checkout);
    expect(status).not.toBe(0);
    expect(stderr).toContain('smoothloss is not packed');
    expect(stderr).toContain(missing === 'dist' ? 'npm run build:ts' : 'npm run build:prebuilt');
    expect(stderr).not.toContain(missing === 'dist' ? 'npm run build:prebuilt' : 'npm run build:ts');
    expect(readdirSync(checkout).filter((name) => name.endsWith('.tgz'))).toEqual([]);
  });
});
