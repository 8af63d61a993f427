// Finds out, once, which of the compiled kernels this CPU runs.

#include "kernels/kernels.h"
#include "simd/target.h"

#if defined(SMOOTHLOSS_X64) && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#elif defined(SMOOTHLOSS_X64)
#include <cpuid.h>
#endif

namespace smoothloss {

extern const Kernels kScalarKernels;
#if defined(SMOOTHLOSS_X64)
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx2Kernels;
#elif defined(SMOOTHLOSS_ARM64)
extern const Kernels kNeonKernels;
#endif

namespace {

#if defined(SMOOTHLOSS_X64)
// The instruction sets that the CPU has and whose registers the operating system saves.
struct Cpu {
  bool avx2 = false;    // with FMA and F16C
  bool avx512 = false;  // F, BW, DQ, VL and VBMI2: older CPUs, without VBMI2, lower their clock for AVX-512

  Cpu() {
#if defined(_MSC_VER)
    int leaf1[4], leaf7[4];
    __cpuid(leaf1, 0);
    if (leaf1[0] < 7) return;
    __cpuidex(leaf1, 1, 0);
    __cpuidex(leaf7, 7, 0);
    const auto has = [](int word, int bit) { return ((word >> bit) & 1) != 0; };
    if (!has(leaf1[2], 27)) return;  // OSXSAVE
    const unsigned long long saved = _xgetbv(0);
    avx2 = has(leaf1[2], 12) && has(leaf1[2], 29) && has(leaf7[1], 5) && (saved & 0x6) == 0x6;
    avx512 = avx2 && has(leaf7[1], 16) && has(leaf7[1], 17) && has(leaf7[1], 30) && has(leaf7[1], 31) &&
             has(leaf7[2], 6) && (saved & 0xe6) == 0xe6;
#else
    // Some compilers do not know F16C by name.
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && ((ecx >> 29) & 1) != 0;
    avx2 = f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vbmi2");
#endif
#if defined(SMOOTHLOSS_EMULATE_AVX512)  // by test/emulation/avx512, with AVX2
    avx512 = avx2;
#endif
  }
};
#endif

struct Choice {
  const Kernels* available[4] = {};

  Choice() {
    size_t count = 0;
#if defined(SMOOTHLOSS_X64)
    const Cpu cpu;
    if (cpu.avx512) available[count++] = &kAvx512Kernels;
    if (cpu.avx2) available[count++] = &kAvx2Kernels;
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
