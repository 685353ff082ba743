// octoformer_bench [--threads N] [--seconds S] [--only peaks|memory|prefill|decode|int8|product]: JSON lines on the
// standard output. OCTOFORMER_ISA chooses the kernels.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "backend/error.h"
#include "cpu/cpu_info.h"
#include "cpu/thread_pool.h"
#include "measure.h"

namespace octoformer::bench {
namespace {

void print_rate(const Options& options, const char* name, const char* unit, int threads, const Rates& rates) {
  std::printf("{\"bench\":\"%s\",\"isa\":\"%s\",\"threads\":%d,\"%s\":%.2f,\"%s_best\":%.2f}\n", name,
              isa_name(options.isa).data(), threads, unit, rates.median * 1e-9, unit, rates.best * 1e-9);
  std::fflush(stdout);
}

/// Bytes a second that `threads` read, each from its own part of `bytes`.
Rates read_rate(const Options& options, int threads, int64_t bytes, int64_t passes) {
  const PeakKernels& peaks = peak_kernels(options.isa);
  const std::vector<float> memory(static_cast<size_t>(bytes / 4 * threads), 1.0f);
  volatile float sink = 0;
  const auto run = [&] {
    ThreadPool::shared().parallel_for(threads, threads, [&](int64_t task, int) {
      for (int64_t pass = 0; pass < passes; ++pass) sink = peaks.read(memory.data() + task * (bytes / 4), bytes / 4);
    });
    return static_cast<double>(bytes * threads * passes);
  };
  const Rates rates = measure_in_turns(run, run, options.seconds, threads).subject;
  (void)sink;
  return rates;
}

}  // namespace

void bench_peaks(const Options& options) {
  const PeakKernels& peaks = peak_kernels(options.isa);
  for (const int threads : {1, options.threads}) {
    const auto peak = [&](double (*kernel)(int64_t)) {
      const auto run = [&, kernel] { return run_peak(kernel, 100'000, threads); };
      return measure_in_turns(run, run, options.seconds, threads).subject;
    };
    print_rate(options, "peak_float32", "gmacs", threads, peak(peaks.float32));
    if (peaks.bfloat16 != nullptr) print_rate(options, "peak_bfloat16", "gmacs", threads, peak(peaks.bfloat16));
    print_rate(options, "peak_int8", "gmacs", threads, peak(peaks.int8));
    print_rate(options, "read_second_level_cache", "gb_per_s", threads,
               read_rate(options, threads, cache_sizes().second_level / 2, 16));
    if (options.threads == 1) break;
  }
}

void bench_memory(const Options& options) {
  for (const int threads : {1, options.threads}) {
    print_rate(options, "read_memory", "gb_per_s", threads, read_rate(options, threads, int64_t{512} << 20, 1));
    if (options.threads == 1) break;
  }
}

int run(int count, char** arguments) {
  Options options;
  options.isa = choose_isa("");
  options.threads = default_threads();
  for (int i = 1; i < count; i += 2) {
    const char* value = i + 1 < count ? arguments[i + 1] : "";
    if (std::strcmp(arguments[i], "--threads") == 0 && std::atoi(value) > 0) {
      options.threads = std::atoi(value);
    } else if (std::strcmp(arguments[i], "--seconds") == 0 && std::atof(value) > 0) {
      options.seconds = std::atof(value);
    } else if (std::strcmp(arguments[i], "--only") == 0 && *value != '\0') {
      options.only = value;
    } else {
      std::fprintf(
          stderr,
          "usage: octoformer_bench [--threads N] [--seconds S] [--only peaks|memory|prefill|decode|int8|product]\n");
      return 2;
    }
  }
  std::printf("{\"bench\":\"machine\",\"model\":\"%s\",\"isa\":\"%s\",\"threads\":%d}\n", cpu_info().model.c_str(),
              isa_name(options.isa).data(), options.threads);
  if (options.runs("peaks")) bench_peaks(options);
  if (options.runs("memory")) bench_memory(options);
  if (options.runs("prefill")) bench_prefill(options);
  if (options.runs("decode")) bench_decode(options);
  if (options.runs("int8")) bench_int8(options);
  if (options.only == "product") bench_product(options);
  return 0;
}

}  // namespace octoformer::bench

int main(int count, char** arguments) {
  try {
    return octoformer::bench::run(count, arguments);
  } catch (const octoformer::Error& error) {
    std::fprintf(stderr, "%s: %s\n", octoformer::error_code_name(error.code()), error.what());
    return 1;
  }
}
