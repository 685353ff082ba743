// Which instruction sets there are, and how one is chosen; threads and quotas.
#include "cpu/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "backend/error.h"
#include "cpu/control_group.h"
#include "cpu/cpu_info.h"
#include "cpu/isa_dispatch.h"

namespace octoformer {
namespace {

/// Sets OCTOFORMER_ISA for a test and puts it back.
class ForcedIsa {
 public:
  explicit ForcedIsa(const char* value) {
    const char* before = std::getenv("OCTOFORMER_ISA");
    had_ = before != nullptr;
    if (had_) before_ = before;
    value == nullptr ? unsetenv("OCTOFORMER_ISA") : setenv("OCTOFORMER_ISA", value, 1);
  }
  ~ForcedIsa() { had_ ? setenv("OCTOFORMER_ISA", before_.c_str(), 1) : unsetenv("OCTOFORMER_ISA"); }

 private:
  bool had_ = false;
  std::string before_;
};

std::string message_of(const char* name) {
  try {
    choose_isa(name);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    return error.what();
  }
  return "no error";
}

TEST(IsaTest, ScalarIsAlwaysThereAndLast) {
  ASSERT_FALSE(available_isas().empty());
  EXPECT_EQ(available_isas().back(), Isa::scalar);
  EXPECT_EQ(std::count(available_isas().begin(), available_isas().end(), Isa::scalar), 1);
}

TEST(IsaTest, EachHasAllItsKernels) {
  for (const Isa isa : available_isas()) {
    const GemmKernels& gemm = kernel_table(isa).gemm;
    for (const auto* kernel : {&gemm.bfloat16, &gemm.float16}) {
      EXPECT_NE(kernel->few_rows, nullptr);
      EXPECT_NE(kernel->many_rows, nullptr);
      EXPECT_EQ(kernel->panel, gemm.float32.panel);
    }
    const bool units = isa == Isa::avx512_bf16 || isa == Isa::amx || isa == Isa::neon_bf16;
    EXPECT_EQ(gemm.bfloat16_units.few_rows != nullptr, units) << isa_name(isa);
    EXPECT_EQ(gemm.bfloat16_units.many_rows != nullptr, units) << isa_name(isa);
  }
}

TEST(IsaTest, TheEnvironmentChoosesUnlessANameIsGiven) {
  {
    const ForcedIsa forced(nullptr);
    EXPECT_EQ(choose_isa(""), available_isas().front());
  }
  {
    const ForcedIsa forced("");
    EXPECT_EQ(choose_isa(""), available_isas().front());
  }
  const ForcedIsa forced("scalar");
  EXPECT_EQ(choose_isa(""), Isa::scalar);
  for (const Isa isa : available_isas()) EXPECT_EQ(choose_isa(isa_name(isa)), isa);
}

TEST(IsaTest, AnUnknownOrMissingOneIsNamedWithThoseThereAre) {
  const ForcedIsa forced("avx9");
  EXPECT_NE(message_of("").find("OCTOFORMER_ISA: unknown instruction set \"avx9\"; this machine has "),
            std::string::npos);
  EXPECT_NE(message_of("sse").find("isa: unknown instruction set \"sse\""), std::string::npos);
#if defined(__x86_64__)
  const char* foreign = "neon";
#else
  const char* foreign = "amx";
#endif
  const std::string message = message_of(foreign);
  EXPECT_NE(message.find("cannot run"), std::string::npos) << message;
  EXPECT_NE(message.find("scalar"), std::string::npos) << message;
}

TEST(CpuInfoTest, TellsWhatRuns) {
  const ForcedIsa forced("scalar");
  const CpuInfo info = cpu_info();
  EXPECT_FALSE(info.model.empty());
  EXPECT_EQ(info.isa, "scalar");
  EXPECT_EQ(info.isas.size(), available_isas().size());
  EXPECT_GE(info.threads, 1);
  EXPECT_GE(cache_sizes().first_level, 16 * 1024);
  EXPECT_GE(cache_sizes().second_level, cache_sizes().first_level);
}

/// A root with the files that a test needs under it.
class ControlGroup : public ::testing::Test {
 protected:
  ControlGroup() {
    std::string pattern = (std::filesystem::temp_directory_path() / "octoformer-cgroup-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~ControlGroup() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path full = root_ + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }

  std::string root_;
};

TEST_F(ControlGroup, Version2TakesTheTightestOfTheAncestors) {
  EXPECT_EQ(control_group_quota(root_), 0);
  write("/proc/self/cgroup", "0::/service/pod\n");
  EXPECT_EQ(control_group_quota(root_), 0);
  write("/sys/fs/cgroup/service/pod/cpu.max", "max 100000\n");
  EXPECT_EQ(control_group_quota(root_), 0);
  write("/sys/fs/cgroup/service/cpu.max", "150000 100000\n");
  EXPECT_EQ(control_group_quota(root_), 1.5);
  write("/sys/fs/cgroup/service/pod/cpu.max", "300000 100000\n");
  EXPECT_EQ(control_group_quota(root_), 1.5);
  write("/sys/fs/cgroup/service/pod/cpu.max", "50000 100000\n");
  EXPECT_EQ(control_group_quota(root_), 0.5);
}

TEST_F(ControlGroup, Version1ReadsItsTwoFilesAndTheMountOfAContainer) {
  write("/proc/self/cgroup", "7:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(control_group_quota(root_), 0);
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
  EXPECT_EQ(control_group_quota(root_), 2.5);
}

TEST_F(ControlGroup, DamagedFilesGrantEverything) {
  write("/proc/self/cgroup", "nonsense\n::\n0::\n0::/x\n");
  write("/sys/fs/cgroup/x/cpu.max", "lots of it\n");
  write("/sys/fs/cgroup/cpu.max", "100000 0\n");
  EXPECT_EQ(control_group_quota(root_), 0);
}

}  // namespace
}  // namespace octoformer
