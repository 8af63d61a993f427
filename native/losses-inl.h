// Every loss, once, over Vec. Include after math-inl.h, in a backend's unnamed namespace. lib/js/losses.ts mirrors this
// file function by function; test/bits.test.ts holds the two together.
//
// Sums have one order everywhere. A row is cut into column blocks of kBlock; within a block, column c belongs to
// virtual lane c mod kLanes, whatever the width of the vector; at the end of the block the lanes are added through one
// fixed tree into a double (sumLanes), and blocks are added in order.

constexpr size_t kLanes = 32;
constexpr size_t kBlock = 1024;  // 32 additions a lane in float before the double takes over
constexpr size_t kVecs = kLanes / Vec::kWidth;

// Beyond this size a row is shifted by its maximum first (exact where it matters: Sterbenz); below it, exp needs no
// subtraction that would round.
constexpr float kShiftAbove = 0x1p20f;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Calls visit(lane vector, column, lanes there are, lane to drop) for each vector of columns [0, n). All but the last
// group and the one that holds `skip` are full and drop nothing; they go to visit.full instead.
template <typename Visit>
SMOOTHLOSS_INLINE void forEachVec(size_t n, size_t skip, Visit& visit) {
  size_t c = 0;
  for (; c + kLanes <= n; c += kLanes) {
    if (skip - c < kLanes) {
      for (size_t j = 0; j < kVecs; ++j) visit.part(j, c + j * Vec::kWidth, Vec::kWidth, skip - c - j * Vec::kWidth);
    } else {
      for (size_t j = 0; j < kVecs; ++j) visit.full(j, c + j * Vec::kWidth);
    }
  }
  if (c == n) return;
  for (size_t j = 0; j < kVecs; ++j) {  // by a constant count, so that the lanes can stay in registers
    const size_t first = c + j * Vec::kWidth;
    if (first < n) visit.part(j, first, n - first < Vec::kWidth ? n - first : Vec::kWidth, skip - first);
  }
}

struct MaxVisitor {
  const float* x;
  Vec lanes[kVecs];

  SMOOTHLOSS_INLINE void full(size_t j, size_t c) { lanes[j] = max(load(x + c), lanes[j]); }
  SMOOTHLOSS_INLINE void part(size_t j, size_t c, size_t n, size_t) {
    lanes[j] = max(keepFirst(loadFirst(x + c, n), n, -kInfinity), lanes[j]);
  }
};

// The largest of the logits that are not NaN; −Infinity if there is none. NaN shows in the sum of exponentials.
SMOOTHLOSS_INLINE float rowMax(const float* x, size_t n) {
  MaxVisitor visitor{x, {}};
  for (Vec& lane : visitor.lanes) lane = set1(-kInfinity);
  forEachVec(n, SIZE_MAX, visitor);
  float lanes[kLanes];
  for (size_t j = 0; j < kVecs; ++j) store(lanes + j * Vec::kWidth, visitor.lanes[j]);
  float m = lanes[0];
  for (size_t i = 1; i < kLanes; ++i) m = lanes[i] > m ? lanes[i] : m;
  return m;
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
  SMOOTHLOSS_INLINE void full(size_t j, size_t c) {
    lanes[j] = add(lanes[j], term(load(x + c), kUniform ? maximum : load(smoothing + c)));
  }
  SMOOTHLOSS_INLINE void part(size_t j, size_t c, size_t n, size_t drop) {
    const Vec factor = kUniform ? maximum : loadFirst(smoothing + c, n);
    lanes[j] = add(lanes[j], dropLane(keepFirst(term(loadFirst(x + c, n), factor), n, 0.0f), drop));
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
  for (Vec& lane : visitor.lanes) lane = set1(0.0f);
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
  Vec shift;
  Vec floor;
  Vec magic;
  Vec lanes[kVecs];

  SMOOTHLOSS_INLINE Vec term(Vec logits) const { return exp(max(floor, sub(logits, shift)), magic); }
  SMOOTHLOSS_INLINE void full(size_t j, size_t c) {
    const Vec e = term(load(x + c));
    if (kStore) store(out + c, e);
    lanes[j] = add(lanes[j], e);
  }
  SMOOTHLOSS_INLINE void part(size_t j, size_t c, size_t n, size_t drop) {
    const Vec e = term(loadFirst(x + c, n));
    if (kStore) storeFirst(out + c, e, n);
    lanes[j] = add(lanes[j], dropLane(keepFirst(e, n, 0.0f), drop));
  }
};

// Σ over the block's columns but `skip` of e_c, which is 0 below about 2^−126.5; with kStore all e_c go to `out`, which
// may be x.
template <bool kStore>
SMOOTHLOSS_INLINE double expSum(const float* x, float* out, size_t n, size_t skip, const RowScale& scale) {
  const float magic = kRoundToInteger + static_cast<float>(127.0 - scale.k);
  const float floor = static_cast<float>((scale.k - 127.0) * kLn2);  // e_c = 0 from here down
  ExpVisitor<kStore> visitor{x, out, set1(scale.shift), set1(floor), set1(magic), {}};
  for (Vec& lane : visitor.lanes) lane = set1(0.0f);
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
  SMOOTHLOSS_INLINE void full(size_t, size_t c) {
    store(gradient + c, term(load(gradient + c), kUniform ? offset : load(smoothing + c)));
  }
  SMOOTHLOSS_INLINE void part(size_t, size_t c, size_t n, size_t) {
    const Vec factor = kUniform ? offset : loadFirst(smoothing + c, n);
    storeFirst(gradient + c, term(loadFirst(gradient + c, n), factor), n);
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

// A row with NaN or +Infinity among its logits, or with nothing but −Infinity.
inline double undefinedRow(float* gradient, size_t n) {
  if (gradient) fillRow(gradient, n, kNaN);
  return static_cast<double>(kNaN);
}

// One row that takes part: its gradient, and its loss, not yet times rowWeight.
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
inline double crossEntropyRow(const CrossEntropyBatch& batch, size_t row, size_t y, double upstream) {
  const size_t classes = batch.classes;
  const float* x = batch.logits + row * batch.rowStride;
  float* gradient = batch.gradient ? batch.gradient + row * batch.rowStride : nullptr;
  const float* smoothing = batch.smoothing;

  const double epsilon = batch.epsilons ? static_cast<double>(batch.epsilons[row]) : batch.epsilon;
  const double weight = batch.weight ? static_cast<double>(batch.weight[y]) : 1.0;
  const double prior = batch.prior ? static_cast<double>(batch.prior[y]) : 1.0;
  const double factor = smoothing ? static_cast<double>(smoothing[y]) : 1.0;
  double own = (1.0 - epsilon) * weight;
  double mass = 0.0;
  double others = 0.0;  // Σ_{k≠y} v_k
  if (epsilon > 0.0) {
    mass = epsilon / (batch.others ? without(batch.priorTotal, y, prior) : batch.priorTotal.sum);
    others = without(batch.smoothingTotal, y, factor);
    if (!batch.others) own += mass * factor;
  }

  const float maximum = rowMax(x, classes);
  if (maximum == kInfinity || maximum == -kInfinity) return undefinedRow(gradient, classes);
  const RowScale scale(maximum);
  const float xTarget = x[y];
  double below = 0.0;    // Σ_{k≠y} v_k (x_k − max)
  double expSums = 0.0;  // E
  for (size_t c = 0; c < classes; c += kBlock) {
    const size_t n = classes - c < kBlock ? classes - c : kBlock;
    if (mass > 0.0) {
      below += smoothing ? smoothingSum<false>(x + c, smoothing + c, n, y - c, scale.maximum)
                         : smoothingSum<true>(x + c, nullptr, n, y - c, scale.maximum);
    }
    expSums +=
        gradient ? expSum<true>(x + c, gradient + c, n, y - c, scale) : expSum<false>(x + c, nullptr, n, y - c, scale);
  }

  const double logTarget = scale.log(xTarget);
  const double expTarget = exp(logTarget);
  const double sum = expSums + expTarget;
  if (sum != sum) return undefinedRow(gradient, classes);

  double nll;          // −ln p_y
  double lseAboveMax;  // lse − max
  if (expSums <= 0.4 * expTarget) {
    nll = log1p(expSums / expTarget);
    lseAboveMax = nll + (logTarget - scale.log(scale.maximum));
  } else {
    const double logSum = log(sum);
    nll = logSum - logTarget;
    lseAboveMax = logSum - scale.log(scale.maximum);
  }
  double loss = own > 0.0 ? own * nll : 0.0;
  if (mass > 0.0) loss += mass * (others * lseAboveMax - below);

  if (gradient) {
    const double rest = mass * others;
    const double total = own + rest;
    const float multiplier = static_cast<float>(upstream * total / sum);
    const float offset = static_cast<float>(-(upstream * mass));
    if (smoothing) {
      finishGradient<false>(gradient, smoothing, classes, multiplier, offset);
    } else {
      finishGradient<true>(gradient, nullptr, classes, multiplier, offset);
    }
    gradient[y] = static_cast<float>(upstream * ((expTarget / sum) * rest - (expSums / sum) * own));
  }
  return loss;
}

double crossEntropy(const CrossEntropyBatch& batch, size_t begin, size_t end) {
  double numerator = 0.0;
  for (size_t row = begin; row < end; ++row) {
    const size_t y = static_cast<size_t>(static_cast<uint32_t>(batch.targets[row]));
    double loss = 0.0;
    if (y < batch.classes) {
      const double rowWeight = batch.rowWeight ? static_cast<double>(batch.rowWeight[row]) : 1.0;
      double upstream = batch.gradientScale * rowWeight;
      if (batch.gradientScales) upstream *= static_cast<double>(batch.gradientScales[row]);
      loss = crossEntropyRow(batch, row, y, upstream);
      loss = rowWeight == 0.0 && loss == loss ? 0.0 : rowWeight * loss;
    } else if (batch.gradient) {
      fillRow(batch.gradient + row * batch.rowStride, batch.classes, 0.0f);
    }
    if (batch.losses) batch.losses[row] = static_cast<float>(loss);
    numerator += loss;
  }
  return numerator;
}
