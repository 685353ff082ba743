// How much a test tries.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace octoformer::reference {

/// An emulated processor is about 50 times slower than a real one. Where OCTOFORMER_TEST_EMULATED is 1 the longest
/// tests leave out their largest shapes and most of their combinations; everything else runs as it does elsewhere.
inline bool emulated() {
  const char* value = std::getenv("OCTOFORMER_TEST_EMULATED");
  return value != nullptr && std::string_view(value) == "1";
}

/// Takes every n-th case under emulation, else all. Cases are counted in the order in which they come.
class CaseFilter {
 public:
  explicit CaseFilter(int64_t nth) : nth_(emulated() ? nth : 1) {}
  bool next() { return count_++ % nth_ == 0; }

 private:
  int64_t nth_, count_ = 0;
};

/// Whether a product of this size is tried.
inline bool tries_product(int64_t rows, int64_t out_features, int64_t in_features) {
  constexpr int64_t kMostEmulatedProducts = 150'000;
  return !emulated() || rows * out_features * in_features <= kMostEmulatedProducts;
}

}  // namespace octoformer::reference
