// The activation functions on lanes and on rows. NaN stays NaN, infinities give the limits.
#pragma once
#include <stdint.h>

#include "backend/activation.h"
#include "cpu/kernels/gelu.h"
#include "cpu/kernels/math.h"
#include "cpu/kernels/row_map.h"

namespace octoformer {
namespace {

template <Activation Kind>
inline Vec::F activate(Vec::F x) {
  if constexpr (Kind == Activation::relu) {
    return Vec::max(Vec::zero(), x);  // NaN stays, being the second operand
  } else if constexpr (Kind == Activation::relu_squared) {
    const Vec::F positive = Vec::max(Vec::zero(), x);
    return Vec::mul(positive, positive);
  } else if constexpr (Kind == Activation::silu) {
    return sigmoid_weighted(x, 1.0f);
  } else if constexpr (Kind == Activation::gelu) {
    return gelu(x);
  } else if constexpr (Kind == Activation::gelu_tanh) {
    return gelu_tanh(x);
  } else if constexpr (Kind == Activation::gelu_quick) {
    return sigmoid_weighted(x, 1.702f);
  } else if constexpr (Kind == Activation::tanh) {
    return tanh(x);
  } else if constexpr (Kind == Activation::sigmoid) {
    return sigmoid(x);
  } else {
    return x;
  }
}

template <Activation Kind>
struct ActivationTag {
  static constexpr Activation kind = Kind;
};

/// Calls body(ActivationTag<kind>): one switch outside of the loops over columns.
template <class Body>
inline void with_activation(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::identity:
      return body(ActivationTag<Activation::identity>{});
    case Activation::relu:
      return body(ActivationTag<Activation::relu>{});
    case Activation::relu_squared:
      return body(ActivationTag<Activation::relu_squared>{});
    case Activation::silu:
      return body(ActivationTag<Activation::silu>{});
    case Activation::gelu:
      return body(ActivationTag<Activation::gelu>{});
    case Activation::gelu_tanh:
      return body(ActivationTag<Activation::gelu_tanh>{});
    case Activation::gelu_quick:
      return body(ActivationTag<Activation::gelu_quick>{});
    case Activation::tanh:
      return body(ActivationTag<Activation::tanh>{});
    case Activation::sigmoid:
      return body(ActivationTag<Activation::sigmoid>{});
  }
}

void activation_row(Activation kind, const float* input, float* out, int64_t columns) {
  with_activation(
      kind, [=](auto tag) { map_row(input, out, columns, [](Vec::F x) { return activate<decltype(tag)::kind>(x); }); });
}

void gated_activation_row(Activation kind, const float* gate, const float* up, float* out, int64_t columns) {
  with_activation(kind, [=](auto tag) {
    map_rows(gate, up, out, columns, [](Vec::F g, Vec::F u) { return Vec::mul(activate<decltype(tag)::kind>(g), u); });
  });
}

}  // namespace
}  // namespace octoformer
