import { preNormDecoder } from '../modules/decoder';
import type { RopeParameters } from '../modules/rope_parameters';
import type { Architecture } from './architecture';
import { decoderSizes, layerWindows, ModelConfig } from './config';
import { decoderTop } from './decoder_top';
import { gemmaScales, refuseBothDirections } from './gemma';
import { gemma2Norms, softcap } from './gemma2';
import { ropeParameters } from './rope_config';

/**
 * Gemma 3 (text): Gemma 2 with normalized queries and keys instead of caps. Five layers of six slide, and those turn by another
 * rotary base than the sixth.
 */
export const gemma3Text: Architecture = {
  model_type: 'gemma3_text',
  family: 'Gemma3Text',
  className: 'Gemma3ForCausalLM',
  tasks: ['causal-lm', 'base', 'sequence-classification'],
  defaults: {
    num_key_value_heads: 4,
    head_dim: 256,
    hidden_activation: 'gelu_pytorch_tanh',
    rms_norm_eps: 1e-6,
    max_position_embeddings: 131072,
    attention_bias: false,
    query_pre_attn_scalar: 256,
    use_sliding_window: true,
    sliding_window: 4096,
    sliding_window_pattern: 6,
    rope_theta: 1e6,
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
    const period = config.integer('sliding_window_pattern');
    const windows = layerWindows(config, sizes.layers, (layer) => (layer + 1) % period !== 0);
    const logitCap = softcap(config, 'final_logit_softcapping');
    preNormDecoder(g, sizes, {
      family: 'Gemma3',
      ...decoderTop(config, task),
      ropes: [ropeParameters(config, sizes.headDim, 'full_attention'), slidingRope(config, sizes.headDim)],
      ...gemmaScales(sizes.hiddenSize),
      ...(logitCap === undefined ? {} : { softcap: logitCap }),
      norms: gemma2Norms,
      attention: (layer) => {
        const window = windows[layer];
        return {
          bias,
          outputBias: bias,
          scale,
          headNorm: { epsilon: sizes.epsilon, weightOffset: 1 },
          ...(window === undefined ? { rotary: 0 } : { rotary: 1, window }),
        };
      },
    });
  },
};

/** Sliding layers have a base of their own, `rope_local_base_freq` in older files, whose `rope_scaling` is for the other layers. */
function slidingRope(config: ModelConfig, headDim: number): RopeParameters {
  const { rope_scaling: _, ...values } = config.values;
  const rope_theta = config.number('rope_local_base_freq', { least: 1, most: 1e15, otherwise: 10000 });
  return ropeParameters(
    new ModelConfig({ ...values, rope_theta }, config.file, config.defaults),
    headDim,
    'sliding_attention',
  );
}
