/** Character classes with the Unicode properties that the reference implementation uses. */

/** Body of a character class (for flag `v`): the White_Space property. JavaScript's own `\s` differs in U+0085 and U+FEFF. */
export const WHITE_SPACE = '\\p{White_Space}';
/** Body of a character class: what Oniguruma and Rust call a word character. */
export const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}';

const whiteSpace = /^\p{White_Space}$/u;

/** Whether a character (one code point) has the White_Space property. */
export function isWhitespace(character: string): boolean {
  const code = character.charCodeAt(0);
  if (code < 0x80) return code === 0x20 || (code >= 9 && code <= 13);
  return whiteSpace.test(character);
}

/** Punctuation as BERT sees it: every ASCII symbol, and all of category P. Class body for flag `u`. */
export const BERT_PUNCTUATION = '!-\\/:-@\\[-`\\{-~\\p{P}';

/** Code points of a well-formed string as strings. */
export function characters(text: string): string[] {
  return Array.from(text);
}

/** Bytes of UTF-8 that a code point takes. */
export function utf8Length(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}

const loneSurrogates = /\p{Surrogate}/gu;

/** Replaces lone surrogates, which no UTF-8 text can hold, by U+FFFD. Lengths, and with them offsets, stay the same. */
export function toWellFormed(text: string): string {
  return loneSurrogates.test(text) ? text.replace(loneSurrogates, '\ufffd') : text;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII is meant
const nonAscii = /[^\x00-\x7f]/;

export function isAscii(text: string): boolean {
  return !nonAscii.test(text);
}
