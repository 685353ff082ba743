import { OctoformerError } from '../binding/error';
import type { NativeCache } from '../binding/native';
import type { KVCache } from '../models/kv_cache';
import type { LengthLimits } from '../models/model';

/** A sequence in a batch: its tokens, of which the first `computed` are in its cache. */
export interface Lane {
  readonly ids: readonly number[];
  /** Tokens of the prompt. */
  readonly prompt: number;
  readonly cache: KVCache;
  readonly nativeCache: NativeCache;
  computed: number;
  /** Guesses of what follows, computed in the same run. */
  readonly draft?: readonly number[];
}

/** One run over lanes: what is asked of the runtime, and whose next token it tells. */
export interface RaggedStep<T extends Lane> {
  readonly input_ids: Int32Array;
  readonly lengths: Int32Array;
  readonly caches: readonly NativeCache[];
  readonly running: readonly T[];
  /** Lanes all of whose tokens are computed then, with the row of the last one; rows of its guesses follow. */
  readonly ready: readonly { readonly lane: T; readonly row: number }[];
  /** Tokens of prompts among it. */
  readonly promptTokens: number;
}

/**
 * Tokens in one run while prompts are read. Buffers grow with it (a Llama of 8 billion parameters takes 200 KB a token); beyond
 * it products of matrices get no faster. Cutting prompts here does not change a bit of the result.
 */
const promptTokensPerRun = 2048;

/** Makes the next run: a token of every lane that has one only, and of prompts as much as fits. */
export function planStep<T extends Lane>(lanes: readonly T[], limits: LengthLimits): RaggedStep<T> {
  let budget = limits.wholePrompts ? Number.POSITIVE_INFINITY : promptTokensPerRun;
  let promptTokens = 0;
  const running: T[] = [];
  const ready: { lane: T; row: number }[] = [];
  const ids: number[] = [];
  const lengths: number[] = [];
  for (const lane of lanes) {
    const { computed, prompt, draft = [] } = lane;
    const pending = lane.ids.length - computed;
    const count = pending === 1 ? 1 : Math.min(pending, budget);
    if (count === 0) continue;
    budget = Math.max(0, budget - count);
    promptTokens += Math.min(count, Math.max(0, prompt - computed));
    for (let place = computed; place < computed + count; place++) ids.push(lane.ids[place] ?? 0);
    running.push(lane);
    if (count === pending) {
      ready.push({ lane, row: ids.length - 1 });
      ids.push(...draft);
      lengths.push(count + draft.length);
    } else {
      lengths.push(count);
    }
  }
  return {
    input_ids: Int32Array.from(ids),
    lengths: Int32Array.from(lengths),
    caches: running.map((lane) => lane.nativeCache),
    running,
    ready,
    promptTokens,
  };
}

/** Forgets the cached keys that were rotated by frequencies which a sequence of this length no longer has (as Phi3ForCausalLM does it). */
export function forgetOutdated(lane: Lane, { recomputeBeyond }: LengthLimits): boolean {
  if (!mustRecompute(lane.ids.length, lane.computed, recomputeBeyond)) return false;
  lane.cache.truncate(0);
  lane.computed = 0;
  return true;
}

/** Steps of one token that a lane can take before its cache is outdated. */
export function stepsUntilOutdated({ ids, computed }: Lane, { recomputeBeyond }: LengthLimits): number {
  if (recomputeBeyond === undefined || computed > recomputeBeyond) return Number.POSITIVE_INFINITY;
  return recomputeBeyond + 1 - ids.length;
}

function mustRecompute(length: number, computed: number, beyond = Number.POSITIVE_INFINITY): boolean {
  return length > beyond && computed > 0 && computed <= beyond;
}

/**
 * @param past a cache of the prompt's beginning
 * @throws OctoformerError CONTEXT_OVERFLOW for a prompt that the model can't take, INVALID_ARGUMENT for a cache as long as the prompt
 */
export function checkPrompt(
  prompt: readonly number[],
  index: number,
  past: KVCache | null | undefined,
  { context }: LengthLimits,
): void {
  if (prompt.length > context) {
    throw new OctoformerError(
      'CONTEXT_OVERFLOW',
      `generate(): prompt ${index} has ${prompt.length} tokens, but the model takes ${context} (max_position_embeddings); shorten it`,
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
