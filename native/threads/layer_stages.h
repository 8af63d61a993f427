// linearCrossEntropy as stages of a task: a chunk of rows after the other goes through the steps of LayerStep, and
// through the loss between them.

#ifndef SMOOTHLOSS_THREADS_LAYER_STAGES_H_
#define SMOOTHLOSS_THREADS_LAYER_STAGES_H_

#include <cstddef>

#include "kernels/kernels.h"
#include "threads/buffer.h"

namespace smoothloss {

class LayerStages {
 public:
  // For the rows [begin, end) of those that take part; `begin` is where a chunk begins.
  LayerStages(const Loss& loss, const Batch& batch, size_t begin, size_t end, size_t threads);

  // Takes the memory that it needs; returns false if there is none.
  bool reserve(Buffer& buffer);

  // As those of Task. The chunk's sums are added to the total when its stages have run.
  size_t next(Sums& total);
  void run(size_t first, size_t end, Scratch& scratch);

 private:
  enum Stage { kPackInputRows, kLogits, kLoss, kInputGradient, kPackInputColumns, kWeightGradient, kStages };

  // The pieces of a stage: its columns are cut, or its rows.
  struct Grid {
    size_t rows;
    size_t columns;
    bool byColumns;
    size_t size;
    size_t pieces() const { return ((byColumns ? columns : rows) + size - 1) / size; }
    LayerPiece piece(size_t i) const;
  };

  bool hasGradient() const;
  bool needs(Stage stage) const;
  void skipRows(size_t count);
  void clearIgnored() const;
  void openChunk();
  void closeChunk(Sums& total);
  Grid gridOf(Stage stage) const;
  Grid cut(size_t rows, size_t columns, bool byColumns) const;
  void runLoss(size_t piece, Scratch& scratch);
  Batch batchOf(size_t row, size_t count, size_t place) const;
  bool takesPart(size_t row) const { return static_cast<uint32_t>(batch_.targets[row]) < batch_.classes; }

  const Loss loss_;
  const Batch batch_;
  const size_t threads_;
  const size_t real_;       // bytes of a Real
  const size_t lossChunk_;  // rows whose losses are added up together
  size_t row_ = 0;          // the first one after the chunk's
  size_t taken_;            // rows that take part before it
  const size_t end_;
  Stage stage_ = kStages;
  Grid grid_ = {};
  LayerChunk chunk_ = {};
  size_t* rows_ = nullptr;
  Sums* sums_ = nullptr;  // of each loss chunk
};

}  // namespace smoothloss

#endif  // SMOOTHLOSS_THREADS_LAYER_STAGES_H_
