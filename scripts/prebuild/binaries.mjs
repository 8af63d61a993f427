// What a binary of the package needs of the system that loads it, what it exports and, for macOS, its signature.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { run } from './run.mjs';

const EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
const GLIBC = /^(ld-linux-(x86-64|aarch64)\.so\.\d|lib(c|m|dl|pthread)\.so\.\d)$/;
const UCRT = /^(KERNEL32|api-ms-win-crt-[\w-]+)\.dll$/; // of Windows 10 and newer
const OLDEST_GLIBC = '2.17';
const OLDEST_MACOS = '11.0';
// Functions of the program that loads the binary. Those of V8 may be missing.
const OF_PROGRAM = /^(napi_|node_api_)/;
const OF_V8 = /^_ZNK?2v8/;

const isNewer = (version, oldest) => version.localeCompare(oldest, 'en', { numeric: true }) > 0;
const linesOf = (text) => text.split('\n').flatMap((line) => line.trim() || []);
const matches = (text, pattern) => [...text.matchAll(pattern)].map(([, field]) => field);

function rejectOthers(what, names, accepts) {
  const others = names.filter((name) => !accepts(name));
  if (others.length > 0) throw new Error(`${what} ${others.join(', ')}`);
}

/** Symbols of a dynamic library: names and letters as nm has them. */
async function symbolsOf(file, ...options) {
  const text = await run('llvm-nm', ['--format=posix', ...options, file]);
  return linesOf(text).map((line) => {
    const [name, letter] = line.split(' ');
    return { name, letter };
  });
}

async function readElf(file, musl) {
  const needed = await run('llvm-readobj', ['--needed-libs', file]);
  const libraries = linesOf(/NeededLibraries \[([^\]]*)\]/.exec(needed)[1]);
  const symbols = await symbolsOf(file, '--dynamic');
  const undefinedOnes = symbols.filter(({ letter }) => /[Uvw]/.test(letter));
  rejectOthers(
    'needs, from nowhere,',
    undefinedOnes
      .filter(({ letter, name }) => letter === 'U' && !musl && !name.includes('@'))
      .map(({ name }) => name),
    (name) => OF_PROGRAM.test(name),
  );
  rejectOthers(
    'needs, if it is there,',
    undefinedOnes.filter(({ letter }) => letter !== 'U').map(({ name }) => name),
    (name) => OF_V8.test(name),
  );
  rejectOthers('needs', libraries, (name) => (musl ? name === 'libc.so' : GLIBC.test(name)));
  const versions = undefinedOnes.flatMap(({ name }) => /@GLIBC_([\d.]+)$/.exec(name)?.[1] ?? []);
  rejectOthers('needs glibc', versions, (version) => !isNewer(version, OLDEST_GLIBC));
  return {
    exports: symbols.filter(({ letter }) => !/[Uvw]/.test(letter)).map(({ name }) => name),
    needs: musl ? 'musl' : `glibc ${versions.sort((a, b) => (isNewer(a, b) ? 1 : -1)).at(-1)}`,
  };
}

async function readMachO(file, arch) {
  const headers = await run('llvm-objdump', ['--macho', '--private-headers', file]);
  const [, oldest] = /cmd LC_BUILD_VERSION[\s\S]*?minos ([\d.]+)/.exec(headers);
  if (isNewer(oldest, OLDEST_MACOS)) throw new Error(`needs macOS ${oldest}`);
  const libraries = matches(headers, /cmd LC_LOAD\w*DYLIB[\s\S]*?name (\S+)/g);
  rejectOthers('needs', libraries, (name) => name === '/usr/lib/libSystem.B.dylib');
  const open = linesOf(await run('llvm-nm', ['--format=darwin', '--undefined-only', file]));
  const ofProgram = /^\(undefined\) (external _(napi|node_api)_\w+|weak external __ZNK?2v8\w+)$/;
  rejectOthers('needs', open, (line) => ofProgram.test(line) || line.endsWith(' (from libSystem)'));
  const place = /cmd LC_CODE_SIGNATURE[\s\S]*?dataoff (\d+)[\s\S]*?datasize (\d+)/
    .exec(headers)
    ?.slice(1)
    .map(Number);
  if (place) checkSignature(readFileSync(file), ...place);
  else if (arch === 'arm64') throw new Error('has no signature, without which macOS runs no code for arm64');
  const defined = await symbolsOf(file, '--extern-only', '--defined-only');
  const own = ['___dso_handle', '__mh_dylib_header']; // of the linker
  return {
    exports: defined.flatMap(({ name }) => (own.includes(name) ? [] : name.replace(/^_/, ''))),
    needs: `macOS ${oldest}`,
  };
}

/** Checks the hash of each page against those in the code directory of the signature, which is nobody's: ad hoc. */
function checkSignature(file, offset, size) {
  const signature = file.subarray(offset, offset + size);
  const at = signature.readUInt32BE(16); // of the first blob, which is the code directory
  const directory = signature.subarray(at);
  const [superBlob, codeDirectory] = [signature.readUInt32BE(0), directory.readUInt32BE(0)];
  if (superBlob !== 0xfade0cc0 || codeDirectory !== 0xfade0c02)
    throw new Error('has a signature of an unknown kind');
  const hashes = directory.readUInt32BE(16);
  const pages = directory.readUInt32BE(28);
  const end = directory.readUInt32BE(32);
  const pageSize = 2 ** directory.readUInt8(39);
  if (end !== offset || pages !== Math.ceil(end / pageSize)) throw new Error('is signed in part');
  for (let page = 0; page < pages; ++page) {
    const content = file.subarray(page * pageSize, Math.min(end, (page + 1) * pageSize));
    const hash = createHash('sha256').update(content).digest();
    if (!hash.equals(directory.subarray(hashes + 32 * page, hashes + 32 * (page + 1)))) {
      throw new Error(`has a wrong signature of page ${page}`);
    }
  }
}

async function readCoff(file) {
  const text = await run('llvm-readobj', ['--coff-imports', '--coff-exports', file]);
  const libraries = matches(text, /Import \{\s*Name: (\S+)/g);
  rejectOthers('needs', libraries, (name) => UCRT.test(name));
  return { exports: matches(text, /Export \{[^}]*?Name: (\S+)/g), needs: 'Windows 10' };
}

/** Throws if a binary needs more of its system than it may, or exports more. Returns what it needs. */
export async function checkBinary(file, platform) {
  try {
    const [system, arch, libc] = platform.split('-');
    const read = {
      linux: () => readElf(file, libc === 'musl'),
      darwin: () => readMachO(file, arch),
      win32: () => readCoff(file),
    };
    const { exports, needs } = await read[system]();
    rejectOthers('exports', exports, (name) => EXPORTS.includes(name));
    rejectOthers('does not export', EXPORTS, (name) => exports.includes(name));
    return needs;
  } catch (error) {
    throw new Error(`${file}: ${error.message}`);
  }
}
