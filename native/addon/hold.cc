#include "addon/hold.h"

#include <new>
#include <utility>

#include "threads/threads.h"

#if defined(SMOOTHLOSS_OLDEST_GLIBC)
// std::shared_ptr asks whether there are other threads, which older systems' C library does not tell: there are.
extern "C" char __libc_single_threaded;
char __libc_single_threaded = 0;
#endif

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
// std::shared_ptr<BackingStore> SharedArrayBuffer::GetBackingStore()
std::shared_ptr<BackingStore> getSharedBackingStore(napi_value buffer)
    SMOOTHLOSS_V8("_ZN2v817SharedArrayBuffer15GetBackingStoreEv");
// void* BackingStore::Data() const
void* dataOf(const BackingStore* store) SMOOTHLOSS_V8("_ZNK2v812BackingStore4DataEv");
// size_t BackingStore::ByteLength() const
size_t lengthOf(const BackingStore* store) SMOOTHLOSS_V8("_ZNK2v812BackingStore10ByteLengthEv");
// bool BackingStore::IsResizableByUserJavaScript() const
bool isResizable(const BackingStore* store) SMOOTHLOSS_V8("_ZNK2v812BackingStore27IsResizableByUserJavaScriptEv");

bool Hold::works(napi_env env) {
  if (&getBackingStore == nullptr || &getSharedBackingStore == nullptr || &dataOf == nullptr || &lengthOf == nullptr ||
      &isResizable == nullptr) {
    return false;
  }
  napi_value buffer;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, 64, &data, &buffer) != napi_ok) return false;
  // Not destroyed before it is known to be this standard library's shared_ptr: another's would be counted wrong, and
  // the memory freed under V8.
  using Store = std::shared_ptr<BackingStore>;
  alignas(Store) unsigned char place[sizeof(Store)];
  auto& store = *new (place) Store(getBackingStore(buffer));
  if (store == nullptr || dataOf(store.get()) != data || store.use_count() != 2 || isResizable(store.get()))
    return false;
  // Up to V8 13, transfer() to another length reallocates the memory whoever else owns it.
  napi_value transfer, length, moved;
  napi_valuetype type = napi_undefined;
  bool stays = napi_get_named_property(env, buffer, "transfer", &transfer) == napi_ok &&
               napi_typeof(env, transfer, &type) == napi_ok;
  if (stays && type == napi_function) {
    stays = napi_create_uint32(env, 1 << 20, &length) == napi_ok &&
            napi_call_function(env, buffer, transfer, 1, &length, &moved) == napi_ok && dataOf(store.get()) == data &&
            lengthOf(store.get()) == 64;
  }
  bool thrown = false;
  napi_is_exception_pending(env, &thrown);
  if (thrown) napi_get_and_clear_last_exception(env, &moved);
  store.~Store();
  return stays && !thrown;
}

bool Hold::add(napi_env env, napi_value array) {
  napi_value buffer;
  bool shared = false;
  if (count_ == kMost || napi_get_typedarray_info(env, array, nullptr, nullptr, nullptr, &buffer, nullptr) != napi_ok ||
      napi_is_arraybuffer(env, buffer, &shared) != napi_ok) {
    return false;
  }
  shared = !shared;
  std::shared_ptr<BackingStore> store = shared ? getSharedBackingStore(buffer) : getBackingStore(buffer);
  if (!shared && isResizable(store.get())) return false;
  stores_[count_++] = std::move(store);
  return true;
}

#else

bool Hold::works(napi_env) { return false; }
bool Hold::add(napi_env, napi_value) { return false; }

#endif

}  // namespace smoothloss
