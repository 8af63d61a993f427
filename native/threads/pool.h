// The process's threads, and how they share work.
//
// A task is a number of pieces, any of which any thread may run, in stages: when all pieces of a stage have run, the
// task says how many the next one has. Threads take the pieces of all tasks in turn, some at a time, so that no task
// waits for another to end; which thread runs a piece must not show in the result. A thread that calls run() works on
// its own task only, until no piece is left to take, and so never waits for a thread that waits itself.
//
// Each thread has a range of the pieces to begin with, the same from call to call, since their data may still be in its
// processor's cache; when it is done, it helps the one that has most left.

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
  // How many pieces the next stage has, first of all the first; 0: there is none. Called by one thread at a time, when
  // no piece runs.
  virtual size_t next(Scratch& scratch) = 0;
  // Called last, of a task that was started: the pool no longer knows it, and it may delete itself.
  virtual void finished() {}

  // No further pieces are begun than those at hand, kMostRun a thread at most, and finished() follows.
  void abort() { aborted_.store(true, std::memory_order_relaxed); }
  bool aborted() const { return aborted_.load(std::memory_order_relaxed); }

 protected:
  Task() = default;
  ~Task() = default;

 private:
  friend class Pool;

  std::atomic<bool> aborted_{false};
  // Of the pool, and under its mutex.
  bool started_ = false;  // not run()
  bool done_ = false;
  size_t threads_ = 1;  // that may work on it at once
  size_t running_ = 0;  // that do
  // What is left of the stage's pieces.
  struct Range {
    size_t first;
    size_t end;
  };
  static constexpr size_t kMostRanges = 64;
  Range ranges_[kMostRanges];
  size_t rangeCount_ = 0;
  size_t left_ = 0;  // in all of them
  Task* before_ = nullptr;
  Task* after_ = nullptr;
};

// That one task may have, and the pool; MOST_THREADS in lib/threads.ts.
constexpr size_t kMostThreads = 1024;

class Pool {
 public:
  static Pool& get();

  // Runs a task on this thread and up to `threads` − 1 others.
  void run(Task& task, size_t threads, Scratch& scratch);
  // Has a task run whose first stage has that many pieces, at least one, on up to `threads` others. False, and nothing
  // done, if there are none to be had.
  bool start(Task& task, size_t pieces, size_t threads);

  // An environment that uses the pool begins and ends. With the last one all threads end, since the addon may be
  // unloaded then.
  void enter();
  void leave();

 private:
  // Pieces that a thread takes at a time at most, some 32,768 elements each, and how many of them it runs before it
  // looks whether the task has been aborted.
  static constexpr size_t kMostTaken = 32;
  static constexpr size_t kMostRun = 16;
  // How long a thread without work looks out for some before it sleeps. To wake takes some 40 µs on a virtual machine:
  // without this two threads were no faster than one at 128 × 1,000, and with it almost twice as fast.
  static constexpr int kSpinMicroseconds = 100;

  // For what follows the thread holds the mutex.
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
  // Counts what work_ and changed_ are about, for those who spin.
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
