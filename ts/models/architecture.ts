import type { GraphBuilder } from '../graph/builder';
import type { ConfigValues, KeyAliases, ModelConfig } from './config';

/** What a model is opened for: what Python's class names end in, and its outputs. `base` is the bare model, without a head. */
export const classSuffixes = {
  'causal-lm': 'ForCausalLM',
  'seq2seq-lm': 'ForConditionalGeneration',
  base: 'Model',
  'masked-lm': 'ForMaskedLM',
  'sequence-classification': 'ForSequenceClassification',
  'token-classification': 'ForTokenClassification',
  'question-answering': 'ForQuestionAnswering',
} as const;

export type Task = keyof typeof classSuffixes;

/** An architecture family: everything that is its own, in one object. */
export interface Architecture {
  /** `model_type` of config.json. */
  readonly model_type: string;
  readonly tasks: readonly Task[];
  /** How Python's classes begin, such as `Llama`; made from `model_type` when left out. */
  readonly family?: string;
  /** What tensor names of the bare model begin with inside a model with a head; `model` when left out. */
  readonly base_model_prefix?: string;
  /** Python's class of the whole model for the first of `tasks`, where it isn't the family's name and what `classSuffixes` has. */
  readonly className?: string;
  /** Other names that config.json may have for keys. */
  readonly aliases?: KeyAliases;
  /** What keys of config.json are taken to be where the file leaves them out, as Hugging Face's class has it. */
  readonly defaults?: ConfigValues;
  /**
   * Builds the graph with the modules of `nn`. Full module paths are the checkpoint's tensor names without `.weight` and `.bias`.
   */
  readonly build: (config: ModelConfig, g: GraphBuilder, task: Task) => void;
  /**
   * Positions of the tokens of a sequence, where they aren't 0, 1, 2, ...: what Hugging Face's class computes from the ids.
   */
  readonly positions?: (config: ModelConfig, ids: readonly number[]) => readonly number[];
  /** Positions go on beyond `max_position_embeddings`, as where Hugging Face's class computes more of them when a sequence has more tokens. */
  readonly unlimitedPositions?: boolean;
  /** Of decoders: positions count tokens only; by default padding before them, which an attention mask tells, counts too. */
  readonly skipsPadding?: boolean;
  /**
   * Of encoder-decoders: what the decoder reads where `forward` is given ids for the encoder only, if Hugging Face's class makes something of
   * them.
   */
  readonly decoderIds?: (config: ModelConfig, ids: readonly number[]) => readonly number[];
}

/** How Python's classes of a family begin: `qwen2_moe` is `Qwen2Moe`. */
export function familyName({ model_type, family }: Pick<Architecture, 'model_type' | 'family'>): string {
  return family ?? model_type.replace(/(^|[_-])([a-z0-9])/g, (_, _separator, letter: string) => letter.toUpperCase());
}

/** Families by `model_type`. The file of one is read when the first model of it is opened: a start does without the others. */
export type Families = Readonly<Record<string, () => Architecture>>;

/** The task that a configuration's `architectures` names, or the first one that the family is for. */
export function taskOf(
  { architectures }: ConfigValues,
  { tasks, className }: Pick<Architecture, 'tasks' | 'className'>,
): Task | undefined {
  const [name] = Array.isArray(architectures) ? (architectures as readonly unknown[]) : [];
  if (name === className) return tasks[0];
  return tasks.find((task) => typeof name === 'string' && name.endsWith(classSuffixes[task])) ?? tasks[0];
}
