// Calls that the pool computes while the environment (the main thread's, a worker's) goes on, and their delivery there.

#ifndef SMOOTHLOSS_ADDON_JOBS_H_
#define SMOOTHLOSS_ADDON_JOBS_H_

#include <node_api.h>

#include <cstddef>
#include <memory>

#include "threads/batch_task.h"
#include "addon/call.h"
#include "threads/threads.h"

namespace smoothloss {

class Job;

// An environment's jobs, for its own thread alone, except where Job says otherwise.
class Jobs {
 public:
  Jobs() = default;
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  // Starts a call; `arrays` are those of the call, whose memory can be held, or else must be shared. `callback` gets
  // the fields of Sums when it is done, nothing when it was aborted. Returns the job's number; 0 if it could not be
  // started.
  double start(napi_env env, const Call& call, const napi_value* arrays, size_t count, napi_value callback, bool holds,
               Scratch& scratch);
  // If the job is under way, no further piece of it is begun.
  void abort(double id);

 private:
  friend class Job;

  static void end(void* jobs);
  static void deliver(napi_env env, napi_value, void* jobs, void* job);
  bool open(napi_env env);
  bool makeRoom();
  void remove(const Job& job);

  napi_threadsafe_function queue_ = nullptr;
  // Jobs that are not delivered stand in slots; those after `pending_` of `free_` are free. A job's number has its
  // slot, so that abort finds it at once: walking a list took 13 s to abort 30,000 jobs.
  std::unique_ptr<Job*[]> slots_;
  std::unique_ptr<size_t[]> free_;
  size_t capacity_ = 0;
  size_t pending_ = 0;
  double started_ = 0.0;

  Mutex mutex_;
  Condition quiet_;
  size_t running_ = 0;  // under the mutex: known to the pool
};

}  // namespace smoothloss

#endif  // SMOOTHLOSS_ADDON_JOBS_H_
