import { basename } from 'node:path';
import { AbortBridge, throwIfAborted } from '../binding/abort';
import { OctoformerError } from '../binding/error';
import { callNative, nativeAddon } from '../binding/load';
import type { NativeCheckpoint } from '../binding/native';
import { GraphBuilder } from '../graph/builder';
import { type NameRule, TensorTable } from '../graph/tensor_table';
import { type ModelFiles, resolveModelFiles } from '../hub';
import { type Calibration, outlierFeaturesOf, type QuantizationNotes, readNotes } from '../quantization/calibration';
import { ModelWeightPolicy } from '../quantization/weight_policy';
import { type Architecture, classSuffixes, type Task } from './architecture';
import { buildArchitecture } from './build_architecture';
import { safetensorsNames } from './checkpoint_names';
import { type ConfigValues, type ModelConfig, maxVocabulary } from './config';
import { generationValues } from './generation_keys';
import { readGguf } from './gguf';
import { readJsonObject } from './json_file';
import { type CheckedLoadOptions, checkLoadOptions, type LoadOptions, storedQuantization } from './load_options';
import type { LoadedModel } from './loaded_model';
import { openCheckpoint } from './open_checkpoint';
import { keepPacked } from './packed_cache';
import { findArchitecture } from './registry';

/**
 * Opens a checkpoint for a task: finds its files, reads its configuration, builds the graph against its tensors, and packs the weights.
 * @param where what was called, for messages about options
 * @param task what the configuration says itself when undefined
 * @throws OctoformerError of every kind that options, files, configurations and weights can have
 */
export async function loadModel(
  where: string,
  source: string,
  task: Task | undefined,
  options: LoadOptions,
): Promise<LoadedModel> {
  const checked = checkLoadOptions(where, options);
  const { threads, isa, packed } = checked;
  const { signal, onProgress } = options;
  throwIfAborted(signal, `loading ${source}`);
  const files = await resolveModelFiles(source, {
    revision: options.revision,
    gguf_file: options.gguf_file,
    signal,
    onProgress,
  });
  const { checkpoint, release } = await openCheckpoint(files.weights);
  const bridge = new AbortBridge(signal);
  try {
    const { described, architecture, config, builder, policy, calibration } = await buildGraph(
      files,
      checkpoint,
      source,
      task,
      checked,
    );
    const program = builder.lower();
    throwIfAborted(signal, `loading ${source}`);
    const file = basename(files.weights[0] ?? source);
    const report = onProgress
      ? (loaded: number, total: number) => onProgress({ phase: 'load', file, loaded, total })
      : null;
    const nativeOptions = {
      threads,
      isa,
      ...(packed
        ? {
            packed: {
              folder: packed.folder,
              weights: JSON.stringify(program.weights),
              leastBytes: packed.leastBytes,
            },
          }
        : {}),
    };
    const native = await bridge.watch(
      callNative(() =>
        nativeAddon().loadModel(checkpoint, JSON.stringify(program), nativeOptions, bridge.flag, report),
      ),
    );
    return {
      native,
      ...(packed ? { packing: (await keepPacked(native, packed)).ended } : {}),
      program,
      modules: builder.modules,
      outputs: builder.outputs,
      config: Object.freeze(config.all()),
      generationConfig: Object.freeze({ ...described.generationConfig }),
      ...(architecture.positions ? { positions: (ids) => architecture.positions?.(config, ids) ?? [] } : {}),
      unlimitedPositions: architecture.unlimitedPositions ?? false,
      skipsPadding: architecture.skipsPadding ?? false,
      ...(architecture.decoderIds ? { decoderIds: (ids) => architecture.decoderIds?.(config, ids) ?? [] } : {}),
      vocabularySize: config.integer('vocab_size', { most: maxVocabulary }),
      source,
      origin: {
        files,
        config: described.config,
        dtype: checked.dtype,
        tensors: builder.readTensors,
        plan: policy.plan,
        wholePlan: policy.wholePlan,
        calibration,
      },
    };
  } finally {
    bridge.release();
    release();
  }
}

interface BuiltGraph {
  readonly described: DescribedCheckpoint;
  readonly architecture: Architecture;
  readonly task: Task;
  readonly config: ModelConfig;
  readonly builder: GraphBuilder;
  readonly policy: ModelWeightPolicy;
  readonly calibration: Calibration | undefined;
}

/**
 * A checkpoint's configuration, and the graph that its family builds against its tensors. No weight has been read.
 * @param task what for; what the configuration says itself when undefined
 */
export async function buildGraph(
  files: ModelFiles,
  checkpoint: NativeCheckpoint,
  source: string,
  task: Task | undefined,
  { dtype, quantization, cacheForm }: Pick<CheckedLoadOptions, 'dtype' | 'quantization' | 'cacheForm'>,
): Promise<BuiltGraph> {
  const described = await describeCheckpoint(files, checkpoint, source);
  const found = findArchitecture(described.config, described.configFile, task);
  const { architecture, config, family } = found;
  const stored = storedQuantization(described.config, described.configFile);
  if (stored) checkRowMajor(checkpoint);
  const notes: QuantizationNotes = files.quantization
    ? readNotes(files.quantization, await readJsonObject(files.quantization))
    : {};
  const { calibration } = notes;
  // Notes of how int8 weights compute say more than Python's configuration can; of a float checkpoint they say nothing.
  const kept = stored && stored !== 'none' ? (notes.plan ?? stored) : stored;
  const basePrefix = architecture.base_model_prefix ?? 'model';
  const policy = new ModelWeightPolicy(
    dtype,
    quantization,
    kept,
    {
      ...(calibration ? { outlierFeatures: outlierFeaturesOf(calibration) } : {}),
      ...(notes.wideFeatures ? { wideFeatures: notes.wideFeatures } : {}),
      tellsAll: kept !== undefined && kept === notes.plan,
      basePrefix,
    },
    cacheForm,
  );
  const builder = new GraphBuilder(
    new TensorTable(checkpoint.tensors, described.names ?? safetensorsNames(basePrefix)),
    policy,
    found.task === architecture.tasks[0] && architecture.className
      ? architecture.className
      : `${family}${classSuffixes[found.task]}`,
  );
  buildArchitecture(architecture, config, builder, found.task);
  policy.checkNames();
  policy.checkCache(builder.lower());
  return { described, architecture, task: found.task, config, builder, policy, calibration };
}

/** bitsandbytes' code of the order of an int8 matrix's numbers: row by row. The others are tiles of one GPU's. */
const rowMajor = 0;

/** @throws OctoformerError UNSUPPORTED_OPTION for int8 matrices whose numbers lie in another order */
function checkRowMajor(checkpoint: NativeCheckpoint): void {
  for (const { name, file } of checkpoint.tensors) {
    if (!name.endsWith('.weight_format')) continue;
    const [format] = callNative(() => checkpoint.readRows(name, 0, 1));
    if (format !== rowMajor) {
      throw new OctoformerError(
        'UNSUPPORTED_OPTION',
        `tensor '${name}' of ${file} says that the int8 weight lies in order ${format}, and only 0 (row by row) can be read; ` +
          'save the model again with a newer bitsandbytes',
      );
    }
  }
}

interface DescribedCheckpoint {
  readonly config: ConfigValues;
  readonly configFile: string;
  readonly generationConfig: ConfigValues;
  /** Names of the file's format; none for safetensors, whose names are the family's. */
  readonly names?: NameRule;
}

async function describeCheckpoint(
  files: ModelFiles,
  checkpoint: NativeCheckpoint,
  source: string,
): Promise<DescribedCheckpoint> {
  const given = files.generationConfig ? await readJsonObject(files.generationConfig) : undefined;
  if (checkpoint.format === 'gguf') {
    const configFile = files.gguf ?? source;
    return { ...readGguf(checkpoint, configFile), configFile, generationConfig: given ?? {} };
  }
  if (!files.config) {
    throw new OctoformerError(
      'NOT_FOUND',
      `${files.folder} has no config.json, which says what model its weights are of`,
    );
  }
  const config = await readJsonObject(files.config);
  return { config, configFile: files.config, generationConfig: given ?? generationValues(config) };
}
