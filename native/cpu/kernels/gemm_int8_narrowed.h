// Integer products of many rows on units that multiply unsigned by signed bytes and add pairs of products in 16 bits,
// saturating (vpmaddubsw): three instructions for as many multiply-adds as a vector has bytes, none of them for signs.
//
// Activations are made unsigned, each k by its own shift: u = a + shift, which is 0 for the least of some rows (and no
// less than 0 for a = 0). Where no u of a pair of k is above U, u0 w0 + u1 w1 fits into 16 bits unless |w0 + w1| is
// above 32767 / U (both have one sign then), which is 128 or more: so are 0.1 to 0.5 % of the pairs of models' weights.
// From either weight of these 64 is taken, or added to it if it is negative: then they fit, and 64 (u0 + u1) is what
// their column lacks, or has too much. That is put right for some rows at a time. Everything is exact, modulo 2^32, for
// weights of -128, too.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/gemm_int8_kernels.h"
#include "cpu/kernels/gemm_blocks.h"
#include "cpu/kernels/gemm_int8_epilogue.h"
#include "cpu/kernels/gemm_int8_tile.h"
#include "cpu/kernels/weights_ahead.h"

namespace octoformer {
namespace {

/// Rows whose activations lie side by side, four k of each: as many as a vector has sums.
constexpr int kGroupRows = Vec::lanes;
/// Rows that get what they lack at once. Two groups share the look at an entry; with four, their activations and the
/// weights would be more than the first-level cache holds.
constexpr int kNarrowedGroups = 2;
constexpr int kNarrowedRows = kNarrowedGroups * kGroupRows;

/// A task's scratch: first what the next task may find there, if it has the same rows.
struct NarrowedScratch {
  int64_t rows, arranged_rows;
  uint8_t* activations;  // [runs of k][arranged_rows * depth of the run]
  int32_t* limits;       // [K / 4]
  uint8_t* shifts;       // [K]
  int32_t* sums;         // [panels][arranged_rows][kPanel]
  int8_t* weights;
  Int8Lack* lacks;

  explicit NarrowedScratch(const Int8Task& task)
      : rows(task.last_row - task.first_row),
        arranged_rows((rows + kNarrowedRows - 1) / kNarrowedRows * kNarrowedRows),
        activations(reinterpret_cast<uint8_t*>(task.sums)),
        limits(reinterpret_cast<int32_t*>(activations + arranged_rows * task.depth)),
        shifts(reinterpret_cast<uint8_t*>(limits + task.depth / 4)),
        sums(task.sums + ((arranged_rows + 2) * task.depth / 4 + 15) / 16 * 16),
        weights(reinterpret_cast<int8_t*>(sums + arranged_rows * (task.last_panel - task.first_panel) * kPanel)),
        lacks(reinterpret_cast<Int8Lack*>(weights + kPanel * task.depth_block)) {}
};

/// What products of a run of k read, in scratch.
struct NarrowedBlock {
  uint8_t* activations;  // u: [groups of rows][depth / 4][kGroupRows][4]
  int32_t* limits;       // [depth / 4]: what two pairs of weights may add up to, 16 bits each
  uint8_t* shifts;       // [depth], 0 to 128
  int8_t* weights;       // of a panel: [depth / 4][kPanel][4]
  Int8Lack* lacks;       // what they lack
  int64_t lack_count = 0;
  int32_t start[kPanel];  // what u has too much: -shift times the weights, in all
  // Where add_lacks() adds, zeros before and after.
  alignas(64) int32_t columns[kPanel * kNarrowedRows] = {};

  /// The run of k that begins with `first`.
  NarrowedBlock(const NarrowedScratch& scratch, int64_t first)
      : activations(scratch.activations + scratch.arranged_rows * first),
        limits(scratch.limits + first / 4),
        shifts(scratch.shifts + first),
        weights(scratch.weights),
        lacks(scratch.lacks) {}
};

/// Whether the scratch has the task's rows. It has them once this was asked.
inline bool has_arranged(const Int8Task& task) {
  const Int8ArrangedRows rows = {task.activations, task.first_row, task.last_row};
  const bool known = *task.arranged == rows;
  *task.arranged = rows;
  return known;
}

/// 32767 / U, or 256 where two weights add up to no more in magnitude.
struct PairLimits {
  int16_t of[256];
  constexpr PairLimits() : of() {
    for (int u = 0; u < 256; ++u) of[u] = static_cast<int16_t>(u < 128 ? 256 : 32767 / u);
  }
};
constexpr PairLimits kPairLimits;

/// Shifts and limits of four k from the least and the largest activations of all rows (the least at most 0).
inline void take_ranges(const int8_t* least, const int8_t* largest, int64_t k, NarrowedBlock& block) {
  int widest[2] = {0, 0};
  for (int i = 0; i < 4; ++i) {
    const int width = largest[i] - least[i];
    if (width > widest[i / 2]) widest[i / 2] = width;
    block.shifts[k + i] = static_cast<uint8_t>(-least[i]);
  }
  block.limits[k / 4] = kPairLimits.of[widest[0]] | kPairLimits.of[widest[1]] << 16;
}

template <class Unit>
void find_ranges(const uint8_t* first, int64_t stride, int64_t count, int64_t depth, NarrowedBlock& block) {
  constexpr int64_t kStep = Unit::range_step;
  int8_t least[kStep], largest[kStep];
  int64_t k = 0;
  for (; k + kStep <= depth; k += kStep) {
    Unit::find_ranges(first + k, stride, count, least, largest);
    for (int64_t i = 0; i < kStep; i += 4) take_ranges(least + i, largest + i, k + i, block);
  }
  for (; k < depth; k += 4) {
    for (int64_t i = 0; i < 4; ++i) {
      least[i] = largest[i] = 0;
      for (int64_t r = 0; r < count; ++r) {
        const auto value = static_cast<int8_t>(first[r * stride + k + i]);
        if (value < least[i]) least[i] = value;
        if (value > largest[i]) largest[i] = value;
      }
    }
    take_ranges(least, largest, k, block);
  }
}

/// Rows that the last group lacks are like the last one: nobody looks at their sums.
template <class Unit>
void arrange_rows(const uint8_t* first, int64_t stride, int64_t count, int64_t depth, NarrowedBlock& block) {
  constexpr int64_t kStep = 4 * kGroupRows;
  find_ranges<Unit>(first, stride, count, depth, block);
  uint8_t* to = block.activations;
  for (int64_t begin = 0; begin < count; begin += kGroupRows) {
    const uint8_t* row[kGroupRows];
    for (int64_t r = 0; r < kGroupRows; ++r) row[r] = first + minimum(begin + r, count - 1) * stride;
    int64_t k = 0;
    for (; k + kStep <= depth; k += kStep, to += kStep * kGroupRows) Unit::arrange(row, k, block.shifts, to);
    for (; k < depth; k += 4) {
      for (int64_t r = 0; r < kGroupRows; ++r, to += 4) {
        for (int64_t i = 0; i < 4; ++i) to[i] = static_cast<uint8_t>(row[r][k + i] + block.shifts[k + i]);
      }
    }
  }
}

/// Narrows those of four weights whose pairs are set in `pairs`, and returns what they lack.
inline int32_t narrow_pairs(int8_t* weights, uint32_t pairs) {
  int8_t lack[4];
  for (uint32_t i = 0; i < 4; ++i) {
    const int narrow = static_cast<int>(pairs >> (i / 2) & 1);
    lack[i] = static_cast<int8_t>((weights[i] < 0 ? -64 : 64) * narrow);
    weights[i] = static_cast<int8_t>(weights[i] - lack[i]);
  }
  int32_t four;
  __builtin_memcpy(&four, lack, sizeof four);
  return four;
}

/// Whether it pays: what a column's four weights lack costs about as much as a quarter of the panel's four k.
template <class Unit>
[[gnu::noinline]] bool narrow_weights(const int8_t* weights, int64_t depth, NarrowedBlock& block) {
  static_assert(sizeof(Unit::wide_column) == kPanel, "pairs of two fours of k are a word");
  // In locals: bytes that are stored might be anybody's.
  int8_t* const to = block.weights;
  const uint8_t* const all_shifts = block.shifts;
  const int32_t* const limits = block.limits;
  Int8Lack* const lacks = block.lacks;
  int64_t count = 0;
  IntVec::I sums[kPanelVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kPanelVectors; ++v) sums[v] = IntVec::set1(0);
  const auto copy = [&](int64_t k) __attribute__((always_inline)) {
    const typename Unit::Activations shifts = Unit::broadcast(all_shifts + k);
    typename Unit::Weights w[kPanelVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kPanelVectors; ++v) {
      const int64_t place = k * kPanel + v * 4 * Vec::lanes;
      w[v] = Unit::load(weights + place);
      sums[v] = Unit::accumulate(shifts, w[v], sums[v]);
      Unit::store(to + place, w[v]);
    }
    return static_cast<uint64_t>(Unit::find_wide(w, limits[k / 4]));
  };
  for (int64_t k = 0; k < depth; k += 8) {
    uint64_t wide = copy(k);
    if (k + 4 < depth) wide |= copy(k + 4) << 32;
    while (wide != 0) {
      const int place = __builtin_ctzll(wide) / 2 * 2;
      const int64_t first = k + place / 32 * 4, column = Unit::wide_column[place % 32 / 2];
      const int32_t lack = narrow_pairs(to + first * kPanel + column * 4, static_cast<uint32_t>(wide >> place & 3));
      lacks[count++] = {static_cast<int32_t>(first * kGroupRows), static_cast<int32_t>(column), lack};
      wide &= ~(uint64_t{3} << place);
    }
    if (count > most_int8_lacks(k)) return false;
  }
#pragma GCC unroll 8
  for (int v = 0; v < kPanelVectors; ++v) {
    IntVec::store(block.start + v * Vec::lanes, IntVec::sub(IntVec::set1(0), sums[v]));
  }
  block.lack_count = count;
  return true;
}

/// sums [Unit::rows, kPanel] = (or, unless `fresh`, +=) start + activations x weights. The loops over accumulators are
/// unrolled by pragma: gcc 12 spills them otherwise. Two steps of k a round: on a Zen 3 whose other threads are busy,
/// which leaves this one fewer instructions a cycle, 9 % faster than one.
template <class Unit>
[[gnu::noinline]] void narrowed_tile(const uint8_t* a, const NarrowedBlock& block, int64_t depth, bool fresh,
                                     int32_t* sums) {
  IntVec::I sum[Unit::rows][kPanelVectors];
#pragma GCC unroll 16
  for (int r = 0; r < Unit::rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = IntVec::load(block.start + v * Vec::lanes);
  }
  const int8_t* weights = block.weights;
#pragma GCC unroll 2
  for (int64_t k = 0; k < depth; k += 4, a += 4 * kGroupRows, weights += 4 * kPanel) {
    typename Unit::Weights w[kPanelVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) w[v] = Unit::load(weights + v * 4 * Vec::lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Unit::rows; ++r) {
      const typename Unit::Activations x = Unit::broadcast(a + 4 * r);
#pragma GCC unroll 16
      for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = Unit::accumulate(x, w[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Unit::rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kPanelVectors; ++v) {
      int32_t* to = sums + (r * kPanelVectors + v) * Vec::lanes;
      IntVec::store(to, fresh ? sum[r][v] : IntVec::add(IntVec::load(to), sum[r][v]));
    }
  }
}

/// sums [kNarrowedRows, kPanel] += what the weights lack times activations `a`: column by column first.
template <class Unit>
[[gnu::noinline]] void add_lacks(const uint8_t* a, NarrowedBlock& block, int64_t depth, int32_t* sums) {
  for (int64_t i = 0; i < block.lack_count; ++i) {
    const Int8Lack lack = block.lacks[i];
    const typename Unit::Weights w = IntVec::set1(lack.weights);
    const uint8_t* step = a + lack.step;
    int32_t* column = block.columns + lack.column * kNarrowedRows;
#pragma GCC unroll 4
    for (int g = 0; g < kNarrowedGroups; ++g, step += kGroupRows * depth, column += kGroupRows) {
      IntVec::store(column, Unit::accumulate(Unit::load_rows(step), w, IntVec::load(column)));
    }
  }
  for (int g = 0; g < kNarrowedGroups; ++g) {
#pragma GCC unroll 8
    for (int v = 0; v < kPanelVectors; ++v) {
      IntVec::I x[Vec::lanes];
#pragma GCC unroll 16
      for (int i = 0; i < Vec::lanes; ++i) {
        int32_t* from = block.columns + ((v * Vec::lanes + i) * kNarrowedGroups + g) * kGroupRows;
        x[i] = IntVec::load(from);
        IntVec::store(from, IntVec::set1(0));
      }
      Unit::transpose(x);
#pragma GCC unroll 16
      for (int r = 0; r < kGroupRows; ++r) {
        int32_t* to = sums + ((g * kGroupRows + r) * kPanelVectors + v) * Vec::lanes;
        IntVec::store(to, IntVec::add(IntVec::load(to), x[r]));
      }
    }
  }
}

/// sums [rows, kPanel] of at most kNarrowedRows rows from `first` on, by the tiles of `Unit`.
template <class Unit>
void multiply_narrowed_rows(NarrowedBlock& block, int64_t first, int64_t rows, int64_t depth, bool fresh, int32_t* sums,
                            PanelAhead& ahead) {
  static_assert(kGroupRows % Unit::rows == 0);
  const uint8_t* a = block.activations + first * depth;
  for (int64_t r = 0; r < rows; r += Unit::rows) {
    const int64_t group = r / kGroupRows * kGroupRows;
    ahead.fetch_part();
    narrowed_tile<Unit>(a + group * depth + (r - group) * 4, block, depth, fresh, sums + r * kPanel);
  }
  if (block.lack_count > 0) add_lacks<Unit>(a, block, depth, sums);
}

/// many_rows_int8 (gemm_int8_tile.h) with narrowed weights; tiles of `Unit` multiply blocks of a panel that lack too
/// much.
template <class Unit>
void many_narrowed_rows_int8(const Int8Task& task) {
  using Narrowed = typename Unit::Narrowed;
  static_assert(kNarrowedRows % Unit::rows == 0 && kNarrowedRows <= kFinishedRows);
  const NarrowedScratch scratch(task);
  const bool arranged = has_arranged(task);
  const uint8_t* block = task.activations + task.first_row * task.row_stride;
  for (int64_t first = 0; first < task.depth; first += task.depth_block, block += task.block_stride) {
    const int64_t depth = minimum(task.depth_block, task.depth - first), count = scratch.rows;
    NarrowedBlock narrowed(scratch, first);
    if (!arranged) arrange_rows<Narrowed>(block, task.row_stride, count, depth, narrowed);
    int32_t* sums = scratch.sums;
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      const int8_t* weights = task.weights + panel * task.panel_stride + first * kPanel;
      const bool fits = narrow_weights<Narrowed>(weights, depth, narrowed);
      // Of the next panel, between tiles: in a tile's loop the compiler makes the rest slower than fetching gains.
      PanelAhead ahead(weights + task.panel_stride, depth * kPanel, (count + Narrowed::rows - 1) / Narrowed::rows);
      for (int64_t row = 0; row < count; row += kNarrowedRows, sums += kNarrowedRows * kPanel) {
        const int64_t rows = minimum(kNarrowedRows, count - row);
        if (fits) {
          multiply_narrowed_rows<Narrowed>(narrowed, row, rows, depth, first == 0, sums, ahead);
        }
        for (int64_t r = 0; r < rows && !fits; r += Unit::rows) {
          int8_tile_of<Unit>(minimum(Unit::rows, rows - r), block + (row + r) * task.row_stride, task.row_stride,
                             weights, depth, first == 0, sums + r * kPanel);
        }
        if (first + depth == task.depth) {
          finish_int8_rows<kPanel>(task, sums, task.first_row + row, rows, Unit::rows, panel * kPanel);
        }
      }
    }
  }
}

}  // namespace
}  // namespace octoformer
