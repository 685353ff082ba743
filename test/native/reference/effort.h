// How much a test tries.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace octoformer::reference {

/// What OCTOFORMER_TEST_SLOW says that makes this machine slow: `emulated` (about 50 times) or `sanitized` (about 20
/// times); empty where nothing does. The longest tests then leave out their largest shapes and most of their
/// combinations; everything else runs as it does elsewhere.
inline std::string_view slow_because() {
  const char* value = std::getenv("OCTOFORMER_TEST_SLOW");
  return value == nullptr ? "" : value;
}
inline bool slow() { return !slow_because().empty(); }
inline bool emulated() { return slow_because() == "emulated"; }

/// Takes every n-th case where tests are slow, else all. Cases are counted in the order in which they come.
class CaseFilter {
 public:
  explicit CaseFilter(int64_t nth) : nth_(slow() ? nth : 1) {}
  bool next() { return count_++ % nth_ == 0; }

 private:
  int64_t nth_, count_ = 0;
};

/// Whether a product of this size is tried.
inline bool tries_product(int64_t rows, int64_t out_features, int64_t in_features) {
  constexpr int64_t kMostSlowProducts = 150'000;
  return !slow() || rows * out_features * in_features <= kMostSlowProducts;
}

}  // namespace octoformer::reference
