import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { baseModel } from '../modules/base_model';
import { encoderEmbeddings } from '../modules/encoder';
import { headRows, labelHead, maskedLanguageHead, spanHead } from '../modules/encoder_heads';
import { linear } from '../modules/linear';
import type { Architecture } from './architecture';
import { bertEncoder, outputPooler } from './bert';
import type { ModelConfig } from './config';
import { type EncoderSizes, encoderSizes, labelCount } from './encoder_config';

/**
 * Positions of RoBERTa and its kin: tokens are counted from `pad_token_id + 1` on, and a padding token has the position `pad_token_id`,
 * whose row of the table is for that.
 */
export function positionsAfterPadding(config: ModelConfig, ids: readonly number[]): number[] {
  const padding = config.integer('pad_token_id', { least: 0, otherwise: 1 });
  let position = padding;
  return ids.map((id) => (id === padding ? padding : ++position));
}

/** out(activation(dense(x))) of a sequence's first token: `classifier.dense` and `classifier.out_proj`. */
export function classificationHead(
  g: GraphBuilder,
  kind: string,
  rows: Value,
  labels: number,
  activation: 'tanh' | 'gelu' = 'tanh',
): void {
  const logits = g.scope('classifier', kind, () => {
    const dense = linear(g, 'dense', rows, { outFeatures: rows.columns, bias: true, activation });
    return linear(g, 'out_proj', dense, { outFeatures: labels, bias: true, place: 'float' });
  });
  g.output('logits', logits);
}

/** dense, gelu, norm and the table of words: `lm_head`, as RoBERTa and MPNet have it. */
export function denseLanguageHead(
  g: GraphBuilder,
  rows: Value,
  kind: string,
  prefix: string,
  sizes: EncoderSizes,
): void {
  maskedLanguageHead(g, rows, {
    ...sizes,
    width: sizes.hiddenSize,
    activation: 'gelu',
    table: `${prefix}.embeddings.word_embeddings.weight`,
    names: {
      transform: 'lm_head.dense',
      norm: 'lm_head.layer_norm',
      decoder: 'lm_head.decoder',
      biases: ['lm_head.decoder.bias', 'lm_head.bias'],
      kinds: { lm_head: kind },
    },
  });
}

function robertaLike(model_type: string, family: string): Architecture {
  return {
    model_type,
    family,
    tasks: ['base', 'masked-lm', 'sequence-classification', 'token-classification', 'question-answering'],
    base_model_prefix: 'roberta',
    defaults: { type_vocab_size: 2, max_position_embeddings: 512, layer_norm_eps: 1e-12, pad_token_id: 1 },
    positions: positionsAfterPadding,
    build(config, g, task) {
      const sizes = encoderSizes(config);
      const rows = baseModel(g, task === 'base', 'roberta', `${family}Model`, () => {
        const width = sizes.hiddenSize;
        const input = encoderEmbeddings(g, 'embeddings', { ...sizes, width, kind: `${family}Embeddings` });
        const asked = headRows(g, bertEncoder(g, family, input, sizes));
        if (task === 'base') outputPooler(g, family, asked);
        return asked;
      });
      if (task === 'question-answering') spanHead(g, 'qa_outputs', rows);
      else if (task === 'masked-lm') denseLanguageHead(g, rows, `${family}LMHead`, 'roberta', sizes);
      else if (task === 'token-classification') labelHead(g, 'classifier', {}, rows, labelCount(config));
      else if (task === 'sequence-classification') {
        classificationHead(g, `${family}ClassificationHead`, rows, labelCount(config));
      }
    },
  };
}

/** RoBERTa (Liu et al. 2019): BERT whose positions begin after the padding's, with heads of its own. */
export const roberta = robertaLike('roberta', 'Roberta');

/** XLM-RoBERTa (Conneau et al. 2019): RoBERTa for a hundred languages. */
export const xlmRoberta = robertaLike('xlm-roberta', 'XLMRoberta');
