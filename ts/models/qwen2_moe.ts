import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes, expertCounts, layersWithExperts, layerWindows, maxPositions } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** Qwen 1.5 and 2 with experts: Qwen2 whose layers have many small experts, and one that works for every token. */
export const qwen2Moe: Architecture = {
  model_type: 'qwen2_moe',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  aliases: { num_experts: ['num_local_experts'] },
  defaults: {
    num_experts: 60,
    num_experts_per_tok: 4,
    norm_topk_prob: false,
    moe_intermediate_size: 1408,
    shared_expert_intermediate_size: 5632,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 32768,
    sliding_window: 4096,
    max_window_layers: 28,
  },
  build(config, g, task) {
    const sizes = decoderSizes(config);
    const most = config.integer('max_window_layers', { least: 0, most: maxPositions });
    const windows = layerWindows(config, sizes.layers, (layer) => layer % 2 === 0 && layer < most);
    const bias = config.boolean('qkv_bias', true);
    const sparse = layersWithExperts(config, sizes.layers);
    preNormDecoder(g, sizes, {
      family: 'Qwen2Moe',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      attention: (layer) => {
        const window = windows[layer];
        return { bias, ...(window === undefined ? {} : { window }) };
      },
      experts: (layer) =>
        sparse[layer]
          ? {
              ...expertCounts(config),
              normalize: config.boolean('norm_topk_prob'),
              innerFeatures: config.integer('moe_intermediate_size'),
              shared: { innerFeatures: config.integer('shared_expert_intermediate_size') },
            }
          : undefined,
    });
  },
};
