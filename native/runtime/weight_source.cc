#include "runtime/weight_source.h"

#include <algorithm>
#include <cstring>
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
      : checkpoint_(checkpoint),
        tensor_(checkpoint.at(part.tensor)),
        scale_(part.scale.empty() ? nullptr : &checkpoint.at(part.scale)),
        transpose_(part.transpose) {
    const std::string origin = checkpoint.file_of(tensor_) + ": tensor " + tensor_.name;
    if (tensor_.shape != part.shape) {
      fail(ErrorCode::shape_mismatch, origin, " has shape ", shape_text(tensor_.shape), ", but the model needs ",
           shape_text(part.shape), "; config.json and the weights don't belong together");
    }
    if (scale_ != nullptr) {
      check_int8(origin, role);
    } else if (!stored_form(tensor_.encoding)) {
      fail(ErrorCode::invalid_checkpoint, origin, " is stored as ", tensor_.dtype,
           ", which can't be used as a weight; floating-point numbers or a supported GGUF type are needed",
           tensor_.encoding == TensorEncoding::i8 ? ", or a tensor of scales beside it" : "");
    }
    flat_ = role == WeightRole::vector;
    if (transpose_ && tensor_.shape.size() != 2) refuse(weight_name, "only a matrix can be transposed");
    int64_t rows = flat_ ? tensor_.rows() * tensor_.columns() : tensor_.rows();
    int64_t columns = flat_ ? 1 : tensor_.columns();
    if (transpose_) std::swap(rows, columns);
    if (columns != wanted_columns) {
      fail(ErrorCode::shape_mismatch, origin, " gives rows of ", columns, " numbers, but ", weight_name,
           " has rows of ", wanted_columns);
    }
    stored_rows_ = rows;
    if (part.entry) {
      if (flat_ || transpose_ || tensor_.shape.size() != 3) refuse(weight_name, "only a stack of matrices has entries");
      if (*part.entry >= tensor_.shape[0]) {
        fail(ErrorCode::shape_mismatch, origin, " has ", tensor_.shape[0], " entries, but ", weight_name,
             " takes number ", *part.entry);
      }
      rows = tensor_.shape[1];
      begin_ = *part.entry * rows;
    }
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
  bool int8() const { return scale_ != nullptr; }
  /// How floats of it are best kept.
  WeightForm form() const { return int8() ? WeightForm::float32 : *stored_form(tensor_.encoding); }
  uint64_t stored_bytes() const {
    if (stored_rows_ == 0) return 0;
    return static_cast<uint64_t>(static_cast<double>(tensor_.bytes) * static_cast<double>(rows_) /
                                 static_cast<double>(stored_rows_));
  }

  void read(int64_t first, int64_t count, int64_t columns, float* out) const {
    if (int8()) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = stored_row(first + i);
        checkpoint_.read_rows(tensor_, row, 1, out + i * columns);
        const float step = absmax(row) / 127.0f;
        for (int64_t k = 0; k < columns; ++k) out[i * columns + k] *= step;
      }
      return;
    }
    if (transpose_ && checkpoint_.has_single_numbers(tensor_)) {
      read_transposed(first, count, columns, out);
      return;
    }
    if (!flat_ && !transpose_ && map_.empty()) {
      checkpoint_.read_rows(tensor_, begin_ + first_ + first, count, out);
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = stored_row(first + i);
      if (flat_ || transpose_) {
        const float* source = whole().data() + row * columns;
        std::copy(source, source + columns, out + i * columns);
      } else {
        checkpoint_.read_rows(tensor_, row, 1, out + i * columns);
      }
    }
  }

  /// Rows of a transposed tensor are columns of the file, which are read side by side, row of the file by row.
  void read_transposed(int64_t first, int64_t count, int64_t columns, float* out) const {
    std::vector<float> numbers(static_cast<size_t>(count));
    for (int64_t i = 0; i < count;) {
      const int64_t column = stored_row(first + i);
      int64_t together = 1;  // that follow one another in the file
      while (i + together < count && stored_row(first + i + together) == column + together) ++together;
      for (int64_t k = 0; k < columns; ++k) {
        checkpoint_.read_numbers(tensor_, k * stored_rows_ + column, together, numbers.data());
        for (int64_t j = 0; j < together; ++j) out[(i + j) * columns + k] = numbers[static_cast<size_t>(j)];
      }
      i += together;
    }
  }

  /// Of a part that is int8.
  void read_int8(int64_t first, int64_t count, int64_t columns, int8_t* out, float* absmax_out) const {
    const std::span<const std::byte> bytes = checkpoint_.bytes(tensor_);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = stored_row(first + i);
      std::memcpy(out + i * columns, bytes.data() + row * columns, static_cast<size_t>(columns));
      absmax_out[i] = absmax(row);
    }
  }

 private:
  int64_t stored_row(int64_t row) const {
    return begin_ + (map_.empty() ? first_ + row : map_[static_cast<size_t>(first_ + row)]);
  }

  float absmax(int64_t row) const {
    float value;  // the file's numbers need not be aligned
    std::memcpy(&value, checkpoint_.bytes(*scale_).data() + row * static_cast<int64_t>(sizeof value), sizeof value);
    return value;
  }

  void check_int8(const std::string& origin, WeightRole role) const {
    const std::string scale_origin = checkpoint_.file_of(*scale_) + ": tensor " + scale_->name;
    if (tensor_.encoding != TensorEncoding::i8) {
      fail(ErrorCode::invalid_checkpoint, origin, " is stored as ", tensor_.dtype, ", but ", scale_->name,
           " holds scales for int8 (I8) numbers; the checkpoint's quantization is of another kind");
    }
    if (scale_->encoding != TensorEncoding::f32) {
      fail(ErrorCode::invalid_checkpoint, scale_origin, " is stored as ", scale_->dtype,
           "; scales of an int8 weight must be F32");
    }
    if (role == WeightRole::vector || transpose_ || tensor_.shape.size() != 2) {
      fail(ErrorCode::invalid_argument, "program: ", origin,
           ": only a matrix that is not transposed can have scales (`scale`)");
    }
    if (scale_->rows() * scale_->columns() != tensor_.rows()) {
      fail(ErrorCode::shape_mismatch, scale_origin, " has shape ", shape_text(scale_->shape), ", but ", tensor_.name,
           " has ", tensor_.rows(), " rows, each of which needs a scale");
    }
  }

  [[noreturn]] static void refuse(const std::string& weight_name, const char* rule) {
    fail(ErrorCode::invalid_argument, "program: weight ", weight_name, ": ", rule);
  }

  /// The whole tensor as float32, transposed if need be: a row of a transposed tensor is a column in the file, and
  /// decoding blocks of the file again for every few of them would take quadratic time.
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
  const TensorInfo* const scale_;  // null: the tensor holds floating-point numbers
  const bool transpose_;
  bool flat_ = false;
  int64_t stored_rows_ = 0;
  int64_t rows_ = 0;
  int64_t begin_ = 0;  // the row that the entry begins with
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
    const WeightForm form = added.form();
    all_int8_ = all_int8_ && added.int8();
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

int64_t WeightSource::part_rows(size_t index) const { return parts_[index]->rows(); }

std::string WeightSource::origin() const {
  std::string text;
  for (const auto& part : parts_) {
    if (!text.empty()) text += ", ";
    text += checkpoint_.file_of(part->tensor()) + ": tensor " + part->tensor().name;
  }
  return text;
}

template <class Read>
void WeightSource::for_parts(int64_t first, int64_t count, const Read& read) const {
  int64_t done = 0;
  for (const auto& part : parts_) {
    if (done == count) break;
    if (first >= part->rows()) {
      first -= part->rows();
      continue;
    }
    const int64_t here = std::min(count - done, part->rows() - first);
    read(*part, first, here, done);
    done += here;
    first = 0;
  }
  if (on_read_ && rows_ > 0) {
    on_read_(static_cast<uint64_t>(static_cast<double>(stored_bytes_) * static_cast<double>(count) /
                                   static_cast<double>(rows_)));
  }
}

void WeightSource::read_rows(int64_t first, int64_t count, float* out) const {
  for_parts(first, count, [&](const Part& part, int64_t from, int64_t here, int64_t done) {
    part.read(from, here, columns_, out + done * columns_);
  });
}

void WeightSource::read_int8_rows(int64_t first, int64_t count, int8_t* out, float* absmax) const {
  for_parts(first, count, [&](const Part& part, int64_t from, int64_t here, int64_t done) {
    part.read_int8(from, here, columns_, out + done * columns_, absmax + done);
  });
}

}  // namespace octoformer
