// The elementary functions, out of operations that IEEE 754 defines to the last bit, so that every backend returns the
// same bits. Include after a vec_*-inl.h, in a backend's unnamed namespace. lib/js/math.ts mirrors this file.

static_assert(FLT_EVAL_METHOD == 0, "float and double arithmetic must round each result to its own type");

constexpr float kRoundToEighth = 0x1.8p20f;  // 1.5·2^20: the float grid here has spacing 1/8
constexpr float kLog2E = 0x1.715476p0f;
constexpr float kLn2High = 0x1.62e43p-1f;
constexpr float kLn2Low = -0x1.05c61p-29f;

// 2^(i/8).
constexpr float kEighths[8] = {0x1p0f,        0x1.172b84p0f, 0x1.306fep0f,  0x1.4bfdaep0f,
                               0x1.6a09e6p0f, 0x1.8ace54p0f, 0x1.ae89fap0f, 0x1.d5818ep0f};

// e^x · 2^−k with k from `magic` = 1.5·2^20 + 127 − k, for x in [(k − 127)·ln 2, (k + 127)·ln 2], |x| ≤ 2^19 + 100 and
// |k| < 2^20: at most 2.5 units in the last place off (1.4 for small |x|; test/math.test.ts), 0 where x · log2 e rounds
// to less than k − 126; NaN for NaN.
//
// e^x = 2^n · e^r with n = x · log2 e rounded to an eighth and r = x − n · ln 2 in [−ln2/16, ln2/16], reduced in two
// steps (Cody and Waite); n · kLn2High is exact here. The magic number leaves 8·(n + 127 − k) in the low bits of the
// sum: the lowest three are the index of 2^n's fraction, those above them the exponent. Several vectors go step by step
// together: one alone would wait for each result. (With whole n and a polynomial of degree 6 in place of the table this
// took 10 % longer with AVX2, and 25 % in JavaScript.)
template <size_t N>
SMOOTHLOSS_INLINE void exp(Vec (&x)[N], Vec magic) {
  Vec sum[N], p[N];
  for (size_t i = 0; i < N; ++i) sum[i] = fma(x[i], set1(kLog2E), magic);
  for (size_t i = 0; i < N; ++i) x[i] = fma(sub(sum[i], magic), set1(-kLn2High), x[i]);
  for (size_t i = 0; i < N; ++i) x[i] = fma(sub(sum[i], magic), set1(-kLn2Low), x[i]);
  // e^r − 1 = r + r²·(c2 + c3·r): minimax for the error relative to e^r, 2.6e-8 before rounding.
  for (size_t i = 0; i < N; ++i) p[i] = fma(set1(0x1.555668p-3f), x[i], set1(0x1.000878p-1f));
  for (size_t i = 0; i < N; ++i) p[i] = fma(p[i], mul(x[i], x[i]), x[i]);
  for (size_t i = 0; i < N; ++i) {
    const Vec power = mul(lookup(kEighths, sum[i]), exponent(sum[i]));
    x[i] = fma(p[i], power, power);
  }
}

// The functions in double take one number a row. Multiplication and addition only, since JavaScript has no fma for
// double; polynomials by halves (Estrin), since a row waits for them.

constexpr double kRoundToIntegerDouble = 0x1.8p52;
constexpr double kLog2EDouble = 0x1.71547652b82fep0;
constexpr double kLn2 = 0x1.62e42fefa39efp-1;
constexpr double kLn2HighDouble = 0x1.62e42feep-1;  // 32 bits: n · kLn2HighDouble is exact
constexpr double kLn2LowDouble = 0x1.a39ef35793c76p-33;

SMOOTHLOSS_INLINE uint64_t bitsOf(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
SMOOTHLOSS_INLINE double fromBits(uint64_t bits) {
  double x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// round(x) for |x| < 2^51.
SMOOTHLOSS_INLINE double roundToInteger(double x) { return (x + kRoundToIntegerDouble) - kRoundToIntegerDouble; }

// e^x for x ≤ 700, within 1.2 units in the last place; 0 below −700; NaN for NaN.
SMOOTHLOSS_INLINE double exp(double x) {
  if (x < -700.0) return 0.0;
  if (x != x) return x;
  const double n = roundToInteger(x * kLog2EDouble);
  const double r = (x - n * kLn2HighDouble) - n * kLn2LowDouble;
  // (e^r − 1 − r) / r², interpolated at Chebyshev nodes: 1.7e-17 relative to e^r.
  const double r2 = r * r;
  const double r4 = r2 * r2;
  const double p0 = (0.5 + 0x1.5555555555556p-3 * r) + (0x1.5555555553d63p-5 + 0x1.11111111109b3p-7 * r) * r2;
  const double p4 =
      (0x1.6c16c1788bd90p-10 + 0x1.a01a01a7c41d5p-13 * r) + (0x1.a019b90d2ae7ap-16 + 0x1.71de0dae63bb3p-19 * r) * r2;
  const double p8 = 0x1.289185613a3d6p-22 + 0x1.af38a9b0ec855p-26 * r;
  const double p = p0 + (p4 + p8 * r4) * r4;
  return (1.0 + (r + r2 * p)) * fromBits(static_cast<uint64_t>(static_cast<int64_t>(n) + 1023) << 52);
}

// ln((1 + s) / (1 − s)) for |s| ≤ 0.1716 = (√2 − 1)/(√2 + 1): 2s + s³·Q(s²), 4.4e-18 relative before rounding.
SMOOTHLOSS_INLINE double logRatio(double s) {
  const double z = s * s;
  const double z2 = z * z;
  const double q0 =
      (0x1.5555555555558p-1 + 0x1.99999999952ccp-2 * z) + (0x1.2492492df3ba9p-2 + 0x1.c71c62e26212dp-3 * z) * z2;
  const double q4 = (0x1.7462b58e44074p-3 + 0x1.39fe42e9d446ap-3 * z) + 0x1.2b59b70ebb6cfp-3 * z2;
  return 2.0 * s + s * z * (q0 + q4 * (z2 * z2));
}

// ln(a/b + 1) if `relative`, for 0 ≤ a ≤ 0.4·b, to full relative precision however small a/b is; ln(a + b) if not, for
// a + b a normal number. Within 2 units in the last place. One division and one polynomial for both: a
// branch would often be mispredicted.
SMOOTHLOSS_INLINE double logSum(double a, double b, bool relative) {
  const double sum = a + b;
  // sum = m · 2^k with m in [√½, √2): subtracting √½'s bits makes the exponent field k.
  const int64_t k = static_cast<int64_t>(bitsOf(sum) - 0x3fe6a09e667f3bcdu) >> 52;
  const double m = fromBits(bitsOf(sum) - (static_cast<uint64_t>(k) << 52));
  const double n = relative ? 0.0 : static_cast<double>(k);
  const double s = (relative ? a : m - 1.0) / (relative ? a + 2.0 * b : m + 1.0);
  return n * kLn2HighDouble + (n * kLn2LowDouble + logRatio(s));
}
