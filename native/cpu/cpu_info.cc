#include "cpu/cpu_info.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "cpu/control_group.h"
#include "cpu/isa.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#endif

namespace octoformer {
namespace {

#if defined(__APPLE__)
int64_t system_number(const char* name) {
  int64_t value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}
#endif

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string model_name() {
#if defined(__x86_64__) || defined(_M_X64)
  // The brand string: 48 characters in three leaves.
  uint32_t words[12] = {};
  uint32_t a, b, c, d;
  if (__get_cpuid_max(0x80000000u, nullptr) >= 0x80000004u) {
    for (uint32_t leaf = 0; leaf < 3; ++leaf) {
      __cpuid(0x80000002u + leaf, a, b, c, d);
      words[4 * leaf] = a, words[4 * leaf + 1] = b, words[4 * leaf + 2] = c, words[4 * leaf + 3] = d;
    }
    const char* text = reinterpret_cast<const char*>(words);
    std::istringstream parts(std::string(text, std::find(text, text + sizeof words, '\0')));
    std::string name, part;
    while (parts >> part) name += (name.empty() ? "" : " ") + part;  // it is filled with spaces
    if (!name.empty()) return name;
  }
#elif defined(__APPLE__)
  char name[128] = {};
  size_t size = sizeof name - 1;
  if (sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) == 0 && name[0] != '\0') return name;
#elif defined(__linux__)
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (colon != std::string::npos && (line.starts_with("model name") || line.starts_with("Model"))) {
      return line.substr(colon + 2);
    }
  }
#endif
  return "unknown";
}

/// Cores in the affinity mask of this process, siblings of one core counted once; 0 if the system does not tell.
int allowed_cores() {
#if defined(__linux__)
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 0;  // more processors than a cpu_set_t holds
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    const std::string topology = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const std::string siblings = first_line(topology + "thread_siblings_list");
    cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
  }
  return static_cast<int>(cores.size());
#elif defined(__APPLE__)
  const int64_t performance = system_number("hw.perflevel0.physicalcpu");
  return static_cast<int>(performance > 0 ? performance : system_number("hw.physicalcpu"));
#elif defined(_WIN32)
  DWORD_PTR process = 0, system = 0;
  if (!GetProcessAffinityMask(GetCurrentProcess(), &process, &system)) return 0;
  DWORD bytes = 0;
  GetLogicalProcessorInformation(nullptr, &bytes);
  std::vector<SYSTEM_LOGICAL_PROCESSOR_INFORMATION> entries(bytes / sizeof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION));
  if (entries.empty() || !GetLogicalProcessorInformation(entries.data(), &bytes)) return 0;
  int cores = 0;
  for (const auto& entry : entries) {
    if (entry.Relationship == RelationProcessorCore && (entry.ProcessorMask & process) != 0) ++cores;
  }
  return cores;
#else
  return 0;
#endif
}

}  // namespace

int default_threads() {
  int threads = allowed_cores();
  if (threads <= 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  const double quota = control_group_quota("");
  if (quota > 0) threads = std::min(threads, static_cast<int>(std::ceil(quota)));
  return std::max(threads, 1);
}

CacheSizes cache_sizes() {
  CacheSizes sizes;
  int64_t first = 0, second = 0;
#if defined(__linux__) && defined(_SC_LEVEL1_DCACHE_SIZE)
  first = sysconf(_SC_LEVEL1_DCACHE_SIZE);
  second = sysconf(_SC_LEVEL2_CACHE_SIZE);
#elif defined(__APPLE__)
  first = system_number("hw.perflevel0.l1dcachesize");
  second = system_number("hw.perflevel0.l2cachesize") / std::max<int64_t>(system_number("hw.perflevel0.cpusperl2"), 1);
#endif
  // Virtual machines report nonsense at times: 16 KB to 256 KB and 128 KB to 4 MB are what cores have.
  if (first >= 16 * 1024) sizes.first_level = std::min<int64_t>(first, 256 * 1024);
  if (second >= 128 * 1024) sizes.second_level = std::min<int64_t>(second, 4 * 1024 * 1024);
  return sizes;
}

CpuInfo cpu_info() {
  CpuInfo info;
  info.model = model_name();
  info.isa = isa_name(choose_isa(""));
  for (const Isa isa : available_isas()) info.isas.emplace_back(isa_name(isa));
  info.threads = default_threads();
  return info;
}

}  // namespace octoformer
