// What the CPU backend runs on: for reports, and for the default number of threads.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace octoformer {

struct CpuInfo {
  std::string model;              // as the system calls it, such as "AMD EPYC 9B14"; "unknown" if it does not say
  std::string isa;                // the one that choose_isa("") takes
  std::vector<std::string> isas;  // all that can be chosen, best first
  int threads = 1;                // default_threads()
};

/// Throws INVALID_ARGUMENT if OCTOFORMER_ISA names none of `isas`.
CpuInfo cpu_info();

/// Physical cores that this process may use: those of its affinity mask, siblings counted once, no more than the CPU
/// quota of its control group (versions 1 and 2). At least 1.
int default_threads();

/// Bytes of the data caches that one core has for itself; typical values where the system does not tell.
struct CacheSizes {
  int64_t first_level = 32 * 1024;
  int64_t second_level = 256 * 1024;
};
CacheSizes cache_sizes();

}  // namespace octoformer
