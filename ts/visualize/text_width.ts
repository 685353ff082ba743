const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60]/u;

/** Columns that a text takes where every character has the same width. */
export function cells(text: string): number {
  let count = 0;
  for (const character of text) {
    if (/\p{Mn}/u.test(character)) continue; // marks stand on the character before
    count += wide.test(character) ? 2 : 1;
  }
  return count;
}
