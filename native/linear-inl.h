// Losses that are linear in their input, log-probabilities: nllLoss, klDiv, and smoothLabels as the gradient of nllLoss
// by −1. Include after targets-inl.h, in a backend's unnamed namespace. lib/js/linear.ts mirrors this file.
//
//     classes:  l = −Σ_k w_k t'_k x_k  (form 'kl': + Σ_k w_k t'_k ln t'_k),   t' as ClassTarget
//     dense:    l = Σ_k w_k t_k (ln t_k − x_k)
//     gradient  −w_k t'_k
//
// A class whose w_k t'_k is 0 adds nothing, whatever its x_k.

// gradient_c ← factor_c · scale.
template <typename At, typename T, Factors kFactors>
struct ScaleVisitor {
  using V = typename At::V;
  FactorLoads<At, kFactors> factors;
  At to;
  T* gradient;
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
  const float* weight;
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
      for (size_t i = 0; i < N; ++i) share[i] = max(floor, min(ceiling, share[i]));
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

template <typename T, typename At>
class LinearKernel {
  using V = typename At::V;
  using Real = typename At::Real;
  static constexpr size_t kRows = At::kRows;

  const Batch& batch_;
  Scratch& scratch_;
  const At scratchAt_ = scratchLayout(As<At>());
  const bool wantsNll_;
  const bool wantsArgmax_;

 public:
  LinearKernel(const Batch& batch, Scratch& scratch)
      : batch_(batch),
        scratch_(scratch),
        wantsNll_(batch.metrics || batch.rowNll != nullptr),
        wantsArgmax_(batch.metrics || batch.prediction != nullptr) {}

  void run(size_t begin, size_t end, Sums& sums) {
    for (size_t row = begin; row < end;) {
      const size_t rows = stripOf(As<At>(), batch_, row, end);
      strip(row, rows, sums);
      row += rows;
    }
  }

 private:
  void strip(size_t first, size_t count, Sums& sums) {
    const size_t classes = batch_.classes;
    const size_t offset = offsetOf(batch_, first, batch_.rowStride);
    const At user = userLayout(As<At>(), batch_, count);
    const T* x = batch_.logits ? static_cast<const T*>(batch_.logits) + offset : nullptr;
    T* gradient = batch_.gradient ? static_cast<T*>(batch_.gradient) + offset : nullptr;

    ClassTarget targets[kRows] = {};
    size_t skips[kRows] = {};
    Real scale[kRows] = {}, mass[kRows] = {}, keep[kRows] = {}, weight[kRows] = {}, limit[kRows] = {};
    bool any = false;
    bool smooths = false;
    for (size_t r = 0; r < kRows; ++r) {
      targets[r] = r < count ? ClassTarget(batch_, first + r) : ClassTarget(kNone);
      skips[r] = targets[r].y;
      if (targets[r].y == kNone) continue;
      any = true;
      smooths = smooths || targets[r].mass > 0.0;
      const double factor = -upstreamOf(batch_, first + r);
      scale[r] = toReal<Real>(batch_.dense ? factor : factor * targets[r].mass);
      const double epsilon = numberOf(batch_.epsilons, first + r, batch_.epsilon);
      keep[r] = static_cast<Real>(1.0 - epsilon);
      mass[r] = static_cast<Real>(epsilon > 0.0 ? epsilon / batch_.priorTotal.sum : 0.0);
      weight[r] = static_cast<Real>(numberOf(batch_.rowWeight, first + r, 1.0));
      constexpr auto kReals = std::numeric_limits<Real>{};
      limit[r] = weight[r] == 0 ? kReals.max() : kReals.infinity();
    }

    double linear[kRows] = {};  // Σ of v_k x_k over the classes but y, or of the elements of klDiv
    Argmax<At> largest;
    if (any && batch_.dense) {
      for (size_t c = 0; c < classes; c += kBlock) {
        const size_t n = classes - c < kBlock ? classes - c : kBlock;
        const Numbers<At> dense = denseBlock(batch_, first, user, c, n, scratch_);
        Real* blended = blockOf<Real>(scratch_, kTargetBlock);
        if (x == nullptr) {
          BlendVisitor<At> visitor{dense,
                                   classFactors(batch_.prior, c),
                                   kOneFactors.ones,
                                   scratchAt_,
                                   blockOf<Real>(scratch_, kShareBlock),
                                   blended,
                                   At::perRow(keep),
                                   At::perRow(mass)};
          user.forEach(n, visitor);
        } else if (batch_.logTarget) {
          diverge<true>(user, x, dense, blended, offset, c, n, weight, limit, linear);
        } else {
          diverge<false>(user, x, dense, blended, offset, c, n, weight, limit, linear);
        }
        if (gradient) {
          scaleBlock(FactorLoads<At, Factors::kElements>{nullptr, scratchAt_, blended}, user, gradient + user.offset(c),
                     n, scale);
        }
      }
    } else if (any && x) {
      for (size_t c = 0; c < classes && (smooths || wantsArgmax_); c += kBlock) {
        const size_t n = classes - c < kBlock ? classes - c : kBlock;
        const T* block = x + user.offset(c);
        if (wantsArgmax_) largest.take(user, block, c, n, true);
        if (!smooths) continue;
        if (batch_.smoothing) {
          addLinear(FactorLoads<At, Factors::kClasses>{static_cast<const Real*>(batch_.smoothing) + c, user, nullptr},
                    user, block, skips, targets, x, c, n, linear);
        } else {
          addLinear(FactorLoads<At, Factors::kOnes>{nullptr, user, nullptr}, user, block, skips, targets, x, c, n,
                    linear);
        }
      }
    }
    for (size_t r = 0; r < count; ++r) {
      const ClassTarget& target = targets[r];
      const size_t index = first + r;
      const bool takes = target.y != kNone;
      if (x) {
        if (takes) {
          reportRow(target, user, x, r, index, linear[r], largest, sums);
        } else if (batch_.prediction) {
          batch_.prediction[index] = -1;
        }
      }
    }
    if (gradient == nullptr) return;
    if (any && !batch_.dense && smooths) {
      for (size_t c = 0; c < classes; c += kBlock) {
        const size_t n = classes - c < kBlock ? classes - c : kBlock;
        if (batch_.smoothing) {
          scaleBlock(FactorLoads<At, Factors::kClasses>{static_cast<const Real*>(batch_.smoothing) + c, user, nullptr},
                     user, gradient + user.offset(c), n, scale);
        } else {
          scaleBlock(FactorLoads<At, Factors::kOnes>{nullptr, user, nullptr}, user, gradient + user.offset(c), n,
                     scale);
        }
      }
    }
    for (size_t r = 0; r < count; ++r) {
      const ClassTarget& target = targets[r];
      const bool takes = target.y != kNone;
      if (!takes || (!batch_.dense && !smooths)) fillRow(user, gradient, classes, r, 0.0);
      if (!takes || batch_.dense) continue;
      const double upstream = upstreamOf(batch_, first + r);
      put(user.element(gradient, target.y, r), 0.0 - upstream * target.own);
      if (target.second != kNone) put(user.element(gradient, target.second, r), 0.0 - upstream * target.ownSecond);
    }
  }

  void reportRow(const ClassTarget& target, const At& user, const T* x, size_t r, size_t index, double linear,
                 const Argmax<At>& largest, Sums& sums) {
    double loss = linear;
    double nll = 0.0;
    if (!batch_.dense) {
      const double own = toDouble(*user.element(x, target.y, r));
      loss = target.own > 0.0 ? -(target.own * own) : 0.0;
      if (target.lambda > 0.0) nll = -(target.lambda * own);
      if (target.second != kNone) {
        const double second = toDouble(*user.element(x, target.second, r));
        if (target.ownSecond > 0.0) loss -= target.ownSecond * second;
        if (target.lambda < 1.0) nll -= (1.0 - target.lambda) * second;
      }
      if (target.mass > 0.0) loss -= target.mass * linear;
      if (batch_.kl) loss += target.entropy;
    }
    const double weighed = weigh(numberOf(batch_.rowWeight, index, 1.0), loss);
    sums.numerator += weighed;
    if (!batch_.dense) putResult<Real>(batch_.losses, index, weighed);
    putResult<Real>(batch_.rowLoss, index, weighed);
    if (wantsNll_) putResult<Real>(batch_.rowNll, index, nll);
    sums.nll += oneNaN(nll);
    if (batch_.prediction) batch_.prediction[index] = static_cast<int32_t>(largest.index[r]);
    if (batch_.metrics && !batch_.dense && largest.index[r] == largestClass(target)) sums.correct += 1.0;
  }

  template <bool kLogTarget>
  void diverge(const At& user, const T* x, const Numbers<At>& dense, Real* targets, size_t offset, size_t first,
               size_t n, const Real* rowWeight, const Real* limit, double* sums) {
    Real* losses = batch_.losses ? static_cast<Real*>(batch_.losses) + offset + user.offset(first) : nullptr;
    DivergenceVisitor<At, kLogTarget> visitor{realBlock(user, x + user.offset(first), n, scratch_, kLogitBlock),
                                              dense,
                                              classFactors(batch_.weight, first),
                                              scratchAt_,
                                              targets,
                                              user,
                                              losses,
                                              At::perRow(rowWeight),
                                              At::perRow(limit)};
    user.sum(n, At::skip(kNoColumns, 0), visitor, sums);
  }

  // linear[r] += Σ over the block's columns but those of the target of factor_c · x_c.
  template <Factors kFactors>
  void addLinear(const FactorLoads<At, kFactors>& factors, const At& user, const T* block, const size_t* skips,
                 const ClassTarget* targets, const T* x, size_t first, size_t n, double* linear) {
    const Real zeros[kRows] = {};
    double sums[kRows] = {};
    BelowVisitor<At, T, kFactors> visitor{user, block, factors, At::perRow(zeros)};
    user.sum(n, At::skip(skips, first), visitor, sums);
    for (size_t r = 0; r < kRows; ++r) {
      const ClassTarget& target = targets[r];
      if (target.y == kNone) continue;
      const size_t second = target.second - first;
      if (!(sums[r] > -kInfinity)) {
        sums[r] = exactBelow<At, T, kFactors>(user, block, factors, n, r, target.y - first, second, 0.0);
      } else if (target.second != kNone && second < n) {
        const double factor = smoothingOf(batch_, target.second);
        if (factor > 0.0) sums[r] -= factor * toDouble(*user.element(x, target.second, r));
      }
      linear[r] += sums[r];
    }
  }

  template <Factors kFactors>
  static void scaleBlock(const FactorLoads<At, kFactors>& factors, const At& user, T* gradient, size_t n,
                         const Real* scale) {
    ScaleVisitor<At, T, kFactors> visitor{factors, user, gradient, At::perRow(scale)};
    user.forEach(n, visitor);
  }
};
