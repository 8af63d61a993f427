// Calls that the pool computes while the environment (the main thread's, a worker's) goes on, and their delivery there.

#ifndef SMOOTHLOSS_ADDON_JOBS_H_
#define SMOOTHLOSS_ADDON_JOBS_H_

#include <node_api.h>

#include <cstddef>

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

  // Starts a call; `arrays` are those of the call. `callback` gets the fields of Sums when it is done, nothing when it
  // was aborted. The job's number; 0 if it could not be started; −1 with an exception.
  double start(napi_env env, const Call& call, const napi_value* arrays, size_t count, napi_value callback,
               Scratch& scratch);
  // If the job is under way, no further piece of it is begun.
  void abort(double id);

 private:
  friend class Job;

  static void end(void* jobs);
  static void deliver(napi_env env, napi_value, void* jobs, void* job);
  bool open(napi_env env);
  void remove(Job& job);

  napi_threadsafe_function queue_ = nullptr;
  Job* first_ = nullptr;
  size_t pending_ = 0;  // not delivered
  double lastId_ = 0.0;

  Mutex mutex_;
  Condition quiet_;
  size_t running_ = 0;  // under the mutex: known to the pool
};

}  // namespace smoothloss

#endif  // SMOOTHLOSS_ADDON_JOBS_H_
