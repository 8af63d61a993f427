// The kernels for any CPU.

#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/kernels.h"
#include "simd/target.h"

namespace smoothloss {
namespace {
#include "simd/vec-inl.h"

#include "simd/vec_scalar-inl.h"

#include "kernels/losses-inl.h"
}  // namespace

extern const Kernels kScalarKernels;
constexpr Kernels kScalarKernels = kernelsOf("scalar");

}  // namespace smoothloss
