import {
  attention,
  baseModel,
  baseName,
  block,
  decoderHead,
  embedding,
  feedForwardLayers,
  layerNorm,
  layerStack,
  linear,
  tieMatrices,
} from '../modules';
import type { Architecture } from './architecture';
import { commonSizes, maxPositions } from './config';
import { decoderTop } from './decoder_top';

/** Rows of the table of positions that no token has: pad's and one before it in the code that OPT was trained with. */
const positionOffset = 2;

/** OPT and Galactica: learned positions; norms before the branches, but after them in the 350M model, whose embeddings are narrower too. */
export const opt: Architecture = {
  model_type: 'opt',
  skipsPadding: true,
  family: 'OPT',
  tasks: ['causal-lm', 'base', 'sequence-classification'],
  defaults: {
    vocab_size: 50272,
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    ffn_dim: 3072,
    max_position_embeddings: 2048,
    activation_function: 'relu',
    do_layer_norm_before: true,
    _remove_final_layer_norm: false,
    enable_bias: true,
    layer_norm_elementwise_affine: true,
    tie_word_embeddings: true,
    pad_token_id: 1,
    bos_token_id: 2,
    eos_token_id: 2,
  },
  build(config, g, task) {
    const top = decoderTop(config, task);
    const { vocabularySize, hiddenSize, layers, heads, headDim, tied } = commonSizes(config);
    const innerFeatures = config.integer('ffn_dim');
    const width = config.integer('word_embed_proj_dim', { otherwise: hiddenSize });
    const activation = config.string('activation_function');
    const bias = config.boolean('enable_bias');
    const normBefore = config.boolean('do_layer_norm_before');
    const finalNorm = normBefore && !config.boolean('_remove_final_layer_norm');
    // Python's class takes PyTorch's epsilon, whatever the configuration says.
    const norm = { epsilon: 1e-5, affine: config.boolean('layer_norm_elementwise_affine') };
    const { table, head } = tieMatrices(g, tied, baseName(top.bare, 'model', 'decoder.embed_tokens.weight'));
    const decoder = () => {
      const words = embedding(g, 'embed_tokens', { count: vocabularySize, width, weight: table });
      const stream = width === hiddenSize ? words : linear(g, 'project_in', words, { outFeatures: hiddenSize });
      embedding(g, 'embed_positions', {
        count: config.integer('max_position_embeddings', { most: maxPositions }) + positionOffset,
        width: hiddenSize,
        index: 'position_ids',
        offset: positionOffset,
        addTo: stream,
      });
      return layerStack(g, {
        layers,
        stream,
        block: (input, layer) =>
          block(g, String(layer), input, {
            kind: 'OPTDecoderLayer',
            residuals: normBefore ? 'pre' : 'post',
            order: ['self_attn', 'activation_fn', 'self_attn_layer_norm', 'fc1', 'fc2', 'final_layer_norm'],
            attentionNorm: (value) => layerNorm(g, 'self_attn_layer_norm', value, norm),
            attention: (value, residual) =>
              attention(g, 'self_attn', value, {
                kind: 'OPTAttention',
                heads,
                headDim,
                outFeatures: hiddenSize,
                outputName: 'out_proj',
                bias,
                outputBias: bias,
                residual,
              }),
            feedForwardNorm: (value) => layerNorm(g, 'final_layer_norm', value, norm),
            feedForward: (value, residual) =>
              feedForwardLayers(g, value, {
                upName: 'fc1',
                downName: 'fc2',
                activationName: 'activation_fn',
                bias,
                innerFeatures,
                outFeatures: hiddenSize,
                activation,
                residual,
              }),
          }),
        finish: (last) => {
          const normed = finalNorm ? layerNorm(g, 'final_layer_norm', last, norm) : last;
          return width === hiddenSize ? normed : linear(g, 'project_out', normed, { outFeatures: width });
        },
      });
    };
    const order = ['embed_tokens', 'embed_positions', 'project_out', 'project_in', 'final_layer_norm', 'layers'];
    const hidden = baseModel(g, top.bare, 'model', 'OPTModel', () =>
      g.scope('decoder', 'OPTDecoder', decoder, { order }),
    );
    decoderHead(g, hidden, top, { vocabularySize, weight: head });
  },
};
