import { type AlignedText, applyChanges, prepend, removeMatches, replaceRanges } from './aligned_text';
import { mapToByteCharacters } from './byte_characters';
import type { JsonPart } from './json_part';
import { PrecompiledCharsmap } from './precompiled_charsmap';
import { type Matcher, readPattern } from './regex';
import { isAscii, isWhitespace } from './unicode';
import { normalizeUnicode } from './unicode_normalization';

/** Changes a text before it is cut into words. Every step keeps the alignment with the original. */
export type Normalizer = (text: AlignedText) => AlignedText;

/** Sequences within sequences; published files have one level. */
const MAX_DEPTH = 16;

function lowercase(source: AlignedText): AlignedText {
  const { text } = source;
  // Sigma depends on its neighbours in a whole string, and dotted capital I becomes two characters: both go one by one.
  if (!/[\u0130\u03a3]/.test(text)) {
    const lower = text.toLowerCase();
    if (lower.length === text.length) return source.withSameShape(lower);
  }
  const characters: string[] = [];
  const changes: number[] = [];
  for (const character of text) {
    let change = 0;
    for (const part of character.toLowerCase()) {
      characters.push(part);
      changes.push(change);
      change = 1;
    }
  }
  return applyChanges(source, { characters, changes });
}

function replaceAll(source: AlignedText, matcher: Matcher, content: string): AlignedText {
  const { literal } = matcher;
  if (
    literal !== null &&
    literal.length > 0 &&
    [...literal].length === 1 &&
    [...content].length === 1 &&
    literal.length === content.length
  )
    return source.withSameShape(source.text.replaceAll(literal, () => content));
  const ranges = matcher.find(source.text);
  return ranges.length === 0 ? source : replaceRanges(source, ranges, content);
}

function strip(source: AlignedText, left: boolean, right: boolean): AlignedText {
  const characters = Array.from(source.text);
  let first = 0;
  let end = characters.length;
  if (left) while (first < characters.length && isWhitespace(characters[first] as string)) first++;
  if (right) while (end > first && isWhitespace(characters[end - 1] as string)) end--;
  const before = characters.slice(0, first).join('').length;
  return source.slice(before, before + characters.slice(first, end).join('').length);
}

/** Controls (but tab, line feed, carriage return), U+0000 and U+FFFD: what BERT's cleaning drops. */
const bertRemoved = /[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu;
const bertSpaces = /\p{White_Space}/gu;
const CJK_RANGES =
  '\\u{4e00}-\\u{9fff}\\u{3400}-\\u{4dbf}\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}\\u{2b740}-\\u{2b81f}\\u{2b920}-\\u{2ceaf}\\u{f900}-\\u{faff}\\u{2f800}-\\u{2fa1f}';
const cjk = new RegExp(`[${CJK_RANGES}]`, 'u');

function surroundCjk(source: AlignedText): AlignedText {
  if (!cjk.test(source.text)) return source;
  const characters: string[] = [];
  const changes: number[] = [];
  for (const character of source.text) {
    if (cjk.test(character)) {
      characters.push(' ', character, ' ');
      changes.push(0, 1, 1);
    } else {
      characters.push(character);
      changes.push(0);
    }
  }
  return applyChanges(source, { characters, changes });
}

function bertNormalizer(part: JsonPart): Normalizer {
  const cleanText = part.get('clean_text').boolean(true);
  const handleChinese = part.get('handle_chinese_chars').boolean(true);
  const lower = part.get('lowercase').boolean(true);
  const stripAccents = part.get('strip_accents').boolean(lower);
  return (source) => {
    let text = source;
    if (cleanText) {
      text = removeMatches(text, bertRemoved);
      text = text.withSameShape(text.text.replace(bertSpaces, ' '));
    }
    if (handleChinese) text = surroundCjk(text);
    if (stripAccents && !isAscii(text.text)) text = removeMatches(normalizeUnicode(text, 'NFD'), /\p{Mn}/gu);
    return lower ? lowercase(text) : text;
  };
}

/** SentencePiece's NMT rules: some controls go, line ends and invisible spaces become spaces. */
function nmt(source: AlignedText): AlignedText {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what it removes
  const kept = removeMatches(source, /[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]/gu);
  return kept.withSameShape(kept.text.replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/gu, ' '));
}

/** Builds the normalizer of a tokenizer.json. Throws INVALID_TOKENIZER for an unknown type. */
export function readNormalizer(part: JsonPart, depth = 0): Normalizer {
  if (depth > MAX_DEPTH) throw part.fail(`more than ${MAX_DEPTH} sequences within sequences`);
  const type = part.get('type').string();
  switch (type) {
    case 'Sequence': {
      const steps = part
        .get('normalizers')
        .list()
        .map((step) => readNormalizer(step, depth + 1));
      return (text) => steps.reduce((result, step) => step(result), text);
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text) => normalizeUnicode(text, type);
    case 'Lowercase':
      return lowercase;
    case 'StripAccents':
      return (text) => (isAscii(text.text) ? text : removeMatches(text, /\p{M}/gu));
    case 'Strip': {
      const left = part.get('strip_left').boolean(true);
      const right = part.get('strip_right').boolean(true);
      return (text) => strip(text, left, right);
    }
    case 'Replace': {
      const matcher = readPattern(part.get('pattern'));
      const content = part.get('content').string();
      return (text) => replaceAll(text, matcher, content);
    }
    case 'Prepend': {
      const prefix = part.get('prepend').string();
      return (text) => prepend(text, prefix);
    }
    case 'Precompiled': {
      const map = new PrecompiledCharsmap(part.get('precompiled_charsmap'));
      return (text) => map.normalize(text);
    }
    case 'BertNormalizer':
      return bertNormalizer(part);
    case 'Nmt':
      return nmt;
    case 'ByteLevel':
      return mapToByteCharacters;
    default:
      throw part.fail(`unknown normalizer type ${JSON.stringify(type)}`, 'this version of octoformer does not know it');
  }
}
