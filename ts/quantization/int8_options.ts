import { OctoformerError } from '../binding/error';
import { checkNumber, checkOptions, closest, describeValue } from '../binding/options';
import type { Int8Settings } from '../graph/program';
import { type Int8Scheme, int8SchemeNames, int8Schemes, paperThreshold } from './int8_schemes';

/** The `quantization` option of `from_pretrained` as an object. */
export interface QuantizationOptions {
  readonly scheme: Int8Scheme;
  /** Activations of at least this magnitude are multiplied in float32; 0: none. The scheme's own by default. */
  readonly threshold?: number;
  /**
   * `token` (default): those entries alone, so that a result doesn't depend on what it is batched with. `column`: the whole feature, in all
   * token rows of the call, as bitsandbytes has it.
   */
  readonly outliers?: 'token' | 'column';
  /** What outliers are multiplied by: the int8 weights, dequantized (default), or the float32 ones, kept beside them (the paper). */
  readonly outlierWeights?: 'int8' | 'float32';
  /** Modules that stay float, by path or by the end of it (`lm_head`, `mlp.down_proj`), with all modules in them. */
  readonly skipModules?: readonly string[];
  /** The table of tokens and the output projection are int8 too, a scale a row. */
  readonly embeddings?: boolean;
  /** `float32`: int8 keys and values are not implemented yet. */
  readonly kvCache?: 'float32';
}

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
  readonly settings: Int8Settings;
  readonly skipModules: readonly string[];
  readonly embeddings: boolean;
}

const objectOptions = [
  'scheme',
  'threshold',
  'outliers',
  'outlierWeights',
  'skipModules',
  'embeddings',
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
  return plan(place, quantization as Readonly<Record<string, unknown>>);
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

function plan(place: string, given: Readonly<Record<string, unknown>>): Int8Plan {
  const scheme = checkScheme(place, given.scheme);
  const base: Int8Settings = int8Schemes[scheme];
  const { threshold, outliers, outlierWeights, kvCache = 'float32', embeddings = false } = given;
  if (kvCache !== 'float32') {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `${place}: 'kvCache' ${describeValue(kvCache)} is not implemented; leave it out or give 'float32'`,
    );
  }
  if (typeof embeddings !== 'boolean') {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${place}: 'embeddings' must be true or false, not ${describeValue(embeddings)}`,
    );
  }
  const outlierOptions = { threshold, outliers, outlierWeights };
  const [useless] = Object.entries(outlierOptions).find(([, value]) => value !== undefined) ?? [];
  if (base.weight_only && useless) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${place}: '${useless}' has no meaning with scheme '${scheme}', whose activations stay float; leave it out`,
    );
  }
  return {
    settings: {
      ...base,
      ...(threshold === undefined ? {} : { threshold: checkNumber(place, 'threshold', threshold, { least: 0 }) }),
      ...(outliers === undefined ? {} : { outliers: checkOne(place, 'outliers', outliers, ['token', 'column']) }),
      ...(outlierWeights !== undefined &&
      checkOne(place, 'outlierWeights', outlierWeights, ['int8', 'float32']) === 'float32'
        ? { float_outlier_weights: true }
        : {}),
    },
    skipModules: checkNames(place, 'skipModules', given.skipModules),
    embeddings,
  };
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
  checkOptions(place, given, [...configKeys, ...unsupportedFlags, ...idleKeys]);
  const config = given as Readonly<Record<string, unknown>>;
  const { quant_method = 'bitsandbytes', load_in_8bit = false } = config;
  if (quant_method !== 'bitsandbytes') {
    throw new OctoformerError(
      'UNSUPPORTED_OPTION',
      `${place}: method ${describeValue(quant_method)} is not implemented, only 'bitsandbytes' with int8 weights; ` +
        'use the checkpoint that it was made from, or a GGUF file',
    );
  }
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
  return {
    settings: {
      ...int8Schemes['llm.int8'],
      threshold: checkNumber(place, 'llm_int8_threshold', llm_int8_threshold, { least: 0 }),
    },
    skipModules: checkNames(place, 'llm_int8_skip_modules', config.llm_int8_skip_modules),
    embeddings: false,
  };
}
