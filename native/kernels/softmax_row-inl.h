// Softmax cross entropy of a row: the formulas, its numbers, and their solution. Include after softmax_batch-inl.h, in
// a backend's unnamed namespace. lib/js/softmax-row.ts mirrors this file.
//
// With e_k as in RowScale, S = Σ e_k, and one class treated separately, the pivot y: the target's first class, or with
// soft targets the largest logit. E = Σ_{k≠y} e_k; the pivot's own e_y stays in double:
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

// A row whose maximum is beyond this is shifted by it first, which is exact where it matters (Sterbenz). Below it, exp
// needs no subtraction that would round. So it is exact for logits in double too, whose differences would not be: see
// lessLn2. The limit cannot be much larger: from 2^20 on, the error of x · kLog2E and that of a floor in float together
// can take the rounded exponent below 0, past 2^−127, and round to infinity.
constexpr double kShiftAbove = 0x1p19;

// A gradient may be larger than the root of this only if its factor is deferred (results-inl.h). Up to there floats can
// hold the two products whose difference it is, of an exponential up to 2^½ and of a target.
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

// One row on its way through the phases. An ignored row has the target class kNone, and its other fields mean nothing.
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
  double multiplier;      // of e_k in the gradient
  double offset;          // of v_k in the gradient
  double deferredFactor;  // of both, if it is deferred (see isDeferred) and not yet in them; 0: none
  double pivotGradient;
  double secondGradient;
};

// The sums of a row over its classes.
struct SoftmaxSums {
  double exps;           // E
  double otherLogits;    // Σ v_k (z_k − max) over the classes but y and second
  double spread;         // for the entropy: Σ e_k (z_k − max)
  double lesser;         // likewise: Σ e_k without the largest
  double softRest;       // soft targets: Σ w_k t'_k over the classes but the pivot
  double targetEntropy;  // likewise: Σ w_k t'_k ln t'_k
  double dense;          // likewise: Σ t_k, before smoothing
  double denseLogits;    // likewise: Σ t_k (z_k − max)

  SMOOTHLOSS_INLINE void add(const SoftmaxSums& more) {
    exps += more.exps;
    otherLogits += more.otherLogits;
    spread += more.spread;
    lesser += more.lesser;
    softRest += more.softRest;
    targetEntropy += more.targetEntropy;
    dense += more.dense;
    denseLogits += more.denseLogits;
  }
};

// kRows rows that go through each phase together.
template <typename Layout>
struct SoftmaxStrip {
  using Real = typename Layout::Real;
  static constexpr size_t kRows = Layout::kRows;

  size_t first;  // row
  size_t rowCount;
  Layout user;  // how the caller's arrays lie
  const void* x;
  void* gradient;
  Real* exps;  // in the gradient or in scratch memory; null: nowhere
  Layout expsAt;
  bool any;  // any of the rows is not ignored
  SoftmaxRow rows[kRows];
  SoftmaxSums sums[kRows];
  size_t pivots[kRows];
  Argmax<Layout> largest;  // of the logits
  Argmax<Layout> labels;   // of soft targets
};

// The most strips that go through each phase together.
template <typename Layout>
constexpr size_t kMostTile = Layout::kRows == 1 ? 16 : 1;

// The numbers of the rows that are solved together.
template <typename Layout>
struct SoftmaxNumbers {
  static constexpr size_t kMost = Layout::kRows > kMostTile<Layout> ? Layout::kRows : kMostTile<Layout>;
  double exps[kMost];
  double otherLogits[kMost];
  double maximum[kMost];
  double logPivot[kMost];
  double logMaximum[kMost];
  double own[kMost];
  double rest[kMost];
  double mass[kMost];
  double otherFactors[kMost];  // Σ v_k over the classes but y and second
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
         {exps, otherLogits, maximum, logPivot, logMaximum, own, rest, mass, otherFactors, factor, spread, lesser}) {
      numbers[n] = 0.0;
    }
  }
};

// Computes the rows' losses and reports, and the numbers for their gradient. The one long chain of operations in double
// runs for a vector of rows at once.
template <typename Layout, bool kGeneral>
class SoftmaxSolver {
  using Real = typename Layout::Real;
  using Strip = SoftmaxStrip<Layout>;
  using Numbers = SoftmaxNumbers<Layout>;
  using Parts = SoftmaxParts<kGeneral>;
  static constexpr size_t kRows = Layout::kRows;

  const Batch& batch_;
  const Parts parts_;

 public:
  SoftmaxSolver(const Batch& batch, const Parts& parts) : batch_(batch), parts_(parts) {}

  void solve(Strip* strips, size_t count, Sums& sums) const {
    Numbers numbers;
    size_t n = 0;
    for (size_t i = 0; i < count * kRows; ++i) {
      Strip& strip = strips[i / kRows];
      if (strip.rows[i % kRows].target.y == kNone) continue;
      completeTarget(strip, i % kRows);
      gather(strip, i % kRows, numbers, n++);
    }
    if (n == 1) {
      // A lone row is solved without vectors: a vector would wait for the numbers that have just been stored, a third
      // of the time of one short row.
      solveRows<double>(numbers, 0);
    } else {
      for (size_t i = n; i % DoubleVec::kWidth != 0; ++i) numbers.clear(i);
      for (size_t i = 0; i < n; i += DoubleVec::kWidth) solveRows<DoubleVec>(numbers, i);
    }
    n = 0;
    for (size_t i = 0; i < count * kRows; ++i) {
      Strip& strip = strips[i / kRows];
      const size_t r = i % kRows;
      if (strip.rows[r].target.y != kNone) {
        scatter(strip.rows[r], strip.sums[r], numbers, n++, strip.first + r, sums);
      } else if (parts_.wantsPrediction() && r < strip.rowCount) {
        batch_.prediction[strip.first + r] = -1;
      }
    }
  }

  // Solves the D rows from number n on.
  template <typename D>
  void solveRows(Numbers& rows, size_t n) const {
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
    // Rounding may take it below 0 where another class has nearly all.
    const D lseAboveMax = whereGreater(zero, unbounded, zero, unbounded);

    const D reciprocal = factor / sum;
    D zGradient = zero;
    // Without zLoss the gradient need not wait for lse.
    if (parts_.has(Parts::kZLoss)) zGradient = 2.0 * batch_.zLoss * (get(rows.maximum) + lseAboveMax);
    const D multiplier = (own + rest + zGradient) * reciprocal;
    const D offset = -0.0 - factor * mass;
    const D largest = factor * (own + rest) - offset;
    store(rows.multiplier + n, multiplier);
    store(rows.offset + n, offset);
    store(rows.square + n, multiplier * multiplier + largest * largest);
    store(rows.pivotGradient + n, (expPivot * (rest + zGradient) - exps * own) * reciprocal + 0.0);
    store(rows.ownLoss + n, zeroWhereZero(own * nll, own));
    store(rows.smoothedLoss + n,
          zeroWhereZero(mass * (get(rows.otherFactors) * lseAboveMax - get(rows.otherLogits)), mass));
    store(rows.sum + n, sum);
    store(rows.nll + n, nll);
    store(rows.lseAboveMax + n, lseAboveMax);
    if (parts_.wantsEntropy()) {
      // −Σ p ln p = ln(Σ e / e_max) − Σ e (z − max) / Σ e, with the largest treated separately likewise.
      const D lesser = get(rows.lesser);
      const D expLargest = exp(logMaximum);
      const D most = 0.4 * expLargest;
      const D ofSum = logSum(lesser, expLargest, most);
      const D ofRatio = whereGreater(lesser, most, ofSum - logMaximum, ofSum);
      store(rows.entropy + n, ofRatio - get(rows.spread) / (lesser + expLargest));
    }
  }

 private:
  // Sets the fields of a target that need all columns.
  void completeTarget(Strip& strip, size_t r) const {
    SoftmaxRow& row = strip.rows[r];
    SoftmaxSums& sums = strip.sums[r];
    if (parts_.soft()) {
      row.target.mass = 1.0;
      row.target.otherFactors = sums.softRest;
      row.target.entropy = sums.targetEntropy;
    }
    row.labelled = parts_.soft() ? strip.labels.index[r] : largestClass(row.target);
    if (Parts::hasSecond(row.target) && row.target.mass > 0.0 && row.zSecond > -kInfinity) {
      const double factor = numberOf<Real>(batch_.smoothing, row.target.second, 1.0);
      if (factor > 0.0) sums.otherLogits -= factor * (row.zSecond - row.maximum);
    }
  }

  void gather(const Strip& strip, size_t r, Numbers& to, size_t n) const {
    const SoftmaxRow& row = strip.rows[r];
    to.exps[n] = strip.sums[r].exps;
    to.otherLogits[n] = strip.sums[r].otherLogits;
    if (parts_.wantsEntropy()) {
      to.spread[n] = strip.sums[r].spread;
      to.lesser[n] = strip.sums[r].lesser;
    }
    to.maximum[n] = row.maximum;
    to.logPivot[n] = row.scale.template log<Real>(row.zPivot);
    to.logMaximum[n] = row.scale.template log<Real>(row.maximum);
    to.own[n] = row.target.own;
    to.rest[n] = row.target.mass * row.target.otherFactors + row.target.ownSecond;
    to.mass[n] = row.target.mass;
    to.otherFactors[n] = row.target.otherFactors;
    to.factor[n] = bounded(upstreamOf<Real>(batch_, strip.first + r) * batch_.logitScale);
  }

  void scatter(SoftmaxRow& row, const SoftmaxSums& over, const Numbers& from, size_t n, size_t index,
               Sums& sums) const {
    const ClassTarget& target = row.target;
    const double total = target.own + from.rest[n];
    row.defined = row.defined && from.sum[n] == from.sum[n] && total - total == 0.0;
    row.multiplier = from.multiplier[n];
    row.offset = from.offset[n];
    row.pivotGradient = from.pivotGradient[n];
    if (Parts::hasSecond(target)) {
      const double expSecond = exp(row.scale.template log<Real>(row.zSecond));
      row.secondGradient = expSecond * row.multiplier - from.factor[n] * target.ownSecond + 0.0;
    }
    const double lseAboveMax = row.defined ? from.lseAboveMax[n] : kNaN;
    const double lse = row.maximum + lseAboveMax;
    const double zGradient = 2.0 * batch_.zLoss * lse;
    const double zTerm = parts_.has(Parts::kZLoss) ? batch_.zLoss * (lse * lse) : 0.0;
    const double nllSecond = lseAboveMax + (row.maximum - row.zSecond);
    row.deferredFactor = 0.0;
    if (sizeof(Real) == sizeof(float) && from.square[n] > kMostSquare) {
      row.deferredFactor = from.factor[n];
      row.multiplier = bounded((total + zGradient) / from.sum[n]);  // 0 · ∞ would be NaN
      row.offset = -target.mass;
    }

    double loss = from.ownLoss[n];
    if (kGeneral && target.ownSecond > 0.0) loss += target.ownSecond * nllSecond;
    loss += from.smoothedLoss[n];
    if (parts_.kl()) loss += target.entropy;
    loss += zTerm;
    if (!row.defined) loss = kNaN;
    const double weighed = addLoss<Real>(batch_, index, loss, sums);
    if (!parts_.reports()) return;
    double nll = kNaN;
    if (parts_.soft()) {
      nll = over.dense * lseAboveMax - over.denseLogits;
    } else {
      nll = target.lambda > 0.0 ? target.lambda * from.nll[n] : 0.0;
      if (target.lambda < 1.0) nll += (1.0 - target.lambda) * nllSecond;
    }
    const double entropy = parts_.wantsEntropy() ? from.entropy[n] : kNaN;
    if (row.defined) {
      report<Real>(batch_, index, {weighed, nll, lse, entropy, zTerm, row.predicted, row.labelled}, sums);
    } else {
      report<Real>(batch_, index, {weighed, kNaN, kNaN, kNaN, kNaN, row.predicted, row.labelled}, sums);
    }
  }
};
