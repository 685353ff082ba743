import type { GenerateOptions, GenerateOutput } from '../../../ts';
import { type Comparison, sameIds } from './comparison';

/** What Python's `generate()` found for one input. */
export interface SearchCase {
  readonly kwargs: GenerateOptions;
  /** Of a decoder without the prompt; up to the first end-of-sequence id. */
  readonly sequences: readonly (readonly number[])[];
  readonly sequences_scores?: readonly number[];
}

/** The options of a case over the defaults that golden files have: no end token, nothing drawn. */
export function searchOptions({ kwargs }: SearchCase): GenerateOptions {
  return { eos_token_id: null, do_sample: false, ...kwargs };
}

/** The sequences of a search, best first, and their scores. @param promptLength ids that each sequence begins with and the golden ones don't */
export function compareSearch(
  name: string,
  { sequences, sequences_scores = [] }: SearchCase,
  found: GenerateOutput,
  promptLength = 0,
): Comparison[] {
  const scores = found.sequences_scores ?? [];
  const missing =
    Math.abs(scores.length - sequences_scores.length) + Math.abs(found.sequences.length - sequences.length);
  return [
    ...sequences.map((ids, index) => sameIds(`${name}.${index}`, found.sequences[index]?.slice(promptLength), ids)),
    // The bound of the goldens' README: sums of some ten float32 log-probabilities.
    ...sequences_scores.map((score, index) => ({
      name: `${name}.${index}.score`,
      difference: Math.abs((scores[index] ?? Number.NaN) - score),
      allowed: 1e-3,
    })),
    { name: `${name}: as many`, difference: missing, allowed: 0 },
  ];
}
