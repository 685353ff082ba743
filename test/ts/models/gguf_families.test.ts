import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { AutoModelForCausalLM } from '../../../ts';
import { type GgufTensor, type GgufValue, ggufBytes } from '../gguf_file';
import { failures, sameBits } from '../goldens/comparison';
import type { StoredTensor } from '../random_checkpoint';
import { checkpointFolders, readGolden, readJson } from './golden_folder';
import { tensorsOf } from './stored_tensors';

const models = join(__dirname, '..', '..', 'fixtures', 'models');
const folders = new Map(checkpointFolders(models).map((folder) => [basename(folder), folder]));

interface Config {
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
}

// What Python's gguf 0.19.0 calls them (`gguf.get_tensor_name_map(architecture, layers).get_name(name)`).
const llamaNames: Readonly<Record<string, string>> = {
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
};
const headNorms = { 'self_attn.q_norm': 'attn_q_norm', 'self_attn.k_norm': 'attn_k_norm' };
const normsAfter = {
  ...headNorms,
  post_attention_layernorm: 'post_attention_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};

interface Case {
  readonly architecture: string;
  readonly names?: Readonly<Record<string, string>>;
  /** Rows of q and k lie as `LlamaModel` of llama.cpp's converter writes them. */
  readonly permuted?: boolean;
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

const cases: Readonly<Record<string, Case>> = {
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
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'octoformer-gguf-families-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Rows (or numbers of a bias) of each head: the first half and the second in turns. */
function inTurns({ data, shape }: StoredTensor, heads: number): Float32Array {
  const [rows = 0, columns = 1] = shape;
  const [each, half] = [rows / heads, rows / heads / 2];
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const within = row % each;
    const to = row - within + 2 * (within % half) + Math.floor(within / half);
    out.set(data.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return out;
}

function ggufTensor(tensor: StoredTensor, { names, permuted }: Case, config: Config): GgufTensor {
  const [, layer, module = '', part] = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(tensor.name) ?? [];
  const known = { ...llamaNames, ...names }[module];
  const heads = { attn_q: config.num_attention_heads, attn_k: config.num_key_value_heads }[known ?? ''];
  const data = heads && permuted ? inTurns(tensor, heads) : tensor.data;
  const name = `${layer === undefined ? '' : `blk.${layer}.`}${known}.${part}`;
  return { name, shape: tensor.shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

function metadataOf(one: Case, config: Config): Record<string, GgufValue> {
  const headDim = config.head_dim ?? config.hidden_size / config.num_attention_heads;
  const own = {
    context_length: config.max_position_embeddings,
    embedding_length: config.hidden_size,
    feed_forward_length: config.intermediate_size,
    block_count: config.num_hidden_layers,
    'attention.head_count': config.num_attention_heads,
    'attention.head_count_kv': config.num_key_value_heads,
    'attention.key_length': headDim,
    'attention.layer_norm_rms_epsilon': config.rms_norm_eps ?? (one.architecture === 'seed_oss' ? 1e-6 : 1e-5),
    'rope.dimension_count': headDim,
    ...one.metadata?.(config),
  };
  const entries = Object.entries(own).flatMap(([key, value]) =>
    value === undefined ? [] : [[`${one.architecture}.${key}`, value] as const],
  );
  return { 'general.architecture': one.architecture, ...Object.fromEntries(entries) };
}

it.each(Object.entries(cases))('%s gives the logits of its safetensors', async (name, one) => {
  const source = join(folder, name);
  cpSync(folders.get(name) ?? '', source, { recursive: true });
  const config = readJson<Config>(join(source, 'config.json'));
  writeFileSync(join(source, 'config.json'), JSON.stringify({ ...config, ...one.changes?.(config) }));
  const tensors = (await tensorsOf(source)).map((tensor) => ggufTensor(tensor, one, config));
  const file = join(folder, `${name}.gguf`);
  writeFileSync(file, ggufBytes(metadataOf(one, config), tensors));
  const input_ids = [[...readGolden(source).single.input_ids]];
  const logits = async (from: string) => {
    await using model = await AutoModelForCausalLM.from_pretrained(from, { dtype: 'float32' });
    return (await model.forward({ input_ids })).logits[0]?.data;
  };
  const [found, expected] = [await logits(file), await logits(source)];
  expect(failures([sameBits('logits', found, expected)])).toEqual([]);
});
