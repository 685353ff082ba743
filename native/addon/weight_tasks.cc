#include "addon/weight_tasks.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "addon/native_array.h"
#include "backend/error.h"
#include "backend/half.h"

namespace octoformer {

namespace {

/// [rows, columns] as [columns, rows], in squares whose lines stay in the first-level cache.
std::vector<float> transposed(const std::vector<float>& values, size_t rows, size_t columns) {
  constexpr size_t kSquare = 32;
  std::vector<float> out(values.size());
  for (size_t top = 0; top < rows; top += kSquare) {
    for (size_t left = 0; left < columns; left += kSquare) {
      for (size_t i = top; i < std::min(top + kSquare, rows); ++i) {
        for (size_t j = left; j < std::min(left + kSquare, columns); ++j) out[j * rows + i] = values[i * columns + j];
      }
    }
  }
  return out;
}

/// Little-endian, as safetensors files are.
std::vector<uint8_t> as_bytes(const std::vector<float>& values, NumberForm form) {
  if (form == NumberForm::float32) {
    std::vector<uint8_t> bytes(values.size() * sizeof(float));
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  std::vector<uint8_t> bytes(values.size() * sizeof(uint16_t));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = form == NumberForm::bfloat16 ? float_to_bfloat16(values[i]) : float_to_float16(values[i]);
    std::memcpy(bytes.data() + i * sizeof half, &half, sizeof half);
  }
  return bytes;
}

}  // namespace

ReadWeightTask::ReadWeightTask(Napi::Env env, std::shared_ptr<RunQueue> queue, size_t index, std::vector<int32_t> rows,
                               NumberForm form, bool transpose)
    : Task(env, "octoformer.readWeight"),
      queue_(std::move(queue)),
      index_(index),
      rows_(std::move(rows)),
      form_(form),
      transpose_(transpose) {}

void ReadWeightTask::work() {
  const WeightDescription& description = queue_->model().weight_descriptions()[index_];
  const auto columns = static_cast<size_t>(description.role == WeightRole::linear ? description.shape[1] : 1);
  std::vector<float> values(rows_.size() * columns);
  queue_->model().read_weight(index_, rows_, values.data());
  if (transpose_) values = transposed(values, rows_.size(), columns);
  bytes_ = as_bytes(values, form_);
}

Napi::Value ReadWeightTask::result(Napi::Env env) { return to_uint8_array(env, std::move(bytes_)); }

ReadInt8WeightTask::ReadInt8WeightTask(Napi::Env env, std::shared_ptr<RunQueue> queue, size_t index,
                                       std::vector<int32_t> rows)
    : Task(env, "octoformer.readInt8Weight"), queue_(std::move(queue)), index_(index), rows_(std::move(rows)) {}

void ReadInt8WeightTask::work() {
  const LoadedWeight& weight = queue_->model().weights()[index_];
  if (!weight.linear) {
    fail(ErrorCode::invalid_argument, "weight ", queue_->model().weight_descriptions()[index_].name,
         " is a vector, which is never int8");
  }
  const auto columns = static_cast<size_t>(weight.linear->description().in_features);
  values_.resize(rows_.size() * columns);
  uint8_t* out = values_.data();
  for (size_t i = 0; i < rows_.size();) {
    size_t count = 1;  // rows that follow one another are read together
    while (i + count < rows_.size() && rows_[i + count] == rows_[i] + static_cast<int32_t>(count)) ++count;
    const Int8Rows read = weight.linear->int8_rows(rows_[i], static_cast<int64_t>(count));
    if (!read.values.empty()) std::memcpy(out, read.values.data(), read.values.size());
    out += read.values.size();
    scale_.insert(scale_.end(), read.scale.begin(), read.scale.end());
    zero_point_.insert(zero_point_.end(), read.zero_point.begin(), read.zero_point.end());
    i += count;
  }
}

Napi::Value ReadInt8WeightTask::result(Napi::Env env) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("data", to_uint8_array(env, std::move(values_)));
  object.Set("scale", to_float32_array(env, std::move(scale_)));
  if (!zero_point_.empty()) {
    auto zero_points = Napi::Int32Array::New(env, zero_point_.size());
    std::copy(zero_point_.begin(), zero_point_.end(), zero_points.Data());
    object.Set("zeroPoint", zero_points);
  }
  return object;
}

CompareWeightTask::CompareWeightTask(Napi::Env env, std::shared_ptr<RunQueue> queue, size_t index,
                                     std::shared_ptr<const Checkpoint> checkpoint,
                                     std::shared_ptr<const std::atomic<bool>> abort)
    : Task(env, "octoformer.compareWeight"),
      queue_(std::move(queue)),
      index_(index),
      checkpoint_(std::move(checkpoint)),
      abort_(std::move(abort)) {}

void CompareWeightTask::work() { differences_ = compare_weight(queue_->model(), index_, *checkpoint_, abort_.get()); }

Napi::Value CompareWeightTask::result(Napi::Env env) {
  Napi::Array parts = Napi::Array::New(env, differences_.size());
  for (size_t i = 0; i < differences_.size(); ++i) {
    Napi::Object part = Napi::Object::New(env);
    part.Set("squaredError", differences_[i].squared_error);
    part.Set("squaredNorm", differences_[i].squared_norm);
    part.Set("largestError", differences_[i].largest_error);
    part.Set("largestStored", differences_[i].largest_stored);
    parts.Set(static_cast<uint32_t>(i), part);
  }
  return parts;
}

WritePackedTask::WritePackedTask(Napi::Env env, std::shared_ptr<RunQueue> queue)
    : Task(env, "octoformer.writePacked"), queue_(std::move(queue)) {}

void WritePackedTask::work() { queue_->model().write_packed(); }

Napi::Value WritePackedTask::result(Napi::Env env) { return env.Undefined(); }

}  // namespace octoformer
