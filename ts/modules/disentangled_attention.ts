import type { AttentionPositions } from '../graph/attention_ops';
import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { linear, linears } from './linear';

/** Attention to relative positions beside that to content (He et al. 2021, "DeBERTa", section 3.1). */
export interface DisentangledAttention {
  /** `[places, features]`: the embeddings of relative positions. */
  readonly embeddings: Value;
  /** See `AttentionPositions.index`. */
  readonly index: readonly number[];
  /** `c2p`: content attends to positions. `p2c`: positions attend to content. */
  readonly terms: readonly ('c2p' | 'p2c')[];
  /** Positions are projected by the matrices of the content; else by `pos_key_proj` and `pos_query_proj`. */
  readonly shared: boolean;
}

/** The queries and keys of positions, in the present module. `width`: of all heads. */
export function projectPositions(
  g: GraphBuilder,
  { embeddings, index, terms, shared }: DisentangledAttention,
  projections: readonly [string, string],
  width: number,
): AttentionPositions {
  if (shared) {
    const both = projections.map((name) => ({ name, outFeatures: width }));
    const [queries, keys] = linears(g, both, embeddings, { bias: true }).each;
    return {
      index,
      ...(keys && terms.includes('c2p') ? { keys } : {}),
      ...(queries && terms.includes('p2c') ? { queries } : {}),
    };
  }
  const project = (name: string) => linear(g, name, embeddings, { outFeatures: width, bias: true });
  return {
    index,
    ...(terms.includes('c2p') ? { keys: project('pos_key_proj') } : {}),
    ...(terms.includes('p2c') ? { queries: project('pos_query_proj') } : {}),
  };
}

export interface RelativePlaces {
  /** Distances with a place of their own to each side are half of this; farther ones share places by their logarithm. 0: all have their own. */
  readonly buckets: number;
  /** From this distance on all have the outermost place. */
  readonly maxDistance: number;
}

/** How many places there are: half of them for queries after the key, half for those before it. */
export function placeCount({ buckets, maxDistance }: RelativePlaces): number {
  return 2 * (buckets > 0 ? buckets : maxDistance);
}

/** A table of places longer than this means that its configuration can't be. */
const largestReach = 1 << 20;

/**
 * Places of the distances -reach to reach as `transformers` computes them for DeBERTa-v2 (`make_log_bucket_position`), every step rounded
 * to float32.
 */
export function relativePlaces(places: RelativePlaces): readonly number[] {
  const half = placeCount(places) / 2;
  const place = (distance: number) => Math.min(Math.max(bucketOf(distance, places) + half, 0), 2 * half - 1);
  let reach = Math.max(places.maxDistance, half);
  // Odd numbers of buckets end later; below four of them all distances but the least have one place.
  const ends = () => place(reach) === 2 * half - 1 && place(-reach) === 0;
  while (places.buckets > 3 && reach < largestReach && !ends()) reach *= 2;
  return Array.from({ length: 2 * reach + 1 }, (_, at) => place(at - reach));
}

function bucketOf(distance: number, { buckets, maxDistance }: RelativePlaces): number {
  const middle = Math.floor(buckets / 2);
  const size = Math.abs(distance);
  if (buckets === 0 || size <= middle) return distance;
  const round = Math.fround;
  const share = round(round(Math.log(round(size / middle))) / round(Math.log(round((maxDistance - 1) / middle))));
  return Math.sign(distance) * (Math.ceil(round(share * (middle - 1))) + middle);
}
