// Packed weights in a file: the same bits as packing anew, and nothing taken from a file that is not whole.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "cpu/cpu_backend.h"
#include "formats/checksum.h"
#include "runtime/packed_cache.h"
#include "runtime/tiny_llama.h"
#include "runtime/weights.h"

namespace octoformer {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("octoformer-packed-" + std::to_string(std::random_device()()))) {
    fs::create_directory(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

constexpr int64_t kRows = 71, kColumns = 37;  // neither fills panels or granules of any ISA

TinyTensor random_matrix(uint32_t seed) {
  TinyTensor tensor{{kRows, kColumns}, {}};
  std::mt19937 random(seed);
  for (int64_t i = 0; i < kRows * kColumns; ++i) {
    tensor.values.push_back(std::uniform_real_distribution<float>(-2.0f, 2.0f)(random));
  }
  return tensor;
}

WeightDescription weight(WeightForm form, ComputeType compute, Int8Settings int8 = {}) {
  WeightPart part;
  part.tensor = "w";
  part.shape = {kRows, kColumns};
  return {"w", WeightRole::linear, {kRows, kColumns}, form, compute, {part}, std::move(int8)};
}

/// A way to pack of every kind of array that there is.
std::vector<WeightDescription> all_ways() {
  std::vector<WeightDescription> ways = {
      weight(WeightForm::float32, ComputeType::float32), weight(WeightForm::float16, ComputeType::float32),
      weight(WeightForm::bfloat16, ComputeType::float32), weight(WeightForm::bfloat16, ComputeType::bfloat16)};
  Int8Settings int8;
  ways.push_back(weight(WeightForm::int8, ComputeType::float32, int8));
  int8.weight_only = true;
  ways.push_back(weight(WeightForm::int8, ComputeType::float32, int8));
  int8.group_size = 8;
  ways.push_back(weight(WeightForm::int8, ComputeType::float32, int8));
  int8 = {};
  int8.weights = Int8Mapping::zeropoint;
  ways.push_back(weight(WeightForm::int8, ComputeType::float32, int8));
  int8 = {};
  int8.threshold = 6.0f;
  int8.float_outlier_weights = true;
  ways.push_back(weight(WeightForm::int8, ComputeType::float32, int8));
  int8 = {};
  int8.outlier_features = {0, 5, 36};
  ways.push_back(weight(WeightForm::int8, ComputeType::float32, int8));
  return ways;
}

/// What the layer of a weight gives for rows with outliers.
std::vector<float> product(Backend& backend, const LinearWeight& linear) {
  constexpr int64_t kInputs = 5;
  std::mt19937 random(3);
  std::vector<float> input(kInputs * kColumns), out(kInputs * kRows);
  for (float& value : input) value = std::uniform_real_distribution<float>(-3.0f, 3.0f)(random);
  input[7] = 50.0f;
  LinearArguments arguments;
  arguments.input = {input.data(), kInputs, kColumns, kColumns};
  arguments.weight = &linear;
  arguments.out = {out.data(), kInputs, kRows, kRows};
  backend.linear(arguments);
  return out;
}

struct Loaded {
  std::vector<LoadedWeight> weights;
  PackedCache cache;
};

class PackedCacheTest : public testing::Test {
 protected:
  Loaded load(const std::vector<WeightDescription>& weights, std::string text = "the weights", uint64_t least = 0) {
    Loaded loaded{{}, PackedCache({folder_.path(), std::move(text), least})};
    LoadOptions options;
    options.packed = &loaded.cache;
    loaded.weights = load_weights(weights, *open_one(file_.path()), *backend_, options);
    return loaded;
  }
  static void keep(const Loaded& loaded) {
    std::vector<const LinearWeight*> linear;
    for (const LoadedWeight& weight : loaded.weights) linear.push_back(weight.linear.get());
    loaded.cache.write(linear);
  }

  const TemporaryFile file_{safetensors_of({{"w", random_matrix(1)}}), ".safetensors"};
  const std::unique_ptr<Backend> backend_ = make_cpu_backend({});
  const Folder folder_;
};

TEST_F(PackedCacheTest, GivesTheSameBits) {
  const std::vector<WeightDescription> ways = all_ways();
  const Loaded packed = load(ways);
  EXPECT_FALSE(packed.cache.found());
  keep(packed);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);  // no temporary file
  const Loaded found = load(ways);
  EXPECT_TRUE(found.cache.found());
  EXPECT_EQ(found.cache.path(), packed.cache.path());
  for (size_t i = 0; i < ways.size(); ++i) {
    const LinearWeight &before = *packed.weights[i].linear, &after = *found.weights[i].linear;
    const auto expected = before.sections(), sections = after.sections();
    ASSERT_EQ(sections.size(), expected.size());
    for (size_t s = 0; s < sections.size(); ++s) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(sections[s].data()) % 64, 0u);
      EXPECT_TRUE(std::equal(sections[s].begin(), sections[s].end(), expected[s].begin(), expected[s].end()));
    }
    EXPECT_EQ(after.bytes(), before.bytes());
    EXPECT_EQ(product(*backend_, after), product(*backend_, before)) << i;
    if (ways[i].form == WeightForm::int8) {
      EXPECT_EQ(after.int8_rows(3, 60).values, before.int8_rows(3, 60).values);
      EXPECT_EQ(after.int8_rows(3, 60).zero_point, before.int8_rows(3, 60).zero_point);
    }
  }
}

TEST_F(PackedCacheTest, AFileOfAnotherSourceFormOrTextIsNotTaken) {
  const std::vector<WeightDescription> ways = {weight(WeightForm::int8, ComputeType::float32)};
  keep(load(ways));
  EXPECT_TRUE(load(ways).cache.found());
  EXPECT_FALSE(load(ways, "other weights").cache.found());
  EXPECT_FALSE(load({weight(WeightForm::float32, ComputeType::float32)}).cache.found());
  Int8Settings zeropoint;
  zeropoint.weights = Int8Mapping::zeropoint;
  EXPECT_FALSE(load({weight(WeightForm::int8, ComputeType::float32, zeropoint)}).cache.found());
  EXPECT_FALSE(load(ways, "the weights", kRows * kColumns + 1).cache.found());
  EXPECT_TRUE(load(ways, "the weights", kRows * kColumns).cache.found());

  // The same size, names and time of change, but other numbers.
  const auto time = fs::last_write_time(file_.path());
  file_.write(safetensors_of({{"w", random_matrix(2)}}));
  fs::last_write_time(file_.path(), time);
  EXPECT_FALSE(load(ways).cache.found());
  // The old numbers at another time.
  file_.write(safetensors_of({{"w", random_matrix(1)}}));
  fs::last_write_time(file_.path(), time);
  EXPECT_TRUE(load(ways).cache.found());
  fs::last_write_time(file_.path(), time + std::chrono::seconds(2));
  EXPECT_FALSE(load(ways).cache.found());
}

TEST_F(PackedCacheTest, DamagedFilesAreNotTakenAndReplaced) {
  const std::vector<WeightDescription> ways = {weight(WeightForm::int8, ComputeType::float32),
                                               weight(WeightForm::float16, ComputeType::float32)};
  const Loaded packed = load(ways);
  keep(packed);
  const std::string& path = packed.cache.path();
  const std::string whole = read_file(path);
  for (const size_t length :
       {size_t{0}, size_t{1}, size_t{55}, size_t{56}, size_t{64}, whole.size() / 2, whole.size() - 1}) {
    write_file(path, whole.substr(0, length));
    EXPECT_FALSE(load(ways).cache.found()) << length;
  }
  write_file(path, whole + '\0');
  EXPECT_FALSE(load(ways).cache.found());
  // Every byte of the header and the table, then some of the sections (not of the gaps before them).
  uint64_t words;
  std::memcpy(&words, whole.data() + 32, sizeof words);
  const size_t table_end = 56 + 8 * words;
  ASSERT_LT(table_end, whole.size());
  for (size_t i = 0; i < table_end; ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
    write_file(path, damaged);
    EXPECT_FALSE(load(ways).cache.found()) << i;
  }
  for (size_t i = whole.size() - 1; i > whole.size() - 2000; i -= 97) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 64);
    write_file(path, damaged);
    EXPECT_FALSE(load(ways).cache.found()) << i;
  }
  const Loaded again = load(ways);
  EXPECT_FALSE(again.cache.found());
  keep(again);
  EXPECT_EQ(read_file(path), whole);
  EXPECT_TRUE(load(ways).cache.found());
}

/// Puts another word into the table and makes the checksum right again: what somebody who means harm can do.
std::string forged(std::string file, size_t word, uint64_t value) {
  uint64_t words;
  std::memcpy(&words, file.data() + 32, sizeof words);
  std::memcpy(file.data() + 56 + 8 * word, &value, sizeof value);
  const auto bytes = std::as_bytes(std::span(file.data(), file.size()));
  const uint64_t sum = checksum(bytes.subspan(56, 8 * words), checksum(bytes.first(48)));
  std::memcpy(file.data() + 48, &sum, sizeof sum);
  return file;
}

TEST_F(PackedCacheTest, ForgedTablesAreNotTaken) {
  const std::vector<WeightDescription> ways = {weight(WeightForm::int8, ComputeType::float32)};
  const Loaded packed = load(ways);
  keep(packed);
  const std::string& path = packed.cache.path();
  const std::string whole = read_file(path);
  // Words of the table: sections, then place, bytes and checksums of the first.
  uint64_t sections, place, size;
  std::memcpy(&sections, whole.data() + 56, 8);
  std::memcpy(&place, whole.data() + 64, 8);
  std::memcpy(&size, whole.data() + 72, 8);
  write_file(path, forged(whole, 1, place));
  EXPECT_TRUE(load(ways).cache.found());  // the forger's checksums are right
  const std::vector<std::pair<size_t, uint64_t>> forgeries = {{0, 0},
                                                              {0, sections - 1},
                                                              {0, sections + 1},
                                                              {0, uint64_t{1} << 61},
                                                              {0, UINT64_MAX},
                                                              {1, 0},
                                                              {1, place + 1},
                                                              {1, place + 64},
                                                              {1, whole.size() / 64 * 64},
                                                              {1, uint64_t{1} << 63},
                                                              {1, UINT64_MAX - 63},
                                                              {2, 0},
                                                              {2, size - 1},
                                                              {2, size + 1},
                                                              {2, whole.size()},
                                                              {2, uint64_t{1} << 63},
                                                              {2, UINT64_MAX}};
  for (const auto& [word, value] : forgeries) {
    write_file(path, forged(whole, word, value));
    const Loaded loaded = load(ways);
    EXPECT_FALSE(loaded.cache.found()) << word << ": " << value;
    EXPECT_EQ(product(*backend_, *loaded.weights[0].linear), product(*backend_, *packed.weights[0].linear));
  }
  // Whole files whose sections are not those of the weight.
  const auto good = packed.weights[0].linear->sections();
  PackedKey key;
  std::memcpy(&key, whole.data() + 8, sizeof key);
  for (size_t i = 0; i < good.size(); ++i) {
    auto shorter = good, fewer = good;
    shorter[i] = shorter[i].first(shorter[i].size() - 1);
    fewer.erase(fewer.begin() + static_cast<int64_t>(i));
    for (const auto& bad : {shorter, fewer}) {
      PackedFile::write(path, key, std::vector(1, bad));
      EXPECT_FALSE(load(ways).cache.found()) << i;
    }
  }
  auto more = good;
  more.push_back(good.back());
  PackedFile::write(path, key, std::vector(1, more));
  EXPECT_FALSE(load(ways).cache.found());
  PackedFile::write(path, key, std::vector(2, good));
  EXPECT_FALSE(load(ways).cache.found());
  PackedFile::write(path, key, std::vector(1, good));
  EXPECT_TRUE(load(ways).cache.found());
}

TEST_F(PackedCacheTest, AFolderThatCannotBeWrittenFailsWithItsName) {
  Loaded packed{{}, PackedCache({folder_.path() + "/missing", "w", 0})};
  LoadOptions options;
  options.packed = &packed.cache;
  packed.weights = load_weights(std::vector{weight(WeightForm::int8, ComputeType::float32)}, *open_one(file_.path()),
                                *backend_, options);
  expect_error(ErrorCode::not_found, {"missing", ".packed"}, [&] { keep(packed); });
}

TEST(ChecksumTest, EveryBitAndTheLengthCount) {
  std::vector<std::byte> bytes(200);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37);
  for (size_t length : {size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{200}}) {
    const std::span<std::byte> part(bytes.data(), length);
    const uint64_t sum = checksum(part);
    EXPECT_NE(checksum(part, 1), sum);
    EXPECT_NE(checksum(part.first(length - 1)), sum);
    for (size_t bit = 0; bit < 8 * length; ++bit) {
      part[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
      EXPECT_NE(checksum(part), sum) << bit;
      part[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    }
  }
  const std::vector<std::byte> zeros(65);
  EXPECT_NE(checksum(std::span(zeros).first(64)), checksum(zeros));
}

}  // namespace
}  // namespace octoformer
