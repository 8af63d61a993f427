// Calls with ordinary numbers and any options: what the oracle and finite differences can tell about.

import type { Call, CallOptions, FunctionName } from '../support/calls.js';
import { type Elements, encode, type NumberType } from '../support/numbers.js';
import type { OracleLabelSmoothing, OracleTargets } from '../support/oracle.js';
import type { Random } from './random.js';

/** A function and what its targets are. */
export type Kind = readonly [
  name: FunctionName,
  targets: 'indices' | 'soft targets' | 'mixed targets' | 'logarithms',
];

export const KINDS: readonly Kind[] = [
  ['crossEntropy', 'indices'],
  ['crossEntropy', 'soft targets'],
  ['crossEntropy', 'mixed targets'],
  ['bceWithLogits', 'indices'],
  ['bceWithLogits', 'soft targets'],
  ['klDiv', 'soft targets'],
  ['klDiv', 'logarithms'],
  ['nllLoss', 'indices'],
  ['nllLoss', 'mixed targets'],
];

const positive = (random: Random, length: number) =>
  random.floats(length, () => 0.125 + 2 * random.uniform());

/** `rows` distributions: some with zeros, some all on one class, some that do not sum to 1. */
function distributions(random: Random, rows: number, classes: number): number[] {
  const values: number[] = [];
  for (let r = 0; r < rows; r++) {
    const kind = random.below(4);
    const one = random.below(classes);
    const row = Array.from({ length: classes }, (_, k) => {
      if (kind === 0) return k === one ? 1 : 0;
      return kind === 1 && random.once(2) ? 0 : random.uniform();
    });
    const total = kind === 2 ? 1 + classes / 2 : row.reduce((a, b) => a + b, 0) || 1;
    values.push(...row.map((t) => t / total));
  }
  return values;
}

/** Where the elements of R × C numbers are in the layout of a call; 0 between the rows. */
export function laidOut(
  values: ArrayLike<number>,
  rows: number,
  { classes, rowStride = classes, inner = 1 }: CallOptions,
  length = rows * rowStride,
): number[] {
  const moved = new Array<number>(length).fill(0);
  for (let r = 0; r < rows; r++) {
    for (let k = 0; k < classes; k++) {
      const strided = r * rowStride + k;
      const within = (Math.floor(r / inner) * classes + k) * inner + (r % inner);
      moved[inner === 1 ? strided : within] = values[r * classes + k];
    }
  }
  return moved;
}

function smoothingOf(random: Random, rows: number, classes: number, soft: boolean): OracleLabelSmoothing {
  const epsilon = random.once(2) ? random.uniform() : random.floats(rows, () => random.uniform());
  const smoothing: OracleLabelSmoothing = { epsilon };
  if (classes > 1 && !soft && random.once(2)) smoothing.over = 'others';
  if (random.once(2)) smoothing.prior = positive(random, classes);
  if (random.once(2) && classes > 3) smoothing.exclude = random.once(2) ? 1 : [0, random.below(classes)];
  return smoothing;
}

/** The terms of the logits. */
function drawTerms(random: Random, options: CallOptions): void {
  if (random.once(3)) options.logitScale = random.pick(0.5, 0.1 + 3 * random.uniform());
  if (random.once(4)) options.softcap = random.pick(2, 5, 30 * random.uniform() + 1);
}

/** Targets and options of a call, the layout too, unless it is to be `plain`: row after row; and how many logits it has. */
function ordinaryOptions(
  random: Random,
  [name, kind]: Kind,
  rows: number,
  classes: number,
  plain: boolean,
): Pick<Call, 'targets' | 'options'> & { length: number } {
  const options: CallOptions = { classes };
  const layout = plain ? 0 : random.below(3);
  if (layout === 1) options.rowStride = classes + random.below(6);
  if (layout === 2 && rows > 0)
    options.inner = random.pick(...[1, 2, 3, 5, rows].filter((n) => rows % n === 0));
  const { rowStride = classes, inner = 1 } = options;
  // The last row may end where its classes do; with dense targets that is how many rows there are all the same.
  const full = rows * rowStride;
  const length = rows > 0 && random.once(2) ? full - (rowStride - classes) : full;
  const numbers = (draw: () => number) => Array.from({ length: rows * classes }, draw);
  /** In rows of C, or laid out as the logits. */
  const dense = (values: number[]) =>
    inner > 1 || random.once(2) ? laidOut(values, rows, options, length) : values;
  const either = (values: number[]) =>
    random.once(2) ? Float64Array.from(values) : Float32Array.from(values);

  let targets: OracleTargets;
  const classOf = () => Int32Array.from({ length: rows }, () => random.below(classes));
  if (kind === 'indices' || kind === 'mixed targets') {
    const ignored = random.once(3) ? random.pick(-100, -1, 0) : undefined;
    const indices = () =>
      ignored === undefined ? classOf() : classOf().map((y) => (random.once(4) ? ignored : y));
    if (ignored !== undefined && ignored !== -100)
      options.ignoreIndex = random.pick<number | number[]>(ignored, [7777, ignored]);
    targets = indices();
    if (kind === 'mixed targets') {
      const lambda = random.once(2)
        ? random.pick(0, 0.5, 1, random.uniform())
        : random.floats(rows, () => random.uniform());
      targets = { a: targets, b: indices(), lambda };
    }
  } else if (name === 'bceWithLogits') {
    const values = numbers(() => random.pick(0, 1, 1, random.uniform()));
    const whole = random.once(3);
    targets = whole ? Uint8Array.from(dense(values.map(Math.round))) : either(dense(values));
  } else {
    const values = distributions(random, rows, classes);
    const logarithms = values.map((t) => (t === 0 ? -Infinity : -10 * t));
    targets = either(dense(kind === 'logarithms' ? logarithms : values));
    if (kind === 'logarithms') options.logTarget = true;
  }

  const soft = kind === 'soft targets' || kind === 'logarithms';
  if (name === 'crossEntropy' || name === 'nllLoss') {
    if (random.once(3)) options.labelSmoothing = random.pick(0.1, random.uniform());
    else if (random.once(2)) options.labelSmoothing = smoothingOf(random, rows, classes, soft);
    if (random.once(3)) options.form = 'kl';
    if (random.once(3)) options.weight = positive(random, classes);
    if (random.once(3))
      options.normalizer = random.pick<'weight' | 'rows' | 'all' | number>('weight', 'rows', 'all', 2.5);
    if (random.once(4)) options.mask = Uint8Array.from({ length: rows }, () => random.below(4));
  }
  if (name === 'crossEntropy') {
    drawTerms(random, options);
    if (random.once(3)) options.zLoss = random.pick(1e-4, random.uniform());
  }
  if (name === 'bceWithLogits') {
    drawTerms(random, options);
    const perElement = (draw: () => number) => dense(numbers(draw));
    if (random.once(3)) options.labelSmoothing = random.pick(0.1, random.uniform());
    else if (random.once(2)) options.labelSmoothing = { epsilon: random.uniform(), toward: random.uniform() };
    if (random.once(3)) options.posWeight = positive(random, classes);
    const draw = () => 0.125 + 2 * random.uniform();
    if (random.once(2)) {
      options.weight = random.once(2) ? positive(random, classes) : Float32Array.from(perElement(draw));
    }
    if (random.once(3)) {
      const one = () => random.below(4);
      options.mask = Uint8Array.from(random.once(2) ? { length: rows } : perElement(one), one);
    }
  }
  if (name === 'klDiv') {
    if (random.once(3)) options.weight = positive(random, classes);
    if (random.once(4)) options.mask = Uint8Array.from({ length: rows }, () => random.below(4));
  }
  if ((name === 'bceWithLogits' || name === 'klDiv') && random.once(3)) {
    options.normalizer = random.pick<'elements' | 'weight' | 'rows' | 'all' | number>(
      'elements',
      'weight',
      'rows',
      'all',
      2.5,
    );
  }
  if (random.once(3)) options.rowWeight = positive(random, rows);
  options.reduction = random.pick('mean', 'sum', 'none');
  if (name === 'klDiv' && options.normalizer === undefined && random.once(3)) options.reduction = 'batchmean';
  const upstream = () => 4 * random.uniform() - 2;
  if (random.once(3)) options.gradientScale = upstream();
  else if (options.reduction === 'none' && random.once(2))
    options.gradientScale = random.floats(rows, upstream);
  return { targets, options, length };
}

/** A call of so many rows and classes. */
export function ordinaryCall(
  random: Random,
  kind: Kind,
  type: NumberType,
  rows: number,
  classes: number,
): Call {
  const [name] = kind;
  const { targets, options, length } = ordinaryOptions(random, kind, rows, classes, false);
  const logProbs = name === 'klDiv' || name === 'nllLoss';
  const scale = random.pick(1, 3, 10);
  const draw = () => (logProbs ? -8 * random.uniform() : scale * random.normal());
  const values = Array.from({ length: rows * classes }, draw);
  return { name, type, logits: encode(laidOut(values, rows, options, length), type), targets, options };
}

/** A call of linearCrossEntropy: its layer, and what it can be. */
export interface LayerCall extends Call {
  type: NumberType;
  features: number;
  linearWeight: Elements;
}

/** A call of linearCrossEntropy with rows · features, classes · features and classes numbers that `draw` draws. */
export function layerCall(
  random: Random,
  kind: Kind[1],
  type: NumberType,
  [rows, features, classes]: readonly [number, number, number],
  draw: (length: number) => Elements,
): LayerCall {
  const { targets, options } = ordinaryOptions(random, ['crossEntropy', kind], rows, classes, true);
  const linearBias = random.once(3) ? {} : { linearBias: draw(classes) };
  return {
    name: 'linearCrossEntropy',
    type,
    features,
    logits: draw(rows * features),
    linearWeight: draw(classes * features),
    targets,
    options: { ...options, ...linearBias },
  };
}

/** A call of smoothLabels. */
export function labelsCall(random: Random, kind: Kind[1], rows: number, classes: number): Call {
  const { targets, options } = ordinaryCall(random, ['nllLoss', kind], 'float32', rows, classes);
  const { ignoreIndex, mask, labelSmoothing = 0.1 } = options;
  return {
    name: 'smoothLabels',
    type: 'float32',
    logits: new Float32Array(0),
    targets: kind === 'soft targets' ? soft(random, rows, classes) : targets,
    options: {
      classes,
      labelSmoothing: kind === 'soft targets' ? smoothingOf(random, rows, classes, true) : labelSmoothing,
      ...(ignoreIndex === undefined || kind === 'soft targets' ? {} : { ignoreIndex }),
      ...(mask === undefined ? {} : { mask }),
    },
  };
}

function soft(random: Random, rows: number, classes: number): Float32Array | Float64Array {
  const values = distributions(random, rows, classes);
  return random.once(2) ? Float64Array.from(values) : Float32Array.from(values);
}
