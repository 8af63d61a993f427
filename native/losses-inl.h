// Every loss, once, over Vec: the kernels of a backend. Include after its vec_*-inl.h, in its unnamed namespace.
// lib/js mirrors these files by name; test/bits.test.ts holds the two together.

#include "math-inl.h"

#include "layout-inl.h"

#include "targets-inl.h"

#include "cross_entropy-inl.h"

#include "linear-inl.h"

#include "bce_with_logits-inl.h"

// Calls action(As<Kernel>()) with the kernel for the batch's number type, in one direction of vectors.
template <template <typename, typename> class Kernel, template <typename> class Layout, typename Action>
SMOOTHLOSS_INLINE void forType(const Batch& batch, const Action& action) {
  switch (batch.type) {
    case Type::kFloat32:
      return action(As<Kernel<float, Layout<Vec>>>());
    case Type::kFloat64:
      return action(As<Kernel<double, Layout<DoubleVec>>>());
    case Type::kFloat16:
      return action(As<Kernel<Half, Layout<Vec>>>());
    case Type::kBfloat16:
      return action(As<Kernel<Bfloat16, Layout<Vec>>>());
  }
}
// A vector of one number has no direction.
constexpr bool kHasAlong = Vec::kWidth > 1;
template <template <typename, typename> class Kernel, typename Action>
SMOOTHLOSS_INLINE void forBatch(const Batch& batch, const Action& action) {
  if constexpr (kHasAlong) {
    if (batch.inner == 1) return forType<Kernel, Along>(batch, action);
  }
  forType<Kernel, Across>(batch, action);
}

template <template <typename, typename> class Kernel>
void addRows(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums& sums) {
  forBatch<Kernel>(batch, [&](auto as) { typename decltype(as)::Type(batch, scratch).run(begin, end, sums); });
}

template <typename Kernel>
void splitStrip(As<Kernel>, const Batch& batch, Split& split, Scratch& scratch, Sums& sums) {
  using Strip = typename Kernel::Strip;
  static_assert(std::is_trivially_copyable<Strip>::value && alignof(Strip) <= alignof(double), "strips are raw memory");
  Kernel kernel(batch, scratch, true);
  Strip* const strip = reinterpret_cast<Strip*>(split.memory);
  Strip* const parts = strip + 1;
  const auto firstOf = [](size_t segment) { return segment * kSegment; };
  const auto endOf = [&](size_t segment) {
    return segment + 1 < segmentsOf(batch) ? (segment + 1) * kSegment : batch.classes;
  };
  switch (split.step) {
    case Split::kMeasure:
      split.bytes = (1 + segmentsOf(batch)) * sizeof(Strip);
      split.stages = Kernel::kStages;
      break;
    case Split::kOpen:
      split.rows = stripOf(As<typename Kernel::Layout>(), batch, split.row, split.end);
      kernel.open(*strip, split.row, split.rows);
      break;
    case Split::kNeeds:
      split.needs = kernel.needs(*strip, split.stage);
      break;
    case Split::kPart: {
      Strip& part = parts[split.segment];
      part = *strip;
      kernel.part(part, split.stage, firstOf(split.segment), endOf(split.segment));
      break;
    }
    case Split::kClose:
      for (size_t i = 0; split.needs && i < segmentsOf(batch); ++i) {
        kernel.merge(*strip, split.stage, parts[i], firstOf(i), endOf(i));
      }
      kernel.close(*strip, split.stage, sums);
      break;
  }
}
template <template <typename, typename> class Kernel>
void splitRows(const Batch& batch, Split& split, Scratch& scratch, Sums& sums) {
  forBatch<Kernel>(batch, [&](auto as) { splitStrip(as, batch, split, scratch, sums); });
}

template <typename T, typename At>
using GeneralCrossEntropy = CrossEntropyKernel<T, At, true>;
template <typename T, typename At>
using PlainCrossEntropy = CrossEntropyKernel<T, At, false>;

void crossEntropy(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums& sums) {
  if constexpr (kHasAlong) {
    if (isShort(batch)) {
      return forType<ShortCrossEntropy, Across>(
          batch, [&](auto as) { typename decltype(as)::Type(batch, scratch).run(begin, end, sums); });
    }
    if (isPlain(batch)) {
      return forType<PlainCrossEntropy, Along>(
          batch, [&](auto as) { typename decltype(as)::Type(batch, scratch).run(begin, end, sums); });
    }
  }
  addRows<GeneralCrossEntropy>(batch, begin, end, scratch, sums);
}

constexpr Kernels kernelsOf(const char* name) {
  return {name,
          {crossEntropy, splitRows<GeneralCrossEntropy>},
          {addRows<BceWithLogitsKernel>, splitRows<BceWithLogitsKernel>},
          {addRows<LinearKernel>, splitRows<LinearKernel>}};
}
