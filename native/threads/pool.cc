// The process's threads at work.

#include "threads/pool.h"

#include <memory>
#include <new>

#include "threads/fp_environment.h"

namespace smoothloss {

namespace {

size_t processors() {
  static const size_t count = onlineProcessors();
  return count;
}

// Tells threads that spin.
void announce(std::atomic<uint32_t>& news) { news.fetch_add(1, std::memory_order_release); }

}  // namespace

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
  share(task, pieces);
  grow((pieces < threads ? pieces : threads) - 1);
  append(task);
  wake(task);
  while (!task.done_) {
    if (canTake(task)) {
      work(task, 0, scratch);
    } else if (!spin(changes_)) {
      changed_.wait(mutex_);
    }
  }
}

bool Pool::start(Task& task, size_t pieces, size_t threads) {
  const Lock lock(mutex_);
  grow(pieces < threads ? pieces : threads);
  if (count_ == 0) return false;
  growForTasks();
  task.started_ = true;
  task.threads_ = threads;
  share(task, pieces);
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
  announce(workNews_);
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
    member.seat = count_ + 1;
    member.scratch.reset(new (std::nothrow) Scratch);
    if (member.scratch == nullptr || !member.thread.start(serve, &member)) return;
    ++count_;
  }
}

// Many tasks of few threads each shall keep all processors busy too.
void Pool::growForTasks() {
  size_t tasks = 1;
  for (const Task* task = first_; task && tasks < processors(); task = task->after_) ++tasks;
  grow(tasks);
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

// Wakes as many members as can help with the task.
void Pool::wake(const Task& task) {
  size_t wanted = task.left_ < task.threads_ ? task.left_ : task.threads_;
  if (!task.started_) --wanted;
  if (wanted == 0) return;
  announce(workNews_);
  for (size_t i = spinning_; i < wanted && i < spinning_ + idle_; ++i) work_.wakeOne();
}

// Tells threads in run().
void Pool::change() {
  announce(changes_);
  changed_.wakeAll();
}

// Waits for news without the mutex, for a while. Returns whether there were any.
bool Pool::spin(const std::atomic<uint32_t>& news) {
  const uint32_t seen = news.load(std::memory_order_relaxed);
  mutex_.unlock();
  const double end = microseconds() + kSpinMicroseconds;
  bool any = false;
  while (!any && microseconds() < end) {
    for (size_t i = 0; i < 16 && !any; ++i) {
      any = news.load(std::memory_order_acquire) != seen;
      if (!any) pauseProcessor();
    }
  }
  mutex_.lock();
  return news.load(std::memory_order_relaxed) != seen;
}

// The same for a member, unless it would keep a processor from a thread that works.
bool Pool::memberSpins() {
  if (spinning_ + 1 >= processors()) return false;
  ++spinning_;
  const bool any = spin(workNews_);
  --spinning_;
  return any;
}

// Gives each thread that may come a range.
void Pool::share(Task& task, size_t pieces) {
  size_t count = task.threads_ < pieces ? task.threads_ : pieces;
  if (count > Task::kFewRanges && task.many_ == nullptr) {
    task.many_.reset(new (std::nothrow) Task::Range[Task::kMostRanges]);
    if (task.many_ != nullptr) task.ranges_ = task.many_.get();
  }
  const size_t most = task.many_ ? Task::kMostRanges : Task::kFewRanges;
  if (count > most) count = most;
  for (size_t i = 0; i < count; ++i) task.ranges_[i] = {pieces * i / count, pieces * (i + 1) / count};
  task.rangeCount_ = count;
  task.left_ = pieces;
}

// Takes many pieces while many are left, so that threads seldom meet at the mutex: from the front of the thread's own
// range, or from the end of another's.
Task::Range Pool::take(Task& task, size_t seat) {
  Task::Range* range = &task.ranges_[seat % task.rangeCount_];
  const bool own = range->first < range->end;
  for (size_t i = 0; i < task.rangeCount_ && !own; ++i) {
    Task::Range& other = task.ranges_[i];
    if (other.end - other.first > range->end - range->first) range = &other;
  }
  const size_t some = (range->end - range->first) / 4;
  const size_t count = some < 1 ? 1 : some > kMostTaken ? kMostTaken : some;
  task.left_ -= count;
  if (own) {
    range->first += count;
    return {range->first - count, range->first};
  }
  range->end -= count;
  return {range->end, range->end + count};
}

// Takes some pieces of the task and runs them.
void Pool::work(Task& task, size_t seat, Scratch& scratch) {
  const Task::Range taken = take(task, seat);
  ++task.running_;
  remove(task);  // it will be the last to be chosen
  append(task);
  mutex_.unlock();
  for (size_t first = taken.first; first < taken.end && !task.aborted(); first += kMostRun) {
    task.run(first, taken.end - first < kMostRun ? taken.end : first + kMostRun, scratch);
  }
  mutex_.lock();
  --task.running_;
  if (task.aborted()) task.left_ = 0;
  if (task.running_ == 0 && task.left_ == 0) {
    advance(task, scratch);
  } else if (canTake(task)) {
    // This thread may turn to another task.
    if (first_ != last_ && idle_ > 0) work_.wakeOne();
    if (!task.started_) change();
  }
}

// Brings the task to its next stage, or to its end.
void Pool::advance(Task& task, Scratch& scratch) {
  size_t pieces = 0;
  if (!task.aborted()) {
    mutex_.unlock();
    pieces = task.next(scratch);
    mutex_.lock();
  }
  share(task, pieces);
  if (pieces > 0) {
    grow((pieces < task.threads_ ? pieces : task.threads_) - (task.started_ ? 0 : 1));
    wake(task);
    if (!task.started_) change();
    return;
  }
  remove(task);
  task.done_ = true;
  if (!task.started_) return change();
  mutex_.unlock();
  task.finished();
  mutex_.lock();
}

void Pool::serve(void* argument) {
  const DefaultFpEnvironment scope;
  const Member& member = *static_cast<Member*>(argument);
  Pool& pool = get();
  const Lock lock(pool.mutex_);
  while (!pool.ending_) {
    if (Task* const task = pool.choose()) {
      pool.work(*task, member.seat, *member.scratch);
    } else if (!pool.memberSpins()) {
      ++pool.idle_;
      pool.work_.wait(pool.mutex_);
      --pool.idle_;
    }
  }
}

}  // namespace smoothloss
