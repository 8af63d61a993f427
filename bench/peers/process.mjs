// @ts-check
// The suite's end of a peer: a process that gets requests and gives answers, a line of JSON each, one at a time.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** @import { Peer } from './list.mjs' */

const TIMEOUT_MS = 900_000; // compiling takes long on a busy machine

/** The peer cannot run here, and what it lacks. */
export class MissingError extends Error {}

export class PeerProcess {
  version = '';
  /** @type {{ resolve: (answer: any) => void, reject: (error: Error) => void } | undefined} */
  #waiting;
  #errors = '';
  #child;

  /** @param {Peer} peer @param {{ python: string, threads: number }} options */
  constructor({ worker: [file, ...args] }, { python, threads }) {
    const script = path.resolve(import.meta.dirname, file);
    const command = file.endsWith('.py')
      ? [python, script, ...args]
      : [process.execPath, path.join(import.meta.dirname, 'worker.mjs'), script, ...args];
    // Those are for kernels of another CPU than this one.
    const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...environment } = process.env;
    const env = {
      // glibc keeps what is freed, so that peers that allocate their outputs get the same pages again: new ones can
      // cost more than the computation, on virtual machines above all.
      MALLOC_MMAP_MAX_: '0',
      MALLOC_TRIM_THRESHOLD_: String(2 ** 40),
      MALLOC_ARENA_MAX: '1', // those of threads keep 64 MB at most
      ...environment,
      // OpenMP, MKL and OpenBLAS read theirs when they are loaded.
      OMP_NUM_THREADS: String(threads),
      MKL_NUM_THREADS: String(threads),
      OPENBLAS_NUM_THREADS: String(threads),
    };
    this.#child = spawn(command[0], command.slice(1), { env, stdio: 'pipe' });
    this.#child.on('error', (error) => {
      const missing = /** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT';
      this.#fail(missing ? new MissingError(`no ${command[0]}`) : error);
    });
    this.#child.on('close', (code, signal) =>
      this.#fail(new Error(`ended by ${signal ?? code}: ${this.#errors.trim().split('\n').at(-1)}`)),
    );
    this.#child.stdin.on('error', () => {}); // 'close' says why
    this.#child.stderr.on('data', (text) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#answer(JSON.parse(line)));
  }

  /** @param {Error} error */
  #fail(error) {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  /** @param {{ missing?: string, error?: string }} answer */
  #answer(answer) {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (answer.missing !== undefined) waiting?.reject(new MissingError(answer.missing));
    else if (answer.error !== undefined) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer);
  }

  /** @param {string} request @param {object} [values] @returns {Promise<any>} */
  async ask(request, values = {}) {
    const answer = new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    const timer = setTimeout(() => {
      this.#fail(new Error(`no answer in ${TIMEOUT_MS / 1e3} s`));
      this.end();
    }, TIMEOUT_MS);
    this.#child.stdin.write(`${JSON.stringify({ request, ...values })}\n`);
    return answer.finally(() => clearTimeout(timer));
  }

  /** Resident memory in bytes, now and at its peak, as Linux counts it. */
  memory() {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const [now, peak] = ['VmRSS', 'VmHWM'].map(
      (name) => 1024 * Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]),
    );
    return { now, peak };
  }

  end() {
    this.#child.kill();
  }
}
