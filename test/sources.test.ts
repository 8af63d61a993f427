// The promise: native/sources.gypi is the one list of sources and flags, which both build systems read.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './support/root.js';

const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const list = JSON.parse(read('native/sources.gypi')).variables as Record<string, string[]>;
const cmake = read('CMakeLists.txt');
const gyp = JSON.parse(read('native/addon.gypi'));

describe('native/sources.gypi', () => {
  it('lists every source file of native/, and no other', () => {
    const files = readdirSync(path.join(root, 'native'), { recursive: true, encoding: 'utf8' });
    const sources = files
      .filter((file) => /\.(c|cc|cpp|cxx|s|asm)$/i.test(file))
      .map((file) => file.replaceAll('\\', '/'))
      .sort();
    expect([...list.smoothloss_source_files].sort()).toEqual(sources);
  });

  it.each(Object.keys(list))('%s holds nothing twice', (name) => {
    expect(new Set(list[name]).size).toBe(list[name].length);
  });

  it('keeps the compiler from fusing or reordering arithmetic', () => {
    expect(list.smoothloss_cflags).toContain('-ffp-contract=off');
    expect(list.smoothloss_msvc_flags).toContain('/fp:precise');
    const flags = [...list.smoothloss_cflags, ...list.smoothloss_msvc_flags].join(' ');
    expect(flags).not.toMatch(/fast|-Ofast|-funsafe|-march|-mavx|-mfma|\/arch|reciprocal|associative/);
  });
});

describe('native/addon.gypi', () => {
  const text = JSON.stringify(gyp);

  it('is what both files for node-gyp build: that of the repository, and that of the package', () => {
    expect(JSON.parse(read('binding.gyp'))).toEqual({ includes: ['native/addon.gypi'] });
    const { includes, targets } = JSON.parse(read('native/binding.gyp').replace(/^#.*$/gm, ''));
    expect(includes).toEqual(['addon.gypi']);
    expect(targets.map(({ type }: { type: string }) => type)).toEqual(['none']);
  });

  it('includes the list and names no source', () => {
    expect(gyp.includes).toEqual(['sources.gypi']);
    expect(gyp.targets).toHaveLength(1);
    expect(gyp.targets[0].sources).toEqual(['<@(smoothloss_source_files)']);
    expect(text).not.toMatch(/\.(c|cc|cpp)"/);
  });

  it('uses every entry of the list', () => {
    for (const name of Object.keys(list)) expect(text, name).toContain(`<@(${name})`);
  });

  it('repeats no flag or definition', () => {
    for (const flag of Object.values(list).flat()) expect(text, flag).not.toContain(flag);
  });
});

describe('CMakeLists.txt', () => {
  it('reads the list and names no source', () => {
    expect(cmake).toContain('file(READ native/sources.gypi');
    expect(cmake).not.toMatch(/\.(c|cc|cpp|h)\b/);
  });

  it('uses every entry of the list', () => {
    for (const name of Object.keys(list)) expect(cmake, name).toContain(name);
  });

  it('repeats no flag or definition', () => {
    for (const flag of Object.values(list).flat()) expect(cmake, flag).not.toContain(flag);
    // What CMake would turn into flags that the list has already.
    expect(cmake).not.toMatch(/CXX_STANDARD|CMAKE_CXX_FLAGS|CXX_VISIBILITY_PRESET|CMAKE_BUILD_TYPE/);
  });
});

// The files of native/'s folders by their names, which differ.
const nativePaths = new Map(
  readdirSync(path.join(root, 'native'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(h|cc)$/.test(file))
    .map((file) => [path.basename(file), `native/${file.replaceAll('\\', '/')}`]),
);
const nativeFiles = [...nativePaths.keys()];
const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
const nativeCode = (file: string) => withoutComments(read(nativePaths.get(file) ?? file));

describe('kernels', () => {
  it('intrinsics are in the vec_*-inl.h files alone, and each kernel file has an instruction set', () => {
    const intrinsics =
      /_mm\d*_(?!getcsr|setcsr|prefetch|pause)|\b__m\d+|\bv[a-z0-9]+q?_(n_|lane_)?[fsu](8|16|32|64)\b|\b\w+\d+x\d+_t\b/;
    for (const file of nativeFiles) {
      if (!/^vec_.*-inl\.h$/.test(file)) expect(nativeCode(file), file).not.toMatch(intrinsics);
    }
    for (const file of ['vec_avx512-inl.h', 'vec_avx2-inl.h', 'vec_neon-inl.h'])
      expect(nativeCode(file), file).toMatch(intrinsics);
  });

  it('files of a backend have no static data that must be initialised, and no headers of their own', () => {
    for (const file of nativeFiles.filter((name) => /-inl\.h$|^kernels_.*\.cc$/.test(name))) {
      expect(nativeCode(file), file).not.toMatch(/^(static|const|inline const|thread_local)\b/m);
      if (file.endsWith('-inl.h')) expect(nativeCode(file), file).not.toMatch(/#include <|#pragma once/);
    }
  });

  it('every vector has the operations that vec_scalar-inl.h documents', () => {
    const signatures = (file: string) =>
      [...nativeCode(file).matchAll(/^SMOOTHLOSS_INLINE (\w+ \w+\([^)]*\))/gm)]
        .map(([, signature]) => signature.replace(/(\w+[&*]?) \w+(?=[,)])/g, '$1').replace(/\s+/g, ' '))
        .sort();
    // Those of vec-inl.h are for all vectors, and a backend may have its own.
    const shared = [
      ...nativeCode('vec-inl.h').matchAll(/^template <typename V\b.*>\nSMOOTHLOSS_INLINE \w+ (\w+)/gm),
    ];
    const isShared = (each: string) => shared.some(([, name]) => each.includes(` ${name}(`));
    const documented = signatures('vec_scalar-inl.h').filter(
      (each) => /\b(Double)?Vec\b/.test(each) && !isShared(each),
    );
    expect(shared.length).toBeGreaterThan(5);
    expect(documented.length).toBeGreaterThan(40);
    for (const file of ['vec_avx512-inl.h', 'vec_avx2-inl.h', 'vec_neon-inl.h']) {
      expect(signatures(file), file).toEqual(expect.arrayContaining(documented));
    }
  });
});

describe('the folders of native/', () => {
  it('include what stands below them, never what stands above', () => {
    const folders = ['addon', 'threads', 'kernels', 'simd'];
    for (const file of nativePaths.values()) {
      const own = folders.indexOf(file.split('/')[1]);
      expect(own, file).toBeGreaterThanOrEqual(0);
      for (const [, folder] of read(file).matchAll(/#include "(\w+)\//g)) {
        expect(folders.indexOf(folder), `${file} includes ${folder}/`).toBeGreaterThanOrEqual(own);
      }
    }
  });
});

describe('C++ and TypeScript', () => {
  const addon = nativeCode('call.cc');
  const bridge = read('lib/native.ts');
  const lower = (name: string) => name[0].toLowerCase() + name.slice(1);
  /** The names in an enum, kRowStride as rowStride. */
  const enumerators = (code: string, name: string) => {
    const body = new RegExp(`enum (?:class )?${name} : \\w+ \\{([^}]*)\\}`).exec(code)?.[1] ?? '';
    return [...body.matchAll(/\bk(\w+)(?=\s*[,=\n}]|\s*$)/g)].map(([, each]) => lower(each));
  };
  /** The fields of a struct or an interface, in order. */
  const fields = (code: string, pattern: RegExp) => {
    const body = /\{([^}]*)\}/.exec(code.slice(pattern.exec(code)?.index))?.[1] ?? '';
    return [...body.matchAll(/(\w+)(?:: [^;\n]+)?;/g)].map(([, name]) => name);
  };
  const numberIn = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1]);

  /** The names in a list of strings, and what `pattern` captures in a text. */
  const namesIn = (text: string, list: RegExp) =>
    [...(list.exec(text)?.[1] ?? '').matchAll(/'(\w+)'/g)].map(([, name]) => name);
  const captured = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name);

  /** The fields of the native Batch. */
  const batchFields = () =>
    [/struct BatchNumbers/, /struct Batch :/].flatMap((pattern) => fields(nativeCode('batch.h'), pattern));

  it('agree on the slots of the arena', () => {
    const batch = read('lib/batch.ts');
    const numbers = namesIn(withoutComments(batch), /NUMBERS = \[([^\]]*)\]/);
    expect(numbers.length).toBeGreaterThan(7);
    const slots = namesIn(withoutComments(read('lib/arena.ts')), /SLOTS = \[([^\]]*)\]/);
    const theirs = enumerators(addon, 'Slot');
    expect([theirs[0], theirs.at(-1)]).toEqual(['sums', 'numbers']);
    expect(theirs.slice(1, -1)).toEqual(slots);
    expect(fields(nativeCode('batch.h'), /struct BatchNumbers/)).toEqual(numbers);
    // What is written, in order: priorTotal.sum is priorSum, and whether there are seconds is whether targets are mixed.
    const written = captured(
      bridge,
      /^ {2}slots\[i\+\+\] = (?:batch\.|layer\?\.|layer === null \? 0 : layer\.)?([\w.]+)/gm,
    ).map((name) => name.replace(/Total\.(\w)/, (_, c) => c.toUpperCase()).replace('seconds', 'mixed'));
    expect(written).toEqual(slots);
    expect(captured(batch, /^ {2}slots\[i\+\+\] = batch\.(\w+)/gm)).toEqual(numbers);
  });

  it('agree on the sums, which come first', () => {
    const sums = captured(bridge, /(\w+): slots\[\d\]/g);
    expect(captured(bridge, /\w+: slots\[(\d)\]/g).map(Number)).toEqual(sums.map((_, i) => i));
    expect(numberIn(read('lib/arena.ts'), /FIRST_SLOT = (\d+)/)).toBe(sums.length);
    expect(numberIn(bridge, /let i = (\d+);/)).toBe(sums.length);
    expect(sums).toEqual(fields(nativeCode('batch.h'), /struct Sums/));
    expect(sums).toEqual(fields(withoutComments(read('lib/batch.ts')), /interface Sums/));
  });

  it('agree on the arguments of compute, and on the bit of each', () => {
    const args = enumerators(addon, 'Argument');
    expect(args.pop()).toBe('arguments');
    const bits = [...bridge.matchAll(/\((?:batch\.|layer\.)?(\w+) === null \? 0 : 1 << (\d+)\)/g)];
    const byBit = bits.map(([, name, bit]) => [name, Number(bit)] as const);
    // Those that a layer always has.
    const always = captured(read('lib/batch.ts'), /^ {2}(\w+): Elements;/gm);
    byBit.push(...captured(bridge, /\(1 << (\d+)\)/g).map((bit, i) => [always[i], Number(bit)] as const));
    expect(byBit.sort(([, a], [, b]) => a - b)).toEqual(args.map((name, i) => [name, i]));
    // Of compute where few calls have others, of compute, and of start.
    const passed = [...bridge.matchAll(/\bbuffer,\s*((?:(?:batch\.|layer\?\.)\w+,?\s*)+)\)/g)];
    const lists = passed.map(([, list]) => captured(list, /(?:batch\.|layer\?\.)(\w+)/g));
    expect(lists).toEqual([args.slice(0, 4), args, args]);
    expect(numberIn(nativeCode('call.h'), /kCallArguments = (\d+)/)).toBe(1 + args.length);
    expect(bridge).toContain('RARE = ~0b1111;');
    expect(namesIn(read('test/conformance/raw-call.ts'), /ARGUMENTS = \[([^\]]*)\]/)).toEqual(args);
  });

  it('agree on operations and types', () => {
    const operations = captured(nativeCode('kernels.h'), /\{&Kernels::(\w+),/g);
    expect(operations).toEqual(captured(nativeCode('kernels.h'), /^ {2}Loss (\w+);/gm));
    expect(operations).toEqual(namesIn(withoutComments(read('lib/batch.ts')), /KERNELS = \[([^\]]*)\]/));
    const [, types] = /TYPES = \[([^\]]*)\]/.exec(read('lib/batch.ts')) ?? [];
    expect(types.match(/\w+/g)).toEqual(enumerators(nativeCode('batch.h'), 'Type'));
    types.match(/\w+/g)?.forEach((type, i) => {
      expect(numberIn(read('lib/batch.ts'), new RegExp(`${type.toUpperCase()} = (\\d)`)), type).toBe(i);
    });
  });

  it('agree on the fields of a batch', () => {
    const batch = withoutComments(read('lib/batch.ts'));
    const own = [...namesIn(batch, /NUMBERS = \[([^\]]*)\]/), ...fields(batch, /interface Batch/)];
    const theirs = batchFields();
    expect(theirs.length).toBeGreaterThan(40);
    // The types of dense targets and of weights per element are those of the arrays in TypeScript.
    expect([...own, 'denseType', 'weightType'].sort()).toEqual([...theirs].sort());
  });

  it('agree on the fields of a layer', () => {
    const own = fields(withoutComments(read('lib/batch.ts')), /interface Layer/);
    expect(own.length).toBeGreaterThan(8);
    expect(own).toEqual(fields(nativeCode('batch.h'), /struct Layer/));
  });

  it('every number of a batch is read from the arguments', () => {
    const folder = path.join(root, 'lib/arguments');
    const code = readdirSync(folder).map((file) => withoutComments(read(`lib/arguments/${file}`)));
    const numbers = namesIn(withoutComments(read('lib/batch.ts')), /NUMBERS = \[([^\]]*)\]/);
    for (const name of numbers) expect(code.join('\n'), name).toMatch(new RegExp(`batch\\.${name} = `));
  });

  // A new option is a field of Batch. It must become a part, which fast paths reject until they compute it, unless all
  // paths compute it already.
  it('every field of a batch is a part of softmax cross entropy, or computed on all its paths', () => {
    const ofAllPaths = `rows classes rowStride inner type logits gradient losses targets lambdas lambda denseType
      denseStride weight prior others epsilons epsilon priorTotal smoothingTotal smoothingLog
      rowWeight gradientScales gradientScale`;
    const ofOtherLosses = 'logTarget weightStride weightType posWeight mask maskStride toward layer';
    const [, members] = /explicit SoftmaxParts\([^)]*\)([^{]*)/.exec(nativeCode('softmax_batch-inl.h')) ?? [];
    const parts = new Set([...members.matchAll(/batch\.(\w+)/g)].map(([, name]) => name));
    expect([...parts, ...`${ofAllPaths} ${ofOtherLosses}`.split(/\s+/)].sort()).toEqual(batchFields().sort());
  });

  it('agree on the sizes of chunks, blocks and lanes, and from where on rows are shifted', () => {
    const pairs: [string, RegExp, string, RegExp][] = [
      ['lib/batch.ts', /MOST_CHUNKS = (\d+)/, 'batch.h', /kMostChunks = (\d+)/],
      ['lib/batch.ts', /SEGMENT = (\d+) \* 512/, 'batch.h', /kSegment = size_t\{(\d+)\} \* 512/],
      ['lib/batch.ts', /LAYER_ROWS = (\d+)/, 'batch.h', /kLayerRows = (\d+)/],
      ['lib/batch.ts', /MANY_LOGITS = (\d+)/, 'batch.h', /kManyLogits = (\d+)/],
      ['lib/js/products.ts', /PRODUCT_BLOCK = (\d+)/, 'kernels.h', /kProductBlock = (\d+)/],
      ['lib/js/products.ts', /PRODUCT_CHAIN = (\d+)/, 'kernels.h', /kProductChain = (\d+)/],
      ['lib/threads.ts', /MOST_THREADS = (\d+)/, 'pool.h', /kMostThreads = (\d+)/],
      ['lib/js/arithmetic.ts', /BLOCK = (\d+)/, 'loads-inl.h', /kBlock = (\d+)/],
      ['lib/js/arithmetic.ts', /LANES = (\d+)/, 'vec-inl.h', /kLanes = (\d+)/],
      ['lib/js/softmax-row.ts', /SHIFT_ABOVE = 2 \*\* (\d+)/, 'softmax_row-inl.h', /kShiftAbove = 0x1p(\d+)/],
      ['lib/js/float32.ts', /(\d+) < x\[c\]/, 'log_prob_losses-inl.h', /Real\(709\) : Real\((\d+)\)/],
      ['lib/js/float64.ts', /(\d+) < x\[c\]/, 'log_prob_losses-inl.h', /Real\((\d+)\) : Real\(88\)/],
    ];
    for (const [file, pattern, other, otherPattern] of pairs) {
      const number = numberIn(read(file), pattern);
      expect(number, `${file}, ${pattern}`).toBeGreaterThan(0);
      expect(numberIn(nativeCode(other), otherPattern), `${other}, ${otherPattern}`).toBe(number);
    }
    expect(nativeCode('kernels.h')).toMatch(/kBlockBytes = (size_t\{512\}|512) \* 16 \* sizeof\(float\)/);
  });

  it('elementary functions have the same constants, number by number', () => {
    // A literal of C++ as a number: 0x1.8p20f.
    const value = (literal: string) => {
      const [, whole, fraction = '', exponent] =
        /^0x([\da-f]+)\.?([\da-f]*)p([+-]?\d+)f?$/.exec(literal) ?? [];
      if (whole === undefined) throw new Error(`not a number: ${literal}`);
      const number = Number(BigInt(`0x${whole}${fraction}`)) * 2 ** (Number(exponent) - 4 * fraction.length);
      return literal.endsWith('f') ? Math.fround(number) : number;
    };
    // Those with more than a few digits; others are plain numbers like 2^25.
    const intricate = (x: number) => !Number.isInteger(x * 2 ** 12);
    const theirs = [...nativeCode('math-inl.h').matchAll(/0x[\da-f]+\.?[\da-f]*p[+-]?\d+f?/g)]
      .map(([literal]) => value(literal))
      .filter((x) => !Number.isInteger(Math.log2(x)) && intricate(x));
    const own = [...withoutComments(read('lib/js/math.ts')).matchAll(/(?<![\w.])\d+\.\d+(?:e[+-]?\d+)?/g)]
      .map(([literal]) => Number(literal))
      .filter(intricate);
    const sorted = (numbers: number[]) => [...new Set(numbers)].sort((a, b) => a - b);
    expect(theirs.length).toBeGreaterThan(45);
    expect(sorted(own)).toEqual(sorted(theirs));
  });
});

describe('the files of lib/ that mirror native ones', () => {
  // A file, those that it mirrors, and the names that only it has.
  const mirrors: [file: string, native: string, only: string[]][] = [
    // native/threads/ starts calls by promise, and adds up the sums of chunks. Batches are made here, and steps are for one thread.
    [
      'lib/batch.ts',
      'batch.h kernels.h',
      ['addSums', 'makeBatch', 'newBatch', 'noSums', 'start', 'steps', 'writeNumbers'],
    ],
    [
      'lib/js/math.ts',
      'math-inl.h vec_scalar-inl.h',
      // Loops over arrays, written out for V8; and round(x · log2 e), which C++ writes in place.
      ['fmaOf', 'fmaUntil', 'log1pOf', 'log1pUntil', 'roundLog2'],
    ],
    // In C++ overloads of `put` know the element's type.
    ['lib/js/elements.ts', 'vec-inl.h vec_scalar-inl.h blocks-inl.h results-inl.h', ['encode']],
    ['lib/js/results.ts', 'results-inl.h', []],
    ['lib/js/targets.ts', 'targets-inl.h', []],
    // The loop over blocks, which kernels have in C++.
    ['lib/js/reductions.ts', 'reductions-inl.h', ['belowOf']],
    [
      'lib/js/blocks.ts',
      'blocks-inl.h row_strip-inl.h logit_terms-inl.h results-inl.h',
      // A loss computes one row at a time: fields for that row, where it begins, and whether it is used in place. In C++
      // visitors write the losses of elements, and Terms says what `transforms` does.
      [
        'rows',
        'add',
        'row',
        'start',
        'outAt',
        'direct',
        'storeLosses',
        'transforms',
        'batch',
        'classes',
        'arithmetic',
        'scratch',
      ],
    ],
    ['lib/js/softmax-batch.ts', 'softmax_batch-inl.h', []],
    // C++ has a template argument for double, a constructor for set, and two results of solve in place.
    ['lib/js/softmax-row.ts', 'softmax_row-inl.h', ['double', 'entropyOf', 'nllOf', 'set']],
    // One row is in fields. Kernels ask the batch for the factors of classes, block by block.
    [
      'lib/js/cross-entropy.ts',
      'cross_entropy-inl.h softmax_blocks-inl.h logit_terms-inl.h',
      ['add', 'exps', 'loadTargets', 'over', 'prior', 'smoothing', 'softmax', 'weight'],
    ],
    // One row has one target. Kernels ask the batch for the factors of classes, block by block.
    ['lib/js/log-prob-losses.ts', 'log_prob_losses-inl.h', ['add', 'target', 'prior', 'smoothing']],
    // Visitors mask elements one by one.
    ['lib/js/bce-with-logits.ts', 'bce_with_logits-inl.h', ['clearMasked']],
    // C++ has tiles of vectors where JavaScript has panels and chains, which are written out for V8; and packs the input.
    [
      'lib/js/products.ts',
      'products-inl.h kernels.h',
      [
        'chainsUnlessHalfway',
        'chains32',
        'chains64',
        'transposed',
        'fillPanel',
        'addPanel',
        ...['sumBlock', 'summands', 'a', 'start', 'n'],
        ...['input', 'target', 'out', 'down', 'across', 'places', 'width'],
      ],
    ],
    // C++ has one buffer for the memory of a chunk.
    [
      'lib/js/linear-cross-entropy.ts',
      'layer_stages.cc layer_stages.h',
      ['layerMemory', 'input', 'transposed', 'logits', 'Type', 'enough'],
    ],
    ['lib/js/losses.ts', 'losses-inl.h', ['kernelOf']],
    [
      'lib/js/arithmetic.ts',
      'vec_scalar-inl.h along_row-inl.h math-inl.h results-inl.h reductions-inl.h logit_terms-inl.h softmax_visitors-inl.h ' +
        'log_prob_losses-inl.h bce_with_logits-inl.h',
      // C++ has types for memory and rounding. Two loops are lines of DivergenceVisitor and EntropyVisitor.
      ['arithmetic', 'create', 'scratchRow', 'round', 'expOfLogs', 'product'],
    ],
  ];

  const lower = (name: string) => name[0].toLowerCase() + name.slice(1);
  const found = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name);
  const code = (file: string) => withoutComments(read(nativePaths.get(file) ?? file)).replace(/ +$/gm, '');

  /** The names of functions, classes and interfaces, and of their members. */
  const namesInTypeScript = (text: string) => {
    const names = found(text, /^(?:export )?function (\w+)/gm);
    const types = /^(?:export )?(?:abstract )?(?:class|interface) (\w+)[^{]*\{\n([\s\S]*?)^\}/gm;
    for (const [, type, body] of text.matchAll(types)) {
      names.push(lower(type));
      names.push(
        ...found(
          body,
          /^ {2}(?:(?:private|protected|readonly|abstract|override) )*(\w+)(?:<[^>]*>)?\??(?=[(:]| = )/gm,
        ),
        ...found(body, /^ {4}(?:private|protected) readonly (\w+):/gm),
      );
    }
    return new Set(names.filter((name) => name !== 'constructor'));
  };

  /** The names of functions, and of structs and their members; BlendVisitor as blend, CrossEntropyKernel as crossEntropy. */
  const namesInCpp = (text: string, indent = ''): string[] => {
    const type = String.raw`(?:(?:SMOOTHLOSS_\w+|static|constexpr|inline|explicit|const) )*[\w:]+(?:<[^;()]*>)?[ *&]+(?:const )?`;
    const names = found(
      text,
      new RegExp(String.raw`^${indent}${type}(\w+)\([^;{}]*\)(?: const)?(?: \{|;)`, 'gm'),
    );
    if (indent !== '') {
      const rest = String.raw`(?:\[[^;]+\])?(?: = [^;]+|\{[^;]*\})?;`;
      names.push(...found(text, new RegExp(String.raw`^${indent}${type}(\w+?)_?${rest}`, 'gm')));
    }
    const structs = new RegExp(
      String.raw`^${indent}(?:struct|class) (\w+)[^;{]*\{\n([\s\S]*?)^${indent}\};`,
      'gm',
    );
    for (const [, name, body] of text.matchAll(structs)) {
      names.push(lower(name.replace(/(Visitor|Kernel)$/, '')), ...namesInCpp(body, `${indent}  `));
    }
    return names;
  };

  it.each(mirrors)('%s', (file, native, only) => {
    const theirs = new Set(native.split(' ').flatMap((each) => namesInCpp(code(each))));
    expect(theirs.size).toBeGreaterThan(4);
    const names = [...namesInTypeScript(code(file))];
    expect(names.length).toBeGreaterThan(0);
    // C++ overloads what JavaScript calls exp32 and exp64.
    const overload = (name: string) => name.replace(/(32|64|Float|Double)$/, '');
    const own = names.filter((name) => !theirs.has(name) && !theirs.has(overload(name)));
    expect(own.sort()).toEqual([...only].sort());
    expect(read(file)).toContain(nativePaths.get(native.split(' ')[0]));
  });

  it('leave no file of formulas out', () => {
    // JavaScript has no vectors, packs no rows and splits none for threads.
    const alone =
      /^vec|^(loads|along_row|across_rows|segments|packed_solver|packed_rows|streamed_gradients)-/;
    const mirrored = new Set(mirrors.flatMap(([, native]) => native.split(' ')));
    for (const file of nativeFiles.filter((name) => name.endsWith('-inl.h') && !alone.test(name))) {
      expect(mirrored, file).toContain(file);
    }
  });
});

describe('test/conformance', () => {
  it('every table runs in vitest and in the plain runner', () => {
    const directory = path.join(root, 'test/conformance');
    const tests = readdirSync(path.join(root, 'test')).filter((file) => file.endsWith('.test.ts'));
    const all = tests.map((file) => read(`test/${file}`)).join('\n');
    const runner = read('test/conformance/run.ts');
    for (const file of readdirSync(directory).filter((name) => name.endsWith('.ts'))) {
      if (!read(`test/conformance/${file}`).includes('export const tables')) continue;
      const module = file.replace(/\.ts$/, '.js');
      expect(runner, file).toContain(`from './${module}'`);
      expect(all, file).toContain(`from './conformance/${module}'`);
    }
  });

  // What needs the native addon says so with itNative, which SMOOTHLOSS_EXPECT_BACKENDS keeps from skipping unseen.
  it('no test is switched off', () => {
    for (const file of readdirSync(path.join(root, 'test'), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(test|test-d)\.ts$|conformance.*\.ts$|support.*\.ts$/.test(file)) continue;
      if (/^package|sources\.test\.ts$|^support.native\.ts$/.test(file)) continue;
      expect(read(`test/${file}`), file).not.toMatch(
        /\.(only|skip|todo|fails|skipIf|runIf)\b|\bhasAddon \? it\b/,
      );
    }
  });
});
