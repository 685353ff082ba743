#include "addon/checkpoint_object.h"

#include "addon/addon_data.h"
#include "addon/arguments.h"
#include "addon/js_error.h"
#include "addon/metadata_to_js.h"
#include "addon/token_tables_task.h"
#include "addon/wrapped.h"

namespace octoformer {

namespace {

Napi::Object tensor_to_js(Napi::Env env, const Checkpoint& checkpoint, const TensorInfo& tensor) {
  Napi::Array shape = Napi::Array::New(env, tensor.shape.size());
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    shape.Set(static_cast<uint32_t>(i), Napi::Number::New(env, static_cast<double>(tensor.shape[i])));
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", Napi::String::New(env, tensor.name));
  object.Set("dtype", Napi::String::New(env, tensor.dtype));
  object.Set("shape", shape);
  object.Set("bytes", Napi::Number::New(env, static_cast<double>(tensor.bytes)));
  object.Set("file", Napi::String::New(env, checkpoint.file_of(tensor)));
  return object;
}

Napi::Array tensors_to_js(Napi::Env env, const Checkpoint& checkpoint) {
  const std::span<const TensorInfo> tensors = checkpoint.tensors();
  Napi::Array array = Napi::Array::New(env, tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Napi::HandleScope scope(env);
    array.Set(static_cast<uint32_t>(i), tensor_to_js(env, checkpoint, tensors[i]));
  }
  return array;
}

}  // namespace

Napi::Function CheckpointObject::define(Napi::Env env) {
  return DefineClass(
      env, kClassName,
      {InstanceAccessor<&CheckpointObject::format>("format"), InstanceAccessor<&CheckpointObject::tensors>("tensors"),
       InstanceAccessor<&CheckpointObject::metadata>("metadata"),
       InstanceMethod<&CheckpointObject::read_rows>("readRows"),
       InstanceMethod<&CheckpointObject::token_tables>("tokenTables"),
       InstanceMethod<&CheckpointObject::dispose>("dispose")});
}

Napi::Object CheckpointObject::create(Napi::Env env, std::shared_ptr<Checkpoint> checkpoint) {
  return construct(env, AddonData::of(env).checkpoint, std::move(checkpoint));
}

CheckpointObject::CheckpointObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] { checkpoint_ = take_native<std::shared_ptr<Checkpoint>>(info, kClassName); });
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

const std::shared_ptr<Checkpoint>& CheckpointObject::checkpoint() const {
  if (!checkpoint_) fail(ErrorCode::disposed, "the checkpoint was disposed; open it again");
  return checkpoint_;
}

Napi::Value CheckpointObject::format(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return Napi::String::New(info.Env(), checkpoint()->format() == Checkpoint::Format::gguf ? "gguf" : "safetensors");
  });
}

Napi::Value CheckpointObject::tensors(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Checkpoint& open = *checkpoint();
    if (tensors_.IsEmpty()) tensors_ = Napi::Persistent(tensors_to_js(info.Env(), open).As<Napi::Object>());
    return tensors_.Value();
  });
}

Napi::Value CheckpointObject::metadata(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    if (metadata_.IsEmpty()) metadata_ = Napi::Persistent(metadata_to_js(info.Env(), checkpoint()));
    return metadata_.Value();
  });
}

Napi::Value CheckpointObject::read_rows(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Checkpoint& open = *checkpoint();
    const TensorInfo& tensor = open.at(as_string(info[0], "name"));
    const int64_t first = as_integer(info[1], "first", 0, tensor.rows());
    const int64_t count = as_integer(info[2], "count", 0, tensor.rows() - first);
    auto rows = Napi::Float32Array::New(info.Env(), static_cast<size_t>(count * tensor.columns()));
    open.read_rows(tensor, first, count, rows.Data());
    return rows;
  });
}

Napi::Value CheckpointObject::token_tables(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] { return queue_task<TokenTablesTask>(info.Env(), checkpoint()); });
}

void CheckpointObject::dispose(const Napi::CallbackInfo&) {
  checkpoint_.reset();  // a load under way keeps it until it ends
  tensors_.Reset();
  metadata_.Reset();
}

}  // namespace octoformer
