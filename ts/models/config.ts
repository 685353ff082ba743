import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';
import type { DecoderSizes } from '../modules/decoder';

/** What a config.json may hold, as JSON gives it. */
export type ConfigValues = Readonly<Record<string, unknown>>;

/** By the name that most families have for a key: what else files call it (`n_embd` for `hidden_size`). */
export type KeyAliases = Readonly<Record<string, readonly string[]>>;

// Limits of a configuration's sizes: several times what the largest published models have, and small enough that no product
// of two overflows 2^53 and no graph of a lying file takes memory worth speaking of before its weights are found missing.
export const maxLayers = 4096;
export const maxFeatures = 1 << 20;
export const maxHeads = 1 << 14;
export const maxVocabulary = 1 << 24;
export const maxPositions = 2 ** 31 - 1;
export const maxExperts = 1 << 12;

/**
 * Reads a configuration by key: the file's value, else the default that Hugging Face's class has for the key (`defaults`), else what
 * the caller says. Values of a wrong type or out of range throw INVALID_CHECKPOINT naming file, key and value.
 */
export class ModelConfig {
  constructor(
    readonly values: ConfigValues,
    /** For messages: the file's name. */
    readonly file: string,
    readonly defaults: ConfigValues = {},
    /** Other names that files have for a key. */
    readonly aliases: KeyAliases = {},
  ) {}

  get model_type(): string {
    return this.string('model_type');
  }

  /** The value as it stands there, or its default. `null` is undefined, without the default, as in Python. */
  get(key: string): unknown {
    const name = this.#nameOf(key);
    return (Object.hasOwn(this.values, name) ? this.values[name] : this.defaults[key]) ?? undefined;
  }

  /** All values, with the defaults; what the file calls otherwise is there under both names. */
  all(): ConfigValues {
    const renamed = Object.keys(this.aliases).map((key) => [key, this.get(key)] as const);
    return {
      ...this.defaults,
      ...this.values,
      ...Object.fromEntries(renamed.filter(([, value]) => value !== undefined)),
    };
  }

  /** What the file calls a key. A family's own name goes before the one that most have. */
  #nameOf(key: string): string {
    const names = [...(this.aliases[key] ?? []), key];
    return names.find((name) => Object.hasOwn(this.values, name)) ?? key;
  }

  integer(
    key: string,
    { least = 1, most = maxFeatures, otherwise }: { least?: number; most?: number; otherwise?: number } = {},
  ): number {
    const value = this.get(key) ?? otherwise ?? this.#missing(key);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
      throw this.wrong(key, value, `an integer from ${least} to ${most}`);
    }
    return value;
  }

  number(
    key: string,
    { least = 0, most = 1e9, otherwise }: { least?: number; most?: number; otherwise?: number } = {},
  ): number {
    const value = this.get(key) ?? otherwise ?? this.#missing(key);
    if (typeof value !== 'number' || !(value >= least && value <= most)) {
      throw this.wrong(key, value, `a number from ${least} to ${most}`);
    }
    return value;
  }

  boolean(key: string, otherwise?: boolean): boolean {
    const value = this.get(key) ?? otherwise ?? this.#missing(key);
    if (typeof value !== 'boolean') throw this.wrong(key, value, 'true or false');
    return value;
  }

  string(key: string, otherwise?: string): string {
    const value = this.get(key) ?? otherwise ?? this.#missing(key);
    if (typeof value !== 'string') throw this.wrong(key, value, 'a string');
    return value;
  }

  /** A list of `length` elements that pass the test, or undefined where the configuration has none. */
  list<T>(
    key: string,
    length: number,
    test: (element: unknown) => element is T,
    what: string,
  ): readonly T[] | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.length < length || !value.every(test)) {
      throw this.wrong(key, value, `a list of at least ${length} elements, each ${what}`);
    }
    return value as readonly T[];
  }

  /** An object, read in the same way, or undefined. Messages call its keys `KEY.NAME`. */
  section(key: string): ModelConfig | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.wrong(key, value, 'an object');
    return new ModelConfig(value as ConfigValues, `'${key}' of ${this.file}`);
  }

  /** The error for a value that can't be. */
  wrong(key: string, value: unknown, expected: string): OctoformerError {
    return new OctoformerError(
      'INVALID_CHECKPOINT',
      `${this.file}: '${this.#nameOf(key)}' must be ${expected}, not ${describeValue(value)}`,
    );
  }

  #missing(key: string): never {
    throw new OctoformerError('INVALID_CHECKPOINT', `${this.file} lacks '${key}'; is it the configuration of a model?`);
  }
}

/** The sizes that every decoder has, under whatever names. */
export type CommonSizes = Omit<DecoderSizes, 'innerFeatures' | 'epsilon' | 'activation'>;

/** Reads and checks the sizes of a decoder. @throws OctoformerError INVALID_CHECKPOINT naming key and value */
export function commonSizes(config: ModelConfig): CommonSizes {
  const hiddenSize = config.integer('hidden_size');
  const heads = config.integer('num_attention_heads', { most: maxHeads });
  const kvHeads = config.integer('num_key_value_heads', { most: maxHeads, otherwise: heads });
  if (heads % kvHeads !== 0) {
    throw config.wrong('num_key_value_heads', kvHeads, `a divisor of num_attention_heads (${heads})`);
  }
  if (config.get('head_dim') === undefined && hiddenSize % heads !== 0) {
    throw config.wrong(
      'hidden_size',
      hiddenSize,
      `a multiple of num_attention_heads (${heads}), as 'head_dim' is not given`,
    );
  }
  return {
    vocabularySize: config.integer('vocab_size', { most: maxVocabulary }),
    hiddenSize,
    layers: config.integer('num_hidden_layers', { most: maxLayers }),
    heads,
    kvHeads,
    headDim: config.integer('head_dim', { otherwise: hiddenSize / heads }),
    tied: config.boolean('tie_word_embeddings', false),
  };
}

/**
 * Those and what Llama and its kin have besides.
 * @param epsilon where no key says it
 * @throws OctoformerError INVALID_CHECKPOINT naming key and value
 */
export function decoderSizes(config: ModelConfig, epsilon?: number): DecoderSizes {
  return {
    ...commonSizes(config),
    innerFeatures: config.integer('intermediate_size'),
    epsilon: epsilon ?? config.number('rms_norm_eps', { most: 1 }),
    activation: config.string('hidden_act', 'silu'),
  };
}

/**
 * The window of every layer, undefined for layers that see everything: from `layer_types` or, as in older files, from
 * `use_sliding_window` and the family's rule.
 * @param slides the family's rule; Qwen's by default: layers from `max_window_layers` on
 */
export function layerWindows(
  config: ModelConfig,
  layers: number,
  slides: (layer: number) => boolean = (layer) =>
    layer >= config.integer('max_window_layers', { least: 0, most: maxPositions, otherwise: 0 }),
): readonly (number | undefined)[] {
  const window = config.boolean('use_sliding_window', false) ? slidingWindow(config) : undefined;
  const types = config.list('layer_types', layers, isLayerType, "'full_attention' or 'sliding_attention'");
  if (window === undefined && types?.slice(0, layers).includes('sliding_attention')) {
    throw new OctoformerError(
      'INVALID_CHECKPOINT',
      `${config.file}: 'layer_types' has 'sliding_attention' layers, but 'use_sliding_window' and 'sliding_window' give no width`,
    );
  }
  return Array.from({ length: layers }, (_, layer) => {
    const sliding = types ? types[layer] === 'sliding_attention' : slides(layer);
    return sliding ? window : undefined;
  });
}

/** How many experts a layer has, and how many of them a token chooses. @throws OctoformerError INVALID_CHECKPOINT */
export function expertCounts(config: ModelConfig): { readonly experts: number; readonly chosen: number } {
  const experts = config.integer('num_experts', { most: maxExperts });
  const chosen = config.integer('num_experts_per_tok');
  if (chosen > experts) throw config.wrong('num_experts_per_tok', chosen, `at most the number of experts (${experts})`);
  return { experts, chosen };
}

/**
 * Which layers have experts, where others have one network: every `decoder_sparse_step`-th, but for those that `mlp_only_layers`
 * names; none where `num_experts` is 0.
 */
export function layersWithExperts(config: ModelConfig, layers: number): readonly boolean[] {
  const step = config.integer('decoder_sparse_step', { most: maxLayers, otherwise: 1 });
  const dense = config.list('mlp_only_layers', 0, isLayerNumber, 'the number of a layer') ?? [];
  const any = config.integer('num_experts', { least: 0, most: maxExperts }) > 0;
  return Array.from({ length: layers }, (_, layer) => any && (layer + 1) % step === 0 && !dense.includes(layer));
}

function isLayerNumber(value: unknown): value is number {
  return Number.isInteger(value);
}

/** `sliding_window`, where the configuration has one. */
export function slidingWindow(config: ModelConfig): number | undefined {
  return config.get('sliding_window') === undefined
    ? undefined
    : config.integer('sliding_window', { most: maxPositions });
}

function isLayerType(value: unknown): value is 'full_attention' | 'sliding_attention' {
  return value === 'full_attention' || value === 'sliding_attention';
}
