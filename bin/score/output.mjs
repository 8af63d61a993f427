// @ts-check
import { constants, open, rename, stat } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { rowsOfBlock, rowsOfShard, shardsOf } from './blocks.mjs';
import { readExactly, unlessAbsent } from './files.mjs';
import {
  journalOf,
  partialOf,
  readJournal,
  refuseOthers,
  removeJournal,
  syncDirectory,
  writeJournal,
} from './journal.mjs';
import { formatHeader } from './npy.mjs';
import { difference } from './run.mjs';
import { addTo, joined, noSums } from './sums.mjs';
import { fileError, UserError } from './user-error.mjs';

/** @import { FileHandle } from 'node:fs/promises' */
/** @import { Shard } from './blocks.mjs' */
/** @import { Scored } from './losses.mjs' */
/** @import { Run } from './run.mjs' */
/** @import { Sums } from './sums.mjs' */

const CHECKED_AT_ONCE = 2 ** 20;
const NAMED = 5;

/**
 * The losses on disk. They are written to `<out>.partial`; `<out>.partial.json`, the journal, says what run
 * they are of and how many are safe there; when all are, the file gets its own name. So whatever happens,
 * `<out>` is never torn, and the rows that the journal counts need not be scored again.
 *
 * Shards write to the same `<out>.partial`, each at its place, and have a journal each. `merge` makes one of these.
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
  #shard;
  #synced = performance.now();
  /** Of the rows that are written. */
  #sums = noSums();

  /**
   * @param {string} path
   * @param {{ type: 'float32' | 'float64', shape: readonly number[], rows: number, run: Run, shard: Shard | undefined }} contents
   */
  constructor(path, { type, shape, rows, run, shard }) {
    this.#path = path;
    this.#partial = partialOf(path);
    this.#journal = journalOf(path, shard);
    this.#header = formatHeader(type, shape);
    this.#bytesPerLoss = type === 'float64' ? 8 : 4;
    this.#rows = rows;
    this.#run = run;
    this.#shard = shard;
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
      const shards = await refuseOthers(this.#path, this.#shard?.of);
      const sums = restart ? undefined : await this.#readJournal();
      const size = (await unlessAbsent(stat(this.#partial)))?.size;
      const whole = this.#end(this.#rows);
      if (this.#shard && size && shards.length > 0) this.#mustBeWhole(size);
      const published =
        !this.#shard && size === undefined && (await unlessAbsent(stat(this.#path)))?.size === whole;
      if (sums && sums.done === this.#rows && published) {
        this.#sums = sums; // an earlier run came to its end but for removing the journal
      } else if (sums && (this.#shard ? size : size !== undefined)) {
        if (Number(size) < this.#end(sums.done)) {
          throw new UserError(`${this.#partial} is shorter than its journal says: --restart begins anew`);
        }
        this.#handle = await open(this.#partial, constants.O_WRONLY);
        this.#sums = sums;
      } else {
        // In this order, for a journal never to speak of another file.
        await removeJournal(this.#journal);
        await syncDirectory(this.#path);
        await this.#begin(whole);
        await this.#sync();
        await syncDirectory(this.#path);
      }
    } catch (error) {
      await this.close();
      throw fileError(this.#partial, 'written', error);
    }
  }

  /**
   * Takes up what the shards have done. As soon as one journal has the sums of all, they are like a run without shards
   * that has only to give the file its name: so a merge that was cut short can be repeated.
   * @param {number} of
   * @param {AbortSignal} signal
   */
  async merge(of, signal) {
    try {
      const blockRows = rowsOfBlock(this.#rows);
      const earlier = await readJournal(this.#journal, blockRows);
      const isMerged =
        typeof earlier === 'object' &&
        earlier.sums.done === this.#rows &&
        !difference(earlier.run, this.#run);
      if (!isMerged) {
        const found = await refuseOthers(this.#path, of);
        if (found.length === 0) {
          const there = (await unlessAbsent(stat(this.#path))) && `; ${this.#path} is there already`;
          throw new UserError(`no shard of ${this.#path} has been scored${there ?? ''}`);
        }
        const shards = await this.#readShards(of);
        await this.#writeHeader(shards, signal);
        await writeJournal(this.#journal, this.#run, joined(shards));
        await syncDirectory(this.#path);
      }
      for (const shard of shardsOf(of)) await removeJournal(journalOf(this.#path, shard));
    } catch (error) {
      throw fileError(this.#partial, 'written', error);
    }
    await this.open(false);
  }

  /**
   * Writes what the transform before it computes, and makes it safe every so often.
   * @param {{ syncSeconds: number, onWritten?: ((sums: Readonly<Sums>) => void) | undefined }} options
   */
  writable({ syncSeconds, onWritten }) {
    const blockRows = rowsOfBlock(this.#rows);
    const { first } = rowsOfShard(this.#rows, this.#shard);
    /** @param {Scored} scored */
    const write = async (scored) => {
      const { losses } = scored;
      const bytes = new Uint8Array(losses.buffer, losses.byteOffset, losses.byteLength);
      await this.#mustBeOurs();
      await this.#write(bytes, this.#end(first + this.#sums.done));
      addTo(this.#sums, scored, blockRows);
      this.#sums.crc32 = crc32(bytes, this.#sums.crc32);
      onWritten?.(this.#sums);
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
      if (!this.#handle) return;
      await refuseOthers(this.#path);
      await this.close();
      await rename(this.#partial, this.#path);
      await syncDirectory(this.#path);
    } catch (error) {
      throw fileError(this.#path, 'written', error);
    }
  }

  /** After all else, so that a run that is cut short before it can be repeated. */
  async removeJournal() {
    try {
      await removeJournal(this.#journal);
    } catch (error) {
      throw fileError(this.#journal, 'removed', error);
    }
  }

  async close() {
    await this.#handle?.close();
  }

  /**
   * The first shard gives the file of losses its size.
   * @param {number} size
   */
  #mustBeWhole(size) {
    const whole = this.#end(this.#rows);
    if (size === whole) return;
    const anew = `to begin anew, remove ${this.#partial}*`;
    throw new UserError(`${this.#partial} is ${size} bytes, and must be ${whole} for this run: ${anew}`);
  }

  /** @param {number} rows */
  #end(rows) {
    return this.#header.length + rows * this.#bytesPerLoss;
  }

  /**
   * Shards may begin at once, so none empties the file. They do not read from it: clients of a network file system may
   * write back all of what they have read, with bytes that are another shard's.
   * @param {number} size
   */
  async #begin(size) {
    if (this.#shard) {
      this.#handle = await open(this.#partial, constants.O_WRONLY | constants.O_CREAT);
      await this.#handle.truncate(size);
    } else {
      this.#handle = await open(this.#partial, 'w');
      await this.#write(this.#header, 0);
    }
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

  /**
   * While this process was stopped, another may have scored the same rows and given the file its name: what is written
   * then would be in the published file.
   */
  async #mustBeOurs() {
    const [ours, there] = await Promise.all([
      this.#handle?.stat({ bigint: true }),
      unlessAbsent(stat(this.#partial, { bigint: true })),
    ]);
    if (ours?.ino === there?.ino && ours?.dev === there?.dev) return;
    throw new UserError(
      `${this.#partial} is no longer the file of this run: another one has ended or removed it`,
    );
  }

  /** First the losses, then the journal that vouches for them. */
  async #sync() {
    await this.#mustBeOurs();
    await this.#handle?.datasync();
    await writeJournal(this.#journal, this.#run, this.#sums);
    this.#synced = performance.now();
  }

  /**
   * What an earlier run of the same inputs and options has done; undefined if there was none.
   * @returns {Promise<Sums | undefined>}
   */
  async #readJournal() {
    const journal = await readJournal(this.#journal, rowsOfBlock(this.#rows));
    if (journal === 'absent') return undefined;
    const fail = () => new UserError(`${this.#journal} is not understood: --restart begins anew`);
    if (journal === 'not understood') throw fail();
    const { run, sums } = journal;
    if (sums.done === 0) return undefined;
    const other = difference(run, this.#run);
    if (other) throw new UserError(`${this.#partial} was begun with ${other}: --restart begins anew`);
    const { first, end } = rowsOfShard(this.#rows, this.#shard);
    if (sums.done > end - first) throw fail();
    return sums;
  }

  /**
   * The sums of all shards, if all are whole and of this run.
   * @param {number} of
   */
  async #readShards(of) {
    const shards = await Promise.all(
      shardsOf(of).map(async (shard) => {
        const journal = await readJournal(journalOf(this.#path, shard), rowsOfBlock(this.#rows));
        const fail = (/** @type {string} */ problem) => ({ problem: `${shard.index}/${of} ${problem}` });
        if (journal === 'absent') return fail('is missing');
        if (journal === 'not understood') return fail('has a journal that is not understood');
        const other = difference(journal.run, this.#run);
        if (other) return fail(`was begun with ${other}`);
        const { first, end } = rowsOfShard(this.#rows, shard);
        const { done } = journal.sums;
        return done === end - first ? journal.sums : fail(`has ${done} losses of ${end - first}`);
      }),
    );
    refuse(shards.flatMap((shard) => ('problem' in shard ? shard.problem : [])));
    return shards.flatMap((shard) => ('problem' in shard ? [] : shard));
  }

  /**
   * Writes it if the losses are those that the shards have written. Another client of a network file system, or whoever
   * removed the file between two shards, may have left others.
   * @param {Sums[]} shards
   * @param {AbortSignal} signal
   */
  async #writeHeader(shards, signal) {
    this.#handle = await unlessAbsent(open(this.#partial, 'r+'));
    if (!this.#handle) throw new UserError(`${this.#partial} is gone: score all shards with --restart`);
    try {
      this.#mustBeWhole((await this.#handle.stat()).size);
      const bytes = Buffer.alloc(CHECKED_AT_ONCE);
      const problems = [];
      for (const [index, sums] of shards.entries()) {
        const shard = { index, of: shards.length };
        const { first, end } = rowsOfShard(this.#rows, shard);
        let check = 0;
        for (let at = this.#end(first); at < this.#end(end); at += bytes.length) {
          signal.throwIfAborted();
          const some = bytes.subarray(0, this.#end(end) - at);
          await readExactly(this.#handle, some, at);
          check = crc32(some, check);
        }
        if (check !== sums.crc32) problems.push(`${index}/${shard.of} has lost what it wrote`);
      }
      refuse(problems, ': score it with --restart');
      await this.#write(this.#header, 0);
      await this.#handle.datasync();
    } finally {
      await this.close();
    }
  }
}

/**
 * @param {string[]} problems of shards
 * @param {string} [advice]
 */
function refuse(problems, advice = '') {
  if (problems.length === 0) return;
  const more = problems.length > NAMED ? ` and ${problems.length - NAMED} more` : '';
  throw new UserError(`shard ${problems.slice(0, NAMED).join('; shard ')}${more}${advice}`);
}
