import { AbortBridge, throwIfAborted } from '../binding/abort';
import { OctoformerError } from '../binding/error';
import { callNative, nativeAddon } from '../binding/load';
import type { NativeCheckpoint, NativeWeightDifference } from '../binding/native';
import { checkOptions } from '../binding/options';
import { type ModuleParameter, walkModules } from '../graph/module_tree';
import { type Int8Settings, storedName, type WeightDescription } from '../graph/program';
import type { Calibration } from '../quantization/calibration';
import { describeInt8 } from '../quantization/describe_int8';
import type { LoadedModel } from './loaded_model';
import { rowsOf } from './stored_tensors';

/** One matrix of a model, as `quantizationReport()` tells of it. */
export interface ModuleQuantization {
  /** The path of the module that it belongs to, such as `model.layers.0.mlp.down_proj`. */
  readonly module: string;
  readonly shape: readonly number[];
  /** How it is kept, such as `int8` or `float32`. */
  readonly form: string;
  /** How it computes, in full words. */
  readonly scheme: string;
  /** Of the matrix as it is kept, with its scales; its share where it is kept together with others. */
  readonly bytes: number;
  /**
   * How far the int8 matrix W' is from the checkpoint's W: `relative` is |W' - W| / |W| in Frobenius' norm, `largest` the largest
   * difference of two numbers. Null where the checkpoint has no float numbers to compare with, and for matrices that stay float.
   */
  readonly error: { readonly relative: number; readonly largest: number } | null;
  /**
   * Inputs by size: `share` of all of them that are multiplied in float (in runs since the model was loaded where it counts, with
   * `countOutliers`; else by the calibration's threshold), `largest` magnitude seen by the calibration. Null where nothing was seen.
   */
  readonly outliers: {
    readonly features: readonly number[];
    readonly share: number;
    readonly largest: number | null;
    readonly counted: 'runs' | 'calibration';
  } | null;
}

export interface QuantizationReport {
  readonly modules: readonly ModuleQuantization[];
  /** Bytes of all weights, and of the same in float32. */
  readonly bytes: number;
  readonly float32Bytes: number;
}

export interface ReportOptions {
  readonly onProgress?: (progress: { readonly modules: number; readonly total: number }) => void;
  readonly signal?: AbortSignal;
}

/**
 * What quantization did to each matrix of a model. Reads the float weights of the checkpoint again, off the main thread.
 * @throws OctoformerError NOT_FOUND where the checkpoint has gone, UNKNOWN_OPTION, ABORTED, DISPOSED
 */
export async function quantizationReport(
  loaded: LoadedModel,
  calibration: Calibration | undefined,
  options: ReportOptions = {},
): Promise<QuantizationReport> {
  checkOptions('quantizationReport()', options, ['onProgress', 'signal']);
  const { signal, onProgress } = options;
  throwIfAborted(signal, 'the report');
  const { native, program, modules: tree, origin } = loaded;
  const matrices = [...walkModules(tree)].flatMap(({ path, parameters }) =>
    parameters
      .filter(({ weight }) => program.weights[weight]?.role === 'linear')
      .map((parameter) => ({ path, parameter })),
  );
  const needsFloats = program.weights.some((weight) => weight.form === 'int8' && comparable(weight));
  const checkpoint = needsFloats
    ? await callNative(() => nativeAddon().openCheckpoint(origin.files.weights))
    : undefined;
  const bridge = new AbortBridge(signal);
  const differences = new Map<number, readonly NativeWeightDifference[]>();
  try {
    const modules: ModuleQuantization[] = [];
    for (const { path, parameter } of matrices) {
      const weight = program.weights[parameter.weight];
      if (!weight) throw new OctoformerError('INTERNAL', `'${path}' has no weight ${parameter.weight}`);
      if (checkpoint && weight.form === 'int8' && comparable(weight) && !differences.has(parameter.weight)) {
        differences.set(parameter.weight, await compare(parameter.weight, checkpoint));
      }
      throwIfAborted(signal, 'the report');
      modules.push(describe(path, parameter, weight));
      onProgress?.({ modules: modules.length, total: matrices.length });
    }
    const float32Bytes = program.weights.reduce((sum, { shape }) => sum + 4 * count(shape), 0);
    return { modules, bytes: callNative(() => native.memory()).weights, float32Bytes };
  } finally {
    bridge.release();
    checkpoint?.dispose();
  }

  function compare(index: number, checkpoint: NativeCheckpoint): Promise<readonly NativeWeightDifference[]> {
    return bridge.watch(callNative(() => native.compareWeight(index, checkpoint, bridge.flag)));
  }

  function describe(path: string, parameter: ModuleParameter, weight: WeightDescription): ModuleQuantization {
    const info = callNative(() => native.weightInfo(parameter.weight));
    const rows = weight.parts.map((part) => part.take_rows?.count ?? rowsOf(part, weight));
    const own = weight.parts.map((part) => storedName(part) === parameter.tensor);
    const sumOwn = (values: readonly number[]) => values.reduce((sum, value, part) => sum + (own[part] ? value : 0), 0);
    const all = rows.reduce((sum, value) => sum + value, 0);
    const parts = differences.get(parameter.weight);
    return {
      module: path,
      shape: [sumOwn(rows), weight.shape[1] ?? 1],
      form: info.form,
      scheme:
        info.form === 'int8' ? describeInt8(weight.int8 ?? {}) : `${info.form} weights and ${inputs(weight)} inputs`,
      bytes: all === 0 ? 0 : Math.round((info.bytes * sumOwn(rows)) / all),
      error: parts ? errorOf(parts.filter((_, part) => own[part])) : null,
      outliers: outliersOf(path, weight.int8, info.outliers, calibration),
    };
  }
}

/** Whether the checkpoint has float numbers of all of it. */
function comparable({ parts }: WeightDescription): boolean {
  return parts.every((part) => part.scale === undefined);
}

function inputs({ compute }: WeightDescription): string {
  return compute === 'bfloat16' ? 'bfloat16' : 'float32';
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function errorOf(parts: readonly NativeWeightDifference[]): ModuleQuantization['error'] {
  const sum = (key: 'squaredError' | 'squaredNorm') => parts.reduce((total, part) => total + part[key], 0);
  const norm = Math.sqrt(sum('squaredNorm'));
  return {
    relative: norm === 0 ? 0 : Math.sqrt(sum('squaredError')) / norm,
    largest: Math.max(...parts.map((part) => part.largestError)),
  };
}

function outliersOf(
  path: string,
  settings: Int8Settings | undefined,
  counted: { readonly rows: number; readonly entries: Float64Array } | undefined,
  calibration: Calibration | undefined,
): ModuleQuantization['outliers'] {
  const seen = calibration?.modules[path];
  const features = settings?.outlier_features ?? seen?.outlierFeatures ?? [];
  const largest = seen?.largestInput ?? null;
  if (counted && counted.rows > 0) {
    const entries = counted.entries.reduce((sum, value) => sum + value, 0);
    return { features, share: entries / (counted.rows * counted.entries.length), largest, counted: 'runs' };
  }
  return seen ? { features, share: seen.outlierShare, largest, counted: 'calibration' } : null;
}
