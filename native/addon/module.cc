// The module octoformer.node: NativeAddon of ts/binding/native.ts.
#include <napi.h>

#include <memory>
#include <utility>

#include "addon/abort_flag_object.h"
#include "addon/addon_data.h"
#include "addon/arguments.h"
#include "addon/checkpoint_object.h"
#include "addon/float_ops.h"
#include "addon/int8_ops.h"
#include "addon/js_error.h"
#include "addon/load_model_task.h"
#include "addon/memory_rate_task.h"
#include "addon/open_checkpoint_task.h"
#include "addon/sampler_object.h"
#include "addon/token_tables_task.h"
#include "addon/wrapped.h"
#include "cpu/cpu_info.h"

namespace octoformer {

namespace {

/// Far above any machine's; only keeps the number within an int.
constexpr int64_t kMaxThreads = 1 << 20;
/// Of JavaScript's integers (Number.MAX_SAFE_INTEGER).
constexpr int64_t kLargestSafeInteger = (int64_t{1} << 53) - 1;

Napi::Value info(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  return guarded(env, [&] {
    const CpuInfo cpu = cpu_info();
    Napi::Array isas = Napi::Array::New(env, cpu.isas.size());
    for (size_t i = 0; i < cpu.isas.size(); ++i) isas.Set(static_cast<uint32_t>(i), cpu.isas[i]);
    Napi::Object cuda = Napi::Object::New(env);
    cuda.Set("available", Napi::Boolean::New(env, false));
    cuda.Set("reason", "this build has no CUDA backend");
    cuda.Set("devices", Napi::Array::New(env));
    Napi::Object object = Napi::Object::New(env);
    object.Set("cpu", cpu.model);
    object.Set("isa", cpu.isa);
    object.Set("isas", isas);
    object.Set("threads", Napi::Number::New(env, cpu.threads));
    object.Set("cuda", cuda);
    return object;
  });
}

Napi::Value open_checkpoint(const Napi::CallbackInfo& call) {
  return promised(call.Env(), [&]() -> Napi::Value {
    return queue_task<OpenCheckpointTask>(call.Env(), as_strings(call[0], "files"));
  });
}

Napi::Value load_model(const Napi::CallbackInfo& call) {
  return promised(call.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<Checkpoint> checkpoint = unwrap<CheckpointObject>(call[0], "checkpoint").checkpoint();
    const Napi::Object object = as_object(call[2], "options");
    CpuBackendOptions options;
    options.threads = static_cast<int>(as_integer(object.Get("threads"), "threads", 0, kMaxThreads));
    options.isa = as_string(object.Get("isa"), "isa");
    std::unique_ptr<PackedCache> packed;
    if (const Napi::Value given = object.Get("packed"); !is_absent(given)) {
      const Napi::Object place = as_object(given, "packed");
      packed = std::make_unique<PackedCache>(PackedCacheOptions{
          as_string(place.Get("folder"), "packed.folder"), as_string(place.Get("weights"), "packed.weights"),
          static_cast<uint64_t>(as_integer(place.Get("leastBytes"), "packed.leastBytes", 0, kLargestSafeInteger))});
    }
    std::shared_ptr<const std::atomic<bool>> abort;
    if (!is_absent(call[3])) abort = unwrap<AbortFlagObject>(call[3], "abort").flag();
    std::unique_ptr<ProgressChannel> progress;
    if (!is_absent(call[4])) {
      if (!call[4].IsFunction()) fail(ErrorCode::invalid_argument, "onProgress must be a function or null");
      progress = std::make_unique<ProgressChannel>(call.Env(), call[4].As<Napi::Function>());
    }
    return queue_task<LoadModelTask>(call.Env(), checkpoint, as_string(call[1], "program"), std::move(options),
                                     std::move(packed), std::move(abort), std::move(progress));
  });
}

/// Long enough for a median, short for one who waits.
constexpr double kMemorySeconds = 0.5;

Napi::Value measure_memory(const Napi::CallbackInfo& call) {
  return promised(call.Env(), [&]() -> Napi::Value {
    const int threads = static_cast<int>(as_integer(call[0], "threads", 0, kMaxThreads));
    return queue_task<MemoryRateTask>(call.Env(), threads, kMemorySeconds);
  });
}

Napi::Value read_tokenizer_file(const Napi::CallbackInfo& call) {
  return promised(call.Env(), [&] { return queue_task<TokenizerFileTask>(call.Env(), as_string(call[0], "file")); });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  AddonData::install(env);
  exports.Set("info", Napi::Function::New<info>(env, "info"));
  exports.Set("openCheckpoint", Napi::Function::New<open_checkpoint>(env, "openCheckpoint"));
  exports.Set("loadModel", Napi::Function::New<load_model>(env, "loadModel"));
  exports.Set("measureMemoryRate", Napi::Function::New<measure_memory>(env, "measureMemoryRate"));
  exports.Set("readTokenizerFile", Napi::Function::New<read_tokenizer_file>(env, "readTokenizerFile"));
  exports.Set("quantizeInt8", Napi::Function::New<quantize_int8>(env, "quantizeInt8"));
  exports.Set("dequantizeInt8", Napi::Function::New<dequantize_int8>(env, "dequantizeInt8"));
  exports.Set("int8Product", Napi::Function::New<multiply_int8>(env, "int8Product"));
  exports.Set("llmInt8Product", Napi::Function::New<multiply_llm_int8>(env, "llmInt8Product"));
  exports.Set("floatProduct", Napi::Function::New<multiply_float>(env, "floatProduct"));
  exports.Set("floatAttention", Napi::Function::New<attend_float>(env, "floatAttention"));
  exports.Set("softmaxRows", Napi::Function::New<softmax_rows>(env, "softmaxRows"));
  exports.Set("normRows", Napi::Function::New<norm_rows>(env, "normRows"));
  exports.Set("ropeRows", Napi::Function::New<rope_rows>(env, "ropeRows"));
  exports.Set(AbortFlagObject::kClassName, AbortFlagObject::define(env));
  exports.Set(SamplerObject::kClassName, SamplerObject::define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(octoformer, initialize)

}  // namespace octoformer
