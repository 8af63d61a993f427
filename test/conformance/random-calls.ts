// Random calls over the whole family: every function, option, number type, layout and kind of target, with numbers of all
// kinds and now and then a mistake.

import type { IndexArray } from 'smoothloss';
import { type Call, type CallOptions, REPORTS } from '../support/calls.js';
import { type Elements, encode, NUMBER_TYPES, type NumberType } from '../support/numbers.js';
import type { OracleLabelSmoothing, OracleTargets } from '../support/oracle.js';
import { KINDS, type Kind, type LayerCall, labelsCall, layerCall, ordinaryCall } from './ordinary.js';
import {
  EDGES_OF_CLASSES,
  EDGES_OF_ROWS,
  indexArray,
  Random,
  randomClasses,
  randomLogits,
  randomRows,
} from './random.js';

function randomTargets(random: Random, rows: number, classes: number, ignored: number[]): IndexArray {
  const values: number[] = [];
  for (let r = 0; r < rows; r++) {
    values.push(ignored.length > 0 && random.once(5) ? random.pick(...ignored) : random.below(classes));
  }
  return indexArray(random, values);
}

/** A factor on a gradient: everyday, or at the limits of float32. */
function upstreamOf(random: Random): number {
  const extreme = () => (random.once(6) ? random.pick(3e38, -3e38, 2 ** -140) : 1);
  return random.pick(1, -1, 0, 0.5, 128, 2 ** -12, random.normal(), extreme());
}

const anyNormalizer = (random: Random) =>
  random.once(8) ? random.pick(2 ** -1074, 1e-40, 1e40, 1e300) : 0.5 + 100 * random.uniform();

/** A mistake now and then: a class that is none. */
function spoil(random: Random, targets: IndexArray, classes: number): void {
  if (!random.once(200) || targets.length === 0) return;
  const wrong = random.pick(classes, 101);
  const row = random.below(targets.length);
  if (targets instanceof BigInt64Array || targets instanceof BigUint64Array) targets[row] = BigInt(wrong);
  else targets[row] = wrong;
}

/** crossEntropy of float32 logits and class indices. */
function indexCall(random: Random): Call {
  const classes = randomClasses(random);
  const rows = randomRows(random, classes);
  const options: CallOptions = { classes };

  const rowStride = random.once(6) ? classes + random.below(9) : classes;
  if (rowStride > classes || random.once(20)) options.rowStride = rowStride;
  const full = rows * rowStride;
  const logits = randomLogits(random, random.once(3) ? Math.max(0, full - (rowStride - classes)) : full);

  const epsilon = (): number | Float32Array => {
    const one = () => random.pick(0, 0.1, 0.1, 0.25, 1, random.uniform());
    return random.once(3) ? random.floats(rows, one) : one();
  };
  const smoothing = random.below(8);
  if (smoothing < 3) options.labelSmoothing = random.pick(0, 0.1, 0.1, 0.5, 1, random.uniform());
  else if (smoothing < 7) {
    const labelSmoothing: OracleLabelSmoothing = { epsilon: epsilon() };
    if (random.once(2)) labelSmoothing.over = random.pick('all', 'others', 'others');
    if (random.once(3)) labelSmoothing.exclude = random.below(classes);
    else if (random.once(4)) {
      labelSmoothing.exclude = [random.below(classes), random.below(classes), random.below(classes)];
    }
    if (random.once(3)) labelSmoothing.prior = random.factors(classes);
    options.labelSmoothing = labelSmoothing;
  }
  if (random.once(3)) options.weight = random.factors(classes);
  if (random.once(4)) options.rowWeight = random.factors(rows);
  if (random.once(5)) options.mask = Uint8Array.from({ length: rows }, () => random.below(4));
  let ignored: number[] = [-100];
  if (random.once(4)) {
    ignored = random.pick([-1], [random.below(classes)], [-1, random.below(classes)], [255, -7, 3]);
    options.ignoreIndex = ignored.length === 1 ? ignored[0] : ignored;
  }
  options.reduction = random.pick('mean', 'mean', 'sum', 'none');
  if (random.once(4))
    options.normalizer = random.pick<'weight' | 'rows' | 'all' | number>(
      'weight',
      'rows',
      'all',
      anyNormalizer(random),
    );
  if (random.once(8)) options.whenEmpty = random.pick('nan', 'zero', 'error');
  const scale = random.below(6);
  const upstream = () => upstreamOf(random);
  if (scale === 0) options.gradientScale = upstream();
  if (scale === 1 && options.reduction === 'none') options.gradientScale = random.floats(rows, upstream);

  const targets = randomTargets(random, rows, classes, random.once(2) ? ignored : []);
  spoil(random, targets, classes);
  return { logits, targets, options };
}

/** Any bits at all. */
export function anyElements(random: Random, length: number, type: NumberType): Elements {
  if (type === 'float32') return random.anyFloats(length);
  const words = new Uint32Array(type === 'float64' ? 2 * length : length);
  for (let i = 0; i < words.length; i++) words[i] = 2 ** 32 * random.uniform();
  return type === 'float64' ? new Float64Array(words.buffer) : Uint16Array.from(words);
}

/** Logits of all kinds and of any type. */
export function randomElements(random: Random, length: number, type: NumberType): Elements {
  if (type === 'float32') return randomLogits(random, length);
  if (random.once(10)) return anyElements(random, length, type);
  const values = Float64Array.from(randomLogits(random, length));
  const large = type === 'float64' && random.once(12) ? random.pick(2 ** 600, 2 ** 890, 2 ** -1000) : 1;
  return encode(
    values.map((x) => x * large * (1 + random.uniform() * 2 ** -25)),
    type,
  );
}

/** Soft targets that are none, as the functions take them unchecked. */
function wildTargets(random: Random, targets: Float32Array | Float64Array): void {
  const scale = random.pick(1, 4, 2 ** -140, 2 ** 100);
  const odd = () => random.pick(0, -0, 1, -1, 0.5, 2 ** -149, NaN, Infinity, -Infinity);
  const often = random.pick(2, 10, 100);
  for (let i = 0; i < targets.length; i++) {
    targets[i] = random.once(often) ? odd() : scale * random.normal();
  }
}

const EXTREME = [2 ** -1074, 2 ** -149, 2 ** -100, 2 ** -20, 2 ** 20, 2 ** 100, 3e38];

/** A call of any other kind: an ordinary one, some of whose numbers are replaced. */
function familyCall(random: Random): Call {
  const kind = random.pick(...KINDS);
  const type = random.pick<NumberType>('float32', ...NUMBER_TYPES);
  const classes = randomClasses(random);
  const rows = randomRows(random, classes);
  const call = ordinaryCall(random, kind, type, rows, classes);
  if (!random.once(4)) call.logits = randomElements(random, call.logits.length, type);
  disturb(random, call, rows);
  return call;
}

/** Replaces some numbers of an ordinary call but for its logits, and the types of its indices. */
function disturb(random: Random, call: Call, rows: number): void {
  const { name = 'crossEntropy', options } = call;
  const { classes } = options;
  // Log-probabilities are not above 0; with infinities beside them they are quickly NaN.
  const dense = call.targets instanceof Float32Array || call.targets instanceof Float64Array;
  if (dense && random.once(4)) wildTargets(random, call.targets as Float32Array);
  for (const factor of ['weight', 'posWeight', 'rowWeight'] as const) {
    const { [factor]: factors } = options;
    if (factors !== undefined && !random.once(3)) options[factor] = random.factors(factors.length);
  }
  const { labelSmoothing } = options;
  if (typeof labelSmoothing === 'object') {
    if (random.once(4)) labelSmoothing.epsilon = random.pick(0, 1, 0.1);
    if (labelSmoothing.prior !== undefined && random.once(2)) labelSmoothing.prior = random.factors(classes);
  }
  if (options.logitScale !== undefined && random.once(6)) options.logitScale = random.pick(...EXTREME);
  if (options.softcap !== undefined && random.once(6)) options.softcap = random.pick(...EXTREME);
  if (options.zLoss !== undefined && random.once(6)) options.zLoss = random.pick(0, ...EXTREME);
  if (random.once(6) && options.reduction !== 'batchmean') options.normalizer = anyNormalizer(random);
  if (random.once(8)) options.whenEmpty = random.pick('nan', 'zero', 'error');
  if (random.once(4)) {
    const perRow = options.reduction === 'none' && random.once(2);
    options.gradientScale = perRow ? random.floats(rows, () => upstreamOf(random)) : upstreamOf(random);
  }
  call.targets = withAnyIndices(random, call.targets, name, classes);
}

/** A call of linearCrossEntropy: everyday numbers or any others, also in rows that take no part. */
export function randomLayerCall(
  random: Random,
  type: NumberType,
  shape: readonly [rows: number, features: number, classes: number],
): LayerCall {
  const kind = random.pick('indices', 'indices', 'soft targets', 'mixed targets');
  const everyday = random.once(2);
  const call = layerCall(random, kind, type, shape, (length) =>
    everyday ? encode(random.floats(length, random.normal), type) : randomElements(random, length, type),
  );
  disturb(random, call, shape[0]);
  drawReports(random, call);
  const [, features] = shape;
  const nan = encode(new Array(features).fill(NaN), type);
  for (const [r, takesPart] of Array.from(call.options.mask ?? []).entries()) {
    if (takesPart === 0 && random.once(2)) call.logits.set(nan, r * features);
  }
  return call;
}

/** Class indices in arrays of any type. */
function withAnyIndices(
  random: Random,
  targets: OracleTargets,
  name: string,
  classes: number,
): OracleTargets {
  const any = (indices: ArrayLike<number>) => {
    const array = indexArray(random, Array.from(indices), name === 'bceWithLogits' ? Uint8Array : undefined);
    spoil(random, array, classes);
    return array;
  };
  if (targets instanceof Int32Array) return any(targets);
  if (!('a' in targets)) return targets;
  return { ...targets, a: any(targets.a as Int32Array), b: any(targets.b as Int32Array) };
}

/** What is asked for beside the loss. */
function drawReports(random: Random, { name = 'crossEntropy', options }: Call): void {
  if (name === 'smoothLabels') return;
  const { metrics, perRow } = REPORTS[name];
  if (metrics && random.once(3)) options.metrics = true;
  if (random.once(3)) options.perRow = perRow.filter(() => random.once(2));
}

/** The new options of a call with class indices. */
function drawOptions(random: Random, { options }: Call): void {
  if (random.once(4)) options.form = 'kl';
  if (random.once(6)) options.logitScale = random.pick(0.5, 3 * random.uniform() + 2 ** -20);
  if (random.once(8)) options.softcap = 1 + 40 * random.uniform();
  if (random.once(6)) options.zLoss = random.pick(1e-4, random.uniform());
}

/** The layouts of no rows that there are beside those of rows. */
const INNER = [2, 3, 32, 1000];

/** A call without rows: all that is left of it is how many classes there are, and how they would lie. */
export function emptyCall(
  random: Random,
  kind: Kind,
  type: NumberType,
  classes: number,
  inner: number,
): Call {
  const call = ordinaryCall(random, kind, type, 0, classes);
  const { rowStride: _, ...options } = call.options;
  return { ...call, options: inner === 1 ? options : { ...options, inner } };
}

/** Call number `seed` of those that have none, one or as many rows and classes as make the kernels go another way. */
export function edgeCall(seed: number): Call {
  const random = new Random(seed);
  const kind = random.pick(...KINDS);
  const type = random.pick<NumberType>('float32', ...NUMBER_TYPES);
  const classes = random.once(4) ? 1 + random.below(24) : random.pick(...EDGES_OF_CLASSES);
  const most = Math.max(1, Math.floor(70_000 / classes));
  const rows = Math.min(random.pick(1, 2, 5, ...EDGES_OF_ROWS), most);
  let call: Call;
  if (random.once(2)) call = emptyCall(random, kind, type, classes, random.pick(1, ...INNER));
  else if (random.once(8)) call = labelsCall(random, 'indices', random.once(2) ? rows : 0, classes);
  else call = ordinaryCall(random, kind, type, rows, classes);
  drawReports(random, call);
  return call;
}

/** Call number `seed`: sizes small for the most part. */
export function randomCall(seed: number): Call {
  const random = new Random(seed);
  const share = random.below(20);
  let call: Call;
  if (share < 8) {
    call = indexCall(random);
    if (share < 3) drawOptions(random, call);
  } else if (share < 19) {
    call = familyCall(random);
  } else {
    const classes = randomClasses(random);
    const kind = random.pick('indices', 'mixed targets', 'soft targets');
    call = labelsCall(random, kind, randomRows(random, classes), classes);
    call.targets = withAnyIndices(random, call.targets, 'smoothLabels', classes);
  }
  drawReports(random, call);
  return call;
}
