import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';
import { AutoModel, type BaseModelOutputs, type EncoderModel } from '../models/auto_encoders';
import type { LoadOptions } from '../models/load_options';
import { splitOptions } from './default_options';
import { openEncoderPipeline, type PipelineParts, textsOf } from './encoder_pipeline';
import {
  extractFeatures,
  type FeatureExtractionOptions,
  featureNames,
  openSentenceSettings,
  type Pooling,
} from './feature_extraction';

/** A sentence and those that it is compared with. */
export interface SentencePairs {
  readonly source_sentence: string;
  readonly sentences: readonly string[];
}

export interface SentenceSimilarityOptions extends Omit<FeatureExtractionOptions, 'normalize' | 'pooling'> {
  /**
   * How a text's vector is made of its tokens': their mean, the first or the last. `auto` (default): as sentence-transformers' files beside the
   * model say, prompt and all, and the mean where there are none.
   */
  readonly pooling?: Pooling;
}

/** A sentence similarity pipeline: for each of `sentences` the cosine between its vector and that of `source_sentence`. */
export interface SentenceSimilarityPipeline
  extends PipelineParts<'sentence-similarity', EncoderModel<BaseModelOutputs>> {
  (input: SentencePairs, options?: SentenceSimilarityOptions): Promise<number[]>;
}

const names = featureNames("pipeline('sentence-similarity')");

/**
 * @throws OctoformerError beside what opening a model throws, of sentence-transformers' files where `options` have no `pooling`:
 *   UNSUPPORTED_OPTION, INVALID_CHECKPOINT, NOT_FOUND, OFFLINE
 */
export async function openSentenceSimilarity(
  source: string,
  options: LoadOptions & SentenceSimilarityOptions,
): Promise<SentenceSimilarityPipeline> {
  const { load, defaults } = splitOptions<SentenceSimilarityOptions>(options, names);
  const split = { load, defaults: { pooling: 'auto', ...defaults } as const };
  const settings = await openSentenceSettings(names.where, source, split);
  return openEncoderPipeline<SentenceSimilarityPipeline, BaseModelOutputs, SentencePairs, SentenceSimilarityOptions>(
    'sentence-similarity',
    AutoModel,
    source,
    split,
    (model, tokenizer) => async (input, given) => {
      if (typeof input !== 'object' || input === null || !Array.isArray(input.sentences)) {
        throw new OctoformerError(
          'INVALID_ARGUMENT',
          `${names.where}: the input must be { source_sentence, sentences: [...] }, not ${describeValue(input)}`,
        );
      }
      const texts = textsOf(names.where, [input.source_sentence, ...input.sentences]);
      const vectors = await extractFeatures({ names, model, tokenizer, settings }, texts, {
        ...given,
        normalize: true,
      });
      const [[first = []] = [], ...others] = vectors;
      return others.map(([other = []]) => other.reduce((sum, value, index) => sum + value * (first[index] ?? 0), 0));
    },
  );
}
