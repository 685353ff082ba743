import { AbortBridge, throwIfAborted } from '../binding/abort';
import { OctoformerError } from '../binding/error';
import { checkNumber, checkObject, checkOptions } from '../binding/options';
import { type TokenSpan, tokenSpans, withoutPadding } from '../models/attention_mask';
import { otherInputs } from '../models/forward';
import { type KVCache, nativeCache } from '../models/kv_cache';
import type { Model } from '../models/model';
import type { encoderInput } from '../models/seq2seq_forward';
import { concatenateIds, type TokenIds } from '../models/token_ids';
import { BeamRun } from './beam_run';
import type { FinishReason } from './ending';
import type { GenerationExtras, GenerationRun, GenerationStatistics } from './generation_run';
import { type GenerateOptions, type GenerationSettings, generationSettings } from './options';
import { milliseconds } from './run_clock';
import { TokenRun } from './token_run';

/** What `generate` of an encoder-decoder takes. */
export interface Seq2SeqGenerateInputs {
  /** What the encoder reads, of any lengths. */
  readonly input_ids: TokenIds;
  /** 1 for a token of `input_ids`, 0 for padding before or behind the tokens, which nothing looks at; positions count it as in `forward`. */
  readonly attention_mask?: TokenIds;
  /** What the decoder's sequences begin with; the start token is put before where it isn't there. */
  readonly decoder_input_ids?: TokenIds;
}

/** What is generated with. */
export interface EncoderDecoder extends Model {
  /** Tokens that the encoder reads. */
  readonly encoderVocabularySize: number;
  /** What a run of the binding is given to encode sequences, whose tokens may lie within padding. */
  encoderInput(input_ids: TokenIds, spans?: readonly TokenSpan[]): ReturnType<typeof encoderInput>;
}

const where = 'generate()';

/**
 * Tokens that one run encodes, unless a sequence alone has more. Buffers grow with it; beyond it products of matrices get no faster. What a
 * sequence is encoded to does not depend on it.
 */
const encodedTokensPerRun = 2048;

/**
 * Generation by an encoder-decoder: the first steps encode the inputs, a few sequences each, into the caches of their decoders; then greedy
 * search, sampling or beam search goes on from the start token. Beams and sequences of one input share what was encoded.
 */
export class Seq2SeqRun implements GenerationRun {
  readonly #model: EncoderDecoder;
  readonly #inputs: TokenIds;
  readonly #spans: readonly TokenSpan[] | undefined;
  readonly #caches: readonly KVCache[];
  readonly #decoding: GenerationRun;
  readonly #settings: GenerationSettings;
  readonly #abort: AbortBridge;
  /** Sequences encoded so far. */
  #encoded = 0;
  #encodedTokens = 0;
  #encodingMilliseconds = 0;

  /** @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION, CONTEXT_OVERFLOW, ABORTED */
  constructor(model: EncoderDecoder, inputs: Seq2SeqGenerateInputs, options: GenerateOptions) {
    checkObject(`the inputs of ${where}`, inputs);
    checkOptions(`the inputs of ${where}`, inputs, ['input_ids', 'attention_mask', 'decoder_input_ids'], {
      ...otherInputs,
      past: 'caches of encoder-decoder models are for forward()',
    });
    checkObject(`the options of ${where}`, options);
    const spans = tokenSpans(where, inputs, ['before', 'behind']);
    const input_ids = spans ? withoutPadding(inputs.input_ids, spans) : inputs.input_ids;
    concatenateIds(where, 'input_ids', input_ids, model.encoderVocabularySize);
    const count = input_ids.length;
    const settings = generationSettings(options, model.generationConfig, model.config, count);
    const prompts = decoderPrompts(model, inputs, options);
    this.#model = model;
    this.#inputs = inputs.input_ids;
    this.#spans = spans;
    this.#settings = settings;
    this.#caches = prompts.map(() => model.createCache());
    const Run = settings.numBeams > 1 ? BeamRun : TokenRun;
    try {
      this.#decoding = new Run(model, prompts, this.#caches, settings, input_ids);
    } catch (error) {
      for (const cache of this.#caches) cache.dispose();
      throw error;
    }
    this.#abort = new AbortBridge(settings.signal);
  }

  get done(): boolean {
    return this.#decoding.done;
  }

  get sequences(): number[][] {
    return this.#decoding.sequences;
  }

  get finishReasons(): FinishReason[] {
    return this.#decoding.finishReasons;
  }

  /** What the encoder read counts as the prompts. */
  get statistics(): GenerationStatistics {
    const { statistics } = this.#decoding;
    return {
      ...statistics,
      promptTokens: statistics.promptTokens + this.#encodedTokens,
      promptMilliseconds: statistics.promptMilliseconds + this.#encodingMilliseconds,
    };
  }

  get extras(): GenerationExtras {
    return this.#decoding.extras;
  }

  lastTokens(count: number): readonly number[] {
    return this.#decoding.lastTokens(count);
  }

  async step(most = 1): Promise<number> {
    if (this.#encoded === this.#inputs.length) return this.#decoding.step(most);
    throwIfAborted(this.#settings.signal, 'the generation');
    const began = milliseconds();
    let end = this.#encoded;
    let tokens = 0;
    do tokens += this.#tokensOf(end++);
    while (end < this.#inputs.length && tokens + this.#tokensOf(end) <= encodedTokensPerRun);
    const caches = this.#caches.slice(this.#encoded, end);
    const encoder = this.#model.encoderInput(
      this.#inputs.slice(this.#encoded, end),
      this.#spans?.slice(this.#encoded, end),
    );
    await this.#abort.watch(
      this.#model.run({
        input_ids: new Int32Array(),
        lengths: new Int32Array(caches.length),
        caches: caches.map(nativeCache),
        ...(encoder ? { encoder } : {}),
        rows: new Int32Array(),
        outputs: [],
        ...(this.#abort.flag ? { abort: this.#abort.flag } : {}),
      }),
    );
    this.#encoded = end;
    this.#encodedTokens += tokens;
    this.#encodingMilliseconds += milliseconds() - began;
    return 0;
  }

  /** Tokens of an input, without its padding. */
  #tokensOf(index: number): number {
    const span = this.#spans?.[index];
    return span ? span.end - span.first : (this.#inputs[index]?.length ?? 0);
  }

  dispose(): void {
    this.#abort.release();
    this.#decoding.dispose();
    for (const cache of this.#caches) cache.dispose();
  }
}

/** What the decoder's sequences begin with. */
function decoderPrompts(
  model: EncoderDecoder,
  { input_ids, decoder_input_ids }: Seq2SeqGenerateInputs,
  options: GenerateOptions,
): readonly (readonly number[])[] {
  const start = decoderStart(model, options);
  if (decoder_input_ids === undefined) return input_ids.map(() => [start]);
  concatenateIds(where, 'decoder_input_ids', decoder_input_ids, model.vocabularySize);
  if (decoder_input_ids.length !== input_ids.length) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: there are ${input_ids.length} input_ids and ${decoder_input_ids.length} decoder_input_ids; give one of each a sequence`,
    );
  }
  // As transformers does it: all of them get the token, or none.
  const begun = decoder_input_ids.every(([first]) => first === start);
  return begun ? decoder_input_ids : decoder_input_ids.map((ids) => [start, ...ids]);
}

/** The token that decoders begin with: of the call, the generation's configuration, the model's; else the one that begins texts. */
function decoderStart({ generationConfig, config, vocabularySize }: EncoderDecoder, options: GenerateOptions) {
  const configured = (key: string) => generationConfig[key] ?? config[key];
  const start =
    options.decoder_start_token_id ?? configured('decoder_start_token_id') ?? configured('bos_token_id') ?? undefined;
  if (start === undefined) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: the checkpoint doesn't say which token the decoder begins with; give the option decoder_start_token_id`,
    );
  }
  return checkNumber(where, 'decoder_start_token_id', start, { least: 0, most: vocabularySize - 1, integer: true });
}
