import type { ConfigValues } from './config';
import { type ExpertNames, gatedExperts, mixtralExperts } from './gguf_experts';

/** A value of the file's metadata under the architecture's name, such as `attention.scale` of `granite.attention.scale`. */
type Metadata = (name: string) => unknown;

/** What is particular to the GGUF files of a family, as llama.cpp's converter (`conversion/*.py`) writes them. */
export interface GgufFamily {
  readonly model_type: string;
  /** The converter reordered the rows of q and k so that neighbouring pairs rotate (its `LlamaModel.permute`); this must be undone. */
  readonly permuted: boolean;
  /** What Hugging Face's modules call a layer's experts, where the family has them. */
  readonly experts?: ExpertNames;
  /** Modules that Llama has not, or that files call otherwise than Llama's. */
  readonly names?: Readonly<Record<string, string>>;
  /** What config.json calls the epsilon of layer norms, in families that have these for RMS norms; null: it is one and the same. */
  readonly epsilon?: string | null;
  /** What the converter added to the weights of norms. */
  readonly addedToNorms?: number;
  /** `TensorPlace.secondHalves`, by the tensor of the first. */
  readonly secondHalves?: Readonly<Record<string, string>>;
  /** `TensorPlace.asMultiplied` of all tensors. */
  readonly asMultiplied?: boolean;
  /** Why a file of the architecture is one that can't be opened; undefined where it can. */
  readonly refusal?: (metadata: Metadata, hasTensor: (name: string) => boolean) => string | undefined;
  /**
   * Keys of config.json that other families don't have, or that have other values than Llama's (`values`). A key that is undefined is left
   * out.
   */
  readonly config?: (metadata: Metadata, hasTensor: (name: string) => boolean, values: ConfigValues) => ConfigValues;
}

const normsAfter = {
  post_attention_layernorm: 'post_attention_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
} as const;

const normsAround = { ...normsAfter, pre_feedforward_layernorm: 'ffn_norm' } as const;

/** What families have no use for that don't turn queries and keys. */
const unrotated = {
  head_dim: undefined,
  rope_parameters: undefined,
  num_key_value_heads: undefined,
  intermediate_size: undefined,
  hidden_act: undefined,
} as const;

/** The modules of BLOOM and what took its names over. */
function fusedNames(attention: string): Readonly<Record<string, string>> {
  return {
    [`${attention}.query_key_value`]: 'attn_qkv',
    [`${attention}.dense`]: 'attn_output',
    'mlp.dense_h_to_4h': 'ffn_up',
    'mlp.dense_4h_to_h': 'ffn_down',
  };
}

const hasBias = (hasTensor: (name: string) => boolean, part: string) => hasTensor(`blk.0.${part}.bias`);

/** By `general.architecture`. Mistral's files say `llama`. */
const families: Readonly<Record<string, GgufFamily>> = {
  llama: { model_type: 'llama', permuted: true },
  qwen2: { model_type: 'qwen2', permuted: false },
  qwen3: { model_type: 'qwen3', permuted: false },
  phi3: { model_type: 'phi3', permuted: false },
  smollm3: { model_type: 'smollm3', permuted: true },
  qwen2moe: { model_type: 'qwen2_moe', permuted: false, experts: { ...gatedExperts, normalized: false } },
  qwen3moe: { model_type: 'qwen3_moe', permuted: false, experts: { ...gatedExperts, normalized: true } },
  arcee: { model_type: 'arcee', permuted: true, config: () => ({ hidden_act: 'relu2' }) },
  granite: { model_type: 'granite', permuted: true, config: graniteFactors },
  granitemoe: {
    model_type: 'granitemoe',
    permuted: true,
    names: {
      'block_sparse_moe.router.layer': 'ffn_gate_inp',
      'block_sparse_moe.input_linear': 'ffn_gate_exps',
      'block_sparse_moe.output_linear': 'ffn_down_exps',
    },
    secondHalves: { ffn_gate_exps: 'ffn_up_exps' },
    refusal: (metadata) =>
      metadata('expert_shared_feed_forward_length')
        ? 'an expert that all tokens share (expert_shared_feed_forward_length) is not implemented for this architecture'
        : undefined,
    config: (metadata) => ({
      ...graniteFactors(metadata),
      num_local_experts: metadata('expert_count'),
      num_experts_per_tok: metadata('expert_used_count'),
    }),
  },
  // Neighbouring pairs rotate in ERNIE itself.
  ernie4_5: {
    model_type: 'ernie4_5',
    permuted: false,
    config: (_, hasTensor) => ({ use_bias: hasBias(hasTensor, 'attn_q') }),
  },
  seed_oss: {
    model_type: 'seed_oss',
    permuted: false,
    names: { post_attention_layernorm: normsAfter.post_attention_layernorm },
    config: (_, hasTensor) => ({
      attention_bias: hasBias(hasTensor, 'attn_q'),
      attention_out_bias: hasBias(hasTensor, 'attn_output'),
    }),
  },
  // The base of the rotation is already scaled by alpha.
  'hunyuan-dense': {
    model_type: 'hunyuan_v1_dense',
    permuted: false,
    names: { 'self_attn.query_layernorm': 'attn_q_norm', 'self_attn.key_layernorm': 'attn_k_norm' },
  },
  exaone4: { model_type: 'exaone4', permuted: false, names: normsAfter, config: (metadata) => windows(metadata) },
  olmo2: { model_type: 'olmo2', permuted: false, names: normsAfter },
  gemma: { model_type: 'gemma', permuted: false, addedToNorms: 1, config: () => ({ hidden_act: 'gelu_pytorch_tanh' }) },
  gemma2: {
    model_type: 'gemma2',
    permuted: false,
    addedToNorms: 1,
    names: normsAround,
    config: (metadata, _, values) => ({
      ...gemmaAttention(46, values),
      ...windows(metadata, 2),
      attn_logit_softcapping: metadata('attn_logit_softcapping'),
      final_logit_softcapping: metadata('final_logit_softcapping'),
    }),
  },
  gemma3: {
    model_type: 'gemma3_text',
    permuted: false,
    addedToNorms: 1,
    names: normsAround,
    config: (metadata, _, values) => ({
      ...gemmaAttention(62, values),
      ...windows(metadata, 6),
      final_logit_softcapping: metadata('final_logit_softcapping') ?? null,
      rope_parameters: {
        full_attention: values.rope_parameters,
        sliding_attention: { rope_type: 'default', rope_theta: metadata('rope.freq_base_swa') ?? 10_000 },
      },
    }),
  },
  glm4: {
    model_type: 'glm4',
    permuted: false,
    names: {
      post_self_attn_layernorm: normsAfter.post_attention_layernorm,
      post_mlp_layernorm: normsAfter.post_feedforward_layernorm,
    },
    refusal: (metadata) =>
      metadata('rope.dimension_sections')
        ? 'positions of images (rope.dimension_sections) are not implemented'
        : undefined,
    config: (_, hasTensor) => ({ attention_bias: hasBias(hasTensor, 'attn_q') }),
  },
  'command-r': {
    model_type: 'cohere',
    permuted: false,
    epsilon: 'layer_norm_eps',
    config: (metadata, hasTensor) => ({
      logit_scale: metadata('logit_scale'),
      use_qk_norm: hasTensor('blk.0.attn_q_norm.weight'),
    }),
  },
  cohere2: {
    model_type: 'cohere2',
    permuted: false,
    epsilon: 'layer_norm_eps',
    config: (metadata) => ({ logit_scale: metadata('logit_scale'), ...windows(metadata, 4) }),
  },
  // Its window is not in the files, and llama.cpp computes without one.
  starcoder2: {
    model_type: 'starcoder2',
    permuted: false,
    epsilon: 'norm_epsilon',
    names: { 'mlp.c_fc': 'ffn_up', 'mlp.c_proj': 'ffn_down' },
    config: (_, hasTensor) => ({ hidden_act: 'gelu_pytorch_tanh', use_bias: hasBias(hasTensor, 'attn_q') }),
  },
  phi2: {
    model_type: 'phi',
    permuted: false,
    epsilon: 'layer_norm_eps',
    names: {
      final_layernorm: 'output_norm',
      'self_attn.dense': 'attn_output',
      'mlp.fc1': 'ffn_up',
      'mlp.fc2': 'ffn_down',
    },
    config: () => ({ hidden_act: 'gelu_new' }),
  },
  stablelm: {
    model_type: 'stablelm',
    permuted: false,
    epsilon: 'layer_norm_eps',
    refusal: (_, hasTensor) =>
      hasTensor('blk.0.attn_q_norm.weight')
        ? "stacked norms of heads (attn_q_norm, StableLM 2 12B) are not implemented; use the model's safetensors checkpoint"
        : undefined,
    config: (_, hasTensor) => ({
      use_qkv_bias: hasBias(hasTensor, 'attn_q'),
      use_parallel_residual: !hasTensor('blk.0.ffn_norm.weight'),
    }),
  },
  nemotron: {
    model_type: 'nemotron',
    permuted: false,
    epsilon: 'norm_eps',
    addedToNorms: 1,
    config: () => ({ hidden_act: 'relu2' }),
  },
  olmo: {
    model_type: 'olmo',
    permuted: true,
    epsilon: null,
    config: (metadata) => ({ clip_qkv: metadata('attention.clamp_kqv') }),
  },
  gpt2: {
    model_type: 'gpt2',
    permuted: false,
    epsilon: 'layer_norm_epsilon',
    asMultiplied: true,
    names: {
      wte: 'token_embd',
      wpe: 'position_embd',
      ln_f: 'output_norm',
      ln_1: 'attn_norm',
      'attn.c_attn': 'attn_qkv',
      'attn.c_proj': 'attn_output',
      ln_2: 'ffn_norm',
      'mlp.c_fc': 'ffn_up',
      'mlp.c_proj': 'ffn_down',
    },
    config: (_, _has, { intermediate_size }) => ({
      ...unrotated,
      activation_function: 'gelu_new',
      n_inner: intermediate_size,
    }),
  },
  gptneox: {
    model_type: 'gpt_neox',
    permuted: false,
    epsilon: 'layer_norm_eps',
    asMultiplied: true,
    names: {
      ...fusedNames('attention'),
      embed_in: 'token_embd',
      embed_out: 'output',
      final_layer_norm: 'output_norm',
      input_layernorm: 'attn_norm',
      post_attention_layernorm: 'ffn_norm',
    },
    config: (metadata, hasTensor, { hidden_size, num_hidden_layers }) => ({
      // Pythia and what comes of it have the exact function, GPT-NeoX 20B an approximation; files don't say which.
      hidden_act: hidden_size === 6144 && num_hidden_layers === 44 ? 'gelu_fast' : 'gelu',
      attention_bias: hasBias(hasTensor, 'attn_qkv'),
      use_parallel_residual: metadata('use_parallel_residual') ?? true,
    }),
  },
  bloom: {
    model_type: 'bloom',
    permuted: false,
    epsilon: 'layer_norm_epsilon',
    asMultiplied: true,
    names: {
      ...fusedNames('self_attention'),
      word_embeddings: 'token_embd',
      word_embeddings_layernorm: 'token_embd_norm',
      ln_f: 'output_norm',
      input_layernorm: 'attn_norm',
      post_attention_layernorm: 'ffn_norm',
    },
    config: () => unrotated,
  },
  // Models of bare rotary positions, those of llama.cpp: it has no ALiBi for the first (RW).
  falcon: {
    model_type: 'falcon',
    permuted: false,
    epsilon: 'layer_norm_epsilon',
    asMultiplied: true,
    names: {
      ...fusedNames('self_attention'),
      word_embeddings: 'token_embd',
      ln_f: 'output_norm',
      input_layernorm: 'attn_norm',
      ln_mlp: 'attn_norm',
      ln_attn: 'attn_norm_2',
    },
    refusal: (metadata, hasTensor) =>
      metadata('attention.head_count_kv') !== 1 && !hasTensor('blk.0.attn_norm_2.weight') && !metadata('rope.freq_base')
        ? "the base of its rotations (rope.freq_base) is not in the file, and Falcon 2 has one of its own; use the model's safetensors checkpoint"
        : undefined,
    config: (_, hasTensor, { num_key_value_heads, intermediate_size }) => {
      const norms = hasTensor('blk.0.attn_norm_2.weight') ? 2 : 1;
      return {
        head_dim: undefined,
        num_key_value_heads: undefined,
        intermediate_size: undefined,
        hidden_act: undefined,
        activation: 'gelu',
        ffn_hidden_size: intermediate_size,
        num_kv_heads: num_key_value_heads,
        num_ln_in_parallel_attn: norms,
        new_decoder_architecture: norms === 2 || num_key_value_heads !== 1,
        multi_query: true,
        parallel_attn: true,
        bias: hasBias(hasTensor, 'attn_qkv'),
      };
    },
  },
};

/** A `llama` with experts. */
const mixtral: GgufFamily = { model_type: 'mixtral', permuted: true, experts: mixtralExperts };

/** An `olmo2` with windows. */
const olmo3: GgufFamily = {
  model_type: 'olmo3',
  permuted: false,
  names: normsAfter,
  config: (metadata) => windows(metadata),
};

export const ggufArchitectures: readonly string[] = Object.keys(families);

/** The family of a file, which may differ from others of its architecture by what its metadata says. */
export function ggufFamily(architecture: string, metadata: Metadata): GgufFamily | undefined {
  if (architecture === 'llama' && metadata('expert_count')) return mixtral;
  if (architecture === 'olmo2' && metadata('attention.sliding_window')) return olmo3;
  return Object.hasOwn(families, architecture) ? families[architecture] : undefined;
}

function graniteFactors(metadata: Metadata): ConfigValues {
  const factors = {
    attention_multiplier: metadata('attention.scale'),
    embedding_multiplier: metadata('embedding_scale'),
    residual_multiplier: metadata('residual_scale'),
    logits_scaling: metadata('logit_scale'),
  };
  return Object.fromEntries(Object.entries(factors).filter(([, value]) => value !== undefined));
}

/** What Gemma 2 and 3 divide scores by the root of: the length of heads, but for the 27B, which files tell by their layers only. */
function gemmaAttention(layersOf27B: number, values: ConfigValues): ConfigValues {
  const { num_hidden_layers, hidden_size, num_attention_heads, head_dim } = values;
  const isLargest = num_hidden_layers === layersOf27B;
  return {
    hidden_act: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: isLargest ? Math.floor(Number(hidden_size) / Number(num_attention_heads)) : head_dim,
  };
}

/**
 * Which layers have windows. Where the file does not tell, all but each `period`-th have, or the family's own rule says.
 */
function windows(metadata: Metadata, period?: number): ConfigValues {
  const sliding_window = metadata('attention.sliding_window') || null;
  const pattern = metadata('attention.sliding_window_pattern') ?? period;
  const slides = Array.isArray(pattern)
    ? pattern.map(Boolean)
    : Array.from(
        { length: pattern ? Number(metadata('block_count')) : 0 },
        (_, layer) => (layer + 1) % Number(pattern) !== 0,
      );
  if (slides.length === 0 || sliding_window === null) return { sliding_window };
  return { sliding_window, layer_types: slides.map((one) => (one ? 'sliding_attention' : 'full_attention')) };
}
