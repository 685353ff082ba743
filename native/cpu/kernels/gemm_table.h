// The matrix products of an ISA as their table.
#pragma once
#include "cpu/gemm_kernels.h"
#include "cpu/kernels/gemm_blocks.h"
#include "cpu/kernels/gemm_few_rows.h"
#include "cpu/kernels/gemm_int8_weights.h"
#include "cpu/kernels/table_row.h"
#if defined(OCTOFORMER_TILES)
#include "cpu/kernels/gemm_amx.h"
#endif

namespace octoformer {
namespace {

template <class Form>
constexpr GemmKernel<typename Form::Activation, typename Form::Weight> vector_kernel(int depth_granule) {
  return {kPanel, kPanel, kTileRows, kFewVectorRows, depth_granule, 1, false, few_rows<Form>, many_rows<Form>};
}

constexpr GemmKernel<uint16_t, uint16_t> bfloat16_unit_kernel() {
#if defined(OCTOFORMER_TILES)
  return kBfloat16TileKernel;
#elif defined(OCTOFORMER_BFLOAT16_UNIT)
  return vector_kernel<Bfloat16UnitForm>(2);
#else
  return {};
#endif
}

constexpr GemmKernels kGemmKernels = {
    vector_kernel<Float32Form>(1),
    vector_kernel<Bfloat16Form>(1),
    vector_kernel<Float16Form>(1),
    bfloat16_unit_kernel(),
    round_row_to_bfloat16,
    narrow_row_to_bfloat16,
    {kPanel, kPanel, kTileRows, kFewVectorRows, 1, 1, false, few_rows<Int8WeightForm>, many_rows<Int8WeightForm>},
    {float32_table_row, bfloat16_table_row, float16_table_row},
};

}  // namespace
}  // namespace octoformer
