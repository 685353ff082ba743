/**
 * What followed the last tokens at an earlier place of the sequence (Saxena 2023, "Prompt lookup decoding"): of the longest n-gram that
 * occurs before, at its first place, as Hugging Face's PromptLookupCandidateGenerator takes it.
 * @param longest tokens of the longest n-gram to look up
 * @param most tokens to give at most
 * @param eos guesses end before such an id
 */
export function lookUpContinuation(
  ids: readonly number[],
  longest: number,
  most: number,
  eos: readonly number[],
): readonly number[] {
  if (most <= 0) return [];
  for (let size = Math.min(longest, ids.length - 1); size > 0; size--) {
    const end = ids.length - size;
    for (let begin = 0; begin < end; begin++) {
      let same = 0;
      while (same < size && ids[begin + same] === ids[end + same]) same++;
      if (same < size) continue;
      const found = ids.slice(begin + size, begin + size + most);
      const stop = found.findIndex((id) => eos.includes(id));
      return stop < 0 ? found : found.slice(0, stop);
    }
  }
  return [];
}
