import { AbortBridge, throwIfAborted } from '../binding/abort';
import { OctoformerError } from '../binding/error';
import { type KVCache, nativeCache } from '../models/kv_cache';
import type { LengthLimits, Model } from '../models/model';
import { BeamSearch, type Hypothesis } from './beam_search';
import { Ending, type FinishReason } from './ending';
import type { GenerationExtras, GenerationRun, GenerationStatistics } from './generation_run';
import { LikeliestTokens, type NextTokens, processedRow } from './next_tokens';
import type { GenerationSettings } from './options';
import { processorChain } from './processors/chain';
import type { Processor } from './processors/processor';
import { checkPrompt, forgetOutdated, type Lane, planStep, type RaggedStep } from './ragged_step';
import { uniformDraw } from './random';
import { milliseconds, RunClock } from './run_clock';

interface BeamLane extends Lane {
  readonly processors: Processor;
}

/** What a run tells of the token after a lane: its logits where they are asked for, and what the search takes. */
interface NextRow {
  readonly logits: Float32Array;
  readonly next: Float32Array | NextTokens;
}

/** The search for one prompt, and the caches of its beams; until the prompt is computed, there is one for all. */
interface Group {
  readonly search: BeamSearch;
  readonly processors: Processor;
  readonly prompt: number;
  lanes: readonly BeamLane[];
}

type Result = Omit<Hypothesis, 'finish'> & { readonly finish?: FinishReason };

/**
 * Beam search: all beams of all prompts are one ragged batch. A beam that goes on in two ways forks its cache, which shares all pages
 * but those that are written afterwards: no step copies a cache.
 */
export class BeamRun implements GenerationRun {
  readonly #model: Model;
  readonly #settings: GenerationSettings;
  readonly #limits: LengthLimits;
  readonly #groups: readonly Group[];
  readonly #givenCaches: ReadonlySet<KVCache>;
  readonly #abort: AbortBridge;
  /** Where a few of the likeliest tokens of each beam are enough, so that scores of all tokens need not come to JavaScript. */
  readonly #likeliest: LikeliestTokens | undefined;
  readonly #clock = new RunClock();
  readonly #scores: (Float32Array | null)[][] = [];
  readonly #logits: (Float32Array | null)[][] = [];

  /**
   * @param encoderIds what processors take for the encoder's input; the prompts, for decoder-only models
   * @param past caches of the beginnings of the prompts; they grow by the rest of the prompts and stay the caller's
   * @throws OctoformerError CONTEXT_OVERFLOW for a prompt that the model can't take, INVALID_ARGUMENT, ABORTED
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
    // Everything that can be wrong is found before the first cache is made.
    for (const [index, prompt] of prompts.entries()) checkPrompt(prompt, index, past?.[index], this.#limits);
    const ending = new Ending(settings, this.#limits.context);
    const begun = prompts.map((prompt, index) => this.#begin(prompt, encoderIds[index] ?? prompt, index, ending));
    this.#givenCaches = new Set((past ?? []).filter((cache) => cache !== null));
    this.#groups = begun.map((group, index) => {
      const cache = past?.[index] ?? model.createCache();
      const lane = laneOf(prompts[index] ?? [], group, cache, cache.length);
      forgetOutdated(lane, this.#limits);
      return { ...group, lanes: [lane] };
    });
    const known = begun.every(({ processors }) => processors.lowers !== undefined);
    const few = known && !settings.outputScores && !settings.doSample;
    this.#likeliest = few ? new LikeliestTokens(model.vocabularySize) : undefined;
    this.#abort = new AbortBridge(settings.signal);
  }

  #begin(
    prompt: readonly number[],
    encoderIds: readonly number[],
    index: number,
    ending: Ending,
  ): Omit<Group, 'lanes'> {
    const settings = this.#settings;
    const longest = prompt.length + settings.newTokens(prompt.length);
    const endings = settings.eosTokenIds.length;
    const processors = processorChain(settings, {
      promptLength: prompt.length,
      encoderIds,
      maxLength: longest,
      eosTokenIds: settings.eosTokenIds,
      vocabularySize: this.#model.vocabularySize,
      // One token that doesn't end the sequence must stay, and 2 at least, as in transformers.
      leastTokens: endings > 0 ? endings + 1 : 2,
    });
    const seed = settings.seed(index, 0);
    let draws = 0;
    const search = new BeamSearch(prompt, {
      numBeams: settings.numBeams,
      lengthPenalty: settings.lengthPenalty,
      earlyStopping: settings.earlyStopping,
      newTokens: Math.min(longest, this.#limits.context) - prompt.length,
      endings,
      finish: (ids) => ending.reason(ids, longest),
      ...(settings.doSample ? { uniform: () => uniformDraw(seed, draws++) } : {}),
    });
    return { search, processors, prompt: prompt.length };
  }

  get done(): boolean {
    return this.#groups.every(({ search }) => search.done);
  }

  /** The best finished sequences; while the search goes on, its beams. */
  get #results(): Result[] {
    return this.#groups.flatMap(({ search }) => {
      const sequences: readonly Result[] = search.done ? search.hypotheses : search.beams;
      return sequences.slice(0, this.#settings.returnSequences);
    });
  }

  get sequences(): number[][] {
    return this.#results.map(({ ids }) => [...ids]);
  }

  get finishReasons(): FinishReason[] {
    return this.#results.map(({ finish }) => finish ?? 'length');
  }

  lastTokens(count: number): readonly number[] {
    return count === 0 ? [] : (this.#results[0]?.ids.slice(-count) ?? []);
  }

  get statistics(): GenerationStatistics {
    return this.#clock.statistics;
  }

  get extras(): GenerationExtras {
    const { outputScores, outputLogits, numBeams, returnSequences } = this.#settings;
    const results = this.#results;
    // Beams are counted over all prompts, as the rows of `scores` are.
    const beamIndices = results.map(({ parents }, index) => {
      const first = Math.floor(index / returnSequences) * numBeams;
      return parents.map((parent) => first + parent);
    });
    return {
      sequences_scores: results.map(({ score }) => score),
      ...(outputScores ? { scores: this.#scores, beam_indices: beamIndices } : {}),
      ...(outputLogits ? { logits: this.#logits } : {}),
    };
  }

  async step(): Promise<number> {
    throwIfAborted(this.#settings.signal, 'the generation');
    const began = milliseconds();
    const open = this.#groups.filter(({ search }) => !search.done);
    const step = planStep(
      open.flatMap(({ lanes }) => lanes),
      this.#limits,
    );
    const rows = await this.#run(step);
    // Beams lack one token each, which always fits: either all of a group are ready, or its prompt is still read.
    const ready = open.filter(({ lanes }) => lanes.every((lane) => rows.has(lane)));
    if (ready.length > 0) this.#advance(ready, rows);
    this.#clock.addRun(began, step.promptTokens, ready.length);
    const [first] = this.#groups;
    return this.done && first ? (first.search.hypotheses[0]?.ids.length ?? 0) - first.prompt : 0;
  }

  /** @returns what it tells of the lanes that are ready then */
  async #run({ running, ready, ...step }: RaggedStep<BeamLane>): Promise<ReadonlyMap<BeamLane, NextRow>> {
    const { search } = this.#groups[0] ?? {};
    const candidates = search?.candidates ?? 0; // the same of all groups
    const lowered = ready.map(({ lane }) => new Set(lane.processors.lowers?.(lane.ids)));
    const mostLowered = lowered.reduce((most, { size }) => Math.max(most, size), 0);
    const result = await this.#abort.watch(
      this.#model.run({
        input_ids: step.input_ids,
        lengths: step.lengths,
        caches: step.caches,
        rows: Int32Array.from(ready, ({ row }) => row),
        outputs: this.#settings.outputLogits ? ['logits'] : [],
        log_probabilities: this.#likeliest ? candidates + mostLowered : 0,
        ...(this.#abort.flag ? { abort: this.#abort.flag } : {}),
      }),
    );
    for (const [index, lane] of running.entries()) lane.computed += step.lengths[index] ?? 0;
    const { outputs, log_probabilities = new Float32Array(), likeliest = new Int32Array() } = result;
    const { logits = new Float32Array() } = outputs;
    const rowOf = <T extends Float32Array | Int32Array>(all: T, index: number) => {
      const columns = all.length / ready.length;
      return all.subarray(index * columns, (index + 1) * columns) as T;
    };
    return new Map(
      ready.map(({ lane }, index): [BeamLane, NextRow] => {
        const { ids, processors } = lane;
        const logProbabilities = rowOf(log_probabilities, index);
        const few = { tokens: rowOf(likeliest, index), logProbabilities };
        const lowers = lowered[index] ?? new Set();
        const next =
          this.#likeliest?.processed(few, ids, processors, lowers, candidates) ??
          processedRow(logProbabilities, ids, processors);
        return [lane, { logits: rowOf(logits, index), next }];
      }),
    );
  }

  #advance(ready: readonly Group[], rows: ReadonlyMap<BeamLane, NextRow>): void {
    const { outputScores, outputLogits, numBeams } = this.#settings;
    const scores: (Float32Array | null)[] = [];
    const logits: (Float32Array | null)[] = [];
    for (const group of this.#groups) {
      if (!ready.includes(group)) {
        for (let beam = 0; beam < numBeams; beam++) {
          scores.push(null);
          logits.push(null);
        }
        continue;
      }
      const ofLanes = group.lanes.flatMap((lane) => rows.get(lane) ?? []);
      const [first] = ofLanes;
      // Where the beams begin, all have the one row of the prompt.
      const ofBeams = ofLanes.length > 1 || !first ? ofLanes : Array<NextRow>(numBeams).fill(first);
      if (outputLogits) logits.push(...ofBeams.map((row) => row.logits));
      if (outputScores) scores.push(...ofBeams.map(({ next }) => (next instanceof Float32Array ? next : null)));
      group.search.advance(ofBeams.map(({ next }) => next));
      this.#reassign(group);
    }
    if (outputScores) this.#scores.push(scores);
    if (outputLogits) this.#logits.push(logits);
  }

  /** Gives each beam the cache of the beam that it continues: the cache itself to the last one, forks to the others. */
  #reassign(group: Group): void {
    const { search } = group;
    const before = group.lanes;
    if (search.done) {
      this.#release(before);
      group.lanes = [];
      return;
    }
    const parents = search.beams.map(({ parent }) => (before.length > 1 ? parent : 0));
    const taken = new Set<KVCache>();
    const lanes: BeamLane[] = [];
    for (const [beam, { ids }] of search.beams.entries()) {
      const parent = parents[beam] ?? 0;
      const from = before[parent];
      if (!from) throw new OctoformerError('INTERNAL', `beam ${beam} continues beam ${parent}, which has no cache`);
      const isLast = parents.lastIndexOf(parent) === beam;
      const keeps = isLast && !this.#givenCaches.has(from.cache);
      const cache = keeps ? from.cache : from.cache.fork();
      if (keeps) taken.add(cache);
      lanes.push(laneOf(ids, group, cache, from.computed));
    }
    this.#release(before.filter(({ cache }) => !taken.has(cache)));
    for (const lane of lanes) forgetOutdated(lane, this.#limits);
    group.lanes = lanes;
  }

  #release(lanes: readonly Lane[]): void {
    for (const { cache } of lanes) if (!this.#givenCaches.has(cache)) cache.dispose();
  }

  dispose(): void {
    this.#abort.release();
    for (const group of this.#groups) {
      this.#release(group.lanes);
      group.lanes = [];
    }
  }
}

function laneOf(
  ids: readonly number[],
  { prompt, processors }: Pick<Group, 'prompt' | 'processors'>,
  cache: KVCache,
  computed: number,
): BeamLane {
  return { ids, prompt, processors, cache, nativeCache: nativeCache(cache), computed };
}
