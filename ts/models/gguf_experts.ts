import type { NativeTensorInfo } from '../binding/native';
import type { TensorPlace } from '../graph/tensor_table';
import { type ConfigValues, type ModelConfig, maxLayers } from './config';

/** What Hugging Face's modules call the experts of a layer, and how a router's probabilities are used. */
export interface ExpertNames {
  /** The block that router and experts are in. */
  readonly block: string;
  /** The matrices of one expert, by what GGUF calls them. */
  readonly matrices: Readonly<Record<string, string>>;
  /** The key of config.json with the number of experts. */
  readonly count: string;
  /** Whether what was chosen is divided by its sum, where config.json says so. Files don't: llama.cpp has it once an architecture. */
  readonly normalized?: boolean;
}

export const gatedExperts: ExpertNames = {
  block: 'mlp',
  matrices: { gate_proj: 'ffn_gate', up_proj: 'ffn_up', down_proj: 'ffn_down' },
  count: 'num_experts',
};

export const mixtralExperts: ExpertNames = {
  block: 'block_sparse_moe',
  matrices: { w1: 'ffn_gate', w3: 'ffn_up', w2: 'ffn_down' },
  count: 'num_local_experts',
};

/** The other parts of a block. The converter squeezes the only row of the shared expert's gate. */
const blockPlaces: Readonly<Record<string, TensorPlace>> = {
  gate: { tensor: 'ffn_gate_inp' },
  shared_expert_gate: { tensor: 'ffn_gate_inp_shexp', squeezed: true },
  'shared_expert.gate_proj': { tensor: 'ffn_gate_shexp' },
  'shared_expert.up_proj': { tensor: 'ffn_up_shexp' },
  'shared_expert.down_proj': { tensor: 'ffn_down_shexp' },
};

/** What config.json says of experts, out of a GGUF file. @throws OctoformerError INVALID_CHECKPOINT */
export function expertConfig(
  { count, normalized }: ExpertNames,
  metadata: ModelConfig,
  key: (name: string) => string,
  tensors: ReadonlyMap<string, NativeTensorInfo>,
): ConfigValues {
  const chosen = {
    [count]: metadata.integer(key('expert_count')),
    num_experts_per_tok: metadata.integer(key('expert_used_count')),
  };
  if (normalized === undefined) return chosen;
  // Files from before these keys were written have the widths in the shapes only.
  const rows = (name: string, axis: number) => tensors.get(`blk.0.${name}.weight`)?.shape[axis];
  const inner = metadata.get(key('expert_feed_forward_length')) ?? rows('ffn_gate_exps', 1);
  const shared = metadata.get(key('expert_shared_feed_forward_length')) ?? rows('ffn_gate_shexp', 0);
  const layers = metadata.integer(key('block_count'), { most: maxLayers });
  const dense = Array.from({ length: layers }, (_, layer) => layer).filter(
    (layer) => !tensors.has(`blk.${layer}.ffn_gate_inp.weight`),
  );
  return {
    ...chosen,
    norm_topk_prob: normalized,
    mlp_only_layers: dense,
    ...(inner === undefined ? {} : { moe_intermediate_size: inner }),
    ...(shared === undefined ? {} : { shared_expert_intermediate_size: shared }),
  };
}

/**
 * Where a file has a part of a layer with experts, without the layer: all experts' matrices of a kind in one stack (`ffn_gate_exps`), or, in files
 * from before April 2024, each by itself (`ffn_gate.3`). None where the module is no such part.
 */
export function expertPlaces(
  { block, matrices, count }: ExpertNames,
  module: string,
  config: ModelConfig,
): TensorPlace[] {
  if (!module.startsWith(`${block}.`)) return [];
  const name = module.slice(block.length + 1);
  if (Object.hasOwn(blockPlaces, name)) return [blockPlaces[name] as TensorPlace];
  const [, expert, matrix = ''] = /^experts\.(\d+)\.(\w+)$/.exec(name) ?? [];
  const tensor = Object.hasOwn(matrices, matrix) ? matrices[matrix] : undefined;
  if (tensor === undefined) return [];
  const stacked = { index: Number(expert), count: config.integer(count) };
  return [{ tensor: `${tensor}_exps`, stacked }, { tensor: `${tensor}.${expert}` }];
}
