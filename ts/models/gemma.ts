import { preNormDecoder } from '../modules/decoder';
import type { Architecture } from './architecture';
import { decoderSizes, type ModelConfig } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** Gemma 1: Llama with embeddings scaled up, a gated GELU, and norm weights stored less 1. */
export const gemma: Architecture = {
  model_type: 'gemma',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    head_dim: 256,
    hidden_act: 'gelu_pytorch_tanh',
    rms_norm_eps: 1e-6,
    max_position_embeddings: 8192,
    attention_bias: false,
    tie_word_embeddings: true,
    pad_token_id: 0,
    bos_token_id: 2,
    eos_token_id: 1,
  },
  build(config, g, task) {
    refuseBothDirections(config);
    const sizes = decoderSizes(config);
    const bias = config.boolean('attention_bias');
    // The first files say 'gelu' and mean its approximation, which they were trained with.
    const activation = sizes.activation === 'gelu' ? 'gelu_pytorch_tanh' : sizes.activation;
    preNormDecoder(
      g,
      { ...sizes, activation },
      {
        family: 'Gemma',
        ...decoderTop(config, task),
        rope: ropeParameters(config, sizes.headDim),
        ...gemmaScales(sizes.hiddenSize),
        attention: () => ({ bias, outputBias: bias }),
      },
    );
  },
};

/** What all Gemmas share: norms multiply by 1 + weight, embeddings by sqrt(hiddenSize), which is rounded as the embeddings are. */
export function gemmaScales(hiddenSize: number): { readonly normOffset: number; readonly embeddingScale: number } {
  return { normOffset: 1, embeddingScale: Math.fround(Math.sqrt(hiddenSize)) };
}

/** @throws OctoformerError INVALID_CHECKPOINT for Gemmas whose tokens see what comes after them (EmbeddingGemma) */
export function refuseBothDirections(config: ModelConfig): void {
  if (config.get('use_bidirectional_attention')) {
    throw config.wrong(
      'use_bidirectional_attention',
      config.get('use_bidirectional_attention'),
      'false: Gemmas that look ahead are not implemented',
    );
  }
}
