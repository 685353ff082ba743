import type { RopeParameters } from '../modules/rope_parameters';
import type { ModelConfig } from './config';
import { preNormFamily } from './pre_norm_family';
import { ropeParameters } from './rope_config';

/** Hunyuan (dense): Llama whose heads of queries and keys are normalized after they are rotated. */
export const hunyuanDense = preNormFamily({
  model_type: 'hunyuan_v1_dense',
  family: 'HunYuanDenseV1',
  tasks: ['causal-lm', 'base', 'sequence-classification'],
  defaults: {
    rms_norm_eps: 1e-5,
    max_position_embeddings: 2048,
    pad_token_id: 0,
    bos_token_id: 1,
    eos_token_id: 2,
  },
  options: (config, { headDim, epsilon }) => {
    const bias = config.boolean('attention_bias', false);
    return {
      ropes: [rope(config, headDim)],
      attention: () => ({
        bias,
        outputBias: bias,
        headNorm: { names: ['query_layernorm', 'key_layernorm'], afterRotation: true, epsilon },
      }),
    };
  },
});

/** With `alpha` the type `dynamic` means a larger base for all lengths, theta * alpha^(d / (d - 2)). */
function rope(config: ModelConfig, headDim: number): RopeParameters {
  const parameters = ropeParameters(config, headDim);
  const section = config.section('rope_scaling') ?? config.section('rope_parameters');
  if (parameters.rope_type !== 'dynamic' || !section?.get('alpha')) return parameters;
  const alpha = section.number('alpha', { least: 1e-6 });
  const rope_theta = parameters.rope_theta * alpha ** (headDim / (headDim - 2));
  return { ...parameters, rope_type: 'default', rope_theta };
}
