#include "addon/token_tables_task.h"

#include <utility>

#include "addon/native_array.h"
#include "backend/error.h"
#include "formats/mapped_file.h"

namespace octoformer {

namespace {

Napi::Object to_js(Napi::Env env, TokenTables tables) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("text", Napi::String::New(env, tables.text.data(), tables.text.size()));
  object.Set("ends", to_uint32_array(env, std::move(tables.ends)));
  object.Set("slots", to_int32_array(env, std::move(tables.slots)));
  object.Set("merges", to_int32_array(env, std::move(tables.merges)));
  object.Set("mergeSlots", to_int32_array(env, std::move(tables.merge_slots)));
  return object;
}

}  // namespace

void TokenTablesTask::work() {
  tables_ = token_tables_of(checkpoint_->metadata());
  checkpoint_.reset();
}

Napi::Value TokenTablesTask::result(Napi::Env env) {
  if (!tables_) return env.Null();
  return to_js(env, std::move(*tables_));
}

void TokenizerFileTask::work() {
  try {
    const MappedFile file(file_);
    const std::span<const std::byte> bytes = file.bytes();
    read_ = read_tokenizer_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  } catch (const Error&) {
    // It isn't there, or can't be read.
  }
}

Napi::Value TokenizerFileTask::result(Napi::Env env) {
  if (!read_) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("rest", Napi::String::New(env, read_->rest));
  object.Set("tables", to_js(env, std::move(read_->tables)));
  return object;
}

}  // namespace octoformer
