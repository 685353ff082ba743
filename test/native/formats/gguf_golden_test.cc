// Every GGUF of the reference goldens against the values that Python's gguf package reads from it. The files are not
// part of the repository: OCTOFORMER_GOLDENS names their folder, else ../shared/goldens beside the repository is tried.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "backend/half.h"
#include "formats/checkpoint_files.h"

namespace octoformer {
namespace {

std::filesystem::path goldens() {
  const char* folder = std::getenv("OCTOFORMER_GOLDENS");
  if (folder != nullptr && *folder != '\0') return std::filesystem::path(folder) / "gguf";
  return fixtures().parent_path().parent_path().parent_path() / "shared" / "goldens" / "gguf";
}

TEST(GgufGoldens, EveryFileGivesTheReferenceBits) {
  if (!std::filesystem::exists(goldens() / "golden.safetensors")) GTEST_SKIP() << "no goldens in " << goldens();
  const std::shared_ptr<Checkpoint> golden = open_one((goldens() / "golden.safetensors").string());
  size_t compared = 0;
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(goldens())) {
    if (entry.path().extension() != ".gguf") continue;
    SCOPED_TRACE(entry.path().string());
    ++files;
    const std::shared_ptr<Checkpoint> checkpoint = open_one(entry.path().string());
    EXPECT_EQ(checkpoint->format(), Checkpoint::Format::gguf);
    const std::string prefix = entry.path().stem().string() + ".tensor.";
    for (const TensorInfo& expected : golden->tensors()) {
      if (!expected.name.starts_with(prefix)) continue;
      SCOPED_TRACE(expected.name);
      const TensorInfo& tensor = checkpoint->at(std::string_view(expected.name).substr(prefix.size()));
      ASSERT_EQ(tensor.columns(), expected.columns());
      ASSERT_EQ(expected.rows(), std::min<int64_t>(24, tensor.rows()));
      const std::vector<float> wanted = read_all(*golden, expected.name);
      std::vector<float> values(wanted.size());
      checkpoint->read_rows(tensor, 0, expected.rows(), values.data());
      for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(bits_of(values[i]), bits_of(wanted[i])) << i;
      ++compared;
    }
    for (const TensorInfo& tensor : checkpoint->tensors()) {
      for (const float value : read_all(*checkpoint, tensor.name)) ASSERT_TRUE(value - value == 0.0f) << tensor.name;
    }
  }
  EXPECT_GE(compared, files);
  EXPECT_GE(files, 1u);
}

}  // namespace
}  // namespace octoformer
