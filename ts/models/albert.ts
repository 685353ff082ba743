import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { activationByName } from '../modules/activation';
import { baseModel } from '../modules/base_model';
import { type EncoderLayerNames, encoderEmbeddings, encoderLayers, postNormLayer } from '../modules/encoder';
import { headRows, labelHead, maskedLanguageHead, spanHead } from '../modules/encoder_heads';
import { linear } from '../modules/linear';
import { nested } from '../modules/nested';
import type { Architecture } from './architecture';
import { type ModelConfig, maxLayers } from './config';
import { type EncoderSizes, encoderSizes, labelCount } from './encoder_config';

const names: EncoderLayerNames = {
  selfAttention: 'attention',
  projections: ['query', 'key', 'value'],
  attentionOutput: 'attention.dense',
  attentionNorm: 'attention.LayerNorm',
  inner: 'ffn',
  outer: 'ffn_output',
  outputNorm: 'full_layer_layer_norm',
  kinds: { attention: 'AlbertAttention' },
};

const kinds = {
  albert_layer_groups: 'ModuleList',
  'albert_layer_groups.0': 'AlbertLayerGroup',
};

/** ALBERT (Lan et al. 2019): narrow embeddings, and layers that share the weights of a few groups. */
export const albert: Architecture = {
  model_type: 'albert',
  tasks: ['base', 'masked-lm', 'sequence-classification', 'token-classification', 'question-answering'],
  base_model_prefix: 'albert',
  defaults: {
    type_vocab_size: 2,
    max_position_embeddings: 512,
    layer_norm_eps: 1e-12,
    embedding_size: 128,
    hidden_act: 'gelu_new',
    num_hidden_groups: 1,
    inner_group_num: 1,
  },
  build(config, g, task) {
    const sizes = encoderSizes(config);
    const width = config.integer('embedding_size');
    const rows = baseModel(g, task === 'base', 'albert', 'AlbertModel', () => {
      const embedded = encoderEmbeddings(g, 'embeddings', { ...sizes, width, kind: 'AlbertEmbeddings' });
      const asked = headRows(g, encoder(g, embedded, sizes, config));
      if (task === 'base') {
        if (g.hasTensor(`${g.pathOf('pooler')}.weight`)) g.output('pooler_output', pooler(g, asked));
      }
      return task === 'sequence-classification' ? pooler(g, asked) : asked;
    });
    if (task === 'question-answering') spanHead(g, 'qa_outputs', rows);
    else if (task === 'masked-lm') {
      maskedLanguageHead(g, rows, {
        ...sizes,
        width,
        activation: activationByName(sizes.activation).op,
        table: 'albert.embeddings.word_embeddings.weight',
        names: {
          transform: 'predictions.dense',
          norm: 'predictions.LayerNorm',
          decoder: 'predictions.decoder',
          biases: ['predictions.decoder.bias', 'predictions.bias'],
          kinds: { predictions: 'AlbertMLMHead' },
        },
      });
    } else if (task !== 'base') labelHead(g, 'classifier', {}, rows, labelCount(config));
  },
};

function pooler(g: GraphBuilder, rows: Value): Value {
  return linear(g, 'pooler', rows, { outFeatures: rows.columns, bias: true, activation: 'tanh' });
}

function encoder(g: GraphBuilder, embedded: Value, sizes: EncoderSizes, config: ModelConfig): Value {
  const groups = config.integer('num_hidden_groups', { most: sizes.layers });
  const inner = config.integer('inner_group_num', { most: maxLayers });
  return g.scope('encoder', 'AlbertTransformer', () => {
    const input = linear(g, 'embedding_hidden_mapping_in', embedded, { outFeatures: sizes.hiddenSize, bias: true });
    return encoderLayers(g, input, sizes.layers, (stream, index) => {
      const group = Math.floor(index / (sizes.layers / groups));
      return nested(g, `albert_layer_groups.${group}.albert_layers`, kinds, () => {
        let output = stream;
        for (let part = 0; part < inner; part++) {
          output = g.scope(String(part), 'AlbertLayer', () => postNormLayer(g, output, { ...sizes, names }));
        }
        return output;
      });
    });
  });
}
