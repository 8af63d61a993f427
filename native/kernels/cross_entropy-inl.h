// Softmax cross entropy: the phases of a row, load → findMaximum → scan → solve → write. Include after
// softmax_blocks-inl.h, in a backend's unnamed namespace. lib/js/cross-entropy.ts mirrors this file.
//
// One kernel serves every combination of options. It is instantiated for the type of the arithmetic and the direction
// of the vectors only. Batches that isPlain have one more instance for each number type, T, and two for packed rows
// (packed_rows-inl.h). With kGeneral, and for packed rows, T is the arithmetic's.
template <typename T, typename Layout, bool kGeneral>
class CrossEntropyKernel : SoftmaxBlocks<T, Layout, kGeneral> {
  using Blocks = SoftmaxBlocks<T, Layout, kGeneral>;
  using Blocks::batch_, Blocks::scratch_, Blocks::parts_, Blocks::terms_, Blocks::scratchAt_;
  using Blocks::kMayStream, Blocks::kRows;
  using Blocks::streams_, Blocks::inGradient_, Blocks::tile_, Blocks::cached_, Blocks::streamed_;
  using Blocks::with, Blocks::zBlock, Blocks::softBlock, Blocks::scanBlock, Blocks::expBlock, Blocks::writeBlock;
  using typename Blocks::Parts;
  using typename Blocks::Real;
  using typename Blocks::V;

 public:
  using Strip = SoftmaxStrip<Layout>;
  using Solver = SoftmaxSolver<Layout, kGeneral>;
  enum Stage : size_t { kFindMaximum, kScan, kWrite, kStages };

 private:
  const ClassTargets<Real> targets_;
  const Solver solver_;
  Strip tiles_[kMayStream ? 2 : 1][kMostTile<Layout>];

 public:
  CrossEntropyKernel(const Batch& batch, Scratch& scratch, bool split = false)
      : Blocks(batch, scratch, split), targets_(batch), solver_(batch, parts_) {}

  ~CrossEntropyKernel() {
    if constexpr (kMayStream) {
      streamed_.writeStripsFrom(0, *this);
      if (streams_) endStream(As<V>());
    }
  }
  CrossEntropyKernel(const CrossEntropyKernel&) = delete;
  CrossEntropyKernel& operator=(const CrossEntropyKernel&) = delete;

  const Parts& parts() const { return parts_; }
  const ClassTargets<Real>& targets() const { return targets_; }
  const Solver& solver() const { return solver_; }

  // The gradient is complete when the kernel is destroyed.
  void run(size_t begin, size_t end, Sums& sums) {
    for (size_t row = begin; row < end;) {
      Strip* const strips = tiles_[kMayStream && streamed_.tile() == tiles_[0] ? 1 : 0];
      size_t count = 0;
      for (; count < tile_ && row < end; ++count) {
        const size_t rows = stripOf(As<Layout>(), batch_, row, end);
        load(strips[count], row, rows, count);
        if (streams_) streamed_.prefetchEnds(strips[count]);
        row += rows;
        // Finds the next strip's maximum before it scans this strip, whose sums then need not wait for their maximum.
        findMaximum(strips[count]);
        if (count > 0) scan(strips, count - 1);
      }
      scan(strips, count - 1);
      if constexpr (kMayStream) streamed_.writeStripsFrom(count, *this);
      solver_.solve(strips, count, sums);
      if (streams_) {
        streamed_.keep(strips, count);
      } else if (batch_.gradient) {
        for (size_t i = 0; i < count; ++i) write(strips[i]);
      }
    }
  }

  // Runs one strip in scratch memory, where x and gradient are whole vectors. Out of line, since float and the half
  // types share it: 7 KB of code for each.
  SMOOTHLOSS_NOINLINE void runStrip(size_t row, size_t rows, const Real* x, Real* gradient, Sums& sums) {
    Strip strip;
    loadAt(strip, row, rows, 0, scratchAt_, x, gradient);
    if (strip.any) {
      findMaximum(strip, 0, batch_.classes);
      takeMaximum(strip);
      scan(strip, 0, batch_.classes);
    }
    solver_.solve(&strip, 1, sums);
    if (gradient) {
      write(strip, 0, batch_.classes);
      writePivots(strip);
    }
  }

  // The phases as stages, whose columns threads share: see splitStrip.
  void open(Strip& strip, size_t row, size_t rows) { load(strip, row, rows, 0); }
  bool needs(const Strip& strip, size_t stage) const {
    if (stage == kWrite) return strip.any && batch_.gradient;
    return stage == kFindMaximum ? strip.any : scans(strip);
  }
  void compute(Strip& strip, size_t stage, size_t first, size_t end) {
    if (stage == kFindMaximum) {
      findMaximum(strip, first, end);
    } else if (stage == kScan) {
      scan(strip, first, end);
    } else {
      write(strip, first, end);
    }
  }
  void merge(Strip& strip, size_t stage, const Strip& segment, size_t first, size_t end) const {
    if (stage == kFindMaximum) strip.largest.take(segment.largest);
    if (stage != kScan) return;
    if (parts_.soft()) strip.labels.take(segment.labels);
    for (size_t r = 0; r < kRows; ++r) {
      SoftmaxRow& row = strip.rows[r];
      strip.sums[r].add(segment.sums[r]);
      if (parts_.soft() && row.target.y != kNone && row.pivot >= first && row.pivot < end) {
        row.target.own = segment.rows[r].target.own;
      }
    }
  }
  void close(Strip& strip, size_t stage, Sums& sums) {
    if (stage == kFindMaximum && strip.any) takeMaximum(strip);
    if (stage == kScan) solver_.solve(&strip, 1, sums);
    if (stage == kWrite && batch_.gradient) writePivots(strip);
  }

  // Turns the e_k of these columns into the gradient.
  void write(const Strip& strip, size_t first, size_t end) {
    const size_t rows = strip.rowCount;
    Real scale[kRows] = {}, offset[kRows] = {};
    ExpNumbers<Layout> numbers;
    bool any = false;
    bool defers = false;
    for (size_t r = 0; r < rows; ++r) {
      const SoftmaxRow& row = strip.rows[r];
      if (row.target.y == kNone || !row.defined) continue;
      any = true;
      scale[r] = toReal<Real>(row.multiplier);
      offset[r] = toReal<Real>(row.offset);
      numbers.set(r, row.scale);
      if (row.deferredFactor == 0.0) continue;
      defers = true;  // and writeDeferred finds the exponentials unchanged, though the gradient takes their place
      scale[r] = 1;
      offset[r] = 0;
    }
    // Takes all columns at once, unless something is computed block by block.
    const bool whole = (streams_ || inGradient_) && !parts_.soft();
    const size_t step = whole ? end - first : kBlock;
    for (size_t c = first; any && c < end; c += step) {
      const size_t n = end - c < step ? end - c : step;
      const bool again = !inGradient_ && c + n > cached_;  // the exponentials
      const Numbers<Layout> e = again ? Numbers<Layout>{scratchAt_, blockOf<Real>(scratch_, kExpBlock)}
                                      : Numbers<Layout>{strip.expsAt, strip.exps + strip.expsAt.offset(c)};
      if constexpr (kGeneral) {
        const Numbers<Layout> z = parts_.capped() || again ? zBlock(strip, c, n) : Numbers<Layout>{};
        if (again) expBlock(z.at, z.p, n, numbers);
        const GradientBlock<Layout> gradient(batch_, strip.user, strip.gradient, c, scratch_);
        writeBlock(strip, e, gradient.at, gradient.p, c, n, scale, offset);
        if (parts_.capped()) strip.user.forEach(n, CapVisitor<Layout>{z, gradient, set1(terms_.cap)});
        gradient.deliver(batch_, strip.user, strip.gradient, c, n);
        if (defers) writeDeferred(strip, e, z, c, n);
      } else {
        if (again) expBlock(strip.user, static_cast<const T*>(strip.x) + strip.user.offset(c), n, numbers);
        T* const gradient = static_cast<T*>(strip.gradient) + strip.user.offset(c);
        writeBlock(strip, e, strip.user, gradient, c, n, scale, offset);
        if (defers) writeDeferred(strip, e, {}, c, n);
      }
    }
  }
  // Writes the gradient of pivots and second classes, and whole rows that are ignored or not defined.
  void writePivots(const Strip& strip) {
    with(strip.gradient, [&](auto* gradient) {
      for (size_t r = 0; r < strip.rowCount; ++r) {
        const SoftmaxRow& row = strip.rows[r];
        if (row.target.y == kNone || !row.defined) {
          fillRow(strip.user, gradient, batch_.classes, r, row.target.y == kNone ? 0.0 : kNaN);
          continue;
        }
        put(strip.user.element(gradient, row.pivot, r),
            row.pivotGradient * (parts_.capped() ? terms_.slope(row.zPivot) : 1.0));
        if (Parts::hasSecond(row.target)) {
          put(strip.user.element(gradient, row.target.second, r), row.secondGradient * terms_.slope(row.zSecond));
        }
      }
    });
  }

 private:
  // Prepares a strip, number inTile of its tile, for the rows [row, row + rows).
  void load(Strip& strip, size_t row, size_t rows, size_t inTile) {
    const size_t offset = offsetOf(batch_, row, batch_.rowStride);
    loadAt(strip, row, rows, inTile, userLayout(As<Layout>(), batch_, rows),
           elementsAt(batch_.type, batch_.logits, offset), elementsAt(batch_.type, batch_.gradient, offset));
  }
  void loadAt(Strip& strip, size_t row, size_t rows, size_t inTile, const Layout& user, const void* x, void* gradient) {
    strip.first = row;
    strip.rowCount = rows;
    strip.user = user;
    strip.x = x;
    strip.gradient = gradient;
    strip.exps = nullptr;
    strip.expsAt = scratchAt_;
    if (cached_ > 0) {
      // Strips lie whole vectors apart, since exponentials may be stored as such.
      strip.exps = reinterpret_cast<Real*>(scratch_.row) + inTile * ((batch_.classes + kLanes - 1) / kLanes * kLanes);
    } else {
      if (inGradient_) strip.exps = static_cast<Real*>(strip.gradient);
      strip.expsAt = strip.user;
    }
    strip.any = false;
    strip.largest.clear();
    if (parts_.soft()) strip.labels.clear();
    for (size_t r = 0; r < kRows; ++r) {
      strip.sums[r] = {};
      ClassTarget& target = strip.rows[r].target;
      if (r < rows) {
        targets_.take(row + r, target);
      } else {
        target = ClassTarget(kNone);
      }
      strip.pivots[r] = target.y;
      strip.any = strip.any || strip.pivots[r] != kNone;
    }
  }

  void findMaximum(Strip& strip) {
    if (!strip.any) return;
    runStage(*this, strip, kFindMaximum, batch_.classes);
    takeMaximum(strip);
  }
  // Takes these columns into each row's maximum.
  void findMaximum(Strip& strip, size_t first, size_t end) {
    if (!parts_.transforms() && !parts_.wantsArgmax()) {
      with(strip.x,
           [&](auto* x) { strip.largest.take(strip.user, x + strip.user.offset(first), first, end - first, false); });
      return;
    }
    for (size_t c = first; c < end; c += kBlock) {
      const size_t n = end - c < kBlock ? end - c : kBlock;
      const Numbers<Layout> z = zBlock(strip, c, n);
      strip.largest.take(z.at, z.p, c, n, parts_.wantsArgmax());
    }
  }
  // Sets what follows from the maxima: the scale of the exponentials, and the pivots.
  void takeMaximum(Strip& strip) {
    for (size_t r = 0; r < kRows; ++r) {
      SoftmaxRow& row = strip.rows[r];
      row.maximum = toDouble(strip.largest.maximum[r]);
      row.predicted = strip.largest.index[r];
      row.defined = row.maximum != kInfinity && row.maximum != -kInfinity;
      row.scale = RowScale(row.defined ? row.maximum : 0.0);
      if (row.target.y == kNone) continue;
      row.pivot = parts_.soft() ? row.predicted : row.target.y;
      strip.pivots[r] = row.pivot;
      row.zPivot = zOf(strip, row.pivot, r);
      row.zSecond = !Parts::hasSecond(row.target) ? 0.0 : zOf(strip, row.target.second, r);
    }
  }
  double zOf(const Strip& strip, size_t c, size_t r) const {
    const double x = with(strip.x, [&](auto* row) { return toDouble(*strip.user.element(row, c, r)); });
    return parts_.transforms() ? terms_.ofOne(x) : x;
  }

  // A lone row whose results are NaN anyway needs no sums.
  bool scans(const Strip& strip) const { return strip.any && (kRows > 1 || parts_.soft() || strip.rows[0].defined); }
  // Scans strip i of a tile and, if gradients are streamed, writes that of strip i of the last tile beside it.
  void scan(Strip* strips, size_t i) {
    Strip& strip = strips[i];
    if constexpr (kMayStream) {
      if (i < streamed_.count()) {
        streamed_.writeBeside(i, strip, !kGeneral && !parts_.hasClassFactors() && scans(strip));
      }
    }
    if (scans(strip)) runStage(*this, strip, kScan, batch_.classes);
    if constexpr (kMayStream) {
      if (i < streamed_.count()) streamed_.writeRest(i, *this);
    }
  }
  // Adds these columns to the sums; keeps all e_k if a gradient is asked for.
  void scan(Strip& strip, size_t first, size_t end) {
    ExpNumbers<Layout> numbers;
    for (size_t r = 0; r < kRows; ++r) numbers.set(r, strip.rows[r].scale);
    const bool smooths = !parts_.soft() && anyMass(strip);
    for (size_t c = first; c < end; c += kBlock) {
      const size_t n = end - c < kBlock ? end - c : kBlock;
      if constexpr (kMayStream) streamed_.writeTo(c + n, *this);
      if constexpr (kGeneral) {
        const Numbers<Layout> z = zBlock(strip, c, n);
        scanBlock(strip, z.at, z.p, c, n, smooths, numbers);
      } else {
        const T* const z = static_cast<const T*>(strip.x) + strip.user.offset(c);
        scanBlock(strip, strip.user, z, c, n, smooths, numbers);
      }
    }
  }
  static bool anyMass(const Strip& strip) {
    for (const SoftmaxRow& row : strip.rows) {
      if (row.target.y != kNone && row.target.mass > 0.0) return true;
    }
    return false;
  }

  void write(Strip& strip) {
    runStage(*this, strip, kWrite, batch_.classes);
    writePivots(strip);
  }
  // Writes the rows whose factor is deferred, in double.
  SMOOTHLOSS_COLD void writeDeferred(const Strip& strip, const Numbers<Layout>& e, const Numbers<Layout>& z,
                                     size_t first, size_t n) {
    const Numbers<Layout> targets = parts_.soft() ? softBlock(strip, first, n, nullptr).targets : Numbers<Layout>{};
    with(strip.gradient, [&](auto* gradient) {
      for (size_t r = 0; r < strip.rowCount; ++r) {
        const SoftmaxRow& row = strip.rows[r];
        if (row.target.y == kNone || !row.defined || row.deferredFactor == 0.0) continue;
        for (size_t c = 0; c < n; ++c) {
          const double v = parts_.soft() ? toDouble(*targets.at.element(targets.p, c, r))
                                         : numberOf<Real>(batch_.smoothing, first + c, 1.0);
          const double slope = parts_.capped() ? terms_.slope(toDouble(*z.at.element(z.p, c, r))) : 1.0;
          const double without = toDouble(*e.at.element(e.p, c, r)) * row.multiplier + v * row.offset;
          put(strip.user.element(gradient + strip.user.offset(first), c, r),
              without * slope * row.deferredFactor + 0.0);
        }
      }
    });
  }
};
