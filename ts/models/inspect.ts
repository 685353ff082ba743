import { OctoformerError } from '../binding/error';
import { callNative, nativeAddon } from '../binding/load';
import type { NativeTensorInfo } from '../binding/native';
import { describeModules } from '../graph/module_tree';
import { type ModelFiles, resolveModelFiles } from '../hub';
import type { Task } from './architecture';
import type { ConfigValues } from './config';
import { readJsonObject } from './json_file';
import { buildGraph } from './load_model';
import type { LoadProgress } from './load_options';

/** What can be said about a checkpoint by its headers, without reading a weight. */
export interface CheckpointDescription {
  readonly files: ModelFiles;
  readonly format: 'safetensors' | 'gguf';
  /** config.json, or for a GGUF file its metadata without the long lists of the tokenizer. */
  readonly config: ConfigValues;
  /** Python's class, such as `LlamaForCausalLM`; what the checkpoint says of itself where its family is not implemented. */
  readonly architecture: string;
  /** What the configuration is for; undefined where there is no module tree. */
  readonly task: Task | undefined;
  /** The module tree, as Python prints a model; undefined where the family is not implemented or the tensors don't fit it. */
  readonly modules: string | undefined;
  /** Why there is no module tree. */
  readonly obstacle: OctoformerError | undefined;
  readonly tensors: readonly NativeTensorInfo[];
}

export interface InspectOptions {
  readonly revision?: string | undefined;
  readonly gguf_file?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

/**
 * Opens the headers of a checkpoint. An architecture that is not implemented is no failure here.
 * @throws OctoformerError NOT_FOUND, INVALID_CHECKPOINT, INVALID_ARGUMENT, NETWORK, OFFLINE, ABORTED
 */
export async function inspectCheckpoint(source: string, options: InspectOptions = {}): Promise<CheckpointDescription> {
  const files = await resolveModelFiles(source, options);
  const checkpoint = await callNative(() => nativeAddon().openCheckpoint(files.weights));
  try {
    const { format, tensors } = checkpoint;
    const config = files.config ? await readJsonObject(files.config) : shortValues(checkpoint.metadata);
    const known = { files, format, config, tensors };
    try {
      const { builder, task } = await buildGraph(files, checkpoint, source, undefined, {
        dtype: 'auto',
        quantization: undefined,
        cacheForm: undefined,
      });
      builder.lower(); // checks the tensors against the modules
      return {
        ...known,
        architecture: builder.modules.kind,
        task,
        modules: describeModules(builder.modules),
        obstacle: undefined,
      };
    } catch (error) {
      if (!OctoformerError.is(error)) throw error;
      return {
        ...known,
        architecture: namedArchitecture(config),
        task: undefined,
        modules: undefined,
        obstacle: error,
      };
    }
  } finally {
    checkpoint.dispose();
  }
}

function namedArchitecture(config: ConfigValues): string {
  const { architectures, model_type } = config;
  const names: readonly unknown[] = [
    ...(Array.isArray(architectures) ? architectures : []),
    model_type,
    config['general.architecture'],
  ];
  return names.find((name): name is string => typeof name === 'string') ?? 'unknown';
}

function shortValues(metadata: Readonly<Record<string, unknown>>): ConfigValues {
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => !Array.isArray(value)));
}
