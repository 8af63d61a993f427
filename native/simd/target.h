// What a kernel file needs from the compiler: an instruction set for one region of code, forced inlining, and no
// contraction of a·b + c into an fma that the source does not ask for.
//
// The source opens the region. The flag -mavx2 for the whole file would compile inline functions of the standard
// library with AVX too, and the linker may keep that copy for CPUs without AVX. For the same reason everything inside a
// region is in an unnamed namespace, and standard headers are included before it.

#ifndef SMOOTHLOSS_SIMD_TARGET_H_
#define SMOOTHLOSS_SIMD_TARGET_H_

#if defined(__x86_64__) || defined(_M_X64)
#define SMOOTHLOSS_X64 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#define SMOOTHLOSS_ARM64 1
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define SMOOTHLOSS_INLINE __forceinline
#define SMOOTHLOSS_NOINLINE __declspec(noinline)
#define SMOOTHLOSS_COLD __declspec(noinline)
#define SMOOTHLOSS_BEGIN_AVX2
#define SMOOTHLOSS_END_AVX2
#define SMOOTHLOSS_BEGIN_AVX512
#define SMOOTHLOSS_END_AVX512
#pragma fp_contract(off)
#elif defined(__clang__)
#define SMOOTHLOSS_INLINE inline __attribute__((always_inline))
#define SMOOTHLOSS_NOINLINE __attribute__((noinline))
#define SMOOTHLOSS_COLD __attribute__((noinline, cold))
#define SMOOTHLOSS_BEGIN_AVX2 \
  _Pragma("clang attribute push(__attribute__((target(\"avx2,fma,f16c\"))), apply_to = function)")
#define SMOOTHLOSS_END_AVX2 _Pragma("clang attribute pop")
#define SMOOTHLOSS_BEGIN_AVX512 \
  _Pragma("clang attribute push(__attribute__((target(\"avx512bw,avx512dq,avx512vl\"))), apply_to = function)")
#define SMOOTHLOSS_END_AVX512 _Pragma("clang attribute pop")
#pragma STDC FP_CONTRACT OFF
#else  // GCC has no such pragma: sources.gypi has -ffp-contract=off
// tune=skylake: by default GCC clears small arrays with rep stos, and 32 rows of 10 classes take 4 % longer.
#define SMOOTHLOSS_INLINE inline __attribute__((always_inline))
#define SMOOTHLOSS_NOINLINE __attribute__((noinline))
#define SMOOTHLOSS_COLD __attribute__((noinline, cold))
#define SMOOTHLOSS_BEGIN_AVX2 _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma,f16c,tune=skylake\")")
#define SMOOTHLOSS_END_AVX2 _Pragma("GCC pop_options")
#define SMOOTHLOSS_BEGIN_AVX512 _Pragma("GCC push_options") _Pragma("GCC target(\"avx512bw,avx512dq,avx512vl\")")
#define SMOOTHLOSS_END_AVX512 _Pragma("GCC pop_options")
#endif

#endif  // SMOOTHLOSS_SIMD_TARGET_H_
