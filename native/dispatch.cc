// Which of the compiled kernels this CPU can run, found out once.

#include "kernels.h"
#include "target.h"

#if defined(SMOOTHLOSS_X64) && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#elif defined(SMOOTHLOSS_X64)
#include <cpuid.h>
#endif

namespace smoothloss {

extern const Kernels kScalarKernels;
#if defined(SMOOTHLOSS_X64)
extern const Kernels kAvx2Kernels;
#elif defined(SMOOTHLOSS_ARM64)
extern const Kernels kNeonKernels;
#endif

namespace {

#if defined(SMOOTHLOSS_X64)
// AVX2, FMA and F16C in the CPU, and the upper register halves saved by the operating system.
bool hasAvx2() {
#if defined(_MSC_VER)
  int leaf1[4], leaf7[4];
  __cpuid(leaf1, 0);
  if (leaf1[0] < 7) return false;
  __cpuidex(leaf1, 1, 0);
  __cpuidex(leaf7, 7, 0);
  const bool osxsave = (leaf1[2] >> 27) & 1;
  const bool fma = (leaf1[2] >> 12) & 1;
  const bool f16c = (leaf1[2] >> 29) & 1;
  const bool avx2 = (leaf7[1] >> 5) & 1;
  return osxsave && fma && f16c && avx2 && (_xgetbv(0) & 6) == 6;
#else
  // Not all compilers know F16C by name.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && ((ecx >> 29) & 1) != 0;
  return f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
}
#endif

struct Choice {
  const Kernels* available[3] = {};

  Choice() {
    size_t count = 0;
#if defined(SMOOTHLOSS_X64)
    if (hasAvx2()) available[count++] = &kAvx2Kernels;
#elif defined(SMOOTHLOSS_ARM64)
    available[count++] = &kNeonKernels;
#endif
    available[count++] = &kScalarKernels;
  }
};

}  // namespace

const Kernels* const* availableKernels() {
  static const Choice choice;
  return choice.available;
}

}  // namespace smoothloss
