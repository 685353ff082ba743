import { resolve } from 'node:path';
import { throwIfAborted } from '../binding/abort';
import { OctoformerError } from '../binding/error';
import { callNative } from '../binding/load';
import { checkNumber, checkOptions, describeValue } from '../binding/options';
import { walkModules } from '../graph/module_tree';
import type { Int8Settings } from '../graph/program';
import { CONFIG_FILE, GENERATION_CONFIG_FILE, INDEX_FILE, QUANTIZATION_FILE, SINGLE_WEIGHTS_FILE } from '../hub';
import { readdir, readFile, realpath } from '../hub/files';
import { type Calibration, formatNotes } from '../quantization/calibration';
import { bitsandbytesConfig, type OutlierFeatures } from '../quantization/int8_options';
import { paperThreshold } from '../quantization/int8_schemes';
import type { ConfigValues } from './config';
import type { LoadedModel } from './loaded_model';
import { formatPythonJson, parsePythonJson, pythonFloat } from './python_json';
import { tensorBytes, writeSafetensors } from './safetensors_file';
import { sentenceFiles } from './sentence_files';
import { checkFolder, StagedFolder } from './staged_folder';
import { type StoredTensor, storedTensors } from './stored_tensors';
import { type TokenizerContent, tokenizerContents } from './tokenizer_contents';

/** How far saving is. */
export interface SaveProgress {
  readonly phase: 'save';
  readonly file: string;
  /** Bytes written, and in all. */
  readonly loaded: number;
  readonly total: number;
}

export interface SaveOptions {
  /** Bytes of a file of weights at most, as a number or such as `'5GB'`; 50 GB by default, as in Python. */
  readonly max_shard_size?: number | string;
  readonly onProgress?: (progress: SaveProgress) => void;
  readonly signal?: AbortSignal;
}

const where = 'save_pretrained()';

// transformers' own default: readers are none the better for more files.
const defaultShardSize = 50e9;

/**
 * Writes a loaded model as a checkpoint that Python and `from_pretrained` open: its weights as they are now (floats, or int8 in
 * bitsandbytes' form), its configuration, its tokenizer's files, sentence-transformers' where there are any and, of an int8 or calibrated
 * model, octoformer's notes.
 * All files appear at once at the end; a failure or an abort leaves the folder as it was.
 * @throws OctoformerError INVALID_ARGUMENT (a folder that can't be written, or that the model was loaded from), UNKNOWN_OPTION,
 *   UNSUPPORTED_OPTION (int8 weights that bitsandbytes has no form for), ABORTED, DISPOSED
 */
export async function savePretrained(
  loaded: LoadedModel,
  calibration: Calibration | undefined,
  folder: string,
  options: SaveOptions = {},
): Promise<void> {
  checkOptions(where, options, ['max_shard_size', 'onProgress', 'signal']);
  const { signal, onProgress } = options;
  const limit = shardSize(options.max_shard_size ?? defaultShardSize);
  checkFolder(where, folder);
  await refuseOrigin(folder, loaded);
  throwIfAborted(signal, 'saving');
  const tensors = storedTensors(loaded);
  const shards = cutShards(tensors, limit);
  const total = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  await StagedFolder.fill(resolve(folder), async (staged) => {
    let done = 0;
    for (const { file, tensors: shard } of shards) {
      await staged.write(file, (handle) =>
        writeSafetensors(handle, shard, (bytes) => {
          throwIfAborted(signal, 'saving');
          done += bytes;
          onProgress?.({ phase: 'save', file, loaded: done, total });
        }),
      );
    }
    const texts = {
      ...(await textFiles(loaded, calibration, tensors)),
      ...(shards.length > 1 ? { [INDEX_FILE]: shardIndex(shards, total) } : {}),
    };
    for (const [name, text] of Object.entries(texts)) await staged.write(name, (file) => file.writeFile(text));
    for (const content of await tokenizerContents(loaded.origin.files)) await place(staged, content);
    for (const { name, path } of await sentenceFiles(loaded.origin.files)) await staged.copy(name, path);
    throwIfAborted(signal, 'saving');
    return oldWeights(staged.folder);
  });
}

async function place(staged: StagedFolder, content: TokenizerContent): Promise<void> {
  if ('text' in content) await staged.write(content.name, (file) => file.writeFile(content.text));
  else await staged.copy(content.name, content.path);
}

/** `5GB` is 5e9 and `5GiB` 5 * 2 ** 30, as in Python. */
function shardSize(given: number | string): number {
  const [, digits, unit = ''] = typeof given === 'string' ? (/^(\d+)([KMG]i?B)$/i.exec(given.trim()) ?? []) : [];
  if (digits === undefined && typeof given === 'string') {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `option 'max_shard_size' of ${where} must be a number of bytes or such as '5GB' or '500MiB', not ${describeValue(given)}`,
    );
  }
  const factor = (/i/i.test(unit) ? 1024 : 1000) ** ('KMG'.indexOf(unit.charAt(0).toUpperCase()) + 1);
  return checkNumber(where, 'max_shard_size', digits === undefined ? given : Number(digits) * factor, { least: 1 });
}

/** The files that the weights were read from must not be replaced: reports compare with them. */
async function refuseOrigin(folder: string, { origin }: LoadedModel): Promise<void> {
  const [target, source] = await Promise.all(
    [folder, origin.files.folder].map((path) => realpath(path).catch(() => resolve(path))),
  );
  if (target !== source) return;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${where}: ${folder} is the folder that the model was loaded from; choose another one`,
  );
}

interface Shard {
  readonly file: string;
  readonly tensors: readonly StoredTensor[];
}

/** Tensors in files of at most so many bytes; a tensor larger than that has a file of its own. */
function cutShards(tensors: readonly StoredTensor[], limit: number): Shard[] {
  const groups: StoredTensor[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    const more = tensorBytes(tensor);
    if (bytes > 0 && bytes + more > limit) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(tensor);
    bytes += more;
  }
  const number = (value: number) => String(value).padStart(5, '0');
  return groups.map((group, index) => ({
    file:
      groups.length === 1 ? SINGLE_WEIGHTS_FILE : `model-${number(index + 1)}-of-${number(groups.length)}.safetensors`,
    tensors: group,
  }));
}

function shardIndex(shards: readonly Shard[], total: number): string {
  const places = shards.flatMap(({ file, tensors }) => tensors.map(({ name }) => [name, file] as const));
  return formatPythonJson({
    metadata: { total_size: total },
    weight_map: Object.fromEntries(places.sort(([a], [b]) => (a < b ? -1 : 1))),
  });
}

/** Weights that an earlier save left, which would be taken for these or for a part of them. */
async function oldWeights(folder: string): Promise<string[]> {
  const shard = /^model-\d{5}-of-\d{5}\.safetensors$/;
  const names = await readdir(folder);
  return names.filter(
    (name) => [SINGLE_WEIGHTS_FILE, INDEX_FILE, QUANTIZATION_FILE].includes(name) || shard.test(name),
  );
}

async function textFiles(
  loaded: LoadedModel,
  calibration: Calibration | undefined,
  tensors: readonly StoredTensor[],
): Promise<Record<string, string>> {
  const { origin } = loaded;
  const isInt8 = tensors.some(({ dtype }) => dtype === 'I8');
  const wideFeatures = wideFeaturesOf(loaded);
  const notes = {
    ...(isInt8 && origin.wholePlan ? { plan: origin.wholePlan } : {}),
    ...(isInt8 && Object.keys(wideFeatures).length > 0 ? { wideFeatures } : {}),
    ...(calibration ? { calibration } : {}),
  };
  const { config, generationConfig } = origin.files;
  // A GGUF file has no config.json: what was read out of it stands for one.
  const values = config ? parsePythonJson(await readText(config)) : withFloats(origin.config);
  return {
    [CONFIG_FILE]: formatPythonJson(configuration(values as ConfigValues, loaded, tensors, isInt8)),
    ...(generationConfig ? { [GENERATION_CONFIG_FILE]: await readText(generationConfig) } : {}),
    ...(Object.keys(notes).length > 0 ? { [QUANTIZATION_FILE]: formatNotes(notes) } : {}),
  };
}

/** Keys that Python's classes refuse whole numbers for, which a GGUF file's floats have become. */
const floatKeys: readonly string[] = ['attn_logit_softcapping', 'final_logit_softcapping'];

function withFloats(config: ConfigValues): ConfigValues {
  const floats = Object.entries(config).flatMap(([key, value]) =>
    floatKeys.includes(key) && typeof value === 'number' ? [[key, pythonFloat(value)]] : [],
  );
  return { ...config, ...Object.fromEntries(floats) };
}

/** What tables in int8 keep in bfloat16: of their dequantized numbers others could be chosen. */
function wideFeaturesOf({ native, modules }: LoadedModel): OutlierFeatures {
  return Object.fromEntries(
    [...walkModules(modules)].flatMap(({ path, parameters }) => {
      const matrix = parameters.find(({ name }) => name === 'weight');
      const features = matrix && callNative(() => native.weightInfo(matrix.weight)).wideFeatures;
      return features && features.length > 0 ? [[path, [...features]]] : [];
    }),
  );
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new OctoformerError(
      'NOT_FOUND',
      `${where}: ${path}, which the model was loaded with, can't be read any more: ${(cause as Error).message}`,
      { cause },
    );
  }
}

const dtypeNames = { F32: 'float32', BF16: 'bfloat16', F16: 'float16' } as const;

/** config.json: the checkpoint's own, with what has changed. */
function configuration(
  values: ConfigValues,
  { origin, modules }: LoadedModel,
  tensors: readonly StoredTensor[],
  isInt8: boolean,
): ConfigValues {
  const { torch_dtype, dtype, quantization_config: _, ...config } = values;
  const floats = new Map<keyof typeof dtypeNames, number>();
  // Tables that became 16-bit ones beside int8 layers say nothing of what Python is to compute in: that stays the checkpoint's.
  const hadHalves = [...origin.tensors.values()].some((stored) => stored.dtype === 'F16');
  const narrowed = origin.dtype === 'auto' && !hadHalves;
  for (const tensor of tensors) {
    if (tensor.dtype === 'I8' || tensor.dtype === 'U8' || tensor.name.endsWith('.SCB')) continue;
    const counted = narrowed && tensor.dtype === 'F16' ? 'F32' : tensor.dtype;
    floats.set(counted, (floats.get(counted) ?? 0) + tensorBytes(tensor));
  }
  const [[form] = ['F32' as const]] = [...floats].sort(([, a], [, b]) => b - a);
  const threshold = pythonThreshold(origin.plan?.settings);
  return {
    ...config,
    architectures: [modules.kind],
    // The key's older name, where the checkpoint is that old.
    [torch_dtype !== undefined && dtype === undefined ? 'torch_dtype' : 'dtype']: dtypeNames[form],
    ...(isInt8
      ? {
          quantization_config: {
            ...bitsandbytesConfig(threshold, floatModules(modules, tensors)),
            llm_int8_threshold: pythonFloat(threshold),
          },
        }
      : {}),
  };
}

/** bitsandbytes knows thresholds in absolute numbers only: where ours is none, it gets its own. */
function pythonThreshold(settings: Int8Settings | undefined): number {
  if (!settings) return 0;
  const { threshold = 0, threshold_unit, weight_only } = settings;
  return weight_only || (threshold > 0 && threshold_unit === 'row-rms') ? paperThreshold : threshold;
}

/** Linear layers that are not int8: Python must be told, for it would quantize them. */
function floatModules(modules: LoadedModel['modules'], tensors: readonly StoredTensor[]): string[] {
  const int8 = new Set(tensors.flatMap(({ name, dtype }) => (dtype === 'I8' ? [name] : [])));
  const linear = [...walkModules(modules)].flatMap(({ kind, path, parameters }) => {
    const weight = parameters.find(({ name }) => name === 'weight');
    if ((kind !== 'Linear' && kind !== 'Conv1D') || !weight) return [];
    return [{ path, isInt8: int8.has(`${path}.weight`) || int8.has(weight.tensor) }];
  });
  const converted = linear.filter(({ isInt8 }) => isInt8).map(({ path }) => path);
  return linear.flatMap(({ path, isInt8 }) => {
    if (isInt8) return [];
    // Python also takes a name for the end of longer ones (`classifier`, `pre_classifier`) and for modules in it; as a regular
    // expression it means itself only.
    const isAmbiguous = converted.some((other) => other.endsWith(path) || other.startsWith(`${path}.`));
    const name = isAmbiguous ? `^${path}$` : path;
    // What the checkpoint of GPT-NeoX calls embed_out is lm_head in transformers 5.
    return path === 'embed_out' ? [name, 'lm_head'] : [name];
  });
}
