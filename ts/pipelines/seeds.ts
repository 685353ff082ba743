import type { GenerateOptions } from '../generation/options';

/** The seeds of a part of the prompts, where each prompt (or each of its sequences) has its own. */
export function seedsOf(
  { seed }: GenerateOptions,
  first: number,
  count: number,
  prompts: number,
): Pick<GenerateOptions, 'seed'> {
  if (!Array.isArray(seed)) return {};
  const each = seed.length / prompts;
  return { seed: seed.slice(first * each, (first + count) * each) };
}
