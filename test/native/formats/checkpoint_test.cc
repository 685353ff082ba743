#include "formats/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>
#include <variant>
#include <vector>

#include "formats/checkpoint_files.h"

namespace octoformer {
namespace {

template <class T>
const T& metadata_of(const Checkpoint& checkpoint, std::string_view key) {
  const MetadataValue* value = find_metadata(checkpoint.metadata(), key);
  if (value == nullptr) fail(ErrorCode::internal, "no metadata ", key);
  return std::get<T>(value->value);
}

std::string one_tensor(std::string_view name, float value, std::string_view metadata = "") {
  std::string header = "{";
  header += metadata;
  header += '"';
  header += name;
  header += R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  return safetensors_file(header, bytes_of<float>({value}));
}

TEST(Checkpoint, ReadsSafetensors) {
  const TemporaryFile file(safetensors_sample().file, ".gguf");  // the name does not matter
  const std::shared_ptr<Checkpoint> checkpoint = open_one(file.path());
  EXPECT_EQ(checkpoint->format(), Checkpoint::Format::safetensors);
  ASSERT_EQ(checkpoint->tensors().size(), 10u);
  const TensorInfo& embed = checkpoint->at("model.embed.weight");
  EXPECT_EQ(embed.name, "model.embed.weight");
  EXPECT_EQ(embed.dtype, "F32");
  EXPECT_EQ(embed.encoding, TensorEncoding::f32);
  EXPECT_EQ(embed.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(embed.rows(), 2);
  EXPECT_EQ(embed.columns(), 3);
  EXPECT_EQ(embed.bytes, 24u);
  EXPECT_EQ(checkpoint->bytes(embed).size(), 24u);
  EXPECT_EQ(checkpoint->file_of(embed), file.path());
  EXPECT_EQ(read_all(*checkpoint, "model.embed.weight"), (std::vector<float>{1, 2, 3, 4, 5, -6.5f}));
  EXPECT_EQ(read_all(*checkpoint, "model.norm.weight"), (std::vector<float>{1, -1, 2, 0, HUGE_VALF}));
  EXPECT_EQ(checkpoint->at("model.norm.weight").rows(), 1);
  EXPECT_EQ(read_all(*checkpoint, "half"), (std::vector<float>{1, 0x1p-24f}));
  EXPECT_EQ(read_all(*checkpoint, "mask"), (std::vector<float>{0, 1, 1}));
  EXPECT_EQ(read_all(*checkpoint, "ids"), (std::vector<float>{-3, 0x1p40f}));
  EXPECT_EQ(read_all(*checkpoint, "signed"), (std::vector<float>{-128, 0, 127}));
  EXPECT_EQ(read_all(*checkpoint, "unsigned"), (std::vector<float>{0, 128, 255}));
  EXPECT_EQ(read_all(*checkpoint, "count"), (std::vector<float>{-7}));
  EXPECT_TRUE(read_all(*checkpoint, "empty").empty());
  EXPECT_EQ(metadata_of<std::string>(*checkpoint, "format"), "pt");
  EXPECT_EQ(metadata_of<std::string>(*checkpoint, "note"), "café");
}

TEST(Checkpoint, ReadsGguf) {
  const TemporaryFile file(gguf_sample().file, ".safetensors");
  const std::shared_ptr<Checkpoint> checkpoint = open_one(file.path());
  EXPECT_EQ(checkpoint->format(), Checkpoint::Format::gguf);
  ASSERT_EQ(checkpoint->tensors().size(), 4u);
  EXPECT_EQ(checkpoint->at("token_embd.weight").shape, (std::vector<int64_t>{2, 3}));  // outermost first
  EXPECT_EQ(read_all(*checkpoint, "token_embd.weight"), (std::vector<float>{1, 2, 3, 4, 5, -6.5f}));
  const TensorInfo& query = checkpoint->at("blk.0.attn_q.weight");
  EXPECT_EQ(query.dtype, "Q8_0");
  EXPECT_EQ(query.bytes, 68u);
  EXPECT_EQ(query.offset % 64, 0u);
  std::vector<float> row(32);
  checkpoint->read_rows(query, 1, 1, row.data());
  for (int i = 0; i < 32; ++i) EXPECT_EQ(row[static_cast<size_t>(i)], static_cast<float>(i - 17));
  EXPECT_EQ(read_all(*checkpoint, "output_norm.weight"), (std::vector<float>{1, -2}));
  EXPECT_EQ(checkpoint->at("odd.weight").bytes, 64u);  // up to the next tensor
}

TEST(Checkpoint, ReadsEveryKindOfGgufMetadata) {
  const TemporaryFile file(gguf_sample().file);
  const std::shared_ptr<Checkpoint> checkpoint = open_one(file.path());
  EXPECT_EQ(checkpoint->metadata().size(), 16u);
  EXPECT_EQ(checkpoint->metadata()[0].key, "general.architecture");
  EXPECT_EQ(metadata_of<std::string>(*checkpoint, "general.architecture"), "llama");
  EXPECT_EQ(metadata_of<int64_t>(*checkpoint, "general.alignment"), 64);
  EXPECT_EQ(metadata_of<int64_t>(*checkpoint, "u8"), 200);
  EXPECT_EQ(metadata_of<int64_t>(*checkpoint, "i8"), -100);
  EXPECT_EQ(metadata_of<int64_t>(*checkpoint, "u16"), 60000);
  EXPECT_EQ(metadata_of<int64_t>(*checkpoint, "i16"), -30000);
  EXPECT_EQ(metadata_of<int64_t>(*checkpoint, "i32"), -2000000000);
  EXPECT_EQ(metadata_of<double>(*checkpoint, "f32"), double{1e-5f});
  EXPECT_TRUE(metadata_of<bool>(*checkpoint, "yes"));
  EXPECT_EQ(metadata_of<uint64_t>(*checkpoint, "u64"), UINT64_MAX);
  EXPECT_EQ(metadata_of<int64_t>(*checkpoint, "i64"), INT64_MIN);
  EXPECT_EQ(metadata_of<double>(*checkpoint, "f64"), 0.1);
  const StringList& tokens = metadata_of<StringList>(*checkpoint, "tokens");
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_EQ(tokens[0], "<s>");
  EXPECT_EQ(tokens[1], "");
  EXPECT_EQ(tokens[2], "é");
  EXPECT_EQ(metadata_of<std::vector<double>>(*checkpoint, "scores"), (std::vector<double>{0.5, -1}));
  EXPECT_EQ(metadata_of<std::vector<bool>>(*checkpoint, "flags"), (std::vector<bool>{true, false}));
  const auto& nested = metadata_of<std::vector<MetadataValue>>(*checkpoint, "nested");
  ASSERT_EQ(nested.size(), 2u);
  EXPECT_EQ(std::get<std::vector<int64_t>>(nested[0].value), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(std::get<std::vector<uint64_t>>(nested[1].value), (std::vector<uint64_t>{3}));
  EXPECT_EQ(find_metadata(checkpoint->metadata(), "general"), nullptr);
}

TEST(Checkpoint, ReadsGgufVersion2) {
  GgufBuilder gguf;
  gguf.begin(2, 1, 0).tensor("x", {2}, 0, 0);
  const TemporaryFile file(gguf.file(bytes_of<float>({1, 2})));
  EXPECT_EQ(read_all(*open_one(file.path()), "x"), (std::vector<float>{1, 2}));
}

TEST(Checkpoint, JoinsShards) {
  const TemporaryFile first(one_tensor("a", 1, R"("__metadata__":{"k":"first"},)"));
  const TemporaryFile second(one_tensor("b", 2, R"("__metadata__":{"k":"second","l":"x"},)"));
  const std::vector<std::string> files = {first.path(), second.path()};
  const std::shared_ptr<Checkpoint> checkpoint = Checkpoint::open(files);
  EXPECT_EQ(checkpoint->files().size(), 2u);
  EXPECT_EQ(read_all(*checkpoint, "a"), (std::vector<float>{1}));
  EXPECT_EQ(read_all(*checkpoint, "b"), (std::vector<float>{2}));
  EXPECT_EQ(checkpoint->file_of(checkpoint->at("b")), second.path());
  EXPECT_EQ(metadata_of<std::string>(*checkpoint, "k"), "first");
  EXPECT_EQ(metadata_of<std::string>(*checkpoint, "l"), "x");
  expect_error(ErrorCode::missing_weight, {first.path(), "\"c\""}, [&] { checkpoint->at("c"); });
  EXPECT_EQ(checkpoint->find("c"), nullptr);
}

TEST(Checkpoint, RefusesWrongSetsOfFiles) {
  const TemporaryFile first(one_tensor("a", 1));
  const TemporaryFile again(one_tensor("a", 2));
  const TemporaryFile gguf(gguf_sample().file);
  expect_error(ErrorCode::invalid_argument, {"empty"}, [] { Checkpoint::open({}); });
  const std::vector<std::string> twice = {first.path(), again.path()};
  expect_error(ErrorCode::invalid_checkpoint, {first.path(), again.path(), "\"a\""}, [&] { Checkpoint::open(twice); });
  const std::vector<std::string> mixed = {first.path(), gguf.path()};
  expect_error(ErrorCode::invalid_checkpoint, {first.path(), gguf.path(), "one format"},
               [&] { Checkpoint::open(mixed); });
  const std::vector<std::string> missing = {first.path(), "/nowhere/x.safetensors"};
  expect_error(ErrorCode::not_found, {"/nowhere/x.safetensors"}, [&] { Checkpoint::open(missing); });
}

TEST(Checkpoint, JoinsThePartsOfASplitGguf) {
  const auto part = [](uint16_t number, std::string_view name, float value) {
    GgufBuilder gguf;
    gguf.begin(3, 1, 2).string("split.no").type(GgufType::uint16).number(number);
    gguf.string("split.count").type(GgufType::uint16).number(uint16_t{2}).tensor(name, {1}, 0, 0);
    return gguf.file(bytes_of<float>({value}));
  };
  const TemporaryFile first(part(0, "a", 1));
  const TemporaryFile second(part(1, "b", 2));
  const std::vector<std::string> both = {first.path(), second.path()};
  EXPECT_EQ(read_all(*Checkpoint::open(both), "b"), (std::vector<float>{2}));
  expect_error(ErrorCode::invalid_checkpoint, {first.path(), "one of 2 parts"}, [&] { open_one(first.path()); });
}

TEST(Checkpoint, ChecksTheRows) {
  const TemporaryFile file(safetensors_sample().file);
  const std::shared_ptr<Checkpoint> checkpoint = open_one(file.path());
  const TensorInfo& tensor = checkpoint->at("model.embed.weight");
  std::vector<float> out(3, 99.0f);
  checkpoint->read_rows(tensor, 1, 1, out.data());
  EXPECT_EQ(out, (std::vector<float>{4, 5, -6.5f}));
  checkpoint->read_rows(tensor, 2, 0, out.data());
  EXPECT_EQ(out, (std::vector<float>{4, 5, -6.5f}));
  for (const auto& [first, count] :
       {std::pair<int64_t, int64_t>{0, 3}, {2, 1}, {-1, 1}, {0, -1}, {3, 0}, {1, INT64_MAX}, {INT64_MAX, INT64_MAX}}) {
    expect_error(ErrorCode::invalid_argument, {file.path(), "model.embed.weight", "it has 2"},
                 [&] { checkpoint->read_rows(tensor, first, count, out.data()); });
  }
}

TEST(Checkpoint, ReadsNumbersThatLieByThemselves) {
  const TemporaryFile file(safetensors_file(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})",
                                            bytes_of<float>({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f})),
                           ".safetensors");
  const auto checkpoint = open_one(file.path());
  const TensorInfo& tensor = checkpoint->at("a");
  std::vector<float> numbers(3);
  EXPECT_TRUE(checkpoint->has_single_numbers(tensor));
  checkpoint->read_numbers(tensor, 2, 3, numbers.data());
  EXPECT_EQ(numbers, (std::vector<float>{3.0f, 4.0f, 5.0f}));
  checkpoint->read_numbers(tensor, 6, 0, numbers.data());
  for (const auto& [first, count] : {std::pair{-1, 1}, {4, 3}, {0, -1}, {7, 0}}) {
    expect_error(ErrorCode::invalid_argument, {"\"a\"", "it has 6"},
                 [&] { checkpoint->read_numbers(tensor, first, count, numbers.data()); });
  }
}

TEST(Checkpoint, NamesADtypeThatItCantRead) {
  const TemporaryFile safetensors(safetensors_sample().file);
  const TemporaryFile gguf(gguf_sample().file);
  EXPECT_EQ(open_one(safetensors.path())->at("eight").dtype, "F8_E4M3");
  expect_error(ErrorCode::invalid_checkpoint, {safetensors.path(), "\"eight\"", "F8_E4M3"},
               [&] { read_all(*open_one(safetensors.path()), "eight"); });
  expect_error(ErrorCode::invalid_checkpoint, {gguf.path(), "\"odd.weight\"", "IQ2_XXS"},
               [&] { read_all(*open_one(gguf.path()), "odd.weight"); });
}

TEST(Checkpoint, RefusesADoubleBeyondFloat32) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string header = R"({"w":{"dtype":"F64","shape":[3,2],"data_offsets":[0,48]}})";
  const TemporaryFile safetensors(safetensors_file(header, bytes_of<double>({0.1, -2, infinity, 3e38, 5, -1e39})));
  const TemporaryFile gguf(GgufBuilder()
                               .begin(3, 1, 0)
                               .tensor("w", {2, 3}, 28, 0)
                               .file(bytes_of<double>({0.1, -2, infinity, 3e38, 5, -1e39})));
  for (const std::string& path : {safetensors.path(), gguf.path()}) {
    const std::shared_ptr<Checkpoint> checkpoint = open_one(path);
    const TensorInfo& tensor = checkpoint->at("w");
    EXPECT_EQ(tensor.dtype, "F64");
    std::vector<float> values(6);
    checkpoint->read_rows(tensor, 0, 2, values.data());
    checkpoint->read_numbers(tensor, 4, 1, values.data() + 4);
    EXPECT_EQ(values, (std::vector<float>{0.1f, -2, std::numeric_limits<float>::infinity(), 3e38f, 5, 0}));
    const std::initializer_list<std::string_view> parts = {path, "\"w\"", "-1e+39", "float32"};
    expect_error(ErrorCode::invalid_checkpoint, parts, [&] { checkpoint->read_rows(tensor, 2, 1, values.data()); });
    expect_error(ErrorCode::invalid_checkpoint, parts, [&] { checkpoint->read_numbers(tensor, 5, 1, values.data()); });
  }
}

TEST(Checkpoint, IsReadByManyThreads) {
  const TemporaryFile file(gguf_sample().file);
  const std::shared_ptr<const Checkpoint> checkpoint = open_one(file.path());
  const std::vector<float> expected = read_all(*checkpoint, "blk.0.attn_q.weight");
  std::vector<int> failures(4, 0);
  std::vector<std::thread> threads;
  for (int& failed : failures) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) failed += read_all(*checkpoint, "blk.0.attn_q.weight") != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, (std::vector<int>{0, 0, 0, 0}));
}

}  // namespace
}  // namespace octoformer
