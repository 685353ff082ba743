// Wrapped objects that a task uses must not be collected meanwhile.
#pragma once
#include <napi.h>

#include <vector>

namespace octoformer {

/// Keeps objects alive until it is destroyed, on the main thread. It raises the count of the reference that each
/// wrapped object has to itself anyway: an own one a run would be made and freed for every cache of every token.
class KeptObjects {
 public:
  explicit KeptObjects(Napi::Env env) : env_(env) {}
  KeptObjects(const KeptObjects&) = delete;
  KeptObjects& operator=(const KeptObjects&) = delete;
  ~KeptObjects() {
    for (const napi_ref object : objects_) static_cast<void>(napi_reference_unref(env_, object, nullptr));
  }

  void keep(const Napi::Reference<Napi::Object>& object) {
    const napi_ref reference = object;
    if (napi_reference_ref(env_, reference, nullptr) != napi_ok) throw Napi::Error::New(env_);
    objects_.push_back(reference);
  }

 private:
  const napi_env env_;
  std::vector<napi_ref> objects_;
};

}  // namespace octoformer
