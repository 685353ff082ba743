import { AbortBridge, throwIfAborted } from '../binding/abort';
import { OctoformerError } from '../binding/error';
import { callNative } from '../binding/load';
import type { NativeCache, NativeRunRequest } from '../binding/native';
import { type KVCache, nativeCache } from '../models/kv_cache';
import type { LengthLimits, Model } from '../models/model';
import { Ending, type FinishReason } from './ending';
import type { GenerationExtras, GenerationRun, GenerationStatistics } from './generation_run';
import type { GenerationSettings } from './options';
import { lookUpContinuation } from './prompt_lookup';
import { checkPrompt, forgetOutdated, type Lane, planStep, stepsUntilOutdated } from './ragged_step';
import { milliseconds, RunClock } from './run_clock';
import { type TokenChoice, tokenChoice, usesProcessors } from './token_choice';

interface Sequence extends Lane {
  /** Prompt and new tokens. */
  readonly ids: number[];
  /** Tokens at most. */
  readonly longest: number;
  readonly choice: TokenChoice;
  /** Sequences of the same prompt, which share its cache and begin when it is computed. */
  followers: readonly Follower[];
  draft: readonly number[];
  finish?: FinishReason;
  readonly scores: Float32Array[];
  readonly logits: Float32Array[];
}

type Follower = Omit<Sequence, 'cache' | 'nativeCache'> & { cache?: KVCache; nativeCache?: NativeCache };

/**
 * Greedy search and sampling. Where the native sampler does all that is asked for, a step is one call that gives tokens back; with any
 * other processor, and with prompt lookup, logits come to JavaScript and the choice is made there.
 */
export class TokenRun implements GenerationRun {
  readonly #model: Model;
  readonly #settings: GenerationSettings;
  readonly #limits: LengthLimits;
  readonly #sequences: readonly (Sequence | Follower)[];
  readonly #ownCaches: KVCache[] = [];
  readonly #ending: Ending;
  readonly #abort: AbortBridge;
  readonly #clock = new RunClock();
  readonly #readsLogits: boolean;
  #active: Sequence[];
  /** The request of the last step, used again while the same sequences go on by one token each. */
  #decoding: NativeRunRequest | undefined;

  /**
   * @param encoderIds what processors take for the encoder's input; the prompts, for decoder-only models
   * @param past caches of the beginnings of the prompts; they grow and stay the caller's
   * @throws OctoformerError CONTEXT_OVERFLOW for a prompt that the model can't take, INVALID_ARGUMENT, UNSUPPORTED_OPTION, ABORTED
   */
  constructor(
    model: Model,
    prompts: readonly (readonly number[])[],
    past: readonly (KVCache | null)[] | undefined,
    settings: GenerationSettings,
    encoderIds: readonly (readonly number[])[] = prompts,
  ) {
    throwIfAborted(settings.signal, 'the generation');
    this.#model = model;
    this.#settings = settings;
    this.#limits = model.lengthLimits;
    this.#ending = new Ending(settings, this.#limits.context);
    this.#readsLogits = usesProcessors(settings) || settings.outputLogits || settings.lookupTokens > 0;
    if (settings.lookupTokens > 0 && this.#limits.wholePrompts) {
      throw new OctoformerError(
        'UNSUPPORTED_OPTION',
        "option 'prompt_lookup_num_tokens' of generate() is not implemented for models whose rotary frequencies depend on the length of the sequence; leave it out",
      );
    }
    // Everything that can be wrong is found before the first cache is made.
    for (const [index, prompt] of prompts.entries()) checkPrompt(prompt, index, past?.[index], this.#limits);
    const groups = prompts.map((prompt, index) =>
      Array.from({ length: settings.returnSequences }, (_, copy) =>
        this.#follower(prompt, encoderIds[index] ?? prompt, index, copy),
      ),
    );
    this.#active = groups.map(([first, ...followers], index) => {
      const given = past?.[index];
      const cache = given ?? model.createCache();
      if (!given) this.#ownCaches.push(cache);
      const leader = begin(first as Follower, cache);
      leader.followers = followers;
      forgetOutdated(leader, this.#limits);
      return leader;
    });
    this.#sequences = groups.flat();
    this.#abort = new AbortBridge(settings.signal);
  }

  #follower(prompt: readonly number[], encoderIds: readonly number[], index: number, copy: number): Follower {
    const settings = this.#settings;
    const longest = prompt.length + settings.newTokens(prompt.length);
    const context = {
      promptLength: prompt.length,
      encoderIds,
      maxLength: longest,
      eosTokenIds: settings.eosTokenIds,
      vocabularySize: this.#model.vocabularySize,
      leastTokens: 1,
    };
    return {
      ids: [...prompt],
      prompt: prompt.length,
      longest,
      choice: tokenChoice(settings, context, prompt, settings.seed(index, copy)),
      followers: [],
      draft: [],
      computed: 0,
      scores: [],
      logits: [],
    };
  }

  get done(): boolean {
    return this.#active.length === 0;
  }

  get sequences(): number[][] {
    return this.#sequences.map((sequence) => sequence.ids);
  }

  lastTokens(count: number): readonly number[] {
    return count === 0 ? [] : (this.#sequences[0]?.ids.slice(-count) ?? []);
  }

  get finishReasons(): FinishReason[] {
    return this.#sequences.map((sequence) => sequence.finish ?? 'length');
  }

  get statistics(): GenerationStatistics {
    return this.#clock.statistics;
  }

  get extras(): GenerationExtras {
    const { outputScores, outputLogits } = this.#settings;
    return {
      ...(outputScores ? { scores: bySteps(this.#sequences.map(({ scores }) => scores)) } : {}),
      ...(outputLogits ? { logits: bySteps(this.#sequences.map(({ logits }) => logits)) } : {}),
    };
  }

  async step(most = 1): Promise<number> {
    throwIfAborted(this.#settings.signal, 'the generation');
    const first = this.#sequences[0]?.ids.length ?? 0;
    const began = milliseconds();
    if (this.#decoding) {
      for (const [index, sequence] of this.#active.entries()) {
        this.#decoding.input_ids[index] = sequence.ids[sequence.computed] ?? 0;
      }
      const steps = { most: Math.min(most, this.#stepsAhead()), last_ids: this.#ending.ids };
      const request = steps.most > 1 ? { ...this.#decoding, steps } : this.#decoding;
      const gained = await this.#run(request, this.#active, this.#active);
      this.#clock.addRun(began, 0, gained);
    } else {
      this.#guess();
      const step = planStep(this.#active, this.#limits);
      const choosing: Sequence[] = [];
      const rows: number[] = [];
      for (const { lane, row } of step.ready) {
        // Sequences of one prompt all choose from its last row, each with a sampler of its own.
        for (let copy = 0; copy <= lane.followers.length; copy++) rows.push(row);
        for (let guess = 1; guess <= lane.draft.length; guess++) rows.push(row + guess);
        choosing.push(lane);
      }
      const request: NativeRunRequest = {
        input_ids: step.input_ids,
        lengths: step.lengths,
        caches: step.caches,
        rows: Int32Array.from(rows),
        outputs: this.#readsLogits ? ['logits'] : [],
        ...(this.#readsLogits ? {} : { samplers: choosing.flatMap(samplersOf) }),
        ...(this.#abort.flag ? { abort: this.#abort.flag } : {}),
      };
      const gained = await this.#run(request, step.running, choosing);
      this.#clock.addRun(began, step.promptTokens, gained);
      if (step.promptTokens === 0 && this.#settings.lookupTokens === 0) this.#decoding = request;
    }
    this.#retire();
    return (this.#sequences[0]?.ids.length ?? 0) - first;
  }

  /** Steps that need nothing of what is done here in between, unless a sequence ends by one of the ending's ids. */
  #stepsAhead(): number {
    if (this.#readsLogits || !this.#ending.byIdsAndLength) return 1;
    let steps = Number.POSITIVE_INFINITY;
    for (const sequence of this.#active) {
      const room = this.#ending.most(sequence.longest) - sequence.ids.length;
      steps = Math.min(steps, room, stepsUntilOutdated(sequence, this.#limits));
    }
    return steps;
  }

  /** Guesses what follows in sequences whose prompt is computed. */
  #guess(): void {
    const { lookupTokens, lookupNgram, eosTokenIds } = this.#settings;
    if (lookupTokens === 0) return;
    for (const sequence of this.#active) {
      const { ids, computed, prompt, longest } = sequence;
      // The run itself gives one token more than were guessed.
      const room = Math.min(longest, this.#limits.context) - ids.length - 1;
      const most = computed < prompt ? 0 : Math.min(lookupTokens, room);
      sequence.draft = lookUpContinuation(ids, lookupNgram, most, eosTokenIds);
    }
  }

  /** Takes finished sequences out, and sequences apart whose cache must be computed anew. */
  #retire(): void {
    const still = this.#active.filter((sequence) => sequence.finish === undefined);
    const outdated = still.filter((sequence) => forgetOutdated(sequence, this.#limits));
    if (outdated.length > 0 || still.length !== this.#active.length) this.#decoding = undefined;
    this.#active = still;
  }

  /** @returns the number of new tokens */
  async #run(request: NativeRunRequest, running: readonly Sequence[], choosing: readonly Sequence[]): Promise<number> {
    const { sampled, outputs } = await this.#abort.watch(this.#model.run(request));
    const steps = request.steps ? (sampled?.length ?? 0) / request.rows.length : 1;
    for (const [index, sequence] of running.entries()) sequence.computed += steps * (request.lengths[index] ?? 0);
    const logits = outputs.logits ?? new Float32Array();
    const columns = logits.length / Math.max(1, request.rows.length);
    let row = 0;
    const choose = (sequence: Sequence): void => {
      const id = this.#readsLogits
        ? this.#choose(sequence, logits.subarray(row * columns, (row + 1) * columns))
        : sampled?.[row];
      if (id === undefined) throw new OctoformerError('INTERNAL', 'the runtime sampled no token');
      row++;
      sequence.ids.push(id);
      const reason = this.#ending.reason(sequence.ids, sequence.longest);
      if (reason) sequence.finish = reason;
    };
    let gained = 0;
    for (let step = 0; step < steps; step++) {
      for (const leader of choosing) {
        const end = row + 1 + leader.followers.length + leader.draft.length;
        const group = leader.followers.length > 0 ? [leader, ...this.#beginFollowers(leader)] : [leader];
        for (const sequence of group) choose(sequence);
        gained += group.length + this.#accept(leader, choose);
        row = end;
      }
    }
    return gained;
  }

  /** Goes on while the token that was chosen is the one that was guessed, since the next row is then the next token's. */
  #accept(sequence: Sequence, choose: (sequence: Sequence) => void): number {
    const { draft } = sequence;
    if (draft.length === 0) return 0;
    let accepted = 0;
    while (sequence.finish === undefined && accepted < draft.length && sequence.ids.at(-1) === draft[accepted]) {
      accepted++;
      choose(sequence);
    }
    this.#clock.addGuesses(draft.length, accepted);
    sequence.draft = [];
    if (sequence.computed >= sequence.ids.length) {
      sequence.computed = sequence.ids.length - 1;
      sequence.cache.truncate(sequence.computed);
    }
    return accepted;
  }

  #choose({ ids, choice, scores, logits }: Sequence, row: Float32Array): number {
    if (this.#settings.outputLogits) logits.push(row.slice());
    choice.processors?.(ids, row);
    if (this.#settings.outputScores) scores.push(row.slice());
    return callNative(() => choice.sampler.sample(row));
  }

  /** The prompt is computed: the other sequences of it fork its cache. */
  #beginFollowers(leader: Sequence): readonly Sequence[] {
    const begun = leader.followers.map((follower) => {
      const cache = leader.cache.fork();
      this.#ownCaches.push(cache);
      return begin(follower, cache);
    });
    leader.followers = [];
    this.#active.push(...begun);
    return begun;
  }

  dispose(): void {
    this.#abort.release();
    for (const cache of this.#ownCaches) cache.dispose();
  }
}

/** Gives a sequence its cache. */
function begin(follower: Follower, cache: KVCache): Sequence {
  return Object.assign(follower, { cache, nativeCache: nativeCache(cache), computed: cache.length });
}

function samplersOf({ choice, followers }: Sequence) {
  return [choice.sampler, ...followers.map((follower) => follower.choice.sampler)];
}

/** Lists of rows by sequence, turned into lists by step. */
function bySteps(rows: readonly (readonly Float32Array[])[]): (Float32Array | null)[][] {
  const steps = Math.max(...rows.map((list) => list.length));
  return Array.from({ length: steps }, (_, step) => rows.map((list) => list[step] ?? null));
}
