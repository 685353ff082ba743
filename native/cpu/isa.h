// What the processor can run, found from cpuid and xgetbv (x86) or the system's capability bits (Arm).
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace octoformer {

/// In the order of preference: the last one that the machine runs is the default.
enum class Isa {
  scalar,        // plain C++, any machine
  avx2,          // AVX2, FMA, F16C
  avx_vnni,      // + AVX-VNNI
  avx512,        // AVX2 + AVX-512 F BW DQ VL
  avx512_bf16,   // + VNNI, BF16
  amx,           // + AMX tile, int8, bf16
  neon,          // AArch64 baseline
  neon_dotprod,  // + dotprod
  neon_bf16,     // + i8mm, bf16
};

std::string_view isa_name(Isa isa);

/// All that this machine and this build can run, best first; scalar is always the last.
const std::vector<Isa>& available_isas();

/// The one named, or, if `name` is empty, the one that OCTOFORMER_ISA names, or the best. Throws INVALID_ARGUMENT
/// naming the unknown or unavailable name and those available.
Isa choose_isa(std::string_view name);

}  // namespace octoformer
