import type { NativeModel } from '../binding/native';
import type { ModuleNode } from '../graph/module_tree';
import type { Program } from '../graph/program';
import type { ReadTensor } from '../graph/weight_request';
import type { ModelFiles } from '../hub';
import type { Calibration } from '../quantization/calibration';
import type { Dtype } from '../quantization/float_policy';
import type { Int8Plan } from '../quantization/int8_options';
import type { ConfigValues } from './config';

/** Everything that a loaded model is made of. */
export interface LoadedModel {
  readonly native: NativeModel;
  /** The end of what goes on with the file of its packed weights. */
  readonly packing?: Promise<void>;
  readonly program: Program;
  readonly modules: ModuleNode;
  readonly outputs: ReadonlySet<string>;
  readonly config: ConfigValues;
  readonly generationConfig: ConfigValues;
  readonly vocabularySize: number;
  /** Positions of a sequence's tokens, where they aren't 0, 1, 2, ... */
  readonly positions?: (ids: readonly number[]) => readonly number[];
  /** As `Architecture.unlimitedPositions`. */
  readonly unlimitedPositions: boolean;
  /** As `Architecture.skipsPadding`. */
  readonly skipsPadding: boolean;
  /** What a decoder reads where the caller gives the encoder's ids only. */
  readonly decoderIds?: (ids: readonly number[]) => readonly number[];
  /** For messages: where it came from. */
  readonly source: string;
  /** What save_pretrained and reports need to know of the checkpoint. */
  readonly origin: ModelOrigin;
}

/** Positions that a model's configuration says it has: a number of tokens, or Infinity. */
export function configuredPositions({ config, unlimitedPositions }: LoadedModel): number {
  const { max_position_embeddings } = config;
  const limited = typeof max_position_embeddings === 'number' && !unlimitedPositions;
  return limited ? max_position_embeddings : Number.POSITIVE_INFINITY;
}

/** The checkpoint that a model was loaded from. */
export interface ModelOrigin {
  readonly files: ModelFiles;
  /** config.json as it is there (of a GGUF file: what it says in other words). */
  readonly config: ConfigValues;
  readonly dtype: Dtype;
  /** What the model read, by the checkpoint's names. */
  readonly tensors: ReadonlyMap<string, ReadTensor>;
  /** How int8 matrices compute; undefined where none is int8. */
  readonly plan: Int8Plan | undefined;
  /** The same where it tells of all layers: that of a checkpoint that Python wrote says nothing of those that are float there, such as experts. */
  readonly wholePlan: Int8Plan | undefined;
  readonly calibration: Calibration | undefined;
}
