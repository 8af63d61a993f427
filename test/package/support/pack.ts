// Runs once, before the tests: packs the package and installs it in an empty project, as on a machine without a compiler.

import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { npm, run, withoutSettings } from './run.js';

export interface Packed {
  /** Where the tests may write; deleted at the end. */
  temporary: string;
  /** Holds Node and a shell, and nothing else: a PATH without compilers and build tools. */
  bin: string;
  tarball: string;
  /** What the tarball holds. */
  files: { path: string; size: number }[];
  /** A project with the package installed, and the scripts of consumer/. */
  project: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    packed: Packed;
  }
}

export default function setup({ provide }: TestProject): () => void {
  const root = process.cwd();
  const platform = `${process.platform}-${process.arch}`;
  if (!existsSync(path.join(root, 'prebuilds', platform))) {
    throw new Error(`there is no prebuilds/${platform}: npm run build:prebuilt makes it`);
  }
  const temporary = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'smoothloss-package-')));
  const bin = path.join(temporary, 'bin');
  const project = path.join(temporary, 'project');
  const remove = () => rmSync(temporary, { recursive: true, force: true });
  try {
    mkdirSync(bin);
    if (process.platform !== 'win32') {
      symlinkSync(process.execPath, path.join(bin, 'node'));
      symlinkSync('/bin/sh', path.join(bin, 'sh'));
    }
    const pack = run(npm('pack', '--json', '--pack-destination', temporary), root);
    if (pack.status !== 0) throw new Error(`npm pack: ${pack.stderr}`);
    const [{ filename, files }] = JSON.parse(pack.stdout);
    const tarball = path.join(temporary, filename);

    cpSync(path.join(root, 'test', 'package', 'consumer'), project, { recursive: true });
    const command = npm('install', tarball, '--prefer-offline', '--no-audit', '--no-fund');
    const install = run(command, project, withoutSettings(bin));
    if (install.status !== 0) throw new Error(`npm install: ${install.stderr}`);
    provide('packed', { temporary, bin, tarball, files, project });
  } catch (error) {
    remove();
    throw error;
  }
  return remove;
}
