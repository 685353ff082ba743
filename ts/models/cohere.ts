import type { PreNormDecoderOptions } from '../modules/decoder';
import { layerWindows, type ModelConfig } from './config';
import { preNormFamily } from './pre_norm_family';

const shared = {
  aliases: { rms_norm_eps: ['layer_norm_eps'] },
  defaults: {
    rms_norm_eps: 1e-5,
    max_position_embeddings: 8192,
    logit_scale: 0.0625,
    tie_word_embeddings: true,
    pad_token_id: 0,
    bos_token_id: 5,
    eos_token_id: 255001,
  },
} as const;

/** Command R and R+, Aya: attention and network side by side after one layer norm, neighbouring columns rotate together, logits are scaled. */
export const cohere = preNormFamily({
  ...shared,
  model_type: 'cohere',
  tasks: ['causal-lm', 'base'],
  defaults: { ...shared.defaults, rope_theta: 500000, use_qk_norm: false },
  options: (config, { epsilon }) => {
    const bias = config.boolean('attention_bias', false);
    const headNorm = { norm: 'layer', names: ['q_norm', 'k_norm'], bias: false, weights: 'rows', epsilon } as const;
    const normalized = config.boolean('use_qk_norm');
    return {
      ...parallel(config),
      attention: () => ({ bias, outputBias: bias, ...(normalized ? { headNorm } : {}) }),
    };
  },
});

/** Command R7B, Command A: the same with a window in three layers of four, whose positions the others have none of. */
export const cohere2 = preNormFamily({
  ...shared,
  model_type: 'cohere2',
  tasks: ['causal-lm', 'base'],
  defaults: { ...shared.defaults, use_sliding_window: true, sliding_window: 4096, sliding_window_pattern: 4 },
  options: (config, { layers }) => {
    const bias = config.boolean('attention_bias', false);
    const windows = layerWindows(
      config,
      layers,
      (layer) => (layer + 1) % config.integer('sliding_window_pattern') !== 0,
    );
    return {
      ...parallel(config),
      attention: (layer) => {
        const window = windows[layer];
        return { bias, outputBias: bias, ...(window === undefined ? { rotary: false } : { window }) };
      },
    };
  },
});

function parallel(config: ModelConfig) {
  return {
    pairing: 'adjacent',
    layerNorm: { bias: false },
    norms: { attention: { before: 'input_layernorm' } },
    logitScale: config.number('logit_scale'),
  } as const satisfies Partial<PreNormDecoderOptions>;
}
