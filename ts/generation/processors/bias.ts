import { lowering, type Processor, removed } from './processor';

/** A sequence of tokens, and what is added to the score of its last token where the others stand right before. */
export type SequenceBias = readonly [sequence: readonly number[], bias: number];

/** Adds biases to tokens, and to tokens that complete a sequence. Of equal sequences the last one counts, as in a Python dictionary. */
export function sequenceBias(biases: readonly SequenceBias[]): Processor {
  const distinct = [...new Map(biases.map((bias) => [bias[0].join(), bias])).values()];
  const sumsAfter = (ids: readonly number[]) => {
    const sums = new Map<number, number>();
    for (const [sequence, bias] of distinct) {
      const last = sequence.at(-1) ?? -1;
      if (completes(sequence, ids)) sums.set(last, (sums.get(last) ?? 0) + bias);
    }
    return sums;
  };
  const process: Processor = (ids, scores) => {
    for (const [id, sum] of sumsAfter(ids)) {
      const score = scores[id];
      if (score !== undefined) scores[id] = score + sum;
    }
  };
  return distinct.every(([, bias]) => bias <= 0) ? lowering((ids) => sumsAfter(ids).keys(), process) : process;
}

/** Removes tokens that would complete a word; a word that is an end-of-sequence id alone is ignored, as in Hugging Face. */
export function noBadWords(words: readonly (readonly number[])[], eosTokenIds: readonly number[]): Processor {
  const kept = words.filter((word) => word.length !== 1 || !eosTokenIds.includes(word[0] ?? -1));
  return sequenceBias(kept.map((word): SequenceBias => [word, removed]));
}

/** Whether all of the sequence but its last token ends `ids`. */
function completes(sequence: readonly number[], ids: readonly number[]): boolean {
  const prefix = sequence.length - 1;
  if (prefix > ids.length) return false;
  for (let place = 0; place < prefix; place++) {
    if (sequence[place] !== ids[ids.length - prefix + place]) return false;
  }
  return true;
}

/** Removes tokens; those outside the vocabulary are ignored, as in Hugging Face. */
export function suppressTokens(tokens: readonly number[]): Processor {
  return removing(() => tokens);
}

/** Removes tokens where the sequence has `beginIndex` tokens: as the first one that is generated. */
export function suppressTokensAtBegin(tokens: readonly number[], beginIndex: number): Processor {
  return removing((ids) => (ids.length === beginIndex ? tokens : []));
}

/** Removes the tokens that it is told for a sequence; those outside the vocabulary are ignored. */
export function removing(tokensAfter: (ids: readonly number[]) => readonly number[]): Processor {
  return lowering(tokensAfter, (ids, scores) => {
    for (const id of tokensAfter(ids)) {
      if (id < scores.length) scores[id] = removed;
    }
  });
}
