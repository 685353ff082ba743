import { preNormFamily } from './pre_norm_family';

/** Nemotron 3 and 4, Minitron: layer norms of 1 + weight, a plain network of squared ReLU, half of each head rotated. */
export const nemotron = preNormFamily({
  model_type: 'nemotron',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  aliases: { rms_norm_eps: ['norm_eps'] },
  defaults: {
    hidden_act: 'relu2',
    rms_norm_eps: 1e-5,
    max_position_embeddings: 4096,
    partial_rotary_factor: 0.5,
    bos_token_id: 2,
    eos_token_id: 3,
  },
  options: (config) => {
    const bias = config.boolean('attention_bias', false);
    return {
      normOffset: 1,
      layerNorm: { kind: 'NemotronLayerNorm1P' },
      attention: () => ({ bias, outputBias: bias }),
      feedForward: { gated: false, bias: config.boolean('mlp_bias', false) },
    };
  },
});
