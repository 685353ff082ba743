// Log-probabilities: x - log(sum of e^x over the row).
//
// The logarithm is off by less than 2^-23 (1 - p), p being the probability of the likeliest token, beside a few
// roundings in double precision: terms are within one unit in the last place of float32, and that of the likeliest
// token is exact. As -log p >= 1 - p, every log-probability is within 2^-22 of its own size, half of which its rounding
// to float32 takes. test/native/cpu/log_probabilities_test.cc asserts it.
#pragma once
#include "backend/backend.h"
#include "cpu/row_kernels.h"

namespace octoformer {

/// The same bits on every ISA. NaN where an x is; an infinity where that is the largest x.
double log_sum_exp(const RowKernels& kernels, const float* x, int64_t columns);

void run_log_softmax(const RowKernels& kernels, int threads, ConstMatrixView logits, MatrixView out);
void run_likeliest_tokens(const RowKernels& kernels, int threads, const LikeliestTokensArguments& arguments);

}  // namespace octoformer
