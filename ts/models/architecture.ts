import type { GraphBuilder } from '../graph/builder';
import type { ConfigValues, ModelConfig } from './config';

export type Task = 'causal-lm';

/** An architecture family: everything that is its own, in one object. */
export interface Architecture {
  /** `model_type` of config.json. */
  readonly model_type: string;
  readonly tasks: readonly Task[];
  /** How Python's classes begin, such as `Llama`; made from `model_type` when left out. */
  readonly family?: string;
  /** What keys of config.json are taken to be where the file leaves them out, as Hugging Face's class has it. */
  readonly defaults?: ConfigValues;
  /**
   * Builds the graph with the modules of `nn`. Full module paths are the checkpoint's tensor names without `.weight` and `.bias`.
   */
  readonly build: (config: ModelConfig, g: GraphBuilder) => void;
}

/** How Python's classes of a family begin: `qwen2_moe` is `Qwen2Moe`. */
export function familyName({ model_type, family }: Pick<Architecture, 'model_type' | 'family'>): string {
  return family ?? model_type.replace(/(^|[_-])([a-z0-9])/g, (_, _separator, letter: string) => letter.toUpperCase());
}
