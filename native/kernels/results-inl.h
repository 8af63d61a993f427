// What a kernel reads and writes for a row: the numbers of rows, the elements of gradients and the results. It keeps
// all of them within range and of one kind of NaN. Include after across_rows-inl.h, in a backend's unnamed namespace.

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The number at the index, or `otherwise` where there is no array.
template <typename Real>
SMOOTHLOSS_INLINE double numberOf(const void* numbers, size_t index, double otherwise) {
  return numbers ? toDouble(static_cast<const Real*>(numbers)[index]) : otherwise;
}

// Gradients beyond the range of float become its largest number: infinity times a probability of 0 would be NaN, of a
// kind that depends on the CPU. Gradients in double stop at 2^1023, so that times an exponential up to 2^½ they stay
// finite.
template <typename Real>
constexpr double kLargestGradient =
    sizeof(Real) == sizeof(double) ? 0x1p1023 : static_cast<double>(std::numeric_limits<Real>::max());
template <typename Real>
SMOOTHLOSS_INLINE Real toReal(double x) {
  constexpr double kLargest = kLargestGradient<Real>;
  if (x != x) return std::numeric_limits<Real>::quiet_NaN();
  return static_cast<Real>(x > kLargest ? kLargest : x < -kLargest ? -kLargest : x);
}
// Whether a factor of this size is deferred. Float cannot hold it, though it may hold the gradient, which is less: so
// the gradient is computed without the factor, then multiplied by it in double, and bounded by put or toReal.
template <typename Real>
SMOOTHLOSS_INLINE bool isDeferred(double size) {
  return sizeof(Real) == sizeof(float) && size > kLargestGradient<float>;
}
SMOOTHLOSS_INLINE double magnitude(double x) { return x < 0.0 ? -x : x; }

// Writes an element of a gradient.
SMOOTHLOSS_INLINE void put(float* p, double x) { *p = toReal<float>(x); }
SMOOTHLOSS_INLINE void put(double* p, double x) { *p = toReal<double>(x); }
SMOOTHLOSS_INLINE void put(Half* p, double x) { *p = toHalf(toReal<float>(x)); }
SMOOTHLOSS_INLINE void put(Bfloat16* p, double x) { *p = toBfloat16(toReal<float>(x)); }

// All NaN become one kind of NaN, since CPUs make different ones.
template <typename V>
SMOOTHLOSS_INLINE V oneNaN(V a) {
  return whereEqual(a, a, a, set1(std::numeric_limits<typename V::Real>::quiet_NaN()));
}
SMOOTHLOSS_INLINE double oneNaN(double x) { return x == x ? x : kNaN; }

// Writes a number of a row, unless `results` is null: it was not asked for.
template <typename Real>
SMOOTHLOSS_INLINE void putResult(void* results, size_t row, double x) {
  if (results == nullptr) return;
  static_cast<Real*>(results)[row] = x == x ? static_cast<Real>(x) : std::numeric_limits<Real>::quiet_NaN();
}

// weight · loss. A weight of 0 makes 0 of an infinite loss too, but not of NaN.
SMOOTHLOSS_INLINE double weigh(double weight, double loss) {
  return weight == 0.0 && loss == loss ? 0.0 : oneNaN(weight * loss);
}

// Bounds a factor, so that times 0 it is 0. No gradient needs larger ones.
SMOOTHLOSS_INLINE double bounded(double factor) { return factor > 1e300 ? 1e300 : factor < -1e300 ? -1e300 : factor; }

// The upstream gradient of a row, by which its own is multiplied.
template <typename Real>
SMOOTHLOSS_INLINE double upstreamOf(const Batch& batch, size_t row) {
  return bounded(batch.gradientScale * numberOf<Real>(batch.rowWeight, row, 1.0) *
                 numberOf<Real>(batch.gradientScales, row, 1.0));
}
