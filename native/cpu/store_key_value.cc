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

/// Writes one token's key and value of one kv head into a page.
class HeadWriter {
 public:
  HeadWriter(const KernelTable& kernels, const KeyValueLayer& layer)
      : kernels_(kernels), form_(layer.form), head_dim_(layer.head_dim) {
    if (form_ == KeyValueForm::int8) quantized_.resize(static_cast<size_t>(head_dim_));
    if (form_ == KeyValueForm::bfloat16) narrow_.resize(static_cast<size_t>(padded_head_dim(head_dim_)));
  }

  /// `head`: the kv head's keys in the page; `slot`: the token's place in it.
  void write(const float* key, const float* value, std::byte* head, int64_t slot) {
    switch (form_) {
      case KeyValueForm::float32:
        place_key(key, head, slot);
        return place_value(value, head, slot);
      case KeyValueForm::bfloat16:
        return place_pairs(key, value, head, slot);
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
  void place_pairs(const float* key, const float* value, std::byte* head, int64_t slot) {
    const int64_t columns = padded_head_dim(head_dim_);
    kernels_.gemm.narrow_row_to_bfloat16(key, head_dim_, narrow_.data());
    auto* keys = reinterpret_cast<uint16_t*>(head) + 2 * slot;
    for (int64_t d = 0; d < columns; d += 2) std::memcpy(keys + d * kPageKeys, narrow_.data() + d, 2 * sizeof *keys);
    kernels_.gemm.narrow_row_to_bfloat16(value, head_dim_, narrow_.data());
    auto* values =
        reinterpret_cast<uint16_t*>(head + values_offset(form_, head_dim_)) + slot / 2 * 2 * columns + slot % 2;
    for (int64_t d = 0; d < columns; ++d) values[2 * d] = narrow_[static_cast<size_t>(d)];
  }

  /// Fills quantized_; gives the scale: 0 for zeros, NaN where a number is not finite.
  float quantize(const float* x) {
    RowScan found;
    kernels_.int8.scan_row(x, head_dim_, &found);
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
  std::vector<uint16_t> narrow_;  // zeros beyond head_dim
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
    HeadWriter writer(kernels, layer);
    const int64_t first = std::max(sequence.past, page * kPageKeys);
    const int64_t end = std::min(sequence.past + sequence.count, (page + 1) * kPageKeys);
    for (int64_t head = 0; head < layer.kv_heads; ++head) {
      std::byte* memory =
          sequence.pages[static_cast<size_t>(page)] + layer.page_offset + head_offset(layer.form, head, layer.head_dim);
      for (int64_t position = first; position < end; ++position) {
        const int64_t row = sequence.first_row + position - sequence.past;
        writer.write(arguments.key.row(row) + head * layer.head_dim, arguments.value.row(row) + head * layer.head_dim,
                     memory, position % kPageKeys);
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
  if (values < kMinimumParallelValues) threads = 1;
  ThreadPool::shared().parallel_for(
      threads, static_cast<int64_t>(pages.size()),
      [&, list = pages.data()](int64_t index, int) { store_page(*list[index].sequence, list[index].page); });
}

}  // namespace octoformer
