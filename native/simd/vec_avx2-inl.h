// Vec and DoubleVec over AVX2, FMA and F16C: eight floats, four doubles. Include inside the target region, in a
// backend's unnamed namespace, after vec-inl.h. The operations are documented in vec_scalar-inl.h.

struct Vec {
  using Real = float;
  static constexpr size_t kWidth = 8;
  __m256 v;
};
struct DoubleVec {
  using Real = double;
  static constexpr size_t kWidth = 4;
  __m256d v;
  DoubleVec() = default;
  SMOOTHLOSS_INLINE DoubleVec(__m256d x) : v(x) {}
  SMOOTHLOSS_INLINE DoubleVec(double x) : v(_mm256_set1_pd(x)) {}
};

SMOOTHLOSS_INLINE Vec set1(float x) { return {_mm256_set1_ps(x)}; }
SMOOTHLOSS_INLINE DoubleVec set1(double x) { return {x}; }

SMOOTHLOSS_INLINE __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const float* p) { return {_mm256_loadu_ps(p)}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const double* p) {
  return {_mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(p + 4)), _mm256_cvtpd_ps(_mm256_loadu_pd(p)))};
}
SMOOTHLOSS_INLINE __m128i load64(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
SMOOTHLOSS_INLINE Vec fromHalf(__m128i halves) { return {_mm256_cvtph_ps(halves)}; }
SMOOTHLOSS_INLINE Vec fromBfloat16(__m128i halves) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16))};
}
SMOOTHLOSS_INLINE Vec fromBytes(__m128i bytes) { return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const Half* p) { return fromHalf(load128(p)); }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const Bfloat16* p) { return fromBfloat16(load128(p)); }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const uint8_t* p) { return fromBytes(load64(p)); }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const float* p) { return {_mm256_cvtps_pd(_mm_loadu_ps(p))}; }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const double* p) { return {_mm256_loadu_pd(p)}; }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const uint8_t* p) {
  int32_t four;
  std::memcpy(&four, p, sizeof four);
  return {_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)))};
}

SMOOTHLOSS_INLINE void store(float* p, Vec a) { _mm256_storeu_ps(p, a.v); }
// The bits of floats rounded to bfloat16, in the low halves of words.
SMOOTHLOSS_INLINE __m256i roundToBfloat16(Vec a) {
  const __m256i bits = _mm256_castps_si256(a.v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  return _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
}
SMOOTHLOSS_INLINE __m128i toHalf(Vec a) { return _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT); }
SMOOTHLOSS_INLINE __m128i toBfloat16(Vec a) {
  const __m256i rounded = roundToBfloat16(a);
  return _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
}
SMOOTHLOSS_INLINE void store(Half* p, Vec a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), toHalf(a)); }
SMOOTHLOSS_INLINE void store(Bfloat16* p, Vec a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), toBfloat16(a)); }
// Converts two vectors at once: 12 % faster in all.
SMOOTHLOSS_INLINE __m256i toBfloat16(Vec a, Vec b) {
  const __m256i packed = _mm256_packus_epi32(roundToBfloat16(a), roundToBfloat16(b));  // by 128-bit halves
  return _mm256_permute4x64_epi64(packed, 0xd8);
}
SMOOTHLOSS_INLINE void storePair(Bfloat16* p, Vec a, Vec b) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), toBfloat16(a, b));
}
SMOOTHLOSS_INLINE void store(double* p, DoubleVec a) { _mm256_storeu_pd(p, a.v); }

SMOOTHLOSS_INLINE __m256i firstLanes(size_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
}
SMOOTHLOSS_INLINE __m256i firstDoubles(size_t n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<int>(n)), _mm256_setr_epi64x(0, 1, 2, 3));
}
SMOOTHLOSS_INLINE Vec loadFirst(As<Vec>, const float* p, size_t n) { return {_mm256_maskload_ps(p, firstLanes(n))}; }
SMOOTHLOSS_INLINE DoubleVec loadFirst(As<DoubleVec>, const double* p, size_t n) {
  return {_mm256_maskload_pd(p, firstDoubles(n))};
}
// Loads the first n < 8 bytes; the others are 0.
SMOOTHLOSS_INLINE uint64_t firstBytes(const unsigned char* p, size_t n) {
  uint64_t bytes = n & 1 ? p[n - 1] : 0;
  if (n & 2) {
    uint16_t two;
    std::memcpy(&two, p + (n & 4), sizeof two);
    bytes = bytes << 16 | two;
  }
  if (n & 4) {
    uint32_t four;
    std::memcpy(&four, p, sizeof four);
    bytes = bytes << 32 | four;
  }
  return bytes;
}
// Loads the first n halves; the others are 0.
SMOOTHLOSS_INLINE __m128i firstHalves(const void* p, size_t n) {
  if (n >= 8) return load128(p);
  const auto* const bytes = static_cast<const unsigned char*>(p);
  const __m128i left = _mm_cvtsi64_si128(static_cast<int64_t>(firstBytes(bytes + (n & 4) * 2, (n & 3) * 2)));
  return n & 4 ? _mm_unpacklo_epi64(load64(p), left) : left;
}
SMOOTHLOSS_INLINE Vec loadFirst(As<Vec>, const Half* p, size_t n) { return fromHalf(firstHalves(p, n)); }
SMOOTHLOSS_INLINE Vec loadFirst(As<Vec>, const Bfloat16* p, size_t n) { return fromBfloat16(firstHalves(p, n)); }
SMOOTHLOSS_INLINE Vec loadFirst(As<Vec>, const uint8_t* p, size_t n) {
  if (n >= 8) return load(As<Vec>(), p);
  return fromBytes(_mm_cvtsi64_si128(static_cast<int64_t>(firstBytes(p, n))));
}
// Stores 4, 2 and 1 lanes: a masked store takes tens of cycles on AMD's processors.
SMOOTHLOSS_INLINE void storeFirst(float* p, Vec a, size_t n) {
  if (n >= 8) return store(p, a);
  __m128 left = _mm256_castps256_ps128(a.v);
  if (n & 4) {
    _mm_storeu_ps(p, left);
    left = _mm256_extractf128_ps(a.v, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), left);
    left = _mm_movehl_ps(left, left);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, left);
}
SMOOTHLOSS_INLINE void storeHalves(void* p, __m128i halves, size_t n) {
  if (n >= 8) return _mm_storeu_si128(static_cast<__m128i*>(p), halves);
  auto* to = static_cast<unsigned char*>(p);
  if (n & 4) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), halves);
    halves = _mm_unpackhi_epi64(halves, halves);
    to += 8;
  }
  auto left = static_cast<uint64_t>(_mm_cvtsi128_si64(halves));
  if (n & 2) {
    std::memcpy(to, &left, 4);
    left >>= 32;
    to += 4;
  }
  if (n & 1) std::memcpy(to, &left, 2);
}
SMOOTHLOSS_INLINE void storeFirst(Half* p, Vec a, size_t n) { storeHalves(p, toHalf(a), n); }
SMOOTHLOSS_INLINE void storeFirst(Bfloat16* p, Vec a, size_t n) { storeHalves(p, toBfloat16(a), n); }

SMOOTHLOSS_INLINE Vec keepFirst(Vec a, size_t n, float other) {
  return {_mm256_blendv_ps(_mm256_set1_ps(other), a.v, _mm256_castsi256_ps(firstLanes(n)))};
}
SMOOTHLOSS_INLINE DoubleVec keepFirst(DoubleVec a, size_t n, double other) {
  return {_mm256_blendv_pd(_mm256_set1_pd(other), a.v, _mm256_castsi256_pd(firstDoubles(n)))};
}
SMOOTHLOSS_INLINE Vec dropLane(Vec a, size_t lane) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i hit = _mm256_cmpeq_epi32(_mm256_set1_epi32(static_cast<int>(lane)), lanes);
  return {_mm256_andnot_ps(_mm256_castsi256_ps(hit), a.v)};
}
SMOOTHLOSS_INLINE DoubleVec dropLane(DoubleVec a, size_t lane) {
  const __m256i hit = _mm256_cmpeq_epi64(_mm256_set1_epi64x(static_cast<int>(lane)), _mm256_setr_epi64x(0, 1, 2, 3));
  return {_mm256_andnot_pd(_mm256_castsi256_pd(hit), a.v)};
}

// Microtiles of products (products-inl.h): their sums fill 12 of the 16 registers.
constexpr size_t kMicrotileRows = 6;
constexpr size_t kMicrotileVectors = 2;

constexpr bool kStreams = true;
SMOOTHLOSS_INLINE void stream(float* p, Vec a) { _mm256_stream_ps(p, a.v); }
SMOOTHLOSS_INLINE void stream(double* p, DoubleVec a) { _mm256_stream_pd(p, a.v); }
SMOOTHLOSS_INLINE void stream(Half* p, Vec a) { _mm_stream_si128(reinterpret_cast<__m128i*>(p), toHalf(a)); }
SMOOTHLOSS_INLINE void streamPair(Bfloat16* p, Vec a, Vec b) {
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), toBfloat16(a, b));
}
// Orders non-temporal stores before later stores, for other threads too.
template <typename V>
SMOOTHLOSS_INLINE void endStream(As<V>) {
  _mm_sfence();
}

SMOOTHLOSS_INLINE Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec sub(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec mul(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec div(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
SMOOTHLOSS_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec add(DoubleVec a, DoubleVec b) { return {_mm256_add_pd(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec sub(DoubleVec a, DoubleVec b) { return {_mm256_sub_pd(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec mul(DoubleVec a, DoubleVec b) { return {_mm256_mul_pd(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec div(DoubleVec a, DoubleVec b) { return {_mm256_div_pd(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec fma(DoubleVec a, DoubleVec b, DoubleVec c) { return add(mul(a, b), c); }
SMOOTHLOSS_INLINE DoubleVec max(DoubleVec a, DoubleVec b) { return {_mm256_max_pd(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec min(DoubleVec a, DoubleVec b) { return {_mm256_min_pd(a.v, b.v)}; }

SMOOTHLOSS_INLINE Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
SMOOTHLOSS_INLINE DoubleVec abs(DoubleVec a) { return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v)}; }
SMOOTHLOSS_INLINE Vec copySign(Vec a, Vec b) {
  return {_mm256_or_ps(abs(a).v, _mm256_and_ps(_mm256_set1_ps(-0.0f), b.v))};
}
SMOOTHLOSS_INLINE DoubleVec copySign(DoubleVec a, DoubleVec b) {
  return {_mm256_or_pd(abs(a).v, _mm256_and_pd(_mm256_set1_pd(-0.0), b.v))};
}

SMOOTHLOSS_INLINE Vec whereGreater(Vec a, Vec b, Vec x, Vec y) {
  return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ))};
}
SMOOTHLOSS_INLINE DoubleVec whereGreater(DoubleVec a, DoubleVec b, DoubleVec x, DoubleVec y) {
  return {_mm256_blendv_pd(y.v, x.v, _mm256_cmp_pd(a.v, b.v, _CMP_GT_OQ))};
}
SMOOTHLOSS_INLINE Vec whereEqual(Vec a, Vec b, Vec x, Vec y) {
  return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ))};
}
SMOOTHLOSS_INLINE DoubleVec whereEqual(DoubleVec a, DoubleVec b, DoubleVec x, DoubleVec y) {
  return {_mm256_blendv_pd(y.v, x.v, _mm256_cmp_pd(a.v, b.v, _CMP_EQ_OQ))};
}
SMOOTHLOSS_INLINE Vec zeroWhereZero(Vec a, Vec x) {
  return {_mm256_andnot_ps(_mm256_cmp_ps(x.v, _mm256_setzero_ps(), _CMP_EQ_OQ), a.v)};
}
SMOOTHLOSS_INLINE DoubleVec zeroWhereZero(DoubleVec a, DoubleVec x) {
  return {_mm256_andnot_pd(_mm256_cmp_pd(x.v, _mm256_setzero_pd(), _CMP_EQ_OQ), a.v)};
}

SMOOTHLOSS_INLINE Vec expResult(const float (&table)[8], Vec p, Vec sum) {
  const __m256 fraction = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), _mm256_castps_si256(sum.v));
  const __m256i exponent =
      _mm256_and_si256(_mm256_slli_epi32(_mm256_castps_si256(sum.v), 20), _mm256_set1_epi32(0x7f800000));
  const Vec power = {_mm256_mul_ps(fraction, _mm256_castsi256_ps(exponent))};
  return fma(p, power, power);
}
SMOOTHLOSS_INLINE Vec powerOfTwo(Vec a) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.v), 23))};
}
SMOOTHLOSS_INLINE DoubleVec powerOfTwo(DoubleVec a) {
  return {_mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(a.v), 52))};
}
SMOOTHLOSS_INLINE Vec splitExponent(Vec x, Vec& m) {
  const __m256i one = _mm256_set1_epi32(0x3f800000);
  const __m256i bits = _mm256_castps_si256(x.v);
  const __m256i biased =
      _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(static_cast<int>(0x3f800000u - kSqrtHalfBits))), 23);
  m.v = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_sub_epi32(bits, _mm256_slli_epi32(biased, 23)), one));
  return {_mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)))};
}
SMOOTHLOSS_INLINE DoubleVec splitExponent(DoubleVec x, DoubleVec& m) {
  const __m256i one = _mm256_set1_epi64x(0x3ff0000000000000);
  const __m256i bits = _mm256_castpd_si256(x.v);
  const __m256i biased = _mm256_srli_epi64(
      _mm256_add_epi64(bits, _mm256_set1_epi64x(static_cast<int64_t>(0x3ff0000000000000u - kSqrtHalfBitsDouble))), 52);
  m.v = _mm256_castsi256_pd(_mm256_add_epi64(_mm256_sub_epi64(bits, _mm256_slli_epi64(biased, 52)), one));
  // AVX2 converts no 64-bit integers: as the low bits of 2^52, n makes the double 2^52 + n.
  const __m256i shifted = _mm256_or_si256(biased, _mm256_set1_epi64x(0x4330000000000000));
  return {_mm256_sub_pd(_mm256_castsi256_pd(shifted), _mm256_set1_pd(0x1p52 + 1023.0))};
}

SMOOTHLOSS_INLINE void prefetchLine(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
template <typename T>
SMOOTHLOSS_INLINE void prefetch(const T* p, size_t ahead) {
  const char* line = reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(p) + ahead);
  for (size_t i = 0; i < kLanes * sizeof(T); i += 64) _mm_prefetch(line + i, _MM_HINT_T1);
}

SMOOTHLOSS_INLINE void zip(Vec& a, Vec& b) {
  const __m256 low = _mm256_unpacklo_ps(a.v, b.v), high = _mm256_unpackhi_ps(a.v, b.v);  // by 128-bit halves
  a.v = _mm256_permute2f128_ps(low, high, 0x20);
  b.v = _mm256_permute2f128_ps(low, high, 0x31);
}
SMOOTHLOSS_INLINE void zip(DoubleVec& a, DoubleVec& b) {
  const __m256d low = _mm256_unpacklo_pd(a.v, b.v), high = _mm256_unpackhi_pd(a.v, b.v);
  a.v = _mm256_permute2f128_pd(low, high, 0x20);
  b.v = _mm256_permute2f128_pd(low, high, 0x31);
}

SMOOTHLOSS_INLINE float maxLane(Vec a) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}
SMOOTHLOSS_INLINE double maxLane(DoubleVec a) {
  const __m128d m = _mm_max_pd(_mm256_castpd256_pd128(a.v), _mm256_extractf128_pd(a.v, 1));
  return _mm_cvtsd_f64(_mm_max_sd(m, _mm_unpackhi_pd(m, m)));
}
SMOOTHLOSS_INLINE double sumLanes(const Vec (&lanes)[4]) {
  const __m256 eight = _mm256_add_ps(_mm256_add_ps(lanes[0].v, lanes[2].v), _mm256_add_ps(lanes[1].v, lanes[3].v));
  const __m256d four =
      _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(eight)), _mm256_cvtps_pd(_mm256_extractf128_ps(eight, 1)));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
