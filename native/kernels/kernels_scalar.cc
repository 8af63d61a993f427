// The kernels for any CPU.

#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels.h"
#include "target.h"

namespace smoothloss {
namespace {
#include "vec-inl.h"

#include "vec_scalar-inl.h"

#include "losses-inl.h"
}  // namespace

extern const Kernels kScalarKernels;
constexpr Kernels kScalarKernels = kernelsOf("scalar");

}  // namespace smoothloss
