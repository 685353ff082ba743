import { OctoformerError } from '../binding/error';
import { checkObject, closest, describeValue } from '../binding/options';
import { AutoModelForCausalLM, type CausalLanguageModel } from '../generation/auto_model';
import { withoutNeutral } from '../generation/options';
import type { LoadOptions } from '../models/load_options';
import type { Tokenizer } from '../tokenization';
import type { ChatOptions, ChatSession } from './chat_session';
import { splitOptions } from './default_options';
import type {
  FeatureExtractionOptions,
  FeatureExtractionPipeline,
  PooledFeaturePipeline,
  Pooling,
} from './feature_extraction';
import type { FillMaskOptions, FillMaskPipeline } from './fill_mask';
import type { OneOrMore } from './one_or_more';
import { openWithTokenizer } from './open_with_tokenizer';
import type { Chat, Prompt } from './prompt';
import type { QuestionAnsweringOptions, QuestionAnsweringPipeline } from './question_answering';
import type { SentenceSimilarityOptions, SentenceSimilarityPipeline } from './sentence_similarity';
import type {
  RankedTextClassificationPipeline,
  TextClassificationOptions,
  TextClassificationPipeline,
} from './text_classification';
import {
  type GeneratedText,
  generationNames,
  type TextGenerationOptions,
  TextGenerator,
  type TextStreamOptions,
} from './text_generation';
import type { TextStream } from './text_stream';
import type { Text2TextOptions, Text2TextPipeline, TranslationOptions } from './text2text_generation';
import type {
  GroupedTokenClassificationPipeline,
  TokenClassificationOptions,
  TokenClassificationPipeline,
} from './token_classification';
import type {
  LabelledZeroShotPipeline,
  ZeroShotClassificationPipeline,
  ZeroShotOptions,
} from './zero_shot_classification';

/** A text generation pipeline: call it with a prompt, or with a list of prompts. */
export interface TextGenerationPipeline {
  /** One text or conversation gives `[{ generated_text }]`. */
  (input: string, options?: TextGenerationOptions): Promise<OneOrMore<{ readonly generated_text: string }>>;
  (input: Chat, options?: TextGenerationOptions): Promise<OneOrMore<GeneratedText>>;
  /** A list gives one such list a prompt, run as one ragged batch. */
  (input: readonly Prompt[], options?: TextGenerationOptions): Promise<OneOrMore<GeneratedText>[]>;
  readonly task: 'text-generation';
  readonly model: CausalLanguageModel;
  readonly tokenizer: Tokenizer;
  /** The answer piece by piece: `for await (const piece of generator.stream(prompt)) ...`. */
  stream(input: Prompt, options?: TextStreamOptions): TextStream;
  /** A conversation that keeps its cache over the turns. */
  chat(options?: ChatOptions): ChatSession;
  /** Frees the model. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Tasks, and the pipeline that each gives. */
export interface Pipelines {
  readonly 'text-generation': TextGenerationPipeline;
  readonly 'text2text-generation': Text2TextPipeline<'text2text-generation', Text2TextOptions>;
  readonly summarization: Text2TextPipeline<'summarization', Text2TextOptions>;
  /** From what `src_lang` says to what `tgt_lang` says; the task's name may say it too. */
  readonly translation: Text2TextPipeline<'translation', TranslationOptions>;
  readonly [translation: `translation_${string}_to_${string}`]: Text2TextPipeline<'translation', TranslationOptions>;
  readonly 'feature-extraction': FeatureExtractionPipeline;
  readonly 'sentence-similarity': SentenceSimilarityPipeline;
  readonly 'fill-mask': FillMaskPipeline;
  readonly 'text-classification': TextClassificationPipeline;
  readonly 'sentiment-analysis': TextClassificationPipeline;
  readonly 'token-classification': TokenClassificationPipeline;
  readonly ner: TokenClassificationPipeline;
  readonly 'question-answering': QuestionAnsweringPipeline;
  readonly 'zero-shot-classification': ZeroShotClassificationPipeline;
}

/** Options of the calls of each task's pipeline. */
interface CallOptions {
  readonly 'text-generation': TextGenerationOptions;
  readonly 'text2text-generation': Text2TextOptions;
  readonly summarization: Text2TextOptions;
  readonly translation: TranslationOptions;
  readonly [translation: `translation_${string}_to_${string}`]: TranslationOptions;
  readonly 'feature-extraction': FeatureExtractionOptions;
  readonly 'sentence-similarity': SentenceSimilarityOptions;
  readonly 'fill-mask': FillMaskOptions;
  readonly 'text-classification': TextClassificationOptions;
  readonly 'sentiment-analysis': TextClassificationOptions;
  readonly 'token-classification': TokenClassificationOptions;
  readonly ner: TokenClassificationOptions;
  readonly 'question-answering': QuestionAnsweringOptions;
  readonly 'zero-shot-classification': Partial<ZeroShotOptions>;
}

/** What `pipeline()` takes: options of loading, and those of calls, which the calls take where they say nothing else. */
export type PipelineOptions<Task extends keyof Pipelines> = LoadOptions & CallOptions[Task];

/** Options of calls are among the options: the task's own file says which. */
type Opener<Task extends keyof Pipelines> = (source: string, options: LoadOptions) => Promise<Pipelines[Task]>;

/** Tasks by the names that are written out. */
type NamedTask = keyof { [Task in keyof Pipelines as Task extends `translation_${string}` ? never : Task]: Task };

// The file of a task is read when the first pipeline of it is opened. These serve several names.
const text2Text = () => (require('./text2text_generation') as typeof import('./text2text_generation')).openText2Text;
const textClassification = (source: string, options: LoadOptions) =>
  (require('./text_classification') as typeof import('./text_classification')).openTextClassification(source, options);
const tokenClassification = (source: string, options: LoadOptions) =>
  (require('./token_classification') as typeof import('./token_classification')).openTokenClassification(
    source,
    options,
  );

const openers: { readonly [Task in NamedTask]: Opener<Task> } = {
  'text-generation': openTextGeneration,
  'text2text-generation': (source, options) => text2Text()('text2text-generation', source, options),
  summarization: (source, options) => text2Text()('summarization', source, options),
  translation: (source, options) => text2Text()('translation', source, options),
  'feature-extraction': (source, options) =>
    (require('./feature_extraction') as typeof import('./feature_extraction')).openFeatureExtraction(source, options),
  'sentence-similarity': (source, options) =>
    (require('./sentence_similarity') as typeof import('./sentence_similarity')).openSentenceSimilarity(
      source,
      options,
    ),
  'fill-mask': (source, options) =>
    (require('./fill_mask') as typeof import('./fill_mask')).openFillMask(source, options),
  'text-classification': textClassification,
  'sentiment-analysis': textClassification,
  'token-classification': tokenClassification,
  ner: tokenClassification,
  'question-answering': (source, options) =>
    (require('./question_answering') as typeof import('./question_answering')).openQuestionAnswering(source, options),
  'zero-shot-classification': (source, options) =>
    (require('./zero_shot_classification') as typeof import('./zero_shot_classification')).openZeroShotClassification(
      source,
      options,
    ),
};

/**
 * Opens a model with its tokenizer for a task.
 * @param source a folder, a `.gguf` file, or a hub id `owner/name`
 * @param options of loading, and those of calls, which a call takes where it says nothing else: `pipeline('ner', source, { aggregation_strategy:
 *   'simple' })`. `signal` ends the loading.
 * @throws OctoformerError INVALID_ARGUMENT for a task that doesn't exist, UNKNOWN_OPTION, UNSUPPORTED_OPTION, and
 *   everything that `from_pretrained` of the task's model and of `AutoTokenizer` throw
 */
export async function pipeline(
  task: 'feature-extraction',
  source: string,
  options: PipelineOptions<'feature-extraction'> & { readonly pooling: Pooling },
): Promise<PooledFeaturePipeline>;
export async function pipeline(
  task: 'text-classification' | 'sentiment-analysis',
  source: string,
  options: PipelineOptions<'text-classification'> & { readonly top_k: number | null },
): Promise<RankedTextClassificationPipeline>;
export async function pipeline(
  task: 'token-classification' | 'ner',
  source: string,
  options: PipelineOptions<'ner'> & { readonly aggregation_strategy: 'simple' | 'first' | 'average' | 'max' },
): Promise<GroupedTokenClassificationPipeline>;
export async function pipeline(
  task: 'zero-shot-classification',
  source: string,
  options: LoadOptions & ZeroShotOptions,
): Promise<LabelledZeroShotPipeline>;
export async function pipeline<Task extends keyof Pipelines>(
  task: Task,
  source: string,
  options?: LoadOptions | PipelineOptions<Task>,
): Promise<Pipelines[Task]>;
export async function pipeline(task: keyof Pipelines, source: string, options: LoadOptions = {}): Promise<unknown> {
  checkObject('the options of pipeline()', options);
  return openerOf(task)(source, options);
}

async function openTextGeneration(
  source: string,
  options: PipelineOptions<'text-generation'>,
): Promise<TextGenerationPipeline> {
  const { load, defaults } = splitOptions<TextGenerationOptions>(withoutNeutral(options), generationNames);
  const { model, tokenizer } = await openWithTokenizer(source, load, AutoModelForCausalLM);
  const generator = new TextGenerator(model, tokenizer, defaults);
  const call = (input: Prompt | readonly Prompt[], given?: TextGenerationOptions) => generator.run(input, given);
  const dispose = () => generator.dispose();
  return Object.assign(call, {
    task: 'text-generation',
    model,
    tokenizer,
    stream: (input: Prompt, given?: TextStreamOptions) => generator.stream(input, given),
    chat: (given?: ChatOptions) => generator.chat(given),
    dispose,
    [Symbol.asyncDispose]: dispose,
  }) as TextGenerationPipeline;
}

function openerOf(task: string): Opener<keyof Pipelines> {
  if (Object.hasOwn(openers, task)) return openers[task as NamedTask] as Opener<keyof Pipelines>;
  const [, src_lang, tgt_lang] = /^translation_(.+)_to_(.+)$/.exec(task) ?? [];
  if (src_lang !== undefined && tgt_lang !== undefined) {
    return (source, options) => text2Text()('translation', source, options, { src_lang, tgt_lang });
  }
  const tasks = Object.keys(openers);
  const near = typeof task === 'string' ? closest(task, tasks) : undefined;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `pipeline(): there is no task ${describeValue(task)}${near ? `; did you mean '${near}'?` : `; there are ${tasks.join(', ')}`}`,
  );
}
