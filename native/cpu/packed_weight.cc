#include "cpu/packed_weight.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/error.h"
#include "backend/half.h"
#include "cpu/thread_pool.h"

namespace octoformer {
namespace {

/// The bits of the smallest magnitude that the form cannot hold as a finite number, rounding considered.
uint32_t first_bits_out_of_range(WeightForm form) {
  switch (form) {
    case WeightForm::float32:
      return 0x7f800000u;  // infinity
    case WeightForm::bfloat16:
      return 0x7f7f8000u;  // half a unit above the largest bfloat16
    case WeightForm::float16:
      return 0x477ff000u;  // 65520
    case WeightForm::int8:
      break;
  }
  fail(ErrorCode::internal, "unknown weight form ", static_cast<int>(form));
}

const char* form_name(WeightForm form) {
  return form == WeightForm::float32 ? "float32" : form == WeightForm::bfloat16 ? "bfloat16" : "float16";
}

[[noreturn]] void fail_at(const LinearWeightDescription& description, int64_t row, int64_t column, float value) {
  const char* form = form_name(description.form);
  if ((bits_of(value) & 0x7f800000u) == 0x7f800000u) {
    fail(ErrorCode::invalid_checkpoint, description.name, ": the weight at [", row, ", ", column, "] is ", value,
         ", not a finite number; the checkpoint is damaged, fetch it again");
  }
  fail(ErrorCode::invalid_checkpoint, description.name, ": the weight at [", row, ", ", column, "] is ", value,
       ", beyond the range of ", form, "; load it as float32",
       description.form == WeightForm::float16 ? " or bfloat16" : "");
}

void check_values(const LinearWeightDescription& description, int64_t first_row, int64_t count, const float* rows) {
  const uint32_t limit = first_bits_out_of_range(description.form);
  for (int64_t r = 0; r < count; ++r) {
    const float* row = rows + r * description.in_features;
    int32_t largest = 0;  // magnitudes compare as signed integers
    for (int64_t k = 0; k < description.in_features; ++k) {
      largest = std::max(largest, static_cast<int32_t>(bits_of(row[k]) & 0x7fffffffu));
    }
    if (static_cast<uint32_t>(largest) < limit) continue;
    for (int64_t k = 0; k < description.in_features; ++k) {
      if ((bits_of(row[k]) & 0x7fffffffu) >= limit) fail_at(description, first_row + r, k, row[k]);
    }
  }
}

/// Rows of a table that one task packs.
constexpr int64_t kTableRows = 64;

/// Depths copied at a time, all of one tile of weights: 16 x a panel of 64 float32 is 4 KB, well within any first-level
/// cache.
constexpr int64_t kTransposeDepth = 16;

/// Calls put(row, first, count) for runs of k in an order that keeps both sides in the cache.
template <class Put>
void transpose(int64_t rows, int64_t depth, const Put& put) {
  for (int64_t first = 0; first < depth; first += kTransposeDepth) {
    const int64_t count = std::min(kTransposeDepth, depth - first);
    for (int64_t row = 0; row < rows; ++row) put(row, first, count);
  }
}

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace

PackedWeight::PackedWeight(LinearWeightDescription given, const GemmKernels& kernels, WeightStorage storage)
    : LinearWeight(std::move(given)), storage_(std::move(storage)) {
  const WeightForm form = description().form;
  const bool table = description().table;
  uses_bfloat16_units_ = !table && form == WeightForm::bfloat16 && description().compute == ComputeType::bfloat16 &&
                         kernels.bfloat16_units.few_rows != nullptr;
  int64_t granule = 1;
  if (form == WeightForm::bfloat16 && !table) granule = uses_bfloat16_units_ ? kernels.bfloat16_units.depth_granule : 2;
  panel_ = table ? 1 : uses_bfloat16_units_ ? kernels.bfloat16_units.panel : kernels.float32.panel;
  pairs_ = {panel_, uses_bfloat16_units_ ? kernels.bfloat16_units.packed_columns : panel_, granule, 2};
  panels_ = (description().out_features + panel_ - 1) / panel_;
  depth_ = round_up(description().in_features, granule);
  const size_t element = form == WeightForm::float32 ? sizeof(float) : sizeof(uint16_t);
  memory_ = storage_.array<std::byte>(static_cast<size_t>(panels_ * panel_ * depth_) * element);
}

std::unique_ptr<PackedWeight> PackedWeight::adopt(const GemmKernels& kernels, LinearWeightDescription description,
                                                  WeightStorage storage) {
  std::unique_ptr<PackedWeight> weight(new PackedWeight(std::move(description), kernels, std::move(storage)));
  return weight->storage_.fits() ? std::move(weight) : nullptr;
}

std::unique_ptr<PackedWeight> PackedWeight::pack(const GemmKernels& kernels, int threads,
                                                 LinearWeightDescription description, const RowSource& rows,
                                                 const std::atomic<bool>* abort) {
  WeightStorage storage(description.name);
  std::unique_ptr<PackedWeight> weight(new PackedWeight(std::move(description), kernels, std::move(storage)));
  const LinearWeightDescription& shape = weight->description();
  std::vector<std::vector<float>> buffers(static_cast<size_t>(std::max(threads, 1)));
  const int64_t panel = weight->panel_, task_rows = shape.table ? kTableRows : panel;
  const int64_t tasks = (shape.out_features + task_rows - 1) / task_rows;
  ThreadPool::shared().parallel_for(threads, tasks, [&](int64_t task, int worker) {
    if (abort != nullptr && abort->load(std::memory_order_relaxed)) {
      fail(ErrorCode::aborted, "loading was aborted at ", shape.name);
    }
    const int64_t first = task * task_rows;
    const int64_t count = std::min<int64_t>(task_rows, shape.out_features - first);
    std::vector<float>& buffer = buffers[static_cast<size_t>(worker)];
    buffer.resize(static_cast<size_t>(task_rows * shape.in_features));
    rows.read_rows(first, count, buffer.data());
    check_values(shape, first, count, buffer.data());
    for (int64_t row = 0; row < count; row += panel) {
      weight->pack_panel((first + row) / panel, buffer.data() + row * shape.in_features, std::min(panel, count - row));
    }
  });
  return weight;
}

void PackedWeight::pack_panel(int64_t panel, const float* rows, int64_t count) {
  const int64_t in_features = description().in_features;
  const WeightForm form = description().form;
  std::byte* memory = memory_.data();
  if (form == WeightForm::float32) {
    float* out = reinterpret_cast<float*>(memory) + panel * panel_stride();
    if (count < panel_) std::fill_n(out, panel_stride(), 0.0f);
    transpose(count, in_features, [&](int64_t n, int64_t first, int64_t depth) {
      for (int64_t k = first; k < first + depth; ++k) out[k * panel_ + n] = rows[n * in_features + k];
    });
    return;
  }
  uint16_t* out = reinterpret_cast<uint16_t*>(memory) + panel * panel_stride();
  if (count < panel_ || depth_ > in_features) std::fill_n(out, panel_stride(), uint16_t{0});
  if (form == WeightForm::float16) {
    transpose(count, in_features, [&](int64_t n, int64_t first, int64_t depth) {
      for (int64_t k = first; k < first + depth; ++k) out[k * panel_ + n] = float_to_float16(rows[n * in_features + k]);
    });
  } else {
    transpose(count, in_features, [&](int64_t n, int64_t first, int64_t depth) {
      uint16_t* to = out + pairs_.place(n, first);
      const float* from = rows + n * in_features + first;
      for (int64_t i = 0; i < depth; ++i) to[i / 2 * pairs_.group_stride() + i % 2] = float_to_bfloat16(from[i]);
    });
  }
}

void PackedWeight::read_row(const TableRowKernels& kernels, int64_t index, float scale, bool accumulate,
                            float* out) const {
  const int64_t start = index / panel_ * panel_stride(), column = index % panel_, count = description().in_features;
  const auto write = [&](const auto* whole, const auto& kernel, const auto& element) {
    if (description().table) return kernel(whole + start, count, scale, accumulate, out);
    for (int64_t k = 0; k < count; ++k) {
      const float value = element(k) * scale;
      out[k] = accumulate ? out[k] + value : value;
    }
  };
  switch (description().form) {
    case WeightForm::float32:
      return write(floats(), kernels.float32, [&](int64_t k) { return floats()[start + k * panel_ + column]; });
    case WeightForm::float16:
      return write(halves(), kernels.float16,
                   [&](int64_t k) { return float16_to_float(halves()[start + k * panel_ + column]); });
    case WeightForm::bfloat16:
      return write(halves(), kernels.bfloat16, [&](int64_t k) {
        return bfloat16_to_float(halves()[start + pairs_.place(column, k - k % 2) + k % 2]);
      });
    case WeightForm::int8:
      fail(ErrorCode::internal, "an int8 weight is no PackedWeight");
  }
}

}  // namespace octoformer
