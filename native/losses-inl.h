// Every loss, once, over Vec. Include after math-inl.h, in a backend's unnamed namespace. lib/js/losses.ts mirrors this
// file; test/bits.test.ts holds the two together.
//
// Sums have one order everywhere. A row is cut into column blocks of kBlock; within a block, column c belongs to
// virtual lane c mod kLanes, whatever the width of the vector; at the end of the block the lanes are added through one
// fixed tree into a double (sumLanes), and blocks are added in order.

constexpr size_t kLanes = 32;
// 16 additions a lane in float before the double takes over. Rows of equal logits, whose rounding errors add up, are
// then 1.7e-7 off at worst; with 32 additions, 3 % faster in cache, they were 5e-7 off.
constexpr size_t kBlock = 512;
constexpr size_t kVecs = kLanes / Vec::kWidth;

// 0 … kVecs − 1 for fold expressions: where a loop indexed the lanes, compilers would keep them in memory.
using EachVec = std::make_index_sequence<kVecs>;

// Beyond this size a row is shifted by its maximum first (exact where it matters: Sterbenz); below it, exp needs no
// subtraction that would round. Much more would not do: from 2^20 on, the error of x · kLog2E and that of a floor in
// float together can take the rounded exponent below 0, past 2^−127 and round to infinity.
constexpr float kShiftAbove = 0x1p19f;

constexpr float kLargest = std::numeric_limits<float>::max();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Visits the vectors of columns [0, n): visit.group(c) takes kVecs of them from column c on; where there are fewer
// columns, or the group holds `skip`, visit.part(j, c, left, lane) takes vector j at column c, with `left` columns from
// there to the end, and `lane` that of `skip` (if it is none of these, a number beyond them).
template <typename Visitor, size_t... J>
SMOOTHLOSS_INLINE void visitParts(Visitor& visitor, size_t c, size_t left, size_t skip, std::index_sequence<J...>) {
  constexpr size_t kWidth = Vec::kWidth;
  ((left > J * kWidth ? visitor.part(J, c + J * kWidth, left - J * kWidth, skip - c - J * kWidth) : void()), ...);
}
template <typename Visitor>
SMOOTHLOSS_INLINE void forEachVec(size_t n, size_t skip, Visitor& visitor) {
  if (n < kLanes) return visitParts(visitor, 0, n, skip, EachVec());  // 8 % faster at 32 × 10
  const size_t full = n - n % kLanes;
  size_t stop = skip < full ? skip - skip % kLanes : full;
  size_t c = 0;
  do {
    for (; c < stop; c += kLanes) visitor.group(c, EachVec());
    if (c < n) {
      visitParts(visitor, c, n - c, skip, EachVec());
      c += kLanes;
    }
    stop = full;
  } while (c < n);
}

struct MaxVisitor {
  const float* x;
  Vec lanes[kVecs];

  template <size_t... J>
  SMOOTHLOSS_INLINE void group(size_t c, std::index_sequence<J...>) {
    ((lanes[J] = max(load(x + c + J * Vec::kWidth), lanes[J])), ...);
  }
  SMOOTHLOSS_INLINE void part(size_t j, size_t c, size_t left, size_t) {
    lanes[j] = max(keepFirst(loadFirst(x + c, left), left, -kInfinity), lanes[j]);
  }
};

// The largest of the logits that are not NaN; −Infinity if there is none. NaN shows in the sum of exponentials.
template <size_t... J>
SMOOTHLOSS_INLINE float rowMax(const float* x, size_t n, std::index_sequence<J...>) {
  MaxVisitor visitor{x, {(static_cast<void>(J), set1(-kInfinity))...}};
  forEachVec(n, SIZE_MAX, visitor);
  Vec m = visitor.lanes[0];
  ((m = max(visitor.lanes[J], m)), ...);
  return maxLane(m);
}

template <bool kUniform>
struct SmoothingVisitor {
  const float* x;
  const float* smoothing;
  Vec maximum;
  Vec lanes[kVecs];

  SMOOTHLOSS_INLINE Vec term(Vec logits, Vec factor) const {
    const Vec below = sub(logits, maximum);
    return kUniform ? below : zeroWhereZero(mul(factor, below), factor);
  }
  template <size_t... J>
  SMOOTHLOSS_INLINE void group(size_t c, std::index_sequence<J...>) {
    constexpr size_t kWidth = Vec::kWidth;
    ((lanes[J] = add(lanes[J], term(load(x + c + J * kWidth), kUniform ? maximum : load(smoothing + c + J * kWidth)))),
     ...);
  }
  SMOOTHLOSS_INLINE void part(size_t j, size_t c, size_t left, size_t drop) {
    const Vec factor = kUniform ? maximum : loadFirst(smoothing + c, left);
    lanes[j] = add(lanes[j], dropLane(keepFirst(term(loadFirst(x + c, left), factor), left, 0.0f), drop));
  }
};

// smoothingSum of one block in double: for blocks with −Infinity logits, or differences that overflow float.
inline double exactSmoothingSum(const float* x, const float* smoothing, size_t n, size_t skip, float maximum) {
  double sum = 0.0;
  for (size_t c = 0; c < n; ++c) {
    const double factor = smoothing ? static_cast<double>(smoothing[c]) : 1.0;
    if (c == skip || factor == 0.0) continue;
    if (x[c] == -kInfinity) return -static_cast<double>(kInfinity);
    sum += factor * (static_cast<double>(x[c]) - static_cast<double>(maximum));
  }
  return sum;
}

// Σ over the block's columns but `skip` of smoothing_c · (x_c − maximum), at most 0. Classes without smoothing mass add
// nothing, −Infinity logits included.
template <bool kUniform>
SMOOTHLOSS_INLINE double smoothingSum(const float* x, const float* smoothing, size_t n, size_t skip, float maximum) {
  SmoothingVisitor<kUniform> visitor{x, smoothing, set1(maximum), {}};
  forEachVec(n, skip, visitor);
  const double sum = sumLanes(visitor.lanes);
  return sum > -static_cast<double>(kInfinity) ? sum : exactSmoothingSum(x, smoothing, n, skip, maximum);
}

// How a row's exponentials are scaled: e_c = e^(x_c − shift) · 2^−k, between 2^−½ and 2^½ for the largest.
struct RowScale {
  float maximum;
  float shift;  // 0, or the maximum itself
  double k;

  SMOOTHLOSS_INLINE explicit RowScale(float largest)
      : maximum(largest),
        shift(largest > kShiftAbove || largest < -kShiftAbove ? largest : 0.0f),
        k(roundToInteger(static_cast<double>(largest - shift) * kLog2EDouble)) {}

  // ln e_c in double.
  SMOOTHLOSS_INLINE double log(float x) const {
    return (static_cast<double>(x) - static_cast<double>(shift)) - k * kLn2;
  }
};

template <bool kStore>
struct ExpVisitor {
  const float* x;
  float* out;
  size_t ahead;  // bytes to the same column of the next row
  Vec shift;
  Vec floor;
  Vec magic;
  Vec lanes[kVecs];

  SMOOTHLOSS_INLINE Vec clamp(Vec logits) const { return max(floor, sub(logits, shift)); }
  template <size_t... J>
  SMOOTHLOSS_INLINE void group(size_t c, std::index_sequence<J...>) {
    // The next row comes into the cache while this one computes: 8 % faster beyond the cache, with AVX2.
    prefetch(x + c, ahead);
    Vec e[] = {clamp(load(x + c + J * Vec::kWidth))...};
    exp(e, magic);
    if (kStore) (store(out + c + J * Vec::kWidth, e[J]), ...);
    ((lanes[J] = add(lanes[J], e[J])), ...);
  }
  SMOOTHLOSS_INLINE void part(size_t j, size_t c, size_t left, size_t drop) {
    Vec e[1] = {clamp(loadFirst(x + c, left))};
    exp(e, magic);
    if (kStore) storeFirst(out + c, e[0], left);
    lanes[j] = add(lanes[j], dropLane(keepFirst(e[0], left, 0.0f), drop));
  }
};

// Σ over the block's columns but `skip` of e_c, which is 0 below 2^−126; with kStore all e_c go to `out`, which
// may be x.
template <bool kStore>
SMOOTHLOSS_INLINE double expSum(const float* x, float* out, size_t n, size_t skip, size_t ahead,
                                const RowScale& scale) {
  const float magic = kRoundToEighth + static_cast<float>(127.0 - scale.k);
  const float floor = static_cast<float>((scale.k - 127.0) * kLn2);  // e_c = 0 from here down
  ExpVisitor<kStore> visitor{x, out, ahead, set1(scale.shift), set1(floor), set1(magic), {}};
  forEachVec(n, skip, visitor);
  return sumLanes(visitor.lanes);
}

template <bool kUniform>
struct GradientVisitor {
  float* gradient;
  const float* smoothing;
  Vec scale;
  Vec offset;

  SMOOTHLOSS_INLINE Vec term(Vec e, Vec factor) const { return fma(e, scale, kUniform ? offset : mul(offset, factor)); }
  template <size_t... J>
  SMOOTHLOSS_INLINE void group(size_t c, std::index_sequence<J...>) {
    constexpr size_t kWidth = Vec::kWidth;
    (store(gradient + c + J * kWidth,
           term(load(gradient + c + J * kWidth), kUniform ? offset : load(smoothing + c + J * kWidth))),
     ...);
  }
  SMOOTHLOSS_INLINE void part(size_t, size_t c, size_t left, size_t) {
    const Vec factor = kUniform ? offset : loadFirst(smoothing + c, left);
    storeFirst(gradient + c, term(loadFirst(gradient + c, left), factor), left);
  }
};

// gradient_c ← e_c · scale + smoothing_c · offset.
template <bool kUniform>
SMOOTHLOSS_INLINE void finishGradient(float* gradient, const float* smoothing, size_t n, float scale, float offset) {
  GradientVisitor<kUniform> visitor{gradient, smoothing, set1(scale), set1(offset)};
  forEachVec(n, SIZE_MAX, visitor);
}

SMOOTHLOSS_INLINE double without(const Total& total, size_t index, double value) {
  return static_cast<double>(index) == total.top ? total.rest : total.sum - value;
}

inline void fillRow(float* row, size_t n, float value) {
  for (size_t c = 0; c < n; ++c) row[c] = value;
}

// Gradients so large that float has no number for them stop at its largest: infinity times a probability of 0 would be
// NaN, and what kind of NaN depends on the CPU.
SMOOTHLOSS_INLINE float toFloat(double x) {
  return static_cast<float>(x > kLargest    ? static_cast<double>(kLargest)
                            : x < -kLargest ? static_cast<double>(-kLargest)
                                            : x);
}

// One row that takes part, on its way through the three steps below.
//
// With e_k as in RowScale, S = Σ e_k and E = Σ_{k≠y} e_k (the target's own e_y is kept apart, in double):
//
//     −ln p_y = ln(S / e_y) = log1p(E / e_y)
//     target    w_k t'_k = own·[k = y] + mass·v_k for k ≠ y,   v = weight·prior,  mass = ε / Σ of the prior it goes to
//     loss      own·(−ln p_y) + mass·Σ_{k≠y} v_k (−ln p_k),    −ln p_k = (lse − max) − (x_k − max)
//     gradient  p_k·(own + rest) − mass·v_k for k ≠ y,  p_y·rest − (E/S)·own for y,  rest = mass·Σ_{k≠y} v_k
//
// Label smoothing: Szegedy et al. 2016, arXiv:1512.00567; the identity with class weights is PyTorch's.
// Leaving y out of E keeps 1 − p_y = E/S and small losses exact where p_y is near 1.
struct Row {
  size_t index;
  size_t target;
  double own;
  double mass;
  double others;      // Σ_{k≠y} v_k
  double below;       // Σ_{k≠y} v_k (x_k − max)
  double expSums;     // E
  double logTarget;   // ln e_y
  double logMaximum;  // ln e_max
  bool defined;       // no NaN or +Infinity among the logits, and not −Infinity alone
  float multiplier;   // of e_k in the gradient
  float offset;       // of v_k in the gradient
  float targetGradient;
};

// Reads the row's logits; where a gradient is asked for, writes all e_k to it.
SMOOTHLOSS_INLINE void scanRow(const CrossEntropyBatch& batch, Row& row) {
  const size_t classes = batch.classes;
  const size_t y = row.target;
  const float* x = batch.logits + row.index * batch.rowStride;
  float* gradient = batch.gradient ? batch.gradient + row.index * batch.rowStride : nullptr;
  const float* smoothing = batch.smoothing;

  const double epsilon = batch.epsilons ? static_cast<double>(batch.epsilons[row.index]) : batch.epsilon;
  const double weight = batch.weight ? static_cast<double>(batch.weight[y]) : 1.0;
  const double prior = batch.prior ? static_cast<double>(batch.prior[y]) : 1.0;
  const double factor = smoothing ? static_cast<double>(smoothing[y]) : 1.0;
  row.own = (1.0 - epsilon) * weight;
  row.mass = 0.0;
  row.others = 0.0;
  if (epsilon > 0.0) {
    row.mass = epsilon / (batch.others ? without(batch.priorTotal, y, prior) : batch.priorTotal.sum);
    row.others = without(batch.smoothingTotal, y, factor);
    if (!batch.others) row.own += row.mass * factor;
  }

  row.below = 0.0;
  row.expSums = 0.0;
  const float maximum = rowMax(x, classes, EachVec());
  row.defined = maximum != kInfinity && maximum != -kInfinity;
  if (!row.defined) return;
  const RowScale scale(maximum);
  const size_t ahead = batch.rowStride * sizeof(float);
  row.logTarget = scale.log(x[y]);
  row.logMaximum = scale.log(maximum);
  for (size_t c = 0; c < classes; c += kBlock) {
    const size_t n = classes - c < kBlock ? classes - c : kBlock;
    if (row.mass > 0.0) {
      row.below += smoothing ? smoothingSum<false>(x + c, smoothing + c, n, y - c, maximum)
                             : smoothingSum<true>(x + c, nullptr, n, y - c, maximum);
    }
    row.expSums += gradient ? expSum<true>(x + c, gradient + c, n, y - c, ahead, scale)
                            : expSum<false>(x + c, nullptr, n, y - c, ahead, scale);
  }
}

// Returns the row's loss, not yet times its weight, and finds the numbers for its gradient.
SMOOTHLOSS_INLINE double solveRow(Row& row, double upstream) {
  if (!row.defined) return static_cast<double>(kNaN);
  const double expTarget = exp(row.logTarget);
  const double sum = row.expSums + expTarget;
  row.defined = sum == sum;
  if (!row.defined) return static_cast<double>(kNaN);

  // −ln p_y = ln(sum / e_y), and lse − max = ln(sum / e_max).
  const bool relative = row.expSums <= 0.4 * expTarget;
  const double logarithm = logSum(row.expSums, expTarget, relative);
  const double nll = relative ? logarithm : logarithm - row.logTarget;
  double lseAboveMax = logarithm + (relative ? row.logTarget - row.logMaximum : -row.logMaximum);
  if (lseAboveMax < 0.0) lseAboveMax = 0.0;  // by rounding, where one class other than y has nearly all

  const double rest = row.mass * row.others;
  const double factor = upstream > 1e300 ? 1e300 : upstream < -1e300 ? -1e300 : upstream;
  const double reciprocal = factor / sum;
  row.multiplier = toFloat((row.own + rest) * reciprocal);
  row.offset = toFloat(-(factor * row.mass));
  row.targetGradient = toFloat((expTarget * rest - row.expSums * row.own) * reciprocal + 0.0);

  const double loss = row.own > 0.0 ? row.own * nll : 0.0;
  return row.mass > 0.0 ? loss + row.mass * (row.others * lseAboveMax - row.below) : loss;
}

// Turns the e_k in the gradient into the gradient.
SMOOTHLOSS_INLINE void finishRow(const CrossEntropyBatch& batch, const Row& row) {
  float* gradient = batch.gradient + row.index * batch.rowStride;
  if (!row.defined) {
    fillRow(gradient, batch.classes, kNaN);
    return;
  }
  if (batch.smoothing) {
    finishGradient<false>(gradient, batch.smoothing, batch.classes, row.multiplier, row.offset);
  } else {
    finishGradient<true>(gradient, nullptr, batch.classes, row.multiplier, row.offset);
  }
  gradient[row.target] = row.targetGradient;
}

// Short rows go through each step together, kTile at most: the step in the middle is one long chain of dependent
// operations in double, which then overlaps with those of other rows (8 % at 32 × 10). Long rows go alone, to stay in
// the cache.
constexpr size_t kTile = 16;
constexpr size_t kTileElements = 4096;

double crossEntropy(const CrossEntropyBatch& batch, size_t begin, size_t end) {
  Row rows[kTile];
  size_t tile = kTileElements / batch.classes;
  tile = tile < 1 ? 1 : tile > kTile ? kTile : tile;
  double numerator = 0.0;
  for (size_t first = begin; first < end; first += tile) {
    const size_t last = end - first < tile ? end : first + tile;
    size_t count = 0;
    for (size_t index = first; index < last; ++index) {
      const size_t y = static_cast<size_t>(static_cast<uint32_t>(batch.targets[index]));
      if (y < batch.classes) {
        Row& row = rows[count++];
        row.index = index;
        row.target = y;
        scanRow(batch, row);
      } else {
        if (batch.gradient) fillRow(batch.gradient + index * batch.rowStride, batch.classes, 0.0f);
        if (batch.losses) batch.losses[index] = 0.0f;
      }
    }
    for (size_t i = 0; i < count; ++i) {
      const size_t index = rows[i].index;
      const double weight = batch.rowWeight ? static_cast<double>(batch.rowWeight[index]) : 1.0;
      double upstream = batch.gradientScale * weight;
      if (batch.gradientScales) upstream *= static_cast<double>(batch.gradientScales[index]);
      double loss = solveRow(rows[i], upstream);
      loss = weight == 0.0 && loss == loss ? 0.0 : weight * loss;
      if (batch.losses) batch.losses[index] = static_cast<float>(loss);
      numerator += loss;
    }
    if (batch.gradient) {
      for (size_t i = 0; i < count; ++i) finishRow(batch, rows[i]);
    }
  }
  return numerator;
}
