import { OctoformerError } from '../binding/error';
import { checkNumber, checkOptions, describeValue } from '../binding/options';
import type { AutoEncoder, EncoderModel } from '../models/auto_encoders';
import type { EncoderOutputs } from '../models/encoder_forward';
import type { TokenIds } from '../models/token_ids';
import type { TokenizedText, Tokenizer } from '../tokenization';
import { type CallNames, type SplitOptions, withDefaults } from './default_options';
import { openWithTokenizer } from './open_with_tokenizer';

/** Options of every pipeline over an encoder. */
export interface EncoderPipelineOptions {
  /** Inputs that are run together; by default as many as have 4096 tokens. The results are the same. */
  readonly batch_size?: number;
  /** Accepted for Python's sake: texts are always cut to what the model takes. */
  readonly truncation?: true;
  readonly signal?: AbortSignal;
}

const commonOptions = ['batch_size', 'truncation', 'signal'];

/** Options of Python's pipelines, and what there is instead. */
const otherOptions = {
  padding: 'nothing is padded',
  tokenizer_kwargs: 'texts are encoded as the model takes them',
  tokenize_kwargs: 'texts are encoded as the model takes them',
  return_tensors: 'model.forward() gives tensors',
};

/** What every pipeline has beside being called. */
export interface PipelineParts<Task extends string, Model> {
  readonly task: Task;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Frees the model. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What the calls of a pipeline over an encoder take beside what all of them do. */
export function callNames(
  where: string,
  own: readonly string[],
  unsupported: Readonly<Record<string, string>> = {},
): CallNames {
  return { where, names: [...own, ...commonOptions], unsupported: { ...otherOptions, ...unsupported } };
}

/** What a pipeline does when it is called: `options` has what `pipeline()` was given below what the call was, `own` the latter alone. */
type EncoderCall<Input, Options> = (input: Input, options: Options, own: Partial<Options>) => Promise<unknown>;

/**
 * Opens tokenizer and model, and joins them with the function that the pipeline is.
 * @param options what `splitOptions` made of what `pipeline()` was given
 */
export async function openEncoderPipeline<
  Pipeline extends PipelineParts<string, EncoderModel<Outputs>>,
  Outputs extends EncoderOutputs,
  Input,
  Options extends EncoderPipelineOptions,
>(
  task: Pipeline['task'],
  auto: AutoEncoder<Outputs>,
  source: string,
  { load, defaults }: SplitOptions<Options>,
  makeCall: (model: EncoderModel<Outputs>, tokenizer: Tokenizer) => EncoderCall<Input, Options>,
): Promise<Pipeline> {
  const { model, tokenizer } = await openWithTokenizer(source, load, auto);
  const dispose = () => model.dispose();
  const run = makeCall(model, tokenizer);
  const call = async (input: Input, own?: Options) => run(input, withDefaults(defaults, own), own ?? {});
  const parts = { task, model, tokenizer, dispose, [Symbol.asyncDispose]: dispose };
  return Object.assign(call, parts) as unknown as Pipeline;
}

/** @throws OctoformerError UNKNOWN_OPTION, INVALID_ARGUMENT */
export function checkPipelineOptions({ where, names, unsupported }: CallNames, options: EncoderPipelineOptions): void {
  checkOptions(where, options, names, unsupported);
  if (options.truncation !== undefined && options.truncation !== true) {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `option 'truncation' of ${where} is true: texts are always cut to what the model takes`,
    );
  }
  if (options.batch_size !== undefined) {
    checkNumber(where, 'batch_size', options.batch_size, { least: 1, integer: true });
  }
}

/** Texts, one or a list. @throws OctoformerError INVALID_ARGUMENT */
export function textsOf(where: string, input: unknown): readonly string[] {
  const texts: readonly unknown[] = Array.isArray(input) ? input : [input];
  return texts.map((text, index) => {
    if (typeof text === 'string') return text;
    const place = Array.isArray(input) ? `input ${index}` : 'the input';
    throw new OctoformerError('INVALID_ARGUMENT', `${where}: ${place} must be a text, not ${describeValue(text)}`);
  });
}

/** Tokens that the model takes at most, by its tables and by what its tokenizer says. */
export function longestInput(model: EncoderModel<EncoderOutputs>, tokenizer: Tokenizer): number {
  return Math.min(model.maxTokens, tokenizer.model_max_length);
}

// Large enough that matrices are no longer thin, small enough that the activations of a base model stay below 100 MB.
const batchTokens = 4096;

/**
 * Runs tokenized texts through a model, several at once, and reads each one's answer.
 * @param logitsAt places whose logits are wanted, a list a text
 * @param read gets the outputs of a batch, and the place of the text in it and in all
 */
export async function runBatches<Outputs extends EncoderOutputs, Result>(
  model: EncoderModel<Outputs>,
  tokenizer: Tokenizer,
  texts: readonly TokenizedText[],
  { batch_size, signal }: EncoderPipelineOptions,
  read: (outputs: Outputs, place: number, index: number) => Result,
  logitsAt?: TokenIds,
): Promise<Result[]> {
  const takesTypes = model.hasTokenTypes && tokenizer.model_input_names.includes('token_type_ids');
  const results: Result[] = [];
  let first = 0;
  while (first < texts.length) {
    const end = endOfBatch(texts, first, batch_size);
    const batch = texts.slice(first, end);
    const outputs = await model.forward(
      {
        input_ids: batch.map(({ input_ids }) => input_ids),
        ...(takesTypes ? { token_type_ids: batch.map(({ token_type_ids }) => token_type_ids) } : {}),
        ...(logitsAt ? { logits_at: logitsAt.slice(first, end) } : {}),
      },
      signal ? { signal } : {},
    );
    for (let place = 0; place < batch.length; place++) results.push(read(outputs, place, first + place));
    first = end;
  }
  return results;
}

function endOfBatch(texts: readonly TokenizedText[], first: number, batchSize: number | undefined): number {
  if (batchSize !== undefined) return Math.min(texts.length, first + batchSize);
  let end = first;
  let tokens = 0;
  do {
    tokens += texts[end]?.input_ids.length ?? 0;
    end++;
  } while (end < texts.length && tokens + (texts[end]?.input_ids.length ?? 0) <= batchTokens);
  return end;
}

/** exp(x) / sum, shifted by the largest. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const most = values.reduce((largest, value) => Math.max(largest, value), Number.NEGATIVE_INFINITY);
  const weights = values.map((value) => Math.exp(value - most));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

export function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

/** The place of the first largest value. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let index = 1; index < values.length; index++) {
    if ((values[index] ?? 0) > (values[best] ?? 0)) best = index;
  }
  return best;
}

/** Names of a classifier's labels, by number. */
export function labelsOf(model: EncoderModel<EncoderOutputs>, count: number): string[] {
  const names = model.config.id2label;
  const known: Readonly<Record<string, unknown>> = typeof names === 'object' && names !== null ? { ...names } : {};
  return Array.from({ length: count }, (_, index) => {
    const name = known[index];
    return typeof name === 'string' ? name : `LABEL_${index}`;
  });
}
