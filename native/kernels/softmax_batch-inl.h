// The parts of a softmax cross entropy batch, and the results of its rows. Include after targets-inl.h, in a backend's
// unnamed namespace. lib/js/softmax-batch.ts mirrors this file.

// A part is an option beyond the loss of one class per row and its gradient. Kernels learn of a part only here, and
// each fast path lists the parts that it computes. A batch with any other part takes the general path, so no fast path
// can silently ignore a new option.
//
// kGeneral = false: only the parts of kPlain are compiled in. Testing for the others at run time costs a row of ten
// classes 10 %.
template <bool kGeneral>
class SoftmaxParts {
 public:
  enum Part : uint32_t {
    kSoftTargets = 1 << 0,
    kMixedTargets = 1 << 1,
    kTargetEntropy = 1 << 2,  // form 'kl'
    kLogitScale = 1 << 3,
    kSoftcap = 1 << 4,
    kZLoss = 1 << 5,
    kClassFactors = 1 << 6,  // v_k differs between classes
    kNll = 1 << 7,
    kEntropy = 1 << 8,
    kPrediction = 1 << 9,
    kLossOrLse = 1 << 10  // of each row
  };
  static constexpr uint32_t kReported = kNll | kEntropy | kPrediction | kLossOrLse;
  static constexpr uint32_t kPlain = kClassFactors;  // what kernels without kGeneral compute
  static constexpr uint32_t kPacked = kReported;     // what PackedSolver computes

  SMOOTHLOSS_INLINE explicit SoftmaxParts(const Batch& batch)
      : parts_(bit(kSoftTargets, batch.dense) | bit(kMixedTargets, batch.seconds) | bit(kTargetEntropy, batch.kl) |
               bit(kLogitScale, batch.logitScale != 1.0) | bit(kSoftcap, batch.softcap != 0.0) |
               bit(kZLoss, batch.zLoss != 0.0) | bit(kClassFactors, batch.smoothing) |
               bit(kNll, batch.metrics || batch.rowNll) | bit(kEntropy, batch.metrics || batch.rowEntropy) |
               bit(kPrediction, batch.prediction) | bit(kLossOrLse, batch.rowLoss || batch.rowLse)) {}

  // Whether the batch has no other parts.
  SMOOTHLOSS_INLINE bool within(uint32_t parts) const { return (parts_ & ~parts) == 0; }
  // Whether the batch has any of these parts, of those that are compiled in.
  SMOOTHLOSS_INLINE bool has(uint32_t parts) const { return (parts_ & parts & kCompiled) != 0; }

  SMOOTHLOSS_INLINE bool soft() const { return has(kSoftTargets); }
  SMOOTHLOSS_INLINE bool kl() const { return has(kTargetEntropy); }
  SMOOTHLOSS_INLINE bool transforms() const { return has(kLogitScale | kSoftcap); }
  SMOOTHLOSS_INLINE bool capped() const { return has(kSoftcap); }
  SMOOTHLOSS_INLINE bool hasClassFactors() const { return has(kClassFactors); }
  SMOOTHLOSS_INLINE bool reports() const { return has(kReported); }
  SMOOTHLOSS_INLINE bool wantsNll() const { return has(kNll); }
  SMOOTHLOSS_INLINE bool wantsEntropy() const { return has(kEntropy); }
  SMOOTHLOSS_INLINE bool wantsPrediction() const { return has(kPrediction); }
  SMOOTHLOSS_INLINE bool wantsArgmax() const { return has(kSoftTargets | kEntropy | kPrediction); }
  // Asks the row's target, which knows without a test of the batch.
  SMOOTHLOSS_INLINE static bool hasSecond(const ClassTarget& target) {
    return (kCompiled & kMixedTargets) != 0 && target.second != kNone;
  }

 private:
  static constexpr uint32_t kCompiled = kGeneral ? ~uint32_t{0} : kPlain;
  SMOOTHLOSS_INLINE static uint32_t bit(Part part, bool is) { return is ? uint32_t{part} : 0; }
  SMOOTHLOSS_INLINE static uint32_t bit(Part part, const void* array) { return bit(part, array != nullptr); }

  const uint32_t parts_;
};

// Whether kernels without kGeneral compute all that the batch asks for.
inline bool isPlain(const Batch& batch) {
  using Parts = SoftmaxParts<true>;
  return Parts(batch).within(Parts::kPlain);
}

// Adds a row's loss; returns it with its weight.
template <typename Real>
SMOOTHLOSS_INLINE double addLoss(const Batch& batch, size_t row, double loss, Sums& sums) {
  const double weighed = weigh(numberOf<Real>(batch.rowWeight, row, 1.0), loss);
  sums.numerator += weighed;
  putResult<Real>(batch.losses, row, weighed);
  return weighed;
}

// The numbers that a row can report.
struct RowReport {
  double loss;  // with its weight
  double nll;
  double lse;
  double entropy;
  double zTerm;
  size_t predicted;
  size_t labelled;
};
template <typename Real>
SMOOTHLOSS_NOINLINE void report(const Batch& batch, size_t row, const RowReport& of, Sums& sums) {
  putResult<Real>(batch.rowLoss, row, of.loss);
  putResult<Real>(batch.rowNll, row, of.nll);
  putResult<Real>(batch.rowLse, row, of.lse);
  putResult<Real>(batch.rowEntropy, row, of.entropy);
  if (batch.prediction) batch.prediction[row] = static_cast<int32_t>(of.predicted);
  sums.nll += of.nll;
  sums.entropy += of.entropy;
  sums.zLoss += of.zTerm;
  if (batch.metrics && of.predicted == of.labelled) sums.correct += 1.0;
}
