import { checkBoolean, checkChoice } from '../binding/options';
import { AutoModel, type BaseModelOutputs, type EncoderModel } from '../models/auto_encoders';
import type { LoadOptions } from '../models/load_options';
import type { Tensor } from '../models/tensor';
import type { TokenizedText, Tokenizer } from '../tokenization';
import { type CallNames, type SplitOptions, splitOptions } from './default_options';
import {
  callNames,
  checkPipelineOptions,
  type EncoderPipelineOptions,
  longestInput,
  openEncoderPipeline,
  type PipelineParts,
  runBatches,
  textsOf,
} from './encoder_pipeline';
import { type PromptOptions, SentenceSettings } from './sentence_settings';
import type { SentenceVectors } from './sentence_vectors';

const poolings = ['none', 'mean', 'cls', 'last', 'auto'] as const;

/** Ways to make one vector of a text. */
export type Pooling = Exclude<(typeof poolings)[number], 'none'>;

export interface FeatureExtractionOptions extends EncoderPipelineOptions, PromptOptions {
  /**
   * One vector a text: the mean of all tokens', the first or the last one's. `auto`: all as sentence-transformers' files beside the model say (pooling,
   * length, prompt, lower case, the longest text); without them the mean, normalized. `none` (default): one vector a token.
   */
  readonly pooling?: (typeof poolings)[number];
  /** Divides each vector by its length; by default only where `pooling: 'auto'` finds that it should be. */
  readonly normalize?: boolean;
  /** Cuts texts to this many tokens, special ones included; to what the model takes by default. */
  readonly max_length?: number;
}

/** A feature extraction pipeline: text in, vectors out. */
export interface FeatureExtractionPipeline extends PipelineParts<'feature-extraction', EncoderModel<BaseModelOutputs>> {
  (input: string, options: FeatureExtractionOptions & { readonly pooling: Pooling }): Promise<number[]>;
  (input: readonly string[], options: FeatureExtractionOptions & { readonly pooling: Pooling }): Promise<number[][]>;
  /** Without pooling: a vector a token. */
  (input: string, options?: FeatureExtractionOptions): Promise<number[][]>;
  (input: readonly string[], options?: FeatureExtractionOptions): Promise<number[][][]>;
}

/** The same where `pipeline()` was given a pooling: a vector a text, unless a call says otherwise. */
export interface PooledFeaturePipeline extends PipelineParts<'feature-extraction', EncoderModel<BaseModelOutputs>> {
  (input: string, options: FeatureExtractionOptions & { readonly pooling: 'none' }): Promise<number[][]>;
  (input: readonly string[], options: FeatureExtractionOptions & { readonly pooling: 'none' }): Promise<number[][][]>;
  (input: string, options?: FeatureExtractionOptions): Promise<number[]>;
  (input: readonly string[], options?: FeatureExtractionOptions): Promise<number[][]>;
}

/** What a call takes that makes vectors of texts. @param where what was called, for messages */
export function featureNames(where: string): CallNames {
  return callNames(where, ['pooling', 'normalize', 'max_length', 'prompt', 'prompt_name']);
}

/** What vectors of texts are made with. */
export interface Extractor {
  readonly names: CallNames;
  readonly model: EncoderModel<BaseModelOutputs>;
  readonly tokenizer: Tokenizer;
  readonly settings: SentenceSettings;
}

/** Vectors of texts. */
export async function extractFeatures(
  { names, model, tokenizer, settings }: Extractor,
  texts: readonly string[],
  options: FeatureExtractionOptions,
): Promise<number[][][]> {
  checkPipelineOptions(names, options);
  const { where } = names;
  const { signal } = options;
  const asked = checkChoice(where, 'pooling', options.pooling ?? 'none', poolings);
  const vectors = asked === 'auto' ? await settings.vectors(signal) : undefined;
  const { pooling = asked as Exclude<typeof asked, 'auto'>, includePrompt = true, lowerCase = false } = vectors ?? {};
  const normalize = checkBoolean(where, 'normalize', options.normalize ?? vectors?.normalize ?? false);
  const prompt = await settings.prompt(options, asked === 'auto', signal);
  const longest = options.max_length ?? vectors?.maxLength ?? longestInput(model, tokenizer);
  const cut = { truncation: true, max_length: Math.min(longest, model.maxTokens) };
  const read = (text: string) => (lowerCase ? inLowerCase(prompt + text) : prompt + text);
  const encoded = tokenizer.encode_batch(texts.map(read), cut);
  const skipped = includePrompt || prompt === '' ? 0 : promptTokens(tokenizer, tokenizer.encode(read(''), cut));
  return runBatches(model, tokenizer, encoded, options, ({ last_hidden_state }, place) => {
    const rows = pool(last_hidden_state[place] as Tensor, pooling, skipped);
    return rows.map((vector) => Array.from(normalize ? normalized(vector) : vector));
  });
}

/** Character by character, as tokenizers do it: a sigma does not depend on its neighbours. */
function inLowerCase(text: string): string {
  return Array.from(text, (character) => character.toLowerCase()).join('');
}

/** Tokens of a prompt, as sentence-transformers counts them: without the special one that ends it. */
function promptTokens({ all_special_ids }: Tokenizer, { input_ids }: TokenizedText): number {
  const last = input_ids.at(-1);
  return input_ids.length - (last !== undefined && all_special_ids.includes(last) ? 1 : 0);
}

/** @param skipped tokens in front that have no part in one vector a text */
function pool({ data, dims }: Tensor, pooling: SentenceVectors['pooling'] | 'none', skipped: number): Float32Array[] {
  const [tokens = 0, width = 0] = dims;
  const row = (token: number) => data.subarray(token * width, (token + 1) * width);
  if (pooling === 'none') return Array.from({ length: tokens }, (_, token) => row(token));
  const counted = Math.max(0, tokens - skipped);
  // Of a text that is cut before its own first token: as sentence-transformers has it.
  if (pooling === 'cls') return [row(counted > 0 ? skipped : 0)];
  if (counted === 0) return [new Float32Array(width)];
  if (pooling === 'last') return [row(tokens - 1)];
  const sums = new Float64Array(width);
  for (let index = skipped * width; index < data.length; index++)
    sums[index % width] = (sums[index % width] ?? 0) + (data[index] ?? 0);
  return [Float32Array.from(sums, (sum) => sum / counted)];
}

/** The vector over its length, which counts as 1e-12 at least (as PyTorch's `normalize` has it). */
function normalized(vector: Float32Array): Float32Array {
  const length = Math.max(Math.hypot(...vector), 1e-12);
  return vector.map((value) => value / length);
}

const names = featureNames("pipeline('feature-extraction')");

/** @throws OctoformerError beside what opening a model throws, of sentence-transformers' files where `options` ask for what they say */
export async function openFeatureExtraction(
  source: string,
  options: LoadOptions & FeatureExtractionOptions,
): Promise<FeatureExtractionPipeline> {
  const split = splitOptions<FeatureExtractionOptions>(options, names);
  const settings = await openSentenceSettings(names.where, source, split);
  return openEncoderPipeline<
    FeatureExtractionPipeline,
    BaseModelOutputs,
    string | readonly string[],
    FeatureExtractionOptions
  >('feature-extraction', AutoModel, source, split, (model, tokenizer) => async (input, given) => {
    const extractor = { names, model, tokenizer, settings };
    const results = await extractFeatures(extractor, textsOf(names.where, input), given);
    const pooled = given.pooling !== undefined && given.pooling !== 'none';
    const answers = pooled ? results.map(([vector]) => vector) : results;
    return Array.isArray(input) ? answers : answers[0];
  });
}

/** What the files say that calls will ask for unless they say otherwise is read before weights are loaded. */
export async function openSentenceSettings(
  where: string,
  source: string,
  { load, defaults }: SplitOptions<FeatureExtractionOptions>,
): Promise<SentenceSettings> {
  const settings = new SentenceSettings({ where, source, ...load });
  if (defaults.pooling === 'auto') await settings.vectors(load.signal);
  await settings.prompt(defaults, defaults.pooling === 'auto', load.signal);
  return settings;
}
