// What a row is compared with: the target distribution of one class or two, with label smoothing. Include after
// results-inl.h, in a backend's unnamed namespace. lib/js/targets.ts mirrors this file.

// No class, or no column.
constexpr size_t kNone = SIZE_MAX;

// The sum without the entry `value` at that index.
SMOOTHLOSS_INLINE double without(const Total& total, size_t index, double value) {
  return static_cast<double>(index) == total.top ? total.rest : total.sum - value;
}

// x · ln x; 0 for 0 and for subnormal numbers.
SMOOTHLOSS_INLINE double timesLog(double x) { return x >= 0x1p-1022 ? x * log(x) : 0.0; }

// The target distribution of a row with one class y or two, t = λ·one-hot(y) + (1 − λ)·one-hot(second):
//
//     w_k t'_k = own·[k = y] + ownSecond·[k = second] + mass·v_k for all other k,   v = weight·prior
//
// mass = ε / Σ of the prior of the classes that get it. For two classes and over 'others', whose masses differ, it is
// their mean by λ.
// Label smoothing: Szegedy et al. 2016, arXiv:1512.00567; mixed targets: Zhang et al. 2018, arXiv:1710.09412.
struct ClassTarget {
  size_t y;
  size_t second;  // kNone: there is none
  double lambda;
  double own;
  double ownSecond;
  double mass;
  double otherFactors;  // Σ of v over the classes but y and second
  double entropy;       // Σ w_k t'_k ln t'_k, if asked for

  ClassTarget() = default;
  SMOOTHLOSS_INLINE explicit ClassTarget(size_t first)
      : y(first), second(kNone), lambda(1.0), own(0.0), ownSecond(0.0), mass(0.0), otherFactors(0.0), entropy(0.0) {}

  // The target of a row with that first class, in a batch of that arithmetic.
  template <typename Real>
  SMOOTHLOSS_INLINE ClassTarget(As<Real>, const Batch& batch, size_t row, size_t first) : ClassTarget(first) {
    if (batch.dense) return;  // the kernels compute t' block by block
    const double epsilon = numberOf<Real>(batch.epsilons, row, batch.epsilon);
    const size_t other = batch.seconds ? static_cast<uint32_t>(batch.seconds[row]) : y;
    if (other != y && other < batch.classes) {
      mix<Real>(batch, row, other, epsilon);
      return;
    }
    const double weight = numberOf<Real>(batch.weight, y, 1.0);
    own = (1.0 - epsilon) * weight;
    double share = 1.0 - epsilon;  // t'_y
    if (epsilon > 0.0) {
      const double prior = numberOf<Real>(batch.prior, y, 1.0);
      const double factor = numberOf<Real>(batch.smoothing, y, 1.0);
      mass = epsilon / (batch.others ? without(batch.priorTotal, y, prior) : batch.priorTotal.sum);
      otherFactors = without(batch.smoothingTotal, y, factor);
      if (!batch.others) {
        own += mass * factor;
        share += mass * prior;
      }
    }
    if (batch.kl) entropy = weight * timesLog(share) + othersEntropy<Real>(batch);
  }

 private:
  template <typename Real>
  SMOOTHLOSS_NOINLINE void mix(const Batch& batch, size_t row, size_t other, double epsilon) {
    second = other;
    lambda = numberOf<Real>(batch.lambdas, row, batch.lambda);
    const double weights[2] = {numberOf<Real>(batch.weight, y, 1.0), numberOf<Real>(batch.weight, second, 1.0)};
    const double priors[2] = {numberOf<Real>(batch.prior, y, 1.0), numberOf<Real>(batch.prior, second, 1.0)};
    const double factors[2] = {numberOf<Real>(batch.smoothing, y, 1.0), numberOf<Real>(batch.smoothing, second, 1.0)};
    // The mass that each of the two classes gives to all classes but itself, and the shares t' of the two.
    double masses[2] = {0.0, 0.0};
    double shares[2] = {(1.0 - epsilon) * lambda, (1.0 - epsilon) * (1.0 - lambda)};
    if (epsilon > 0.0) {
      masses[0] = epsilon / (batch.others ? without(batch.priorTotal, y, priors[0]) : batch.priorTotal.sum) * lambda;
      masses[1] = epsilon / (batch.others ? without(batch.priorTotal, second, priors[1]) : batch.priorTotal.sum) *
                  (1.0 - lambda);
      mass = masses[0] + masses[1];
      shares[0] += (batch.others ? masses[1] : mass) * priors[0];
      shares[1] += (batch.others ? masses[0] : mass) * priors[1];
      otherFactors = static_cast<double>(second) == batch.smoothingTotal.top
                         ? batch.smoothingTotal.rest - factors[0]
                         : without(batch.smoothingTotal, y, factors[0]) - factors[1];
      if (otherFactors < 0.0 || batch.classes == 2) otherFactors = 0.0;
    }
    own = weights[0] * shares[0];
    ownSecond = weights[1] * shares[1];
    if (batch.kl)
      entropy = weights[0] * timesLog(shares[0]) + weights[1] * timesLog(shares[1]) + othersEntropy<Real>(batch);
  }

  // Σ v_k · mass · ln(mass · prior_k) over the classes but y and second.
  template <typename Real>
  SMOOTHLOSS_INLINE double othersEntropy(const Batch& batch) const {
    if (!(mass > 0.0)) return 0.0;
    double logs = batch.smoothingLog;
    if (batch.prior) {
      logs -= classLog<Real>(batch, y);
      if (second != kNone) logs -= classLog<Real>(batch, second);
    }
    return mass * logs + otherFactors * timesLog(mass);
  }
  template <typename Real>
  SMOOTHLOSS_INLINE static double classLog(const Batch& batch, size_t k) {
    const double prior = numberOf<Real>(batch.prior, k, 1.0);
    return prior >= 0x1p-1022 ? numberOf<Real>(batch.smoothing, k, 1.0) * log(prior) : 0.0;
  }
};

// The targets of a batch's rows, in that arithmetic. If they differ in their class alone, their numbers are computed
// once: 12 % less time for ten classes.
template <typename Real>
class ClassTargets {
 public:
  SMOOTHLOSS_INLINE explicit ClassTargets(const Batch& batch)
      : batch_(batch),
        alike_(batch.dense || !(batch.seconds || batch.weight || batch.smoothing || batch.epsilons)),
        any_(alike_ ? ClassTarget(As<Real>(), batch, 0, 0) : ClassTarget(kNone)) {}

  // kNone for a row that takes no part.
  SMOOTHLOSS_INLINE size_t classOf(size_t row) const {
    const size_t y = static_cast<uint32_t>(batch_.targets[row]);
    return y < batch_.classes ? y : kNone;
  }
  // The target of all rows but for their class; null: they differ in more.
  SMOOTHLOSS_INLINE const ClassTarget* alike() const { return alike_ ? &any_ : nullptr; }
  // Sets the target of a row; y is kNone if it takes no part.
  SMOOTHLOSS_INLINE void take(size_t row, ClassTarget& target) const {
    const size_t y = classOf(row);
    if (y == kNone) {
      target = ClassTarget(kNone);
    } else if (alike_) {
      target = any_;
      target.y = y;
    } else {
      // Constructed in place: a copy would wait for the fields that have just been stored.
      new (&target) ClassTarget(As<Real>(), batch_, row, y);
    }
  }

 private:
  const Batch& batch_;
  const bool alike_;
  const ClassTarget any_;
};

// The class that a right prediction names: the one with the largest share, of equal ones the first.
SMOOTHLOSS_INLINE size_t largestClass(const ClassTarget& target) {
  if (target.second == kNone || target.lambda > 0.5) return target.y;
  if (target.lambda < 0.5) return target.second;
  return target.y < target.second ? target.y : target.second;
}
