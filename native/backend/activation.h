// The activation functions of the Program ("activation" of linear, gated and activation ops), with Hugging Face's
// names. No library includes: kernels of every ISA may include it.
#pragma once

namespace octoformer {

enum class Activation : int {
  identity = 0,
  relu,
  relu_squared,  // relu2
  silu,          // silu, swish: x * sigmoid(x)
  gelu,          // gelu: x * Phi(x), with erf
  gelu_tanh,     // gelu_new, gelu_pytorch_tanh, gelu_fast: the tanh approximation
  gelu_quick,    // quick_gelu: x * sigmoid(1.702 x)
  tanh,
  sigmoid,
};

}  // namespace octoformer
