#include "threads/batch_task.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "threads/fp_environment.h"

namespace smoothloss {

// The address from malloc stands just before the aligned memory.
void* Scratch::operator new(size_t bytes, const std::nothrow_t&) noexcept {
  auto* const given = static_cast<unsigned char*>(std::malloc(bytes + alignof(Scratch)));
  if (given == nullptr) return nullptr;
  unsigned char* const memory = given + alignof(Scratch) - reinterpret_cast<uintptr_t>(given) % alignof(Scratch);
  std::memcpy(memory - sizeof given, &given, sizeof given);
  return memory;
}
void Scratch::operator delete(void* memory) noexcept {
  if (memory == nullptr) return;
  void* given;
  std::memcpy(&given, static_cast<unsigned char*>(memory) - sizeof given, sizeof given);
  std::free(given);
}

namespace {

size_t chunksOf(size_t rows, size_t chunk) { return (rows + chunk - 1) / chunk; }

}  // namespace

Sums runRows(const Loss& loss, const Batch& batch, size_t begin, size_t end, Scratch& scratch) {
  constexpr size_t kChunks = 64;
  const DefaultFpEnvironment scope;
  const size_t rows = kChunks * rowChunk(batch);
  Sums total{};
  for (size_t first = begin; first < end; first += rows) {
    const size_t last = end - first < rows ? end : first + rows;
    const size_t chunks = chunksOf(last - first, rowChunk(batch));
    Sums sums[kChunks];
    for (size_t i = 0; i < chunks; ++i) sums[i] = {};
    loss.kernel(batch, first, last, scratch, sums);
    for (size_t i = 0; i < chunks; ++i) add(total, sums[i]);
  }
  return total;
}

void runAlone(Task& task, Scratch& scratch) {
  const DefaultFpEnvironment scope;
  while (const size_t pieces = task.next(scratch)) task.run(0, pieces, scratch);
}

BatchTask::BatchTask(const Loss& loss, const Batch& batch, size_t begin, size_t end, size_t threads, Buffer& buffer,
                     Scratch& scratch)
    : loss_(loss), batch_(batch), chunk_(rowChunk(batch)) {
  if (loss.layer) {
    layer_.reset(new (std::nothrow) LayerStages(loss, batch, begin, end, threads));
    sound_ = layer_ && layer_->reserve(buffer);
    return;
  }
  // With few chunks some threads would be idle at the end.
  const size_t chunks = chunksOf(batch_.rows, chunk_);
  splits_ = threads > 1 && segmentsOf(batch) > 1 && chunks < 4 * threads;
  if (splits_) take(Split::kMeasure, scratch);
  split_.memory = memory_ = buffer.reserve(splits_ ? split_.bytes : chunks * sizeof(Sums));
  sound_ = memory_ != nullptr;
}

void BatchTask::run(size_t first, size_t end, Scratch& scratch) {
  if (layer_) {
    // Those of a layer may take long.
    for (; first < end && !aborted(); ++first) layer_->run(first, first + 1, scratch);
    return;
  }
  if (splits_) {
    Split part = split_;
    part.step = Split::kSegment;
    Sums none{};
    for (part.segment = first; part.segment < end; ++part.segment) loss_.split(batch_, part, scratch, none);
    return;
  }
  const size_t row = first * chunk_;
  const size_t rows = (end - first) * chunk_;
  auto* const sums = reinterpret_cast<Sums*>(memory_);
  for (size_t i = first; i < end; ++i) sums[i] = {};
  loss_.kernel(batch_, row, batch_.rows - row < rows ? batch_.rows : row + rows, scratch, sums + first);
}

size_t BatchTask::next(Scratch& scratch) {
  if (layer_) return layer_->next(total_);
  const bool begins = !begun_;
  begun_ = true;
  if (splits_) return nextSegments(begins, scratch);
  const size_t chunks = chunksOf(batch_.rows, chunk_);
  if (begins) return chunks;
  for (size_t i = 0; i < chunks; ++i) add(total_, reinterpret_cast<const Sums*>(memory_)[i]);
  return 0;
}

size_t BatchTask::nextSegments(bool begins, Scratch& scratch) {
  if (begins) {
    split_.stage = split_.stages;  // as after a strip
  } else {
    take(Split::kClose, scratch);
    ++split_.stage;
  }
  for (;;) {
    if (split_.stage == split_.stages) {
      split_.row += split_.rows;
      if (split_.row % chunk_ == 0 || split_.row == batch_.rows) {
        add(total_, chunkSums_);
        chunkSums_ = {};
      }
      if (split_.row == batch_.rows) return 0;
      const size_t left = chunk_ - split_.row % chunk_;
      split_.end = batch_.rows - split_.row < left ? batch_.rows : split_.row + left;
      take(Split::kOpen, scratch);
      split_.stage = 0;
    }
    take(Split::kNeeds, scratch);
    if (split_.needs) return segmentsOf(batch_);
    take(Split::kClose, scratch);
    ++split_.stage;
  }
}

}  // namespace smoothloss
