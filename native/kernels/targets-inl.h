// What a row is compared with, and how batches are walked: shared by all losses. Include after layout-inl.h, in a
// backend's unnamed namespace. lib/js/targets.ts mirrors this file.

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kNone = SIZE_MAX;
// For sums that skip no column.
constexpr size_t kNoColumns[16] = {kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone,
                                   kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone};

// Where the rows from `row` on begin in an array with that stride.
SMOOTHLOSS_INLINE size_t offsetOf(const Batch& batch, size_t row, size_t stride) {
  if (batch.inner == 1) return row * stride;
  return row / batch.inner * batch.classes * batch.inner + row % batch.inner;
}

template <typename V>
SMOOTHLOSS_INLINE Along<V> userLayout(As<Along<V>>, const Batch&, size_t) {
  return {};
}
template <typename V>
SMOOTHLOSS_INLINE Across<V> userLayout(As<Across<V>>, const Batch& batch, size_t count) {
  return {batch.inner, count};
}
// Scratch memory holds whole vectors.
template <typename V>
SMOOTHLOSS_INLINE Along<V> scratchLayout(As<Along<V>>) {
  return {};
}
template <typename V>
SMOOTHLOSS_INLINE Across<V> scratchLayout(As<Across<V>>) {
  return {V::kWidth, V::kWidth};
}

// How many of the rows [row, end) are in one image.
SMOOTHLOSS_INLINE size_t inImage(const Batch& batch, size_t row, size_t end) {
  const size_t rows = batch.inner - row % batch.inner;
  return end - row < rows ? end - row : rows;
}

// How many of the rows [row, end) one At can take together.
template <typename V>
SMOOTHLOSS_INLINE size_t stripOf(As<Along<V>>, const Batch&, size_t, size_t) {
  return 1;
}
template <typename V>
SMOOTHLOSS_INLINE size_t stripOf(As<Across<V>>, const Batch& batch, size_t row, size_t end) {
  const size_t left = inImage(batch, row, end);
  return left < V::kWidth ? left : V::kWidth;
}

template <typename Real>
struct OnesBlock {
  Real ones[kBlock];
};
template <typename Real>
constexpr OnesBlock<Real> makeOnes() {
  OnesBlock<Real> block{};
  for (size_t i = 0; i < kBlock; ++i) block.ones[i] = Real(1);
  return block;
}
template <typename Real>
constexpr OnesBlock<Real> kOneFactors = makeOnes<Real>();

// The factors of one block's classes; ones where there is no array.
template <typename Real>
SMOOTHLOSS_INLINE const Real* classFactors(const void* factors, size_t first) {
  return factors ? static_cast<const Real*>(factors) + first : kOneFactors<Real>.ones;
}

template <typename Real>
SMOOTHLOSS_INLINE double numberOf(const void* numbers, size_t index, double otherwise) {
  return numbers ? toDouble(static_cast<const Real*>(numbers)[index]) : otherwise;
}

// Gradients so large that float has no number for them stop at its largest: infinity times a probability of 0 would be
// NaN, and what kind of NaN depends on the CPU. Those in double stop at 2^1023, so that times an exponential up to 2^½
// they stay finite.
template <typename Real>
constexpr double kLargestGradient =
    sizeof(Real) == sizeof(double) ? 0x1p1023 : static_cast<double>(std::numeric_limits<Real>::max());
template <typename Real>
SMOOTHLOSS_INLINE Real toReal(double x) {
  constexpr double kLargest = kLargestGradient<Real>;
  if (x != x) return std::numeric_limits<Real>::quiet_NaN();
  return static_cast<Real>(x > kLargest ? kLargest : x < -kLargest ? -kLargest : x);
}
// Float has no number for a factor of this size, though it may have one for the gradient, which is less: then the
// factor waits, `apart`, and what is left of the gradient is multiplied by it in double, which put and toReal bound.
template <typename Real>
SMOOTHLOSS_INLINE bool waits(double size) {
  return sizeof(Real) == sizeof(float) && size > kLargestGradient<float>;
}
SMOOTHLOSS_INLINE double magnitude(double x) { return x < 0.0 ? -x : x; }
SMOOTHLOSS_INLINE void put(float* p, double x) { *p = toReal<float>(x); }
SMOOTHLOSS_INLINE void put(double* p, double x) { *p = toReal<double>(x); }
SMOOTHLOSS_INLINE void put(Half* p, double x) { *p = toHalf(toReal<float>(x)); }
SMOOTHLOSS_INLINE void put(Bfloat16* p, double x) { *p = toBfloat16(toReal<float>(x)); }

// One kind of NaN, whatever the CPU made.
template <typename V>
SMOOTHLOSS_INLINE V oneNaN(V a) {
  return whereEqual(a, a, a, set1(std::numeric_limits<typename V::Real>::quiet_NaN()));
}

// A number of a row, to where it was asked for: one kind of NaN on all CPUs.
template <typename Real>
SMOOTHLOSS_INLINE void putResult(void* results, size_t row, double x) {
  if (results == nullptr) return;
  static_cast<Real*>(results)[row] = x == x ? static_cast<Real>(x) : std::numeric_limits<Real>::quiet_NaN();
}

SMOOTHLOSS_INLINE double oneNaN(double x) { return x == x ? x : kNaN; }

// rowWeight · loss: a weight of 0 takes an infinite loss out as well, but not NaN.
SMOOTHLOSS_INLINE double weigh(double weight, double loss) {
  return weight == 0.0 && loss == loss ? 0.0 : oneNaN(weight * loss);
}

// Finite, so that times 0 it is 0: a double holds more than any gradient needs.
SMOOTHLOSS_INLINE double bounded(double factor) { return factor > 1e300 ? 1e300 : factor < -1e300 ? -1e300 : factor; }

// What a row's gradient is multiplied by.
template <typename Real>
SMOOTHLOSS_INLINE double upstreamOf(const Batch& batch, size_t row) {
  return bounded(batch.gradientScale * numberOf<Real>(batch.rowWeight, row, 1.0) *
                 numberOf<Real>(batch.gradientScales, row, 1.0));
}

SMOOTHLOSS_INLINE double without(const Total& total, size_t index, double value) {
  return static_cast<double>(index) == total.top ? total.rest : total.sum - value;
}

// x · ln x, 0 for 0; below the normal numbers as if it were 0.
SMOOTHLOSS_INLINE double timesLog(double x) { return x >= 0x1p-1022 ? x * log(x) : 0.0; }

// The target distribution of a row with one class y or two, t = λ·one-hot(y) + (1 − λ)·one-hot(second):
//
//     w_k t'_k = own·[k = y] + ownSecond·[k = second] + mass·v_k for all other k,   v = weight·prior
//
// mass = ε / Σ of the prior it goes to; for two classes and `others`, the mean of what goes to each class's others.
// Label smoothing: Szegedy et al. 2016, arXiv:1512.00567; mixed targets: Zhang et al. 2018, arXiv:1710.09412.
struct ClassTarget {
  size_t y;
  size_t second;  // kNone: there is none
  double lambda;
  double own;
  double ownSecond;
  double mass;
  double others;   // Σ of v over the classes but y and second
  double entropy;  // Σ w_k t'_k ln t'_k, if asked for

  ClassTarget() = default;
  SMOOTHLOSS_INLINE explicit ClassTarget(size_t first)
      : y(first), second(kNone), lambda(1.0), own(0.0), ownSecond(0.0), mass(0.0), others(0.0), entropy(0.0) {}

  // Of a row with that first class, in a batch of that arithmetic.
  template <typename Real>
  SMOOTHLOSS_INLINE ClassTarget(As<Real>, const Batch& batch, size_t row, size_t first) : ClassTarget(first) {
    if (batch.dense) return;  // the loss adds up its own
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
      others = without(batch.smoothingTotal, y, factor);
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
    // What each of the two classes contributes to the mass of all that are not itself, and of itself.
    double masses[2] = {0.0, 0.0};
    double shares[2] = {(1.0 - epsilon) * lambda, (1.0 - epsilon) * (1.0 - lambda)};
    if (epsilon > 0.0) {
      masses[0] = epsilon / (batch.others ? without(batch.priorTotal, y, priors[0]) : batch.priorTotal.sum) * lambda;
      masses[1] = epsilon / (batch.others ? without(batch.priorTotal, second, priors[1]) : batch.priorTotal.sum) *
                  (1.0 - lambda);
      mass = masses[0] + masses[1];
      shares[0] += (batch.others ? masses[1] : mass) * priors[0];
      shares[1] += (batch.others ? masses[0] : mass) * priors[1];
      others = static_cast<double>(second) == batch.smoothingTotal.top
                   ? batch.smoothingTotal.rest - factors[0]
                   : without(batch.smoothingTotal, y, factors[0]) - factors[1];
      if (others < 0.0 || batch.classes == 2) others = 0.0;
    }
    own = weights[0] * shares[0];
    ownSecond = weights[1] * shares[1];
    if (batch.kl)
      entropy = weights[0] * timesLog(shares[0]) + weights[1] * timesLog(shares[1]) + othersEntropy<Real>(batch);
  }

  // Of the classes but y and second: Σ v_k · mass · ln(mass · prior_k).
  template <typename Real>
  SMOOTHLOSS_INLINE double othersEntropy(const Batch& batch) const {
    if (!(mass > 0.0)) return 0.0;
    double logs = batch.smoothingLog;
    if (batch.prior) {
      logs -= classLog<Real>(batch, y);
      if (second != kNone) logs -= classLog<Real>(batch, second);
    }
    return mass * logs + others * timesLog(mass);
  }
  template <typename Real>
  SMOOTHLOSS_INLINE static double classLog(const Batch& batch, size_t k) {
    const double prior = numberOf<Real>(batch.prior, k, 1.0);
    return prior >= 0x1p-1022 ? numberOf<Real>(batch.smoothing, k, 1.0) * log(prior) : 0.0;
  }
};

// The targets of the rows of a batch of that arithmetic. Where they differ in their class alone, the other numbers are
// computed once: 12 % less time for ten classes.
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
  // What all rows have but for their class; null: they differ.
  SMOOTHLOSS_INLINE const ClassTarget* alike() const { return alike_ ? &any_ : nullptr; }
  // A row that takes no part has the y kNone.
  SMOOTHLOSS_INLINE void take(size_t row, ClassTarget& target) const {
    const size_t y = classOf(row);
    if (y == kNone) {
      target = ClassTarget(kNone);
    } else if (alike_) {
      target = any_;
      target.y = y;
    } else {
      // In place: a copy would wait for the parts that have just been stored.
      new (&target) ClassTarget(As<Real>(), batch_, row, y);
    }
  }

 private:
  const Batch& batch_;
  const bool alike_;
  const ClassTarget any_;
};

// The share of the target that a prediction hits, where the target is classes: its largest class, ties to the smallest.
SMOOTHLOSS_INLINE size_t largestClass(const ClassTarget& target) {
  if (target.second == kNone || target.lambda > 0.5) return target.y;
  if (target.lambda < 0.5) return target.second;
  return target.y < target.second ? target.y : target.second;
}

// Visitors that several losses use
// --------------------------------------------------------------------------------------

// Numbers to another type or layout.
template <typename At, typename T, typename U>
struct CopyVisitor {
  using V = typename At::V;
  At from;
  const T* x;
  At to;
  U* out;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      terms[i] = loads.elements(from, x, c + i * At::kColumns);
      loads.put(to, out, c + i * At::kColumns, terms[i]);
    }
  }
};

// z of one logit, or of a vector of them.
template <typename V>
struct Terms {
  typename V::Real scale;
  typename V::Real cap;  // 0: none

  SMOOTHLOSS_INLINE explicit Terms(const Batch& batch)
      : scale(static_cast<typename V::Real>(batch.logitScale)), cap(static_cast<typename V::Real>(batch.softcap)) {}
  SMOOTHLOSS_INLINE bool any() const { return scale != 1 || cap != 0; }
  SMOOTHLOSS_INLINE V of(V x) const {
    const V z = mul(x, set1(scale));
    return cap != 0 ? mul(set1(cap), tanh(div(z, set1(cap)))) : z;
  }
  SMOOTHLOSS_INLINE double ofOne(double x) const {
    typename V::Real z[V::kWidth];
    store(z, of(set1(static_cast<typename V::Real>(x))));
    return toDouble(z[0]);
  }
  // dz/dx / logitScale.
  SMOOTHLOSS_INLINE double slope(double z) const {
    if (cap == 0) return 1.0;
    const double u = z / toDouble(cap);
    return 1.0 - u * u;
  }
};

// z = logitScale · x, and softcap · tanh(z / softcap) of it. Gemma 2, arXiv:2408.00118, section 2.
template <typename At, typename T>
struct TermVisitor {
  using V = typename At::V;
  At from;
  const T* x;
  At to;
  typename At::Real* out;
  Terms<V> z;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      terms[i] = z.of(loads.elements(from, x, c + i * At::kColumns));
      loads.put(to, out, c + i * At::kColumns, terms[i]);
    }
  }
};

// One number into a row of a strip.
template <typename At, typename T>
SMOOTHLOSS_INLINE void fillRow(const At& at, T* p, size_t classes, size_t row, double value) {
  T element;
  put(&element, value);
  for (size_t c = 0; c < classes; ++c) *at.element(p, c, row) = element;
}

// Σ of numbers.
template <typename At, typename T>
struct ElementVisitor {
  using V = typename At::V;
  At at;
  const T* x;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) terms[i] = loads.elements(at, x, c + i * At::kColumns);
  }
};

// The first column where the row's number equals its maximum.
template <typename At, typename T>
SMOOTHLOSS_INLINE size_t firstOf(const At& at, const T* x, size_t n, double maximum) {
  size_t c = 0;
  // Vectors first find the columns it is among.
  if constexpr (At::kColumns > 1) {
    while (c + kLanes < n && toDouble(maxLane(at.largest(x + c, kLanes))) != maximum) c += kLanes;
  }
  while (c + 1 < n && toDouble(*at.element(x, c, 0)) != maximum) ++c;
  return c;
}

// The running maximum of each row and where it was first seen.
template <typename At>
struct Argmax {
  using Real = typename At::Real;
  Real maximum[At::kRows];
  size_t index[At::kRows];

  SMOOTHLOSS_INLINE void clear() {
    for (size_t r = 0; r < At::kRows; ++r) {
      maximum[r] = -std::numeric_limits<Real>::infinity();
      index[r] = 0;
    }
  }
  // Takes the columns [first, first + n) in; their index only if `indexed`.
  template <typename T>
  SMOOTHLOSS_INLINE void take(const At& at, const T* x, size_t first, size_t n, bool indexed) {
    Real before[At::kRows];
    for (size_t r = 0; r < At::kRows; ++r) before[r] = maximum[r];
    const typename At::V largest = max(at.largest(x, n), At::perRow(maximum));
    At::toRows(largest, maximum);
    if (!indexed) return;
    if constexpr (At::kRows > 1) {
      typename At::V columns = set1(Real(0));
      for (size_t c = n; c-- > 0;)
        columns = whereEqual(at.elements(x, c), largest, set1(static_cast<Real>(c)), columns);
      Real column[At::kRows];
      At::toRows(columns, column);
      for (size_t r = 0; r < At::kRows; ++r) {
        if (maximum[r] > before[r]) index[r] = first + static_cast<size_t>(column[r]);
      }
    } else if (maximum[0] > before[0]) {
      index[0] = first + firstOf(at, x, n, toDouble(maximum[0]));
    }
  }
  // The same of later columns.
  SMOOTHLOSS_INLINE void take(const Argmax& more) {
    for (size_t r = 0; r < At::kRows; ++r) {
      if (!(more.maximum[r] > maximum[r])) continue;
      maximum[r] = more.maximum[r];
      index[r] = more.index[r];
    }
  }
};

// A stage of a strip's way, segment by segment; what a segment adds up, the kernel merges in their order. Strips of one
// segment, all but the longest, are their own part.
template <typename Kernel, typename Strip>
SMOOTHLOSS_INLINE void runStage(Kernel& kernel, Strip& strip, size_t stage, size_t classes) {
  if (classes <= kSegment) return kernel.part(strip, stage, 0, classes);
  const Strip start = strip;
  for (size_t first = 0; first < classes; first += kSegment) {
    const size_t end = classes - first < kSegment ? classes : first + kSegment;
    Strip part = start;
    kernel.part(part, stage, first, end);
    kernel.merge(strip, stage, part, first, end);
  }
}

// The blocks of scratch memory.
enum ScratchBlock : size_t { kLogitBlock, kDenseBlock, kShareBlock, kTargetBlock, kExpBlock, kGradientBlock };

template <typename Real>
SMOOTHLOSS_INLINE Real* blockOf(Scratch& scratch, ScratchBlock block) {
  return reinterpret_cast<Real*>(scratch.blocks[block]);
}

// One block of numbers of the arithmetic's type, and how they lie.
template <typename At>
struct Numbers {
  At at;
  const typename At::Real* p;
};

// n columns of the caller's, where they are if they are of the arithmetic's type, else converted into a scratch block.
template <typename At, typename T>
SMOOTHLOSS_INLINE Numbers<At> realBlock(const At& user, const T* p, size_t n, Scratch& scratch, ScratchBlock block) {
  using Real = typename At::Real;
  if constexpr (std::is_same<T, Real>::value) {
    return {user, p};
  } else {
    const At at = scratchLayout(As<At>());
    Real* out = blockOf<Real>(scratch, block);
    user.forEach(n, CopyVisitor<At, T, Real>{user, p, at, out});
    return {at, out};
  }
}

// The caller's logits or gradient have the arithmetic's type or, in float, a half type. Kernels are written for the
// arithmetic's alone, and blocks of half types go through scratch memory: instances of their own for the half types
// were half as much code again. (Plain cross entropy has them all the same, for speed.)

// Calls action with the elements at p as what they are.
template <typename Real, typename P, typename Action>
SMOOTHLOSS_INLINE auto withElements(Type type, P* p, const Action& action) {
  using std::conditional_t;
  constexpr bool kConst = std::is_const<P>::value;
  if constexpr (std::is_same<Real, float>::value) {
    if (type == Type::kFloat16) return action(static_cast<conditional_t<kConst, const Half, Half>*>(p));
    if (type == Type::kBfloat16) return action(static_cast<conditional_t<kConst, const Bfloat16, Bfloat16>*>(p));
  }
  return action(static_cast<conditional_t<kConst, const Real, Real>*>(p));
}
SMOOTHLOSS_INLINE bool isHalf(Type type) { return type == Type::kFloat16 || type == Type::kBfloat16; }
// Where a row's elements begin.
template <typename P>
SMOOTHLOSS_INLINE P* elementsAt(Type type, P* p, size_t offset) {
  const size_t bytes = type == Type::kFloat64 ? sizeof(double) : type == Type::kFloat32 ? sizeof(float) : sizeof(Half);
  using Bytes = std::conditional_t<std::is_const<P>::value, const unsigned char, unsigned char>;
  return p == nullptr ? nullptr : static_cast<Bytes*>(p) + offset * bytes;
}

// The columns [first, first + n) of the logits of a strip's rows.
template <typename At>
SMOOTHLOSS_INLINE Numbers<At> logitBlock(const Batch& batch, const At& user, const void* rows, size_t first, size_t n,
                                         Scratch& scratch) {
  return withElements<typename At::Real>(
      batch.type, rows, [&](auto* x) { return realBlock(user, x + user.offset(first), n, scratch, kLogitBlock); });
}

// z of the same columns.
template <typename At>
Numbers<At> termBlock(const Batch& batch, const Terms<typename At::V>& terms, const At& user, const void* rows,
                      size_t first, size_t n, Scratch& scratch) {
  using Real = typename At::Real;
  if (!terms.any()) return logitBlock(batch, user, rows, first, n, scratch);
  const Numbers<At> z = {scratchLayout(As<At>()), blockOf<Real>(scratch, kLogitBlock)};
  withElements<Real>(batch.type, rows, [&](auto* x) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(x)>>;
    const TermVisitor<At, T> visitor{user, x + user.offset(first), z.at, blockOf<Real>(scratch, kLogitBlock), terms};
    user.forEach(n, visitor);
  });
  return z;
}

// Where the gradient of columns from `first` on is written, and what takes it from there to the caller's array.
template <typename At>
struct GradientBlock {
  using Real = typename At::Real;
  At at;
  Real* p;

  // Null for no gradient.
  SMOOTHLOSS_INLINE GradientBlock(const Batch& batch, const At& user, void* rows, size_t first, Scratch& scratch)
      : at(user), p(nullptr) {
    if (rows == nullptr) return;
    if (isHalf(batch.type)) {
      at = scratchLayout(As<At>());
      p = blockOf<Real>(scratch, kGradientBlock);
    } else {
      p = static_cast<Real*>(rows) + user.offset(first);
    }
  }

  SMOOTHLOSS_INLINE void deliver(const Batch& batch, const At& user, void* rows, size_t first, size_t n) const {
    if (!isHalf(batch.type)) return;
    withElements<Real>(batch.type, rows, [&](auto* gradient) {
      using T = std::remove_pointer_t<decltype(gradient)>;
      if constexpr (!std::is_same<T, Real>::value) {
        user.forEach(n, CopyVisitor<At, Real, T>{at, p, user, gradient + user.offset(first)});
      }
    });
  }
};

// gradient ← gradient · apart, of n columns of the rows whose factor waits: 0 for others.
template <typename At>
SMOOTHLOSS_COLD void multiplyRows(const GradientBlock<At>& gradient, size_t n, const double* apart) {
  for (size_t r = 0; r < At::kRows; ++r) {
    for (size_t c = 0; apart[r] != 0.0 && c < n; ++c) {
      auto* const element = gradient.at.element(gradient.p, c, r);
      put(element, toDouble(*element) * apart[r] + 0.0);
    }
  }
}

// gradient ← gradient · (1 − (z/softcap)²), the derivative of softcap · tanh.
template <typename At>
struct CapVisitor {
  using V = typename At::V;
  using Real = typename At::Real;
  Numbers<At> z;
  GradientBlock<At> gradient;
  V cap;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&)[N]) {
    const V zero = set1(Real(0));
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * At::kColumns;
      const V u = div(loads.elements(z.at, z.p, column), cap);
      const V slope = fma(sub(zero, u), u, set1(Real(1)));
      const V number = loads.elements(gradient.at, gradient.p, column);
      loads.put(gradient.at, gradient.p, column, zeroWhereZero(oneNaN(fma(number, slope, zero)), number));
    }
  }
};

// Dense targets of the columns [first, first + n) of the strip at `row`.
template <typename At>
SMOOTHLOSS_INLINE Numbers<At> denseBlock(const Batch& batch, size_t row, const At& user, size_t first, size_t n,
                                         Scratch& scratch) {
  const size_t offset = offsetOf(batch, row, batch.denseStride) + user.offset(first);
  switch (batch.denseType) {
    case Dense::kFloat64:
      return realBlock(user, static_cast<const double*>(batch.dense) + offset, n, scratch, kDenseBlock);
    case Dense::kUint8:
      return realBlock(user, static_cast<const uint8_t*>(batch.dense) + offset, n, scratch, kDenseBlock);
    case Dense::kFloat32:
      break;
  }
  return realBlock(user, static_cast<const float*>(batch.dense) + offset, n, scratch, kDenseBlock);
}

// Brings the same columns of the next row's into the cache.
template <typename At>
SMOOTHLOSS_INLINE void denseAhead(const Batch& batch, size_t row, const At& user, size_t first, size_t n) {
  const size_t size = batch.denseType == Dense::kFloat64 ? sizeof(double) : sizeof(float);
  const size_t offset = offsetOf(batch, row, batch.denseStride) + user.offset(first);
  const auto* const bytes = static_cast<const unsigned char*>(batch.dense) + offset * size;
  for (size_t i = 0; i < n * size; i += kLineBytes) user.ahead(bytes, i, batch.denseStride * size);
}

// Σ factor_c · (z_c − maximum): what the factors are.
enum class Factors { kOnes, kClasses, kElements };

template <typename At, Factors kFactors>
struct FactorLoads {
  using V = typename At::V;
  const typename At::Real* classes;
  At at;
  const typename At::Real* elements;

  template <typename Loads>
  SMOOTHLOSS_INLINE V get(const Loads& loads, size_t c) const {
    if constexpr (kFactors == Factors::kElements) return loads.elements(at, elements, c);
    if constexpr (kFactors == Factors::kClasses) return loads.factors(classes, c);
    return set1(typename At::Real(1));
  }
};

// Without kRelative the maximum is 0.
template <typename At, typename T, Factors kFactors, bool kRelative = true>
struct BelowVisitor {
  using V = typename At::V;
  At at;
  const T* z;
  FactorLoads<At, kFactors> factors;
  V maximum;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      V below = loads.elements(at, z, c + i * At::kColumns);
      if constexpr (kRelative) below = sub(below, maximum);
      const V factor = factors.get(loads, c + i * At::kColumns);
      terms[i] = kFactors == Factors::kOnes ? below : zeroWhereZero(mul(factor, below), factor);
    }
  }
};

// The same of one row in double: for blocks with −Infinity logits, or differences that overflow.
template <typename At, typename T, Factors kFactors>
SMOOTHLOSS_COLD double exactBelow(const At& at, const T* z, const FactorLoads<At, kFactors>& factors, size_t n,
                                  size_t row, size_t skip, size_t second, double maximum) {
  double sum = 0.0;
  for (size_t c = 0; c < n; ++c) {
    double factor = 1.0;
    if constexpr (kFactors == Factors::kElements) factor = toDouble(*factors.at.element(factors.elements, c, row));
    if constexpr (kFactors == Factors::kClasses) factor = static_cast<double>(factors.classes[c]);
    if (c == skip || c == second || factor == 0.0) continue;
    const double number = toDouble(*at.element(z, c, row));
    if (number == -kInfinity) return factor == factor ? -kInfinity : kNaN;
    sum += factor * (number - maximum);
  }
  return sum;
}
