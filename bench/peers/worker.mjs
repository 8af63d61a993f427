// @ts-check
// The process of a peer that is written in JavaScript: node worker.mjs MODULE [ARGUMENT...]. See process.mjs.
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

/**
 * @typedef {object} Batch the arrays are the peer's own
 * @property {number} rows
 * @property {number} classes
 * @property {Float32Array} logits
 * @property {Int32Array} targets
 *
 * @typedef {object} LayerBatch of a linear layer
 * @property {number} rows
 * @property {number} features
 * @property {number} classes
 * @property {Float32Array} input
 * @property {Float32Array} linearWeight
 * @property {Int32Array} targets
 * @property {number} epsilon
 * @property {boolean} gradient whether those of input and weight are wanted
 *
 * @typedef {{ loss: number, gradient?: Float32Array | Float32Array[] }} Result
 * @typedef {object} Call of the mean loss and its gradient
 * @property {() => unknown} run once; a promise if the peer has it no other way
 * @property {() => Result | Promise<Result>} [result] of the last run
 * @property {() => unknown} [release]
 *
 * @typedef {{ version: string, prepare: (batch: any) => Call | Promise<Call> }} Started batch: a Batch or LayerBatch
 * @typedef {{ threads: number, modules: string, args: string[] }} Start modules: where to look for packages
 */

console.log = console.info = console.error; // stdout is for answers

const [module, ...args] = process.argv.slice(2);
/** @type {Started} */
let peer;
/** @type {Call | undefined} */
let call;

/** Nanoseconds a call. @param {Call} call @param {number} repeats */
async function time({ run }, repeats) {
  const start = process.hrtime.bigint();
  for (let i = 0; i < repeats; i++) {
    const result = run();
    if (result instanceof Promise) await result;
  }
  return Number(process.hrtime.bigint() - start) / repeats;
}

/** Calls for so long, once at least; returns the nanoseconds of the fastest. @param {Call} call @param {number} ms */
async function warm(call, ms) {
  let once = Infinity;
  for (const end = performance.now() + ms; performance.now() < end || once === Infinity; ) {
    once = Math.min(once, await time(call, 1));
  }
  return once;
}

/** @param {any} message @returns {Promise<object>} */
async function answer({ request, ...values }) {
  if (request === 'start') {
    const { start } = await import(pathToFileURL(module).href);
    peer = await start({ ...values, args });
    return { version: peer.version };
  }
  if (request === 'prepare') {
    const { shape, arrays, file, options } = values;
    await call?.release?.();
    call = undefined;
    /** @type {Record<string, Float32Array>} */
    const floats = {};
    for (const [name, [rows, columns]] of Object.entries(arrays))
      floats[name] = new Float32Array(rows * columns);
    const targets = new Int32Array(shape.rows);
    const data = openSync(file, 'r');
    for (const array of [...Object.values(floats), targets]) {
      for (let at = 0; at < array.byteLength; ) at += readSync(data, array, at, array.byteLength - at, null);
    }
    closeSync(data);
    call = await peer.prepare({ ...shape, ...floats, targets, ...options });
    return {};
  }
  if (call === undefined) throw new Error(`${request} before prepare`);
  if (request === 'verify') {
    const ns = await time(call, 1);
    const { loss, gradient = [] } = (await call.result?.()) ?? {};
    for (const part of [gradient].flat()) writeFileSync(values.file, part, { flag: 'a' });
    return { loss, ns };
  }
  if (request === 'warm') return { ns: await warm(call, values.ms) };
  if (request === 'sample') {
    if (values.warmMs > 0) await warm(call, values.warmMs);
    const before = process.cpuUsage();
    const ns = await time(call, values.repeats);
    const { user, system } = process.cpuUsage(before);
    return { ns, cpuNs: ((user + system) * 1e3) / values.repeats };
  }
  throw new Error(`request ${request}`);
}

/** Threads of some libraries keep a CPU busy for a while after a call: waits until it is free for the next peer. */
async function rest() {
  for (let tries = 0; tries < 200; tries++) {
    const before = process.cpuUsage();
    await setTimeout(10);
    const { user, system } = process.cpuUsage(before);
    if (user + system < 2000) return;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await answer(JSON.parse(line)).catch((error) => ({
    [/MODULE_NOT_FOUND/.test(error.code) ? 'missing' : 'error']: error.message.split('\n')[0],
  }));
  await rest();
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
process.exit();
