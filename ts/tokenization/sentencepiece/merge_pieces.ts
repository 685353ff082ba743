import { MinHeap } from '../min_heap';

/** Pairs are joined in the order of (rank, position), packed into one number: positions stay below 2^32. */
const RANK_UNIT = 2 ** 32;

/** What SentencePiece's byte pair encoding asks of a vocabulary. */
export interface MergeablePieces {
  /** The place of a piece among all by its score, 0 the best, the same for the same score; undefined for what is no piece. */
  rank(piece: string): number | undefined;
  /** Pieces that only serve to make others are taken apart again in the end. */
  isUnused(piece: string): boolean;
  /** Length of a symbol of the user that begins at a place, which is joined with nothing; 0 where there is none. */
  frozenLength(text: string, at: number): number;
}

/**
 * Byte pair encoding as SentencePiece does it (bpe_model.cc): of all neighbours that make a piece together the pair whose piece has the highest score
 * is joined first, the leftmost of equals.
 * @returns the pieces, which joined are the text
 */
export function mergePieces(text: string, pieces: MergeablePieces): string[] {
  const symbols: string[] = [];
  const frozen: boolean[] = [];
  for (let at = 0; at < text.length; ) {
    const length = pieces.frozenLength(text, at);
    const end = length > 0 ? at + length : at + ((text.codePointAt(at) as number) > 0xffff ? 2 : 1);
    symbols.push(text.slice(at, end));
    frozen.push(length > 0);
    at = end;
  }
  const count = symbols.length;
  const previous = Int32Array.from(symbols, (_, i) => i - 1);
  const next = Int32Array.from(symbols, (_, i) => (i + 1 < count ? i + 1 : -1));
  const queue = new MinHeap();
  /** Unused pieces, with the two that they were joined of. */
  const joinedOf = new Map<string, readonly [string, string]>();
  const offer = (left: number, right: number): void => {
    if (left < 0 || right < 0 || frozen[left] || frozen[right]) return;
    const pair = [symbols[left] as string, symbols[right] as string] as const;
    const joined = pair.join('');
    const rank = pieces.rank(joined);
    if (rank === undefined) return;
    queue.push(rank * RANK_UNIT + left);
    if (pieces.isUnused(joined)) joinedOf.set(joined, pair);
  };
  for (let i = 0; i + 1 < count; i++) offer(i, i + 1);
  for (let top = queue.pop(); top !== undefined; top = queue.pop()) {
    const rank = Math.floor(top / RANK_UNIT);
    const left = top - rank * RANK_UNIT;
    const right = next[left] as number;
    if (symbols[left] === '' || right < 0) continue;
    const joined = (symbols[left] as string) + (symbols[right] as string);
    // The entry is stale if what stands here now makes another piece.
    if (pieces.rank(joined) !== rank) continue;
    symbols[left] = joined;
    symbols[right] = '';
    const after = next[right] as number;
    next[left] = after;
    if (after >= 0) previous[after] = left;
    offer(previous[left] as number, left);
    offer(left, after);
  }
  const result: string[] = [];
  for (const symbol of symbols) if (symbol !== '') takeApart(symbol, joinedOf, pieces, result);
  return result;
}

/** Puts a piece into `out`, or the used ones that it was joined of. */
function takeApart(
  piece: string,
  joinedOf: ReadonlyMap<string, readonly [string, string]>,
  pieces: MergeablePieces,
  out: string[],
): void {
  const waiting = [piece];
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    const pair = pieces.isUnused(one) ? joinedOf.get(one) : undefined;
    if (pair === undefined) out.push(one);
    else waiting.push(pair[1], pair[0]);
  }
}
