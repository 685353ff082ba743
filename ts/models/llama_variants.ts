import { preNormFamily } from './pre_norm_family';

/** AFM (Arcee): Llama with a plain network of squared ReLU. */
export const arcee = preNormFamily({
  model_type: 'arcee',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    hidden_act: 'relu2',
    rms_norm_eps: 1e-5,
    max_position_embeddings: 4096,
    bos_token_id: 128000,
    eos_token_id: 128001,
  },
  options: (config) => {
    const bias = config.boolean('attention_bias', false);
    return {
      attention: () => ({ bias, outputBias: bias }),
      feedForward: { gated: false, bias: config.boolean('mlp_bias', false) },
    };
  },
});

/** ERNIE 4.5 (dense): Llama whose neighbouring columns rotate together, with biases everywhere or nowhere. */
export const ernie45 = preNormFamily({
  model_type: 'ernie4_5',
  family: 'Ernie4_5',
  tasks: ['causal-lm', 'base'],
  defaults: {
    num_key_value_heads: 2,
    head_dim: 128,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 131072,
    rope_theta: 500000,
    use_bias: false,
    tie_word_embeddings: true,
    pad_token_id: 0,
    bos_token_id: 1,
    eos_token_id: 2,
  },
  options: (config) => {
    const bias = config.boolean('use_bias');
    return { pairing: 'adjacent', attention: () => ({ bias, outputBias: bias }), feedForward: { bias } };
  },
});

/** Seed-OSS: Llama with biases on queries, keys and values, whose output projection has a switch of its own. */
export const seedOss = preNormFamily({
  model_type: 'seed_oss',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    num_key_value_heads: 8,
    head_dim: 128,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 524288,
    attention_bias: true,
    attention_out_bias: false,
    pad_token_id: 1,
    bos_token_id: 0,
    eos_token_id: 2,
  },
  options: (config) => {
    const [bias, outputBias] = [config.boolean('attention_bias'), config.boolean('attention_out_bias')];
    return {
      attention: () => ({ bias, outputBias }),
      feedForward: { bias: config.boolean('mlp_bias', false) },
    };
  },
});
