#include "formats/gguf_metadata.h"

#include <string>
#include <unordered_set>
#include <utility>

#include "formats/quoted.h"

namespace octoformer {

namespace {

/// Arrays of arrays are legal, but no writer makes them; the reader recurses once a level.
constexpr int kMaxArrayDepth = 8;

/// The specification's limit of a key.
constexpr size_t kMaxKeyBytes = 65535;

/// An array's element type (4 bytes) and count (8): the least that an inner array takes.
constexpr uint64_t kLeastArrayBytes = 12;

enum class ValueType : uint32_t {
  uint8 = 0,
  int8 = 1,
  uint16 = 2,
  int16 = 3,
  uint32 = 4,
  int32 = 5,
  float32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  uint64 = 10,
  int64 = 11,
  float64 = 12,
};

bool read_bool(GgufCursor& cursor) {
  const auto byte = cursor.read<uint8_t>();
  if (byte > 1) cursor.refuse("a boolean has the value ", int{byte}, "; the file is damaged");
  return byte == 1;
}

/// The elements of an array of numbers stored as `Stored`.
template <class Stored, class Element>
std::vector<Element> read_numbers(GgufCursor& cursor) {
  const uint64_t count = cursor.read_count("elements", sizeof(Stored));
  std::vector<Element> elements;
  elements.reserve(count);
  for (uint64_t i = 0; i < count; ++i) elements.push_back(static_cast<Element>(cursor.read<Stored>()));
  return elements;
}

MetadataVariant read_value(GgufCursor& cursor, ValueType type, int depth);

MetadataVariant read_array(GgufCursor& cursor, int depth) {
  if (depth > kMaxArrayDepth) cursor.refuse("arrays are nested deeper than the limit of ", kMaxArrayDepth, " levels");
  const auto type = static_cast<ValueType>(cursor.read<uint32_t>());
  switch (type) {
    case ValueType::uint8:
      return read_numbers<uint8_t, int64_t>(cursor);
    case ValueType::int8:
      return read_numbers<int8_t, int64_t>(cursor);
    case ValueType::uint16:
      return read_numbers<uint16_t, int64_t>(cursor);
    case ValueType::int16:
      return read_numbers<int16_t, int64_t>(cursor);
    case ValueType::uint32:
      return read_numbers<uint32_t, int64_t>(cursor);
    case ValueType::int32:
      return read_numbers<int32_t, int64_t>(cursor);
    case ValueType::int64:
      return read_numbers<int64_t, int64_t>(cursor);
    case ValueType::uint64:
      return read_numbers<uint64_t, uint64_t>(cursor);
    case ValueType::float32:
      return read_numbers<float, double>(cursor);
    case ValueType::float64:
      return read_numbers<double, double>(cursor);
    case ValueType::boolean: {
      const uint64_t count = cursor.read_count("elements", 1);
      std::vector<bool> elements;
      elements.reserve(count);
      for (uint64_t i = 0; i < count; ++i) elements.push_back(read_bool(cursor));
      return elements;
    }
    case ValueType::string: {
      const uint64_t count = cursor.read_count("strings", sizeof(uint64_t));
      GgufCursor ahead = cursor;
      size_t bytes = 0;
      for (uint64_t i = 0; i < count; ++i) bytes += ahead.read_string().size();
      StringList strings;
      strings.reserve(count, bytes);
      for (uint64_t i = 0; i < count; ++i) strings.push_back(cursor.read_string());
      return strings;
    }
    case ValueType::array: {
      const uint64_t count = cursor.read_count("arrays", kLeastArrayBytes);
      std::vector<MetadataValue> arrays;
      arrays.reserve(count);
      for (uint64_t i = 0; i < count; ++i) arrays.push_back({read_array(cursor, depth + 1)});
      return arrays;
    }
  }
  cursor.refuse("an array has elements of unknown type ", static_cast<uint32_t>(type));
}

MetadataVariant read_value(GgufCursor& cursor, ValueType type, int depth) {
  switch (type) {
    case ValueType::uint8:
      return int64_t{cursor.read<uint8_t>()};
    case ValueType::int8:
      return int64_t{cursor.read<int8_t>()};
    case ValueType::uint16:
      return int64_t{cursor.read<uint16_t>()};
    case ValueType::int16:
      return int64_t{cursor.read<int16_t>()};
    case ValueType::uint32:
      return int64_t{cursor.read<uint32_t>()};
    case ValueType::int32:
      return int64_t{cursor.read<int32_t>()};
    case ValueType::int64:
      return cursor.read<int64_t>();
    case ValueType::uint64:
      return cursor.read<uint64_t>();
    case ValueType::float32:
      return double{cursor.read<float>()};
    case ValueType::float64:
      return cursor.read<double>();
    case ValueType::boolean:
      return read_bool(cursor);
    case ValueType::string:
      return std::string(cursor.read_string());
    case ValueType::array:
      return read_array(cursor, depth);
  }
  cursor.refuse("the value is of unknown type ", static_cast<uint32_t>(type));
}

}  // namespace

Metadata read_gguf_metadata(GgufCursor& cursor, uint64_t count) {
  Metadata metadata;
  std::unordered_set<std::string_view> keys;  // views of the file
  for (uint64_t i = 0; i < count; ++i) {
    cursor.set_context("metadata key " + std::to_string(i) + ": ");
    const std::string_view key = cursor.read_string();
    if (key.size() > kMaxKeyBytes) cursor.refuse("has ", key.size(), " bytes, the limit is ", kMaxKeyBytes);
    cursor.set_context("metadata key " + quoted(key) + ": ");
    if (!keys.insert(key).second) cursor.refuse("occurs twice");
    const auto type = static_cast<ValueType>(cursor.read<uint32_t>());
    metadata.push_back({std::string(key), {read_value(cursor, type, 1)}});
  }
  cursor.set_context("");
  return metadata;
}

}  // namespace octoformer
