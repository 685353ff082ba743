// The int8 products of an ISA as their table.
#pragma once
#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_int8_tile.h"
#include "cpu/kernels/quantize_rows.h"

namespace octoformer {
namespace {

template <class Unit>
constexpr Int8Kernel int8_vector_kernel() {
  return {kPanel, Unit::rows, 4, 1, Unit::flip, few_rows_int8<Unit>, many_rows_int8<Unit>};
}

constexpr Int8Kernels kInt8Kernels = {int8_vector_kernel<Int8Unit>(), int8_vector_kernel<GeneralInt8Unit>(), scan_row,
                                      quantize_row};

}  // namespace
}  // namespace octoformer
