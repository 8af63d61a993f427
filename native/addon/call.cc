#include "addon/call.h"

#include <cstdint>
#include <cstring>

#include "threads/pool.h"

namespace smoothloss {

napi_value fail(napi_env env, const char* message, const char* code) {
  napi_throw_error(env, code, message);
  return nullptr;
}

namespace {

// The arena holds doubles at these indices, then from kTargetsOffset on the targets, and right after them the second
// classes of mixed targets. SLOTS in lib/arena.ts is the same list.
enum Slot : size_t {
  kSums,                                     // the results: the fields of Sums
  kBackend = sizeof(Sums) / sizeof(double),  // index into availableKernels()
  kOperation,                                // index into kOperations
  kType,
  kThreads,  // that may share the rows
  kBegin,    // the rows [kBegin, kEnd), which begin and end where chunks do
  kEnd,
  kArrays,  // which arguments are arrays, one bit each, from the logits on
  kRows,
  kClasses,
  kRowStride,
  kInner,
  kDenseStride,
  kWeightStride,
  kMaskStride,
  kMixed,  // flags are 0 or not
  kLogTarget,
  kOthers,
  kKl,
  kMetrics,
  kFeatures,
  kAccumulate,
  kPriorSum,
  kPriorRest,
  kPriorTop,
  kSmoothingSum,
  kSmoothingRest,
  kSmoothingTop,
  kNumbers  // the fields of BatchNumbers
};

constexpr size_t kSlots = kNumbers + sizeof(BatchNumbers) / sizeof(double);
constexpr size_t kTargetsOffset = (kSlots + 7) / 8 * 8 * sizeof(double);

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
  kInput,
  kLinearWeight,
  kLinearBias,
  kInputGradient,
  kLinearWeightGradient,
  kLinearBiasGradient,
  kArguments
};

static_assert(kCallArguments == 1 + kArguments, "");

// An exact non-negative integer, or SIZE_MAX.
size_t toSize(double x) {
  return x >= 0.0 && x <= 9007199254740991.0 && x == static_cast<double>(static_cast<int64_t>(x))
             ? static_cast<size_t>(x)
             : SIZE_MAX;
}

// Counts the elements of `rows` rows of `classes`, `stride` apart, without a gap after the last row. Returns false if
// they are too many to count.
bool countElements(size_t rows, size_t classes, size_t stride, size_t* elements) {
  *elements = 0;
  if (rows == 0) return true;
  if (stride < classes || stride > (SIZE_MAX / 16 - classes) / rows) return false;
  *elements = (rows - 1) * stride + classes;
  return true;
}

// The arguments of a call. The bits of `arrays` say which of them are arrays.
class Arrays {
 public:
  Arrays(napi_env env, const napi_value* arguments, size_t count, size_t arrays)
      : env_(env), arguments_(arguments), count_(count), arrays_(arrays) {}

  // Whether all arrays asked for so far are what they must be.
  bool sound() const { return sound_; }
  bool has(Argument argument) const { return (arrays_ >> argument & 1) != 0; }

  // Returns the array, which must have at least `length` elements of that type; null if there is none.
  template <typename T>
  T* get(Argument argument, napi_typedarray_type type, size_t length) {
    return static_cast<T*>(unwrap(argument, length, [type](napi_typedarray_type actual) { return actual == type; }));
  }

  // The same for an array of any type of dense targets.
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
    auto type = kUnknown;
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

  // Stays the type of an array for which this Node-API has no name, such as a Float16Array.
  static constexpr auto kUnknown = static_cast<napi_typedarray_type>(15);

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

// Reads the layer of a batch that has its targets and no logits. Returns false if it cannot be one.
bool readLayer(const double (&slots)[kSlots], Arrays& arrays, napi_typedarray_type element, napi_typedarray_type real,
               Batch* batch) {
  Layer& layer = batch->layer;
  const size_t features = layer.features = toSize(slots[kFeatures]);
  if (features == 0 || features > SIZE_MAX / 64 / batch->classes ||
      (batch->rows > 0 && features > SIZE_MAX / 64 / batch->rows) || batch->inner != 1 || batch->logits ||
      batch->gradient || !arrays.has(kInput) || !arrays.has(kLinearWeight)) {
    return false;
  }
  layer.accumulate = slots[kAccumulate] != 0.0;
  layer.input = arrays.get<void>(kInput, element, batch->rows * features);
  layer.linearWeight = arrays.get<void>(kLinearWeight, element, batch->classes * features);
  layer.linearBias = arrays.get<void>(kLinearBias, element, batch->classes);
  layer.inputGradient = arrays.get<void>(kInputGradient, real, batch->rows * features);
  layer.linearWeightGradient = arrays.get<void>(kLinearWeightGradient, real, batch->classes * features);
  layer.linearBiasGradient = arrays.get<void>(kLinearBiasGradient, real, batch->classes);
  for (size_t row = 0; row < batch->rows; ++row) {
    layer.rows += static_cast<uint32_t>(batch->targets[row]) < batch->classes ? 1 : 0;
  }
  return true;
}

const Kernels* kernelsAt(size_t backend) {
  const Kernels* const* available = availableKernels();
  for (; backend > 0 && *available != nullptr; --backend) ++available;
  return *available;
}

}  // namespace

bool readCall(napi_env env, const napi_value* arguments, size_t count, Call* call) {
  const auto reject = [env](const char* message) {
    fail(env, message);
    return false;
  };
  void* data = nullptr;
  size_t bytes = 0;
  bool own = false;  // newer Node-APIs take shared memory as well, where another thread could write what was checked
  if (count == 0 || napi_is_arraybuffer(env, arguments[0], &own) != napi_ok || !own ||
      napi_get_arraybuffer_info(env, arguments[0], &data, &bytes) != napi_ok || bytes < kTargetsOffset ||
      reinterpret_cast<uintptr_t>(data) % alignof(double) != 0) {
    return reject("a call needs an arena");
  }
  auto* arena = static_cast<unsigned char*>(data);
  ++arguments;
  --count;

  double slots[kSlots];
  std::memcpy(slots, arena, sizeof slots);
  const auto flag = [&slots](Slot slot) { return slots[slot] != 0.0; };
  const size_t operationIndex = toSize(slots[kOperation]);
  const Kernels* const kernels = kernelsAt(toSize(slots[kBackend]));
  if (kernels == nullptr || operationIndex >= sizeof kOperations / sizeof kOperations[0]) {
    return reject("no such kernel");
  }
  const Operation& operation = kOperations[operationIndex];
  const size_t type = toSize(slots[kType]);
  if (type > static_cast<size_t>(Type::kBfloat16)) return reject("no such type");

  Batch& batch = call->batch;
  batch = {};
  const size_t rows = batch.rows = toSize(slots[kRows]);
  const size_t classes = batch.classes = toSize(slots[kClasses]);
  batch.rowStride = toSize(slots[kRowStride]);
  batch.inner = slots[kInner] == 1.0 ? 1 : toSize(slots[kInner]);
  batch.type = static_cast<Type>(type);
  batch.logTarget = flag(kLogTarget);
  batch.others = flag(kOthers);
  batch.kl = flag(kKl);
  batch.metrics = flag(kMetrics);
  batch.priorTotal = {slots[kPriorSum], slots[kPriorRest], slots[kPriorTop]};
  batch.smoothingTotal = {slots[kSmoothingSum], slots[kSmoothingRest], slots[kSmoothingTop]};
  std::memcpy(static_cast<BatchNumbers*>(&batch), slots + kNumbers, sizeof(BatchNumbers));

  call->loss = kernels->*operation.loss;
  call->arena = arena;
  call->threads = toSize(slots[kThreads]);
  call->begin = toSize(slots[kBegin]);
  call->end = toSize(slots[kEnd]);
  if (call->threads < 1 || call->threads > kMostThreads) return reject("threads is out of range");

  const bool mixed = flag(kMixed);
  const size_t targets = (bytes - kTargetsOffset) / sizeof(int32_t);
  if (rows > (mixed ? targets / 2 : targets)) return reject("more rows than targets");
  if (classes == 0 || classes > INT32_MAX) return reject("classes is out of range");
  if (batch.inner != 1 && (batch.inner == 0 || rows % batch.inner != 0 || batch.rowStride != classes)) {
    return reject("inner is out of range");
  }
  batch.targets = reinterpret_cast<const int32_t*>(arena + kTargetsOffset);
  if (mixed) {
    batch.seconds = batch.targets + rows;
    for (size_t row = 0; row < rows; ++row) {
      if (static_cast<uint32_t>(batch.seconds[row]) >= classes) return reject("a second class is out of range");
    }
  }

  Arrays arrays(env, arguments, count, toSize(slots[kArrays]));
  // Reads the stride of an array, if there is one. Where inner is not 1, dense arrays are laid out as the logits,
  // whatever their stride.
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
  if (!countable) return reject("a stride is out of range");
  if (weightPerElement && !operation.weightPerElement) return reject("this kernel takes no weight per element");

  const bool isDouble = batch.type == Type::kFloat64;
  const napi_typedarray_type real = isDouble ? napi_float64_array : napi_float32_array;
  const napi_typedarray_type element =
      batch.type == Type::kFloat16 || batch.type == Type::kBfloat16 ? napi_uint16_array : real;
  const bool lossPerElement = arrays.has(kDense) ? operation.denseLossPerElement : operation.lossPerElement;
  batch.logits = arrays.get<void>(kLogits, element, elements);
  batch.gradient = arrays.get<void>(kGradient, element, elements);
  batch.losses = arrays.get<void>(kLosses, real, lossPerElement ? elements : rows);
  batch.weight = isDouble && weightPerElement ? arrays.dense(kWeight, weights, false, &batch.weightType)
                                              : arrays.get<void>(kWeight, real, weights);
  batch.dense = arrays.dense(kDense, dense, operation.denseBytes, &batch.denseType);
  batch.prior = arrays.get<void>(kPrior, real, classes);
  batch.smoothing = arrays.get<void>(kSmoothing, real, classes);
  batch.rowWeight = arrays.get<void>(kRowWeight, real, rows);
  batch.epsilons = arrays.get<void>(kEpsilons, real, rows);
  batch.gradientScales = arrays.get<void>(kGradientScales, real, rows);
  batch.lambdas = arrays.get<void>(kLambdas, real, rows);
  batch.posWeight = arrays.get<void>(kPosWeight, real, classes);
  batch.mask = arrays.get<uint8_t>(kMask, napi_uint8_array, masks);
  batch.rowLoss = arrays.get<void>(kRowLoss, real, rows);
  batch.rowNll = arrays.get<void>(kRowNll, real, rows);
  batch.rowLse = arrays.get<void>(kRowLse, real, rows);
  batch.rowEntropy = arrays.get<void>(kRowEntropy, real, rows);
  batch.prediction = arrays.get<int32_t>(kPrediction, napi_int32_array, rows);
  if (call->loss.layer && !readLayer(slots, arrays, element, real, &batch)) return reject("the layer is out of range");
  if (!arrays.sound()) return reject("an array is not of the type and length it must have");
  if ((batch.prior && !batch.smoothing) || (batch.dense && batch.seconds))
    return reject("arrays contradict each other");
  if (batch.logits == nullptr) {
    const bool reads = batch.metrics || batch.losses || batch.rowLoss || batch.rowNll || batch.rowLse ||
                       batch.rowEntropy || batch.prediction;
    if (!operation.withoutLogits || (reads && call->loss.layer == nullptr)) return reject("there are no logits");
  }
  const size_t chunk = rowChunk(batch);
  const size_t all = rowsOf(batch);
  if (call->begin > call->end || call->end > all || call->begin % chunk != 0 ||
      (call->end % chunk != 0 && call->end != all)) {
    return reject("rows are out of range");
  }
  return true;
}

void writeSums(const Call& call, const Sums& sums) {
  std::memcpy(call.arena + kSums * sizeof(double), &sums, sizeof sums);
}

}  // namespace smoothloss
