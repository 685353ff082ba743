import { OctoformerError } from '../binding/error';
import type { NativeCheckpoint } from '../binding/native';
import type { NameRule, TensorPlace } from '../graph/tensor_table';
import { type ConfigValues, ModelConfig } from './config';
import { expertConfig, expertPlaces } from './gguf_experts';
import { type GgufFamily, ggufArchitectures, ggufFamily } from './gguf_families';

/**
 * What GGUF calls the parts of a decoder (ggml's `gguf-py/gguf/tensor_mapping.py`), by the end of Hugging Face's module paths.
 * Layers are `blk.I` for `model.layers.I`.
 */
const layerNames: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.qkv_proj': 'attn_qkv',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.gate_up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

const modelNames: Readonly<Record<string, string>> = {
  embed_tokens: 'token_embd',
  norm: 'output_norm',
  lm_head: 'output',
};

/** A module's path: the base model's name, the layer, the module within that; then the part. */
const paths = /^(?:(?:model|transformer|gpt_neox)\.)?(?:(?:layers|h)\.(\d+)\.)?(.+)\.(weight|bias)$/;

/** A GGUF file's configuration in the form of a config.json, and its tensors' names. */
export interface GgufModel {
  readonly config: ConfigValues;
  readonly names: NameRule;
}

/**
 * Reads the configuration out of a GGUF file's metadata.
 * @throws OctoformerError UNSUPPORTED_ARCHITECTURE, INVALID_CHECKPOINT naming file and key
 */
export function readGguf(checkpoint: NativeCheckpoint, file: string): GgufModel {
  const metadata = new ModelConfig(checkpoint.metadata, file);
  const architecture = metadata.string('general.architecture');
  const family = ggufFamily(architecture, (name) => metadata.get(`${architecture}.${name}`));
  if (!family) {
    throw new OctoformerError(
      'UNSUPPORTED_ARCHITECTURE',
      `${file}: GGUF architecture '${architecture}' is not implemented; there are ${ggufArchitectures.join(', ')}`,
    );
  }
  const config = configuration(checkpoint, metadata, architecture, family);
  return { config, names: nameRule(family, new ModelConfig(config, file)) };
}

function configuration(
  checkpoint: NativeCheckpoint,
  metadata: ModelConfig,
  architecture: string,
  family: GgufFamily,
): ConfigValues {
  const key = (name: string) => `${architecture}.${name}`;
  const optional = (name: string) => metadata.get(key(name));
  const tensors = new Map(checkpoint.tensors.map((tensor) => [tensor.name, tensor]));
  const hasTensor = (name: string) => tensors.has(name);
  const refusal = family.refusal?.(optional, hasTensor);
  if (refusal) throw new OctoformerError('UNSUPPORTED_ARCHITECTURE', `${metadata.file}: ${refusal}`);
  const hidden_size = metadata.integer(key('embedding_length'));
  const num_attention_heads = metadata.integer(key('attention.head_count'));
  const head_dim = optional('attention.key_length') ?? hidden_size / num_attention_heads;
  const biased = tensors.has('blk.0.attn_q.bias');
  const window = optional('attention.sliding_window');
  const values: Record<string, unknown> = {
    model_type: family.model_type,
    vocab_size: tensors.get('token_embd.weight')?.shape[0] ?? optional('vocab_size'),
    hidden_size,
    intermediate_size: metadata.integer(key('feed_forward_length')),
    num_hidden_layers: metadata.integer(key('block_count')),
    num_attention_heads,
    num_key_value_heads: sameInAllLayers(optional('attention.head_count_kv')) ?? num_attention_heads,
    head_dim,
    max_position_embeddings: metadata.integer(key('context_length'), { most: 2 ** 31 - 1 }),
    ...epsilon(family, metadata, key),
    hidden_act: 'silu',
    tie_word_embeddings: !tensors.has('output.weight'),
    ...(biased ? { attention_bias: true } : {}),
    ...(tensors.has('blk.0.ffn_up.bias') ? { mlp_bias: true } : {}),
    ...(window ? { sliding_window: window } : {}),
    ...rope(checkpoint, metadata, key, { head_dim, hasFrequencyFactors: tensors.has('rope_freqs.weight') }),
    ...(family.experts ? expertConfig(family.experts, metadata, key, tensors) : {}),
    ...tokenIds(metadata),
  };
  const own = family.config?.(optional, hasTensor, values) ?? {};
  return Object.fromEntries(Object.entries({ ...values, ...own }).filter(([, value]) => value !== undefined));
}

function epsilon(family: GgufFamily, metadata: ModelConfig, key: (name: string) => string): ConfigValues {
  if (family.epsilon === null) return {};
  return family.epsilon === undefined
    ? { rms_norm_eps: metadata.number(key('attention.layer_norm_rms_epsilon')) }
    : { [family.epsilon]: metadata.number(key('attention.layer_norm_epsilon')) };
}

/** A value that some converters write once a layer; where layers differ it stays a list, which the configuration refuses. */
function sameInAllLayers(value: unknown): unknown {
  return Array.isArray(value) && value.every((one) => one === value[0]) ? value[0] : value;
}

/** Ids that generation needs; a chat model's end of turn ends a sequence as well. */
function tokenIds(metadata: ModelConfig): ConfigValues {
  const id = (name: string) => metadata.get(`tokenizer.ggml.${name}_token_id`);
  const ends = [...new Set([id('eos'), id('eot')].filter((value) => typeof value === 'number'))];
  return {
    ...(id('bos') === undefined ? {} : { bos_token_id: id('bos') }),
    ...(id('padding') === undefined ? {} : { pad_token_id: id('padding') }),
    ...(ends.length === 0 ? {} : { eos_token_id: ends.length === 1 ? ends[0] : ends }),
  };
}

function rope(
  checkpoint: NativeCheckpoint,
  metadata: ModelConfig,
  key: (name: string) => string,
  { head_dim, hasFrequencyFactors }: { readonly head_dim: unknown; readonly hasFrequencyFactors: boolean },
): ConfigValues {
  const theta = metadata.number(key('rope.freq_base'), { least: 1, most: 1e15, otherwise: 10000 });
  const dimensions = metadata.get(key('rope.dimension_count'));
  const partial = typeof dimensions === 'number' && typeof head_dim === 'number' ? dimensions / head_dim : undefined;
  const shared = { rope_theta: theta, ...(partial ? { partial_rotary_factor: partial } : {}) };
  const original = metadata.get(key('rope.scaling.original_context_length'));
  const factors = (name: string) => Array.from(checkpoint.readRows(name, 0, 1));
  if (hasFrequencyFactors) {
    // Llama 3.1: the file has the divisor of every frequency already, as LongRoPE's factors are.
    const divisors = factors('rope_freqs.weight');
    return {
      rope_parameters: {
        ...shared,
        rope_type: 'longrope',
        short_factor: divisors,
        long_factor: divisors,
        attention_factor: 1,
      },
    };
  }
  if (checkpoint.tensors.some((tensor) => tensor.name === 'rope_factors_long.weight')) {
    return {
      ...(original === undefined ? {} : { original_max_position_embeddings: original }),
      rope_parameters: {
        ...shared,
        rope_type: 'longrope',
        short_factor: factors('rope_factors_short.weight'),
        long_factor: factors('rope_factors_long.weight'),
        ...(metadata.get(key('rope.scaling.attn_factor')) === undefined
          ? {}
          : { attention_factor: metadata.number(key('rope.scaling.attn_factor')) }),
      },
    };
  }
  const type = metadata.string(key('rope.scaling.type'), 'none');
  if (type === 'none') return { rope_parameters: { ...shared, rope_type: 'default' } };
  return {
    rope_parameters: {
      ...shared,
      rope_type: type,
      factor: metadata.number(key('rope.scaling.factor')),
      ...(original === undefined ? {} : { original_max_position_embeddings: original }),
    },
  };
}

function secondHalves({ secondHalves = {} }: GgufFamily, layer: string | undefined, known: string) {
  const second = Object.hasOwn(secondHalves, known) ? secondHalves[known] : undefined;
  return second === undefined ? {} : { secondHalves: `blk.${layer}.${second}.weight` };
}

/** Hugging Face's names (those of bare models lack the base model's) as the file has them; rows of q and k that the converter permuted are put back. */
function nameRule(family: GgufFamily, config: ModelConfig): NameRule {
  const permutation = (heads: number): Pick<TensorPlace, 'permute_rows'> => ({
    permute_rows: { dims: [heads, config.integer('head_dim') / 2, 2], axes: [0, 2, 1] },
  });
  const heads: Readonly<Record<string, number>> = family.permuted
    ? { attn_q: config.integer('num_attention_heads'), attn_k: config.integer('num_key_value_heads') }
    : {};
  return (name) => {
    const match = paths.exec(name);
    const [, layer, module = '', part] = match ?? [];
    if (layer !== undefined && family.experts) {
      const places = expertPlaces(family.experts, module, config);
      if (places.length > 0)
        return places.map((place) => ({ ...place, tensor: `blk.${layer}.${place.tensor}.${part}` }));
    }
    const names = { ...(layer === undefined ? modelNames : layerNames), ...family.names };
    const known = Object.hasOwn(names, module) ? names[module] : undefined;
    if (known === undefined) return [];
    const permuted = heads[known];
    return [
      {
        tensor: `${layer === undefined ? '' : `blk.${layer}.`}${known}.${part}`,
        ...(layer === undefined || permuted === undefined ? {} : permutation(permuted)),
        ...(family.addedToNorms && part === 'weight' && known.endsWith('norm') ? { added: family.addedToNorms } : {}),
        ...(family.asMultiplied ? { asMultiplied: true } : {}),
        ...secondHalves(family, layer, known),
      },
    ];
  };
}
