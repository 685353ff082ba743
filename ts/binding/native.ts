/**
 * The one typed contract with the addon. Nothing else in `ts/` may know what the addon exports; `native/addon` implements
 * exactly this. Arguments are checked in TypeScript and, where memory is at stake, again in C++.
 * Native failures arrive as an `Error` whose `code` is one of `OctoformerErrorCode`; `ts/binding/load.ts` turns them
 * into `OctoformerError`.
 */
export interface NativeAddon extends NativeFloatOps {
  info(): NativeInfo;
  /** A flag that another call polls; `abort()` may be called at any time from the same thread. */
  AbortFlag: new () => NativeAbortFlag;
  /** Maps the files and checks their headers, off the main thread. `format` by content, not by name. */
  openCheckpoint(files: readonly string[]): Promise<NativeCheckpoint>;
  /**
   * Compiles a Program (JSON of `Program`) against a checkpoint and packs its weights, off the main thread. `onProgress` gets
   * bytes of the checkpoint read so far and in all. The checkpoint may be disposed afterwards: nothing of it stays mapped.
   */
  loadModel(
    checkpoint: NativeCheckpoint,
    program: string,
    options: NativeLoadOptions,
    abort: NativeAbortFlag | null,
    onProgress: ((loaded: number, total: number) => void) | null,
  ): Promise<NativeModel>;
  /**
   * The vocabulary and merges of a tokenizer.json, and the rest of its text with null for both, off the main thread. Null for a file
   * that can't be read, is damaged there, or has a vocabulary or merges of another kind than usual.
   */
  readTokenizerFile(file: string): Promise<{ readonly rest: string; readonly tables: NativeTokenTables } | null>;
  /**
   * Bytes a second that so many threads (0: the default) read from memory that no cache holds, off the main thread: the median of half a
   * second, for which it takes 512 MiB.
   */
  measureMemoryRate(threads: number): Promise<number>;
  Sampler: new (options: NativeSamplerOptions) => NativeSampler;
  /** The scalar reference of the int8 schemes, synchronous. Matrices are row-major; lengths are checked against the shapes. */
  quantizeInt8(
    x: Float32Array,
    rows: number,
    cols: number,
    mapping: 'absmax' | 'zeropoint',
    granularity: 'row' | 'tensor',
  ): Pick<NativeInt8Matrix, 'data' | 'scale' | 'zeroPoint'>;
  dequantizeInt8(matrix: NativeInt8Matrix): Float32Array;
  /** a [M, K] times weight [N, K] transposed: sums of the stored numbers, the same without zero points, and scaled. */
  int8Product(
    a: NativeInt8Matrix,
    weight: NativeInt8Matrix,
  ): { readonly data: Int32Array; readonly centered: Int32Array; readonly scaled: Float32Array };
  /** Outliers meet `outlierWeights` [N, K], or the dequantized int8 weights where that is null. */
  llmInt8Product(
    a: Float32Array,
    m: number,
    weight: NativeInt8Matrix,
    outlierWeights: Float32Array | null,
    threshold: number,
    thresholdUnit: 'absolute' | 'row-rms',
    outliers: 'token' | 'column' | 'whole-column',
  ): { readonly data: Float32Array; readonly outlierColumns: Int32Array };
}

/** The float32 ops by themselves, synchronous, on the kernels that models run on. Lengths are checked against the shapes. */
export interface NativeFloatOps {
  /** a [m, k] times b [k, n], or b [n, k] transposed. */
  floatProduct(a: Float32Array, b: Float32Array, m: number, n: number, k: number, transposeB: boolean): Float32Array;
  /** Queries are those of the last `tokens` of `keys` tokens. */
  floatAttention(q: Float32Array, k: Float32Array, v: Float32Array, options: NativeAttentionOptions): Float32Array;
  softmaxRows(x: Float32Array, rows: number, cols: number): Float32Array;
  normRows(
    kind: 'rms' | 'layer',
    x: Float32Array,
    rows: number,
    cols: number,
    weight: Float32Array | null,
    bias: Float32Array | null,
    weightOffset: number,
    epsilon: number,
  ): Float32Array;
  /** x [positions, heads * headDim]; `invFreq` has half the rotated numbers of a head. */
  ropeRows(
    x: Float32Array,
    positions: Int32Array,
    invFreq: Float32Array,
    heads: number,
    headDim: number,
    pairing: 'half' | 'adjacent',
  ): Float32Array;
}

export interface NativeAttentionOptions {
  readonly tokens: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly causal: boolean;
  /** 0: none. */
  readonly window: number;
  readonly scale: number;
  /** 0: none. */
  readonly softcap: number;
  /** ALiBi's, one a head, or null. */
  readonly slopes: Float32Array | null;
}

/** x ~ (data - zeroPoint) * scale; `scale` (and `zeroPoint`) has one entry, or one a row. */
export interface NativeInt8Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: Int8Array;
  readonly scale: Float32Array;
  readonly zeroPoint?: Int32Array;
}

export interface NativeInfo {
  readonly cpu: string;
  /** The ISA in use by default, such as `avx512`, and all that this machine and build can run, best first. */
  readonly isa: string;
  readonly isas: readonly string[];
  /** Default number of threads: physical cores allowed by affinity and cgroup. */
  readonly threads: number;
  readonly cuda: { readonly available: boolean; readonly reason: string; readonly devices: readonly string[] };
}

export interface NativeAbortFlag {
  abort(): void;
}

export interface NativeTensorInfo {
  readonly name: string;
  /** `F32 F16 BF16 F64 I8 U8 I32 I64 BOOL` (safetensors' names) or a GGUF block type, `Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q2_K` ... `Q6_K IQ4_NL IQ4_XS MXFP4`. */
  readonly dtype: string;
  /** Row-major, outermost first (GGUF's order is reversed on reading). */
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly file: string;
}

/** Tokens with all ids from 0 on, each once. */
export interface NativeTokenTables {
  /** All tokens in the order of their ids, one after another, and where each ends (UTF-16 units). */
  readonly text: string;
  readonly ends: Uint32Array;
  /** Of TokenTable: ids by tokens. */
  readonly slots: Int32Array;
  /** Of byte pair encoding, first the merge that goes first: three ids each, of the left and the right token and of both together. */
  readonly merges: Int32Array;
  /** Of MergeTable: ranks by the ids of both tokens. */
  readonly mergeSlots: Int32Array;
}

export interface NativeCheckpoint {
  readonly format: 'safetensors' | 'gguf';
  readonly tensors: readonly NativeTensorInfo[];
  /**
   * GGUF: every key-value pair, integers above 2^53 as bigint, arrays as arrays. safetensors: the `__metadata__` strings
   * of all files. Lists are made when they are first read, which is before `dispose`.
   */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Reads (dequantizes) rows [first, first + count) of a tensor as float32; a vector is one row. For tools and tests. */
  readRows(name: string, first: number, count: number): Float32Array;
  /** What GGUF's metadata says of tokens and merges, off the main thread; null where they are not as they usually are. */
  tokenTables(): Promise<NativeTokenTables | null>;
  dispose(): void;
}

export interface NativeLoadOptions {
  /** 0: the default. */
  readonly threads: number;
  /** Empty: the default (or `OCTOFORMER_ISA`). */
  readonly isa: string;
  /** Where packed weights may lie from an earlier start. */
  readonly packed?: {
    readonly folder: string;
    /** The Program's weights as text: files of other ones are not opened. */
    readonly weights: string;
    /** Of packed weights; models that have fewer get no file. */
    readonly leastBytes: number;
  };
}

export interface NativeModel {
  readonly isa: string;
  readonly threads: number;
  createCache(): NativeCache;
  /** One call off the main thread: the whole Program over a ragged batch. Runs of one model queue up behind one another. */
  run(request: NativeRunRequest): Promise<NativeRunResult>;
  /** Bytes by kind, now. `weights_by_form` keys are `float32`, `bfloat16`, ... */
  memory(): {
    readonly weights: number;
    readonly weights_by_form: Readonly<Record<string, number>>;
    readonly cache: number;
    readonly arena: number;
  };
  /**
   * Form, bytes of weight `index` of the Program; of one that counts (`Int8Settings.count_outliers`) also what it multiplied in float
   * since it was loaded: token rows, and in how many of them each feature. `wideFeatures`: those that `wide_features` chose, where it did.
   */
  weightInfo(index: number): {
    readonly form: string;
    readonly bytes: number;
    readonly wideFeatures?: Int32Array;
    readonly outliers?: { readonly rows: number; readonly entries: Float64Array };
  };
  /**
   * Rows of weight `index` as numbers of that form, little-endian, one after another, off the main thread: int8 ones dequantized; a
   * vector has rows of one number. `transpose`: columns one after another. Waits for a run under way.
   */
  readWeight(
    index: number,
    rows: Int32Array,
    form: 'float32' | 'bfloat16' | 'float16',
    transpose: boolean,
  ): Promise<Uint8Array>;
  /** Rows of an int8 weight as they are kept, off the main thread: bytes of int8 numbers, and w ~ (data - zeroPoint) * scale, `scale` [rows, groups]. */
  readInt8Weight(
    index: number,
    rows: Int32Array,
  ): Promise<{ readonly data: Uint8Array; readonly scale: Float32Array; readonly zeroPoint?: Int32Array }>;
  /** How far weight `index` is from what the checkpoint that it was made of has, part by part, off the main thread. */
  compareWeight(
    index: number,
    checkpoint: NativeCheckpoint,
    abort: NativeAbortFlag | null,
  ): Promise<readonly NativeWeightDifference[]>;
  /** The file of the packed weights, and whether they came from it; null where there is to be none. */
  readonly packed: { readonly file: string; readonly found: boolean } | null;
  /** Writes that file, off the main thread, and puts it in its place in one step. Fails with NOT_FOUND where it can't be written. */
  writePacked(): Promise<void>;
  /** Runs under way are aborted (code ABORTED); later calls fail with DISPOSED. */
  dispose(): void;
}

/** Sums over all numbers of a part, in double precision; magnitudes. */
export interface NativeWeightDifference {
  readonly squaredError: number;
  readonly squaredNorm: number;
  readonly largestError: number;
  readonly largestStored: number;
}

export interface NativeRunRequest {
  /** Token ids of all sequences, one after another. */
  readonly input_ids: Int32Array;
  /** New tokens of each sequence. */
  readonly lengths: Int32Array;
  /** The cache of each sequence, or null for none: it grows by the sequence's tokens. The list may hold a cache only once. */
  readonly caches: readonly (NativeCache | null)[];
  /** Default: past, past + 1, ... of each sequence. */
  readonly position_ids?: Int32Array;
  readonly token_type_ids?: Int32Array;
  /** Of encoder-decoders: sequences that are encoded first, for good with the caches of the sequences above. */
  readonly encoder?: NativeEncoderInput;
  /** Token rows (of the concatenation) whose logits are wanted. */
  readonly rows: Int32Array;
  /** Names of outputs to copy out. */
  readonly outputs: readonly string[];
  /** Log-probabilities of what follows `rows` are wanted: of so many likeliest tokens each, or (0) of all tokens. */
  readonly log_probabilities?: number;
  /** One sampler an entry of `rows`; its choice comes back in `sampled`. */
  readonly samplers?: readonly NativeSampler[];
  /** Default: one step. */
  readonly steps?: NativeSteps;
  /** Statistics of what linear layers read are wanted: the magnitude from which entries are counted. */
  readonly observe?: number;
  readonly abort?: NativeAbortFlag;
}

/**
 * Steps of a generation in one call, which need nothing of JavaScript in between: each sequence has one token, a cache, its row and a
 * sampler, whose choice is the sequence's token in the next step. No outputs or log-probabilities.
 */
export interface NativeSteps {
  /** There are fewer where the next run waits for this one. */
  readonly most: number;
  /** The step in which a sequence gets one of these ids is the last one. */
  readonly last_ids: Int32Array;
}

/** What the linear layers of one weight read in a run. */
export interface NativeInputStatistics {
  /** Index into the Program's weights. */
  readonly weight: number;
  readonly rows: number;
  /** By feature: rows whose entry has at least the magnitude asked for. */
  readonly entries: Float64Array;
  /** By feature: the largest magnitude. */
  readonly largest: Float32Array;
}

export interface NativeEncoderInput {
  readonly input_ids: Int32Array;
  /** One a sequence of the request; 0: its cache has an encoded sequence already. */
  readonly lengths: Int32Array;
  readonly position_ids?: Int32Array;
}

export interface NativeRunResult {
  /** One id a row of `rows`, when samplers were given; step after step. */
  readonly sampled?: Int32Array;
  /**
   * When they were asked for: the log-softmax of the logits, the same bits on every ISA. [rows, vocabulary], where NaN is passed on; or
   * [rows, count], the largest first and of equal ones the lower id, where NaN fails with INTERNAL. Count is as asked for, or the
   * vocabulary's size where that is less.
   */
  readonly log_probabilities?: Float32Array;
  /** The tokens that have them, where a count was given. */
  readonly likeliest?: Int32Array;
  /** Each [rows of its buffer, columns], or the probabilities of an attention op: sequence by sequence [heads, new, keys]. */
  readonly outputs: Readonly<Record<string, Float32Array>>;
  /** With `observe`: one entry a weight. */
  readonly inputs?: readonly NativeInputStatistics[];
}

export interface NativeCache {
  /** Tokens in it. */
  readonly length: number;
  /** Tokens of the encoder's sequence that decoders attend to; 0: nothing was encoded. Forks share it, `truncate` leaves it. */
  readonly encodedLength: number;
  /** Bytes of its pages; a page shared by n caches counts 1/n. */
  readonly bytes: number;
  /** Shares all pages; the first write to a shared page copies it. */
  fork(): NativeCache;
  /** Forgets tokens from `length` on. */
  truncate(length: number): void;
  dispose(): void;
}

/**
 * Chooses a token from a row of logits, in Hugging Face's order: repetition penalty, temperature, top-k, top-p, min-p, then a
 * draw (or the first largest when `do_sample` is false, where only the repetition penalty applies).
 */
export interface NativeSamplerOptions {
  readonly do_sample: boolean;
  readonly temperature: number;
  /** 0: off. */
  readonly top_k: number;
  /** 1: off. */
  readonly top_p: number;
  /** 0: off. */
  readonly min_p: number;
  /** 1: off. */
  readonly repetition_penalty: number;
  /** Draws depend on the seed and on how many were made before only. 64 bits as a bigint. */
  readonly seed: bigint;
  /** Ids never chosen while `generated < min_new_tokens` (end-of-sequence ids). */
  readonly eos_token_ids: Int32Array;
  readonly min_new_tokens: number;
  /** The prompt, for the repetition penalty. */
  readonly prompt_ids: Int32Array;
}

/** Keeps its history; a choice made by `run` is added to it. */
export interface NativeSampler {
  /** Chooses from logits in JavaScript (tests, own processors) and adds the choice to the history. */
  sample(logits: Float32Array): number;
}
