// Programs that a script starts.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Runs a program, and returns what it prints. Throws what it prints if it fails. */
export async function run(command, args, options = {}) {
  try {
    const { stdout } = await promisify(execFile)(command, args, { maxBuffer: 2 ** 28, ...options });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '', message } = error;
    throw new Error(`${message}\n${stdout}${stderr}`.trim());
  }
}
