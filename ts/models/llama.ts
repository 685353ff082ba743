import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** Llama 1 to 3.3, and what was built like it (SmolLM, TinyLlama, Yi). */
export const llama: Architecture = {
  model_type: 'llama',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: { rms_norm_eps: 1e-6, max_position_embeddings: 2048, bos_token_id: 1, eos_token_id: 2 },
  build(config, g, task) {
    const sizes = decoderSizes(config);
    const bias = config.boolean('attention_bias', false);
    preNormDecoder(g, sizes, {
      family: 'Llama',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      attention: () => ({ bias, outputBias: bias }),
      feedForward: { bias: config.boolean('mlp_bias', false) },
    });
  },
};
