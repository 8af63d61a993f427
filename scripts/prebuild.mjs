// Builds the binaries that the package ships into prebuilds/, and checks them:
//
//     npm run build:prebuilt                                  the one for this machine
//     npm run build:prebuilt -- linux-x64-musl win32-x64      those for some platforms
//     npm run build:prebuilt -- --all                         all
//
// One cross compiler makes them, clang with the C libraries of all platforms: `zig c++`. On Linux x64 npm fetches it;
// elsewhere --zig names it, of the version in prebuild/compiler/package.json. The checks need LLVM's tools (Debian: llvm).

import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import addonApi from 'node-addon-api';
import nodeApi from 'node-api-headers';
import pMap from 'p-map';
import { checkBinary } from './prebuild/binaries.mjs';
import { checkInstructions } from './prebuild/instructions.mjs';
import { PLATFORMS } from './prebuild/platforms.mjs';
import { run } from './prebuild/run.mjs';
import { nodeFunctions } from './prebuild/windows.mjs';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const prebuilds = path.join(root, 'prebuilds');
const native = path.join(root, 'native');
const own = path.join(root, 'scripts', 'prebuild');
const { variables: list } = JSON.parse(readFileSync(path.join(native, 'sources.gypi'), 'utf8'));

/** The name of the platform that this is. */
function thisPlatform() {
  const musl = process.platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime;
  return `${process.platform}-${process.arch}${musl ? '-musl' : ''}`;
}

/** The compiler, as a function of its arguments: what the lock file pins by its hash, unless another is given. */
async function findCompiler(given) {
  const cache = path.join(root, 'build', 'prebuild', 'cache');
  const env = { ...process.env, ZIG_GLOBAL_CACHE_DIR: cache, ZIG_LOCAL_CACHE_DIR: cache };
  let zig = given;
  if (zig === undefined) {
    const directory = path.join(own, 'compiler');
    const packages = path.join(directory, 'node_modules', '@zigc');
    if (!existsSync(packages)) await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: directory });
    zig = path.join(packages, 'linux-x64', 'bin', 'zig');
    env.ZIG_LIB_DIR = path.join(packages, 'lib');
  }
  return (...args) => run(zig, ['c++', ...args], { cwd: native, env });
}

/** The functions of Node-API that objects call. */
async function nodeFunctionsOf(objects) {
  const symbols = await run('llvm-nm', ['--undefined-only', '--format=just-symbols', ...objects]);
  return [...new Set(symbols.match(/\b(napi|node_api)_\w+/g))].sort();
}

/** Compiles the sources for a platform, links and checks the binary. */
async function build(name, compile) {
  const { target, file, kernels } = PLATFORMS[name];
  const [system, arch] = name.split('-');
  const objectsOf = path.join(root, 'build', 'prebuild', name);
  rmSync(objectsOf, { recursive: true, force: true });
  const flags = [
    ...[...list.smoothloss_cflags, '-g0', '-DNDEBUG', system === 'win32' ? '-DNOMINMAX' : '-fPIC'],
    ...list.smoothloss_defines.map((define) => `-D${define}`),
    ...['-I.', '-isystem', nodeApi.include_dir, '-isystem', path.resolve(addonApi.include_dir)],
  ];
  const to = ['-target', target, '-fvisibility-global-new-delete=force-hidden'];
  // Where a region of a file asks for AVX-512, clang takes 512 bits only if the target may have them.
  if (arch === 'x64') to.push('-mcpu=x86_64+evex512');
  const objectOf = async (source) => {
    const object = path.join(objectsOf, `${path.relative(root, path.resolve(native, source))}.o`);
    mkdirSync(path.dirname(object), { recursive: true });
    const options = [...flags, '-c', source, '-o', object];
    // Where the linker happened to put them, loops of AVX-512 took up to 15 % longer (64 x 32,000). Aligned loops of AVX2
    // take 2 to 5 % longer.
    const aligned = source.includes('avx512') ? ['-falign-functions=64', '-falign-loops=64'] : [];
    if (kernels && source.startsWith('kernels/'))
      await run(kernels, [...aligned, ...options], { cwd: native });
    else await compile(...to, ...options);
    return object;
  };
  // The kernels first, which take longest.
  const isKernel = (source) => Number(source.startsWith('kernels/'));
  const sources = list.smoothloss_source_files.toSorted((a, b) => isKernel(b) - isKernel(a));
  const objects = await pMap([...sources, path.join(own, 'runtime.cc')], objectOf, {
    concurrency: os.availableParallelism(),
  });
  if (arch === 'x64') await checkInstructions(objects);

  const link = {
    linux: [`-Wl,--version-script,${path.join(own, 'exports.map')}`],
    darwin: ['-Wl,-undefined,dynamic_lookup', '-Wl,-install_name,@rpath/smoothloss.node'],
    win32: [],
  }[system];
  if (system === 'win32') {
    const source = path.join(objectsOf, 'node_functions.cc');
    writeFileSync(source, nodeFunctions(await nodeFunctionsOf(objects), arch));
    link.push(source);
  }
  // The linker leaves other files beside it.
  const linked = path.join(objectsOf, 'smoothloss.node');
  await compile(...to, '-O3', '-nostdlib++', '-shared', '-s', ...objects, ...link, '-o', linked);
  const needs = await checkBinary(linked, name);
  const binary = path.join(prebuilds, file);
  mkdirSync(path.dirname(binary), { recursive: true });
  copyFileSync(linked, binary);
  return `${file}: ${statSync(binary).size} bytes, needs ${needs}`;
}

/** Writes the hashes of all binaries that are there, as sha256sum does. */
function writeHashes() {
  const files = readdirSync(prebuilds, { recursive: true }).filter((file) => file.endsWith('.node'));
  const lines = files.sort().map((file) => {
    const hash = createHash('sha256')
      .update(readFileSync(path.join(prebuilds, file)))
      .digest('hex');
    return `${hash}  ${file.replaceAll(path.sep, '/')}\n`;
  });
  writeFileSync(path.join(prebuilds, 'SHA256SUMS'), lines.join(''));
}

const { values, positionals } = parseArgs({
  options: { all: { type: 'boolean' }, zig: { type: 'string' } },
  allowPositionals: true,
});
const names = values.all ? Object.keys(PLATFORMS) : positionals.length > 0 ? positionals : [thisPlatform()];
const unknown = names.find((name) => !Object.hasOwn(PLATFORMS, name));
if (unknown !== undefined) {
  console.error(
    `${unknown} is not a platform of the package: must be one of ${Object.keys(PLATFORMS).join(', ')}`,
  );
  process.exit(1);
}
try {
  const compile = await findCompiler(values.zig);
  if (values.all) rmSync(prebuilds, { recursive: true, force: true });
  for (const name of names) console.log(`prebuilds/${await build(name, compile)}`);
  writeHashes();
} catch (error) {
  console.error(`smoothloss: ${error.message}`);
  process.exitCode = 1;
}
