// Places the buffers of a Program in one arena. Row counts are known at run time only, so a buffer is planned as an
// interval of columns within the class of its row symbol. At run time it is a contiguous [rows, stride] matrix that
// starts at float class_start + column_offset * rows. Buffers of one class that live at the same time get disjoint
// intervals; strides are padded to 64 bytes, so every buffer and every row starts on a cache line.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/program.h"

namespace octoformer {

/// Floats in 64 bytes.
inline constexpr int64_t kColumnPadding = 16;

/// A buffer lives from the first op that touches it to the last, both included. `first_op` -1: no op does.
struct BufferLifetime {
  RowSymbol rows = RowSymbol::tokens;
  int64_t columns = 0;
  int32_t first_op = -1;
  int32_t last_op = -1;
};

struct BufferPlacement {
  int64_t column_offset = 0;
  int64_t stride = 0;
};

struct ArenaPlan {
  std::vector<BufferPlacement> buffers;
  /// Columns that each class takes at its fullest.
  std::array<int64_t, kRowSymbols> peak_columns = {};
};

/// First fit in the order of birth: each buffer takes the lowest gap that is wide enough.
ArenaPlan plan_arena(std::span<const BufferLifetime> buffers);

}  // namespace octoformer
