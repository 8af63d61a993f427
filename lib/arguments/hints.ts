// What to do instead: the ends of messages. All of this runs only when a call has failed already, and nothing of it throws.
// A hint that names an expression is right for the very value that was given: following it, the call gets on.

import { clip, isArray } from '../errors.js';
import { INDEX_TYPES, lengthOf, type TypedArray, typeOf } from '../typed-arrays.js';

/** Elements of a caller's list, lists among them, that are looked at for a hint. */
const MOST_LOOKS = 2 ** 26;
/** Items of an iterable. */
const MOST_ITEMS = 1024;
const MOST_DEPTH = 8;
/** Characters of a name that are compared with the known ones. */
const MOST_CHARACTERS = 40;

// Arrays ----------------------------------------------------------------------------------------------------------------

/**
 * The use of an array: for numbers, logits among them ('doubles' may be of either precision, 'float64' must be), for classes, or
 * for flags that are 0 or not.
 */
export type Purpose = 'numbers' | 'doubles' | 'float64' | 'logits' | 'classes' | 'flags';

/** The content of a list of numbers, or of lists of them. */
interface Content {
  /** How deep the lists are nested: 1 for a list of numbers. */
  depth: number;
  /** How many numbers, and how many elements that may be lists have been looked at. */
  count: number;
  looks: number;
  /** The length of the innermost lists. */
  last: number;
  /** Whether the innermost lists are typed arrays. */
  views: boolean;
  bigints: boolean;
  strings: boolean;
  /** Whether all are integers, and then the least and the greatest. */
  whole: boolean;
  low: number;
  high: number;
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/** Undefined for lists that hold something else than numbers, or are ragged. */
function contentOf(value: unknown): Content | undefined {
  return attempt(() => {
    const lengths: number[] = [];
    const content: Content = {
      depth: 0,
      count: 0,
      looks: 0,
      last: 0,
      views: false,
      bigints: false,
      strings: false,
      whole: true,
      low: Infinity,
      high: -Infinity,
    };
    if (!lookInto(value, 0, lengths, content) || content.count === 0) return undefined;
    content.last = lengths[content.depth - 1];
    return content;
  });
}

function lookInto(value: unknown, depth: number, lengths: number[], content: Content): boolean {
  const isView = typeOf(value) !== undefined;
  if (!isView && !isArray(value)) {
    if (content.count === 0) content.depth = depth;
    return depth === content.depth && lookAt(value, content);
  }
  const list = value as ArrayLike<unknown>;
  const length = isView ? lengthOf(value) : list.length;
  lengths[depth] ??= length;
  const isEven = lengths[depth] === length && depth < MOST_DEPTH;
  content.looks += length;
  if (!isEven || content.looks > MOST_LOOKS) return false;
  if (isView && depth > 0) content.views = true;
  for (let i = 0; i < length; i++) if (!lookInto(list[i], depth + 1, lengths, content)) return false;
  return true;
}

function lookAt(value: unknown, content: Content): boolean {
  content.count++;
  if (typeof value === 'bigint') content.bigints = true;
  else if (typeof value === 'string') content.strings = true;
  else if (typeof value !== 'number' && typeof value !== 'boolean') return false;
  const number = Number(value);
  if (typeof value === 'string' && (value.trim() === '' || Number.isNaN(number))) return false;
  if (!Number.isInteger(number)) content.whole = false;
  content.low = Math.min(content.low, number);
  content.high = Math.max(content.high, number);
  return true;
}

/** Makes one list of lists. */
function flattened(name: string, { depth, views }: Content): string {
  if (depth === 1) return name;
  if (!views) return depth === 2 ? `${name}.flat()` : `${name}.flat(Infinity)`;
  return `${depth === 2 ? name : `${name}.flat(Infinity)`}.flatMap((row) => Array.from(row))`;
}

function floatsFor(purpose: Purpose): string {
  return purpose === 'doubles' || purpose === 'float64' ? 'Float64Array' : 'Float32Array';
}

/** An expression that makes an array for the purpose of a list with that content; undefined if there is none. */
function fromContent(name: string, content: Content, purpose: Purpose): string | undefined {
  const flat = flattened(name, content);
  if (purpose === 'flags') {
    if (content.strings) return undefined;
    const plain = content.whole && content.low >= 0 && content.high <= 1 && !content.bigints;
    return plain ? `Uint8Array.from(${flat})` : `Uint8Array.from(${flat}, Boolean)`;
  }
  if (purpose !== 'classes') return `${floatsFor(purpose)}.from(${flat}${content.bigints ? ', Number' : ''})`;
  if (!content.whole) return undefined;
  const { low, high } = content;
  // An Int32Array would turn larger numbers into other classes.
  const isSmall = low >= -(2 ** 31) && high < 2 ** 31;
  if (isSmall) return `Int32Array.from(${flat}${content.bigints ? ', Number' : ''})`;
  const isSafe = low >= Number.MIN_SAFE_INTEGER && high <= Number.MAX_SAFE_INTEGER;
  return isSafe ? `BigInt64Array.from(${flat}, BigInt)` : undefined;
}

/** The arrays that need no conversion. */
const FITTING: Record<Purpose, readonly string[]> = {
  numbers: ['Float32Array'],
  doubles: ['Float32Array', 'Float64Array'],
  float64: ['Float64Array'],
  logits: ['Float32Array', 'Float64Array', 'Float16Array'],
  classes: INDEX_TYPES,
  flags: [...INDEX_TYPES, 'Uint8ClampedArray'],
};

/** An expression for the numbers of another library's tensor, their type, and themselves if it shows them. */
interface Tensor {
  name: string;
  type: string | undefined;
  data?: unknown;
}

function tensorOf(name: string, value: unknown): Tensor | undefined {
  return attempt((): Tensor | undefined => {
    if (typeof value !== 'object' || value === null) return undefined;
    const { data, dataSync, dtype, getData } = value as Record<string, unknown>;
    if (typeof dataSync === 'function') {
      const type = dtype === 'int32' ? 'Int32Array' : dtype === 'bool' ? 'Uint8Array' : 'Float32Array';
      return { name: `${name}.dataSync()`, type };
    }
    const type = typeOf(data);
    if (type !== undefined || isArray(data)) return { name: `${name}.data`, type, data };
    return typeof getData === 'function'
      ? { name: `await ${name}.getData()`, type: 'Float32Array' }
      : undefined;
  });
}

/** For onnxruntime's tensors on a GPU, whose `data` throws: they give their data by a promise only. */
function laterOf(name: string, value: unknown): string | undefined {
  const getData = attempt(() => (value as { getData?: unknown }).getData);
  return typeof getData === 'function' ? `await ${name}.getData()` : undefined;
}

/** An expression that makes an array for that purpose of what was given as `name`; undefined if there is none. */
function conversion(name: string, value: unknown, purpose: Purpose): string | undefined {
  if (typeOf(value) !== undefined || isArray(value)) {
    const content = contentOf(value);
    return content && fromContent(name, content, purpose);
  }
  const tensor = tensorOf(name, value);
  if (tensor !== undefined) {
    if (FITTING[purpose].includes(tensor.type ?? '')) return tensor.name;
    if (tensor.data !== undefined) return conversion(tensor.name, tensor.data, purpose);
    if (purpose === 'flags') return `Uint8Array.from(${tensor.name}, Boolean)`;
    return `${purpose === 'classes' ? 'Int32Array' : floatsFor(purpose)}.from(${tensor.name})`;
  }
  return laterOf(name, value) ?? bytesOf(name, value, purpose);
}

/** Makes numbers of an ArrayBuffer or a view that is no typed array. */
function bytesOf(name: string, value: unknown, purpose: Purpose): string | undefined {
  if (purpose !== 'numbers' && purpose !== 'logits') return undefined;
  return attempt(() => {
    const isView = ArrayBuffer.isView(value);
    const isShared = typeof SharedArrayBuffer === 'function' && value instanceof SharedArrayBuffer;
    const isBuffer = value instanceof ArrayBuffer || isShared;
    if (!(isView || isBuffer) || value.byteLength === 0 || value.byteLength % 4 !== 0) return undefined;
    if (isBuffer) return `new Float32Array(${name})`;
    const end = `${name}.byteOffset + ${name}.byteLength`;
    return `new Float32Array(${name}.buffer.slice(${name}.byteOffset, ${end}))`;
  });
}

function makes(expression: string | undefined, what = 'one'): string {
  if (expression === undefined) return '';
  return ` (${expression} ${/^[\w.]+$/.test(expression) ? 'is' : 'makes'} ${what})`;
}

/** The end of a message: how to make an array for that purpose of what was given as `name`. */
export function arrayHint(name: string, value: unknown, purpose: Purpose): string {
  const isBytes = purpose === 'logits' && typeOf(value)?.startsWith('Uint8') === true;
  if (!isBytes) return makes(conversion(name, value, purpose));
  // Such as a Buffer with the content of a file.
  const isWhole = lengthOf(value) > 0 && lengthOf(value) % 4 === 0;
  return isWhole ? ` (of the bytes of one, new Float32Array(Uint8Array.from(${name}).buffer) makes one)` : '';
}

/** The end of a message on what should be an array of the layer, of the type that `input` is. */
export function layerHint(name: string, value: unknown, type: string): string {
  const given = typeOf(value) ?? '';
  if (given === 'Uint16Array') return ''; // half floats, whose bits are no numbers
  const isTargets = INDEX_TYPES.includes(given) || isMixed(value);
  if (isTargets && name === 'linearWeight') return ' (targets come third)';
  if (type === 'Float32Array') return arrayHint(name, value, 'numbers');
  return type === 'Float64Array' ? arrayHint(name, value, 'float64') : '';
}

/** The end of a message on arrays whose lengths do not fit, but would if the first two were swapped. */
export function swapHint(
  name: string,
  input: TypedArray,
  linearWeight: TypedArray,
  targets: TypedArray | null,
  classes: number,
): string {
  const features = lengthOf(input) / classes;
  const fits =
    targets !== null &&
    features > 0 &&
    Number.isInteger(features) &&
    lengthOf(linearWeight) === lengthOf(targets) * features;
  return fits ? ` (did you mean linearCrossEntropy(linearWeight, ${name}, …)?)` : '';
}

/** How a function reads targets. */
export interface TargetHints {
  /** The types of arrays that are targets with a number per row and class. */
  dense: readonly string[];
  /** Whether integer arrays are targets, with a class per row. */
  classTargets: boolean;
  /** The default: 'Int32Array' for classes, or 'Float32Array'. */
  typicalTargets: string;
}

/** The shape of the logits; NaN rows where there are none. */
export interface Shape {
  rows: number;
  classes: number;
  length: number;
}

/** The end of a message on targets of the wrong type. */
export function targetsHint(name: string, value: unknown, rules: TargetHints, shape: Shape): string {
  return makes(targetsFrom(name, value, rules, shape));
}

function targetsFrom(name: string, value: unknown, rules: TargetHints, shape: Shape): string | undefined {
  if (typeOf(value) === undefined && !isArray(value)) {
    const tensor = tensorOf(name, value);
    if (tensor === undefined) return laterOf(name, value) ?? mixedFrom(name, value, rules);
    const { type = '', data } = tensor;
    const fits = rules.dense.includes(type) || (rules.classTargets && INDEX_TYPES.includes(type));
    if (data === undefined) {
      return fits ? tensor.name : `${rules.typicalTargets}.from(${tensor.name})`;
    }
    const made = targetsFrom(tensor.name, data, rules, shape);
    // It needs no conversion.
    const isKept =
      fits && (made === undefined || made.startsWith('Float32Array') === rules.dense.includes(type));
    return isKept ? tensor.name : made;
  }
  const content = contentOf(value);
  if (content === undefined) return undefined;
  const isDense = isPerClass(content, rules, shape);
  if (isDense) return rules.dense.length > 0 ? fromContent(name, content, 'numbers') : undefined;
  const classes = fromContent(name, content, 'classes');
  if (rules.classTargets || classes === undefined) return classes;
  return `smoothLabels(${INDEX_TYPES.includes(typeOf(value) ?? '') ? name : classes}, { classes })`;
}

/** Whether the content is a number per row and class, rather than a class per row. */
function isPerClass(content: Content, rules: TargetHints, { rows, classes, length }: Shape): boolean {
  if (!content.whole) return true;
  if (classes > 1) {
    if (content.count === rows) return false;
    if (content.count === rows * classes || content.count === length) return true;
    if (content.depth > 1) return content.last === classes;
  }
  return rules.typicalTargets === 'Float32Array';
}

/** For `{ a, b, lambda }` where the function takes none: the probabilities that it stands for. */
function mixedFrom(name: string, value: unknown, rules: TargetHints): string | undefined {
  return isMixed(value) && rules.dense.length > 0 ? `smoothLabels(${name}, { classes })` : undefined;
}

function isMixed(value: unknown): boolean {
  const found = attempt(() => {
    const { a, b } = value as { a?: unknown; b?: unknown };
    return INDEX_TYPES.includes(typeOf(a) ?? '') && INDEX_TYPES.includes(typeOf(b) ?? '');
  });
  return found === true;
}

/** The end of a message on dense targets with one number per row, which look like classes. */
export function classesHint(value: TypedArray, classTargets: boolean): string {
  const content = contentOf(value);
  const classes = content && fromContent('targets', content, 'classes');
  if (classes === undefined) return '';
  return classTargets ? makes(classes, 'these') : makes(`smoothLabels(${classes}, { classes })`, 'them');
}

// Single values ---------------------------------------------------------------------------------------------------------

/** The end of a message on a value that is no number, but would make one that `fits`. */
export function numberHint(name: string, value: unknown, fits: (number: number) => boolean): string {
  const isText = typeof value === 'string' && value.length <= MOST_CHARACTERS && value.trim() !== '';
  if (!isText && typeof value !== 'bigint') return '';
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value) return '';
  const number = Number(value);
  return fits(number) ? makes(`Number(${name})`) : '';
}

/** The end of a message on a value that is no list, but would make a fitting one. */
export function listHint(name: string, value: unknown, fits: (item: unknown) => boolean): string {
  return makes(
    attempt(() => {
      if (fits(value)) return `[${name}]`;
      const isList = value instanceof Set || typeOf(value) !== undefined;
      if (!isList) return undefined;
      const items: unknown[] = [];
      for (const item of value as Iterable<unknown>) {
        if (items.push(item) > MOST_ITEMS) return undefined; // an iterator may never end
      }
      if (items.every(fits)) return `Array.from(${name})`;
      return items.every((item) => typeof item === 'bigint' && fits(Number(item)))
        ? `Array.from(${name}, Number)`
        : undefined;
    }),
  );
}

// Names -----------------------------------------------------------------------------------------------------------------

/** A name without case, underscores and other marks. */
function plain(name: string): string {
  return name.replaceAll(/[\W_]/g, '').toLowerCase();
}

/** The names of other libraries, plainly written, and ours for them. */
const SYNONYMS: Record<string, Record<string, string>> = {
  options: {
    c: 'classes',
    class: 'classes',
    nclasses: 'classes',
    numclasses: 'classes',
    numclass: 'classes',
    classcount: 'classes',
    numlabels: 'classes',
    numcategories: 'classes',
    vocabsize: 'classes',
    vocabularysize: 'classes',
    nvocab: 'classes',
    epsilon: 'labelSmoothing',
    eps: 'labelSmoothing',
    smoothing: 'labelSmoothing',
    labelsmoothingfactor: 'labelSmoothing',
    smoothingfactor: 'labelSmoothing',
    classweight: 'weight',
    classweights: 'weight',
    sampleweight: 'rowWeight',
    sampleweights: 'rowWeight',
    exampleweight: 'rowWeight',
    exampleweights: 'rowWeight',
    tokenweights: 'rowWeight',
    positiveweight: 'posWeight',
    ceweight: 'weight',
    bias: 'linearBias',
    accumulategradient: 'accumulate',
    accumulategradients: 'accumulate',
    ignore: 'ignoreIndex',
    ignoreclass: 'ignoreIndex',
    ignoreid: 'ignoreIndex',
    ignoredindex: 'ignoreIndex',
    ignoreindices: 'ignoreIndex',
    ignorelabel: 'ignoreIndex',
    pad: 'ignoreIndex',
    padid: 'ignoreIndex',
    padidx: 'ignoreIndex',
    padindex: 'ignoreIndex',
    paddingidx: 'ignoreIndex',
    paddingindex: 'ignoreIndex',
    padtokenid: 'ignoreIndex',
    attentionmask: 'mask',
    temperature: 'logitScale = 1 / temperature',
    tau: 'logitScale = 1 / tau',
    t: 'logitScale = 1 / T',
    temp: 'logitScale = 1 / temp',
    logitsscale: 'logitScale',
    logitsoftcap: 'softcap',
    logitsoftcapping: 'softcap',
    finallogitsoftcapping: 'softcap',
    zlossweight: 'zLoss',
    zlosscoefficient: 'zLoss',
    lsesquarescale: 'zLoss',
    avgfactor: 'normalizer',
    denominator: 'normalizer',
    numitemsinbatch: 'normalizer',
    grad: 'gradient',
    gradients: 'gradient',
    withgradient: 'gradient',
    returngradient: 'gradient',
    computegradient: 'gradient',
    gradoutput: 'gradientScale',
    gradscale: 'gradientScale',
    lossscale: 'gradientScale',
    upstream: 'gradientScale',
    stride: 'rowStride',
    rowstep: 'rowStride',
    numthreads: 'threads',
    nthreads: 'threads',
    abortsignal: 'signal',
  },
  labelSmoothing: {
    eps: 'epsilon',
    alpha: 'epsilon',
    amount: 'epsilon',
    factor: 'epsilon',
    smoothing: 'epsilon',
    value: 'epsilon',
    excluded: 'exclude',
    ignore: 'exclude',
    ignoreindex: 'exclude',
    pad: 'exclude',
    distribution: 'prior',
    unigram: 'prior',
    target: 'toward',
    towards: 'toward',
  },
  gradient: {
    x: 'input',
    hidden: 'input',
    weight: 'linearWeight',
    w: 'linearWeight',
    bias: 'linearBias',
    b: 'linearBias',
  },
  targets: { lam: 'lambda', lamb: 'lambda', ya: 'a', yb: 'b', targetsa: 'a', targetsb: 'b' },
  reduction: { avg: 'mean', average: 'mean', batchmean: "mean and normalizer 'rows'", noreduction: 'none' },
  form: { ce: 'crossEntropy', xent: 'crossEntropy', kldiv: 'kl', kldivergence: 'kl', kullbackleibler: 'kl' },
  over: { rest: 'others', nontarget: 'others', nontargets: 'others', uniform: 'all' },
  normalizer: { weights: 'weight', tokens: 'rows', samples: 'rows', numel: 'elements' },
  whenEmpty: { throw: 'error', raise: 'error', zeros: 'zero', 0: 'zero' },
  perRow: { logsumexp: 'lse', losses: 'loss', argmax: 'prediction', pred: 'prediction' },
};

/** How many letters must be inserted, deleted, changed or swapped to turn one name into the other. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + change);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwapped) row[j] = Math.min(row[j], beforeLast[j - 2] + 1);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length];
}

function own<T>(table: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** The one of `names` that was meant. `what` says what they name, and so which synonyms there are. */
export function meant(what: string, given: string, names: readonly string[]): string | undefined {
  const wanted = plain(clip(given, MOST_CHARACTERS));
  const same = names.find((name) => plain(name) === wanted);
  if (same !== undefined) return same;
  const synonym = own(own(SYNONYMS, what) ?? {}, wanted);
  if (synonym !== undefined && names.includes(synonym.split(' ')[0])) return synonym;
  let near: string | undefined;
  // A third of the letters may be wrong.
  let least = Math.floor(wanted.length / 3) + 1;
  for (const name of names) {
    const letters = distance(wanted, plain(name));
    if (letters < least) [near, least] = [name, letters];
  }
  return near;
}

/** The end of a message on a string that is none of the `choices` for `what`. */
export function choiceHint(what: string, given: unknown, choices: readonly string[]): string {
  if (typeof given !== 'string') return '';
  const choice = meant(what, given, choices);
  if (choice === undefined) return '';
  const [first, ...more] = choice.split(' ');
  return ` (did you mean ${[`'${first}'`, ...more].join(' ')}?)`;
}

/** For options of other libraries that no single option here stands for. */
const ADVICE: Record<string, string> = {
  axis: 'the classes of a row follow each other; inner is for logits laid out [N, C, H, W]',
  dim: 'the classes of a row follow each other; inner is for logits laid out [N, C, H, W]',
  fromlogits: 'crossEntropy and bceWithLogits take logits, klDiv and nllLoss log-probabilities',
  hiddenstates: 'linearCrossEntropy takes it as its first argument, input',
  input: 'linearCrossEntropy takes it as its first argument',
  keypaddingmask: 'mask says it the other way round, what is 0 there takes no part',
  linearweight: 'linearCrossEntropy takes it as its second argument',
  linweight: 'linearCrossEntropy takes it as its second argument, linearWeight',
  paddingmask: 'mask says it the other way round, what is 0 there takes no part',
  reduce: "reduction 'mean', 'sum' or 'none' says it",
  sizeaverage: "reduction 'mean' or 'sum' says it",
  weights: 'did you mean weight, one per class, or rowWeight, one per row?',
};

/** The way to the same result in a function without the option. */
const INSTEAD: Record<string, string> = {
  ignoreIndex: ' (mask leaves rows out here)',
  labelSmoothing: ' (smoothLabels makes such targets)',
};

/**
 * The message on an option that the function does not have. `owners` are the functions that have an option; `untold` is
 * the option that the list leaves out.
 */
export function optionHint(
  what: string,
  key: string,
  known: readonly string[],
  owners: ReadonlyMap<string, readonly string[]>,
  untold: string,
): string {
  const all = what === 'options' ? [...new Set([...known, ...owners.keys()])] : known;
  const name = meant(what, key, all);
  const advice = what === 'options' ? own(ADVICE, plain(clip(key, MOST_CHARACTERS))) : undefined;
  if (advice !== undefined) return `is not an option: ${advice}`;
  if (name === undefined) {
    return `is not an option: must be one of ${known.filter((each) => each !== untold).join(', ')}`;
  }
  const option = name.split(' ')[0];
  if (known.includes(option)) return `is not an option: did you mean ${name}?`;
  const functions = owners.get(option) ?? [];
  const take = `${functions.join(', ')} ${functions.length === 1 ? 'takes' : 'take'}`;
  return `is not an option here: ${take} ${name}${own(INSTEAD, option) ?? ''}`;
}
