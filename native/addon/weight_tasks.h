// NativeModel.readWeight, readInt8Weight, compareWeight and writePacked of ts/binding/native.ts: a model's weights, off
// the main thread.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "addon/run_queue.h"
#include "addon/task.h"
#include "formats/checkpoint.h"
#include "runtime/weight_comparison.h"

namespace octoformer {

/// How numbers of a weight are handed out.
enum class NumberForm { float32, bfloat16, float16 };

class ReadWeightTask : public Task {
 public:
  ReadWeightTask(Napi::Env env, std::shared_ptr<RunQueue> queue, size_t index, std::vector<int32_t> rows,
                 NumberForm form, bool transpose);

 private:
  void work() override;
  Napi::Value result(Napi::Env env) override;

  const std::shared_ptr<RunQueue> queue_;
  const size_t index_;
  const std::vector<int32_t> rows_;
  const NumberForm form_;
  const bool transpose_;
  std::vector<uint8_t> bytes_;
};

class ReadInt8WeightTask : public Task {
 public:
  ReadInt8WeightTask(Napi::Env env, std::shared_ptr<RunQueue> queue, size_t index, std::vector<int32_t> rows);

 private:
  void work() override;
  Napi::Value result(Napi::Env env) override;

  const std::shared_ptr<RunQueue> queue_;
  const size_t index_;
  const std::vector<int32_t> rows_;
  std::vector<uint8_t> values_;
  std::vector<float> scale_;
  std::vector<int32_t> zero_point_;
};

class CompareWeightTask : public Task {
 public:
  CompareWeightTask(Napi::Env env, std::shared_ptr<RunQueue> queue, size_t index,
                    std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<const std::atomic<bool>> abort);

 private:
  void work() override;
  Napi::Value result(Napi::Env env) override;

  const std::shared_ptr<RunQueue> queue_;
  const size_t index_;
  const std::shared_ptr<const Checkpoint> checkpoint_;
  const std::shared_ptr<const std::atomic<bool>> abort_;
  std::vector<WeightDifference> differences_;
};

class WritePackedTask : public Task {
 public:
  WritePackedTask(Napi::Env env, std::shared_ptr<RunQueue> queue);

 private:
  void work() override;
  Napi::Value result(Napi::Env env) override;

  const std::shared_ptr<RunQueue> queue_;
};

}  // namespace octoformer
