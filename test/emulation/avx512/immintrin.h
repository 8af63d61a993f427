// AVX-512 for CPUs without it: SMOOTHLOSS_EMULATE_AVX512 of CMakeLists.txt puts this directory before the compiler's
// own.
//
// Types and functions in namespace smoothloss hide the compiler's. A vector is two of AVX2, and most operations are the
// AVX2 instruction of the same name on both. Whatever vec_avx512-inl.h uses is here: anything else fails to compile.
// This is stricter than a CPU: AddressSanitizer sees which lanes a mask has read and written, and lanes that a cast
// leaves undefined are NaN.

#include_next <immintrin.h>

#ifndef SMOOTHLOSS_EMULATION_AVX512_IMMINTRIN_H_
#define SMOOTHLOSS_EMULATION_AVX512_IMMINTRIN_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "simd/target.h"

#undef SMOOTHLOSS_BEGIN_AVX512
#undef SMOOTHLOSS_END_AVX512
#define SMOOTHLOSS_BEGIN_AVX512 SMOOTHLOSS_BEGIN_AVX2
#define SMOOTHLOSS_END_AVX512 SMOOTHLOSS_END_AVX2

// Macros, in one compiler or the other.
#undef _mm512_cmp_pd_mask
#undef _mm512_cmp_ps_mask
#undef _mm512_cvtps_ph
#undef _mm512_extractf32x8_ps
#undef _mm512_insertf32x8
#undef _mm512_setr_epi32
#undef _mm512_setr_epi64

SMOOTHLOSS_BEGIN_AVX2
namespace smoothloss {

struct __m512 {
  __m256 half[2];
};
struct __m512d {
  __m256d half[2];
};
struct __m512i {
  __m256i half[2];
};

namespace emulated {

template <typename To, typename From>
SMOOTHLOSS_INLINE To sameBits(From a) {
  static_assert(sizeof(To) == sizeof a);
  To same;
  std::memcpy(&same, &a, sizeof a);
  return same;
}

template <typename Lane, typename V>
struct Lanes {
  static constexpr size_t kCount = sizeof(V) / sizeof(Lane);
  Lane lane[kCount];
};
SMOOTHLOSS_INLINE bool has(unsigned mask, size_t lane) { return ((mask >> lane) & 1) != 0; }

// Not inline: their code is long, and compiles slowly.
template <typename Lane, typename V>
SMOOTHLOSS_NOINLINE V loadMasked(unsigned mask, const void* p) {
  Lanes<Lane, V> all{};
  for (size_t i = 0; i < all.kCount; i++) {
    if (has(mask, i)) all.lane[i] = static_cast<const Lane*>(p)[i];
  }
  return sameBits<V>(all);
}
template <typename Lane, typename V>
SMOOTHLOSS_NOINLINE void storeMasked(void* p, unsigned mask, V a) {
  const auto all = sameBits<Lanes<Lane, V>>(a);
  for (size_t i = 0; i < all.kCount; i++) {
    if (has(mask, i)) static_cast<Lane*>(p)[i] = all.lane[i];
  }
}
// The low bits of an index are a lane, the one above them chooses b, and the rest mean nothing.
template <typename Lane, typename V>
SMOOTHLOSS_NOINLINE V permute(V a, __m512i index, V b) {
  const Lanes<Lane, V> from[2] = {sameBits<Lanes<Lane, V>>(a), sameBits<Lanes<Lane, V>>(b)};
  const auto indices = sameBits<Lanes<Lane, __m512i>>(index);
  Lanes<Lane, V> all;
  for (size_t i = 0; i < all.kCount; i++) {
    const auto which = static_cast<size_t>(indices.lane[i]);
    all.lane[i] = from[which / all.kCount % 2].lane[which % all.kCount];
  }
  return sameBits<V>(all);
}

SMOOTHLOSS_INLINE __m256 allOnes(unsigned mask, __m256) {
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i own = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(mask)), bits);
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(own, bits));
}
SMOOTHLOSS_INLINE __m256d allOnes(unsigned mask, __m256d) {
  const __m256i bits = _mm256_setr_epi64x(1, 2, 4, 8);
  const __m256i own = _mm256_and_si256(_mm256_set1_epi64x(mask), bits);
  return _mm256_castsi256_pd(_mm256_cmpeq_epi64(own, bits));
}
#define SMOOTHLOSS_COMPARE(suffix, V)                               \
  SMOOTHLOSS_INLINE unsigned compare(V a, V b, int how) {           \
    V result;                                                       \
    switch (how) {                                                  \
      case _CMP_EQ_OQ:                                              \
        result = _mm256_cmp_##suffix(a, b, _CMP_EQ_OQ);             \
        break;                                                      \
      case _CMP_GT_OQ:                                              \
        result = _mm256_cmp_##suffix(a, b, _CMP_GT_OQ);             \
        break;                                                      \
      case _CMP_NEQ_UQ:                                             \
        result = _mm256_cmp_##suffix(a, b, _CMP_NEQ_UQ);            \
        break;                                                      \
      case _CMP_NLT_UQ:                                             \
        result = _mm256_cmp_##suffix(a, b, _CMP_NLT_UQ);            \
        break;                                                      \
      default:                                                      \
        __builtin_trap();                                           \
    }                                                               \
    return static_cast<unsigned>(_mm256_movemask_##suffix(result)); \
  }
SMOOTHLOSS_COMPARE(ps, __m256)
SMOOTHLOSS_COMPARE(pd, __m256d)

}  // namespace emulated

// An operation of AVX2 on both halves.
#define SMOOTHLOSS_BINARY(name, V)                                                       \
  SMOOTHLOSS_INLINE V _mm512_##name(V a, V b) {                                          \
    return {{_mm256_##name(a.half[0], b.half[0]), _mm256_##name(a.half[1], b.half[1])}}; \
  }
#define SMOOTHLOSS_SHIFT(name)                                           \
  SMOOTHLOSS_INLINE __m512i _mm512_##name(__m512i a, int n) {            \
    return {{_mm256_##name(a.half[0], n), _mm256_##name(a.half[1], n)}}; \
  }

SMOOTHLOSS_BINARY(add_ps, __m512)
SMOOTHLOSS_BINARY(add_pd, __m512d)
SMOOTHLOSS_BINARY(sub_ps, __m512)
SMOOTHLOSS_BINARY(sub_pd, __m512d)
SMOOTHLOSS_BINARY(mul_ps, __m512)
SMOOTHLOSS_BINARY(mul_pd, __m512d)
SMOOTHLOSS_BINARY(div_ps, __m512)
SMOOTHLOSS_BINARY(div_pd, __m512d)
SMOOTHLOSS_BINARY(max_ps, __m512)
SMOOTHLOSS_BINARY(max_pd, __m512d)
SMOOTHLOSS_BINARY(min_ps, __m512)
SMOOTHLOSS_BINARY(min_pd, __m512d)
SMOOTHLOSS_BINARY(and_ps, __m512)
SMOOTHLOSS_BINARY(and_pd, __m512d)
SMOOTHLOSS_BINARY(andnot_ps, __m512)
SMOOTHLOSS_BINARY(andnot_pd, __m512d)
SMOOTHLOSS_BINARY(or_ps, __m512)
SMOOTHLOSS_BINARY(or_pd, __m512d)
SMOOTHLOSS_BINARY(add_epi16, __m512i)
SMOOTHLOSS_BINARY(add_epi32, __m512i)
SMOOTHLOSS_BINARY(add_epi64, __m512i)
SMOOTHLOSS_BINARY(sub_epi32, __m512i)
SMOOTHLOSS_BINARY(sub_epi64, __m512i)
SMOOTHLOSS_SHIFT(slli_epi16)
SMOOTHLOSS_SHIFT(slli_epi32)
SMOOTHLOSS_SHIFT(slli_epi64)
SMOOTHLOSS_SHIFT(srli_epi32)
SMOOTHLOSS_SHIFT(srli_epi64)
SMOOTHLOSS_INLINE __m512i _mm512_and_si512(__m512i a, __m512i b) {
  return {{_mm256_and_si256(a.half[0], b.half[0]), _mm256_and_si256(a.half[1], b.half[1])}};
}
SMOOTHLOSS_INLINE __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return {{_mm256_fmadd_ps(a.half[0], b.half[0], c.half[0]), _mm256_fmadd_ps(a.half[1], b.half[1], c.half[1])}};
}
SMOOTHLOSS_INLINE float _mm512_reduce_max_ps(__m512 a) {
  const __m256 eight = _mm256_max_ps(a.half[0], a.half[1]);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
SMOOTHLOSS_INLINE double _mm512_reduce_max_pd(__m512d a) {
  const __m256d four = _mm256_max_pd(a.half[0], a.half[1]);
  const __m128d two = _mm_max_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_max_sd(two, _mm_unpackhi_pd(two, two)));
}

// Memory. A streaming store ends the process where it does on a CPU: if it is not aligned.
SMOOTHLOSS_INLINE __m512 _mm512_loadu_ps(const float* p) { return {{_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}}; }
SMOOTHLOSS_INLINE __m512d _mm512_loadu_pd(const double* p) { return {{_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}}; }
SMOOTHLOSS_INLINE void _mm512_storeu_ps(void* p, __m512 a) { std::memcpy(p, &a, sizeof a); }
SMOOTHLOSS_INLINE void _mm512_storeu_pd(void* p, __m512d a) { std::memcpy(p, &a, sizeof a); }
SMOOTHLOSS_INLINE void _mm512_storeu_si512(void* p, __m512i a) { std::memcpy(p, &a, sizeof a); }
SMOOTHLOSS_INLINE void _mm512_stream_si512(__m512i* p, __m512i a) {
  if (reinterpret_cast<uintptr_t>(p) % sizeof a != 0) __builtin_trap();
  _mm256_stream_si256(&p->half[0], a.half[0]);
  _mm256_stream_si256(&p->half[1], a.half[1]);
}
SMOOTHLOSS_INLINE void _mm512_stream_ps(float* p, __m512 a) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), emulated::sameBits<__m512i>(a));
}
SMOOTHLOSS_INLINE void _mm512_stream_pd(double* p, __m512d a) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), emulated::sameBits<__m512i>(a));
}

// Masks.
SMOOTHLOSS_INLINE __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const void* p) {
  return emulated::loadMasked<float, __m512>(mask, p);
}
SMOOTHLOSS_INLINE __m512d _mm512_maskz_loadu_pd(__mmask8 mask, const void* p) {
  return emulated::loadMasked<double, __m512d>(mask, p);
}
SMOOTHLOSS_INLINE __m256i _mm256_maskz_loadu_epi16(__mmask16 mask, const void* p) {
  return emulated::loadMasked<uint16_t, __m256i>(mask, p);
}
SMOOTHLOSS_INLINE __m128i _mm_maskz_loadu_epi8(__mmask16 mask, const void* p) {
  return emulated::loadMasked<uint8_t, __m128i>(mask, p);
}
SMOOTHLOSS_INLINE void _mm512_mask_storeu_ps(void* p, __mmask16 mask, __m512 a) {
  emulated::storeMasked<float>(p, mask, a);
}
SMOOTHLOSS_INLINE void _mm512_mask_storeu_pd(void* p, __mmask8 mask, __m512d a) {
  emulated::storeMasked<double>(p, mask, a);
}
SMOOTHLOSS_INLINE void _mm256_mask_storeu_epi16(void* p, __mmask16 mask, __m256i a) {
  emulated::storeMasked<uint16_t>(p, mask, a);
}
SMOOTHLOSS_INLINE __m512 _mm512_mask_blend_ps(__mmask16 mask, __m512 a, __m512 b) {
  return {{_mm256_blendv_ps(a.half[0], b.half[0], emulated::allOnes(mask, a.half[0])),
           _mm256_blendv_ps(a.half[1], b.half[1], emulated::allOnes(mask >> 8, a.half[1]))}};
}
SMOOTHLOSS_INLINE __m512d _mm512_mask_blend_pd(__mmask8 mask, __m512d a, __m512d b) {
  return {{_mm256_blendv_pd(a.half[0], b.half[0], emulated::allOnes(mask, a.half[0])),
           _mm256_blendv_pd(a.half[1], b.half[1], emulated::allOnes(mask >> 4, a.half[1]))}};
}
SMOOTHLOSS_INLINE __m512 _mm512_setzero_ps() { return {{_mm256_setzero_ps(), _mm256_setzero_ps()}}; }
SMOOTHLOSS_INLINE __m512d _mm512_setzero_pd() { return {{_mm256_setzero_pd(), _mm256_setzero_pd()}}; }
SMOOTHLOSS_INLINE __m512 _mm512_maskz_mov_ps(__mmask16 mask, __m512 a) {
  return _mm512_mask_blend_ps(mask, _mm512_setzero_ps(), a);
}
SMOOTHLOSS_INLINE __m512d _mm512_maskz_mov_pd(__mmask8 mask, __m512d a) {
  return _mm512_mask_blend_pd(mask, _mm512_setzero_pd(), a);
}
SMOOTHLOSS_INLINE __m512 _mm512_maskz_fmadd_ps(__mmask16 mask, __m512 a, __m512 b, __m512 c) {
  return _mm512_maskz_mov_ps(mask, _mm512_fmadd_ps(a, b, c));
}
SMOOTHLOSS_INLINE __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int how) {
  return static_cast<__mmask16>(emulated::compare(a.half[0], b.half[0], how) |
                                emulated::compare(a.half[1], b.half[1], how) << 8);
}
SMOOTHLOSS_INLINE __mmask8 _mm512_cmp_pd_mask(__m512d a, __m512d b, int how) {
  return static_cast<__mmask8>(emulated::compare(a.half[0], b.half[0], how) |
                               emulated::compare(a.half[1], b.half[1], how) << 4);
}

// Constants, casts and parts.
SMOOTHLOSS_INLINE __m512 _mm512_set1_ps(float x) { return {{_mm256_set1_ps(x), _mm256_set1_ps(x)}}; }
SMOOTHLOSS_INLINE __m512d _mm512_set1_pd(double x) { return {{_mm256_set1_pd(x), _mm256_set1_pd(x)}}; }
SMOOTHLOSS_INLINE __m512i _mm512_set1_epi16(short x) { return {{_mm256_set1_epi16(x), _mm256_set1_epi16(x)}}; }
SMOOTHLOSS_INLINE __m512i _mm512_set1_epi32(int x) { return {{_mm256_set1_epi32(x), _mm256_set1_epi32(x)}}; }
SMOOTHLOSS_INLINE __m512i _mm512_set1_epi64(long long x) { return {{_mm256_set1_epi64x(x), _mm256_set1_epi64x(x)}}; }
// From the last lane to the first.
template <typename... T>
SMOOTHLOSS_INLINE __m512i _mm512_set_epi16(T... x) {
  static_assert(sizeof...(x) == 32);
  const short all[] = {static_cast<short>(x)...};
  emulated::Lanes<short, __m512i> lanes;
  for (size_t i = 0; i < lanes.kCount; i++) lanes.lane[i] = all[31 - i];
  return emulated::sameBits<__m512i>(lanes);
}
template <typename... T>
SMOOTHLOSS_INLINE __m512i _mm512_setr_epi32(T... x) {
  static_assert(sizeof...(x) == 16);
  return emulated::sameBits<__m512i>(emulated::Lanes<int, __m512i>{{x...}});
}
template <typename... T>
SMOOTHLOSS_INLINE __m512i _mm512_setr_epi64(T... x) {
  static_assert(sizeof...(x) == 8);
  return emulated::sameBits<__m512i>(emulated::Lanes<long long, __m512i>{{x...}});
}
SMOOTHLOSS_INLINE __m512i _mm512_castps_si512(__m512 a) { return emulated::sameBits<__m512i>(a); }
SMOOTHLOSS_INLINE __m512i _mm512_castpd_si512(__m512d a) { return emulated::sameBits<__m512i>(a); }
SMOOTHLOSS_INLINE __m512 _mm512_castsi512_ps(__m512i a) { return emulated::sameBits<__m512>(a); }
SMOOTHLOSS_INLINE __m512d _mm512_castsi512_pd(__m512i a) { return emulated::sameBits<__m512d>(a); }
SMOOTHLOSS_INLINE __m256 _mm512_castps512_ps256(__m512 a) { return a.half[0]; }
SMOOTHLOSS_INLINE __m512 _mm512_castps256_ps512(__m256 a) {
  return {{a, _mm256_set1_ps(std::numeric_limits<float>::quiet_NaN())}};
}
SMOOTHLOSS_INLINE __m256 _mm512_extractf32x8_ps(__m512 a, int which) { return a.half[which]; }
SMOOTHLOSS_INLINE __m512 _mm512_insertf32x8(__m512 a, __m256 b, int which) {
  a.half[which] = b;
  return a;
}
SMOOTHLOSS_INLINE __m512i _mm512_broadcast_i32x8(__m256i a) { return {{a, a}}; }

// Conversions.
SMOOTHLOSS_INLINE __m512 _mm512_cvtepi32_ps(__m512i a) {
  return {{_mm256_cvtepi32_ps(a.half[0]), _mm256_cvtepi32_ps(a.half[1])}};
}
SMOOTHLOSS_INLINE __m512d _mm512_cvtepi32_pd(__m256i a) {
  return {{_mm256_cvtepi32_pd(_mm256_castsi256_si128(a)), _mm256_cvtepi32_pd(_mm256_extracti128_si256(a, 1))}};
}
SMOOTHLOSS_INLINE __m512d _mm512_cvtepi64_pd(__m512i a) {
  const auto from = emulated::sameBits<emulated::Lanes<long long, __m512i>>(a);
  emulated::Lanes<double, __m512d> to;
  for (size_t i = 0; i < to.kCount; i++) to.lane[i] = static_cast<double>(from.lane[i]);
  return emulated::sameBits<__m512d>(to);
}
SMOOTHLOSS_INLINE __m512d _mm512_cvtps_pd(__m256 a) {
  return {{_mm256_cvtps_pd(_mm256_castps256_ps128(a)), _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))}};
}
SMOOTHLOSS_INLINE __m256 _mm512_cvtpd_ps(__m512d a) {
  return _mm256_set_m128(_mm256_cvtpd_ps(a.half[1]), _mm256_cvtpd_ps(a.half[0]));
}
SMOOTHLOSS_INLINE __m512i _mm512_cvtepu8_epi32(__m128i a) {
  return {{_mm256_cvtepu8_epi32(a), _mm256_cvtepu8_epi32(_mm_srli_si128(a, 8))}};
}
SMOOTHLOSS_INLINE __m512i _mm512_cvtepu16_epi32(__m256i a) {
  return {{_mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)), _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1))}};
}
SMOOTHLOSS_INLINE __m256i _mm512_cvtepi32_epi16(__m512i a) {
  const auto from = emulated::sameBits<emulated::Lanes<uint32_t, __m512i>>(a);
  uint16_t to[16];
  for (size_t i = 0; i < from.kCount; i++) to[i] = static_cast<uint16_t>(from.lane[i]);
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(to));
}
SMOOTHLOSS_INLINE __m512 _mm512_cvtph_ps(__m256i a) {
  return {{_mm256_cvtph_ps(_mm256_castsi256_si128(a)), _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1))}};
}
SMOOTHLOSS_INLINE __m256i _mm512_cvtps_ph(__m512 a, int rounding) {
  if (rounding != _MM_FROUND_TO_NEAREST_INT) __builtin_trap();
  return _mm256_set_m128i(_mm256_cvtps_ph(a.half[1], _MM_FROUND_TO_NEAREST_INT),
                          _mm256_cvtps_ph(a.half[0], _MM_FROUND_TO_NEAREST_INT));
}

// Permutations.
SMOOTHLOSS_INLINE __m512i _mm512_permutexvar_epi32(__m512i index, __m512i a) {
  return emulated::permute<uint32_t>(a, index, a);
}
SMOOTHLOSS_INLINE __m512 _mm512_permutex2var_ps(__m512 a, __m512i index, __m512 b) {
  return emulated::sameBits<__m512>(emulated::permute<uint32_t>(_mm512_castps_si512(a), index, _mm512_castps_si512(b)));
}
SMOOTHLOSS_INLINE __m512d _mm512_permutex2var_pd(__m512d a, __m512i index, __m512d b) {
  return emulated::sameBits<__m512d>(
      emulated::permute<uint64_t>(_mm512_castpd_si512(a), index, _mm512_castpd_si512(b)));
}
SMOOTHLOSS_INLINE __m512i _mm512_permutex2var_epi16(__m512i a, __m512i index, __m512i b) {
  return emulated::permute<uint16_t>(a, index, b);
}

}  // namespace smoothloss
SMOOTHLOSS_END_AVX2

#endif  // SMOOTHLOSS_EMULATION_AVX512_IMMINTRIN_H_
