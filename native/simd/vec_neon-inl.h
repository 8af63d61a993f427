// Vec and DoubleVec over NEON: four floats, two doubles. Include in a backend's unnamed namespace, after vec-inl.h.
// The operations are documented in vec_scalar-inl.h.

struct Vec {
  using Real = float;
  static constexpr size_t kWidth = 4;
  float32x4_t v;
};
struct DoubleVec {
  using Real = double;
  static constexpr size_t kWidth = 2;
  float64x2_t v;
  DoubleVec() = default;
  SMOOTHLOSS_INLINE DoubleVec(float64x2_t x) : v(x) {}
  SMOOTHLOSS_INLINE DoubleVec(double x) : v(vdupq_n_f64(x)) {}
};

SMOOTHLOSS_INLINE Vec set1(float x) { return {vdupq_n_f32(x)}; }
SMOOTHLOSS_INLINE DoubleVec set1(double x) { return {x}; }

SMOOTHLOSS_INLINE Vec load(As<Vec>, const float* p) { return {vld1q_f32(p)}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const double* p) {
  return {vcombine_f32(vcvt_f32_f64(vld1q_f64(p)), vcvt_f32_f64(vld1q_f64(p + 2)))};
}
SMOOTHLOSS_INLINE uint16x4_t load16(const void* p) { return vld1_u16(static_cast<const uint16_t*>(p)); }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const Half* p) { return {vcvt_f32_f16(vreinterpret_f16_u16(load16(p)))}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const Bfloat16* p) { return {vreinterpretq_f32_u32(vshll_n_u16(load16(p), 16))}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const uint8_t* p) {
  const float numbers[4] = {static_cast<float>(p[0]), static_cast<float>(p[1]), static_cast<float>(p[2]),
                            static_cast<float>(p[3])};
  return {vld1q_f32(numbers)};
}
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const float* p) { return {vcvt_f64_f32(vld1_f32(p))}; }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const double* p) { return {vld1q_f64(p)}; }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const uint8_t* p) {
  const double numbers[2] = {static_cast<double>(p[0]), static_cast<double>(p[1])};
  return {vld1q_f64(numbers)};
}

SMOOTHLOSS_INLINE void store(float* p, Vec a) { vst1q_f32(p, a.v); }
SMOOTHLOSS_INLINE void store(Half* p, Vec a) {
  vst1_u16(reinterpret_cast<uint16_t*>(p), vreinterpret_u16_f16(vcvt_f16_f32(a.v)));
}
SMOOTHLOSS_INLINE void store(Bfloat16* p, Vec a) {
  const uint32x4_t bits = vreinterpretq_u32_f32(a.v);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  vst1_u16(reinterpret_cast<uint16_t*>(p), vshrn_n_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff))), 16));
}
SMOOTHLOSS_INLINE void store(double* p, DoubleVec a) { vst1q_f64(p, a.v); }

SMOOTHLOSS_INLINE uint32x4_t laneNumbers() {
  const uint32_t numbers[4] = {0, 1, 2, 3};
  return vld1q_u32(numbers);
}
SMOOTHLOSS_INLINE uint64x2_t doubleNumbers() {
  const uint64_t numbers[2] = {0, 1};
  return vld1q_u64(numbers);
}
SMOOTHLOSS_INLINE Vec keepFirst(Vec a, size_t n, float other) {
  const uint32x4_t first = vcltq_u32(laneNumbers(), vdupq_n_u32(static_cast<uint32_t>(n)));
  return {vbslq_f32(first, a.v, vdupq_n_f32(other))};
}
SMOOTHLOSS_INLINE DoubleVec keepFirst(DoubleVec a, size_t n, double other) {
  return {vbslq_f64(vcltq_u64(doubleNumbers(), vdupq_n_u64(n)), a.v, vdupq_n_f64(other))};
}
SMOOTHLOSS_INLINE Vec clearWhere(uint32x4_t mask, Vec a) {
  return {vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a.v), mask))};
}
SMOOTHLOSS_INLINE DoubleVec clearWhere(uint64x2_t mask, DoubleVec a) {
  return {vreinterpretq_f64_u64(vbicq_u64(vreinterpretq_u64_f64(a.v), mask))};
}
SMOOTHLOSS_INLINE Vec dropLane(Vec a, size_t lane) {
  return clearWhere(vceqq_u32(laneNumbers(), vdupq_n_u32(static_cast<uint32_t>(lane))), a);
}
SMOOTHLOSS_INLINE DoubleVec dropLane(DoubleVec a, size_t lane) {
  return clearWhere(vceqq_u64(doubleNumbers(), vdupq_n_u64(lane)), a);
}

constexpr size_t kMicrotileRows = 6;
constexpr size_t kMicrotileVectors = 4;

constexpr bool kStreams = false;  // these CPUs detect by themselves that whole lines are written

SMOOTHLOSS_INLINE Vec add(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec sub(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec mul(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec div(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
// Hides that b is a constant: clang would use fmaxnm, which does not ignore signalling NaN.
template <typename V>
SMOOTHLOSS_INLINE void hideConstant(V& b) {
#if defined(__GNUC__)
  __asm__("" : "+w"(b.v));
#else
  static_cast<void>(b);
#endif
}
SMOOTHLOSS_INLINE Vec max(Vec a, Vec b) {
  hideConstant(b);
  return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)};
}
SMOOTHLOSS_INLINE Vec min(Vec a, Vec b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec add(DoubleVec a, DoubleVec b) { return {vaddq_f64(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec sub(DoubleVec a, DoubleVec b) { return {vsubq_f64(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec mul(DoubleVec a, DoubleVec b) { return {vmulq_f64(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec div(DoubleVec a, DoubleVec b) { return {vdivq_f64(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec fma(DoubleVec a, DoubleVec b, DoubleVec c) { return add(mul(a, b), c); }
SMOOTHLOSS_INLINE DoubleVec max(DoubleVec a, DoubleVec b) {
  hideConstant(b);
  return {vbslq_f64(vcgtq_f64(a.v, b.v), a.v, b.v)};
}
SMOOTHLOSS_INLINE DoubleVec min(DoubleVec a, DoubleVec b) { return {vbslq_f64(vcltq_f64(a.v, b.v), a.v, b.v)}; }

SMOOTHLOSS_INLINE Vec abs(Vec a) { return {vabsq_f32(a.v)}; }
SMOOTHLOSS_INLINE DoubleVec abs(DoubleVec a) { return {vabsq_f64(a.v)}; }
SMOOTHLOSS_INLINE Vec copySign(Vec a, Vec b) { return {vbslq_f32(vdupq_n_u32(0x80000000), b.v, a.v)}; }
SMOOTHLOSS_INLINE DoubleVec copySign(DoubleVec a, DoubleVec b) {
  return {vbslq_f64(vdupq_n_u64(uint64_t{1} << 63), b.v, a.v)};
}

SMOOTHLOSS_INLINE Vec whereGreater(Vec a, Vec b, Vec x, Vec y) { return {vbslq_f32(vcgtq_f32(a.v, b.v), x.v, y.v)}; }
SMOOTHLOSS_INLINE DoubleVec whereGreater(DoubleVec a, DoubleVec b, DoubleVec x, DoubleVec y) {
  return {vbslq_f64(vcgtq_f64(a.v, b.v), x.v, y.v)};
}
SMOOTHLOSS_INLINE Vec whereEqual(Vec a, Vec b, Vec x, Vec y) { return {vbslq_f32(vceqq_f32(a.v, b.v), x.v, y.v)}; }
SMOOTHLOSS_INLINE DoubleVec whereEqual(DoubleVec a, DoubleVec b, DoubleVec x, DoubleVec y) {
  return {vbslq_f64(vceqq_f64(a.v, b.v), x.v, y.v)};
}
SMOOTHLOSS_INLINE Vec zeroWhereZero(Vec a, Vec x) { return clearWhere(vceqzq_f32(x.v), a); }
SMOOTHLOSS_INLINE DoubleVec zeroWhereZero(DoubleVec a, DoubleVec x) { return clearWhere(vceqzq_f64(x.v), a); }

SMOOTHLOSS_INLINE Vec expResult(const float (&table)[8], Vec p, Vec sum) {
  const uint32x4_t bits = vreinterpretq_u32_f32(sum.v);
  const uint8x16x2_t bytes = {{vreinterpretq_u8_f32(vld1q_f32(table)), vreinterpretq_u8_f32(vld1q_f32(table + 4))}};
  // The four bytes of entry i are 4i to 4i + 3.
  const uint32x4_t entry = vandq_u32(bits, vdupq_n_u32(7));
  const uint32x4_t byte = vmlaq_n_u32(vdupq_n_u32(0x03020100), entry, 0x04040404);
  const float32x4_t fraction = vreinterpretq_f32_u8(vqtbl2q_u8(bytes, vreinterpretq_u8_u32(byte)));
  const uint32x4_t exponent = vandq_u32(vshlq_n_u32(bits, 20), vdupq_n_u32(0x7f800000));
  const Vec power = {vmulq_f32(fraction, vreinterpretq_f32_u32(exponent))};
  return fma(p, power, power);
}
SMOOTHLOSS_INLINE Vec powerOfTwo(Vec a) { return {vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(a.v), 23))}; }
SMOOTHLOSS_INLINE DoubleVec powerOfTwo(DoubleVec a) {
  return {vreinterpretq_f64_u64(vshlq_n_u64(vreinterpretq_u64_f64(a.v), 52))};
}
SMOOTHLOSS_INLINE Vec splitExponent(Vec x, Vec& m) {
  const uint32x4_t bits = vreinterpretq_u32_f32(x.v);
  const uint32x4_t biased = vshrq_n_u32(vaddq_u32(bits, vdupq_n_u32(0x3f800000u - kSqrtHalfBits)), 23);
  m.v = vreinterpretq_f32_u32(vaddq_u32(vsubq_u32(bits, vshlq_n_u32(biased, 23)), vdupq_n_u32(0x3f800000u)));
  return {vcvtq_f32_s32(vsubq_s32(vreinterpretq_s32_u32(biased), vdupq_n_s32(127)))};
}
SMOOTHLOSS_INLINE DoubleVec splitExponent(DoubleVec x, DoubleVec& m) {
  constexpr uint64_t kOne = 0x3ff0000000000000u;
  const uint64x2_t bits = vreinterpretq_u64_f64(x.v);
  const uint64x2_t biased = vshrq_n_u64(vaddq_u64(bits, vdupq_n_u64(kOne - kSqrtHalfBitsDouble)), 52);
  m.v = vreinterpretq_f64_u64(vaddq_u64(vsubq_u64(bits, vshlq_n_u64(biased, 52)), vdupq_n_u64(kOne)));
  return {vcvtq_f64_s64(vsubq_s64(vreinterpretq_s64_u64(biased), vdupq_n_s64(1023)))};
}

SMOOTHLOSS_INLINE void prefetchLine(const void* p) {
#if defined(_MSC_VER) && !defined(__clang__)
  __prefetch(p);
#else
  __builtin_prefetch(p);
#endif
}
template <typename T>
SMOOTHLOSS_INLINE void prefetch(const T* p, size_t ahead) {
  const char* line = reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(p) + ahead);
  for (size_t i = 0; i < kLanes * sizeof(T); i += 64) prefetchLine(line + i);
}

SMOOTHLOSS_INLINE void zip(Vec& a, Vec& b) {
  const float32x4_t first = vzip1q_f32(a.v, b.v);
  b.v = vzip2q_f32(a.v, b.v);
  a.v = first;
}
SMOOTHLOSS_INLINE void zip(DoubleVec& a, DoubleVec& b) {
  const float64x2_t first = vzip1q_f64(a.v, b.v);
  b.v = vzip2q_f64(a.v, b.v);
  a.v = first;
}

SMOOTHLOSS_INLINE float maxLane(Vec a) { return vmaxvq_f32(a.v); }
SMOOTHLOSS_INLINE double maxLane(DoubleVec a) { return vmaxvq_f64(a.v); }
SMOOTHLOSS_INLINE double sumLanes(const Vec (&lanes)[8]) {
  const float32x4_t low = vaddq_f32(vaddq_f32(lanes[0].v, lanes[4].v), vaddq_f32(lanes[2].v, lanes[6].v));
  const float32x4_t high = vaddq_f32(vaddq_f32(lanes[1].v, lanes[5].v), vaddq_f32(lanes[3].v, lanes[7].v));
  const float64x2_t first = vaddq_f64(vcvt_f64_f32(vget_low_f32(low)), vcvt_f64_f32(vget_low_f32(high)));
  const float64x2_t second = vaddq_f64(vcvt_f64_f32(vget_high_f32(low)), vcvt_f64_f32(vget_high_f32(high)));
  const float64x2_t two = vaddq_f64(first, second);
  return vgetq_lane_f64(two, 0) + vgetq_lane_f64(two, 1);
}
