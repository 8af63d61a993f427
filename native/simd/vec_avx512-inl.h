// Vec and DoubleVec over AVX-512 (F, BW, DQ and VL): sixteen floats, eight doubles. Include inside the target region,
// in a backend's unnamed namespace, after vec-inl.h. The operations are documented in vec_scalar-inl.h.

struct Vec {
  using Real = float;
  static constexpr size_t kWidth = 16;
  __m512 v;
};
struct DoubleVec {
  using Real = double;
  static constexpr size_t kWidth = 8;
  __m512d v;
  DoubleVec() = default;
  SMOOTHLOSS_INLINE DoubleVec(__m512d x) : v(x) {}
  SMOOTHLOSS_INLINE DoubleVec(double x) : v(_mm512_set1_pd(x)) {}
};

SMOOTHLOSS_INLINE Vec set1(float x) { return {_mm512_set1_ps(x)}; }
SMOOTHLOSS_INLINE DoubleVec set1(double x) { return {x}; }

SMOOTHLOSS_INLINE __m512i bits512(Vec a) { return _mm512_castps_si512(a.v); }
SMOOTHLOSS_INLINE __m512i bits512(DoubleVec a) { return _mm512_castpd_si512(a.v); }
SMOOTHLOSS_INLINE __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
SMOOTHLOSS_INLINE __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
SMOOTHLOSS_INLINE __m512 join(__m256 low, __m256 high) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}

SMOOTHLOSS_INLINE Vec load(As<Vec>, const float* p) { return {_mm512_loadu_ps(p)}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const double* p) {
  return {join(_mm512_cvtpd_ps(_mm512_loadu_pd(p)), _mm512_cvtpd_ps(_mm512_loadu_pd(p + 8)))};
}
SMOOTHLOSS_INLINE Vec fromHalf(__m256i halves) { return {_mm512_cvtph_ps(halves)}; }
SMOOTHLOSS_INLINE Vec fromBfloat16(__m256i halves) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
SMOOTHLOSS_INLINE Vec load(As<Vec>, const Half* p) { return fromHalf(load256(p)); }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const Bfloat16* p) { return fromBfloat16(load256(p)); }
SMOOTHLOSS_INLINE Vec fromBytes(__m128i bytes) { return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))}; }
SMOOTHLOSS_INLINE Vec load(As<Vec>, const uint8_t* p) { return fromBytes(load128(p)); }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const float* p) { return {_mm512_cvtps_pd(_mm256_loadu_ps(p))}; }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const double* p) { return {_mm512_loadu_pd(p)}; }
SMOOTHLOSS_INLINE DoubleVec load(As<DoubleVec>, const uint8_t* p) {
  return {_mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}

SMOOTHLOSS_INLINE void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
// The bits of floats rounded to bfloat16, in the high halves of words.
SMOOTHLOSS_INLINE __m512i roundToBfloat16(Vec a) {
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits512(a), 16), _mm512_set1_epi32(1));
  return _mm512_add_epi32(bits512(a), _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
}
SMOOTHLOSS_INLINE __m256i toHalf(Vec a) { return _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT); }
SMOOTHLOSS_INLINE __m256i toBfloat16(Vec a) { return _mm512_cvtepi32_epi16(_mm512_srli_epi32(roundToBfloat16(a), 16)); }
SMOOTHLOSS_INLINE void store(Half* p, Vec a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), toHalf(a)); }
SMOOTHLOSS_INLINE void store(Bfloat16* p, Vec a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), toBfloat16(a)); }
// Converts two vectors at once: 2 % faster in all.
SMOOTHLOSS_INLINE __m512i toBfloat16(Vec a, Vec b) {
  const __m512i word = _mm512_set_epi16(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,  //
                                        15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i highHalves = _mm512_add_epi16(_mm512_slli_epi16(word, 1), _mm512_set1_epi16(1));
  return _mm512_permutex2var_epi16(roundToBfloat16(a), highHalves, roundToBfloat16(b));
}
SMOOTHLOSS_INLINE void storePair(Bfloat16* p, Vec a, Vec b) { _mm512_storeu_si512(p, toBfloat16(a, b)); }
SMOOTHLOSS_INLINE void store(double* p, DoubleVec a) { _mm512_storeu_pd(p, a.v); }

SMOOTHLOSS_INLINE __mmask16 firstLanes(size_t n) { return static_cast<__mmask16>(n >= 16 ? 0xffffu : (1u << n) - 1); }
SMOOTHLOSS_INLINE __mmask8 firstDoubles(size_t n) { return static_cast<__mmask8>(n >= 8 ? 0xffu : (1u << n) - 1); }
SMOOTHLOSS_INLINE Vec loadFirst(As<Vec>, const float* p, size_t n) { return {_mm512_maskz_loadu_ps(firstLanes(n), p)}; }
SMOOTHLOSS_INLINE Vec loadFirst(As<Vec>, const Half* p, size_t n) {
  return fromHalf(_mm256_maskz_loadu_epi16(firstLanes(n), p));
}
SMOOTHLOSS_INLINE Vec loadFirst(As<Vec>, const Bfloat16* p, size_t n) {
  return fromBfloat16(_mm256_maskz_loadu_epi16(firstLanes(n), p));
}
SMOOTHLOSS_INLINE Vec loadFirst(As<Vec>, const uint8_t* p, size_t n) {
  return fromBytes(_mm_maskz_loadu_epi8(firstLanes(n), p));
}
SMOOTHLOSS_INLINE DoubleVec loadFirst(As<DoubleVec>, const double* p, size_t n) {
  return {_mm512_maskz_loadu_pd(firstDoubles(n), p)};
}
SMOOTHLOSS_INLINE void storeFirst(float* p, Vec a, size_t n) { _mm512_mask_storeu_ps(p, firstLanes(n), a.v); }
SMOOTHLOSS_INLINE void storeFirst(double* p, DoubleVec a, size_t n) { _mm512_mask_storeu_pd(p, firstDoubles(n), a.v); }
SMOOTHLOSS_INLINE void storeFirst(Half* p, Vec a, size_t n) { _mm256_mask_storeu_epi16(p, firstLanes(n), toHalf(a)); }
SMOOTHLOSS_INLINE void storeFirst(Bfloat16* p, Vec a, size_t n) {
  _mm256_mask_storeu_epi16(p, firstLanes(n), toBfloat16(a));
}

SMOOTHLOSS_INLINE Vec keepFirst(Vec a, size_t n, float other) {
  return {_mm512_mask_blend_ps(firstLanes(n), _mm512_set1_ps(other), a.v)};
}
SMOOTHLOSS_INLINE DoubleVec keepFirst(DoubleVec a, size_t n, double other) {
  return {_mm512_mask_blend_pd(firstDoubles(n), _mm512_set1_pd(other), a.v)};
}
SMOOTHLOSS_INLINE Vec dropLane(Vec a, size_t lane) {
  return {_mm512_maskz_mov_ps(static_cast<__mmask16>(lane < 16 ? ~(1u << lane) : ~0u), a.v)};
}
SMOOTHLOSS_INLINE DoubleVec dropLane(DoubleVec a, size_t lane) {
  return {_mm512_maskz_mov_pd(static_cast<__mmask8>(lane < 8 ? ~(1u << lane) : ~0u), a.v)};
}

constexpr size_t kMicrotileRows = 12;
constexpr size_t kMicrotileVectors = 2;

constexpr bool kStreams = true;
SMOOTHLOSS_INLINE void stream(float* p, Vec a) { _mm512_stream_ps(p, a.v); }
SMOOTHLOSS_INLINE void stream(double* p, DoubleVec a) { _mm512_stream_pd(p, a.v); }
SMOOTHLOSS_INLINE void streamPair(Bfloat16* p, Vec a, Vec b) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), toBfloat16(a, b));
}
SMOOTHLOSS_INLINE void stream(Half* p, Vec a) { _mm256_stream_si256(reinterpret_cast<__m256i*>(p), toHalf(a)); }
// Orders non-temporal stores before later stores, for other threads too.
template <typename V>
SMOOTHLOSS_INLINE void endStream(As<V>) {
  _mm_sfence();
}

SMOOTHLOSS_INLINE Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
SMOOTHLOSS_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec add(DoubleVec a, DoubleVec b) { return {_mm512_add_pd(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec sub(DoubleVec a, DoubleVec b) { return {_mm512_sub_pd(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec mul(DoubleVec a, DoubleVec b) { return {_mm512_mul_pd(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec div(DoubleVec a, DoubleVec b) { return {_mm512_div_pd(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec fma(DoubleVec a, DoubleVec b, DoubleVec c) { return add(mul(a, b), c); }
SMOOTHLOSS_INLINE DoubleVec max(DoubleVec a, DoubleVec b) { return {_mm512_max_pd(a.v, b.v)}; }
SMOOTHLOSS_INLINE DoubleVec min(DoubleVec a, DoubleVec b) { return {_mm512_min_pd(a.v, b.v)}; }

SMOOTHLOSS_INLINE Vec abs(Vec a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v)}; }
SMOOTHLOSS_INLINE DoubleVec abs(DoubleVec a) { return {_mm512_andnot_pd(_mm512_set1_pd(-0.0), a.v)}; }
SMOOTHLOSS_INLINE Vec copySign(Vec a, Vec b) {
  return {_mm512_or_ps(abs(a).v, _mm512_and_ps(_mm512_set1_ps(-0.0f), b.v))};
}
SMOOTHLOSS_INLINE DoubleVec copySign(DoubleVec a, DoubleVec b) {
  return {_mm512_or_pd(abs(a).v, _mm512_and_pd(_mm512_set1_pd(-0.0), b.v))};
}

SMOOTHLOSS_INLINE Vec whereGreater(Vec a, Vec b, Vec x, Vec y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), y.v, x.v)};
}
SMOOTHLOSS_INLINE DoubleVec whereGreater(DoubleVec a, DoubleVec b, DoubleVec x, DoubleVec y) {
  return {_mm512_mask_blend_pd(_mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ), y.v, x.v)};
}
SMOOTHLOSS_INLINE Vec whereEqual(Vec a, Vec b, Vec x, Vec y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ), y.v, x.v)};
}
SMOOTHLOSS_INLINE DoubleVec whereEqual(DoubleVec a, DoubleVec b, DoubleVec x, DoubleVec y) {
  return {_mm512_mask_blend_pd(_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ), y.v, x.v)};
}
SMOOTHLOSS_INLINE Vec zeroWhereZero(Vec a, Vec x) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, _mm512_setzero_ps(), _CMP_NEQ_UQ), a.v)};
}
SMOOTHLOSS_INLINE DoubleVec zeroWhereZero(DoubleVec a, DoubleVec x) {
  return {_mm512_maskz_mov_pd(_mm512_cmp_pd_mask(x.v, _mm512_setzero_pd(), _CMP_NEQ_UQ), a.v)};
}

// No floor: a mask makes 0 of what is too small. And no multiplication by the power of two: sum << 20 is added to the
// table's bits, from which its surplus, 127 << 23 and i << 20, is subtracted first. 6 % faster in all.
SMOOTHLOSS_INLINE Vec expArgument(Vec x, Vec) { return x; }
SMOOTHLOSS_INLINE Vec expResult(const float (&table)[8], Vec p, Vec sum) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i surplus = _mm256_add_epi32(_mm256_set1_epi32(127 << 23), _mm256_slli_epi32(index, 20));
  const __m256i fractions = _mm256_sub_epi32(_mm256_castps_si256(_mm256_loadu_ps(table)), surplus);
  const __m512i fraction = _mm512_permutexvar_epi32(bits512(sum), _mm512_broadcast_i32x8(fractions));
  const __m512 power = _mm512_castsi512_ps(_mm512_add_epi32(fraction, _mm512_slli_epi32(bits512(sum), 20)));
  const __mmask16 normal = _mm512_cmp_ps_mask(sum.v, _mm512_set1_ps(kRoundToEighth + 1.0f), _CMP_NLT_UQ);
  return {_mm512_maskz_fmadd_ps(normal, p.v, power, power)};
}
SMOOTHLOSS_INLINE Vec powerOfTwo(Vec a) { return {_mm512_castsi512_ps(_mm512_slli_epi32(bits512(a), 23))}; }
SMOOTHLOSS_INLINE DoubleVec powerOfTwo(DoubleVec a) { return {_mm512_castsi512_pd(_mm512_slli_epi64(bits512(a), 52))}; }
SMOOTHLOSS_INLINE Vec splitExponent(Vec x, Vec& m) {
  const __m512i one = _mm512_set1_epi32(0x3f800000);
  const __m512i biased = _mm512_srli_epi32(
      _mm512_add_epi32(bits512(x), _mm512_set1_epi32(static_cast<int>(0x3f800000u - kSqrtHalfBits))), 23);
  m.v = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_sub_epi32(bits512(x), _mm512_slli_epi32(biased, 23)), one));
  return {_mm512_cvtepi32_ps(_mm512_sub_epi32(biased, _mm512_set1_epi32(127)))};
}
SMOOTHLOSS_INLINE DoubleVec splitExponent(DoubleVec x, DoubleVec& m) {
  const __m512i one = _mm512_set1_epi64(0x3ff0000000000000);
  const __m512i biased = _mm512_srli_epi64(
      _mm512_add_epi64(bits512(x), _mm512_set1_epi64(static_cast<int64_t>(0x3ff0000000000000u - kSqrtHalfBitsDouble))),
      52);
  m.v = _mm512_castsi512_pd(_mm512_add_epi64(_mm512_sub_epi64(bits512(x), _mm512_slli_epi64(biased, 52)), one));
  return {_mm512_cvtepi64_pd(_mm512_sub_epi64(biased, _mm512_set1_epi64(1023)))};
}

SMOOTHLOSS_INLINE void prefetchLine(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
template <typename T>
SMOOTHLOSS_INLINE void prefetch(const T* p, size_t ahead) {
  const char* line = reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(p) + ahead);
  for (size_t i = 0; i < kLanes * sizeof(T); i += 64) _mm_prefetch(line + i, _MM_HINT_T1);
}

SMOOTHLOSS_INLINE void zip(Vec& a, Vec& b) {
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512 first = _mm512_permutex2var_ps(a.v, low, b.v);
  b.v = _mm512_permutex2var_ps(a.v, _mm512_add_epi32(low, _mm512_set1_epi32(8)), b.v);
  a.v = first;
}
SMOOTHLOSS_INLINE void zip(DoubleVec& a, DoubleVec& b) {
  const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512d first = _mm512_permutex2var_pd(a.v, low, b.v);
  b.v = _mm512_permutex2var_pd(a.v, _mm512_add_epi64(low, _mm512_set1_epi64(4)), b.v);
  a.v = first;
}

SMOOTHLOSS_INLINE float maxLane(Vec a) { return _mm512_reduce_max_ps(a.v); }
SMOOTHLOSS_INLINE double maxLane(DoubleVec a) { return _mm512_reduce_max_pd(a.v); }
SMOOTHLOSS_INLINE double sumLanes(const Vec (&lanes)[2]) {
  const __m512 sixteen = _mm512_add_ps(lanes[0].v, lanes[1].v);
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(sixteen), _mm512_extractf32x8_ps(sixteen, 1));
  const __m256d four =
      _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(eight)), _mm256_cvtps_pd(_mm256_extractf128_ps(eight, 1)));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
