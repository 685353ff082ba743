/** The ops of a Program that keep keys and values and attend to them, and what decides who sees whom. */

import type { Value } from './value';

/**
 * Which keys position p sees: those near it, and some others. All are at most p where `causal`.
 *
 * Near are keys at a distance below `window`; or those of p's own `block`, positions being cut into blocks of that length; or, where
 * neither is given nor `stride`, all of them. The others: the first `sinks` of the sequence; those whose distance is a multiple of `stride`; the
 * last `summary` of every block. (Child et al. 2019: "strided" is `window` and `stride`, "fixed" is `block` and `summary`. Xiao et al. 2023:
 * sinks.) Pages of keys that no query of a tile sees are not read.
 */
export interface AttentionPattern {
  readonly kind: 'causal' | 'full';
  readonly window?: number;
  readonly sinks?: number;
  readonly stride?: number;
  readonly block?: number;
  readonly summary?: number;
}

/**
 * Disentangled attention (He et al. 2021, "DeBERTa", section 3.1): query i and key j get query_i . keys[place] + key_j . queries[place] more,
 * head by head. The place belongs to the distance i - j.
 */
export interface AttentionPositions {
  /** Places of the distances -reach, ..., 0, ..., reach, never falling; farther ones have the outermost. */
  readonly index: readonly number[];
  /** `[places, heads * head_dim]`; absent: no such term. The cache layer has as many heads as there are queries'. */
  readonly keys?: Value;
  readonly queries?: Value;
}

/** Stores key and value in the cache layer, then attends. Without a cache the pages are temporary. */
export interface AttentionOp {
  readonly op: 'attention';
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
  readonly out: Value;
  /** Index into `Program.cache_layers`. */
  readonly layer: number;
  readonly heads: number;
  readonly scale: number;
  readonly pattern: AttentionPattern;
  /** Adds what positions say to the scores, before `scale`. */
  readonly positions?: AttentionPositions;
  readonly softcap?: number;
  /** One a head: slope * (key position - query position) is added to the scores. */
  readonly alibi_slopes?: readonly number[];
  /** Adds scale * (slope * key position) instead, with slope, position and product rounded to bfloat16 (Falcon). */
  readonly alibi_rounding?: 'bfloat16';
  /** Adds table[bucket of (key position - query position)][head] to the scaled and capped scores. */
  readonly relative_bias?: RelativeBias;
  /** Name of the output that gets the probabilities when it is asked for, such as `attentions.0`. */
  readonly probabilities?: string;
}

/**
 * Buckets of distances (T5, Raffel et al. 2020, section 2.1): half of them for single distances, the others ever wider up to
 * `max_distance`, the last for all beyond. With `bidirectional` half of the buckets are for keys after the query, which
 * otherwise count as at distance 0.
 */
export interface RelativeBias {
  /** A linear weight `[buckets, heads]`. */
  readonly table: number;
  readonly max_distance: number;
  readonly bidirectional: boolean;
}

/** Of an encoder: keeps keys and values of the tokens with the sequence's cache. */
export interface StoreCrossOp {
  readonly op: 'store_cross';
  readonly key: Value;
  readonly value: Value;
  /** Index into `EncoderPart.cross_layers`. */
  readonly layer: number;
}

/** Attends to all tokens of the encoder's sequence, by what `store_cross` has kept of them. */
export interface CrossAttentionOp {
  readonly op: 'cross_attention';
  readonly query: Value;
  readonly out: Value;
  readonly layer: number;
  readonly heads: number;
  readonly scale: number;
  /** Name of the output that gets the probabilities when it is asked for, such as `cross_attentions.0`. */
  readonly probabilities?: string;
}
