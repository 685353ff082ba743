#include "cpu/isa.h"

#include <cstdint>
#include <cstdlib>

#include "backend/error.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) || defined(_M_ARM64)
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#endif
#endif

namespace octoformer {
namespace {

struct IsaName {
  Isa isa;
  std::string_view name;
};

constexpr IsaName kIsaNames[] = {
    {Isa::scalar, "scalar"},
    {Isa::avx2, "avx2"},
    {Isa::avx_vnni, "avx_vnni"},
    {Isa::avx512, "avx512"},
    {Isa::avx512_bf16, "avx512_bf16"},
    {Isa::amx, "amx"},
    {Isa::neon, "neon"},
    {Isa::neon_dotprod, "neon_dotprod"},
    {Isa::neon_bf16, "neon_bf16"},
};

#if defined(__x86_64__) || defined(_M_X64)

struct CpuidRegisters {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidRegisters cpuid(uint32_t leaf, uint32_t subleaf) {
  CpuidRegisters r;
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
  return r;
}

bool bit(uint64_t value, int position) { return (value >> position & 1u) != 0; }

/// The register states that the system saves (XCR0); valid only where cpuid reports OSXSAVE.
uint64_t saved_states() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

/// Linux hands out the 8 KiB of tile state only to a process that asks. The permission is the process's, for all its
/// threads, and asking can fail (a thread with a small alternate signal stack): then the machine counts as one without.
bool request_tile_permission() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// Bit positions: Intel Software Developer's Manual, volume 2, CPUID leaves 1 and 7; XCR0: volume 1, section 13.3.
std::vector<Isa> detect() {
  std::vector<Isa> found = {Isa::scalar};
  if (cpuid(0, 0).eax < 7) return found;
  const CpuidRegisters basic = cpuid(1, 0);
  const bool fma = bit(basic.ecx, 12), osxsave = bit(basic.ecx, 27), f16c = bit(basic.ecx, 29);
  if (!osxsave) return found;
  const uint64_t states = saved_states();
  const bool saves_ymm = (states & 0x6) == 0x6, saves_zmm = (states & 0xe6) == 0xe6;
  const bool saves_tiles = (states & 0x60000) == 0x60000;
  const CpuidRegisters extended = cpuid(7, 0);
  const CpuidRegisters more = extended.eax >= 1 ? cpuid(7, 1) : CpuidRegisters{};

  if (!(saves_ymm && fma && f16c && bit(extended.ebx, 5))) return found;
  found.insert(found.begin(), Isa::avx2);
  if (bit(more.eax, 4)) found.insert(found.begin(), Isa::avx_vnni);
  const bool f = bit(extended.ebx, 16), dq = bit(extended.ebx, 17), bw = bit(extended.ebx, 30),
             vl = bit(extended.ebx, 31);
  if (!(saves_zmm && f && dq && bw && vl)) return found;
  found.insert(found.begin(), Isa::avx512);
  const bool vnni = bit(extended.ecx, 11), bf16 = bit(more.eax, 5);
  if (!(vnni && bf16)) return found;
  found.insert(found.begin(), Isa::avx512_bf16);
  const bool tile_bf16 = bit(extended.edx, 22), tile = bit(extended.edx, 24), tile_int8 = bit(extended.edx, 25);
  if (saves_tiles && tile_bf16 && tile && tile_int8 && request_tile_permission()) {
    found.insert(found.begin(), Isa::amx);
  }
  return found;
}

#elif defined(__aarch64__) || defined(_M_ARM64)

#if defined(__APPLE__)
bool has(const char* name) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
#endif

std::vector<Isa> detect() {
  bool dotprod = false, i8mm = false, bf16 = false;
#if defined(__linux__)
  const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
  dotprod = (first >> 20 & 1u) != 0;  // HWCAP_ASIMDDP
  i8mm = (second >> 13 & 1u) != 0;    // HWCAP2_I8MM
  bf16 = (second >> 14 & 1u) != 0;    // HWCAP2_BF16
#elif defined(__APPLE__)
  dotprod = has("hw.optional.arm.FEAT_DotProd");
  i8mm = has("hw.optional.arm.FEAT_I8MM");
  bf16 = has("hw.optional.arm.FEAT_BF16");
#elif defined(_WIN32)
  dotprod = IsProcessorFeaturePresent(43) != 0;  // PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE
  i8mm = IsProcessorFeaturePresent(66) != 0;     // PF_ARM_V82_I8MM_INSTRUCTIONS_AVAILABLE
  bf16 = IsProcessorFeaturePresent(68) != 0;     // PF_ARM_V86_BF16_INSTRUCTIONS_AVAILABLE
#endif
  std::vector<Isa> found = {Isa::neon, Isa::scalar};
  if (dotprod) found.insert(found.begin(), Isa::neon_dotprod);
  if (dotprod && i8mm && bf16) found.insert(found.begin(), Isa::neon_bf16);
  return found;
}

#else

std::vector<Isa> detect() { return {Isa::scalar}; }

#endif

std::string names_available() {
  std::string names;
  for (const Isa isa : available_isas()) {
    if (!names.empty()) names += ", ";
    names += isa_name(isa);
  }
  return names;
}

}  // namespace

std::string_view isa_name(Isa isa) {
  for (const IsaName& entry : kIsaNames) {
    if (entry.isa == isa) return entry.name;
  }
  fail(ErrorCode::internal, "no name for instruction set ", static_cast<int>(isa));
}

const std::vector<Isa>& available_isas() {
  static const std::vector<Isa> isas = detect();
  return isas;
}

Isa choose_isa(std::string_view name) {
  std::string_view origin = "isa";
  if (name.empty()) {
    const char* forced = std::getenv("OCTOFORMER_ISA");
    if (forced == nullptr || *forced == '\0') return available_isas().front();
    name = forced;
    origin = "OCTOFORMER_ISA";
  }
  for (const Isa isa : available_isas()) {
    if (isa_name(isa) == name) return isa;
  }
  for (const IsaName& entry : kIsaNames) {
    if (entry.name == name) {
      fail(ErrorCode::invalid_argument, origin, ": this machine cannot run \"", name, "\"; it has ", names_available());
    }
  }
  fail(ErrorCode::invalid_argument, origin, ": unknown instruction set \"", name, "\"; this machine has ",
       names_available());
}

}  // namespace octoformer
