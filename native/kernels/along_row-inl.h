// Vectors along a row: neighbouring columns of one row, and the loops over them. Include after loads-inl.h, in a
// backend's unnamed namespace.

template <typename Vector>
struct Along {
  using V = Vector;
  using Real = typename V::Real;
  static constexpr size_t kRows = 1;
  static constexpr size_t kColumns = V::kWidth;  // of a vector
  static constexpr size_t kVecs = kLanes / kColumns;
  static constexpr size_t kAtOnce = kVecs < kGroup ? kVecs : kGroup;
  // Whether one loop for two sums is faster than two: it needs registers for both.
  static constexpr bool kSumsBoth = kVecs < kGroup;

  // The column that a sum skips, relative to its block; beyond the block: none.
  struct Skip {
    size_t column;
  };
  SMOOTHLOSS_INLINE static Skip skip(const size_t* columns, size_t first) { return {columns[0] - first}; }
  // A number of each row as a vector, and the largest lane of each row.
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

  // Visits the columns [0, n). forEach and sum are compiled once per visitor, as functions of their own in which
  // everything is inlined; a copy of the visitor keeps it in registers.
  template <typename Visitor>
  SMOOTHLOSS_NOINLINE void forEach(size_t n, const Visitor& given) const {
    Visitor visitor = given;
    size_t c = 0;
    V terms[kAtOnce];
    for (; c + kAtOnce * kColumns <= n; c += kAtOnce * kColumns) visitor.visit(Whole<Along>{*this}, c, terms);
    V term[1];
    for (; c < n; c += kColumns) visitor.visit(First<Along>{*this, n - c}, c, term);
  }

  // The same, for a visitor that stores to `to`.
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

  // forEach with non-temporal stores to `to`, but not to lines that it does not fill, nor to those of the column
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
  // How many elements come before the first one whose address is a multiple of `bytes`.
  template <typename T>
  SMOOTHLOSS_INLINE static size_t toLine(const T* p, size_t bytes = kLineBytes) {
    return (0 - reinterpret_cast<uintptr_t>(p)) % bytes / sizeof(T);
  }

  // The largest of the columns [0, n), lane by lane, NaN ignored.
  template <typename T>
  SMOOTHLOSS_INLINE V largest(const T* p, size_t n) const {
    return largestOf(p, n, std::make_index_sequence<kGroup>());
  }

  // totals[0] += Σ over the columns [0, n) but `skip` of the visitor's vectors.
  template <typename Visitor>
  SMOOTHLOSS_NOINLINE void sum(size_t n, const Skip& skip, const Visitor& visitor, double* totals) const {
    sumInline(n, skip, visitor, totals);
  }
  // The same without a call, for the sums of every row.
  template <typename Visitor>
  SMOOTHLOSS_INLINE void sumInline(size_t n, const Skip& skip, const Visitor& given, double* totals) const {
    Visitor visitor = given;
    sumOf<1>(n, skip.column, visitor, {totals}, std::make_index_sequence<kVecs>());
  }
  // The sums of two visitors in one loop.
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
      m[0] = max(elements(p, 0), m[0]);  // the columns before `begin`, and some after it again
      c = end;
    }
    for (; c + kStep <= n; c += kStep) ((m[J] = max(elements(p, c + J * kColumns), m[J])), ...);
    for (; c + kColumns <= n; c += kColumns) m[0] = max(elements(p, c), m[0]);
    if (c < n) m[0] = max(keepFirst(loadFirst(As<V>(), p + c, n - c), n - c, lowest), m[0]);
    ((m[0] = max(m[J], m[0])), ...);
    return m[0];
  }
  // K sums, whose vectors the visitor returns one sum after the other. J numbers the vectors of all lanes. Fold
  // expressions index them, since compilers keep lanes that a loop indexes in memory.
  template <size_t K, typename Visitor, size_t... J>
  SMOOTHLOSS_INLINE void sumOf(size_t n, size_t skip, Visitor& visitor, double* const (&totals)[K],
                               std::index_sequence<J...> each) const {
    V lanes[K * kVecs] = {(static_cast<void>(J), set1(Real(0)))...};
    const size_t full = n - n % kLanes;
    size_t stop = skip < full ? skip - skip % kLanes : full;
    size_t c = 0;
    do {
      // Few vectors hold all lanes, as with AVX-512: two rounds per step take 5 to 9 % less time in cache.
      if constexpr (K == 1 && kVecs < kGroup) {
        for (V terms[2 * kVecs]; c + 2 * kLanes <= stop; c += 2 * kLanes) {
          visitor.visit(Whole<Along>{*this}, c, terms);
          ((lanes[J] = add(add(lanes[J], terms[J]), terms[kVecs + J])), ...);
        }
      }
      for (; c < stop; c += kLanes) groups<K>(visitor, c, lanes, std::make_index_sequence<kVecs / kAtOnce>());
      if (c < n) {
        vectorByVector<K>(visitor, c, n - c, skip, lanes, each);
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
  // Adds kLanes columns from c on, of which `left` exist, and `skip` may be one. The vectors go through memory, so that
  // the visitor's code is there once.
  template <size_t K, typename Visitor, size_t... J>
  SMOOTHLOSS_INLINE void vectorByVector(Visitor& visitor, size_t c, size_t left, size_t skip, V (&lanes)[K * kVecs],
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
