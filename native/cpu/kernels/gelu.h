// gelu, x Phi(x) with the normal distribution Phi, and its tanh form (Hendrycks and Gimpel, arXiv:1606.08415).
#pragma once
#include "cpu/kernels/math.h"
#if defined(OCTOFORMER_TABLE_UNIT)
#include "cpu/kernels/gelu_pieces.h"
#endif

namespace octoformer {
namespace {

#if defined(OCTOFORMER_TABLE_UNIT)

inline Vec::F gelu(Vec::F x) { return gelu_by_pieces(kGeluPieces, x); }
inline Vec::F gelu_tanh(Vec::F x) { return gelu_by_pieces(kGeluTanhPieces, x); }

#else

/// Phi(x), the normal distribution: 2^Q(|x|) to the left of 0, the rest of 1 to its right. Q is fitted to log2(Phi(-x))
/// so that Phi is off by less than 8e-9, and falls all the way to where 2^Q becomes nothing beside 1.
inline Vec::F normal_distribution(Vec::F x) {
  const Vec::F limit = Vec::set1(9.9375f);  // Q(9.9375) = -124.8
  const Vec::F magnitude = Vec::abs(x);
  constexpr float kCoefficients[] = {-1.0f,           -0x1.26aedep+0f, -0x1.d639dp-2f,  -0x1.ae1f06p-5f, 0x1.cfb2b8p-8f,
                                     -0x1.31e97p-13f, -0x1.7ed48p-13f, 0x1.43f96ep-15f, -0x1.740ee4p-19f};
  const Vec::F tail = exponential2_within(polynomial(Vec::min(limit, magnitude), kCoefficients));
  const Vec::F left = Vec::select_less(limit, magnitude, Vec::zero(), tail);
  return Vec::select_less(x, Vec::zero(), left, Vec::sub(Vec::set1(1.0f), left));
}

/// -infinity gives 0.
inline Vec::F gelu(Vec::F x) { return Vec::mul(Vec::max(Vec::set1(-16.0f), x), normal_distribution(x)); }

/// 0.5 x (1 + tanh(z)) with z = sqrt(2 / pi) (x + 0.044715 x^3) is x / (1 + e^-2z). At -9 it is -1e-28, and stays.
inline Vec::F gelu_tanh(Vec::F x) {
  constexpr float kFirst = 2.30220818f, kThird = 0.102943240f;  // of 2z / ln 2
  const Vec::F bounded = Vec::max(Vec::set1(-9.0f), x);
  const Vec::F factor = Vec::fma(Vec::mul(bounded, bounded), Vec::set1(-kThird), Vec::set1(-kFirst));
  return over_one_plus_exponential2(bounded, Vec::mul(bounded, factor));
}

#endif

}  // namespace
}  // namespace octoformer
