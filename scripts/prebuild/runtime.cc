// All that the package's binaries need of a C++ library beyond its headers. A library that is linked into them would bring
// what throws and unwinds, 70 KB packed for each; one of the system may be older, or there may be none. Hidden, so that the
// program which loads a binary does not take these for its own.

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

const std::nothrow_t std::nothrow{};

// An object may have no bytes, and has an address all the same.
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes > 0 ? bytes : 1); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return operator new(bytes, std::nothrow); }
// Only node-addon-api calls this, for some bytes while the addon loads.
void* operator new(size_t bytes) {
  if (void* const memory = operator new(bytes, std::nothrow)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

// The guard of a static variable, whose first byte says that it is there (Itanium C++ ABI, 3.3.3). The second says that a
// thread makes it, for which others wait: those of this addon are made in a microsecond.
struct Guard {
  std::atomic<uint8_t> done;
  std::atomic<uint8_t> busy;
};
extern "C" int __cxa_guard_acquire(Guard* guard) {
  while (guard->busy.exchange(1, std::memory_order_acquire) != 0) {
  }
  if (guard->done.load(std::memory_order_acquire) == 0) return 1;
  guard->busy.store(0, std::memory_order_release);
  return 0;
}
extern "C" void __cxa_guard_release(Guard* guard) {
  guard->done.store(1, std::memory_order_release);
  guard->busy.store(0, std::memory_order_release);
}
extern "C" void __cxa_pure_virtual() { std::abort(); }
// libc++ calls this where a program breaks its rules.
void std::__libcpp_verbose_abort(const char*, ...) noexcept { std::abort(); }
