// Softmax cross entropy of packed rows. Include after cross_entropy-inl.h, in a backend's unnamed namespace.
//
// Rows are packed into scratch memory, where a vector holds the same column of neighbouring rows, and the numbers of
// the rows are in vectors as well. Short rows are transposed for it, and their gradient is transposed back: with ten
// classes that takes less than half of the time of one row after the other. Rows whose class axis is not the last lie
// so already; but memory gives and takes them twice as fast a column at a time, from 64 rows on end, as a vector at a
// time, once for each sum.
template <typename T, typename V, bool kGeneral>
class PackedRows {
  using At = Across<V>;
  using Real = typename At::Real;
  using D = DoubleVec;
  using Kernel = CrossEntropyKernel<Real, At, kGeneral>;
  using Parts = SoftmaxParts<kGeneral>;
  static constexpr size_t kRows = At::kRows;
  static constexpr size_t kMostStrips = 64 / kRows;

 public:
  PackedRows(const Batch& batch, Scratch& scratch)
      : batch_(batch),
        packed_(packed(batch)),
        scratch_(scratch),
        kernel_(packed_, scratch),
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
        if (!tryRun(row + r, count, x, gradient, sums)) kernel_.runStrip(row + r, count, x, gradient, sums);
      }
      if (batch_.gradient) {
        T* const gradient = static_cast<T*>(batch_.gradient) + offset;
        transposes ? transposeOut(gradient, rows) : copyOut(gradient, rows);
      }
      row += rows;
    }
  }

 private:
  // The numbers of a strip's rows on their way through the phases of tryRun: the same as those of RowScale and
  // SoftmaxSolver.
  struct Strip {
    size_t row;
    size_t rowCount;
    const Real* x;
    Real* gradient;
    size_t pivots[kRows];   // kNone: the row is ignored
    Real columns[kRows];    // the pivots as numbers, −1 for none
    double counted[kRows];  // 0 for an ignored row, else 1
    Argmax<At> largest;
    Real largestColumns[kRows];
    double k[kRows];
    bool smooths;
    SoftmaxNumbers<At> numbers;
  };

  // Solves a whole vector of rows at once, so that rows of ten classes take half the time. Returns false, leaving the
  // sums and results untouched, if the batch or a row needs the general path: if the batch has a part that is not
  // computed here, or if a row's logits are beyond kShiftAbove, a number of it is not finite, or its factor may have to
  // wait. The gradient may then hold anything.
  bool tryRun(size_t row, size_t rows, const Real* x, Real* gradient, Sums& sums) {
    if (!parts().within(Parts::kPacked)) return false;
    Strip strip;
    strip.row = row;
    strip.rowCount = rows;
    strip.x = x;
    strip.gradient = gradient;
    if (loadTargets(strip)) {
      if (!findMaximum(strip) || !loadNumbers(strip)) return false;
      scan(strip);
      if (!solve(strip)) return false;
      write(strip, sums);
    }
    writeIgnored(strip);
    return true;
  }

  // Returns false if all rows are ignored.
  SMOOTHLOSS_INLINE bool loadTargets(Strip& strip) const {
    bool any = false;
    for (size_t r = 0; r < kRows; ++r) {
      const size_t y = strip.pivots[r] = r < strip.rowCount ? kernel_.targets().classOf(strip.row + r) : kNone;
      strip.columns[r] = y == kNone ? Real(-1) : static_cast<Real>(static_cast<int32_t>(y));
      strip.counted[r] = y == kNone ? 0.0 : 1.0;
      any = any || y != kNone;
    }
    return any;
  }

  // Returns false if a row has to be shifted.
  SMOOTHLOSS_INLINE bool findMaximum(Strip& strip) const {
    Argmax<At>& largest = strip.largest;
    largest.clear();
    largest.take(at_, strip.x, 0, batch_.classes, parts().wantsArgmax());
    for (size_t r = 0; r < kRows; ++r) {
      const size_t pivot = strip.pivots[r];
      strip.numbers.logPivot[r] = toDouble(strip.x[(pivot == kNone ? 0 : pivot) * kRows + r]);
      if (pivot == kNone) largest.maximum[r] = Real(0);
      if (parts().wantsEntropy()) strip.largestColumns[r] = static_cast<Real>(static_cast<int32_t>(largest.index[r]));
    }
    return !(toDouble(maxLane(abs(At::perRow(largest.maximum)))) > kShiftAbove);
  }

  // The scale of the exponentials and the targets. Returns false if a factor may have to wait.
  SMOOTHLOSS_INLINE bool loadNumbers(Strip& strip) const {
    SoftmaxNumbers<At>& of = strip.numbers;
    const ClassTarget* const alike = kernel_.targets().alike();
    const ClassTarget target = alike ? *alike : ClassTarget(kNone);
    strip.smooths = target.mass > 0.0;
    double factors = magnitude(batch_.gradientScale) * (target.own + target.mass * (target.others + 1.0));
    for (size_t r = 0; r < kRows; r += D::kWidth) {
      const auto put = [r](double* numbers, D a) { store(numbers + r, a); };
      const D most = load(As<D>(), strip.largest.maximum + r);
      const D scale = roundToInteger(most * kLog2EDouble);
      put(strip.k, scale);
      put(of.maximum, most);
      put(of.logMaximum, lessLn2<Real>(most, scale));
      put(of.logPivot, lessLn2<Real>(load(As<D>(), of.logPivot + r), scale));
      put(of.own, target.own);
      put(of.rest, target.mass * target.others);
      put(of.mass, target.mass);
      put(of.otherFactors, target.others);
      put(of.factor, bounded(batch_.gradientScale));
      put(of.exps, 0.0);
      put(of.otherLogits, 0.0);
      put(of.spread, 0.0);
      put(of.lesser, 0.0);
    }
    if (!alike || batch_.rowWeight || batch_.gradientScales) {
      for (size_t r = 0; r < strip.rowCount; ++r) {
        if (strip.pivots[r] == kNone) continue;
        ClassTarget its;
        kernel_.targets().take(strip.row + r, its);
        of.own[r] = its.own;
        of.rest[r] = its.mass * its.others;
        of.mass[r] = its.mass;
        of.otherFactors[r] = its.others;
        of.factor[r] = upstreamOf<Real>(batch_, strip.row + r);
        strip.smooths = strip.smooths || its.mass > 0.0;
        const double size = magnitude(of.factor[r]) * (its.own + its.mass * (its.others + 1.0));
        factors = size > factors ? size : factors;
      }
    }
    return !waits<Real>(8.0 * factors);
  }

  // All that is summed over the columns; where a gradient is asked for, keeps all e_k in its place.
  SMOOTHLOSS_INLINE void scan(Strip& strip) {
    const At& at = at_;
    SoftmaxNumbers<At>& of = strip.numbers;
    const V maximum = At::perRow(strip.largest.maximum);
    const V noShift = set1(Real(0));
    const V floor = expFloor(As<V>(), strip.k);
    const V magic = expMagic(As<V>(), strip.k);
    for (size_t c = 0; c < batch_.classes; c += kBlock) {
      const size_t n = batch_.classes - c < kBlock ? batch_.classes - c : kBlock;
      const Real* const z = strip.x + c * kRows;
      const auto skip = [c](const Real* which) {
        return typename At::Skip{sub(load(As<V>(), which), set1(static_cast<Real>(c)))};
      };
      if (strip.smooths) {
        const BelowVisitor<At, Real, Factors::kOnes> visitor{at, z, {nullptr, at, nullptr}, maximum};
        at.sum(n, skip(strip.columns), visitor, of.otherLogits);
      }
      Real* const e = strip.gradient           ? strip.gradient + c * kRows
                      : parts().wantsEntropy() ? blockOf<Real>(scratch_, kExpBlock)
                                               : nullptr;
      if (e) {
        const ExpVisitor<At, Real, Keep::kColumns, false> visitor{at, z, at, e, 0, noShift, floor, magic};
        at.sum(n, skip(strip.columns), visitor, of.exps);
      } else {
        const ExpVisitor<At, Real, Keep::kNot, false> visitor{at, z, at, nullptr, 0, noShift, floor, magic};
        at.sum(n, skip(strip.columns), visitor, of.exps);
      }
      if (parts().wantsEntropy()) {
        at.sum(n, At::skip(kNoColumns, 0), SpreadVisitor<At, Real>{at, z, at, e, maximum}, of.spread);
        at.sum(n, skip(strip.largestColumns), ElementVisitor<At, Real>{at, e}, of.lesser);
      }
    }
  }

  // Returns false if a number of a row that counts is not finite.
  SMOOTHLOSS_INLINE bool solve(Strip& strip) const {
    SoftmaxNumbers<At>& of = strip.numbers;
    D odd = 0.0;  // NaN where a number is not finite
    for (size_t r = 0; r < kRows; r += D::kWidth) {
      kernel_.solver().template solveRows<D>(of, r);
      D excess = 0.0;
      for (const double* numbers : {of.sum, of.otherLogits, of.own, of.rest, of.factor}) {
        const D a = load(As<D>(), numbers + r);
        excess = excess + (a - a);
      }
      odd = odd + zeroWhereZero(excess, load(As<D>(), strip.counted + r));
    }
    return !(maxLane(whereEqual(odd, 0.0, 0.0, 1.0)) > 0.0);
  }

  // The losses, what is reported, and the gradient of the rows that count.
  SMOOTHLOSS_INLINE void write(const Strip& strip, Sums& sums) const {
    const SoftmaxNumbers<At>& of = strip.numbers;
    for (size_t r = 0; r < strip.rowCount; ++r) {
      if (strip.pivots[r] == kNone) continue;
      const size_t row = strip.row + r;
      const double weighed = addLoss<Real>(batch_, row, of.ownLoss[r] + of.smoothedLoss[r], sums);
      if (parts().reports()) {
        const double entropy = parts().wantsEntropy() ? of.entropy[r] : kNaN;
        const double lse = of.maximum[r] + of.lseAboveMax[r];
        report<Real>(batch_, row, {weighed, of.nll[r], lse, entropy, 0.0, strip.largest.index[r], strip.pivots[r]},
                     sums);
      }
    }
    if (!strip.gradient) return;
    at_.forEach(batch_.classes, GradientVisitor<At, Real, Factors::kOnes>{at_,
                                                                          strip.gradient,
                                                                          {nullptr, at_, nullptr},
                                                                          at_,
                                                                          strip.gradient,
                                                                          toReals(of.multiplier),
                                                                          toReals(of.offset)});
    Real pivotGradients[kRows];
    store(pivotGradients, toReals(of.pivotGradient));
    for (size_t r = 0; r < strip.rowCount; ++r) {
      if (strip.pivots[r] != kNone) strip.gradient[strip.pivots[r] * kRows + r] = pivotGradients[r];
    }
  }
  SMOOTHLOSS_INLINE void writeIgnored(const Strip& strip) const {
    for (size_t r = 0; r < strip.rowCount; ++r) {
      if (strip.pivots[r] != kNone) continue;
      if (parts().wantsPrediction()) batch_.prediction[strip.row + r] = -1;
      if (strip.gradient) fillRow(at_, strip.gradient, batch_.classes, r, 0.0);
    }
  }
  // toReal of each row's number, of which none is NaN.
  SMOOTHLOSS_INLINE static V toReals(const double* numbers) {
    constexpr double kLargest = kLargestGradient<Real>;
    double bounds[kRows];
    for (size_t r = 0; r < kRows; r += D::kWidth) {
      store(bounds + r, max(min(load(As<D>(), numbers + r), kLargest), -kLargest));
    }
    return load(As<V>(), bounds);
  }

  static size_t stripElements(const Batch& batch) { return kRows * ((batch.classes + kRows - 1) / kRows * kRows); }
  // Strips that are packed together: one of rows that are transposed, else as many as there is memory for, none of the
  // longest.
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

  const Parts& parts() const { return kernel_.parts(); }

  const Batch& batch_;
  const Batch packed_;
  Scratch& scratch_;
  Kernel kernel_;
  const At at_ = scratchLayout(As<At>());
  const size_t strip_;   // elements of one
  const size_t strips_;  // that are packed together
  const bool streams_;   // the gradient is written by non-temporal stores
  Real* const x_;
  Real* const gradient_;
};
