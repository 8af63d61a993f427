// Losses that are linear in their input, log-probabilities: nllLoss, klDiv, and smoothLabels as the gradient of nllLoss
// by −1. Include after targets-inl.h, in a backend's unnamed namespace. lib/js/linear.ts mirrors this file.
//
//     classes:  l = −Σ_k w_k t'_k x_k  (form 'kl': + Σ_k w_k t'_k ln t'_k),   t' as ClassTarget
//     dense:    l = Σ_k w_k t_k (ln t_k − x_k)
//     gradient  −w_k t'_k
//
// A class whose w_k t'_k is 0 adds nothing, whatever its x_k.

// gradient_c ← factor_c · scale.
template <typename At, Factors kFactors>
struct ScaleVisitor {
  using V = typename At::V;
  FactorLoads<At, kFactors> factors;
  At to;
  typename At::Real* gradient;
  V scale;

  template <typename Loads, size_t N>
  void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      const V zero = set1(typename At::Real(0));
      terms[i] = fma(factors.get(loads, c + i * At::kColumns), scale, zero);
      loads.put(to, gradient, c + i * At::kColumns, oneNaN(terms[i]));
    }
  }
};

// The elements of klDiv, with w_c t_c for the gradient.
template <typename At, bool kLogTarget>
struct DivergenceVisitor {
  using V = typename At::V;
  using Real = typename At::Real;
  Numbers<At> x;
  Numbers<At> dense;
  const Real* weight;
  At scratch;
  Real* targets;
  At user;
  Real* losses;  // null: not asked for
  V rowWeight;
  V limit;  // 0 for rows that take no part

  template <typename Loads, size_t N>
  void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    V share[N];
    for (size_t i = 0; i < N; ++i) {
      terms[i] = loads.elements(dense.at, dense.p, c + i * At::kColumns);
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
      const size_t column = c + i * At::kColumns;
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

template <typename At>
class LinearKernel {
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
    const void* x;  // null: smoothLabels
    void* gradient;
    size_t offset;
    bool any;      // of the rows takes part
    bool smooths;  // of the rows has smoothing mass
    ClassTarget targets[kRows];
    size_t skips[kRows];
    Real scale[kRows];
    Real keep[kRows];
    Real mass[kRows];
    Real weight[kRows];
    Real limit[kRows];
    Real reference[kRows];  // form 'kl': ln mass, else 0
    double apart[kRows];    // a factor that waits: see multiplyRows
    bool anyApart;
    double linear[kRows];  // Σ of v_k (x_k − reference) over the classes but y, or of the elements of klDiv
    Argmax<At> largest;
  };
  // kElements: all that is read, and the gradient of dense targets. kSmoothing: the gradient of classes.
  enum Stage : size_t { kElements, kSmoothing, kStages };

 private:
  const Batch& batch_;
  Scratch& scratch_;
  const ClassTargets<Real> targets_;
  const At scratchAt_ = scratchLayout(As<At>());
  const bool wantsNll_;
  const bool wantsArgmax_;

 public:
  LinearKernel(const Batch& batch, Scratch& scratch, bool /*split*/ = false)
      : batch_(batch),
        scratch_(scratch),
        targets_(batch),
        wantsNll_(batch.metrics || batch.rowNll != nullptr),
        wantsArgmax_(batch.metrics || batch.prediction != nullptr) {}

  void run(size_t begin, size_t end, Sums& sums) {
    Strip strip;
    for (size_t row = begin; row < end; row += strip.rowCount) {
      open(strip, row, stripOf(As<At>(), batch_, row, end));
      for (size_t stage = 0; stage < kStages; ++stage) {
        if (needs(strip, stage)) runStage(*this, strip, stage, batch_.classes);
        close(strip, stage, sums);
      }
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
      strip.any = true;
      strip.smooths = strip.smooths || target.mass > 0.0;
      const double factor = -upstreamOf<Real>(batch_, row + r) * (batch_.dense ? 1.0 : target.mass);
      strip.scale[r] = toReal<Real>(factor);
      if (waits<Real>(magnitude(factor))) {
        strip.scale[r] = 1;
        strip.apart[r] = factor;
        strip.anyApart = true;
      }
      if (batch_.kl && strip.x && target.mass >= 0x1p-1022) strip.reference[r] = static_cast<Real>(log(target.mass));
      const double epsilon = numberOf<Real>(batch_.epsilons, row + r, batch_.epsilon);
      strip.keep[r] = static_cast<Real>(1.0 - epsilon);
      strip.mass[r] = static_cast<Real>(epsilon > 0.0 ? epsilon / batch_.priorTotal.sum : 0.0);
      strip.weight[r] = static_cast<Real>(numberOf<Real>(batch_.rowWeight, row + r, 1.0));
      constexpr auto kReals = std::numeric_limits<Real>{};
      strip.limit[r] = strip.weight[r] == 0 ? kReals.max() : kReals.infinity();
    }
  }
  bool needs(const Strip& strip, size_t stage) const {
    if (!strip.any) return false;
    if (stage == kSmoothing) return strip.gradient && !batch_.dense && strip.smooths;
    return batch_.dense || (strip.x && (strip.smooths || wantsArgmax_));
  }
  void part(Strip& strip, size_t stage, size_t first, size_t end) {
    for (size_t c = first; c < end; c += kBlock) {
      const size_t n = end - c < kBlock ? end - c : kBlock;
      if (batch_.dense) {
        addDense(strip, c, n);
      } else if (stage == kElements) {
        addClasses(strip, c, n);
      } else if (batch_.smoothing) {
        scaleBlock(smoothingFactors(strip, c), strip, c, n);
      } else {
        scaleBlock(FactorLoads<At, Factors::kOnes>{nullptr, strip.user, nullptr}, strip, c, n);
      }
    }
  }
  void merge(Strip& strip, size_t stage, const Strip& part, size_t, size_t) const {
    if (stage != kElements) return;
    strip.largest.take(part.largest);
    for (size_t r = 0; r < kRows; ++r) strip.linear[r] += part.linear[r];
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
    const Numbers<At> dense = denseBlock(batch_, strip.first, strip.user, first, n, scratch_);
    Real* blended = blockOf<Real>(scratch_, kTargetBlock);
    if (strip.x == nullptr) {
      BlendVisitor<At> visitor{dense,
                               classFactors<Real>(batch_.prior, first),
                               kOneFactors<Real>.ones,
                               scratchAt_,
                               nullptr,
                               blended,
                               At::perRow(strip.keep),
                               At::perRow(strip.mass)};
      strip.user.forEach(n, visitor);
    } else if (batch_.logTarget) {
      diverge<true>(strip, dense, blended, first, n);
    } else {
      diverge<false>(strip, dense, blended, first, n);
    }
    if (strip.gradient) scaleBlock(FactorLoads<At, Factors::kElements>{nullptr, scratchAt_, blended}, strip, first, n);
  }

  void addClasses(Strip& strip, size_t first, size_t n) {
    const Numbers<At> x = logitBlock(batch_, strip.user, strip.x, first, n, scratch_);
    if (wantsArgmax_) strip.largest.take(x.at, x.p, first, n, true);
    if (!strip.smooths) return;
    const auto add = [&](const auto& factors) {
      if (batch_.kl) {
        addLinear<true>(factors, strip, x, first, n);
      } else {
        addLinear<false>(factors, strip, x, first, n);
      }
    };
    if (batch_.smoothing) {
      add(smoothingFactors(strip, first));
    } else {
      add(FactorLoads<At, Factors::kOnes>{nullptr, strip.user, nullptr});
    }
  }

  FactorLoads<At, Factors::kClasses> smoothingFactors(const Strip& strip, size_t first) const {
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
        // Of 'kl' the classes add up what is small near the minimum; the rest of them is in target.entropy too.
        const double rest = batch_.kl ? toDouble(strip.reference[r]) * target.others : 0.0;
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
  void diverge(Strip& strip, const Numbers<At>& dense, Real* targets, size_t first, size_t n) {
    const size_t offset = strip.user.offset(first);
    const DivergenceVisitor<At, kLogTarget> visitor{
        logitBlock(batch_, strip.user, strip.x, first, n, scratch_),
        dense,
        classFactors<Real>(batch_.weight, first),
        scratchAt_,
        targets,
        strip.user,
        batch_.losses ? static_cast<Real*>(batch_.losses) + strip.offset + offset : nullptr,
        At::perRow(strip.weight),
        At::perRow(strip.limit)};
    strip.user.sum(n, At::skip(kNoColumns, 0), visitor, strip.linear);
  }

  // linear[r] += Σ over the block's columns but those of the target of factor_c · (x_c − reference). Not kRelative, of
  // the form that has no reference: to subtract 0 takes 15 % of the instructions at 1,000 classes.
  template <bool kRelative, Factors kFactors>
  void addLinear(const FactorLoads<At, kFactors>& factors, Strip& strip, const Numbers<At>& x, size_t first, size_t n) {
    double sums[kRows] = {};
    BelowVisitor<At, Real, kFactors, kRelative> visitor{x.at, x.p, factors, At::perRow(strip.reference)};
    strip.user.sum(n, At::skip(strip.skips, first), visitor, sums);
    for (size_t r = 0; r < kRows; ++r) {
      const ClassTarget& target = strip.targets[r];
      if (target.y == kNone) continue;
      const size_t second = target.second - first;
      const double reference = toDouble(strip.reference[r]);
      if (!(sums[r] > -kInfinity)) {
        sums[r] = exactBelow<At, Real, kFactors>(x.at, x.p, factors, n, r, target.y - first, second, reference);
      } else if (target.second != kNone && second < n) {
        const double factor = numberOf<Real>(batch_.smoothing, target.second, 1.0);
        if (factor > 0.0) sums[r] -= factor * (xOf(strip, target.second, r) - reference);
      }
      strip.linear[r] += sums[r];
    }
  }

  template <Factors kFactors>
  void scaleBlock(const FactorLoads<At, kFactors>& factors, const Strip& strip, size_t first, size_t n) {
    const GradientBlock<At> gradient(batch_, strip.user, strip.gradient, first, scratch_);
    strip.user.forEach(n, ScaleVisitor<At, kFactors>{factors, gradient.at, gradient.p, At::perRow(strip.scale)});
    if (strip.anyApart) multiplyRows(gradient, n, strip.apart);
    gradient.deliver(batch_, strip.user, strip.gradient, first, n);
  }

  double xOf(const Strip& strip, size_t c, size_t r) const {
    return withElements<Real>(batch_.type, strip.x, [&](auto* x) { return toDouble(*strip.user.element(x, c, r)); });
  }
};
