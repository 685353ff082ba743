// Reads the ops of a Program: one overload for each kind. The meaning of the keys stands in ts/graph/program.ts.
#pragma once
#include "runtime/op_reader.h"
#include "runtime/program.h"

namespace octoformer {

// read_op.cc
void read_op(OpReader& reader, EmbeddingOp& op);
void read_op(OpReader& reader, LinearOp& op);
void read_op(OpReader& reader, NormOp& op);
void read_op(OpReader& reader, GatedActivationOp& op);
void read_op(OpReader& reader, ActivationOp& op);
void read_op(OpReader& reader, ElementwiseOp& op);
void read_op(OpReader& reader, ScaleOp& op);
void read_op(OpReader& reader, GatherRowsOp& op);
void read_op(OpReader& reader, OutputOp& op);

// read_attention_op.cc
void read_op(OpReader& reader, RopeTableOp& op);
void read_op(OpReader& reader, RopeOp& op);
void read_op(OpReader& reader, SinusoidalOp& op);
void read_op(OpReader& reader, AttentionOp& op);
void read_op(OpReader& reader, StoreCrossOp& op);
void read_op(OpReader& reader, CrossAttentionOp& op);

// read_expert_op.cc
void read_op(OpReader& reader, ExpertRoutingOp& op);
void read_op(OpReader& reader, GroupedLinearOp& op);
void read_op(OpReader& reader, WeightedSumOp& op);

}  // namespace octoformer
