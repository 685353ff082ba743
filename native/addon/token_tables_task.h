// NativeCheckpoint.tokenTables and NativeAddon.readTokenizerFile of ts/binding/native.ts.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "addon/task.h"
#include "formats/checkpoint.h"
#include "formats/token_tables.h"
#include "formats/tokenizer_json.h"

namespace octoformer {

class TokenTablesTask : public Task {
 public:
  TokenTablesTask(Napi::Env env, std::shared_ptr<const Checkpoint> checkpoint)
      : Task(env, "octoformer.tokenTables"), checkpoint_(std::move(checkpoint)) {}

 private:
  void work() override;
  Napi::Value result(Napi::Env env) override;

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::optional<TokenTables> tables_;
};

class TokenizerFileTask : public Task {
 public:
  TokenizerFileTask(Napi::Env env, std::string file)
      : Task(env, "octoformer.readTokenizerFile"), file_(std::move(file)) {}

 private:
  void work() override;
  Napi::Value result(Napi::Env env) override;

  const std::string file_;
  std::optional<TokenizerJson> read_;
};

}  // namespace octoformer
