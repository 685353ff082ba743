import { AbortBridge, throwIfAborted } from '../binding/abort';
import { OctoformerError } from '../binding/error';
import { callNative, nativeAddon } from '../binding/load';
import type { NativeCache, NativeRunRequest, NativeSampler } from '../binding/native';
import { type KVCache, nativeCache } from '../models/kv_cache';
import type { Model } from '../models/model';
import type { GenerationSettings } from './options';
import { StopStrings } from './stop_strings';

/** Why a sequence ended: an end-of-sequence id, a stop string, `max_new_tokens`, or the model's longest sequence. */
export type FinishReason = 'eos' | 'stop_string' | 'length' | 'context';

/** Counts and times of one call of `generate`, in milliseconds. */
export interface GenerationStatistics {
  /** Tokens of the prompts that were computed (those in a `past` cache are not). */
  readonly promptTokens: number;
  readonly newTokens: number;
  /** Runs that read prompts, and runs that only made tokens. */
  readonly promptMilliseconds: number;
  readonly decodeMilliseconds: number;
  /** New tokens made in the latter. */
  readonly decodeTokens: number;
  /** From the call to the first new token. */
  readonly timeToFirstToken: number;
}

/**
 * Tokens in one run while prompts are read. Buffers grow with it (a Llama of 8 billion parameters takes 200 KB a token); beyond
 * it products of matrices get no faster. Cutting prompts here does not change a bit of the result.
 */
const promptTokensPerRun = 2048;

interface Sequence {
  /** Prompt and new tokens. */
  readonly ids: number[];
  readonly prompt: number;
  readonly newTokens: number;
  readonly cache: KVCache;
  readonly nativeCache: NativeCache;
  readonly sampler: NativeSampler;
  /** Tokens in the cache. */
  computed: number;
  finish?: FinishReason;
}

/**
 * One generation over a ragged batch: `step()` until it is `done`, then `dispose()`. Every step is one native call for all
 * sequences that are not finished: prompts are read in pieces, the others go on by a token.
 */
export class GenerationRun {
  readonly #model: Model;
  readonly #settings: GenerationSettings;
  readonly #sequences: readonly Sequence[];
  readonly #ownCaches: readonly KVCache[];
  readonly #eos: ReadonlySet<number>;
  readonly #stopStrings: StopStrings | undefined;
  readonly #abort: AbortBridge;
  readonly #start = performance.now();
  readonly #context: number;
  readonly #recomputeBeyond: number;
  readonly #budget: number;
  #active: Sequence[];
  /** The request of the last step, used again while the same sequences go on by one token each. */
  #decoding: NativeRunRequest | undefined;
  #promptTokens = 0;
  #newTokens = 0;
  #decodeTokens = 0;
  #promptMilliseconds = 0;
  #decodeMilliseconds = 0;
  #timeToFirstToken = 0;

  /**
   * @param past caches of the beginnings of the prompts; they grow and stay the caller's
   * @throws OctoformerError CONTEXT_OVERFLOW for a prompt that the model can't take, INVALID_ARGUMENT, ABORTED
   */
  constructor(
    model: Model,
    prompts: readonly (readonly number[])[],
    past: readonly (KVCache | null)[] | undefined,
    settings: GenerationSettings,
  ) {
    throwIfAborted(settings.signal, 'the generation');
    const { context, recomputeBeyond = Number.POSITIVE_INFINITY, wholePrompts } = model.lengthLimits;
    this.#model = model;
    this.#settings = settings;
    this.#context = context;
    this.#recomputeBeyond = recomputeBeyond;
    this.#budget = wholePrompts ? Number.POSITIVE_INFINITY : promptTokensPerRun;
    this.#eos = new Set(settings.eosTokenIds);
    this.#stopStrings =
      settings.stopStrings.length > 0 && settings.tokenizer
        ? new StopStrings(settings.stopStrings, settings.tokenizer)
        : undefined;
    // Everything that can be wrong is found before the first cache is made.
    for (const [index, prompt] of prompts.entries()) this.#checkPrompt(prompt, index, past?.[index]);
    const newTokens = prompts.map((prompt) => settings.newTokens(prompt.length));
    const owned: KVCache[] = [];
    this.#sequences = prompts.map((prompt, index) => {
      const given = past?.[index];
      const cache = given ?? model.createCache();
      if (!given) owned.push(cache);
      else if (this.#mustRecompute(prompt.length, cache.length)) cache.truncate(0);
      return this.#sequence(prompt, index, cache, newTokens[index] ?? 0);
    });
    this.#ownCaches = owned;
    this.#active = [...this.#sequences];
    this.#abort = new AbortBridge(settings.signal);
  }

  #checkPrompt(prompt: readonly number[], index: number, past: KVCache | null | undefined): void {
    if (prompt.length > this.#context) {
      throw new OctoformerError(
        'CONTEXT_OVERFLOW',
        `generate(): prompt ${index} has ${prompt.length} tokens, but the model takes ${this.#context} (max_position_embeddings); shorten it`,
      );
    }
    if (past && past.length >= prompt.length) {
      throw new OctoformerError(
        'INVALID_ARGUMENT',
        `generate(): past[${index}] has ${past.length} tokens, which must be fewer than the ${prompt.length} of input_ids[${index}] ` +
          '(input_ids are the whole prompt, past its beginning); truncate the cache',
      );
    }
  }

  #sequence(prompt: readonly number[], index: number, cache: KVCache, newTokens: number): Sequence {
    const settings = this.#settings;
    const sampler = callNative(
      () =>
        new (nativeAddon().Sampler)({
          do_sample: settings.doSample,
          temperature: settings.temperature,
          top_k: settings.topK,
          top_p: settings.topP || Number.EPSILON, // 0, as in Python: the likeliest token alone
          min_p: settings.minP,
          repetition_penalty: settings.repetitionPenalty,
          seed: settings.seed(index),
          eos_token_ids: Int32Array.from(settings.eosTokenIds.filter((id) => id < this.#model.vocabularySize)),
          min_new_tokens: settings.minNewTokens,
          prompt_ids: Int32Array.from(prompt),
        }),
    );
    return {
      ids: [...prompt],
      prompt: prompt.length,
      newTokens,
      cache,
      nativeCache: nativeCache(cache),
      sampler,
      computed: cache.length,
    };
  }

  get done(): boolean {
    return this.#active.length === 0;
  }

  /** Prompt and new tokens of every sequence so far. */
  get sequences(): number[][] {
    return this.#sequences.map((sequence) => sequence.ids);
  }

  /** The last tokens of the first sequence. */
  lastTokens(count: number): readonly number[] {
    return this.#sequences[0]?.ids.slice(-count) ?? [];
  }

  get finishReasons(): FinishReason[] {
    return this.#sequences.map((sequence) => sequence.finish ?? 'length');
  }

  get statistics(): GenerationStatistics {
    return {
      promptTokens: this.#promptTokens,
      newTokens: this.#newTokens,
      promptMilliseconds: this.#promptMilliseconds,
      decodeMilliseconds: this.#decodeMilliseconds,
      decodeTokens: this.#decodeTokens,
      timeToFirstToken: this.#timeToFirstToken,
    };
  }

  /**
   * One native call.
   * @returns how many tokens the first sequence gained: 0 while prompts are read, or 1
   * @throws OctoformerError ABORTED, DISPOSED, OUT_OF_MEMORY
   */
  async step(): Promise<number> {
    throwIfAborted(this.#settings.signal, 'the generation');
    const first = this.#sequences[0]?.ids.length ?? 0;
    const began = performance.now();
    if (this.#decoding) {
      this.#active.forEach((sequence, index) => {
        if (this.#decoding) this.#decoding.input_ids[index] = sequence.ids[sequence.computed] ?? 0;
      });
      await this.#run(this.#decoding, this.#active, this.#active);
      this.#decodeMilliseconds += performance.now() - began;
      this.#decodeTokens += this.#active.length;
    } else {
      const { request, running, sampling, promptTokens } = this.#plan();
      await this.#run(request, running, sampling);
      this.#promptTokens += promptTokens;
      if (promptTokens > 0) {
        this.#promptMilliseconds += performance.now() - began;
      } else {
        this.#decodeMilliseconds += performance.now() - began;
        this.#decodeTokens += sampling.length;
        this.#decoding = request;
      }
    }
    this.#retire();
    return (this.#sequences[0]?.ids.length ?? 0) - first;
  }

  /** Takes finished sequences out, and sequences apart whose cache must be computed anew. */
  #retire(): void {
    const still = this.#active.filter((sequence) => sequence.finish === undefined);
    let changed = still.length !== this.#active.length;
    for (const sequence of still) {
      const length = sequence.ids.length;
      if (this.#mustRecompute(length, sequence.computed)) {
        sequence.cache.truncate(0);
        sequence.computed = 0;
        changed = true;
      }
    }
    this.#active = still;
    if (changed) this.#decoding = undefined;
  }

  /** The cached keys were rotated by frequencies that a sequence of this length no longer has (as Phi3ForCausalLM does it). */
  #mustRecompute(length: number, computed: number): boolean {
    return length > this.#recomputeBeyond && computed > 0 && computed <= this.#recomputeBeyond;
  }

  /** Makes the next request: a token of every sequence that has one only, and of prompts as much as fits. */
  #plan() {
    let budget = this.#budget;
    let promptTokens = 0;
    const running: Sequence[] = [];
    const sampling: Sequence[] = [];
    const ids: number[] = [];
    const lengths: number[] = [];
    const rows: number[] = [];
    for (const sequence of this.#active) {
      const pending = sequence.ids.length - sequence.computed;
      const count = pending === 1 ? 1 : Math.min(pending, budget);
      if (count === 0) continue;
      budget = Math.max(0, budget - count);
      promptTokens += Math.min(count, Math.max(0, sequence.prompt - sequence.computed));
      for (let place = sequence.computed; place < sequence.computed + count; place++)
        ids.push(sequence.ids[place] ?? 0);
      lengths.push(count);
      running.push(sequence);
      if (count === pending) {
        rows.push(ids.length - 1);
        sampling.push(sequence);
      }
    }
    const request: NativeRunRequest = {
      input_ids: Int32Array.from(ids),
      lengths: Int32Array.from(lengths),
      caches: running.map((sequence) => sequence.nativeCache),
      rows: Int32Array.from(rows),
      outputs: [],
      samplers: sampling.map((sequence) => sequence.sampler),
      ...(this.#abort.flag ? { abort: this.#abort.flag } : {}),
    };
    return { request, running, sampling, promptTokens };
  }

  async #run(request: NativeRunRequest, running: readonly Sequence[], sampling: readonly Sequence[]): Promise<void> {
    const { sampled } = await this.#abort.watch(this.#model.run(request));
    running.forEach((sequence, index) => {
      sequence.computed += request.lengths[index] ?? 0;
    });
    if (sampling.length === 0) return;
    if (this.#timeToFirstToken === 0) this.#timeToFirstToken = performance.now() - this.#start;
    sampling.forEach((sequence, index) => {
      const id = sampled?.[index];
      if (id === undefined) throw new OctoformerError('INTERNAL', 'the runtime sampled no token');
      this.#append(sequence, id);
    });
  }

  #append(sequence: Sequence, id: number): void {
    sequence.ids.push(id);
    this.#newTokens++;
    if (this.#eos.has(id)) sequence.finish = 'eos';
    else if (this.#stopStrings?.matches(sequence.ids)) sequence.finish = 'stop_string';
    else if (sequence.ids.length - sequence.prompt >= sequence.newTokens) sequence.finish = 'length';
    else if (sequence.ids.length >= this.#context) sequence.finish = 'context';
  }

  /** Frees the caches that it made. */
  dispose(): void {
    this.#abort.release();
    for (const cache of this.#ownCaches) cache.dispose();
  }
}
