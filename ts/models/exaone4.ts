import { layerWindows, slidingWindow } from './config';
import { olmo2Norms } from './olmo2';
import { preNormFamily } from './pre_norm_family';

/** EXAONE 4: norms after the branches and of every head; in models with windows the layers without one have no positions. */
export const exaone4 = preNormFamily({
  model_type: 'exaone4',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    num_key_value_heads: 32,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 2048,
    use_sliding_window: true,
    sliding_window: 4096,
    sliding_window_pattern: 4,
    bos_token_id: 0,
    eos_token_id: 2,
  },
  options: (config, { layers, epsilon }) => {
    const hybrid = slidingWindow(config) !== undefined;
    const slides = (layer: number) => hybrid && (layer + 1) % config.integer('sliding_window_pattern') !== 0;
    const windows = layerWindows(config, layers, slides);
    return {
      norms: olmo2Norms,
      attention: (layer) => {
        const window = windows[layer];
        return {
          headNorm: { epsilon },
          ...(hybrid && window === undefined ? { rotary: false } : {}),
          ...(window === undefined ? {} : { window }),
        };
      },
    };
  },
});
