// The products of linearCrossEntropy: input · linearWeightᵀ, and both of its gradients. Include after results-inl.h, in
// a backend's unnamed namespace. lib/js/products.ts mirrors this file.
//
// Each element of a product is Σ_k a_k · b_k in blocks of kProductBlock, which are added in order. A block is the sum
// of two chains of kProductChain fma from +0, in the order of k. For the logits k is the feature, for the gradient of
// the input the class, for that of the weight the row, counted over the rows that take part. Nothing else shows in the
// bits: vectors run across columns, never along k, and no sum is split between threads.
//
// A product is computed in microtiles that fit the registers: kMicrotileRows rows of `a` by kPanel columns of `b`. `b`
// is packed into panels, in which what a microtile needs for one k lies together, and k after k; `a` is packed into
// slivers in the same way, but for the gradient of logits. A microtile then reads two streams, a panel from the
// first-level cache and slivers from the second. (After Goto and van de Geijn, Anatomy of High-Performance Matrix
// Multiplication, 2008.)

template <typename V>
constexpr size_t kPanel = kMicrotileVectors * V::kWidth;

// Prefetches some bytes to the first-level cache.
template <typename T>
SMOOTHLOSS_INLINE void prefetchLines(const T* p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += kLineBytes) prefetchLine(reinterpret_cast<const char*>(p) + i);
}

// Rows of `a` that are packed at a time, in Scratch::blocks, and columns of `b`, in Scratch::row.
template <typename Real>
constexpr size_t kMostRows = 768 / sizeof(Real);
template <typename Real>
constexpr size_t kMostColumns = Scratch::kRowBytes / (kProductBlock * sizeof(Real));
static_assert(kMostRows<float> % kMicrotileRows == 0 && kMostRows<double> % kMicrotileRows == 0, "");

// Stores a vector in row i of the k of a group, from column v on. What is stored beyond the row is stored anew with the
// next row; nothing is stored beyond the group.
template <size_t kWidth, typename V>
SMOOTHLOSS_INLINE void storePacked(typename V::Real* group, size_t i, size_t k, size_t v, V a) {
  typename V::Real* const p = group + i * kWidth + v;
  if (kWidth % V::kWidth == 0 || i + 1 < k) return store(p, a);
  storeFirst(p, a, kWidth - v);
}

// Packs k rows of n numbers into groups of kWidth columns, one row of a group after the other. Columns beyond the last
// are 0. It takes some cache lines of each row at a time (half as many: the gradients took 1 to 2 % longer), and asks
// for rows ahead: they lie in other pages.
template <size_t kWidth, typename V, typename Row>
SMOOTHLOSS_INLINE void packRows(const Row& row, size_t n, size_t k, typename V::Real* to) {
  constexpr size_t kTogether = (128 + kWidth - 1) / kWidth * kWidth;
  constexpr size_t kAhead = 8;
  const V zero = set1(typename V::Real(0));
  for (size_t first = 0; first < n; first += kTogether) {
    const size_t end = n - first < kTogether ? n : first + kTogether;
    for (size_t i = 0; i < k; ++i) {
      const auto* const from = row(i);
      if (i + kAhead < k) prefetchLines(row(i + kAhead) + first, (end - first) * sizeof *from);
      for (size_t j = first; j < end; j += kWidth) {
        for (size_t v = 0; v < kWidth; v += V::kWidth) {
          const size_t left = n - j > v ? n - j - v : 0;
          const V a = left >= V::kWidth ? load(As<V>(), from + j + v)
                      : left > 0        ? keepFirst(loadFirst(As<V>(), from + j + v, left), left, 0)
                                        : zero;
          storePacked<kWidth>(to + j * k, i, k, v, a);
        }
      }
    }
  }
}

// The same for the transpose: n rows of k numbers. Of a panel with few columns it packs the first vector, as multiply
// reads no other.
template <size_t kWidth, typename V, typename Row>
SMOOTHLOSS_INLINE void packTransposed(const Row& row, size_t n, size_t k, typename V::Real* to) {
  constexpr size_t kVectors = (kWidth + V::kWidth - 1) / V::kWidth;
  const V zero = set1(typename V::Real(0));
  for (size_t j = 0; j < n; j += kWidth) {
    typename V::Real* const group = to + j * k;
    const size_t vectors = kWidth == kPanel<V> && n - j <= V::kWidth ? 1 : kVectors;
    for (size_t i = 0; i < k; i += V::kWidth) {
      const bool whole = i + V::kWidth <= k;
      const size_t count = whole ? V::kWidth : k - i;
      // The last one first, since it stores beyond the row.
      for (size_t g = vectors; g-- > 0;) {
        V v[V::kWidth];
        for (size_t r = 0; r < V::kWidth; ++r) {
          const size_t at = g * V::kWidth + r;
          if (at >= kWidth || j + at >= n) {
            v[r] = zero;
          } else if (whole) {
            v[r] = load(As<V>(), row(j + at) + i);
          } else {
            v[r] = loadFirst(As<V>(), row(j + at) + i, k - i);
          }
          if (j + kWidth + at < n && i % 16 == 0) prefetchLine(row(j + kWidth + at) + i);
        }
        transpose(v);
        for (size_t r = 0; r < count; ++r) storePacked<kWidth>(group, i + r, k, g * V::kWidth, v[r]);
      }
    }
  }
}

// A pointer whose origin the compiler cannot see.
template <typename T>
SMOOTHLOSS_INLINE T* hidden(T* p) {
#if !defined(_MSC_VER) || defined(__clang__)
  __asm__("" : "+r"(p));
#endif
  return p;
}

// The rows of a microtile at one k, and those of all microtiles from their first row: packed into slivers of k numbers
// a row, or where they lie. Unless they end there (kEnds), whole microtiles of them can be read.
template <typename Real>
struct Sliver {
  const Real* p;
  SMOOTHLOSS_INLINE Real operator[](size_t r) const { return p[r]; }
  SMOOTHLOSS_INLINE void next() { p += kMicrotileRows; }
};
template <typename Real>
struct Slivers {
  static constexpr bool kEnds = false;
  const Real* p;
  size_t k;
  SMOOTHLOSS_INLINE Sliver<Real> operator()(size_t row) const { return {p + row * k}; }
};
template <typename Real>
struct StridedMicrotile {
  static constexpr size_t kPointers = (kMicrotileRows + 2) / 3;
  const Real* p[kPointers];
  size_t stride;
  // Three rows share a pointer, since an address can have a stride, or its double. A compiler that sees what the
  // pointers have in common takes one, and an offset for each other row: for eleven there are too few registers, which
  // took up to 5 % longer; for five there are enough.
  SMOOTHLOSS_INLINE StridedMicrotile(const Real* rows, size_t stride) : stride(stride) {
    for (size_t i = 0; i < kPointers; ++i) p[i] = kPointers > 2 ? hidden(rows + 3 * i * stride) : rows + 3 * i * stride;
  }
  SMOOTHLOSS_INLINE Real operator[](size_t r) const { return p[r / 3][r % 3 * stride]; }
  SMOOTHLOSS_INLINE void next() {
    for (auto& each : p) ++each;
  }
};
template <typename Real, bool kEnd>
struct StridedRows {
  static constexpr bool kEnds = kEnd;
  const Real* p;
  size_t stride;
  SMOOTHLOSS_INLINE StridedMicrotile<Real> operator()(size_t row) const { return {p + row * stride, stride}; }
};

// The same for columns, whose rows are `stride` apart.
template <typename Real>
struct StridedColumns {
  static constexpr bool kEnds = false;
  const Real* p;
  size_t stride;
  SMOOTHLOSS_INLINE Real operator[](size_t r) const { return p[r]; }
  SMOOTHLOSS_INLINE void next() { p += stride; }
  SMOOTHLOSS_INLINE StridedColumns operator()(size_t row) const { return {p + row, stride}; }
};

// What a microtile multiplies with: panels of k rows, packed one after the other, or rows where they lie.
template <typename V>
struct PackedPanels {
  static constexpr size_t stride = kPanel<V>;
  const typename V::Real* p;
  size_t k;
  SMOOTHLOSS_INLINE const typename V::Real* operator()(size_t column) const { return p + column * k; }
};
template <typename V>
struct StridedPanels {
  const typename V::Real* p;
  size_t stride;
  SMOOTHLOSS_INLINE const typename V::Real* operator()(size_t column) const { return p + column; }
  // Whether microtiles read nothing beyond n columns.
  static bool fit(size_t n) { return n % kPanel<V> == 0 || n % kPanel<V> == V::kWidth; }
};

// One microtile: the sums over a block of k of some rows and the first vectors of a panel.
template <typename V, size_t kVectors, typename Rows>
SMOOTHLOSS_INLINE void sumMicrotile(Rows rows, const typename V::Real* panel, size_t stride, size_t k,
                                    V (&sums)[kMicrotileRows][kVectors]) {
  for (size_t first = 0; first < k; first += kProductChain) {
    V own[kMicrotileRows][kVectors];
    for (auto& row : own) {
      for (V& sum : row) sum = set1(typename V::Real(0));
    }
    const size_t end = k - first < kProductChain ? k : first + kProductChain;
    for (size_t i = first; i < end; ++i, rows.next(), panel += stride) {
      V b[kVectors];
      for (size_t j = 0; j < kVectors; ++j) b[j] = load(As<V>(), panel + j * V::kWidth);
      for (size_t r = 0; r < kMicrotileRows; ++r) {
        const V a = set1(rows[r]);
        for (size_t j = 0; j < kVectors; ++j) own[r][j] = fma(a, b[j], own[r][j]);
      }
    }
    for (size_t r = 0; r < kMicrotileRows; ++r) {
      for (size_t j = 0; j < kVectors; ++j) sums[r][j] = first > 0 ? add(sums[r][j], own[r][j]) : own[r][j];
    }
  }
}

// What becomes of the sums over a block of k: the first block is stored, after the bias is added if there is one; later
// ones are added to what is there.
template <typename Real>
struct Destination {
  const Real* bias;  // of the columns, whole vectors; null: none
  bool adds;
  bool isGradient;  // which has one kind of NaN
  bool isPadded;    // rows of `out` are whole vectors; what is stored beyond the columns is finite if the factors are
};

template <typename V>
SMOOTHLOSS_INLINE void putSums(V sum, typename V::Real* out, size_t column, size_t n,
                               const Destination<typename V::Real>& to) {
  const bool whole = to.isPadded || n >= V::kWidth;
  if (to.adds) {
    sum = add(whole ? load(As<V>(), out) : loadFirst(As<V>(), out, n), sum);
  } else if (to.bias) {
    sum = add(sum, load(As<V>(), to.bias + column));
  }
  if (to.isGradient) sum = oneNaN(sum);
  if (whole) return store(out, sum);
  storeFirst(out, sum, n);
}

// Columns whose panels stay in the second-level cache while one sliver after the other passes.
constexpr size_t kNearColumns = 192;

// One microtile of a product: out(row)[column] for rows [begin, end) of those from `row` on, and `columns` columns.
template <typename V, size_t kVectors, typename Rows>
SMOOTHLOSS_INLINE void multiplyMicrotile(const Rows& rows, size_t begin, size_t end, const typename V::Real* panel,
                                         size_t stride, size_t column, size_t columns, size_t k,
                                         typename V::Real* const (&out)[kMicrotileRows],
                                         const Destination<typename V::Real>& to) {
  for (size_t r = 0; r < kMicrotileRows; ++r) prefetchLines(out[r] + column, kVectors * sizeof(V));
  V sums[kMicrotileRows][kVectors];
  sumMicrotile(rows, panel, stride, k, sums);
  const auto put = [&](size_t first, size_t last, size_t vectors) {
    for (size_t r = first; r < last; ++r) {
      for (size_t j = 0; j < vectors; ++j) {
        putSums(sums[r][j], out[r] + column + j * V::kWidth, column + j * V::kWidth, columns - j * V::kWidth, to);
      }
    }
  };
  if (end - begin == kMicrotileRows && columns >= kVectors * V::kWidth) {
    put(0, kMicrotileRows, kVectors);  // constants, which the compiler unrolls
  } else {
    put(begin, end, columns < kVectors * V::kWidth ? (columns + V::kWidth - 1) / V::kWidth : kVectors);
  }
}

// A block of k of a product: out(row)[column] for rows from `begin` on and `columns` columns of panels. The rows pass
// all near panels before the next do, so that rows of `out` are written along: the other order took 10 to 20 % longer
// with rows of 768 and 2,048 columns, waiting for `out`.
template <typename V, typename Rows, typename Panels, typename Out>
SMOOTHLOSS_INLINE void multiply(const Rows& rows, size_t begin, size_t end, const Panels& panels, size_t columns,
                                size_t k, const Out& out, const Destination<typename V::Real>& to) {
  for (size_t near = 0; near < columns; near += kNearColumns) {
    const size_t endColumn = columns - near < kNearColumns ? columns : near + kNearColumns;
    for (size_t row = begin; row < end; row += kMicrotileRows) {
      const size_t some = end - row < kMicrotileRows ? end - row : kMicrotileRows;
      // Where no rows follow, the last microtile begins before them, and leaves out what others have computed.
      const size_t before = Rows::kEnds ? kMicrotileRows - some : 0;
      typename V::Real* p[kMicrotileRows];
      for (size_t r = 0; r < kMicrotileRows; ++r) p[r] = out(row - before + (r < before + some ? r : some - 1));
      for (size_t column = near; column < endColumn; column += kPanel<V>) {
        const size_t left = endColumn - column;
        const auto microtile = [&](auto vectors) {
          multiplyMicrotile<V, vectors>(rows(row - before), before, before + some, panels(column), panels.stride,
                                        column, left, k, p, to);
        };
        if (left > V::kWidth) {
          microtile(std::integral_constant<size_t, kMicrotileVectors>{});
        } else {
          microtile(std::integral_constant<size_t, 1>{});
        }
      }
    }
  }
}

// With more classes the input's rows are packed in any case.
constexpr size_t kFewClasses = 256;
// Bytes that surely fit into the first-level cache.
constexpr size_t kNearBytes = 32768;

// Calls action(first, size) for each block of k.
template <typename Action>
SMOOTHLOSS_INLINE void forBlocks(size_t k, const Action& action) {
  for (size_t first = 0; first < k; first += kProductBlock) {
    action(first, k - first < kProductBlock ? k - first : kProductBlock);
  }
}

// The products of one chunk of rows, for the batch's number type T.
template <typename T, typename V>
class LayerProducts {
  using Real = typename V::Real;

  const Batch& batch_;
  const Layer& layer_;
  const LayerChunk& chunk_;
  Real* const panels_;  // scratch memory, as slivers_
  Real* const slivers_;
  Real* const packed_;  // of the chunk

 public:
  LayerProducts(const Batch& batch, const LayerChunk& chunk, Scratch& scratch)
      : batch_(batch),
        layer_(batch.layer),
        chunk_(chunk),
        panels_(reinterpret_cast<Real*>(scratch.row)),
        slivers_(reinterpret_cast<Real*>(scratch.blocks[0])),
        packed_(static_cast<Real*>(chunk.packed)) {}

  void run(LayerStep step, const LayerPiece& piece) const {
    switch (step) {
      case LayerStep::kPackInputRows:
        return packInputRows(piece);
      case LayerStep::kLogits:
        return logitsOf(piece);
      case LayerStep::kInputGradient:
        return addInputGradient(piece);
      case LayerStep::kPackInputColumns:
        return packInputColumns(piece);
      case LayerStep::kWeightGradient:
        return addWeightGradient(piece);
    }
  }

 private:
  const T* inputRow(size_t row) const {
    return static_cast<const T*>(layer_.input) + chunk_.rows[row] * layer_.features;
  }
  const T* weightRow(size_t c) const { return static_cast<const T*>(layer_.linearWeight) + c * layer_.features; }
  Real* logitsAt(size_t row) const { return static_cast<Real*>(chunk_.logits) + row * chunk_.stride; }
  // Slivers of the chunk's rows, or panels of the features, for a block of k after the other.
  Real* inputSlivers(size_t row, size_t first, size_t k) const {
    return packed_ + first * roundUp<kMicrotileRows>(chunk_.count) + row * k;
  }
  Real* inputPanels(size_t d, size_t first, size_t k) const {
    return packed_ + first * roundUp<kPanel<V>>(layer_.features) + d * k;
  }
  // Whether logitsOf reads the input where it lies: for few classes packing it took longer, by a third with 10 classes
  // and 768 features. Rows a multiple of 4 KB apart would share a set of the first-level cache, which may have fewer
  // lines than a microtile has rows.
  bool readsInputRows() const {
    return std::is_same<T, Real>::value && batch_.classes <= kFewClasses && chunk_.count >= kMicrotileRows &&
           isContiguous() && layer_.features * sizeof(Real) % 4096 != 0;
  }
  // Whether addInputGradient reads linearWeight where it lies, and addWeightGradient the input and the gradient of
  // logits: where these fit into the first-level cache, a call with 32 rows, 64 features and 10 classes took a tenth
  // less time without packing.
  bool readsWeight() const { return readsRows(batch_.classes); }
  bool readsInputColumns() const {
    return isContiguous() && readsRows(chunk_.count) && batch_.classes <= 2 * kMicrotileRows &&
           roundUp<kMicrotileRows>(batch_.classes) <= chunk_.stride;
  }
  bool readsRows(size_t rows) const {
    return std::is_same<T, Real>::value && StridedPanels<V>::fit(layer_.features) &&
           rows * layer_.features * sizeof(Real) <= kNearBytes;
  }
  bool isContiguous() const {
    const size_t last = chunk_.count - 1;
    return chunk_.rows[last] - chunk_.rows[0] == last;
  }
  template <size_t kTo>
  static size_t roundUp(size_t n) {
    return (n + kTo - 1) / kTo * kTo;
  }

  // Packs the rows that take part into slivers, for logitsOf.
  void packInputRows(const LayerPiece& piece) const {
    if (readsInputRows()) return;
    forBlocks(layer_.features, [&](size_t first, size_t k) {
      packTransposed<kMicrotileRows, V>([&](size_t i) { return inputRow(piece.row + i) + first; },
                                        piece.endRow - piece.row, k, inputSlivers(piece.row, first, k));
    });
  }

  // z = input · linearWeightᵀ + linearBias, for rows and classes.
  void logitsOf(const LayerPiece& piece) const {
    forColumns(piece, [&](size_t c, size_t n) {
      Real* const bias = layer_.linearBias ? slivers_ : nullptr;
      if (bias)
        packRows<kPanel<V>, V>([&](size_t) { return static_cast<const T*>(layer_.linearBias) + c; }, n, 1, bias);
      forBlocks(layer_.features, [&](size_t first, size_t k) {
        packTransposed<kPanel<V>, V>([&](size_t i) { return weightRow(c + i) + first; }, n, k, panels_);
        const auto multiplyRows = [&](const auto& rows) {
          multiply<V>(rows, piece.row, piece.endRow, PackedPanels<V>{panels_, k}, n, k,
                      [&](size_t row) { return logitsAt(row) + c; }, {bias, first > 0, false, true});
        };
        if constexpr (std::is_same<T, Real>::value) {
          if (readsInputRows()) return multiplyRows(StridedRows<Real, true>{inputRow(0) + first, layer_.features});
        }
        multiplyRows(Slivers<Real>{inputSlivers(0, first, k), k});
      });
    });
  }

  // ∂loss/∂input = ∂loss/∂z · linearWeight, for rows and features. The logits' gradient is read where it lies: to pack
  // it took 5 % longer with 768 features, and a quarter with 32.
  void addInputGradient(const LayerPiece& piece) const {
    auto* const gradient = static_cast<Real*>(layer_.inputGradient);
    forColumns(piece, [&](size_t d, size_t n) {
      forBlocks(batch_.classes, [&](size_t first, size_t k) {
        const auto multiplyBy = [&](const auto& panels) {
          multiply<V>(StridedRows<Real, false>{logitsAt(0) + first, chunk_.stride}, piece.row, piece.endRow, panels, n,
                      k, [&](size_t row) { return gradient + chunk_.rows[row] * layer_.features + d; },
                      {nullptr, first > 0, first + k == batch_.classes, false});
        };
        if constexpr (std::is_same<T, Real>::value) {
          if (readsWeight()) return multiplyBy(StridedPanels<V>{weightRow(first) + d, layer_.features});
        }
        packRows<kPanel<V>, V>([&](size_t i) { return weightRow(first + i) + d; }, n, k, panels_);
        multiplyBy(PackedPanels<V>{panels_, k});
      });
    });
  }

  // Packs the input's columns into panels, for addWeightGradient.
  void packInputColumns(const LayerPiece& piece) const {
    if (readsInputColumns()) return;
    forBlocks(chunk_.count, [&](size_t first, size_t k) {
      packRows<kPanel<V>, V>([&](size_t i) { return inputRow(first + i) + piece.column; },
                             piece.endColumn - piece.column, k, inputPanels(piece.column, first, k));
    });
  }

  // ∂loss/∂linearWeight = (∂loss/∂z)ᵀ · input, for classes (the piece's rows) and features; and ∂loss/∂linearBias.
  void addWeightGradient(const LayerPiece& piece) const {
    auto* const gradient = static_cast<Real*>(layer_.linearWeightGradient);
    const bool adds = !chunk_.first || layer_.accumulate;
    forRows(piece, [&](size_t c, size_t n) {
      if (layer_.linearBiasGradient && piece.column == 0) addBiasGradient(c, n, adds);
      if (gradient == nullptr) return;
      forBlocks(chunk_.count, [&](size_t first, size_t k) {
        const auto multiplyOf = [&](const auto& rows, const auto& panels) {
          multiply<V>(rows, 0, n, panels, piece.endColumn - piece.column, k,
                      [&](size_t i) { return gradient + (c + i) * layer_.features + piece.column; },
                      {nullptr, adds || first > 0, first + k == chunk_.count, false});
        };
        if constexpr (std::is_same<T, Real>::value) {
          if (readsInputColumns()) {
            return multiplyOf(StridedColumns<Real>{logitsAt(first) + c, chunk_.stride},
                              StridedPanels<V>{inputRow(first) + piece.column, layer_.features});
          }
        }
        packRows<kMicrotileRows, V>([&](size_t i) { return logitsAt(first + i) + c; }, n, k, slivers_);
        multiplyOf(Slivers<Real>{slivers_, k}, PackedPanels<V>{inputPanels(piece.column, first, k), k});
      });
    });
  }

  void addBiasGradient(size_t c, size_t n, bool adds) const {
    auto* const gradient = static_cast<Real*>(layer_.linearBiasGradient) + c;
    forBlocks(chunk_.count, [&](size_t first, size_t k) {
      for (size_t j = 0; j < n; j += V::kWidth) {
        const auto chain = [&](size_t row, size_t end) {
          V sum = set1(Real(0));
          for (; row < end; ++row) {
            const Real* const p = logitsAt(row) + c + j;
            sum = add(sum, n - j >= V::kWidth ? load(As<V>(), p) : loadFirst(As<V>(), p, n - j));
          }
          return sum;
        };
        const size_t middle = first + (k < kProductChain ? k : kProductChain);
        V sum = chain(first, middle);
        if (middle < first + k) sum = add(sum, chain(middle, first + k));
        putSums(sum, gradient + j, 0, n - j, {nullptr, adds || first > 0, true, false});
      }
    });
  }

  template <typename Action>
  static void forRows(const LayerPiece& piece, const Action& action) {
    for (size_t row = piece.row; row < piece.endRow; row += kMostRows<Real>) {
      action(row, piece.endRow - row < kMostRows<Real> ? piece.endRow - row : kMostRows<Real>);
    }
  }
  template <typename Action>
  static void forColumns(const LayerPiece& piece, const Action& action) {
    for (size_t c = piece.column; c < piece.endColumn; c += kMostColumns<Real>) {
      action(c, piece.endColumn - c < kMostColumns<Real> ? piece.endColumn - c : kMostColumns<Real>);
    }
  }
};
