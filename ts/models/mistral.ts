import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes, slidingWindow } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** Mistral 7B: Llama with a sliding window in every layer, where the configuration has one. */
export const mistral: Architecture = {
  model_type: 'mistral',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    num_key_value_heads: 8,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 4096 * 32,
    sliding_window: 4096,
    bos_token_id: 1,
    eos_token_id: 2,
  },
  build(config, g, task) {
    const sizes = decoderSizes(config);
    const window = slidingWindow(config);
    preNormDecoder(g, sizes, {
      family: 'Mistral',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      attention: () => (window === undefined ? {} : { window }),
    });
  },
};
