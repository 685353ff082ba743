#include "backend/half.h"
#include "formats/dequantize_families.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define OCTOFORMER_WIDENS_WITH_F16C
#include <immintrin.h>
#endif

namespace octoformer {

namespace {

/// Without branches, so that compilers vectorize it for the baseline ISA; equal to float16_to_float() for every input,
/// save that the multiplication makes signalling NaNs quiet.
inline float widen(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  // The exponent's bias grows by 224, which takes 31 (infinity, NaN) to 255; the factor takes off what the bias of
  // binary32 is less. Exact: only the exponent changes.
  const float normal = float_of((magnitude << 13) + (224u << 23)) * 0x1p-112f;
  // 0.5 + mantissa * 2^-24, less 0.5: exact for the subnormals.
  const float subnormal = float_of(magnitude | (126u << 23)) - 0.5f;
  const uint32_t is_subnormal = -static_cast<uint32_t>(static_cast<int32_t>(magnitude) < 0x400);
  return float_of(sign | (bits_of(subnormal) & is_subnormal) | (bits_of(normal) & ~is_subnormal));
}

#ifdef OCTOFORMER_WIDENS_WITH_F16C
/// The whole groups of 8 with the instruction for it, which gives the bits of widen(); returns how many elements that
/// were.
__attribute__((target("avx2,f16c"))) int64_t widen_groups_of_8(const uint8_t* from, int64_t elements, float* out) {
  const int64_t end = elements / 8 * 8;
  for (int64_t i = 0; i < end; i += 8) {
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 2 * i))));
  }
  return end;
}
#endif

template <class Stored>
void convert(const uint8_t* from, int64_t elements, float* out) {
  for (int64_t i = 0; i < elements; ++i) {
    out[i] = static_cast<float>(load<Stored>(from + i * static_cast<int64_t>(sizeof(Stored))));
  }
}

}  // namespace

void widen_float16(const uint8_t* from, int64_t elements, float* out) {
  int64_t done = 0;
#ifdef OCTOFORMER_WIDENS_WITH_F16C
  if (__builtin_cpu_supports("avx2")) done = widen_groups_of_8(from, elements, out);  // all that have AVX2 have F16C
#endif
  for (int64_t i = done; i < elements; ++i) out[i] = widen(load<uint16_t>(from + 2 * i));
}

void widen_bfloat16(const uint8_t* from, int64_t elements, float* out) {
  for (int64_t i = 0; i < elements; ++i) out[i] = bfloat16_to_float(load<uint16_t>(from + 2 * i));
}

void narrow_float64(const uint8_t* from, int64_t elements, float* out) { convert<double>(from, elements, out); }
void convert_int8(const uint8_t* from, int64_t elements, float* out) { convert<int8_t>(from, elements, out); }
void convert_uint8(const uint8_t* from, int64_t elements, float* out) { convert<uint8_t>(from, elements, out); }
void convert_int32(const uint8_t* from, int64_t elements, float* out) { convert<int32_t>(from, elements, out); }
void convert_int64(const uint8_t* from, int64_t elements, float* out) { convert<int64_t>(from, elements, out); }

void convert_bool(const uint8_t* from, int64_t elements, float* out) {
  for (int64_t i = 0; i < elements; ++i) out[i] = from[i] != 0 ? 1.0f : 0.0f;
}

}  // namespace octoformer
