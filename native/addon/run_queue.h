// The runs of one model, one behind another. Used on the main thread; the model runs elsewhere.
#pragma once
#include <atomic>
#include <deque>
#include <memory>

#include "addon/task.h"
#include "runtime/model.h"

namespace octoformer {

class RunQueue {
 public:
  explicit RunQueue(std::unique_ptr<Model> model) : model_(std::move(model)) {}

  Model& model() { return *model_; }
  /// Raised when the model is disposed: ends the run under way and those that wait.
  const std::atomic<bool>& aborted() const { return aborted_; }
  void abort_all() { aborted_ = true; }
  /// Whether runs wait for the one under way.
  const std::atomic<bool>& others_wait() const { return others_wait_; }

  void add(std::unique_ptr<Task> run) {
    if (running_) {
      waiting_.push_back(std::move(run));
      others_wait_ = true;
      return;
    }
    running_ = true;
    Task::queue(std::move(run));
  }
  /// To be called when a run has ended.
  void next() {
    running_ = false;
    if (waiting_.empty()) return;
    std::unique_ptr<Task> run = std::move(waiting_.front());
    waiting_.pop_front();
    others_wait_ = !waiting_.empty();
    add(std::move(run));
  }
  /// The environment is being torn down: those that wait never run.
  void drop_waiting() { waiting_.clear(); }

 private:
  const std::unique_ptr<Model> model_;
  std::atomic<bool> aborted_ = false;
  std::atomic<bool> others_wait_ = false;
  bool running_ = false;
  std::deque<std::unique_ptr<Task>> waiting_;
};

}  // namespace octoformer
