import { OctoformerError } from '../binding/error';
import { checkNumber, checkOptions, closest, describeValue } from '../binding/options';
import type { CacheForm, Int8Settings } from '../graph/program';
import { type Int8Scheme, int8SchemeNames, int8Schemes, int8Tables, paperThreshold } from './int8_schemes';

/** The `quantization` option of `from_pretrained` as an object. */
export interface QuantizationOptions {
  /** `none`: the weights stay float. May be left out beside `kvCache`: the weights are as the checkpoint has them then. */
  readonly scheme?: Int8Scheme | 'none';
  /**
   * Activations of at least this magnitude are outliers; 0: none. The scheme's own by default. They are multiplied in float32; but where the
   * threshold counts in `row-rms` and `outliers` is `token`, they stay integers of their row's steps, of 16 bits instead of 8, unless
   * `outlierWeights` is `float32`.
   */
  readonly threshold?: number;
  /** What the threshold counts in: `absolute` activations, or root mean squares of the token's row (`row-rms`). The scheme's own by default. */
  readonly thresholdUnit?: (typeof thresholdUnits)[number];
  /**
   * `token` (default): those entries alone, so that a result doesn't depend on what it is batched with. `column`: the whole feature, in all
   * token rows of the call, as bitsandbytes has it. `whole-column`: the same, and rows' ranges leave out the whole feature (the paper), not
   * its outliers alone.
   */
  readonly outliers?: (typeof outlierRules)[number];
  /** What outliers are multiplied by: the int8 weights, dequantized (default), or the float32 ones, kept beside them (the paper). */
  readonly outlierWeights?: 'int8' | 'float32';
  /**
   * Of `int8-weight-only`: so many input features of an output feature share a scale, a multiple of 4; 0: all of them, as in int8
   * checkpoints, which keep their scales where this is not given. 32 by default.
   */
  readonly groupSize?: number;
  /** Modules that stay float, by path or by the end of it (`lm_head`, `mlp.down_proj`), with all modules in them. */
  readonly skipModules?: readonly string[];
  /**
   * The table of tokens and the output projection are int8 too, a scale a row. By default where the scheme is `int8`, whose output projection
   * takes inputs from 2.5 root mean squares of their row on in 16 bits (unless `threshold` or `thresholdUnit` is given), and keeps the
   * weights of the 8 input features where they are largest in bfloat16; but not where `skipModules` names `lm_head`. `false`: they stay float, as `dtype` says.
   */
  readonly embeddings?: boolean;
  /**
   * Features that are multiplied in float32 always, by weights kept in bfloat16, by module path. `stored` (default): those that `calibrate`
   * left beside the weights, if it did; `none`: not even those.
   */
  readonly outlierFeatures?: 'stored' | 'none' | OutlierFeatures;
  /** Count outliers, and what else is multiplied in float, while the model runs, for `quantizationReport()`. */
  readonly countOutliers?: boolean;
  /**
   * How attention keeps keys and values: `float32`, `bfloat16`, or `int8` with a scale for the key and one for the value of each token and
   * head (of those only that are kept from one token to the next). `true` is `int8`, `false` is `float32`. By default what an int8 checkpoint was
   * saved with; else `bfloat16` where the scheme is `int8` or `dtype` is `bfloat16`, else `float32`.
   */
  readonly kvCache?: CacheForm | boolean;
}

/** Increasing numbers of input features, by the path of the linear layer. */
export type OutlierFeatures = Readonly<Record<string, readonly number[]>>;

export type Quantization = 'none' | Int8Scheme | QuantizationOptions;

/** Hugging Face's spelling: the keys of `BitsAndBytesConfig`. */
export interface QuantizationConfig {
  readonly load_in_8bit?: boolean;
  readonly llm_int8_threshold?: number;
  readonly llm_int8_skip_modules?: readonly string[] | null;
  readonly [key: string]: unknown;
}

/** What a model is to be quantized to. */
export interface Int8Plan {
  /** What was asked for, with the scheme's name. */
  readonly options: QuantizationOptions;
  readonly settings: Int8Settings;
  readonly skipModules: readonly string[];
  readonly embeddings: boolean;
  /** How the table of tokens and the output projection compute where they are int8. */
  readonly vocabulary: Int8Settings;
  readonly outlierFeatures: 'stored' | 'none' | OutlierFeatures;
  /** That of keys and values, where `kvCache` was given. */
  readonly cacheForm?: CacheForm;
}

/** What `thresholdUnit` can be. */
export const thresholdUnits = ['absolute', 'row-rms'] as const;

/** What `outliers` can be. */
export const outlierRules = ['token', 'column', 'whole-column'] as const;

const objectOptions = [
  'scheme',
  'threshold',
  'thresholdUnit',
  'outliers',
  'outlierWeights',
  'groupSize',
  'skipModules',
  'embeddings',
  'outlierFeatures',
  'countOutliers',
  'kvCache',
] as const;

/**
 * Reads `quantization` and `quantization_config`, of which one can be given.
 * @param where what was called, for messages
 * @returns the plan, `none` where floats were asked for, undefined where neither was given
 * @throws OctoformerError UNKNOWN_OPTION, UNSUPPORTED_OPTION, INVALID_ARGUMENT
 */
export function readQuantization(
  where: string,
  options: { readonly quantization?: unknown; readonly quantization_config?: unknown },
): Int8Plan | 'none' | undefined {
  const { quantization, quantization_config: config } = options;
  if (quantization !== undefined && config !== undefined) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: 'quantization' and 'quantization_config' say the same thing in two ways; give one of them`,
    );
  }
  if (config !== undefined) return readConfig(`option 'quantization_config' of ${where}`, config);
  if (quantization === undefined || quantization === 'none') return quantization;
  const place = `option 'quantization' of ${where}`;
  if (typeof quantization === 'string') return plan(place, { scheme: checkScheme(place, quantization) });
  checkOptions(place, quantization, objectOptions);
  const given = quantization as Given;
  return leavesWeights(given) ? withoutScheme(place, given) : plan(place, given);
}

/**
 * Reads the `quantization` option as it lies beside weights that were made with it: an object that tells of weights. One without `embeddings`
 * is of the time when tables were float by default.
 * @throws as `readQuantization` does
 */
export function readStoredQuantization(place: string, given: unknown): Int8Plan {
  checkOptions(place, given, objectOptions);
  return plan(place, given as Given, false);
}

type Given = Readonly<Record<string, unknown>>;

function leavesWeights({ scheme, kvCache }: Given): boolean {
  return scheme === 'none' || (scheme === undefined && kvCache !== undefined);
}

/** Only the cache is told of. */
function withoutScheme(place: string, given: Given): 'none' | undefined {
  const [useless] =
    Object.entries(given).find(([key, value]) => !['scheme', 'kvCache'].includes(key) && value !== undefined) ?? [];
  if (useless === undefined) return given.scheme === 'none' ? 'none' : undefined;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${place}: '${useless}' has no meaning where no scheme is given for the weights; give one, such as 'int8', or leave it out`,
  );
}

/**
 * Reads `kvCache` of `quantization`, whose other parts `readQuantization` reads; undefined where it is not given.
 * @throws OctoformerError INVALID_ARGUMENT
 */
export function readCacheForm(
  where: string,
  { quantization }: { readonly quantization?: unknown },
): CacheForm | undefined {
  if (typeof quantization !== 'object' || quantization === null) return undefined;
  return cacheForm(`option 'quantization' of ${where}`, quantization as Given);
}

function cacheForm(place: string, { kvCache }: Given): CacheForm | undefined {
  if (kvCache === undefined) return undefined;
  if (typeof kvCache === 'boolean') return kvCache ? 'int8' : 'float32';
  return checkOne<CacheForm>(place, 'kvCache', kvCache, ['float32', 'bfloat16', 'int8']);
}

function checkScheme(place: string, name: unknown): Int8Scheme {
  const found = int8SchemeNames.find((scheme) => scheme === name);
  if (found) return found;
  const near = typeof name === 'string' ? closest(name, int8SchemeNames) : undefined;
  throw new OctoformerError(
    'UNKNOWN_OPTION',
    `${place}: there is no scheme ${describeValue(name)}${near ? `; did you mean '${near}'?` : `; there are ${int8SchemeNames.join(', ')}`}`,
  );
}

/** @param tablesToo whether `embeddings` is the scheme's own where it is not given, else false */
function plan(place: string, given: Given, tablesToo = true): Int8Plan {
  const scheme = checkScheme(place, given.scheme);
  const base: Int8Settings = int8Schemes[scheme];
  const { threshold, thresholdUnit, outliers, outlierWeights, outlierFeatures } = given;
  const tables = int8Tables[scheme];
  const skipModules = checkNames(place, 'skipModules', given.skipModules);
  // The head often shares its matrix with the table, which would be kept twice.
  const byDefault = tablesToo && tables !== undefined && !skipModules.includes('lm_head');
  const embeddings = checkFlag(place, 'embeddings', given.embeddings, byDefault);
  const countOutliers = checkFlag(place, 'countOutliers', given.countOutliers, false);
  const outlierOptions = {
    threshold,
    thresholdUnit,
    outliers,
    outlierWeights,
    outlierFeatures,
    countOutliers: countOutliers || undefined,
  };
  const [useless] = Object.entries(outlierOptions).find(([, value]) => value !== undefined) ?? [];
  if (base.weight_only && useless) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${place}: '${useless}' has no meaning with scheme '${scheme}', whose activations stay float; leave it out`,
    );
  }
  const groupSize = checkGroupSize(place, scheme, given.groupSize);
  const cache = cacheForm(place, given);
  const settings = {
    ...base,
    ...(threshold === undefined ? {} : { threshold: checkNumber(place, 'threshold', threshold, { least: 0 }) }),
    ...(thresholdUnit === undefined
      ? {}
      : { threshold_unit: checkOne(place, 'thresholdUnit', thresholdUnit, thresholdUnits) }),
    ...(outliers === undefined ? {} : { outliers: checkOne(place, 'outliers', outliers, outlierRules) }),
    ...(outlierWeights !== undefined &&
    checkOne(place, 'outlierWeights', outlierWeights, ['int8', 'float32']) === 'float32'
      ? { float_outlier_weights: true }
      : {}),
    ...(countOutliers ? { count_outliers: true } : {}),
    ...(groupSize === undefined ? {} : { group_size: groupSize }),
  };
  const sameThreshold = threshold !== undefined || thresholdUnit !== undefined;
  const { threshold: tableThreshold, ...tableSettings } = tables ?? {};
  return {
    // With the default of `embeddings` where it is not every scheme's: checkpoints keep these options.
    options: { ...given, scheme, ...(tables ? { embeddings } : {}) },
    settings,
    skipModules,
    embeddings,
    vocabulary: {
      ...settings,
      ...tableSettings,
      ...(sameThreshold || tableThreshold === undefined ? {} : { threshold: tableThreshold }),
    },
    outlierFeatures: checkOutlierFeatures(place, outlierFeatures ?? 'stored'),
    ...(cache ? { cacheForm: cache } : {}),
  };
}

/** What the kernels take at a time: a scale must not change in between. */
const groupGranule = 4;

function checkGroupSize(place: string, scheme: Int8Scheme, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const base: Int8Settings = int8Schemes[scheme];
  if (!base.weight_only) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${place}: 'groupSize' has no meaning with scheme '${scheme}', whose int8 activations need weights with one scale a row; leave it out, or take 'int8-weight-only'`,
    );
  }
  const size = checkNumber(place, 'groupSize', value, { least: 0, integer: true });
  if (size % groupGranule === 0) return size;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${place}: 'groupSize' must be 0 (a scale a row) or a multiple of ${groupGranule}, not ${size}`,
  );
}

function checkFlag(place: string, name: string, value: unknown, byDefault: boolean): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? byDefault;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${place}: '${name}' must be true or false, not ${describeValue(value)}`,
  );
}

/** @throws OctoformerError INVALID_ARGUMENT */
export function checkOutlierFeatures(place: string, given: unknown): Int8Plan['outlierFeatures'] {
  if (given === 'stored' || given === 'none') return given;
  return checkFeatures(place, 'outlierFeatures', given, "'stored', 'none' or ");
}

/**
 * Features by module, each list increasing; empty lists are left out. Which modules there are is checked where the model is built.
 * @param name of what is checked, and `others`: what it could be else, for messages
 * @throws OctoformerError INVALID_ARGUMENT
 */
export function checkFeatures(place: string, name: string, given: unknown, others = ''): OutlierFeatures {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${place}: '${name}' must be ${others}an object of lists by module, not ${describeValue(given)}`,
    );
  }
  for (const [module, features] of Object.entries(given)) {
    const increases =
      Array.isArray(features) &&
      features.every(
        (feature, index) => Number.isSafeInteger(feature) && feature > (index === 0 ? -1 : features[index - 1]),
      );
    if (increases) continue;
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${place}: '${name}' of '${module}' must be a list of increasing numbers of features, not ${describeValue(features)}`,
    );
  }
  return Object.fromEntries(Object.entries(given as OutlierFeatures).filter(([, features]) => features.length > 0));
}

function checkOne<T extends string>(place: string, name: string, value: unknown, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found) return found;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${place}: '${name}' must be one of ${choices.join(', ')}, not ${describeValue(value)}`,
  );
}

function checkNames(place: string, name: string, value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '')) return value;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${place}: '${name}' must be a list of names of modules, not ${describeValue(value)}`,
  );
}

const configKeys = ['load_in_8bit', 'llm_int8_threshold', 'llm_int8_skip_modules', 'quant_method'];

/** Keys that must be false, for what they ask for is not there. */
const unsupportedFlags = [
  'load_in_4bit',
  'llm_int8_enable_fp32_cpu_offload',
  'llm_int8_has_fp16_weight',
  'bnb_4bit_use_double_quant',
];

/** Keys that only say how 4-bit weights would be, and copies of others that Python writes. */
const idleKeys = [
  'bnb_4bit_compute_dtype',
  'bnb_4bit_quant_storage',
  'bnb_4bit_quant_type',
  '_load_in_4bit',
  '_load_in_8bit',
];

/**
 * Reads `quantization_config`, as an option or as a part of config.json.
 * @throws OctoformerError UNKNOWN_OPTION, UNSUPPORTED_OPTION, INVALID_ARGUMENT
 */
export function readConfig(place: string, given: unknown): Int8Plan | 'none' {
  // Before the other keys, which are the method's own.
  const quant_method = (given as Given | null)?.quant_method ?? 'bitsandbytes';
  if (quant_method !== 'bitsandbytes') {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `${place}: method ${describeValue(quant_method)} is not implemented, only 'bitsandbytes' with int8 weights; ` +
        'use the checkpoint that it was made from, or a GGUF file',
    );
  }
  checkOptions(place, given, [...configKeys, ...unsupportedFlags, ...idleKeys]);
  const config = given as Given;
  const { load_in_8bit = false } = config;
  const wanted = unsupportedFlags.find((name) => config[name] !== undefined && config[name] !== false);
  if (wanted !== undefined) {
    throw new OctoformerError('UNSUPPORTED_OPTION', `${place}: '${wanted}' is not implemented; leave it out`);
  }
  if (typeof load_in_8bit !== 'boolean') {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${place}: 'load_in_8bit' must be true or false, not ${describeValue(load_in_8bit)}`,
    );
  }
  if (!load_in_8bit) return 'none';
  const { llm_int8_threshold = paperThreshold } = config;
  return plan(place, {
    scheme: 'llm.int8',
    threshold: checkNumber(place, 'llm_int8_threshold', llm_int8_threshold, { least: 0 }),
    skipModules: checkNames(place, 'llm_int8_skip_modules', config.llm_int8_skip_modules),
  });
}

/** What Python writes into `quantization_config` of an int8 checkpoint. */
export function bitsandbytesConfig(threshold: number, skipModules: readonly string[]): QuantizationConfig {
  return {
    _load_in_4bit: false,
    _load_in_8bit: true,
    bnb_4bit_compute_dtype: 'float32',
    bnb_4bit_quant_storage: 'uint8',
    bnb_4bit_quant_type: 'fp4',
    bnb_4bit_use_double_quant: false,
    llm_int8_enable_fp32_cpu_offload: false,
    llm_int8_has_fp16_weight: false,
    llm_int8_skip_modules: skipModules,
    llm_int8_threshold: threshold,
    load_in_4bit: false,
    load_in_8bit: true,
    quant_method: 'bitsandbytes',
  };
}
