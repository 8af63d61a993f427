// What comes between the logits x and the z that a loss is of: logitScale and softcap, and their derivative. Include
// after blocks-inl.h, in a backend's unnamed namespace.

// z = logitScale · x, or softcap · tanh(logitScale · x / softcap). Gemma 2, arXiv:2408.00118, section 2.
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

// Stores z of logits.
template <typename Layout, typename T>
struct TermVisitor {
  using V = typename Layout::V;
  Layout from;
  const T* x;
  Layout to;
  typename Layout::Real* out;
  Terms<V> z;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      terms[i] = z.of(loads.elements(from, x, c + i * Layout::kColumns));
      loads.put(to, out, c + i * Layout::kColumns, terms[i]);
    }
  }
};

// z in the columns [first, first + n) of a strip.
template <typename Layout>
Numbers<Layout> termBlock(const Batch& batch, const Terms<typename Layout::V>& terms, const Layout& user,
                          const void* rows, size_t first, size_t n, Scratch& scratch) {
  using Real = typename Layout::Real;
  if (!terms.any()) return logitBlock(batch, user, rows, first, n, scratch);
  const Numbers<Layout> z = {scratchLayout(As<Layout>()), blockOf<Real>(scratch, kLogitBlock)};
  withElements<Real>(batch.type, rows, [&](auto* x) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(x)>>;
    const TermVisitor<Layout, T> visitor{user, x + user.offset(first), z.at, blockOf<Real>(scratch, kLogitBlock),
                                         terms};
    user.forEach(n, visitor);
  });
  return z;
}

// gradient ← gradient · (1 − (z/softcap)²), the derivative of the cap.
template <typename Layout>
struct CapVisitor {
  using V = typename Layout::V;
  using Real = typename Layout::Real;
  Numbers<Layout> z;
  GradientBlock<Layout> gradient;
  V cap;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&)[N]) {
    const V zero = set1(Real(0));
    for (size_t i = 0; i < N; ++i) {
      const size_t column = c + i * Layout::kColumns;
      const V u = div(loads.elements(z.at, z.p, column), cap);
      const V slope = fma(sub(zero, u), u, set1(Real(1)));
      const V number = loads.elements(gradient.at, gradient.p, column);
      loads.put(gradient.at, gradient.p, column, zeroWhereZero(oneNaN(fma(number, slope, zero)), number));
    }
  }
};
