import {
  attention,
  baseModel,
  baseName,
  block,
  decoderHead,
  embedding,
  feedForward,
  interleavedHeads,
  layerNorm,
  layerStack,
  rotaryEmbedding,
  tieMatrices,
} from '../modules';
import type { Architecture } from './architecture';
import { commonSizes } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** GPT-NeoX 20B, Pythia, StableLM alpha: a quarter of each head rotates, and attention and network read the stream side by side. */
export const gptNeoX: Architecture = {
  model_type: 'gpt_neox',
  family: 'GPTNeoX',
  base_model_prefix: 'gpt_neox',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  aliases: { rope_theta: ['rotary_emb_base'], partial_rotary_factor: ['rotary_pct'] },
  defaults: {
    hidden_act: 'gelu',
    layer_norm_eps: 1e-5,
    max_position_embeddings: 2048,
    partial_rotary_factor: 0.25,
    use_parallel_residual: true,
    attention_bias: true,
    tie_word_embeddings: false,
    bos_token_id: 0,
    eos_token_id: 2,
  },
  build(config, g, task) {
    const top = decoderTop(config, task, 'classifier');
    const { vocabularySize, hiddenSize, layers, heads, headDim, tied } = commonSizes(config);
    const innerFeatures = config.integer('intermediate_size');
    const activation = config.string('hidden_act');
    const epsilon = config.number('layer_norm_eps', { most: 1 });
    const bias = config.boolean('attention_bias');
    const residuals = config.boolean('use_parallel_residual') ? 'parallel' : 'pre';
    const headName = g.hasTensor('lm_head.weight') ? 'lm_head' : 'embed_out';
    const { table, head } = tieMatrices(
      g,
      tied,
      baseName(top.bare, 'gpt_neox', 'embed_in.weight'),
      `${headName}.weight`,
    );
    const hidden = baseModel(g, top.bare, 'gpt_neox', 'GPTNeoXModel', () => {
      const stream = embedding(g, 'embed_in', { count: vocabularySize, width: hiddenSize, weight: table });
      const rotary = rotaryEmbedding(g, 'rotary_emb', 'GPTNeoXRotaryEmbedding', ropeParameters(config, headDim));
      return layerStack(g, {
        layers,
        stream,
        block: (input, layer) =>
          block(g, String(layer), input, {
            kind: 'GPTNeoXLayer',
            residuals,
            order: ['input_layernorm', 'post_attention_layernorm', 'attention', 'mlp'],
            attentionNorm: (value) => layerNorm(g, 'input_layernorm', value, { epsilon }),
            attention: (value, residual) =>
              attention(g, 'attention', value, {
                kind: 'GPTNeoXAttention',
                heads,
                headDim,
                outFeatures: hiddenSize,
                fused: 'query_key_value',
                fusedRows: interleavedHeads(heads, headDim),
                outputName: 'dense',
                bias,
                outputBias: bias,
                rotary,
                residual,
              }),
            feedForwardNorm: (value) => layerNorm(g, 'post_attention_layernorm', value, { epsilon }),
            feedForward: (value, residual) =>
              feedForward(g, 'mlp', value, {
                kind: 'GPTNeoXMLP',
                upName: 'dense_h_to_4h',
                downName: 'dense_4h_to_h',
                activationName: 'act',
                bias: true,
                innerFeatures,
                outFeatures: hiddenSize,
                activation,
                residual,
              }),
          }),
        finish: (last) => layerNorm(g, 'final_layer_norm', last, { epsilon }),
      });
    });
    decoderHead(g, hidden, top, { vocabularySize, name: headName, weight: head });
  },
};
