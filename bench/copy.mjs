// @ts-check
// memcpy by several threads, for the benchmarks to compare with.
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { Worker, workerData } from 'node:worker_threads';

/** Copies its part of an array whenever it is told to. */
function copier() {
  /** @type {{ control: Int32Array, from: Float32Array, to: Float32Array }} */
  const { control, from, to } = workerData;
  for (let turn = 0; ; ) {
    Atomics.wait(control, 0, turn);
    turn = Atomics.load(control, 0);
    if (turn < 0) return;
    to.set(from);
    Atomics.add(control, 1, -1);
  }
}

/** memcpy by several threads, this one among them. @param {number} threads @param {number} length */
export async function sharedCopy(threads, length) {
  const [from, to] = [0, 1].map(() => new Float32Array(new SharedArrayBuffer(4 * length)).fill(1));
  const control = new Int32Array(new SharedArrayBuffer(8));
  const part = (/** @type {Float32Array} */ array, /** @type {number} */ i) =>
    array.subarray(Math.floor((length * i) / threads), Math.floor((length * (i + 1)) / threads));
  const workers = Array.from({ length: threads - 1 }, (_, i) => {
    const data = { control, from: part(from, i + 1), to: part(to, i + 1) };
    return new Worker(new URL(import.meta.url), { workerData: data });
  });
  await Promise.all(workers.map((worker) => once(worker, 'online')));
  await setTimeout(100);
  let turn = 0;
  return {
    run: () => {
      Atomics.store(control, 1, threads - 1);
      turn++;
      Atomics.store(control, 0, turn);
      Atomics.notify(control, 0);
      part(to, 0).set(part(from, 0));
      while (Atomics.load(control, 1) > 0);
    },
    end: () => {
      Atomics.store(control, 0, -1);
      Atomics.notify(control, 0);
      return Promise.all(workers.map((worker) => once(worker, 'exit')));
    },
  };
}

if (workerData?.control) copier();
