// Times on a machine that others use too: the thing and its ceiling are run in turns, so that both meet the same
// weather, and what is reported are medians over many short runs, with the best beside them.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "cpu/isa.h"
#include "peak.h"

namespace octoformer::bench {

struct Options {
  Isa isa = Isa::scalar;
  int threads = 1;
  double seconds = 1.0;  // for each line
  std::string only;      // the one part to run, or empty

  bool runs(const std::string& part) const { return only.empty() || only == part; }
};

const PeakKernels& peak_kernels(Isa isa);

/// Rates (work per second) of two functions that return the work they did.
struct Rates {
  double median = 0, best = 0;
};
struct Comparison {
  Rates subject, ceiling;
};
Comparison measure_in_turns(const std::function<double()>& subject, const std::function<double()>& ceiling,
                            double seconds, int threads);

/// All `threads` at once on their own rounds of a peak loop; the sum of their work.
double run_peak(double (*kernel)(int64_t), int64_t rounds, int threads);

void bench_peaks(const Options& options);
void bench_memory(const Options& options);
void bench_prefill(const Options& options);
void bench_decode(const Options& options);
void bench_int8(const Options& options);
/// One line of bench_int8: 512 x 4096 x 4096.
void bench_product(const Options& options);

}  // namespace octoformer::bench
