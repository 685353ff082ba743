// float32 activations by int8 weights that become float32 on the way, each times the scale of its group: the chain of
// fused multiply-adds of all float products, over the numbers that dequantize() of native/quantization gives.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_kernels.h"
#include "cpu/kernels/gemm_blocks.h"
#include "cpu/kernels/gemm_few_rows.h"

namespace octoformer {
namespace {

struct Int8WeightForm {
  using Activation = float;
  using Weight = int8_t;
};

/// A run of k within one group.
struct GroupRun {
  int64_t end = 0;
  const float* scales = nullptr;  // of the panel's output features

  GroupRun(const GemmTask<float, int8_t>& task, int64_t panel, int64_t k, int64_t end_of_all) {
    const int64_t group = k / task.group;
    end = minimum((group + 1) * task.group, end_of_all);
    scales = task.scales + panel * task.scales_stride + group * kPanel;
  }
};

/// The weights of one k for Vec::lanes outputs, whose scales these are; `quads` points at theirs of k rounded down to a
/// multiple of 4.
[[gnu::always_inline]] inline Vec::F dequantize_int8(const int8_t* quads, int index, Vec::F scales) {
  return Vec::mul(IntVec::to_float(IntVec::byte_of_four(quads, index)), scales);
}

/// A block of a panel dequantized once for all rows of the task.
inline const float* block_of_panel(const GemmTask<float, int8_t>& task, int64_t panel, int64_t first, int64_t depth,
                                   Int8WeightForm, float* wide) {
  const int8_t* quads = task.weights + panel * task.panel_stride + first * kPanel;
  float* out = wide;
  for (int64_t k = first; k < first + depth;) {
    const GroupRun run(task, panel, k, first + depth);
    const auto step = [&](int count) __attribute__((always_inline)) {
#pragma GCC unroll 8
      for (int v = 0; v < kPanelVectors; ++v) {
        const Vec::F scale = Vec::load(run.scales + v * Vec::lanes);
#pragma GCC unroll 4
        for (int index = 0; index < count; ++index) {
          Vec::store(out + index * kPanel + v * Vec::lanes, dequantize_int8(quads + v * 4 * Vec::lanes, index, scale));
        }
      }
    };
    for (; k + 4 <= run.end; k += 4, quads += 4 * kPanel, out += 4 * kPanel) step(4);
    if (k < run.end) {  // the end of K
      step(static_cast<int>(run.end - k));
      k = run.end;
    }
  }
  return wide;
}

/// What is read through the pointer is read anew, not kept in registers, of which sums need most.
template <class T>
[[gnu::always_inline]] inline void read_anew(const T*& pointer) {
  asm("" : "+r"(pointer));
}

/// multiply_run() of gemm_few_rows.h: every weight is dequantized in registers, the (up to four) k of a vector of quads
/// one after another.
template <int Rows, int Panels>
[[gnu::always_inline]] inline void multiply_run(const GemmTask<float, int8_t>& task, int64_t first, int64_t depth,
                                                Int8WeightForm) {
  constexpr int vectors = Panels * kPanelVectors;
  const float* a = task.activations + task.first_row * task.row_stride + first;
  Vec::F sums[Rows][vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      sums[r][v] = first == 0 ? Vec::zero() : Vec::load(task.scratch + (r * vectors + v) * Vec::lanes);
    }
  }
  const int8_t* weights = task.weights + first * kPanel;
  const int64_t end = first + depth;
  for (int64_t k = first; k < end;) {
    const GroupRun run(task, 0, k, end);
    const auto step = [&](int count) __attribute__((always_inline)) {
      const int8_t* quads = weights;
      const float* scales = run.scales;
#pragma GCC unroll 4
      for (int p = 0; p < Panels; ++p, quads += task.panel_stride, scales += task.scales_stride) {
        read_anew(quads);
        read_anew(scales);
#pragma GCC unroll 8
        for (int v = 0; v < kPanelVectors; ++v) {
          read_anew(a);
          const Vec::F scale = Vec::load(scales + v * Vec::lanes);
#pragma GCC unroll 4
          for (int index = 0; index < count; ++index) {
            const Vec::F b = dequantize_int8(quads + v * 4 * Vec::lanes, index, scale);
#pragma GCC unroll 16
            for (int r = 0; r < Rows; ++r) {
              Vec::F& sum = sums[r][p * kPanelVectors + v];
              sum = Vec::fma(Vec::set1(a[r * task.row_stride + index]), b, sum);
            }
          }
        }
      }
    };
    for (; k + 4 <= run.end; k += 4, a += 4, weights += 4 * kPanel) step(4);
    if (k < run.end) {  // the end of K
      step(static_cast<int>(run.end - k));
      k = run.end;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) Vec::store(task.scratch + (r * vectors + v) * Vec::lanes, sums[r][v]);
  }
}

}  // namespace
}  // namespace octoformer
