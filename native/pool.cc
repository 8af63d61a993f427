#include "pool.h"

#include <memory>
#include <new>

#include "fp_environment.h"

namespace smoothloss {

// Never destroyed: threads may still run when the process exits.
Pool& Pool::get() {
  alignas(Pool) static unsigned char memory[sizeof(Pool)];
  static Pool* const pool = new (memory) Pool;
  return *pool;
}

void Pool::run(Task& task, size_t threads, Scratch& scratch) {
  const DefaultFpEnvironment scope;
  const size_t pieces = task.next(scratch);
  if (pieces == 0) return;
  const Lock lock(mutex_);
  task.threads_ = threads;
  task.pieces_ = pieces;
  grow((pieces < threads ? pieces : threads) - 1);
  append(task);
  wake(task);
  while (!task.done_) {
    if (canTake(task)) {
      work(task, scratch);
    } else {
      changed_.wait(mutex_);
    }
  }
}

bool Pool::start(Task& task, size_t pieces, size_t threads) {
  const Lock lock(mutex_);
  grow(pieces < threads ? pieces : threads);
  if (count_ == 0) return false;
  task.started_ = true;
  task.threads_ = threads;
  task.pieces_ = pieces;
  append(task);
  wake(task);
  return true;
}

void Pool::enter() {
  const Lock lock(mutex_);
  while (ending_) changed_.wait(mutex_);
  ++environments_;
}

void Pool::leave() {
  const Lock lock(mutex_);
  if (--environments_ > 0) return;
  ending_ = true;
  work_.wakeAll();
  while (count_ > 0) {
    Member& member = members_[--count_];
    mutex_.unlock();
    member.thread.join();
    mutex_.lock();
    member.scratch.reset();
  }
  ending_ = false;
  changed_.wakeAll();
}

void Pool::grow(size_t threads) {
  while (count_ < threads && count_ < kMostThreads && !ending_) {
    Member& member = members_[count_];
    member.scratch.reset(new (std::nothrow) Scratch);
    if (member.scratch == nullptr || !member.thread.start(serve, &member)) return;
    ++count_;
  }
}

void Pool::append(Task& task) {
  task.before_ = last_;
  task.after_ = nullptr;
  (last_ ? last_->after_ : first_) = &task;
  last_ = &task;
}

void Pool::remove(Task& task) {
  (task.before_ ? task.before_->after_ : first_) = task.after_;
  (task.after_ ? task.after_->before_ : last_) = task.before_;
}

Task* Pool::choose() const {
  Task* task = first_;
  while (task && !canTake(*task)) task = task->after_;
  return task;
}

// As many members as can help with the task.
void Pool::wake(const Task& task) {
  const size_t pieces = task.pieces_ - task.taken_;
  size_t wanted = pieces < task.threads_ ? pieces : task.threads_;
  if (!task.started_) --wanted;
  for (size_t i = 0; i < wanted && i < idle_; ++i) work_.wakeOne();
}

// Takes some of the task's pieces and runs them: many while there are many left, so that threads seldom meet at the
// mutex.
void Pool::work(Task& task, Scratch& scratch) {
  const size_t share = (task.pieces_ - task.taken_) / (4 * task.threads_);
  const size_t count = share < 1 ? 1 : share > kMostTaken ? kMostTaken : share;
  const size_t first = task.taken_;
  task.taken_ += count;
  ++task.running_;
  remove(task);  // it will be the last to be chosen
  append(task);
  mutex_.unlock();
  for (size_t piece = first; piece < first + count && !task.aborted(); ++piece) task.run(piece, scratch);
  mutex_.lock();
  --task.running_;
  if (task.aborted()) task.taken_ = task.pieces_;
  if (task.running_ == 0 && task.taken_ == task.pieces_) {
    advance(task, scratch);
  } else if (canTake(task)) {
    // This thread may turn to another task.
    if (first_ != last_ && idle_ > 0) work_.wakeOne();
    if (!task.started_) changed_.wakeAll();
  }
}

// To the task's next stage, or its end.
void Pool::advance(Task& task, Scratch& scratch) {
  size_t pieces = 0;
  if (!task.aborted()) {
    mutex_.unlock();
    pieces = task.next(scratch);
    mutex_.lock();
  }
  task.pieces_ = pieces;
  task.taken_ = 0;
  if (pieces > 0) {
    wake(task);
    if (!task.started_) changed_.wakeAll();
    return;
  }
  remove(task);
  task.done_ = true;
  if (!task.started_) {
    changed_.wakeAll();
    return;
  }
  mutex_.unlock();
  task.finished();
  mutex_.lock();
}

void Pool::serve(void* argument) {
  const DefaultFpEnvironment scope;
  Scratch& scratch = *static_cast<Member*>(argument)->scratch;
  Pool& pool = get();
  const Lock lock(pool.mutex_);
  while (!pool.ending_) {
    if (Task* const task = pool.choose()) {
      pool.work(*task, scratch);
    } else {
      ++pool.idle_;
      pool.work_.wait(pool.mutex_);
      --pool.idle_;
    }
  }
}

}  // namespace smoothloss
