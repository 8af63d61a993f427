// @ts-check
// Instructions per element of every kernel, counted by valgrind's callgrind, and the time that they take at best. Only
// what the addon executes counts, and neither Node nor its compilers: the figures repeat exactly. Valgrind knows no
// AVX-512, so avx2 is counted where the processor has both.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { backend } from 'smoothloss';
import { callsOf } from './calls.mjs';
import { markdownTable } from './markdown.mjs';
import { fail, shapeName, shapesOf } from './race.mjs';

/** @import { Shape } from './race.mjs' */

const CALLS = 10;
const GHZ = 3.5;
const WIDTHS = [4, 6]; // instructions a cycle

const { values: options } = parseArgs({
  options: {
    shapes: { type: 'string', default: '64x10,64x1000,64x8000' },
    out: { type: 'string', default: path.join(import.meta.dirname, 'report', 'instructions.md') },
    counted: { type: 'boolean' }, // this is the process that valgrind watches
  },
});
const shapes = shapesOf(options.shapes);

/** @param {string} command @param {string[]} args */
function output(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28, stdio: 'pipe' });
  } catch (error) {
    return fail(`${command}: ${/** @type {Error} */ (error).message} (valgrind's tools are needed)`);
  }
}

/** Writes what was counted since the last time, and starts from 0. @param {string} name */
const dump = (name) => output('callgrind_control', [`--dump=${name}`, String(process.pid)]);

/** Instructions per element of each call. @param {Shape} shape @param {string} file @returns {number[]} */
function countsOf({ rows, classes }, file) {
  const script = [import.meta.filename, '--counted', '--shapes', `${rows}x${classes}`];
  output('valgrind', [
    ...['--tool=callgrind', '--quiet', `--callgrind-out-file=${file}`],
    ...[process.execPath, ...script],
  ]);
  // The first dump is what came before the first call.
  return callsOf({ rows: 1, classes: 1 }).map((_, i) => {
    const profile = output('callgrind_annotate', ['--threshold=100', '--show-percs=no', `${file}.${i + 2}`]);
    const lines = [...profile.matchAll(/^ *([\d,]+) .*\.node\]$/gm)];
    const instructions = lines.reduce((sum, [, digits]) => sum + Number(digits.replaceAll(',', '')), 0);
    return instructions / CALLS / rows / classes;
  });
}

function writePage() {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'smoothloss-instructions-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const counts = shapes.map((shape, i) => countsOf(shape, path.join(directory, `shape-${i}`)));
  const least = (/** @type {number} */ count) =>
    WIDTHS.map((width) => (count / width / GHZ).toFixed(2)).join(' or ');
  const lines = callsOf({ rows: 64, classes: 1 }).map(([name], i) => [
    name.replace(/^ +/, '… '),
    ...counts.flatMap((of) => [of[i].toFixed(2), least(of[i])]),
  ]);
  mkdirSync(path.dirname(options.out), { recursive: true });
  writeFileSync(
    options.out,
    `# Instructions per element

What the ${backend.name === 'avx512' ? 'avx2' : backend.name} kernels execute on one thread, counted by callgrind, and the least that takes a core of ${GHZ} GHz with
${WIDTHS.join(' or ')} instructions a cycle, in ns per element. A kernel that takes longer waits for memory or for results. Float32 with
labelSmoothing 0.1 and a gradient unless it says otherwise. \`npm run bench:instructions\` counts anew.

${markdownTable(['', ...shapes.flatMap((shape) => [shapeName(shape), 'ns at least'])], lines)}
`,
  );
  console.log(`${options.out} holds the figures.`);
}

if (options.counted) {
  const calls = callsOf(shapes[0]);
  dump('start');
  for (const [name, , run] of calls) {
    for (let i = 0; i < CALLS; i++) run();
    dump(name.trim());
  }
} else writePage();
