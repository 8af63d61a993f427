/**
 * What crossEntropy means, written down in doubles and without a thought for speed. The tests compare every
 * backend with it, and test/vectors/pytorch-cross-entropy.json compares it with PyTorch.
 */

type Numbers = ArrayLike<number>;

export interface OracleLabelSmoothing {
  epsilon: number | Numbers;
  over?: 'all' | 'others';
  exclude?: number | readonly number[];
  prior?: Numbers;
}

export interface OracleOptions {
  classes: number;
  labelSmoothing?: number | OracleLabelSmoothing;
  weight?: Numbers;
  rowWeight?: Numbers;
  ignoreIndex?: number | readonly number[];
  mask?: Numbers;
  reduction?: 'mean' | 'sum' | 'none';
  normalizer?: 'weight' | 'rows' | 'all' | number;
  whenEmpty?: 'nan' | 'zero' | 'error';
  gradientScale?: number | Numbers;
  rowStride?: number;
}

export interface OracleResult {
  /** The mean or the sum; NaN with reduction 'none', where the package has no such property. */
  loss: number;
  /** One per row, whatever the reduction. */
  losses: Float64Array;
  /** As long as the logits; 0 between the rows when rowStride leaves a gap. */
  gradient: Float64Array;
  numerator: number;
  denominator: number;
  rows: number;
  /** Per row, what tolerance.ts measures errors in. */
  units: Units[];
}

/** With c_k = rowWeight·w_k·t'_k, the row's share in the loss of each class. */
export interface Units {
  /** The factor on the row's gradient, without its sign, times Σ c. */
  gradient: number;
  /** Σ c, at least 1. */
  weight: number;
  /** Σ of c over the classes other than the target if another logit is the largest, else 0. */
  elsewhere: number;
}

export function oracle(
  logits: Numbers,
  targets: ArrayLike<number> | ArrayLike<bigint>,
  options: OracleOptions,
): OracleResult {
  const { classes, reduction = 'mean', normalizer = 'weight', whenEmpty = 'nan' } = options;
  const { rowStride = classes, weight, rowWeight, mask, gradientScale = 1 } = options;
  const ignored = list(options.ignoreIndex ?? -100);

  const losses = new Float64Array(targets.length);
  const gradient = new Float64Array(logits.length);
  const contributing: number[] = [];
  const denominatorTerms: number[] = [];
  const units: Units[] = Array.from({ length: targets.length }, () => ({
    gradient: 0,
    weight: 1,
    elsewhere: 0,
  }));

  // First loop: every row's loss and its gradient ∂l/∂z, before any row weight, scale or mean.
  for (let r = 0; r < targets.length; r++) {
    const target = Number(targets[r]);
    if (mask?.[r] === 0 || ignored.includes(target)) continue;
    if (!Number.isInteger(target) || target < 0 || target >= classes) {
      throw new RangeError(`targets[${r}] is ${target}`);
    }
    contributing.push(r);
    denominatorTerms.push((rowWeight?.[r] ?? 1) * (weight?.[target] ?? 1));

    const z = Array.from({ length: classes }, (_, k) => logits[r * rowStride + k]);
    const smoothed = smoothedTarget(target, classes, r, options.labelSmoothing ?? 0);
    const c = smoothed.map((t, k) => (weight?.[k] ?? 1) * t);
    const row = rowLoss(z, c);
    const share = rowWeight?.[r] ?? 1;
    losses[r] = share === 0 && !Number.isNaN(row.loss) ? 0 : share * row.loss; // 0·∞ is 0 here
    gradient.set(row.gradient, r * rowStride);
    units[r].gradient = sum(c);
    units[r].weight = Math.max(1, share * sum(c));
    if (z.some((zk) => zk > z[target])) units[r].elsewhere = share * sum(c.filter((_, k) => k !== target));
  }

  const rows = contributing.length;
  const numerator = sum(losses);
  let denominator: number;
  if (normalizer === 'weight') denominator = sum(denominatorTerms);
  else if (normalizer === 'rows') denominator = rows;
  else if (normalizer === 'all') denominator = targets.length;
  else denominator = normalizer;

  let loss = Number.NaN;
  if (reduction === 'sum') loss = numerator;
  if (reduction === 'mean') {
    if (denominator !== 0) loss = numerator / denominator;
    else if (whenEmpty === 'error') throw new RangeError('the mean of nothing');
    else loss = whenEmpty === 'zero' ? 0 : Number.NaN;
  }

  // Second loop: the factors that the row, the caller and the mean put on the gradient.
  for (const r of contributing) {
    const upstream = typeof gradientScale === 'number' ? gradientScale : gradientScale[r];
    const share = upstream * (rowWeight?.[r] ?? 1);
    let scale = share;
    if (reduction === 'mean') scale = denominator === 0 ? 0 : share / denominator; // 0 or, in a NaN row, NaN
    for (let k = 0; k < classes; k++) gradient[r * rowStride + k] *= scale;
    units[r].gradient *= Math.abs(scale);
  }

  return { loss, losses, gradient, numerator, denominator, rows, units };
}

/** t' = (1−ε)·onehot + ε·u for row r, a full vector. */
function smoothedTarget(
  target: number,
  classes: number,
  r: number,
  labelSmoothing: number | OracleLabelSmoothing,
): number[] {
  const smoothing = typeof labelSmoothing === 'number' ? { epsilon: labelSmoothing } : labelSmoothing;
  const { over = 'all', exclude = [], prior } = smoothing as OracleLabelSmoothing;
  const epsilon = typeof smoothing.epsilon === 'number' ? smoothing.epsilon : smoothing.epsilon[r];

  const mass: number[] = [];
  for (let k = 0; k < classes; k++) {
    const barred = list(exclude).includes(k) || (over === 'others' && k === target);
    mass.push(barred ? 0 : (prior?.[k] ?? 1));
  }
  const total = sum(mass);
  if (total === 0 && epsilon > 0) throw new RangeError(`row ${r} has no class to smooth towards`);

  return mass.map((m, k) => {
    const u = total === 0 ? 0 : m / total;
    const onehot = k === target ? 1 : 0;
    return (1 - epsilon) * onehot + epsilon * u;
  });
}

/** −Σ c_k lp_k and p_k·Σ_j c_j − c_k for one row of logits z and its coefficients c_k = w_k·t'_k. */
function rowLoss(z: number[], c: number[]): { loss: number; gradient: number[] } {
  const max = z.reduce((a, b) => Math.max(a, b)); // NaN if any is
  if (!Number.isFinite(max)) return { loss: Number.NaN, gradient: z.map(() => Number.NaN) };

  // Σ exp(z_k − max) = 1 + rest, where the 1 is the largest logit's own. Keeping the two apart is what leaves a
  // confident row its relative accuracy: lse − max = log1p(rest), and 1 − p of the largest = rest / (1 + rest).
  const top = z.indexOf(max);
  const e = z.map((zk) => Math.exp(zk - max));
  const rest = sum(e.filter((_, k) => k !== top));
  const sumC = sum(c);

  const terms: number[] = [];
  const gradient: number[] = [];
  for (let k = 0; k < z.length; k++) {
    const minusLp = max - z[k] + Math.log1p(rest);
    terms.push(c[k] === 0 ? 0 : c[k] * minusLp); // 0·∞ is 0 here
    const p = e[k] / (1 + rest);
    const oneMinusP = k === top ? rest / (1 + rest) : 1 - p;
    gradient.push(p * (sumC - c[k]) - c[k] * oneMinusP); // = p·Σc − c_k
  }
  return { loss: sum(terms), gradient };
}

/** Neumaier's compensated sum. */
function sum(terms: Iterable<number>): number {
  let total = 0;
  let lost = 0;
  for (const x of terms) {
    const next = total + x;
    lost += Math.abs(total) >= Math.abs(x) ? total - next + x : x - next + total;
    total = next;
  }
  return Number.isFinite(total) ? total + lost : total;
}

function list(value: number | readonly number[]): readonly number[] {
  return typeof value === 'number' ? [value] : value;
}
