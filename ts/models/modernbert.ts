import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { activationByName } from '../modules/activation';
import { attend } from '../modules/attend';
import { baseModel } from '../modules/base_model';
import { embedding } from '../modules/embedding';
import { encoderLayers } from '../modules/encoder';
import { headRows, labelHead, maskedLanguageHead, spanHead, tokenMean } from '../modules/encoder_heads';
import { linear } from '../modules/linear';
import { layerNorm } from '../modules/norm';
import type { RopeParameters } from '../modules/rope_parameters';
import { type RotaryTable, rotaryEmbedding } from '../modules/rotary_embedding';
import type { Architecture } from './architecture';
import type { ModelConfig } from './config';
import { type EncoderSizes, encoderSizes, labelCount } from './encoder_config';
import { ropeParameters } from './rope_config';

type LayerType = 'full_attention' | 'sliding_attention';

interface Block extends EncoderSizes {
  readonly normBias: boolean;
  readonly attentionBias: boolean;
  readonly feedForwardBias: boolean;
}

/** ModernBERT (Warner et al. 2024): pre-norm layers with rotary positions and gated feed-forward parts, most of which see a window only. */
export const modernbert: Architecture = {
  model_type: 'modernbert',
  family: 'ModernBert',
  tasks: ['base', 'masked-lm', 'sequence-classification', 'token-classification', 'question-answering'],
  defaults: {
    hidden_activation: 'gelu',
    layer_norm_eps: 1e-5,
    max_position_embeddings: 8192,
    norm_eps: 1e-5,
    norm_bias: false,
    attention_bias: false,
    mlp_bias: false,
    classifier_bias: false,
    classifier_activation: 'gelu',
    classifier_pooling: 'cls',
    decoder_bias: true,
    local_attention: 128,
    global_attn_every_n_layers: 3,
    global_rope_theta: 160000,
    local_rope_theta: 10000,
  },
  build(config, g, task) {
    const sizes: Block = {
      ...encoderSizes(config, { activation: 'hidden_activation' }),
      epsilon: config.number('norm_eps', { most: 1 }),
      normBias: config.boolean('norm_bias'),
      attentionBias: config.boolean('attention_bias'),
      feedForwardBias: config.boolean('mlp_bias'),
    };
    const build = () => encoder(g, config, sizes);
    const hidden = baseModel(g, task === 'base', 'model', 'ModernBertModel', build);
    if (task === 'base') return;
    const pooled = task === 'sequence-classification' ? pooling(config) : 'cls';
    const rows = headRows(g, pooled === 'mean' ? tokenMean(g, hidden, sizes.heads) : hidden);
    const { epsilon, normBias, hiddenSize: width, vocabularySize } = sizes;
    const bias = config.boolean('classifier_bias');
    const { op: activation } = activationByName(config.string('classifier_activation'), 'classifier_activation');
    if (task === 'masked-lm') {
      maskedLanguageHead(g, rows, {
        vocabularySize,
        width,
        activation,
        epsilon,
        bias,
        normBias,
        table: 'model.embeddings.tok_embeddings.weight',
        names: {
          transform: 'head.dense',
          norm: 'head.norm',
          decoder: 'decoder',
          biases: config.boolean('decoder_bias') ? ['decoder.bias'] : [],
          kinds: { head: 'ModernBertPredictionHead' },
        },
      });
      return;
    }
    const headed = g.scope('head', 'ModernBertPredictionHead', () => {
      const dense = linear(g, 'dense', rows, { outFeatures: width, bias, activation });
      return layerNorm(g, 'norm', dense, { epsilon, bias: normBias });
    });
    if (task === 'question-answering') spanHead(g, 'classifier', headed);
    else labelHead(g, 'classifier', {}, headed, labelCount(config));
  },
};

/** What a label is read from: the first token, or the mean of all. */
function pooling(config: ModelConfig): 'cls' | 'mean' {
  const name = config.string('classifier_pooling');
  if (name === 'cls' || name === 'mean') return name;
  throw config.wrong('classifier_pooling', name, "'cls' or 'mean'");
}

function encoder(g: GraphBuilder, config: ModelConfig, sizes: Block): Value {
  const { epsilon, normBias, layers } = sizes;
  const types = layerTypes(config, layers);
  const input = g.scope('embeddings', 'ModernBertEmbeddings', () => {
    const words = embedding(g, 'tok_embeddings', { count: sizes.vocabularySize, width: sizes.hiddenSize });
    return layerNorm(g, 'norm', words, { epsilon, bias: normBias });
  });
  const tables = new Map<LayerType, RotaryTable>();
  for (const type of new Set(types)) {
    tables.set(type, rotaryEmbedding(g, 'rotary_emb', 'ModernBertRotaryEmbedding', ropeOf(config, type, sizes)));
  }
  const blocks = (stream: Value, index: number) =>
    g.scope('layers', 'ModuleList', () => {
      const type = types[index] ?? 'full_attention';
      // Half of `local_attention` to each side, and the token itself.
      const window = type === 'full_attention' ? undefined : Math.floor(config.integer('local_attention') / 2) + 1;
      return block(g, index, stream, sizes, tables.get(type) as RotaryTable, window);
    });
  const norm = { epsilon, bias: normBias };
  return encoderLayers(g, input, layers, blocks, (output) => layerNorm(g, 'final_norm', output, norm));
}

/** x + attention(norm(x)), then x + feedForward(norm(x)); the first layer's input is normalized already. */
function block(
  g: GraphBuilder,
  index: number,
  input: Value,
  sizes: Block,
  { table, pairing }: RotaryTable,
  window: number | undefined,
): Value {
  const { hiddenSize: width, heads, epsilon, innerFeatures } = sizes;
  const norm = { epsilon, bias: sizes.normBias };
  const headDim = width / heads;
  return g.scope(String(index), 'ModernBertEncoderLayer', () => {
    const normed = index === 0 ? input : layerNorm(g, 'attn_norm', input, norm);
    const attended = g.scope('attn', 'ModernBertAttention', () => {
      const all = linear(g, 'Wqkv', normed, { outFeatures: 3 * width, bias: sizes.attentionBias });
      const part = (number: number) => g.slice(all, number * width, width);
      const x = g.slice(all, 0, 2 * width);
      g.add({ op: 'rope', x, table, heads: 2 * heads, head_dim: headDim, pairing });
      const pattern = { kind: 'full', ...(window === undefined ? {} : { window }) } as const;
      const parts = { query: part(0), key: part(1), value: part(2) };
      const mixed = attend(g, parts, { heads, kvHeads: heads, headDim, pattern });
      return linear(g, 'Wo', mixed, { outFeatures: width, bias: sizes.attentionBias, residual: input });
    });
    const inputOfMlp = layerNorm(g, 'mlp_norm', attended, norm);
    return g.scope('mlp', 'ModernBertMLP', () => {
      const both = linear(g, 'Wi', inputOfMlp, { outFeatures: 2 * innerFeatures, bias: sizes.feedForwardBias });
      const inner = g.buffer('tokens', innerFeatures);
      g.add({
        op: 'gated_activation',
        gate: g.slice(both, 0, innerFeatures),
        up: g.slice(both, innerFeatures, innerFeatures),
        activation: activationByName(sizes.activation, 'hidden_activation').op,
        out: inner,
      });
      return linear(g, 'Wo', inner, { outFeatures: width, bias: sizes.feedForwardBias, residual: attended });
    });
  });
}

/** From `layer_types` or, as in older files, every so many layers see everything. */
function layerTypes(config: ModelConfig, layers: number): readonly LayerType[] {
  const isType = (value: unknown): value is LayerType => value === 'full_attention' || value === 'sliding_attention';
  const interval = config.integer('global_attn_every_n_layers');
  return (
    config.list('layer_types', layers, isType, "'full_attention' or 'sliding_attention'") ??
    Array.from({ length: layers }, (_, layer) => (layer % interval === 0 ? 'full_attention' : 'sliding_attention'))
  );
}

function ropeOf(config: ModelConfig, type: LayerType, { hiddenSize, heads, positions }: Block): RopeParameters {
  const headDim = hiddenSize / heads;
  if (config.section('rope_parameters')) return ropeParameters(config, headDim, type);
  const key = type === 'full_attention' ? 'global_rope_theta' : 'local_rope_theta';
  return {
    rope_type: 'default',
    rope_theta: config.number(key, {
      least: 1,
      most: 1e15,
      otherwise: config.number('global_rope_theta', { least: 1 }),
    }),
    head_dim: headDim,
    max_position_embeddings: positions,
  };
}
