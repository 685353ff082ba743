// The backend as a whole: its options, what it says of itself, and two at work at once.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "backend/error.h"
#include "cpu/cpu_backend.h"
#include "cpu/cpu_info.h"
#include "cpu/isa.h"
#include "cpu/thread_pool.h"
#include "reference/paged_cache.h"
#include "reference/random.h"
#include "reference/strided.h"

namespace octoformer {
namespace {

using reference::PagedSequence;
using reference::Random;
using reference::Strided;

std::string message_of(const CpuBackendOptions& options) {
  try {
    make_cpu_backend(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    return error.what();
  }
  return "nothing was thrown";
}

TEST(CpuBackend, SaysWhatItIs) {
  for (const Isa isa : available_isas()) {
    const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = 3, .isa = std::string(isa_name(isa))});
    EXPECT_EQ(backend->name(), "cpu");
    EXPECT_EQ(backend->isa(), isa_name(isa));
    EXPECT_EQ(backend->threads(), 3);
  }
  EXPECT_EQ(make_cpu_backend({})->threads(), default_threads());
  EXPECT_EQ(make_cpu_backend({})->isa(), isa_name(choose_isa("")));
}

TEST(CpuBackend, RefusesBadOptionsByName) {
  EXPECT_NE(message_of({.threads = -1, .isa = ""}).find("threads: -1"), std::string::npos);
  EXPECT_NE(message_of({.threads = kMaximumThreads + 1, .isa = ""}).find("threads: 1025"), std::string::npos);
  EXPECT_NE(message_of({.threads = 1, .isa = "mmx"}).find("mmx"), std::string::npos);
}

/// A few ops in a row on this backend, from inputs that depend on `seed`.
std::vector<float> small_forward(Backend& backend, uint64_t seed) {
  constexpr int64_t kTokens = 70, kHeads = 4, kHeadDim = 32, kColumns = kHeads * kHeadDim;
  Random random(seed);
  Strided x(kTokens, kColumns, random.vector(kTokens * kColumns)), out(kTokens, kColumns);
  const std::vector<float> weight = random.vector(kColumns);
  backend.norm({.kind = NormKind::rms,
                .input = x.view(),
                .out = x.view(),
                .weight = weight.data(),
                .epsilon = 1e-6f,
                .group = kColumns});
  const PagedSequence pages(backend, kHeads, kHeadDim, kTokens);
  const SequenceSlice slice = pages.slice(0, kTokens, 0);
  const KeyValueLayer layer{.kv_heads = kHeads, .head_dim = kHeadDim};
  backend.store_key_value({.key = x.view(), .value = x.view(), .sequences = {&slice, 1}, .layer = layer});
  backend.attention(
      {.query = x.view(), .out = out.view(), .sequences = {&slice, 1}, .layer = layer, .heads = kHeads, .scale = 0.2f});
  backend.gated_activation({Activation::silu, out.view(), x.view(), out.view()});
  return out.values();
}

TEST(CpuBackend, SeveralCallersGetTheSameBitsAsOneAlone) {
  for (const Isa isa : available_isas()) {
    const std::string name(isa_name(isa));
    const std::vector<float> expected[] = {small_forward(*make_cpu_backend({.threads = 1, .isa = name}), 1),
                                           small_forward(*make_cpu_backend({.threads = 1, .isa = name}), 2)};
    const std::unique_ptr<Backend> shared = make_cpu_backend({.threads = 3, .isa = name});
    std::vector<std::thread> callers;
    for (const int caller : {0, 1, 2, 3}) {
      callers.emplace_back([&, caller] {
        for (int round = 0; round < 10; ++round) {
          EXPECT_EQ(small_forward(*shared, 1 + static_cast<uint64_t>(caller % 2)), expected[caller % 2]) << name;
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
  }
}

}  // namespace
}  // namespace octoformer
