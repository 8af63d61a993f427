// The table of kernels that a backend provides, and the batch they work on.

#ifndef SMOOTHLOSS_KERNELS_H_
#define SMOOTHLOSS_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace smoothloss {

// The sum of a vector of class factors, in a form from which one class can be left out without cancellation:
// `rest` is the sum without the largest entry, which is at index `top`.
struct Total {
  double sum;
  double rest;
  double top;
};

// One checked call of crossEntropy. lib/batch.ts is the same in TypeScript, field by field.
struct CrossEntropyBatch {
  size_t rows;
  size_t classes;               // C ≥ 1
  size_t rowStride;             // elements from one row to the next, ≥ C
  const int32_t* targets;       // [rows]: the class of each row; anything outside [0, C): the row takes no part
  const float* logits;          // [(rows − 1)·rowStride + C]
  float* gradient;              // as logits, may be the logits themselves; null: not asked for
  float* losses;                // [rows]: rowWeight · row loss; null: not asked for
  const float* weight;          // [C], ≥ 0, w; null: ones
  const float* prior;           // [C], ≥ 0, the smoothing distribution before it is normalised; null: ones
  const float* smoothing;       // [C], weight·prior, rounded to float; null: ones
  const float* rowWeight;       // [rows], ≥ 0; null: ones
  const float* epsilons;        // [rows], in [0, 1]; null: epsilon for all
  const float* gradientScales;  // [rows]; null: ones
  double epsilon;               // in [0, 1]
  double gradientScale;         // times each row's gradient; holds 1/denominator for the mean
  bool others;                  // no smoothing mass for the row's own target
  Total priorTotal;             // of prior
  Total smoothingTotal;         // of smoothing
};

// Rows are summed in chunks of this many, and chunks in order, so that who computes a chunk never shows in the sum.
constexpr size_t kRowChunk = 64;

struct Kernels {
  const char* name;  // 'avx2', 'neon' or 'scalar'

  // Rows [begin, end) of the batch: writes their gradient and losses where asked for, returns the sum of
  // rowWeight · row loss, added up in row order.
  double (*crossEntropy)(const CrossEntropyBatch& batch, size_t begin, size_t end);
};

// The tables that this build holds and this CPU runs, the fastest first, ended by null.
const Kernels* const* availableKernels();

}  // namespace smoothloss

#endif  // SMOOTHLOSS_KERNELS_H_
