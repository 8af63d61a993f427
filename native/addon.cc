// The Node-API edge: unwraps typed arrays and calls a kernel, once a batch. Nothing numeric, and no checks but those
// that memory safety needs: lib/arguments/ has made the others, with better messages.
//
// A call must cost little beside a small batch, so the numbers of a batch and its targets are not passed as arguments
// of their own: they stand in one ArrayBuffer, the arena, which lib/native.ts fills, and arrays that few calls have
// come last, to be left out. Arrays are unwrapped through node_api.h itself, since node-addon-api's TypedArray asks for
// more than is needed. Nothing is kept from call to call but the kernels' scratch memory.

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "fp_environment.h"
#include "kernels.h"

namespace {

using smoothloss::Batch;
using smoothloss::Dense;
using smoothloss::Kernel;
using smoothloss::Kernels;
using smoothloss::Scratch;
using smoothloss::Sums;
using smoothloss::Type;

// The arena: doubles at these indices, then from kTargetsOffset bytes on the targets, and the second classes of mixed
// targets right after them. As in lib/native.ts.
enum Slot : size_t {
  kCall,    // backend + 16 · operation + 256 · type + 4096 · flags, see Call
  kArrays,  // which of the arguments are arrays, a bit each, from the logits on
  kRows,
  kClasses,
  kRowStride,
  kInner,
  kDenseStride,
  kWeightStride,
  kMaskStride,
  kLambda,
  kEpsilon,
  kToward,
  kGradientScale,
  kLogitScale,
  kSoftcap,
  kZLoss,
  kPriorSum,
  kPriorRest,
  kPriorTop,
  kSmoothingSum,
  kSmoothingRest,
  kSmoothingTop,
  kSmoothingLog,
  kSums,  // the results: the fields of Sums
  kSlots = kSums + 5
};
constexpr size_t kTargetsOffset = 256;
static_assert(kSlots * sizeof(double) <= kTargetsOffset, "the numbers must fit before the targets");
static_assert(sizeof(Sums) == 5 * sizeof(double), "the sums are copied as they are");

enum Operation : size_t { kCrossEntropy, kBceWithLogits, kLinear };

// What is to be done, as one number.
struct Call {
  size_t bits;

  size_t backend() const { return bits & 15; }  // index into availableKernels()
  size_t operation() const { return bits >> 4 & 15; }
  size_t type() const { return bits >> 8 & 15; }
  bool mixed() const { return (bits >> 12 & 1) != 0; }
  bool logTarget() const { return (bits >> 13 & 1) != 0; }
  bool others() const { return (bits >> 14 & 1) != 0; }
  bool kl() const { return (bits >> 15 & 1) != 0; }
  bool metrics() const { return (bits >> 16 & 1) != 0; }
};

// The arguments after the arena.
enum Argument : size_t {
  kLogits,
  kGradient,
  kLosses,
  kWeight,
  kDense,
  kPrior,
  kSmoothing,
  kRowWeight,
  kEpsilons,
  kGradientScales,
  kLambdas,
  kPosWeight,
  kMask,
  kRowLoss,
  kRowNll,
  kRowLse,
  kRowEntropy,
  kPrediction,
  kArguments
};

// What an environment (the main thread's, a worker's) keeps. The scratch memory comes with the first call.
struct Instance {
  std::unique_ptr<Scratch> scratch;
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

// The elements of `rows` rows of `classes`, `stride` apart, without those after the last row; false if too many to
// count.
bool countElements(size_t rows, size_t classes, size_t stride, size_t* elements) {
  *elements = 0;
  if (rows == 0) return true;
  if (stride < classes || stride > (SIZE_MAX / 16 - classes) / rows) return false;
  *elements = (rows - 1) * stride + classes;
  return true;
}

// The arguments of a call, which `arrays` tells the arrays of.
class Arrays {
 public:
  Arrays(napi_env env, const napi_value* arguments, size_t count, size_t arrays)
      : env_(env), arguments_(arguments), count_(count), arrays_(arrays) {}

  // Whether all that was asked for is what it must be.
  bool sound() const { return sound_; }
  bool has(Argument argument) const { return (arrays_ >> argument & 1) != 0; }

  // The array if it has at least `length` elements of that type, or null if there is none.
  template <typename T>
  T* get(Argument argument, napi_typedarray_type type, size_t length) {
    return static_cast<T*>(unwrap(argument, length, [type](napi_typedarray_type actual) { return actual == type; }));
  }

  float* floats(Argument argument, size_t length) { return get<float>(argument, napi_float32_array, length); }

  // The same of one of the types of dense targets.
  const void* dense(Argument argument, size_t length, bool bytes, Dense* denseType) {
    return unwrap(argument, length, [bytes, denseType](napi_typedarray_type actual) {
      *denseType = actual == napi_float64_array ? Dense::kFloat64
                   : actual == napi_uint8_array ? Dense::kUint8
                                                : Dense::kFloat32;
      return actual == napi_float32_array || actual == napi_float64_array || (bytes && actual == napi_uint8_array);
    });
  }

 private:
  template <typename Accept>
  void* unwrap(Argument argument, size_t length, Accept accept) {
    if (!has(argument)) return nullptr;
    static double none;  // an empty array may have no address, and null means absent
    napi_typedarray_type type;
    size_t actual = 0;
    void* data = nullptr;
    if (argument >= count_ ||
        napi_get_typedarray_info(env_, arguments_[argument], &type, &actual, &data, nullptr, nullptr) != napi_ok) {
      sound_ = false;
      return nullptr;
    }
    sound_ = sound_ && accept(type) && actual >= length && reinterpret_cast<uintptr_t>(data) % sizeOf(type) == 0;
    return length == 0 ? &none : data;
  }

  static size_t sizeOf(napi_typedarray_type type) {
    switch (type) {
      case napi_float64_array:
        return 8;
      case napi_float32_array:
      case napi_int32_array:
        return 4;
      case napi_uint16_array:
        return 2;
      default:
        return 1;
    }
  }

  napi_env env_;
  const napi_value* arguments_;
  size_t count_;
  size_t arrays_;
  bool sound_ = true;
};

Kernel kernelOf(const Call& call) {
  const Kernels* const* available = smoothloss::availableKernels();
  for (size_t left = call.backend(); left > 0 && *available != nullptr; --left) ++available;
  if (*available == nullptr) return nullptr;
  switch (call.operation()) {
    case kCrossEntropy:
      return (*available)->crossEntropy;
    case kBceWithLogits:
      return (*available)->bceWithLogits;
    case kLinear:
      return (*available)->linear;
    default:
      return nullptr;
  }
}

// The sums of all rows, chunk by chunk.
Sums run(Kernel kernel, const Batch& batch, Scratch& scratch) {
  const smoothloss::DefaultFpEnvironment scope;
  Sums total{};
  for (size_t begin = 0; begin < batch.rows; begin += smoothloss::kRowChunk) {
    const size_t left = batch.rows - begin;
    const size_t end = begin + (left < smoothloss::kRowChunk ? left : smoothloss::kRowChunk);
    Sums sums{};
    kernel(batch, begin, end, scratch, sums);
    total.numerator += sums.numerator;
    total.nll += sums.nll;
    total.correct += sums.correct;
    total.entropy += sums.entropy;
    total.zLoss += sums.zLoss;
  }
  return total;
}

napi_value compute(napi_env env, napi_callback_info info) {
  napi_value arguments[1 + kArguments];
  size_t count = 1 + kArguments;
  void* instance = nullptr;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, &instance) != napi_ok) return nullptr;
  void* data = nullptr;
  size_t bytes = 0;
  if (count == 0 || napi_get_arraybuffer_info(env, arguments[0], &data, &bytes) != napi_ok || bytes < kTargetsOffset) {
    return fail(env, "compute needs an arena");
  }
  auto* arena = static_cast<unsigned char*>(data);

  double slots[kSlots];
  std::memcpy(slots, arena, sizeof slots);
  const Call call{toSize(slots[kCall])};
  const size_t operation = call.operation();
  const Kernel kernel = kernelOf(call);
  if (kernel == nullptr) return fail(env, "no such kernel");
  if (call.type() > static_cast<size_t>(Type::kBfloat16)) return fail(env, "no such type");

  Batch batch{};
  const size_t rows = batch.rows = toSize(slots[kRows]);
  const size_t classes = batch.classes = toSize(slots[kClasses]);
  batch.rowStride = toSize(slots[kRowStride]);
  batch.inner = slots[kInner] == 1.0 ? 1 : toSize(slots[kInner]);
  batch.type = static_cast<Type>(call.type());
  batch.lambda = slots[kLambda];
  batch.epsilon = slots[kEpsilon];
  batch.toward = slots[kToward];
  batch.gradientScale = slots[kGradientScale];
  batch.logitScale = slots[kLogitScale];
  batch.softcap = slots[kSoftcap];
  batch.zLoss = slots[kZLoss];
  batch.priorTotal = {slots[kPriorSum], slots[kPriorRest], slots[kPriorTop]};
  batch.smoothingTotal = {slots[kSmoothingSum], slots[kSmoothingRest], slots[kSmoothingTop]};
  batch.smoothingLog = slots[kSmoothingLog];
  batch.logTarget = call.logTarget();
  batch.others = call.others();
  batch.kl = call.kl();
  batch.metrics = call.metrics();

  const size_t targets = (bytes - kTargetsOffset) / sizeof(int32_t);
  if (rows > (call.mixed() ? targets / 2 : targets)) return fail(env, "more rows than targets");
  if (classes == 0 || classes > INT32_MAX) return fail(env, "classes is out of range");
  if (batch.inner != 1 && (batch.inner == 0 || rows % batch.inner != 0 || batch.rowStride != classes)) {
    return fail(env, "inner is out of range");
  }
  batch.targets = reinterpret_cast<const int32_t*>(arena + kTargetsOffset);
  if (call.mixed()) {
    batch.seconds = batch.targets + rows;
    for (size_t row = 0; row < rows; ++row) {
      if (static_cast<uint32_t>(batch.seconds[row]) >= classes) return fail(env, "a second class is out of range");
    }
  }

  Arrays arrays(env, arguments + 1, count - 1, toSize(slots[kArrays]));
  // The stride of an array, if there is one; where inner is not 1, dense arrays lie as the logits, whatever theirs.
  bool countable = true;
  const auto denseElements = [&](Argument argument, double given, size_t* stride) {
    size_t number = 0;
    if (arrays.has(argument)) {
      *stride = toSize(given);
      countable = countable && countElements(rows, classes, batch.inner == 1 ? *stride : classes, &number);
    }
    return number;
  };
  const bool weightPerElement = slots[kWeightStride] != 0.0;
  size_t elements = 0;
  countable = countElements(rows, classes, batch.rowStride, &elements);
  const size_t dense = denseElements(kDense, slots[kDenseStride], &batch.denseStride);
  const size_t masks = denseElements(kMask, slots[kMaskStride], &batch.maskStride);
  const size_t weights = weightPerElement ? denseElements(kWeight, slots[kWeightStride], &batch.weightStride) : classes;
  if (!countable) return fail(env, "a stride is out of range");
  if (weightPerElement && operation != kBceWithLogits) return fail(env, "a weight per element is for bceWithLogits");

  const bool isDouble = batch.type == Type::kFloat64;
  const napi_typedarray_type real = isDouble ? napi_float64_array : napi_float32_array;
  const napi_typedarray_type element =
      batch.type == Type::kFloat16 || batch.type == Type::kBfloat16 ? napi_uint16_array : real;
  const bool lossPerElement = operation == kBceWithLogits || (operation == kLinear && arrays.has(kDense));
  batch.logits = arrays.get<void>(kLogits, element, elements);
  batch.gradient = arrays.get<void>(kGradient, element, elements);
  batch.losses = arrays.get<void>(kLosses, real, lossPerElement ? elements : rows);
  batch.weight = arrays.floats(kWeight, weights);
  batch.dense = arrays.dense(kDense, dense, operation == kBceWithLogits, &batch.denseType);
  batch.prior = arrays.floats(kPrior, classes);
  batch.smoothing = arrays.get<void>(kSmoothing, real, classes);
  batch.rowWeight = arrays.floats(kRowWeight, rows);
  batch.epsilons = arrays.floats(kEpsilons, rows);
  batch.gradientScales = arrays.floats(kGradientScales, rows);
  batch.lambdas = arrays.floats(kLambdas, rows);
  batch.posWeight = arrays.floats(kPosWeight, classes);
  batch.mask = arrays.get<uint8_t>(kMask, napi_uint8_array, masks);
  batch.rowLoss = arrays.get<void>(kRowLoss, real, rows);
  batch.rowNll = arrays.get<void>(kRowNll, real, rows);
  batch.rowLse = arrays.get<void>(kRowLse, real, rows);
  batch.rowEntropy = arrays.get<void>(kRowEntropy, real, rows);
  batch.prediction = arrays.get<int32_t>(kPrediction, napi_int32_array, rows);
  if (!arrays.sound()) return fail(env, "an array is not of the type and length it must have");
  if ((batch.prior && !batch.smoothing) || (batch.dense && batch.seconds))
    return fail(env, "arrays contradict each other");
  if (batch.logits == nullptr) {
    const bool reads = batch.metrics || batch.losses || batch.rowLoss || batch.rowNll || batch.rowLse ||
                       batch.rowEntropy || batch.prediction;
    if (operation != kLinear || reads) return fail(env, "there are no logits");
  }

  auto& scratch = static_cast<Instance*>(instance)->scratch;
  if (scratch == nullptr) {
    scratch.reset(new (std::nothrow) Scratch);
    if (scratch == nullptr) {
      napi_throw_error(env, "ERR_MEMORY_ALLOCATION_FAILED", "there is no memory for the kernels");
      return nullptr;
    }
  }
  const Sums sums = run(kernel, batch, *scratch);
  std::memcpy(arena + kSums * sizeof(double), &sums, sizeof sums);
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
  auto backends = Napi::Array::New(env);
  for (uint32_t i = 0; smoothloss::availableKernels()[i] != nullptr; ++i) {
    backends[i] = smoothloss::availableKernels()[i]->name;
  }
  exports["backends"] = backends;
  napi_value function;
  if (napi_create_function(env, "compute", NAPI_AUTO_LENGTH, compute, instance, &function) == napi_ok) {
    exports["compute"] = Napi::Value(env, function);
  }
  return exports;
}

}  // namespace

NODE_API_MODULE(smoothloss, initialize)
