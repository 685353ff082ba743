#include "addon/float_ops.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "addon/arguments.h"
#include "addon/js_error.h"
#include "addon/native_array.h"
#include "addon/typed_arrays.h"
#include "backend/error.h"
#include "cpu/aligned_memory.h"
#include "cpu/cpu_backend.h"
#include "cpu/isa.h"
#include "cpu/isa_dispatch.h"
#include "runtime/rope_table.h"

namespace octoformer {

namespace {

Backend& backend() {
  static const std::unique_ptr<Backend> shared = make_cpu_backend({});
  return *shared;
}

MatrixView view(std::vector<float>& values, int64_t rows, int64_t columns) {
  return {values.data(), rows, columns, columns};
}
ConstMatrixView view(const Numbers<float>& values, int64_t rows, int64_t columns) {
  return {values.data, rows, columns, columns};
}

/// b as a linear layer has its weight: a row an output.
class RightSide final : public RowSource {
 public:
  RightSide(const float* b, int64_t n, int64_t k, bool transposed) : b_(b), n_(n), k_(k), transposed_(transposed) {}
  void read_rows(int64_t first, int64_t count, float* out) const override {
    for (int64_t row = first; row < first + count; ++row, out += k_) {
      for (int64_t i = 0; i < k_; ++i) out[i] = at(row, i);
    }
  }
  float at(int64_t output, int64_t i) const { return transposed_ ? b_[output * k_ + i] : b_[i * n_ + output]; }

 private:
  const float* b_;
  int64_t n_, k_;
  bool transposed_;
};

/// What the kernels compute, too: they are not given weights with NaN or infinities.
void multiply_in_chains(const Numbers<float>& a, const RightSide& b, int64_t k, MatrixView out) {
  for (int64_t m = 0; m < out.rows; ++m) {
    for (int64_t n = 0; n < out.columns; ++n) {
      float sum = 0.0f;
      for (int64_t i = 0; i < k; ++i) sum = std::fma(a.data[m * k + i], b.at(n, i), sum);
      out.row(m)[n] = sum;
    }
  }
}

/// Keys and values of one sequence in pages.
class Pages {
 public:
  Pages(ConstMatrixView key, ConstMatrixView value, int64_t kv_heads, int64_t head_dim)
      : layer_{.kv_heads = kv_heads, .head_dim = head_dim} {
    const int64_t pages = (key.rows + kKeyValuePageTokens - 1) / kKeyValuePageTokens;
    const size_t bytes = backend().key_value_page_bytes(kv_heads, head_dim, layer_.form);
    memory_.reserve(static_cast<size_t>(pages) * bytes, "keys and values");
    for (int64_t page = 0; page < pages; ++page) {
      pages_.push_back(memory_.data() + static_cast<size_t>(page) * bytes);
    }
    const SequenceSlice all = slice(0, key.rows, 0);
    backend().store_key_value({.key = key, .value = value, .sequences = {&all, 1}, .layer = layer_});
  }

  const KeyValueLayer& layer() const { return layer_; }
  SequenceSlice slice(int64_t first_row, int64_t count, int64_t past) const { return {first_row, count, past, pages_}; }

 private:
  KeyValueLayer layer_;
  AlignedMemory memory_;
  std::vector<std::byte*> pages_;
};

const float* as_optional_vector(Napi::Value value, const std::string& argument, int64_t length) {
  if (is_absent(value)) return nullptr;
  const auto vector = as_floats(value, argument);
  require_length(argument, vector.length, length);
  return vector.data;
}

}  // namespace

Napi::Value multiply_float(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value {
    const auto a = as_floats(call[0], "a"), b = as_floats(call[1], "b");
    const int64_t m = as_length(call[2], "m"), n = as_length(call[3], "n"), k = as_length(call[4], "k");
    require_shape("a", a.length, m, k);
    require_shape("b", b.length, n, k);
    if (m != 0 && n > kMaxLength / m) {
      fail(ErrorCode::invalid_argument, "m x n: ", m, " x ", n, " is more than an array can hold");
    }
    const RightSide right(b.data, n, k, as_boolean(call[5], "transposeB"));
    std::vector<float> out(static_cast<size_t>(m * n));
    if (!out.empty() && std::all_of(b.data, b.data + b.length, [](float x) { return std::isfinite(x); })) {
      const auto weight = backend().pack_linear({"b", n, k, WeightForm::float32, ComputeType::float32}, right, nullptr);
      LinearArguments arguments;
      arguments.input = view(a, m, k);
      arguments.weight = weight.get();
      arguments.out = view(out, m, n);
      backend().linear(arguments);
    } else {
      multiply_in_chains(a, right, k, view(out, m, n));
    }
    return to_float32_array(call.Env(), std::move(out));
  });
}

Napi::Value attend_float(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value {
    const Napi::Object options = as_object(call[3], "options");
    const auto number = [&](const char* name, int64_t minimum) {
      return as_integer(options.Get(name), name, minimum, int64_t{1} << 31);
    };
    const int64_t tokens = number("tokens", 0), keys = number("keys", 0), heads = number("heads", 1);
    const int64_t kv_heads = number("kvHeads", 1), head_dim = number("headDim", 1);
    const auto query = as_floats(call[0], "q"), key = as_floats(call[1], "k"), value = as_floats(call[2], "v");
    require_shape("q", query.length, tokens, heads * head_dim);
    require_shape("k", key.length, keys, kv_heads * head_dim);
    require_shape("v", value.length, keys, kv_heads * head_dim);
    if (heads % kv_heads != 0) {
      fail(ErrorCode::invalid_argument, "heads (", heads, ") must be a multiple of kvHeads (", kv_heads, ")");
    }
    std::vector<float> out(query.length);
    AttentionArguments arguments;
    arguments.query = view(query, tokens, heads * head_dim);
    arguments.out = view(out, tokens, heads * head_dim);
    arguments.heads = heads;
    arguments.scale = static_cast<float>(as_number(options.Get("scale"), "scale"));
    arguments.causal = as_boolean(options.Get("causal"), "causal");
    arguments.window = number("window", 0);
    arguments.softcap = static_cast<float>(as_number(options.Get("softcap"), "softcap"));
    arguments.alibi_slopes = as_optional_vector(options.Get("slopes"), "alibi", heads);
    const bool by_position = arguments.causal || arguments.window > 0 || arguments.alibi_slopes != nullptr;
    if (tokens > keys && (by_position || keys == 0)) {
      fail(ErrorCode::shape_mismatch, "q has ", tokens, " tokens, but k has ", keys,
           ": queries are those of the last keys, so there can't be more of them");
    }
    if (tokens > 0) {
      const Pages pages(view(key, keys, kv_heads * head_dim), view(value, keys, kv_heads * head_dim), kv_heads,
                        head_dim);
      arguments.layer = pages.layer();
      // Queries of more tokens than there are keys have no positions among them; as many at a time as have.
      for (int64_t first = 0; first < tokens; first += keys) {
        const int64_t count = std::min(keys, tokens - first);
        const SequenceSlice slice = pages.slice(first, count, keys - count);
        arguments.sequences = {&slice, 1};
        backend().attention(arguments);
      }
    }
    return to_float32_array(call.Env(), std::move(out));
  });
}

Napi::Value softmax_rows(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value {
    const auto x = as_floats(call[0], "x");
    const int64_t rows = as_length(call[1], "rows"), columns = as_length(call[2], "cols");
    require_shape("x", x.length, rows, columns);
    std::vector<float> out(static_cast<size_t>(x.length));
    const RowKernels& kernels = kernel_table(choose_isa("")).rows;
    for (int64_t at = 0; at < x.length; at += columns) kernels.softmax(x.data + at, out.data() + at, columns);
    return to_float32_array(call.Env(), std::move(out));
  });
}

Napi::Value norm_rows(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value {
    const auto x = as_floats(call[1], "x");
    const int64_t rows = as_length(call[2], "rows"), columns = as_length(call[3], "cols");
    require_shape("x", x.length, rows, columns);
    std::vector<float> out(static_cast<size_t>(x.length));
    NormArguments arguments;
    arguments.kind = as_string(call[0], "kind") == "rms" ? NormKind::rms : NormKind::layer;
    arguments.input = view(x, rows, columns);
    arguments.out = view(out, rows, columns);
    arguments.weight = as_optional_vector(call[4], "weight", columns);
    arguments.bias = as_optional_vector(call[5], "bias", columns);
    arguments.weight_offset = static_cast<float>(as_number(call[6], "weightOffset"));
    arguments.epsilon = static_cast<float>(as_number(call[7], "epsilon"));
    arguments.group = columns;
    if (!out.empty()) backend().norm(arguments);
    return to_float32_array(call.Env(), std::move(out));
  });
}

Napi::Value rope_rows(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value {
    const auto x = as_floats(call[0], "x");
    const std::vector<int32_t> positions = as_int32s(call[1], "positions");
    const auto frequencies = as_floats(call[2], "invFreq");
    const int64_t heads = as_integer(call[3], "heads", 1, int64_t{1} << 31);
    const int64_t head_dim = as_integer(call[4], "headDim", 1, int64_t{1} << 31);
    const auto tokens = static_cast<int64_t>(positions.size());
    require_shape("x", x.length, tokens, heads * head_dim);
    const int64_t rotary_dim = 2 * frequencies.length;
    if (rotary_dim > head_dim) {
      fail(ErrorCode::shape_mismatch, "invFreq rotates ", rotary_dim, " numbers of a head, which has ", head_dim);
    }
    std::vector<float> out = x.copy(), table(static_cast<size_t>(tokens * rotary_dim));
    if (!table.empty()) {
      const RopeFrequencies rope{{frequencies.data, static_cast<size_t>(frequencies.length)}, 1.0f};
      fill_rope_table(positions, rope, view(table, tokens, rotary_dim));
      const auto pairing = as_string(call[5], "pairing") == "half" ? RopePairing::half : RopePairing::adjacent;
      backend().rope(
          {view(out, tokens, heads * head_dim), view(table, tokens, rotary_dim), heads, head_dim, rotary_dim, pairing});
    }
    return to_float32_array(call.Env(), std::move(out));
  });
}

}  // namespace octoformer
