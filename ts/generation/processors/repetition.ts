import { removing } from './bias';
import { lowering, type Processor } from './processor';

/**
 * Divides positive scores of the tokens in a sequence and multiplies negative ones, each token once (Keskar et al. 2019, "CTRL", section
 * 4.1); a penalty below 1 rewards them.
 */
function penalize(ids: Iterable<number>, scores: Float32Array, penalty: number): void {
  for (const id of new Set(ids)) {
    const score = scores[id];
    if (score !== undefined) scores[id] = score < 0 ? score * penalty : score / penalty;
  }
}

/** @param ignored tokens at the beginning of the sequence that don't count */
export function repetitionPenalty(penalty: number, ignored = 0): Processor {
  const rounded = Math.fround(penalty); // as in the native sampler, which then gives the same bits
  const process: Processor = (ids, scores) => penalize(ids.slice(ignored), scores, rounded);
  return rounded >= 1 ? lowering((ids) => ids.slice(ignored), process) : process;
}

/** Rewards the tokens of the encoder's input, against hallucinations. */
export function encoderRepetitionPenalty(penalty: number, encoderIds: readonly number[]): Processor {
  const reward = Math.fround(1 / penalty);
  return (_, scores) => penalize(encoderIds, scores, reward);
}

/** Removes tokens that would complete an n-gram which the sequence has already. */
export function noRepeatNgrams(size: number): Processor {
  return removing((ids) => completions(ids, ids, size));
}

/** Removes tokens that would complete an n-gram of the encoder's input. */
export function noRepeatEncoderNgrams(size: number, encoderIds: readonly number[]): Processor {
  return removing((ids) => completions(encoderIds, ids, size));
}

/** What follows, in `text`, the last `size - 1` tokens of `ids`. */
function completions(text: readonly number[], ids: readonly number[], size: number): number[] {
  const found: number[] = [];
  const begin = ids.length - (size - 1);
  if (begin < 0) return found;
  for (let last = size - 1; last < text.length; last++) {
    let same = true;
    for (let place = 1; same && place < size; place++) same = text[last - place] === ids[ids.length - place];
    if (same) found.push(text[last] ?? -1);
  }
  return found;
}
