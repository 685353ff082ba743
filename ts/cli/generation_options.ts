import type { GenerateOptions } from '../generation/options';
import type { OptionDescriptions, ParsedArguments } from './command';
import { defined } from './model_options';

/** Options of commands that generate text. */
export const GENERATION_OPTIONS = {
  'max-new-tokens': {
    kind: 'integer',
    placeholder: 'N',
    help: "tokens at most (default: the model's own limit, or 256)",
  },
  temperature: {
    kind: 'number',
    placeholder: 'T',
    help: '0 takes the likeliest token each time; higher is more varied',
  },
  'top-p': { kind: 'number', placeholder: 'P', help: 'draw from the likeliest tokens that reach this probability' },
  'top-k': { kind: 'integer', placeholder: 'K', help: 'draw from the K likeliest tokens' },
  'min-p': {
    kind: 'number',
    placeholder: 'P',
    help: "leave out tokens below this share of the likeliest one's probability",
  },
  'repetition-penalty': { kind: 'number', placeholder: 'R', help: 'above 1: tokens that occurred become less likely' },
  seed: { kind: 'integer', placeholder: 'N', help: 'makes draws repeatable' },
  'num-beams': { kind: 'integer', placeholder: 'N', help: 'beam search; the answer comes when it is done' },
  system: { kind: 'text', placeholder: 'TEXT', help: 'system message of a conversation' },
  stats: { kind: 'flag', help: 'tell tokens per second, time to first token and peak memory' },
  json: { kind: 'flag', help: 'print JSON' },
} as const satisfies OptionDescriptions;

const SAMPLING = ['temperature', 'top-p', 'top-k', 'min-p', 'seed'];

/**
 * Options of `generate`. A temperature of 0 means greedy search; any other option of sampling means that sampling is wanted,
 * whatever generation_config.json says; beams alone mean a search for the likeliest text.
 */
export function generationOptions(given: ParsedArguments): GenerateOptions {
  const temperature = given.number('temperature');
  const isGreedy = temperature === 0;
  const samples = SAMPLING.some((name) => given.number(name) !== undefined);
  const options = {
    max_new_tokens: given.number('max-new-tokens'),
    do_sample: isGreedy ? false : samples ? true : given.number('num-beams') ? false : undefined,
    temperature: isGreedy ? undefined : temperature,
    top_p: given.number('top-p'),
    top_k: given.number('top-k'),
    min_p: given.number('min-p'),
    repetition_penalty: given.number('repetition-penalty'),
    seed: given.number('seed'),
    num_beams: given.number('num-beams'),
  };
  return defined(options);
}
