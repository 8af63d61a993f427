// Every loss, once, over Vec: the kernels of a backend. Include after its vec_*-inl.h, in its unnamed namespace.
// lib/js mirrors these files by name; test/bits.test.ts holds the two together.

#include "simd/math-inl.h"

#include "kernels/layout-inl.h"

#include "kernels/targets-inl.h"

#include "kernels/cross_entropy-inl.h"

#include "kernels/cross_entropy_apart-inl.h"

#include "kernels/linear-inl.h"

#include "kernels/bce_with_logits-inl.h"

// A vector of one number has no direction.
constexpr bool kHasAlong = Vec::kWidth > 1;

// Calls action(As<Kernel>()) with the kernel for the batch's arithmetic and the direction of its vectors.
template <template <typename> class Kernel, typename Action>
SMOOTHLOSS_INLINE void forBatch(const Batch& batch, const Action& action) {
  const bool isDouble = batch.type == Type::kFloat64;
  if constexpr (kHasAlong) {
    if (batch.inner == 1) return isDouble ? action(As<Kernel<Along<DoubleVec>>>()) : action(As<Kernel<Along<Vec>>>());
  }
  return isDouble ? action(As<Kernel<Across<DoubleVec>>>()) : action(As<Kernel<Across<Vec>>>());
}

template <typename Kernel>
void addRowsWith(As<Kernel>, const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums* sums) {
  const size_t chunk = rowChunk(batch);
  Kernel kernel(batch, scratch);
  for (size_t first = begin; first < end; first += chunk) {
    kernel.run(first, end - first < chunk ? end : first + chunk, *sums++);
  }
}
template <template <typename> class Kernel>
void addRows(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums* sums) {
  forBatch<Kernel>(batch, [&](auto as) { addRowsWith(as, batch, begin, end, scratch, sums); });
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
template <template <typename> class Kernel>
void splitRows(const Batch& batch, Split& split, Scratch& scratch, Sums& sums) {
  forBatch<Kernel>(batch, [&](auto as) { splitStrip(as, batch, split, scratch, sums); });
}

template <typename At>
using GeneralCrossEntropy = CrossEntropyKernel<typename At::Real, At, true>;
template <typename T, typename V>
using PlainCrossEntropy = CrossEntropyKernel<T, Along<V>, false>;
template <typename T, typename V>
using ApartGeneralCrossEntropy = ApartCrossEntropy<T, V, true>;
template <typename T, typename V>
using ApartPlainCrossEntropy = ApartCrossEntropy<T, V, false>;

// Calls action(As<Kernel>()) with the kernel for the batch's number type.
template <template <typename, typename> class Kernel, typename Action>
SMOOTHLOSS_INLINE void forType(Type type, const Action& action) {
  switch (type) {
    case Type::kFloat32:
      return action(As<Kernel<float, Vec>>());
    case Type::kFloat64:
      return action(As<Kernel<double, DoubleVec>>());
    case Type::kFloat16:
      return action(As<Kernel<Half, Vec>>());
    case Type::kBfloat16:
      return action(As<Kernel<Bfloat16, Vec>>());
  }
}

void crossEntropy(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums* sums) {
  if constexpr (kHasAlong) {
    const auto run = [&](auto as) { addRowsWith(as, batch, begin, end, scratch, sums); };
    const bool plain = isPlain(batch);
    const bool apart = batch.type == Type::kFloat64 ? ApartPlainCrossEntropy<double, DoubleVec>::takes(batch)
                                                    : ApartPlainCrossEntropy<float, Vec>::takes(batch);
    if (apart) {
      return plain ? forType<ApartPlainCrossEntropy>(batch.type, run)
                   : forType<ApartGeneralCrossEntropy>(batch.type, run);
    }
    if (plain && batch.inner == 1) return forType<PlainCrossEntropy>(batch.type, run);
  }
  addRows<GeneralCrossEntropy>(batch, begin, end, scratch, sums);
}

constexpr Kernels kernelsOf(const char* name) {
  return {name,
          {crossEntropy, splitRows<GeneralCrossEntropy>},
          {addRows<BceWithLogitsKernel>, splitRows<BceWithLogitsKernel>},
          {addRows<LinearKernel>, splitRows<LinearKernel>}};
}
