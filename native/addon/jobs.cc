#include "addon/jobs.h"

#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "threads/fp_environment.h"
#include "addon/hold.h"

namespace smoothloss {

namespace {

// The memory of a job, which outlives its task.
struct Belongings {
  Hold hold;
  Buffer buffer;
  Buffer targets;
};

// Gives the batch its own copy of the targets: the next call reuses the arena.
bool copyTargets(Batch& batch, Buffer& buffer) {
  const size_t bytes = batch.rows * sizeof(int32_t);
  unsigned char* const copy = buffer.reserve(batch.seconds ? 2 * bytes : bytes);
  if (copy == nullptr) return false;
  std::memcpy(copy, batch.targets, bytes);
  batch.targets = reinterpret_cast<const int32_t*>(copy);
  if (batch.seconds == nullptr) return true;
  std::memcpy(copy + bytes, batch.seconds, bytes);
  batch.seconds = reinterpret_cast<const int32_t*>(copy + bytes);
  return true;
}

// Whether a typed array lies in a SharedArrayBuffer. Nothing detaches or shrinks it, so that a reference to it is
// enough.
bool isShared(napi_env env, napi_value array) {
  napi_value buffer;
  bool own = true;
  return napi_get_typedarray_info(env, array, nullptr, nullptr, nullptr, &buffer, nullptr) == napi_ok &&
         napi_is_arraybuffer(env, buffer, &own) == napi_ok && !own;
}

// Values that are kept from being collected until drop(), or until the environment ends.
class Kept {
 public:
  bool add(napi_env env, napi_value value) {
    if (napi_create_reference(env, value, 1, &references_[count_]) != napi_ok) return false;
    ++count_;
    return true;
  }
  napi_value first(napi_env env) const {
    napi_value value = nullptr;
    napi_get_reference_value(env, references_[0], &value);
    return value;
  }
  void drop(napi_env env) {
    while (count_ > 0) napi_delete_reference(env, references_[--count_]);
  }

 private:
  napi_ref references_[kCallArguments];  // the callback and all arrays but the arena
  size_t count_ = 0;
};

}  // namespace

class Job final : private Belongings, public BatchTask {
 public:
  Job(Jobs& jobs, Belongings&& belongings, const Call& call, const Batch& batch, Scratch& scratch)
      : Belongings(std::move(belongings)),
        BatchTask(call.loss, batch, 0, rowsOf(batch), call.threads, buffer, scratch),
        jobs_(jobs) {}

  // Runs in the thread that finished last; then the job belongs to the environment.
  void finished() override {
    Jobs& jobs = jobs_;
    const Lock lock(jobs.mutex_);
    napi_call_threadsafe_function(jobs.queue_, this, napi_tsfn_nonblocking);
    if (--jobs.running_ == 0) jobs.quiet_.wakeAll();
  }

  Jobs& jobs_;
  double id = 0.0;
  size_t slot = 0;
  Kept kept;  // the callback, and arrays whose memory cannot be held
};

// A job's number is slot + 1 + kMostJobs · (how many jobs were started before), an integer that a double holds.
constexpr size_t kMostJobs = size_t{1} << 24;
constexpr double kMostStarted = 0x1p29;

double Jobs::start(napi_env env, const Call& call, const napi_value* arrays, size_t count, napi_value callback,
                   bool holds, Scratch& scratch) {
  if ((queue_ == nullptr && !open(env)) || !makeRoom()) return 0.0;
  const DefaultFpEnvironment scope;
  Belongings belongings;
  Kept kept;
  bool sound = kept.add(env, callback);
  for (size_t i = 0; i < count && sound; ++i) {
    bool isArray = false;
    napi_is_typedarray(env, arrays[i], &isArray);
    if (!isArray) continue;
    sound = holds ? belongings.hold.add(env, arrays[i]) : isShared(env, arrays[i]) && kept.add(env, arrays[i]);
  }
  Batch batch = call.batch;
  sound = sound && copyTargets(batch, belongings.targets);
  std::unique_ptr<Job> job(sound ? new (std::nothrow) Job(*this, std::move(belongings), call, batch, scratch)
                                 : nullptr);
  if (job == nullptr || !job->sound()) {
    kept.drop(env);
    return 0.0;
  }
  job->kept = kept;
  const size_t pieces = job->next(scratch);
  {
    const Lock lock(mutex_);
    ++running_;
  }
  job->slot = free_[pending_];
  job->id = static_cast<double>(job->slot + 1) + started_ * static_cast<double>(kMostJobs);
  if (pieces == 0) {
    job->finished();
  } else if (!Pool::get().start(*job, pieces, call.threads)) {
    job->kept.drop(env);
    const Lock lock(mutex_);
    --running_;
    return 0.0;
  }
  if (pending_++ == 0) napi_ref_threadsafe_function(env, queue_);
  started_ = started_ + 1.0 < kMostStarted ? started_ + 1.0 : 0.0;
  slots_[job->slot] = job.get();
  return job.release()->id;
}

void Jobs::abort(double id) {
  if (!(id >= 1.0 && id <= static_cast<double>(kMostJobs) * kMostStarted)) return;
  const size_t slot = static_cast<size_t>(id - 1.0) % kMostJobs;
  if (slot < capacity_ && slots_[slot] && slots_[slot]->id == id) slots_[slot]->abort();
}

// Returns whether there is a free slot; if not, there is no memory for one.
bool Jobs::makeRoom() {
  if (pending_ < capacity_) return true;
  const size_t capacity = capacity_ == 0 ? 64 : 2 * capacity_;
  if (capacity > kMostJobs) return false;
  std::unique_ptr<Job*[]> slots(new (std::nothrow) Job*[capacity]());
  std::unique_ptr<size_t[]> free(new (std::nothrow) size_t[capacity]);
  if (slots == nullptr || free == nullptr) return false;
  for (size_t i = 0; i < capacity_; ++i) slots[i] = slots_[i];
  for (size_t i = capacity_; i < capacity; ++i) free[i] = i;
  slots_ = std::move(slots);
  free_ = std::move(free);
  capacity_ = capacity;
  return true;
}

// Called with the first job, so that the hook runs before the queue's own.
bool Jobs::open(napi_env env) {
  napi_value name;
  if (napi_create_string_utf8(env, "smoothloss", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, deliver, &queue_) !=
          napi_ok) {
    queue_ = nullptr;
    return false;
  }
  napi_unref_threadsafe_function(env, queue_);
  napi_add_env_cleanup_hook(env, end, this);
  return true;
}

void Jobs::remove(const Job& job) {
  slots_[job.slot] = nullptr;
  free_[--pending_] = job.slot;
}

void Jobs::deliver(napi_env env, napi_value, void* context, void* data) {
  if (env == nullptr) return;  // the environment ends, and end() has deleted the job
  auto& jobs = *static_cast<Jobs*>(context);
  const std::unique_ptr<Job> job(static_cast<Job*>(data));
  jobs.mutex_.lock();  // after finished()
  jobs.mutex_.unlock();
  jobs.remove(*job);
  if (jobs.pending_ == 0) napi_unref_threadsafe_function(env, jobs.queue_);
  napi_value self;
  napi_value const callback = job->kept.first(env);
  napi_value results[5];
  const Sums& total = job->total();
  const double sums[] = {total.numerator, total.nll, total.correct, total.entropy, total.zLoss};
  bool sound = callback != nullptr && napi_get_undefined(env, &self) == napi_ok;
  for (size_t i = 0; i < 5; ++i) sound = sound && napi_create_double(env, sums[i], &results[i]) == napi_ok;
  job->kept.drop(env);
  if (sound) napi_call_function(env, self, callback, job->aborted() ? 0 : 5, results, nullptr);
}

// The environment ends: no thread may touch its memory any more.
void Jobs::end(void* data) {
  auto& jobs = *static_cast<Jobs*>(data);
  for (size_t i = 0; i < jobs.capacity_; ++i) {
    if (jobs.slots_[i]) jobs.slots_[i]->abort();
  }
  {
    const Lock lock(jobs.mutex_);
    while (jobs.running_ > 0) jobs.quiet_.wait(jobs.mutex_);
  }
  napi_release_threadsafe_function(jobs.queue_, napi_tsfn_abort);
  for (size_t i = 0; i < jobs.capacity_; ++i) delete jobs.slots_[i];
}

}  // namespace smoothloss
