import type { TokenizedText, Tokenizer } from '../tokenization';
import { printable } from './markup';

/** A token of a text. */
export interface VisualToken {
  readonly id: number;
  /** As the vocabulary writes it, such as `Ġworld` or `##ing`. */
  readonly piece: string;
  /** What it stands for: the part of the text, or (of a token that is in no text) what it decodes to; empty for tokens that were put in. */
  readonly text: string;
  /** Of that part, in UTF-16 units; the end is exclusive. 0 and 0 for a token that is in no text. */
  readonly start: number;
  readonly end: number;
  /** Whether decoding can leave it out, such as `[CLS]`. */
  readonly special: boolean;
}

/** The tokens of a text, and of a second one after it where there is one. */
export function tokensOfText(
  tokenizer: Tokenizer,
  { input_ids, tokens, offsets, special_tokens_mask }: TokenizedText,
  text: string,
  pair?: string,
): VisualToken[] {
  const special = new Set(tokenizer.all_special_ids);
  // Which text a token is of: models without token types have the same type for both.
  let left =
    pair === undefined ? input_ids.length : tokenizer.encode(text, { add_special_tokens: false }).input_ids.length;
  return input_ids.map((id, index) => {
    const [start, end] = offsets[index] ?? [0, 0];
    const isPutIn = special_tokens_mask[index] === 1;
    const source = left > 0 ? text : (pair ?? '');
    if (!isPutIn) left--;
    return {
      id,
      piece: tokens[index] ?? '',
      text: source.slice(start, end),
      start,
      end,
      special: isPutIn || special.has(id),
    };
  });
}

/** Tokens that a model made. */
export function tokensOfIds(tokenizer: Tokenizer, ids: readonly number[]): VisualToken[] {
  const special = new Set(tokenizer.all_special_ids);
  return ids.map((id) => ({
    id,
    piece: tokenizer.convert_ids_to_tokens(id) ?? '',
    text: special.has(id) ? '' : tokenizer.decode([id]),
    start: 0,
    end: 0,
    special: special.has(id),
  }));
}

/** Characters that a token is labelled with at most. */
const longestLabel = 16;

/** A token in a few characters: its text, spaces at the ends shown, or its piece where it has no text of its own. */
export function tokenLabel({ piece, text }: VisualToken): string {
  const own = text === '' || text.includes('\ufffd') ? piece : text;
  const shown = [...printable(own.replace(/^ +| +$/g, (spaces) => '\u00b7'.repeat(spaces.length)))];
  return shown.length <= longestLabel ? shown.join('') : `${shown.slice(0, longestLabel - 1).join('')}\u2026`;
}

/** Of `step` neighbours one label: the first and the last. */
export function groupLabels(tokens: readonly VisualToken[], step: number): string[] {
  const labels: string[] = [];
  for (let first = 0; first < tokens.length; first += step) {
    const [begin, end] = [tokens[first], tokens[Math.min(first + step, tokens.length) - 1]];
    if (!begin || !end) continue;
    labels.push(begin === end ? tokenLabel(begin) : `${tokenLabel(begin)} \u2026 ${tokenLabel(end)}`);
  }
  return labels;
}
