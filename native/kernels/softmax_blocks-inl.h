// Softmax cross entropy of a block of columns. Include after streamed_gradients-inl.h, in a backend's unnamed
// namespace. lib/js/cross-entropy.ts does the same for whole rows.

// The kernel runs or leaves out each part of a batch for a block of 512 columns at a time, where testing for parts
// costs nothing: the terms of the logits (into scratch memory, from where the other parts read them), the target's
// blend of soft targets, smoothing and weights (likewise), the sums over it, the entropy, the derivative of the cap. So
// options add up, and do not multiply. A part with variants has them as a template argument of its visitor.
template <typename T, typename Layout, bool kGeneral>
class SoftmaxBlocks {
 protected:
  using V = typename Layout::V;
  using Real = typename Layout::Real;
  using Strip = SoftmaxStrip<Layout>;
  using Parts = SoftmaxParts<kGeneral>;
  static constexpr size_t kRows = Layout::kRows;
  static constexpr size_t kCached = Scratch::kRowBytes / sizeof(Real) / kRows / kBlock * kBlock;  // columns, at most
  static constexpr bool kMayStream = kStreams && kRows == 1;

  const Batch& batch_;
  Scratch& scratch_;
  const Parts parts_;
  const Terms<V> terms_;
  const Layout scratchAt_ = scratchLayout(As<Layout>());
  const bool streams_;     // the gradient is written by non-temporal stores
  const bool inGradient_;  // the exponentials are kept where the gradient will be
  const size_t tile_;      // strips that go through each phase together
  const size_t ahead_;     // bytes from a row to the one that is prefetched meanwhile
  const size_t cached_;    // columns whose exponentials are kept in scratch memory
  StreamedGradients<Layout, T> streamed_;

  SoftmaxBlocks(const Batch& batch, Scratch& scratch, bool split)
      : batch_(batch),
        scratch_(scratch),
        parts_(batch),
        terms_(batch),
        streams_(kMayStream && !split && (!kGeneral || !isHalf(batch.type)) && batch.inner == 1 && batch.gradient &&
                 batch.gradient != batch.logits && !parts_.capped() && batch.classes >= kStreamedClasses &&
                 batch.classes <= kCached && batch.rows * batch.classes >= kStreamedBytes / sizeof(T)),
        inGradient_(!streams_ && !isHalf(batch.type) && batch.inner == 1 && batch.gradient && !parts_.capped() &&
                    !parts_.wantsEntropy()),
        tile_(tileOf(batch)),
        ahead_((tile_ > 1 ? 2 : 1) * batch.rowStride * sizeof(T)),
        cached_(batch.gradient && !inGradient_ && !split ? kCached : 0),
        streamed_(batch) {}

  // Calls action with the elements at p, rows of logits or of their gradient.
  template <typename P, typename Action>
  auto with(P* p, const Action& action) const {
    if constexpr (kGeneral) {
      return withElements<Real>(batch_.type, p, action);
    } else {
      return action(static_cast<std::conditional_t<std::is_const<P>::value, const T, T>*>(p));
    }
  }

  Numbers<Layout> zBlock(const Strip& strip, size_t first, size_t n) {
    return termBlock(batch_, terms_, strip.user, strip.x, first, n, scratch_);
  }

  // A block of soft targets: t as given, t' (only for the sums of kl), and w t'.
  struct SoftBlock {
    Numbers<Layout> dense;
    Numbers<Layout> shares;
    Numbers<Layout> targets;
  };
  // Adds the block's Σ w t' without the pivots to `rest`, unless that is null.
  SoftBlock softBlock(const Strip& strip, size_t first, size_t n, double* rest) {
    const Numbers<Layout> dense = denseBlock(batch_, strip.first, strip.user, first, n, scratch_);
    if (!batch_.epsilons && batch_.epsilon == 0.0 && !batch_.weight) {
      const ElementVisitor<Layout, Real> visitor{dense.at, dense.p};
      if (rest) strip.user.sum(n, Layout::skip(strip.pivots, first), visitor, rest);
      return {dense, dense, dense};
    }
    Real keep[kRows], mass[kRows];
    for (size_t r = 0; r < kRows; ++r) {
      const bool ignored = strip.rows[r].target.y == kNone;
      const double epsilon = ignored ? 0.0 : numberOf<Real>(batch_.epsilons, strip.first + r, batch_.epsilon);
      keep[r] = static_cast<Real>(1.0 - epsilon);
      mass[r] = static_cast<Real>(epsilon > 0.0 ? epsilon / batch_.priorTotal.sum : 0.0);
    }
    Real* const shares = rest && parts_.kl() ? blockOf<Real>(scratch_, kShareBlock) : nullptr;
    Real* const targets = blockOf<Real>(scratch_, kTargetBlock);
    const BlendVisitor<Layout> visitor{dense,
                                       classFactors<Real>(batch_.prior, first),
                                       classFactors<Real>(batch_.weight, first),
                                       scratchAt_,
                                       shares,
                                       targets,
                                       Layout::perRow(keep),
                                       Layout::perRow(mass)};
    if (rest) {
      strip.user.sum(n, Layout::skip(strip.pivots, first), visitor, rest);
    } else {
      strip.user.forEach(n, visitor);
    }
    return {dense, {scratchAt_, shares}, {scratchAt_, targets}};
  }

  // Adds the block to all sums over a row; `smooths`: a row's other classes have smoothing mass.
  SMOOTHLOSS_INLINE void scanBlock(Strip& strip, const Layout& at, const T* z, size_t first, size_t n, bool smooths,
                                   const ExpNumbers<Layout>& numbers) {
    const FactorLoads<Layout, Factors::kOnes> ones{nullptr, at, nullptr};
    // Not in place, where the exponentials overwrite the logits: addOtherLogits may have to read them again.
    const bool sumsBoth = Layout::kSumsBoth && smooths && !parts_.hasClassFactors() && !numbers.shifts &&
                          batch_.gradient != batch_.logits;
    double otherLogits[kRows] = {};
    if (parts_.soft()) {
      scanSoft(strip, at, z, first, n);
    } else if (smooths && !sumsBoth) {
      if (parts_.hasClassFactors()) {
        sumOtherLogits(
            strip,
            FactorLoads<Layout, Factors::kClasses>{static_cast<const Real*>(batch_.smoothing) + first, at, nullptr}, at,
            z, first, n);
      } else {
        sumOtherLogits(strip, ones, at, z, first, n);
      }
    }
    const bool keeps = strip.exps && (inGradient_ || first + n <= cached_);
    double* const beside = sumsBoth ? otherLogits : nullptr;
    double sums[kRows] = {};
    if (keeps || parts_.wantsEntropy()) {
      Real* out = keeps ? strip.exps + strip.expsAt.offset(first) : blockOf<Real>(scratch_, kExpBlock);
      const Layout outAt = keeps ? strip.expsAt : scratchAt_;
      if (kMayStream && streams_) {
        constexpr Keep kStreamed = kMayStream ? Keep::kWhole : Keep::kColumns;
        sumExps<kStreamed>(strip, at, z, first, n, numbers, outAt, out, sums, beside);
      } else {
        sumExps<Keep::kColumns>(strip, at, z, first, n, numbers, outAt, out, sums, beside);
      }
      if (parts_.wantsEntropy()) sumEntropy(strip, at, z, outAt, out, first, n);
    } else {
      sumExps<Keep::kNot>(strip, at, z, first, n, numbers, at, nullptr, sums, beside);
    }
    if (sumsBoth) addOtherLogits(strip, ones, at, z, first, n, otherLogits);
    for (size_t r = 0; r < kRows; ++r) strip.sums[r].exps += sums[r];
  }

  // Writes a block of e_k · scale + v_k · offset.
  void writeBlock(const Strip& strip, const Numbers<Layout>& e, const Layout& to, T* gradient, size_t first, size_t n,
                  const Real* scale, const Real* offset) {
    if (parts_.soft()) {
      const Numbers<Layout> targets = softBlock(strip, first, n, nullptr).targets;
      writeBlockOf(strip, e, FactorLoads<Layout, Factors::kElements>{nullptr, targets.at, targets.p}, to, gradient,
                   first, n, scale, offset);
    } else if (parts_.hasClassFactors()) {
      writeBlockOf(
          strip, e,
          FactorLoads<Layout, Factors::kClasses>{static_cast<const Real*>(batch_.smoothing) + first, to, nullptr}, to,
          gradient, first, n, scale, offset);
    } else {
      writeBlockOf(strip, e, FactorLoads<Layout, Factors::kOnes>{nullptr, to, nullptr}, to, gradient, first, n, scale,
                   offset);
    }
  }

  // Computes a block of exponentials that were not kept again, into scratch memory.
  void expBlock(const Layout& at, const T* z, size_t n, const ExpNumbers<Layout>& numbers) {
    at.forEach(n, ExpVisitor<Layout, T, Keep::kWhole, true>{
                      at, z, scratchAt_, blockOf<Real>(scratch_, kExpBlock), 0, Layout::perRow(numbers.shift),
                      Layout::perRow(numbers.floor), Layout::perRow(numbers.magic)});
  }

 private:
  static constexpr size_t kMost = kMostTile<Layout>;

  // Short rows go through each phase together, and are solved together. A long row goes alone, to stay in the cache:
  // with a gradient until it is written, which takes twice the room where it is not in place; without one from its
  // maximum to its sums.
  static size_t tileOf(const Batch& batch) {
    const size_t elements = !batch.gradient ? 32768 : batch.gradient == batch.logits ? 8192 : 4096;
    const size_t tile = elements / batch.classes;
    return tile < 1 ? 1 : tile > kMost ? kMost : tile;
  }

  // Adds up a block's exponentials and, unless `otherLogits` is null, that sum with factors of one. Hardly any rows are
  // shifted.
  template <Keep kKeep>
  SMOOTHLOSS_INLINE void sumExps(const Strip& strip, const Layout& at, const T* z, size_t first, size_t n,
                                 const ExpNumbers<Layout>& numbers, const Layout& to, Real* out, double* sums,
                                 double* otherLogits) const {
    const auto skip = Layout::skip(strip.pivots, first);
    const V shift = Layout::perRow(numbers.shift);
    const V floor = Layout::perRow(numbers.floor);
    const V magic = Layout::perRow(numbers.magic);
    if (numbers.shifts) {
      at.sum(n, skip, ExpVisitor<Layout, T, kKeep, true>{at, z, to, out, ahead_, shift, floor, magic}, sums);
      return;
    }
    const auto sum = [&](const auto& visitor) {
      if constexpr (Layout::kSumsBoth) {
        if (otherLogits) {
          using Others = BelowVisitor<Layout, T, Factors::kOnes>;
          const Others others{at, z, {nullptr, at, nullptr}, Layout::perRow(strip.largest.maximum)};
          return at.sumBoth(n, skip, others, otherLogits, visitor, sums);
        }
      }
      at.sumInline(n, skip, visitor, sums);
    };
    if constexpr (kMayStream && !kGeneral && kKeep == Keep::kWhole) {
      using Visitor = ExpVisitor<Layout, T, kKeep, false, LastGradient<Layout, T>>;
      if (streamed_.stepwise()) {
        return sum(Visitor{at, z, to, out, ahead_, shift, floor, magic, streamed_.stepsFrom(first)});
      }
    }
    sum(ExpVisitor<Layout, T, kKeep, false>{at, z, to, out, ahead_, shift, floor, magic});
  }

  SMOOTHLOSS_INLINE void sumEntropy(Strip& strip, const Layout& at, const T* z, const Layout& expsAt, const Real* e,
                                    size_t first, size_t n) const {
    double spread[kRows] = {};
    double lesser[kRows] = {};
    size_t largest[kRows];
    for (size_t r = 0; r < kRows; ++r) largest[r] = strip.rows[r].predicted;
    at.sum(n, Layout::skip(kNoColumns, 0),
           SpreadVisitor<Layout, T>{at, z, expsAt, e, Layout::perRow(strip.largest.maximum)}, spread);
    at.sum(n, Layout::skip(largest, first), ElementVisitor<Layout, Real>{expsAt, e}, lesser);
    for (size_t r = 0; r < kRows; ++r) {
      strip.sums[r].spread += spread[r];
      strip.sums[r].lesser += lesser[r];
    }
  }

  // otherLogits of each row += Σ over the block's columns but the pivot of factor_c · (z_c − max), at most 0 for
  // factors ≥ 0. Classes whose factor is 0 add nothing, −Infinity logits included.
  template <Factors kFactors>
  SMOOTHLOSS_INLINE void sumOtherLogits(Strip& strip, const FactorLoads<Layout, kFactors>& factors, const Layout& at,
                                        const T* z, size_t first, size_t n) {
    double sums[kRows] = {};
    BelowVisitor<Layout, T, kFactors> visitor{at, z, factors, Layout::perRow(strip.largest.maximum)};
    at.sumInline(n, Layout::skip(strip.pivots, first), visitor, sums);
    addOtherLogits(strip, factors, at, z, first, n, sums);
  }
  // Adds the block's sums. Those that are not finite are computed again in double.
  template <Factors kFactors>
  SMOOTHLOSS_INLINE void addOtherLogits(Strip& strip, const FactorLoads<Layout, kFactors>& factors, const Layout& at,
                                        const T* z, size_t first, size_t n, double* sums) {
    for (size_t r = 0; r < kRows; ++r) {
      SoftmaxRow& row = strip.rows[r];
      if (!(sums[r] > -kInfinity) && row.target.y != kNone) {
        const size_t second = Parts::hasSecond(row.target) && row.zSecond == -kInfinity ? row.target.second : kNone;
        sums[r] = exactBelow<Layout, T, kFactors>(at, z, factors, n, r, row.pivot - first, second - first, row.maximum);
      }
      strip.sums[r].otherLogits += sums[r];
    }
  }

  // Adds a block of soft targets to the sums.
  SMOOTHLOSS_NOINLINE void scanSoft(Strip& strip, const Layout& at, const T* z, size_t first, size_t n) {
    // Prefetches the next row's targets in pieces, one before each sum: all at once is more than CPUs keep in flight.
    const size_t quarter = n / 4;
    denseAhead(batch_, strip.first, strip.user, first, quarter);
    double rest[kRows] = {};
    const SoftBlock block = softBlock(strip, first, n, rest);
    const Numbers<Layout>&dense = block.dense, &targets = block.targets;
    denseAhead(batch_, strip.first, strip.user, first + quarter, quarter);
    sumOtherLogits(strip, FactorLoads<Layout, Factors::kElements>{nullptr, targets.at, targets.p}, at, z, first, n);
    denseAhead(batch_, strip.first, strip.user, first + 2 * quarter, n - 2 * quarter);
    double entropy[kRows] = {};
    const auto all = Layout::skip(kNoColumns, 0);
    if (parts_.kl()) {
      EntropyVisitor<Layout> visitor{block.shares, targets};
      at.sum(n, all, visitor, entropy);
    }
    double sum[kRows] = {};
    double logits[kRows] = {};
    if (parts_.wantsNll()) {
      ElementVisitor<Layout, Real> visitor{dense.at, dense.p};
      at.sum(n, all, visitor, sum);
      const FactorLoads<Layout, Factors::kElements> factors{nullptr, dense.at, dense.p};
      BelowVisitor<Layout, T, Factors::kElements> products{at, z, factors, Layout::perRow(strip.largest.maximum)};
      at.sum(n, all, products, logits);
      for (size_t r = 0; r < kRows; ++r) {
        if (logits[r] > -kInfinity || strip.rows[r].target.y == kNone) continue;
        logits[r] =
            exactBelow<Layout, T, Factors::kElements>(at, z, factors, n, r, kNone, kNone, strip.rows[r].maximum);
      }
    }
    if (batch_.metrics) strip.labels.take(dense.at, dense.p, first, n, true);
    for (size_t r = 0; r < kRows; ++r) {
      SoftmaxRow& row = strip.rows[r];
      if (row.target.y == kNone) continue;
      strip.sums[r].softRest += rest[r];
      strip.sums[r].targetEntropy += entropy[r];
      strip.sums[r].dense += sum[r];
      strip.sums[r].denseLogits += logits[r];
      const size_t pivot = row.pivot - first;
      if (pivot < n) row.target.own = toDouble(*targets.at.element(targets.p, pivot, r));
    }
  }

  template <Factors kFactors>
  void writeBlockOf(const Strip& strip, const Numbers<Layout>& e, const FactorLoads<Layout, kFactors>& factors,
                    const Layout& to, T* gradient, size_t first, size_t n, const Real* scale,
                    const Real* offset) const {
    GradientVisitor<Layout, T, kFactors> visitor{
        e.at, e.p, factors, to, gradient, Layout::perRow(scale), Layout::perRow(offset)};
    if constexpr (kMayStream) {
      if (streams_) return to.forEachStreamed(gradient, n, strip.rows[0].pivot - first, visitor);
    }
    to.forEachLine(gradient, n, visitor);
  }
};
