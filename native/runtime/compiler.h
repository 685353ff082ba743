// Checks every op of a Program and plans its memory: what the executor runs has no shape left to doubt.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/arena_plan.h"
#include "runtime/program.h"

namespace octoformer {

/// That an op reads or writes a value.
struct ValueAccess {
  int32_t op = 0;
  Value value;
  bool write = false;
};

struct CompiledProgram {
  Program program;
  /// Of all ops, in the order of the ops; what an op reads comes before what it writes.
  std::vector<ValueAccess> accesses;
  ArenaPlan arena;
  /// The op that makes each output: an `output` op or an attention op with probabilities.
  std::map<std::string, int32_t, std::less<>> outputs;
  /// The op of the output `logits`, -1 when there is none.
  int32_t logits_op = -1;
  /// The first op that gathers wanted rows, -1 when there is none.
  int32_t gather_op = -1;
  /// Whether every attention is causal: then tokens can be run in chunks.
  bool causal = true;
  /// Whether it reads, or as an encoder makes, encoded sequences.
  bool cross = false;
  bool encoder = false;
  /// Whether a linear layer's result for a row depends on the other rows of the call (Int8Settings::looks_across_rows):
  /// then they cannot.
  bool looks_across_rows = false;
};

/// Whether two values have columns in common.
bool overlap(const Value& a, const Value& b);
bool same(const Value& a, const Value& b);

/// Throws INVALID_ARGUMENT naming op and operand: shapes and row symbols that don't fit together, columns read before
/// they are written, results that would overwrite what is still read, cache layers used twice, outputs of one name.
CompiledProgram compile_program(Program program);

/// The Programs of a model.
struct CompiledModel {
  CompiledProgram main;
  std::optional<CompiledProgram> encoder;
};

/// Compiles both and checks that they fit together: besides the above, a cross layer that the encoder doesn't store,
/// ops that belong to the other part, an output that both have.
CompiledModel compile_model(ModelProgram program);

}  // namespace octoformer
