import { preNormFamily } from './pre_norm_family';

/** The first OLMo: Llama with layer norms that have no parameters. */
export const olmo = preNormFamily({
  model_type: 'olmo',
  tasks: ['causal-lm', 'base', 'sequence-classification'],
  defaults: { max_position_embeddings: 2048, pad_token_id: 1, eos_token_id: 50279 },
  epsilon: 1e-5,
  options: (config) => {
    const clip = config.get('clip_qkv');
    if (clip !== undefined) {
      throw config.wrong('clip_qkv', clip, 'null: queries, keys and values that are clipped are not implemented');
    }
    const bias = config.boolean('attention_bias', false);
    return { layerNorm: { affine: false }, attention: () => ({ bias, outputBias: bias }) };
  },
});
