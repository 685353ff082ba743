import type { CausalLanguageModel } from '../generation/auto_model';
import type { KVCache } from '../models/kv_cache';

/** Conversations whose keys and values are kept, and their bytes at most. */
const limits = { conversations: 4, bytes: 2 ** 30 } as const;

interface Kept {
  readonly ids: readonly number[];
  readonly cache: KVCache;
}

/**
 * Keys and values of the conversations that were answered last, so that the next turn of one of them, or another that begins alike, computes
 * only what is new. Results have the same bits as without: where a model's could differ, nothing is kept.
 */
export class PrefixCache {
  readonly #model: CausalLanguageModel;
  /** The one used last at the end. */
  #kept: readonly Kept[] = [];

  constructor(model: CausalLanguageModel) {
    this.#model = model;
  }

  /** A cache with as much of a prompt's beginning (all but its last token at most) as there is: the caller's, to give back with `keep` or to dispose. */
  take(prompt: readonly number[]): KVCache {
    let longest: Kept | undefined;
    let length = 0;
    for (const kept of this.#kept) {
      const common = Math.min(commonLength(kept.ids, prompt), prompt.length - 1);
      if (common > length) [longest, length] = [kept, common];
    }
    if (!longest) return this.#model.createCache();
    const cache = longest.cache.fork();
    cache.truncate(length);
    return cache;
  }

  /** Keeps a cache that has the beginning of `ids`, and lets go of what it goes on from and of the oldest beyond the limits. */
  keep(ids: readonly number[], cache: KVCache): void {
    const length = this.#model.sharesPrefixes ? lengthOf(cache) : 0;
    if (length === 0) {
      cache.dispose();
      return;
    }
    const added = { ids: ids.slice(0, length), cache };
    const others: Kept[] = [];
    for (const kept of this.#kept) {
      if (commonLength(kept.ids, added.ids) === kept.ids.length) kept.cache.dispose();
      else others.push(kept);
    }
    const all = [...others, added];
    // Pages that conversations share are counted in parts, so what is left counts more when one goes.
    while (all.length > limits.conversations || bytesOf(all) > limits.bytes) all.shift()?.cache.dispose();
    this.#kept = all;
  }

  /** Frees everything. */
  clear(): void {
    for (const { cache } of this.#kept) cache.dispose();
    this.#kept = [];
  }
}

/** Tokens in a cache; none where the model was disposed meanwhile. */
function lengthOf(cache: KVCache): number {
  try {
    return cache.length;
  } catch {
    return 0;
  }
}

function bytesOf(kept: readonly Kept[]): number {
  return kept.reduce((sum, { cache }) => sum + cache.bytes, 0);
}

/** How many ids two lists begin with alike. */
export function commonLength(left: readonly number[], right: readonly number[]): number {
  let length = 0;
  while (length < left.length && length < right.length && left[length] === right[length]) length++;
  return length;
}
