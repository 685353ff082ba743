import type { RopeParameters } from '../modules/rope_parameters';
import { layerWindows, ModelConfig } from './config';
import { olmo2Norms } from './olmo2';
import { preNormFamily } from './pre_norm_family';
import { ropeParameters } from './rope_config';

/**
 * OLMo 3: OLMo 2 with a window in three layers of four. Only the others scale their rotary embedding for long contexts, as the models were
 * trained (and as transformers had it before version 5 and again later, not in between).
 */
export const olmo3 = preNormFamily({
  model_type: 'olmo3',
  tasks: ['causal-lm', 'base', 'sequence-classification'],
  defaults: {
    rms_norm_eps: 1e-5,
    max_position_embeddings: 2048,
    rope_theta: 500000,
    use_sliding_window: true,
    sliding_window: 4096,
    pad_token_id: 1,
    eos_token_id: 50279,
  },
  options: (config, { layers, headDim, epsilon }) => {
    const bias = config.boolean('attention_bias', false);
    const windows = layerWindows(config, layers, (layer) => (layer + 1) % 4 !== 0);
    return {
      ropes: [ropeParameters(config, headDim, 'full_attention'), slidingRope(config, headDim)],
      norms: olmo2Norms,
      attention: (layer) => {
        const window = windows[layer];
        return {
          bias,
          outputBias: bias,
          headNorm: { epsilon, together: true },
          ...(window === undefined ? { rotary: 0 } : { rotary: 1, window }),
        };
      },
    };
  },
});

/** What the file has for these layers, or the base of the others without their scaling. */
function slidingRope(config: ModelConfig, headDim: number): RopeParameters {
  const shared = config.section('rope_scaling') ?? config.section('rope_parameters');
  if (shared?.section('sliding_attention')) return ropeParameters(config, headDim, 'sliding_attention');
  const { rope_theta } = ropeParameters(config, headDim, 'full_attention');
  const { rope_scaling: _, rope_parameters: _newer, ...values } = config.values;
  return ropeParameters(new ModelConfig({ ...values, rope_theta }, config.file, config.defaults), headDim);
}
