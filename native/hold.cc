#include "hold.h"

// Where a symbol may be missing and a member function is called as a plain one: the Itanium ABI's 64-bit platforms.
#if defined(__APPLE__)
#define SMOOTHLOSS_V8(name) __asm__("_" name) __attribute__((weak_import))
#elif defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#define SMOOTHLOSS_V8(name) __asm__(name) __attribute__((weak, visibility("default")))
#endif

namespace smoothloss {

#if defined(SMOOTHLOSS_V8)

class BackingStore;  // v8::BackingStore

// std::shared_ptr<BackingStore> ArrayBuffer::GetBackingStore()
std::shared_ptr<BackingStore> getBackingStore(napi_value buffer)
    SMOOTHLOSS_V8("_ZN2v811ArrayBuffer15GetBackingStoreEv");
// void* BackingStore::Data() const
void* dataOf(const BackingStore* store) SMOOTHLOSS_V8("_ZNK2v812BackingStore4DataEv");

bool Hold::works(napi_env env) {
  if (&getBackingStore == nullptr || &dataOf == nullptr) return false;
  napi_value buffer;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, 64, &data, &buffer) != napi_ok) return false;
  const std::shared_ptr<BackingStore> store = getBackingStore(buffer);
  // Not so with another standard library's shared_ptr.
  return store != nullptr && dataOf(store.get()) == data && store.use_count() == 2;
}

bool Hold::add(napi_env env, napi_value array) {
  napi_value buffer;
  bool attaches = false;
  if (napi_get_typedarray_info(env, array, nullptr, nullptr, nullptr, &buffer, nullptr) != napi_ok ||
      napi_is_arraybuffer(env, buffer, &attaches) != napi_ok) {
    return false;
  }
  if (!attaches) return true;
  if (count_ == kMost) return false;
  stores_[count_++] = getBackingStore(buffer);
  return true;
}

#else

bool Hold::works(napi_env) { return false; }
bool Hold::add(napi_env, napi_value) { return false; }

#endif

}  // namespace smoothloss
