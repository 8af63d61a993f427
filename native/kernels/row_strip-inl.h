// What nllLoss, klDiv and bceWithLogits keep of a strip: where its rows lie, and what their losses and gradient are
// multiplied by. Include after blocks-inl.h, in a backend's unnamed namespace.

// Layout::kRows rows, which go through each step of a kernel together.
template <typename Layout>
struct RowStrip {
  using Real = typename Layout::Real;
  static constexpr size_t kRows = Layout::kRows;

  size_t first;  // row
  size_t rowCount;
  Layout user;             // of the caller's arrays
  const void* x;           // logits or log-probabilities; null: smoothLabels
  void* gradient;          // null: not asked for
  size_t offset;           // of the first row's elements in x, the gradient and the losses of elements
  bool any;                // of the rows takes part
  Real scale[kRows];       // what the gradient is multiplied by; 1 for a row whose factor is deferred
  double deferred[kRows];  // a factor that is deferred: see isDeferred; 0: none
  bool anyDeferred;
  Real weight[kRows];  // rowWeight
  Real limit[kRows];   // bounds losses of elements: of weight 0 they must not be infinite

  // Turns to the rows [row, row + count), of which none takes part yet.
  void open(const Batch& batch, size_t row, size_t count) {
    first = row;
    rowCount = count;
    user = userLayout(As<Layout>(), batch, count);
    offset = offsetOf(batch, row, batch.rowStride);
    x = elementsAt(batch.type, batch.logits, offset);
    gradient = elementsAt(batch.type, batch.gradient, offset);
  }
  // Row r takes part, with that factor of its gradient.
  void take(const Batch& batch, size_t r, double factor) {
    any = true;
    scale[r] = toReal<Real>(factor);
    if (isDeferred<Real>(magnitude(factor))) {
      scale[r] = 1;
      deferred[r] = factor;
      anyDeferred = true;
    }
    weight[r] = static_cast<Real>(numberOf<Real>(batch.rowWeight, first + r, 1.0));
    constexpr auto kReals = std::numeric_limits<Real>{};
    limit[r] = weight[r] == 0 ? kReals.max() : kReals.infinity();
  }

  // Where the losses of elements go, from that column on; null: they were not asked for.
  Real* lossesAt(const Batch& batch, size_t column) const {
    return batch.losses ? static_cast<Real*>(batch.losses) + offset + user.offset(column) : nullptr;
  }
  GradientBlock<Layout> gradientBlock(const Batch& batch, size_t column, Scratch& scratch) const {
    return {batch, user, gradient, column, scratch};
  }
  // Writes n columns of the gradient, from that column on, to the caller's array.
  void deliver(const Batch& batch, const GradientBlock<Layout>& block, size_t column, size_t n) const {
    if (anyDeferred) multiplyDeferred(block, n, deferred);
    block.deliver(batch, user, gradient, column, n);
  }
};
