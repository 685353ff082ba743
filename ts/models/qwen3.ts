import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes, layerWindows } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** Qwen3 (dense): as Qwen2, with every head of queries and keys normalized, and biases only if the configuration says so. */
export const qwen3: Architecture = {
  model_type: 'qwen3',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    head_dim: 128,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 32768,
    sliding_window: 4096,
    max_window_layers: 28,
  },
  build(config, g, task) {
    const sizes = decoderSizes(config);
    const windows = layerWindows(config, sizes.layers);
    const bias = config.boolean('attention_bias', false);
    preNormDecoder(g, sizes, {
      family: 'Qwen3',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      attention: (layer) => {
        const window = windows[layer];
        return {
          bias,
          outputBias: bias,
          headNorm: { epsilon: sizes.epsilon },
          ...(window === undefined ? {} : { window }),
        };
      },
    });
  },
};
