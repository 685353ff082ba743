import {
  alibiSlopes,
  attention,
  baseModel,
  baseName,
  decoderHead,
  embedding,
  feedForward,
  interleavedHeads,
  layerNorm,
  layerStack,
  tieMatrices,
} from '../modules';
import type { Architecture } from './architecture';
import { commonSizes } from './config';
import { decoderTop } from './decoder_top';

/** BLOOM: no positions but ALiBi's, and a norm after the embedding. */
export const bloom: Architecture = {
  model_type: 'bloom',
  base_model_prefix: 'transformer',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  aliases: { hidden_size: ['n_embed'], num_hidden_layers: ['n_layer'], num_attention_heads: ['n_head'] },
  defaults: {
    vocab_size: 250880,
    hidden_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 8,
    layer_norm_epsilon: 1e-5,
    apply_residual_connection_post_layernorm: false,
    tie_word_embeddings: true,
    bos_token_id: 1,
    eos_token_id: 2,
  },
  build(config, g, task) {
    const top = decoderTop(config, task, 'classifier');
    const { vocabularySize, hiddenSize, layers, heads, headDim, tied } = commonSizes(config);
    const norm = { epsilon: config.number('layer_norm_epsilon', { most: 1 }) };
    const addsNormed = config.boolean('apply_residual_connection_post_layernorm');
    const { table, head } = tieMatrices(g, tied, baseName(top.bare, 'transformer', 'word_embeddings.weight'));
    const hidden = baseModel(g, top.bare, 'transformer', 'BloomModel', () => {
      const words = embedding(g, 'word_embeddings', { count: vocabularySize, width: hiddenSize, weight: table });
      return layerStack(g, {
        list: 'h',
        layers,
        stream: layerNorm(g, 'word_embeddings_layernorm', words, norm),
        block: (input, layer) =>
          g.scope(String(layer), 'BloomBlock', () => {
            const normed = layerNorm(g, 'input_layernorm', input, norm);
            const attended = attention(g, 'self_attention', normed, {
              kind: 'BloomAttention',
              heads,
              headDim,
              outFeatures: hiddenSize,
              fused: 'query_key_value',
              fusedRows: interleavedHeads(heads, headDim),
              outputName: 'dense',
              bias: true,
              outputBias: true,
              alibiSlopes: alibiSlopes(heads),
              residual: addsNormed ? normed : input,
            });
            const inner = layerNorm(g, 'post_attention_layernorm', attended, norm);
            return feedForward(g, 'mlp', inner, {
              kind: 'BloomMLP',
              upName: 'dense_h_to_4h',
              downName: 'dense_4h_to_h',
              activationName: 'gelu_impl',
              bias: true,
              innerFeatures: 4 * hiddenSize,
              outFeatures: hiddenSize,
              activation: 'gelu_new',
              residual: addsNormed ? inner : attended,
            });
          }),
        finish: (last) => layerNorm(g, 'ln_f', last, norm),
      });
    });
    decoderHead(g, hidden, top, { vocabularySize, weight: head });
  },
};
