// The kernels of a backend: every loss, written once over Vec. Include after its vec_*-inl.h, in its unnamed namespace.
// lib/js mirrors these files name by name (test/sources.test.ts) and bit by bit (test/bits.test.ts).

#include "simd/math-inl.h"

#include "kernels/loads-inl.h"

#include "kernels/along_row-inl.h"

#include "kernels/across_rows-inl.h"

#include "kernels/results-inl.h"

#include "kernels/targets-inl.h"

#include "kernels/blocks-inl.h"

#include "kernels/logit_terms-inl.h"

#include "kernels/reductions-inl.h"

#include "kernels/segments-inl.h"

#include "kernels/softmax_batch-inl.h"

#include "kernels/softmax_row-inl.h"

#include "kernels/softmax_visitors-inl.h"

#include "kernels/streamed_gradients-inl.h"

#include "kernels/softmax_blocks-inl.h"

#include "kernels/cross_entropy-inl.h"

#include "kernels/packed_solver-inl.h"

#include "kernels/packed_rows-inl.h"

#include "kernels/row_strip-inl.h"

#include "kernels/log_prob_losses-inl.h"

#include "kernels/bce_with_logits-inl.h"

#include "kernels/products-inl.h"

// Vectors of one number need no Along: they are the same as Across.
constexpr bool kHasAlong = Vec::kWidth > 1;

// Calls action(As<Kernel>()) with the kernel for the batch's arithmetic and layout.
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

template <template <typename> class Kernel>
void splitRows(const Batch& batch, Split& split, Scratch& scratch, Sums& sums) {
  forBatch<Kernel>(batch, [&](auto as) { splitStrip(as, batch, split, scratch, sums); });
}

template <typename Layout>
using GeneralCrossEntropy = CrossEntropyKernel<typename Layout::Real, Layout, true>;
template <typename T, typename V>
using PlainCrossEntropy = CrossEntropyKernel<T, Along<V>, false>;
template <typename T, typename V>
using PackedGeneralCrossEntropy = PackedRows<T, V, true>;
template <typename T, typename V>
using PackedPlainCrossEntropy = PackedRows<T, V, false>;

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
    const bool packs = batch.type == Type::kFloat64 ? PackedPlainCrossEntropy<double, DoubleVec>::takes(batch)
                                                    : PackedPlainCrossEntropy<float, Vec>::takes(batch);
    if (packs) {
      return plain ? forType<PackedPlainCrossEntropy>(batch.type, run)
                   : forType<PackedGeneralCrossEntropy>(batch.type, run);
    }
    if (plain && batch.inner == 1) return forType<PlainCrossEntropy>(batch.type, run);
  }
  addRows<GeneralCrossEntropy>(batch, begin, end, scratch, sums);
}

void layer(const Batch& batch, const LayerChunk& chunk, LayerStep step, const LayerPiece& part, Scratch& scratch) {
  forType<LayerProducts>(batch.type,
                         [&](auto as) { typename decltype(as)::Type(batch, chunk, scratch).run(step, part); });
}

constexpr Kernels kernelsOf(const char* name) {
  return {name,
          {crossEntropy, splitRows<GeneralCrossEntropy>, nullptr},
          {addRows<BceWithLogitsKernel>, splitRows<BceWithLogitsKernel>, nullptr},
          {addRows<LogProbKernel>, splitRows<LogProbKernel>, nullptr},
          {crossEntropy, nullptr, layer}};
}
