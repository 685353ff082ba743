import type { LayerNorms } from '../modules/decoder';
import { preNormFamily } from './pre_norm_family';

const defaults = {
  num_key_value_heads: 2,
  head_dim: 128,
  rms_norm_eps: 1.5625e-7,
  max_position_embeddings: 131072,
  partial_rotary_factor: 0.5,
  attention_bias: true,
  pad_token_id: 151329,
  eos_token_id: [151329, 151336, 151338],
} as const;

/** GLM-4-9B as transformers 5 has it: Llama with gate and up in one tensor, and half of each head rotated, neighbouring columns together. */
export const glm = family('glm');

/** GLM-4-0414 (9B and 32B): the same with norms after the branches, too. */
export const glm4 = family('glm4', {
  attention: { before: 'input_layernorm', after: 'post_self_attn_layernorm' },
  feedForward: { before: 'post_attention_layernorm', after: 'post_mlp_layernorm' },
});

function family(model_type: string, norms?: LayerNorms) {
  return preNormFamily({
    model_type,
    tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
    defaults,
    options: (config) => {
      const bias = config.boolean('attention_bias');
      return {
        pairing: 'adjacent',
        ...(norms ? { norms } : {}),
        attention: () => ({ bias }),
        feedForward: { fused: 'gate_up_proj' },
      };
    },
  });
}
