import { WHITE_SPACE, WORD } from './unicode';

/** POSIX bracket classes as Oniguruma defines them for Unicode; bodies of character classes for flag `v`. */
export const POSIX: Readonly<Record<string, string>> = {
  alnum: '\\p{Alphabetic}\\p{Nd}',
  alpha: '\\p{Alphabetic}',
  ascii: '\\u{0}-\\u{7f}',
  blank: '\\p{Zs}\\t',
  cntrl: '\\p{Cc}\\p{Cf}\\p{Cn}\\p{Co}',
  digit: '\\p{Nd}',
  graph: '[\\u{21}-\\u{10ffff}--[\\p{White_Space}\\p{Cc}\\p{Cn}\\p{Cs}]]',
  lower: '\\p{Lowercase}',
  print: '[\\u{20}-\\u{10ffff}--[\\p{Cc}\\p{Cn}\\p{Cs}\\p{Zl}\\p{Zp}]]',
  punct: '\\p{P}\\p{S}',
  space: WHITE_SPACE,
  upper: '\\p{Uppercase}',
  word: WORD,
  xdigit: '0-9A-Fa-f',
};

/** What simple case folding joins to ASCII letters from outside of ASCII. */
const FOLDED_TO_ASCII: Readonly<Record<string, string>> = { k: '\u212a', s: '\u017f' };

export function codePoint(character: string): number {
  return character.codePointAt(0) as number;
}

/** All code points equal to this one under simple case folding, itself first. */
export function caseVariants(code: number): number[] {
  const character = String.fromCodePoint(code);
  const lower = character.toLowerCase();
  const variants = [character, lower, character.toUpperCase(), lower.toUpperCase(), FOLDED_TO_ASCII[lower] ?? ''];
  for (const [ascii, folded] of Object.entries(FOLDED_TO_ASCII))
    if (folded === character) variants.push(ascii, ascii.toUpperCase());
  const codes = variants.filter((variant) => [...variant].length === 1).map(codePoint);
  return [...new Set(codes)];
}
