#include "runtime/weight_source.h"

#include <algorithm>
#include <optional>

#include "backend/error.h"

namespace octoformer {

namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

/// How the checkpoint keeps the numbers; none: not as floating point.
std::optional<WeightForm> stored_form(TensorEncoding encoding) {
  switch (encoding) {
    case TensorEncoding::f16:
      return WeightForm::float16;
    case TensorEncoding::bf16:
      return WeightForm::bfloat16;
    case TensorEncoding::i8:
    case TensorEncoding::u8:
    case TensorEncoding::i32:
    case TensorEncoding::i64:
    case TensorEncoding::boolean:
    case TensorEncoding::unsupported:
      return std::nullopt;
    default:
      return WeightForm::float32;
  }
}

/// Row i of the permuted matrix is row map[i] of the given one, as numpy's reshape, transpose, reshape does.
std::vector<int64_t> permutation_map(const PermuteRows& permute, int64_t rows, const std::string& name) {
  const size_t rank = permute.dims.size();
  const auto refuse = [&](const char* rule) {
    fail(ErrorCode::invalid_argument, "program: permute_rows of ", name, ": ", rule, " (dims ",
         shape_text(permute.dims), ", axes ", shape_text(permute.axes), ", rows ", rows, ")");
  };
  int64_t product = 1;
  for (const int64_t dim : permute.dims) {
    if (product > rows) break;
    product *= dim;
  }
  if (product != rows) refuse("the product of dims must be the number of rows");
  std::vector<bool> seen(rank);
  if (permute.axes.size() != rank) refuse("axes must name every dimension once");
  for (const int64_t axis : permute.axes) {
    if (axis >= static_cast<int64_t>(rank) || seen[static_cast<size_t>(axis)])
      refuse("axes must name every dimension once");
    seen[static_cast<size_t>(axis)] = true;
  }
  std::vector<int64_t> strides(rank, 1);
  for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * permute.dims[i];
  std::vector<int64_t> map(static_cast<size_t>(rows));
  for (int64_t row = 0; row < rows; ++row) {
    int64_t rest = row;
    int64_t source = 0;
    for (size_t i = rank; i-- > 0;) {
      const auto axis = static_cast<size_t>(permute.axes[i]);
      source += rest % permute.dims[axis] * strides[axis];
      rest /= permute.dims[axis];
    }
    map[static_cast<size_t>(row)] = source;
  }
  return map;
}

}  // namespace

class WeightSource::Part {
 public:
  Part(const WeightPart& part, WeightRole role, int64_t wanted_columns, const std::string& weight_name,
       const Checkpoint& checkpoint)
      : checkpoint_(checkpoint), tensor_(checkpoint.at(part.tensor)), transpose_(part.transpose) {
    const std::string origin = checkpoint.file_of(tensor_) + ": tensor " + tensor_.name;
    if (tensor_.shape != part.shape) {
      fail(ErrorCode::shape_mismatch, origin, " has shape ", shape_text(tensor_.shape), ", but the model needs ",
           shape_text(part.shape), "; config.json and the weights don't belong together");
    }
    if (!stored_form(tensor_.encoding)) {
      fail(ErrorCode::invalid_checkpoint, origin, " is stored as ", tensor_.dtype,
           ", which can't be used as a weight; floating-point numbers or a supported GGUF type are needed");
    }
    flat_ = role == WeightRole::vector;
    if (!flat_ && tensor_.shape.size() < 2) refuse(weight_name, "a matrix is needed, the tensor is a vector");
    if (transpose_ && tensor_.shape.size() != 2) refuse(weight_name, "only a matrix can be transposed");
    int64_t rows = flat_ ? tensor_.rows() * tensor_.columns() : tensor_.rows();
    int64_t columns = flat_ ? 1 : tensor_.columns();
    if (transpose_) std::swap(rows, columns);
    if (columns != wanted_columns) {
      fail(ErrorCode::shape_mismatch, origin, " gives rows of ", columns, " numbers, but ", weight_name,
           " has rows of ", wanted_columns);
    }
    stored_rows_ = rows;
    rows_ = rows;
    if (part.permute_rows) map_ = permutation_map(*part.permute_rows, rows, weight_name);
    if (part.take_rows) {
      if (part.take_rows->first > rows || part.take_rows->count > rows - part.take_rows->first) {
        fail(ErrorCode::shape_mismatch, origin, " has ", rows, " rows, but ", weight_name, " takes [",
             part.take_rows->first, ", ", part.take_rows->first + part.take_rows->count, ")");
      }
      first_ = part.take_rows->first;
      rows_ = part.take_rows->count;
    }
  }

  int64_t rows() const { return rows_; }
  const TensorInfo& tensor() const { return tensor_; }
  uint64_t stored_bytes() const {
    if (stored_rows_ == 0) return 0;
    return static_cast<uint64_t>(static_cast<double>(tensor_.bytes) * static_cast<double>(rows_) /
                                 static_cast<double>(stored_rows_));
  }

  void read(int64_t first, int64_t count, int64_t columns, float* out) const {
    if (!flat_ && !transpose_ && map_.empty()) {
      checkpoint_.read_rows(tensor_, first_ + first, count, out);
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = map_.empty() ? first_ + first + i : map_[static_cast<size_t>(first_ + first + i)];
      if (flat_ || transpose_) {
        const float* source = whole().data() + row * columns;
        std::copy(source, source + columns, out + i * columns);
      } else {
        checkpoint_.read_rows(tensor_, row, 1, out + i * columns);
      }
    }
  }

 private:
  [[noreturn]] static void refuse(const std::string& weight_name, const char* rule) {
    fail(ErrorCode::invalid_argument, "program: weight ", weight_name, ": ", rule);
  }

  /// The whole tensor as float32, transposed if need be: a row of a transposed tensor is a column in the file, and
  /// decoding the file again for every few of them would take quadratic time.
  const std::vector<float>& whole() const {
    std::call_once(whole_once_, [this] {
      const int64_t rows = tensor_.rows();
      const int64_t columns = tensor_.columns();
      std::vector<float> whole(static_cast<size_t>(rows * columns));
      if (transpose_) {
        std::vector<float> row(static_cast<size_t>(columns));
        for (int64_t i = 0; i < rows; ++i) {
          checkpoint_.read_rows(tensor_, i, 1, row.data());
          for (int64_t j = 0; j < columns; ++j) whole[static_cast<size_t>(j * rows + i)] = row[static_cast<size_t>(j)];
        }
      } else {
        checkpoint_.read_rows(tensor_, 0, rows, whole.data());
      }
      whole_ = std::move(whole);
    });
    return whole_;
  }

  const Checkpoint& checkpoint_;
  const TensorInfo& tensor_;
  const bool transpose_;
  bool flat_ = false;
  int64_t stored_rows_ = 0;
  int64_t rows_ = 0;
  int64_t first_ = 0;
  std::vector<int64_t> map_;  // empty: the identity
  mutable std::once_flag whole_once_;
  mutable std::vector<float> whole_;
};

WeightSource::WeightSource(const WeightDescription& description, const Checkpoint& checkpoint)
    : checkpoint_(checkpoint) {
  columns_ = description.role == WeightRole::linear ? description.shape[1] : 1;
  std::optional<WeightForm> common;
  bool mixed = false;
  for (const WeightPart& part : description.parts) {
    parts_.push_back(std::make_unique<Part>(part, description.role, columns_, description.name, checkpoint));
    const Part& added = *parts_.back();
    rows_ += added.rows();
    stored_bytes_ += added.stored_bytes();
    const WeightForm form = *stored_form(added.tensor().encoding);
    mixed = mixed || (common && *common != form);
    common = form;
  }
  if (rows_ != description.shape[0]) {
    fail(ErrorCode::shape_mismatch, origin(), ": the parts of weight ", description.name, " give ", rows_,
         " rows, but its shape is ", shape_text(description.shape));
  }
  form_ = description.form.value_or(mixed ? WeightForm::float32 : *common);
}

WeightSource::~WeightSource() = default;

std::string WeightSource::origin() const {
  std::string text;
  for (const auto& part : parts_) {
    if (!text.empty()) text += ", ";
    text += checkpoint_.file_of(part->tensor()) + ": tensor " + part->tensor().name;
  }
  return text;
}

void WeightSource::read_rows(int64_t first, int64_t count, float* out) const {
  const int64_t asked = count;
  for (const auto& part : parts_) {
    if (count == 0) break;
    if (first >= part->rows()) {
      first -= part->rows();
      continue;
    }
    const int64_t here = std::min(count, part->rows() - first);
    part->read(first, here, columns_, out);
    out += here * columns_;
    count -= here;
    first = 0;
  }
  if (on_read_ && rows_ > 0) {
    on_read_(static_cast<uint64_t>(static_cast<double>(stored_bytes_) * static_cast<double>(asked) /
                                   static_cast<double>(rows_)));
  }
}

}  // namespace octoformer
