import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes, expertCounts, layersWithExperts, slidingWindow } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** Qwen3 with experts: as Qwen3, with experts in place of the feed-forward networks of most layers. */
export const qwen3Moe: Architecture = {
  model_type: 'qwen3_moe',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  aliases: { num_experts: ['num_local_experts'] },
  defaults: {
    num_key_value_heads: 4,
    num_experts: 128,
    num_experts_per_tok: 8,
    norm_topk_prob: false,
    moe_intermediate_size: 768,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 32768,
    sliding_window: 4096,
  },
  build(config, g, task) {
    const sizes = decoderSizes(config);
    const window = config.boolean('use_sliding_window', false) ? slidingWindow(config) : undefined;
    const bias = config.boolean('attention_bias', false);
    const sparse = layersWithExperts(config, sizes.layers);
    preNormDecoder(g, sizes, {
      family: 'Qwen3Moe',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      attention: () => ({
        bias,
        outputBias: bias,
        headNorm: { epsilon: sizes.epsilon },
        ...(window === undefined ? {} : { window }),
      }),
      experts: (layer) =>
        sparse[layer]
          ? {
              ...expertCounts(config),
              normalize: config.boolean('norm_topk_prob'),
              innerFeatures: config.integer('moe_intermediate_size'),
            }
          : undefined,
    });
  },
};
