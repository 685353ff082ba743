#include "cpu/cpu_backend.h"

#include <mutex>

#include "backend/error.h"
#include "cpu/attention_ops.h"
#include "cpu/cpu_info.h"
#include "cpu/expert_ops.h"
#include "cpu/int8_linear.h"
#include "cpu/isa.h"
#include "cpu/isa_dispatch.h"
#include "cpu/linear.h"
#include "cpu/log_probabilities.h"
#include "cpu/packed_weight.h"
#include "cpu/row_ops.h"
#include "cpu/thread_pool.h"

namespace octoformer {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend(Isa isa, int threads)
      : isa_(isa),
        threads_(threads),
        kernels_(kernel_table(isa)),
        linear_(kernels_.gemm, threads),
        int8_linear_(kernels_.int8, threads) {}

  std::string_view name() const override { return "cpu"; }
  std::string_view isa() const override { return isa_name(isa_); }
  int threads() const override { return threads_; }

  std::unique_ptr<LinearWeight> pack_linear(const LinearWeightDescription& description, const RowSource& rows,
                                            const std::atomic<bool>* abort) override {
    if (description.form == WeightForm::int8) return int8_linear_.pack(description, rows, abort);
    return linear_.pack(description, rows, abort);
  }
  std::unique_ptr<LinearWeight> adopt_linear(const LinearWeightDescription& description,
                                             std::span<const std::span<const std::byte>> sections,
                                             std::shared_ptr<const void> owner) override {
    WeightStorage storage(sections, std::move(owner));
    if (description.form == WeightForm::int8) {
      return Int8Weight::adopt(kernels_.int8, description, std::move(storage));
    }
    return PackedWeight::adopt(kernels_.gemm, description, std::move(storage));
  }
  std::unique_ptr<Backend> make_lane() const override { return std::make_unique<CpuBackend>(isa_, 1); }
  void for_each(int64_t tasks, const std::function<void(int64_t)>& work) override {
    ThreadPool::shared().parallel_for(threads_, tasks, [&work](int64_t task, int) { work(task); });
  }
  void linear(const LinearArguments& arguments) override {
    const std::lock_guard lock(linear_in_use_);
    multiply(arguments);
  }
  bool share_quantized_rows(const LinearWeight& left, const LinearWeight& right) const override {
    return quantizes_rows(left) && quantizes_rows(right) &&
           Int8Activations::shared_by(static_cast<const Int8Weight&>(left), static_cast<const Int8Weight&>(right));
  }
  std::unique_ptr<QuantizedRows> make_quantized_rows() const override { return std::make_unique<Int8Activations>(); }
  void quantize_rows(const QuantizeRowsArguments& arguments) override {
    int8_linear_.quantize_rows(kernels_.rows, arguments);
  }
  void linear_to_quantized(const LinearArguments& arguments, const LinearWeight& reader, QuantizedRows& rows) override {
    if (!quantizes_rows(*arguments.weight)) return Backend::linear_to_quantized(arguments, reader, rows);
    const std::lock_guard lock(linear_in_use_);
    int8_linear_.linear_to_quantized(kernels_.rows, arguments, reader, rows);
  }
  void gated_linear_to_quantized(const LinearArguments& arguments, const GatedActivationArguments& gated,
                                 const LinearWeight& reader, QuantizedRows& rows) override {
    if (!quantizes_rows(*arguments.weight)) return Backend::gated_linear_to_quantized(arguments, gated, reader, rows);
    const std::lock_guard lock(linear_in_use_);
    int8_linear_.gated_linear_to_quantized(kernels_.rows, arguments, gated, reader, rows);
  }
  bool largest_columns(const LinearArguments& arguments, std::span<int32_t> columns) override {
    if (!quantizes_rows(*arguments.weight)) return false;
    const std::lock_guard lock(linear_in_use_);
    return int8_linear_.largest_columns(kernels_.rows, arguments, columns);
  }
  void embedding(const EmbeddingArguments& arguments) override {
    if (is_int8(*arguments.table)) return int8_linear_.embedding(arguments);
    linear_.embedding(arguments);
  }

  void norm(const NormArguments& arguments) override { run_norm(kernels_.rows, threads_, arguments); }
  void rope(const RopeArguments& arguments) override { run_rope(kernels_.rows, threads_, arguments); }

  size_t key_value_page_bytes(int64_t kv_heads, int64_t head_dim, KeyValueForm form) const override {
    return key_value_layer_bytes(kv_heads, head_dim, form);
  }
  void store_key_value(const StoreKeyValueArguments& arguments) override {
    run_store_key_value(kernels_, threads_, arguments);
  }
  void attention(const AttentionArguments& arguments) override {
    {
      const std::lock_guard lock(attention_in_use_);
      run_attention(kernels_.attention, threads_, attention_workspace_, arguments);
    }
    if (arguments.probabilities != nullptr) {
      run_attention_probabilities(kernels_.attention, kernels_.rows, threads_, arguments);
    }
  }

  void gated_activation(const GatedActivationArguments& arguments) override {
    run_gated_activation(kernels_.rows, threads_, arguments);
  }
  void activation(const ActivationArguments& arguments) override { run_activation(kernels_.rows, threads_, arguments); }
  void elementwise(ElementwiseKind kind, ConstMatrixView left, ConstMatrixView right, MatrixView out) override {
    run_elementwise(kernels_.rows, threads_, kind, left, right, out);
  }
  void scale(ConstMatrixView input, float factor, float softcap, MatrixView out) override {
    run_scale(kernels_.rows, threads_, input, factor, softcap, out);
  }
  void gather_rows(ConstMatrixView input, std::span<const int32_t> rows, MatrixView out) override {
    run_gather_rows(threads_, input, rows, out);
  }
  void log_softmax(ConstMatrixView logits, MatrixView out) override {
    run_log_softmax(kernels_.rows, threads_, logits, out);
  }
  void likeliest_tokens(const LikeliestTokensArguments& arguments) override {
    run_likeliest_tokens(kernels_.rows, threads_, arguments);
  }

  void expert_routing(const ExpertRoutingArguments& arguments) override {
    run_expert_routing(kernels_.rows, threads_, arguments);
  }
  void grouped_linear(const GroupedLinearArguments& arguments) override {
    const std::lock_guard lock(linear_in_use_);
    expert_groups_.for_each_expert(threads_, arguments, [this](const LinearArguments& call) { multiply(call); });
  }
  void weighted_sum(const WeightedSumArguments& arguments) override {
    run_weighted_sum(kernels_.rows, threads_, arguments);
  }

 private:
  void multiply(const LinearArguments& arguments) {
    if (quantizes_rows(*arguments.weight)) return int8_linear_.linear(arguments);
    linear_.linear(arguments);
  }

  static bool is_int8(const LinearWeight& weight) { return weight.description().form == WeightForm::int8; }
  static bool quantizes_rows(const LinearWeight& weight) {
    return is_int8(weight) && !weight.description().int8.weight_only;
  }

  const Isa isa_;
  const int threads_;
  const KernelTable& kernels_;
  LinearDriver linear_;
  Int8LinearDriver int8_linear_;
  ExpertGroups expert_groups_;
  std::mutex linear_in_use_;  // their workspaces serve one call at a time
  AlignedMemory attention_workspace_;
  std::mutex attention_in_use_;  // likewise
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const CpuBackendOptions& options) {
  if (options.threads < 0 || options.threads > kMaximumThreads) {
    fail(ErrorCode::invalid_argument, "threads: ", options.threads, " is not a number of threads; give 1 to ",
         kMaximumThreads, ", or 0 for the ", default_threads(), " cores that this process may use");
  }
  return std::make_unique<CpuBackend>(choose_isa(options.isa),
                                      options.threads == 0 ? default_threads() : options.threads);
}

}  // namespace octoformer
