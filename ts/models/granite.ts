import type { PreNormDecoderOptions } from '../modules/decoder';
import { expertCounts, type ModelConfig } from './config';
import { preNormFamily } from './pre_norm_family';

const defaults = {
  rms_norm_eps: 1e-6,
  max_position_embeddings: 2048,
  embedding_multiplier: 1,
  attention_multiplier: 1,
  residual_multiplier: 1,
  logits_scaling: 1,
  bos_token_id: 1,
  eos_token_id: 2,
} as const;

/** Granite 3: Llama with a factor each for embeddings, scores, what branches add, and logits. */
export const granite = preNormFamily({
  model_type: 'granite',
  tasks: ['causal-lm', 'base'],
  defaults,
  options: (config) => ({ ...scaled(config), feedForward: { bias: config.boolean('mlp_bias', false) } }),
});

/** Granite 3 with experts in place of every feed-forward network, which are stored as stacks. */
export const graniteMoe = preNormFamily({
  model_type: 'granitemoe',
  family: 'GraniteMoe',
  tasks: ['causal-lm', 'base'],
  aliases: { num_experts: ['num_local_experts'] },
  defaults: { ...defaults, num_experts: 8, num_experts_per_tok: 2 },
  options: (config, { innerFeatures }) => ({
    ...scaled(config),
    experts: () => ({
      ...expertCounts(config),
      name: 'block_sparse_moe',
      router: 'router.layer',
      stacks: { gateUp: 'input_linear.weight', down: 'output_linear.weight' },
      normalize: true,
      innerFeatures,
    }),
  }),
});

/** Granite 4 without state spaces (Micro, 1B, 350M): Granite 3 with other names, and without positions where the file has none. */
export const graniteMoeHybrid = preNormFamily({
  model_type: 'granitemoehybrid',
  family: 'GraniteMoeHybrid',
  tasks: ['causal-lm', 'base'],
  aliases: { num_experts: ['num_local_experts'], layer_types: ['layers_block_type'] },
  defaults: { ...defaults, intermediate_size: 11008, shared_intermediate_size: 1024, num_experts: 8 },
  options: (config, { layers }) => {
    refuseOtherLayers(config, layers);
    const { attention, ...rest } = scaled(config);
    const rotates = config.get('position_embedding_type') === 'rope';
    return {
      ...rest,
      attention: () => ({ ...attention(), ...(rotates ? {} : { rotary: false }) }),
      feedForward: {
        name: 'shared_mlp',
        fused: 'input_linear',
        names: ['input_linear', 'input_linear', 'output_linear'],
        activationName: 'activation',
        innerFeatures: config.integer('shared_intermediate_size'),
      },
    };
  },
});

/** @throws OctoformerError INVALID_CHECKPOINT for layers of state spaces, which those without a list of types are, and for experts */
function refuseOtherLayers(config: ModelConfig, layers: number): void {
  const types = config.list('layer_types', layers, (type) => typeof type === 'string', 'a name') ?? ['mamba'];
  if (types.slice(0, layers).some((type) => !['attention', 'full_attention'].includes(type))) {
    throw config.wrong(
      'layer_types',
      types,
      "'attention' for every layer: layers of state spaces (mamba) are not implemented",
    );
  }
  const experts = config.integer('num_experts', { least: 0 });
  if (experts > 0) throw config.wrong('num_experts', experts, '0: experts beside a network of all are not implemented');
}

function scaled(config: ModelConfig) {
  const bias = config.boolean('attention_bias', false);
  const scale = config.number('attention_multiplier');
  return {
    embeddingScale: config.number('embedding_multiplier'),
    residualScale: config.number('residual_multiplier'),
    logitScale: 1 / config.number('logits_scaling', { least: 1e-6 }),
    attention: () => ({ bias, outputBias: bias, scale }),
  } satisfies Partial<PreNormDecoderOptions>;
}
