#include "formats/quoted.h"

#include <algorithm>

namespace octoformer {

std::string quoted(std::string_view text) {
  constexpr size_t kShown = 120;
  constexpr char kHex[] = "0123456789abcdef";
  std::string shown = "\"";
  size_t end = std::min(text.size(), kShown);
  // Not in the middle of a UTF-8 sequence.
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  for (const char character : text.substr(0, end)) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte < 0x20 || byte == 0x7f) {
      shown += "\\x";
      shown += kHex[byte >> 4];
      shown += kHex[byte & 15];
    } else {
      shown += character;
    }
  }
  shown += end < text.size() ? "...\"" : "\"";
  return shown;
}

}  // namespace octoformer
