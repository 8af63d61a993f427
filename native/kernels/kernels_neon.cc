// The kernels for AArch64, where NEON is always there.

#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/kernels.h"
#include "simd/target.h"

#if defined(SMOOTHLOSS_ARM64)
#include <arm_neon.h>

namespace smoothloss {
namespace {
#include "simd/vec-inl.h"

#include "simd/vec_neon-inl.h"

#include "kernels/losses-inl.h"
}  // namespace

extern const Kernels kNeonKernels;
constexpr Kernels kNeonKernels = kernelsOf("neon");

}  // namespace smoothloss
#endif
