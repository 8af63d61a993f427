// The tables of kernels that this build has, and what a kernel needs beside its batch.

#ifndef SMOOTHLOSS_KERNELS_KERNELS_H_
#define SMOOTHLOSS_KERNELS_KERNELS_H_

#include <cstddef>
#include <new>

#include "kernels/batch.h"

namespace smoothloss {

// Non-temporal stores are used for gradients of at least this size that are not in place, with rows of at least so many
// classes. At half the size they took 10 to 25 % longer, since the cache holds it; with rows of 700 classes 12 %.
constexpr size_t kStreamedBytes = 16'000'000;
constexpr size_t kStreamedClasses = 1000;

// Memory for one kernel at a time. `row` holds exponentials that no gradient can hold, or those of a gradient that is
// streamed; those that do not fit are computed twice. `blocks` hold intermediate results of 512 columns.
struct alignas(64) Scratch {
  static constexpr size_t kRowBytes = size_t{512} << 10;
  static constexpr size_t kBlockBytes = size_t{512} * 16 * sizeof(float);  // 512 columns of a whole vector of rows
  static constexpr size_t kBlocks = 8;
  unsigned char row[kRowBytes];
  unsigned char blocks[kBlocks][kBlockBytes];

  // The aligned operators of C++17 need a newer C++ library than Node does. Null if there is no memory.
  static void* operator new(size_t bytes, const std::nothrow_t&) noexcept;
  static void operator delete(void* memory) noexcept;
};

// Adds the rows [begin, end) of the batch, which begin where a chunk does, to the sums, one for each chunk, and writes
// their gradient, losses and row results where asked for.
using Kernel = void (*)(const Batch& batch, size_t begin, size_t end, Scratch& scratch, Sums* sums);

// Splits a row, or a vector of neighbouring rows, among threads: a strip, for batches of few long rows. A strip goes
// through stages. In a stage each segment of its columns is computed by itself, and the next stage knows what all
// segments add up to. A kernel takes one step at a time, in this order; only segments of one stage can be computed at
// the same time, each with a Split of its own.
struct Split {
  enum Step : uint32_t {  // reads                        writes
    kMeasure,             //                              bytes, stages
    kOpen,                // row, end                     rows, memory: turns to the strip that begins at `row`
    kNeeds,               // stage, memory                needs
    kSegment,             // stage, segment, memory       memory: computes a segment of a stage that needs them
    kClose                // stage, needs, memory         memory: merges the segments, completes the stage
  };
  Step step;
  size_t row;
  size_t end;   // the first row that cannot be in the strip
  size_t rows;  // of the strip
  size_t stage;
  size_t stages;  // of every strip
  size_t segment;
  bool needs;             // whether the stage needs its segments
  size_t bytes;           // of `memory`
  unsigned char* memory;  // what the kernel keeps of the strip, aligned for doubles
};

// Takes one step. One of the stages adds the rows to the sums when it closes.
using SplitKernel = void (*)(const Batch& batch, Split& split, Scratch& scratch, Sums& sums);

// The products of a layer are sums over blocks and chains of so many numbers: see products-inl.h. With chains as long
// as blocks the gradients' errors were 1.4 to 1.7 times as large; chains of half the length take at most 1 % longer.
constexpr size_t kProductBlock = 256;
constexpr size_t kProductChain = 128;

// What a chunk of a layer's rows needs beside the batch.
struct LayerChunk {
  const size_t* rows;  // the indices of its rows, in order
  size_t count;
  bool first;     // of the batch: later chunks are added to the gradients of linearWeight and linearBias
  void* logits;   // Real [rows, stride], rows as below; then their gradient. Those after `count` are 0 at first
  size_t stride;  // ≥ C
  // Real [rows, columns], as many rows as the chunk, rounded up to kPieceRows, and as many columns as features, rounded
  // up to kPieceColumns: the input's rows, then its columns, packed.
  void* packed;
};

// The steps of a chunk, in order; between kLogits and kInputGradient the loss turns the logits into their gradient.
// Pieces of a step can be computed at the same time. They begin at multiples of kPieceRows and kPieceColumns, which are
// whole slivers and panels of all backends.
enum class LayerStep : uint32_t {  // rows and columns of a piece
  kPackInputRows,                  // rows of the chunk
  kLogits,                         // rows of the chunk, classes
  kInputGradient,                  // rows of the chunk, features
  kPackInputColumns,               // features
  kWeightGradient                  // classes, features
};
constexpr size_t kPieceRows = 12;
constexpr size_t kPieceColumns = 32;
struct LayerPiece {
  size_t row;
  size_t endRow;
  size_t column;
  size_t endColumn;
};
using LayerKernel = void (*)(const Batch& batch, const LayerChunk& chunk, LayerStep step, const LayerPiece& piece,
                             Scratch& scratch);

struct Loss {
  Kernel kernel;
  SplitKernel split;
  LayerKernel layer;  // null: the loss takes logits
};
struct Kernels {
  const char* name;  // 'avx512', 'avx2', 'neon' or 'scalar'
  Loss crossEntropy;
  Loss bceWithLogits;
  Loss logProb;  // nllLoss, klDiv, and smoothLabels as −gradient of it
  Loss linearCrossEntropy;
};

// Which arrays a loss may be given; addon/call.cc refuses others.
struct Operation {
  Loss Kernels::*loss;
  bool denseBytes;           // dense targets may be a Uint8Array
  bool weightPerElement;     // a weight may be dense
  bool lossPerElement;       // losses are laid out as the logits, whatever the targets
  bool denseLossPerElement;  // the same where targets are dense
  bool withoutLogits;        // may do without, if nothing but the gradient is asked for
};

// In the order of KERNELS in lib/batch.ts.
constexpr Operation kOperations[] = {
    {&Kernels::crossEntropy, false, false, false, false, false},
    {&Kernels::bceWithLogits, true, true, true, true, false},
    {&Kernels::logProb, false, false, false, true, true},
    {&Kernels::linearCrossEntropy, false, false, false, false, true},
};

// The tables that this build holds and this CPU runs, the fastest first, ended by null.
const Kernels* const* availableKernels();

}  // namespace smoothloss

#endif  // SMOOTHLOSS_KERNELS_KERNELS_H_
