// Names out of files, as messages show them.
#pragma once
#include <string>
#include <string_view>

namespace octoformer {

/// In quotes, control characters escaped, cut where it gets longer than a line.
std::string quoted(std::string_view text);

}  // namespace octoformer
