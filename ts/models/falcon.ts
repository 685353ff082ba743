import {
  type AttentionOptions,
  alibiSlopes,
  attention,
  baseModel,
  baseName,
  block,
  decoderHead,
  embedding,
  feedForward,
  interleavedGroups,
  interleavedHeads,
  layerNorm,
  layerStack,
  rotaryEmbedding,
  tieMatrices,
} from '../modules';
import type { Architecture } from './architecture';
import { commonSizes, type ModelConfig, maxHeads } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/**
 * Falcon: 7B (all queries share one head of keys and values), 40B and 180B (groups do: `new_decoder_architecture`), and RW (every
 * query has its own; ALiBi).
 */
export const falcon: Architecture = {
  model_type: 'falcon',
  base_model_prefix: 'transformer',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  aliases: {
    hidden_size: ['n_embed'],
    num_hidden_layers: ['n_layer'],
    num_attention_heads: ['n_head'],
    num_kv_heads: ['n_head_kv'],
  },
  defaults: {
    layer_norm_epsilon: 1e-5,
    max_position_embeddings: 2048,
    activation: 'gelu',
    alibi: false,
    new_decoder_architecture: false,
    multi_query: true,
    parallel_attn: true,
    bias: false,
    tie_word_embeddings: true,
    bos_token_id: 11,
    eos_token_id: 11,
  },
  build(config, g, task) {
    const top = decoderTop(config, task, 'classifier');
    const { vocabularySize, hiddenSize, layers, heads, headDim, tied } = commonSizes(config);
    const innerFeatures = config.integer('ffn_hidden_size', { otherwise: 4 * hiddenSize });
    const activation = config.string('activation');
    const norm = { epsilon: config.number('layer_norm_epsilon', { most: 1 }) };
    const bias = config.boolean('bias');
    const alibi = config.boolean('alibi');
    const norms = normNames(config);
    const { table, head } = tieMatrices(g, tied, baseName(top.bare, 'transformer', 'word_embeddings.weight'));
    const hidden = baseModel(g, top.bare, 'transformer', 'FalconModel', () => {
      const stream = embedding(g, 'word_embeddings', { count: vocabularySize, width: hiddenSize, weight: table });
      const positions: Pick<AttentionOptions, 'rotary' | 'alibiSlopes' | 'alibiRounding'> = alibi
        ? { alibiSlopes: alibiSlopes(heads), alibiRounding: 'bfloat16' }
        : { rotary: rotaryEmbedding(g, 'rotary_emb', 'FalconRotaryEmbedding', ropeParameters(config, headDim)) };
      return layerStack(g, {
        list: 'h',
        layers,
        stream,
        block: (input, layer) =>
          block(g, String(layer), input, {
            kind: 'FalconDecoderLayer',
            residuals: norms.parallel ? 'parallel' : 'pre',
            order: ['self_attention', 'mlp', norms.feedForward ?? '', norms.attention],
            attentionNorm: (value) => layerNorm(g, norms.attention, value, norm),
            attention: (value, residual) =>
              attention(g, 'self_attention', value, {
                kind: 'FalconAttention',
                heads,
                headDim,
                outFeatures: hiddenSize,
                fused: 'query_key_value',
                ...keyValueHeads(config, heads, headDim),
                outputName: 'dense',
                bias,
                outputBias: bias,
                ...positions,
                residual,
              }),
            ...(norms.feedForward
              ? { feedForwardNorm: (value) => layerNorm(g, norms.feedForward ?? '', value, norm) }
              : {}),
            feedForward: (value, residual) =>
              feedForward(g, 'mlp', value, {
                kind: 'FalconMLP',
                upName: 'dense_h_to_4h',
                downName: 'dense_4h_to_h',
                activationName: 'act',
                bias,
                innerFeatures,
                outFeatures: hiddenSize,
                activation,
                residual,
              }),
          }),
        finish: (last) => layerNorm(g, 'ln_f', last, norm),
      });
    });
    decoderHead(g, hidden, top, { vocabularySize, weight: head });
  },
};

interface NormNames {
  readonly parallel: boolean;
  readonly attention: string;
  readonly feedForward?: string;
}

/** The norms that a layer has, and whether attention and network are side by side. */
function normNames(config: ModelConfig): NormNames {
  const isNew = config.boolean('new_decoder_architecture');
  const parallel = config.boolean('parallel_attn');
  if (isNew && !parallel) throw config.wrong('parallel_attn', false, "true, as 'new_decoder_architecture' is");
  if (!parallel) return { parallel, attention: 'input_layernorm', feedForward: 'post_attention_layernorm' };
  const count = config.integer('num_ln_in_parallel_attn', { least: 1, most: 2, otherwise: isNew ? 2 : 1 });
  if (!isNew && count === 2) {
    throw config.wrong('num_ln_in_parallel_attn', 2, "1, as 'new_decoder_architecture' is false");
  }
  return count === 2
    ? { parallel, attention: 'ln_attn', feedForward: 'ln_mlp' }
    : { parallel, attention: 'input_layernorm' };
}

/** How many heads of keys and values there are, and how the rows of `query_key_value` lie. */
function keyValueHeads(
  config: ModelConfig,
  heads: number,
  headDim: number,
): Pick<AttentionOptions, 'kvHeads' | 'fusedRows'> {
  if (config.boolean('new_decoder_architecture')) {
    const kvHeads = config.integer('num_kv_heads', { most: maxHeads, otherwise: heads });
    if (heads % kvHeads !== 0)
      throw config.wrong('num_kv_heads', kvHeads, `a divisor of num_attention_heads (${heads})`);
    return { kvHeads, fusedRows: interleavedGroups(heads, kvHeads, headDim) };
  }
  return config.boolean('multi_query')
    ? { kvHeads: 1 }
    : { kvHeads: heads, fusedRows: interleavedHeads(heads, headDim) };
}
