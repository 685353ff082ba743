import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** OLMo 2: Llama with norms after both branches instead of before, and norms over all queries and over all keys. */
export const olmo2: Architecture = {
  model_type: 'olmo2',
  tasks: ['causal-lm', 'base', 'sequence-classification'],
  defaults: {
    rms_norm_eps: 1e-5,
    max_position_embeddings: 2048,
    attention_bias: false,
    pad_token_id: 1,
    eos_token_id: 50279,
  },
  build(config, g, task) {
    const sizes = decoderSizes(config);
    const bias = config.boolean('attention_bias');
    preNormDecoder(g, sizes, {
      family: 'Olmo2',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      norms: olmo2Norms,
      attention: () => ({ bias, outputBias: bias, headNorm: { epsilon: sizes.epsilon, together: true } }),
    });
  },
};

export const olmo2Norms = {
  attention: { after: 'post_attention_layernorm' },
  feedForward: { after: 'post_feedforward_layernorm' },
} as const;
