import { baseModel } from '../modules/base_model';
import { type EncoderLayerNames, encoderEmbeddings, encoderLayers, postNormLayer } from '../modules/encoder';
import { headRows, labelHead, spanHead } from '../modules/encoder_heads';
import { relativeBias } from '../modules/relative_bias';
import type { Architecture } from './architecture';
import { outputPooler } from './bert';
import { encoderSizes, labelCount } from './encoder_config';
import { classificationHead, denseLanguageHead, positionsAfterPadding } from './roberta';

// Fixed in Python's class, as is the largest distance: T5's defaults.
const countedBuckets = 32;
const maxDistance = 128;

const names: EncoderLayerNames = {
  selfAttention: 'attention.attn',
  projections: ['q', 'k', 'v'],
  attentionOutput: 'attention.attn.o',
  attentionNorm: 'attention.LayerNorm',
  inner: 'intermediate.dense',
  outer: 'output.dense',
  outputNorm: 'output.LayerNorm',
  kinds: {
    attention: 'MPNetAttention',
    'attention.attn': 'MPNetSelfAttention',
    intermediate: 'MPNetIntermediate',
    output: 'MPNetOutput',
  },
};

/** MPNet (Song et al. 2020): BERT with biases by relative position, which all layers share, without token types. */
export const mpnet: Architecture = {
  model_type: 'mpnet',
  family: 'MPNet',
  tasks: ['base', 'masked-lm', 'sequence-classification', 'token-classification', 'question-answering'],
  base_model_prefix: 'mpnet',
  defaults: {
    max_position_embeddings: 512,
    layer_norm_eps: 1e-12,
    pad_token_id: 1,
    relative_attention_num_buckets: 32,
  },
  positions: positionsAfterPadding,
  build(config, g, task) {
    const sizes = { ...encoderSizes(config), tokenTypes: 0 };
    // Python's class counts the same buckets whatever the configuration says, which is how many rows the table has: fewer are not enough there.
    const storedBuckets = config.integer('relative_attention_num_buckets', { least: countedBuckets });
    const rows = baseModel(g, task === 'base', 'mpnet', 'MPNetModel', () => {
      const width = sizes.hiddenSize;
      const input = encoderEmbeddings(g, 'embeddings', { ...sizes, width, kind: 'MPNetEmbeddings' });
      const hidden = g.scope('encoder', 'MPNetEncoder', () => {
        const shared = relativeBias(g, 'relative_attention_bias', {
          buckets: countedBuckets,
          storedBuckets,
          heads: sizes.heads,
          maxDistance,
          bidirectional: true,
        });
        return g.scope('layer', 'ModuleList', () =>
          encoderLayers(g, input, sizes.layers, (stream, index) =>
            g.scope(String(index), 'MPNetLayer', () =>
              postNormLayer(g, stream, { ...sizes, names, relativeBias: shared }),
            ),
          ),
        );
      });
      const asked = headRows(g, hidden);
      if (task === 'base') outputPooler(g, 'MPNet', asked);
      return asked;
    });
    if (task === 'question-answering') spanHead(g, 'qa_outputs', rows);
    else if (task === 'masked-lm') denseLanguageHead(g, rows, 'MPNetLMHead', 'mpnet', sizes);
    else if (task === 'token-classification') labelHead(g, 'classifier', {}, rows, labelCount(config));
    else if (task === 'sequence-classification') {
      classificationHead(g, 'MPNetClassificationHead', rows, labelCount(config));
    }
  },
};
