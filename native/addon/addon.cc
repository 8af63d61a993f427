// The Node-API edge: one call per batch, on this thread (compute) or on others (start). No numerics here, and only the
// checks that memory safety needs: lib/arguments/ has made the others, with better messages.
//
// A call must cost little beside a small batch. So the numbers of a batch and its targets are no arguments:
// lib/native.ts writes them to one ArrayBuffer, the arena. Arrays that few calls have come last, and can be left out.
// Arrays are unwrapped through node_api.h, since node-addon-api's TypedArray asks for more than is needed.

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "threads/batch_task.h"
#include "addon/call.h"
#include "addon/hold.h"
#include "addon/jobs.h"
#include "kernels/kernels.h"
#include "threads/pool.h"

namespace {

using smoothloss::BatchTask;
using smoothloss::Buffer;
using smoothloss::Call;
using smoothloss::fail;
using smoothloss::Jobs;
using smoothloss::kCallArguments;
using smoothloss::Pool;
using smoothloss::Scratch;

// The state of an environment (the main thread's, a worker's). Memory is allocated by the first call that needs it.
struct Instance {
  std::unique_ptr<Scratch> scratch;
  Buffer buffer;
  bool holds = false;  // whether arrays of jobs can be held; if not, they must be shared
  Jobs jobs;
};

napi_value noMemory(napi_env env) {
  return fail(env, "there is no memory for the kernels", "ERR_MEMORY_ALLOCATION_FAILED");
}

bool hasScratch(Instance& instance) {
  if (instance.scratch == nullptr) instance.scratch.reset(new (std::nothrow) Scratch);
  return instance.scratch != nullptr;
}

// Reads the arguments of a call. node_api.h reports how many there were, which may be more than there is room for;
// those are not looked at.
template <size_t kRoom>
bool readArguments(napi_env env, napi_callback_info info, napi_value (&arguments)[kRoom], size_t* count,
                   Instance** instance) {
  *count = kRoom;
  void* data = nullptr;
  if (napi_get_cb_info(env, info, count, arguments, nullptr, &data) != napi_ok) return false;
  if (*count > kRoom) *count = kRoom;
  *instance = static_cast<Instance*>(data);
  return true;
}

// compute(arena, ...arrays): writes the sums to the arena.
napi_value compute(napi_env env, napi_callback_info info) {
  napi_value arguments[kCallArguments];
  size_t count;
  Instance* instance;
  if (!readArguments(env, info, arguments, &count, &instance)) return nullptr;
  Call call;
  if (!readCall(env, arguments, count, &call)) return nullptr;
  if (!hasScratch(*instance)) return noMemory(env);
  const bool all = call.begin == 0 && call.end == call.batch.rows;
  const bool alone = call.threads == 1 || !all;
  if (alone && call.loss.layer == nullptr) {
    writeSums(call, runRows(call.loss, call.batch, call.begin, call.end, *instance->scratch));
    return nullptr;
  }
  BatchTask task(call.loss, call.batch, call.begin, call.end, call.threads, instance->buffer, *instance->scratch);
  if (!task.sound()) return noMemory(env);
  if (call.threads == 1) {
    runAlone(task, *instance->scratch);
  } else {
    Pool::get().run(task, call.threads, *instance->scratch);
  }
  writeSums(call, task.total());
  return nullptr;
}

// start(callback, arena, ...arrays): returns the number of the job; 0 if it cannot be started: there are no threads or
// no memory, or an array's memory could shrink or go meanwhile.
napi_value start(napi_env env, napi_callback_info info) {
  napi_value arguments[1 + kCallArguments];
  size_t count;
  Instance* instance;
  if (!readArguments(env, info, arguments, &count, &instance)) return nullptr;
  napi_valuetype type = napi_undefined;
  if (count < 2 || napi_typeof(env, arguments[0], &type) != napi_ok || type != napi_function) {
    return fail(env, "start needs a callback and an arena");
  }
  Call call;
  if (!readCall(env, arguments + 1, count - 1, &call)) return nullptr;
  if (!hasScratch(*instance)) return noMemory(env);
  const double id =
      instance->jobs.start(env, call, arguments + 2, count - 2, arguments[0], instance->holds, *instance->scratch);
  napi_value result = nullptr;
  napi_create_double(env, id, &result);
  return result;
}

// abort(job): if the job is under way, its callback is soon called with nothing.
napi_value abort(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  size_t count;
  Instance* instance;
  double id = 0.0;
  if (!readArguments(env, info, arguments, &count, &instance)) return nullptr;
  if (count < 1 || napi_get_value_double(env, arguments[0], &id) != napi_ok) return fail(env, "abort needs a job");
  instance->jobs.abort(id);
  return nullptr;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto* instance = new (std::nothrow) Instance;
  if (instance == nullptr ||
      napi_set_instance_data(
          env, instance, [](napi_env, void* data, void*) { delete static_cast<Instance*>(data); }, nullptr) !=
          napi_ok) {
    delete instance;
    Napi::Error::New(env, "there is no memory for the addon").ThrowAsJavaScriptException();
    return exports;
  }
  Pool::get().enter();
  napi_add_env_cleanup_hook(
      env, [](void*) { Pool::get().leave(); }, instance);

  auto backends = Napi::Array::New(env);
  for (uint32_t i = 0; smoothloss::availableKernels()[i] != nullptr; ++i) {
    backends[i] = smoothloss::availableKernels()[i]->name;
  }
  exports["backends"] = backends;
  instance->holds = smoothloss::Hold::works(env);
  exports["holds"] = Napi::Boolean::New(env, instance->holds);
  const auto define = [&](const char* name, napi_callback callback) {
    napi_value function;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, instance, &function) == napi_ok) {
      exports[name] = Napi::Value(env, function);
    }
  };
  define("compute", compute);
  define("start", start);
  define("abort", abort);
  return exports;
}

}  // namespace

NODE_API_MODULE(smoothloss, initialize)
