// The visitors of softmax cross entropy, which compute columns. Include after softmax_row-inl.h, in a backend's unnamed
// namespace. lib/js/float32.ts and lib/js/float64.ts hold the same loops.

// The numbers that the exponentials of a strip's rows need: see RowScale and exp.
template <typename Layout>
struct ExpNumbers {
  using Real = typename Layout::Real;
  Real shift[Layout::kRows] = {};
  Real floor[Layout::kRows] = {};
  Real magic[Layout::kRows] = {};
  bool shifts = false;  // any shift is not 0

  SMOOTHLOSS_INLINE void set(size_t r, const RowScale& scale) {
    shift[r] = static_cast<Real>(scale.shift);
    floor[r] = expFloor(As<typename Layout::V>(), scale.k);
    magic[r] = expMagic(As<typename Layout::V>(), scale.k);
    shifts = shifts || scale.shift != 0.0;
  }
};

// Whether exponentials are stored, and if so whether as whole vectors, which takes memory that has room for them.
enum class Keep { kNot, kColumns, kWhole };

// ExpVisitor calls this before each step of N vectors. LastGradient (streamed_gradients-inl.h) streams a gradient then.
struct NothingBeside {
  template <size_t N>
  SMOOTHLOSS_INLINE void step(size_t) const {}
};

template <typename Layout, typename T, Keep kKeep, bool kShift, typename Beside = NothingBeside>
struct ExpVisitor {
  using V = typename Layout::V;
  Layout at;
  const T* z;
  Layout to;
  typename Layout::Real* out;
  size_t ahead;  // bytes to the same column of the row that is prefetched
  V shift;
  V floor;
  V magic;
  Beside beside = {};

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&e)[N]) {
    beside.template step<N>(c);
    // Prefetching a later row while this one computes is 8 % faster beyond the cache, with AVX2.
    for (size_t i = 0; N > 1 && i < N; i += Layout::kAtOnce) at.ahead(z, c + i * Layout::kColumns, ahead);
    for (size_t i = 0; i < N; ++i) {
      const V x = loads.elements(at, z, c + i * Layout::kColumns);
      e[i] = expArgument(kShift ? sub(x, shift) : x, floor);
    }
    exp(e, magic);
    for (size_t i = 0; i < N; ++i) {
      if (kKeep == Keep::kColumns) loads.put(to, out, c + i * Layout::kColumns, e[i]);
      if (kKeep == Keep::kWhole) loads.putWhole(to, out, c + i * Layout::kColumns, e[i]);
    }
  }
};

// Σ e_c · (z_c − maximum), for the entropy.
template <typename Layout, typename T>
struct SpreadVisitor {
  using V = typename Layout::V;
  Layout at;
  const T* z;
  Layout scratch;
  const typename Layout::Real* e;
  V maximum;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      const V p = loads.elements(scratch, e, c + i * Layout::kColumns);
      terms[i] = zeroWhereZero(mul(p, sub(loads.elements(at, z, c + i * Layout::kColumns), maximum)), p);
    }
  }
};

// gradient_c ← e_c · scale + factor_c · offset.
template <typename Layout, typename T, Factors kFactors>
struct GradientVisitor {
  using V = typename Layout::V;
  Layout from;
  const typename Layout::Real* e;
  FactorLoads<Layout, kFactors> factors;
  Layout to;
  T* gradient;
  V scale;
  V offset;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      const V factor = factors.get(loads, c + i * Layout::kColumns);
      const V shift = kFactors == Factors::kOnes ? offset : mul(offset, factor);
      terms[i] = fma(loads.kept(from, e, c + i * Layout::kColumns), scale, shift);
    }
    loads.putAll(to, gradient, c, terms);
  }
};

// Soft targets: stores t'_c = keep · t_c + mass · prior_c, unless `shares` is null, and w_c t'_c, which it returns.
template <typename Layout>
struct BlendVisitor {
  using V = typename Layout::V;
  using Real = typename Layout::Real;
  Numbers<Layout> dense;
  const Real* prior;
  const Real* weight;
  Layout scratch;
  Real* shares;
  Real* targets;
  V keep;
  V mass;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * Layout::kColumns;
      const V share = fma(loads.elements(dense.at, dense.p, column), keep, mul(mass, loads.factors(prior, column)));
      terms[i] = mul(share, loads.factors(weight, column));
      if (shares) loads.put(scratch, shares, column, share);
      loads.put(scratch, targets, column, terms[i]);
    }
  }
};

// Σ w_c t'_c ln t'_c.
template <typename Layout>
struct EntropyVisitor {
  using V = typename Layout::V;
  Numbers<Layout> shares;
  Numbers<Layout> targets;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      const V target = loads.elements(targets.at, targets.p, c + i * Layout::kColumns);
      const V share = loads.elements(shares.at, shares.p, c + i * Layout::kColumns);
      terms[i] = zeroWhereZero(mul(target, log(share)), target);
    }
  }
};
