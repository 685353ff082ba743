// The products of attention on AMX tiles: of queries and keys, and of the softmax's weights and values. They are cut
// into steps of some eight tile products, which another computation may lie between: a processor works on tiles and on
// vectors at the same time if both lie within the instructions that it sees ahead.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cpu/kernels/amx_blocks.h"
#include "cpu/kernels/attention_units.h"

namespace octoformer {
namespace {

static_assert(kMaximumUnitRows == 2 * kTileRow && kPageKeys == 2 * kTileColumns);

constexpr int64_t kScoreBytes = kScoreStride * 4;  // from one row's scores (or weights) to the next one's
constexpr int64_t kKeyPairBytes = kPageKeys * 4;   // from one pair of a page's keys to the next one

/// Numbers of queries and keys that a step multiplies: as many as tiles hold, if that divides padded heads.
inline int64_t step_depth(int64_t head_dim) { return padded_head_dim(head_dim) % 32 == 0 ? 32 : 16; }

/// Tiles 0 and 1 hold sums (of the first 16 rows and of the others), 2 and 4 the rows' factors, of which a step takes
/// `depth`; 3 holds keys or values. As few tiles are used as do the work (amx_blocks.h): eight of them, which need a
/// load less for each product, took 1.5 to 2 times as long in busy phases. With 32 rows 2 serves for all.
inline void configure_attention_tiles(int64_t rows, int64_t depth) {
  const int64_t above = rows < kTileRow ? rows : kTileRow, below = rows > kTileRow ? rows - kTileRow : kTileRow;
  const int64_t tile_rows[5] = {above, below, above, depth / 2, below};
  TileConfiguration configuration;
  for (int tile = 0; tile < 5; ++tile) {
    configuration.row_bytes[tile] = static_cast<uint16_t>(tile == 2 || tile == 4 ? 2 * depth : kTileRowBytes);
    configuration.rows[tile] = static_cast<uint8_t>(tile_rows[tile]);
  }
  TILE_CONFIGURE(configuration);
}

/// How many of a tile's rows there are, as far as it decides which tiles multiply.
enum class UnitRows { upto_16, upto_31, all_32 };

template <UnitRows Rows>
struct UnitRowsTag {
  static constexpr UnitRows rows = Rows;
};

/// Calls body(UnitRowsTag) of the number of rows.
template <class Body>
inline void with_unit_rows(int64_t rows, const Body& body) {
  if (rows <= kTileRow) return body(UnitRowsTag<UnitRows::upto_16>{});
  if (rows < kMaximumUnitRows) return body(UnitRowsTag<UnitRows::upto_31>{});
  body(UnitRowsTag<UnitRows::all_32>{});
}

/// One step: 16 keys or columns of `right`. `left`: the first row's factors, `below` bytes before those of the 17th.
template <UnitRows Rows>
inline void multiply_rows(const void* left, int64_t left_stride, int64_t below, const std::byte* right,
                          int64_t right_stride) {
  TILE_LOAD(3, right, right_stride);
  TILE_LOAD(2, left, left_stride);
  TILE_MULTIPLY_BFLOAT16(0, 2, 3);
  if constexpr (Rows == UnitRows::upto_31) {
    TILE_LOAD(4, static_cast<const std::byte*>(left) + below, left_stride);
    TILE_MULTIPLY_BFLOAT16(1, 4, 3);
  } else if constexpr (Rows == UnitRows::all_32) {
    TILE_LOAD(2, static_cast<const std::byte*>(left) + below, left_stride);
    TILE_MULTIPLY_BFLOAT16(1, 2, 3);
  }
}

template <UnitRows Rows>
inline void clear_sums() {
  TILE_ZERO(0);
  if constexpr (Rows != UnitRows::upto_16) TILE_ZERO(1);
}

/// Stores sums, 16 columns of `to`, whose rows are `stride` bytes apart.
template <UnitRows Rows>
inline void store_sums(float* to, int64_t stride) {
  TILE_STORE(0, to, stride);
  if constexpr (Rows != UnitRows::upto_16) TILE_STORE(1, reinterpret_cast<std::byte*>(to) + kTileRow * stride, stride);
}

/// Bytes that are fetched into the first-level cache while others are multiplied.
inline void fetch(const std::byte* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 3);
}

/// scores = queries . keys of a page
template <UnitRows Rows>
inline void multiply_page_keys(const uint16_t* queries, int64_t depth, int64_t step, const std::byte* keys,
                               float* scores) {
  for (int64_t key = 0; key < kPageKeys; key += kTileColumns, keys += 4 * kTileColumns) {
    clear_sums<Rows>();
    for (int64_t d = 0; d < depth; d += step) {
      multiply_rows<Rows>(queries + d, 2 * depth, kTileRow * 2 * depth, keys + d / 2 * kKeyPairBytes, kKeyPairBytes);
    }
    store_sums<Rows>(scores + key, kScoreBytes);
  }
}

/// The products of all rows and the keys of a group's pages, page by page.
class KeyProducts {
 public:
  KeyProducts() = default;
  KeyProducts(const AttentionTile& tile, int64_t group, PageRange pages, const uint16_t* queries, float* scores)
      : tile_(&tile), first_page_(group * kGroupPages), pages_(pages), queries_(queries), scores_(scores) {}

  int64_t steps_left() const { return pages_.end - pages_.first; }
  [[gnu::noinline]] void step() {
    LET_TILES_SEE_MEMORY();
    const int64_t depth = padded_head_dim(tile_->head_dim), number = first_page_ + pages_.first;
    if (tile_->rows <= kTileRow) fetch_after(number);
    with_unit_rows(tile_->rows, [&](auto tag) {
      multiply_page_keys<tag.rows>(queries_, depth, step_depth(tile_->head_dim), page_keys(*tile_, number),
                                   scores_ + pages_.first * kPageKeys);
    });
    ++pages_.first;
  }

 private:
  /// Few rows wait for memory: a page's values and the next one's keys come while the keys are multiplied.
  void fetch_after(int64_t number) const {
    fetch(page_values(*tile_, number), 2 * value_numbers(tile_->head_dim));
    if ((number + 1) * kPageKeys < tile_->keys) {
      fetch(page_keys(*tile_, number + 1), 2 * key_numbers(tile_->form, tile_->head_dim));
    }
  }

  const AttentionTile* tile_ = nullptr;
  int64_t first_page_ = 0;    // of the group
  PageRange pages_ = {0, 0};  // those left
  const uint16_t* queries_ = nullptr;
  float* scores_ = nullptr;
};

/// 16 columns of sums [rows][columns] = weights times the values of `count` pages, of which values_of(i) is the ith:
/// here pages [first, end). Sums stay in the tiles until the last page.
template <UnitRows Rows, class Values>
inline void multiply_columns(const std::byte* weights, int64_t first, int64_t end, int64_t count,
                             const Values& values_of, int64_t columns, float* sums) {
  if (first == 0) clear_sums<Rows>();
  for (int64_t i = first; i < end; ++i) {
    multiply_rows<Rows>(weights + i * kTileRowBytes, kScoreBytes, kTileRow * kScoreBytes, values_of(i), 4 * columns);
  }
  if (end == count) store_sums<Rows>(sums, 4 * columns);
}

/// sums [rows][padded head_dim] = weights times the values of some pages, four pages and 16 columns a step.
class ValueProducts {
 public:
  ValueProducts() = default;
  /// Pages [first_page, first_page + count) of the tile.
  ValueProducts(const AttentionTile& tile, int64_t first_page, int64_t count, const std::byte* weights, float* sums)
      : tile_(&tile),
        first_page_(first_page),
        count_(count),
        columns_(padded_head_dim(tile.head_dim)),
        weights_(weights),
        sums_(sums) {}

  int64_t steps_left() const {
    return (columns_ - column_ + kStepColumns - 1) / kStepColumns * page_steps() - page_ / kStepPages;
  }
  [[gnu::noinline]] void step() {
    LET_TILES_SEE_MEMORY();
    const int64_t end = page_ + kStepPages < count_ ? page_ + kStepPages : count_;
    multiply_values(tile_->rows, weights_, page_, end, count_, column_, columns_, sums_,
                    [this](int64_t i) { return page_values(*tile_, first_page_ + i) + 4 * column_; });
    page_ = end;
    if (page_ < count_) return;
    page_ = 0;
    column_ += kStepColumns;
  }

  /// One step's products; values_of(i) points at the ith page's values from `column` on.
  template <class Values>
  static void multiply_values(int64_t rows, const std::byte* weights, int64_t first, int64_t end, int64_t count,
                              int64_t column, int64_t columns, float* sums, const Values& values_of) {
    with_unit_rows(rows, [&](auto tag) {
      multiply_columns<tag.rows>(weights, first, end, count, values_of, columns, sums + column);
    });
  }

  static constexpr int64_t kStepColumns = kTileColumns;

 private:
  static constexpr int64_t kStepPages = 4;
  int64_t page_steps() const { return (count_ + kStepPages - 1) / kStepPages; }

  const AttentionTile* tile_ = nullptr;
  int64_t first_page_ = 0, count_ = 0, columns_ = 0;
  const std::byte* weights_ = nullptr;
  float* sums_ = nullptr;
  int64_t column_ = 0, page_ = 0;  // where the next step begins
};

/// The sums where a number is not finite that some row does not attend to: row by row, over pages where there are zeros
/// instead. A row has the bits that it would have among finite numbers. `room`: for a page's values.
[[gnu::noinline]] inline void multiply_cleaned(const AttentionTile& tile, int64_t group, PageRange pages,
                                               const KeyRange* ranges, const float* scores, uint16_t* room,
                                               float* sums) {
  const int64_t columns = padded_head_dim(tile.head_dim), count = pages.end - pages.first;
  configure_attention_tiles(1, kPageKeys);
  for (int64_t row = 0; row < tile.rows; ++row) {
    const std::byte* weights = reinterpret_cast<const std::byte*>(scores + row * kScoreStride) + pages.first * 64;
    for (int64_t column = 0; column < columns; column += ValueProducts::kStepColumns) {
      ValueProducts::multiply_values(1, weights, 0, count, count, column, columns, sums + row * columns,
                                     [&](int64_t i) {
                                       const int64_t page = pages.first + i, start = page * kPageKeys;
                                       LET_TILES_SEE_MEMORY();
                                       clean_values(page_values(tile, group * kGroupPages + page), columns,
                                                    {ranges[row].first - start, ranges[row].end - start}, room);
                                       LET_TILES_SEE_MEMORY();
                                       return reinterpret_cast<const std::byte*>(room + 2 * column);
                                     });
    }
  }
  configure_attention_tiles(tile.rows, kPageKeys);
}

}  // namespace
}  // namespace octoformer
