// A batch as a task of the pool. Its pieces are chunks of rows; or, for few long rows, the segments of one strip after
// the other; or those of a layer's stages.

#ifndef SMOOTHLOSS_THREADS_BATCH_TASK_H_
#define SMOOTHLOSS_THREADS_BATCH_TASK_H_

#include <cstddef>
#include <memory>

#include "kernels/kernels.h"
#include "threads/buffer.h"
#include "threads/layer_stages.h"
#include "threads/pool.h"

namespace smoothloss {

// Computes the rows [begin, end) chunk by chunk on this thread. `begin` is where a chunk begins. Not for layers.
Sums runRows(const Loss& loss, const Batch& batch, size_t begin, size_t end, Scratch& scratch);

// Runs all stages of a task on this thread.
void runAlone(Task& task, Scratch& scratch);

class BatchTask : public Task {
 public:
  // `threads` may share it; `buffer` outlives the task. Without the memory it needs the task is not sound. Other rows
  // than all are for layers only.
  BatchTask(const Loss& loss, const Batch& batch, size_t begin, size_t end, size_t threads, Buffer& buffer,
            Scratch& scratch);

  bool sound() const { return sound_; }
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
  bool sound_ = false;
  unsigned char* memory_ = nullptr;  // the sums of each chunk, or what the kernel keeps of a strip
  Split split_ = {};
  std::unique_ptr<LayerStages> layer_;
  Sums chunkSums_ = {};
  Sums total_ = {};
};

}  // namespace smoothloss

#endif  // SMOOTHLOSS_THREADS_BATCH_TASK_H_
