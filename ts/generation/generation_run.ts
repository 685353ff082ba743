import type { FinishReason } from './ending';

/** Counts and times of one call of `generate`, in milliseconds. */
export interface GenerationStatistics {
  /** Tokens of the prompts that were computed (those in a `past` cache are not). */
  readonly promptTokens: number;
  readonly newTokens: number;
  /** Runs that read prompts, and runs that only made tokens. */
  readonly promptMilliseconds: number;
  readonly decodeMilliseconds: number;
  /** New tokens made in the latter. */
  readonly decodeTokens: number;
  /** From the call to the first new token. */
  readonly timeToFirstToken: number;
  /** Tokens that prompt lookup guessed, and those of them that were right. */
  readonly guessedTokens: number;
  readonly acceptedTokens: number;
}

/** What a generation gives besides the sequences, where it was asked for. */
export interface GenerationExtras {
  /** Of beam search: the log-probability of each sequence, divided by (new tokens)^length_penalty. */
  readonly sequences_scores?: number[];
  /**
   * By step, then by sequence (of beam search: by beam, prompt after prompt): what the processors made of the logits (of the
   * log-probabilities). Null where the sequence had ended.
   */
  readonly scores?: (Float32Array | null)[][];
  /** The same before the processors. */
  readonly logits?: (Float32Array | null)[][];
  /** Of beam search with `output_scores`: for each token of a sequence, the beam of `scores` that it continued. */
  readonly beam_indices?: number[][];
}

/** One generation over a ragged batch: `step()` until it is `done`, then `dispose()`. */
export interface GenerationRun {
  readonly done: boolean;
  /** Prompt and new tokens of every sequence so far. */
  readonly sequences: number[][];
  readonly finishReasons: FinishReason[];
  readonly statistics: GenerationStatistics;
  readonly extras: GenerationExtras;
  /**
   * One native call for all sequences that are not finished: prompts are read in pieces, the others go on.
   * @param most tokens that a sequence may gain: more than one spares the way through JavaScript between them. Default: 1
   * @returns how many tokens the first sequence gained: none while prompts are read, and in beam search all of them at the end
   * @throws OctoformerError ABORTED, DISPOSED, OUT_OF_MEMORY, and what own functions throw
   */
  step(most?: number): Promise<number>;
  /** The last tokens of the first sequence. */
  lastTokens(count: number): readonly number[];
  /** Frees the caches that it made. */
  dispose(): void;
}
