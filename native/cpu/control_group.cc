#include "cpu/control_group.h"

#include <fstream>
#include <sstream>

namespace octoformer {
namespace {

/// The smaller quota of two, where 0 means none.
double tighter(double a, double b) { return a > 0 && (b <= 0 || a < b) ? a : b; }

/// `cpu.max` of version 2: "QUOTA PERIOD" in microseconds or "max PERIOD".
double quota_of_version_2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0, period = 0;
  return file >> quota >> period && quota > 0 && period > 0 ? quota / period : 0;
}

/// Version 1: microseconds in two files, -1 for none.
double quota_of_version_1(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
  double quota = 0, period = 0;
  return quota_file >> quota && period_file >> period && quota > 0 && period > 0 ? quota / period : 0;
}

/// The tightest from `mount` + `group` up to `mount`. Inside a container the group's own path is often not mounted:
/// its folder is then the mount itself, which comes last here.
template <class Quota>
double tightest(const std::string& mount, std::string group, const Quota& quota) {
  double result = 0;
  while (group.size() > 1) {
    result = tighter(quota(mount + group), result);
    group.resize(group.rfind('/'));
  }
  return tighter(quota(mount), result);
}

bool lists(const std::string& controllers, const std::string& name) {
  std::istringstream parts(controllers);
  for (std::string part; std::getline(parts, part, ',');) {
    if (part == name) return true;
  }
  return false;
}

}  // namespace

double control_group_quota(const std::string& root) {
  double quota = 0;
  std::ifstream groups(root + "/proc/self/cgroup");  // lines of "hierarchy:controllers:/path"
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos || line[second + 1] != '/') continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (controllers.empty()) {
      quota = tighter(tightest(root + "/sys/fs/cgroup", group, quota_of_version_2), quota);
    } else if (lists(controllers, "cpu")) {
      for (const char* mount : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
        quota = tighter(tightest(root + mount, group, quota_of_version_1), quota);
      }
    }
  }
  return quota;
}

}  // namespace octoformer
