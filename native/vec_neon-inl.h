// Vec over NEON: four floats. Include in a backend's unnamed namespace.
// The operations are documented in vec_scalar-inl.h.

struct Vec {
  static constexpr size_t kWidth = 4;
  float32x4_t v;
};

SMOOTHLOSS_INLINE Vec set1(float x) { return {vdupq_n_f32(x)}; }
SMOOTHLOSS_INLINE Vec load(const float* p) { return {vld1q_f32(p)}; }
SMOOTHLOSS_INLINE void store(float* p, Vec a) { vst1q_f32(p, a.v); }

SMOOTHLOSS_INLINE uint32x4_t laneNumbers() {
  const uint32_t numbers[4] = {0, 1, 2, 3};
  return vld1q_u32(numbers);
}
SMOOTHLOSS_INLINE uint32x4_t firstLanes(size_t n) {
  return vcltq_u32(laneNumbers(), vdupq_n_u32(static_cast<uint32_t>(n)));
}
SMOOTHLOSS_INLINE Vec loadFirst(const float* p, size_t n) {
  float lanes[4] = {0, 0, 0, 0};
  for (size_t i = 0; i < 4 && i < n; ++i) lanes[i] = p[i];
  return {vld1q_f32(lanes)};
}
SMOOTHLOSS_INLINE void storeFirst(float* p, Vec a, size_t n) {
  float lanes[4];
  vst1q_f32(lanes, a.v);
  for (size_t i = 0; i < 4 && i < n; ++i) p[i] = lanes[i];
}

SMOOTHLOSS_INLINE Vec keepFirst(Vec a, size_t n, float other) {
  return {vbslq_f32(firstLanes(n), a.v, vdupq_n_f32(other))};
}
SMOOTHLOSS_INLINE Vec clearWhere(uint32x4_t mask, Vec a) {
  return {vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a.v), mask))};
}
SMOOTHLOSS_INLINE Vec dropLane(Vec a, size_t lane) {
  return clearWhere(vceqq_u32(laneNumbers(), vdupq_n_u32(static_cast<uint32_t>(lane))), a);
}

SMOOTHLOSS_INLINE Vec add(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec sub(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec mul(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec max(Vec a, Vec b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }

SMOOTHLOSS_INLINE Vec zeroWhereZero(Vec a, Vec x) { return clearWhere(vceqzq_f32(x.v), a); }
SMOOTHLOSS_INLINE Vec lookup(const float (&table)[8], Vec index) {
  const uint8x16x2_t bytes = {{vreinterpretq_u8_f32(vld1q_f32(table)), vreinterpretq_u8_f32(vld1q_f32(table + 4))}};
  // The four bytes of entry i are 4i to 4i + 3.
  const uint32x4_t entry = vandq_u32(vreinterpretq_u32_f32(index.v), vdupq_n_u32(7));
  const uint32x4_t byte = vmlaq_n_u32(vdupq_n_u32(0x03020100), entry, 0x04040404);
  return {vreinterpretq_f32_u8(vqtbl2q_u8(bytes, vreinterpretq_u8_u32(byte)))};
}
SMOOTHLOSS_INLINE Vec exponent(Vec a) {
  const uint32x4_t shifted = vshlq_n_u32(vreinterpretq_u32_f32(a.v), 20);
  return {vreinterpretq_f32_u32(vandq_u32(shifted, vdupq_n_u32(0x7f800000)))};
}

SMOOTHLOSS_INLINE void prefetch(const float* p, size_t ahead) {
  const char* line = reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(p) + ahead);
#if defined(_MSC_VER) && !defined(__clang__)
  __prefetch(line);
  __prefetch(line + 64);
#else
  __builtin_prefetch(line);
  __builtin_prefetch(line + 64);
#endif
}

SMOOTHLOSS_INLINE float maxLane(Vec a) { return vmaxvq_f32(a.v); }
SMOOTHLOSS_INLINE double sumLanes(const Vec (&lanes)[8]) {
  const float32x4_t low = vaddq_f32(vaddq_f32(lanes[0].v, lanes[4].v), vaddq_f32(lanes[2].v, lanes[6].v));
  const float32x4_t high = vaddq_f32(vaddq_f32(lanes[1].v, lanes[5].v), vaddq_f32(lanes[3].v, lanes[7].v));
  const float64x2_t first = vaddq_f64(vcvt_f64_f32(vget_low_f32(low)), vcvt_f64_f32(vget_low_f32(high)));
  const float64x2_t second = vaddq_f64(vcvt_f64_f32(vget_high_f32(low)), vcvt_f64_f32(vget_high_f32(high)));
  const float64x2_t two = vaddq_f64(first, second);
  return vgetq_lane_f64(two, 0) + vgetq_lane_f64(two, 1);
}
