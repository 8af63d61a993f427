// What several losses sum or search over columns: factors, weighted sums, maxima. Include after blocks-inl.h, in a
// backend's unnamed namespace. lib/js/reductions.ts mirrors this file.

// For sums that skip no column.
constexpr size_t kNoColumns[16] = {kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone,
                                   kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone};

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

// The factors of a block's classes; ones where there is no array.
template <typename Real>
SMOOTHLOSS_INLINE const Real* classFactors(const void* factors, size_t first) {
  return factors ? static_cast<const Real*>(factors) + first : kOneFactors<Real>.ones;
}

// The factors of columns in a sum or a gradient: ones, a number per class, or a number per element.
enum class Factors { kOnes, kClasses, kElements };

template <typename Layout, Factors kFactors>
struct FactorLoads {
  using V = typename Layout::V;
  const typename Layout::Real* classes;
  Layout at;
  const typename Layout::Real* elements;

  template <typename Loads>
  SMOOTHLOSS_INLINE V get(const Loads& loads, size_t c) const {
    if constexpr (kFactors == Factors::kElements) return loads.elements(at, elements, c);
    if constexpr (kFactors == Factors::kClasses) return loads.factors(classes, c);
    return set1(typename Layout::Real(1));
  }
};

// Returns the numbers of an array, to sum them.
template <typename Layout, typename T>
struct ElementVisitor {
  using V = typename Layout::V;
  Layout at;
  const T* x;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) terms[i] = loads.elements(at, x, c + i * Layout::kColumns);
  }
};

// Returns factor_c · (z_c − maximum), 0 where the factor is 0. Without kRelative the maximum is 0.
template <typename Layout, typename T, Factors kFactors, bool kRelative = true>
struct BelowVisitor {
  using V = typename Layout::V;
  Layout at;
  const T* z;
  FactorLoads<Layout, kFactors> factors;
  V maximum;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      V below = loads.elements(at, z, c + i * Layout::kColumns);
      if constexpr (kRelative) below = sub(below, maximum);
      const V factor = factors.get(loads, c + i * Layout::kColumns);
      terms[i] = kFactors == Factors::kOnes ? below : zeroWhereZero(mul(factor, below), factor);
    }
  }
};

// The sum of these in double, of one row and without two columns: for blocks with −Infinity logits, or differences that
// overflow.
template <typename Layout, typename T, Factors kFactors>
SMOOTHLOSS_COLD double exactBelow(const Layout& at, const T* z, const FactorLoads<Layout, kFactors>& factors, size_t n,
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

// The first column whose number is the maximum.
template <typename Layout, typename T>
SMOOTHLOSS_INLINE size_t firstOf(const Layout& at, const T* x, size_t n, double maximum) {
  size_t c = 0;
  // Vectors find the kLanes columns that it is among.
  if constexpr (Layout::kColumns > 1) {
    while (c + kLanes < n && toDouble(maxLane(at.largest(x + c, kLanes))) != maximum) c += kLanes;
  }
  while (c + 1 < n && toDouble(*at.element(x, c, 0)) != maximum) ++c;
  return c;
}

// The running maximum of each row, and the first column that has it.
template <typename Layout>
struct Argmax {
  using Real = typename Layout::Real;
  Real maximum[Layout::kRows];
  size_t index[Layout::kRows];

  SMOOTHLOSS_INLINE void clear() {
    for (size_t r = 0; r < Layout::kRows; ++r) {
      maximum[r] = -std::numeric_limits<Real>::infinity();
      index[r] = 0;
    }
  }
  // Takes in the columns [first, first + n); `index` only if `indexed`.
  template <typename T>
  SMOOTHLOSS_INLINE void take(const Layout& at, const T* x, size_t first, size_t n, bool indexed) {
    Real before[Layout::kRows];
    for (size_t r = 0; r < Layout::kRows; ++r) before[r] = maximum[r];
    const typename Layout::V largest = max(at.largest(x, n), Layout::perRow(maximum));
    Layout::toRows(largest, maximum);
    if (!indexed) return;
    if constexpr (Layout::kRows > 1) {
      typename Layout::V columns = set1(Real(0));
      for (size_t c = n; c-- > 0;)
        columns = whereEqual(at.elements(x, c), largest, set1(static_cast<Real>(c)), columns);
      Real column[Layout::kRows];
      Layout::toRows(columns, column);
      for (size_t r = 0; r < Layout::kRows; ++r) {
        if (maximum[r] > before[r]) index[r] = first + static_cast<size_t>(column[r]);
      }
    } else if (maximum[0] > before[0]) {
      index[0] = first + firstOf(at, x, n, toDouble(maximum[0]));
    }
  }
  // Takes in the maximum of later columns.
  SMOOTHLOSS_INLINE void take(const Argmax& more) {
    for (size_t r = 0; r < Layout::kRows; ++r) {
      if (!(more.maximum[r] > maximum[r])) continue;
      maximum[r] = more.maximum[r];
      index[r] = more.index[r];
    }
  }
};
