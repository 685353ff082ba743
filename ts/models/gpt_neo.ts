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
import { commonSizes, type ModelConfig, maxLayers, maxPositions } from './config';
import { decoderTop } from './decoder_top';

/** GPT-Neo: GPT-2 with plain matrices, scores that are not scaled, and layers that by turns see everything or a window. */
export const gptNeo: Architecture = {
  model_type: 'gpt_neo',
  family: 'GPTNeo',
  base_model_prefix: 'transformer',
  tasks: ['causal-lm', 'base', 'sequence-classification', 'token-classification'],
  aliases: { num_hidden_layers: ['num_layers'], num_attention_heads: ['num_heads'] },
  defaults: {
    vocab_size: 50257,
    hidden_size: 2048,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    max_position_embeddings: 2048,
    attention_types: [[['global', 'local'], 12]],
    window_size: 256,
    activation_function: 'gelu_new',
    layer_norm_epsilon: 1e-5,
    tie_word_embeddings: true,
    bos_token_id: 50256,
    eos_token_id: 50256,
  },
  build(config, g, task) {
    const top = decoderTop(config, task, 'classifier');
    const { vocabularySize, hiddenSize, layers, heads, headDim, tied } = commonSizes(config);
    const innerFeatures = config.integer('intermediate_size', { otherwise: 4 * hiddenSize });
    const activation = config.string('activation_function');
    const epsilon = config.number('layer_norm_epsilon', { most: 1 });
    const window = config.integer('window_size', { most: maxPositions });
    const types = attentionTypes(config, layers);
    const { table, head } = tieMatrices(g, tied, baseName(top.bare, 'transformer', 'wte.weight'));
    const hidden = baseModel(g, top.bare, 'transformer', 'GPTNeoModel', () => {
      const stream = embedding(g, 'wte', { count: vocabularySize, width: hiddenSize, weight: table });
      const count = config.integer('max_position_embeddings', { most: maxPositions });
      embedding(g, 'wpe', { count, width: hiddenSize, index: 'position_ids', addTo: stream });
      return layerStack(g, {
        list: 'h',
        layers,
        stream,
        block: (input, layer) =>
          block(g, String(layer), input, {
            kind: 'GPTNeoBlock',
            attentionNorm: (value) => layerNorm(g, 'ln_1', value, { epsilon }),
            attention: (value, residual) =>
              g.scope('attn', 'GPTNeoAttention', () =>
                attention(g, 'attention', value, {
                  kind: 'GPTNeoSelfAttention',
                  heads,
                  headDim,
                  outFeatures: hiddenSize,
                  outputName: 'out_proj',
                  outputBias: true,
                  scale: 1,
                  ...(types[layer] === 'local' ? { window } : {}),
                  residual,
                }),
              ),
            feedForwardNorm: (value) => layerNorm(g, 'ln_2', value, { epsilon }),
            feedForward: (value, residual) =>
              feedForward(g, 'mlp', value, {
                kind: 'GPTNeoMLP',
                upName: 'c_fc',
                downName: 'c_proj',
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
    decoderHead(g, hidden, top, { vocabularySize, weight: head });
  },
};

type AttentionType = 'global' | 'local';

/** The type of every layer: `attention_types` is a list of [types, how often they are repeated]. */
function attentionTypes(config: ModelConfig, layers: number): readonly AttentionType[] {
  const runs = config.list('attention_types', 0, isRun, 'a pair of a list of types and a count') ?? [];
  const types = runs.flatMap(([names, times]) => Array.from({ length: times }, () => names).flat());
  if (types.length !== layers) {
    throw config.wrong('attention_types', config.get('attention_types'), `types of ${layers} layers, as there are`);
  }
  return types;
}

function isRun(value: unknown): value is readonly [readonly AttentionType[], number] {
  if (!Array.isArray(value)) return false;
  const [names, times] = value as readonly unknown[];
  const known =
    Array.isArray(names) && names.length <= maxLayers && names.every((name) => name === 'global' || name === 'local');
  return (
    known && typeof times === 'number' && Number.isInteger(times) && times >= 0 && times * names.length <= maxLayers
  );
}
