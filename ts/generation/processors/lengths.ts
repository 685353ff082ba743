import { removing } from './bias';
import { lowering, type Processor, removed } from './processor';

/** Removes the end-of-sequence ids while the sequence, prompt included, is shorter than `minLength`. */
export function minLength(minLength: number, eosTokenIds: readonly number[]): Processor {
  return removing((ids) => (ids.length < minLength ? eosTokenIds : []));
}

/** Leaves only the token, where the sequence has one token: the decoder's start token. */
export function forcedBos(tokenId: number): Processor {
  return forcing((ids) => (ids.length === 1 ? [tokenId] : []));
}

/** Leaves only these tokens for the last place of a sequence of `maxLength` tokens. */
export function forcedEos(tokenIds: readonly number[], maxLength: number): Processor {
  return forcing((ids) => (ids.length === maxLength - 1 ? tokenIds : []));
}

/** Leaves only the tokens that it is told for a sequence, if any. */
function forcing(tokensAfter: (ids: readonly number[]) => readonly number[]): Processor {
  return lowering(tokensAfter, (ids, scores) => {
    const tokens = tokensAfter(ids);
    if (tokens.length === 0) return;
    scores.fill(removed);
    for (const id of tokens) scores[id] = 0;
  });
}

/**
 * Raises the end-of-sequence ids by |score| (factor^n - 1), n tokens after the start: a text of more than `start` new tokens is drawn
 * to its end.
 */
export function exponentialDecay(
  [start, factor]: readonly [number, number],
  eosTokenIds: readonly number[],
  promptLength: number,
): Processor {
  return (ids, scores) => {
    const beyond = ids.length - promptLength - start;
    if (beyond <= 0) return;
    const growth = Math.fround(factor ** beyond - 1);
    for (const id of new Set(eosTokenIds)) {
      const score = scores[id];
      if (score !== undefined && Number.isFinite(score)) scores[id] = score + Math.fround(Math.abs(score) * growth);
    }
  };
}
