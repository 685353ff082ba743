import { checkBoolean, checkNumber, checkObject } from '../binding/options';
import type { CausalLanguageModel } from '../generation/auto_model';
import { chatEndTokenIds } from '../generation/chat_end';
import { beginGeneration } from '../generation/generate';
import { type GenerateOptions, generateOptionNames, otherGenerateOptions } from '../generation/options';
import type { KVCache } from '../models/kv_cache';
import type { Tokenizer } from '../tokenization';
import { type ChatOptions, ChatSession } from './chat_session';
import { type CallNames, withDefaults } from './default_options';
import { otherTextOptions, refuseOptions } from './other_options';
import { PrefixCache } from './prefix_cache';
import { type Chat, checkPrompt, continuesAnswer, isChat, type Prompt, promptIds } from './prompt';
import { seedsOf } from './seeds';
import { notOfStreams, type StreamOptions, TextStream } from './text_stream';

/** Options of a text generation pipeline: those of `generate`, and these. */
export interface TextGenerationOptions extends GenerateOptions {
  /** The prompt with the answer (true, the default), or the answer alone. */
  readonly return_full_text?: boolean;
  /** Prompts of a list that are run together; all by default. */
  readonly batch_size?: number;
  /** False: a conversation neither goes on from what was computed for one that begins alike, nor stays for the next. */
  readonly prefixCache?: boolean;
}

/** Options of a stream: those of `generate`, and whether conversations are kept (as above). */
export type TextStreamOptions = StreamOptions & Pick<TextGenerationOptions, 'prefixCache'>;

/** What one prompt gives: a text, or for a conversation the messages with the answer. */
export interface GeneratedText {
  readonly generated_text: string | Chat;
}

/** What Python's pipeline takes where neither the call nor generation_config.json says otherwise. */
const defaults = { max_new_tokens: 256, do_sample: true, temperature: 0.7 } as const;

const where = "pipeline('text-generation')";

/** Options of Python's pipeline, and what there is instead. */
const unsupported = {
  ...otherTextOptions,
  prefix: 'put it before the prompt',
  handle_long_generation: 'cut the prompt',
  truncation: 'cut the prompt',
  padding: 'nothing is padded',
  add_special_tokens: 'model.generate() takes ids of any kind',
  tokenizer_encode_kwargs: 'model.generate() takes ids of any kind',
  continue_final_message: "a conversation that ends with the assistant's words is continued, any other answered",
  tools: 'model.generate() takes the ids of tokenizer.apply_chat_template(messages, { tools })',
  documents: 'model.generate() takes the ids of tokenizer.apply_chat_template(messages, { documents })',
  skip_special_tokens: 'model.generate() gives the ids',
  clean_up_tokenization_spaces: 'spaces stay as they were generated',
};

/** What `pipeline()` takes for calls. */
export const generationNames: CallNames = {
  where,
  names: ['return_full_text', 'batch_size', 'prefixCache', ...generateOptionNames],
  unsupported: { ...otherGenerateOptions, ...unsupported },
};

/** The work of a text generation pipeline, on an open model and tokenizer. */
export class TextGenerator {
  readonly #prefixes: PrefixCache;
  readonly #defaults: TextGenerationOptions;
  /** Those of streams and conversations, which give the answer alone, one at a time. */
  readonly #streamDefaults: TextStreamOptions;

  /** @param given what calls take where they say nothing else */
  constructor(
    readonly model: CausalLanguageModel,
    readonly tokenizer: Tokenizer,
    given: TextGenerationOptions = {},
  ) {
    this.#prefixes = new PrefixCache(model);
    const { return_full_text: _, batch_size: __, streamer: ___, ...ofStreams } = given;
    this.#defaults = given;
    this.#streamDefaults = ofStreams;
  }

  /** One prompt gives a list with `num_return_sequences` texts, a list of prompts a list of such lists. */
  async run(
    input: Prompt | readonly Prompt[],
    own?: TextGenerationOptions,
  ): Promise<GeneratedText[] | GeneratedText[][]> {
    const options = withDefaults(this.#defaults, own);
    if (typeof input === 'string' || isChat(input)) {
      const [texts = []] = await this.#runAll([input], options);
      return texts;
    }
    if (!Array.isArray(input)) checkPrompt(where, input);
    return this.#runAll(
      input.map((prompt) => checkPrompt(where, prompt)),
      options,
    );
  }

  async #runAll(prompts: readonly Prompt[], options: TextGenerationOptions): Promise<GeneratedText[][]> {
    checkObject(`the options of ${where}`, options);
    const { return_full_text = true, batch_size = Math.max(1, prompts.length), prefixCache = true, ...given } = options;
    checkNumber(where, 'batch_size', batch_size, { least: 1, integer: true });
    checkBoolean(where, 'return_full_text', return_full_text);
    checkBoolean(where, 'prefixCache', prefixCache);
    refuseOptions(where, given, unsupported);
    const results: GeneratedText[][] = [];
    for (let first = 0; first < prompts.length; first += batch_size) {
      const batch = prompts.slice(first, first + batch_size);
      const input_ids = batch.map((prompt) => promptIds(this.tokenizer, prompt));
      const past = batch.map((prompt, index) =>
        prefixCache && typeof prompt !== 'string' ? this.#prefixes.take(input_ids[index] ?? []) : null,
      );
      const { sequences } = await this.model
        .generate(
          { input_ids, past },
          { ...this.#options(batch, given), ...seedsOf(given, first, batch.length, prompts.length) },
        )
        .catch((error: unknown) => {
          for (const cache of past) cache?.dispose();
          throw error;
        });
      for (const [index, cache] of past.entries()) {
        if (cache) this.#prefixes.keep(sequences[(index * sequences.length) / batch.length] ?? [], cache);
      }
      const copies = sequences.length / batch.length; // num_return_sequences, wherever it was said
      for (const [index, prompt] of batch.entries()) {
        const ofPrompt = sequences.slice(index * copies, (index + 1) * copies);
        results.push(
          ofPrompt.map((sequence) => {
            const ids = sequence.slice(input_ids[index]?.length);
            const text = this.tokenizer.decode(ids, { skip_special_tokens: true });
            return { generated_text: return_full_text ? join(prompt, text) : text };
          }),
        );
      }
    }
    return results;
  }

  /** The answer to one prompt, piece by piece. */
  stream(input: Prompt, own?: TextStreamOptions): TextStream {
    const options = withDefaults(this.#streamDefaults, own);
    checkObject(`the options of ${where}.stream()`, options);
    const { prefixCache = true, ...given } = options;
    const prompt = checkPrompt(`${where}.stream()`, input);
    checkBoolean(`${where}.stream()`, 'prefixCache', prefixCache);
    refuseOptions(`${where}.stream()`, given, { ...unsupported, ...notOfStreams });
    let cache: KVCache | undefined;
    return new TextStream(this.tokenizer, {
      begin: () => {
        const ids = promptIds(this.tokenizer, prompt);
        const settings = this.#options([prompt], given);
        if (!prefixCache || typeof prompt === 'string')
          return beginGeneration(this.model, { input_ids: [ids] }, settings);
        const taken = this.#prefixes.take(ids);
        try {
          const run = beginGeneration(this.model, { input_ids: [ids], past: taken }, settings);
          cache = taken;
          return run;
        } catch (error) {
          taken.dispose();
          throw error;
        }
      },
      onEnd: (_text, run) => {
        if (cache) this.#prefixes.keep(run.sequences[0] ?? [], cache);
      },
    });
  }

  /** A conversation that keeps its cache over the turns. */
  chat(options: ChatOptions = {}): ChatSession {
    const { prefixCache: _, ...defaults } = this.#streamDefaults; // a session has a cache of its own
    return new ChatSession(
      this.model,
      this.tokenizer,
      (chat, own) => this.#options([chat], withDefaults(defaults, own)),
      options,
    );
  }

  /** Options with the pipeline's defaults below those of generation_config.json, and the ends of a turn for conversations. */
  #options(prompts: readonly Prompt[], options: GenerateOptions): GenerateOptions {
    const given: GenerateOptions = Object.fromEntries(
      Object.entries(options).filter(([, value]) => value !== undefined),
    );
    const configured = this.model.generationConfig;
    const limited = [given.max_new_tokens, given.max_length, configured.max_new_tokens, configured.max_length];
    const chats = prompts.some((prompt) => typeof prompt !== 'string');
    return {
      ...(limited.every((limit) => limit === undefined || limit === null)
        ? { max_new_tokens: defaults.max_new_tokens }
        : {}),
      ...(configured.do_sample === undefined ? { do_sample: defaults.do_sample } : {}),
      ...(configured.temperature === undefined ? { temperature: defaults.temperature } : {}),
      ...(chats && given.eos_token_id === undefined ? { eos_token_id: this.#chatEnds() } : {}),
      ...(given.stop_strings === undefined ? {} : { tokenizer: this.tokenizer }),
      ...given,
    };
  }

  #chatEnds(): number[] {
    const configured = this.model.generationConfig.eos_token_id ?? this.model.config.eos_token_id ?? [];
    const ids: readonly unknown[] = Array.isArray(configured) ? configured : [configured];
    const known = ids.filter((id): id is number => typeof id === 'number');
    return [...new Set([...known, ...chatEndTokenIds(this.tokenizer)])];
  }

  async dispose(): Promise<void> {
    this.#prefixes.clear();
    await this.model.dispose();
  }
}

/** The prompt with the answer: one text, or the conversation with one more message (or a longer last one). */
function join(prompt: Prompt, text: string): string | Chat {
  if (typeof prompt === 'string') return prompt + text;
  const last = prompt.at(-1);
  if (!last || !continuesAnswer(prompt)) return [...prompt, { role: 'assistant', content: text }];
  return [...prompt.slice(0, -1), { ...last, content: `${String(last.content ?? '')}${text}` }];
}
