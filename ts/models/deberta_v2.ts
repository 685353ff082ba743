import { OctoformerError } from '../binding/error';
import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { activationByName } from '../modules/activation';
import { baseModel } from '../modules/base_model';
import {
  type DisentangledAttention,
  placeCount,
  type RelativePlaces,
  relativePlaces,
} from '../modules/disentangled_attention';
import { embedding } from '../modules/embedding';
import { encoderLayers, postNormLayer } from '../modules/encoder';
import { headRows, labelHead, maskedLanguageHead, spanHead } from '../modules/encoder_heads';
import { linear } from '../modules/linear';
import { layerNorm } from '../modules/norm';
import type { Architecture } from './architecture';
import { bertLayerNames } from './bert';
import { type ModelConfig, maxPositions } from './config';
import { type EncoderSizes, encoderSizes, labelCount } from './encoder_config';

const family = 'DebertaV2';
const terms = ['c2p', 'p2c'] as const;

/** DeBERTa v2 and v3 (He et al. 2020 and 2021), and mDeBERTa: BERT that attends to content and relative positions apart. */
export const debertaV2: Architecture = {
  model_type: 'deberta-v2',
  family,
  tasks: ['base', 'masked-lm', 'sequence-classification', 'token-classification', 'question-answering'],
  base_model_prefix: 'deberta',
  defaults: {
    type_vocab_size: 0,
    max_position_embeddings: 512,
    layer_norm_eps: 1e-7,
    relative_attention: false,
    max_relative_positions: -1,
    position_buckets: -1,
    position_biased_input: true,
    share_att_key: false,
    norm_rel_ebd: 'none',
    pooler_hidden_act: 'gelu',
    conv_kernel_size: 0,
    legacy: true,
  },
  build(config, g, task) {
    const sizes = encoderSizes(config);
    const { hiddenSize } = sizes;
    if (config.integer('conv_kernel_size', { least: 0 }) > 0) {
      throw unsupported(config, 'conv_kernel_size', 'a convolution beside the first layer');
    }
    const rows = baseModel(g, task === 'base', 'deberta', `${family}Model`, () =>
      headRows(g, encoder(g, embeddings(g, config, sizes), config, sizes)),
    );
    if (task === 'question-answering') spanHead(g, 'qa_outputs', rows);
    else if (task === 'token-classification') labelHead(g, 'classifier', {}, rows, labelCount(config));
    else if (task === 'masked-lm') maskedHead(g, rows, config, sizes);
    else if (task === 'sequence-classification') {
      const width = config.integer('pooler_hidden_size', { otherwise: hiddenSize });
      if (width !== hiddenSize) throw config.wrong('pooler_hidden_size', width, `hidden_size (${hiddenSize})`);
      const { op: activation } = activationByName(config.string('pooler_hidden_act'), 'pooler_hidden_act');
      const pooled = g.scope('pooler', 'ContextPooler', () =>
        linear(g, 'dense', rows, { outFeatures: width, bias: true, activation }),
      );
      labelHead(g, 'classifier', {}, pooled, labelCount(config));
    }
  },
};

function unsupported(config: ModelConfig, key: string, what: string): OctoformerError {
  return new OctoformerError(
    'UNSUPPORTED_ARCHITECTURE',
    `${config.file}: '${key}' ${JSON.stringify(config.get(key))} asks for ${what}, which is not implemented`,
  );
}

/** The width of the table of words, which a matrix may widen. */
function embeddingSize(config: ModelConfig, { hiddenSize }: EncoderSizes): number {
  return config.integer('embedding_size', { otherwise: hiddenSize });
}

function embeddings(g: GraphBuilder, config: ModelConfig, sizes: EncoderSizes): Value {
  const { vocabularySize, positions, tokenTypes, hiddenSize, epsilon } = sizes;
  const width = embeddingSize(config, sizes);
  return g.scope('embeddings', `${family}Embeddings`, () => {
    const sum = embedding(g, 'word_embeddings', { count: vocabularySize, width });
    if (config.boolean('position_biased_input')) {
      embedding(g, 'position_embeddings', { count: positions, width, index: 'position_ids', addTo: sum });
    }
    if (tokenTypes > 0) {
      embedding(g, 'token_type_embeddings', { count: tokenTypes, width, index: 'token_type_ids', addTo: sum });
    }
    const wide = width === hiddenSize ? sum : linear(g, 'embed_proj', sum, { outFeatures: hiddenSize });
    return layerNorm(g, 'LayerNorm', wide, { epsilon });
  });
}

function encoder(g: GraphBuilder, input: Value, config: ModelConfig, sizes: EncoderSizes): Value {
  const { heads, hiddenSize } = sizes;
  const headDim = config.integer('attention_head_size', { otherwise: hiddenSize / heads });
  if (headDim * heads !== hiddenSize) {
    throw config.wrong('attention_head_size', headDim, `hidden_size over num_attention_heads (${hiddenSize / heads})`);
  }
  const used = attentionTerms(config);
  const names = { ...bertLayerNames(family), projections: ['query_proj', 'key_proj', 'value_proj'] as const };
  const kinds = { ...names.kinds, 'attention.self': 'DisentangledSelfAttention' };
  const build = () => {
    const disentangled = relativePositions(g, config, sizes, used);
    const layer = {
      ...sizes,
      names: { ...names, kinds },
      scale: (headDim * (1 + used.length)) ** -0.5,
      ...(disentangled ? { disentangled } : {}),
    };
    return g.scope('layer', 'ModuleList', () =>
      encoderLayers(g, input, sizes.layers, (stream, index) =>
        g.scope(String(index), `${family}Layer`, () => postNormLayer(g, stream, layer)),
      ),
    );
  };
  return g.scope('encoder', `${family}Encoder`, build, { order: ['layer', 'rel_embeddings', 'LayerNorm'] });
}

/** Which terms the scores have beside that of the contents; they count for the scale even where positions are absolute. */
function attentionTerms(config: ModelConfig): readonly ('c2p' | 'p2c')[] {
  const given = config.get('pos_att_type') ?? [];
  const list: readonly unknown[] =
    typeof given === 'string' ? splitNames(given) : Array.isArray(given) ? given : [given];
  const unknown = list.find((name) => !terms.some((term) => term === name));
  if (unknown !== undefined) throw unsupported(config, 'pos_att_type', `a term ${JSON.stringify(unknown)}`);
  return terms.filter((term) => list.includes(term));
}

/** As DeBERTa's configurations write lists. */
function splitNames(text: string): string[] {
  return text
    .toLowerCase()
    .split('|')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function relativePositions(
  g: GraphBuilder,
  config: ModelConfig,
  { hiddenSize, epsilon, positions }: EncoderSizes,
  used: readonly ('c2p' | 'p2c')[],
): DisentangledAttention | undefined {
  if (!config.boolean('relative_attention')) return undefined;
  const places = placesOf(config, positions);
  const count = placeCount(places);
  g.setPlaces(count);
  const table = embedding(g, 'rel_embeddings', { count, width: hiddenSize, index: 'places' });
  const norms = splitNames(config.string('norm_rel_ebd'));
  const unknown = norms.find((name) => name !== 'none' && name !== 'layer_norm');
  if (unknown !== undefined) throw unsupported(config, 'norm_rel_ebd', `a norm '${unknown}'`);
  return {
    embeddings: norms.includes('layer_norm') ? layerNorm(g, 'LayerNorm', table, { epsilon }) : table,
    index: relativePlaces(places),
    terms: used,
    shared: config.boolean('share_att_key'),
  };
}

/** A largest distance below 1 is that of the positions, and -1 buckets are none. */
function placesOf(config: ModelConfig, positions: number): RelativePlaces {
  const given = config.integer('max_relative_positions', { least: -1, most: maxPositions });
  const maxDistance = given < 1 ? positions : given;
  const buckets = Math.max(config.integer('position_buckets', { least: -1, most: maxPositions }), 0);
  if (buckets === 1 || (buckets > 0 && maxDistance - 1 <= Math.floor(buckets / 2))) {
    throw config.wrong(
      'position_buckets',
      buckets,
      `above 1, and half of it below the largest distance (${maxDistance}) less 1`,
    );
  }
  return { buckets, maxDistance };
}

function maskedHead(g: GraphBuilder, rows: Value, config: ModelConfig, sizes: EncoderSizes): void {
  const legacy = config.boolean('legacy');
  const head = legacy ? 'cls.predictions' : 'lm_predictions.lm_head';
  const transform = legacy ? `${head}.transform` : head;
  const width = embeddingSize(config, sizes);
  if (!legacy && width !== sizes.hiddenSize) {
    throw config.wrong('embedding_size', width, `hidden_size (${sizes.hiddenSize}) where 'legacy' is false`);
  }
  maskedLanguageHead(g, rows, {
    ...sizes,
    width,
    activation: activationByName(sizes.activation).op,
    table: 'deberta.embeddings.word_embeddings.weight',
    names: {
      transform: `${transform}.dense`,
      norm: `${transform}.LayerNorm`,
      decoder: `${head}.decoder`,
      biases: [`${head}.decoder.bias`, `${head}.bias`],
      kinds: {
        cls: 'LegacyDebertaV2OnlyMLMHead',
        'cls.predictions': 'LegacyDebertaV2LMPredictionHead',
        'cls.predictions.transform': 'LegacyDebertaV2PredictionHeadTransform',
        lm_predictions: 'DebertaV2OnlyMLMHead',
        'lm_predictions.lm_head': 'DebertaV2LMPredictionHead',
      },
    },
  });
}
