// Vec over AVX2 and FMA: eight floats. Include inside the target region, in a backend's unnamed namespace.
// The operations are documented in vec_scalar-inl.h.

struct Vec {
  static constexpr size_t kWidth = 8;
  __m256 v;
};

SMOOTHLOSS_INLINE Vec set1(float x) { return {_mm256_set1_ps(x)}; }
SMOOTHLOSS_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
SMOOTHLOSS_INLINE void store(float* p, Vec a) { _mm256_storeu_ps(p, a.v); }

SMOOTHLOSS_INLINE __m256i firstLanes(size_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
}
SMOOTHLOSS_INLINE Vec loadFirst(const float* p, size_t n) { return {_mm256_maskload_ps(p, firstLanes(n))}; }
// By halves: a masked store takes tens of cycles on AMD's processors.
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

SMOOTHLOSS_INLINE Vec keepFirst(Vec a, size_t n, float other) {
  return {_mm256_blendv_ps(_mm256_set1_ps(other), a.v, _mm256_castsi256_ps(firstLanes(n)))};
}
SMOOTHLOSS_INLINE Vec dropLane(Vec a, size_t lane) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i hit = _mm256_cmpeq_epi32(_mm256_set1_epi32(static_cast<int>(lane)), lanes);
  return {_mm256_andnot_ps(_mm256_castsi256_ps(hit), a.v)};
}

SMOOTHLOSS_INLINE Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec sub(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec mul(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
SMOOTHLOSS_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }

SMOOTHLOSS_INLINE Vec zeroWhereZero(Vec a, Vec x) {
  return {_mm256_andnot_ps(_mm256_cmp_ps(x.v, _mm256_setzero_ps(), _CMP_EQ_OQ), a.v)};
}
SMOOTHLOSS_INLINE Vec lookup(const float (&table)[8], Vec index) {
  return {_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), _mm256_castps_si256(index.v))};
}
SMOOTHLOSS_INLINE Vec exponent(Vec a) {
  const __m256i shifted = _mm256_slli_epi32(_mm256_castps_si256(a.v), 20);
  return {_mm256_castsi256_ps(_mm256_and_si256(shifted, _mm256_set1_epi32(0x7f800000)))};
}

SMOOTHLOSS_INLINE void prefetch(const float* p, size_t ahead) {
  const char* line = reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(p) + ahead);
  _mm_prefetch(line, _MM_HINT_T0);
  _mm_prefetch(line + 64, _MM_HINT_T0);
}

SMOOTHLOSS_INLINE float maxLane(Vec a) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}
SMOOTHLOSS_INLINE double sumLanes(const Vec (&lanes)[4]) {
  const __m256 eight = _mm256_add_ps(_mm256_add_ps(lanes[0].v, lanes[2].v), _mm256_add_ps(lanes[1].v, lanes[3].v));
  const __m256d four =
      _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(eight)), _mm256_cvtps_pd(_mm256_extractf128_ps(eight, 1)));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
