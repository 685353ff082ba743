import { OctoformerError } from '../binding/error';
import { type Processor, removed } from './processors/processor';
import { largestPlaces } from './processors/selection';

/** Log-probabilities of the next token: of the likeliest ones, the largest first and of equal ones the lower id. */
export interface NextTokens {
  readonly tokens: ArrayLike<number>;
  readonly logProbabilities: ArrayLike<number>;
}

/** The `count` likeliest of all tokens. */
export function likeliestOf(logProbabilities: Float32Array, count: number): NextTokens {
  const tokens = largestPlaces(logProbabilities, count);
  return { tokens, logProbabilities: tokens.map((token) => logProbabilities[token] ?? removed) };
}

/**
 * Log-probabilities of all tokens after the processors: changes the row.
 * @throws OctoformerError INTERNAL where one is NaN
 */
export function processedRow(row: Float32Array, ids: readonly number[], processors: Processor): Float32Array {
  processors(ids, row);
  let place = 0;
  while (place < row.length && !Number.isNaN(row[place])) place++;
  if (place === row.length) return row;
  throw new OctoformerError(
    'INTERNAL',
    `the score of token ${place} is NaN: the model overflowed; check the checkpoint, load it with dtype float32, or give remove_invalid_values: true`,
  );
}

/** Processors that say what they lower, applied to the likeliest tokens alone: it finds what they would find among all tokens. */
export class LikeliestTokens {
  readonly #scores: Float32Array;

  constructor(vocabularySize: number) {
    this.#scores = new Float32Array(vocabularySize).fill(removed);
  }

  /**
   * @param before the likeliest tokens, `count` more than `lowered` has (or all tokens)
   * @param lowered what the processors lower after `ids`
   * @returns the `count` likeliest ones after the processors
   */
  processed(
    before: NextTokens,
    ids: readonly number[],
    processors: Processor,
    lowered: ReadonlySet<number>,
    count: number,
  ): NextTokens {
    if (lowered.size === 0) return before;
    const scores = this.#scores;
    const known = new Set(lowered);
    for (let place = 0; place < before.tokens.length; place++) {
      const token = before.tokens[place] ?? 0;
      known.add(token);
      scores[token] = before.logProbabilities[place] ?? removed;
    }
    processors(ids, scores);
    const tokens = [...known].filter((token) => token < scores.length).sort((left, right) => left - right);
    const best = largestPlaces(
      tokens.map((token) => scores[token] ?? removed),
      count,
    ).map((place) => tokens[place] ?? 0);
    // Where fewer are possible, those that are not follow: all that is not known here is removed then.
    const enough = best.length === count && best.every((token) => (scores[token] ?? removed) > removed);
    const after = enough ? best : largestPlaces(scores, count);
    const logProbabilities = after.map((token) => scores[token] ?? removed);
    for (const token of tokens) scores[token] = removed;
    return { tokens: after, logProbabilities };
  }
}
