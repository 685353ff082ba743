import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes, layerWindows } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** Qwen 1.5, 2 and 2.5: Llama with biases on queries, keys and values, and a sliding window in upper layers if switched on. */
export const qwen2: Architecture = {
  model_type: 'qwen2',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: { rms_norm_eps: 1e-6, max_position_embeddings: 32768, sliding_window: 4096, max_window_layers: 28 },
  build(config, g, task) {
    const sizes = decoderSizes(config);
    const windows = layerWindows(config, sizes.layers);
    preNormDecoder(g, sizes, {
      family: 'Qwen2',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      attention: (layer) => {
        const window = windows[layer];
        return { bias: true, ...(window === undefined ? {} : { window }) };
      },
    });
  },
};
