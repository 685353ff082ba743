import type { TokensData } from './tokens_data';

/** A part of a text: what a token stands for, or (without one) what no token stands for. */
export interface TextPiece {
  readonly text: string;
  /** The first token of this part, by its place among all. */
  readonly token?: number;
}

/** A text cut where its tokens are. Several tokens of one character are one piece; tokens that stand for nothing have none. */
export function textPieces({ text, tokens }: TokensData): TextPiece[] {
  const pieces: TextPiece[] = [];
  let at = 0;
  for (const [index, { start, end }] of tokens.entries()) {
    if (end <= at) continue;
    const begin = Math.max(at, start);
    if (begin > at) pieces.push({ text: text.slice(at, begin) });
    pieces.push({ text: text.slice(begin, end), token: index });
    at = end;
  }
  if (at < text.length) pieces.push({ text: text.slice(at) });
  return pieces;
}

/** What is said below a text of its tokens. */
export function describeCounts({ text, tokens }: TokensData): string {
  return `${tokens.length} tokens, ${[...text].length} characters`;
}
