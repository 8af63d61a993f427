#include "threads/layer_stages.h"

#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace smoothloss {

namespace {

constexpr size_t kLine = 64;  // bytes of a cache line

size_t roundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }
size_t less(size_t a, size_t b) { return a < b ? a : b; }
size_t atLeastOne(size_t n) { return n > 1 ? n : 1; }  // which it is; clang-tidy cannot know

// The numbers from one row to the next: whole cache lines. Not a multiple of 1 KB, since the rows of a tile would then
// share few sets of the cache.
size_t strideOf(size_t n, size_t bytes) {
  const size_t stride = roundUp(n, kLine / bytes);
  return stride * bytes % 1024 == 0 ? stride + kLine / bytes : stride;
}

template <typename T>
T* at(T* array, size_t offset) {
  return array ? array + offset : nullptr;
}
const void* at(const void* array, size_t bytes) { return at(static_cast<const unsigned char*>(array), bytes); }
void* at(void* array, size_t bytes) { return at(static_cast<unsigned char*>(array), bytes); }

void clear(void* array, size_t offset, size_t bytes) {
  if (array) std::memset(at(array, offset), 0, bytes);
}

}  // namespace

LayerPiece LayerStages::Grid::piece(size_t i) const {
  const size_t first = i * size;
  return byColumns ? LayerPiece{0, rows, first, less(columns, first + size)}
                   : LayerPiece{first, less(rows, first + size), 0, columns};
}

LayerStages::LayerStages(const Loss& loss, const Batch& batch, size_t begin, size_t end, size_t threads)
    : loss_(loss),
      batch_(batch),
      threads_(threads),
      real_(batch.type == Type::kFloat64 ? sizeof(double) : sizeof(float)),
      lossChunk_(batch.classes < kSegment ? kSegment / batch.classes : 1),
      taken_(begin),
      end_(end) {}

bool LayerStages::reserve(Buffer& buffer) {
  const size_t features = batch_.layer.features;
  const size_t count = less(end_ - taken_, rowChunk(batch_));
  chunk_.stride = strideOf(batch_.classes, real_);
  const size_t height = roundUp(count, kPieceRows);
  const size_t packed = height * roundUp(features, kPieceColumns) * real_;
  if (height > 0 && chunk_.stride > SIZE_MAX / 64 / height) return false;
  const size_t rows = roundUp(count * sizeof(size_t), kLine);
  const size_t sums = roundUp((count + lossChunk_ - 1) / lossChunk_ * sizeof(Sums), kLine);
  const size_t logits = height * chunk_.stride * real_;
  unsigned char* memory = buffer.reserve(rows + sums + logits + packed + kLine);
  if (memory == nullptr) return false;
  memory += (kLine - reinterpret_cast<uintptr_t>(memory) % kLine) % kLine;
  rows_ = reinterpret_cast<size_t*>(memory);
  sums_ = reinterpret_cast<Sums*>(memory + rows);
  chunk_.rows = rows_;
  chunk_.logits = memory + rows + sums;
  chunk_.packed = memory + rows + sums + logits;
  // Rows that fill up the last microtile. Subnormal numbers in them made a small call three times as slow.
  clear(chunk_.logits, count * chunk_.stride * real_, (height - count) * chunk_.stride * real_);
  return true;
}

bool LayerStages::hasGradient() const {
  const Layer& layer = batch_.layer;
  return layer.inputGradient || layer.linearWeightGradient || layer.linearBiasGradient;
}

bool LayerStages::needs(Stage stage) const {
  const Layer& layer = batch_.layer;
  if (stage == kInputGradient) return layer.inputGradient;
  if (stage == kPackInputColumns) return layer.linearWeightGradient;
  return stage != kWeightGradient || layer.linearWeightGradient || layer.linearBiasGradient;
}

size_t LayerStages::next(Sums& total) {
  if (stage_ == kStages) {
    // The call's first chunk.
    skipRows(taken_);
    if (taken_ == 0) clearIgnored();
  }
  do {
    stage_ = stage_ < kWeightGradient ? static_cast<Stage>(stage_ + 1) : kPackInputRows;
    if (stage_ == kPackInputRows) {
      if (chunk_.count > 0) closeChunk(total);
      if (taken_ == end_) return 0;
      openChunk();
    }
  } while (!needs(stage_));
  grid_ = gridOf(stage_);
  return stage_ == kLoss ? (chunk_.count + lossChunk_ - 1) / lossChunk_ : grid_.pieces();
}

void LayerStages::run(size_t first, size_t end, Scratch& scratch) {
  static constexpr LayerStep kSteps[] = {LayerStep::kPackInputRows,    LayerStep::kLogits,
                                         LayerStep::kLogits,           LayerStep::kInputGradient,
                                         LayerStep::kPackInputColumns, LayerStep::kWeightGradient};
  for (size_t piece = first; piece < end; ++piece) {
    if (stage_ == kLoss) {
      runLoss(piece, scratch);
    } else {
      loss_.layer(batch_, chunk_, kSteps[stage_], grid_.piece(piece), scratch);
    }
  }
}

// Turns to the row after the first `count` that take part.
void LayerStages::skipRows(size_t count) {
  for (size_t found = 0; found < count && row_ < batch_.rows; ++row_) found += takesPart(row_) ? 1 : 0;
}

// Writes the results of rows that take no part, and the gradients that no row adds to.
void LayerStages::clearIgnored() const {
  const Layer& layer = batch_.layer;
  const size_t bytes = layer.features * real_;
  for (size_t row = 0; row < batch_.rows; ++row) {
    if (takesPart(row)) continue;
    clear(layer.inputGradient, row * bytes, bytes);
    for (void* results : {batch_.losses, batch_.rowLoss, batch_.rowNll, batch_.rowLse, batch_.rowEntropy}) {
      clear(results, row * real_, real_);
    }
    if (batch_.prediction) batch_.prediction[row] = -1;
  }
  if (layer.rows > 0 || layer.accumulate) return;
  clear(layer.linearWeightGradient, 0, batch_.classes * bytes);
  clear(layer.linearBiasGradient, 0, batch_.classes * real_);
}

void LayerStages::openChunk() {
  chunk_.first = taken_ == 0;
  chunk_.count = less(end_ - taken_, rowChunk(batch_));
  // Results may lie on the targets, so that fewer rows take part than there were: the last row stands for those.
  for (size_t i = 0; i < chunk_.count;) {
    if (row_ < batch_.rows) ++row_;
    if (takesPart(row_ - 1) || row_ == batch_.rows) rows_[i++] = row_ - 1;
  }
  for (size_t i = 0; i * lossChunk_ < chunk_.count; ++i) sums_[i] = {};
  taken_ += chunk_.count;
}

void LayerStages::closeChunk(Sums& total) {
  Sums sums{};
  for (size_t i = 0; i * lossChunk_ < chunk_.count; ++i) add(sums, sums_[i]);
  add(total, sums);
  chunk_.count = 0;
}

// Of the gradient of linearWeight each piece has its own classes: what it packs no other piece packs again. So has each
// piece of the logits and of the gradient of input its own columns, unless linearWeight is small beside the chunk: then
// each thread packs all of it for rows of its own, since to fetch logits that another core computed takes longer (two
// threads gain 1.5 instead of 1.3 with 512 rows, 64 features and 512 classes).
LayerStages::Grid LayerStages::gridOf(Stage stage) const {
  const size_t features = batch_.layer.features;
  const bool byColumns = threads_ == 1 || features * threads_ > chunk_.count;
  switch (stage) {
    case kLogits:
      return cut(chunk_.count, batch_.classes, byColumns);
    case kInputGradient:
      return cut(chunk_.count, features, byColumns);
    case kPackInputColumns:
      return cut(0, features, true);
    case kWeightGradient:
      return cut(batch_.classes, features, false);
    default:
      return cut(chunk_.count, 0, false);
  }
}

// As many pieces as threads, or a multiple of that; by the longer side if there are fewer the other way.
LayerStages::Grid LayerStages::cut(size_t rows, size_t columns, bool byColumns) const {
  constexpr size_t kMost = 512;
  if (threads_ == 1 && (byColumns ? columns : rows) <= kMost) return {rows, columns, byColumns, kMost};
  if ((byColumns ? columns / kPieceColumns : rows / kPieceRows) < threads_) byColumns = columns >= rows;
  const size_t side = atLeastOne(byColumns ? columns : rows);
  const size_t pieces = roundUp((side + kMost - 1) / kMost, atLeastOne(threads_));
  return {rows, columns, byColumns, roundUp((side + pieces - 1) / pieces, byColumns ? kPieceColumns : kPieceRows)};
}

// The losses of one loss chunk: a run of rows that lie together in the batch after the other.
void LayerStages::runLoss(size_t piece, Scratch& scratch) {
  const size_t end = less(chunk_.count, (piece + 1) * lossChunk_);
  for (size_t i = piece * lossChunk_; i < end;) {
    size_t count = 1;
    while (i + count < end && rows_[i + count] == rows_[i] + count) ++count;
    loss_.kernel(batchOf(rows_[i], count, i), 0, count, scratch, &sums_[piece]);
    i += count;
  }
}

// Some neighbouring rows of the batch as one of their own, with the logits that stand at `place` in the chunk.
Batch LayerStages::batchOf(size_t row, size_t count, size_t place) const {
  Batch part = batch_;
  void* const logits = at(chunk_.logits, place * chunk_.stride * real_);
  part.layer = {};
  part.type = batch_.type == Type::kFloat64 ? Type::kFloat64 : Type::kFloat32;
  part.rows = count;
  part.rowStride = chunk_.stride;
  part.logits = logits;
  part.gradient = hasGradient() ? logits : nullptr;
  part.targets = at(batch_.targets, row);
  part.seconds = at(batch_.seconds, row);
  part.dense = at(batch_.dense, row * batch_.denseStride * (batch_.denseType == Dense::kFloat64 ? 8 : 4));
  part.prediction = at(batch_.prediction, row);
  for (const void* Batch::*array : {&Batch::lambdas, &Batch::rowWeight, &Batch::epsilons, &Batch::gradientScales}) {
    part.*array = at(batch_.*array, row * real_);
  }
  for (void* Batch::*array : {&Batch::losses, &Batch::rowLoss, &Batch::rowNll, &Batch::rowLse, &Batch::rowEntropy}) {
    part.*array = at(batch_.*array, row * real_);
  }
  return part;
}

}  // namespace smoothloss
