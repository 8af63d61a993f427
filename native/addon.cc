// The Node-API edge: unwraps typed arrays and calls a kernel, once a batch. Nothing numeric, and no checks but those
// that memory safety needs: lib/arguments.ts has made the others, with better messages.
//
// A call must cost little beside a small batch, so the numbers of a batch and its targets are not passed as arguments
// of their own: they stand in one ArrayBuffer, the arena, which lib/native.ts fills. Arrays are unwrapped through
// node_api.h itself, since node-addon-api's TypedArray asks for more than is needed. Nothing is kept from call to call.

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "fp_environment.h"
#include "kernels.h"

namespace {

using smoothloss::CrossEntropyBatch;
using smoothloss::Kernels;

// The arena: doubles at these indices, then from kTargetsOffset bytes on the targets. As in lib/native.ts.
enum Slot : size_t {
  kBackend,  // index into availableKernels()
  kArrays,   // which of the arguments are arrays, a bit each
  kRows,
  kClasses,
  kRowStride,
  kEpsilon,
  kGradientScale,
  kOthers,
  kPriorSum,
  kPriorRest,
  kPriorTop,
  kSmoothingSum,
  kSmoothingRest,
  kSmoothingTop,
  kNumerator,  // the one result
  kSlots
};
constexpr size_t kTargetsOffset = 128;
static_assert(kSlots * sizeof(double) <= kTargetsOffset, "the numbers must fit before the targets");

enum Argument : size_t {
  kArena,
  kLogits,
  kGradient,
  kLosses,
  kWeight,
  kPrior,
  kSmoothing,
  kRowWeight,
  kEpsilons,
  kGradientScales,
  kArguments
};

// An exact non-negative integer, or SIZE_MAX.
size_t toSize(double x) {
  return x >= 0.0 && x <= 9007199254740991.0 && x == static_cast<double>(static_cast<int64_t>(x))
             ? static_cast<size_t>(x)
             : SIZE_MAX;
}

napi_value fail(napi_env env, const char* message) {
  napi_throw_error(env, "ERR_INTERNAL_ASSERTION", message);
  return nullptr;
}

// The caller's float array of at least `length` elements; null if it is not that.
float* unwrap(napi_env env, napi_value value, size_t length) {
  napi_typedarray_type type;
  size_t actual = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &actual, &data, nullptr, nullptr) != napi_ok) return nullptr;
  if (type != napi_float32_array || actual < length || reinterpret_cast<uintptr_t>(data) % sizeof(float) != 0) {
    return nullptr;
  }
  static float none;  // an empty array may have no address, and null means absent
  return length == 0 ? &none : static_cast<float*>(data);
}

napi_value crossEntropy(napi_env env, napi_callback_info info) {
  napi_value arguments[kArguments];
  size_t count = kArguments;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok) return nullptr;
  void* data = nullptr;
  size_t bytes = 0;
  if (count < kArguments || napi_get_arraybuffer_info(env, arguments[kArena], &data, &bytes) != napi_ok ||
      bytes < kTargetsOffset) {
    return fail(env, "crossEntropy needs an arena and all its arrays");
  }
  auto* arena = static_cast<unsigned char*>(data);

  double slots[kSlots];
  std::memcpy(slots, arena, sizeof slots);
  const size_t backend = toSize(slots[kBackend]);
  const size_t arrays = toSize(slots[kArrays]);
  CrossEntropyBatch batch{};
  batch.rows = toSize(slots[kRows]);
  batch.classes = toSize(slots[kClasses]);
  batch.rowStride = toSize(slots[kRowStride]);
  batch.epsilon = slots[kEpsilon];
  batch.gradientScale = slots[kGradientScale];
  batch.others = slots[kOthers] != 0.0;
  batch.priorTotal = {slots[kPriorSum], slots[kPriorRest], slots[kPriorTop]};
  batch.smoothingTotal = {slots[kSmoothingSum], slots[kSmoothingRest], slots[kSmoothingTop]};
  batch.targets = reinterpret_cast<const int32_t*>(arena + kTargetsOffset);

  const Kernels* kernels = nullptr;
  for (size_t i = 0; smoothloss::availableKernels()[i] != nullptr; ++i) {
    if (i == backend) kernels = smoothloss::availableKernels()[i];
  }
  if (kernels == nullptr) return fail(env, "no such backend");
  if (batch.rows > (bytes - kTargetsOffset) / sizeof(int32_t)) return fail(env, "more rows than targets");
  if (batch.classes == 0 || batch.classes > INT32_MAX || batch.rowStride < batch.classes) {
    return fail(env, "classes or rowStride is out of range");
  }
  // (rows − 1) · rowStride + classes, without overflow.
  size_t elements = 0;
  if (batch.rows > 0) {
    if (batch.rowStride > (SIZE_MAX / 8 - batch.classes) / batch.rows) return fail(env, "the batch is too large");
    elements = (batch.rows - 1) * batch.rowStride + batch.classes;
  }

  bool sound = true;
  const auto array = [&](Argument argument, size_t length) -> float* {
    if ((arrays >> argument & 1) == 0) return nullptr;
    float* floats = unwrap(env, arguments[argument], length);
    sound = sound && floats != nullptr;
    return floats;
  };
  batch.logits = array(kLogits, elements);
  batch.gradient = array(kGradient, elements);
  batch.losses = array(kLosses, batch.rows);
  batch.weight = array(kWeight, batch.classes);
  batch.prior = array(kPrior, batch.classes);
  batch.smoothing = array(kSmoothing, batch.classes);
  batch.rowWeight = array(kRowWeight, batch.rows);
  batch.epsilons = array(kEpsilons, batch.rows);
  batch.gradientScales = array(kGradientScales, batch.rows);
  if (!sound || batch.logits == nullptr) return fail(env, "an array is not a Float32Array of the length it must have");

  double numerator = 0.0;
  {
    const smoothloss::DefaultFpEnvironment scope;
    for (size_t begin = 0; begin < batch.rows; begin += smoothloss::kRowChunk) {
      const size_t left = batch.rows - begin;
      const size_t end = begin + (left < smoothloss::kRowChunk ? left : smoothloss::kRowChunk);
      numerator += kernels->crossEntropy(batch, begin, end);
    }
  }
  std::memcpy(arena + kNumerator * sizeof(double), &numerator, sizeof numerator);
  return nullptr;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto backends = Napi::Array::New(env);
  for (uint32_t i = 0; smoothloss::availableKernels()[i] != nullptr; ++i) {
    backends[i] = smoothloss::availableKernels()[i]->name;
  }
  exports["backends"] = backends;
  napi_value function;
  if (napi_create_function(env, "crossEntropy", NAPI_AUTO_LENGTH, crossEntropy, nullptr, &function) == napi_ok) {
    exports["crossEntropy"] = Napi::Value(env, function);
  }
  return exports;
}

}  // namespace

NODE_API_MODULE(smoothloss, initialize)
