// @ts-check
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { untrained } from './model.mjs';
import { UserError } from './options.mjs';

/** @import { Parameters } from './model.mjs' */

// A file: 16 bytes of magic; version, features, classes and 0 as uint32; the step as float64; the values as
// float32; SHA-256 of all of that. Numbers are in this machine's byte order: on a machine of the other, the
// version is not 2.
const MAGIC = 'softmax weights\n';
const VERSION = 2;
const HEADER = 40;
const CHECKSUM = 32;
const CHUNK = 2 ** 20;
const MOST_LINKS = 40; // as many as Linux follows

/** The file is there, and is not a whole checkpoint. */
class Damaged extends Error {}

/**
 * Keeps the model in a file, and the one before it in FILE.previous.
 *
 * A new checkpoint is written to a file of its own, which is on the disk before it takes the name. So
 * whatever ends the process or the machine, and whenever, FILE or FILE.previous is whole, and the newer of
 * the whole ones is the last that was reported, or one after it.
 */
export class Checkpoints {
  /** @type {Parameters | undefined} */
  #wanted;
  /** @type {Promise<void> | undefined} */
  #running;
  #path;
  #previous;
  #temporary;
  #events;
  /** @type {{ step: number, time: number } | undefined} The last whole one. */
  last;

  /**
   * @param {string} path If it is a symbolic link, the file that it leads to is the one that is replaced.
   * @param {object} events
   * @param {(message: string) => void} events.warn
   * @param {(step: number, seconds: number) => void} events.saved
   * @param {(error: unknown) => void} events.failed
   */
  constructor(path, events) {
    this.#path = followed(path);
    this.#previous = `${this.#path}.previous`;
    this.#temporary = `${this.#path}.${process.pid}.tmp`;
    this.#events = events;
  }

  /**
   * The last whole checkpoint, or an untrained model if there never was one.
   * @param {{ features: number, classes: number }} shape
   * @returns {Parameters}
   */
  load(shape) {
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      this.#removeTemporaries();
      return this.#newest(shape) ?? untrained(shape);
    } catch (error) {
      const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
      throw error instanceof UserError || code === undefined ? error : new UserError(message);
    }
  }

  /** What a process left that ended in the middle of writing. */
  #removeTemporaries() {
    const start = `${basename(this.#path)}.`;
    for (const name of readdirSync(dirname(this.#path))) {
      if (name.startsWith(start) && /^\d+\.tmp$/.test(name.slice(start.length))) {
        rmSync(join(dirname(this.#path), name));
      }
    }
  }

  /** @param {{ features: number, classes: number }} shape */
  #newest(shape) {
    const damaged = [];
    for (const path of [this.#path, this.#previous]) {
      try {
        const parameters = read(path, shape);
        if (!parameters) continue;
        // Out of the way, or the next checkpoint would put it in the place of the one that is whole.
        if (damaged.length > 0) renameSync(this.#path, `${this.#path}.damaged`);
        this.last = { step: parameters.step, time: statSync(path).mtimeMs };
        return parameters;
      } catch (error) {
        if (!(error instanceof Damaged)) throw error;
        damaged.push(error.message);
        this.#events.warn(error.message);
      }
    }
    if (damaged.length === 0) return undefined;
    throw new UserError(
      `no whole checkpoint: ${damaged.join('; ')}. ` +
        'Move what is damaged away to start from an untrained model',
    );
  }

  /**
   * Writes a checkpoint. If one is being written, this one comes after it, and takes the place of another
   * that waits. Resolves when there is nothing left to write; never rejects.
   * @param {Parameters} parameters
   */
  save(parameters) {
    this.#wanted = parameters;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run() {
    while (this.#wanted) {
      const parameters = this.#wanted;
      this.#wanted = undefined;
      const started = performance.now();
      try {
        await this.#write(parameters);
        this.last = { step: parameters.step, time: Date.now() };
        this.#events.saved(parameters.step, (performance.now() - started) / 1000);
      } catch (error) {
        this.#events.failed(error);
        await rm(this.#temporary, { force: true }).catch(() => {});
      }
    }
  }

  /** @param {Parameters} parameters */
  async #write(parameters) {
    const file = await open(this.#temporary, 'w');
    try {
      await writeFile(file, pieces(parameters));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(this.#path, this.#previous).catch((error) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await rename(this.#temporary, this.#path);
    await syncDirectory(dirname(this.#path));
  }
}

/**
 * Where a symbolic link leads to, though nothing may be there yet; else the path itself.
 * @param {string} path
 * @returns {string}
 */
function followed(path) {
  for (let links = 0; links < MOST_LINKS; links++) {
    if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return path;
    path = resolve(dirname(path), readlinkSync(path));
  }
  throw new UserError(`--checkpoint is ${path}: its symbolic links lead in a circle`);
}

/**
 * The bytes of a checkpoint, a megabyte at a time: the checksum is computed on the event loop.
 * @param {Parameters} parameters
 */
async function* pieces({ step, features, classes, values }) {
  const hash = createHash('sha256');
  const header = Buffer.alloc(HEADER);
  header.write(MAGIC, 'latin1');
  new Uint32Array(header.buffer, header.byteOffset + 16, 3).set([VERSION, features, classes]);
  new Float64Array(header.buffer, header.byteOffset + 32, 1)[0] = step;
  hash.update(header);
  yield header;
  for (const chunk of chunks(values)) {
    hash.update(chunk);
    yield chunk;
  }
  yield hash.digest();
}

/**
 * The bytes of an array, a megabyte at a time: one read or Buffer of Node's may not have more than 2 GiB everywhere.
 * @param {Float32Array} values
 */
function* chunks(values) {
  for (let at = 0; at < values.byteLength; at += CHUNK) {
    yield new Uint8Array(values.buffer, values.byteOffset + at, Math.min(CHUNK, values.byteLength - at));
  }
}

/**
 * Makes the new names last. Windows has no such call for folders.
 * @param {string} path
 */
async function syncDirectory(path) {
  if (process.platform === 'win32') return;
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * What a file holds; undefined if there is none.
 * @param {string} path
 * @param {{ features: number, classes: number }} shape
 * @returns {Parameters | undefined}
 */
function read(path, shape) {
  const file = openIfThere(path);
  if (file === undefined) return undefined;
  /** @type {(is: string) => never} */
  const refuse = (is) => {
    throw new Damaged(`${path} ${is}`);
  };
  try {
    const { size } = fstatSync(file);
    if (size < HEADER + CHECKSUM) refuse(`is no whole checkpoint: it has only ${size} bytes`);
    const header = Buffer.from(new ArrayBuffer(HEADER));
    fill(file, header);
    if (header.toString('latin1', 0, 16) !== MAGIC) refuse('is no checkpoint: it starts with something else');
    const [version, features, classes] = new Uint32Array(header.buffer, 16);
    const [step] = new Float64Array(header.buffer, 32);
    if (version !== VERSION) refuse(`has version ${version}: must be ${VERSION}`);
    const length = HEADER + 4 * (features + 1) * classes + CHECKSUM;
    if (size !== length) refuse(`is no whole checkpoint: it has ${size} bytes, must have ${length}`);

    const hash = createHash('sha256').update(header);
    const values = new Float32Array((features + 1) * classes);
    for (const chunk of chunks(values)) {
      fill(file, chunk);
      hash.update(chunk);
    }
    const checksum = Buffer.alloc(CHECKSUM);
    fill(file, checksum);
    if (!hash.digest().equals(checksum)) refuse('is damaged: its checksum is another');
    // A whole model of other numbers: nothing to go back from, but to start with the right options.
    if (features !== shape.features || classes !== shape.classes) {
      throw new UserError(
        `${path} holds a model of ${features} features and ${classes} classes, not of ${shape.features} and ` +
          `${shape.classes}: give its --features and --classes, or another --checkpoint`,
      );
    }
    return { step, features, classes, values };
  } finally {
    closeSync(file);
  }
}

/** @param {string} path */
function openIfThere(path) {
  try {
    // A pipe would wait for somebody to write to it.
    if (!statSync(path).isFile()) throw new UserError(`--checkpoint: ${path} is not a regular file`);
    return openSync(path);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Reads what comes next in a file. It ends early only if somebody shortens it meanwhile; the checksum tells.
 * @param {number} file
 * @param {Uint8Array} bytes
 */
function fill(file, bytes) {
  for (let at = 0; at < bytes.length; ) {
    const count = readSync(file, bytes, at, bytes.length - at, null);
    if (count === 0) return;
    at += count;
  }
}
