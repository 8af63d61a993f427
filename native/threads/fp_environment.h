// The floating-point mode that equal bits need: round to nearest, keep subnormals. A library built with -ffast-math
// makes the thread that loads it flush subnormals; a kernel must not see that.

#ifndef SMOOTHLOSS_THREADS_FP_ENVIRONMENT_H_
#define SMOOTHLOSS_THREADS_FP_ENVIRONMENT_H_

#include "simd/target.h"

#if defined(SMOOTHLOSS_X64)
#include <xmmintrin.h>
#endif

#include <cstdint>

namespace smoothloss {

// Sets the mode for its own lifetime. It writes the control register only if the mode differs, since writing is slow.
class DefaultFpEnvironment {
 public:
  DefaultFpEnvironment() : saved_(read()) {
    if (saved_ != kDefault) write(kDefault);
  }
  ~DefaultFpEnvironment() {
    if (saved_ != kDefault) write(saved_);
  }
  DefaultFpEnvironment(const DefaultFpEnvironment&) = delete;
  DefaultFpEnvironment& operator=(const DefaultFpEnvironment&) = delete;

 private:
#if defined(SMOOTHLOSS_X64)
  static constexpr uint64_t kDefault = 0x1f80;              // all exceptions masked, every other bit of MXCSR 0
  static uint64_t read() { return _mm_getcsr() & ~0x3fu; }  // less the sticky exception flags
  static void write(uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(SMOOTHLOSS_ARM64) && !defined(_MSC_VER)
  static constexpr uint64_t kDefault = 0;  // FPCR
  static uint64_t read() {
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void write(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else  // other processors and compilers keep the mode they have
  static constexpr uint64_t kDefault = 0;
  static uint64_t read() { return kDefault; }
  static void write(uint64_t) {}
#endif

  uint64_t saved_;
};

}  // namespace smoothloss

#endif  // SMOOTHLOSS_THREADS_FP_ENVIRONMENT_H_
