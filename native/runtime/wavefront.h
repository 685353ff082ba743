// How threads share a causal run: its token rows are cut into groups, in order, and each thread takes the next group
// through all layers by itself. A group attends to keys and values of the groups before it, so at every attention it
// waits until the one before has stored its own there, which it mostly has, since it began earlier.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "runtime/run_state.h"

namespace octoformer {

/// Token rows [first_token, first_token + tokens).
struct TokenGroup {
  int64_t first_token = 0;
  int64_t tokens = 0;
  bool continues = false;  // the last sequence of the group before
};

/// As many groups for each thread, of about equal size, most_tokens or a few more; no two of them write to one page of
/// keys and values. None where there would be less than half as many tokens a group.
std::vector<TokenGroup> cut_token_groups(std::span<const RunState::Sequence> sequences, int threads,
                                         int64_t most_tokens);

/// One run. A thread waits only for groups that others have taken before, so however few threads come, all ends.
class Wavefront {
 public:
  explicit Wavefront(std::vector<TokenGroup> groups);

  /// Takes the next group; none when all are taken or one has failed.
  std::optional<size_t> take();
  const TokenGroup& group(size_t index) const { return groups_[index]; }

  // Of the thread that has taken group `index`:
  /// The group's keys and values of attention op `op` are where others read them. Returns when those of the groups
  /// before it are, too. Throws what refuse_failed does.
  void stored(size_t index, int32_t op);
  /// Throws ABORTED where a group before this one has failed.
  void refuse_failed(size_t index) const;
  /// No op is left.
  void finish(size_t index) { advance(index, kAll); }
  /// `error` is why it goes no further.
  void end(size_t index, std::exception_ptr error);

  /// When all threads are back: throws the error of the first group that has failed.
  void rethrow_error() const;

 private:
  static constexpr int32_t kAll = INT32_MAX;

  /// Attention ops before this one are stored.
  struct alignas(64) Progress {
    std::atomic<int32_t> op{0};
  };

  void advance(size_t index, int32_t op);
  void wait_for(size_t index, int32_t op) const;

  const std::vector<TokenGroup> groups_;
  const std::unique_ptr<Progress[]> progress_;
  std::atomic<size_t> next_ = 0;
  std::atomic<size_t> failed_ = SIZE_MAX;  // the first one that has
  std::mutex mutex_;
  std::exception_ptr error_;  // of failed_
};

}  // namespace octoformer
