#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/half.h"
#include "cpu/attention_ops.h"
#include "cpu/parallel_rows.h"
#include "cpu/thread_pool.h"
#include "quantization/row_range.h"

namespace octoformer {
namespace {

/// Pages below which one thread is done before a second one has begun: each takes one or two microseconds, however few
/// numbers go there, since a key's lie on as many lines, which come from memory.
constexpr size_t kMinimumParallelPages = 4;

/// Writes one token's key and value of one kv head into a page, as float32 or int8.
class HeadWriter {
 public:
  HeadWriter(const KernelTable& kernels, const KeyValueLayer& layer)
      : kernels_(kernels), form_(layer.form), head_dim_(layer.head_dim) {
    if (form_ == KeyValueForm::int8) quantized_.resize(static_cast<size_t>(head_dim_));
  }

  /// `head`: the kv head's keys in the page; `slot`: the token's place in it.
  void write(const float* key, const float* value, std::byte* head, int64_t slot) {
    switch (form_) {
      case KeyValueForm::float32:
        place_key(key, head, slot);
        return place_value(value, head, slot);
      case KeyValueForm::bfloat16:
        return;  // PairWriter's
      case KeyValueForm::int8:
        auto* scales = reinterpret_cast<float*>(head + scales_offset(form_, head_dim_));
        scales[slot] = quantize(key);
        place_key(quantized_.data(), head, slot);
        scales[kPageKeys + slot] = quantize(value);
        place_value(quantized_.data(), head, slot);
    }
  }

 private:
  template <class Number>
  void place_key(const Number* key, std::byte* head, int64_t slot) const {
    auto* keys = reinterpret_cast<Number*>(head);
    for (int64_t d = 0; d < head_dim_; ++d) keys[d * kPageKeys + slot] = key[d];
  }
  template <class Number>
  void place_value(const Number* value, std::byte* head, int64_t slot) const {
    const int64_t columns = padded_head_dim(head_dim_);
    auto* values = reinterpret_cast<Number*>(head + values_offset(form_, head_dim_)) + slot * columns;
    std::copy_n(value, head_dim_, values);
    std::fill(values + head_dim_, values + columns, Number{0});
  }
  /// Fills quantized_; gives the scale: 0 for zeros, NaN where a number is not finite.
  float quantize(const float* x) {
    RowScan found;
    kernels_.int8.scan_row(x, head_dim_, nullptr, &found);
    const Int8Grid grid = int8_grid({found.low, found.high, found.finite}, Int8Mapping::absmax);
    if (grid.scale > 0.0f) {
      const RowGrid row{grid.multiplier, grid.step, grid.zero_point, grid.least, 0};
      kernels_.int8.quantize_row(x, head_dim_, row, reinterpret_cast<uint8_t*>(quantized_.data()), kByteRun);
    } else {
      std::fill(quantized_.begin(), quantized_.end(), int8_t{0});
    }
    return grid.scale;
  }

  const KernelTable& kernels_;
  const KeyValueForm form_;
  const int64_t head_dim_;
  std::vector<int8_t> quantized_;
};

/// Tokens that lie in one page: rows [first_row, first_row + count) of keys and values.
struct PageTokens {
  int64_t first_row = 0;
  int64_t slot = 0;  // the first one's place in the page
  int64_t count = 0;
  std::byte* memory = nullptr;  // the layer's share of the page
};

/// Writes tokens of a page as pairs of bfloat16. Rows are narrowed whole, in the order that they lie in, which is how
/// memory is read fastest, and taken apart into heads in the cache.
class PairWriter {
 public:
  PairWriter(const KernelTable& kernels, const StoreKeyValueArguments& arguments, const PageTokens& tokens)
      : kernels_(kernels), layer_(arguments.layer), tokens_(tokens), rows_(rows_of_thread()) {
    rows_.resize(static_cast<size_t>(tokens_.count * row_numbers()));
    narrow(arguments.key);
    for (int64_t head = 0; head < layer_.kv_heads; ++head) place_keys(head);
    narrow(arguments.value);
    for (int64_t head = 0; head < layer_.kv_heads; ++head) place_values(head);
  }

 private:
  int64_t row_numbers() const { return layer_.kv_heads * layer_.head_dim; }
  const uint16_t* narrowed(int64_t token, int64_t head) const {
    return rows_.data() + token * row_numbers() + head * layer_.head_dim;
  }
  uint16_t* place(int64_t head, size_t offset) const {
    return reinterpret_cast<uint16_t*>(tokens_.memory + head_offset(layer_.form, head, layer_.head_dim) + offset);
  }

  void narrow(const ConstMatrixView& matrix) const {
    for (int64_t token = 0; token < tokens_.count; ++token) {
      kernels_.gemm.narrow_row_to_bfloat16(matrix.row(tokens_.first_row + token), row_numbers(),
                                           rows_.data() + token * row_numbers());
    }
  }

  void place_keys(int64_t head) const {
    int64_t token = 0;
    for (; token + 4 <= tokens_.count; token += 4) place_keys_of<4>(head, token);
    for (; token < tokens_.count; ++token) place_keys_of<1>(head, token);
  }
  /// Keys of `Tokens` tokens, whose pairs lie side by side: so they are stored together.
  template <int Tokens>
  void place_keys_of(int64_t head, int64_t token) const {
    const uint16_t* keys[Tokens];
    for (int i = 0; i < Tokens; ++i) keys[i] = narrowed(token + i, head);
    uint16_t* pairs = place(head, 0) + 2 * (tokens_.slot + token);
    const int64_t numbers = layer_.head_dim;
    int64_t d = 0;
    for (; d + 2 <= numbers; d += 2) {
      uint16_t together[Tokens][2];
      for (int i = 0; i < Tokens; ++i) std::memcpy(together[i], keys[i] + d, sizeof together[i]);
      std::memcpy(pairs + d * kPageKeys, together, sizeof together);
    }
    for (; d < padded_head_dim(numbers); d += 2) {
      uint16_t together[Tokens][2];
      for (int i = 0; i < Tokens; ++i) {
        together[i][0] = d < numbers ? keys[i][d] : uint16_t{0};
        together[i][1] = 0;
      }
      std::memcpy(pairs + d * kPageKeys, together, sizeof together);
    }
  }

  void place_values(int64_t head) const {
    const int64_t numbers = layer_.head_dim, columns = padded_head_dim(numbers);
    uint16_t* values = place(head, values_offset(layer_.form, numbers));
    for (int64_t token = 0; token < tokens_.count;) {
      const int64_t slot = tokens_.slot + token;
      const uint16_t* value = narrowed(token, head);
      uint16_t* pairs = values + slot / 2 * 2 * columns;
      if (slot % 2 == 0 && token + 1 < tokens_.count) {
        const uint16_t* next = narrowed(token + 1, head);
        for (int64_t d = 0; d < numbers; ++d) {
          pairs[2 * d] = value[d];
          pairs[2 * d + 1] = next[d];
        }
        std::fill(pairs + 2 * numbers, pairs + 2 * columns, uint16_t{0});
        token += 2;
      } else {  // the other one of the pair is there already, or comes later
        pairs += slot % 2;
        for (int64_t d = 0; d < columns; ++d) pairs[2 * d] = d < numbers ? value[d] : uint16_t{0};
        token += 1;
      }
    }
  }

  /// Memory that each thread keeps from call to call.
  static std::vector<uint16_t>& rows_of_thread() {
    thread_local std::vector<uint16_t> rows;
    return rows;
  }

  const KernelTable& kernels_;
  const KeyValueLayer& layer_;
  const PageTokens& tokens_;
  std::vector<uint16_t>& rows_;  // narrowed, [count, row_numbers()]
};

}  // namespace

size_t key_value_layer_bytes(int64_t kv_heads, int64_t head_dim, KeyValueForm form) {
  constexpr size_t kAlignment = 64;
  return (head_offset(form, kv_heads, head_dim) + kAlignment - 1) / kAlignment * kAlignment;
}

void run_store_key_value(const KernelTable& kernels, int threads, const StoreKeyValueArguments& arguments) {
  // One task a page: its lines are written by one thread, and the transposed keys of its tokens share them.
  struct PageRows {
    const SequenceSlice* sequence;
    int64_t page;
  };
  const KeyValueLayer& layer = arguments.layer;
  const auto store_page = [&](const SequenceSlice& sequence, int64_t page) {
    const int64_t first = std::max(sequence.past, page * kPageKeys);
    const int64_t end = std::min(sequence.past + sequence.count, (page + 1) * kPageKeys);
    const PageTokens tokens = {sequence.first_row + first - sequence.past, first % kPageKeys, end - first,
                               sequence.pages[static_cast<size_t>(page)] + layer.page_offset};
    // Tiles multiply whole pages: they are slow where what is not there is not finite.
    const bool begun = tokens.slot == 0 && tokens.count < kPageKeys;
    if (begun) std::memset(tokens.memory, 0, head_offset(layer.form, layer.kv_heads, layer.head_dim));
    if (layer.form == KeyValueForm::bfloat16) {
      PairWriter(kernels, arguments, tokens);
      return;
    }
    HeadWriter writer(kernels, layer);
    for (int64_t head = 0; head < layer.kv_heads; ++head) {
      std::byte* memory = tokens.memory + head_offset(layer.form, head, layer.head_dim);
      for (int64_t token = 0; token < tokens.count; ++token) {
        const int64_t row = tokens.first_row + token;
        writer.write(arguments.key.row(row) + head * layer.head_dim, arguments.value.row(row) + head * layer.head_dim,
                     memory, tokens.slot + token);
      }
    }
  };
  thread_local std::vector<PageRows> pages;
  pages.clear();
  for (const SequenceSlice& sequence : arguments.sequences) {
    const int64_t end = (sequence.past + sequence.count + kPageKeys - 1) / kPageKeys;
    for (int64_t page = sequence.past / kPageKeys; sequence.count > 0 && page < end; ++page) {
      pages.push_back({&sequence, page});
    }
  }
  const int64_t values = arguments.key.rows * layer.kv_heads * layer.head_dim * 2;
  if (values < kMinimumParallelValues && pages.size() < kMinimumParallelPages) threads = 1;
  ThreadPool::shared().parallel_for(
      threads, static_cast<int64_t>(pages.size()),
      [&, list = pages.data()](int64_t index, int) { store_page(*list[index].sequence, list[index].page); });
}

}  // namespace octoformer
