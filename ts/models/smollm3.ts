import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes, layerWindows, type ModelConfig } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** SmolLM3: Llama where every fourth layer (or those listed) has no positions at all. */
export const smollm3: Architecture = {
  model_type: 'smollm3',
  family: 'SmolLM3',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    num_key_value_heads: 4,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 32768,
    rope_theta: 2000000,
    no_rope_layer_interval: 4,
    tie_word_embeddings: true,
    pad_token_id: 128004,
    bos_token_id: 128000,
    eos_token_id: 128001,
  },
  build(config, g, task) {
    const sizes = decoderSizes(config);
    const rotates = rotaryLayers(config, sizes.layers);
    const windows = layerWindows(config, sizes.layers, (layer) => rotates[layer] === 0);
    const bias = config.boolean('attention_bias', false);
    preNormDecoder(g, sizes, {
      family: 'SmolLM3',
      ...decoderTop(config, task),
      rope: ropeParameters(config, sizes.headDim),
      attention: (layer) => {
        const window = windows[layer];
        return {
          bias,
          outputBias: bias,
          ...(rotates[layer] === 0 ? { rotary: false } : {}),
          ...(window === undefined ? {} : { window }),
        };
      },
      feedForward: { bias: config.boolean('mlp_bias', false) },
    });
  },
};

/** For every layer 1 if it rotates, 0 if not: `no_rope_layers`, which says the opposite of its name. */
function rotaryLayers(config: ModelConfig, layers: number): readonly (0 | 1)[] {
  const isFlag = (value: unknown): value is 0 | 1 => value === 0 || value === 1;
  const interval = config.integer('no_rope_layer_interval');
  return (
    config.list('no_rope_layers', layers, isFlag, '0 or 1') ??
    Array.from({ length: layers }, (_, layer) => ((layer + 1) % interval === 0 ? 0 : 1))
  );
}
