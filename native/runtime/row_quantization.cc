#include "runtime/row_quantization.h"

#include <variant>

namespace octoformer {

namespace {

/// Who reads a value that an op has written, or that an op is the first to read.
struct Readers {
  std::vector<int32_t> ops;       // linear ops whose weights share quantized rows, in order
  bool needed_as_floats = false;  // by another op
};

/// What an op makes that can quantize its rows as it makes them; null for other ops.
const Value* made_by(const Op& op) {
  if (const auto* norm = std::get_if<NormOp>(&op)) return &norm->out;
  if (const auto* activation = std::get_if<ActivationOp>(&op)) return &activation->out;
  if (const auto* gated = std::get_if<GatedActivationOp>(&op)) return &gated->out;
  return nullptr;
}

/// Of values of one buffer: whether all columns of the second are among those of the first.
bool covers(const Value& whole, const Value& part) {
  return whole.offset <= part.offset && whole.offset + whole.columns >= part.offset + part.columns;
}

class Planner {
 public:
  Planner(const CompiledProgram& compiled, const std::function<bool(int32_t, int32_t)>& share)
      : compiled_(compiled), ops_(compiled.program.ops), share_(share), plan_(ops_.size()) {}

  std::vector<RowQuantization> plan() {
    for (int32_t op = 0; op < static_cast<int32_t>(ops_.size()); ++op) {
      if (const Value* made = made_by(at(op))) {
        const Readers readers = readers_of(*made, op);
        if (readers.needed_as_floats || readers.ops.empty()) continue;
        const bool gated = gated_by_op_before(op);
        // As one call they fill the slot while the first one reads its own.
        const int32_t slot = assign(gated ? op - 1 : op, readers.ops);
        plan_[static_cast<size_t>(op)] = {
            .slot = slot, .fills = true, .reader = linear(readers.ops.front()).weight, .gated_before = gated};
        if (gated) plan_[static_cast<size_t>(op) - 1].gates_next = true;
      } else if (const auto* linear_op = std::get_if<LinearOp>(&at(op))) {
        plan_linear(op, *linear_op);
      }
    }
    return std::move(plan_);
  }

 private:
  void plan_linear(int32_t op, const LinearOp& linear_op) {
    RowQuantization& plan = plan_[static_cast<size_t>(op)];
    if (!reads_slot(op)) {
      // Counted from the op before, so that this one is a reader too.
      const Readers sharing = readers_of(linear_op.input, op - 1);
      if (sharing.ops.size() > 1 && sharing.ops.front() == op) {
        assign(op, sharing.ops);
        plan.fills = true;
      }
    }
    const Readers next = readers_of(linear_op.out, op);
    if (next.needed_as_floats || next.ops.empty()) return;
    plan.out_slot = assign(op, next.ops);
    plan.out_reader = linear(next.ops.front()).weight;
  }

  /// Whether an op is a gated activation of what an int8 layer before it makes for it alone.
  bool gated_by_op_before(int32_t op) const {
    const auto* gated = std::get_if<GatedActivationOp>(&at(op));
    const auto* before = gated == nullptr || op == 0 ? nullptr : std::get_if<LinearOp>(&at(op - 1));
    if (before == nullptr || before->residual || !share_(before->weight, before->weight)) return false;
    const Value& made = before->out;
    const auto within = [&](const Value& value) { return value.buffer == made.buffer && covers(made, value); };
    if (!within(gated->gate) || !within(gated->up)) return false;
    for (const ValueAccess& access : compiled_.accesses) {
      if (access.op <= op || !overlap(access.value, made)) continue;
      return access.write && covers(access.value, made);
    }
    return true;
  }

  const Op& at(int32_t op) const { return ops_[static_cast<size_t>(op)]; }
  const LinearOp& linear(int32_t op) const { return std::get<LinearOp>(at(op)); }
  bool reads_slot(int32_t op) const { return plan_[static_cast<size_t>(op)].slot >= 0; }

  /// Whether this read is the input of a linear op that shares rows with those found.
  bool joins(const ValueAccess& read, const Value& value, const Readers& found) const {
    const auto* op = std::get_if<LinearOp>(&at(read.op));
    if (op == nullptr || !same(op->input, value) || !same(read.value, value)) return false;
    if (op->residual && overlap(*op->residual, value)) return false;
    const int32_t first = found.ops.empty() ? op->weight : linear(found.ops.front()).weight;
    return !reads_slot(read.op) && share_(first, op->weight);
  }

  /// Readers after op `after`, until the value is overwritten.
  Readers readers_of(const Value& value, int32_t after) const {
    Readers readers;
    for (const ValueAccess& access : compiled_.accesses) {
      if (access.op <= after || !overlap(access.value, value)) continue;
      if (access.write) {
        if (!covers(access.value, value)) readers.needed_as_floats = true;  // what is left of it may be read yet
        break;
      }
      if (joins(access, value, readers)) {
        readers.ops.push_back(access.op);
      } else {
        readers.needed_as_floats = true;
      }
    }
    return readers;
  }

  /// A slot for what op `fills` quantizes: these read it.
  int32_t assign(int32_t fills, const std::vector<int32_t>& readers) {
    size_t slot = 0;
    while (slot < busy_until_.size() && busy_until_[slot] >= fills) ++slot;
    if (slot == busy_until_.size()) busy_until_.push_back(0);
    busy_until_[slot] = readers.back();
    for (const int32_t op : readers) plan_[static_cast<size_t>(op)].slot = static_cast<int32_t>(slot);
    return static_cast<int32_t>(slot);
  }

  const CompiledProgram& compiled_;
  const std::vector<Op>& ops_;
  const std::function<bool(int32_t, int32_t)>& share_;
  std::vector<RowQuantization> plan_;
  std::vector<int32_t> busy_until_;  // of each slot: its last reader so far
};

}  // namespace

std::vector<RowQuantization> plan_row_quantization(const CompiledProgram& compiled,
                                                   const std::function<bool(int32_t, int32_t)>& share) {
  return Planner(compiled, share).plan();
}

}  // namespace octoformer
