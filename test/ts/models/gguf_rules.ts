import type { GgufValue } from '../gguf_file';

// How llama.cpp's converter writes tiny checkpoints of each family.

export interface Config {
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly hidden_size: number;
  readonly head_dim?: number | null;
  readonly intermediate_size: number;
  readonly max_position_embeddings: number;
  readonly rms_norm_eps?: number;
  readonly attention_multiplier?: number;
  readonly embedding_multiplier?: number;
  readonly residual_multiplier?: number;
  readonly logits_scaling?: number;
  readonly sliding_window?: number | null;
  readonly layer_norm_eps?: number;
  readonly n_embd?: number;
  readonly n_head?: number;
  readonly n_inner?: number;
  readonly n_layer?: number;
  readonly n_positions?: number;
  readonly num_kv_heads?: number;
  readonly ffn_hidden_size?: number;
  readonly layer_norm_epsilon?: number;
  readonly norm_epsilon?: number;
  readonly logit_scale?: number;
  readonly attn_logit_softcapping?: number;
  readonly final_logit_softcapping?: number | null;
}

// What Python's gguf 0.19.0 calls them (`gguf.get_tensor_name_map(architecture, layers).get_name(name)`).
export const llamaNames: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  'mlp.gate_up_proj': 'ffn_up',
};
const headNorms = { 'self_attn.q_norm': 'attn_q_norm', 'self_attn.k_norm': 'attn_k_norm' };
function blockNames(attention: string): Readonly<Record<string, string>> {
  return {
    [`${attention}.query_key_value`]: 'attn_qkv',
    [`${attention}.dense`]: 'attn_output',
    'mlp.dense_h_to_4h': 'ffn_up',
    'mlp.dense_4h_to_h': 'ffn_down',
  };
}

const normsAround = {
  ...headNorms,
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};
const normsAfter = {
  ...headNorms,
  post_attention_layernorm: 'post_attention_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};

export interface Case {
  readonly architecture: string;
  readonly names?: Readonly<Record<string, string>>;
  /** Rows of q and k lie as `LlamaModel` of llama.cpp's converter writes them. */
  readonly permuted?: boolean;
  /** The converter adds 1 to weights of norms. */
  readonly normsPlus1?: boolean;
  /** Matrices that files have the other way round. */
  readonly turned?: RegExp;
  /** In how many groups of queries, a key and a value the rows of `attn_qkv` lie in a checkpoint; in files all of a kind are together. */
  readonly groups?: (config: Config) => number;
  /** Norms are layer norms. */
  readonly layerNorms?: boolean;
  readonly metadata?: (config: Config) => Readonly<Record<string, GgufValue | undefined>>;
  /** What config.json says otherwise, since files can't. */
  readonly changes?: (config: Config) => object;
}

const yarn = {
  'rope.freq_base': 500_000,
  'rope.scaling.type': 'yarn',
  'rope.scaling.factor': 4,
  'rope.scaling.original_context_length': 24,
};

export const cases: Readonly<Record<string, Case>> = {
  granite: {
    architecture: 'granite',
    permuted: true,
    metadata: (config) => ({
      'attention.scale': config.attention_multiplier,
      embedding_scale: config.embedding_multiplier,
      residual_scale: config.residual_multiplier,
      logit_scale: config.logits_scaling,
    }),
    // Metadata are float32.
    changes: ({ attention_multiplier = 0, residual_multiplier = 0, logits_scaling = 0 }) => ({
      attention_multiplier: Math.fround(attention_multiplier),
      residual_multiplier: Math.fround(residual_multiplier),
      logits_scaling: Math.fround(logits_scaling),
    }),
  },
  granitemoe: {
    architecture: 'granitemoe',
    names: {
      'block_sparse_moe.router.layer': 'ffn_gate_inp',
      'block_sparse_moe.input_linear': 'ffn_gate_exps+ffn_up_exps',
      'block_sparse_moe.output_linear': 'ffn_down_exps',
    },
    permuted: true,
    metadata: (config) => ({
      expert_count: 5,
      expert_used_count: 2,
      'attention.scale': config.attention_multiplier,
      embedding_scale: config.embedding_multiplier,
      residual_scale: config.residual_multiplier,
      logit_scale: config.logits_scaling,
    }),
    // Metadata are float32.
    changes: ({ attention_multiplier = 0, residual_multiplier = 0, logits_scaling = 0 }) => ({
      attention_multiplier: Math.fround(attention_multiplier),
      residual_multiplier: Math.fround(residual_multiplier),
      logits_scaling: Math.fround(logits_scaling),
    }),
  },
  arcee: { architecture: 'arcee', permuted: true },
  ernie4_5: { architecture: 'ernie4_5', metadata: () => ({ 'rope.freq_base': 500_000 }) },
  seed_oss: { architecture: 'seed_oss', names: { post_attention_layernorm: 'post_attention_norm' } },
  hunyuan_v1_dense: {
    architecture: 'hunyuan-dense',
    names: { 'self_attn.query_layernorm': 'attn_q_norm', 'self_attn.key_layernorm': 'attn_k_norm' },
    metadata: () => ({
      'rope.freq_base': 10_000 * 50 ** (8 / 6),
      'rope.scaling.type': 'none',
      'rope.scaling.factor': 1,
    }),
  },
  olmo2: { architecture: 'olmo2', names: normsAfter, metadata: () => ({ 'rope.freq_base': 500_000 }) },
  olmo3: {
    architecture: 'olmo2',
    names: normsAfter,
    metadata: () => ({
      ...yarn,
      'attention.sliding_window': 5,
      'attention.sliding_window_pattern': [true, true, true, false],
    }),
    // Without a factor of its own for cosines and sines.
    changes: () => ({
      rope_parameters: {
        sliding_attention: { rope_type: 'default', rope_theta: 500_000 },
        full_attention: { rope_type: 'yarn', rope_theta: 500_000, factor: 4, original_max_position_embeddings: 24 },
      },
    }),
  },
  exaone4: {
    architecture: 'exaone4',
    names: normsAfter,
    metadata: () => ({ 'attention.sliding_window': 5, 'attention.sliding_window_pattern': [true, false, true] }),
  },
  'exaone4-full': { architecture: 'exaone4', names: normsAfter },
  gemma: { architecture: 'gemma', normsPlus1: true },
  gemma2: {
    architecture: 'gemma2',
    names: normsAround,
    normsPlus1: true,
    metadata: (config) => ({
      'attention.sliding_window': config.sliding_window ?? undefined,
      attn_logit_softcapping: config.attn_logit_softcapping,
      final_logit_softcapping: config.final_logit_softcapping ?? undefined,
    }),
    // Files say nothing of it: the reader knows it of the published models.
    changes: ({ head_dim }) => ({ query_pre_attn_scalar: head_dim }),
  },
  gemma3: {
    architecture: 'gemma3',
    names: normsAround,
    normsPlus1: true,
    metadata: () => ({
      'attention.sliding_window': 6,
      'rope.freq_base': 1e6,
      'rope.scaling.type': 'linear',
      'rope.scaling.factor': 4,
      'attention.sliding_window_pattern': [true, false],
    }),
    changes: ({ head_dim }) => ({ query_pre_attn_scalar: head_dim }),
  },
  glm4: {
    architecture: 'glm4',
    names: { post_self_attn_layernorm: 'post_attention_norm', post_mlp_layernorm: 'post_ffw_norm' },
    metadata: () => ({ 'rope.dimension_count': 6, 'attention.layer_norm_rms_epsilon': 1.5625e-7 }),
  },
  cohere: {
    architecture: 'command-r',
    names: headNorms,
    layerNorms: true,
    metadata: (config) => ({ logit_scale: config.logit_scale, 'rope.scaling.type': 'none' }),
    changes: ({ logit_scale = 0 }) => ({ logit_scale: Math.fround(logit_scale) }),
  },
  cohere2: {
    architecture: 'cohere2',
    layerNorms: true,
    metadata: (config) => ({
      logit_scale: config.logit_scale,
      'attention.sliding_window': 5,
      'rope.freq_base': 50_000,
      'rope.scaling.type': 'none',
    }),
    changes: ({ logit_scale = 0 }) => ({ logit_scale: Math.fround(logit_scale) }),
  },
  starcoder2: {
    architecture: 'starcoder2',
    names: { 'mlp.c_fc': 'ffn_up', 'mlp.c_proj': 'ffn_down' },
    layerNorms: true,
    changes: () => ({ sliding_window: null }),
  },
  phi: {
    architecture: 'phi2',
    names: {
      'model.final_layernorm': 'output_norm',
      'self_attn.dense': 'attn_output',
      'mlp.fc1': 'ffn_up',
      'mlp.fc2': 'ffn_down',
    },
    layerNorms: true,
    metadata: () => ({ 'rope.dimension_count': 4 }),
    // The converter knows no norms of heads.
    changes: () => ({ qk_layernorm: false }),
  },
  stablelm: { architecture: 'stablelm', layerNorms: true, metadata: () => ({ 'rope.dimension_count': 2 }) },
  'stablelm-parallel': {
    architecture: 'stablelm',
    layerNorms: true,
    metadata: () => ({ 'rope.dimension_count': 4 }),
    changes: () => ({ qk_layernorm: false }),
  },
  nemotron: {
    architecture: 'nemotron',
    normsPlus1: true,
    layerNorms: true,
    metadata: () => ({ 'rope.dimension_count': 4, 'rope.scaling.type': 'none' }),
  },
  olmo: { architecture: 'olmo', permuted: true, layerNorms: true },
  gpt2: {
    architecture: 'gpt2',
    names: {
      wte: 'token_embd',
      wpe: 'position_embd',
      ln_f: 'output_norm',
      ln_1: 'attn_norm',
      ln_2: 'ffn_norm',
      'attn.c_attn': 'attn_qkv',
      'attn.c_proj': 'attn_output',
      'mlp.c_fc': 'ffn_up',
      'mlp.c_proj': 'ffn_down',
    },
    turned: /c_(attn|proj|fc)\.weight$/,
    layerNorms: true,
    changes: () => ({ scale_attn_by_inverse_layer_idx: false }),
  },
  gpt_neox: {
    architecture: 'gptneox',
    names: {
      ...blockNames('attention'),
      'gpt_neox.embed_in': 'token_embd',
      'gpt_neox.final_layer_norm': 'output_norm',
    },
    layerNorms: true,
    groups: (config) => config.num_attention_heads,
    metadata: () => ({ 'rope.dimension_count': 6, 'rope.freq_base': 20_000, use_parallel_residual: false }),
  },
  bloom: {
    architecture: 'bloom',
    names: {
      ...blockNames('self_attention'),
      'transformer.word_embeddings': 'token_embd',
      'transformer.word_embeddings_layernorm': 'token_embd_norm',
      'transformer.ln_f': 'output_norm',
    },
    layerNorms: true,
    groups: (config) => config.n_head ?? 0,
    changes: () => ({ apply_residual_connection_post_layernorm: false }),
  },
  falcon: {
    architecture: 'falcon',
    names: {
      ...blockNames('self_attention'),
      'transformer.word_embeddings': 'token_embd',
      'transformer.ln_f': 'output_norm',
      ln_mlp: 'attn_norm',
      ln_attn: 'attn_norm_2',
    },
    layerNorms: true,
    groups: (config) => config.num_kv_heads ?? 0,
    metadata: (config) => ({ 'attention.head_count_kv': config.num_kv_heads }),
  },
  'falcon-one': {
    architecture: 'falcon',
    names: {
      ...blockNames('self_attention'),
      'transformer.word_embeddings': 'token_embd',
      'transformer.ln_f': 'output_norm',
    },
    layerNorms: true,
    groups: () => 1,
    metadata: () => ({ 'attention.head_count_kv': 1 }),
  },
};
