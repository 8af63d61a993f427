// The table of kernels that a backend provides, and the batch they work on.

#ifndef SMOOTHLOSS_KERNELS_KERNELS_H_
#define SMOOTHLOSS_KERNELS_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <new>

namespace smoothloss {

// The number types of logits and gradients. Arithmetic is double for kFloat64, else float.
enum class Type : uint32_t { kFloat32, kFloat64, kFloat16, kBfloat16 };

// The number types of dense targets, and of weights per element.
enum class Dense : uint32_t { kFloat32, kFloat64, kUint8 };

// The sum of a vector of class factors, in a form from which one class can be left out without cancellation:
// `rest` is the sum without the largest entry, which is at index `top`.
struct Total {
  double sum;
  double rest;
  double top;
};

// What a row sums over its classes it sums in segments of this many columns, and segments in order: a thread can take
// one alone.
constexpr size_t kSegment = size_t{64} * 512;

// One checked call of any of the losses. lib/batch.ts is the same in TypeScript, field by field.
//
// A dense array has a number for each row and class, rows at a stride of its own, or, where `inner` is not 1, laid out
// as the logits. "Real" is the type of the arithmetic: double for logits in double, else float.
struct Batch {
  size_t rows;
  size_t classes;      // C ≥ 1
  size_t rowStride;    // elements from one row to the next, ≥ C
  size_t inner;        // not 1: element (row, class) is at (⌊row / inner⌋ · C + class) · inner + row mod inner
  Type type;           // of logits and gradient
  const void* logits;  // or log-probabilities; null: smoothLabels
  void* gradient;      // as logits, may be the logits themselves; null: not asked for
  void* losses;        // Real [rows], or for losses of elements laid out as the logits; null: not asked for

  const int32_t* targets;  // [rows]: the class of each row, 0 with dense targets; outside [0, C): takes no part
  const int32_t* seconds;  // [rows]: the second class of mixed targets; null: not mixed
  const void* lambdas;     // Real [rows]: the share of `targets` in mixed targets, in [0, 1]; null: lambda for all
  double lambda;
  const void* dense;  // dense targets; null: classes
  Dense denseType;    // kUint8 in bceWithLogits only
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
  double epsilon;         // in [0, 1]
  bool others;            // no smoothing mass for the row's own target
  Total priorTotal;       // of prior
  Total smoothingTotal;   // of smoothing
  double smoothingLog;    // Σ smoothing · ln prior, for kl
  double toward;          // what a target is smoothed towards in bceWithLogits

  bool kl;            // form 'kl'
  double logitScale;  // > 0; rounded to float unless the arithmetic is double, as is softcap
  double softcap;     // 0: none
  double zLoss;       // ≥ 0

  const void* gradientScales;  // Real [rows]; null: ones
  double gradientScale;        // times each row's gradient; holds 1/denominator for the mean

  bool metrics;   // whether to add up Sums beyond the numerator
  void* rowLoss;  // Real [rows] each; null: not asked for
  void* rowNll;
  void* rowLse;
  void* rowEntropy;
  int32_t* prediction;  // [rows]; null: not asked for
};

// What rows add up, in row order. All but the numerator are for metrics.
struct Sums {
  double numerator;  // Σ rowWeight · row loss
  double nll;
  double correct;  // rows, or elements of bceWithLogits, that the model gets right
  double entropy;
  double zLoss;
};

// Rows are summed in chunks, and chunks in order, so that who computes a chunk never shows in the sum: of about a
// segment's elements, and not more than kMostChunks; where `inner` is not 1, of whole vectors of rows.
constexpr size_t kMostChunks = 8192;
inline size_t rowChunk(const Batch& batch) {
  const size_t bySize = kSegment / batch.classes;
  const size_t byCount = batch.rows / kMostChunks + (batch.rows % kMostChunks != 0 ? 1 : 0);
  const size_t larger = bySize > byCount ? bySize : byCount;
  const size_t rows = larger > 1 ? larger : 1;  // there may be none, of more classes than a segment
  return batch.inner == 1 ? rows : (rows + 31) / 32 * 32;
}

// Gradients of this size on, in memory of their own, are written past the cache if their rows are of so many classes
// at least. At half the size that took 10 to 25 % longer, since the cache holds it, with rows of 700 classes 12 %.
constexpr size_t kStreamedBytes = 16'000'000;
constexpr size_t kStreamedClasses = 1000;

// Elements of half types, by their bits.
struct Half {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};

// Memory for one kernel at a time: exponentials that no gradient can hold, or of one that is streamed, and blocks of
// what is computed on the way. What does not fit in the row is computed again.
struct alignas(64) Scratch {
  static constexpr size_t kRowBytes = size_t{512} << 10;
  static constexpr size_t kBlockBytes = size_t{512} * 16 * sizeof(float);  // 512 columns of a whole vector of rows
  static constexpr size_t kBlocks = 8;
  unsigned char row[kRowBytes];
  unsigned char blocks[kBlocks][kBlockBytes];

  // Aligned, without the operators of C++17 for it, which need a newer C++ library than Node does. Null if there is no
  // memory.
  static void* operator new(size_t bytes, const std::nothrow_t&) noexcept;
  static void operator delete(void* memory) noexcept;
};

// Adds the rows [begin, end) of the batch, which begin where a chunk does, to the sums, one for each chunk, and writes
// their gradient, losses and row results where asked for.
using Kernel = void (*)(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums* sums);

// A strip of neighbouring rows, one or a vector of them, whose segments are computed apart, stage by stage: what a
// stage sums over the columns is known to all segments of the next. All steps but kSegment go alone, in order.
struct Split {
  enum Step : uint32_t {
    kMeasure,  // sets bytes and stages
    kOpen,     // turns to the row, sets rows
    kNeeds,    // sets needs
    kPart,     // computes the segment's part in the stage
    kClose     // puts the parts together, if it was needed, and completes the stage
  };
  Step step;
  size_t row;
  size_t end;   // the first row that cannot be in the strip
  size_t rows;  // of the strip
  size_t stage;
  size_t stages;
  size_t segment;
  bool needs;             // whether the stage has anything to do for segments
  size_t bytes;           // of memory
  unsigned char* memory;  // aligned for doubles
};
inline size_t segmentsOf(const Batch& batch) { return (batch.classes - 1) / kSegment + 1; }

// Takes one step; adds the rows to the sums when it completes them.
using SplitKernel = void (*)(const Batch& batch, Split& split, Scratch& scratch, Sums& sums);

struct Loss {
  Kernel kernel;
  SplitKernel split;
};
struct Kernels {
  const char* name;  // 'avx512', 'avx2', 'neon' or 'scalar'
  Loss crossEntropy;
  Loss bceWithLogits;
  Loss linear;  // what is linear in the logits: nllLoss, klDiv, and smoothLabels as −gradient of it
};

// The tables that this build holds and this CPU runs, the fastest first, ended by null.
const Kernels* const* availableKernels();

}  // namespace smoothloss

#endif  // SMOOTHLOSS_KERNELS_KERNELS_H_
