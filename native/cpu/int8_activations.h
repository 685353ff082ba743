// The activations of one call of an int8 linear layer: quantized row by row, laid out for the kernels, with the lists
// of what is multiplied in float.
#pragma once
#include <cstdint>
#include <vector>

#include "backend/matrix.h"
#include "cpu/aligned_memory.h"
#include "cpu/gemm_int8_kernels.h"
#include "cpu/int8_weight.h"
#include "quantization/row_range.h"

namespace octoformer {

/// Keeps its memory between calls.
class Int8Activations {
 public:
  /// Fills the fields of `task` that tell of activations; task.depth and task.depth_block are set already. What it
  /// points to lives until the next call.
  void prepare(const Int8Kernels& kernels, int threads, const Int8Weight& weight, ConstMatrixView input,
               Int8Task& task);

 private:
  struct Tile {
    std::vector<int32_t> features, kept;
    std::vector<int32_t> row_begin, entries;  // of tiled kernels
    std::vector<float> values;
  };
  struct Worker {
    std::vector<uint64_t> bits;  // outlier features of the tile at hand, or of all that the worker has seen
    std::vector<float> row;      // a row without its kept features
    std::vector<int32_t> entries;
    std::vector<uint8_t> bytes;  // a row, quantized, on its way to its tiles
  };
  class Call;

  AlignedMemory bytes_;
  std::vector<ValueRange> ranges_;
  std::vector<float> scale_;
  std::vector<int32_t> zero_;
  std::vector<int32_t> sum_;
  std::vector<Tile> tiles_;
  std::vector<Int8OutlierTile> tile_views_;
  std::vector<Worker> workers_;
};

}  // namespace octoformer
