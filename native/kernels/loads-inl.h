// The constants of sums and loops, and how a visitor of columns loads and stores. Include after math-inl.h, in a
// backend's unnamed namespace.
//
// Sums have one order everywhere. A row is cut into column blocks of kBlock; within a block, column c belongs to
// virtual lane c mod kLanes, whatever the width and the direction of the vector; at the end of the block the lanes are
// added through one fixed tree into a double (sumLanes), and blocks are added in order.
//
// A vector holds columns of one row (Along) where rows are contiguous. It holds the same column of neighbouring rows
// (Across) where the class axis is not the last, and where a vector has one number. Kernels are templates over either,
// `Layout`. A Layout describes one piece of memory, since the same numbers have other strides in the caller's arrays
// than in scratch memory.
//
// A loop over columns calls visitor.visit(loads, c, vectors): the visitor computes some neighbouring vectors from
// column c on, and by `loads` reads and writes arrays there.

// A lane adds 16 floats before the double takes over. Rows of equal logits, whose rounding errors add up, are then
// 1.7e-7 off at worst; with 32 additions, 3 % faster in cache, they were 5e-7 off.
constexpr size_t kBlock = 512;
// Vectors per step of a loop: enough for the processor to overlap, few enough for its registers.
constexpr size_t kGroup = 4;
// From so many columns on, loops that need no order do two things. Their vectors do not cross cache lines: 4 to 11 %
// less time in all with AVX-512. And they go backwards, since the end of the row is still in the cache: 3 to 6 % for
// 10,000 columns and more. For half as many columns they take longer.
constexpr size_t kManyColumns = 1000;

// Loads and stores of whole vectors. (`own` is the layout of the loop; arrays may have others.)
template <typename Layout>
struct Whole {
  const Layout& own;
  template <typename T>
  SMOOTHLOSS_INLINE typename Layout::V elements(const Layout& layout, const T* p, size_t c) const {
    return layout.elements(p, c);
  }
  template <typename T>
  SMOOTHLOSS_INLINE typename Layout::V factors(const T* p, size_t c) const {
    return own.factors(p, c);
  }
  template <typename T>
  SMOOTHLOSS_INLINE typename Layout::V kept(const Layout& layout, const T* p, size_t c) const {
    return layout.elements(p, c);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void put(const Layout& layout, T* p, size_t c, typename Layout::V a) const {
    layout.put(p, c, a);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void putWhole(const Layout& layout, T* p, size_t c, typename Layout::V a) const {
    layout.put(p, c, a);
  }
  template <typename T, size_t N>
  SMOOTHLOSS_INLINE void putAll(const Layout& layout, T* p, size_t c, const typename Layout::V (&a)[N]) const {
    layout.putAll(p, c, a);
  }
};
// Loads and stores of the first `left` lanes, for the last vector of a row. Scratch rows are padded to whole vectors,
// so what is put there may be stored whole.
template <typename Layout>
struct First {
  const Layout& own;
  size_t left;
  template <typename T>
  SMOOTHLOSS_INLINE typename Layout::V elements(const Layout&, const T* p, size_t c) const {
    return loadFirst(As<typename Layout::V>(), p + c, left);
  }
  template <typename T>
  SMOOTHLOSS_INLINE typename Layout::V factors(const T* p, size_t c) const {
    return loadFirst(As<typename Layout::V>(), p + c, left);
  }
  template <typename T>
  SMOOTHLOSS_INLINE typename Layout::V kept(const Layout&, const T* p, size_t c) const {
    return loadFirst(As<typename Layout::V>(), p + c, left);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void put(const Layout&, T* p, size_t c, typename Layout::V a) const {
    storeFirst(p + c, a, left);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void putWhole(const Layout&, T* p, size_t c, typename Layout::V a) const {
    store(p + c, a);
  }
  template <typename T>
  SMOOTHLOSS_INLINE void putAll(const Layout&, T* p, size_t c, const typename Layout::V (&a)[1]) const {
    storeFirst(p + c, a[0], left);
  }
};

// Whole vectors by non-temporal stores, and the row's first or last vector beside them. The latter loads scratch memory
// whole: a masked load of what a masked store wrote waits for all stores before it, and non-temporal stores take long.
template <typename Layout>
struct Streamed : Whole<Layout> {
  template <typename T, size_t N>
  SMOOTHLOSS_INLINE void putAll(const Layout&, T* p, size_t c, const typename Layout::V (&a)[N]) const {
    for (size_t i = 0; i < N; i += 2) streamPair(p + c + i * Layout::kColumns, a[i], a[i + 1]);
  }
};
template <typename Layout>
struct BesideStreamed : First<Layout> {
  template <typename T>
  SMOOTHLOSS_INLINE typename Layout::V kept(const Layout&, const T* p, size_t c) const {
    return load(As<typename Layout::V>(), p + c);
  }
};

// Two visitors in one: the vectors of the first, then those of the second.
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
