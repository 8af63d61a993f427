// Softmax cross entropy of a vector of packed rows at once. Include after cross_entropy-inl.h, in a backend's unnamed
// namespace.
//
// The kernel handles the numbers of rows one by one. Here they are in vectors as well, so that rows of ten classes take
// half the time. Rare rows are left to the kernel.
template <typename V, bool kGeneral>
class PackedSolver {
  using Layout = Across<V>;
  using Real = typename Layout::Real;
  using D = DoubleVec;
  using Kernel = CrossEntropyKernel<Real, Layout, kGeneral>;
  using Parts = SoftmaxParts<kGeneral>;
  static constexpr size_t kRows = Layout::kRows;

 public:
  PackedSolver(const Batch& batch, Scratch& scratch, const Kernel& kernel)
      : batch_(batch), scratch_(scratch), kernel_(kernel) {}

  // Solves a whole vector of rows at once, from x and to gradient in scratch memory. Returns false, leaving the sums
  // and results untouched, if the batch or a row needs the general path: the batch has a part that is not computed
  // here, a row's logits are beyond kShiftAbove, a number of it is not finite, or its factor may have to wait. The
  // gradient may then hold scratch values.
  bool tryRun(size_t row, size_t rows, const Real* x, Real* gradient, Sums& sums) const {
    if (!parts().within(Parts::kPacked)) return false;
    Strip strip;
    strip.row = row;
    strip.rowCount = rows;
    strip.x = x;
    strip.gradient = gradient;
    if (loadTargets(strip)) {
      if (!findMaximum(strip) || !loadNumbers(strip)) return false;
      scan(strip);
      if (!solve(strip)) return false;
      write(strip, sums);
    }
    writeIgnored(strip);
    return true;
  }

 private:
  // The rows' numbers on their way through the phases: the same as those of RowScale and SoftmaxSolver.
  struct Strip {
    size_t row;
    size_t rowCount;
    const Real* x;
    Real* gradient;
    size_t pivots[kRows];   // kNone: the row is ignored
    Real columns[kRows];    // the pivots as numbers, −1 for none
    double counted[kRows];  // 0 for an ignored row, else 1
    Argmax<Layout> largest;
    Real largestColumns[kRows];
    double k[kRows];
    bool smooths;
    SoftmaxNumbers<Layout> numbers;
  };

  // Returns false if all rows are ignored.
  SMOOTHLOSS_INLINE bool loadTargets(Strip& strip) const {
    bool any = false;
    for (size_t r = 0; r < kRows; ++r) {
      const size_t y = strip.pivots[r] = r < strip.rowCount ? kernel_.targets().classOf(strip.row + r) : kNone;
      strip.columns[r] = y == kNone ? Real(-1) : static_cast<Real>(static_cast<int32_t>(y));
      strip.counted[r] = y == kNone ? 0.0 : 1.0;
      any = any || y != kNone;
    }
    return any;
  }

  // Returns false if a row has to be shifted.
  SMOOTHLOSS_INLINE bool findMaximum(Strip& strip) const {
    Argmax<Layout>& largest = strip.largest;
    largest.clear();
    largest.take(at_, strip.x, 0, batch_.classes, parts().wantsArgmax());
    for (size_t r = 0; r < kRows; ++r) {
      const size_t pivot = strip.pivots[r];
      strip.numbers.logPivot[r] = toDouble(strip.x[(pivot == kNone ? 0 : pivot) * kRows + r]);
      if (pivot == kNone) largest.maximum[r] = Real(0);
      if (parts().wantsEntropy()) strip.largestColumns[r] = static_cast<Real>(static_cast<int32_t>(largest.index[r]));
    }
    return !(toDouble(maxLane(abs(Layout::perRow(largest.maximum)))) > kShiftAbove);
  }

  // Sets the scale of the exponentials, and the targets. Returns false if a factor may have to wait.
  SMOOTHLOSS_INLINE bool loadNumbers(Strip& strip) const {
    SoftmaxNumbers<Layout>& of = strip.numbers;
    const ClassTarget* const alike = kernel_.targets().alike();
    const ClassTarget target = alike ? *alike : ClassTarget(kNone);
    strip.smooths = target.mass > 0.0;
    double factors = magnitude(batch_.gradientScale) * (target.own + target.mass * (target.otherFactors + 1.0));
    for (size_t r = 0; r < kRows; r += D::kWidth) {
      const auto put = [r](double* numbers, D a) { store(numbers + r, a); };
      const D most = load(As<D>(), strip.largest.maximum + r);
      const D scale = roundToInteger(most * kLog2EDouble);
      put(strip.k, scale);
      put(of.maximum, most);
      put(of.logMaximum, lessLn2<Real>(most, scale));
      put(of.logPivot, lessLn2<Real>(load(As<D>(), of.logPivot + r), scale));
      put(of.own, target.own);
      put(of.rest, target.mass * target.otherFactors);
      put(of.mass, target.mass);
      put(of.otherFactors, target.otherFactors);
      put(of.factor, bounded(batch_.gradientScale));
      put(of.exps, 0.0);
      put(of.otherLogits, 0.0);
      put(of.spread, 0.0);
      put(of.lesser, 0.0);
    }
    if (!alike || batch_.rowWeight || batch_.gradientScales) {
      for (size_t r = 0; r < strip.rowCount; ++r) {
        if (strip.pivots[r] == kNone) continue;
        ClassTarget its;
        kernel_.targets().take(strip.row + r, its);
        of.own[r] = its.own;
        of.rest[r] = its.mass * its.otherFactors;
        of.mass[r] = its.mass;
        of.otherFactors[r] = its.otherFactors;
        of.factor[r] = upstreamOf<Real>(batch_, strip.row + r);
        strip.smooths = strip.smooths || its.mass > 0.0;
        const double size = magnitude(of.factor[r]) * (its.own + its.mass * (its.otherFactors + 1.0));
        factors = size > factors ? size : factors;
      }
    }
    return !isDeferred<Real>(8.0 * factors);
  }

  // Computes all sums over the columns; keeps all e_k where the gradient will be, if one is asked for.
  SMOOTHLOSS_INLINE void scan(Strip& strip) const {
    const Layout& at = at_;
    SoftmaxNumbers<Layout>& of = strip.numbers;
    const V maximum = Layout::perRow(strip.largest.maximum);
    const V noShift = set1(Real(0));
    const V floor = expFloor(As<V>(), strip.k);
    const V magic = expMagic(As<V>(), strip.k);
    for (size_t c = 0; c < batch_.classes; c += kBlock) {
      const size_t n = batch_.classes - c < kBlock ? batch_.classes - c : kBlock;
      const Real* const z = strip.x + c * kRows;
      const auto skip = [c](const Real* which) {
        return typename Layout::Skip{sub(load(As<V>(), which), set1(static_cast<Real>(c)))};
      };
      if (strip.smooths) {
        const BelowVisitor<Layout, Real, Factors::kOnes> visitor{at, z, {nullptr, at, nullptr}, maximum};
        at.sum(n, skip(strip.columns), visitor, of.otherLogits);
      }
      Real* const e = strip.gradient           ? strip.gradient + c * kRows
                      : parts().wantsEntropy() ? blockOf<Real>(scratch_, kExpBlock)
                                               : nullptr;
      if (e) {
        const ExpVisitor<Layout, Real, Keep::kColumns, false> visitor{at, z, at, e, 0, noShift, floor, magic};
        at.sum(n, skip(strip.columns), visitor, of.exps);
      } else {
        const ExpVisitor<Layout, Real, Keep::kNot, false> visitor{at, z, at, nullptr, 0, noShift, floor, magic};
        at.sum(n, skip(strip.columns), visitor, of.exps);
      }
      if (parts().wantsEntropy()) {
        at.sum(n, Layout::skip(kNoColumns, 0), SpreadVisitor<Layout, Real>{at, z, at, e, maximum}, of.spread);
        at.sum(n, skip(strip.largestColumns), ElementVisitor<Layout, Real>{at, e}, of.lesser);
      }
    }
  }

  // Returns false if a number of a row is not finite, unless the row is ignored.
  SMOOTHLOSS_INLINE bool solve(Strip& strip) const {
    SoftmaxNumbers<Layout>& of = strip.numbers;
    D odd = 0.0;  // NaN where a number is not finite
    for (size_t r = 0; r < kRows; r += D::kWidth) {
      kernel_.solver().template solveRows<D>(of, r);
      D excess = 0.0;
      for (const double* numbers : {of.sum, of.otherLogits, of.own, of.rest, of.factor}) {
        const D a = load(As<D>(), numbers + r);
        excess = excess + (a - a);
      }
      odd = odd + zeroWhereZero(excess, load(As<D>(), strip.counted + r));
    }
    return !(maxLane(whereEqual(odd, 0.0, 0.0, 1.0)) > 0.0);
  }

  // Writes the losses, reports and gradient of all rows but the ignored.
  SMOOTHLOSS_INLINE void write(const Strip& strip, Sums& sums) const {
    const SoftmaxNumbers<Layout>& of = strip.numbers;
    for (size_t r = 0; r < strip.rowCount; ++r) {
      if (strip.pivots[r] == kNone) continue;
      const size_t row = strip.row + r;
      const double weighed = addLoss<Real>(batch_, row, of.ownLoss[r] + of.smoothedLoss[r], sums);
      if (parts().reports()) {
        const double entropy = parts().wantsEntropy() ? of.entropy[r] : kNaN;
        const double lse = of.maximum[r] + of.lseAboveMax[r];
        report<Real>(batch_, row, {weighed, of.nll[r], lse, entropy, 0.0, strip.largest.index[r], strip.pivots[r]},
                     sums);
      }
    }
    if (!strip.gradient) return;
    at_.forEach(batch_.classes, GradientVisitor<Layout, Real, Factors::kOnes>{at_,
                                                                              strip.gradient,
                                                                              {nullptr, at_, nullptr},
                                                                              at_,
                                                                              strip.gradient,
                                                                              toReals(of.multiplier),
                                                                              toReals(of.offset)});
    Real pivotGradients[kRows];
    store(pivotGradients, toReals(of.pivotGradient));
    for (size_t r = 0; r < strip.rowCount; ++r) {
      if (strip.pivots[r] != kNone) strip.gradient[strip.pivots[r] * kRows + r] = pivotGradients[r];
    }
  }
  SMOOTHLOSS_INLINE void writeIgnored(const Strip& strip) const {
    for (size_t r = 0; r < strip.rowCount; ++r) {
      if (strip.pivots[r] != kNone) continue;
      if (parts().wantsPrediction()) batch_.prediction[strip.row + r] = -1;
      if (strip.gradient) fillRow(at_, strip.gradient, batch_.classes, r, 0.0);
    }
  }
  // toReal of each row's number, of which none is NaN.
  SMOOTHLOSS_INLINE static V toReals(const double* numbers) {
    constexpr double kLargest = kLargestGradient<Real>;
    double bounds[kRows];
    for (size_t r = 0; r < kRows; r += D::kWidth) {
      store(bounds + r, max(min(load(As<D>(), numbers + r), kLargest), -kLargest));
    }
    return load(As<V>(), bounds);
  }

  const Parts& parts() const { return kernel_.parts(); }

  const Batch& batch_;
  Scratch& scratch_;
  const Kernel& kernel_;
  const Layout at_ = scratchLayout(As<Layout>());
};
