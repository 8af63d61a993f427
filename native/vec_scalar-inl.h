// Vec over one float, and the meaning of every operation that a Vec must offer, bit for bit.
// Include in a backend's unnamed namespace.

struct Vec {
  static constexpr size_t kWidth = 1;  // a power of two, at most kLanes
  float v;
};

SMOOTHLOSS_INLINE Vec set1(float x) { return {x}; }
SMOOTHLOSS_INLINE Vec load(const float* p) { return {*p}; }
SMOOTHLOSS_INLINE void store(float* p, Vec a) { *p = a.v; }

// The first n lanes of memory, n ≥ 1, all if n ≥ kWidth, and no byte beyond them; what other lanes load is unspecified.
SMOOTHLOSS_INLINE Vec loadFirst(const float* p, size_t) { return {*p}; }
SMOOTHLOSS_INLINE void storeFirst(float* p, Vec a, size_t) { *p = a.v; }

// Lanes from n on become `other`.
SMOOTHLOSS_INLINE Vec keepFirst(Vec a, size_t, float) { return a; }
// The one lane becomes +0; a number beyond the last lane drops none.
SMOOTHLOSS_INLINE Vec dropLane(Vec a, size_t lane) { return {lane == 0 ? 0.0f : a.v}; }

SMOOTHLOSS_INLINE Vec add(Vec a, Vec b) { return {a.v + b.v}; }
SMOOTHLOSS_INLINE Vec sub(Vec a, Vec b) { return {a.v - b.v}; }
SMOOTHLOSS_INLINE Vec mul(Vec a, Vec b) { return {a.v * b.v}; }
// a > b ? a : b, so b where either is NaN.
SMOOTHLOSS_INLINE Vec max(Vec a, Vec b) { return {a.v > b.v ? a.v : b.v}; }

// a·b + c with one rounding. AArch64 has the instruction. The x86-64 baseline does not, and calling the C library's
// fmaf for each element is slow, so it is made from doubles: a·b is exact, the sum rounds once to 53 bits, and rounding
// that to float is right unless it lies exactly between two floats (lib/js/math.ts does the same). The test for that
// looks at the bits a float drops: comparing floats would be a branch that the CPU cannot predict.
#if defined(SMOOTHLOSS_ARM64) && !defined(_MSC_VER)
SMOOTHLOSS_INLINE Vec fma(Vec a, Vec b, Vec c) { return {__builtin_fmaf(a.v, b.v, c.v)}; }
#else
// 2·sum − r is the other float that sum may lie between; the error of sum tells which of the two is nearer.
SMOOTHLOSS_NOINLINE float roundHalfway(double product, double addend, double sum) {
  const float r = static_cast<float>(sum);
  const double mirrored = sum + (sum - static_cast<double>(r));
  const float other = static_cast<float>(mirrored);
  if (static_cast<double>(other) != mirrored || other == r) return r;
  const double part = sum - product;
  const double error = (product - (sum - part)) + (addend - part);
  if (error == 0.0) return r;
  if (r - r != 0.0f) {  // rounded to infinity: halfway to it, the error can still bring the result back
    const bool halfway = sum == 0x1.ffffffp127 || sum == -0x1.ffffffp127;
    if (!halfway || (error > 0.0) == (r > 0.0f)) return r;
    return r > 0.0f ? 0x1.fffffep127f : -0x1.fffffep127f;
  }
  return (error > 0.0) == (r > other) ? r : other;
}
SMOOTHLOSS_INLINE Vec fma(Vec a, Vec b, Vec c) {
  const double product = static_cast<double>(a.v) * static_cast<double>(b.v);
  const double addend = static_cast<double>(c.v);
  const double sum = product + addend;
  uint64_t bits;
  std::memcpy(&bits, &sum, sizeof bits);
  const bool halfway = (bits & 0x1fffffff) == 0x10000000;
  const bool subnormal = (bits << 1 >> 53) < 1023 - 126;  // as a float: other bits are dropped
  if (halfway || subnormal) return {roundHalfway(product, addend, sum)};
  return {static_cast<float>(sum)};
}
#endif

// a, but +0 where x is zero.
SMOOTHLOSS_INLINE Vec zeroWhereZero(Vec a, Vec x) { return {x.v == 0.0f ? 0.0f : a.v}; }
SMOOTHLOSS_INLINE uint32_t bitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
// The entry that the lowest three bits of each lane tell.
SMOOTHLOSS_INLINE Vec lookup(const float (&table)[8], Vec index) { return {table[bitsOf(index.v) & 7]}; }
// The float 2^(b − 127), 0 for b = 0, from bits 3 to 10 of each lane, b.
SMOOTHLOSS_INLINE Vec exponent(Vec a) {
  const uint32_t bits = bitsOf(a.v) << 20 & 0x7f800000;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return {result};
}

// Asks for the kLanes floats `ahead` bytes beyond p, if the CPU takes such hints. There need not be any.
SMOOTHLOSS_INLINE void prefetch(const float*, size_t) {}

// The largest lane; none is NaN.
SMOOTHLOSS_INLINE float maxLane(Vec a) { return a.v; }
// Σ of the kLanes virtual lanes through one fixed tree: 32 → 8 in float, 8 → 1 in double, halves onto each other.
SMOOTHLOSS_INLINE double sumLanes(const Vec (&lanes)[32]) {
  double eight[8];
  for (size_t i = 0; i < 8; ++i) {
    eight[i] = static_cast<double>((lanes[i].v + lanes[i + 16].v) + (lanes[i + 8].v + lanes[i + 24].v));
  }
  double four[4];
  for (size_t i = 0; i < 4; ++i) four[i] = eight[i] + eight[i + 4];
  return (four[0] + four[2]) + (four[1] + four[3]);
}
