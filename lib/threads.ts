// How many threads a call may use.

import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { integer } from './arguments/checks.js';
import type { Batch } from './batch.js';
import { rangeError } from './errors.js';

/** kMostThreads in native/pool.h. */
const MOST_THREADS = 1024;
/** Logits of a call below which it is not shared out: a thread takes some 10 µs to wake, in which another does these. */
const ALONE = 65536;
const EXPECTED = `an integer from 1 to ${MOST_THREADS}`;

/** A number of threads as an option or argument. */
export function readThreads(name: string, value: unknown): number {
  return integer(name, value, 1, MOST_THREADS, EXPECTED);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

/** The CPU time that Linux's control groups allow, in CPUs: containers may have less of it than CPUs. */
function cgroupLimit(): number {
  if (process.platform !== 'linux') return Infinity;
  let limit = Infinity;
  const group = /^0::(.*)$/m.exec(read('/proc/self/cgroup'))?.[1];
  for (let at = group; at !== undefined; at = at === '/' ? undefined : path.posix.dirname(at)) {
    const [quota, period] = read(`/sys/fs/cgroup${at === '/' ? '' : at}/cpu.max`)
      .split(' ')
      .map(Number);
    if (quota > 0 && period > 0) limit = Math.min(limit, quota / period);
  }
  // The first version of control groups.
  const quota = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'));
  const period = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'));
  return quota > 0 && period > 0 ? Math.min(limit, quota / period) : limit;
}

function initial(): number {
  const wanted = process.env.SMOOTHLOSS_THREADS;
  if (wanted === undefined || wanted === '') {
    return Math.max(1, Math.min(os.availableParallelism(), Math.ceil(cgroupLimit()), MOST_THREADS));
  }
  const threads = /^\d+$/.test(wanted) ? Number(wanted) : NaN;
  if (threads >= 1 && threads <= MOST_THREADS) return threads;
  throw rangeError('SMOOTHLOSS_THREADS', wanted, EXPECTED);
}

let current = initial();

/** What calls use that do not say. */
export function defaultThreads(): number {
  return current;
}

export function setDefaultThreads(threads: unknown): void {
  current = readThreads('threads', threads);
}

/** The threads for a call: one, where others would not be awake in time. */
export function threadsFor(threads: number, { rows, classes }: Batch): number {
  return rows * classes < ALONE ? 1 : threads;
}
