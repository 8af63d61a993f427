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
// The registers that cpuid answers in.
struct Leaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;

  explicit Leaf(unsigned leaf) {
#if defined(_MSC_VER)
    int registers[4];
    __cpuidex(registers, static_cast<int>(leaf), 0);
    eax = static_cast<unsigned>(registers[0]);
    ebx = static_cast<unsigned>(registers[1]);
    ecx = static_cast<unsigned>(registers[2]);
    edx = static_cast<unsigned>(registers[3]);
#else
    __cpuid_count(leaf, 0, eax, ebx, ecx, edx);
#endif
  }
};

// The registers that the operating system saves: XCR0, whose lower half is enough.
unsigned savedRegisters() {
#if defined(_MSC_VER)
  return static_cast<unsigned>(_xgetbv(0));
#else
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));  // its intrinsic needs a compiler flag
  return low;
#endif
}

// Bits of leaf 1 (ecx), of leaf 7 (ebx and ecx), and of XCR0 (Intel's manual, CPUID in volume 2, and volume 1, 13.3).
constexpr unsigned kFma = 1u << 12, kOsxsave = 1u << 27, kF16c = 1u << 29;
constexpr unsigned kAvx2 = 1u << 5, kAvx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW and VL
constexpr unsigned kVbmi2 = 1u << 6;
constexpr unsigned kAvxRegisters = 0x6, kAvx512Registers = 0xe6;

// The instruction sets that the CPU has and whose registers the operating system saves. Not __builtin_cpu_supports,
// which not every compiler's library has.
struct Cpu {
  bool avx2 = false;    // with FMA and F16C
  bool avx512 = false;  // F, BW, DQ, VL and VBMI2: older CPUs, without VBMI2, lower their clock for AVX-512

  Cpu() {
    const auto has = [](unsigned word, unsigned bits) { return (word & bits) == bits; };
    if (Leaf(0).eax < 7) return;
    const Leaf leaf1(1), leaf7(7);
    if (!has(leaf1.ecx, kOsxsave)) return;
    const unsigned saved = savedRegisters();
    avx2 = has(leaf1.ecx, kFma | kF16c) && has(leaf7.ebx, kAvx2) && has(saved, kAvxRegisters);
    avx512 = avx2 && has(leaf7.ebx, kAvx512) && has(leaf7.ecx, kVbmi2);
#if !defined(__APPLE__)  // which saves those of AVX-512 once a thread has used them
    avx512 = avx512 && has(saved, kAvx512Registers);
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
