import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForCausalLM } from '../../../ts';
import { rejection } from '../failure';
import { type GgufTensor, ggufBytes } from '../gguf_file';
import type { StoredTensor } from '../random_checkpoint';
import { readSafetensors } from '../safetensors';
import { llamaNames } from './gguf_rules';
import { inTurns } from './gguf_writer';
import { readJson } from './golden_folder';
import { tensorsOf } from './stored_tensors';

const models = join(__dirname, '..', '..', 'fixtures', 'models');
const architectures = { mixtral: 'llama', qwen2_moe: 'qwen2moe', qwen3_moe: 'qwen3moe' } as const;
type Name = keyof typeof architectures;

/** How llama.cpp's converter of today stacks experts, or how that of 2023 wrote each by itself. */
type Layout = 'stacked' | 'separate';

interface Config {
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly hidden_size: number;
  readonly head_dim?: number | null;
  readonly intermediate_size: number;
  readonly num_experts?: number;
  readonly num_local_experts?: number;
  readonly num_experts_per_tok: number;
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly sliding_window?: number | null;
  readonly rope_parameters: { readonly rope_theta: number };
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'octoformer-gguf-experts-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const configOf = (name: Name) => readJson<Config>(join(models, name, 'config.json'));

/** The fixture as a folder, without the sliding windows of Qwen, of which its GGUF files know nothing. */
function withoutWindows(name: Name): string {
  const copy = join(folder, name);
  cpSync(join(models, name), copy, { recursive: true });
  const { layer_types: _, ...config } = readJson<Record<string, unknown>>(join(copy, 'config.json'));
  const changed = name === 'mixtral' ? config : { ...config, use_sliding_window: false };
  writeFileSync(join(copy, 'config.json'), JSON.stringify(changed));
  return copy;
}

const partNames: Readonly<Record<string, string>> = {
  ...llamaNames,
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate': 'ffn_gate_inp',
  'block_sparse_moe.gate': 'ffn_gate_inp',
  'mlp.shared_expert_gate': 'ffn_gate_inp_shexp',
  'mlp.shared_expert.gate_proj': 'ffn_gate_shexp',
  'mlp.shared_expert.up_proj': 'ffn_up_shexp',
  'mlp.shared_expert.down_proj': 'ffn_down_shexp',
};
const matrixNames: Readonly<Record<string, string>> = {
  w1: 'ffn_gate',
  w2: 'ffn_down',
  w3: 'ffn_up',
  gate_proj: 'ffn_gate',
  down_proj: 'ffn_down',
  up_proj: 'ffn_up',
};
const wholeNames: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

/** Experts one by one: what a fixture with transformers' own stacks has in them, gates above what they gate. */
function separated(tensors: readonly StoredTensor[]): StoredTensor[] {
  return tensors.flatMap((tensor) => {
    const [, path, kind] = /^(.*\.experts)\.(gate_up_proj|down_proj)$/.exec(tensor.name) ?? [];
    if (path === undefined) return [tensor];
    const [experts = 0, rows = 0, columns = 0] = tensor.shape;
    const names = kind === 'down_proj' ? ['down_proj'] : ['gate_proj', 'up_proj'];
    const each = rows / names.length;
    return Array.from({ length: experts }, (_, expert) =>
      names.map((name, part) => {
        const first = (expert * rows + part * each) * columns;
        const data = tensor.data.slice(first, first + each * columns);
        return { name: `${path}.${expert}.${name}.weight`, shape: [each, columns], data };
      }),
    ).flat();
  });
}

function ggufTensors(name: Name, tensors: readonly StoredTensor[], layout: Layout): GgufTensor[] {
  const config = configOf(name);
  const stacks = new Map<string, StoredTensor[]>();
  const plain = separated(tensors).flatMap((tensor) => {
    const whole = wholeNames[tensor.name];
    if (whole) return [{ ...tensor, name: whole }];
    const [, layer, module = '', part] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(tensor.name) ?? [];
    const [, expert, matrix = ''] = /\.experts\.(\d+)\.(\w+)$/.exec(module) ?? [];
    if (expert !== undefined && layout === 'stacked') {
      const key = `blk.${layer}.${matrixNames[matrix]}_exps.weight`;
      stacks.set(key, [...(stacks.get(key) ?? []), tensor]);
      return [];
    }
    if (expert !== undefined) return [{ ...tensor, name: `blk.${layer}.${matrixNames[matrix]}.${expert}.weight` }];
    const known = partNames[module] ?? 'unknown';
    const heads = { attn_q: config.num_attention_heads, attn_k: config.num_key_value_heads }[known];
    const data = heads && name === 'mixtral' ? inTurns(tensor, heads) : tensor.data;
    const shape = tensor.shape.filter((size) => size !== 1);
    return [{ name: `blk.${layer}.${known}.${part}`, shape, data }];
  });
  const stacked = [...stacks].map(([key, entries]) => ({
    name: key,
    shape: [entries.length, ...(entries[0]?.shape ?? [])],
    data: Float32Array.from(entries.flatMap(({ data }) => [...data])),
  }));
  return [...plain, ...stacked].map(({ data, ...rest }) => ({
    ...rest,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }));
}

function metadataOf(name: Name): Record<string, string | number> {
  const config = configOf(name);
  const architecture = architectures[name];
  const { moe_intermediate_size, shared_expert_intermediate_size } = config as unknown as Record<string, number>;
  const values = {
    context_length: config.max_position_embeddings,
    embedding_length: config.hidden_size,
    feed_forward_length: config.intermediate_size,
    block_count: config.num_hidden_layers,
    'attention.head_count': config.num_attention_heads,
    'attention.head_count_kv': config.num_key_value_heads,
    'attention.key_length': config.head_dim ?? config.hidden_size / config.num_attention_heads,
    'attention.layer_norm_rms_epsilon': config.rms_norm_eps,
    'rope.freq_base': config.rope_parameters.rope_theta,
    expert_count: config.num_experts ?? config.num_local_experts ?? 0,
    expert_used_count: config.num_experts_per_tok,
    expert_feed_forward_length: name === 'mixtral' ? undefined : moe_intermediate_size,
    expert_shared_feed_forward_length: shared_expert_intermediate_size,
    'attention.sliding_window': name === 'mixtral' ? config.sliding_window : undefined,
  };
  const given = Object.entries(values).filter((pair): pair is [string, number] => typeof pair[1] === 'number');
  return {
    'general.architecture': architecture,
    ...Object.fromEntries(given.map(([key, value]) => [`${architecture}.${key}`, value])),
  };
}

async function writeGguf(
  name: Name,
  layout: Layout,
  change: (metadata: Record<string, string | number>, tensors: GgufTensor[]) => GgufTensor[] = (_, tensors) => tensors,
): Promise<string> {
  const file = join(folder, `${name}-${layout}.gguf`);
  const metadata = metadataOf(name);
  const tensors = change(metadata, ggufTensors(name, await tensorsOf(join(models, name)), layout));
  writeFileSync(file, ggufBytes(metadata, tensors));
  return file;
}

const input_ids = [
  [3, 7, 11, 5, 2, 9, 1, 14, 8, 6, 4, 12],
  [4, 6],
];

async function logitsOf(source: string) {
  await using model = await AutoModelForCausalLM.from_pretrained(source);
  const { logits, router_logits } = await model.forward({ input_ids, output_router_logits: true });
  return { logits, router_logits };
}

const cases = (Object.keys(architectures) as Name[]).flatMap((name) =>
  (['stacked', 'separate'] as const).map((layout) => [name, layout] as const),
);

it.each(cases)('%s with %s experts gives the bits of its safetensors', async (name, layout) => {
  expect(await logitsOf(await writeGguf(name, layout))).toEqual(await logitsOf(withoutWindows(name)));
});

it('reads the widths from the shapes where a file says nothing of them', async () => {
  const file = await writeGguf('qwen2_moe', 'stacked', (metadata, tensors) => {
    delete metadata['qwen2moe.expert_feed_forward_length'];
    delete metadata['qwen2moe.expert_shared_feed_forward_length'];
    return tensors;
  });
  expect(await logitsOf(file)).toEqual(await logitsOf(withoutWindows('qwen2_moe')));
});

it.each(cases)('%s with %s experts is saved as Hugging Face names them', async (name, layout) => {
  const target = join(folder, 'saved');
  const source = await writeGguf(name, layout);
  {
    await using model = await AutoModelForCausalLM.from_pretrained(source);
    await model.save_pretrained(target);
  }
  expect(await logitsOf(target)).toEqual(await logitsOf(source));
  const shapes = [...readSafetensors(join(target, 'model.safetensors'))].map(([key, { shape }]) => [key, shape]);
  const original = separated(await tensorsOf(join(models, name))).map((tensor) => [tensor.name, tensor.shape]);
  expect(Object.fromEntries(shapes)).toEqual(Object.fromEntries(original));
});

it('reports and reads each expert by itself', async () => {
  const source = await writeGguf('mixtral', 'stacked');
  await using model = await AutoModelForCausalLM.from_pretrained(source, { quantization: 'vector-wise' });
  const path = 'model.layers.1.block_sparse_moe.experts.3.w2';
  const { modules } = await model.quantizationReport();
  const report = modules.find(({ module }) => module === path);
  expect(report).toMatchObject({ shape: [12, 9], form: 'int8' });
  expect(report?.error?.relative).toBeGreaterThan(0);
  expect(report?.error?.relative).toBeLessThan(0.02);
  expect(model.module(path).parameters).toMatchObject([
    { tensor: 'blk.1.ffn_down_exps.weight[3]', shape: [12, 9], dtype: 'F32' },
  ]);

  await using exact = await AutoModelForCausalLM.from_pretrained(source);
  const reader = exact.readParameters();
  const parameter = reader.parameters.find(({ name }) => name === `${path}.weight`);
  const stored = (await tensorsOf(join(models, 'mixtral'))).find(({ name }) => name === `${path}.weight`);
  const pieces = [];
  if (parameter) for await (const piece of reader.read(parameter)) pieces.push(...piece);
  expect([parameter?.shape, pieces]).toEqual([[12, 9], [...(stored?.data ?? [])]]);
});

it.each<[string, Parameters<typeof writeGguf>[2], string, string[]]>([
  [
    'another number of experts than its stacks have',
    (metadata, tensors) => {
      metadata['qwen3moe.expert_count'] = 3;
      return tensors;
    },
    'SHAPE_MISMATCH',
    ['ffn_gate_inp', '[4, 12]', '[3, 12]'],
  ],
  [
    'a stack of fewer experts',
    (_, tensors) =>
      tensors.map((tensor) =>
        tensor.name === 'blk.1.ffn_up_exps.weight'
          ? { ...tensor, shape: [3, 11, 12], data: tensor.data.subarray(0, 4 * 3 * 11 * 12) }
          : tensor,
      ),
    'SHAPE_MISMATCH',
    ['blk.1.ffn_up_exps.weight', '[3, 11, 12]', '[4, 11, 12]'],
  ],
  [
    'no stack',
    (_, tensors) => tensors.filter(({ name }) => name !== 'blk.1.ffn_down_exps.weight'),
    'MISSING_WEIGHT',
    ['blk.1.ffn_down_exps.weight'],
  ],
  [
    'no number of experts',
    (metadata, tensors) => {
      delete metadata['qwen3moe.expert_count'];
      return tensors;
    },
    'INVALID_CHECKPOINT',
    ['qwen3moe.expert_count'],
  ],
])('a file with %s is refused by name', async (_, change, code, parts) => {
  const source = await writeGguf('qwen3_moe', 'stacked', change);
  const error = await rejection(AutoModelForCausalLM.from_pretrained(source));
  expect(error.code).toBe(code);
  for (const part of parts) expect(error.message).toContain(part);
});
