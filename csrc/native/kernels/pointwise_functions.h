// The functions of pointwise.h, for float and double: a part of pointwise_stages.h, compiled for
// each instruction set. Nothing but additions, multiplications, fused ones, divisions, comparisons
// and integer arithmetic, each of which has one right result: so results are the same everywhere,
// and loops over them become vectors.

namespace qconv::native {
namespace {

#define QCONV_INLINE __attribute__((always_inline))

template <typename Real>
struct RealTraits;

template <>
struct RealTraits<float> {
  using Bits = uint32_t;
  static constexpr int kMantissaBits = 23;
  static constexpr float kRounding = 0x1.8p23F;
  static constexpr float kMostExponent = 80;
  static constexpr int kExpTerms = 7;
};

template <>
struct RealTraits<double> {
  using Bits = uint64_t;
  static constexpr int kMantissaBits = 52;
  static constexpr double kRounding = 0x1.8p52;
  static constexpr double kMostExponent = 700;
  static constexpr int kExpTerms = 10;
};

inline QCONV_INLINE float fma_of(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
inline QCONV_INLINE double fma_of(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}

// Comparisons with a NaN are false: it goes through.
template <typename Real>
inline QCONV_INLINE Real at_least(Real x, Real bound) {
  return x < bound ? bound : x;
}
template <typename Real>
inline QCONV_INLINE Real at_most(Real x, Real bound) {
  return x > bound ? bound : x;
}

// Adding this number leaves the nearest integer, halves to even, in the lowest bits of the sum, as
// two's complement. For |x| below 2^22, or 2^51.
template <typename Real>
inline QCONV_INLINE typename RealTraits<Real>::Bits rounded_bits(Real x) {
  return __builtin_bit_cast(typename RealTraits<Real>::Bits, x + RealTraits<Real>::kRounding);
}

// exp(x) for |x| <= kMostExponent (whose reciprocal is in the type's range), as 2^n exp(r), |r| <=
// ln(2) / 2, exp(r) by its Taylor series. What that leaves out is below r^k / k! with k
// terms: 1.2e-7 of the result with 7, 7e-12 with 10 (times 1.02). ln(2) is taken off in two parts,
// of which the first has few bits, so that n times it is exact (W. J. Cody and W. Waite, Software
// Manual for the Elementary Functions, 1980).
template <typename Real>
inline QCONV_INLINE Real exp_of(Real x) {
  using Traits = RealTraits<Real>;
  using Bits = typename Traits::Bits;
  constexpr Real kLn2High = 0x1.62ep-1;  // 12 bits
  constexpr Real kLn2Low = 0x1.0bfbe8e7bcd5ep-15;
  const Real shifted = fma_of(x, static_cast<Real>(1.4426950408889634), Traits::kRounding);
  const Real n = shifted - Traits::kRounding;
  const Real r = fma_of(n, -kLn2Low, fma_of(n, -kLn2High, x));
  constexpr double kInverseFactorials[] = {1,           1,           1.0 / 2,   1.0 / 6,
                                           1.0 / 24,    1.0 / 120,   1.0 / 720, 1.0 / 5040,
                                           1.0 / 40320, 1.0 / 362880};
  Real sum = static_cast<Real>(kInverseFactorials[Traits::kExpTerms - 1]);
#pragma GCC unroll 16
  for (int k = Traits::kExpTerms - 2; k >= 0; --k) {
    sum = fma_of(sum, r, static_cast<Real>(kInverseFactorials[k]));
  }
  // The lowest bits of `shifted` are n: added to the exponent.
  const Bits power = __builtin_bit_cast(Bits, shifted) << Traits::kMantissaBits;
  return __builtin_bit_cast(Real, __builtin_bit_cast(Bits, sum) + power);
}

// A number that the compiler doesn't know: from a known bound it would make branches for arguments
// beyond, and no vectors.
template <typename Real>
Real hidden(Real value) {
  const volatile Real place = value;
  return place;
}

// The functions, as objects so that their bounds are hidden outside of loops. Where one tends to 0
// its argument is bounded: what is beyond is 0 to any output's precision, and infinities have
// limits.

template <typename Real>
struct Relu {
  Real zero = hidden(Real(0));
  inline QCONV_INLINE Real operator()(Real x) const { return at_least(x, zero); }
};

template <typename Real>
struct Hardtanh {
  Real lower, upper;
  inline QCONV_INLINE Real operator()(Real x) const { return at_most(at_least(x, lower), upper); }
};

template <typename Real>
struct LeakyRelu {
  Real slope;
  Real zero = hidden(Real(0));
  // One of the two is 0.
  inline QCONV_INLINE Real operator()(Real x) const {
    return at_least(x, zero) + slope * at_most(x, zero);
  }
};

template <typename Real>
struct Hardswish {
  Real zero = hidden(Real(0));
  Real three = hidden(Real(3));
  Real six = hidden(Real(6));
  inline QCONV_INLINE Real operator()(Real x) const {
    const Real gate = at_most(at_least(x + three, zero), six);
    return at_least(x, -three) * gate * static_cast<Real>(1.0 / 6);
  }
};

template <typename Real>
struct Sigmoid {
  Real most = hidden(RealTraits<Real>::kMostExponent);
  inline QCONV_INLINE Real operator()(Real x) const {
    const Real bounded = at_most(at_least(x, -most), most);
    // The last term is 0, or NaN where x is.
    return 1 / (1 + exp_of(-bounded)) + (bounded - bounded);
  }
};

// x * sigmoid(argument), whose argument grows with x.
template <typename Real>
struct TimesSigmoid {
  Real most = hidden(RealTraits<Real>::kMostExponent);
  inline QCONV_INLINE Real operator()(Real x, Real argument) const {
    const Real bounded = at_most(at_least(argument, -most), most);
    return at_least(x, -most) / (1 + exp_of(-bounded));
  }
};

template <typename Real>
struct Swish {
  TimesSigmoid<Real> times_sigmoid;
  inline QCONV_INLINE Real operator()(Real x) const { return times_sigmoid(x, x); }
};

// (1 + tanh(u)) / 2 = sigmoid(2 u).
template <typename Real>
struct GeluTanh {
  TimesSigmoid<Real> times_sigmoid;
  inline QCONV_INLINE Real operator()(Real x) const {
    constexpr auto kLinear = static_cast<Real>(1.5957691216057308);  // 2 sqrt(2 / pi)
    constexpr auto kCubic = static_cast<Real>(1.5957691216057308 * 0.044715);
    return times_sigmoid(x, x * fma_of(kCubic, x * x, kLinear));
  }
};

// x Phi(x) = max(x, 0) - |x| Q(|x|), Q(z) = erfc(z / sqrt(2)) / 2. With v = |x| / sqrt(2),
// erfc(v) = exp(-v^2) u P(2 u - 1), u = 1 / (1 + 0.3 v), in the form of Abramowitz and Stegun,
// Handbook of Mathematical Functions, 7.1.26; test/native/erfc_coefficients.py makes P, whose error
// is below 2.2e-11 where P is between 0.17 and 1.
template <typename Real>
struct Gelu {
  Real zero = hidden(Real(0));
  // |x| beyond which exp(-v^2) is 0 to any output's precision: v^2 is 72, or 648.
  Real most = hidden(static_cast<Real>(sizeof(Real) == sizeof(float) ? 12 : 36));
  inline QCONV_INLINE Real operator()(Real x) const {
    constexpr double kPolynomial[] = {
        0.32497992186693248,     0.27652355697700414,     0.19878107734434149,
        0.1187186663561616,      0.056961649260118938,    0.020401538680859629,
        0.0043560326054842405,   -0.00018218505748811835, -0.00048115442168508271,
        -0.00010586637646312985, 3.2445003038532738e-5,   1.7521354127386978e-5,
        -1.5341331749156425e-6,  -1.6694799716499982e-6};
    constexpr int kTerms = sizeof(kPolynomial) / sizeof(double);
    constexpr auto kStep = static_cast<Real>(0.3 * 0.70710678118654752);
    const Real size = at_most(at_least(x, -x), most);
    const Real u = 1 / fma_of(kStep, size, static_cast<Real>(1));
    const Real t = fma_of(static_cast<Real>(2), u, static_cast<Real>(-1));
    Real sum = static_cast<Real>(kPolynomial[kTerms - 1]);
#pragma GCC unroll 16
    for (int k = kTerms - 2; k >= 0; --k) {
      sum = fma_of(sum, t, static_cast<Real>(kPolynomial[k]));
    }
    const Real half = size * static_cast<Real>(0.5);
    return at_least(x, zero) - half * u * sum * exp_of(-half * size);
  }
};

}  // namespace
}  // namespace qconv::native
