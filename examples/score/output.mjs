// @ts-check
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Writable } from 'node:stream';
import { unlessAbsent } from './files.mjs';
import { formatHeader } from './npy.mjs';
import { addTo, noSums, sumsFromJson, toJson } from './sums.mjs';
import { fileError, UserError } from './user-error.mjs';

/** @import { FileHandle } from 'node:fs/promises' */
/** @import { Scored } from './losses.mjs' */

/** @import { Run } from './run.mjs' */
/** @import { Sums } from './sums.mjs' */

/**
 * The losses on disk. They are written to `<out>.partial`; `<out>.partial.json`, the journal, says what run
 * they are of and how many are safe there; when all are, the file gets its own name. So whatever happens,
 * `<out>` is never torn, and the rows that the journal counts need not be scored again.
 */
export class Output {
  /** @type {FileHandle | undefined} */
  #handle;
  #path;
  #partial;
  #journal;
  #header;
  #bytesPerLoss;
  #rows;
  #run;
  #synced = performance.now();
  /** Of the rows that are written. */
  #sums = noSums();

  /**
   * @param {string} path
   * @param {{ type: 'float32' | 'float64', shape: readonly number[], rows: number, run: Run }} contents
   */
  constructor(path, { type, shape, rows, run }) {
    this.#path = path;
    [, this.#partial, this.#journal] = filesOf(path);
    this.#header = formatHeader(type, shape);
    this.#bytesPerLoss = type === 'float64' ? 8 : 4;
    this.#rows = rows;
    this.#run = run;
  }

  /** @returns {Readonly<Sums>} */
  get sums() {
    return this.#sums;
  }

  /**
   * Takes up what an earlier run has left, or begins anew.
   * @param {boolean} restart
   */
  async open(restart) {
    try {
      const sums = restart ? undefined : await this.#readJournal();
      const size = (await unlessAbsent(stat(this.#partial)))?.size;
      const published =
        size === undefined && (await unlessAbsent(stat(this.#path)))?.size === this.#end(this.#rows);
      if (sums && sums.done === this.#rows && published) {
        this.#sums = sums; // an earlier run came to its end but for removing the journal
      } else if (sums && size !== undefined) {
        if (size < this.#end(sums.done)) {
          throw new UserError(`${this.#partial} is shorter than its journal says: --restart begins anew`);
        }
        this.#handle = await open(this.#partial, 'r+');
        this.#sums = sums;
      } else {
        // In this order, for a journal never to speak of another file.
        await rm(this.#journal, { force: true });
        await syncDirectory(this.#path);
        this.#handle = await open(this.#partial, 'w');
        await this.#write(this.#header, 0);
        await this.#sync();
        await syncDirectory(this.#path);
      }
    } catch (error) {
      await this.close();
      throw fileError(this.#partial, 'written', error);
    }
  }

  /**
   * Writes what the transform before it computes, and makes it safe every so often.
   * @param {{ syncSeconds: number, onWritten: (sums: Readonly<Sums>) => void }} options
   */
  writable({ syncSeconds, onWritten }) {
    /** @param {Scored} scored */
    const write = async (scored) => {
      const { losses } = scored;
      const bytes = new Uint8Array(losses.buffer, losses.byteOffset, losses.byteLength);
      await this.#write(bytes, this.#end(this.#sums.done));
      addTo(this.#sums, scored);
      onWritten(this.#sums);
      if (performance.now() - this.#synced >= 1000 * syncSeconds) await this.#sync();
    };
    /** @type {(work: Promise<void>, done: (error?: Error) => void) => void} */
    const settle = (work, done) => {
      work.then(
        () => done(),
        (error) => done(/** @type {Error} */ (fileError(this.#partial, 'written', error))),
      );
    };
    return new Writable({
      objectMode: true,
      highWaterMark: 4,
      write: (scored, _encoding, done) => settle(write(scored), done),
      final: (done) => settle(this.#sync(), done),
    });
  }

  /** Gives the whole file its name. */
  async publish() {
    try {
      if (this.#handle) {
        await this.close();
        await rename(this.#partial, this.#path);
        await syncDirectory(this.#path);
      }
      await rm(this.#journal, { force: true });
      await rm(next(this.#journal), { force: true });
    } catch (error) {
      throw fileError(this.#path, 'written', error);
    }
  }

  async close() {
    await this.#handle?.close();
  }

  /** @param {number} rows */
  #end(rows) {
    return this.#header.length + rows * this.#bytesPerLoss;
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} position
   */
  async #write(bytes, position) {
    const handle = /** @type {FileHandle} */ (this.#handle);
    for (let done = 0; done < bytes.length; ) {
      done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
    }
  }

  /** First the losses, then the journal that vouches for them. */
  async #sync() {
    await this.#handle?.datasync();
    await replaceFile(this.#journal, toJson({ run: this.#run, ...this.#sums }, 2));
    this.#synced = performance.now();
  }

  /**
   * What an earlier run of the same inputs and options has done; undefined if there was none.
   * @returns {Promise<Sums | undefined>}
   */
  async #readJournal() {
    const text = await unlessAbsent(readFile(this.#journal, 'utf8'));
    if (text === undefined) return undefined;
    const { run, ...json } = parseJournal(text) ?? {};
    const sums = sumsFromJson(json);
    const fail = () => new UserError(`${this.#journal} is not understood: --restart begins anew`);
    if (!run || !sums) throw fail();
    if (sums.done === 0) return undefined;
    for (const name of new Set([...Object.keys(run), ...Object.keys(this.#run)])) {
      if (run[name] === this.#run[name]) continue;
      throw new UserError(
        `${this.#partial} was begun with ${name} ${run[name]}, and this is ${this.#run[name]}: ` +
          '--restart begins anew',
      );
    }
    if (sums.done > this.#rows) throw fail();
    return sums;
  }
}

/** @param {string} text */
function parseJournal(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {string} path */
const next = (path) => `${path}.next`;

/**
 * All that is written for an output: itself, its losses until they are whole, their journal, and the next journal.
 * @param {string} path
 */
export function filesOf(path) {
  const journal = `${path}.partial.json`;
  return [path, `${path}.partial`, journal, next(journal)];
}

/**
 * The file holds the old text or the new one, at any moment.
 * @param {string} path
 * @param {string} text
 */
async function replaceFile(path, text) {
  const handle = await open(next(path), 'w');
  try {
    await handle.writeFile(text);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(next(path), path);
}

/**
 * Names are safe on disk when their directory is. Windows cannot open one, and needs no telling.
 * @param {string} path of a file in it
 */
async function syncDirectory(path) {
  if (process.platform === 'win32') return;
  const handle = await open(dirname(path), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
