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
import { commonSizes, maxPositions } from './config';
import { decoderTop } from './decoder_top';

/** GPT-J 6B: neighbouring columns of the first `rotary_dim` of each head rotate, and attention and network read one norm side by side. */
export const gptj: Architecture = {
  model_type: 'gptj',
  family: 'GPTJ',
  base_model_prefix: 'transformer',
  tasks: ['causal-lm', 'base', 'sequence-classification'],
  aliases: {
    hidden_size: ['n_embd'],
    num_hidden_layers: ['n_layer'],
    num_attention_heads: ['n_head'],
    max_position_embeddings: ['n_positions'],
  },
  defaults: {
    vocab_size: 50400,
    hidden_size: 4096,
    num_hidden_layers: 28,
    num_attention_heads: 16,
    max_position_embeddings: 2048,
    rotary_dim: 64,
    activation_function: 'gelu_new',
    layer_norm_epsilon: 1e-5,
    tie_word_embeddings: false,
    bos_token_id: 50256,
    eos_token_id: 50256,
  },
  build(config, g, task) {
    const top = decoderTop(config, task);
    const { vocabularySize, hiddenSize, layers, heads, headDim, tied } = commonSizes(config);
    const innerFeatures = config.integer('n_inner', { otherwise: 4 * hiddenSize });
    const activation = config.string('activation_function');
    const epsilon = config.number('layer_norm_epsilon', { most: 1 });
    const { table, head } = tieMatrices(g, tied, baseName(top.bare, 'transformer', 'wte.weight'));
    const hidden = baseModel(g, top.bare, 'transformer', 'GPTJModel', () => {
      const stream = embedding(g, 'wte', { count: vocabularySize, width: hiddenSize, weight: table });
      const parameters = {
        rope_type: 'default',
        rope_theta: 10000,
        head_dim: config.integer('rotary_dim', { least: 2, most: headDim }),
        max_position_embeddings: config.integer('max_position_embeddings', { most: maxPositions }),
      } as const;
      const rotary = rotaryEmbedding(g, 'rotary_emb', 'GPTJRotaryEmbedding', parameters, 'adjacent');
      return layerStack(g, {
        list: 'h',
        layers,
        stream,
        block: (input, layer) =>
          block(g, String(layer), input, {
            kind: 'GPTJBlock',
            residuals: 'parallel',
            attentionNorm: (value) => layerNorm(g, 'ln_1', value, { epsilon }),
            attention: (value, residual) =>
              attention(g, 'attn', value, {
                kind: 'GPTJAttention',
                heads,
                headDim,
                outFeatures: hiddenSize,
                outputName: 'out_proj',
                rotary,
                residual,
              }),
            feedForward: (value, residual) =>
              feedForward(g, 'mlp', value, {
                kind: 'GPTJMLP',
                upName: 'fc_in',
                downName: 'fc_out',
                activationName: 'act',
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
    decoderHead(g, hidden, top, { vocabularySize, weight: head, bias: true });
  },
};
