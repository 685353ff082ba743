// gelu and its tanh form by tables, where an ISA has registers for them: 16 instructions a vector, without division or
// powers, instead of 30 and more.
//
// Either is x Phi(x) with Phi(-x) = 1 - Phi(x), so that gelu(x) = max(x, 0) + gelu(-|x|), whose second part ends where
// float32 does not see it beside x. 32 pieces of that, a polynomial of the fourth degree each around a multiple of
// kPieceStep: least squares at Chebyshev's points of the error relative to x, one coefficient after another rounded and
// those after it fitted anew. Off by less than 2^-24.5 |x| (tanh form: 2^-24.8 |x|).
#pragma once
#include "cpu/kernels/math.h"

namespace octoformer {
namespace {

constexpr int kPieces = 32, kPieceTerms = 5;
constexpr float kPieceStep = 0.1875f, kPiecesEnd = (kPieces - 1) * kPieceStep;  // there, the polynomial is exactly 0
static_assert(kPieces == TableUnit::entries);

/// Coefficients by power: what is looked up together lies together.
struct alignas(64) GeluPieces {
  float of_power[kPieceTerms][kPieces] = {};
  constexpr explicit GeluPieces(const float (&pieces)[kPieces][kPieceTerms]) {
    for (int piece = 0; piece < kPieces; ++piece) {
      for (int power = 0; power < kPieceTerms; ++power) of_power[power][piece] = pieces[piece][power];
    }
  }
};

constexpr float kNormalPieces[kPieces][kPieceTerms] = {
    {-0.0f, -0x1p-1f, 0x1.988468p-2f, -0x1.22021ep-16f, -0x1.0f6218p-4f},
    {-0x1.46e31ep-4f, -0x1.689668p-2f, 0x1.8a58bap-2f, -0x1.8cedecp-5f, -0x1.f8eef4p-5f},
    {-0x1.0fbddcp-3f, -0x1.b70f8p-3f, 0x1.6202d8p-2f, -0x1.6e88aap-4f, -0x1.84dd1ep-5f},
    {-0x1.4a7eap-3f, -0x1.866d34p-4f, 0x1.2591bap-2f, -0x1.e0afc6p-4f, -0x1.b6a7b6p-6f},
    {-0x1.5c198p-3f, -0x1.963b8cp-11f, 0x1.bb462p-3f, -0x1.087dp-3f, -0x1.39bae4p-8f},
    {-0x1.4e8fb6p-3f, 0x1.116e5cp-4f, 0x1.271fb4p-3f, -0x1.005796p-3f, 0x1.ddc204p-7f},
    {-0x1.2c32d6p-3f, 0x1.baa3ep-4f, 0x1.3eac76p-4f, -0x1.bc6f5p-4f, 0x1.d1ef4ep-6f},
    {-0x1.fcfa1p-4f, 0x1.03484ap-3f, 0x1.7f1202p-6f, -0x1.57d91ap-4f, 0x1.2340a8p-5f},
    {-0x1.9a76a4p-4f, 0x1.050e9ap-3f, -0x1.094226p-6f, -0x1.d06f3p-5f, 0x1.279446p-5f},
    {-0x1.3c3fc2p-4f, 0x1.dc922ap-4f, -0x1.4d86eap-5f, -0x1.ff5bcep-6f, 0x1.0082cp-5f},
    {-0x1.d2e35cp-5f, 0x1.93c6a6p-4f, -0x1.ab05ecp-5f, -0x1.5860e8p-7f, 0x1.82fc5cp-6f},
    {-0x1.4ad334p-5f, 0x1.41894p-4f, -0x1.b70496p-5f, 0x1.09b8dep-8f, 0x1.f3478ap-7f},
    {-0x1.c2a498p-6f, 0x1.e4e24p-5f, -0x1.8e2592p-5f, 0x1.9bd134p-7f, 0x1.fc043cp-8f},
    {-0x1.274fap-6f, 0x1.5bd2c8p-5f, -0x1.4a3004p-5f, 0x1.0762eep-6f, 0x1.01c8b6p-9f},
    {-0x1.74a8eep-7f, 0x1.dc428ap-6f, -0x1.fdc83ep-6f, 0x1.07203cp-6f, -0x1.bdd8f4p-10f},
    {-0x1.c50a54p-8f, 0x1.37e6c8p-6f, -0x1.720678p-6f, 0x1.ca989cp-7f, -0x1.d13b1p-9f},
    {-0x1.096698p-8f, 0x1.876f5ap-7f, -0x1.fc4796p-7f, 0x1.6b0e6ep-7f, -0x1.09cf0cp-8f},
    {-0x1.2bc88ep-9f, 0x1.d748f6p-8f, -0x1.4bba14p-7f, 0x1.0a4c06p-7f, -0x1.e84d6ap-9f},
    {-0x1.468978p-10f, 0x1.1071dcp-8f, -0x1.9caddap-8f, 0x1.6dfecep-8f, -0x1.8b6a32p-9f},
    {-0x1.570deap-11f, 0x1.2eb712p-9f, -0x1.ea5d1p-9f, 0x1.da8f3ep-9f, -0x1.23cbe4p-9f},
    {-0x1.5babc2p-12f, 0x1.436efp-10f, -0x1.16bc14p-9f, 0x1.239eaep-9f, -0x1.8eb19p-10f},
    {-0x1.53f11ep-13f, 0x1.4c76fp-11f, -0x1.2f8f2cp-10f, 0x1.54d77ap-10f, -0x1.fe74cp-11f},
    {-0x1.40b6a6p-14f, 0x1.48ec0ep-12f, -0x1.3d05f2p-11f, 0x1.7bc60cp-11f, -0x1.33f594p-11f},
    {-0x1.23f936p-15f, 0x1.394f8ep-13f, -0x1.3dc07cp-12f, 0x1.94259cp-12f, -0x1.600656p-12f},
    {-0x1.00840ap-16f, 0x1.1f6b6ep-14f, -0x1.31dd7p-13f, 0x1.9b5e86p-13f, -0x1.7e4da2p-13f},
    {-0x1.b2feep-18f, 0x1.fbfc8ep-16f, -0x1.1aeaf4p-14f, 0x1.90f638p-14f, -0x1.8b694ep-14f},
    {-0x1.63f922p-19f, 0x1.b086e4p-17f, -0x1.f72b3ep-16f, 0x1.7698fep-15f, -0x1.864ae8p-15f},
    {-0x1.1929ecp-20f, 0x1.62e6b6p-18f, -0x1.ae558ap-17f, 0x1.4fb462p-16f, -0x1.7027fp-16f},
    {-0x1.acb3ecp-22f, 0x1.18acbcp-19f, -0x1.6217a6p-18f, 0x1.20c6fp-17f, -0x1.4c4234p-17f},
    {-0x1.3b78ecp-23f, 0x1.abf27ep-21f, -0x1.1865f6p-19f, 0x1.dd25ccp-19f, -0x1.1f3292p-18f},
    {-0x1.c02c3p-25f, 0x1.3a8768p-22f, -0x1.ab7d68p-21f, 0x1.7ac4a4p-20f, -0x1.dbe3a4p-20f},
    {-0.0f, 0x1.62832ap-19f, 0x1.96c7e8p-14f, 0x1.6a5f98p-10f, 0x1.acdfd6p-8f},
};

constexpr float kTanhPieces[kPieces][kPieceTerms] = {
    {-0.0f, -0x1p-1f, 0x1.988468p-2f, -0x1.25046ep-16f, -0x1.10b72ap-4f},
    {-0x1.46e388p-4f, -0x1.68989ap-2f, 0x1.8a4762p-2f, -0x1.8eaf3ep-5f, -0x1.fa0346p-5f},
    {-0x1.0fc0f2p-3f, -0x1.b72ed2p-3f, 0x1.61c98ap-2f, -0x1.6fa69ap-4f, -0x1.81193p-5f},
    {-0x1.4a8c66p-3f, -0x1.871a3ep-4f, 0x1.253ad8p-2f, -0x1.e11202p-4f, -0x1.aea40cp-6f},
    {-0x1.5c3da4p-3f, -0x1.167944p-10f, 0x1.baaf4p-3f, -0x1.07f36cp-3f, -0x1.1d567ep-8f},
    {-0x1.4ed43p-3f, 0x1.0ffa92p-4f, 0x1.270c12p-3f, -0x1.fe2944p-4f, 0x1.f0597ap-7f},
    {-0x1.2c987cp-3f, 0x1.b96e92p-4f, 0x1.402c9ap-4f, -0x1.b95c26p-4f, 0x1.d0ef66p-6f},
    {-0x1.fdeccep-4f, 0x1.031d3cp-3f, 0x1.8b53eep-6f, -0x1.559dbap-4f, 0x1.205e7p-5f},
    {-0x1.9b5ad6p-4f, 0x1.058d46p-3f, -0x1.f3fae2p-7f, -0x1.cff434p-5f, 0x1.206c52p-5f},
    {-0x1.3cd2b8p-4f, 0x1.deeef8p-4f, -0x1.46efecp-5f, -0x1.03be4cp-5f, 0x1.f5a9e4p-6f},
    {-0x1.d2f3bp-5f, 0x1.9717d4p-4f, -0x1.a7b982p-5f, -0x1.75129p-7f, 0x1.7e1e9ep-6f},
    {-0x1.49941ep-5f, 0x1.451224p-4f, -0x1.b80b38p-5f, 0x1.99b674p-9f, 0x1.fb45dp-7f},
    {-0x1.bdaaa6p-6f, 0x1.ead23cp-5f, -0x1.92f4d6p-5f, 0x1.85f278p-7f, 0x1.0cbb3cp-7f},
    {-0x1.208208p-6f, 0x1.5f7efap-5f, -0x1.511dd8p-5f, 0x1.038fe4p-6f, 0x1.556ca2p-9f},
    {-0x1.654ca4p-7f, 0x1.de439cp-6f, -0x1.05e1ap-5f, 0x1.0a3232p-6f, -0x1.3de296p-10f},
    {-0x1.a6aa2ap-8f, 0x1.352ccep-6f, -0x1.7cdc12p-6f, 0x1.d9997p-7f, -0x1.b224ep-9f},
    {-0x1.dcc2ap-9f, 0x1.7b9714p-7f, -0x1.043dc2p-6f, 0x1.7c796cp-7f, -0x1.0b1e54p-8f},
    {-0x1.ffc81cp-10f, 0x1.ba01e8p-8f, -0x1.4eb2bcp-7f, 0x1.18e584p-7f, -0x1.0088dcp-8f},
    {-0x1.04d73cp-10f, 0x1.e753dcp-9f, -0x1.951f7cp-8f, 0x1.804acap-8f, -0x1.ab08f2p-9f},
    {-0x1.f7cb72p-12f, 0x1.fbba12p-10f, -0x1.cd1f46p-9f, 0x1.e8edb8p-9f, -0x1.3e36a2p-9f},
    {-0x1.cbce12p-13f, 0x1.f2c6e6p-11f, -0x1.ecda8cp-10f, 0x1.21a1fcp-9f, -0x1.b00ce2p-10f},
    {-0x1.8b9e1ap-14f, 0x1.ccee72p-12f, -0x1.edc3dp-11f, 0x1.3f8852p-10f, -0x1.0cb7fp-10f},
    {-0x1.4011dcp-15f, 0x1.8fba1ep-13f, -0x1.cebc88p-12f, 0x1.47fc1ep-11f, -0x1.33a0d8p-11f},
    {-0x1.e5b5e8p-17f, 0x1.447d86p-14f, -0x1.94c59p-13f, 0x1.38cfc6p-12f, -0x1.443da6p-12f},
    {-0x1.58b886p-18f, 0x1.ebe58ap-16f, -0x1.49b884p-14f, 0x1.14bee2p-13f, -0x1.3ad1eep-13f},
    {-0x1.c8798ep-20f, 0x1.5b36bep-17f, -0x1.f30bbp-16f, 0x1.c561fp-15f, -0x1.1954f8p-14f},
    {-0x1.193098p-21f, 0x1.c74c8ap-19f, -0x1.5e0122p-17f, 0x1.5727e6p-16f, -0x1.ce4456p-16f},
    {-0x1.417132p-23f, 0x1.148bf6p-20f, -0x1.c5ddaap-19f, 0x1.def388p-18f, -0x1.5cabe6p-17f},
    {-0x1.5407ccp-25f, 0x1.36662p-22f, -0x1.0f5cb8p-20f, 0x1.337e78p-19f, -0x1.e20e66p-19f},
    {-0x1.4bf0dep-27f, 0x1.410ae6p-24f, -0x1.2a77p-22f, 0x1.6a6654p-21f, -0x1.30d292p-20f},
    {-0x1.2a3988p-29f, 0x1.312976p-26f, -0x1.2d2b86p-24f, 0x1.871af8p-23f, -0x1.5fee2p-22f},
    {-0.0f, 0x1.212abcp-24f, 0x1.445058p-19f, 0x1.2236bep-15f, 0x1.56fea4p-13f},
};

inline constexpr GeluPieces kGeluPieces(kNormalPieces), kGeluTanhPieces(kTanhPieces);

/// NaN stays NaN, -0 stays -0 (the first piece begins with -0), and -infinity gives 0.
inline Vec::F gelu_by_pieces(const GeluPieces& pieces, Vec::F x) {
  const Vec::F distance = Vec::min(Vec::set1(kPiecesEnd), Vec::abs(x)), shift = Vec::set1(0x1.8p23f);
  // Adding `shift` rounds to an integer, and leaves it in the last bits.
  const Vec::F index = Vec::fma(distance, Vec::set1(1.0f / kPieceStep), shift);
  const Vec::F rest = Vec::fma(Vec::sub(index, shift), Vec::set1(-kPieceStep), distance);  // exact
  Vec::F slope = TableUnit::look_up(pieces.of_power[kPieceTerms - 1], index);
#pragma GCC unroll 8
  for (int power = kPieceTerms - 2; power > 0; --power) {
    slope = Vec::fma(slope, rest, TableUnit::look_up(pieces.of_power[power], index));
  }
  const Vec::F start = Vec::add(Vec::max(Vec::zero(), x), TableUnit::look_up(pieces.of_power[0], index));
  return Vec::fma(slope, rest, start);
}

}  // namespace
}  // namespace octoformer
