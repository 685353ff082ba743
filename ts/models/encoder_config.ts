import type { EncoderEmbeddingsOptions, EncoderLayerOptions } from '../modules/encoder';
import { type ModelConfig, maxHeads, maxLayers, maxPositions, maxVocabulary } from './config';

/** What encoders of BERT's kind are made of. */
export interface EncoderSizes
  extends Omit<EncoderEmbeddingsOptions, 'kind' | 'width'>,
    Omit<EncoderLayerOptions, 'names' | 'relativeBias'> {
  readonly hiddenSize: number;
  readonly layers: number;
}

/** Keys of config.json whose names differ from BERT's. */
export interface EncoderKeys {
  readonly hiddenSize?: string;
  readonly heads?: string;
  readonly layers?: string;
  readonly innerFeatures?: string;
  readonly activation?: string;
}

/** Reads and checks the sizes of an encoder. @throws OctoformerError INVALID_CHECKPOINT naming key and value */
export function encoderSizes(config: ModelConfig, keys: EncoderKeys = {}): EncoderSizes {
  const { hiddenSize: sizeKey = 'hidden_size', heads: headsKey = 'num_attention_heads' } = keys;
  const hiddenSize = config.integer(sizeKey);
  const heads = config.integer(headsKey, { most: maxHeads });
  if (hiddenSize % heads !== 0) throw config.wrong(sizeKey, hiddenSize, `a multiple of ${headsKey} (${heads})`);
  return {
    vocabularySize: config.integer('vocab_size', { most: maxVocabulary }),
    hiddenSize,
    heads,
    layers: config.integer(keys.layers ?? 'num_hidden_layers', { most: maxLayers }),
    innerFeatures: config.integer(keys.innerFeatures ?? 'intermediate_size'),
    positions: config.integer('max_position_embeddings', { most: maxPositions }),
    tokenTypes: config.integer('type_vocab_size', { least: 0, otherwise: 0 }),
    epsilon: config.number('layer_norm_eps', { most: 1, otherwise: 1e-12 }),
    activation: config.string(keys.activation ?? 'hidden_act', 'gelu'),
  };
}

/**
 * Labels of a classifier: those of `id2label`, or `num_labels`, or 2 as in Hugging Face's classes.
 * @throws OctoformerError INVALID_CHECKPOINT where there are none
 */
export function labelCount(config: ModelConfig): number {
  const labels = config.section('id2label');
  if (!labels) return config.integer('num_labels', { otherwise: 2 });
  const count = Object.keys(labels.values).length;
  if (count === 0) throw config.wrong('id2label', labels.values, 'the name of one label at least');
  return count;
}
