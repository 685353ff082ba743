// The row kernels of an ISA as their table.
#pragma once
#include "cpu/kernels/activation.h"
#include "cpu/kernels/elementwise.h"
#include "cpu/kernels/log_probabilities.h"
#include "cpu/kernels/norm.h"
#include "cpu/kernels/rope.h"
#include "cpu/kernels/softmax.h"
#include "cpu/row_kernels.h"

namespace octoformer {
namespace {

constexpr RowKernels kRowKernels = {
    rms_norm_row,   layer_norm_row, rope_half_row,    rope_adjacent_row, activation_row, gated_activation_row,
    add_row,        multiply_row,   scale_row,        weighted_sum_row,  softmax_row,    sum_exponentials_row,
    find_above_row, exp_row,        softmax_exp2_row,
};

}  // namespace
}  // namespace octoformer
