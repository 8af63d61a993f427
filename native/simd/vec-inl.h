// What all backends share beside their vectors: bits, half types, and operations that are made of a vector's own.
// Include in a backend's unnamed namespace, before its vec_*-inl.h.

constexpr size_t kLanes = 32;

// A type as an argument, such as that of the vector that a load returns.
template <typename T>
struct As {
  using Type = T;
};

SMOOTHLOSS_INLINE uint32_t bitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
SMOOTHLOSS_INLINE uint64_t bitsOf(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
SMOOTHLOSS_INLINE float fromBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
SMOOTHLOSS_INLINE double fromBits(uint64_t bits) {
  double x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

constexpr uint32_t kSqrtHalfBits = 0x3f3504f3;  // √½
constexpr uint64_t kSqrtHalfBitsDouble = 0x3fe6a09e667f3bcd;

// DoubleVec's operations for one double: see vec_scalar-inl.h.
SMOOTHLOSS_INLINE double load(As<double>, const double* p) { return *p; }
SMOOTHLOSS_INLINE void store(double* p, double a) { *p = a; }
SMOOTHLOSS_INLINE double whereGreater(double a, double b, double x, double y) { return a > b ? x : y; }
SMOOTHLOSS_INLINE double zeroWhereZero(double a, double x) { return x == 0.0 ? 0.0 : a; }
SMOOTHLOSS_INLINE double powerOfTwo(double a) { return fromBits(bitsOf(a) << 52); }
SMOOTHLOSS_INLINE double splitExponent(double x, double& m) {
  const uint64_t biased = (bitsOf(x) + (0x3ff0000000000000u - kSqrtHalfBitsDouble)) >> 52;
  m = fromBits(bitsOf(x) - (biased << 52) + 0x3ff0000000000000u);
  return static_cast<double>(static_cast<int64_t>(biased) - 1023);
}

SMOOTHLOSS_INLINE float fromBfloat16(Bfloat16 x) { return fromBits(uint32_t{x.bits} << 16); }
SMOOTHLOSS_INLINE float fromHalf(Half x) {
  const uint32_t sign = (x.bits & 0x8000u) << 16;
  const uint32_t rest = (x.bits & 0x7fffu) << 13;
  // The exponents' biases differ by 112: times 2^112, which is exact, and right for subnormals too.
  const float magnitude = (x.bits & 0x7c00u) == 0x7c00u ? fromBits(rest | 0x7f800000u) : fromBits(rest) * 0x1p112f;
  return fromBits(bitsOf(magnitude) | sign);
}
SMOOTHLOSS_INLINE Bfloat16 toBfloat16(float x) {
  const uint32_t bits = bitsOf(x);
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16)};
}
SMOOTHLOSS_INLINE Half toHalf(float x) {
  const uint32_t sign = bitsOf(x) >> 16 & 0x8000u;
  const uint32_t bits = bitsOf(x) & 0x7fffffffu;
  uint32_t half;
  if (bits > 0x7f800000u) {
    half = 0x7e00u;  // NaN
  } else if (bits >= 0x477ff000u) {
    half = 0x7c00u;  // from halfway between the largest and the next
  } else if (bits < 0x38800000u) {
    half = bitsOf(fromBits(bits) + 0.5f) - bitsOf(0.5f);  // subnormal: floats in [½, 1) have the same spacing, 2^−24
  } else {
    half = (bits + 0xfffu + (bits >> 13 & 1) - (112u << 23)) >> 13;
  }
  return {static_cast<uint16_t>(sign | half)};
}

SMOOTHLOSS_INLINE double toDouble(float x) { return static_cast<double>(x); }
SMOOTHLOSS_INLINE double toDouble(double x) { return x; }
SMOOTHLOSS_INLINE double toDouble(uint8_t x) { return static_cast<double>(x); }
SMOOTHLOSS_INLINE double toDouble(Half x) { return static_cast<double>(fromHalf(x)); }
SMOOTHLOSS_INLINE double toDouble(Bfloat16 x) { return static_cast<double>(fromBfloat16(x)); }

// Loads or stores the first n ≥ 1 lanes, all if n ≥ kWidth, and touches no byte beyond them. Other lanes of a load are
// unspecified.
template <typename V, typename T>
SMOOTHLOSS_INLINE V loadFirst(As<V> as, const T* p, size_t n) {
  if (n >= V::kWidth) return load(as, p);
  T few[V::kWidth] = {};
  for (size_t i = 0; i < n; ++i) few[i] = p[i];
  return load(as, few);
}
template <typename V, typename T>
SMOOTHLOSS_INLINE void storeFirst(T* p, V a, size_t n) {
  if (n >= V::kWidth) return store(p, a);
  T few[V::kWidth];
  store(few, a);
  for (size_t i = 0; i < n; ++i) p[i] = few[i];
}

// The argument of exp: x, but not below the floor, where exp returns 0. A backend whose exp returns 0 for all lower x
// needs no floor.
template <typename V>
SMOOTHLOSS_INLINE V expArgument(V x, V floor) {
  return max(floor, x);
}

// The reduction in exp: sum = x · log2E + magic, and x ← x − n · (high + low) with n = sum − magic. A backend without
// an fma instruction has faster ways to the same bits, for this and for expFma.
template <typename V, size_t N>
SMOOTHLOSS_INLINE void expReduce(V (&x)[N], V (&sum)[N], V magic, V log2E, V minusHigh, V minusLow) {
  for (size_t i = 0; i < N; ++i) sum[i] = fma(x[i], log2E, magic);
  for (size_t i = 0; i < N; ++i) x[i] = fma(sub(sum[i], magic), minusHigh, x[i]);
  for (size_t i = 0; i < N; ++i) x[i] = fma(sub(sum[i], magic), minusLow, x[i]);
}
// fma in the polynomial of exp and in expResult.
template <typename V>
SMOOTHLOSS_INLINE V expFma(V a, V b, V c) {
  return fma(a, b, c);
}

constexpr float kRoundToEighth = 0x1.8p20f;  // 1.5·2^20: the float grid here has spacing 1/8

// Stores two neighbouring vectors; a backend may have a faster way for a type.
template <typename V, typename T>
SMOOTHLOSS_INLINE void storePair(T* p, V a, V b) {
  store(p, a);
  store(p + V::kWidth, b);
}

constexpr size_t kLineBytes = 64;

// Backends with kStreams have non-temporal stores, which spare the CPU reading memory before it is overwritten:
// `stream`, of whole vectors to memory aligned to their size, or for a type only streamPair; and endStream.
template <typename V, typename T>
SMOOTHLOSS_INLINE void streamPair(T* p, V a, V b) {
  stream(p, a);
  stream(p + V::kWidth, b);
}

// Transposes kWidth vectors: vector i gets lane i of each. Zipping the two halves log2(kWidth) times does that.
template <size_t kTimes, typename V, size_t... J>
SMOOTHLOSS_INLINE void zipHalves(V (&v)[sizeof...(J)], std::index_sequence<J...> each) {
  constexpr size_t kHalf = sizeof...(J) / 2;
  if constexpr (kTimes > 0) {
    ((J < kHalf ? zip(v[J % kHalf], v[kHalf + J % kHalf]) : void()), ...);
    const V zipped[] = {v[J % 2 * kHalf + J / 2]...};
    ((v[J] = zipped[J]), ...);
    zipHalves<kTimes / 2>(v, each);
  }
}
template <typename V>
SMOOTHLOSS_INLINE void transpose(V (&v)[V::kWidth]) {
  zipHalves<V::kWidth / 2>(v, std::make_index_sequence<V::kWidth>());
}

// Σ of the kLanes numbers in vectors, through one fixed tree: 32 → 8 in their own type, then 8 → 1 in double. Each
// level adds the upper half to the lower.
template <typename V, size_t kVecs>
SMOOTHLOSS_INLINE double sumLanes(const V (&lanes)[kVecs]) {
  constexpr size_t kEight = kVecs / 4;  // vectors of eight lanes
  typename V::Real eight[8];
  for (size_t i = 0; i < kEight; ++i) {
    store(eight + i * V::kWidth,
          add(add(lanes[i], lanes[i + 2 * kEight]), add(lanes[i + kEight], lanes[i + 3 * kEight])));
  }
  double four[4];
  for (size_t i = 0; i < 4; ++i) four[i] = toDouble(eight[i]) + toDouble(eight[i + 4]);
  return (four[0] + four[2]) + (four[1] + four[3]);
}
