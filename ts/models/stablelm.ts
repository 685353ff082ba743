import { preNormFamily } from './pre_norm_family';

/** StableLM 3B, StableLM 2, Stable Code: Llama with layer norms and a quarter of each head rotated; side by side branches and norms of heads in the 12B. */
export const stableLm = preNormFamily({
  model_type: 'stablelm',
  family: 'StableLm',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  aliases: { rms_norm_eps: ['layer_norm_eps', 'norm_eps'] },
  defaults: {
    num_key_value_heads: 32,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 4096,
    partial_rotary_factor: 0.25,
    use_qkv_bias: false,
    qk_layernorm: false,
    use_parallel_residual: false,
    bos_token_id: 0,
    eos_token_id: 0,
  },
  options: (config, { epsilon }) => {
    const bias = config.boolean('use_qkv_bias');
    const headNorm = { norm: 'layer', kind: 'LayerNorm', bias: false, weights: 'modules', epsilon } as const;
    const normalized = config.boolean('qk_layernorm');
    return {
      layerNorm: { kind: 'LayerNorm' },
      ...(config.boolean('use_parallel_residual') ? { norms: { attention: { before: 'input_layernorm' } } } : {}),
      attention: () => ({ bias, ...(normalized ? { headNorm } : {}) }),
    };
  },
});
