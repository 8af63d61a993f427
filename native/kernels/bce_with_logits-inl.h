// Binary cross entropy of every element with the logistic function of its logit. Include after targets-inl.h, in a
// backend's unnamed namespace. lib/js/bce-with-logits.ts mirrors this file.
//
// With t' = (1 − ε)·t + ε·toward, a = w·posWeight·t' and b = w·(1 − t') = w·((1 − ε)·(1 − t) + ε·(1 − toward)),
// E = e^(−|z|):
//
//     loss      a·softplus(−z) + b·softplus(z) = (a + b)·ln(1 + E) + a·max(−z, 0) + b·max(z, 0)
//     gradient  b·σ(z) − a·(1 − σ(z)) = (b − a·E)/(1 + E) for z > 0, (b·E − a)/(1 + E) else
//
// Every part is ≥ 0 and accurate relatively, so small losses are. A factor that is 0 adds 0 even where z is infinite.
// t is a dense target or 1 at the row's class; an element that takes no part has z = a = b = 0.

// The factors a and b, and whether an element takes part. kGeneral: there are weights or a mask, or rows that take no
// part beside others that do.
template <typename At, bool kGeneral>
struct Pairs {
  using V = typename At::V;
  using Real = typename At::Real;
  Numbers<At> dense;
  At user;
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
  SMOOTHLOSS_INLINE V part(const Loads& loads, size_t c) const {
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
      a = zeroWhereZero(mul(mul(a, loads.factors(posWeight, c)), factor), part(loads, c));
      b = zeroWhereZero(mul(b, factor), part(loads, c));
    }
  }
};

// What losses, gradients and metrics are made of.
template <typename V, size_t N>
SMOOTHLOSS_INLINE void expOfMinusAbs(const V (&z)[N], V (&e)[N]) {
  const V floor = set1(expFloor(As<V>(), 0.0));
  const V zero = set1(typename V::Real(0));
  for (size_t i = 0; i < N; ++i) e[i] = expArgument(sub(zero, abs(z[i])), floor);
  exp(e, set1(expMagic(As<V>(), 0.0)));
}
template <typename V>
SMOOTHLOSS_INLINE V binaryLoss(V z, V a, V b, V logarithm) {
  const V zero = set1(typename V::Real(0));
  const V factor = whereGreater(z, zero, b, a);
  return fma(add(a, b), logarithm, zeroWhereZero(mul(factor, abs(z)), factor));
}

template <typename At, bool kGeneral>
struct BinaryVisitor {
  using V = typename At::V;
  using Real = typename At::Real;
  Numbers<At> z;
  Pairs<At, kGeneral> pairs;
  At user;
  Real* losses;  // null: not asked for
  V rowWeight;
  V limit;
  At to;
  Real* gradient;  // null: not asked for
  V scale;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    const V zero = set1(Real(0));
    const V one = set1(Real(1));
    V logits[N], e[N];
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * At::kColumns;
      logits[i] = loads.elements(z.at, z.p, column);
      if constexpr (kGeneral) logits[i] = zeroWhereZero(logits[i], pairs.part(loads, column));
    }
    expOfMinusAbs(logits, e);
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * At::kColumns;
      V a, b;
      pairs.get(loads, column, a, b);
      terms[i] = binaryLoss(logits[i], a, b, log1p(e[i]));
      if (losses) loads.put(user, losses, column, oneNaN(fma(min(limit, terms[i]), rowWeight, zero)));
      if (gradient) {
        const V minusA = sub(zero, a);
        const V numerator = whereGreater(logits[i], zero, fma(minusA, e[i], b), fma(b, e[i], minusA));
        loads.put(to, gradient, column, oneNaN(fma(div(numerator, add(one, e[i])), scale, zero)));
      }
    }
  }
};

enum class BinaryMetric { kNll, kEntropy, kCorrect };

template <typename At, BinaryMetric kMetric>
struct BinaryMetricVisitor {
  using V = typename At::V;
  using Real = typename At::Real;
  Numbers<At> z;
  Numbers<At> dense;
  At user;
  const uint8_t* mask;  // null: all take part

  template <typename Loads, size_t N>
  void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    const V zero = set1(Real(0));
    const V one = set1(Real(1));
    V e[N];
    for (size_t i = 0; i < N; ++i) terms[i] = loads.elements(z.at, z.p, c + i * At::kColumns);
    if (kMetric != BinaryMetric::kCorrect) expOfMinusAbs(terms, e);
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * At::kColumns;
      const V logit = terms[i];
      const V t = loads.elements(dense.at, dense.p, column);
      if constexpr (kMetric == BinaryMetric::kNll) terms[i] = binaryLoss(logit, t, sub(one, t), log1p(e[i]));
      if constexpr (kMetric == BinaryMetric::kEntropy) {
        const V spread = zeroWhereZero(mul(abs(logit), div(e[i], add(one, e[i]))), e[i]);
        terms[i] = add(log1p(e[i]), spread);
      }
      if constexpr (kMetric == BinaryMetric::kCorrect) {
        const V yes = whereGreater(t, set1(Real(0.5)), one, zero);
        terms[i] = whereEqual(whereGreater(logit, zero, one, zero), yes, one, zero);
      }
      if (mask) terms[i] = zeroWhereZero(terms[i], loads.elements(user, mask, column));
    }
  }
};

template <typename At>
class BceWithLogitsKernel {
  using V = typename At::V;
  using Real = typename At::Real;
  static constexpr size_t kRows = At::kRows;

 public:
  using Layout = At;
  // kRows rows that go through each step together.
  struct Strip {
    size_t first;  // row
    size_t rowCount;
    At user;
    const void* x;
    void* gradient;
    size_t offset;
    bool any;  // of the rows takes part
    bool all;
    size_t classOf[kRows];  // kNone: takes no part; 0 with dense targets
    Real takes[kRows];
    Real scale[kRows];
    Real weight[kRows];
    Real limit[kRows];
    double apart[kRows];  // a factor that waits: see multiplyRows
    bool anyApart;
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
  const At scratchAt_ = scratchLayout(As<At>());

 public:
  BceWithLogitsKernel(const Batch& batch, Scratch& scratch, bool /*split*/ = false)
      : batch_(batch), scratch_(scratch), terms_(batch) {}

  void run(size_t begin, size_t end, Sums& sums) {
    Strip strip;
    for (size_t row = begin; row < end; row += strip.rowCount) {
      open(strip, row, stripOf(As<At>(), batch_, row, end));
      if (strip.any) runStage(*this, strip, kElements, batch_.classes);
      close(strip, kElements, sums);
    }
  }

  // The stages of a strip: see splitStrip.
  void open(Strip& strip, size_t row, size_t count) {
    const size_t offset = offsetOf(batch_, row, batch_.rowStride);
    strip = {};
    strip.first = row;
    strip.rowCount = count;
    strip.user = userLayout(As<At>(), batch_, count);
    strip.x = elementsAt(batch_.type, batch_.logits, offset);
    strip.gradient = elementsAt(batch_.type, batch_.gradient, offset);
    strip.offset = offset;
    strip.all = true;
    for (size_t r = 0; r < kRows; ++r) {
      const size_t y = r < count ? static_cast<uint32_t>(batch_.targets[row + r]) : kNone;
      strip.classOf[r] = y < batch_.classes ? y : kNone;
      strip.all = strip.all && (r >= count || strip.classOf[r] != kNone);
      if (strip.classOf[r] == kNone) continue;
      strip.any = true;
      strip.takes[r] = 1;
      const double factor = bounded(upstreamOf<Real>(batch_, row + r) * batch_.logitScale);
      strip.scale[r] = toReal<Real>(factor);
      if (waits<Real>(magnitude(factor))) {
        strip.scale[r] = 1;
        strip.apart[r] = factor;
        strip.anyApart = true;
      }
      strip.weight[r] = static_cast<Real>(numberOf<Real>(batch_.rowWeight, row + r, 1.0));
      constexpr auto kReals = std::numeric_limits<Real>{};
      strip.limit[r] = strip.weight[r] == 0 ? kReals.max() : kReals.infinity();
    }
  }
  bool needs(const Strip& strip, size_t) const { return strip.any; }
  void part(Strip& strip, size_t, size_t first, size_t end) {
    const bool general = !strip.all || batch_.mask || batch_.weight || batch_.posWeight;
    const bool metrics = batch_.metrics || batch_.rowNll || batch_.rowEntropy;
    for (size_t c = first; c < end; c += kBlock) {
      const size_t n = end - c < kBlock ? end - c : kBlock;
      const Numbers<At> dense = targetBlock(strip, c, n);
      const Numbers<At> z = termBlock(batch_, terms_, strip.user, strip.x, c, n, scratch_);
      if (metrics) addMetrics(strip, z, dense, c, n);
      if (general) {
        add<true>(strip, z, dense, c, n);
      } else {
        add<false>(strip, z, dense, c, n);
      }
    }
  }
  void merge(Strip& strip, size_t, const Strip& part, size_t, size_t) const {
    for (size_t r = 0; r < kRows; ++r) {
      strip.loss[r] += part.loss[r];
      strip.nll[r] += part.nll[r];
      strip.entropy[r] += part.entropy[r];
      strip.correct[r] += part.correct[r];
    }
  }
  void close(Strip& strip, size_t, Sums& sums) {
    for (size_t r = 0; r < strip.rowCount; ++r) {
      if (strip.classOf[r] == kNone) {
        // A strip with others has zeros here already.
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
  // t of a block.
  Numbers<At> targetBlock(const Strip& strip, size_t first, size_t n) {
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
  void add(Strip& strip, const Numbers<At>& z, const Numbers<At>& dense, size_t first, size_t n) {
    const bool perElement = batch_.weight && batch_.weightStride;
    const size_t at = perElement ? offsetOf(batch_, strip.first, batch_.weightStride) + strip.user.offset(first) : 0;
    const bool floats = sizeof(Real) == sizeof(double) && batch_.weightType == Dense::kFloat32;
    const Pairs<At, kGeneral> pairs{dense,
                                    strip.user,
                                    classFactors<Real>(perElement ? nullptr : batch_.weight, first),
                                    perElement && !floats ? static_cast<const Real*>(batch_.weight) + at : nullptr,
                                    perElement && floats ? static_cast<const float*>(batch_.weight) + at : nullptr,
                                    classFactors<Real>(batch_.posWeight, first),
                                    maskOf(strip, first),
                                    set1(static_cast<Real>(1.0 - batch_.epsilon)),
                                    set1(static_cast<Real>(batch_.epsilon * batch_.toward)),
                                    set1(static_cast<Real>(batch_.epsilon * (1.0 - batch_.toward))),
                                    At::perRow(strip.takes)};
    Real* losses =
        batch_.losses ? static_cast<Real*>(batch_.losses) + strip.offset + strip.user.offset(first) : nullptr;
    const GradientBlock<At> gradient(batch_, strip.user, strip.gradient, first, scratch_);
    const BinaryVisitor<At, kGeneral> visitor{z,
                                              pairs,
                                              strip.user,
                                              losses,
                                              At::perRow(strip.weight),
                                              At::perRow(strip.limit),
                                              gradient.at,
                                              gradient.p,
                                              At::perRow(strip.scale)};
    strip.user.sum(n, At::skip(kNoColumns, 0), visitor, strip.loss);
    if (!gradient.p) return;
    if (terms_.cap != 0) strip.user.forEach(n, CapVisitor<At>{z, gradient, set1(terms_.cap)});
    if (strip.anyApart) multiplyRows(gradient, n, strip.apart);
    gradient.deliver(batch_, strip.user, strip.gradient, first, n);
  }

  void addMetrics(Strip& strip, const Numbers<At>& z, const Numbers<At>& dense, size_t first, size_t n) const {
    addMetric<BinaryMetric::kNll>(strip, z, dense, first, n, strip.nll);
    addMetric<BinaryMetric::kEntropy>(strip, z, dense, first, n, strip.entropy);
    addMetric<BinaryMetric::kCorrect>(strip, z, dense, first, n, strip.correct);
  }
  template <BinaryMetric kMetric>
  void addMetric(const Strip& strip, const Numbers<At>& z, const Numbers<At>& dense, size_t first, size_t n,
                 double* sums) const {
    const BinaryMetricVisitor<At, kMetric> visitor{z, dense, strip.user, maskOf(strip, first)};
    strip.user.sum(n, At::skip(kNoColumns, 0), visitor, sums);
  }
};
