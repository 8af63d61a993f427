// One call of a loss as the kernels take it. lib/batch.ts mirrors this file.

#ifndef SMOOTHLOSS_KERNELS_BATCH_H_
#define SMOOTHLOSS_KERNELS_BATCH_H_

#include <cstddef>
#include <cstdint>

namespace smoothloss {

// The number types of logits and gradients. Arithmetic is double for kFloat64, else float.
enum class Type : uint32_t { kFloat32, kFloat64, kFloat16, kBfloat16 };

// Elements of half types, by their bits.
struct Half {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};

// The number types of dense targets, and of weights per element.
enum class Dense : uint32_t { kFloat32, kFloat64, kUint8 };

// The sum of a vector of class factors, in a form from which one class can be left out without cancellation:
// `rest` is the sum without the largest entry, which is at index `top`.
struct Total {
  double sum;
  double rest;
  double top;
};

// The numbers of a batch that any double may be without harm to memory. NUMBERS in lib/batch.ts is the same list; the
// arena holds them in this order.
struct BatchNumbers {
  double lambda;         // the share of `targets` in mixed targets, in [0, 1], unless there are lambdas
  double epsilon;        // in [0, 1], unless there are epsilons
  double toward;         // what a target is smoothed towards in bceWithLogits
  double smoothingLog;   // Σ smoothing · ln prior, for kl
  double gradientScale;  // times each row's gradient; holds 1/denominator for the mean
  double logitScale;     // > 0; rounded to float unless the arithmetic is double, as is softcap
  double softcap;        // 0: none
  double zLoss;          // ≥ 0
};

// The output layer of linearCrossEntropy: the batch has no logits, they are input · linearWeightᵀ + linearBias. Its
// arrays are of the batch's type, its gradients are Real.
struct Layer {
  size_t features;           // D ≥ 1
  size_t rows;               // that take part
  const void* input;         // [rows, D]; null: no layer
  const void* linearWeight;  // [C, D]
  const void* linearBias;    // [C]; null: zeros
  void* inputGradient;       // as input, linearWeight and linearBias; null: not asked for
  void* linearWeightGradient;
  void* linearBiasGradient;
  bool accumulate;  // the gradients of linearWeight and linearBias are added to what their arrays hold
};

// One checked call of any of the losses. lib/batch.ts is the same in TypeScript, field by field.
//
// A dense array has one number per row and class. Its rows have a stride of their own; or, where `inner` is not 1, it
// is laid out as the logits. "Real" is the type of the arithmetic: double for logits in double, else float.
struct Batch : BatchNumbers {
  size_t rows;
  size_t classes;      // C ≥ 1
  size_t rowStride;    // elements from one row to the next, ≥ C
  size_t inner;        // not 1: element (row, class) is at (⌊row / inner⌋ · C + class) · inner + row mod inner
  Type type;           // of logits and gradient
  const void* logits;  // or log-probabilities; null: smoothLabels, or a layer
  void* gradient;      // as logits, may be the logits themselves; null: not asked for
  void* losses;        // Real [rows], or for losses of elements laid out as the logits; null: not asked for

  const int32_t* targets;  // [rows]: the class of each row, 0 with dense targets; outside [0, C): takes no part
  const int32_t* seconds;  // [rows]: the second class of mixed targets; null: not mixed
  const void* lambdas;     // Real [rows]: the share of `targets` in mixed targets, in [0, 1]; null: lambda for all
  const void* dense;       // dense targets; null: classes
  Dense denseType;         // kUint8 in bceWithLogits only
  size_t denseStride;
  bool logTarget;  // dense targets are logarithms (klDiv)

  const void* weight;     // Real [C], ≥ 0, w, or dense in bceWithLogits; null: ones
  size_t weightStride;    // 0: weight is per class
  Dense weightType;       // of a dense one: that of Real, or in double kFloat32
  const void* posWeight;  // Real [C], ≥ 0, bceWithLogits; null: ones
  const void* rowWeight;  // Real [rows], ≥ 0; null: ones
  const uint8_t* mask;    // bceWithLogits: dense, 0: the element takes no part; null: all do
  size_t maskStride;

  const void* prior;      // Real [C], ≥ 0, the smoothing distribution before it is normalised; null: ones
  const void* smoothing;  // Real [C], weight·prior; null: ones
  const void* epsilons;   // Real [rows], in [0, 1]; null: epsilon for all
  bool others;            // labelSmoothing.over 'others': no smoothing mass for the row's own target
  Total priorTotal;       // of prior
  Total smoothingTotal;   // of smoothing

  bool kl;  // form 'kl'

  const void* gradientScales;  // Real [rows]; null: ones

  bool metrics;   // whether to add up Sums beyond the numerator
  void* rowLoss;  // Real [rows] each; null: not asked for
  void* rowNll;
  void* rowLse;
  void* rowEntropy;
  int32_t* prediction;  // [rows]; null: not asked for

  Layer layer;  // linearCrossEntropy
};

// The sums over rows, in row order. All but the numerator are for metrics.
struct Sums {
  double numerator;  // Σ rowWeight · row loss
  double nll;
  double correct;  // rows, or elements of bceWithLogits, that the model gets right
  double entropy;
  double zLoss;
};
inline void add(Sums& total, const Sums& sums) {
  total.numerator += sums.numerator;
  total.nll += sums.nll;
  total.correct += sums.correct;
  total.entropy += sums.entropy;
  total.zLoss += sums.zLoss;
}

// The rows that a kernel computes: of a layer those that take part, counted without the others.
inline size_t rowsOf(const Batch& batch) { return batch.layer.input ? batch.layer.rows : batch.rows; }

// A row's classes are summed in segments of this many columns, and segments in order, so that threads can share a row.
constexpr size_t kSegment = size_t{64} * 512;
inline size_t segmentsOf(const Batch& batch) { return (batch.classes - 1) / kSegment + 1; }

// Rows are summed in chunks of this many, and chunks in order, so that the sum does not depend on which thread computes
// which chunk. A chunk has about as many elements as a segment; there are at most kMostChunks; and where `inner` is not
// 1, a chunk is whole vectors of rows.
//
// A layer's logits are computed and kept a chunk at a time: of rows that take part, since its products leave the others
// out. Its size is a whole number of kProductBlock rows, so that it does not show in the gradients; it is half as large
// where the logits take much memory.
constexpr size_t kMostChunks = 8192;
constexpr size_t kLayerRows = 512;
constexpr size_t kManyLogits = 65536;  // classes
inline size_t rowChunk(const Batch& batch) {
  if (batch.layer.input) return batch.classes > kManyLogits ? kLayerRows / 2 : kLayerRows;
  const size_t bySize = kSegment / batch.classes;
  const size_t byCount = batch.rows / kMostChunks + (batch.rows % kMostChunks != 0 ? 1 : 0);
  const size_t larger = bySize > byCount ? bySize : byCount;
  const size_t rows = larger > 1 ? larger : 1;  // both are 0 for no rows of more classes than a segment
  return batch.inner == 1 ? rows : (rows + 31) / 32 * 32;
}

}  // namespace smoothloss

#endif  // SMOOTHLOSS_KERNELS_BATCH_H_
