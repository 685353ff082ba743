import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { activationByName } from '../modules/activation';
import { baseModel } from '../modules/base_model';
import { type EncoderLayerNames, encoderEmbeddings, encoderLayers, postNormLayer } from '../modules/encoder';
import { headRows, labelHead, maskedLanguageHead, spanHead } from '../modules/encoder_heads';
import { linear } from '../modules/linear';
import type { Architecture } from './architecture';
import { type EncoderSizes, encoderSizes, labelCount } from './encoder_config';

/** The paths of BERT's layers, which RoBERTa, ELECTRA and others took over. */
export function bertLayerNames(family: string): EncoderLayerNames {
  return {
    selfAttention: 'attention.self',
    projections: ['query', 'key', 'value'],
    attentionOutput: 'attention.output.dense',
    attentionNorm: 'attention.output.LayerNorm',
    inner: 'intermediate.dense',
    outer: 'output.dense',
    outputNorm: 'output.LayerNorm',
    kinds: {
      attention: `${family}Attention`,
      'attention.self': `${family}SelfAttention`,
      'attention.output': `${family}SelfOutput`,
      intermediate: `${family}Intermediate`,
      output: `${family}Output`,
    },
  };
}

/** `encoder.layer.I` of BERT and those that took it over. */
export function bertEncoder(g: GraphBuilder, family: string, input: Value, sizes: EncoderSizes): Value {
  const names = bertLayerNames(family);
  return g.scope('encoder', `${family}Encoder`, () =>
    g.scope('layer', 'ModuleList', () =>
      encoderLayers(g, input, sizes.layers, (stream, index) =>
        g.scope(String(index), `${family}Layer`, () => postNormLayer(g, stream, { ...sizes, names })),
      ),
    ),
  );
}

/** tanh(W x + b) of a sequence's first token: `pooler.dense`. */
export function pooler(g: GraphBuilder, family: string, rows: Value): Value {
  return g.scope('pooler', `${family}Pooler`, () =>
    linear(g, 'dense', rows, { outFeatures: rows.columns, bias: true, activation: 'tanh' }),
  );
}

/** The output `pooler_output` of a bare model, where the checkpoint has a pooler (those of masked language models don't). */
export function outputPooler(g: GraphBuilder, family: string, rows: Value): void {
  if (g.hasTensor(`${g.pathOf('pooler.dense')}.weight`)) g.output('pooler_output', pooler(g, family, rows));
}

const family = 'Bert';

/** BERT (Devlin et al. 2018) with all its heads, and what was built like it (MiniLM, BGE, GTE, E5). */
export const bert: Architecture = {
  model_type: 'bert',
  family,
  tasks: ['base', 'masked-lm', 'sequence-classification', 'token-classification', 'question-answering'],
  base_model_prefix: 'bert',
  defaults: { type_vocab_size: 2, max_position_embeddings: 512, layer_norm_eps: 1e-12 },
  build(config, g, task) {
    const sizes = encoderSizes(config);
    const rows = baseModel(g, task === 'base', 'bert', `${family}Model`, () => {
      const width = sizes.hiddenSize;
      const input = encoderEmbeddings(g, 'embeddings', { ...sizes, width, kind: `${family}Embeddings` });
      const asked = headRows(g, bertEncoder(g, family, input, sizes));
      if (task === 'base') outputPooler(g, family, asked);
      return task === 'sequence-classification' ? pooler(g, family, asked) : asked;
    });
    if (task === 'question-answering') spanHead(g, 'qa_outputs', rows);
    else if (task === 'masked-lm') maskedHead(g, rows, sizes);
    else if (task !== 'base') labelHead(g, 'classifier', {}, rows, labelCount(config));
  },
};

function maskedHead(g: GraphBuilder, rows: Value, sizes: EncoderSizes): void {
  maskedLanguageHead(g, rows, {
    ...sizes,
    width: sizes.hiddenSize,
    activation: activationByName(sizes.activation).op,
    table: 'bert.embeddings.word_embeddings.weight',
    names: {
      transform: 'cls.predictions.transform.dense',
      norm: 'cls.predictions.transform.LayerNorm',
      decoder: 'cls.predictions.decoder',
      biases: ['cls.predictions.decoder.bias', 'cls.predictions.bias'],
      kinds: {
        cls: 'BertOnlyMLMHead',
        'cls.predictions': 'BertLMPredictionHead',
        'cls.predictions.transform': 'BertPredictionHeadTransform',
      },
    },
  });
}
