import type { TokenizedText, Tokenizer } from '../tokenization';

/**
 * Whether a token continues the word of the token before it, as transformers' pipelines tell: a WordPiece token differs from its text by
 * its prefix; other tokens begin where the text before them has no space.
 * @param text what the token's offsets point into
 */
export function continuesWord(
  tokenizer: Tokenizer,
  { tokens, input_ids, offsets }: TokenizedText,
  text: string,
  place: number,
): boolean {
  const [start, end] = offsets[place] ?? [0, 0];
  if (input_ids[place] === tokenizer.unk_token_id) return false;
  if (hasContinuingPrefix(tokenizer)) return [...(tokens[place] ?? '')].length !== [...text.slice(start, end)].length;
  return start > 0 && !text.slice(start - 1, start + 1).includes(' ');
}

const prefixes = new WeakMap<Tokenizer, boolean>();

/** Whether tokens within a word are marked as such (`##ing`). */
function hasContinuingPrefix(tokenizer: Tokenizer): boolean {
  const known = prefixes.get(tokenizer);
  if (known !== undefined) return known;
  const found = Object.keys(tokenizer.get_vocab()).some((token) => /^##\w/u.test(token));
  prefixes.set(tokenizer, found);
  return found;
}

/** The text that tokens stand for. */
export function textOfTokens(tokenizer: Tokenizer, tokens: readonly string[]): string {
  const stream = tokenizer.createDecoderStream({ clean_up_tokenization_spaces: false });
  return tokens.map((token) => stream.push(token)).join('') + stream.flush();
}
