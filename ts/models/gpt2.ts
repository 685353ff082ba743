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
  tieMatrices,
} from '../modules';
import type { Architecture } from './architecture';
import { commonSizes, maxPositions } from './config';
import { decoderTop } from './decoder_top';

/** GPT-2 and what was built like it (DistilGPT-2, DialoGPT): learned positions, matrices stored the other way round. */
export const gpt2: Architecture = {
  model_type: 'gpt2',
  family: 'GPT2',
  className: 'GPT2LMHeadModel',
  base_model_prefix: 'transformer',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  aliases: {
    hidden_size: ['n_embd'],
    num_hidden_layers: ['n_layer'],
    num_attention_heads: ['n_head'],
    max_position_embeddings: ['n_positions'],
  },
  defaults: {
    vocab_size: 50257,
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    max_position_embeddings: 1024,
    activation_function: 'gelu_new',
    layer_norm_epsilon: 1e-5,
    scale_attn_weights: true,
    scale_attn_by_inverse_layer_idx: false,
    add_cross_attention: false,
    tie_word_embeddings: true,
    bos_token_id: 50256,
    eos_token_id: 50256,
  },
  build(config, g, task) {
    const top = decoderTop(config, task, 'classifier');
    const { vocabularySize, hiddenSize, layers, heads, headDim, tied } = commonSizes(config);
    const innerFeatures = config.integer('n_inner', { otherwise: 4 * hiddenSize });
    const activation = config.string('activation_function');
    const epsilon = config.number('layer_norm_epsilon', { most: 1 });
    const scaled = config.boolean('scale_attn_weights');
    const scaledByLayer = config.boolean('scale_attn_by_inverse_layer_idx');
    if (config.boolean('add_cross_attention')) {
      throw config.wrong(
        'add_cross_attention',
        true,
        'false: a decoder of an encoder-decoder model cannot be opened alone',
      );
    }
    const { table, head } = tieMatrices(g, tied, baseName(top.bare, 'transformer', 'wte.weight'));
    const hidden = baseModel(g, top.bare, 'transformer', 'GPT2Model', () => {
      const stream = embedding(g, 'wte', { count: vocabularySize, width: hiddenSize, weight: table });
      const count = config.integer('max_position_embeddings', { most: maxPositions });
      embedding(g, 'wpe', { count, width: hiddenSize, index: 'position_ids', addTo: stream });
      return layerStack(g, {
        list: 'h',
        layers,
        stream,
        block: (input, layer) =>
          block(g, String(layer), input, {
            kind: 'GPT2Block',
            attentionNorm: (value) => layerNorm(g, 'ln_1', value, { epsilon }),
            attention: (value, residual) =>
              attention(g, 'attn', value, {
                kind: 'GPT2Attention',
                heads,
                headDim,
                outFeatures: hiddenSize,
                fused: 'c_attn',
                outputName: 'c_proj',
                transpose: true,
                bias: true,
                outputBias: true,
                scale: (scaled ? headDim ** -0.5 : 1) / (scaledByLayer ? layer + 1 : 1),
                residual,
              }),
            feedForwardNorm: (value) => layerNorm(g, 'ln_2', value, { epsilon }),
            feedForward: (value, residual) =>
              feedForward(g, 'mlp', value, {
                kind: 'GPT2MLP',
                upName: 'c_fc',
                downName: 'c_proj',
                activationName: 'act',
                transpose: true,
                bias: true,
                innerFeatures,
                outFeatures: hiddenSize,
                activation,
                residual,
              }),
          }),
        finish: (last) => layerNorm(g, 'ln_f', last, { epsilon }),
      });
    });
    decoderHead(g, hidden, top, { vocabularySize, weight: head });
  },
};
