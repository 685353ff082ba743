#include "runtime/wavefront.h"

#include <algorithm>
#include <utility>

#include "backend/backend.h"
#include "backend/error.h"
#include "backend/wait_actively.h"

namespace octoformer {
namespace {

/// The nearest token row at which a page begins, or a sequence.
TokenGroup nearest_begin(std::span<const RunState::Sequence> sequences, int64_t token) {
  for (const RunState::Sequence& sequence : sequences) {
    if (token >= sequence.first_token + sequence.count) continue;
    const int64_t position = sequence.past + token - sequence.first_token;
    const int64_t page = (position + kKeyValuePageTokens / 2) / kKeyValuePageTokens * kKeyValuePageTokens;
    const int64_t offset = std::clamp<int64_t>(page - sequence.past, 0, sequence.count);
    return {sequence.first_token + offset, 0, offset > 0 && offset < sequence.count};
  }
  return {token, 0, false};
}

}  // namespace

std::vector<TokenGroup> cut_token_groups(std::span<const RunState::Sequence> sequences, int threads,
                                         int64_t most_tokens) {
  int64_t total = 0;
  for (const RunState::Sequence& sequence : sequences) total += sequence.count;
  const int64_t round = threads * most_tokens;
  if (2 * total < round) return {};
  const int64_t count = (total + round - 1) / round * threads;
  std::vector<TokenGroup> groups = {{0, 0, false}};
  for (int64_t i = 1; i <= count; ++i) {
    const TokenGroup next = nearest_begin(sequences, total * i / count);
    groups.back().tokens = next.first_token - groups.back().first_token;
    if (groups.back().tokens > 0 && next.first_token < total) groups.push_back(next);
  }
  return groups;
}

Wavefront::Wavefront(std::vector<TokenGroup> groups)
    : groups_(std::move(groups)), progress_(new Progress[groups_.size()]) {}

std::optional<size_t> Wavefront::take() {
  if (failed_.load(std::memory_order_relaxed) != SIZE_MAX) return {};
  const size_t index = next_.fetch_add(1, std::memory_order_relaxed);
  if (index >= groups_.size()) return {};
  return index;
}

void Wavefront::stored(size_t index, int32_t op) {
  if (groups_[index].continues) wait_for(index - 1, op);
  refuse_failed(index);
  advance(index, op + 1);
}

void Wavefront::refuse_failed(size_t index) const {
  if (failed_.load(std::memory_order_relaxed) < index) fail(ErrorCode::aborted, "another part of the run has failed");
}

void Wavefront::end(size_t index, std::exception_ptr error) {
  {
    const std::lock_guard lock(mutex_);
    if (index < failed_.load(std::memory_order_relaxed)) {
      error_ = std::move(error);
      failed_.store(index, std::memory_order_relaxed);
    }
  }
  advance(index, kAll);  // who waits for it finds that it has failed
}

void Wavefront::rethrow_error() const {
  if (error_) std::rethrow_exception(error_);
}

void Wavefront::advance(size_t index, int32_t op) {
  progress_[index].op.store(op, std::memory_order_release);
  progress_[index].op.notify_one();  // the next group's thread at most
}

/// Until attention op `op` of group `index` is stored, or the group has ended.
void Wavefront::wait_for(size_t index, int32_t op) const {
  const std::atomic<int32_t>& progress = progress_[index].op;
  if (wait_actively([&] { return progress.load(std::memory_order_acquire) > op; })) return;
  for (int32_t seen = progress.load(std::memory_order_acquire); seen <= op;
       seen = progress.load(std::memory_order_acquire)) {
    progress.wait(seen, std::memory_order_acquire);
  }
}

}  // namespace octoformer
