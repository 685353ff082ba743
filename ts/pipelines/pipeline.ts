import { OctoformerError } from '../binding/error';
import { closest } from '../binding/options';
import { AutoModelForCausalLM, type CausalLanguageModel } from '../generation/auto_model';
import type { GenerateOptions } from '../generation/options';
import { AutoTokenizer } from '../models/auto_tokenizer';
import type { LoadOptions } from '../models/load_options';
import type { Tokenizer } from '../tokenization';
import type { ChatOptions, ChatSession } from './chat_session';
import { type FeatureExtractionPipeline, openFeatureExtraction } from './feature_extraction';
import { type FillMaskPipeline, openFillMask } from './fill_mask';
import type { Chat, Prompt } from './prompt';
import { openQuestionAnswering, type QuestionAnsweringPipeline } from './question_answering';
import { openSentenceSimilarity, type SentenceSimilarityPipeline } from './sentence_similarity';
import { openTextClassification, type TextClassificationPipeline } from './text_classification';
import { type GeneratedText, type TextGenerationOptions, TextGenerator } from './text_generation';
import type { TextStream } from './text_stream';
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
  stream(input: Prompt, options?: GenerateOptions): TextStream;
  /** A conversation that keeps its cache over the turns. */
  chat(options?: ChatOptions): ChatSession;
  /** Frees the model. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Tasks, and the pipeline that each gives. */
export interface Pipelines {
  readonly 'text-generation': TextGenerationPipeline;
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

const openers: {
  readonly [Task in keyof Pipelines]: (source: string, options: LoadOptions) => Promise<Pipelines[Task]>;
} = {
  'text-generation': openTextGeneration,
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

/** Tasks of Hugging Face's pipelines that are not there yet. */
const unsupportedTasks = ['text2text-generation', 'translation', 'summarization'];

/**
 * Opens a model with its tokenizer for a task.
 * @param source a folder, a `.gguf` file, or a hub id `owner/name`
 * @throws OctoformerError UNSUPPORTED_OPTION for a task that is not implemented, INVALID_ARGUMENT for one that doesn't exist, and
 *   everything that `from_pretrained` of the task's model and of `AutoTokenizer` throw
 */
export async function pipeline<Task extends keyof Pipelines>(
  task: Task,
  source: string,
  options: LoadOptions = {},
): Promise<Pipelines[Task]> {
  checkTask(task);
  return openers[task](source, options);
}

async function openTextGeneration(source: string, options: LoadOptions): Promise<TextGenerationPipeline> {
  const { revision, gguf_file, signal, onProgress } = options;
  const tokenizer = await AutoTokenizer.from_pretrained(source, {
    ...(revision === undefined ? {} : { revision }),
    ...(gguf_file === undefined ? {} : { gguf_file }),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  });
  const model = await AutoModelForCausalLM.from_pretrained(source, options);
  const generator = new TextGenerator(model, tokenizer);
  const call = (input: Prompt | readonly Prompt[], given?: TextGenerationOptions) => generator.run(input, given);
  const dispose = () => generator.dispose();
  return Object.assign(call, {
    task: 'text-generation',
    model,
    tokenizer,
    stream: (input: Prompt, given?: GenerateOptions) => generator.stream(input, given),
    chat: (given?: ChatOptions) => generator.chat(given),
    dispose,
    [Symbol.asyncDispose]: dispose,
  }) as TextGenerationPipeline;
}

function checkTask(task: string): void {
  if (Object.hasOwn(openers, task)) return;
  const tasks = Object.keys(openers);
  if (unsupportedTasks.includes(task)) {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `pipeline(): task '${task}' is not implemented yet; there are ${tasks.join(', ')}`,
    );
  }
  const near = closest(task, [...tasks, ...unsupportedTasks]);
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `pipeline(): there is no task '${task}'${near ? `; did you mean '${near}'?` : `; there are ${tasks.join(', ')}`}`,
  );
}
