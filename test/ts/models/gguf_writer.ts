import type { GgufTensor, GgufValue } from '../gguf_file';
import type { StoredTensor } from '../random_checkpoint';
import { type Case, type Config, llamaNames } from './gguf_rules';

// Tensors and metadata of a file by the rules of its family.

/** Rows (or numbers of a bias) of each head: the first half and the second in turns. */
export function inTurns({ data, shape }: StoredTensor, heads: number): Float32Array {
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

/** All queries, then all keys, then all values, of groups that have some queries, a key and a value each. */
function byKind({ data, shape }: StoredTensor, groups: number, headDim: number): Float32Array {
  const [rows = 0, columns = 1] = shape;
  const each = rows / groups / headDim;
  const head = (group: number, index: number) => {
    const first = (group * each + index) * headDim * columns;
    return [...data.subarray(first, first + headDim * columns)];
  };
  const all = (from: number, to: number) =>
    Array.from({ length: groups }, (_, group) => group).flatMap((group) =>
      Array.from({ length: to - from }, (_, index) => head(group, from + index)).flat(),
    );
  return Float32Array.from([...all(0, each - 2), ...all(each - 2, each - 1), ...all(each - 1, each)]);
}

function turnedRound({ data, shape }: StoredTensor): Float32Array {
  const [rows = 0, columns = 0] = shape;
  return Float32Array.from(
    { length: data.length },
    (_, at) => data[(at % rows) * columns + Math.floor(at / rows)] ?? 0,
  );
}

/** The tensors of a file. */
export function ggufTensors(tensors: readonly StoredTensor[], one: Case, config: Config): GgufTensor[] {
  return tensors.flatMap((tensor) => ggufTensor(tensor, one, config));
}

function orderedRows(tensor: StoredTensor, one: Case, known: string, config: Config, heads?: number): Float32Array {
  if (heads) return inTurns(tensor, heads);
  if (one.turned?.test(tensor.name)) return turnedRound(tensor);
  if (known === 'attn_qkv' && one.groups) return byKind(tensor, one.groups(config), headDimOf(config));
  return tensor.data;
}

function headDimOf(config: Config): number {
  const { n_embd, n_head, hidden_size = n_embd ?? 0, num_attention_heads = n_head ?? 1, head_dim } = config;
  return head_dim ?? hidden_size / num_attention_heads;
}

/** A stack of gates and what they multiply as two stacks. */
function unstacked({ data, shape }: StoredTensor): readonly Float32Array[] {
  const [experts = 0, rows = 0, columns = 0] = shape;
  const half = (rows / 2) * columns;
  return [0, 1].map((index) => {
    const pieces = Array.from({ length: experts }, (_, expert) =>
      data.subarray((2 * expert + index) * half).subarray(0, half),
    );
    return Float32Array.from(pieces.flatMap((piece) => [...piece]));
  });
}

function ggufTensor(tensor: StoredTensor, one: Case, config: Config): GgufTensor[] {
  const { names, permuted, normsPlus1 } = one;
  const [, layer, module = '', part] =
    /^(?:(?:\w+\.)?(?:layers|h)\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(tensor.name) ?? [];
  const known = { ...llamaNames, ...names }[module];
  if (known === undefined) return [];
  const prefix = layer === undefined ? '' : `blk.${layer}.`;
  if (known.includes('+')) {
    const [experts = 0, rows = 0, columns = 0] = tensor.shape;
    return unstacked(tensor).map((data, index) => ({
      name: `${prefix}${known.split('+')[index]}.${part}`,
      shape: [experts, rows / 2, columns],
      data: new Uint8Array(data.buffer),
    }));
  }
  const heads = { attn_q: config.num_attention_heads, attn_k: config.num_key_value_heads }[known];
  const ordered = orderedRows(tensor, one, known, config, permuted ? heads : undefined);
  const data = normsPlus1 && tensor.name.endsWith('norm.weight') ? ordered.map((value) => value + 1) : ordered;
  const name = `${prefix}${known}.${part}`;
  const shape = one.turned?.test(tensor.name) ? [...tensor.shape].reverse() : tensor.shape;
  return [{ name, shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }];
}

function epsilon({ layerNorms, architecture }: Case, config: Config): Record<string, number> {
  const { rms_norm_eps, layer_norm_eps, layer_norm_epsilon, norm_epsilon } = config;
  if (layerNorms)
    return { 'attention.layer_norm_epsilon': layer_norm_eps ?? layer_norm_epsilon ?? norm_epsilon ?? 1e-5 };
  return { 'attention.layer_norm_rms_epsilon': rms_norm_eps ?? (architecture === 'seed_oss' ? 1e-6 : 1e-5) };
}

export function metadataOf(one: Case, config: Config): Record<string, GgufValue> {
  const headDim = headDimOf(config);
  const own = {
    context_length: config.max_position_embeddings ?? config.n_positions ?? 96,
    embedding_length: config.hidden_size ?? config.n_embd,
    feed_forward_length: config.intermediate_size ?? config.n_inner ?? config.ffn_hidden_size ?? 4 * config.hidden_size,
    block_count: config.num_hidden_layers ?? config.n_layer,
    'attention.head_count': config.num_attention_heads ?? config.n_head,
    'attention.head_count_kv': config.num_key_value_heads,
    'attention.key_length': headDim,
    ...epsilon(one, config),
    'rope.dimension_count': headDim,
    ...one.metadata?.(config),
  };
  const entries = Object.entries(own).flatMap(([key, value]) =>
    value === undefined ? [] : [[`${one.architecture}.${key}`, value] as const],
  );
  return { 'general.architecture': one.architecture, ...Object.fromEntries(entries) };
}
