// SMOOTHLOSS_ADDON_HOST=<command>: the addon is one that another process has loaded, addon_host.cc, for the tables to run its
// kernels without Node: where an emulator runs that process, or between pages that cannot be touched. For example
//
//     SMOOTHLOSS_ADDON_HOST='qemu-aarch64-static -L /usr/aarch64-linux-gnu addon_host smoothloss.node' node run.js --without=js
//
// Calls are written to its standard input and read from its standard output, while this process waits.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { arenaBytes } from '../conformance/raw-call.js';

// As in addon_host.cc: Header, and the types beside those of Node-API, which come in the order of napi_typedarray_type.
const HEADER = 4;
const NONE = 100;
const ARRAY_BUFFER = 101;
const TYPES = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
].map(({ name }) => name);

/** An argument of compute; undefined where a call has no layer. */
type Value = ArrayBuffer | ArrayBufferView | null | undefined;

/** A pipe whose both ends are open: spawn makes others, which cannot be waited on. */
function pipe(): { end: number; otherEnd: number } {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-'));
  const file = path.join(directory, 'pipe');
  execFileSync('mkfifo', [file]);
  const both = openSync(file, 'r+');
  const pair = { end: openSync(file, 'r'), otherEnd: openSync(file, 'w') };
  closeSync(both);
  rmSync(directory, { recursive: true });
  return pair;
}

/** Another process that has loaded the addon. */
class Host {
  readonly backends: string[];
  private readonly child: ChildProcess;
  private readonly output: number;
  private readonly input: number;

  constructor([command, ...args]: string[]) {
    const toChild = pipe();
    const fromChild = pipe();
    this.child = spawn(command, args, { stdio: [toChild.end, fromChild.otherEnd, 'inherit'] });
    this.child.unref();
    closeSync(toChild.end);
    closeSync(fromChild.otherEnd);
    this.output = toChild.otherEnd;
    this.input = fromChild.end;
    this.read(4);
    this.backends = this.readText().trim().split(' ');
  }

  compute(...values: Value[]): void {
    const memory = values.map(bytesOf);
    const request = new Uint32Array(2 + HEADER * values.length);
    request[0] = values.length;
    memory.forEach((bytes, i) => {
      const at = 2 + HEADER * i;
      // In place: the same memory.
      const of = memory.findIndex(
        (other) => other && bytes && other.buffer === bytes.buffer && other.byteOffset === bytes.byteOffset,
      );
      request.set([typeOf(values[i]), bytes?.length ?? 0, of, (bytes?.byteOffset ?? 0) % 64], at);
      if (bytes && of === i) request[1] += bytes.length;
      else memory[i] = undefined;
    });
    this.write(
      Buffer.concat([new Uint8Array(request.buffer), ...memory.filter((bytes) => bytes !== undefined)]),
    );

    if (this.readWord() !== 0) {
      const [, code, message] = /^(\S+) (.*)$/s.exec(this.readText()) ?? [];
      if (code === 'ERR_FAULT') host = undefined;
      throw code === 'ERR_FAULT' ? new Error(message) : Object.assign(new Error(message), { code });
    }
    const changed = this.read(4 * values.length);
    memory.forEach((bytes, i) => {
      if (bytes && changed[4 * i] !== 0) this.readInto(bytes);
    });
  }

  /** Has it end, which this process then waits for: the CPU time counts as of a child. */
  end(): void {
    closeSync(this.output);
    this.child.ref();
  }

  private write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.output, bytes, done);
  }

  private readInto(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const n = readSync(this.input, bytes, done, bytes.length - done, null);
      if (n === 0) throw new Error('the process of the addon has ended');
      done += n;
    }
  }

  private read(bytes: number): Buffer {
    const buffer = Buffer.alloc(bytes);
    this.readInto(buffer);
    return buffer;
  }

  private readWord(): number {
    return this.read(4).readUInt32LE();
  }

  private readText(): string {
    return this.read(this.readWord()).toString();
  }
}

/** Of an arena, what the call uses of it. */
function bytesOf(value: Value): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value ? new Uint8Array(value, 0, arenaBytes(value)) : undefined;
}

function typeOf(value: Value): number {
  if (!value) return NONE;
  return ArrayBuffer.isView(value) ? TYPES.indexOf(value.constructor.name) : ARRAY_BUFFER;
}

const command = process.env.SMOOTHLOSS_ADDON_HOST?.split(' ');
/** A new one takes the place of one that has ended. */
let host: Host | undefined;

if (command !== undefined) {
  host = new Host(command);
  const addon = {
    backends: host.backends,
    holds: false,
    compute: (...values: Value[]) => {
      host ??= new Host(command);
      host.compute(...values);
    },
  };
  process.once('beforeExit', () => host?.end());
  // Whatever file the loader finds.
  require.extensions['.node'] = (module) => {
    module.exports = addon;
  };
}
