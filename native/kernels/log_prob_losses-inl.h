// Losses that are linear in their input, log-probabilities: nllLoss, klDiv, and smoothLabels, which is −1 times the
// gradient of nllLoss. Include after row_strip-inl.h and cross_entropy-inl.h, in a backend's unnamed namespace.
// lib/js/log-prob-losses.ts mirrors this file.
//
//     classes:  l = −Σ_k w_k t'_k x_k  (form 'kl': + Σ_k w_k t'_k ln t'_k),   t' as ClassTarget
//     dense:    l = Σ_k w_k t_k (ln t_k − x_k)
//     gradient  −w_k t'_k
//
// A class whose w_k t'_k is 0 adds nothing, whatever its x_k.

// gradient_c ← factor_c · scale.
template <typename Layout, Factors kFactors>
struct ScaleVisitor {
  using V = typename Layout::V;
  FactorLoads<Layout, kFactors> factors;
  Layout to;
  typename Layout::Real* gradient;
  V scale;

  template <typename Loads, size_t N>
  void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      const V zero = set1(typename Layout::Real(0));
      terms[i] = fma(factors.get(loads, c + i * Layout::kColumns), scale, zero);
      loads.put(to, gradient, c + i * Layout::kColumns, oneNaN(terms[i]));
    }
  }
};

// Returns the elements of klDiv, and stores w_c t_c for the gradient.
template <typename Layout, bool kLogTarget>
struct DivergenceVisitor {
  using V = typename Layout::V;
  using Real = typename Layout::Real;
  Numbers<Layout> x;
  Numbers<Layout> dense;
  const Real* weight;
  Layout scratch;
  Real* targets;
  Layout user;
  Real* losses;  // null: not asked for
  V rowWeight;
  V limit;  // 0 for rows that take no part

  template <typename Loads, size_t N>
  void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    V share[N];
    for (size_t i = 0; i < N; ++i) {
      terms[i] = loads.elements(dense.at, dense.p, c + i * Layout::kColumns);
      share[i] = terms[i];
    }
    if constexpr (kLogTarget) {
      constexpr bool kDouble = sizeof(Real) == sizeof(double);
      const V floor = set1(expFloor(As<V>(), 0.0));
      const V ceiling = set1(kDouble ? Real(709) : Real(88));
      for (size_t i = 0; i < N; ++i) share[i] = expArgument(min(ceiling, share[i]), floor);
      exp(share, set1(expMagic(As<V>(), 0.0)));
    } else {
      for (size_t i = 0; i < N; ++i) terms[i] = log(terms[i]);
    }
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * Layout::kColumns;
      const V target = mul(share[i], loads.factors(weight, column));
      loads.put(scratch, targets, column, target);
      terms[i] = zeroWhereZero(mul(target, sub(terms[i], loads.elements(x.at, x.p, column))), target);
      if (losses) {
        const V zero = set1(Real(0));
        const V loss = fma(min(limit, terms[i]), rowWeight, zero);
        loads.put(user, losses, column, whereGreater(limit, zero, oneNaN(loss), zero));
      }
    }
  }
};

template <typename Layout>
class LogProbKernel {
  using V = typename Layout::V;
  using Real = typename Layout::Real;
  static constexpr size_t kRows = Layout::kRows;

 public:
  struct Strip : RowStrip<Layout> {
    bool smooths;  // any of the rows has smoothing mass
    ClassTarget targets[kRows];
    size_t skips[kRows];
    Real keep[kRows];
    Real mass[kRows];
    Real reference[kRows];  // form 'kl': ln mass, else 0
    double linear[kRows];  // Σ v_k (x_k − reference) over the classes but those of the target; klDiv: Σ of the elements
    Argmax<Layout> largest;
  };
  // kElements reads everything, and writes the gradient of dense targets. kSmoothing writes the gradient of classes.
  enum Stage : size_t { kElements, kSmoothing, kStages };

 private:
  const Batch& batch_;
  Scratch& scratch_;
  const ClassTargets<Real> targets_;
  const Layout scratchAt_ = scratchLayout(As<Layout>());
  const bool wantsNll_;
  const bool wantsArgmax_;

 public:
  LogProbKernel(const Batch& batch, Scratch& scratch, bool /*split*/ = false)
      : batch_(batch),
        scratch_(scratch),
        targets_(batch),
        wantsNll_(batch.metrics || batch.rowNll != nullptr),
        wantsArgmax_(batch.metrics || batch.prediction != nullptr) {}

  void run(size_t begin, size_t end, Sums& sums) {
    Strip strip;
    for (size_t row = begin; row < end; row += strip.rowCount) {
      open(strip, row, stripOf(As<Layout>(), batch_, row, end));
      for (size_t stage = 0; stage < kStages; ++stage) {
        if (needs(strip, stage)) runStage(*this, strip, stage, batch_.classes);
        close(strip, stage, sums);
      }
    }
  }

  // The stages of a strip: see segments-inl.h.
  void open(Strip& strip, size_t row, size_t count) {
    strip = {};
    strip.open(batch_, row, count);
    strip.largest.clear();
    for (size_t r = 0; r < kRows; ++r) {
      ClassTarget& target = strip.targets[r];
      if (r < count) {
        targets_.take(row + r, target);
      } else {
        target = ClassTarget(kNone);
      }
      strip.skips[r] = target.y;
      if (target.y == kNone) continue;
      strip.take(batch_, r, -upstreamOf<Real>(batch_, row + r) * (batch_.dense ? 1.0 : target.mass));
      strip.smooths = strip.smooths || target.mass > 0.0;
      if (batch_.kl && strip.x && target.mass >= 0x1p-1022) strip.reference[r] = static_cast<Real>(log(target.mass));
      const double epsilon = numberOf<Real>(batch_.epsilons, row + r, batch_.epsilon);
      strip.keep[r] = static_cast<Real>(1.0 - epsilon);
      strip.mass[r] = static_cast<Real>(epsilon > 0.0 ? epsilon / batch_.priorTotal.sum : 0.0);
    }
  }
  bool needs(const Strip& strip, size_t stage) const {
    if (!strip.any) return false;
    if (stage == kSmoothing) return strip.gradient && !batch_.dense && strip.smooths;
    return batch_.dense || (strip.x && (strip.smooths || wantsArgmax_));
  }
  void compute(Strip& strip, size_t stage, size_t first, size_t end) {
    for (size_t c = first; c < end; c += kBlock) {
      const size_t n = end - c < kBlock ? end - c : kBlock;
      if (batch_.dense) {
        addDense(strip, c, n);
      } else if (stage == kElements) {
        addClasses(strip, c, n);
      } else if (batch_.smoothing) {
        writeGradient(smoothingFactors(strip, c), strip, c, n);
      } else {
        writeGradient(FactorLoads<Layout, Factors::kOnes>{nullptr, strip.user, nullptr}, strip, c, n);
      }
    }
  }
  void merge(Strip& strip, size_t stage, const Strip& copy, size_t, size_t) const {
    if (stage != kElements) return;
    strip.largest.take(copy.largest);
    for (size_t r = 0; r < kRows; ++r) strip.linear[r] += copy.linear[r];
  }
  void close(Strip& strip, size_t stage, Sums& sums) {
    for (size_t r = 0; r < strip.rowCount; ++r) {
      if (stage == kElements) {
        if (strip.x) reportRow(strip, r, sums);
      } else if (strip.gradient) {
        finishRow(strip, r);
      }
    }
  }

 private:
  void addDense(Strip& strip, size_t first, size_t n) {
    const Numbers<Layout> dense = denseBlock(batch_, strip.first, strip.user, first, n, scratch_);
    Real* blended = blockOf<Real>(scratch_, kTargetBlock);
    if (strip.x == nullptr) {
      BlendVisitor<Layout> visitor{dense,
                                   classFactors<Real>(batch_.prior, first),
                                   kOneFactors<Real>.ones,
                                   scratchAt_,
                                   nullptr,
                                   blended,
                                   Layout::perRow(strip.keep),
                                   Layout::perRow(strip.mass)};
      strip.user.forEach(n, visitor);
    } else if (batch_.logTarget) {
      diverge<true>(strip, dense, blended, first, n);
    } else {
      diverge<false>(strip, dense, blended, first, n);
    }
    if (strip.gradient)
      writeGradient(FactorLoads<Layout, Factors::kElements>{nullptr, scratchAt_, blended}, strip, first, n);
  }

  void addClasses(Strip& strip, size_t first, size_t n) {
    const Numbers<Layout> x = logitBlock(batch_, strip.user, strip.x, first, n, scratch_);
    if (wantsArgmax_) strip.largest.take(x.at, x.p, first, n, true);
    if (!strip.smooths) return;
    const auto add = [&](const auto& factors) {
      if (batch_.kl) {
        sumLinear<true>(factors, strip, x, first, n);
      } else {
        sumLinear<false>(factors, strip, x, first, n);
      }
    };
    if (batch_.smoothing) {
      add(smoothingFactors(strip, first));
    } else {
      add(FactorLoads<Layout, Factors::kOnes>{nullptr, strip.user, nullptr});
    }
  }

  FactorLoads<Layout, Factors::kClasses> smoothingFactors(const Strip& strip, size_t first) const {
    return {static_cast<const Real*>(batch_.smoothing) + first, strip.user, nullptr};
  }

  void finishRow(const Strip& strip, size_t r) {
    const ClassTarget& target = strip.targets[r];
    const bool takes = target.y != kNone;
    withElements<Real>(batch_.type, strip.gradient, [&](auto* gradient) {
      if (!takes || (!batch_.dense && !strip.smooths)) fillRow(strip.user, gradient, batch_.classes, r, 0.0);
      if (!takes || batch_.dense) return;
      const double upstream = upstreamOf<Real>(batch_, strip.first + r);
      put(strip.user.element(gradient, target.y, r), 0.0 - upstream * target.own);
      if (target.second != kNone) {
        put(strip.user.element(gradient, target.second, r), 0.0 - upstream * target.ownSecond);
      }
    });
  }

  void reportRow(const Strip& strip, size_t r, Sums& sums) {
    const ClassTarget& target = strip.targets[r];
    const size_t index = strip.first + r;
    if (target.y == kNone) {
      if (batch_.prediction) batch_.prediction[index] = -1;
      return;
    }
    const double linear = strip.linear[r];
    double loss = linear;
    double nll = 0.0;
    if (!batch_.dense) {
      const double own = xOf(strip, target.y, r);
      loss = target.own > 0.0 ? -(target.own * own) : 0.0;
      if (target.lambda > 0.0) nll = -(target.lambda * own);
      if (target.second != kNone) {
        const double second = xOf(strip, target.second, r);
        if (target.ownSecond > 0.0) loss -= target.ownSecond * second;
        if (target.lambda < 1.0) nll -= (1.0 - target.lambda) * second;
      }
      if (target.mass > 0.0) {
        // With 'kl', `linear` is small near the minimum; the reference times `otherFactors` is in target.entropy too.
        const double rest = batch_.kl ? toDouble(strip.reference[r]) * target.otherFactors : 0.0;
        loss -= target.mass * (batch_.kl ? linear + rest : linear);
      }
      if (batch_.kl) loss += target.entropy;
    }
    const double weighed = weigh(numberOf<Real>(batch_.rowWeight, index, 1.0), loss);
    sums.numerator += weighed;
    if (!batch_.dense) putResult<Real>(batch_.losses, index, weighed);
    putResult<Real>(batch_.rowLoss, index, weighed);
    if (wantsNll_) putResult<Real>(batch_.rowNll, index, nll);
    sums.nll += oneNaN(nll);
    if (batch_.prediction) batch_.prediction[index] = static_cast<int32_t>(strip.largest.index[r]);
    if (batch_.metrics && !batch_.dense && strip.largest.index[r] == largestClass(target)) sums.correct += 1.0;
  }

  template <bool kLogTarget>
  void diverge(Strip& strip, const Numbers<Layout>& dense, Real* targets, size_t first, size_t n) {
    const DivergenceVisitor<Layout, kLogTarget> visitor{logitBlock(batch_, strip.user, strip.x, first, n, scratch_),
                                                        dense,
                                                        classFactors<Real>(batch_.weight, first),
                                                        scratchAt_,
                                                        targets,
                                                        strip.user,
                                                        strip.lossesAt(batch_, first),
                                                        Layout::perRow(strip.weight),
                                                        Layout::perRow(strip.limit)};
    strip.user.sum(n, Layout::skip(kNoColumns, 0), visitor, strip.linear);
  }

  // linear[r] += Σ factor_c · (x_c − reference) over the block's columns but those of the target. Without kRelative
  // there is no reference: to subtract 0 takes 15 % of the instructions at 1,000 classes.
  template <bool kRelative, Factors kFactors>
  void sumLinear(const FactorLoads<Layout, kFactors>& factors, Strip& strip, const Numbers<Layout>& x, size_t first,
                 size_t n) {
    double sums[kRows] = {};
    BelowVisitor<Layout, Real, kFactors, kRelative> visitor{x.at, x.p, factors, Layout::perRow(strip.reference)};
    strip.user.sum(n, Layout::skip(strip.skips, first), visitor, sums);
    for (size_t r = 0; r < kRows; ++r) {
      const ClassTarget& target = strip.targets[r];
      if (target.y == kNone) continue;
      const size_t second = target.second - first;
      const double reference = toDouble(strip.reference[r]);
      if (!(sums[r] > -kInfinity)) {
        sums[r] = exactBelow<Layout, Real, kFactors>(x.at, x.p, factors, n, r, target.y - first, second, reference);
      } else if (target.second != kNone && second < n) {
        const double factor = numberOf<Real>(batch_.smoothing, target.second, 1.0);
        if (factor > 0.0) sums[r] -= factor * (xOf(strip, target.second, r) - reference);
      }
      strip.linear[r] += sums[r];
    }
  }

  template <Factors kFactors>
  void writeGradient(const FactorLoads<Layout, kFactors>& factors, const Strip& strip, size_t first, size_t n) {
    const GradientBlock<Layout> gradient = strip.gradientBlock(batch_, first, scratch_);
    strip.user.forEach(n,
                       ScaleVisitor<Layout, kFactors>{factors, gradient.at, gradient.p, Layout::perRow(strip.scale)});
    strip.deliver(batch_, gradient, first, n);
  }

  double xOf(const Strip& strip, size_t c, size_t r) const {
    return withElements<Real>(batch_.type, strip.x, [&](auto* x) { return toDouble(*strip.user.element(x, c, r)); });
  }
};
