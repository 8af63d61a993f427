// The process's threads, and how they share work.
//
// A task has stages, and a stage has pieces. Any thread may run any piece; the result does not depend on which. When
// all pieces of a stage have run, the task says how many the next stage has. Threads take the pieces of all tasks in
// turn, some at a time, so that no task waits for the end of another. A thread that calls run() works on its own task
// only, until no piece is left to take: so it never waits for a thread that waits itself.
//
// Each thread begins with a range of pieces, the same from call to call, since their data may still be in its
// processor's cache. Then it helps the thread that has most left.

#ifndef SMOOTHLOSS_THREADS_POOL_H_
#define SMOOTHLOSS_THREADS_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/kernels.h"
#include "threads/threads.h"

namespace smoothloss {

class Task {
 public:
  // Runs the pieces [first, end).
  virtual void run(size_t first, size_t end, Scratch& scratch) = 0;
  // Begins the next stage, at first the first one, and returns its number of pieces; 0: there is no further stage. One
  // thread at a time calls it, while no piece runs.
  virtual size_t next(Scratch& scratch) = 0;
  // The pool's last call to a task that was started. The pool has forgotten the task, which may delete itself.
  virtual void finished() {}

  // Each thread ends the pieces at hand, at most kMostRun, and begins no others. finished() follows.
  void abort() { aborted_.store(true, std::memory_order_relaxed); }
  bool aborted() const { return aborted_.load(std::memory_order_relaxed); }

 protected:
  Task() = default;
  ~Task() = default;

 private:
  friend class Pool;

  std::atomic<bool> aborted_{false};
  // For the pool, under its mutex.
  bool started_ = false;  // not run()
  bool done_ = false;
  size_t threads_ = 1;  // that may work on it at once
  size_t running_ = 0;  // that do
  // What is left of the stage's pieces.
  struct Range {
    size_t first;
    size_t end;
  };
  static constexpr size_t kFewRanges = 4;
  static constexpr size_t kMostRanges = 64;
  Range few_[kFewRanges];
  std::unique_ptr<Range[]> many_;  // if there were ever more: 1 KB, where 100,000 tasks may be pending
  Range* ranges_ = few_;
  size_t rangeCount_ = 0;
  size_t left_ = 0;  // in all of them
  Task* before_ = nullptr;
  Task* after_ = nullptr;
};

// The most threads of a task, and of the pool; MOST_THREADS in lib/threads.ts.
constexpr size_t kMostThreads = 1024;

class Pool {
 public:
  static Pool& get();

  // Runs a task on this thread and up to `threads` − 1 others.
  void run(Task& task, size_t threads, Scratch& scratch);
  // Starts a task on up to `threads` other threads; its first stage has `pieces` pieces, at least one. Returns false,
  // and does nothing, if there are no threads.
  bool start(Task& task, size_t pieces, size_t threads);

  // An environment begins or ends to use the pool. With the last environment all threads end: the addon may be unloaded
  // then.
  void enter();
  void leave();

 private:
  // The most pieces that a thread takes at a time, some 32,768 elements each; and how many it runs before it looks
  // whether the task was aborted.
  static constexpr size_t kMostTaken = 32;
  static constexpr size_t kMostRun = 16;
  // A thread without work looks for some this long before it sleeps. Waking takes some 40 µs on a virtual machine: two
  // threads that slept at once were no faster than one at 128 × 1,000; with this wait they are almost twice as fast.
  static constexpr int kSpinMicroseconds = 100;

  // All below needs the mutex.
  void grow(size_t threads);
  void growForTasks();
  void append(Task& task);
  void remove(Task& task);
  Task* choose() const;
  void wake(const Task& task);
  void change();
  bool spin(const std::atomic<uint32_t>& news);
  bool memberSpins();
  static void share(Task& task, size_t pieces);
  static Task::Range take(Task& task, size_t seat);
  void work(Task& task, size_t seat, Scratch& scratch);
  void advance(Task& task, Scratch& scratch);
  static bool canTake(const Task& task) { return task.left_ > 0 && task.running_ < task.threads_; }

  static void serve(void* member);

  struct Member {
    size_t seat;
    Thread thread;
    std::unique_ptr<Scratch> scratch;
  };

  Mutex mutex_;
  Condition work_;     // for members: there may be pieces to take
  Condition changed_;  // for others: likewise, or a task is done, or all threads have ended
  // They count the events of work_ and changed_, for threads that spin.
  std::atomic<uint32_t> workNews_{0};
  std::atomic<uint32_t> changes_{0};
  size_t spinning_ = 0;
  Task* first_ = nullptr;
  Task* last_ = nullptr;
  Member members_[kMostThreads];
  size_t count_ = 0;
  size_t idle_ = 0;
  size_t environments_ = 0;
  bool ending_ = false;
};

}  // namespace smoothloss

#endif  // SMOOTHLOSS_THREADS_POOL_H_
