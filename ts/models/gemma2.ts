import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes, layerWindows, type ModelConfig } from './config';
import { decoderTop } from './decoder_top';
import { gemmaScales, refuseBothDirections } from './gemma';
import { ropeParameters } from './rope_config';

/** Gemma 2: Gemma with norms before and after both branches, soft caps on scores and logits, and a sliding window in every other layer. */
export const gemma2: Architecture = {
  model_type: 'gemma2',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    num_key_value_heads: 4,
    head_dim: 256,
    hidden_activation: 'gelu_pytorch_tanh',
    rms_norm_eps: 1e-6,
    max_position_embeddings: 8192,
    attention_bias: false,
    query_pre_attn_scalar: 256,
    use_sliding_window: true,
    sliding_window: 4096,
    final_logit_softcapping: 30,
    attn_logit_softcapping: 50,
    tie_word_embeddings: true,
    pad_token_id: 0,
    bos_token_id: 2,
    eos_token_id: 1,
  },
  build(config, g, task) {
    refuseBothDirections(config);
    const sizes = { ...decoderSizes(config), activation: config.string('hidden_activation') };
    const bias = config.boolean('attention_bias');
    const scale = config.number('query_pre_attn_scalar', { least: 1e-6 }) ** -0.5;
    const windows = layerWindows(config, sizes.layers, (layer) => layer % 2 === 0);
    const scoreCap = softcap(config, 'attn_logit_softcapping');
    const logitCap = softcap(config, 'final_logit_softcapping');
    preNormDecoder(g, sizes, {
      family: 'Gemma2',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      ...gemmaScales(sizes.hiddenSize),
      ...(logitCap === undefined ? {} : { softcap: logitCap }),
      norms: gemma2Norms,
      attention: (layer) => {
        const window = windows[layer];
        return {
          bias,
          outputBias: bias,
          scale,
          ...(scoreCap === undefined ? {} : { softcap: scoreCap }),
          ...(window === undefined ? {} : { window }),
        };
      },
    });
  },
};

export const gemma2Norms = {
  attention: { before: 'input_layernorm', after: 'post_attention_layernorm' },
  feedForward: { before: 'pre_feedforward_layernorm', after: 'post_feedforward_layernorm' },
} as const;

/** A cap c turns x into c * tanh(x / c); none where the configuration has null. */
export function softcap(config: ModelConfig, key: string): number | undefined {
  return config.get(key) === undefined ? undefined : config.number(key, { least: 1e-6 });
}
