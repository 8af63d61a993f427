// The kernels for x86-64 with AVX2 and FMA.

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

SMOOTHLOSS_BEGIN_AVX2

namespace smoothloss {
namespace {
#include "simd/vec-inl.h"

#include "simd/vec_avx2-inl.h"

#include "kernels/losses-inl.h"
}  // namespace
}  // namespace smoothloss
SMOOTHLOSS_END_AVX2

namespace smoothloss {

extern const Kernels kAvx2Kernels;
constexpr Kernels kAvx2Kernels = kernelsOf("avx2");

}  // namespace smoothloss
#endif
