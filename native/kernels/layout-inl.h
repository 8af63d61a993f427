// How vectors lie on a batch, and the loops over its columns. Include after math-inl.h, in a backend's unnamed
// namespace.
//
// Sums have one order everywhere. A row is cut into column blocks of kBlock; within a block, column c belongs to
// virtual lane c mod kLanes, whatever the width and the direction of the vector; at the end of the block the lanes are
// added through one fixed tree into a double (sumLanes), and blocks are added in order.
//
// Where rows are contiguous a vector holds columns of one row (Along). Where the class axis is not the last, one holds
// the same column of neighbouring rows (Across), as does a vector of one number always. Kernels are written over
// either: `At` says how. An At describes one piece of memory, since the same numbers lie at other strides in the
// caller's arrays and in scratch memory.

// 16 additions a lane in float before the double takes over. Rows of equal logits, whose rounding errors add up, are
// then 1.7e-7 off at worst; with 32 additions, 3 % faster in cache, they were 5e-7 off.
constexpr size_t kBlock = 512;
// Vectors that a loop handles at a time: enough for the processor to overlap, few enough for its registers.
constexpr size_t kGroup = 4;
// Where loops over columns need no order, those over so many at least take vectors that do not lie across two lines, 4
// to 11 % less time in all with AVX-512, and go from the end to the beginning, since what was used last is still in the
// cache, 3 to 6 % for 10,000 columns and more. For half as many it takes longer.
constexpr size_t kManyColumns = 1000;

// How a visitor loads and stores: whole vectors, or the last one of a row. Of memory that holds whole vectors at the
// end of a row too, as scratch memory does, the last one may be whole as well.
template <typename At>
struct Whole {
  const At& at;
  template <typename T>
  SMOOTHLOSS_INLINE typename At::V elements(const At& layout, const T* p, size_t c) const {
    return layout.elements(p, c);
  }
  template <typename T>
  SMOOTHLOSS_INLINE typename At::V factors(const T* p, size_t c) const {
    return at.factors(p, c);
  }
  template <typename T>
  SMOOTHLOSS_INLINE typename At::V kept(const At& layout, const T* p, size_t c) const {
    return layout.elements(p, c);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void put(const At& layout, T* p, size_t c, typename At::V a) const {
    layout.put(p, c, a);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void putWhole(const At& layout, T* p, size_t c, typename At::V a) const {
    layout.put(p, c, a);
  }
  template <typename T, size_t N>
  SMOOTHLOSS_INLINE void putAll(const At& layout, T* p, size_t c, const typename At::V (&a)[N]) const {
    layout.putAll(p, c, a);
  }
};
template <typename At>
struct First {
  const At& at;
  size_t left;
  template <typename T>
  SMOOTHLOSS_INLINE typename At::V elements(const At&, const T* p, size_t c) const {
    return loadFirst(As<typename At::V>(), p + c, left);
  }
  template <typename T>
  SMOOTHLOSS_INLINE typename At::V factors(const T* p, size_t c) const {
    return loadFirst(As<typename At::V>(), p + c, left);
  }
  template <typename T>
  SMOOTHLOSS_INLINE typename At::V kept(const At&, const T* p, size_t c) const {
    return loadFirst(As<typename At::V>(), p + c, left);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void put(const At&, T* p, size_t c, typename At::V a) const {
    storeFirst(p + c, a, left);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void putWhole(const At&, T* p, size_t c, typename At::V a) const {
    store(p + c, a);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void putAll(const At&, T* p, size_t c, const typename At::V (&a)[1]) const {
    storeFirst(p + c, a[0], left);
  }
};

// Whole vectors that go past the cache, and the first or last one of a row beside them, where all that is kept is in
// scratch memory. (A load by a mask of what was stored by one waits until all stores before it are done, and those past
// the cache take long.)
template <typename At>
struct Streamed : Whole<At> {
  template <typename T, size_t N>
  SMOOTHLOSS_INLINE void putAll(const At&, T* p, size_t c, const typename At::V (&a)[N]) const {
    for (size_t i = 0; i < N; i += 2) streamPair(p + c + i * At::kColumns, a[i], a[i + 1]);
  }
};
template <typename At>
struct BesideStreamed : First<At> {
  template <typename T>
  SMOOTHLOSS_INLINE typename At::V kept(const At&, const T* p, size_t c) const {
    return load(As<typename At::V>(), p + c);
  }
};

// What two visitors return, one after the other.
template <typename A, typename B>
struct Both {
  A a;
  B b;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, typename A::V (&terms)[N]) {
    typename A::V ofA[N / 2], ofB[N / 2];
    a.visit(loads, c, ofA);
    b.visit(loads, c, ofB);
    for (size_t i = 0; i < N / 2; ++i) {
      terms[i] = ofA[i];
      terms[N / 2 + i] = ofB[i];
    }
  }
};

// Columns of one row, side by side.
template <typename Vector>
struct Along {
  using V = Vector;
  using Real = typename V::Real;
  static constexpr size_t kRows = 1;
  static constexpr size_t kColumns = V::kWidth;  // of a vector
  static constexpr size_t kVecs = kLanes / kColumns;
  static constexpr size_t kAtOnce = kVecs < kGroup ? kVecs : kGroup;
  // Whether two sums in one go are faster than one after the other: there must be registers for both.
  static constexpr bool kSumsBoth = kVecs < kGroup;

  SMOOTHLOSS_INLINE static size_t rows() { return 1; }
  // A number for the row, or for its block: the skipped column, relative to the block; beyond the block: none.
  struct Skip {
    size_t column;
  };
  SMOOTHLOSS_INLINE static Skip skip(const size_t* columns, size_t first) { return {columns[0] - first}; }
  SMOOTHLOSS_INLINE static V perRow(const Real* numbers) { return set1(numbers[0]); }
  SMOOTHLOSS_INLINE static void toRows(V a, Real* numbers) { numbers[0] = maxLane(a); }

  SMOOTHLOSS_INLINE static size_t offset(size_t c) { return c; }
  template <typename T>
  SMOOTHLOSS_INLINE V elements(const T* p, size_t c) const {
    return load(As<V>(), p + c);
  }
  template <typename T>
  SMOOTHLOSS_INLINE V factors(const T* p, size_t c) const {
    return load(As<V>(), p + c);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void put(T* p, size_t c, V a) const {
    store(p + c, a);
  }
  template <typename T, size_t N>
  SMOOTHLOSS_INLINE void putAll(T* p, size_t c, const V (&a)[N]) const {
    static_assert(N % 2 == 0, "vectors are stored in pairs");
    for (size_t i = 0; i < N; i += 2) storePair(p + c + i * kColumns, a[i], a[i + 1]);
  }
  template <typename T>
  SMOOTHLOSS_INLINE static T* element(T* p, size_t c, size_t) {
    return p + c;
  }
  template <typename T>
  SMOOTHLOSS_INLINE void ahead(const T* p, size_t c, size_t bytes) const {
    prefetch(p + c, bytes);
  }

  // Calls visitor.visit(loads, c, vectors) for the columns [0, n). forEach and sum are functions of their own, once for
  // each visitor, and inside them all is inlined; a copy of the visitor keeps it in registers.
  template <typename Visitor>
  SMOOTHLOSS_NOINLINE void forEach(size_t n, const Visitor& given) const {
    Visitor visitor = given;
    size_t c = 0;
    V terms[kAtOnce];
    for (; c + kAtOnce * kColumns <= n; c += kAtOnce * kColumns) visitor.visit(Whole<Along>{*this}, c, terms);
    V term[1];
    for (; c < n; c += kColumns) visitor.visit(First<Along>{*this, n - c}, c, term);
  }

  // The same where `to` is stored to.
  template <typename T, typename Visitor>
  SMOOTHLOSS_NOINLINE void forEachLine(const T* to, size_t n, const Visitor& given) const {
    if (n < kManyColumns) return forEach(n, given);
    constexpr size_t kStep = kAtOnce * kColumns;
    Visitor visitor = given;
    const size_t begin = toLine(to, kColumns * sizeof(T));
    size_t end = begin + (n - begin) / kStep * kStep;
    V terms[kAtOnce];
    V term[1];
    for (size_t c = end; c < n; c += kColumns) visitor.visit(First<Along>{*this, n - c}, c, term);
    while (end > begin) visitor.visit(Whole<Along>{*this}, end -= kStep, terms);
    if (begin > 0) visitor.visit(First<Along>{*this, begin}, 0, term);
  }

  // forEach, with what goes to `to` past the cache, but for lines that it fills only in part and those about the column
  // `skip`: a store to a line that has just been streamed waits for it to come back.
  template <typename T, typename Visitor>
  SMOOTHLOSS_NOINLINE void forEachStreamed(const T* to, size_t n, size_t skip, const Visitor& given) const {
    constexpr size_t kStep = kAtOnce * kColumns;
    static_assert(kStep * sizeof(T) % kLineBytes == 0, "whole lines are streamed");
    Visitor visitor = given;
    const size_t begin = n < toLine(to) ? n : toLine(to);
    V terms[kAtOnce];
    V term[1];
    size_t c = 0;
    for (; c < begin; c += kColumns) visitor.visit(BesideStreamed<Along>{{*this, begin - c}}, c, term);
    for (c = begin; c + kStep <= n; c += kStep) {
      if (skip - c < kStep) {
        visitor.visit(Whole<Along>{*this}, c, terms);
      } else {
        visitor.visit(Streamed<Along>{{*this}}, c, terms);
      }
    }
    for (; c < n; c += kColumns) visitor.visit(BesideStreamed<Along>{{*this, n - c}}, c, term);
  }
  // The elements before the first that begins a line, or a piece of so many bytes.
  template <typename T>
  SMOOTHLOSS_INLINE static size_t toLine(const T* p, size_t bytes = kLineBytes) {
    return (0 - reinterpret_cast<uintptr_t>(p)) % bytes / sizeof(T);
  }

  // The largest of the columns [0, n); NaN is passed over.
  template <typename T>
  SMOOTHLOSS_INLINE V largest(const T* p, size_t n) const {
    return largestOf(p, n, std::make_index_sequence<kGroup>());
  }

  // Adds to totals[0] Σ over the columns [0, n) but `skip` of what the visitor returns in its vectors.
  template <typename Visitor>
  SMOOTHLOSS_NOINLINE void sum(size_t n, const Skip& skip, const Visitor& visitor, double* totals) const {
    sumInline(n, skip, visitor, totals);
  }
  // The same without a call: for the sums that every row takes.
  template <typename Visitor>
  SMOOTHLOSS_INLINE void sumInline(size_t n, const Skip& skip, const Visitor& given, double* totals) const {
    Visitor visitor = given;
    sumOf<1>(n, skip.column, visitor, {totals}, std::make_index_sequence<kVecs>());
  }
  // The sums of two visitors in one go.
  template <typename A, typename B>
  SMOOTHLOSS_INLINE void sumBoth(size_t n, const Skip& skip, const A& a, double* ofA, const B& b, double* ofB) const {
    Both<A, B> visitor{a, b};
    sumOf<2>(n, skip.column, visitor, {ofA, ofB}, std::make_index_sequence<2 * kVecs>());
  }

 private:
  template <typename T, size_t... J>
  SMOOTHLOSS_INLINE V largestOf(const T* p, size_t n, std::index_sequence<J...>) const {
    constexpr size_t kStep = kGroup * kColumns;
    const Real lowest = -std::numeric_limits<Real>::infinity();
    V m[] = {(static_cast<void>(J), set1(lowest))...};
    size_t c = 0;
    if (n >= kManyColumns) {
      const size_t begin = toLine(p, kColumns * sizeof(T));
      const size_t end = begin + (n - begin) / kStep * kStep;
      for (c = end; c > begin;) {
        c -= kStep;
        ((m[J] = max(elements(p, c + J * kColumns), m[J])), ...);
      }
      m[0] = max(elements(p, 0), m[0]);  // up to `begin`, and some of it again
      c = end;
    }
    for (; c + kStep <= n; c += kStep) ((m[J] = max(elements(p, c + J * kColumns), m[J])), ...);
    for (; c + kColumns <= n; c += kColumns) m[0] = max(elements(p, c), m[0]);
    if (c < n) m[0] = max(keepFirst(loadFirst(As<V>(), p + c, n - c), n - c, lowest), m[0]);
    ((m[0] = max(m[J], m[0])), ...);
    return m[0];
  }
  // K sums, of K visitors' terms one after the other. By fold expressions: where a loop indexed the lanes, compilers
  // would keep them in memory. J counts the lanes' vectors, of one sum after the other.
  template <size_t K, typename Visitor, size_t... J>
  SMOOTHLOSS_INLINE void sumOf(size_t n, size_t skip, Visitor& visitor, double* const (&totals)[K],
                               std::index_sequence<J...> each) const {
    V lanes[K * kVecs] = {(static_cast<void>(J), set1(Real(0)))...};
    const size_t full = n - n % kLanes;
    size_t stop = skip < full ? skip - skip % kLanes : full;
    size_t c = 0;
    do {
      // Where so few vectors hold the lanes, as with AVX-512, all of them twice at a time: 5 to 9 % less time in cache.
      if constexpr (K == 1 && kVecs < kGroup) {
        for (V terms[2 * kVecs]; c + 2 * kLanes <= stop; c += 2 * kLanes) {
          visitor.visit(Whole<Along>{*this}, c, terms);
          ((lanes[J] = add(add(lanes[J], terms[J]), terms[kVecs + J])), ...);
        }
      }
      for (; c < stop; c += kLanes) groups<K>(visitor, c, lanes, std::make_index_sequence<kVecs / kAtOnce>());
      if (c < n) {
        parts<K>(visitor, c, n - c, skip, lanes, each);
        c += kLanes;
      }
      stop = full;
    } while (c < n);
    static_assert(K <= 2, "");
    totals[0][0] += sumFrom<0>(lanes, std::make_index_sequence<kVecs>());
    if constexpr (K == 2) totals[1][0] += sumFrom<kVecs>(lanes, std::make_index_sequence<kVecs>());
  }
  template <size_t kFirst, size_t N, size_t... J>
  SMOOTHLOSS_INLINE static double sumFrom(const V (&lanes)[N], std::index_sequence<J...>) {
    const V sum[] = {lanes[kFirst + J]...};
    return sumLanes(sum);
  }
  template <size_t K, typename Visitor, size_t... G>
  SMOOTHLOSS_INLINE void groups(Visitor& visitor, size_t c, V (&lanes)[K * kVecs], std::index_sequence<G...>) const {
    (group<K, G * kAtOnce>(visitor, c, lanes, std::make_index_sequence<K * kAtOnce>()), ...);
  }
  template <size_t K, size_t kFirst, typename Visitor, size_t... J>
  SMOOTHLOSS_INLINE void group(Visitor& visitor, size_t c, V (&lanes)[K * kVecs], std::index_sequence<J...>) const {
    V terms[K * kAtOnce];
    visitor.visit(Whole<Along>{*this}, c + kFirst * kColumns, terms);
    ((lanes[J / kAtOnce * kVecs + kFirst + J % kAtOnce] =
          add(lanes[J / kAtOnce * kVecs + kFirst + J % kAtOnce], terms[J])),
     ...);
  }
  // Up to kLanes columns from c on, of which `left` exist, vector by vector. By way of memory, so that the visitor's
  // code is there once.
  template <size_t K, typename Visitor, size_t... J>
  SMOOTHLOSS_INLINE void parts(Visitor& visitor, size_t c, size_t left, size_t skip, V (&lanes)[K * kVecs],
                               std::index_sequence<J...>) const {
    V terms[K * kVecs] = {(static_cast<void>(J), set1(Real(0)))...};
    for (size_t j = 0; j < kVecs && left > j * kColumns; ++j) {
      V term[K];
      visitor.visit(First<Along>{*this, left - j * kColumns}, c + j * kColumns, term);
      for (size_t k = 0; k < K; ++k) {
        terms[k * kVecs + j] = dropLane(keepFirst(term[k], left - j * kColumns, Real(0)), skip - c - j * kColumns);
      }
    }
    ((lanes[J] = add(lanes[J], terms[J])), ...);
  }
};

// The same column of `count` rows, side by side; the next column is `stride` elements on.
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

  SMOOTHLOSS_INLINE size_t rows() const { return count; }
  struct Skip {
    V column;  // relative to the block, −1 if beyond it
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
    // Few columns fill few lanes, and the others stay 0, which adds nothing: no lane is −0.
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
  // totals[r] += Σ of the lanes of row r, of which those from `used` on are 0: 8, 16 or kLanes.
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
