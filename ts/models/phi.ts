import {
  attention,
  baseModel,
  baseName,
  block,
  decoderHead,
  embedding,
  feedForward,
  layerNorm,
  layerStack,
  rotaryEmbedding,
  tieMatrices,
} from '../modules';
import type { Architecture } from './architecture';
import { commonSizes } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** Phi-1, 1.5 and 2: attention and network read one norm side by side, half of each head rotates, and everything has a bias. */
export const phi: Architecture = {
  model_type: 'phi',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    hidden_act: 'gelu_new',
    layer_norm_eps: 1e-5,
    max_position_embeddings: 2048,
    partial_rotary_factor: 0.5,
    qk_layernorm: false,
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
  },
  build(config, g, task) {
    const top = decoderTop(config, task);
    const { vocabularySize, hiddenSize, layers, heads, kvHeads, headDim, tied } = commonSizes(config);
    const innerFeatures = config.integer('intermediate_size');
    const activation = config.string('hidden_act');
    const epsilon = config.number('layer_norm_eps', { most: 1 });
    const normalized = config.boolean('qk_layernorm');
    const { table, head } = tieMatrices(g, tied, baseName(top.bare, 'model', 'embed_tokens.weight'));
    const hidden = baseModel(
      g,
      top.bare,
      'model',
      'PhiModel',
      () => {
        const stream = embedding(g, 'embed_tokens', { count: vocabularySize, width: hiddenSize, weight: table });
        const rotary = rotaryEmbedding(g, 'rotary_emb', 'PhiRotaryEmbedding', ropeParameters(config, headDim));
        return layerStack(g, {
          layers,
          stream,
          block: (input, layer) =>
            block(g, String(layer), input, {
              kind: 'PhiDecoderLayer',
              residuals: 'parallel',
              order: ['self_attn', 'mlp', 'input_layernorm'],
              attentionNorm: (value) => layerNorm(g, 'input_layernorm', value, { epsilon }),
              attention: (value, residual) =>
                attention(g, 'self_attn', value, {
                  kind: 'PhiAttention',
                  heads,
                  kvHeads,
                  headDim,
                  outFeatures: hiddenSize,
                  outputName: 'dense',
                  bias: true,
                  outputBias: true,
                  ...(normalized ? { headNorm: { norm: 'layer', epsilon } } : {}),
                  rotary,
                  residual,
                }),
              feedForward: (value, residual) =>
                feedForward(g, 'mlp', value, {
                  kind: 'PhiMLP',
                  upName: 'fc1',
                  downName: 'fc2',
                  activationName: 'activation_fn',
                  bias: true,
                  innerFeatures,
                  outFeatures: hiddenSize,
                  activation,
                  residual,
                }),
            }),
          finish: (last) => layerNorm(g, 'final_layernorm', last, { epsilon }),
        });
      },
      { order: ['embed_tokens', 'layers', 'rotary_emb', 'final_layernorm'] },
    );
    decoderHead(g, hidden, top, { vocabularySize, weight: head, bias: true });
  },
};
