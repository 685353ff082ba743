import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes, slidingWindow } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** Phi-3, Phi-3.5 and Phi-4-mini: Llama whose checkpoints keep q/k/v in one tensor and gate/up in another, with LongRoPE for long contexts. */
export const phi3: Architecture = {
  model_type: 'phi3',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    rms_norm_eps: 1e-5,
    max_position_embeddings: 4096,
    original_max_position_embeddings: 4096,
    pad_token_id: 32000,
    bos_token_id: 1,
    eos_token_id: 32000,
  },
  build(config, g, task) {
    const sizes = decoderSizes(config);
    const window = slidingWindow(config);
    preNormDecoder(g, sizes, {
      family: 'Phi3',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      attention: () => ({ fused: 'qkv_proj', ...(window === undefined ? {} : { window }) }),
      feedForward: { fused: 'gate_up_proj' },
    });
  },
};
