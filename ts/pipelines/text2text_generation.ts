import { OctoformerError } from '../binding/error';
import { checkBoolean, checkNumber, checkObject } from '../binding/options';
import { type GenerateOptions, generateOptionNames, otherGenerateOptions, withoutNeutral } from '../generation/options';
import { AutoModelForSeq2SeqLM, type Seq2SeqLanguageModel } from '../generation/seq2seq_model';
import { Seq2SeqRun } from '../generation/seq2seq_run';
import type { LoadOptions } from '../models/load_options';
import type { Tokenizer } from '../tokenization';
import { splitOptions, withDefaults } from './default_options';
import { type PipelineParts, textsOf } from './encoder_pipeline';
import { type EncodedText, hasLanguages, type Languages, translationIds } from './languages';
import type { OneOrMore } from './one_or_more';
import { openWithTokenizer } from './open_with_tokenizer';
import { otherTextOptions, refuseOptions } from './other_options';
import { seedsOf } from './seeds';
import { taskParameters } from './task_parameters';
import { notOfStreams, TextStream } from './text_stream';

/** Options of the pipelines over encoder-decoders: those of `generate`, and these. */
export interface Text2TextOptions extends GenerateOptions {
  /** Texts of a list that are run together; all by default. The results are the same. */
  readonly batch_size?: number;
  /** Cuts texts to the tokens that the tokenizer says the model takes; false by default. */
  readonly truncation?: boolean;
  /** Takes the spaces before punctuation away; false by default. */
  readonly clean_up_tokenization_spaces?: boolean;
}

/** Options of translations. Models for one pair of languages take no notice of them. */
export interface TranslationOptions extends Text2TextOptions, Languages {}

/** Options of a stream of one answer: those of calls, but `batch_size` and `streamer`. */
export type Text2TextStreamOptions<Options extends Text2TextOptions> = Omit<Options, 'batch_size' | 'streamer'>;

/** The key that a task's answers have. */
const answerKeys = {
  'text2text-generation': 'generated_text',
  summarization: 'summary_text',
  translation: 'translation_text',
} as const;

export type Text2TextTask = keyof typeof answerKeys;

/** An answer: the text under its task's key. */
export type WrittenText<Task extends Text2TextTask> = { readonly [Key in (typeof answerKeys)[Task]]: string };

/**
 * A pipeline over an encoder-decoder. A text gives `[{ generated_text }]` (or `summary_text`, `translation_text`), one for each of
 * `num_return_sequences`; a list gives one answer a text, or a list of them where there are several. The search is greedy unless the call or the
 * checkpoint says otherwise (the last versions of transformers 4 took four beams).
 */
export interface Text2TextPipeline<Task extends Text2TextTask, Options extends Text2TextOptions>
  extends PipelineParts<Task, Seq2SeqLanguageModel> {
  (input: string, options?: Options): Promise<OneOrMore<WrittenText<Task>>>;
  (
    input: readonly string[],
    options: Options & { readonly num_return_sequences: number },
  ): Promise<WrittenText<Task>[] | WrittenText<Task>[][]>;
  (input: readonly string[], options?: Options): Promise<WrittenText<Task>[]>;
  /**
   * The answer to one text piece by piece: `for await (const piece of translate.stream(text)) ...`. The pieces together are the answer that a call
   * gives. They come while tokens are chosen, of beam search at the end.
   * @throws OctoformerError INVALID_ARGUMENT, UNSUPPORTED_OPTION; the stream throws what `generate` throws
   */
  stream(input: string, options?: Text2TextStreamOptions<Options>): TextStream;
}

const ownOptions = ['batch_size', 'truncation', 'clean_up_tokenization_spaces'];
const onlyOfTranslations = { src_lang: 'it is one of translations', tgt_lang: 'it is one of translations' };

/** New tokens where neither the call nor the checkpoint says how many, as in Python's pipelines. */
const defaultNewTokens = 256;

/**
 * Opens tokenizer and model.
 * @param task what to do; `task_specific_params` of config.json may have a prefix and options for it
 * @param languages those of the task's name, `translation_en_to_de`
 */
export async function openText2Text<Task extends Text2TextTask>(
  task: Task,
  source: string,
  options: LoadOptions & TranslationOptions,
  languages: Languages = {},
): Promise<Text2TextPipeline<Task, TranslationOptions>> {
  const ofTranslations = task === 'translation';
  const { load, defaults } = splitOptions<TranslationOptions>(withoutNeutral(options), {
    where: `pipeline('${task}')`,
    names: [...ownOptions, ...(ofTranslations ? Object.keys(onlyOfTranslations) : []), ...generateOptionNames],
    unsupported: { ...otherGenerateOptions, ...otherTextOptions, ...onlyOfTranslations },
  });
  const { model, tokenizer } = await openWithTokenizer(source, load, AutoModelForSeq2SeqLM);
  const writer = new Writer(task, model, tokenizer, languages);
  const call = async (input: string | readonly string[], own?: TranslationOptions) => {
    const answers = await writer.run(input, withDefaults(defaults, own));
    if (!Array.isArray(input)) return answers[0];
    return answers.every((one) => one.length === 1) ? answers.flat() : answers;
  };
  const { batch_size: _, streamer: __, ...ofStreams } = defaults;
  const dispose = () => model.dispose();
  return Object.assign(call, {
    task,
    model,
    tokenizer,
    stream: (input: string, own?: Text2TextStreamOptions<TranslationOptions>) =>
      writer.stream(input, withDefaults(ofStreams, own)),
    dispose,
    [Symbol.asyncDispose]: dispose,
  }) as unknown as Text2TextPipeline<Task, TranslationOptions>;
}

/** The work of a pipeline, on an open model and tokenizer. */
class Writer {
  readonly #where: string;

  constructor(
    readonly task: Text2TextTask,
    readonly model: Seq2SeqLanguageModel,
    readonly tokenizer: Tokenizer,
    readonly languages: Languages,
  ) {
    this.#where = `pipeline('${task}')`;
  }

  /** The answers to each text. */
  async run(input: string | readonly string[], options: TranslationOptions): Promise<Record<string, string>[][]> {
    const texts = textsOf(this.#where, input);
    checkObject(`the options of ${this.#where}`, options);
    const { batch_size = Math.max(1, texts.length), ...others } = options;
    checkNumber(this.#where, 'batch_size', batch_size, { least: 1, integer: true });
    const { encoded, settings, clean_up_tokenization_spaces } = this.#prepare(this.#where, texts, others);
    const results: Record<string, string>[][] = [];
    for (let first = 0; first < texts.length; first += batch_size) {
      const batch = encoded.slice(first, first + batch_size);
      const { sequences } = await this.model.generate(
        { input_ids: batch.map(({ input_ids }) => input_ids) },
        { ...settings, ...seedsOf(settings, first, batch.length, texts.length) },
      );
      const copies = sequences.length / batch.length;
      for (const index of batch.keys()) {
        const ofText = sequences.slice(index * copies, (index + 1) * copies);
        const written = this.tokenizer.batch_decode(ofText, {
          skip_special_tokens: true,
          clean_up_tokenization_spaces,
        });
        results.push(written.map((text) => ({ [answerKeys[this.task]]: text })));
      }
    }
    return results;
  }

  /** The answer to one text, piece by piece. */
  stream(input: string, options: TranslationOptions): TextStream {
    const where = `${this.#where}.stream()`;
    const [text, ...more] = textsOf(where, input);
    if (text === undefined || Array.isArray(input)) {
      throw new OctoformerError('INVALID_ARGUMENT', `${where} takes one text, not a list of ${more.length + 1}`);
    }
    checkObject(`the options of ${where}`, options);
    refuseOptions(where, options, notOfStreams);
    const { encoded, settings, clean_up_tokenization_spaces } = this.#prepare(where, [text], options);
    const input_ids = encoded.map((one) => one.input_ids);
    return new TextStream(this.tokenizer, {
      begin: () => new Seq2SeqRun(this.model, { input_ids }, settings),
      fromStart: true,
      decoding: { clean_up_tokenization_spaces },
    });
  }

  /** What `generate` is given: texts with the task's prefix or their languages, and its options; and how answers become text. */
  #prepare(where: string, texts: readonly string[], options: Omit<TranslationOptions, 'batch_size'>) {
    const { truncation = false, clean_up_tokenization_spaces = false, src_lang, tgt_lang, ...given } = options;
    const cuts = checkBoolean(where, 'truncation', truncation);
    checkBoolean(where, 'clean_up_tokenization_spaces', clean_up_tokenization_spaces);
    refuseOptions(where, given, otherTextOptions);
    if (this.task !== 'translation') refuseOptions(where, { src_lang, tgt_lang }, onlyOfTranslations);
    const languages = src_lang === undefined && tgt_lang === undefined ? this.languages : { src_lang, tgt_lang };
    const { prefix, settings } = taskParameters(where, this.task, this.model.config, languages);
    const longest = cuts ? this.tokenizer.model_max_length : Number.POSITIVE_INFINITY;
    const encoded = texts.map((text) => this.#encode(prefix + text, languages, longest));
    const [{ forced_bos_token_id } = {}] = encoded; // the same for all: there is one language to translate into
    return {
      encoded,
      settings: {
        ...(forced_bos_token_id === undefined ? {} : { forced_bos_token_id }),
        ...this.#options(given, settings),
      },
      clean_up_tokenization_spaces,
    };
  }

  #encode(text: string, languages: Languages, longest: number): EncodedText {
    if (this.task === 'translation' && hasLanguages(this.tokenizer)) {
      return translationIds(this.#where, this.tokenizer, text, languages, longest);
    }
    const cut = Number.isFinite(longest) ? { truncation: true, max_length: longest } : {};
    return { input_ids: this.tokenizer.encode(text, cut).input_ids };
  }

  /** Options of the call over those of the task, over those of generation_config.json, which `generate` reads. */
  #options(options: GenerateOptions, settings: Readonly<Record<string, unknown>>): GenerateOptions {
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    const limits = ['max_new_tokens', 'max_length'];
    const saysLength = (values: Readonly<Record<string, unknown>>) =>
      limits.some((name) => values[name] !== undefined && values[name] !== null);
    const ofTask = Object.entries(settings).filter(([name]) => !(saysLength(given) && limits.includes(name)));
    const unlimited = ![given, settings, this.model.generationConfig].some(saysLength);
    return {
      ...(unlimited ? { max_new_tokens: defaultNewTokens } : {}),
      ...(given.stop_strings === undefined ? {} : { tokenizer: this.tokenizer }),
      ...Object.fromEntries(ofTask),
      ...given,
    };
  }
}
