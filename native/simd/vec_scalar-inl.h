// Vec and DoubleVec of one number each. They specify, bit for bit, every operation that a backend's vectors have.
// Include in a backend's unnamed namespace, after vec-inl.h.

struct Vec {
  using Real = float;
  static constexpr size_t kWidth = 1;  // a power of two, at most 16
  float v;
};
struct DoubleVec {
  using Real = double;
  static constexpr size_t kWidth = 1;
  double v;
  DoubleVec() = default;
  SMOOTHLOSS_INLINE DoubleVec(double x) : v(x) {}
};

SMOOTHLOSS_INLINE Vec set1(float x) { return {x}; }
SMOOTHLOSS_INLINE DoubleVec set1(double x) { return {x}; }

// Loads kWidth numbers and converts them. Double to float rounds to nearest.
SMOOTHLOSS_INLINE Vec load(As<Vec>, const float* p) { return {*p}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const double* p) { return {static_cast<float>(*p)}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const Half* p) { return {fromHalf(*p)}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const Bfloat16* p) { return {fromBfloat16(*p)}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const uint8_t* p) { return {static_cast<float>(*p)}; }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const float* p) { return {static_cast<double>(*p)}; }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const double* p) { return {*p}; }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const uint8_t* p) { return {static_cast<double>(*p)}; }
// Stores kWidth numbers. Half types round to nearest even, beyond their range to infinity; the only NaN is 0x7fc00000.
SMOOTHLOSS_INLINE void store(float* p, Vec a) { *p = a.v; }
SMOOTHLOSS_INLINE void store(Half* p, Vec a) { *p = toHalf(a.v); }
SMOOTHLOSS_INLINE void store(Bfloat16* p, Vec a) { *p = toBfloat16(a.v); }
SMOOTHLOSS_INLINE void store(double* p, DoubleVec a) { *p = a.v; }

// Sets the lanes from n on to `other`.
SMOOTHLOSS_INLINE Vec keepFirst(Vec a, size_t, float) { return a; }
SMOOTHLOSS_INLINE DoubleVec keepFirst(DoubleVec a, size_t, double) { return a; }
// Sets one lane to +0; none if the number is beyond the last lane.
SMOOTHLOSS_INLINE Vec dropLane(Vec a, size_t lane) { return {lane == 0 ? 0.0f : a.v}; }
SMOOTHLOSS_INLINE DoubleVec dropLane(DoubleVec a, size_t lane) { return {lane == 0 ? 0.0 : a.v}; }

// The rows of a microtile of products-inl.h, and how many vectors of columns it has: their sums shall fill the
// registers.
constexpr size_t kMicrotileRows = 4;
constexpr size_t kMicrotileVectors = 2;

constexpr bool kStreams = false;  // whether there are non-temporal stores: see streamPair

SMOOTHLOSS_INLINE Vec add(Vec a, Vec b) { return {a.v + b.v}; }
SMOOTHLOSS_INLINE Vec sub(Vec a, Vec b) { return {a.v - b.v}; }
SMOOTHLOSS_INLINE Vec mul(Vec a, Vec b) { return {a.v * b.v}; }
SMOOTHLOSS_INLINE Vec div(Vec a, Vec b) { return {a.v / b.v}; }
SMOOTHLOSS_INLINE DoubleVec add(DoubleVec a, DoubleVec b) { return {a.v + b.v}; }
SMOOTHLOSS_INLINE DoubleVec sub(DoubleVec a, DoubleVec b) { return {a.v - b.v}; }
SMOOTHLOSS_INLINE DoubleVec mul(DoubleVec a, DoubleVec b) { return {a.v * b.v}; }
SMOOTHLOSS_INLINE DoubleVec div(DoubleVec a, DoubleVec b) { return {a.v / b.v}; }
// a > b ? a : b, and a < b ? a : b: b where either is NaN.
SMOOTHLOSS_INLINE Vec max(Vec a, Vec b) { return {a.v > b.v ? a.v : b.v}; }
SMOOTHLOSS_INLINE Vec min(Vec a, Vec b) { return {a.v < b.v ? a.v : b.v}; }
SMOOTHLOSS_INLINE DoubleVec max(DoubleVec a, DoubleVec b) { return {a.v > b.v ? a.v : b.v}; }
SMOOTHLOSS_INLINE DoubleVec min(DoubleVec a, DoubleVec b) { return {a.v < b.v ? a.v : b.v}; }

// a·b + c. Of floats it rounds once. AArch64 has an instruction for that; the x86-64 baseline has none, and the C
// library's fmaf is slow. So doubles compute it: a·b is exact, the sum rounds once to 53 bits, and rounding that to
// float is right unless it lies exactly between two floats (lib/js/math.ts does the same). The bits that a float drops
// tell: comparing floats would be a branch that the CPU cannot predict.
#if defined(SMOOTHLOSS_ARM64) && !defined(_MSC_VER)
SMOOTHLOSS_INLINE Vec fma(Vec a, Vec b, Vec c) { return {__builtin_fmaf(a.v, b.v, c.v)}; }
#else
// `sum` may lie halfway between r and 2·sum − r. Then the error of the sum tells which of the two is nearer.
SMOOTHLOSS_COLD float roundHalfway(double product, double addend, double sum) {
  const float r = static_cast<float>(sum);
  const double mirrored = sum + (sum - static_cast<double>(r));
  const float other = static_cast<float>(mirrored);
  if (static_cast<double>(other) != mirrored || other == r) return r;
  const double added = sum - product;
  const double error = (product - (sum - added)) + (addend - added);
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
  const uint64_t bits = bitsOf(sum);
  const bool halfway = (bits & 0x1fffffff) == 0x10000000;
  const bool subnormal = (bits << 1 >> 53) < 1023 - 126;  // as a float: other bits are dropped
  if (halfway || subnormal) return {roundHalfway(product, addend, sum)};
  return {static_cast<float>(sum)};
}
// The steps of exp need no test for halfway: see exp32 in lib/js/math.ts, which does the same. Doubles near 1.5·2^49
// have the grid of floats near 1.5·2^20, and the same low bits, which are all that expResult reads.
template <size_t N>
SMOOTHLOSS_INLINE void expReduce(Vec (&x)[N], Vec (&sum)[N], Vec magic, Vec log2E, Vec minusHigh, Vec minusLow) {
  const double wideMagic = static_cast<double>(magic.v) + (0x1.8p49 - 0x1.8p20);
  for (size_t i = 0; i < N; ++i) {
    const double wide = static_cast<double>(x[i].v);
    const double wideSum = wide * static_cast<double>(log2E.v) + wideMagic;
    const double n = wideSum - wideMagic;
    x[i].v = static_cast<float>(wide + n * static_cast<double>(minusHigh.v) + n * static_cast<double>(minusLow.v));
    sum[i].v = fromBits(static_cast<uint32_t>(bitsOf(wideSum)));
  }
}
SMOOTHLOSS_INLINE Vec expFma(Vec a, Vec b, Vec c) {
  return {static_cast<float>(static_cast<double>(a.v) * static_cast<double>(b.v) + static_cast<double>(c.v))};
}
#endif
// Of doubles it rounds twice, since JavaScript has nothing more exact than double.
SMOOTHLOSS_INLINE DoubleVec fma(DoubleVec a, DoubleVec b, DoubleVec c) { return {a.v * b.v + c.v}; }

// |a|, and |a| with the sign of b.
SMOOTHLOSS_INLINE Vec abs(Vec a) { return {fromBits(bitsOf(a.v) & 0x7fffffffu)}; }
SMOOTHLOSS_INLINE DoubleVec abs(DoubleVec a) { return {fromBits(bitsOf(a.v) & ~(uint64_t{1} << 63))}; }
SMOOTHLOSS_INLINE Vec copySign(Vec a, Vec b) {
  return {fromBits((bitsOf(a.v) & 0x7fffffffu) | (bitsOf(b.v) & 0x80000000u))};
}
SMOOTHLOSS_INLINE DoubleVec copySign(DoubleVec a, DoubleVec b) {
  constexpr uint64_t kSign = uint64_t{1} << 63;
  return {fromBits((bitsOf(a.v) & ~kSign) | (bitsOf(b.v) & kSign))};
}

// a > b ? x : y, and a == b ? x : y.
SMOOTHLOSS_INLINE Vec whereGreater(Vec a, Vec b, Vec x, Vec y) { return {a.v > b.v ? x.v : y.v}; }
SMOOTHLOSS_INLINE DoubleVec whereGreater(DoubleVec a, DoubleVec b, DoubleVec x, DoubleVec y) {
  return {whereGreater(a.v, b.v, x.v, y.v)};
}
SMOOTHLOSS_INLINE Vec whereEqual(Vec a, Vec b, Vec x, Vec y) { return {a.v == b.v ? x.v : y.v}; }
SMOOTHLOSS_INLINE DoubleVec whereEqual(DoubleVec a, DoubleVec b, DoubleVec x, DoubleVec y) {
  return {a.v == b.v ? x.v : y.v};
}
// a, but +0 where x is zero.
SMOOTHLOSS_INLINE Vec zeroWhereZero(Vec a, Vec x) { return {x.v == 0.0f ? 0.0f : a.v}; }
SMOOTHLOSS_INLINE DoubleVec zeroWhereZero(DoubleVec a, DoubleVec x) { return {x.v == 0.0 ? 0.0 : a.v}; }

// The last step of exp: p · power + power, rounded once. In each lane of `sum`, the lowest three bits are i and the
// next eight are b: power is table[i] · 2^(b − 127), for table[i] in [1, 2), and 0 for b = 0. For lower sums see
// expArgument.
SMOOTHLOSS_INLINE Vec expResult(const float (&table)[8], Vec p, Vec sum) {
  const float power = table[bitsOf(sum.v) & 7] * fromBits(bitsOf(sum.v) << 20 & 0x7f800000u);
  return expFma(p, Vec{power}, Vec{power});
}
// 2^(b − 127) and 2^(b − 1023), 0 for b = 0, where b is the lowest 8 or 11 bits of each lane and the bits above are 0.
SMOOTHLOSS_INLINE Vec powerOfTwo(Vec a) { return {fromBits(bitsOf(a.v) << 23)}; }
SMOOTHLOSS_INLINE DoubleVec powerOfTwo(DoubleVec a) { return {powerOfTwo(a.v)}; }
// Returns k of x = m · 2^k with m in [√½, √2), for normal x > 0; for other x some number.
SMOOTHLOSS_INLINE Vec splitExponent(Vec x, Vec& m) {
  const uint32_t biased = (bitsOf(x.v) + (0x3f800000u - kSqrtHalfBits)) >> 23;
  m.v = fromBits(bitsOf(x.v) - (biased << 23) + 0x3f800000u);
  return {static_cast<float>(static_cast<int32_t>(biased) - 127)};
}
SMOOTHLOSS_INLINE DoubleVec splitExponent(DoubleVec x, DoubleVec& m) { return {splitExponent(x.v, m.v)}; }

// Prefetches the kLanes numbers that begin `ahead` bytes after p, which need not exist, if the CPU takes such hints.
// (x86-64 fetches to the second-level cache: rows longer than the first level took up to 7 % longer with that one.)
template <typename T>
SMOOTHLOSS_INLINE void prefetch(const T*, size_t) {}

// Prefetches a line that will be written.
SMOOTHLOSS_INLINE void prefetchLine(const void*) {}

// Interleaves the lanes, a0 b0 a1 b1 …: a becomes the first half of them, b the second.
SMOOTHLOSS_INLINE void zip(Vec&, Vec&) {}
SMOOTHLOSS_INLINE void zip(DoubleVec&, DoubleVec&) {}

// The largest lane; none is NaN.
SMOOTHLOSS_INLINE float maxLane(Vec a) { return a.v; }
SMOOTHLOSS_INLINE double maxLane(DoubleVec a) { return a.v; }
