import { expertCounts, type ModelConfig } from './config';
import { preNormFamily } from './pre_norm_family';

/** The first OLMo: Llama with layer norms that have no parameters. */
export const olmo = preNormFamily({
  model_type: 'olmo',
  tasks: ['causal-lm', 'base', 'sequence-classification'],
  defaults: { max_position_embeddings: 2048, pad_token_id: 1, eos_token_id: 50279 },
  epsilon: 1e-5,
  options: (config) => {
    refuseClipping(config);
    const bias = config.boolean('attention_bias', false);
    return { layerNorm: { affine: false }, attention: () => ({ bias, outputBias: bias }) };
  },
});

/** OLMoE: Llama with norms over all queries and over all keys, and experts in every layer. */
export const olmoe = preNormFamily({
  model_type: 'olmoe',
  tasks: ['causal-lm', 'base'],
  aliases: { num_experts: ['num_local_experts'] },
  defaults: {
    rms_norm_eps: 1e-5,
    max_position_embeddings: 4096,
    num_experts: 64,
    num_experts_per_tok: 8,
    norm_topk_prob: false,
    pad_token_id: 1,
    eos_token_id: 50279,
  },
  options: (config, { innerFeatures, epsilon }) => {
    refuseClipping(config);
    const bias = config.boolean('attention_bias', false);
    const experts = { ...expertCounts(config), normalize: config.boolean('norm_topk_prob'), innerFeatures };
    return {
      attention: () => ({ bias, outputBias: bias, headNorm: { epsilon, together: true } }),
      experts: () => experts,
    };
  },
});

/** @throws OctoformerError INVALID_CHECKPOINT where queries, keys and values are bounded */
function refuseClipping(config: ModelConfig): void {
  const clip = config.get('clip_qkv');
  if (clip === undefined) return;
  throw config.wrong('clip_qkv', clip, 'null: queries, keys and values that are clipped are not implemented');
}
