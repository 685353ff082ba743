import type { ConfigValues } from './config';

/** Options of generation that config.json had before there was a generation_config.json (BART's, mBART's and Marian's still have them). */
const keys = [
  'max_length',
  'min_length',
  'do_sample',
  'early_stopping',
  'num_beams',
  'num_beam_groups',
  'diversity_penalty',
  'temperature',
  'top_k',
  'top_p',
  'typical_p',
  'repetition_penalty',
  'length_penalty',
  'no_repeat_ngram_size',
  'encoder_no_repeat_ngram_size',
  'bad_words_ids',
  'num_return_sequences',
  'bos_token_id',
  'eos_token_id',
  'decoder_start_token_id',
  'forced_bos_token_id',
  'forced_eos_token_id',
  'remove_invalid_values',
  'exponential_decay_length_penalty',
  'suppress_tokens',
  'begin_suppress_tokens',
];

/** What a config.json says of generation: in force, as in transformers, where the checkpoint has no generation_config.json. */
export function generationValues(config: ConfigValues): ConfigValues {
  return Object.fromEntries(
    keys.filter((key) => config[key] !== undefined && config[key] !== null).map((key) => [key, config[key]]),
  );
}
