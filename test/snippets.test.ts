// The promise: what README.md and docs/ show is so. Their snippets compile, run, and give the results after `// →`; and every row
// of the tables of conventions gives the loss and the gradient of the library it names.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as smoothloss from 'smoothloss';
import * as promises from 'smoothloss/promises';
import { describe, expect, it } from 'vitest';
import {
  BY_HAND,
  byHand,
  conventions,
  type Data,
  type Formula,
  LIBRARIES,
  type Row,
  sum,
} from './support/library-losses.js';
import { root } from './support/root.js';

const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const documents = ['README.md', ...readdirSync(path.join(root, 'docs')).map((file) => `docs/${file}`)];

// Snippets --------------------------------------------------------------------------------------------------------------

const blocks = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map((match) => match[1]);
const [introduction] = blocks(read('README.md'), 'ts');
const snippets = documents
  .map((file) => ({ file, code: blocks(read(file), 'js').join('\n') }))
  .filter(({ code }) => code !== '');

const withoutImports = (code: string) => code.replace(/^import .*$/gm, '');

/** Runs code with the names in scope. */
function run(code: string, scope: object): unknown {
  return new Function(...Object.keys(scope), `'use strict';\n${code}`)(...Object.values(scope));
}

/** Numbers to the four digits that the text shows, typed arrays as arrays. */
function rounded(value: unknown): unknown {
  if (typeof value === 'number') return Math.round(value * 1e4) / 1e4;
  if (ArrayBuffer.isView(value)) return Array.from(value as Float32Array, rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, rounded(part)]));
}

describe('snippets', () => {
  it('the first of README.md', () => {
    const hidden = Float32Array.from({ length: 2 * 3 }, (_, i) => Math.sin(i));
    const weight = Float32Array.from({ length: 1000 * 3 }, (_, i) => Math.cos(i));
    const scope = { ...smoothloss, hidden, weight, targets: Int32Array.of(999, 0) };
    const result = run(`${withoutImports(introduction)}\nreturn { loss, gradient };`, scope) as object;
    const gradient = { input: expect.any(Float32Array), linearWeight: expect.any(Float32Array) };
    expect(result).toEqual({ loss: expect.any(Number), gradient });
  });

  it('are in README.md and the API', () => {
    expect(snippets.map(({ file }) => file)).toEqual(expect.arrayContaining(['README.md', 'docs/api.md']));
  });

  it.each(snippets)('those of $file, in one go', async ({ file, code }) => {
    let results = 0;
    const show = (line: string, result: unknown, shown: unknown) => {
      expect(rounded(result), line).toEqual(shown);
      results++;
    };
    const calls = withoutImports(code).replace(
      /^(.*); \/\/ → (.*)$/gm,
      (line, expression, shown) => `show(${JSON.stringify(line)}, ${expression}, (${shown}));`,
    );
    await run(`return (async () => {\n${calls}\n})();`, { ...smoothloss, promises, show });
    smoothloss.setThreads(os.availableParallelism());
    expect(results).toBe(read(file).split('// →').length - 1);
  });
});

// Tables ----------------------------------------------------------------------------------------------------------------

const comingFrom = read('docs/coming-from.md');

/** The rows of the table under a heading of docs/coming-from.md, without its two rows of heads, and what is code without its backticks. */
function table(heading: string): string[][] {
  const lines = comingFrom.slice(comingFrom.indexOf(`# ${heading}`)).split('\n');
  const first = lines.findIndex((line) => line.startsWith('|'));
  const end = lines.findIndex((line, i) => i > first && !line.startsWith('|'));
  return lines.slice(first + 2, end).map((line) =>
    line
      .replaceAll('`', '')
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

let library = '';
const libraryRows = table('Coming from').map(([from, there, here]) => {
  library = from === '' ? library : from;
  return { library, there, here };
});
const handRows = table('Conventions by hand').map(([convention, loss, here]) => ({ convention, loss, here }));

/** The names of the tables, as the functions take them. */
function typed({ x, lp, h, W, b, y, t, lt, w, p, s, ...numbers }: Data) {
  const [f, i] = [(v: Row) => Float32Array.from(v), (v: Row) => Int32Array.from(v)];
  const layer = { h: f(h), W: f(W), b: f(b) };
  return { ...numbers, ...layer, x: f(x), lp: f(lp), y: i(y), t: f(t), lt: f(lt), w: f(w), p: f(p), s: f(s) };
}

/** The loss (or losses) of a call, and its gradients by what they are by. */
function evaluate(call: string, data: Data) {
  const scope = typed(data);
  const found = { loss: [] as Row, gradients: {} as Partial<Record<'x' | 'lp' | 'h' | 'W' | 'b', Row>> };
  // biome-ignore lint/suspicious/noExplicitAny: any function of the package with any arguments
  const withGradient = (loss: any) => (input: unknown, targets: unknown, options: object) => {
    const result = loss(input, targets, { ...options, gradient: true });
    found.loss = Array.from(result.losses ?? [result.loss]);
    found.gradients = { [input === scope.lp ? 'lp' : 'x']: Array.from(result.gradient) };
  };
  const linearCrossEntropy = (
    h: Float32Array,
    W: Float32Array,
    targets: Int32Array,
    options: { classes: number; linearBias?: Float32Array },
  ) => {
    const result = smoothloss.linearCrossEntropy(h, W, targets, { ...options, gradient: true });
    found.loss = [result.loss];
    const { input, linearWeight, linearBias } = result.gradient;
    found.gradients = { h: Array.from(input), W: Array.from(linearWeight) };
    if (linearBias !== undefined) found.gradients.b = Array.from(linearBias);
  };
  const { crossEntropy, bceWithLogits, klDiv, nllLoss, smoothLabels } = smoothloss;
  const losses = Object.entries({ crossEntropy, bceWithLogits, klDiv, nllLoss });
  const functions = Object.fromEntries(losses.map(([name, loss]) => [name, withGradient(loss)]));
  run(`${call};`, { ...scope, ...functions, linearCrossEntropy, smoothLabels });
  return found;
}

function expectSame(call: string, formula: Formula, data: Data): void {
  const { loss, gradients } = evaluate(call, data);
  const expected = [formula(data)].flat();
  expect(loss).toHaveLength(expected.length);
  expected.forEach((value, r) => {
    expect(loss[r]).toBeCloseTo(value, 5.5);
  });
  const step = 1e-4;
  for (const [name, gradient] of Object.entries(gradients)) {
    const by = name as keyof typeof gradients;
    const at = (i: number, x: number) => sum([formula({ ...data, [by]: data[by].with(i, x) })].flat());
    expect(gradient).toHaveLength(data[by].length);
    data[by].forEach((x, i) => {
      const slope = (at(i, x + step) - at(i, x - step)) / (2 * step);
      expect(gradient[i], `gradient by ${by}[${i}]`).toBeCloseTo(slope, 5.5);
    });
  }
}

describe('coming from', () => {
  it('every row has a formula, and every formula a row', () => {
    const there = Object.entries(conventions).flatMap(([from, calls]) =>
      Object.keys(calls).map((call) => [from, call]),
    );
    expect(libraryRows.map(({ library, there }) => [library, there])).toEqual(there);
  });

  it.each(libraryRows)('$library: $there', ({ library, there, here }) => {
    expectSame(here, conventions[library][there], LIBRARIES);
  });
});

describe('conventions by hand', () => {
  it('every row has a formula, and every formula a row', () => {
    expect(handRows.map(({ convention }) => convention)).toEqual(Object.keys(byHand));
  });

  it.each(handRows)('$convention', ({ convention, loss, here }) => {
    expect((byHand[convention](BY_HAND) as number).toFixed(6)).toBe(loss);
    expectSame(here, byHand[convention], BY_HAND);
  });
});

describe('types', () => {
  it('all code compiles', () => {
    const declared = Object.entries(typed(LIBRARIES)).map(([name, value]) => {
      return `declare const ${name}: ${typeof value === 'number' ? 'number' : value.constructor.name};`;
    });
    const calls = [...libraryRows, ...handRows].map(({ here }) => `void ${here};`);
    const directory = path.join(root, 'build', 'snippets');
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    const write = (file: string, text: string) => writeFileSync(path.join(directory, file), text);
    write(
      'introduction.mts',
      `declare const hidden: Float32Array, weight: Float32Array, targets: Int32Array;\n${introduction}`,
    );
    for (const { file, code } of snippets) write(`${path.basename(file, '.md')}.mts`, code);
    const imports =
      "import { bceWithLogits, crossEntropy, klDiv, linearCrossEntropy, nllLoss, smoothLabels } from 'smoothloss';";
    write('tables.mts', [imports, ...declared, ...calls].join('\n'));
    const compilerOptions = { noEmit: true, rootDir: root, noUnusedLocals: false };
    write(
      'tsconfig.json',
      JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include: ['*.mts'] }),
    );
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const { PATH } = process.env; // no LD_PRELOAD: the compiler is a program of its own
    const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', directory], {
      env: { PATH },
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });
});
