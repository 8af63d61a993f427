// What other libraries compute, in plain doubles, straight from their sources: for the tables of docs/coming-from.md.

// Data ------------------------------------------------------------------------------------------------------------------

/** The names of these tables. Numbers are exact in float32. */
export interface Data {
  classes: number;
  x: number[]; // logits
  lp: number[]; // log-probabilities
  h: number[]; // input of an output layer, with W and b: D is 2
  W: number[]; // its weight
  b: number[]; // its bias
  y: number[]; // classes
  t: number[]; // probabilities
  lt: number[]; // the logarithms of some
  w: number[]; // per class
  p: number[]; // posWeight
  s: number[]; // per row
  n: number; // how many of s are not 0
  pad: number;
  ε: number;
  λ: number;
  T: number; // temperature
  a: number; // logitScale
  c: number; // softcap
  z: number; // zLoss
  N: number; // with d: x is [N, C, d]
  d: number;
}

export const LIBRARIES: Data = {
  classes: 5,
  x: Array.from({ length: 30 }, (_, i) => ((i * 37) % 64) / 8 - 4),
  lp: Array.from({ length: 30 }, (_, i) => -(((i * 23) % 32) + 1) / 8),
  h: Array.from({ length: 12 }, (_, i) => ((i * 29) % 32) / 8 - 2),
  W: Array.from({ length: 10 }, (_, i) => ((i * 13) % 16) / 4 - 2),
  b: [0.5, -1, 0.25, 2, 0],
  y: [0, 2, 4, 1, 2, 3],
  t: Array.from({ length: 6 }, (_, r) =>
    [1, 2, 8, 4, 1].map((_, k, shares) => shares[(k + r) % 5] / 16),
  ).flat(),
  lt: Array.from({ length: 30 }, (_, i) => -(((i * 11) % 16) + 1) / 4),
  w: [1, 2, 0.5, 0.25, 1.5],
  p: [3, 1, 0.5, 2, 1],
  s: [1, 0.5, 0, 2, 1, 0.25],
  n: 5,
  pad: 2,
  ε: 0.1,
  λ: 0.75,
  T: 2,
  a: 0.5,
  c: 3,
  z: 0.001,
  N: 2,
  d: 3,
};

// The libraries' formulas -----------------------------------------------------------------------------------------------

export type Row = number[];
/** The loss, or one per row. */
export type Formula = (data: Data) => number | Row;

export const sum = (v: Row) => v.reduce((total, x) => total + x, 0);
const mean = (v: Row) => sum(v) / v.length;
const dot = (v: Row, u: Row) => sum(v.map((x, i) => x * u[i]));
const lse = (v: Row) => Math.log(sum(v.map(Math.exp)));
const logSoftmax = (v: Row) => v.map((x) => x - lse(v));
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const oneHot = (y: number, C: number): Row => Array.from({ length: C }, (_, k) => (k === y ? 1 : 0));
const smooth = (t: Row, ε: number) => t.map((x) => (1 - ε) * x + ε / t.length);
const rows = (v: Row, C: number): Row[] =>
  Array.from({ length: v.length / C }, (_, r) => v.slice(r * C, (r + 1) * C));
const oneHots = ({ y, classes }: Data) => y.flatMap((y) => oneHot(y, classes));
const smoothOneHots = ({ y, classes, ε }: Data) => y.flatMap((y) => smooth(oneHot(y, classes), ε));
/** [N, C, d] as N·d rows of C. */
const spatial = (v: Row, { N, d, classes: C }: Data): Row[] =>
  Array.from({ length: N * d }, (_, r) =>
    oneHot(0, C).map((_, k) => v[(Math.floor(r / d) * C + k) * d + (r % d)]),
  );
/** Σ over the rows whose target is not the class of padding. */
const sumKept = ({ y, pad }: Data, value: (y: number, r: number) => number) =>
  sum(y.map((y, r) => (y === pad ? 0 : value(y, r))));

/** Each row's −ln p of each class. */
const nlls = ({ x, classes }: Data) => rows(x, classes).map((row) => logSoftmax(row).map((lp) => -lp));
/** −Σ w t ln p of each row. */
function soft(data: Data, t: Row[], w?: Row): Row {
  return nlls(data).map((nll, r) => dot(nll, w === undefined ? t[r] : t[r].map((x, k) => w[k] * x)));
}
const hard = (data: Data, ε = 0) => soft(data, rows(smoothOneHots({ ...data, ε }), data.classes));
const targetRows = ({ t, classes }: Data, ε = 0) => rows(t, classes).map((row) => smooth(row, ε));

// LossNLL.cpp: cross_entropy_loss_label_smoothing.
function pytorch(data: Data, w: Row, ε: number): number {
  const all = nlls(data);
  const weight = sumKept(data, (y) => w[y]);
  const nll = sumKept(data, (y, r) => w[y] * all[r][y]);
  const smoothing = sumKept(data, (_, r) => dot(all[r], w));
  return ((1 - ε) * nll) / weight + ((ε / data.classes) * smoothing) / weight;
}

// Loss.cpp: kl_div and binary_cross_entropy_with_logits, element by element.
const kl = (lp: Row, t: Row) => lp.map((x, i) => (t[i] === 0 ? 0 : t[i] * (Math.log(t[i]) - x)));
const klOfLogs = (lp: Row, lt: Row) => lp.map((x, i) => Math.exp(lt[i]) * (lt[i] - x));
const bce = (x: Row, t: Row, w = [1], p = [1]) =>
  x.map((x, i) => {
    const own = p[i % p.length] * t[i] * Math.log(sigmoid(x));
    return -w[i % w.length] * (own + (1 - t[i]) * Math.log(1 - sigmoid(x)));
  });
const toHalf = (t: Row, ε: number) => t.map((x) => x * (1 - ε) + 0.5 * ε);

// tfjs-layers losses.ts and keras losses.py: kullbackLeiblerDivergence.
const klOfClipped = (lp: Row, t: Row) => {
  const clip = (x: number) => Math.min(Math.max(x, 1e-7), 1);
  return lp.map((x, i) => clip(t[i]) * Math.log(clip(t[i]) / clip(Math.exp(x))));
};

// OpenNMT-py loss.py: LabelSmoothingLoss.
function openNmt({ y, classes: C, pad, ε }: Data, lp: Row[]): number {
  const probabilities = y.map((y) => {
    const row = new Array(C).fill(ε / (C - 2));
    row[pad] = 0;
    row[y] = 1 - ε;
    return y === pad ? row.fill(0) : row;
  });
  return sum(kl(lp.flat(), probabilities.flat()));
}

// fairseq label_smoothed_cross_entropy.py: label_smoothed_nll_loss.
function fairseq(data: Data, ε: number): number {
  const all = nlls(data);
  const nll = sumKept(data, (y, r) => all[r][y]);
  const smoothing = sumKept(data, (_, r) => sum(all[r]));
  const share = ε / (data.classes - 1);
  return (1 - ε - share) * nll + share * smoothing;
}

// Megatron-LM cross_entropy.py: vocab_parallel_cross_entropy.
function megatron(data: Data): Row {
  const smoothing = (data.ε * data.classes) / (data.classes - 1);
  return nlls(data).map((nll, r) => (1 - smoothing) * nll[data.y[r]] + smoothing * mean(nll));
}

// t5x losses.py: compute_weighted_cross_entropy.
function t5x(data: Data, z: number, s: Row): number {
  const { x, y, classes: C, ε } = data;
  const low = ε / (C - 1);
  const constant = -((1 - ε) * Math.log(1 - ε) + (C - 1) * low * Math.log(low + 1e-20));
  const onOff = y.map((y) => oneHot(y, C).map((one) => (one === 1 ? 1 - ε : low)));
  const losses = soft(data, onOff).map((loss, r) => loss + z * lse(rows(x, C)[r]) ** 2 - constant);
  return dot(losses, s);
}

// flash_attn and Liger-Kernel cross_entropy.py.
function withZLoss(data: Data, ε: number): number {
  return mean(hard(data, ε)) + mean(rows(data.x, data.classes).map((row) => data.z * lse(row) ** 2));
}
const mapped = (data: Data, f: (x: number) => number): Data => ({ ...data, x: data.x.map(f) });

const NO_BIAS: Row = [0, 0, 0, 0, 0];

/** The logits of an output layer. */
function linear({ h, W }: Data, b: Row): Row {
  return rows(h, 2).flatMap((row) => rows(W, 2).map((of, k) => dot(row, of) + b[k]));
}

// timm mixup.py: mixup_target.
function mixup({ y, classes, λ, ε }: Data): Row[] {
  const targets = y.map((y) => smooth(oneHot(y, classes), ε));
  return targets.map((t, r) => t.map((x, k) => λ * x + (1 - λ) * targets[y.length - 1 - r][k]));
}

// timm binary_cross_entropy.py.
const timmBinary = (data: Data) => bce(data.x, smoothOneHots(data));

/** By library and call, as the first table has them. */
export const conventions: Record<string, Record<string, Formula>> = {
  PyTorch: {
    'F.cross_entropy(x, y)': (data) => mean(hard(data)),
    'F.cross_entropy(x, y, weight=w, ignore_index=pad, label_smoothing=ε)': (data) =>
      pytorch(data, data.w, data.ε),
    "F.cross_entropy(x, y, reduction='none')": (data) => hard(data),
    'F.cross_entropy(x, t, weight=w, label_smoothing=ε), class probabilities': (data) =>
      sum(soft(data, targetRows(data, data.ε), data.w)) / data.y.length,
    'F.cross_entropy(x.view(N, C, d), y.view(N, d))': (data) =>
      mean(spatial(data.x, data).map((row, r) => -logSoftmax(row)[data.y[r]])),
    'F.cross_entropy(x.view(N, C, d), t.view(N, C, d))': (data) => {
      const t = spatial(data.t, data);
      return -sum(spatial(data.x, data).map((row, r) => dot(logSoftmax(row), t[r]))) / (data.N * data.d);
    },
    'F.nll_loss(lp, y, weight=w, ignore_index=pad)': (data) => {
      const lp = rows(data.lp, data.classes);
      return sumKept(data, (y, r) => -data.w[y] * lp[r][y]) / sumKept(data, (y) => data.w[y]);
    },
    'F.kl_div(lp, t)': ({ lp, t }) => mean(kl(lp, t)),
    "F.kl_div(lp, t, reduction='batchmean')": ({ lp, t, y }) => sum(kl(lp, t)) / y.length,
    "F.kl_div(lp, lt, log_target=True, reduction='sum')": ({ lp, lt }) => sum(klOfLogs(lp, lt)),
    "F.kl_div(lp.view(N, C, d), t.view(N, C, d), reduction='batchmean'), which divides by N": (data) =>
      sum(kl(data.lp, data.t)) / data.N,
    "F.kl_div(F.log_softmax(x / T, 1), t, reduction='batchmean')": ({ x, t, T, y, classes }) => {
      const divided = x.map((x) => x / T);
      return sum(kl(rows(divided, classes).flatMap(logSoftmax), t)) / y.length;
    },
    'F.binary_cross_entropy_with_logits(x, t, weight=w, pos_weight=p)': ({ x, t, w, p }) =>
      mean(bce(x, t, w, p)),
    'F.binary_cross_entropy_with_logits(x, F.one_hot(y, C).float())': (data) =>
      mean(bce(data.x, oneHots(data))),
  },
  // functional.py: linear_cross_entropy, its reference.
  'PyTorch 2.13': {
    'F.linear_cross_entropy(h, W, y)': (data) => mean(hard({ ...data, x: linear(data, NO_BIAS) })),
    'F.linear_cross_entropy(h, W, y, linear_bias=b, weight=w, ignore_index=pad, label_smoothing=ε)': (data) =>
      pytorch({ ...data, x: linear(data, data.b) }, data.w, data.ε),
  },
  'TensorFlow.js': {
    // tfjs-core softmax_cross_entropy.ts, sigmoid_cross_entropy.ts, compute_weighted_loss.ts.
    'tf.losses.softmaxCrossEntropy(onehot, x, undefined, ε)': (data) => mean(hard(data, data.ε)),
    'tf.losses.softmaxCrossEntropy(onehot, x, s, ε), over the n weights that are not 0': (data) =>
      dot(hard(data, data.ε), data.s) / data.s.filter((s) => s !== 0).length,
    'tf.losses.softmaxCrossEntropy(onehot, x, s, ε, tf.Reduction.MEAN)': (data) =>
      dot(hard(data, data.ε), data.s) / sum(data.s),
    'tf.losses.sigmoidCrossEntropy(t, x, undefined, ε)': ({ x, t, ε }) =>
      mean(toHalf(t, ε).map((t, i) => Math.max(x[i], 0) - x[i] * t + Math.log1p(Math.exp(-Math.abs(x[i]))))),
    "loss: 'kullbackLeiblerDivergence', of exp(lp) and t clipped at 1e-7": ({ lp, t, y }) =>
      sum(klOfClipped(lp, t)) / y.length,
  },
  Keras: {
    'CategoricalCrossentropy(from_logits=True, label_smoothing=ε)(t, x)': (data) =>
      mean(soft(data, targetRows(data, data.ε))),
    // loss.py, apply_mask: the mean is over what the mask leaves.
    'SparseCategoricalCrossentropy(from_logits=True, ignore_class=pad)(y, x)': (data) =>
      sumKept(data, (_, r) => hard(data)[r]) / sumKept(data, () => 1),
    'SparseCategoricalCrossentropy(from_logits=True)(y, x, sample_weight=s)': (data) =>
      dot(hard(data), data.s) / data.y.length,
    'BinaryCrossentropy(from_logits=True, label_smoothing=ε)(t, x)': ({ x, t, ε }) =>
      mean(bce(x, toHalf(t, ε))),
    'KLDivergence()(t, exp(lp)), both clipped at 1e-7': ({ lp, t, y }) => sum(klOfClipped(lp, t)) / y.length,
  },
  OpenNMT: {
    'LabelSmoothingLoss(ε, C, ignore_index=pad)(lp, y)': (data) => openNmt(data, rows(data.lp, data.classes)),
    'the same, from logits': (data) => openNmt(data, rows(data.x, data.classes).map(logSoftmax)),
  },
  fairseq: {
    'label_smoothed_cross_entropy: loss (ε/C to every class in its first versions)': (data) =>
      fairseq(data, data.ε),
    'label_smoothed_cross_entropy: nll_loss': (data) => fairseq(data, 0),
  },
  'Megatron-LM': { 'vocab_parallel_cross_entropy(x, y, label_smoothing=ε)': megatron },
  T5X: { 'compute_weighted_cross_entropy(x, y, s, ε, z)': (data) => t5x(data, data.z, data.s) },
  // trainer_pt_utils.py.
  'Hugging Face': {
    'LabelSmoother(ε), the label_smoothing_factor of Trainer': (data) =>
      pytorch({ ...data, pad: -100 }, [1, 1, 1, 1, 1], data.ε),
  },
  FlashAttention: {
    'CrossEntropyLoss(label_smoothing=ε, logit_scale=a, lse_square_scale=z)(x, y)': (data) =>
      withZLoss(
        mapped(data, (x) => data.a * x),
        data.ε,
      ),
  },
  Liger: {
    'LigerCrossEntropyLoss(softcap=c, lse_square_scale=z)(x, y)': (data) =>
      withZLoss(
        mapped(data, (x) => data.c * Math.tanh(x / data.c)),
        0,
      ),
    // fused_linear_cross_entropy.py.
    'LigerFusedLinearCrossEntropyLoss(label_smoothing=ε, lse_square_scale=z)(W, h, y, b)': (data) =>
      withZLoss({ ...data, x: linear(data, data.b) }, data.ε),
  },
  // cce.py of Apple's cut_cross_entropy.
  'Cut Cross-Entropy': {
    "linear_cross_entropy(h, W, y, bias=b, reduction='sum')": (data) =>
      sum(hard({ ...data, x: linear(data, data.b) })),
  },
  timm: {
    // cross_entropy.py.
    'LabelSmoothingCrossEntropy(ε)(x, y)': (data) =>
      mean(nlls(data).map((nll, r) => (1 - data.ε) * nll[data.y[r]] + data.ε * mean(nll))),
    'SoftTargetCrossEntropy()(x, t)': (data) => mean(soft(data, targetRows(data))),
    'SoftTargetCrossEntropy() after Mixup(label_smoothing=ε)': (data) => mean(soft(data, mixup(data))),
    'BinaryCrossEntropy(smoothing=ε)(x, y)': (data) => mean(timmBinary(data)),
    'BinaryCrossEntropy(smoothing=ε, sum_classes=True)(x, y)': (data) =>
      mean(rows(timmBinary(data), data.classes).map(sum)),
    'BinaryCrossEntropy() after Mixup(label_smoothing=ε)': (data) => mean(bce(data.x, mixup(data).flat())),
  },
  optax: {
    // _classification.py, _smoothing.py.
    'softmax_cross_entropy_with_integer_labels(x, y).mean()': (data) =>
      mean(rows(data.x, data.classes).map((row, r) => lse(row) - row[data.y[r]])),
    'softmax_cross_entropy(x, t)': (data) => soft(data, targetRows(data)),
    'softmax_cross_entropy(x, smooth_labels(onehot, ε)).mean()': (data) => mean(hard(data, data.ε)),
    'sigmoid_binary_cross_entropy(x, t).mean()': ({ x, t }) => mean(bce(x, t)),
    'kl_divergence(lp, t).mean()': ({ lp, t, classes }) => mean(rows(kl(lp, t), classes).map(sum)),
    'kl_divergence_with_log_targets(lp, lt).mean()': ({ lp, lt, classes }) =>
      mean(rows(klOfLogs(lp, lt), classes).map(sum)),
  },
  // ggml-cpu ops.cpp: ggml_compute_forward_cross_entropy_loss_f32.
  ggml: { 'ggml_cross_entropy_loss(x, t)': (data) => sum(soft(data, targetRows(data))) / data.y.length },
};

// By hand ---------------------------------------------------------------------------------------------------------------

const HAND_LOGITS = [2, 1, 0.1, -1, 0.5, 0.5, 3, 0].map(Math.fround);
export const BY_HAND: Data = {
  ...LIBRARIES,
  classes: 4,
  x: HAND_LOGITS,
  lp: rows(HAND_LOGITS, 4).flatMap(logSoftmax).map(Math.fround),
  y: [0, 2],
  pad: 3,
};

/** By convention, as the second table has them. */
export const byHand: Record<string, Formula> = {
  'no smoothing, mean': (data) => mean(hard(data)),
  'ε/C to every class, mean: PyTorch, TensorFlow.js, Keras, timm, optax': (data) => mean(hard(data, data.ε)),
  'ε/C to every class, sum': (data) => sum(hard(data, data.ε)),
  'ε/(C−1) to the others, mean': (data) => mean(megatron(data)),
  'ε/(C−1) to the others, sum: fairseq': (data) => fairseq(data, data.ε),
  'the same less its entropy: T5X': (data) => t5x(data, 0, [1, 1]),
  'ε/(C−2), none to pad, less its entropy, sum: OpenNMT': (data) =>
    openNmt(data, rows(data.x, data.classes).map(logSoftmax)),
  "KL divergence from ε/C, 'batchmean': PyTorch": (data) => sum(kl(data.lp, smoothOneHots(data))) / 2,
  'the same from logits': (data) => sum(kl(rows(data.x, 4).flatMap(logSoftmax), smoothOneHots(data))) / 2,
  'KL divergence from ε/C, mean over elements: PyTorch': (data) => mean(kl(data.lp, smoothOneHots(data))),
  'binary on one-hot, mean': (data) => mean(bce(data.x, oneHots(data))),
  'binary, towards ½, mean: TensorFlow.js, Keras': (data) => mean(bce(data.x, toHalf(oneHots(data), data.ε))),
  'binary, towards 1/C, mean: timm': (data) => mean(timmBinary(data)),
  'binary, towards 1/C, sum over classes, mean over rows: timm': (data) => sum(timmBinary(data)) / 2,
  'ε/C to every class plus 0.001·lse², mean: FlashAttention': (data) => withZLoss(data, data.ε),
};
