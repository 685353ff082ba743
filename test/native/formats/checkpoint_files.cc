#include "formats/checkpoint_files.h"

#include <atomic>
#include <fstream>
#include <random>

namespace octoformer {

TemporaryFile::TemporaryFile(std::string_view content, std::string_view extension) {
  static const uint64_t process = std::random_device{}() * uint64_t{0x100000001} + std::random_device{}();
  static std::atomic<int> files{0};
  path_ = (std::filesystem::temp_directory_path() /
           ("octoformer-" + std::to_string(process) + "-" + std::to_string(files++) + std::string(extension)))
              .string();
  write(content);
}

TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

void TemporaryFile::write(std::string_view content) const {
  std::filesystem::remove(path_);  // file systems write a truncated file to disk at once, a new one when they like
  std::ofstream stream(path_, std::ios::binary | std::ios::trunc);
  stream.write(content.data(), static_cast<std::streamsize>(content.size()));
  ASSERT_TRUE(stream.flush());
}

std::filesystem::path fixtures() { return OCTOFORMER_FIXTURES; }

std::string safetensors_file(std::string_view header, std::string_view data) {
  return bytes_of<uint64_t>({header.size()}) + std::string(header) + std::string(data);
}

Sample safetensors_sample() {
  const std::string header = R"({"__metadata__":{"format":"pt","note":"caf\u00e9"},)"
                             R"("model.embed.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                             R"("model.norm.weight":{"dtype":"BF16","shape":[5],"data_offsets":[24,34]},)"
                             R"("half":{"dtype":"F16","shape":[2],"data_offsets":[34,38]},)"
                             R"("mask":{"dtype":"BOOL","shape":[1,1,3],"data_offsets":[38,41]},)"
                             R"("ids":{"dtype":"I64","shape":[2],"data_offsets":[41,57]},)"
                             R"("signed":{"dtype":"I8","shape":[3],"data_offsets":[57,60]},)"
                             R"("unsigned":{"dtype":"U8","shape":[3],"data_offsets":[60,63]},)"
                             R"("count":{"dtype":"I32","shape":[],"data_offsets":[63,67]},)"
                             R"("eight":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[67,71]},)"
                             R"("empty":{"dtype":"F32","shape":[0,7],"data_offsets":[71,71]}}  )";
  const std::string data = bytes_of<float>({1, 2, 3, 4, 5, -6.5f}) +
                           bytes_of<uint16_t>({0x3f80, 0xbf80, 0x4000, 0, 0x7f80}) +  // 1, -1, 2, 0, infinity
                           bytes_of<uint16_t>({0x3c00, 0x0001}) +                     // 1, 2^-24
                           bytes_of<uint8_t>({0, 1, 1}) + bytes_of<int64_t>({-3, int64_t{1} << 40}) +
                           bytes_of<int8_t>({-128, 0, 127}) + bytes_of<uint8_t>({0, 128, 255}) +
                           bytes_of<int32_t>({-7}) + std::string(4, '\x38');
  return {safetensors_file(header, data), 8 + header.size()};
}

Sample gguf_sample() {
  GgufBuilder gguf;
  gguf.begin(3, 4, 16);
  gguf.string("general.architecture").type(GgufType::string).string("llama");
  gguf.string("general.alignment").type(GgufType::uint32).number(uint32_t{64});
  gguf.string("u8").type(GgufType::uint8).number(uint8_t{200});
  gguf.string("i8").type(GgufType::int8).number(int8_t{-100});
  gguf.string("u16").type(GgufType::uint16).number(uint16_t{60000});
  gguf.string("i16").type(GgufType::int16).number(int16_t{-30000});
  gguf.string("i32").type(GgufType::int32).number(int32_t{-2000000000});
  gguf.string("f32").type(GgufType::float32).number(1e-5f);
  gguf.string("yes").type(GgufType::boolean).number(uint8_t{1});
  gguf.string("u64").type(GgufType::uint64).number(UINT64_MAX);
  gguf.string("i64").type(GgufType::int64).number(INT64_MIN);
  gguf.string("f64").type(GgufType::float64).number(0.1);
  gguf.string("tokens").type(GgufType::array).type(GgufType::string).number(uint64_t{3});
  gguf.string("<s>").string("").string("\xc3\xa9");
  gguf.string("scores").type(GgufType::array).type(GgufType::float32).number(uint64_t{2}).number(0.5f).number(-1.0f);
  gguf.string("flags").type(GgufType::array).type(GgufType::boolean).number(uint64_t{2});
  gguf.number(uint8_t{1}).number(uint8_t{0});
  gguf.string("nested").type(GgufType::array).type(GgufType::array).number(uint64_t{2});
  gguf.type(GgufType::int32).number(uint64_t{2}).number(int32_t{1}).number(int32_t{2});
  gguf.type(GgufType::uint64).number(uint64_t{1}).number(uint64_t{3});
  gguf.tensor("token_embd.weight", {3, 2}, 0, 0);
  gguf.tensor("blk.0.attn_q.weight", {32, 2}, 8, 64);  // Q8_0, 2 blocks of 34 bytes
  gguf.tensor("odd.weight", {32}, 16, 192);            // IQ2_XXS: listed only
  gguf.tensor("output_norm.weight", {2}, 1, 256);
  std::string data = bytes_of<float>({1, 2, 3, 4, 5, -6.5f});
  data.resize(64);
  for (int block = 0; block < 2; ++block) {
    data += bytes_of<uint16_t>({0x3c00});  // scale 1
    for (int i = 0; i < 32; ++i) data += static_cast<char>(i - 16 - block);
  }
  data.resize(256);
  data += bytes_of<uint16_t>({0x3c00, 0xc000});  // 1, -2
  return {gguf.file(data, 64), gguf.header().size()};
}

std::shared_ptr<Checkpoint> open_one(const std::string& path) {
  return Checkpoint::open(std::span<const std::string>(&path, 1));
}

std::vector<float> read_all(const Checkpoint& checkpoint, std::string_view name) {
  const TensorInfo& tensor = checkpoint.at(name);
  std::vector<float> values(static_cast<size_t>(tensor.rows() * tensor.columns()));
  checkpoint.read_rows(tensor, 0, tensor.rows(), values.data());
  return values;
}

}  // namespace octoformer
