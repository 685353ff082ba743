#include "runtime/arena_plan.h"

#include <algorithm>
#include <numeric>

namespace octoformer {

namespace {

struct Placed {
  int64_t begin;
  int64_t end;
  int32_t last_op;
};

/// The lowest start of a gap of `columns` between `live`, which is sorted by begin.
int64_t first_fit(const std::vector<Placed>& live, int64_t columns) {
  int64_t start = 0;
  for (const Placed& other : live) {
    if (other.begin - start >= columns) break;
    start = std::max(start, other.end);
  }
  return start;
}

}  // namespace

ArenaPlan plan_arena(std::span<const BufferLifetime> buffers) {
  std::vector<size_t> by_birth(buffers.size());
  std::iota(by_birth.begin(), by_birth.end(), size_t{0});
  std::stable_sort(by_birth.begin(), by_birth.end(),
                   [&](size_t a, size_t b) { return buffers[a].first_op < buffers[b].first_op; });

  ArenaPlan plan;
  plan.buffers.resize(buffers.size());
  std::array<std::vector<Placed>, kRowSymbols> live;
  for (const size_t index : by_birth) {
    const BufferLifetime& buffer = buffers[index];
    if (buffer.first_op < 0) continue;
    const auto symbol = static_cast<size_t>(buffer.rows);
    std::vector<Placed>& neighbours = live[symbol];
    std::erase_if(neighbours, [&](const Placed& other) { return other.last_op < buffer.first_op; });

    const int64_t stride = (buffer.columns + kColumnPadding - 1) / kColumnPadding * kColumnPadding;
    const int64_t begin = first_fit(neighbours, stride);
    const Placed placed{begin, begin + stride, buffer.last_op};
    const auto after = std::find_if(neighbours.begin(), neighbours.end(),
                                    [&](const Placed& other) { return other.begin >= placed.end; });
    neighbours.insert(after, placed);
    plan.buffers[index] = {begin, stride};
    plan.peak_columns[symbol] = std::max(plan.peak_columns[symbol], placed.end);
  }
  return plan;
}

}  // namespace octoformer
