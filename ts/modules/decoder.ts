import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/program';
import { type AttentionOptions, attention } from './attention';
import { embedding } from './embedding';
import { type GatedFeedForwardOptions, gatedFeedForward } from './feed_forward';
import { linear } from './linear';
import { rmsNorm } from './norm';
import type { RopeParameters } from './rope_parameters';
import { type RotaryTable, rotaryEmbedding } from './rotary_embedding';

export interface PreNormBlockOptions {
  /** The family's name as Python's classes begin with it, such as `Llama`. */
  readonly family: string;
  readonly epsilon: number;
  readonly attention: Omit<AttentionOptions, 'residual' | 'kind' | 'outFeatures'>;
  readonly feedForward: Omit<GatedFeedForwardOptions, 'residual' | 'kind' | 'outFeatures'>;
}

/** x + attention(norm(x)), then x + feedForward(norm(x)): the block of Llama and most decoders since. */
export function preNormBlock(g: GraphBuilder, name: string, input: Value, options: PreNormBlockOptions): Value {
  const { family, epsilon } = options;
  const outFeatures = input.columns;
  const norm = { epsilon, kind: `${family}RMSNorm` };
  return g.scope(
    name,
    `${family}DecoderLayer`,
    () => {
      const attended = attention(g, 'self_attn', rmsNorm(g, 'input_layernorm', input, norm), {
        ...options.attention,
        ...(options.attention.headNorm ? { headNorm: { kind: norm.kind, ...options.attention.headNorm } } : {}),
        kind: `${family}Attention`,
        outFeatures,
        residual: input,
      });
      return gatedFeedForward(g, 'mlp', rmsNorm(g, 'post_attention_layernorm', attended, norm), {
        ...options.feedForward,
        kind: `${family}MLP`,
        outFeatures,
        residual: attended,
      });
    },
    { order: ['self_attn', 'mlp', 'input_layernorm', 'post_attention_layernorm'] },
  );
}

/** The sizes that decoders of Llama's kind have in common. */
export interface DecoderSizes {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly innerFeatures: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly epsilon: number;
  /** Hugging Face's name, such as `silu`. */
  readonly activation: string;
  readonly tied: boolean;
}

export interface PreNormDecoderOptions {
  readonly family: string;
  readonly rope?: RopeParameters;
  /** What is particular to a layer's attention. `rotary: false` leaves positions out (NoPE). */
  readonly attention?: (layer: number) => Partial<Omit<AttentionOptions, 'rotary'>> & { readonly rotary?: false };
  readonly feedForward?: Pick<GatedFeedForwardOptions, 'bias' | 'fused'>;
}

/** A causal decoder whose layers are all `preNormBlock`s with rotary positions: Llama and its many kin. */
export function preNormDecoder(g: GraphBuilder, sizes: DecoderSizes, options: PreNormDecoderOptions): void {
  const { family, rope, feedForward } = options;
  const { heads, kvHeads, headDim, innerFeatures, activation, epsilon } = sizes;
  causalDecoder(g, {
    ...sizes,
    family,
    ...(rope ? { rope } : {}),
    block: (input, layer, rotary) => {
      const { rotary: rotates = true, ...attention } = options.attention?.(layer) ?? {};
      return preNormBlock(g, String(layer), input, {
        family,
        epsilon,
        attention: { heads, kvHeads, headDim, ...attention, ...(rotates && rotary ? { rotary } : {}) },
        feedForward: { innerFeatures, activation, ...feedForward },
      });
    },
  });
}

export interface CausalDecoderOptions {
  readonly family: string;
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly epsilon: number;
  /** The output projection is the embedding's matrix. */
  readonly tied: boolean;
  readonly rope?: RopeParameters;
  /** Builds layer `index` within the list of layers: `[tokens, hiddenSize]` to the same. `rotary` is there if `rope` is. */
  readonly block: (input: Value, index: number, rotary: RotaryTable | undefined) => Value;
}

const table = 'model.embed_tokens.weight';
const head = 'lm_head.weight';

/**
 * Where a tied matrix is: mostly only the embedding is stored, in some files only the head. A file with both is read as it is, as
 * transformers 5 does where they differ.
 */
function tyingOf(g: GraphBuilder): 'to the embedding' | 'to the head' | 'none' {
  if (!g.hasTensor(head)) return 'to the embedding';
  return g.hasTensor(table) ? 'none' : 'to the head';
}

/**
 * A decoder-only language model: `model.embed_tokens`, `model.layers.I`, `model.norm`, `lm_head`. Outputs: `hidden_states.I` (I:
 * what enters layer I; the last: after the final norm), `last_hidden_state`, `logits` of the rows asked for.
 */
export function causalDecoder(g: GraphBuilder, options: CausalDecoderOptions): void {
  const { family, vocabularySize, hiddenSize, layers, epsilon, rope } = options;
  const tying = options.tied ? tyingOf(g) : 'none';
  const hidden = g.scope(
    'model',
    `${family}Model`,
    () => {
      let stream = embedding(g, 'embed_tokens', {
        count: vocabularySize,
        width: hiddenSize,
        ...(tying === 'to the head' ? { weight: head } : {}),
      });
      const rotary = rope && rotaryEmbedding(g, 'rotary_emb', `${family}RotaryEmbedding`, rope);
      g.scope('layers', 'ModuleList', () => {
        for (let index = 0; index < layers; index++) {
          g.output(`hidden_states.${index}`, stream);
          stream = options.block(stream, index, rotary);
        }
      });
      const normed = rmsNorm(g, 'norm', stream, { epsilon, kind: `${family}RMSNorm` });
      g.output(`hidden_states.${layers}`, normed);
      g.output('last_hidden_state', normed);
      return normed;
    },
    { order: ['embed_tokens', 'layers', 'norm', 'rotary_emb'] },
  );
  const rows = g.buffer('rows', hiddenSize);
  g.add({ op: 'gather_rows', input: hidden, out: rows });
  const logits = linear(g, 'lm_head', rows, {
    outFeatures: vocabularySize,
    ...(tying === 'to the embedding' ? { weight: table } : {}),
  });
  g.output('logits', logits);
}
