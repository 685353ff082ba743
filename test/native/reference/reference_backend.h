// A backend of plain loops in double precision, one thread, nothing clever: the oracle for tests of whole Programs.
#pragma once
#include <memory>
#include <vector>

#include "backend/backend.h"

namespace octoformer {

/// W as float32, rounded to its form (and to bfloat16 where the product is computed in it).
class ReferenceWeight : public LinearWeight {
 public:
  ReferenceWeight(LinearWeightDescription description, std::vector<float> values)
      : LinearWeight(std::move(description)), values_(std::move(values)) {}
  uint64_t bytes() const override { return values_.size() * sizeof(float); }
  const float* row(int64_t index) const { return values_.data() + index * description().in_features; }

 private:
  const std::vector<float> values_;
};

class ReferenceBackend : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  std::string_view isa() const override { return "reference"; }
  int threads() const override { return 1; }

  std::unique_ptr<LinearWeight> pack_linear(const LinearWeightDescription& description, const RowSource& rows,
                                            const std::atomic<bool>* abort) override;
  void linear(const LinearArguments& arguments) override;
  bool share_quantized_rows(const LinearWeight&, const LinearWeight&) const override { return false; }
  std::unique_ptr<QuantizedRows> make_quantized_rows() const override { return nullptr; }
  void quantize_rows(const QuantizeRowsArguments&) override {}
  void embedding(const EmbeddingArguments& arguments) override;
  void norm(const NormArguments& arguments) override;
  void rope(const RopeArguments& arguments) override;
  /// A layer of a page, float32 whatever its form: keys [kv_heads][kKeyValuePageTokens][head_dim], then values
  /// likewise.
  size_t key_value_page_bytes(int64_t kv_heads, int64_t head_dim, KeyValueForm form) const override;
  void store_key_value(const StoreKeyValueArguments& arguments) override;
  void attention(const AttentionArguments& arguments) override;
  void gated_activation(const GatedActivationArguments& arguments) override;
  void activation(const ActivationArguments& arguments) override;
  void elementwise(ElementwiseKind kind, ConstMatrixView left, ConstMatrixView right, MatrixView out) override;
  void scale(ConstMatrixView input, float factor, float softcap, MatrixView out) override;
  void gather_rows(ConstMatrixView input, std::span<const int32_t> rows, MatrixView out) override;
  void log_softmax(ConstMatrixView logits, MatrixView out) override;
  void likeliest_tokens(const LikeliestTokensArguments& arguments) override;
  void expert_routing(const ExpertRoutingArguments& arguments) override;
  void grouped_linear(const GroupedLinearArguments& arguments) override;
  void weighted_sum(const WeightedSumArguments& arguments) override;
};

/// activation(x) in double precision.
double reference_activation(Activation activation, double x);

}  // namespace octoformer
