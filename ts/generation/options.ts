import { OctoformerError } from '../binding/error';
import { checkNumber, checkOptions, describeValue } from '../binding/options';
import type { ConfigValues } from '../models/config';
import type { Streamer } from './streamer';

/** What stop strings need of a tokenizer. */
export interface Decoder {
  decode(ids: readonly number[], options?: { readonly skip_special_tokens?: boolean }): string;
}

/** Options of `generate`, with Hugging Face's names. Where one is left out, the checkpoint's generation_config.json decides. */
export interface GenerateOptions {
  /** New tokens at most; 20 if neither this nor `max_length` is given. */
  readonly max_new_tokens?: number;
  /** Prompt and new tokens together at most; `max_new_tokens` wins. */
  readonly max_length?: number;
  /** No end-of-sequence id is chosen before so many new tokens. */
  readonly min_new_tokens?: number;
  /** Draw from the distribution (true), or take the likeliest token (false, the default). */
  readonly do_sample?: boolean;
  /** Divides the logits; above 0. */
  readonly temperature?: number;
  /** Draw from the so many likeliest tokens; 50 by default, 0: all. */
  readonly top_k?: number;
  /** Draw from the likeliest tokens whose probabilities reach this sum (Holtzman et al. 2020). */
  readonly top_p?: number;
  /** Leave out tokens less likely than this share of the likeliest one's probability. */
  readonly min_p?: number;
  /** Divides positive logits, multiplies negative ones, of tokens seen already (Keskar et al. 2019). */
  readonly repetition_penalty?: number;
  /**
   * Makes draws repeatable: a number for all sequences (each draws as it would alone), or one a sequence. Without it every call
   * draws anew.
   */
  readonly seed?: number | bigint | readonly (number | bigint)[];
  /** Ids that end a sequence; null: none. */
  readonly eos_token_id?: number | readonly number[] | null;
  /** Texts that end a sequence; they stay in it. Needs `tokenizer`. */
  readonly stop_strings?: string | readonly string[];
  readonly tokenizer?: Decoder;
  /** Gets the prompt and then every token, for one sequence. */
  readonly streamer?: Streamer;
  readonly signal?: AbortSignal;
}

/** Options checked, with every default filled in. */
export interface GenerationSettings {
  /** New tokens at most, for a prompt of so many tokens. */
  readonly newTokens: (prompt: number) => number;
  readonly minNewTokens: number;
  readonly doSample: boolean;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly seed: (sequence: number) => bigint;
  readonly eosTokenIds: readonly number[];
  readonly stopStrings: readonly string[];
  readonly tokenizer: Decoder | undefined;
  readonly streamer: Streamer | undefined;
  readonly signal: AbortSignal | undefined;
}

const where = 'generate()';

const known = [
  'max_new_tokens',
  'max_length',
  'min_new_tokens',
  'do_sample',
  'temperature',
  'top_k',
  'top_p',
  'min_p',
  'repetition_penalty',
  'seed',
  'eos_token_id',
  'stop_strings',
  'tokenizer',
  'streamer',
  'signal',
];

/** Options of Hugging Face that are not implemented, with the values that change nothing and are therefore accepted. */
const neutralValues: Readonly<Record<string, readonly unknown[]>> = {
  typical_p: [1],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  no_repeat_ngram_size: [0],
  encoder_no_repeat_ngram_size: [0],
  bad_words_ids: [],
  sequence_bias: [],
  suppress_tokens: [],
  begin_suppress_tokens: [],
  forced_bos_token_id: [],
  forced_eos_token_id: [],
  exponential_decay_length_penalty: [],
  num_beams: [1],
  num_beam_groups: [1],
  length_penalty: [1],
  early_stopping: [false],
  num_return_sequences: [1],
  return_dict_in_generate: [],
  output_scores: [false],
  output_logits: [false],
  output_attentions: [false],
  output_hidden_states: [false],
  prompt_lookup_num_tokens: [],
  assistant_model: [],
  logitsProcessors: [],
  stoppingCriteria: [],
  logits_processor: [],
  stopping_criteria: [],
  min_length: [0],
  top_h: [],
  encoder_repetition_penalty: [1],
  diversity_penalty: [0],
  renormalize_logits: [false],
  guidance_scale: [1],
  constraints: [],
  force_words_ids: [],
  penalty_alpha: [0],
  max_time: [],
  remove_invalid_values: [false],
  watermarking_config: [],
  dola_layers: [],
  low_memory: [false],
  token_healing: [false],
  use_cache: [true],
};

/** New tokens where nothing says how many, as in transformers. */
const defaultNewTokens = 20;
const defaultTopK = 50;

/**
 * Checks the options of a call and fills in defaults: first those of generation_config.json, then (ids only) of config.json, then
 * Hugging Face's.
 * @throws OctoformerError UNKNOWN_OPTION, UNSUPPORTED_OPTION, INVALID_ARGUMENT
 */
export function generationSettings(
  options: GenerateOptions,
  generationConfig: ConfigValues,
  config: ConfigValues,
  sequences: number,
): GenerationSettings {
  refuseUnsupported(options, generationConfig);
  const value = <Key extends keyof GenerateOptions>(key: Key): unknown =>
    options[key] ?? generationConfig[key] ?? undefined;
  const number = (key: keyof GenerateOptions, otherwise: number, range: Parameters<typeof checkNumber>[3]): number =>
    checkNumber(where, key, value(key) ?? otherwise, range);
  const doSample = value('do_sample') ?? false;
  if (typeof doSample !== 'boolean') throw invalid('do_sample', doSample, 'true or false');
  const temperature = number('temperature', 1, { least: 0 });
  if (doSample && temperature === 0) {
    throw invalid('temperature', 0, 'above 0 (for the likeliest token give do_sample: false)');
  }
  const stopStrings = stopStringsOf(value('stop_strings'), options.tokenizer);
  if (options.streamer && sequences !== 1) {
    throw new OctoformerError('INVALID_ARGUMENT', `${where}: a streamer takes one sequence, not ${sequences}`);
  }
  return {
    newTokens: lengthRule(options, generationConfig),
    minNewTokens: number('min_new_tokens', 0, { least: 0, integer: true }),
    doSample,
    temperature: doSample ? temperature : 1,
    topK: number('top_k', defaultTopK, { least: 0, integer: true }),
    topP: number('top_p', 1, { least: 0, most: 1 }),
    minP: number('min_p', 0, { least: 0, most: 1 }),
    repetitionPenalty: number('repetition_penalty', 1, { least: 1e-6 }),
    seed: seedRule(options.seed, sequences),
    eosTokenIds: eosIds(options, generationConfig, config),
    stopStrings,
    tokenizer: options.tokenizer,
    streamer: options.streamer,
    signal: options.signal,
  };
}

function refuseUnsupported(options: GenerateOptions, generationConfig: ConfigValues): void {
  const given: Record<string, unknown> = { ...options };
  for (const [name, neutral] of Object.entries(neutralValues)) {
    if (given[name] === null || neutral.includes(given[name])) delete given[name];
    const configured = generationConfig[name];
    const overridden = (options as ConfigValues)[name] !== undefined;
    const inert =
      configured === undefined || configured === null || neutral.includes(configured) || isEmptyList(configured);
    if (inert || overridden) continue;
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `the checkpoint's generation_config.json sets '${name}' to ${describeValue(configured)}, which is not implemented; ` +
        `give ${where} the option ${name}: ${neutral.length > 0 ? String(neutral[0]) : 'null'} to go on without it`,
    );
  }
  checkOptions(where, given, known, Object.keys(neutralValues));
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function lengthRule(options: GenerateOptions, generationConfig: ConfigValues): (prompt: number) => number {
  const least = { least: 1, integer: true };
  // The call's own limits win over the file's, whichever of the two names they have.
  for (const source of [options as ConfigValues, generationConfig]) {
    const { max_new_tokens, max_length } = source;
    if (max_new_tokens !== undefined && max_new_tokens !== null) {
      const count = checkNumber(where, 'max_new_tokens', max_new_tokens, least);
      return () => count;
    }
    if (max_length !== undefined && max_length !== null) {
      const length = checkNumber(where, 'max_length', max_length, least);
      return (prompt) => {
        if (prompt < length) return length - prompt;
        throw new OctoformerError(
          'INVALID_ARGUMENT',
          `${where}: max_length ${length} leaves no room after a prompt of ${prompt} tokens; raise it, or give max_new_tokens`,
        );
      };
    }
  }
  return () => defaultNewTokens;
}

function seedRule(seed: GenerateOptions['seed'], sequences: number): (sequence: number) => bigint {
  if (seed === undefined) return () => BigInt(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER));
  const seeds = Array.isArray(seed) ? seed : Array<number | bigint>(sequences).fill(seed as number | bigint);
  if (seeds.length !== sequences) {
    throw invalid('seed', seed, `one number, or one for each of ${sequences} sequences`);
  }
  const checked = seeds.map((one) => {
    if (typeof one === 'bigint') return BigInt.asUintN(64, one);
    if (Number.isSafeInteger(one)) return BigInt.asUintN(64, BigInt(one));
    throw invalid('seed', one, 'an integer or a bigint');
  });
  return (sequence) => checked[sequence] ?? 0n;
}

function eosIds(options: GenerateOptions, generationConfig: ConfigValues, config: ConfigValues): readonly number[] {
  if (options.eos_token_id === null) return [];
  const value = options.eos_token_id ?? generationConfig.eos_token_id ?? config.eos_token_id ?? [];
  const ids: readonly unknown[] = Array.isArray(value) ? value : [value];
  return ids.map((id) => checkNumber(where, 'eos_token_id', id, { least: 0, integer: true }));
}

function stopStringsOf(value: unknown, tokenizer: Decoder | undefined): readonly string[] {
  if (value === undefined) return [];
  const strings: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (!strings.every((text): text is string => typeof text === 'string' && text !== '')) {
    throw invalid('stop_strings', value, 'a text or a list of texts, none of them empty');
  }
  if (strings.length > 0 && !tokenizer) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: stop_strings need the option 'tokenizer' as well, to see the text`,
    );
  }
  return strings;
}

function invalid(name: string, value: unknown, expected: string): OctoformerError {
  return new OctoformerError(
    'INVALID_ARGUMENT',
    `option '${name}' of ${where} must be ${expected}, not ${describeValue(value)}`,
  );
}
