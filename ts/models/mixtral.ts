import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes, expertCounts, slidingWindow } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** Mixtral (Jiang et al. 2024): Mistral with experts in place of every feed-forward network. */
export const mixtral: Architecture = {
  model_type: 'mixtral',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  aliases: { num_experts: ['num_local_experts'] },
  defaults: {
    num_key_value_heads: 8,
    num_experts: 8,
    num_experts_per_tok: 2,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 4096 * 32,
    rope_theta: 1e6,
    bos_token_id: 1,
    eos_token_id: 2,
  },
  build(config, g, task) {
    const sizes = decoderSizes(config);
    const window = slidingWindow(config);
    const experts = {
      ...expertCounts(config),
      normalize: true,
      innerFeatures: sizes.innerFeatures,
      names: { gate: 'w1', up: 'w3', down: 'w2' },
      expertKind: 'MixtralBlockSparseTop2MLP',
    };
    preNormDecoder(g, sizes, {
      family: 'Mixtral',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      attention: () => (window === undefined ? {} : { window }),
      // `mlp` where transformers 5 kept its own names.
      experts: (layer) => ({
        ...experts,
        name: g.hasTensor(`model.layers.${layer}.mlp.gate.weight`) ? 'mlp' : 'block_sparse_moe',
      }),
    });
  },
};
