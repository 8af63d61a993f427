// Softmax cross entropy. Include after targets-inl.h, in a backend's unnamed namespace. lib/js/cross-entropy.ts mirrors
// this file.
//
// One kernel for every combination of options. It is instantiated for the type of the arithmetic and the direction of
// the vectors only; everything else is a part that it runs or leaves out for a block of 512 columns at a time, where
// asking costs nothing: the terms of the logits (into scratch memory, from where the rest reads them), the target's
// blend of soft targets, smoothing and weights (likewise), the sums over it, the entropy, the derivative of the cap. So
// parts add up, and do not multiply. A part that does have variants has them as a template argument of its visitor.

// Beyond this size a row is shifted by its maximum first (exact where it matters: Sterbenz); below it, exp needs no
// subtraction that would round, and so is exact for logits in double too, whose differences would not be: see lessLn2.
// Much more would not do: from 2^20 on, the error of x · kLog2E and that of a floor in float together can take the
// rounded exponent below 0, past 2^−127 and round to infinity.
constexpr double kShiftAbove = 0x1p19;

// Where a gradient may be larger than the root of this, its factor waits (targets-inl.h): up to there the products that
// it is the difference of, of an exponential up to 2^½ and of a target, are floats.
constexpr double kMostSquare = 0x1p252;

// How a row's exponentials are scaled: e_c = e^(z_c − shift) · 2^−k, between 2^−½ and 2^½ for the largest.
struct RowScale {
  double shift;  // 0, or the maximum itself
  double k;

  RowScale() = default;
  SMOOTHLOSS_INLINE explicit RowScale(double maximum)
      : shift(maximum > kShiftAbove || maximum < -kShiftAbove ? maximum : 0.0),
        k(roundToInteger((maximum - shift) * kLog2EDouble)) {}

  // ln e_c in double, for logits of the type Real.
  template <typename Real>
  SMOOTHLOSS_INLINE double log(double z) const {
    return lessLn2<Real>(z - shift, k);
  }
};

// What the exponentials of a strip's rows are computed with: see RowScale and exp.
template <typename At>
struct ExpNumbers {
  using Real = typename At::Real;
  Real shift[At::kRows] = {};
  Real floor[At::kRows] = {};
  Real magic[At::kRows] = {};
  bool shifts = false;  // any shift is not 0

  SMOOTHLOSS_INLINE void set(size_t r, const RowScale& scale) {
    shift[r] = static_cast<Real>(scale.shift);
    floor[r] = expFloor(As<typename At::V>(), scale.k);
    magic[r] = expMagic(As<typename At::V>(), scale.k);
    shifts = shifts || scale.shift != 0.0;
  }
};

// What becomes of exponentials: nothing, stored, or stored as whole vectors.
enum class Keep { kNot, kColumns, kWhole };

// What goes on beside the exponentials, step by step: nothing, or the row before gets its gradient, past the cache, and
// its exponentials give way to this row's.
struct Nothing {
  template <size_t N>
  SMOOTHLOSS_INLINE void step(size_t) const {}
};
template <typename At, typename T>
struct LastGradient {
  using V = typename At::V;
  const typename At::Real* e;  // all from the first column on that begins a line of the gradient
  T* gradient;
  size_t end;  // columns that fill whole lines, a multiple of kLanes
  size_t pivot;
  V scale;
  V offset;

  // N vectors from column c on, of which some may lie beyond the end. The pivot's lines are not streamed, since a store
  // to a line that has just been streamed waits for it to come back; vectors that come one by one are few.
  template <size_t N>
  SMOOTHLOSS_INLINE void step(size_t c) const {
    if (c >= end) return;
    if constexpr (N == 1) {
      store(gradient + c, element(c));
    } else {
      const bool streams = pivot - c >= N * At::kColumns;
      for (size_t i = c; i < c + N * At::kColumns; i += 2 * At::kColumns) {
        if (N * At::kColumns > kLanes && i >= end) return;
        const V first = element(i);
        const V second = element(i + At::kColumns);
        if (streams) {
          streamPair(gradient + i, first, second);
        } else {
          storePair(gradient + i, first, second);
        }
      }
    }
  }

 private:
  SMOOTHLOSS_INLINE V element(size_t c) const { return fma(load(As<V>(), e + c), scale, offset); }
};

template <typename At, typename T, Keep kKeep, bool kShift, typename Beside = Nothing>
struct ExpVisitor {
  using V = typename At::V;
  At at;
  const T* z;
  At to;
  typename At::Real* out;
  size_t ahead;  // bytes to the same column of the row that comes into the cache
  V shift;
  V floor;
  V magic;
  Beside beside = {};

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&e)[N]) {
    beside.template step<N>(c);
    // A later row comes into the cache while this one computes: 8 % faster beyond the cache, with AVX2.
    for (size_t i = 0; N > 1 && i < N; i += At::kAtOnce) at.ahead(z, c + i * At::kColumns, ahead);
    for (size_t i = 0; i < N; ++i) {
      const V x = loads.elements(at, z, c + i * At::kColumns);
      e[i] = expArgument(kShift ? sub(x, shift) : x, floor);
    }
    exp(e, magic);
    for (size_t i = 0; i < N; ++i) {
      if (kKeep == Keep::kColumns) loads.put(to, out, c + i * At::kColumns, e[i]);
      if (kKeep == Keep::kWhole) loads.putWhole(to, out, c + i * At::kColumns, e[i]);
    }
  }
};

// Σ e_c · (z_c − maximum), for the entropy.
template <typename At, typename T>
struct SpreadVisitor {
  using V = typename At::V;
  At at;
  const T* z;
  At scratch;
  const typename At::Real* e;
  V maximum;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      const V p = loads.elements(scratch, e, c + i * At::kColumns);
      terms[i] = zeroWhereZero(mul(p, sub(loads.elements(at, z, c + i * At::kColumns), maximum)), p);
    }
  }
};

// gradient_c ← e_c · scale + factor_c · offset.
template <typename At, typename T, Factors kFactors>
struct GradientVisitor {
  using V = typename At::V;
  At from;
  const typename At::Real* e;
  FactorLoads<At, kFactors> factors;
  At to;
  T* gradient;
  V scale;
  V offset;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      const V factor = factors.get(loads, c + i * At::kColumns);
      const V shift = kFactors == Factors::kOnes ? offset : mul(offset, factor);
      terms[i] = fma(loads.kept(from, e, c + i * At::kColumns), scale, shift);
    }
    loads.putAll(to, gradient, c, terms);
  }
};

// Soft targets: stores t'_c = keep · t_c + mass · prior_c, unless `shares` is null, and w_c t'_c, which it returns.
template <typename At>
struct BlendVisitor {
  using V = typename At::V;
  using Real = typename At::Real;
  Numbers<At> dense;
  const Real* prior;
  const Real* weight;
  At scratch;
  Real* shares;
  Real* targets;
  V keep;
  V mass;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * At::kColumns;
      const V share = fma(loads.elements(dense.at, dense.p, column), keep, mul(mass, loads.factors(prior, column)));
      terms[i] = mul(share, loads.factors(weight, column));
      if (shares) loads.put(scratch, shares, column, share);
      loads.put(scratch, targets, column, terms[i]);
    }
  }
};

// Σ w_c t'_c ln t'_c.
template <typename At>
struct EntropyVisitor {
  using V = typename At::V;
  Numbers<At> shares;
  Numbers<At> targets;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      const V target = loads.elements(targets.at, targets.p, c + i * At::kColumns);
      const V share = loads.elements(shares.at, shares.p, c + i * At::kColumns);
      terms[i] = zeroWhereZero(mul(target, log(share)), target);
    }
  }
};

// One row that takes part, on its way through the steps below.
//
// With e_k as in RowScale, S = Σ e_k, and one class apart, the pivot y: the target's first class, or with soft targets
// the largest logit. E = Σ_{k≠y} e_k; the pivot's own e_y stays in double:
//
//     −ln p_y = ln(S / e_y) = log1p(E / e_y),   lse − max = ln(S / e_max)
//     target    w_k t'_k = own·[k = y] + ownSecond·[k = second] + mass·v_k for all other k (ClassTarget)
//               soft: own = w_y t'_y, mass = 1, v_k = w_k t'_k
//     loss      own·(−ln p_y) + ownSecond·(−ln p_second) + mass·Σ v_k (−ln p_k),   −ln p_k = (lse − max) − (z_k − max)
//     gradient  p_k·(own + rest) − mass·v_k for other k,  p_y·rest − (E/S)·own for y,  rest = Σ_{k≠y} w_k t'_k
//     zLoss     + zLoss·lse²,  + 2·zLoss·lse·p_k (PaLM, arXiv:2204.02311, section 5)
//
// The identity with class weights is PyTorch's. Leaving y out of E keeps 1 − p_y = E/S and small losses exact where p_y
// is near 1.
struct SoftmaxRow {
  ClassTarget target;
  RowScale scale;
  bool defined;  // no NaN or +Infinity among the logits, and not −Infinity alone
  size_t pivot;
  double maximum;
  double zPivot;
  double zSecond;
  size_t predicted;
  size_t labelled;
  double multiplier;  // of e_k in the gradient
  double offset;      // of v_k in the gradient
  double apart;       // of both, a factor that waits (see waits) and is not in them; 0: none
  double pivotGradient;
  double secondGradient;
};

// What a row sums over its classes.
struct SoftmaxSums {
  double exps;     // E
  double below;    // Σ v_k (z_k − max) over the classes but y and second
  double spread;   // for the entropy: Σ e_k (z_k − max)
  double lesser;   // likewise: Σ e_k without the largest
  double others;   // soft targets: Σ w_k t'_k over the classes but the pivot
  double entropy;  // likewise: Σ w_k t'_k ln t'_k
  double dense;    // likewise: Σ t_k and Σ t_k (z_k − max), before smoothing
  double denseBelow;

  SMOOTHLOSS_INLINE void add(const SoftmaxSums& more) {
    exps += more.exps;
    below += more.below;
    spread += more.spread;
    lesser += more.lesser;
    others += more.others;
    entropy += more.entropy;
    dense += more.dense;
    denseBelow += more.denseBelow;
  }
};

// Without kGeneral: for batches that isPlain, of rows whose parts are all left out. Asking for each costs a row of ten
// classes a tenth of its time, so this is one more instance of the kernel for each number type, T, and two for rows
// that are brought into scratch memory (cross_entropy_apart-inl.h). With kGeneral, and for those, T is the
// arithmetic's.
template <typename T, typename At, bool kGeneral>
class CrossEntropyKernel {
  using V = typename At::V;
  using Real = typename At::Real;
  static constexpr size_t kRows = At::kRows;
  static constexpr size_t kTile = kRows == 1 ? 16 : 1;  // strips, at most, that go through each step together
  static constexpr size_t kCached = Scratch::kRowBytes / sizeof(Real) / kRows / kBlock * kBlock;  // columns, at most
  static constexpr bool kMayStream = kStreams && kRows == 1;
  static constexpr size_t kStepwiseClasses = 8192;  // and more: tiles of one row

 public:
  using Layout = At;
  // kRows rows that go through each step together.
  struct Strip {
    size_t first;  // row
    size_t rowCount;
    At user;  // how the caller's arrays lie
    const void* x;
    void* gradient;
    Real* exps;  // in the gradient or in scratch memory; null: nowhere
    At expsAt;
    bool any;  // of the rows takes part
    SoftmaxRow rows[kRows];
    SoftmaxSums sums[kRows];
    size_t pivots[kRows];
    Argmax<At> largest;  // of the logits
    Argmax<At> labels;   // of soft targets
  };
  enum Stage : size_t { kMaximum, kScan, kFinish, kStages };

 private:
  const Batch& batch_;
  Scratch& scratch_;
  const Terms<V> terms_;
  const ClassTargets<Real> targets_;
  const At scratchAt_ = scratchLayout(As<At>());
  const bool transforms_;
  const bool soft_;
  const bool wantsNll_;
  const bool wantsEntropy_;
  const bool wantsArgmax_;
  const bool streams_;     // the gradient goes past the cache
  const bool inGradient_;  // the exponentials are kept where the gradient will be
  const size_t tile_;      // strips that go through each step together
  const size_t ahead_;     // bytes from a row to the one that comes into the cache meanwhile
  const size_t cached_;    // columns whose exponentials are kept in scratch memory
  Strip tiles_[kMayStream ? 2 : 1][kTile];
  // A gradient that is streamed is a tile behind: the scan of a row writes that of the row in its place in the tile
  // before, so that memory is written while the CPU computes, and its exponentials take the place of those that are
  // written. That goes block by block, or, in plain batches of long rows, step by step: there memory keeps up better,
  // and 32,000 classes take 8 % less time with AVX-512, 16 % with AVX2. (Rows of 1,000 take 10 % longer: what goes
  // block by block does not wait for a row's maximum.)
  const Strip* lastTile_ = nullptr;
  size_t lastCount_ = 0;         // its strips
  const Strip* last_ = nullptr;  // the one whose gradient is to be written
  size_t written_ = 0;           // columns of it that are, or will be step by step
  bool stepwise_ = false;        // it goes step by step

 public:
  CrossEntropyKernel(const Batch& batch, Scratch& scratch, bool split = false)
      : batch_(batch),
        scratch_(scratch),
        terms_(batch),
        targets_(batch),
        transforms_(terms_.any()),
        soft_(batch.dense != nullptr),
        wantsNll_(batch.metrics || batch.rowNll != nullptr),
        wantsEntropy_(batch.metrics || batch.rowEntropy != nullptr),
        wantsArgmax_(soft_ || wantsEntropy_ || batch.prediction != nullptr),
        streams_(kMayStream && !split && (!kGeneral || !isHalf(batch.type)) && batch.inner == 1 && batch.gradient &&
                 batch.gradient != batch.logits && terms_.cap == 0 && batch.classes >= kStreamedClasses &&
                 batch.classes <= kCached && batch.rows * batch.classes >= kStreamedBytes / sizeof(T)),
        inGradient_(!streams_ && !isHalf(batch.type) && batch.inner == 1 && batch.gradient && terms_.cap == 0 &&
                    !wantsEntropy_),
        tile_(tileOf(batch)),
        ahead_((tile_ > 1 ? 2 : 1) * batch.rowStride * sizeof(T)),
        cached_(batch.gradient && !inGradient_ && !split ? kCached : 0) {}

  ~CrossEntropyKernel() {
    if constexpr (kMayStream) {
      for (size_t i = 0; i < lastCount_; ++i) completeLast(i);
      if (streams_) endStream(As<V>());
    }
  }
  CrossEntropyKernel(const CrossEntropyKernel&) = delete;
  CrossEntropyKernel& operator=(const CrossEntropyKernel&) = delete;

  // The gradient is complete when the kernel is destroyed.
  void run(size_t begin, size_t end, Sums& sums) {
    for (size_t row = begin; row < end;) {
      Strip* const strips = tiles_[kMayStream && lastTile_ == tiles_[0] ? 1 : 0];
      size_t count = 0;
      for (; count < tile_ && row < end; ++count) {
        const size_t rows = stripOf(As<At>(), batch_, row, end);
        enter(strips[count], row, rows, count);
        if (streams_) fetchEnds(strips[count]);
        row += rows;
        // The next strip's maximum before this one's sums, which then need not wait for their own.
        takeMaximum(strips[count]);
        if (count > 0) sumUp(strips, count - 1);
      }
      sumUp(strips, count - 1);
      if constexpr (kMayStream) {
        while (lastCount_ > count) completeLast(--lastCount_);
      }
      solve(strips, count, sums);
      if (streams_) {
        lastTile_ = strips;
        lastCount_ = count;
      } else if (batch_.gradient) {
        for (size_t i = 0; i < count; ++i) {
          runStage(*this, strips[i], kFinish, batch_.classes);
          finishRows(strips[i]);
        }
      }
    }
  }

  // The same for one strip that lies elsewhere: x and gradient in whole vectors, as in scratch memory.
  void runApart(size_t row, size_t rows, const Real* x, Real* gradient, Sums& sums) {
    if (runTogether(row, rows, x, gradient, sums)) return;
    Strip strip;
    enterAt(strip, row, rows, 0, scratchAt_, x, gradient);
    if (strip.any) {
      part(strip, kMaximum, 0, batch_.classes);
      beginScan(strip);
      part(strip, kScan, 0, batch_.classes);
    }
    solve(&strip, 1, sums);
    if (gradient) {
      part(strip, kFinish, 0, batch_.classes);
      finishRows(strip);
    }
  }

  // runApart where what is a number of a row is in vectors too, so that rows of ten classes take half the time: the
  // same numbers as those of RowScale, begin and finish. False, with nothing added, and written to no more than the
  // gradient, if a row that takes part is out of the ordinary, its logits beyond kShiftAbove, a number of it not finite
  // or a factor so large that it may have to wait, or if the batch has parts that are not made here.
  bool runTogether(size_t row, size_t rows, const Real* x, Real* gradient, Sums& sums) {
    using D = DoubleVec;
    if (batch_.smoothing || soft() || transforms()) return false;
    if (kGeneral && (batch_.seconds || batch_.kl || batch_.zLoss > 0.0)) return false;

    const At& at = scratchAt_;
    size_t pivots[kRows];
    Real columns[kRows];
    double takes[kRows];  // part: 1, else 0
    bool any = false;
    for (size_t r = 0; r < kRows; ++r) {
      const size_t y = pivots[r] = r < rows ? targets_.classOf(row + r) : kNone;
      columns[r] = y == kNone ? Real(-1) : static_cast<Real>(static_cast<int32_t>(y));
      takes[r] = y == kNone ? 0.0 : 1.0;
      any = any || y != kNone;
    }
    const auto finishOthers = [&] {
      for (size_t r = 0; r < rows; ++r) {
        if (pivots[r] != kNone) continue;
        if (kGeneral && batch_.prediction) batch_.prediction[row + r] = -1;
        if (gradient) fillRow(at, gradient, batch_.classes, r, 0.0);
      }
    };
    if (!any) {
      finishOthers();
      return true;
    }

    Argmax<At> largest;
    largest.clear();
    largest.take(at, x, 0, batch_.classes, wantsArgmax());
    Solutions of;
    Real largestColumns[kRows];
    for (size_t r = 0; r < kRows; ++r) {
      of.logPivot[r] = toDouble(x[(pivots[r] == kNone ? 0 : pivots[r]) * kRows + r]);
      if (pivots[r] == kNone) largest.maximum[r] = Real(0);
      if (wantsEntropy()) largestColumns[r] = static_cast<Real>(static_cast<int32_t>(largest.index[r]));
    }
    const V maximum = At::perRow(largest.maximum);
    if (toDouble(maxLane(abs(maximum))) > kShiftAbove) return false;
    const ClassTarget target = targets_.alike() ? *targets_.alike() : ClassTarget(kNone);
    bool smooths = target.mass > 0.0;
    double factors = magnitude(batch_.gradientScale) * (target.own + target.mass * (target.others + 1.0));
    double k[kRows];
    for (size_t r = 0; r < kRows; r += D::kWidth) {
      const auto put = [r](double* numbers, D a) { store(numbers + r, a); };
      const D most = load(As<D>(), largest.maximum + r);
      const D scale = roundToInteger(most * kLog2EDouble);
      put(k, scale);
      put(of.maximum, most);
      put(of.logMaximum, lessLn2<Real>(most, scale));
      put(of.logPivot, lessLn2<Real>(load(As<D>(), of.logPivot + r), scale));
      put(of.own, target.own);
      put(of.rest, target.mass * target.others);
      put(of.mass, target.mass);
      put(of.others, target.others);
      put(of.factor, bounded(batch_.gradientScale));
      put(of.exps, 0.0);
      put(of.below, 0.0);
      put(of.spread, 0.0);
      put(of.lesser, 0.0);
    }
    if (!targets_.alike() || batch_.rowWeight || batch_.gradientScales) {
      for (size_t r = 0; r < rows; ++r) {
        if (pivots[r] == kNone) continue;
        ClassTarget its;
        targets_.take(row + r, its);
        of.own[r] = its.own;
        of.rest[r] = its.mass * its.others;
        of.mass[r] = its.mass;
        of.others[r] = its.others;
        of.factor[r] = upstreamOf<Real>(batch_, row + r);
        smooths = smooths || its.mass > 0.0;
        const double size = magnitude(of.factor[r]) * (its.own + its.mass * (its.others + 1.0));
        factors = size > factors ? size : factors;
      }
    }
    if (waits<Real>(8.0 * factors)) return false;

    const V none = set1(Real(0));
    const V floor = expFloor(As<V>(), k);
    const V magic = expMagic(As<V>(), k);
    for (size_t c = 0; c < batch_.classes; c += kBlock) {
      const size_t n = batch_.classes - c < kBlock ? batch_.classes - c : kBlock;
      const Real* const z = x + c * kRows;
      const auto skip = [c](const Real* which) {
        return typename At::Skip{sub(load(As<V>(), which), set1(static_cast<Real>(c)))};
      };
      if (smooths) {
        const BelowVisitor<At, Real, Factors::kOnes> visitor{at, z, {nullptr, at, nullptr}, maximum};
        at.sum(n, skip(columns), visitor, of.below);
      }
      Real* const e = gradient ? gradient + c * kRows : wantsEntropy() ? blockOf<Real>(scratch_, kExpBlock) : nullptr;
      if (e) {
        const ExpVisitor<At, Real, Keep::kColumns, false> visitor{at, z, at, e, 0, none, floor, magic};
        at.sum(n, skip(columns), visitor, of.exps);
      } else {
        const ExpVisitor<At, Real, Keep::kNot, false> visitor{at, z, at, nullptr, 0, none, floor, magic};
        at.sum(n, skip(columns), visitor, of.exps);
      }
      if (wantsEntropy()) {
        at.sum(n, At::skip(kNoColumns, 0), SpreadVisitor<At, Real>{at, z, at, e, maximum}, of.spread);
        at.sum(n, skip(largestColumns), ElementVisitor<At, Real>{at, e}, of.lesser);
      }
    }

    D odd = 0.0;  // NaN where a number is not finite
    for (size_t r = 0; r < kRows; r += D::kWidth) {
      solveRows<D>(of, r);
      D excess = 0.0;
      for (const double* numbers : {of.sum, of.below, of.own, of.rest, of.factor}) {
        const D a = load(As<D>(), numbers + r);
        excess = excess + (a - a);
      }
      odd = odd + zeroWhereZero(excess, load(As<D>(), takes + r));
    }
    if (maxLane(whereEqual(odd, 0.0, 0.0, 1.0)) > 0.0) return false;

    for (size_t r = 0; r < rows; ++r) {
      if (pivots[r] == kNone) continue;
      const double weighed = addLoss(row + r, of.ownLoss[r] + of.smoothedLoss[r], sums);
      if (reports()) {
        const double entropy = wantsEntropy() ? of.entropy[r] : kNaN;
        const double lse = of.maximum[r] + of.lseAboveMax[r];
        report(row + r, weighed, {of.nll[r], lse, entropy, 0.0, largest.index[r], pivots[r]}, sums);
      }
    }
    if (gradient) {
      at.forEach(batch_.classes,
                 GradientVisitor<At, Real, Factors::kOnes>{
                     at, gradient, {nullptr, at, nullptr}, at, gradient, toReals(of.multiplier), toReals(of.offset)});
      Real pivotGradients[kRows];
      store(pivotGradients, toReals(of.pivotGradient));
      for (size_t r = 0; r < rows; ++r) {
        if (pivots[r] != kNone) gradient[pivots[r] * kRows + r] = pivotGradients[r];
      }
    }
    finishOthers();
    return true;
  }
  // toReal of each row's number, of which none is NaN.
  static V toReals(const double* numbers) {
    constexpr double kLargest = kLargestGradient<Real>;
    double bounds[kRows];
    for (size_t r = 0; r < kRows; r += DoubleVec::kWidth) {
      store(bounds + r, max(min(load(As<DoubleVec>(), numbers + r), kLargest), -kLargest));
    }
    return load(As<V>(), bounds);
  }

  // The stages of a strip: see splitStrip.
  void open(Strip& strip, size_t row, size_t rows) { enter(strip, row, rows, 0); }
  bool needs(const Strip& strip, size_t stage) const {
    if (stage == kFinish) return strip.any && batch_.gradient;
    return stage == kMaximum ? strip.any : scans(strip);
  }
  void part(Strip& strip, size_t stage, size_t first, size_t end) {
    if (stage == kMaximum) {
      findLargest(strip, first, end);
    } else if (stage == kScan) {
      scan(strip, first, end);
    } else {
      finish(strip, first, end);
    }
  }
  void merge(Strip& strip, size_t stage, const Strip& part, size_t first, size_t end) const {
    if (stage == kMaximum) strip.largest.take(part.largest);
    if (stage != kScan) return;
    if (soft()) strip.labels.take(part.labels);
    for (size_t r = 0; r < kRows; ++r) {
      SoftmaxRow& row = strip.rows[r];
      strip.sums[r].add(part.sums[r]);
      if (soft() && row.target.y != kNone && row.pivot >= first && row.pivot < end) {
        row.target.own = part.rows[r].target.own;
      }
    }
  }
  void close(Strip& strip, size_t stage, Sums& sums) {
    if (stage == kMaximum && strip.any) beginScan(strip);
    if (stage == kScan) solve(&strip, 1, sums);
    if (stage == kFinish && batch_.gradient) finishRows(strip);
  }

 private:
  // Short rows go through each step together, and are solved together. Long rows go alone, to stay in the cache: with a
  // gradient until it is written, which takes twice the room where it is not in place, without one from their maximum
  // to their sums.
  static size_t tileOf(const Batch& batch) {
    const size_t elements = !batch.gradient ? 32768 : batch.gradient == batch.logits ? 8192 : 4096;
    const size_t tile = elements / batch.classes;
    return tile < 1 ? 1 : tile > kTile ? kTile : tile;
  }
  void takeMaximum(Strip& strip) {
    if (!strip.any) return;
    runStage(*this, strip, kMaximum, batch_.classes);
    beginScan(strip);
  }
  void sumUp(Strip* strips, size_t i) {
    Strip& strip = strips[i];
    if constexpr (kMayStream) {
      if (i < lastCount_) {
        last_ = lastTile_ + i;
        stepwise_ = goesStepwise(strip);
        if (stepwise_) writeEnds();
      }
    }
    if (scans(strip)) runStage(*this, strip, kScan, batch_.classes);
    if constexpr (kMayStream) {
      if (i < lastCount_) completeLast(i);
    }
  }

  // The lines that are not streamed, before they are stored to. (That of a soft target's pivot is not known yet.)
  void fetchEnds(const Strip& strip) const {
    for (const size_t c : {size_t{0}, strip.pivots[0], batch_.classes - 1}) {
      if (c < batch_.classes) strip.user.ahead(static_cast<const T*>(strip.gradient), c, 0);
    }
  }
  // Whether the last row's gradient can be written beside the exponentials of this strip.
  bool goesStepwise(const Strip& strip) const {
    if (kGeneral || batch_.smoothing || batch_.classes < kStepwiseClasses || !scans(strip)) return false;
    const SoftmaxRow& last = last_->rows[0];
    return strip.rows[0].scale.shift == 0.0 && last.target.y != kNone && last.defined && last.apart == 0.0;
  }
  // What is written so, from the column `first` on; and the columns before and after, fewer than a line and kLanes.
  LastGradient<At, T> lastGradient(size_t first) const {
    T* const gradient = static_cast<T*>(last_->gradient);
    const SoftmaxRow& row = last_->rows[0];
    const size_t begin = At::toLine(gradient);
    const size_t end = (batch_.classes - begin) / kLanes * kLanes;
    return {last_->exps + begin + first, gradient + begin + first,           end > first ? end - first : 0,
            row.pivot - begin - first,   set1(toReal<Real>(row.multiplier)), set1(toReal<Real>(row.offset))};
  }
  void writeEnds() {
    const LastGradient<At, T> lines = lastGradient(0);
    T* const gradient = static_cast<T*>(last_->gradient);
    const size_t begin = static_cast<size_t>(lines.gradient - gradient);
    const auto write = [&](size_t first, size_t end) {
      for (size_t c = first; c < end; c += At::kColumns) {
        storeFirst(gradient + c, fma(load(As<V>(), last_->exps + c), lines.scale, lines.offset), end - c);
      }
    };
    write(0, begin);
    write(begin + lines.end, batch_.classes);
    written_ = batch_.classes;
  }
  // Writes the last row's gradient as far as the exponentials up to column `end` will be overwritten, in whole lines.
  void writeBeside(size_t end) {
    end += At::toLine(static_cast<const T*>(last_->gradient));
    if (end > batch_.classes) end = batch_.classes;
    finish(*last_, written_, end);
    written_ = end;
  }
  // Writes what is left of the gradient of strip i of the last tile.
  void completeLast(size_t i) {
    finish(lastTile_[i], written_, batch_.classes);
    finishRows(lastTile_[i]);
    last_ = nullptr;
    written_ = 0;
    stepwise_ = false;
  }

  bool transforms() const { return kGeneral && transforms_; }
  bool capped() const { return kGeneral && terms_.cap != 0; }
  bool soft() const { return kGeneral && soft_; }
  bool wantsNll() const { return kGeneral && wantsNll_; }
  bool wantsEntropy() const { return kGeneral && wantsEntropy_; }
  bool wantsArgmax() const { return kGeneral && wantsArgmax_; }
  bool reports() const {
    return kGeneral && (wantsNll_ || wantsEntropy_ || batch_.rowLoss || batch_.rowLse || batch_.prediction);
  }
  static bool hasSecond(const ClassTarget& target) { return kGeneral && target.second != kNone; }

  // Turns to the rows [row, row + rows), strip number inTile of its tile.
  void enter(Strip& strip, size_t row, size_t rows, size_t inTile) {
    const size_t offset = offsetOf(batch_, row, batch_.rowStride);
    enterAt(strip, row, rows, inTile, userLayout(As<At>(), batch_, rows),
            elementsAt(batch_.type, batch_.logits, offset), elementsAt(batch_.type, batch_.gradient, offset));
  }
  void enterAt(Strip& strip, size_t row, size_t rows, size_t inTile, const At& user, const void* x, void* gradient) {
    strip.first = row;
    strip.rowCount = rows;
    strip.user = user;
    strip.x = x;
    strip.gradient = gradient;
    strip.exps = nullptr;
    strip.expsAt = scratchAt_;
    if (cached_ > 0) {
      // Apart by whole vectors, as which they may be stored.
      strip.exps = reinterpret_cast<Real*>(scratch_.row) + inTile * ((batch_.classes + kLanes - 1) / kLanes * kLanes);
    } else {
      if (inGradient_) strip.exps = static_cast<Real*>(strip.gradient);
      strip.expsAt = strip.user;
    }
    strip.any = false;
    strip.largest.clear();
    if (soft()) strip.labels.clear();
    for (size_t r = 0; r < kRows; ++r) {
      strip.sums[r] = {};
      ClassTarget& target = strip.rows[r].target;
      if (r < rows) {
        targets_.take(row + r, target);
      } else {
        target = ClassTarget(kNone);
      }
      strip.pivots[r] = target.y;
      strip.any = strip.any || strip.pivots[r] != kNone;
    }
  }

  // Calls action with the elements at p, rows of logits or of their gradient.
  template <typename P, typename Action>
  auto with(P* p, const Action& action) const {
    if constexpr (kGeneral) {
      return withElements<Real>(batch_.type, p, action);
    } else {
      return action(static_cast<std::conditional_t<std::is_const<P>::value, const T, T>*>(p));
    }
  }

  Numbers<At> zBlock(const Strip& strip, size_t first, size_t n) {
    return termBlock(batch_, terms_, strip.user, strip.x, first, n, scratch_);
  }

  // A block of soft targets: as given, t' (for the sums of kl alone), and w t'.
  struct SoftBlock {
    Numbers<At> dense;
    Numbers<At> shares;
    Numbers<At> targets;
  };
  // Adds to `rest`, unless that is null, what the block adds up to without the pivots.
  SoftBlock softBlock(const Strip& strip, size_t first, size_t n, double* rest) {
    const Numbers<At> dense = denseBlock(batch_, strip.first, strip.user, first, n, scratch_);
    if (!batch_.epsilons && batch_.epsilon == 0.0 && !batch_.weight) {
      const ElementVisitor<At, Real> visitor{dense.at, dense.p};
      if (rest) strip.user.sum(n, At::skip(strip.pivots, first), visitor, rest);
      return {dense, dense, dense};
    }
    Real keep[kRows], mass[kRows];
    for (size_t r = 0; r < kRows; ++r) {
      const bool takes = strip.rows[r].target.y != kNone;
      const double epsilon = takes ? numberOf<Real>(batch_.epsilons, strip.first + r, batch_.epsilon) : 0.0;
      keep[r] = static_cast<Real>(1.0 - epsilon);
      mass[r] = static_cast<Real>(epsilon > 0.0 ? epsilon / batch_.priorTotal.sum : 0.0);
    }
    Real* const shares = rest && batch_.kl ? blockOf<Real>(scratch_, kShareBlock) : nullptr;
    Real* const targets = blockOf<Real>(scratch_, kTargetBlock);
    const BlendVisitor<At> visitor{dense,
                                   classFactors<Real>(batch_.prior, first),
                                   classFactors<Real>(batch_.weight, first),
                                   scratchAt_,
                                   shares,
                                   targets,
                                   At::perRow(keep),
                                   At::perRow(mass)};
    if (rest) {
      strip.user.sum(n, At::skip(strip.pivots, first), visitor, rest);
    } else {
      strip.user.forEach(n, visitor);
    }
    return {dense, {scratchAt_, shares}, {scratchAt_, targets}};
  }

  // The columns' part in the maximum of each row.
  void findLargest(Strip& strip, size_t first, size_t end) {
    if (!transforms() && !wantsArgmax()) {
      with(strip.x,
           [&](auto* x) { strip.largest.take(strip.user, x + strip.user.offset(first), first, end - first, false); });
      return;
    }
    for (size_t c = first; c < end; c += kBlock) {
      const size_t n = end - c < kBlock ? end - c : kBlock;
      const Numbers<At> z = zBlock(strip, c, n);
      strip.largest.take(z.at, z.p, c, n, wantsArgmax());
    }
  }

  // Given the maxima: the scale of the exponentials, and the pivots.
  void beginScan(Strip& strip) {
    for (size_t r = 0; r < kRows; ++r) {
      SoftmaxRow& row = strip.rows[r];
      row.maximum = toDouble(strip.largest.maximum[r]);
      row.predicted = strip.largest.index[r];
      row.defined = row.maximum != kInfinity && row.maximum != -kInfinity;
      row.scale = RowScale(row.defined ? row.maximum : 0.0);
      if (row.target.y == kNone) continue;
      row.pivot = soft() ? row.predicted : row.target.y;
      strip.pivots[r] = row.pivot;
      row.zPivot = zOf(strip, row.pivot, r);
      row.zSecond = !hasSecond(row.target) ? 0.0 : zOf(strip, row.target.second, r);
    }
  }
  // A lone row that is NaN anyway needs no sums.
  bool scans(const Strip& strip) const { return strip.any && (kRows > 1 || soft() || strip.rows[0].defined); }

  // The columns' part in all that is summed; where a gradient is asked for, keeps all e_k.
  void scan(Strip& strip, size_t first, size_t end) {
    ExpNumbers<At> numbers;
    for (size_t r = 0; r < kRows; ++r) numbers.set(r, strip.rows[r].scale);
    const bool smooths = !soft() && anyMass(strip);
    for (size_t c = first; c < end; c += kBlock) {
      const size_t n = end - c < kBlock ? end - c : kBlock;
      if constexpr (kMayStream) {
        if (last_ && !stepwise_) writeBeside(c + n);
      }
      if constexpr (kGeneral) {
        const Numbers<At> z = zBlock(strip, c, n);
        scanBlock(strip, z.at, z.p, c, n, smooths, numbers);
      } else {
        scanBlock(strip, strip.user, static_cast<const T*>(strip.x) + strip.user.offset(c), c, n, smooths, numbers);
      }
    }
  }

  double zOf(const Strip& strip, size_t c, size_t r) const {
    const double x = with(strip.x, [&](auto* row) { return toDouble(*strip.user.element(row, c, r)); });
    return transforms() ? terms_.ofOne(x) : x;
  }

  static bool anyMass(const Strip& strip) {
    for (const SoftmaxRow& row : strip.rows) {
      if (row.target.y != kNone && row.target.mass > 0.0) return true;
    }
    return false;
  }

  SMOOTHLOSS_INLINE void scanBlock(Strip& strip, const At& at, const T* z, size_t first, size_t n, bool smooths,
                                   const ExpNumbers<At>& numbers) {
    const FactorLoads<At, Factors::kOnes> ones{nullptr, at, nullptr};
    // Not in place: takeBelow may have to see the logits again.
    const bool together =
        At::kSumsBoth && smooths && !batch_.smoothing && !numbers.shifts && batch_.gradient != batch_.logits;
    double below[kRows] = {};
    if (soft()) {
      scanSoft(strip, at, z, first, n);
    } else if (smooths && !together) {
      if (batch_.smoothing) {
        addBelow(strip,
                 FactorLoads<At, Factors::kClasses>{static_cast<const Real*>(batch_.smoothing) + first, at, nullptr},
                 at, z, first, n);
      } else {
        addBelow(strip, ones, at, z, first, n);
      }
    }
    const bool keeps = strip.exps && (inGradient_ || first + n <= cached_);
    double sums[kRows] = {};
    if (keeps || wantsEntropy()) {
      Real* out = keeps ? strip.exps + strip.expsAt.offset(first) : blockOf<Real>(scratch_, kExpBlock);
      const At outAt = keeps ? strip.expsAt : scratchAt_;
      if (kMayStream && streams_) {
        constexpr Keep kStreamed = kMayStream ? Keep::kWhole : Keep::kColumns;
        sumExps<kStreamed>(strip, at, z, first, n, numbers, outAt, out, sums, together ? below : nullptr);
      } else {
        sumExps<Keep::kColumns>(strip, at, z, first, n, numbers, outAt, out, sums, together ? below : nullptr);
      }
      if (wantsEntropy()) {
        double spread[kRows] = {};
        double lesser[kRows] = {};
        size_t largest[kRows];
        for (size_t r = 0; r < kRows; ++r) largest[r] = strip.rows[r].predicted;
        at.sum(n, At::skip(kNoColumns, 0), SpreadVisitor<At, T>{at, z, outAt, out, At::perRow(strip.largest.maximum)},
               spread);
        at.sum(n, At::skip(largest, first), ElementVisitor<At, Real>{outAt, out}, lesser);
        for (size_t r = 0; r < kRows; ++r) {
          strip.sums[r].spread += spread[r];
          strip.sums[r].lesser += lesser[r];
        }
      }
    } else {
      sumExps<Keep::kNot>(strip, at, z, first, n, numbers, at, nullptr, sums, together ? below : nullptr);
    }
    if (together) takeBelow(strip, ones, at, z, first, n, below);
    for (size_t r = 0; r < kRows; ++r) strip.sums[r].exps += sums[r];
  }

  // Adds up a block's exponentials, and, unless that is null, what `below` sums with factors of one. Hardly any rows
  // are shifted.
  template <Keep kKeep>
  SMOOTHLOSS_INLINE void sumExps(const Strip& strip, const At& at, const T* z, size_t first, size_t n,
                                 const ExpNumbers<At>& numbers, const At& to, Real* out, double* sums,
                                 double* below) const {
    const auto skip = At::skip(strip.pivots, first);
    const V shift = At::perRow(numbers.shift);
    const V floor = At::perRow(numbers.floor);
    const V magic = At::perRow(numbers.magic);
    if (numbers.shifts) {
      at.sum(n, skip, ExpVisitor<At, T, kKeep, true>{at, z, to, out, ahead_, shift, floor, magic}, sums);
      return;
    }
    const auto sum = [&](const auto& visitor) {
      if constexpr (At::kSumsBoth) {
        if (below) {
          using Below = BelowVisitor<At, T, Factors::kOnes>;
          const Below belows{at, z, {nullptr, at, nullptr}, At::perRow(strip.largest.maximum)};
          return at.sumBoth(n, skip, belows, below, visitor, sums);
        }
      }
      at.sumInline(n, skip, visitor, sums);
    };
    if constexpr (kMayStream && !kGeneral && kKeep == Keep::kWhole) {
      using Visitor = ExpVisitor<At, T, kKeep, false, LastGradient<At, T>>;
      if (stepwise_) return sum(Visitor{at, z, to, out, ahead_, shift, floor, magic, lastGradient(first)});
    }
    sum(ExpVisitor<At, T, kKeep, false>{at, z, to, out, ahead_, shift, floor, magic});
  }

  // below of each row += Σ over the block's columns but the pivot of factor_c · (z_c − max), at most 0 for factors ≥ 0.
  // Classes whose factor is 0 add nothing, −Infinity logits included.
  template <Factors kFactors>
  SMOOTHLOSS_INLINE void addBelow(Strip& strip, const FactorLoads<At, kFactors>& factors, const At& at, const T* z,
                                  size_t first, size_t n) {
    double sums[kRows] = {};
    BelowVisitor<At, T, kFactors> visitor{at, z, factors, At::perRow(strip.largest.maximum)};
    at.sumInline(n, At::skip(strip.pivots, first), visitor, sums);
    takeBelow(strip, factors, at, z, first, n, sums);
  }
  template <Factors kFactors>
  SMOOTHLOSS_INLINE void takeBelow(Strip& strip, const FactorLoads<At, kFactors>& factors, const At& at, const T* z,
                                   size_t first, size_t n, double* sums) {
    for (size_t r = 0; r < kRows; ++r) {
      SoftmaxRow& row = strip.rows[r];
      if (!(sums[r] > -kInfinity) && row.target.y != kNone) {
        const size_t second = hasSecond(row.target) && row.zSecond == -kInfinity ? row.target.second : kNone;
        sums[r] = exactBelow<At, T, kFactors>(at, z, factors, n, r, row.pivot - first, second - first, row.maximum);
      }
      strip.sums[r].below += sums[r];
    }
  }

  // What is summed over a block of soft targets.
  SMOOTHLOSS_NOINLINE void scanSoft(Strip& strip, const At& at, const T* z, size_t first, size_t n) {
    // The next row's targets come into the cache, a part before each sum: all at once is more than CPUs keep in flight.
    const size_t part = n / 4;
    denseAhead(batch_, strip.first, strip.user, first, part);
    double rest[kRows] = {};
    const SoftBlock block = softBlock(strip, first, n, rest);
    const Numbers<At>&dense = block.dense, &targets = block.targets;
    denseAhead(batch_, strip.first, strip.user, first + part, part);
    addBelow(strip, FactorLoads<At, Factors::kElements>{nullptr, targets.at, targets.p}, at, z, first, n);
    denseAhead(batch_, strip.first, strip.user, first + 2 * part, n - 2 * part);
    double entropy[kRows] = {};
    const auto all = At::skip(kNoColumns, 0);
    if (kGeneral && batch_.kl) {
      EntropyVisitor<At> visitor{block.shares, targets};
      at.sum(n, all, visitor, entropy);
    }
    double sum[kRows] = {};
    double below[kRows] = {};
    if (wantsNll()) {
      ElementVisitor<At, Real> visitor{dense.at, dense.p};
      at.sum(n, all, visitor, sum);
      const FactorLoads<At, Factors::kElements> factors{nullptr, dense.at, dense.p};
      BelowVisitor<At, T, Factors::kElements> belows{at, z, factors, At::perRow(strip.largest.maximum)};
      at.sum(n, all, belows, below);
      for (size_t r = 0; r < kRows; ++r) {
        if (below[r] > -kInfinity || strip.rows[r].target.y == kNone) continue;
        below[r] = exactBelow<At, T, Factors::kElements>(at, z, factors, n, r, kNone, kNone, strip.rows[r].maximum);
      }
    }
    if (batch_.metrics) strip.labels.take(dense.at, dense.p, first, n, true);
    for (size_t r = 0; r < kRows; ++r) {
      SoftmaxRow& row = strip.rows[r];
      if (row.target.y == kNone) continue;
      strip.sums[r].others += rest[r];
      strip.sums[r].entropy += entropy[r];
      strip.sums[r].dense += sum[r];
      strip.sums[r].denseBelow += below[r];
      const size_t pivot = row.pivot - first;
      if (pivot < n) row.target.own = toDouble(*targets.at.element(targets.p, pivot, r));
    }
  }

  // Each row's loss and what else is wanted of it, and the numbers for its gradient. What is one long chain of
  // operations in double goes for a vector of rows at once.
  void solve(Strip* strips, size_t count, Sums& sums) {
    Solutions rows;
    size_t n = 0;
    for (size_t i = 0; i < count * kRows; ++i) {
      Strip& strip = strips[i / kRows];
      if (strip.rows[i % kRows].target.y == kNone) continue;
      completeTarget(strip, i % kRows);
      begin(strip, i % kRows, rows, n++);
    }
    if (n == 1) {
      // Alone: a vector would wait for the numbers that have just been stored, a third of the time of one short row.
      solveRows<double>(rows, 0);
    } else {
      for (size_t i = n; i % DoubleVec::kWidth != 0; ++i) rows.clear(i);
      for (size_t i = 0; i < n; i += DoubleVec::kWidth) solveRows<DoubleVec>(rows, i);
    }
    n = 0;
    for (size_t i = 0; i < count * kRows; ++i) {
      Strip& strip = strips[i / kRows];
      const size_t r = i % kRows;
      if (strip.rows[r].target.y != kNone) {
        complete(strip.rows[r], strip.sums[r], rows, n++, strip.first + r, sums);
      } else if (kGeneral && batch_.prediction && r < strip.rowCount) {
        batch_.prediction[strip.first + r] = -1;
      }
    }
  }

  // What a target is only after all columns have been seen.
  void completeTarget(Strip& strip, size_t r) const {
    SoftmaxRow& row = strip.rows[r];
    SoftmaxSums& sums = strip.sums[r];
    if (soft()) {
      row.target.mass = 1.0;
      row.target.others = sums.others;
      row.target.entropy = sums.entropy;
    }
    row.labelled = soft() ? strip.labels.index[r] : largestClass(row.target);
    if (hasSecond(row.target) && row.target.mass > 0.0 && row.zSecond > -kInfinity) {
      const double factor = numberOf<Real>(batch_.smoothing, row.target.second, 1.0);
      if (factor > 0.0) sums.below -= factor * (row.zSecond - row.maximum);
    }
  }

  // The numbers of the rows that are solved together.
  struct Solutions {
    static constexpr size_t kMost = kRows > kTile ? kRows : kTile;
    double exps[kMost];
    double below[kMost];
    double maximum[kMost];
    double logPivot[kMost];
    double logMaximum[kMost];
    double own[kMost];
    double rest[kMost];
    double mass[kMost];
    double others[kMost];
    double factor[kMost];
    double sum[kMost];
    double nll[kMost];
    double lseAboveMax[kMost];
    double ownLoss[kMost];
    double smoothedLoss[kMost];
    double multiplier[kMost];
    double offset[kMost];
    double square[kMost];  // of how large a gradient may be: see kMostSquare
    double pivotGradient[kMost];
    double spread[kMost];  // for the entropy, as is lesser
    double lesser[kMost];
    double entropy[kMost];

    // A lane without a row. (Clearing all lanes beforehand took 500 cycles.)
    SMOOTHLOSS_INLINE void clear(size_t n) {
      for (double* numbers :
           {exps, below, maximum, logPivot, logMaximum, own, rest, mass, others, factor, spread, lesser}) {
        numbers[n] = 0.0;
      }
    }
  };

  void begin(const Strip& strip, size_t r, Solutions& to, size_t n) const {
    const SoftmaxRow& row = strip.rows[r];
    to.exps[n] = strip.sums[r].exps;
    to.below[n] = strip.sums[r].below;
    if (wantsEntropy()) {
      to.spread[n] = strip.sums[r].spread;
      to.lesser[n] = strip.sums[r].lesser;
    }
    to.maximum[n] = row.maximum;
    to.logPivot[n] = row.scale.template log<Real>(row.zPivot);
    to.logMaximum[n] = row.scale.template log<Real>(row.maximum);
    to.own[n] = row.target.own;
    to.rest[n] = row.target.mass * row.target.others + row.target.ownSecond;
    to.mass[n] = row.target.mass;
    to.others[n] = row.target.others;
    to.factor[n] = bounded(upstreamOf<Real>(batch_, strip.first + r) * batch_.logitScale);
  }

  template <typename D>
  void solveRows(Solutions& rows, size_t n) const {
    const auto get = [n](const double* numbers) { return load(As<D>(), numbers + n); };
    const D zero = 0.0;
    const D exps = get(rows.exps), own = get(rows.own), rest = get(rows.rest), mass = get(rows.mass);
    const D logPivot = get(rows.logPivot), logMaximum = get(rows.logMaximum), factor = get(rows.factor);
    const D expPivot = exp(logPivot);
    const D sum = exps + expPivot;

    // −ln p_y = ln(sum / e_y), and lse − max = ln(sum / e_max).
    const D limit = 0.4 * expPivot;
    const D logarithm = logSum(exps, expPivot, limit);
    const D nll = whereGreater(exps, limit, logarithm - logPivot, logarithm);
    const D unbounded = logarithm + whereGreater(exps, limit, zero - logMaximum, logPivot - logMaximum);
    const D lseAboveMax =
        whereGreater(zero, unbounded, zero, unbounded);  // by rounding: one other class has nearly all

    const D reciprocal = factor / sum;
    D zGradient = zero;
    if (kGeneral && batch_.zLoss > 0.0)  // the gradient need not wait for lse else
      zGradient = 2.0 * batch_.zLoss * (get(rows.maximum) + lseAboveMax);
    const D multiplier = (own + rest + zGradient) * reciprocal;
    const D offset = -0.0 - factor * mass;
    const D largest = factor * (own + rest) - offset;
    store(rows.multiplier + n, multiplier);
    store(rows.offset + n, offset);
    store(rows.square + n, multiplier * multiplier + largest * largest);
    store(rows.pivotGradient + n, (expPivot * (rest + zGradient) - exps * own) * reciprocal + 0.0);
    store(rows.ownLoss + n, zeroWhereZero(own * nll, own));
    store(rows.smoothedLoss + n, zeroWhereZero(mass * (get(rows.others) * lseAboveMax - get(rows.below)), mass));
    store(rows.sum + n, sum);
    store(rows.nll + n, nll);
    store(rows.lseAboveMax + n, lseAboveMax);
    if (wantsEntropy()) {
      // −Σ p ln p = ln(Σ e / e_max) − Σ e (z − max) / Σ e, with the largest apart likewise.
      const D lesser = get(rows.lesser);
      const D expLargest = exp(logMaximum);
      const D most = 0.4 * expLargest;
      const D ofSum = logSum(lesser, expLargest, most);
      const D ofRatio = whereGreater(lesser, most, ofSum - logMaximum, ofSum);
      store(rows.entropy + n, ofRatio - get(rows.spread) / (lesser + expLargest));
    }
  }

  void complete(SoftmaxRow& row, const SoftmaxSums& over, const Solutions& from, size_t n, size_t index, Sums& sums) {
    const ClassTarget& target = row.target;
    const double total = target.own + from.rest[n];
    row.defined = row.defined && from.sum[n] == from.sum[n] && total - total == 0.0;
    row.multiplier = from.multiplier[n];
    row.offset = from.offset[n];
    row.pivotGradient = from.pivotGradient[n];
    if (hasSecond(target)) {
      const double expSecond = exp(row.scale.template log<Real>(row.zSecond));
      row.secondGradient = expSecond * row.multiplier - from.factor[n] * target.ownSecond + 0.0;
    }
    const double lseAboveMax = row.defined ? from.lseAboveMax[n] : kNaN;
    const double lse = row.maximum + lseAboveMax;
    const double nllSecond = lseAboveMax + (row.maximum - row.zSecond);
    row.apart = 0.0;
    if (sizeof(Real) == sizeof(float) && from.square[n] > kMostSquare) {
      row.apart = from.factor[n];
      row.multiplier = bounded((total + 2.0 * batch_.zLoss * lse) / from.sum[n]);  // 0 · ∞ would be NaN
      row.offset = -target.mass;
    }

    double loss = from.ownLoss[n];
    if (kGeneral && target.ownSecond > 0.0) loss += target.ownSecond * nllSecond;
    loss += from.smoothedLoss[n];
    if (kGeneral && batch_.kl) loss += target.entropy;
    const double zTerm = kGeneral && batch_.zLoss > 0.0 ? batch_.zLoss * (lse * lse) : 0.0;
    loss += zTerm;
    if (!row.defined) loss = kNaN;
    const double weighed = addLoss(index, loss, sums);
    if (!reports()) return;
    double nll = kNaN;
    if (soft()) {
      nll = over.dense * lseAboveMax - over.denseBelow;
    } else {
      nll = target.lambda > 0.0 ? target.lambda * from.nll[n] : 0.0;
      if (target.lambda < 1.0) nll += (1.0 - target.lambda) * nllSecond;
    }
    const double entropy = wantsEntropy() ? from.entropy[n] : kNaN;
    if (row.defined) {
      report(index, weighed, {nll, lse, entropy, zTerm, row.predicted, row.labelled}, sums);
    } else {
      report(index, weighed, {kNaN, kNaN, kNaN, kNaN, row.predicted, row.labelled}, sums);
    }
  }

  // Returns the loss with its weight.
  double addLoss(size_t index, double loss, Sums& sums) const {
    const double weighed = weigh(numberOf<Real>(batch_.rowWeight, index, 1.0), loss);
    sums.numerator += weighed;
    putResult<Real>(batch_.losses, index, weighed);
    return weighed;
  }

  // What is reported of a row.
  struct Report {
    double nll;
    double lse;
    double entropy;
    double zTerm;
    size_t predicted;
    size_t labelled;
  };
  SMOOTHLOSS_NOINLINE void report(size_t index, double loss, const Report& of, Sums& sums) const {
    putResult<Real>(batch_.rowLoss, index, loss);
    putResult<Real>(batch_.rowNll, index, of.nll);
    putResult<Real>(batch_.rowLse, index, of.lse);
    putResult<Real>(batch_.rowEntropy, index, of.entropy);
    if (batch_.prediction) batch_.prediction[index] = static_cast<int32_t>(of.predicted);
    sums.nll += of.nll;
    sums.entropy += of.entropy;
    sums.zLoss += of.zTerm;
    if (batch_.metrics && of.predicted == of.labelled) sums.correct += 1.0;
  }

  // Turns the columns' e_k into the gradient.
  void finish(const Strip& strip, size_t first, size_t end) {
    const size_t rows = strip.rowCount;
    Real scale[kRows] = {}, offset[kRows] = {};
    ExpNumbers<At> numbers;
    bool any = false;
    bool apart = false;
    for (size_t r = 0; r < rows; ++r) {
      const SoftmaxRow& row = strip.rows[r];
      if (row.target.y == kNone || !row.defined) continue;
      any = true;
      scale[r] = toReal<Real>(row.multiplier);
      offset[r] = toReal<Real>(row.offset);
      numbers.set(r, row.scale);
      if (row.apart == 0.0) continue;
      apart = true;  // finishApart finds the exponentials as they were, though the gradient takes their place
      scale[r] = 1;
      offset[r] = 0;
    }
    // A lone block may be a long row: all of it at once where nothing has to be made block by block.
    const bool whole = (streams_ || inGradient_) && !soft();
    const size_t step = whole ? end - first : kBlock;
    for (size_t c = first; any && c < end; c += step) {
      const size_t n = end - c < step ? end - c : step;
      const bool again = !inGradient_ && c + n > cached_;  // the exponentials
      const Numbers<At> e = again ? Numbers<At>{scratchAt_, blockOf<Real>(scratch_, kExpBlock)}
                                  : Numbers<At>{strip.expsAt, strip.exps + strip.expsAt.offset(c)};
      if constexpr (kGeneral) {
        const Numbers<At> z = capped() || again ? zBlock(strip, c, n) : Numbers<At>{};
        if (again) expBlock(z.at, z.p, n, numbers);
        const GradientBlock<At> gradient(batch_, strip.user, strip.gradient, c, scratch_);
        writeGradient(strip, e, gradient.at, gradient.p, c, n, scale, offset);
        if (capped()) strip.user.forEach(n, CapVisitor<At>{z, gradient, set1(terms_.cap)});
        gradient.deliver(batch_, strip.user, strip.gradient, c, n);
        if (apart) finishApart(strip, e, z, c, n);
      } else {
        if (again) expBlock(strip.user, static_cast<const T*>(strip.x) + strip.user.offset(c), n, numbers);
        writeGradient(strip, e, strip.user, static_cast<T*>(strip.gradient) + strip.user.offset(c), c, n, scale,
                      offset);
        if (apart) finishApart(strip, e, {}, c, n);
      }
    }
  }
  // The same of the rows whose factor waits, in double.
  SMOOTHLOSS_COLD void finishApart(const Strip& strip, const Numbers<At>& e, const Numbers<At>& z, size_t first,
                                   size_t n) {
    const Numbers<At> targets = soft() ? softBlock(strip, first, n, nullptr).targets : Numbers<At>{};
    with(strip.gradient, [&](auto* gradient) {
      for (size_t r = 0; r < strip.rowCount; ++r) {
        const SoftmaxRow& row = strip.rows[r];
        if (row.target.y == kNone || !row.defined || row.apart == 0.0) continue;
        for (size_t c = 0; c < n; ++c) {
          const double v = soft() ? toDouble(*targets.at.element(targets.p, c, r))
                                  : numberOf<Real>(batch_.smoothing, first + c, 1.0);
          const double slope = capped() ? terms_.slope(toDouble(*z.at.element(z.p, c, r))) : 1.0;
          const double without = toDouble(*e.at.element(e.p, c, r)) * row.multiplier + v * row.offset;
          put(strip.user.element(gradient + strip.user.offset(first), c, r), without * slope * row.apart + 0.0);
        }
      }
    });
  }

  // What the gradient has apart: the targets' classes, and whole rows without one.
  void finishRows(const Strip& strip) {
    with(strip.gradient, [&](auto* gradient) {
      for (size_t r = 0; r < strip.rowCount; ++r) {
        const SoftmaxRow& row = strip.rows[r];
        if (row.target.y == kNone || !row.defined) {
          fillRow(strip.user, gradient, batch_.classes, r, row.target.y == kNone ? 0.0 : kNaN);
          continue;
        }
        put(strip.user.element(gradient, row.pivot, r),
            row.pivotGradient * (capped() ? terms_.slope(row.zPivot) : 1.0));
        if (hasSecond(row.target)) {
          put(strip.user.element(gradient, row.target.second, r), row.secondGradient * terms_.slope(row.zSecond));
        }
      }
    });
  }

  void expBlock(const At& at, const T* z, size_t n, const ExpNumbers<At>& numbers) {
    at.forEach(n, ExpVisitor<At, T, Keep::kWhole, true>{at, z, scratchAt_, blockOf<Real>(scratch_, kExpBlock), 0,
                                                        At::perRow(numbers.shift), At::perRow(numbers.floor),
                                                        At::perRow(numbers.magic)});
  }

  void writeGradient(const Strip& strip, const Numbers<At>& e, const At& to, T* gradient, size_t first, size_t n,
                     const Real* scale, const Real* offset) {
    if (soft()) {
      const Numbers<At> targets = softBlock(strip, first, n, nullptr).targets;
      gradientOf(strip, e, FactorLoads<At, Factors::kElements>{nullptr, targets.at, targets.p}, to, gradient, first, n,
                 scale, offset);
    } else if (batch_.smoothing) {
      gradientOf(strip, e,
                 FactorLoads<At, Factors::kClasses>{static_cast<const Real*>(batch_.smoothing) + first, to, nullptr},
                 to, gradient, first, n, scale, offset);
    } else {
      gradientOf(strip, e, FactorLoads<At, Factors::kOnes>{nullptr, to, nullptr}, to, gradient, first, n, scale,
                 offset);
    }
  }
  template <Factors kFactors>
  void gradientOf(const Strip& strip, const Numbers<At>& e, const FactorLoads<At, kFactors>& factors, const At& to,
                  T* gradient, size_t first, size_t n, const Real* scale, const Real* offset) const {
    GradientVisitor<At, T, kFactors> visitor{e.at, e.p, factors, to, gradient, At::perRow(scale), At::perRow(offset)};
    if constexpr (kMayStream) {
      if (streams_) return to.forEachStreamed(gradient, n, strip.rows[0].pivot - first, visitor);
    }
    to.forEachLine(gradient, n, visitor);
  }
};

// Whether a batch asks for nothing but the loss of single classes and its gradient.
inline bool isPlain(const Batch& batch) {
  return !batch.dense && !batch.seconds && !batch.kl && batch.logitScale == 1.0 && batch.softcap == 0.0 &&
         batch.zLoss == 0.0 && !batch.metrics && !batch.rowLoss && !batch.rowNll && !batch.rowLse &&
         !batch.rowEntropy && !batch.prediction;
}
