#include "formats/tokenizer_json.h"

#include <charconv>
#include <cstdint>
#include <utility>
#include <vector>

namespace octoformer {

namespace {

/// A part of the text.
struct Extent {
  size_t begin = 0;
  size_t end = 0;
};

/// What was read is not as it has to be: the whole file is left to others.
struct Unusual {};

void require(bool holds) {
  if (!holds) throw Unusual();
}

/// Goes through JSON value by value. Throws Unusual.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  /// Calls `member(key)` in front of each value of an object, which it must read or skip.
  template <class Member>
  void object(Member member) {
    expect('{');
    if (take('}')) return;
    do {
      std::string key;
      string(key);
      expect(':');
      member(key);
    } while (take(','));
    expect('}');
  }

  template <class Element>
  void array(Element element) {
    expect('[');
    if (take(']')) return;
    do element();
    while (take(','));
    expect(']');
  }

  /// The next character that is no space.
  char peek() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
    require(at_ < text_.size());
    return text_[at_];
  }

  /// A string, its escapes decoded.
  void string(std::string& out) {
    expect('"');
    for (;;) {
      const size_t begin = at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
             static_cast<uint8_t>(text_[at_]) >= 0x20) {
        ++at_;
      }
      require(at_ < text_.size() && static_cast<uint8_t>(text_[at_]) >= 0x20);
      out += text_.substr(begin, at_ - begin);
      if (text_[at_++] == '"') return;
      escape(out);
    }
  }

  uint32_t number() {
    peek();
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    require(error == std::errc());
    const size_t length = static_cast<size_t>(end - text_.data()) - at_;
    require(length == 1 || text_[at_] != '0');
    at_ += length;
    return value;
  }

  /// Where the next value stands, whose own grammar is not looked at beyond its strings and brackets.
  Extent skip() {
    peek();
    Extent extent{at_, at_};
    size_t depth = 0;
    do {
      const char next = peek();
      if (next == '"') {
        std::string ignored;
        string(ignored);
      } else if (next == '{' || next == '[') {
        ++depth;
        ++at_;
      } else if (next == '}' || next == ']') {
        require(depth > 0);
        --depth;
        ++at_;
      } else if (next == ',' || next == ':') {
        require(depth > 0);
        ++at_;
      } else {
        while (at_ < text_.size() && std::string_view(",:]}\" \n\r\t").find(text_[at_]) == std::string_view::npos)
          ++at_;
      }
    } while (depth > 0);
    extent.end = at_;
    return extent;
  }

  size_t place() const { return at_; }

 private:
  bool take(char character) {
    if (peek() != character) return false;
    ++at_;
    return true;
  }
  void expect(char character) { require(take(character)); }

  uint32_t hex4() {
    require(text_.size() - at_ >= 4);
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, value, 16);
    require(error == std::errc() && end == text_.data() + at_ + 4);
    at_ += 4;
    return value;
  }

  void escape(std::string& out) {
    require(at_ < text_.size());
    constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    const char name = text_[at_++];
    if (const size_t known = kNames.find(name); known != std::string_view::npos) {
      out += kMeanings[known];
      return;
    }
    require(name == 'u');
    uint32_t point = hex4();
    if (point >= 0xd800 && point < 0xe000) {  // half of a pair; by itself it is no UTF-8
      require(point < 0xdc00 && text_.substr(at_, 2) == "\\u");
      at_ += 2;
      const uint32_t low = hex4();
      require(low >= 0xdc00 && low < 0xe000);
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    if (point < 0x80) {
      out += static_cast<char>(point);
      return;
    }
    const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    out += static_cast<char>((0xff00 >> (more + 1) & 0xff) | point >> (6 * more));
    for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | (point >> (6 * i) & 0x3f));
  }

  std::string_view text_;
  size_t at_ = 0;
};

/// Tokens in the order of the file, and their places there by ids.
struct Vocabulary {
  StringList tokens;
  std::vector<size_t> places;
};

Vocabulary read_vocabulary(Scanner& scanner) {
  Vocabulary vocabulary;
  std::vector<uint32_t> ids;
  scanner.object([&](const std::string& token) {
    vocabulary.tokens.push_back(token);
    ids.push_back(scanner.number());
  });
  vocabulary.places.assign(ids.size(), SIZE_MAX);
  for (size_t i = 0; i < ids.size(); ++i) {
    require(ids[i] < ids.size() && vocabulary.places[ids[i]] == SIZE_MAX);
    vocabulary.places[ids[i]] = i;
  }
  return vocabulary;
}

/// Left and right token of each in turn: of texts with one space, or of lists of two.
StringList read_merges(Scanner& scanner) {
  StringList merges;
  std::string text;
  const auto token = [&] {
    text.clear();
    scanner.string(text);
    merges.push_back(text);
  };
  scanner.array([&] {
    const size_t before = merges.size();
    if (scanner.peek() == '[') {
      scanner.array(token);
      require(merges.size() == before + 2);
      return;
    }
    text.clear();
    scanner.string(text);
    const std::optional<MergeText> merge = split_merge(text);
    require(merge.has_value());
    merges.push_back(merge->first);
    merges.push_back(merge->second);
  });
  return merges;
}

struct Model {
  std::optional<Vocabulary> vocabulary;
  std::optional<StringList> merges;
  Extent vocabulary_place, merges_place;
  /// Two tokens make together what they are one behind the other.
  bool joins = true;
};

Model read_model(Scanner& scanner, std::string_view text) {
  Model model;
  const auto read = [&](auto& into, Extent& place, auto reader) {
    require(!into);
    scanner.peek();
    place.begin = scanner.place();
    into = reader(scanner);
    place.end = scanner.place();
  };
  scanner.object([&](const std::string& key) {
    if (key == "vocab") {
      read(model.vocabulary, model.vocabulary_place, read_vocabulary);
    } else if (key == "merges") {
      read(model.merges, model.merges_place, read_merges);
    } else {
      const Extent place = scanner.skip();
      const std::string_view value = text.substr(place.begin, place.end - place.begin);
      if (key == "continuing_subword_prefix") model.joins = value == "null" || value == "\"\"";
    }
  });
  return model;
}

TokenizerJson read(std::string_view text) {
  Scanner scanner(text);
  std::optional<Model> model;
  scanner.object([&](const std::string& key) {
    if (key == "model") {
      require(!model);
      model = read_model(scanner, text);
    } else {
      scanner.skip();
    }
  });
  require(model && model->vocabulary && (model->joins || !model->merges));
  const Vocabulary& vocabulary = *model->vocabulary;
  TokenTexts texts;
  texts.tokens = vocabulary.places.size();
  texts.token = [&](size_t id) { return vocabulary.tokens[vocabulary.places[id]]; };
  texts.merges = model->merges ? model->merges->size() / 2 : 0;
  texts.merge = [&](size_t rank) { return MergeText((*model->merges)[2 * rank], (*model->merges)[2 * rank + 1]); };
  std::optional<TokenTables> tables = make_token_tables(texts);
  require(tables.has_value());

  TokenizerJson result{{}, std::move(*tables)};
  size_t copied = 0;
  std::vector<Extent> left_out = {model->vocabulary_place};
  if (model->merges) {
    const bool before = model->merges_place.begin < model->vocabulary_place.begin;
    left_out.insert(before ? left_out.begin() : left_out.end(), model->merges_place);
  }
  for (const Extent& part : left_out) {
    result.rest.append(text.substr(copied, part.begin - copied)).append("null");
    copied = part.end;
  }
  result.rest.append(text.substr(copied));
  return result;
}

}  // namespace

std::optional<TokenizerJson> read_tokenizer_json(std::string_view text) {
  try {
    return read(text);
  } catch (const Unusual&) {
    return std::nullopt;
  }
}

}  // namespace octoformer
