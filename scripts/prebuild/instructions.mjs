// Whether objects for x86-64 use AVX only where they may. The linker keeps one copy of a function that several objects hold.
// If it kept one with AVX, or if data were initialised with it, the addon would end the process on a CPU that has none. So
// instructions with a VEX or EVEX prefix stand in kernels_avx* alone, there in functions that no other object can call, and
// nothing there runs while the addon is loaded. What needs a table of AVX kernels is the dispatch alone.
//
//     node scripts/prebuild/instructions.mjs OBJECT...

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './run.mjs';

const LEAST = 1000; // instructions of AVX in an object of its kernels

/** Names of the symbols of an object. @returns {Promise<string[]>} */
async function symbols(object, which) {
  const names = await run('llvm-nm', [which, '--extern-only', '--format=just-symbols', object]);
  return names.split('\n').filter(Boolean);
}

/** Throws if an object has AVX where other CPUs may come. */
async function checkObject(object) {
  const base = path.basename(object);
  const reject = (what) => {
    throw new Error(`${object}: ${what}`);
  };
  const ofAvx = base.startsWith('kernels_avx');
  if (ofAvx) {
    const headers = await run('llvm-objdump', ['--section-headers', object]);
    const initialiser = /init_array|mod_init_func|\.ctors|\.CRT\$XC/.exec(headers);
    if (initialiser) reject(`has static initialisers, in ${initialiser[0]}`);
  }
  if (!base.startsWith('dispatch.')) {
    const table = (await symbols(object, '--undefined-only')).find((name) => name.includes('kAvx'));
    if (table !== undefined) reject(`needs ${table}`);
  }
  const external = new Set(await symbols(object, '--defined-only'));
  const text = await run('llvm-objdump', ['--disassemble', object]);
  let name = '';
  let count = 0;
  for (const line of text.split('\n')) {
    const label = /^[0-9a-f]+ <(.*)>:$/.exec(line);
    if (label) name = label[1];
    // Address, bytes, instruction: the first byte that is no prefix for a segment or for the size of addresses.
    const [, bytes] = /^ *[0-9a-f]+: ((?:[0-9a-f]{2} )+)/.exec(line) ?? [];
    const first = bytes?.split(' ').find((byte) => !/^(26|2e|36|3e|64|65|67)$/.test(byte));
    if (!/^(62|c4|c5)$/.test(first)) continue;
    ++count;
    if (!ofAvx || external.has(name)) reject(`${name} has${line.replace(/^.*?\t/, ' ')}`);
  }
  if (ofAvx && count < LEAST) reject(`has ${count} instructions of AVX alone`);
}

/** Throws unless AVX stands in its kernels' own functions alone. @param {string[]} objects */
export async function checkInstructions(objects) {
  for (const object of objects) await checkObject(object);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const objects = process.argv.slice(2);
  await checkInstructions(objects);
  const kernels = objects.filter((object) => path.basename(object).startsWith('kernels_avx')).length;
  console.log(
    `${objects.length} objects, ${kernels} with kernels of AVX: AVX in these kernels' own functions alone`,
  );
}
