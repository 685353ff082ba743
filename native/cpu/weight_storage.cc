#include "cpu/weight_storage.h"

namespace octoformer {

uint64_t WeightStorage::bytes() const {
  uint64_t sum = 0;
  for (const std::span<const std::byte> section : sections_) sum += section.size();
  return sum;
}

std::byte* WeightStorage::next(size_t bytes) {
  if (!adopted_) {
    own_.emplace_back(bytes, purpose_.c_str());
    sections_.emplace_back(own_.back().data(), bytes);
    return own_.back().data();
  }
  if (taken_ == sections_.size() || sections_[taken_].size() != bytes) {
    fits_ = false;
    return nullptr;
  }
  // Packing alone writes, and it has memory of its own.
  return const_cast<std::byte*>(sections_[taken_++].data());
}

}  // namespace octoformer
