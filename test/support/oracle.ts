/**
 * What the losses mean, written down in doubles and without a thought for speed. The tests compare every backend with
 * it, and the vectors of test/vectors/ compare it with PyTorch.
 *
 * Logits come decoded: a Float64Array stands for double precision, anything else for float32 (halves too), where the
 * terms of the logits and soft targets are rounded to float32.
 */

import { each, list, NONE, type Row, rowOf, sum, type Target, type Unit } from './oracle-rows.js';

export type { Unit } from './oracle-rows.js';

type Numbers = ArrayLike<number>;
type Indices = ArrayLike<number> | ArrayLike<bigint>;

export type LossName = 'crossEntropy' | 'bceWithLogits' | 'klDiv' | 'nllLoss';

export interface Mixed {
  a: Indices;
  b: Indices;
  lambda: number | Numbers;
}

export type OracleTargets = Indices | Mixed;

export interface OracleLabelSmoothing {
  epsilon: number | Numbers;
  over?: 'all' | 'others' | undefined;
  exclude?: number | readonly number[] | undefined;
  prior?: Numbers | undefined;
  /** Of bceWithLogits. */
  toward?: number | undefined;
}

/** The options of all the losses together. */
export interface OracleOptions {
  classes: number;
  labelSmoothing?: number | OracleLabelSmoothing | undefined;
  weight?: Numbers | undefined;
  posWeight?: Numbers | undefined;
  rowWeight?: Numbers | undefined;
  ignoreIndex?: number | readonly number[] | undefined;
  mask?: Numbers | undefined;
  form?: 'crossEntropy' | 'kl' | undefined;
  logTarget?: boolean | undefined;
  logitScale?: number | undefined;
  softcap?: number | undefined;
  zLoss?: number | undefined;
  reduction?: 'mean' | 'batchmean' | 'sum' | 'none' | undefined;
  normalizer?: 'weight' | 'rows' | 'elements' | 'all' | number | undefined;
  whenEmpty?: 'nan' | 'zero' | 'error' | undefined;
  gradientScale?: number | Numbers | undefined;
  rowStride?: number | undefined;
  inner?: number | undefined;
}

export interface OracleResult {
  /** The mean or the sum; NaN with reduction 'none', where the package has no such property. */
  loss: number;
  /** As with reduction 'none': one per row, or for bceWithLogits and klDiv one per element, laid out as the logits. */
  losses: Float64Array;
  /** As long as the logits; 0 between the rows when rowStride leaves a gap. */
  gradient: Float64Array;
  numerator: number;
  denominator: number;
  rows: number;
  metrics: { nll: number; accuracy: number; entropy: number; zLoss: number };
  perRow: Record<'loss' | 'nll' | 'lse' | 'entropy' | 'prediction', Float64Array>;
  units: Units;
}

export interface Units {
  /** One for each of `losses` and for each element of `gradient`. */
  losses: Unit[];
  gradient: Unit[];
  /** One per row: of perRow.loss, perRow.nll, perRow.lse and perRow.entropy. */
  loss: Unit[];
  nll: Unit[];
  lse: Unit[];
  entropy: Unit[];
  /** Whether rounding can not change which logit is the largest. */
  sure: boolean[];
  /** Σ of the sizes of what the denominator adds up. */
  denominator: number;
}

const isMixed = (targets: OracleTargets): targets is Mixed => 'a' in targets;

function isDense(targets: OracleTargets, loss: LossName | 'smoothLabels'): targets is Numbers {
  if (targets instanceof Float32Array || targets instanceof Float64Array) return true;
  return targets instanceof Uint8Array && loss === 'bceWithLogits';
}

export function oracle(
  logits: Numbers,
  targets: OracleTargets,
  options: OracleOptions,
  loss: LossName = 'crossEntropy',
): OracleResult {
  const { classes, weight, rowWeight, mask, gradientScale = 1, whenEmpty = 'nan' } = options;
  const { rowStride = classes, inner = 1, reduction = 'mean' } = options;
  const round = logits instanceof Float64Array ? (x: number) => x : Math.fround;
  const ofElements = loss === 'bceWithLogits' || loss === 'klDiv';
  const dense = isDense(targets, loss);
  const rows = dense ? Math.ceil(logits.length / rowStride) : rowsOf(targets);

  // Where (row, class) is among the logits, and in an array of R·C or in the layout of the logits.
  const at = (r: number, k: number) =>
    inner === 1 ? r * rowStride + k : (Math.floor(r / inner) * classes + k) * inner + (r % inner);
  const from = (array: Numbers, r: number, k: number) =>
    array[inner === 1 && array.length === rows * classes ? r * classes + k : at(r, k)];

  const weightPerClass = weight?.length === classes;
  const weightOf = (r: number, k: number) =>
    weight === undefined ? 1 : weightPerClass ? weight[k] : from(weight, r, k);
  const maskPerRow = mask?.length === rows;
  const masked = (r: number, k: number) =>
    mask !== undefined && (maskPerRow ? mask[r] : from(mask, r, k)) === 0;

  const losses = new Float64Array(ofElements ? logits.length : rows);
  const gradient = new Float64Array(logits.length);
  const array = () => new Float64Array(rows);
  const perRow = {
    loss: array(),
    nll: array(),
    lse: array(),
    entropy: array(),
    prediction: array().fill(-1),
  };
  const units: Units = {
    losses: new Array(losses.length).fill(NONE),
    gradient: new Array(gradient.length).fill(NONE),
    loss: new Array(rows).fill(NONE),
    nll: new Array(rows).fill(NONE),
    lse: new Array(rows).fill(NONE),
    entropy: new Array(rows).fill(NONE),
    sure: new Array(rows).fill(true),
    denominator: 0,
  };
  const found: Row[] = [];
  const contributing: number[] = [];
  let elements = 0;
  const weights: number[] = []; // what normalizer 'weight' adds up

  // First loop: every row's loss and its gradient, before any scale or mean.
  for (let r = 0; r < rows; r++) {
    const part = each(classes, (k) => !masked(r, k));
    if (!part.includes(true)) continue;
    const soft = dense ? each(classes, (k) => round(from(targets, r, k))) : undefined;
    const target = targetOf(r, targets, soft, options, loss);
    if (target === undefined) continue;
    contributing.push(r);

    const x = each(classes, (k) => logits[at(r, k)]);
    const w = each(classes, (k) => weightOf(r, k));
    const row = rowOf(loss, x, w, target, part, options, round);
    found.push(row);
    const share = rowWeight?.[r] ?? 1;
    const shared = (value: number) => (share === 0 && !Number.isNaN(value) ? 0 : share * value); // 0·∞ is 0 here
    const scaled = ({ relative, z, tiny }: Unit) =>
      share === 0
        ? { relative: 0, z: 0, tiny: 0 }
        : { relative: relative * share, z: z * share, tiny: tiny * share };

    perRow.loss[r] = shared(sum(row.terms) + row.rest);
    perRow.nll[r] = row.nll;
    perRow.lse[r] = row.lse;
    perRow.entropy[r] = row.entropy;
    perRow.prediction[r] = row.prediction;
    units.loss[r] = scaled(row.unit);
    units.nll[r] = row.nllUnit;
    units.lse[r] = row.lseUnit;
    units.entropy[r] = row.entropyUnit;
    units.sure[r] = row.sure;
    if (!ofElements) {
      losses[r] = perRow.loss[r];
      units.losses[r] = units.loss[r];
    }
    for (let k = 0; k < classes; k++) {
      gradient[at(r, k)] = row.gradient[k];
      units.gradient[at(r, k)] = row.gradientUnits[k];
      if (!ofElements || !part[k]) continue;
      losses[at(r, k)] = shared(row.terms[k]);
      units.losses[at(r, k)] = scaled(row.termUnits[k]);
      elements++;
      weights.push(share * w[k]);
    }
    if (!ofElements) for (const [k, t] of target.t.entries()) if (t !== 0) weights.push(share * w[k] * t);
  }

  const numerator = sum(perRow.loss);
  let { normalizer } = options;
  if (reduction === 'batchmean') normalizer = 'rows';
  if (ofElements) normalizer ??= 'elements';
  normalizer ??= dense ? 'rows' : 'weight';
  let denominator: number;
  if (normalizer === 'weight') denominator = sum(weights);
  else if (normalizer === 'rows') denominator = contributing.length;
  else if (normalizer === 'elements') denominator = elements;
  else if (normalizer === 'all') denominator = ofElements ? rows * classes : rows;
  else denominator = normalizer;
  units.denominator = normalizer === 'weight' ? sum(weights.map(Math.abs)) : denominator;

  const mean = reduction === 'mean' || reduction === 'batchmean';
  let result = Number.NaN;
  if (reduction === 'sum') result = numerator;
  if (mean) {
    if (denominator !== 0) result = numerator / denominator;
    else if (whenEmpty === 'error') throw new RangeError('the mean of nothing');
    else result = whenEmpty === 'zero' ? 0 : Number.NaN;
  }

  // Second loop: the factors that the row, the caller and the mean put on the gradient.
  for (const r of contributing) {
    const upstream = typeof gradientScale === 'number' ? gradientScale : gradientScale[r];
    let scale = upstream * (rowWeight?.[r] ?? 1);
    if (mean) scale = denominator === 0 ? 0 : scale / denominator; // 0 or, in a NaN row, NaN
    const size = Math.abs(scale);
    let [unit, scaled] = [NONE, NONE]; // one object for a whole row, mostly
    for (let k = 0; k < classes; k++) {
      const i = at(r, k);
      gradient[i] *= scale;
      if (units.gradient[i] !== unit) {
        unit = units.gradient[i];
        scaled = { relative: unit.relative * size, z: unit.z * size, tiny: unit.tiny * size };
      }
      units.gradient[i] = scaled;
    }
  }

  const count = loss === 'bceWithLogits' ? elements : contributing.length;
  const average = (values: number[]) => sum(values) / count;
  const metrics = {
    nll: average(found.map(({ nll }) => nll)),
    accuracy: average(found.map(({ right }) => right)),
    entropy: average(found.map(({ entropy }) => entropy)),
    zLoss: average(found.map(({ zLoss }) => zLoss)),
  };
  const { length } = contributing;
  return { loss: result, losses, gradient, numerator, denominator, rows: length, metrics, perRow, units };
}

/** What smoothLabels returns: t' of every row, 0 for rows that take no part. */
export function oracleLabels(targets: OracleTargets, options: OracleOptions): Float64Array {
  const { classes, mask } = options;
  const dense = isDense(targets, 'smoothLabels');
  const rows = dense ? targets.length / classes : rowsOf(targets);
  const labels = new Float64Array(rows * classes);
  for (let r = 0; r < rows; r++) {
    if (mask?.[r] === 0) continue;
    const soft = dense ? each(classes, (k) => targets[r * classes + k]) : undefined;
    labels.set(targetOf(r, targets, soft, options, 'smoothLabels')?.smoothed ?? [], r * classes);
  }
  return labels;
}

function rowsOf(targets: OracleTargets): number {
  return isMixed(targets) ? targets.a.length : targets.length;
}

/** Row r's target t and t' = (1−ε)·t + ε·u; undefined: the row is ignored. */
function targetOf(
  r: number,
  targets: OracleTargets,
  soft: number[] | undefined,
  options: OracleOptions,
  loss: LossName | 'smoothLabels',
): Target | undefined {
  const { classes, labelSmoothing = 0 } = options;
  const ignored = list(options.ignoreIndex ?? -100);
  const smoothing: OracleLabelSmoothing =
    typeof labelSmoothing === 'number' ? { epsilon: labelSmoothing } : labelSmoothing;
  const epsilon = typeof smoothing.epsilon === 'number' ? smoothing.epsilon : smoothing.epsilon[r];
  const u =
    loss === 'bceWithLogits'
      ? () => new Array<number>(classes).fill(smoothing.toward ?? 0.5)
      : (target?: number) => smoothingTarget(target, classes, smoothing);
  const smooth = (t: number[], target?: number): number[] => {
    if (epsilon === 0) return t;
    const towards = u(target);
    return t.map((tk, k) => (1 - epsilon) * tk + epsilon * towards[k]);
  };
  // 1 − t', which of numbers near 1 would be lost in the difference.
  const { toward = 0.5 } = smoothing;
  const complement = (t: number[]) => t.map((tk) => (1 - epsilon) * (1 - tk) + epsilon * (1 - toward));
  const ofClass = (index: number | bigint): Target => {
    const target = Number(index);
    if (!Number.isInteger(target) || target < 0 || target >= classes) {
      throw new RangeError(`targets[${r}] is ${target}`);
    }
    const t = each(classes, (k) => (k === target ? 1 : 0));
    return { t, smoothed: smooth(t, target), complement: complement(t), target };
  };

  if (soft !== undefined)
    return { t: soft, smoothed: smooth(soft), complement: complement(soft), dense: true };
  if (!isMixed(targets)) return ignored.includes(Number(targets[r])) ? undefined : ofClass(targets[r]);
  if (ignored.includes(Number(targets.a[r])) || ignored.includes(Number(targets.b[r]))) return undefined;
  const lambda = typeof targets.lambda === 'number' ? targets.lambda : targets.lambda[r];
  const a = ofClass(targets.a[r]);
  const b = ofClass(targets.b[r]);
  const mix = (of: number[], other: number[]) => of.map((x, k) => lambda * x + (1 - lambda) * other[k]);
  return { t: mix(a.t, b.t), smoothed: mix(a.smoothed, b.smoothed), complement: [] };
}

/** The smoothing distribution u of a row. */
function smoothingTarget(
  target: number | undefined,
  classes: number,
  { over = 'all', exclude = [], prior }: OracleLabelSmoothing,
): number[] {
  const mass = each(classes, (k) => {
    const barred = list(exclude).includes(k) || (over === 'others' && k === target);
    return barred ? 0 : (prior?.[k] ?? 1);
  });
  const total = sum(mass);
  if (total === 0) throw new RangeError('there is no class to smooth towards');
  return mass.map((m) => m / total);
}
