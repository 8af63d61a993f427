// Vectors across rows: the same column of neighbouring rows, and the loops over columns. It has the names of
// along_row-inl.h, which explains them. Include after loads-inl.h, in a backend's unnamed namespace.

// `count` rows, at most one per lane; the next column is `stride` elements on.
template <typename Vector>
struct Across {
  using V = Vector;
  using Real = typename V::Real;
  static constexpr size_t kRows = V::kWidth;
  static constexpr size_t kColumns = 1;
  static constexpr size_t kAtOnce = 1;
  static constexpr bool kSumsBoth = false;

  size_t stride;
  size_t count;

  struct Skip {
    V column;  // of each row, relative to the block; −1 if beyond it
  };
  SMOOTHLOSS_INLINE static Skip skip(const size_t* columns, size_t first) {
    Real relative[kRows];
    for (size_t r = 0; r < kRows; ++r) {
      const size_t column = columns[r] - first;
      relative[r] = column < kBlock ? static_cast<Real>(column) : Real(-1);
    }
    return {load(As<V>(), relative)};
  }
  SMOOTHLOSS_INLINE static V perRow(const Real* numbers) { return load(As<V>(), numbers); }
  SMOOTHLOSS_INLINE static void toRows(V a, Real* numbers) { store(numbers, a); }

  SMOOTHLOSS_INLINE size_t offset(size_t c) const { return c * stride; }
  template <typename T>
  SMOOTHLOSS_INLINE V elements(const T* p, size_t c) const {
    return full() ? load(As<V>(), p + c * stride) : loadFirst(As<V>(), p + c * stride, count);
  }
  template <typename T>
  SMOOTHLOSS_INLINE V factors(const T* p, size_t c) const {
    return set1(static_cast<Real>(p[c]));
  }
  template <typename T>
  SMOOTHLOSS_INLINE void put(T* p, size_t c, V a) const {
    if (full()) return store(p + c * stride, a);
    storeFirst(p + c * stride, a, count);
  }
  template <typename T, size_t N>
  SMOOTHLOSS_INLINE void putAll(T* p, size_t c, const V (&a)[N]) const {
    for (size_t i = 0; i < N; ++i) put(p, c + i, a[i]);
  }
  template <typename T>
  SMOOTHLOSS_INLINE T* element(T* p, size_t c, size_t row) const {
    return p + c * stride + row;
  }
  template <typename T>
  SMOOTHLOSS_INLINE void ahead(const T*, size_t, size_t) const {}

  template <typename Visitor>
  SMOOTHLOSS_NOINLINE void forEach(size_t n, const Visitor& given) const {
    Visitor visitor = given;
    V term[1];
    for (size_t c = 0; c < n; ++c) visitor.visit(Whole<Across>{*this}, c, term);
  }
  template <typename T, typename Visitor>
  SMOOTHLOSS_INLINE void forEachLine(const T*, size_t n, const Visitor& visitor) const {
    forEach(n, visitor);
  }

  template <typename T>
  SMOOTHLOSS_INLINE V largest(const T* p, size_t n) const {
    V m = set1(-std::numeric_limits<Real>::infinity());
    for (size_t c = 0; c < n; ++c) m = max(elements(p, c), m);
    return m;
  }

  template <typename Visitor>
  SMOOTHLOSS_INLINE void sumInline(size_t n, const Skip& skip, const Visitor& visitor, double* totals) const {
    sum(n, skip, visitor, totals);
  }
  // totals[r] += that of row r.
  template <typename Visitor>
  SMOOTHLOSS_NOINLINE void sum(size_t n, const Skip& skip, const Visitor& given, double* totals) const {
    Visitor visitor = given;
    const V zero = set1(Real(0));
    // Few columns fill few lanes. Empty lanes are not added: they are 0, and no lane is −0.
    const size_t used = n <= 8 ? 8 : n <= 16 ? 16 : kLanes;
    V lanes[kLanes];
    for (size_t i = n; i < used; ++i) lanes[i] = zero;
    V column = zero;
    const auto addTo = [&](V& lane, V before, V term) {
      lane = add(before, whereEqual(skip.column, column, zero, term));
      column = add(column, set1(Real(1)));
    };
    V terms[kGroup];
    size_t c = 0;
    for (; c + kGroup <= n; c += kGroup) {
      visitor.visit(Whole<Across>{*this}, c, terms);
      V* const group = lanes + c % kLanes;
      if (c < kLanes) {
        for (size_t i = 0; i < kGroup; ++i) addTo(group[i], zero, terms[i]);
      } else {
        for (size_t i = 0; i < kGroup; ++i) addTo(group[i], group[i], terms[i]);
      }
    }
    V term[1];
    for (; c < n; ++c) {
      visitor.visit(Whole<Across>{*this}, c, term);
      addTo(lanes[c % kLanes], c < kLanes ? zero : lanes[c % kLanes], term[0]);
    }
    addLanes(lanes, used, totals);
  }

 private:
  // totals[r] += Σ of the lanes of row r. Those from `used` on, which is 8, 16 or kLanes, are empty.
  SMOOTHLOSS_NOINLINE static void addLanes(const V (&lanes)[kLanes], size_t used, double* totals) {
    Real eight[8][kRows];
    for (size_t i = 0; i < 8; ++i) {
      V sum = lanes[i];
      if (used == kLanes) {
        sum = add(add(sum, lanes[i + 16]), add(lanes[i + 8], lanes[i + 24]));
      } else if (used > 8) {
        sum = add(sum, lanes[i + 8]);
      }
      store(eight[i], sum);
    }
    for (size_t r = 0; r < kRows; r += DoubleVec::kWidth) {
      DoubleVec four[4];
      for (size_t i = 0; i < 4; ++i)
        four[i] = add(load(As<DoubleVec>(), &eight[i][r]), load(As<DoubleVec>(), &eight[i + 4][r]));
      const DoubleVec sum = add(add(four[0], four[2]), add(four[1], four[3]));
      store(totals + r, add(load(As<DoubleVec>(), totals + r), sum));
    }
  }
  SMOOTHLOSS_INLINE bool full() const { return kRows == 1 || count == kRows; }
};
