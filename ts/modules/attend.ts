import type { AttentionOp, AttentionPositions, RelativeBias } from '../graph/attention_ops';
import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';

/** What becomes of the products of queries and keys before the softmax. */
export interface ScoreOptions {
  /** Multiplies the scores; 1 / sqrt(headDim) by default. */
  readonly scale?: number;
  readonly softcap?: number;
  readonly alibiSlopes?: readonly number[];
  /** Biases are computed in bfloat16 and scaled as the scores are, as Falcon does whatever the model's dtype. */
  readonly alibiRounding?: 'bfloat16';
  /** Added to the scores by the distance of key and query. */
  readonly relativeBias?: RelativeBias;
}

export interface AttendOptions extends ScoreOptions {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly pattern: AttentionOp['pattern'];
  /** Attention to relative positions beside that to content. */
  readonly positions?: AttentionPositions;
}

/**
 * Attention between projected queries, keys and values (Vaswani et al. 2017, section 3.2.1): `[tokens, heads * headDim]`. Its probabilities
 * can be asked for as `attentions.LAYER`, layers counted in the order of the graph.
 */
export function attend(
  g: GraphBuilder,
  { query, key, value }: { readonly query: Value; readonly key: Value; readonly value: Value },
  options: AttendOptions,
): Value {
  const { heads, kvHeads, headDim, pattern, scale = headDim ** -0.5 } = options;
  const { softcap, alibiSlopes, alibiRounding, relativeBias, positions } = options;
  const layer = g.cacheLayer({ kv_heads: kvHeads, head_dim: headDim });
  const probabilities = g.declareOutput(`attentions.${layer}`);
  const out = g.buffer('tokens', heads * headDim);
  g.add({
    op: 'attention',
    query,
    key,
    value,
    out,
    layer,
    heads,
    scale,
    pattern,
    ...(softcap === undefined ? {} : { softcap }),
    ...(alibiSlopes ? { alibi_slopes: alibiSlopes } : {}),
    ...(alibiRounding ? { alibi_rounding: alibiRounding } : {}),
    ...(relativeBias ? { relative_bias: relativeBias } : {}),
    ...(positions ? { positions } : {}),
    probabilities,
  });
  return out;
}
