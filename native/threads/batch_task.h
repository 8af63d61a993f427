// A batch as a task of the pool. Its pieces are chunks of rows; or, for few long rows, the segments of one strip after
// the other.

#ifndef SMOOTHLOSS_THREADS_BATCH_TASK_H_
#define SMOOTHLOSS_THREADS_BATCH_TASK_H_

#include <cstddef>
#include <memory>

#include "kernels/kernels.h"
#include "threads/pool.h"

namespace smoothloss {

// Memory that only grows.
class Buffer {
 public:
  // Returns at least so many bytes, aligned for any type; null if there is no memory.
  unsigned char* reserve(size_t bytes);

 private:
  std::unique_ptr<unsigned char[]> data_;
  size_t bytes_ = 0;
};

void add(Sums& total, const Sums& sums);

// Computes the rows [begin, end) chunk by chunk on this thread. `begin` is where a chunk begins.
Sums runRows(const Loss& loss, const Batch& batch, size_t begin, size_t end, Scratch& scratch);

class BatchTask : public Task {
 public:
  // `threads` may share it; `buffer` outlives the task. Without the memory it needs the task is not sound.
  BatchTask(const Loss& loss, const Batch& batch, size_t threads, Buffer& buffer, Scratch& scratch);

  bool sound() const { return memory_ != nullptr; }
  const Sums& total() const { return total_; }

  void run(size_t first, size_t end, Scratch& scratch) override;
  size_t next(Scratch& scratch) override;

 private:
  size_t nextSegments(bool begins, Scratch& scratch);
  void take(Split::Step step, Scratch& scratch) {
    split_.step = step;
    loss_.split(batch_, split_, scratch, chunkSums_);
  }

  const Loss loss_;
  const Batch batch_;
  const size_t chunk_;
  bool splits_;
  bool begun_ = false;
  unsigned char* memory_ = nullptr;  // the sums of each chunk, or what the kernel keeps of a strip
  Split split_ = {};
  Sums chunkSums_ = {};
  Sums total_ = {};
};

}  // namespace smoothloss

#endif  // SMOOTHLOSS_THREADS_BATCH_TASK_H_
