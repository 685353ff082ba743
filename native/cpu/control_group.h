// How much processor time a Linux control group (a container) grants.
#pragma once
#include <string>

namespace octoformer {

/// Processors that the quota of this process's control group and of its ancestors amounts to (versions 1 and 2 of
/// control groups, `cpu.max` or `cpu.cfs_quota_us`), such as 1.5; 0 if there is no quota. `root` stands before /proc
/// and /sys (tests).
double control_group_quota(const std::string& root);

}  // namespace octoformer
