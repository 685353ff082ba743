#include "runtime/encoded_sequence.h"

#include <utility>

namespace octoformer {

EncodedSequence::EncodedSequence(std::shared_ptr<KeyValuePagePool> pool, int64_t length)
    : pool_(std::move(pool)), length_(length) {
  for (int64_t position = 0; position < length; position += kKeyValuePageTokens) {
    pages_.push_back(pool_->acquire());
    addresses_.push_back(pages_.back().get());
  }
}

}  // namespace octoformer
