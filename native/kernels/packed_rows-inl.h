// Softmax cross entropy of packed rows. Include after packed_solver-inl.h, in a backend's unnamed namespace.
//
// Rows are packed into scratch memory, where a vector holds the same column of neighbouring rows, and the numbers of
// the rows are in vectors as well. Short rows are transposed, and their gradient is transposed back: with ten classes
// that takes less than half of the time of one row after the other. Rows whose class axis is not the last lie so
// already, and are copied: memory gives and takes 64 consecutive rows, a column at a time, twice as fast as a vector at
// a time, once for each sum.
template <typename T, typename V, bool kGeneral>
class PackedRows {
  using Layout = Across<V>;
  using Real = typename Layout::Real;
  static constexpr size_t kRows = Layout::kRows;
  static constexpr size_t kMostStrips = 64 / kRows;

 public:
  PackedRows(const Batch& batch, Scratch& scratch)
      : batch_(batch),
        packed_(packed(batch)),
        kernel_(packed_, scratch),
        solver_(packed_, scratch, kernel_),
        strip_(stripElements(batch)),
        strips_(stripsOf(batch)),
        streams_(kStreams && batch.inner != 1 && batch.gradient && batch.gradient != batch.logits &&
                 batch.rows * batch.classes >= kStreamedBytes / sizeof(T)),
        // Exponentials come first.
        x_(reinterpret_cast<Real*>(scratch.row) + strip_),
        gradient_(x_ + strips_ * strip_) {}

  ~PackedRows() {
    if constexpr (kStreams) {
      if (streams_) endStream(As<V>());
    }
  }
  PackedRows(const PackedRows&) = delete;
  PackedRows& operator=(const PackedRows&) = delete;

  // Whether the rows of a batch can be packed and gain by it. With fewer rows or more classes one row after the other
  // is as fast; images of many classes that the cache holds take up to a fifth less time where they are.
  static bool takes(const Batch& batch) {
    constexpr size_t kFewestRows = 6;
    constexpr size_t kMostClasses = kRows < 16 ? 48 : 64;
    constexpr size_t kManyClasses = 256;
    constexpr size_t kHeldElements = 500'000;
    if (batch.dense) return false;
    if (batch.inner == 1) return batch.rows >= kFewestRows && batch.classes <= kMostClasses;
    return stripsOf(batch) > 0 && (batch.classes < kManyClasses || batch.rows * batch.classes > kHeldElements);
  }

  // The gradient is complete when the kernel is destroyed.
  void run(size_t begin, size_t end, Sums& sums) {
    const bool transposes = batch_.inner == 1;
    for (size_t row = begin; row < end;) {
      const size_t offset = offsetOf(batch_, row, batch_.rowStride);
      const T* const logits = static_cast<const T*>(batch_.logits) + offset;
      const size_t left = transposes ? end - row : inImage(batch_, row, end);
      const size_t rows = left < strips_ * kRows ? left : strips_ * kRows;
      if (transposes) {
        transposeIn(logits, rows, (end - 1 - row) * batch_.rowStride + batch_.classes);
      } else {
        copyIn(logits, rows);
      }
      for (size_t r = 0, at = 0; r < rows; r += kRows, at += strip_) {
        const size_t count = rows - r < kRows ? rows - r : kRows;
        const Real* const x = x_ + at;
        Real* const gradient = batch_.gradient ? gradient_ + at : nullptr;
        if (!solver_.tryRun(row + r, count, x, gradient, sums)) kernel_.runStrip(row + r, count, x, gradient, sums);
      }
      if (batch_.gradient) {
        T* const gradient = static_cast<T*>(batch_.gradient) + offset;
        transposes ? transposeOut(gradient, rows) : copyOut(gradient, rows);
      }
      row += rows;
    }
  }

 private:
  static size_t stripElements(const Batch& batch) { return kRows * ((batch.classes + kRows - 1) / kRows * kRows); }
  // The number of strips that are packed at once: one if rows are transposed, else as many as there is memory for; 0
  // for the longest rows.
  static size_t stripsOf(const Batch& batch) {
    if (batch.inner == 1) return 1;
    const size_t held = Scratch::kRowBytes / sizeof(Real) / stripElements(batch);
    const size_t strips = held < 1 ? 0 : (held - 1) / 2;
    return strips < kMostStrips ? strips : kMostStrips;
  }

  // Prefetches the rows after these: 25 % less time beyond the cache.
  void prefetchNext(const T* column, size_t rows) const {
    for (size_t r = 0; r < rows; r += kLanes) prefetch(column + r, rows * sizeof(T));
  }
  void copyIn(const T* logits, size_t rows) {
    for (size_t c = 0; c < batch_.classes; ++c) {
      const T* const column = logits + c * batch_.inner;
      prefetchNext(column, rows);
      Real* to = x_ + c * kRows;
      for (size_t r = 0; r < rows; r += kRows, to += strip_) {
        const size_t count = rows - r;
        store(to, count >= kRows ? load(As<V>(), column + r)
                                 : keepFirst(loadFirst(As<V>(), column + r, count), count, Real(0)));
      }
    }
  }
  void copyOut(T* gradient, size_t rows) const {
    for (size_t c = 0; c < batch_.classes; ++c) {
      T* const column = gradient + c * batch_.inner;
      const Real* from = gradient_ + c * kRows;
      size_t r = 0;
      if (streamsTo(column)) {
        if constexpr (kStreams) {
          for (; r + 2 * kRows <= rows; r += 2 * kRows, from += 2 * strip_) {
            streamPair(column + r, load(As<V>(), from), load(As<V>(), from + strip_));
          }
        }
      } else {
        prefetchNext(column, rows);
      }
      for (; r < rows; r += kRows, from += strip_) {
        const V some = load(As<V>(), from);
        if (rows - r >= kRows) {
          store(column + r, some);
        } else {
          storeFirst(column + r, some, rows - r);
        }
      }
    }
  }
  bool streamsTo(const T* column) const { return streams_ && reinterpret_cast<uintptr_t>(column) % kLineBytes == 0; }

  // Vectors may read beyond a row, into what comes after it, but not beyond `left` elements from the first one on.
  void transposeIn(const T* logits, size_t rows, size_t left) {
    const size_t stride = batch_.rowStride;
    for (size_t c = 0; c < batch_.classes; c += kRows) {
      V v[kRows];
      if (rows == kRows && (kRows - 1) * stride + c + kRows <= left) {
        for (size_t r = 0; r < kRows; ++r) v[r] = load(As<V>(), logits + r * stride + c);
      } else {
        for (size_t r = 0; r < kRows; ++r) {
          const size_t at = r * stride + c;
          v[r] = r < rows ? loadFirst(As<V>(), logits + at, left - at < kRows ? left - at : kRows) : set1(Real(0));
        }
      }
      transpose(v);
      for (size_t i = 0; i < kRows; ++i) store(x_ + (c + i) * kRows, v[i]);
    }
  }
  // By way of scratch memory: what a vector holds beyond its row is overwritten there, since the last columns come
  // first.
  void transposeOut(T* gradient, size_t rows) {
    const size_t classes = batch_.classes;
    T* const transposed = reinterpret_cast<T*>(x_);
    for (size_t c = (classes - 1) / kRows * kRows; c < classes; c -= kRows) {
      V v[kRows];
      for (size_t i = 0; i < kRows; ++i) v[i] = load(As<V>(), gradient_ + (c + i) * kRows);
      transpose(v);
      for (size_t r = 0; r < kRows; ++r) store(transposed + r * classes + c, v[r]);
    }
    const size_t atOnce = batch_.rowStride == classes ? rows : 1;
    for (size_t r = 0; r < rows; r += atOnce) {
      std::memcpy(gradient + r * batch_.rowStride, transposed + r * classes, atOnce * classes * sizeof(T));
    }
  }

  // The batch as the kernel of packed rows sees it.
  static Batch packed(const Batch& batch) {
    Batch packed = batch;
    packed.inner = kRows;
    packed.type = std::is_same<Real, double>::value ? Type::kFloat64 : Type::kFloat32;
    return packed;
  }

  const Batch& batch_;
  const Batch packed_;
  CrossEntropyKernel<Real, Layout, kGeneral> kernel_;
  const PackedSolver<V, kGeneral> solver_;
  const size_t strip_;   // elements of one
  const size_t strips_;  // that are packed at once
  const bool streams_;   // the gradient is written by non-temporal stores
  Real* const x_;
  Real* const gradient_;
};
