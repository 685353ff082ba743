#include "runtime/read_op.h"

#include "runtime/json_choice.h"

namespace octoformer {

void read_op(OpReader& reader, EmbeddingOp& op) {
  static constexpr JsonChoices<IndexSource, 4> kSources = {{{"input_ids", IndexSource::input_ids},
                                                            {"position_ids", IndexSource::position_ids},
                                                            {"token_type_ids", IndexSource::token_type_ids},
                                                            {"places", IndexSource::places}}};
  op.index = as_choice(reader.required("index"), kSources);
  if (const Json* offset = reader.optional("offset")) op.offset = offset->as_int64(0, kMaxColumns);
  op.table = reader.matrix("table");
  if (const Json* scale = reader.optional("scale")) op.scale = as_float(*scale);
  if (const Json* accumulate = reader.optional("accumulate")) op.accumulate = accumulate->as_bool();
  op.out = reader.value("out");
}

void read_op(OpReader& reader, LinearOp& op) {
  op.input = reader.value("input");
  op.weight = reader.matrix("weight");
  op.bias = reader.optional_vector("bias");
  op.activation = reader.optional_activation("activation");
  op.residual = reader.optional_value("residual");
  op.out = reader.value("out");
}

void read_op(OpReader& reader, NormOp& op) {
  static constexpr JsonChoices<NormKind, 2> kKinds = {{{"rms", NormKind::rms}, {"layer", NormKind::layer}}};
  op.kind = as_choice(reader.required("kind"), kKinds);
  op.input = reader.value("input");
  op.out = reader.value("out");
  op.weight = reader.optional_vector("weight");
  op.bias = reader.optional_vector("bias");
  if (const Json* offset = reader.optional("weight_offset")) op.weight_offset = as_float(*offset);
  op.epsilon = as_float(reader.required("epsilon"));
  if (op.epsilon < 0) reader.required("epsilon").fail("the number must not be negative");
  op.group = op.input.columns;
  if (const Json* group = reader.optional("group")) op.group = group->as_int64(1, kMaxColumns);
}

void read_op(OpReader& reader, GatedActivationOp& op) {
  op.gate = reader.value("gate");
  op.up = reader.value("up");
  op.activation = reader.activation("activation");
  op.out = reader.value("out");
}

void read_op(OpReader& reader, ActivationOp& op) {
  op.input = reader.value("input");
  op.activation = reader.activation("activation");
  op.out = reader.value("out");
}

void read_op(OpReader& reader, ElementwiseOp& op) {
  static constexpr JsonChoices<ElementwiseKind, 2> kKinds = {
      {{"add", ElementwiseKind::add}, {"multiply", ElementwiseKind::multiply}}};
  op.kind = as_choice(reader.required("kind"), kKinds);
  op.left = reader.value("left");
  op.right = reader.value("right");
  op.out = reader.value("out");
}

void read_op(OpReader& reader, ScaleOp& op) {
  op.input = reader.value("input");
  op.factor = as_float(reader.required("factor"));
  if (const Json* softcap = reader.optional("softcap")) op.softcap = as_positive_float(*softcap);
  op.out = reader.value("out");
}

void read_op(OpReader& reader, GatherRowsOp& op) {
  op.input = reader.value("input");
  op.out = reader.value("out");
}

void read_op(OpReader& reader, OutputOp& op) {
  op.name = reader.required("name").as_string();
  if (op.name.empty()) reader.required("name").fail("the name of an output must not be empty");
  op.input = reader.value("input");
}

}  // namespace octoformer
