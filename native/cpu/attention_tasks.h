// How attention over a ragged batch is cut into tiles. Results do not depend on the cut.
#pragma once
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "cpu/attention_kernels.h"

namespace octoformer {

static_assert(kPageKeys == kKeyValuePageTokens);

/// A tile and where it comes from.
struct AttentionTask {
  AttentionTile tile;
  const SequenceSlice* sequence;
  int64_t first_head;  // query head of the tile's kv head
};

/// Numbers the tiles of a batch, so that a task is found from its number without storing all.
class AttentionTasks {
 public:
  AttentionTasks(const AttentionKernels& kernels, const AttentionArguments& arguments);

  int64_t size() const { return ends_.empty() ? 0 : ends_.back(); }
  /// Tiles of one kv head come one after another (they read the same pages), those with the most keys first.
  AttentionTask task(int64_t index) const;
  /// About how many products of a query's and a key's component all tiles need.
  double products() const { return products_; }
  /// Rows of a tile at most.
  int64_t tile_rows() const { return tile_rows_; }
  /// Floats of a worker's workspace, filled up so that the next one's is aligned too.
  int64_t workspace_floats() const;

 private:
  void pack_positions();
  TilePositions positions_of(int64_t head) const;

  const AttentionArguments& arguments_;
  const bool on_units_;
  const int64_t tile_rows_;
  std::vector<int64_t> ends_;  // for each sequence: tiles of all sequences up to and including it
  double products_ = 0.0;
  // PositionTerms of every head, as TilePositions wants them.
  std::vector<float> position_keys_;
  std::vector<float> position_queries_;
};

/// Products below which one thread is done before a second one has woken up: about ten microseconds.
inline constexpr double kMinimumParallelProducts = 200'000.0;
/// A tile takes the time of so many, about a microsecond, however few keys it has: their pages come from memory.
inline constexpr double kTileProducts = 16'000.0;

}  // namespace octoformer
