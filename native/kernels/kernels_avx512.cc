// The kernels for x86-64 with AVX-512, of Ice Lake, Zen 4 and later.

#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/kernels.h"
#include "simd/target.h"

#if defined(SMOOTHLOSS_X64)
#include <immintrin.h>

// GCC 12 warns of undefined operands in its own intrinsics (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

SMOOTHLOSS_BEGIN_AVX512

namespace smoothloss {
namespace {
#include "simd/vec-inl.h"

#include "simd/vec_avx512-inl.h"

#include "kernels/losses-inl.h"
}  // namespace
}  // namespace smoothloss
SMOOTHLOSS_END_AVX512

namespace smoothloss {

extern const Kernels kAvx512Kernels;
constexpr Kernels kAvx512Kernels = kernelsOf("avx512");

}  // namespace smoothloss
#endif
