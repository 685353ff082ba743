import { remove } from './bias';
import { type Processor, removed } from './processor';

/** Removes the end-of-sequence ids while the sequence, prompt included, is shorter than `minLength`. */
export function minLength(minLength: number, eosTokenIds: readonly number[]): Processor {
  return (ids, scores) => {
    if (ids.length < minLength) remove(eosTokenIds, scores);
  };
}

/** Leaves only the token, where the sequence has one token: the decoder's start token. */
export function forcedBos(tokenId: number): Processor {
  return (ids, scores) => {
    if (ids.length === 1) force([tokenId], scores);
  };
}

/** Leaves only these tokens for the last place of a sequence of `maxLength` tokens. */
export function forcedEos(tokenIds: readonly number[], maxLength: number): Processor {
  return (ids, scores) => {
    if (ids.length === maxLength - 1) force(tokenIds, scores);
  };
}

function force(tokenIds: readonly number[], scores: Float32Array): void {
  scores.fill(removed);
  for (const id of tokenIds) scores[id] = 0;
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
