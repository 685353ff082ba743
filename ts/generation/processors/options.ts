import { OctoformerError } from '../../binding/error';
import { checkNumber, describeValue } from '../../binding/options';
import type { SequenceBias } from './bias';
import type { LogitsProcessor } from './processor';

/** Options of `generate` that change the scores of tokens before one is chosen, with Hugging Face's names. Null, where allowed: none. */
export interface ProcessorOptions {
  /** Added to the score of a sequence's last token where its others stand before: `[[[5], -2], [[7, 8], 1.5]]`. */
  readonly sequence_bias?: readonly SequenceBias[] | null;
  /** Above 1: tokens of the encoder's input (of a decoder-only model: of the prompt) become likelier. */
  readonly encoder_repetition_penalty?: number;
  /** Divides positive logits, multiplies negative ones, of tokens seen already (Keskar et al. 2019). */
  readonly repetition_penalty?: number;
  /** No n-gram of this size occurs twice in a sequence; 0: off. */
  readonly no_repeat_ngram_size?: number;
  /** No n-gram of this size of the encoder's input (of a decoder-only model: of the prompt) is repeated; 0: off. */
  readonly encoder_no_repeat_ngram_size?: number;
  /** Sequences of tokens that never come. */
  readonly bad_words_ids?: readonly (readonly number[])[] | null;
  /** No end-of-sequence id is chosen while prompt and new tokens are fewer. */
  readonly min_length?: number;
  /** No end-of-sequence id is chosen before so many new tokens. */
  readonly min_new_tokens?: number;
  /** The token after a prompt of one token (for encoder-decoder models: after the start token). */
  readonly forced_bos_token_id?: number | null;
  /** The token at the largest length. */
  readonly forced_eos_token_id?: number | readonly number[] | null;
  /** NaN becomes 0, infinities the largest numbers. */
  readonly remove_invalid_values?: boolean;
  /** `[start, factor]`: beyond `start` new tokens the end of the sequence becomes likelier by factor^n. */
  readonly exponential_decay_length_penalty?: readonly [number, number] | null;
  /** Tokens that never come. */
  readonly suppress_tokens?: readonly number[] | null;
  /** Tokens that don't come first. */
  readonly begin_suppress_tokens?: readonly number[] | null;
  /** Own functions, run one after another behind all of the above. */
  readonly logitsProcessors?: readonly LogitsProcessor[];
  /** Divides the logits; above 0. This and the following count with `do_sample` only. */
  readonly temperature?: number;
  /** Leave the likeliest tokens that have this share of the distribution's entropy (Top-H). */
  readonly top_h?: number | null;
  /** Draw from the so many likeliest tokens; 50 by default, 0: all. */
  readonly top_k?: number;
  /** Draw from the likeliest tokens whose probabilities reach this sum (Holtzman et al. 2020). */
  readonly top_p?: number;
  /** Leave out tokens less likely than this share of the likeliest one's probability. */
  readonly min_p?: number;
  /** Draw from the tokens whose information is nearest to the entropy, up to this sum of probabilities (Meister et al. 2022). */
  readonly typical_p?: number;
  /** Leave out tokens less likely than this (Hewitt et al. 2022). */
  readonly epsilon_cutoff?: number;
  /** The same with a limit that falls where the entropy is high (Hewitt et al. 2022). */
  readonly eta_cutoff?: number;
  /** Turn the scores into log-probabilities at the end; with `do_sample` or not. */
  readonly renormalize_logits?: boolean;
}

/** Processor options checked, with every default filled in; undefined: off. */
export interface ProcessorSettings {
  readonly sequenceBias: readonly SequenceBias[] | undefined;
  readonly encoderRepetitionPenalty: number;
  readonly repetitionPenalty: number;
  readonly noRepeatNgramSize: number;
  readonly encoderNoRepeatNgramSize: number;
  readonly badWordsIds: readonly (readonly number[])[] | undefined;
  readonly minLength: number;
  readonly minNewTokens: number;
  readonly forcedBosTokenId: number | undefined;
  readonly forcedEosTokenIds: readonly number[] | undefined;
  readonly removeInvalidValues: boolean;
  readonly exponentialDecay: readonly [number, number] | undefined;
  readonly suppressTokens: readonly number[] | undefined;
  readonly beginSuppressTokens: readonly number[] | undefined;
  readonly own: readonly LogitsProcessor[];
  readonly doSample: boolean;
  readonly temperature: number;
  readonly topH: number | undefined;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
  readonly epsilonCutoff: number;
  readonly etaCutoff: number;
  readonly renormalize: boolean;
}

export const processorOptionNames = [
  'sequence_bias',
  'encoder_repetition_penalty',
  'repetition_penalty',
  'no_repeat_ngram_size',
  'encoder_no_repeat_ngram_size',
  'bad_words_ids',
  'min_length',
  'min_new_tokens',
  'forced_bos_token_id',
  'forced_eos_token_id',
  'remove_invalid_values',
  'exponential_decay_length_penalty',
  'suppress_tokens',
  'begin_suppress_tokens',
  'logitsProcessors',
  'temperature',
  'top_h',
  'top_k',
  'top_p',
  'min_p',
  'typical_p',
  'epsilon_cutoff',
  'eta_cutoff',
  'renormalize_logits',
] as const satisfies readonly (keyof ProcessorOptions)[];

const defaultTopK = 50;
const leastPenalty = 1e-6;
const count = { least: 0, integer: true } as const;
const share = { least: 0, most: 1 } as const;

/**
 * Checks the processor options of a call.
 * @param value an option's value, from the call or else from generation_config.json; undefined where it is off
 * @throws OctoformerError INVALID_ARGUMENT naming option and value
 */
export function processorSettings(
  where: string,
  value: (name: keyof ProcessorOptions) => unknown,
  doSample: boolean,
): ProcessorSettings {
  const number = (name: keyof ProcessorOptions, otherwise: number, range: Parameters<typeof checkNumber>[3]): number =>
    checkNumber(where, name, value(name) ?? otherwise, range);
  const check = new ValueChecks(where, value);
  const temperature = number('temperature', 1, { least: 0 });
  if (doSample && temperature === 0) {
    check.refuse('temperature', 'above 0 (for the likeliest token give do_sample: false)');
  }
  const typicalP = number('typical_p', 1, share);
  if (typicalP === 0) check.refuse('typical_p', 'above 0');
  const topH = value('top_h') === undefined ? undefined : number('top_h', 1, share);
  if (topH === 0) check.refuse('top_h', 'above 0');
  return {
    sequenceBias: check.biases(),
    encoderRepetitionPenalty: number('encoder_repetition_penalty', 1, { least: leastPenalty }),
    repetitionPenalty: number('repetition_penalty', 1, { least: leastPenalty }),
    noRepeatNgramSize: number('no_repeat_ngram_size', 0, count),
    encoderNoRepeatNgramSize: number('encoder_no_repeat_ngram_size', 0, count),
    badWordsIds: check.words(),
    minLength: number('min_length', 0, count),
    minNewTokens: number('min_new_tokens', 0, count),
    forcedBosTokenId: value('forced_bos_token_id') === undefined ? undefined : number('forced_bos_token_id', 0, count),
    forcedEosTokenIds: check.ids('forced_eos_token_id'),
    removeInvalidValues: check.flag('remove_invalid_values'),
    exponentialDecay: check.decay(),
    suppressTokens: check.ids('suppress_tokens'),
    beginSuppressTokens: check.ids('begin_suppress_tokens'),
    own: check.functions(),
    doSample,
    temperature: doSample ? temperature : 1,
    topH,
    topK: number('top_k', defaultTopK, count),
    topP: number('top_p', 1, share),
    minP: number('min_p', 0, share),
    typicalP,
    epsilonCutoff: number('epsilon_cutoff', 0, share),
    etaCutoff: number('eta_cutoff', 0, share),
    renormalize: check.flag('renormalize_logits'),
  };
}

/** Checks of options that are not numbers; undefined is off, and so is an empty list of a checkpoint's. */
class ValueChecks {
  constructor(
    private readonly where: string,
    private readonly value: (name: keyof ProcessorOptions) => unknown,
  ) {}

  refuse(name: keyof ProcessorOptions, expected: string): never {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `option '${name}' of ${this.where} must be ${expected}, not ${describeValue(this.value(name))}`,
    );
  }

  flag(name: keyof ProcessorOptions): boolean {
    const value = this.value(name) ?? false;
    return typeof value === 'boolean' ? value : this.refuse(name, 'true or false');
  }

  ids(name: keyof ProcessorOptions): readonly number[] | undefined {
    const value = this.value(name);
    if (value === undefined || isEmpty(value)) return undefined;
    const ids: readonly unknown[] = Array.isArray(value) ? value : [value];
    return ids.every(isId) ? ids : this.refuse(name, 'token ids');
  }

  words(): readonly (readonly number[])[] | undefined {
    const value = this.value('bad_words_ids');
    if (value === undefined || isEmpty(value)) return undefined;
    return Array.isArray(value) && value.every(isSequence)
      ? value
      : this.refuse('bad_words_ids', 'a list of lists of token ids, such as [[5], [7, 8]]');
  }

  biases(): readonly SequenceBias[] | undefined {
    const value = this.value('sequence_bias');
    if (value === undefined || isEmpty(value)) return undefined;
    return Array.isArray(value) && value.every(isBias)
      ? value
      : this.refuse('sequence_bias', 'a list of pairs of token ids and a number, such as [[[5], -2], [[7, 8], 1.5]]');
  }

  decay(): readonly [number, number] | undefined {
    const value: unknown = this.value('exponential_decay_length_penalty');
    if (value === undefined) return undefined;
    const valid = Array.isArray(value) && value.length === 2 && isId(value[0]) && Number.isFinite(value[1]);
    if (!valid) this.refuse('exponential_decay_length_penalty', 'a number of tokens and a factor, such as [10, 1.05]');
    const [start, factor] = value as [number, number];
    return [start, factor];
  }

  functions(): readonly LogitsProcessor[] {
    const value: unknown = this.value('logitsProcessors') ?? [];
    return Array.isArray(value) && value.every((one): one is LogitsProcessor => typeof one === 'function')
      ? value
      : this.refuse('logitsProcessors', 'a list of functions of (input_ids, scores)');
  }
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isSequence(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every(isId);
}

function isBias(value: unknown): value is SequenceBias {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    isSequence(value[0]) &&
    typeof value[1] === 'number' &&
    value[1] < Infinity
  );
}
