// Matrix products: prefill against the peak of the units, decoding against the bandwidth of memory.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "cpu/isa_dispatch.h"
#include "cpu/linear.h"
#include "generated_rows.h"
#include "measure.h"

namespace octoformer::bench {
namespace {

struct Form {
  const char* name;
  WeightForm form;
  ComputeType compute;
  int64_t bytes;
};
constexpr Form kForms[] = {{"float32", WeightForm::float32, ComputeType::float32, 4},
                           {"bfloat16", WeightForm::bfloat16, ComputeType::float32, 2},
                           {"float16", WeightForm::float16, ComputeType::float32, 2},
                           {"bfloat16_compute", WeightForm::bfloat16, ComputeType::bfloat16, 2}};

struct Layer {
  std::unique_ptr<LinearWeight> weight;
  std::vector<float> input, bias, out;

  Layer(const LinearDriver& driver, const Form& form, int64_t rows, int64_t out_features, int64_t in_features)
      : weight(driver.pack({"bench", out_features, in_features, form.form, form.compute}, GeneratedRows(in_features),
                           nullptr)),
        input(static_cast<size_t>(rows * in_features)),
        bias(static_cast<size_t>(out_features), 0.5f),
        out(static_cast<size_t>(rows * out_features)) {
    GeneratedRows(in_features).read_rows(3, rows, input.data());
    for (float& value : input) value *= std::sqrt(static_cast<float>(in_features));
  }

  void run(LinearDriver& driver, int64_t rows) {
    LinearArguments arguments;
    const int64_t out_features = weight->description().out_features, in_features = weight->description().in_features;
    arguments.input = {input.data(), rows, in_features, in_features};
    arguments.weight = weight.get();
    arguments.bias = bias.data();
    arguments.activation = Activation::silu;
    arguments.residual = {out.data(), rows, out_features, out_features};
    arguments.out = {out.data(), rows, out_features, out_features};
    driver.linear(arguments);
  }
};

void bench_prefill(const Options& options, const Form& form, int64_t rows, int64_t out_features, int64_t in_features) {
  const PeakKernels& peaks = peak_kernels(options.isa);
  LinearDriver driver(kernel_table(options.isa).gemm, options.threads);
  Layer layer(driver, form, rows, out_features, in_features);
  const bool units = form.compute == ComputeType::bfloat16 && peaks.bfloat16 != nullptr;
  const auto peak = units ? peaks.bfloat16 : peaks.float32;
  const double work = static_cast<double>(rows) * static_cast<double>(out_features) * static_cast<double>(in_features);
  const Comparison result = measure_in_turns(
      [&] {
        layer.run(driver, rows);
        return work;
      },
      [&] { return run_peak(peak, 20'000, options.threads); }, options.seconds, options.threads);
  std::printf(
      "{\"bench\":\"prefill\",\"isa\":\"%s\",\"threads\":%d,\"form\":\"%s\",\"shape\":[%lld,%lld,%lld],"
      "\"gmacs\":%.1f,\"gmacs_best\":%.1f,\"peak_gmacs\":%.1f,\"peak_gmacs_best\":%.1f,\"of_peak\":%.3f,"
      "\"of_peak_best\":%.3f}\n",
      isa_name(options.isa).data(), options.threads, form.name, static_cast<long long>(rows),
      static_cast<long long>(out_features), static_cast<long long>(in_features), result.subject.median * 1e-9,
      result.subject.best * 1e-9, result.ceiling.median * 1e-9, result.ceiling.best * 1e-9,
      result.subject.median / result.ceiling.median, result.subject.best / result.ceiling.best);
  std::fflush(stdout);
}

/// One row after another through as many layers as do not fit the caches.
void bench_decode(const Options& options, const Form& form, int64_t rows, int64_t out_features, int64_t in_features,
                  MemoryReader& memory) {
  LinearDriver driver(kernel_table(options.isa).gemm, options.threads);
  const int64_t layer_bytes = out_features * in_features * form.bytes;
  std::vector<std::unique_ptr<Layer>> layers;
  for (int64_t bytes = 0; bytes < kBeyondCaches; bytes += layer_bytes) {
    layers.push_back(std::make_unique<Layer>(driver, form, rows, out_features, in_features));
  }
  size_t next = 0;
  const Comparison result = measure_in_turns(
      [&] {
        layers[next]->run(driver, rows);
        next = (next + 1) % layers.size();
        return static_cast<double>(layer_bytes);
      },
      [&] { return memory.read(layer_bytes); }, options.seconds, options.threads);
  std::printf(
      "{\"bench\":\"decode\",\"isa\":\"%s\",\"threads\":%d,\"form\":\"%s\",\"shape\":[%lld,%lld,%lld],"
      "\"gb_per_s\":%.2f,\"gb_per_s_best\":%.2f,\"memory_gb_per_s\":%.2f,\"memory_gb_per_s_best\":%.2f,"
      "\"of_memory\":%.3f,\"of_memory_best\":%.3f}\n",
      isa_name(options.isa).data(), options.threads, form.name, static_cast<long long>(rows),
      static_cast<long long>(out_features), static_cast<long long>(in_features), result.subject.median * 1e-9,
      result.subject.best * 1e-9, result.ceiling.median * 1e-9, result.ceiling.best * 1e-9,
      result.subject.median / result.ceiling.median, result.subject.best / result.ceiling.best);
  std::fflush(stdout);
}

}  // namespace

void bench_prefill(const Options& options) {
  for (const Form& form : kForms) {
    bench_prefill(options, form, 512, 4096, 4096);
    bench_prefill(options, form, 512, 576, 576);
    bench_prefill(options, form, 512, 1536, 576);
    bench_prefill(options, form, 64, 4096, 4096);
    bench_prefill(options, form, 16, 4096, 4096);
  }
}

void bench_decode(const Options& options) {
  MemoryReader memory(options);
  for (const Form& form : kForms) {
    bench_decode(options, form, 1, 4096, 4096, memory);
    bench_decode(options, form, 4, 4096, 4096, memory);
  }
}

}  // namespace octoformer::bench
