// int8 layers, quantization of activations and epilogue included: against the peak of the units and the bandwidth of
// memory, and LLM.int8() against plain vector-wise int8.
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

#include "cpu/cpu_backend.h"
#include "cpu/thread_pool.h"
#include "generated_rows.h"
#include "measure.h"

namespace octoformer::bench {
namespace {

struct Scheme {
  const char* name;
  Int8Settings settings;
};

Int8Settings settings(Int8Mapping activations, float threshold) {
  Int8Settings result;
  result.activations = activations;
  result.threshold = threshold;
  return result;
}

/// Of activations whose magnitude is 1 or less, one feature in 1024 reaches 8 in every row: an outlier at 6.
constexpr int64_t kFeaturesPerOutlier = 1024;

class Layers {
 public:
  Layers(const Options& options, const Int8Settings& int8, int64_t rows, int64_t features, int64_t bytes)
      : rows_(rows),
        features_(features),
        backend_(make_cpu_backend({options.threads, std::string(isa_name(options.isa))})),
        input_(static_cast<size_t>(rows * features)),
        bias_(static_cast<size_t>(features), 0.5f),
        out_(static_cast<size_t>(rows * features)) {
    do {
      weights_.push_back(
          backend_->pack_linear({"bench", features, features, WeightForm::int8, ComputeType::float32, int8},
                                GeneratedRows(features), nullptr));
      bytes -= features * features;
    } while (bytes > 0);
    GeneratedRows(features).read_rows(3, rows, input_.data());
    for (int64_t i = 0; i < rows * features; ++i) {
      float& value = input_[static_cast<size_t>(i)];
      value *= std::sqrt(static_cast<float>(features));
      if (i % features % kFeaturesPerOutlier == 17) value = value < 0 ? -8.0f : 8.0f;
    }
  }

  /// One layer after another; the multiply-adds done.
  double run() {
    LinearArguments arguments;
    arguments.input = {input_.data(), rows_, features_, features_};
    arguments.weight = weights_[next_].get();
    arguments.bias = bias_.data();
    arguments.residual = {out_.data(), rows_, features_, features_};
    arguments.out = {out_.data(), rows_, features_, features_};
    backend_->linear(arguments);
    next_ = (next_ + 1) % weights_.size();
    return static_cast<double>(rows_) * static_cast<double>(features_ * features_);
  }

 private:
  int64_t rows_, features_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::unique_ptr<LinearWeight>> weights_;
  std::vector<float> input_, bias_, out_;
  size_t next_ = 0;
};

void print(const Options& options, const char* bench, const char* scheme, int64_t rows, int64_t features,
           const char* against, const Comparison& result) {
  std::printf(
      "{\"bench\":\"%s\",\"isa\":\"%s\",\"threads\":%d,\"scheme\":\"%s\",\"shape\":[%lld,%lld,%lld],\"rate\":%.2f,"
      "\"rate_best\":%.2f,\"%s\":%.2f,\"%s_best\":%.2f,\"fraction\":%.3f,\"fraction_best\":%.3f}\n",
      bench, isa_name(options.isa).data(), options.threads, scheme, static_cast<long long>(rows),
      static_cast<long long>(features), static_cast<long long>(features), result.subject.median * 1e-9,
      result.subject.best * 1e-9, against, result.ceiling.median * 1e-9, against, result.ceiling.best * 1e-9,
      result.subject.median / result.ceiling.median, result.subject.best / result.ceiling.best);
  std::fflush(stdout);
}

constexpr int64_t kFeatures = 4096;

void bench_prompt(const Options& options, int64_t rows) {
  const PeakKernels& peaks = peak_kernels(options.isa);
  Layers layer(options, settings(Int8Mapping::absmax, 0.0f), rows, kFeatures, 0);
  const Comparison result =
      measure_in_turns([&] { return layer.run(); }, [&] { return run_peak(peaks.int8, 20'000, options.threads); },
                       options.seconds, options.threads);
  print(options, "int8_prefill", "vector-wise", rows, kFeatures, "peak_gmacs", result);
}

}  // namespace

void bench_product(const Options& options) { bench_prompt(options, 512); }

void bench_int8(const Options& options) {
  const Scheme schemes[] = {{"vector-wise", settings(Int8Mapping::absmax, 0.0f)},
                            {"affine activations", settings(Int8Mapping::zeropoint, 0.0f)},
                            {"llm.int8 token", settings(Int8Mapping::absmax, 6.0f)},
                            {"affine activations, token", settings(Int8Mapping::zeropoint, 6.0f)}};
  for (const int64_t rows : {512, 64, 16}) bench_prompt(options, rows);
  MemoryReader reader(options);
  for (const int64_t rows : {1, 4}) {
    Layers layers(options, schemes[0].settings, rows, kFeatures, kBeyondCaches);
    const Comparison result =
        measure_in_turns([&] { return layers.run() / static_cast<double>(rows); },
                         [&] { return reader.read(kFeatures * kFeatures); }, options.seconds, options.threads);
    print(options, "int8_decode", schemes[0].name, rows, kFeatures, "memory_gb_per_s", result);
  }
  for (const int64_t rows : {512, 1}) {
    const int64_t bytes = rows == 1 ? kBeyondCaches : 0;
    Layers plain(options, schemes[0].settings, rows, kFeatures, bytes);
    for (const Scheme& scheme : schemes) {
      if (&scheme == schemes) continue;
      Layers layers(options, scheme.settings, rows, kFeatures, bytes);
      const Comparison result =
          measure_in_turns([&] { return layers.run(); }, [&] { return plain.run(); }, options.seconds, options.threads);
      print(options, "int8_scheme", scheme.name, rows, kFeatures, "vector_wise", result);
    }
  }
}

}  // namespace octoformer::bench
