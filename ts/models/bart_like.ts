import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { embedding, languageModelHead, sinusoidalPositions, tableModule, tieMatrices } from '../modules';
import { type EncoderDecoderOptions, encoderDecoder, type StackSizes } from '../modules/encoder_decoder';
import { headRows, spanHead } from '../modules/encoder_heads';
import { linear } from '../modules/linear';
import { layerNorm } from '../modules/norm';
import type { Task } from './architecture';
import { type ConfigValues, type ModelConfig, maxHeads, maxLayers, maxPositions, maxVocabulary } from './config';
import { labelCount } from './encoder_config';

/** What the configurations of BART and its kin have by default. */
export const bartDefaults: ConfigValues = {
  max_position_embeddings: 1024,
  encoder_layers: 12,
  encoder_ffn_dim: 4096,
  encoder_attention_heads: 16,
  decoder_layers: 12,
  decoder_ffn_dim: 4096,
  decoder_attention_heads: 16,
  activation_function: 'gelu',
  d_model: 1024,
  scale_embedding: false,
  vocab_size: 50265,
  pad_token_id: 1,
  bos_token_id: 0,
  eos_token_id: 2,
  forced_eos_token_id: 2,
};

/** Where tokens' positions come from. */
export type Positions =
  /** A table of the checkpoint; tokens begin at row `offset`. */
  | { readonly kind: 'learned'; readonly offset: number }
  /** Sines and cosines, computed unless the checkpoint has them. */
  | {
      readonly kind: 'sinusoidal';
      readonly offset?: number;
      readonly frequencies?: readonly number[];
      readonly paddingId?: number;
    };

export interface BartLikeOptions {
  readonly family: string;
  readonly norms: EncoderDecoderOptions['norms'];
  /** A norm of what enters each stack. */
  readonly embeddingNorm: boolean;
  readonly positions: Positions;
  /** Whether the checkpoint has a bias for every score of a token (`final_logits_bias`). */
  readonly logitsBias: boolean;
  /** Encoder and decoder have tables and vocabularies of their own. */
  readonly separateVocabularies?: boolean;
}

/** Builds BART or one of its kin: `model.shared`, `model.encoder`, `model.decoder` and, for a language model, `lm_head`. */
export function bartLike(config: ModelConfig, g: GraphBuilder, task: Task, options: BartLikeOptions): void {
  const { family, norms, embeddingNorm, separateVocabularies = false } = options;
  const width = config.integer('d_model');
  const scale = config.boolean('scale_embedding') ? Math.sqrt(width) : undefined;
  const vocabularySize = config.integer('vocab_size', { most: maxVocabulary });
  const decoderVocabularySize = separateVocabularies
    ? config.integer('decoder_vocab_size', { most: maxVocabulary, otherwise: vocabularySize })
    : vocabularySize;
  const base = task === 'base' ? '' : 'model.';
  const tied = config.boolean('tie_word_embeddings', true);
  const tables = tableNames(g, base, { separate: separateVocabularies, tied });
  const { table, head } = tieMatrices(g, tied, tables.decoder);
  const embeddings = (stack: 'encoder' | 'decoder') => {
    const count = stack === 'encoder' ? vocabularySize : decoderVocabularySize;
    const weight = stack === 'encoder' && tables.encoder !== tables.decoder ? tables.encoder : table;
    const sum = embedding(g, 'embed_tokens', { count, width, weight, ...(scale === undefined ? {} : { scale }) });
    addPositions(g, config, options, sum);
    return embeddingNorm ? layerNorm(g, 'layernorm_embedding', sum, { epsilon: 1e-5 }) : sum;
  };
  const stacks = () => {
    if (!separateVocabularies) tableModule(g, 'shared', { count: vocabularySize, width, weight: table });
    return encoderDecoder(g, {
      family,
      norms,
      encoder: stackSizes(config, 'encoder', width),
      decoder: stackSizes(config, 'decoder', width),
      activation: config.string('activation_function'),
      embeddings,
    });
  };
  const hidden = task === 'base' ? stacks() : g.scope('model', `${family}Model`, stacks);
  if (task === 'sequence-classification') classificationHead(g, config, hidden, family);
  else if (task === 'question-answering') spanHead(g, 'qa_outputs', headRows(g, hidden));
  if (task !== 'seq2seq-lm') return;
  languageModelHead(g, hidden, {
    vocabularySize: decoderVocabularySize,
    weight: head,
    ...(options.logitsBias && g.hasTensor('final_logits_bias') ? { biasRow: 'final_logits_bias' } : {}),
  });
}

/** A label of the decoder's last token: `classification_head`. */
function classificationHead(g: GraphBuilder, config: ModelConfig, hidden: Value, family: string): void {
  const logits = g.scope('classification_head', `${family}ClassificationHead`, () => {
    const rows = headRows(g, hidden);
    const dense = linear(g, 'dense', rows, { outFeatures: rows.columns, bias: true, activation: 'tanh' });
    return linear(g, 'out_proj', dense, { outFeatures: labelCount(config), bias: true, place: 'float' });
  });
  g.output('logits', logits);
}

function stackSizes(config: ModelConfig, stack: 'encoder' | 'decoder', width: number): StackSizes {
  const heads = config.integer(`${stack}_attention_heads`, { most: maxHeads });
  if (width % heads !== 0) {
    throw config.wrong('d_model', width, `a multiple of ${stack}_attention_heads (${heads})`);
  }
  return {
    heads,
    layers: config.integer(`${stack}_layers`, { most: maxLayers }),
    innerFeatures: config.integer(`${stack}_ffn_dim`),
  };
}

/**
 * The tables of tokens: one that is shared, under whatever of its names the file has it, or one for each stack. Where matrices aren't tied, a
 * stack that has a table in the file reads that one, as in Python.
 */
function tableNames(
  g: GraphBuilder,
  base: string,
  { separate, tied }: { readonly separate: boolean; readonly tied: boolean },
): { encoder: string; decoder: string } {
  const [encoder, decoder] = [`${base}encoder.embed_tokens.weight`, `${base}decoder.embed_tokens.weight`];
  if (separate || (!tied && g.hasTensor(encoder) && g.hasTensor(decoder))) return { encoder, decoder };
  const names = [`${base}shared.weight`, encoder, decoder];
  const table = names.find((name) => g.hasTensor(name)) ?? `${base}shared.weight`;
  return { encoder: table, decoder: table };
}

function addPositions(g: GraphBuilder, config: ModelConfig, { family, positions }: BartLikeOptions, sum: Value): void {
  const name = 'embed_positions';
  const width = sum.columns;
  const count = config.integer('max_position_embeddings', { most: maxPositions });
  const shared = { width, index: 'position_ids' as const, addTo: sum };
  if (positions.kind === 'learned') {
    const { offset } = positions;
    embedding(g, name, { ...shared, count: count + offset, offset });
    return;
  }
  if (positions.offset === undefined && g.hasTensor(`${g.pathOf(name)}.weight`)) {
    embedding(g, name, { ...shared, count });
    return;
  }
  if (width % 2 !== 0) throw config.wrong('d_model', width, 'even, as every sine has its cosine');
  const { kind: _, ...options } = positions;
  sinusoidalPositions(g, name, {
    ...options,
    width,
    order: 'halves',
    kind: `${family}SinusoidalPositionalEmbedding`,
    positions: count,
    addTo: sum,
  });
}
