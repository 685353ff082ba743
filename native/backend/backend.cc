#include "backend/backend.h"

namespace octoformer {

std::unique_ptr<LinearWeight> Backend::adopt_linear(const LinearWeightDescription&,
                                                    std::span<const std::span<const std::byte>>,
                                                    std::shared_ptr<const void>) {
  return nullptr;
}

void Backend::for_each(int64_t tasks, const std::function<void(int64_t task)>& work) {
  for (int64_t task = 0; task < tasks; ++task) work(task);
}

void Backend::linear_to_quantized(const LinearArguments& arguments, const LinearWeight& reader, QuantizedRows& rows) {
  linear(arguments);
  quantize_rows({arguments.out, &reader, &rows});
}

void Backend::gated_linear_to_quantized(const LinearArguments& arguments, const GatedActivationArguments& gated,
                                        const LinearWeight& reader, QuantizedRows& rows) {
  linear(arguments);
  quantize_rows({gated, &reader, &rows});
}

bool Backend::largest_columns(const LinearArguments&, std::span<int32_t>) { return false; }

}  // namespace octoformer
