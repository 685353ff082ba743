import { AbortBridge, throwIfAborted } from '../binding/abort';
import { OctoformerError } from '../binding/error';
import { callNative } from '../binding/load';
import type { NativeModel, NativeRunRequest, NativeRunResult } from '../binding/native';
import { closest, describeValue } from '../binding/options';
import { describeModules, findModule, type ModuleNode, walkModules } from '../graph/module_tree';
import type { Op, WeightDescription } from '../graph/program';
import type { Calibration } from '../quantization/calibration';
import { writeCalibration } from './calibration_file';
import type { ConfigValues } from './config';
import type { InputObserver, ObservedInputs } from './input_observer';
import { KVCache } from './kv_cache';
import { configuredPositions, type LoadedModel } from './loaded_model';
import type { ParameterReader } from './parameter_reader';
import type { QuantizationReport, ReportOptions } from './quantization_report';
import type { SaveOptions } from './save_pretrained';

export interface MemoryFootprint {
  /** Bytes of the weights, and by the form they are kept in. */
  readonly weights: number;
  readonly weightsByForm: Readonly<Record<string, number>>;
  /** Bytes of all caches of this model, and of the buffers between ops. */
  readonly cache: number;
  readonly buffers: number;
  readonly total: number;
}

/** A module as `model.module(path)` shows it. */
export interface ModuleDescription {
  readonly path: string;
  /** Python's class, such as `LlamaAttention`. */
  readonly kind: string;
  /** What Python prints in its parentheses. */
  readonly detail: string;
  readonly children: readonly string[];
  /** Those of the module itself; `form` is how the runtime keeps them, `dtype` how the checkpoint does. */
  readonly parameters: readonly {
    readonly name: string;
    readonly tensor: string;
    readonly shape: readonly number[];
    readonly dtype: string;
    readonly form: string;
  }[];
  /** Numbers in the module and all below it; shared ones once. */
  readonly parameterCount: number;
}

/** What limits the lengths of sequences. */
export interface LengthLimits {
  /** Tokens that a sequence may have. */
  readonly context: number;
  /** Longer sequences have other rotary frequencies, so that their cache must be computed anew when it grows beyond. */
  readonly recomputeBeyond?: number;
  /** The frequencies depend on the length of the sequence: a prompt must be read in one run. */
  readonly wholePrompts: boolean;
}

/** What all models have in common. Holds native memory until `dispose()`. */
export class Model {
  readonly #loaded: LoadedModel;
  #disposed = false;
  #observer: InputObserver | undefined;
  #calibration: Calibration | undefined;

  constructor(loaded: LoadedModel) {
    this.#loaded = loaded;
    this.#calibration = loaded.origin.calibration;
  }

  /** The values of config.json, with the architecture's defaults for those it leaves out. */
  get config(): ConfigValues {
    return this.#loaded.config;
  }

  /** The values of generation_config.json (where there is none, config.json's of the same names): defaults of `generate`. */
  get generationConfig(): ConfigValues {
    return this.#loaded.generationConfig;
  }

  get vocabularySize(): number {
    return this.#loaded.vocabularySize;
  }

  /** The instruction set in use, such as `avx512`. */
  get isa(): string {
    return this.#alive().isa;
  }

  get threads(): number {
    return this.#alive().threads;
  }

  get lengthLimits(): LengthLimits {
    const table = this.#loaded.program.ops.find((op) => op.op === 'rope_table');
    const context = configuredPositions(this.#loaded);
    return {
      context: table?.dynamic ? Math.floor(context * Math.max(1, table.dynamic.factor)) : context,
      ...(table?.long ? { recomputeBeyond: table.long.original_max } : {}),
      wholePrompts: Boolean(table?.long ?? table?.dynamic),
    };
  }

  /**
   * Whether the keys and values of a sequence's beginning serve all that begin so, bit for bit: not where layers look at all rows of a run, or
   * frequencies depend on the sequence's length.
   */
  get sharesPrefixes(): boolean {
    return !this.lengthLimits.wholePrompts && !this.#loaded.program.weights.some(looksAcrossRows);
  }

  /** What the model is made of. @throws OctoformerError DISPOSED */
  protected get loaded(): LoadedModel {
    this.#alive();
    return this.#loaded;
  }

  /** Runs a request of the binding: what `forward` and generation are made of. */
  async run(given: NativeRunRequest, signal?: AbortSignal): Promise<NativeRunResult> {
    throwIfAborted(signal, 'the run');
    const observer = this.#observer;
    if (!observer) return this.#run(given, signal);
    const result = await this.#run({ ...given, observe: observer.threshold }, signal);
    observer.add(result.inputs ?? []);
    return result;
  }

  async #run(request: NativeRunRequest, signal: AbortSignal | undefined): Promise<NativeRunResult> {
    const native = this.#alive();
    if (!signal) return callNative(() => native.run(request));
    const bridge = new AbortBridge(signal);
    try {
      return await bridge.watch(
        callNative(() => native.run(bridge.flag ? { ...request, abort: bridge.flag } : request)),
      );
    } finally {
      bridge.release();
    }
  }

  /** An empty cache for one sequence. */
  createCache(): KVCache {
    const native = this.#alive();
    return new KVCache(
      callNative(() => native.createCache()),
      () => this.#alive(),
    );
  }

  /**
   * Bytes of the matrices that a token of the decoder (of a model without one: of the encoder) reads; undefined where that depends on the
   * token (mixture of experts).
   */
  bytesPerToken(): number | undefined {
    const native = this.#alive();
    const { ops } = this.#loaded.program;
    if (ops.some((op) => op.op === 'grouped_linear')) return undefined;
    const matrices = new Set(ops.flatMap((op) => (op.op === 'linear' ? [op.weight] : [])));
    return [...matrices].reduce((sum, weight) => sum + callNative(() => native.weightInfo(weight)).bytes, 0);
  }

  /** The tree of modules, as Python prints a model. */
  describe(): string {
    return describeModules(this.#loaded.modules);
  }

  /** Numbers in the model; shared ones once. */
  get parameterCount(): number {
    return countParameters(this.#loaded.modules);
  }

  /** Bytes in use now, by kind. */
  memoryFootprint(): MemoryFootprint {
    const native = this.#alive();
    const memory = callNative(() => native.memory());
    return {
      weights: memory.weights,
      weightsByForm: memory.weights_by_form,
      cache: memory.cache,
      buffers: memory.arena,
      total: memory.weights + memory.cache + memory.arena,
    };
  }

  /**
   * A module by its path, such as `model.layers.0.self_attn`; the empty path is the whole model.
   * @throws OctoformerError NOT_FOUND, with the nearest path; INVALID_ARGUMENT
   */
  module(path: string): ModuleDescription {
    const native = this.#alive();
    if (typeof path !== 'string') {
      throw new OctoformerError('INVALID_ARGUMENT', `module() takes a path, not ${describeValue(path)}`);
    }
    const node = findModule(this.#loaded.modules, path);
    if (!node) {
      const near = closest(
        path,
        [...walkModules(this.#loaded.modules)].map((module) => module.path),
      );
      throw new OctoformerError(
        'NOT_FOUND',
        `the model has no module '${path}'${near ? `; did you mean '${near}'?` : '; model.describe() shows all of them'}`,
      );
    }
    return {
      path: node.path,
      kind: node.kind,
      detail: node.detail,
      children: node.children.map((child) => child.name),
      parameters: node.parameters.map(({ weight, ...parameter }) => ({
        ...parameter,
        form: callNative(() => native.weightInfo(weight)).form,
      })),
      parameterCount: countParameters(node),
    };
  }

  /** The numbers of the model's parameters as they are now, for those who look at them. */
  readParameters(): ParameterReader {
    const { ParameterReader: Reader } = require('./parameter_reader') as typeof import('./parameter_reader');
    return new Reader(() => this.loaded);
  }

  /** Query heads of each layer of attention, by what attends to what: an encoder-decoder's own tokens are the decoder's. */
  get attentionHeads(): Readonly<Record<'self' | 'encoder' | 'cross', readonly number[]>> {
    const { ops, encoder } = this.loaded.program;
    return {
      self: attentionHeads(ops, 'attention'),
      encoder: attentionHeads(encoder?.ops ?? [], 'attention'),
      cross: attentionHeads(ops, 'cross_attention'),
    };
  }

  /** What an observer has seen, by the path of the linear layer that read it. */
  observedInputs(observer: InputObserver): ReadonlyMap<string, ObservedInputs> {
    return observer.inputs(this.loaded.modules);
  }

  /** Runs that `work` begins tell the observer what their linear layers read. One observer at a time. */
  async observeInputs(observer: InputObserver, work: () => Promise<unknown>): Promise<void> {
    if (this.#observer) {
      throw new OctoformerError('INVALID_ARGUMENT', `the model of ${this.#loaded.source} is being calibrated already`);
    }
    this.#observer = observer;
    try {
      await work();
    } finally {
      this.#observer = undefined;
    }
  }

  /**
   * Keeps what was observed, for `quantizationReport()` and `save_pretrained()`, and writes it beside the weights.
   * @param save by default where they lie in a folder of the caller's
   */
  async keepCalibration(
    facts: Omit<Calibration, 'modules'>,
    observer: InputObserver,
    save?: boolean,
  ): Promise<Calibration> {
    const { origin, modules } = this.loaded;
    const calibration = { ...facts, modules: observer.modules(modules, facts.minimumShare) };
    if (save ?? origin.files.commit === undefined) await writeCalibration(origin.files, calibration);
    this.#calibration = calibration;
    return calibration;
  }

  /**
   * What quantization did to each matrix: scheme, bytes, error against the checkpoint's float weights (which are read again, off the main
   * thread), and outliers, as far as they were counted or calibrated.
   * @throws OctoformerError NOT_FOUND where the checkpoint has gone, UNKNOWN_OPTION, ABORTED, DISPOSED
   */
  async quantizationReport(options: ReportOptions = {}): Promise<QuantizationReport> {
    const { quantizationReport } = require('./quantization_report') as typeof import('./quantization_report');
    return quantizationReport(this.loaded, this.#calibration, options);
  }

  /**
   * Writes the model as a checkpoint that Python and `from_pretrained` open: floats in the form they are kept in, int8 weights in
   * bitsandbytes' form, the configuration, the tokenizer's files. All files appear at once at the end.
   * @param folder made if it doesn't exist; not the one that the model was loaded from
   * @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION, ABORTED, DISPOSED
   */
  async save_pretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    const { savePretrained } = require('./save_pretrained') as typeof import('./save_pretrained');
    return savePretrained(this.loaded, this.#calibration, folder, options);
  }

  /**
   * Frees the native memory; runs under way end with ABORTED, later calls fail with DISPOSED. Twice is allowed. Ends when the file of the packed
   * weights, if one is being written, is there.
   */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    callNative(() => this.#loaded.native.dispose());
    await this.#loaded.packing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #alive(): NativeModel {
    if (!this.#disposed) return this.#loaded.native;
    throw new OctoformerError('DISPOSED', `the model of ${this.#loaded.source} was disposed; load it again to use it`);
  }
}

/** As Int8Settings::looks_across_rows of the runtime. */
function looksAcrossRows({ int8 }: WeightDescription): boolean {
  if (!int8 || int8.weight_only) return false;
  const { activation_scales, threshold = 0, outliers = 'token' } = int8;
  return activation_scales === 'tensor' || (threshold > 0 && outliers !== 'token');
}

/** Query heads of each attention op of a kind. */
export function attentionHeads(ops: readonly Op[], kind: 'attention' | 'cross_attention'): number[] {
  return ops.flatMap((op) => (op.op === kind ? [(op as { readonly heads: number }).heads] : []));
}

function countParameters(root: ModuleNode): number {
  const tensors = new Map<string, number>();
  for (const { parameters } of walkModules(root)) {
    for (const { tensor, shape } of parameters)
      tensors.set(
        tensor,
        shape.reduce((product, size) => product * size, 1),
      );
  }
  return [...tensors.values()].reduce((sum, count) => sum + count, 0);
}
