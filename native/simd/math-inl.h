// The elementary functions. They use only operations that IEEE 754 defines to the last bit, so every backend returns
// the same bits. Include after a vec_*-inl.h, in a backend's unnamed namespace. lib/js/math.ts mirrors this file.
// test/math.test.ts checks the errors that comments state.

static_assert(FLT_EVAL_METHOD == 0, "float and double arithmetic must round each result to its own type");

constexpr float kRoundToInteger = 0x1.8p23f;  // 1.5·2^23: spacing 1
constexpr float kLog2E = 0x1.715476p0f;
constexpr float kLn2High = 0x1.62e43p-1f;
constexpr float kLn2Low = -0x1.05c61p-29f;

constexpr double kRoundToIntegerDouble = 0x1.8p52;
constexpr double kLog2EDouble = 0x1.71547652b82fep0;
constexpr double kLn2 = 0x1.62e42fefa39efp-1;
constexpr double kLn2HighDouble = 0x1.62e42feep-1;  // 32 bits: n · kLn2HighDouble is exact
constexpr double kLn2LowDouble = 0x1.a39ef35793c76p-33;

// The functions in double are templates over double, for one row, and DoubleVec. They multiply and add separately,
// since JavaScript has no fma for double, and split polynomials in halves (Estrin), since a row waits for their
// results.

SMOOTHLOSS_INLINE DoubleVec operator+(DoubleVec a, DoubleVec b) { return add(a, b); }
SMOOTHLOSS_INLINE DoubleVec operator-(DoubleVec a, DoubleVec b) { return sub(a, b); }
SMOOTHLOSS_INLINE DoubleVec operator*(DoubleVec a, DoubleVec b) { return mul(a, b); }
SMOOTHLOSS_INLINE DoubleVec operator/(DoubleVec a, DoubleVec b) { return div(a, b); }

// e^r − 1 for |r| ≤ ln2/2: r + r²·p(r), interpolated at Chebyshev nodes, 1.7e-17 relative to e^r.
template <typename D>
SMOOTHLOSS_INLINE D expMinus1(D r) {
  const D r2 = r * r;
  const D r4 = r2 * r2;
  const D p0 = (0.5 + 0x1.5555555555556p-3 * r) + (0x1.5555555553d63p-5 + 0x1.11111111109b3p-7 * r) * r2;
  const D p4 =
      (0x1.6c16c1788bd90p-10 + 0x1.a01a01a7c41d5p-13 * r) + (0x1.a019b90d2ae7ap-16 + 0x1.71de0dae63bb3p-19 * r) * r2;
  const D p8 = 0x1.289185613a3d6p-22 + 0x1.af38a9b0ec855p-26 * r;
  const D p = p0 + (p4 + p8 * r4) * r4;
  return r + r2 * p;
}
// The same in float: minimax for the error relative to e^r − 1, 1.4e-8 before rounding.
SMOOTHLOSS_INLINE Vec expMinus1(Vec r) {
  Vec p = fma(set1(0x1.6d98f6p-10f), r, set1(0x1.1227fp-7f));
  p = fma(p, r, set1(0x1.555486p-5f));
  p = fma(p, r, set1(0x1.5554bp-3f));
  p = fma(p, r, set1(0.5f));
  return fma(p, mul(r, r), r);
}

// 2^(i/8).
constexpr float kEighths[8] = {0x1p0f,        0x1.172b84p0f, 0x1.306fep0f,  0x1.4bfdaep0f,
                               0x1.6a09e6p0f, 0x1.8ace54p0f, 0x1.ae89fap0f, 0x1.d5818ep0f};

// e^x · 2^−k with k from `magic` = 1.5·2^20 + 127 − k, for x in [(k − 127)·ln 2, (k + 127)·ln 2], |x| ≤ 2^19 + 100 and
// |k| < 2^20: within 2.2 units in the last place (1.2 for |x| ≤ ln2/2), 0 where x · log2 e rounds to less than k − 126;
// NaN for NaN.
//
// e^x = 2^n · e^r with n = x · log2 e rounded to an eighth and r = x − n · ln 2 in [−ln2/16, ln2/16], reduced in two
// steps (Cody and Waite); n · kLn2High is exact here. The magic number leaves 8·(n + 127 − k) in the low bits of the
// sum: the lowest three are the index of 2^n's fraction, those above them the exponent. Several vectors take each step
// together: a single one would wait for each result. (A whole n and a polynomial of degree 6, without a table, took 10
// % longer with AVX2, and 25 % in JavaScript.)
template <size_t N>
SMOOTHLOSS_INLINE void exp(Vec (&x)[N], Vec magic) {
  Vec sum[N], p[N];
  expReduce(x, sum, magic, set1(kLog2E), set1(-kLn2High), set1(-kLn2Low));
  // e^r − 1 = r + r²·(c2 + c3·r): minimax for the error relative to e^r, 2.6e-8 before rounding.
  for (size_t i = 0; i < N; ++i) p[i] = expFma(set1(0x1.555668p-3f), x[i], set1(0x1.000878p-1f));
  for (size_t i = 0; i < N; ++i) p[i] = expFma(p[i], mul(x[i], x[i]), x[i]);
  for (size_t i = 0; i < N; ++i) x[i] = expResult(kEighths, p[i], sum[i]);
}
// The same in double, from `magic` = 1.5·2^52 + 1023 − k, for x in [(k − 1023)·ln 2, (k + 1023)·ln 2], |x| ≤ 2^19 +
// 1000 and |k| < 2^20: within 1.3 units in the last place, 0 where x · log2 e rounds to less than k − 1022; NaN for
// NaN.
template <size_t N>
SMOOTHLOSS_INLINE void exp(DoubleVec (&x)[N], DoubleVec magic) {
  for (size_t i = 0; i < N; ++i) {
    const DoubleVec sum = x[i] * kLog2EDouble + magic;
    const DoubleVec n = sum - magic;
    const DoubleVec r = (x[i] - n * kLn2HighDouble) - n * kLn2LowDouble;
    x[i] = (1.0 + expMinus1(r)) * powerOfTwo(sum);
  }
}
// exp's magic number for one scale, and its floor, the largest x for which it returns 0; then those of a vector of
// scales.
template <typename V>
constexpr double kExpBias = sizeof(typename V::Real) == sizeof(float) ? 127.0 : 1023.0;
template <typename V>
constexpr typename V::Real kExpRound = static_cast<typename V::Real>(
    sizeof(typename V::Real) == sizeof(float) ? double{kRoundToEighth} : kRoundToIntegerDouble);
template <typename V>
SMOOTHLOSS_INLINE typename V::Real expMagic(As<V>, double k) {
  return kExpRound<V> + static_cast<typename V::Real>(kExpBias<V> - k);
}
template <typename V>
SMOOTHLOSS_INLINE typename V::Real expFloor(As<V>, double k) {
  return static_cast<typename V::Real>(kLn2 * (k - kExpBias<V>));
}
template <typename V>
SMOOTHLOSS_INLINE V expMagic(As<V> as, const double* k) {
  double biased[V::kWidth];
  for (size_t i = 0; i < V::kWidth; i += DoubleVec::kWidth) {
    store(biased + i, kExpBias<V> - load(As<DoubleVec>(), k + i));
  }
  return add(set1(kExpRound<V>), load(as, biased));
}
template <typename V>
SMOOTHLOSS_INLINE V expFloor(As<V> as, const double* k) {
  double floor[V::kWidth];
  for (size_t i = 0; i < V::kWidth; i += DoubleVec::kWidth) {
    store(floor + i, kLn2 * (load(As<DoubleVec>(), k + i) - kExpBias<V>));
  }
  return load(as, floor);
}

// round(x) for |x| < 2^51.
template <typename D>
SMOOTHLOSS_INLINE D roundToInteger(D x) {
  return (x + kRoundToIntegerDouble) - kRoundToIntegerDouble;
}

// e^x for x ≤ 700, within 1.3 units in the last place; 0 below −700; NaN for NaN.
template <typename D>
SMOOTHLOSS_INLINE D exp(D x) {
  const D sum = x * kLog2EDouble + kRoundToIntegerDouble;
  const D n = sum - kRoundToIntegerDouble;
  const D r = (x - n * kLn2HighDouble) - n * kLn2LowDouble;
  return whereGreater(D(-700.0), x, D(0.0), (1.0 + expMinus1(r)) * powerOfTwo(sum + 1023.0));
}

// x − k·ln 2 for logits of the type Real, |x − k·ln 2| ≤ |x| ≤ 2^19 or k = 0. For doubles ln 2 has two halves, as in
// exp: k · kLn2HighDouble is exact, and so is the difference of close numbers, so the error is at most one unit in the
// last place of the result. With one product the error is 2^−53 · |x|, negligible for exponentials in float.
template <typename Real, typename D>
SMOOTHLOSS_INLINE D lessLn2(D x, D k) {
  if constexpr (sizeof(Real) == sizeof(double)) return (x - k * kLn2HighDouble) - k * kLn2LowDouble;
  return x - k * kLn2;
}

// ln((1 + s) / (1 − s)) for |s| ≤ 0.1716 = (√2 − 1)/(√2 + 1): 2s + s³·Q(s²), 4.4e-18 relative before rounding.
template <typename D>
SMOOTHLOSS_INLINE D logRatio(D s) {
  const D z = s * s;
  const D z2 = z * z;
  const D q0 =
      (0x1.5555555555558p-1 + 0x1.99999999952ccp-2 * z) + (0x1.2492492df3ba9p-2 + 0x1.c71c62e26212dp-3 * z) * z2;
  const D q4 = (0x1.7462b58e44074p-3 + 0x1.39fe42e9d446ap-3 * z) + 0x1.2b59b70ebb6cfp-3 * z2;
  return 2.0 * s + s * z * (q0 + q4 * (z2 * z2));
}
// The same in float: minimax, 8.1e-10 relative before rounding.
SMOOTHLOSS_INLINE Vec logRatio(Vec s) {
  const Vec z = mul(s, s);
  Vec q = fma(set1(0x1.31e2fp-2f), z, set1(0x1.995ebap-2f));
  q = fma(q, z, set1(0x1.55557ap-1f));
  return fma(mul(s, z), q, add(s, s));
}

// ln(a/b + 1) where a ≤ limit, for 0 ≤ a ≤ 0.4·b, to full relative precision however small a/b is; elsewhere ln(a + b),
// for a + b a normal number. Within 2.1 units in the last place. One division and one polynomial serve both.
template <typename D>
SMOOTHLOSS_INLINE D logSum(D a, D b, D limit) {
  D m;
  const D k = splitExponent(a + b, m);
  const D n = whereGreater(a, limit, k, D(0.0));
  const D s = whereGreater(a, limit, m - 1.0, a) / whereGreater(a, limit, m + 1.0, a + 2.0 * b);
  return n * kLn2HighDouble + (n * kLn2LowDouble + logRatio(s));
}

// ln x of a normal number, within 2.1 units in the last place.
SMOOTHLOSS_INLINE double log(double x) { return logSum(x, 0.0, -1.0); }

// ln x for 0 < x < infinity, subnormal numbers too; NaN for x < 0, for others some number. Within 2.1 units in the
// last place of doubles, 2 of floats.
template <typename V>
SMOOTHLOSS_INLINE V log(V x) {
  using Real = typename V::Real;
  constexpr bool kDouble = sizeof(Real) == sizeof(double);
  constexpr Real kSmallest = std::numeric_limits<Real>::min();
  constexpr Real kLarge = kDouble ? static_cast<Real>(0x1p54) : static_cast<Real>(0x1p25);
  const V tiny = set1(kSmallest);
  V m;
  V k = splitExponent(whereGreater(tiny, x, mul(x, set1(kLarge)), x), m);
  k = sub(k, whereGreater(tiny, x, set1(kDouble ? Real(54) : Real(25)), set1(Real(0))));
  const V logM = logRatio(div(sub(m, set1(Real(1))), add(m, set1(Real(1)))));
  const Real high = kDouble ? static_cast<Real>(kLn2HighDouble) : kLn2High;
  const Real low = kDouble ? static_cast<Real>(kLn2LowDouble) : kLn2Low;
  const V result = fma(k, set1(high), fma(k, set1(low), logM));
  return whereGreater(set1(Real(0)), x, set1(std::numeric_limits<Real>::quiet_NaN()), result);
}

// ln(1 + e) for 0 ≤ e ≤ 1, to full relative precision however small e is: within 2.2 units in the last place.
// ln(1 + e) = ln 2 + ln((1 + e)/2) for e > √2 − 1.
SMOOTHLOSS_INLINE DoubleVec log1p(DoubleVec e) {
  const DoubleVec split = 0x1.a827999fcef32p-2;
  const DoubleVec numerator = whereGreater(e, split, e - 1.0, e);
  const DoubleVec denominator = e + whereGreater(e, split, 3.0, 2.0);
  return whereGreater(e, split, kLn2, 0.0) + logRatio(numerator / denominator);
}
// The same in float: e + e²·M(e), minimax, 5.2e-9 relative before rounding; within 1.6 units in the last place. It has
// no division, so BCE takes 25 % less time.
SMOOTHLOSS_INLINE Vec log1p(Vec e) {
  Vec m = fma(set1(-0x1.b2f58ap-9f), e, set1(0x1.4b0836p-6f));
  m = fma(m, e, set1(-0x1.d86322p-5f));
  m = fma(m, e, set1(0x1.b579c0p-4f));
  m = fma(m, e, set1(-0x1.3a7a80p-3f));
  m = fma(m, e, set1(0x1.935c9ep-3f));
  m = fma(m, e, set1(-0x1.ff26e0p-3f));
  m = fma(m, e, set1(0x1.554df0p-2f));
  m = fma(m, e, set1(-0x1.ffffd2p-2f));
  return fma(m, mul(e, e), e);
}

SMOOTHLOSS_INLINE Vec tanhMagic(As<Vec>) { return set1(kRoundToInteger + 127.0f); }
SMOOTHLOSS_INLINE DoubleVec tanhMagic(As<DoubleVec>) { return set1(kRoundToIntegerDouble + 1023.0); }

// tanh y, within 2.8 units in the last place of doubles, 2.6 of floats; ±1 from where it rounds to that; NaN for NaN.
// With E = e^(2|y|) − 1 = (2^n − 1) + 2^n·(e^r − 1), whose parts are exact or small: tanh |y| = E / (E + 2).
template <typename V>
SMOOTHLOSS_INLINE V tanh(V y) {
  using Real = typename V::Real;
  constexpr bool kDouble = sizeof(Real) == sizeof(double);
  const V one = set1(Real(1));
  const V magic = tanhMagic(As<V>());
  V x = min(set1(kDouble ? Real(20) : Real(10)), abs(y));
  x = add(x, x);
  const V sum = fma(x, set1(static_cast<Real>(kDouble ? kLog2EDouble : static_cast<double>(kLog2E))), magic);
  const V n = sub(sum, magic);
  const Real high = kDouble ? static_cast<Real>(kLn2HighDouble) : kLn2High;
  const Real low = kDouble ? static_cast<Real>(kLn2LowDouble) : kLn2Low;
  const V r = fma(n, set1(-low), fma(n, set1(-high), x));
  const V power = powerOfTwo(sum);
  const V e = fma(power, expMinus1(r), sub(power, one));
  return copySign(div(e, add(e, add(one, one))), y);
}
