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
  /** Parts of a layer that files call otherwise than Llama's. */
  readonly names?: Readonly<Record<string, string>>;
  /** Keys of config.json that other families don't have. */
  readonly config?: (metadata: Metadata, hasTensor: (name: string) => boolean) => ConfigValues;
}

const normsAfter = {
  post_attention_layernorm: 'post_attention_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
} as const;

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
  exaone4: { model_type: 'exaone4', permuted: false, names: normsAfter, config: windows },
  olmo2: { model_type: 'olmo2', permuted: false, names: normsAfter },
};

/** A `llama` with experts. */
const mixtral: GgufFamily = { model_type: 'mixtral', permuted: true, experts: mixtralExperts };

/** An `olmo2` with windows. */
const olmo3: GgufFamily = { model_type: 'olmo3', permuted: false, names: normsAfter, config: windows };

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

/** Which layers have windows; where the file does not tell, the family's own rule does. */
function windows(metadata: Metadata): ConfigValues {
  const sliding_window = metadata('attention.sliding_window') ?? null;
  const pattern = metadata('attention.sliding_window_pattern');
  if (!Array.isArray(pattern)) return { sliding_window };
  return { sliding_window, layer_types: pattern.map((slides) => (slides ? 'sliding_attention' : 'full_attention')) };
}
