// Binary cross entropy of every element with the logistic function of its logit. Include after row_strip-inl.h, in a
// backend's unnamed namespace. lib/js/bce-with-logits.ts mirrors this file.
//
// With t' = (1 − ε)·t + ε·toward, a = w·posWeight·t' and b = w·(1 − t') = w·((1 − ε)·(1 − t) + ε·(1 − toward)),
// E = e^(−|z|):
//
//     loss      a·softplus(−z) + b·softplus(z) = (a + b)·ln(1 + E) + a·max(−z, 0) + b·max(z, 0)
//     gradient  b·σ(z) − a·(1 − σ(z)) = (b − a·E)/(1 + E) for z > 0, (b·E − a)/(1 + E) else
//
// Every term is ≥ 0 and has a small relative error, so small losses have one too. A factor that is 0 adds 0 even where
// z is infinite. t is a dense target, or 1 at the row's class; an element that takes no part has z = a = b = 0.

// The factors a and b, and whether an element takes part. kGeneral = false: there are no weights and no mask, and all
// of the strip's rows take part.
template <typename Layout, bool kGeneral>
struct Pairs {
  using V = typename Layout::V;
  using Real = typename Layout::Real;
  Numbers<Layout> dense;
  Layout user;
  const Real* classWeight;
  const Real* weight;        // of each element; null: floatWeight
  const float* floatWeight;  // the same of floats, for double; null: classWeight
  const Real* posWeight;
  const uint8_t* mask;  // null: all take part
  V keep;
  V toOne;   // ε·toward
  V toZero;  // ε·(1 − toward)
  V takes;   // 0 for rows that take no part

  template <typename Loads>
  SMOOTHLOSS_INLINE V participation(const Loads& loads, size_t c) const {
    return mask ? zeroWhereZero(takes, loads.elements(user, mask, c)) : takes;
  }
  template <typename Loads>
  SMOOTHLOSS_INLINE V weightOf(const Loads& loads, size_t c) const {
    if (weight) return loads.elements(user, weight, c);
    if constexpr (sizeof(Real) == sizeof(double)) {
      if (floatWeight) return loads.elements(user, floatWeight, c);
    }
    return loads.factors(classWeight, c);
  }
  template <typename Loads>
  SMOOTHLOSS_INLINE void get(const Loads& loads, size_t c, V& a, V& b) const {
    const V t = loads.elements(dense.at, dense.p, c);
    a = fma(t, keep, toOne);
    b = fma(sub(set1(Real(1)), t), keep, toZero);
    if constexpr (kGeneral) {
      const V factor = weightOf(loads, c);
      a = zeroWhereZero(mul(mul(a, loads.factors(posWeight, c)), factor), participation(loads, c));
      b = zeroWhereZero(mul(b, factor), participation(loads, c));
    }
  }
};

// e ← E of each z.
template <typename V, size_t N>
SMOOTHLOSS_INLINE void expOfMinusAbs(const V (&z)[N], V (&e)[N]) {
  const V floor = set1(expFloor(As<V>(), 0.0));
  const V zero = set1(typename V::Real(0));
  for (size_t i = 0; i < N; ++i) e[i] = expArgument(sub(zero, abs(z[i])), floor);
  exp(e, set1(expMagic(As<V>(), 0.0)));
}
// The loss, given ln(1 + E).
template <typename V>
SMOOTHLOSS_INLINE V binaryLoss(V z, V a, V b, V logarithm) {
  const V zero = set1(typename V::Real(0));
  const V factor = whereGreater(z, zero, b, a);
  return fma(add(a, b), logarithm, zeroWhereZero(mul(factor, abs(z)), factor));
}

// scale · gradient, given E.
template <typename V>
SMOOTHLOSS_INLINE V binaryGradient(V z, V a, V b, V e, V scale) {
  const V zero = set1(typename V::Real(0));
  const V minusA = sub(zero, a);
  const V numerator = whereGreater(z, zero, fma(minusA, e, b), fma(b, e, minusA));
  return oneNaN(fma(div(numerator, add(set1(typename V::Real(1)), e)), scale, zero));
}
// The entropy of σ(z), given E and ln(1 + E).
template <typename V>
SMOOTHLOSS_INLINE V binaryEntropy(V z, V e, V logarithm) {
  return add(logarithm, zeroWhereZero(mul(abs(z), div(e, add(set1(typename V::Real(1)), e))), e));
}

// Returns losses, and writes them and the gradient where asked for.
template <typename Layout, bool kGeneral>
struct BinaryVisitor {
  using V = typename Layout::V;
  using Real = typename Layout::Real;
  Numbers<Layout> z;
  Pairs<Layout, kGeneral> pairs;
  Layout user;
  Real* losses;  // null: not asked for
  V rowWeight;
  V limit;
  Layout to;
  Real* gradient;  // null: not asked for
  V scale;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    const V zero = set1(Real(0));
    V logits[N], e[N];
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * Layout::kColumns;
      logits[i] = loads.elements(z.at, z.p, column);
      if constexpr (kGeneral) logits[i] = zeroWhereZero(logits[i], pairs.participation(loads, column));
    }
    expOfMinusAbs(logits, e);
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * Layout::kColumns;
      V a, b;
      pairs.get(loads, column, a, b);
      terms[i] = binaryLoss(logits[i], a, b, log1p(e[i]));
      if (losses) loads.put(user, losses, column, oneNaN(fma(min(limit, terms[i]), rowWeight, zero)));
      if (gradient) {
        loads.put(to, gradient, column, binaryGradient(logits[i], a, b, e[i], scale));
      }
    }
  }
};

enum class BinaryMetric { kNll, kEntropy, kCorrect };

// Returns what an element adds to a metric. Metrics compare the model with targets before smoothing and weights.
template <typename Layout, BinaryMetric kMetric>
struct BinaryMetricVisitor {
  using V = typename Layout::V;
  using Real = typename Layout::Real;
  Numbers<Layout> z;
  Numbers<Layout> dense;
  Layout user;
  const uint8_t* mask;  // null: all take part

  template <typename Loads, size_t N>
  void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    const V zero = set1(Real(0));
    const V one = set1(Real(1));
    V e[N];
    for (size_t i = 0; i < N; ++i) terms[i] = loads.elements(z.at, z.p, c + i * Layout::kColumns);
    if (kMetric != BinaryMetric::kCorrect) expOfMinusAbs(terms, e);
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * Layout::kColumns;
      const V logit = terms[i];
      const V t = loads.elements(dense.at, dense.p, column);
      if constexpr (kMetric == BinaryMetric::kNll) terms[i] = binaryLoss(logit, t, sub(one, t), log1p(e[i]));
      if constexpr (kMetric == BinaryMetric::kEntropy) {
        terms[i] = binaryEntropy(logit, e[i], log1p(e[i]));
      }
      if constexpr (kMetric == BinaryMetric::kCorrect) {
        const V yes = whereGreater(t, set1(Real(0.5)), one, zero);
        terms[i] = whereEqual(whereGreater(logit, zero, one, zero), yes, one, zero);
      }
      if (mask) terms[i] = zeroWhereZero(terms[i], loads.elements(user, mask, column));
    }
  }
};

template <typename Layout>
class BceWithLogitsKernel {
  using V = typename Layout::V;
  using Real = typename Layout::Real;
  static constexpr size_t kRows = Layout::kRows;

 public:
  struct Strip : RowStrip<Layout> {
    bool all;               // rows take part
    size_t classOf[kRows];  // kNone: takes no part; 0 with dense targets
    Real takes[kRows];      // 1 for rows that take part, else 0
    double loss[kRows];
    double nll[kRows];
    double entropy[kRows];
    double correct[kRows];
  };
  enum Stage : size_t { kElements, kStages };

 private:
  const Batch& batch_;
  Scratch& scratch_;
  const Terms<V> terms_;
  const bool wantsMetrics_;
  const Layout scratchAt_ = scratchLayout(As<Layout>());

 public:
  BceWithLogitsKernel(const Batch& batch, Scratch& scratch, bool /*split*/ = false)
      : batch_(batch),
        scratch_(scratch),
        terms_(batch),
        wantsMetrics_(batch.metrics || batch.rowNll != nullptr || batch.rowEntropy != nullptr) {}

  void run(size_t begin, size_t end, Sums& sums) {
    Strip strip;
    for (size_t row = begin; row < end; row += strip.rowCount) {
      open(strip, row, stripOf(As<Layout>(), batch_, row, end));
      if (strip.any) runStage(*this, strip, kElements, batch_.classes);
      close(strip, kElements, sums);
    }
  }

  // The stages of a strip: see segments-inl.h.
  void open(Strip& strip, size_t row, size_t count) {
    strip = {};
    strip.open(batch_, row, count);
    strip.all = true;
    for (size_t r = 0; r < kRows; ++r) {
      const size_t y = r < count ? static_cast<uint32_t>(batch_.targets[row + r]) : kNone;
      strip.classOf[r] = y < batch_.classes ? y : kNone;
      strip.all = strip.all && (r >= count || strip.classOf[r] != kNone);
      if (strip.classOf[r] == kNone) continue;
      strip.takes[r] = 1;
      strip.take(batch_, r, bounded(upstreamOf<Real>(batch_, row + r) * batch_.logitScale));
    }
  }
  bool needs(const Strip& strip, size_t) const { return strip.any; }
  void compute(Strip& strip, size_t, size_t first, size_t end) {
    const bool general = !strip.all || batch_.mask || batch_.weight || batch_.posWeight;
    for (size_t c = first; c < end; c += kBlock) {
      const size_t n = end - c < kBlock ? end - c : kBlock;
      const Numbers<Layout> dense = targetBlock(strip, c, n);
      const Numbers<Layout> z = termBlock(batch_, terms_, strip.user, strip.x, c, n, scratch_);
      if (wantsMetrics_) addMetrics(strip, z, dense, c, n);
      if (general) {
        add<true>(strip, z, dense, c, n);
      } else {
        add<false>(strip, z, dense, c, n);
      }
    }
  }
  void merge(Strip& strip, size_t, const Strip& copy, size_t, size_t) const {
    for (size_t r = 0; r < kRows; ++r) {
      strip.loss[r] += copy.loss[r];
      strip.nll[r] += copy.nll[r];
      strip.entropy[r] += copy.entropy[r];
      strip.correct[r] += copy.correct[r];
    }
  }
  void close(Strip& strip, size_t, Sums& sums) {
    for (size_t r = 0; r < strip.rowCount; ++r) {
      if (strip.classOf[r] == kNone) {
        // If another row of the strip takes part, zeros are written already.
        if (strip.gradient && !strip.any) {
          withElements<Real>(batch_.type, strip.gradient,
                             [&](auto* gradient) { fillRow(strip.user, gradient, batch_.classes, r, 0.0); });
        }
        continue;
      }
      const size_t index = strip.first + r;
      const double weighed = weigh(numberOf<Real>(batch_.rowWeight, index, 1.0), strip.loss[r]);
      sums.numerator += weighed;
      sums.nll += oneNaN(strip.nll[r]);
      sums.entropy += oneNaN(strip.entropy[r]);
      sums.correct += strip.correct[r];
      putResult<Real>(batch_.rowLoss, index, weighed);
      putResult<Real>(batch_.rowNll, index, strip.nll[r]);
      putResult<Real>(batch_.rowEntropy, index, strip.entropy[r]);
    }
  }

 private:
  // The targets t of a block.
  Numbers<Layout> targetBlock(const Strip& strip, size_t first, size_t n) {
    if (batch_.dense) return denseBlock(batch_, strip.first, strip.user, first, n, scratch_);
    Real* t = blockOf<Real>(scratch_, kDenseBlock);
    for (size_t i = 0; i < n * kRows; ++i) t[i] = Real(0);
    for (size_t r = 0; r < kRows; ++r) {
      const size_t c = strip.classOf[r] - first;
      if (c < n) *scratchAt_.element(t, c, r) = Real(1);
    }
    return {scratchAt_, t};
  }

  const uint8_t* maskOf(const Strip& strip, size_t first) const {
    if (batch_.mask == nullptr) return nullptr;
    return batch_.mask + offsetOf(batch_, strip.first, batch_.maskStride) + strip.user.offset(first);
  }

  template <bool kGeneral>
  void add(Strip& strip, const Numbers<Layout>& z, const Numbers<Layout>& dense, size_t first, size_t n) {
    const bool perElement = batch_.weight && batch_.weightStride;
    const size_t at = perElement ? offsetOf(batch_, strip.first, batch_.weightStride) + strip.user.offset(first) : 0;
    const bool floats = sizeof(Real) == sizeof(double) && batch_.weightType == Dense::kFloat32;
    const Pairs<Layout, kGeneral> pairs{dense,
                                        strip.user,
                                        classFactors<Real>(perElement ? nullptr : batch_.weight, first),
                                        perElement && !floats ? static_cast<const Real*>(batch_.weight) + at : nullptr,
                                        perElement && floats ? static_cast<const float*>(batch_.weight) + at : nullptr,
                                        classFactors<Real>(batch_.posWeight, first),
                                        maskOf(strip, first),
                                        set1(static_cast<Real>(1.0 - batch_.epsilon)),
                                        set1(static_cast<Real>(batch_.epsilon * batch_.toward)),
                                        set1(static_cast<Real>(batch_.epsilon * (1.0 - batch_.toward))),
                                        Layout::perRow(strip.takes)};
    const GradientBlock<Layout> gradient = strip.gradientBlock(batch_, first, scratch_);
    const BinaryVisitor<Layout, kGeneral> visitor{z,
                                                  pairs,
                                                  strip.user,
                                                  strip.lossesAt(batch_, first),
                                                  Layout::perRow(strip.weight),
                                                  Layout::perRow(strip.limit),
                                                  gradient.at,
                                                  gradient.p,
                                                  Layout::perRow(strip.scale)};
    strip.user.sum(n, Layout::skip(kNoColumns, 0), visitor, strip.loss);
    if (!gradient.p) return;
    if (terms_.cap != 0) strip.user.forEach(n, CapVisitor<Layout>{z, gradient, set1(terms_.cap)});
    strip.deliver(batch_, gradient, first, n);
  }

  void addMetrics(Strip& strip, const Numbers<Layout>& z, const Numbers<Layout>& dense, size_t first, size_t n) const {
    addMetric<BinaryMetric::kNll>(strip, z, dense, first, n, strip.nll);
    addMetric<BinaryMetric::kEntropy>(strip, z, dense, first, n, strip.entropy);
    addMetric<BinaryMetric::kCorrect>(strip, z, dense, first, n, strip.correct);
  }
  template <BinaryMetric kMetric>
  void addMetric(const Strip& strip, const Numbers<Layout>& z, const Numbers<Layout>& dense, size_t first, size_t n,
                 double* sums) const {
    const BinaryMetricVisitor<Layout, kMetric> visitor{z, dense, strip.user, maskOf(strip, first)};
    strip.user.sum(n, Layout::skip(kNoColumns, 0), visitor, sums);
  }
};
