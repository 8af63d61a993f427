// Every loss, once, over Vec: the kernels of a backend. Include after its vec_*-inl.h, in its unnamed namespace.
// lib/js mirrors these files by name; test/bits.test.ts holds the two together.

#include "math-inl.h"

#include "layout-inl.h"

#include "targets-inl.h"

#include "cross_entropy-inl.h"

#include "linear-inl.h"

#include "bce_with_logits-inl.h"

// The kernel for the batch's number type and layout.
template <template <typename, typename> class Loss, typename T>
void runAs(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums& sums) {
  using V = typename Arithmetic<T>::V;
  if (batch.inner == 1) return Loss<T, Along<V>>(batch, scratch).run(begin, end, sums);
  Loss<T, Across<V>>(batch, scratch).run(begin, end, sums);
}
template <template <typename, typename> class Loss>
void runKernel(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums& sums) {
  switch (batch.type) {
    case Type::kFloat32:
      return runAs<Loss, float>(batch, begin, end, scratch, sums);
    case Type::kFloat64:
      return runAs<Loss, double>(batch, begin, end, scratch, sums);
    case Type::kFloat16:
      return runAs<Loss, Half>(batch, begin, end, scratch, sums);
    case Type::kBfloat16:
      return runAs<Loss, Bfloat16>(batch, begin, end, scratch, sums);
  }
}

constexpr Kernels kernelsOf(const char* name) {
  return {name, runKernel<CrossEntropyKernel>, runKernel<BceWithLogitsKernel>, runKernel<LinearKernel>};
}
