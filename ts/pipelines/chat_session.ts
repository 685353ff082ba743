import { OctoformerError } from '../binding/error';
import { checkObject, checkOptions, describeValue } from '../binding/options';
import type { CausalLanguageModel } from '../generation/auto_model';
import { beginGeneration } from '../generation/generate';
import type { GenerateOptions } from '../generation/options';
import type { KVCache } from '../models/kv_cache';
import type { ChatMessage, Tokenizer } from '../tokenization';
import { refuseOptions } from './other_options';
import { commonLength } from './prefix_cache';
import { type Chat, promptIds } from './prompt';
import { notOfStreams, type StreamOptions, TextStream } from './text_stream';

export interface ChatOptions {
  /** The system message that the conversation begins with. */
  readonly system?: string;
}

/**
 * A conversation whose keys and values stay in a cache from turn to turn: of a new turn only what the cache has not yet is
 * computed. If the template changes what went before, the part that is still the same is kept.
 */
export class ChatSession {
  readonly #model: CausalLanguageModel;
  readonly #tokenizer: Tokenizer;
  readonly #complete: (chat: Chat, options: GenerateOptions) => GenerateOptions;
  readonly #system: readonly ChatMessage[];
  #messages: ChatMessage[];
  #cache: KVCache | undefined;
  /** The ids whose keys and values the cache has. */
  #cached: readonly number[] = [];
  #busy = false;

  /** @param complete fills in the options of a turn */
  constructor(
    model: CausalLanguageModel,
    tokenizer: Tokenizer,
    complete: (chat: Chat, options: GenerateOptions) => GenerateOptions,
    options: ChatOptions,
  ) {
    checkOptions('chat()', options, ['system']);
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#complete = complete;
    this.#system = options.system === undefined ? [] : [{ role: 'system', content: options.system }];
    this.#messages = [...this.#system];
  }

  /** The conversation so far. */
  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /**
   * Says something and gives the answer piece by piece. The answer joins the conversation when the stream ends; of one that was left or
   * aborted, what had come of it.
   * @throws OctoformerError INVALID_ARGUMENT while another answer is under way; the stream throws what `generate` throws
   */
  send(message: string | ChatMessage, options: StreamOptions = {}): TextStream {
    const said = typeof message === 'string' ? { role: 'user', content: message } : message;
    if (typeof said !== 'object' || said === null || typeof said.role !== 'string') {
      throw new OctoformerError(
        'INVALID_ARGUMENT',
        `send() takes a text or a message with a role, not ${describeValue(message)}`,
      );
    }
    checkObject('the options of send()', options);
    refuseOptions('send()', options, notOfStreams);
    return new TextStream(this.#tokenizer, {
      begin: () => this.#begin([...this.#messages, said], options),
      onEnd: (text, run) => {
        this.#busy = false;
        this.#cached = (run.sequences[0] ?? []).slice(0, this.#cache?.length ?? 0);
        this.#messages = [...this.#messages, said, { role: 'assistant', content: text }];
      },
    });
  }

  #begin(chat: Chat, options: GenerateOptions) {
    if (this.#busy) {
      throw new OctoformerError(
        'INVALID_ARGUMENT',
        'send(): the answer before is still under way; read it to its end, or leave it',
      );
    }
    const ids = promptIds(this.#tokenizer, chat);
    this.#cache ??= this.#model.createCache();
    this.#cache.truncate(Math.min(this.#cache.length, commonLength(this.#cached, ids), ids.length - 1));
    const run = beginGeneration(this.#model, { input_ids: [ids], past: this.#cache }, this.#complete(chat, options));
    this.#busy = true;
    return run;
  }

  /** Forgets the conversation but for the system message. */
  reset(): void {
    this.#messages = [...this.#system];
    this.#cached = [];
    this.#cache?.truncate(0);
  }

  /** Frees the cache; the model stays. */
  dispose(): void {
    this.#cache?.dispose();
    this.#cache = undefined;
    this.#cached = [];
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
