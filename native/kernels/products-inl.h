// The products of linearCrossEntropy: input · linearWeightᵀ, and both of its gradients. Include after results-inl.h, in
// a backend's unnamed namespace. lib/js/products.ts mirrors this file.
//
// Each element of a product is Σ_k a_k · b_k in blocks of kProductBlock: within a block a chain of fma from +0, in the
// order of k; the blocks are added in order. For the logits k is the feature, for the gradient of the input the class,
// for that of the weight the row, counted over the rows that take part. Nothing else shows in the bits: vectors run
// across columns, never along k, and no sum is split between threads.
//
// A product is computed in tiles that fit the registers, from two blocks of numbers. One, `a`, has its rows along k:
// logits' gradients are such rows in place. The other, `b`, is packed into panels: kPanel columns wide, one row of a
// panel after the other, so that a tile reads it from the first-level cache in one stream. (After Goto and van de
// Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.)

template <typename V>
constexpr size_t kPanel = kTileVectors * V::kWidth;

// Panels of a product's columns stand in Scratch::row, for as many columns as a piece may have; rows of `a` that are
// packed in Scratch::blocks. The stride of those rows is no power of two, so that they do not share sets of the cache.
template <typename Real>
constexpr size_t kMostColumns = Scratch::kRowBytes / (kProductBlock * sizeof(Real));
constexpr size_t kPackedStride = kProductBlock + 16;
template <typename Real>
constexpr size_t kPackedRows = Scratch::kBlocks * Scratch::kBlockBytes / (kPackedStride * sizeof(Real)) / 24 * 24;

// Rows of `a` that stay in the second-level cache while one panel after the other passes.
constexpr size_t kCachedRows = 192;

// Copies n numbers and converts them.
template <typename V, typename T>
SMOOTHLOSS_INLINE void copyRow(const T* from, size_t n, typename V::Real* to) {
  size_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) store(to + i, load(As<V>(), from + i));
  if (i < n) storeFirst(to + i, loadFirst(As<V>(), from + i, n - i), n - i);
}

// to[i · stride + j] ← row(j)[i] for n rows of k numbers.
template <typename V, typename Row>
SMOOTHLOSS_INLINE void packTransposed(const Row& row, size_t n, size_t k, size_t stride, typename V::Real* to) {
  constexpr size_t kWidth = V::kWidth;
  for (size_t j = 0; j < n; j += kWidth) {
    for (size_t i = 0; i < k; i += kWidth) {
      V v[kWidth];
      if (j + kWidth <= n && i + kWidth <= k) {
        for (size_t r = 0; r < kWidth; ++r) v[r] = load(As<V>(), row(j + r) + i);
      } else {
        for (size_t r = 0; r < kWidth; ++r) {
          v[r] = j + r < n ? loadFirst(As<V>(), row(j + r) + i, k - i) : set1(typename V::Real(0));
        }
      }
      transpose(v);
      for (size_t r = 0; r < kWidth && i + r < k; ++r) store(to + (i + r) * stride + j, v[r]);
    }
  }
}

// Packs k rows of n numbers into panels. Columns beyond the last are 0.
template <typename V, typename Row>
SMOOTHLOSS_INLINE void packPanels(const Row& row, size_t n, size_t k, typename V::Real* to) {
  constexpr size_t kWidth = V::kWidth;
  for (size_t i = 0; i < k; ++i) {
    const auto* const from = row(i);
    for (size_t j = 0; j < n; j += kPanel<V>) {
      typename V::Real* const panel = to + j * k + i * kPanel<V>;
      for (size_t v = 0; v < kPanel<V>; v += kWidth) {
        if (j + v + kWidth <= n) {
          store(panel + v, load(As<V>(), from + j + v));
        } else {
          const size_t left = j + v < n ? n - j - v : 0;
          const V zero = set1(typename V::Real(0));
          store(panel + v, left > 0 ? keepFirst(loadFirst(As<V>(), from + j + v, left), left, 0) : zero);
        }
      }
    }
  }
}

// One tile: the sums over a block of k, for kTileRows rows of `a` and a panel of columns. The last rows may be the
// same.
template <typename V>
SMOOTHLOSS_INLINE void sumTile(const typename V::Real* const (&a)[kTileRows], const typename V::Real* panel, size_t k,
                               V (&sums)[kTileRows][kTileVectors]) {
  V tile[kTileRows][kTileVectors];
  for (auto& row : tile) {
    for (V& sum : row) sum = set1(typename V::Real(0));
  }
  for (size_t i = 0; i < k; ++i, panel += kPanel<V>) {
    V b[kTileVectors];
    for (size_t j = 0; j < kTileVectors; ++j) b[j] = load(As<V>(), panel + j * V::kWidth);
    for (size_t r = 0; r < kTileRows; ++r) {
      const V ai = set1(a[r][i]);
      for (size_t j = 0; j < kTileVectors; ++j) tile[r][j] = fma(ai, b[j], tile[r][j]);
    }
  }
  for (size_t r = 0; r < kTileRows; ++r) {
    for (size_t j = 0; j < kTileVectors; ++j) sums[r][j] = tile[r][j];
  }
}

// What becomes of the sums over a block of k: the first block is stored, after the bias is added if there is one; later
// ones are added to what is there.
template <typename Real>
struct Destination {
  const Real* bias;  // of the columns, whole vectors; null: none
  bool adds;
  bool isGradient;  // which has one kind of NaN
};

template <typename V>
SMOOTHLOSS_INLINE void putSums(V sum, typename V::Real* out, size_t column, size_t n,
                               const Destination<typename V::Real>& to) {
  const bool whole = n >= V::kWidth;
  if (to.adds) {
    sum = add(whole ? load(As<V>(), out) : loadFirst(As<V>(), out, n), sum);
  } else if (to.bias) {
    sum = add(sum, load(As<V>(), to.bias + column));
  }
  if (to.isGradient) sum = oneNaN(sum);
  if (whole) return store(out, sum);
  storeFirst(out, sum, n);
}

// A block of k of a product: out(row)[column] for all rows of `a` and `columns` columns of panels.
template <typename V, typename Out>
SMOOTHLOSS_INLINE void multiply(const typename V::Real* a, size_t stride, size_t rows, const typename V::Real* panels,
                                size_t columns, size_t k, const Out& out, const Destination<typename V::Real>& to) {
  for (size_t first = 0; first < rows; first += kCachedRows) {
    const size_t end = rows - first < kCachedRows ? rows : first + kCachedRows;
    for (size_t column = 0; column < columns; column += kPanel<V>) {
      const size_t left = columns - column;
      for (size_t row = first; row < end; row += kTileRows) {
        const size_t count = end - row < kTileRows ? end - row : kTileRows;
        const typename V::Real* rowsOfA[kTileRows];
        for (size_t r = 0; r < kTileRows; ++r) rowsOfA[r] = a + (row + (r < count ? r : count - 1)) * stride;
        V sums[kTileRows][kTileVectors];
        sumTile(rowsOfA, panels + column * k, k, sums);
        for (size_t r = 0; r < count; ++r) {
          typename V::Real* const p = out(row + r) + column;
          for (size_t j = 0; j < kTileVectors && j * V::kWidth < left; ++j) {
            putSums(sums[r][j], p + j * V::kWidth, column + j * V::kWidth, left - j * V::kWidth, to);
          }
        }
      }
    }
  }
}

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
  Real* const panels_;  // scratch memory
  Real* const packed_;

 public:
  LayerProducts(const Batch& batch, const LayerChunk& chunk, Scratch& scratch)
      : batch_(batch),
        layer_(batch.layer),
        chunk_(chunk),
        panels_(reinterpret_cast<Real*>(scratch.row)),
        packed_(reinterpret_cast<Real*>(scratch.blocks[0])) {}

  void run(LayerStep step, const LayerPart& part) const {
    switch (step) {
      case LayerStep::kCopyInput:
        return copyInput(part);
      case LayerStep::kLogits:
        return logitsOf(part);
      case LayerStep::kInputGradient:
        return addInputGradient(part);
      case LayerStep::kPackInput:
        return packInput(part);
      case LayerStep::kWeightGradient:
        return addWeightGradient(part);
    }
  }

 private:
  const T* inputRow(size_t row) const {
    return static_cast<const T*>(layer_.input) + chunk_.rows[row] * layer_.features;
  }
  const T* weightRow(size_t c) const { return static_cast<const T*>(layer_.linearWeight) + c * layer_.features; }
  Real* logitsAt(size_t row) const { return static_cast<Real*>(chunk_.logits) + row * chunk_.stride; }
  Real* input() const { return static_cast<Real*>(chunk_.input); }
  // The panels of all features, for rows of the chunk from `row` on.
  Real* inputPanels(size_t row) const {
    return input() + row * ((layer_.features + kPanel<V> - 1) / kPanel<V> * kPanel<V>);
  }

  // Copies the rows that take part to where no stride and no number type matters.
  void copyInput(const LayerPart& part) const {
    for (size_t row = part.row; row < part.endRow; ++row) {
      copyRow<V>(inputRow(row), layer_.features, input() + row * chunk_.inputStride);
    }
  }

  // z = input · linearWeightᵀ + linearBias, for rows and classes.
  void logitsOf(const LayerPart& part) const {
    const size_t rows = part.endRow - part.row;
    for (size_t c = part.column; c < part.endColumn; c += kMostColumns<Real>) {
      const size_t n = part.endColumn - c < kMostColumns<Real> ? part.endColumn - c : kMostColumns<Real>;
      Real* const bias = layer_.linearBias ? packed_ : nullptr;
      if (bias) {
        copyRow<V>(static_cast<const T*>(layer_.linearBias) + c, n, bias);
        for (size_t i = n; i % kPanel<V> != 0; ++i) bias[i] = Real(0);
      }
      forBlocks(layer_.features, [&](size_t first, size_t k) {
        for (size_t j = 0; j < n; j += kPanel<V>) {
          const auto row = [&](size_t i) { return weightRow(c + j + i) + first; };
          const size_t some = n - j < kPanel<V> ? n - j : kPanel<V>;
          if (some < kPanel<V>) clear(panels_ + j * k, kPanel<V> * k);
          packTransposed<V>(row, some, k, kPanel<V>, panels_ + j * k);
        }
        multiply<V>(input() + part.row * chunk_.inputStride + first, chunk_.inputStride, rows, panels_, n, k,
                    [&](size_t row) { return logitsAt(part.row + row) + c; }, {bias, first > 0, false});
      });
    }
  }

  // ∂loss/∂input = ∂loss/∂z · linearWeight, for rows and features.
  void addInputGradient(const LayerPart& part) const {
    const size_t rows = part.endRow - part.row;
    auto* const gradient = static_cast<Real*>(layer_.inputGradient);
    for (size_t d = part.column; d < part.endColumn; d += kMostColumns<Real>) {
      const size_t n = part.endColumn - d < kMostColumns<Real> ? part.endColumn - d : kMostColumns<Real>;
      forBlocks(batch_.classes, [&](size_t first, size_t k) {
        packPanels<V>([&](size_t i) { return weightRow(first + i) + d; }, n, k, panels_);
        const auto out = [&](size_t row) { return gradient + chunk_.rows[part.row + row] * layer_.features + d; };
        multiply<V>(logitsAt(part.row) + first, chunk_.stride, rows, panels_, n, k, out, {nullptr, first > 0, true});
      });
    }
  }

  // Packs the input's columns, for addWeightGradient.
  void packInput(const LayerPart& part) const {
    forBlocks(chunk_.count, [&](size_t first, size_t k) {
      packPanels<V>([&](size_t i) { return inputRow(first + i) + part.column; }, part.endColumn - part.column, k,
                    inputPanels(first) + part.column * k);
    });
  }

  // ∂loss/∂linearWeight = (∂loss/∂z)ᵀ · input, for classes (the part's rows) and features; and ∂loss/∂linearBias.
  void addWeightGradient(const LayerPart& part) const {
    auto* const gradient = static_cast<Real*>(layer_.linearWeightGradient);
    const bool adds = !chunk_.first || layer_.accumulate;
    for (size_t c = part.row; c < part.endRow; c += kPackedRows<Real>) {
      const size_t n = part.endRow - c < kPackedRows<Real> ? part.endRow - c : kPackedRows<Real>;
      if (layer_.linearBiasGradient && part.column == 0) addBiasGradient(c, n, adds);
      if (gradient == nullptr) continue;
      forBlocks(chunk_.count, [&](size_t first, size_t k) {
        packTransposed<V>([&](size_t i) { return logitsAt(first + i) + c; }, k, n, kPackedStride, packed_);
        multiply<V>(packed_, kPackedStride, n, inputPanels(first) + part.column * k, part.endColumn - part.column, k,
                    [&](size_t row) { return gradient + (c + row) * layer_.features + part.column; },
                    {nullptr, adds || first > 0, true});
      });
    }
  }

  void addBiasGradient(size_t c, size_t n, bool adds) const {
    auto* const gradient = static_cast<Real*>(layer_.linearBiasGradient) + c;
    forBlocks(chunk_.count, [&](size_t first, size_t k) {
      for (size_t j = 0; j < n; j += V::kWidth) {
        V sum = set1(Real(0));
        for (size_t row = first; row < first + k; ++row) {
          const Real* const p = logitsAt(row) + c + j;
          sum = add(sum, n - j >= V::kWidth ? load(As<V>(), p) : loadFirst(As<V>(), p, n - j));
        }
        putSums(sum, gradient + j, 0, n - j, {nullptr, adds || first > 0, true});
      }
    });
  }

  static void clear(Real* p, size_t n) { std::memset(p, 0, n * sizeof(Real)); }
};
