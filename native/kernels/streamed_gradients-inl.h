// Gradients that are written by non-temporal stores. Include after softmax_visitors-inl.h, in a backend's unnamed
// namespace.
//
// Streamed gradients lag one tile: while row i of this tile is scanned, row i of the last tile is written, and its
// exponentials' memory is reused. So memory is written while the CPU computes. Rows are written block by block or, in
// plain batches of long rows, step by step within the loop over the exponentials. There memory keeps up better: 32,000
// classes take 8 % less time with AVX-512, 16 % with AVX2. (Rows of 1,000 take 10 % longer: blocks do not wait for a
// row's maximum, but steps do.)

// Streams the last row's gradient step by step, beside the exponentials of the row that is scanned (ExpVisitor).
template <typename Layout, typename T>
struct LastGradient {
  using V = typename Layout::V;
  const typename Layout::Real*
      e;  // like the gradient, from the first column on that begins a cache line of the gradient
  T* gradient;
  size_t end;  // columns that fill whole lines, a multiple of kLanes
  size_t pivot;
  V scale;
  V offset;

  // Writes N vectors from column c on, of which some may lie beyond the end. The pivot's lines are stored normally: a
  // store to a line that has just been streamed waits for the line to come back. Vectors that come one by one are few,
  // and are stored normally too.
  template <size_t N>
  SMOOTHLOSS_INLINE void step(size_t c) const {
    if (c >= end) return;
    if constexpr (N == 1) {
      store(gradient + c, element(c));
    } else {
      const bool streams = pivot - c >= N * Layout::kColumns;
      for (size_t i = c; i < c + N * Layout::kColumns; i += 2 * Layout::kColumns) {
        if (N * Layout::kColumns > kLanes && i >= end) return;
        const V first = element(i);
        const V second = element(i + Layout::kColumns);
        if (streams) {
          streamPair(gradient + i, first, second);
        } else {
          storePair(gradient + i, first, second);
        }
      }
    }
  }

 private:
  SMOOTHLOSS_INLINE V element(size_t c) const { return fma(load(As<V>(), e + c), scale, offset); }
};

// The tile whose gradients are still to be written, by the kernel's write(strip, first, end) and writePivots(strip).
template <typename Layout, typename T>
class StreamedGradients {
  using V = typename Layout::V;
  using Real = typename Layout::Real;
  using Strip = SoftmaxStrip<Layout>;
  static constexpr size_t kStepwiseClasses = 8192;  // rows of so many and more go step by step

  const Batch& batch_;
  const Strip* tile_ = nullptr;
  size_t count_ = 0;             // its strips
  const Strip* last_ = nullptr;  // the one that is written beside the scan
  size_t written_ = 0;           // its columns that are written, or will be step by step
  bool stepwise_ = false;        // it goes step by step

 public:
  explicit StreamedGradients(const Batch& batch) : batch_(batch) {}

  const Strip* tile() const { return tile_; }
  size_t count() const { return count_; }
  bool stepwise() const { return stepwise_; }

  // Prefetches the cache lines that are stored normally. (That of a soft target's pivot is not known yet.)
  void prefetchEnds(const Strip& strip) const {
    for (const size_t c : {size_t{0}, strip.pivots[0], batch_.classes - 1}) {
      if (c < batch_.classes) strip.user.ahead(static_cast<const T*>(strip.gradient), c, 0);
    }
  }

  // Makes this tile, whose rows are solved, the last one.
  void keep(const Strip* strips, size_t count) {
    tile_ = strips;
    count_ = count;
  }
  // Begins to write strip i of the last tile beside the scan of a strip: step by step if mayStep, and if both rows
  // allow it.
  void writeBeside(size_t i, const Strip& scanned, bool mayStep) {
    last_ = tile_ + i;
    const SoftmaxRow& row = last_->rows[0];
    stepwise_ = mayStep && batch_.classes >= kStepwiseClasses && scanned.rows[0].scale.shift == 0.0 &&
                row.target.y != kNone && row.defined && row.deferredFactor == 0.0;
    if (stepwise_) writeEnds();
  }
  // Writes the gradient up to column `end`, in whole lines, before the scan overwrites its exponentials.
  template <typename Kernel>
  void writeTo(size_t end, Kernel& kernel) {
    if (!last_ || stepwise_) return;
    end += Layout::toLine(static_cast<const T*>(last_->gradient));
    if (end > batch_.classes) end = batch_.classes;
    kernel.write(*last_, written_, end);
    written_ = end;
  }
  // The steps from the column `first` on.
  LastGradient<Layout, T> stepsFrom(size_t first) const {
    T* const gradient = static_cast<T*>(last_->gradient);
    const SoftmaxRow& row = last_->rows[0];
    const size_t begin = Layout::toLine(gradient);
    const size_t end = (batch_.classes - begin) / kLanes * kLanes;
    return {last_->exps + begin + first, gradient + begin + first,           end > first ? end - first : 0,
            row.pivot - begin - first,   set1(toReal<Real>(row.multiplier)), set1(toReal<Real>(row.offset))};
  }
  // Writes what is left of strip i.
  template <typename Kernel>
  void writeRest(size_t i, Kernel& kernel) {
    kernel.write(tile_[i], written_, batch_.classes);
    kernel.writePivots(tile_[i]);
    last_ = nullptr;
    written_ = 0;
    stepwise_ = false;
  }
  // Writes the strips of the last tile from number `count` on.
  template <typename Kernel>
  void writeStripsFrom(size_t count, Kernel& kernel) {
    while (count_ > count) writeRest(--count_, kernel);
  }

 private:
  // Writes the columns before and after the steps, fewer than a line and kLanes.
  void writeEnds() {
    const LastGradient<Layout, T> lines = stepsFrom(0);
    T* const gradient = static_cast<T*>(last_->gradient);
    const size_t begin = static_cast<size_t>(lines.gradient - gradient);
    const auto write = [&](size_t first, size_t end) {
      for (size_t c = first; c < end; c += Layout::kColumns) {
        storeFirst(gradient + c, fma(load(As<V>(), last_->exps + c), lines.scale, lines.offset), end - c);
      }
    };
    write(0, begin);
    write(begin + lines.end, batch_.classes);
    written_ = batch_.classes;
  }
};
