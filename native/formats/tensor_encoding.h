// How the numbers of a checkpoint's tensor are stored, and the one table of what that means in bytes.
// Sources: the safetensors format (names and sizes of dtypes); ggml's type list and block structures (ggml.h,
// ggml-common.h).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace octoformer {

enum class TensorEncoding : uint8_t {
  f32,
  f16,
  bf16,
  f64,
  i8,
  u8,
  i32,
  i64,
  boolean,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  mxfp4,
  unsupported,  // listed, but can't be read: TensorInfo::dtype has its name
};

inline constexpr size_t kTensorEncodings = static_cast<size_t>(TensorEncoding::unsupported);

struct TensorEncodingInfo {
  TensorEncoding encoding;
  std::string_view name;  // safetensors' or ggml's
  int64_t block_elements;
  int64_t block_bytes;
  int32_t ggml_type;    // id in a GGUF file, -1: does not occur there
  bool in_safetensors;  // the name is a dtype of a safetensors header
};

inline constexpr std::array<TensorEncodingInfo, kTensorEncodings> kTensorEncodingTable = {{
    {TensorEncoding::f32, "F32", 1, 4, 0, true},
    {TensorEncoding::f16, "F16", 1, 2, 1, true},
    {TensorEncoding::bf16, "BF16", 1, 2, 30, true},
    {TensorEncoding::f64, "F64", 1, 8, 28, true},
    {TensorEncoding::i8, "I8", 1, 1, 24, true},
    {TensorEncoding::u8, "U8", 1, 1, -1, true},
    {TensorEncoding::i32, "I32", 1, 4, 26, true},
    {TensorEncoding::i64, "I64", 1, 8, 27, true},
    {TensorEncoding::boolean, "BOOL", 1, 1, -1, true},
    {TensorEncoding::q8_0, "Q8_0", 32, 34, 8, false},
    {TensorEncoding::q4_0, "Q4_0", 32, 18, 2, false},
    {TensorEncoding::q4_1, "Q4_1", 32, 20, 3, false},
    {TensorEncoding::q5_0, "Q5_0", 32, 22, 6, false},
    {TensorEncoding::q5_1, "Q5_1", 32, 24, 7, false},
    {TensorEncoding::q2_k, "Q2_K", 256, 84, 10, false},
    {TensorEncoding::q3_k, "Q3_K", 256, 110, 11, false},
    {TensorEncoding::q4_k, "Q4_K", 256, 144, 12, false},
    {TensorEncoding::q5_k, "Q5_K", 256, 176, 13, false},
    {TensorEncoding::q6_k, "Q6_K", 256, 210, 14, false},
    {TensorEncoding::iq4_nl, "IQ4_NL", 32, 18, 20, false},
    {TensorEncoding::iq4_xs, "IQ4_XS", 256, 136, 23, false},
    {TensorEncoding::mxfp4, "MXFP4", 32, 17, 39, false},
}};

/// The table's row of an encoding other than `unsupported`.
constexpr const TensorEncodingInfo& encoding_info(TensorEncoding encoding) {
  return kTensorEncodingTable[static_cast<size_t>(encoding)];
}

namespace tensor_encoding_detail {
constexpr bool table_is_in_order() {
  for (size_t i = 0; i < kTensorEncodings; ++i) {
    if (static_cast<size_t>(kTensorEncodingTable[i].encoding) != i) return false;
  }
  return true;
}
static_assert(table_is_in_order());
}  // namespace tensor_encoding_detail

}  // namespace octoformer
