// Every loss, once, over Vec: the kernels of a backend. Include after its vec_*-inl.h, in its unnamed namespace.
// lib/js mirrors these files by name; test/bits.test.ts holds the two together.

#include "math-inl.h"

#include "layout-inl.h"

#include "targets-inl.h"

#include "cross_entropy-inl.h"

#include "linear-inl.h"

#include "bce_with_logits-inl.h"

// The kernel for the batch's number type and layout.
template <template <typename, typename> class Loss, template <typename> class Layout>
void runAs(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums& sums) {
  switch (batch.type) {
    case Type::kFloat32:
      return Loss<float, Layout<Vec>>(batch, scratch).run(begin, end, sums);
    case Type::kFloat64:
      return Loss<double, Layout<DoubleVec>>(batch, scratch).run(begin, end, sums);
    case Type::kFloat16:
      return Loss<Half, Layout<Vec>>(batch, scratch).run(begin, end, sums);
    case Type::kBfloat16:
      return Loss<Bfloat16, Layout<Vec>>(batch, scratch).run(begin, end, sums);
  }
}
// A vector of one number has no direction.
constexpr bool kHasAlong = Vec::kWidth > 1;
template <template <typename, typename> class Loss>
void runKernel(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums& sums) {
  if constexpr (kHasAlong) {
    if (batch.inner == 1) return runAs<Loss, Along>(batch, begin, end, scratch, sums);
  }
  runAs<Loss, Across>(batch, begin, end, scratch, sums);
}

template <typename T, typename At>
using GeneralCrossEntropy = CrossEntropyKernel<T, At, true>;
template <typename T, typename At>
using PlainCrossEntropy = CrossEntropyKernel<T, At, false>;

void crossEntropy(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums& sums) {
  if constexpr (kHasAlong) {
    if (isPlain(batch)) return runAs<PlainCrossEntropy, Along>(batch, begin, end, scratch, sums);
  }
  runKernel<GeneralCrossEntropy>(batch, begin, end, scratch, sums);
}

constexpr Kernels kernelsOf(const char* name) {
  return {name, crossEntropy, runKernel<BceWithLogitsKernel>, runKernel<LinearKernel>};
}
