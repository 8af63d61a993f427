// What users of TypeScript see: the compilers that the types are for, the messages of wrong calls, an editor's hover.
// types.test-d.ts has the types of results.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript-5.9'; // the newest with a language service to call
import { beforeAll, describe, expect, it } from 'vitest';
import { requireFromRoot, root } from './support/root.js';

const directory = path.join(root, 'build', 'types'); // within the package, which may import itself

const compilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  module: 'nodenext',
  target: 'es2022',
  types: [],
  noEmit: true,
  rootDir: root,
};

const declarations = `
import { bceWithLogits, crossEntropy, klDiv, linearCrossEntropy, loadBackend, nllLoss, smoothLabels } from 'smoothloss';
import * as promises from 'smoothloss/promises';
declare const x: Float32Array, d: Float64Array, h: Uint16Array, y: Int32Array;
declare const classes: number;
`;

/** What a user has. */
const use = readFileSync(path.join(root, 'test', 'package', 'consumer', 'use.ts'), 'utf8');

/** Of compilers whose typed arrays say which memory they are on, and which know Float16Array. */
const memory = `${declarations}
declare function postMessage(message: unknown, transfer: ArrayBuffer[]): void;
declare const shared: Float32Array<SharedArrayBuffer>;
declare const f: Float16Array;
declare const sharedHalf: Float16Array<SharedArrayBuffer>;

const made = crossEntropy(x, y, { classes, gradient: true, reduction: 'none', perRow: ['lse', 'prediction'] });
const { gradient, losses, perRow: { lse, prediction } } = made;
postMessage(made, [gradient.buffer, losses.buffer, lse.buffer, prediction.buffer, smoothLabels(y, { classes }).buffer]);
const given: Float32Array<SharedArrayBuffer> = crossEntropy(x, y, { classes, gradient: shared }).gradient;
// @ts-expect-error shared memory cannot be transferred
postMessage(given, [given.buffer]);

const layer = linearCrossEntropy(f, sharedHalf, y, { classes, linearBias: f, gradient: { input: true, linearWeight: shared } });
postMessage(layer, [layer.gradient.input.buffer]);
const givenWeights: Float32Array<SharedArrayBuffer> = layer.gradient.linearWeight;
// @ts-expect-error of another type than the input
linearCrossEntropy(f, x, y, { classes });
// @ts-expect-error gradients of halves are Float32Arrays
linearCrossEntropy(f, f, y, { classes, gradient: { input: f } });

const halves: Float16Array<ArrayBuffer> = klDiv(f, x, { classes, gradient: true }).gradient;
const givenHalves: Float16Array<SharedArrayBuffer> = nllLoss(f, y, { classes, gradient: sharedHalf }).gradient;
const lossesOfHalves: Float32Array<ArrayBuffer> = nllLoss(f, y, { classes, reduction: 'none' }).losses;
// @ts-expect-error of another type than the logits
bceWithLogits(f, x, { classes, gradient: x });
// @ts-expect-error of another type than the logits
bceWithLogits(x, x, { classes, gradient: f });
`;

/** Calls that are wrong in one way, and the first line of the message. What follows uses the result, and must not complain. */
const wrong: Record<string, string> = {
  'crossEntropy(x, y, { classes, labelSmoothng: 0.1 }).loss.toFixed()':
    "TS2561: Object literal may only specify known properties, but 'labelSmoothng' does not exist in type 'CrossEntropyOptions'. Did you mean to write 'labelSmoothing'?",
  'crossEntropy(x, y, { classes, posWeight: x, gradient: true }).gradient.length':
    "TS2561: Object literal may only specify known properties, but 'posWeight' does not exist in type 'CrossEntropyOptions'. Did you mean to write 'weight'?",
  'crossEntropy(x, y, { classes, signal: new Map() }).loss.toFixed()':
    "TS2353: Object literal may only specify known properties, and 'signal' does not exist in type 'CrossEntropyOptions'.",
  'bceWithLogits(x, x, { classes, zLoss: 1, metrics: true }).metrics.nll.toFixed()':
    "TS2353: Object literal may only specify known properties, and 'zLoss' does not exist in type 'BceWithLogitsOptions'.",
  'klDiv(x, x, { classes, metrics: true }).loss.toFixed()':
    "TS2353: Object literal may only specify known properties, and 'metrics' does not exist in type 'KlDivOptions'.",
  'nllLoss(x, y, { classes, softcap: 30 }).loss.toFixed()':
    "TS2353: Object literal may only specify known properties, and 'softcap' does not exist in type 'NllLossOptions'.",
  'smoothLabels(y, { classes, labelSmooth: 0.1 }).length':
    "TS2561: Object literal may only specify known properties, but 'labelSmooth' does not exist in type 'SmoothLabelsOptions'. Did you mean to write 'labelSmoothing'?",
  'linearCrossEntropy(x, x, y, { classes, rowStride: 4 }).loss.toFixed()':
    "TS2353: Object literal may only specify known properties, and 'rowStride' does not exist in type 'LinearCrossEntropyOptions'.",
  'linearCrossEntropy(x, x, y, { classes, bias: x }).loss.toFixed()':
    "TS2353: Object literal may only specify known properties, and 'bias' does not exist in type 'LinearCrossEntropyOptions'.",
  'linearCrossEntropy(x, x, y, { classes, linearBias: d, gradient: true }).gradient.linearBias.length':
    "TS2322: Type 'Float64Array<ArrayBufferLike>' is not assignable to type 'Float32Array<ArrayBufferLike>'.",
  'linearCrossEntropy(x, x, y, { classes, gradient: { input: d } }).gradient.input.length':
    "TS2322: Type 'Float64Array<ArrayBufferLike>' is not assignable to type 'boolean | Float32Array<ArrayBufferLike> | undefined'.",
  'linearCrossEntropy(x, x, y, { classes, gradient: { weight: true } }).loss.toFixed()':
    "TS2353: Object literal may only specify known properties, and 'weight' does not exist in type 'LinearCrossEntropyGradients'.",
  'linearCrossEntropy(x, x, y, { classes, gradient: x }).loss.toFixed()':
    "TS2322: Type 'Float32Array<ArrayBufferLike>' is not assignable to type 'boolean | LinearCrossEntropyGradients | undefined'.",
  'linearCrossEntropy(x, d, y, { classes }).loss.toFixed()':
    "TS2345: Argument of type 'Float64Array<ArrayBufferLike>' is not assignable to parameter of type 'Float32Array<ArrayBufferLike>'.",
  'linearCrossEntropy(x, y, x, { classes }).loss.toFixed()':
    "TS2345: Argument of type 'Int32Array<ArrayBufferLike>' is not assignable to parameter of type 'Float32Array<ArrayBufferLike>'.",
  'linearCrossEntropy(h, h, y, { classes }).loss.toFixed()':
    "TS2345: Argument of type '{ classes: number; }' is not assignable to parameter of type 'LinearCrossEntropyOptions & DtypeNeeded'.",
  'linearCrossEntropy(x, x, { classes })': 'TS2554: Expected 4 arguments, but got 3.',
  'linearCrossEntropy(x, x, y, { classes, gradient: true }).gradient.linearBias':
    "TS2339: Property 'linearBias' does not exist on type '{ input: Float32Array<ArrayBuffer>; linearWeight: Float32Array<ArrayBuffer>; }'.",
  'crossEntropy(x, y, {}).loss.toFixed()':
    "TS2741: Property 'classes' is missing in type '{}' but required in type 'CrossEntropyOptions'.",
  'crossEntropy(x, y)': 'TS2554: Expected 3 arguments, but got 2.',
  "crossEntropy(x, y, { classes: '3' }).loss.toFixed()":
    "TS2322: Type 'string' is not assignable to type 'number'.",
  'crossEntropy(x, y, { classes, gradient: d }).gradient.length':
    "TS2322: Type 'Float64Array<ArrayBufferLike>' is not assignable to type 'boolean | Float32Array<ArrayBufferLike> | undefined'.",
  'klDiv(d, x, { classes, gradient: new Float32Array(6) }).gradient.length':
    "TS2322: Type 'Float32Array<ArrayBuffer>' is not assignable to type 'boolean | Float64Array<ArrayBufferLike> | undefined'.",
  "bceWithLogits(h, x, { classes, dtype: 'float16', gradient: x }).gradient.length":
    "TS2322: Type 'Float32Array<ArrayBufferLike>' is not assignable to type 'boolean | Uint16Array<ArrayBufferLike> | undefined'.",
  'nllLoss(x, y, { classes, gradient: [0, 0] }).gradient.length':
    "TS2322: Type 'number[]' is not assignable to type 'boolean | Float32Array<ArrayBufferLike> | undefined'.",
  "crossEntropy(x, y, { classes, reduction: 'average' }).loss.toFixed()":
    "TS2322: Type '\"average\"' is not assignable to type 'Reduction | undefined'.",
  "crossEntropy(x, y, { classes, perRow: ['lse', 'los'] }).perRow.lse.length":
    "TS2820: Type '\"los\"' is not assignable to type 'CrossEntropyPerRow'. Did you mean '\"loss\"'?",
  "crossEntropy(x, y, { classes, labelSmoothing: { over: 'others' } }).loss.toFixed()":
    "TS2322: Type '{ over: \"others\"; }' is not assignable to type 'LabelSmoothing | undefined'.",
  'crossEntropy(h, y, { classes }).loss.toFixed()':
    "TS2345: Argument of type '{ classes: number; }' is not assignable to parameter of type 'CrossEntropyOptions & DtypeNeeded'.",
  'crossEntropy([1, 2, 3], y, { classes }).loss.toFixed()':
    "TS2345: Argument of type 'number[]' is not assignable to parameter of type 'Logits'.",
  'crossEntropy(x, [1], { classes }).loss.toFixed()':
    "TS2345: Argument of type 'number[]' is not assignable to parameter of type 'Targets'.",
  'crossEntropy(x, { a: y, b: y }, { classes }).loss.toFixed()':
    "TS2345: Argument of type '{ a: Int32Array<ArrayBufferLike>; b: Int32Array<ArrayBufferLike>; }' is not assignable to parameter of type 'Targets'.",
  'nllLoss(x, x, { classes }).loss.toFixed()':
    "TS2345: Argument of type 'Float32Array<ArrayBufferLike>' is not assignable to parameter of type 'MixedTargets | IndexArray'.",
  '{ const o = { classes, gradient: d }; crossEntropy(x, y, o).gradient.length }':
    "TS2345: Argument of type '{ classes: number; gradient: Float64Array<ArrayBufferLike>; }' is not assignable to parameter of type 'Omit<CrossEntropyOptions, \"gradient\"> & { gradient?: boolean | Float32Array<ArrayBufferLike> | undefined; }'.",
  '(await promises.crossEntropy(x, y, { classes, labelSmoothng: 0.1 })).loss.toFixed()':
    "TS2561: Object literal may only specify known properties, but 'labelSmoothng' does not exist in type 'CrossEntropyOptions & PromiseOptions'. Did you mean to write 'labelSmoothing'?",
  "(await promises.klDiv(x, x, { classes, signal: 'stop' })).loss.toFixed()":
    "TS2322: Type 'string' is not assignable to type 'AbortSignalLike'.",
  "loadBackend('js').crossEntropy(x, y, { classes, labelSmoothng: 0.1 }).loss.toFixed()":
    "TS2561: Object literal may only specify known properties, but 'labelSmoothng' does not exist in type 'CrossEntropyOptions'. Did you mean to write 'labelSmoothing'?",
  "(await promises.loadBackend('js').nllLoss(x, y, { classes, gradient: d })).gradient.length":
    "TS2322: Type 'Float64Array<ArrayBufferLike>' is not assignable to type 'boolean | Float32Array<ArrayBufferLike> | undefined'.",
  'crossEntropy(x, y, { classes }).gradient':
    "TS2339: Property 'gradient' does not exist on type '{ numerator: number; denominator: number; rows: number; loss: number; }'.",
};

/** Calls as they stand in a file, each on a line of its own, and the line of the first. */
const calls = Object.keys(wrong);
const firstCall = declarations.split('\n').length;

/** What a compiler says of the files, a line each, without what is indented below it. */
function compile(compiler: string, files: Record<string, string>, lib: string): string[] {
  const project = path.join(directory, `${compiler}-${lib}`);
  mkdirSync(project, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(project, file), text);
  writeFileSync(
    path.join(project, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...compilerOptions, lib: [lib] }, files: Object.keys(files) }),
  );
  const tsc = path.join(root, 'node_modules', compiler, 'bin', 'tsc');
  const { PATH } = process.env; // no LD_PRELOAD: the compiler is a program of its own
  const { stdout } = spawnSync(process.execPath, [tsc, '--pretty', 'false', '-p', project], {
    cwd: project,
    env: { PATH },
    encoding: 'utf8',
  });
  return stdout.split('\n').filter((line) => /^\S/.test(line));
}

beforeAll(() => rmSync(directory, { recursive: true, force: true }));

// The oldest compiler that has what the types need, the last without a type parameter of typed arrays, and two with it.
describe.each([
  ['typescript-5.1', 'es2022'],
  ['typescript-5.6', 'es2022'],
  ['typescript-5.9', 'esnext'],
  ['typescript', 'esnext'],
  ['typescript', 'es2022'],
])('%s with lib %s', (compiler, lib) => {
  let lines: string[];
  beforeAll(() => {
    const files = {
      'use.mts': use,
      'use.cts': use,
      'memory.mts': lib === 'esnext' ? memory : '',
      'wrong.mts': `${declarations}${calls.join(';\n')};\n`,
    };
    lines = compile(compiler, files, lib);
  }, 300_000);

  const messages = () =>
    calls.map((call, i) => {
      const at = new RegExp(`^wrong\\.mts\\(${firstCall + i},\\d+\\): error `);
      return [call, ...lines.filter((line) => at.test(line)).map((line) => line.replace(at, ''))];
    });

  it('compiles what is right, and the declarations', () => {
    expect(lines.filter((line) => !line.startsWith('wrong.mts'))).toEqual([]);
  });

  // Compilers word their messages each in its own way: those of the newest are pinned.
  it('says one thing of a wrong call', () => {
    const pinned = compiler === 'typescript' && lib === 'es2022';
    expect(messages()).toEqual(calls.map((call) => [call, pinned ? wrong[call] : expect.any(String)]));
  });
});

describe('an editor', () => {
  const file = path.join(directory, 'editor.mts');
  let service: ts.LanguageService;
  let text: string;

  beforeAll(() => {
    text = `
import {
  type BceWithLogitsOptions, crossEntropy, type CrossEntropyMetrics, type CrossEntropyOptions, type KlDivOptions,
  type LabelSmoothing, linearCrossEntropy, type LinearCrossEntropyOptions, type NllLossOptions, type SmoothLabelsOptions,
} from 'smoothloss';
import { klDiv, type PromiseOptions } from 'smoothloss/promises';
declare const x: Float32Array, d: Float64Array, y: Int32Array;
declare const classes: number;
declare const options: CrossEntropyOptions;
const plain = crossEntropy(x, y, { classes, gradient: true, perRow: ['lse'] });
const shared = crossEntropy(x, y, { classes, reduction: 'none', gradient: new Float32Array(new SharedArrayBuffer(8)) });
const unknown = crossEntropy(x, y, options);
const layered = linearCrossEntropy(x, x, y, { classes, linearBias: x, gradient: { input: x, linearBias: true } });
const later = klDiv(d, d, { classes });
crossEntropy(x, y, { classes, labelSmoothing: 0.1, perRow: ['loss'] });
crossEntropy(x, y, { classes, reduction: '' });
declare const all: {
  crossEntropy: CrossEntropyOptions; linearCrossEntropy: LinearCrossEntropyOptions; bceWithLogits: BceWithLogitsOptions; klDiv: KlDivOptions;
  nllLoss: NllLossOptions; smoothLabels: SmoothLabelsOptions; promises: PromiseOptions;
};
`;
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, text);
    const { options } = ts.convertCompilerOptionsFromJson({ ...compilerOptions, lib: ['es2022'] }, directory);
    service = ts.createLanguageService({
      ...ts.sys,
      useCaseSensitiveFileNames: () => ts.sys.useCaseSensitiveFileNames,
      getCompilationSettings: () => options,
      getScriptFileNames: () => [file],
      getScriptVersion: () => '0',
      getScriptSnapshot: (name) => {
        const content = ts.sys.readFile(name);
        return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content);
      },
      getCurrentDirectory: () => directory,
      getDefaultLibFileName: ts.getDefaultLibFilePath,
    });
  });

  /** What stands at the first of these words: its type, and what is said of it. */
  function hover(word: string): { type: string; text: string } {
    const info = service.getQuickInfoAtPosition(file, text.indexOf(word));
    return {
      type: ts.displayPartsToString(info?.displayParts).replaceAll(/\s+/g, ' '),
      text: ts.displayPartsToString(info?.documentation),
    };
  }

  it('shows results as plain objects', () => {
    const totals = 'numerator: number; denominator: number; rows: number;';
    expect(hover('plain').type).toBe(
      `const plain: { ${totals} loss: number; gradient: Float32Array<ArrayBuffer>; perRow: { lse: Float32Array<ArrayBuffer>; }; }`,
    );
    expect(hover('shared').type).toBe(
      `const shared: { ${totals} losses: Float32Array<ArrayBuffer>; gradient: Float32Array<SharedArrayBuffer>; }`,
    );
    const floats = ['loss', 'nll', 'lse', 'entropy'].map((name) => `${name}?: Float32Array<ArrayBuffer>;`);
    expect(hover('unknown').type).toBe(
      `const unknown: { ${totals} loss?: number; losses?: Float32Array<ArrayBuffer>; gradient?: Float32Array<ArrayBufferLike>; metrics?: CrossEntropyMetrics; perRow?: { ${floats.join(' ')} prediction?: Int32Array<ArrayBuffer>; }; }`,
    );
    expect(hover('layered').type).toBe(
      `const layered: { ${totals} loss: number; gradient: { input: Float32Array<ArrayBufferLike>; linearBias: Float32Array<ArrayBuffer>; }; }`,
    );
    expect(hover('later').type).toBe(`const later: Promise<{ ${totals} loss: number; }>`);
  });

  it('explains options where they are written', () => {
    expect(hover('labelSmoothing:')).toEqual({
      type: '(property) ClassOptions.labelSmoothing?: LabelSmoothing | undefined',
      text: expect.stringMatching(/\(1 − ε\)·t \+ ε·u.*in \[0, 1\] and 0 by default/s),
    });
    expect(hover("perRow: ['loss")).toEqual({
      type: '(property) CrossEntropyOptions.perRow?: readonly CrossEntropyPerRow[] | undefined',
      text: expect.stringMatching(/'lse'`: ln Σ exp z/),
    });
  });

  it('completes the values of an option', () => {
    const at = text.indexOf("reduction: ''") + "reduction: '".length;
    const entries = service.getCompletionsAtPosition(file, at, {})?.entries.map(({ name }) => name);
    expect(entries?.sort()).toEqual(['mean', 'none', 'sum']);
  });

  /** The options of every function, by their types. */
  function optionsOfAll() {
    const program = service.getProgram() as ts.Program;
    const checker = program.getTypeChecker();
    const source = program.getSourceFile(file) as ts.SourceFile;
    const all = checker.getSymbolsInScope(source, ts.SymbolFlags.Variable).find(({ name }) => name === 'all');
    const propertiesOf = (type: ts.Type) =>
      checker.getPropertiesOfType(type).map((symbol) => ({
        name: symbol.name,
        type: checker.getTypeOfSymbolAtLocation(symbol, source),
        text: ts.displayPartsToString(symbol.getDocumentationComment(checker)),
      }));
    return propertiesOf(checker.getTypeOfSymbol(all as ts.Symbol)).map(({ name, type }) => ({
      name,
      options: propertiesOf(type),
    }));
  }

  it('knows of each function the options that the function takes', () => {
    const { FUNCTIONS } = requireFromRoot(
      './dist/arguments/functions.js',
    ) as typeof import('../dist/arguments/functions.js');
    const taken = Object.entries(FUNCTIONS).map(([name, { options }]) => [name, [...options].sort()]);
    const typed = optionsOfAll()
      .filter(({ name }) => name !== 'promises')
      .map(({ name, options }) => [name, [...options.map((option) => option.name), 'signal'].sort()]);
    expect(Object.fromEntries(taken)).toEqual(Object.fromEntries(typed));
  });

  // A hover cannot follow a link, nor does it unfold the names that a type stands for.
  it('says of every option what its values and members are', () => {
    const checker = (service.getProgram() as ts.Program).getTypeChecker();
    // The strings that it may be or hold, and its members if it is an object of this package's own.
    const wordsOf = (type: ts.Type): string[] => {
      if (type.isUnion()) return type.types.flatMap(wordsOf);
      if (type.isStringLiteral()) return [`'${type.value}'`];
      if (checker.isArrayType(type))
        return checker.getTypeArguments(type as ts.TypeReference).flatMap(wordsOf);
      const isOwn = type.symbol?.name === '__type';
      return isOwn ? checker.getPropertiesOfType(type).map(({ name }) => name) : [];
    };
    const options = optionsOfAll().flatMap(({ name, options }) =>
      options.map((option) => ({ ...option, name: `${name}: ${option.name}` })),
    );
    expect(options.length).toBeGreaterThan(70);
    // What other libraries' tensors call their types compiles, and is no value of dtype.
    const [, others] =
      /type OtherType =([^;]*);/.exec(readFileSync(path.join(root, 'lib/types/arrays.ts'), 'utf8')) ?? [];
    const wanting = options.flatMap(({ name, type, text }) => [
      ...(text === '' || text.includes('@link') ? [`${name}: ${text || 'nothing'}`] : []),
      ...wordsOf(type)
        .filter((word) => !text.includes(word) && !others.includes(word))
        .map((word) => `${name}: ${word}`),
    ]);
    expect(wanting).toEqual([]);
  });
});

it('the modules that import gets name what require gets', () => {
  for (const name of ['index', 'promises']) {
    const [, exported] =
      /export \{([^}]*)\}/.exec(readFileSync(path.join(root, `dist/${name}.mjs`), 'utf8')) ?? [];
    const names = Object.keys(requireFromRoot(`./dist/${name}.js`) as object);
    expect(exported.match(/\w+/g), name).toEqual(expect.arrayContaining(names));
  }
});
