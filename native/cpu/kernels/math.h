// exp, tanh and sigmoid of float32 lanes, and what activations are made of, for any Vec. The polynomials are minimax
// fits made for this file.
//
// Bounds in units in the last place of the float32 result, subnormal results included; test/native/cpu/math_test.cc
// asserts them under every ISA:
//   exponential  1.0   exponential(0) = 1; gradual underflow to 0, overflow to infinity
//   softmax_exponential2  2.5   for x in [-126, 0], at 0 exactly 1
//   tanh         1.5   odd, keeps -0; 1 from about 9.01 on
//   sigmoid      2.5   gradual underflow to 0
//   sigmoid_weighted  3 for x > 0; for x < 0, where a rounded exponent is amplified, 4 + 2 rate |x|
//   gelu, gelu_tanh (gelu.h)  3.5 for x > 0; for x < 0, where 1 + erf(x / sqrt(2)) cancels, |x| 2^-23
// NaN gives NaN, infinities give the limits.
#pragma once

namespace octoformer {
namespace {

/// c0 + x (c1 + x (c2 + ...)), each step one fused multiply-add.
template <int Count>
inline Vec::F polynomial(Vec::F x, const float (&coefficient)[Count]) {
  Vec::F sum = Vec::set1(coefficient[Count - 1]);
#pragma GCC unroll 16
  for (int i = Count - 2; i >= 0; --i) sum = Vec::fma(sum, x, Vec::set1(coefficient[i]));
  return sum;
}

/// e^r for r = x - n ln 2, |r| <= ln(2) / 2, by a polynomial whose relative error is below 4e-9.
inline Vec::F exponential_of_rest(Vec::F x, Vec::F n) {
  // ln 2 in two parts, of which the first has trailing zeros: its product with n is exact.
  Vec::F r = Vec::fma(n, Vec::set1(-0x1.62e4p-1f), x);
  r = Vec::fma(n, Vec::set1(-0x1.7f7d1cp-20f), r);
  constexpr float kCoefficients[] = {0x1.fffffcp-2f, 0x1.555490p-3f, 0x1.5558f6p-5f, 0x1.123a8ep-7f, 0x1.6a2318p-10f};
  return Vec::add(Vec::fma(Vec::mul(r, r), polynomial(r, kCoefficients), r), Vec::set1(1.0f));
}

/// The integer next to x / ln 2, for |x| < 2^20: adding this number leaves no digits behind the point.
inline Vec::F nearest_power(Vec::F x) {
  const Vec::F shift = Vec::set1(0x1.8p23f);
  return Vec::sub(Vec::fma(x, Vec::set1(1.44269504f), shift), shift);
}

/// e^x for x in [-104, 89], beyond which it is 0 or infinity.
inline Vec::F exponential_within(Vec::F x) {
  const Vec::F n = nearest_power(x);
  return Vec::times_any_power_of_two(exponential_of_rest(x, n), n);
}

inline Vec::F exponential(Vec::F x) {
  // NaN passes, being the second operand.
  return exponential_within(Vec::max(Vec::set1(-104.0f), Vec::min(Vec::set1(89.0f), x)));
}

/// e^x for x <= 0, where the weights of a softmax lie: exactly 0 below -87 instead of numbers near the smallest normal
/// one (1e-38 of the largest weight), which would slow down what they are multiplied with.
inline Vec::F softmax_exponential(Vec::F x) {
  const Vec::F lowest = Vec::set1(-87.0f);
  const Vec::F bounded = Vec::max(lowest, x);
  const Vec::F n = nearest_power(bounded);
  const Vec::F e = Vec::mul(exponential_of_rest(bounded, n), Vec::power_of_two(n));
  return Vec::select_less(x, lowest, Vec::zero(), e);
}

/// 2^x for x in [-126, 127].
inline Vec::F exponential2_within(Vec::F x) {
  Vec::F rest;
  const Vec::F n = Vec::round(x, &rest);
  // 2^rest for |rest| <= 1/2 with a relative error below 1.1e-7; the rest is exact.
  constexpr float kCoefficients[] = {1.0f,           0x1.62e42ap-1f, 0x1.ebf9bcp-3f,
                                     0x1.c6b752p-5f, 0x1.3cea88p-7f, 0x1.5bba14p-10f};
  return Vec::times_power_of_two(polynomial(rest, kCoefficients), n);
}

/// 2^x for x <= 0, likewise: exactly 0 below -126.
inline Vec::F softmax_exponential2(Vec::F x) {
  const Vec::F lowest = Vec::set1(-126.0f);
  return Vec::select_less(x, lowest, Vec::zero(), exponential2_within(Vec::max(lowest, x)));
}

inline Vec::F tanh(Vec::F x) {
  const Vec::F magnitude = Vec::min(Vec::set1(10.0f), Vec::abs(x));  // tanh(10) rounds to 1
  // Below 0.625: x + x^3 P(x^2), where 1 - 2 / (e^2x + 1) would cancel.
  constexpr float kCoefficients[] = {-0x1.555532p-2f, 0x1.110726p-3f, -0x1.b83c5ap-5f, 0x1.52269cp-6f, -0x1.75e1d0p-8f};
  const Vec::F square = Vec::mul(magnitude, magnitude);
  const Vec::F small = Vec::fma(Vec::mul(magnitude, square), polynomial(square, kCoefficients), magnitude);
  const Vec::F e = exponential_within(Vec::add(magnitude, magnitude));
  const Vec::F one = Vec::set1(1.0f);
  const Vec::F large = Vec::sub(one, Vec::quotient(Vec::set1(2.0f), Vec::add(e, one)));
  return Vec::copysign(Vec::select_less(magnitude, Vec::set1(0.625f), small, large), x);
}

/// 1 / (1 + e^-x), as e^-|x| / (1 + e^-|x|) for negative x: neither form overflows or cancels.
inline Vec::F sigmoid(Vec::F x) {
  const Vec::F one = Vec::set1(1.0f);
  const Vec::F e = exponential_within(Vec::max(Vec::set1(-104.0f), Vec::copysign(x, Vec::set1(-1.0f))));
  return Vec::quotient(Vec::select_less(x, Vec::zero(), e, one), Vec::add(one, e));
}

/// x / (1 + 2^y) for y <= 100. 2^y changes nothing beside 1 long before -126.
inline Vec::F over_one_plus_exponential2(Vec::F x, Vec::F y) {
  const Vec::F power = exponential2_within(Vec::max(Vec::set1(-126.0f), y));
  return Vec::quotient(x, Vec::add(power, Vec::set1(1.0f)));
}

/// x / (1 + e^(-rate x)). From -100 ln 2 / rate on downwards it stays what it is there, about -1e-28.
inline Vec::F sigmoid_weighted(Vec::F x, float rate) {
  constexpr float kBinary = 1.44269504f;  // 1 / ln 2
  const Vec::F bounded = Vec::max(Vec::set1(-100.0f / kBinary / rate), x);
  return over_one_plus_exponential2(bounded, Vec::mul(bounded, Vec::set1(-kBinary * rate)));
}

/// softcap * tanh(x / softcap), Gemma 2's bound on scores and logits.
inline Vec::F soft_cap(Vec::F x, Vec::F softcap) { return Vec::mul(softcap, tanh(Vec::div(x, softcap))); }

}  // namespace
}  // namespace octoformer
