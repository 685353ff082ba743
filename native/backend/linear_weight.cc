#include "backend/linear_weight.h"

#include "backend/error.h"

namespace octoformer {

Int8Rows LinearWeight::int8_rows(int64_t, int64_t) const {
  fail(ErrorCode::invalid_argument, description_.name,
       ": only a weight of the form int8 has int8 rows; load it with a quantization first");
}

}  // namespace octoformer
