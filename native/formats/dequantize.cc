#include "formats/dequantize.h"

#include "backend/error.h"
#include "formats/dequantize_families.h"

namespace octoformer {

void dequantize(TensorEncoding encoding, const std::byte* blocks, int64_t elements, float* out) {
  if (elements == 0) return;
  const auto* from = reinterpret_cast<const uint8_t*>(blocks);
  const int64_t count = encoding == TensorEncoding::unsupported ? 0 : elements / encoding_info(encoding).block_elements;
  switch (encoding) {
    case TensorEncoding::f32:
      std::memcpy(out, from, static_cast<size_t>(elements) * sizeof(float));
      return;
    case TensorEncoding::f16:
      widen_float16(from, count, out);
      return;
    case TensorEncoding::bf16:
      widen_bfloat16(from, count, out);
      return;
    case TensorEncoding::f64:
      narrow_float64(from, count, out);
      return;
    case TensorEncoding::i8:
      convert_int8(from, count, out);
      return;
    case TensorEncoding::u8:
      convert_uint8(from, count, out);
      return;
    case TensorEncoding::i32:
      convert_int32(from, count, out);
      return;
    case TensorEncoding::i64:
      convert_int64(from, count, out);
      return;
    case TensorEncoding::boolean:
      convert_bool(from, count, out);
      return;
    case TensorEncoding::q8_0:
      dequantize_q8_0(from, count, out);
      return;
    case TensorEncoding::q4_0:
      dequantize_q4_0(from, count, out);
      return;
    case TensorEncoding::q4_1:
      dequantize_q4_1(from, count, out);
      return;
    case TensorEncoding::q5_0:
      dequantize_q5_0(from, count, out);
      return;
    case TensorEncoding::q5_1:
      dequantize_q5_1(from, count, out);
      return;
    case TensorEncoding::q2_k:
      dequantize_q2_k(from, count, out);
      return;
    case TensorEncoding::q3_k:
      dequantize_q3_k(from, count, out);
      return;
    case TensorEncoding::q4_k:
      dequantize_q4_k(from, count, out);
      return;
    case TensorEncoding::q5_k:
      dequantize_q5_k(from, count, out);
      return;
    case TensorEncoding::q6_k:
      dequantize_q6_k(from, count, out);
      return;
    case TensorEncoding::iq4_nl:
      dequantize_iq4_nl(from, count, out);
      return;
    case TensorEncoding::iq4_xs:
      dequantize_iq4_xs(from, count, out);
      return;
    case TensorEncoding::mxfp4:
      dequantize_mxfp4(from, count, out);
      return;
    case TensorEncoding::unsupported:
      break;
  }
  fail(ErrorCode::internal, "dequantize() was called for an unsupported encoding");
}

}  // namespace octoformer
