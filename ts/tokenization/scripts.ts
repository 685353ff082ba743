/** The scripts of Unicode, for the pre-tokenizer that cuts between them. */
const NAMES =
  'Common Latin Han Cyrillic Arabic Greek Hebrew Hangul Devanagari Thai Bengali Tamil Telugu Kannada Malayalam Gujarati Gurmukhi Oriya ' +
  'Sinhala Lao Tibetan Myanmar Georgian Armenian Ethiopic Khmer Mongolian Inherited Bopomofo Canadian_Aboriginal Cherokee Syriac Thaana Nko ' +
  'Tifinagh Yi Vai Runic Ogham Braille Coptic Gothic Glagolitic Javanese Balinese Sundanese Tagalog Cham Lisu Bamum Meetei_Mayek Ol_Chiki Lepcha ' +
  'Limbu Tai_Le New_Tai_Lue Tai_Tham Tai_Viet Saurashtra Syloti_Nagri Phags_Pa Kayah_Li Rejang Buginese Batak Hanunoo Buhid Tagbanwa';

const scripts = NAMES.split(' ').map((name) => ({ name, regex: new RegExp(`^\\p{Script=${name}}$`, 'u') }));
const known = new Map<string, string | null>();

/**
 * The script of a character as SentencePiece groups them: the two kana and U+30FC count as Han, a space and characters without a script go with any
 * (null), and so do rare ancient scripts.
 */
export function scriptOf(character: string): string | null {
  if (character === ' ') return null;
  const cached = known.get(character);
  if (cached !== undefined) return cached;
  const isKana = character === '\u30fc' || /^[\p{Script=Hiragana}\p{Script=Katakana}]$/u.test(character);
  const script = isKana ? 'Han' : (scripts.find(({ regex }) => regex.test(character))?.name ?? null);
  known.set(character, script);
  return script;
}
