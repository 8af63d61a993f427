#include "addon/hold.h"

#include <atomic>
#include <cstdint>
#include <new>
#include <utility>

#if defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#if defined(_MSC_VER)
#include <intrin.h>
#endif
#endif

// Where a symbol may be missing and a member function is called as a plain one: the Itanium ABI's 64-bit platforms.
#if defined(__APPLE__)
#define SMOOTHLOSS_V8(name) __asm__("_" name) __attribute__((weak_import))
#elif defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#define SMOOTHLOSS_V8(name) __asm__(name) __attribute__((weak, visibility("default")))
#endif

namespace smoothloss {

#if defined(SMOOTHLOSS_V8) || defined(_WIN32)

// Where std::shared_ptr counts, in every standard library: owners, then weak_ptrs; two of int32_t or of int64_t.
struct Counter {
  void (*const* functions)(Counter*);
  int64_t counts[2];
};

// std::shared_ptr<BackingStore>, but it counts nothing. A class that has a destructor is returned in memory, as that
// is. Volatile, since works() writes there what the compiler takes for overwritten.
struct Owner {
  void* volatile store;
  Counter* volatile counter;
  ~Owner() {}
};

#if defined(SMOOTHLOSS_V8)
// std::shared_ptr<BackingStore> ArrayBuffer::GetBackingStore()
Owner getBackingStore(napi_value buffer) SMOOTHLOSS_V8("_ZN2v811ArrayBuffer15GetBackingStoreEv");
// std::shared_ptr<BackingStore> SharedArrayBuffer::GetBackingStore()
Owner getSharedBackingStore(napi_value buffer) SMOOTHLOSS_V8("_ZN2v817SharedArrayBuffer15GetBackingStoreEv");
// void* BackingStore::Data() const
void* dataOf(const void* store) SMOOTHLOSS_V8("_ZNK2v812BackingStore4DataEv");
// size_t BackingStore::ByteLength() const
size_t lengthOf(const void* store) SMOOTHLOSS_V8("_ZNK2v812BackingStore10ByteLengthEv");
// bool BackingStore::IsResizableByUserJavaScript() const
bool isResizable(const void* store) SMOOTHLOSS_V8("_ZNK2v812BackingStore27IsResizableByUserJavaScriptEv");
#endif

namespace {

template <typename T>
T decrement(T* count) {
#if defined(_MSC_VER) && !defined(__clang__)
  return _InterlockedExchangeAdd(reinterpret_cast<volatile long*>(count), -1);
#else
  return __atomic_fetch_sub(count, T{1}, __ATOMIC_ACQ_REL);
#endif
}

// Ends what is shared with its last owner, and the counter with the last weak_ptr, for which all owners together count
// as one. `last` is what a count of one is; the others are indices of virtual functions.
template <typename T>
void releaseCounts(Counter* counter, T last, size_t endShared, size_t endCounter) {
  T* counts = reinterpret_cast<T*>(counter->counts);
  if (decrement(&counts[0]) != last) return;
  counter->functions[endShared](counter);
  if (decrement(&counts[1]) == last) counter->functions[endCounter](counter);
}

template <typename T>
bool areCounts(const Counter* counter, T owners, T weak) {
  const T* counts = reinterpret_cast<const T*>(counter->counts);
  return counts[0] == owners && counts[1] == weak;
}

#if defined(_WIN32)

template <typename Function>
Function find(const char* name) {
  return reinterpret_cast<Function>(reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(nullptr), name)));
}

// MSVC's member functions return a class at an address that follows `this`; a plain one's would come first.
using GetBackingStore = void (*)(napi_value buffer, Owner* owner);
const auto getBackingStore =
    find<GetBackingStore>("?GetBackingStore@ArrayBuffer@v8@@QEAA?AV?$shared_ptr@VBackingStore@v8@@@std@@XZ");
const auto getSharedBackingStore =
    find<GetBackingStore>("?GetBackingStore@SharedArrayBuffer@v8@@QEAA?AV?$shared_ptr@VBackingStore@v8@@@std@@XZ");
const auto dataOf = find<void* (*)(const void* store)>("?Data@BackingStore@v8@@QEBAPEAXXZ");
const auto lengthOf = find<size_t (*)(const void* store)>("?ByteLength@BackingStore@v8@@QEBA_KXZ");
const auto isResizable = find<bool (*)(const void* store)>("?IsResizableByUserJavaScript@BackingStore@v8@@QEBA_NXZ");

void getOwner(napi_value buffer, bool shared, Owner* owner) {
  (shared ? getSharedBackingStore : getBackingStore)(buffer, owner);
}

// MSVC's _Ref_count_base has _Destroy and _Delete_this first.
bool recognize(const Counter* counter) { return areCounts<int32_t>(counter, 2, 1); }
void release(Counter* counter) { releaseCounts<int32_t>(counter, 1, 0, 1); }

#else

void getOwner(napi_value buffer, bool shared, Owner* owner) {
  new (owner) Owner(shared ? getSharedBackingStore(buffer) : getBackingStore(buffer));
}

std::atomic<bool> isLibcxx{false};

// After two destructors, libstdc++'s _Sp_counted_base has _M_dispose and _M_destroy. libc++'s __shared_weak_count has
// __on_zero_shared, __get_deleter and __on_zero_shared_weak, and counts from 0.
bool recognize(const Counter* counter) {
  if (areCounts<int32_t>(counter, 2, 1)) return true;
  const bool libcxx = areCounts<int64_t>(counter, 1, 0);
  if (libcxx) isLibcxx.store(true, std::memory_order_relaxed);
  return libcxx;
}

void release(Counter* counter) {
  if (isLibcxx.load(std::memory_order_relaxed)) {
    releaseCounts<int64_t>(counter, 0, 2, 4);
  } else {
    releaseCounts<int32_t>(counter, 1, 2, 3);
  }
}

#endif

// Runtimes that have these names but not what they stand for. Bun has no V8, and panics. Those of Chromium (Electron,
// NW.js) return std::shared_ptr in registers.
bool isOther(napi_env env) {
  napi_value global, process, versions;
  bool found = false;
  if (napi_get_global(env, &global) != napi_ok || napi_has_named_property(env, global, "Bun", &found) != napi_ok ||
      found || napi_get_named_property(env, global, "process", &process) != napi_ok ||
      napi_get_named_property(env, process, "versions", &versions) != napi_ok) {
    return true;
  }
  for (const char* name : {"bun", "electron", "nw"}) {
    if (napi_has_named_property(env, versions, name, &found) != napi_ok || found) return true;
  }
  return false;
}

// Up to V8 13, transfer() to another length reallocates the memory whoever else owns it.
bool staysOnTransfer(napi_env env, napi_value buffer, const void* store) {
  napi_value transfer, length, moved;
  napi_valuetype type = napi_undefined;
  const void* data = dataOf(store);
  const size_t bytes = lengthOf(store);
  if (napi_get_named_property(env, buffer, "transfer", &transfer) != napi_ok ||
      napi_typeof(env, transfer, &type) != napi_ok) {
    return false;
  }
  return type != napi_function || (napi_create_uint32(env, 1 << 20, &length) == napi_ok &&
                                   napi_call_function(env, buffer, transfer, 1, &length, &moved) == napi_ok &&
                                   dataOf(store) == data && lengthOf(store) == bytes);
}

bool holdsOne(napi_env env) {
  napi_value buffer;
  void* data = nullptr;
  if (isOther(env) || napi_create_arraybuffer(env, 64, &data, &buffer) != napi_ok) return false;
  // A runtime that returns it in registers takes `owner` for `this`: it finds the buffer there, and leaves it as it is.
  Owner owner;
  owner.store = *reinterpret_cast<void**>(buffer);
  owner.counter = nullptr;
  getOwner(buffer, false, &owner);
  // Not released unless the counter is known: counted wrong, the memory would be freed under V8.
  if (owner.counter == nullptr || dataOf(owner.store) != data || isResizable(owner.store) ||
      !recognize(owner.counter)) {
    return false;
  }
  const bool stays = staysOnTransfer(env, buffer, owner.store);
  release(owner.counter);
  return stays;
}

}  // namespace

bool Hold::works(napi_env env) {
  if (getBackingStore == nullptr || getSharedBackingStore == nullptr || dataOf == nullptr || lengthOf == nullptr ||
      isResizable == nullptr) {
    return false;
  }
  const bool holds = holdsOne(env);
  bool thrown = false;
  napi_value error;
  napi_is_exception_pending(env, &thrown);
  if (thrown) napi_get_and_clear_last_exception(env, &error);
  return holds && !thrown;
}

Hold::Hold(Hold&& other) noexcept : count_(std::exchange(other.count_, 0)) {
  for (size_t i = 0; i < count_; ++i) counters_[i] = other.counters_[i];
}

Hold::~Hold() {
  for (size_t i = 0; i < count_; ++i) release(counters_[i]);
}

bool Hold::add(napi_env env, napi_value array) {
  napi_value buffer;
  bool shared = false;
  if (count_ == kMost || napi_get_typedarray_info(env, array, nullptr, nullptr, nullptr, &buffer, nullptr) != napi_ok ||
      napi_is_arraybuffer(env, buffer, &shared) != napi_ok) {
    return false;
  }
  shared = !shared;
  Owner owner;
  getOwner(buffer, shared, &owner);
  if (owner.counter == nullptr) return false;
  counters_[count_++] = owner.counter;
  return shared || !isResizable(owner.store);
}

#else

bool Hold::works(napi_env) { return false; }
bool Hold::add(napi_env, napi_value) { return false; }
Hold::Hold(Hold&&) noexcept {}
Hold::~Hold() = default;

#endif

}  // namespace smoothloss
