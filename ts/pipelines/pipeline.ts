import { OctoformerError } from '../binding/error';
import { closest } from '../binding/options';
import { AutoModelForCausalLM, type CausalLanguageModel } from '../generation/auto_model';
import type { LoadOptions } from '../models/load_options';
import type { Tokenizer } from '../tokenization';
import type { ChatOptions, ChatSession } from './chat_session';
import { type FeatureExtractionPipeline, openFeatureExtraction } from './feature_extraction';
import { type FillMaskPipeline, openFillMask } from './fill_mask';
import { openTokenizer } from './open_tokenizer';
import type { Chat, Prompt } from './prompt';
import { openQuestionAnswering, type QuestionAnsweringPipeline } from './question_answering';
import { openSentenceSimilarity, type SentenceSimilarityPipeline } from './sentence_similarity';
import { openTextClassification, type TextClassificationPipeline } from './text_classification';
import {
  type GeneratedText,
  type TextGenerationOptions,
  TextGenerator,
  type TextStreamOptions,
} from './text_generation';
import type { TextStream } from './text_stream';
import {
  openText2Text,
  type Text2TextOptions,
  type Text2TextPipeline,
  type TranslationOptions,
} from './text2text_generation';
import { openTokenClassification, type TokenClassificationPipeline } from './token_classification';
import { openZeroShotClassification, type ZeroShotClassificationPipeline } from './zero_shot_classification';

/** A text generation pipeline: call it with a prompt, or with a list of prompts. */
export interface TextGenerationPipeline {
  /** One text or conversation gives `[{ generated_text }]`. */
  (input: string, options?: TextGenerationOptions): Promise<{ readonly generated_text: string }[]>;
  (input: Chat, options?: TextGenerationOptions): Promise<GeneratedText[]>;
  /** A list gives one such list a prompt, run as one ragged batch. */
  (input: readonly Prompt[], options?: TextGenerationOptions): Promise<GeneratedText[][]>;
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

type Opener<Task extends keyof Pipelines> = (source: string, options: LoadOptions) => Promise<Pipelines[Task]>;

/** Tasks by the names that are written out. */
type NamedTask = keyof { [Task in keyof Pipelines as Task extends `translation_${string}` ? never : Task]: Task };

const openers: { readonly [Task in NamedTask]: Opener<Task> } = {
  'text-generation': openTextGeneration,
  'text2text-generation': (source, options) => openText2Text('text2text-generation', source, options),
  summarization: (source, options) => openText2Text('summarization', source, options),
  translation: (source, options) => openText2Text('translation', source, options),
  'feature-extraction': openFeatureExtraction,
  'sentence-similarity': openSentenceSimilarity,
  'fill-mask': openFillMask,
  'text-classification': openTextClassification,
  'sentiment-analysis': openTextClassification,
  'token-classification': openTokenClassification,
  ner: openTokenClassification,
  'question-answering': openQuestionAnswering,
  'zero-shot-classification': openZeroShotClassification,
};

/**
 * Opens a model with its tokenizer for a task.
 * @param source a folder, a `.gguf` file, or a hub id `owner/name`
 * @throws OctoformerError INVALID_ARGUMENT for a task that doesn't exist, and
 *   everything that `from_pretrained` of the task's model and of `AutoTokenizer` throw
 */
export async function pipeline<Task extends keyof Pipelines>(
  task: Task,
  source: string,
  options: LoadOptions = {},
): Promise<Pipelines[Task]> {
  return (openerOf(task) as Opener<Task>)(source, options);
}

async function openTextGeneration(source: string, options: LoadOptions): Promise<TextGenerationPipeline> {
  const tokenizer = await openTokenizer(source, options);
  const model = await AutoModelForCausalLM.from_pretrained(source, options);
  const generator = new TextGenerator(model, tokenizer);
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
    return (source, options) => openText2Text('translation', source, options, { src_lang, tgt_lang });
  }
  const tasks = Object.keys(openers);
  const near = closest(task, tasks);
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `pipeline(): there is no task '${task}'${near ? `; did you mean '${near}'?` : `; there are ${tasks.join(', ')}`}`,
  );
}
