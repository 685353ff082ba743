export interface Processor {
  /**
   * Changes the scores of the next token in place.
   * @param ids the sequence so far, the prompt among them
   * @param scores a logit (in beam search: a log-probability) for every token of the vocabulary; -Infinity removes a token
   */
  (ids: readonly number[], scores: Float32Array): void;
  /**
   * Where that is known beforehand: the tokens whose log-probabilities it lowers, or sets whatever they were. It leaves those of all other
   * tokens as they are, or removes all of them: so the likeliest tokens are found among a few more of the likeliest before, and these.
   */
  readonly lowers?: (ids: readonly number[]) => Iterable<number>;
}

/** A processor that says what it lowers. */
export function lowering(lowers: NonNullable<Processor['lowers']>, process: Processor): Processor {
  return Object.assign(process, { lowers });
}

/**
 * A processor of the caller's own: it changes `scores` in place, or returns another array of the same length. It runs, as in Hugging Face,
 * after the built-in processors and before temperature and what cuts the distribution.
 * @param input_ids the sequence so far, the prompt among them
 * @param scores as for the built-in ones; the array is used again for other tokens afterwards, so copy what you keep
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a function without `return` is meant
export type LogitsProcessor = (input_ids: readonly number[], scores: Float32Array) => Float32Array | void;

export const removed = Number.NEGATIVE_INFINITY;
