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
import { commonSizes, slidingWindow } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** StarCoder 2: rotary positions and shared keys as Llama's, layer norms and a plain network as GPT-2's, a window in every layer. */
export const starcoder2: Architecture = {
  model_type: 'starcoder2',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  defaults: {
    num_key_value_heads: 2,
    hidden_act: 'gelu_pytorch_tanh',
    max_position_embeddings: 4096,
    norm_epsilon: 1e-5,
    use_bias: true,
    tie_word_embeddings: true,
    bos_token_id: 50256,
    eos_token_id: 50256,
  },
  build(config, g, task) {
    const top = decoderTop(config, task);
    const { vocabularySize, hiddenSize, layers, heads, kvHeads, headDim, tied } = commonSizes(config);
    const innerFeatures = config.integer('intermediate_size');
    const activation = config.string('hidden_act');
    const norm = { epsilon: config.number('norm_epsilon', { most: 1 }) };
    const bias = config.boolean('use_bias');
    const window = slidingWindow(config);
    const { table, head } = tieMatrices(g, tied, baseName(top.bare, 'model', 'embed_tokens.weight'));
    const hidden = baseModel(g, top.bare, 'model', 'Starcoder2Model', () => {
      const stream = embedding(g, 'embed_tokens', { count: vocabularySize, width: hiddenSize, weight: table });
      const rotary = rotaryEmbedding(g, 'rotary_emb', 'Starcoder2RotaryEmbedding', ropeParameters(config, headDim));
      return layerStack(g, {
        layers,
        stream,
        block: (input, layer) =>
          block(g, String(layer), input, {
            kind: 'Starcoder2DecoderLayer',
            order: ['self_attn', 'mlp', 'input_layernorm', 'post_attention_layernorm'],
            attentionNorm: (value) => layerNorm(g, 'input_layernorm', value, norm),
            attention: (value, residual) =>
              attention(g, 'self_attn', value, {
                kind: 'Starcoder2Attention',
                heads,
                kvHeads,
                headDim,
                outFeatures: hiddenSize,
                bias,
                outputBias: bias,
                rotary,
                ...(window === undefined ? {} : { window }),
                residual,
              }),
            feedForwardNorm: (value) => layerNorm(g, 'post_attention_layernorm', value, norm),
            feedForward: (value, residual) =>
              feedForward(g, 'mlp', value, {
                kind: 'Starcoder2MLP',
                upName: 'c_fc',
                downName: 'c_proj',
                activationName: 'act',
                bias,
                innerFeatures,
                outFeatures: hiddenSize,
                activation,
                residual,
              }),
          }),
        finish: (last) => layerNorm(g, 'norm', last, norm),
      });
    });
    decoderHead(g, hidden, top, { vocabularySize, weight: head });
  },
};
